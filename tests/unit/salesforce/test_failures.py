"""The error table, row by row, and the four shapes of an error body."""

from __future__ import annotations

import pytest

from connectors.contract import Outcome
from connectors.errors import (
    AllowanceError,
    ConfigurationError,
    CredentialsError,
    IncompleteError,
    ProtocolError,
    QueryTimeoutError,
    RateLimitedError,
    ResumeError,
    SchemaError,
    TransientError,
)
from connectors.salesforce.failures import (
    CODES,
    Complaint,
    is_hopeless_session,
    outcome_of,
    read_complaints,
    read_failure,
)

REJECTED, RETRY, GONE = Outcome.REJECTED, Outcome.RETRY, Outcome.GONE

TABLE = [
    # code, HTTP status, class of the request's error, outcome of a row
    ("INVALID_SESSION_ID", 401, CredentialsError, RETRY),
    ("INVALID_AUTH_HEADER", 401, CredentialsError, REJECTED),
    ("INVALID_LOGIN", 400, CredentialsError, REJECTED),
    ("INVALID_OPERATION_WITH_EXPIRED_PASSWORD", 400, CredentialsError, REJECTED),
    ("REQUEST_LIMIT_EXCEEDED", 403, AllowanceError, RETRY),
    ("LIMIT_EXCEEDED", 403, AllowanceError, RETRY),
    ("EXCEEDED_MAX_JOBS", 403, AllowanceError, RETRY),
    ("ExceededQuota", 400, AllowanceError, RETRY),
    ("UNSUPPORTED_API_VERSION", 410, ConfigurationError, REJECTED),
    ("API_DISABLED_FOR_ORG", 403, CredentialsError, REJECTED),
    ("FUNCTIONALITY_NOT_ENABLED", 403, CredentialsError, REJECTED),
    ("FEATURENOTENABLED", 403, CredentialsError, REJECTED),
    ("API_CURRENTLY_DISABLED", 403, CredentialsError, REJECTED),
    ("INSUFFICIENT_ACCESS", 403, CredentialsError, REJECTED),
    ("INSUFFICIENT_ACCESS_OR_READONLY", 400, CredentialsError, REJECTED),
    ("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY", 400, CredentialsError, REJECTED),
    ("INVALID_FIELD", 400, SchemaError, RETRY),
    ("INVALID_TYPE", 400, SchemaError, RETRY),
    ("INVALIDENTITY", 400, SchemaError, RETRY),
    ("MALFORMED_QUERY", 400, SchemaError, RETRY),
    ("MALFORMED_ID", 400, SchemaError, REJECTED),
    ("INVALID_QUERY_FILTER_OPERATOR", 400, SchemaError, RETRY),
    ("QUERY_TOO_COMPLICATED", 400, SchemaError, REJECTED),
    ("INVALID_FIELD_FOR_INSERT_UPDATE", 400, SchemaError, RETRY),
    ("INVALID_QUERY_LOCATOR", 400, ResumeError, REJECTED),
    ("QUERY_TIMEOUT", 400, QueryTimeoutError, RETRY),
    ("UNABLE_TO_LOCK_ROW", 400, TransientError, RETRY),
    ("TooManyLockFailure", 400, TransientError, RETRY),
    ("ENTITY_IS_LOCKED", 400, ProtocolError, RETRY),
    ("DUPLICATE_VALUE", 400, ProtocolError, REJECTED),
    ("DUPLICATE_EXTERNAL_ID", 400, ProtocolError, REJECTED),
    ("DUPLICATES_DETECTED", 400, ProtocolError, REJECTED),
    ("FIELD_CUSTOM_VALIDATION_EXCEPTION", 400, ProtocolError, REJECTED),
    ("REQUIRED_FIELD_MISSING", 400, ProtocolError, REJECTED),
    ("STRING_TOO_LONG", 400, ProtocolError, REJECTED),
    ("NUMBER_OUTSIDE_VALID_RANGE", 400, ProtocolError, REJECTED),
    ("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", 400, ProtocolError, REJECTED),
    ("INVALID_CROSS_REFERENCE_KEY", 400, ProtocolError, REJECTED),
    ("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", 400, ProtocolError, REJECTED),
    ("CANNOT_EXECUTE_FLOW_TRIGGER", 400, ProtocolError, REJECTED),
    ("ENTITY_IS_DELETED", 404, ProtocolError, GONE),
    ("NOT_FOUND", 404, ConfigurationError, GONE),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", 400, TransientError, RETRY),
    ("PROCESSING_HALTED", 400, TransientError, RETRY),
    ("JSON_PARSER_ERROR", 400, ProtocolError, REJECTED),
    ("MISSING_ARGUMENT", 400, ProtocolError, REJECTED),
    ("InvalidBatch", 400, SchemaError, RETRY),
    ("InvalidJob", 400, ProtocolError, REJECTED),
    ("INVALIDJOBSTATE", 400, ProtocolError, REJECTED),
    ("INVALID_JOB_STATE", 400, ProtocolError, REJECTED),
    ("JOB_NOT_COMPLETE", 412, TransientError, RETRY),
    ("API_ERROR", 400, ProtocolError, REJECTED),
    ("EXCEEDED_ID_LIMIT", 400, IncompleteError, REJECTED),
    ("INVALID_REPLICATION_DATE", 400, IncompleteError, REJECTED),
    ("TXN_SECURITY_METERING_ERROR", 400, TransientError, RETRY),
    ("SERVER_UNAVAILABLE", 503, TransientError, RETRY),
    ("UNKNOWN_EXCEPTION", 500, TransientError, RETRY),
    ("GACK", 500, TransientError, RETRY),
]


@pytest.mark.parametrize(("code", "status", "error", "outcome"), TABLE, ids=[row[0] for row in TABLE])
def test_each_code_has_its_class_and_its_outcome(code, status, error, outcome) -> None:
    failure = read_failure(status, [{"errorCode": code, "message": "the reason"}])

    assert type(failure) is error
    assert failure.code == code
    assert "the reason" in failure.message
    assert outcome_of(code) is outcome


def test_no_row_of_the_table_goes_untested() -> None:
    assert {row[0].upper() for row in TABLE} == set(CODES)


STATUSES = [
    (400, ProtocolError),
    (401, CredentialsError),
    (403, CredentialsError),
    (404, ConfigurationError),
    (405, ProtocolError),
    (406, TransientError),
    (409, ProtocolError),
    (410, ConfigurationError),
    (414, ProtocolError),
    (415, ProtocolError),
    (420, RateLimitedError),
    (428, ProtocolError),
    (429, RateLimitedError),
    (431, ProtocolError),
    (500, TransientError),
    (502, TransientError),
    (503, TransientError),
    (504, TransientError),
    (599, TransientError),
    (300, ProtocolError),
]

PAGES = [b"", b"<html><body>Bad Message</body></html>", b'<?xml version="1.0"?><error/>', b"null", b"[]", b"[1]", b"{"]


@pytest.mark.parametrize(("status", "error"), STATUSES)
@pytest.mark.parametrize("body", PAGES)
def test_a_body_without_a_code_is_judged_by_its_status(status, error, body) -> None:
    failure = read_failure(status, body)

    assert type(failure) is error
    assert failure.code == str(status)
    assert "html" not in failure.message


def test_a_retired_version_says_what_to_set() -> None:
    assert "api_version" in read_failure(410, b"").message


def test_the_two_limits_of_one_code_are_told_apart() -> None:
    daily = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded."}]
    at_once = [
        {"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests (Concurrent API) Limit exceeded."}
    ]

    assert type(read_failure(403, daily)) is AllowanceError
    assert type(read_failure(403, at_once)) is RateLimitedError


def test_all_shapes_of_complaint_are_read() -> None:
    listed = b'[{"message":"m","errorCode":"A","fields":["x","y"]},{"message":"n","errorCode":"B"}]'
    oauth = b'{"error":"invalid_grant","error_description":"expired"}'
    row = {"success": False, "errors": [{"statusCode": "C", "message": "m", "fields": ["F"]}]}
    old_bulk = b'{"exceptionCode":"InvalidSessionId","exceptionMessage":"gone"}'

    assert read_complaints(listed) == [Complaint("A", "m", ("x", "y")), Complaint("B", "n")]
    assert read_complaints(oauth) == [Complaint("invalid_grant", "expired")]
    assert read_complaints(row) == [Complaint("C", "m", ("F",))]
    assert read_complaints(old_bulk) == [Complaint("InvalidSessionId", "gone")]


def test_every_reason_is_told_and_the_first_decides() -> None:
    body = b'[{"message":"one","errorCode":"QUERY_TIMEOUT"},{"message":"two","errorCode":"INVALID_FIELD"}]'

    failure = read_failure(400, body)

    assert type(failure) is QueryTimeoutError
    assert "one" in failure.message
    assert "two" in failure.message


def test_a_wait_that_the_server_asks_for_is_kept() -> None:
    assert read_failure(503, b"", {"retry-after": "17"}).retry_after == 17
    assert read_failure(503, b"").retry_after is None


def test_an_unknown_code_is_judged_by_its_status_and_its_row_is_refused() -> None:
    assert type(read_failure(400, [{"errorCode": "NEVER_SEEN", "message": ""}])) is ProtocolError
    assert type(read_failure(503, [{"errorCode": "NEVER_SEEN", "message": ""}])) is TransientError
    assert outcome_of("NEVER_SEEN") is Outcome.REJECTED


@pytest.mark.parametrize(
    "secret",
    [
        "Bearer 00Dxx!AQ",
        "00D000000000001!AQEAQFoo.Bar_1",
        "access_token=abcdef",
        '"client_secret": "hunter2"',
        "eyJhbGciOi.eyJzdWIi.sig",
    ],
)
def test_no_secret_survives_in_a_message(secret) -> None:
    message = read_failure(400, [{"errorCode": "API_ERROR", "message": f"before {secret} after"}]).message

    assert "before" in message
    for part in ("AQ", "abcdef", "hunter2", "eyJ"):
        assert part not in message


@pytest.mark.parametrize(
    ("body", "hopeless"),
    [
        (b'[{"message":"This session is not valid for use with the REST API"}]', True),
        (b"Connected app is not attached to Agent", True),
        (b'[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]', False),
        (b"\xff\xfe", False),
    ],
)
def test_sessions_that_a_new_token_does_not_cure_are_known(body, hopeless) -> None:
    assert is_hopeless_session(body) is hopeless
