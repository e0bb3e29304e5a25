"""What Salesforce's refusals mean: one table from code to error class and to row outcome.

Beside it the readers of the four body shapes: error list, OAuth object, row result, and pages that are not JSON at all.

Codes decide, never messages: those are written for people and translated into the user's language.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.contract import Outcome
from connectors.errors import (
    AllowanceError,
    ConfigurationError,
    ConnectorError,
    CredentialsError,
    IncompleteError,
    ProtocolError,
    QueryTimeoutError,
    RateLimitedError,
    ResumeError,
    SchemaError,
    TransientError,
)
from connectors.http import decode_json, error_for_status, read_retry_after, redact


@dataclass(frozen=True, slots=True)
class Meaning:
    """`error`: what a request that fails with the code raises. `outcome`: what it makes of one row of a write."""

    error: type[ConnectorError]
    outcome: Outcome = Outcome.REJECTED
    advice: str = ""


_HIDDEN = "The field or object does not exist or is hidden from the connecting user: fix the mapping or its rights."
_RIGHTS = "Ask the Salesforce administrator to give the connecting user this right."
_EDITION = "The org or the user lacks API access: ask the Salesforce administrator."
_DATA = "Salesforce refused the value: change the record, the rule or the mapping."
_BUG = "The request was malformed; please report this."

_DENIED = Meaning(CredentialsError, Outcome.REJECTED, _RIGHTS)
_DISABLED = Meaning(CredentialsError, Outcome.REJECTED, _EDITION)
_LOGIN = Meaning(CredentialsError, Outcome.REJECTED, "Check the credentials of the connecting user.")
# The mapping or a right is at fault, not the record: once that is repaired, every record must be sent again.
_SCHEMA = Meaning(SchemaError, Outcome.RETRY, _HIDDEN)
_REFUSED = Meaning(ProtocolError, Outcome.REJECTED, _DATA)
_PASSING = Meaning(TransientError, Outcome.RETRY)
_SPENT = Meaning(AllowanceError, Outcome.RETRY, "What the org grants in 24 hours is spent.")
_MALFORMED = Meaning(ProtocolError, Outcome.REJECTED, _BUG)

CODES: Mapping[str, Meaning] = {
    "INVALID_SESSION_ID": Meaning(CredentialsError, Outcome.RETRY, "The session was refused twice in a row."),
    "INVALID_AUTH_HEADER": _LOGIN,
    "INVALID_LOGIN": _LOGIN,
    "INVALID_OPERATION_WITH_EXPIRED_PASSWORD": _LOGIN,
    "REQUEST_LIMIT_EXCEEDED": _SPENT,
    "LIMIT_EXCEEDED": _SPENT,
    "EXCEEDED_MAX_JOBS": _SPENT,
    "EXCEEDEDQUOTA": _SPENT,
    "API_DISABLED_FOR_ORG": _DISABLED,
    "FUNCTIONALITY_NOT_ENABLED": _DISABLED,
    "FEATURENOTENABLED": _DISABLED,
    "API_CURRENTLY_DISABLED": _DISABLED,
    "INSUFFICIENT_ACCESS": _DENIED,
    "INSUFFICIENT_ACCESS_OR_READONLY": _DENIED,
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": _DENIED,
    "INVALID_FIELD": _SCHEMA,
    "INVALID_TYPE": _SCHEMA,
    "INVALIDENTITY": _SCHEMA,
    "MALFORMED_QUERY": _SCHEMA,
    "MALFORMED_ID": Meaning(SchemaError, Outcome.REJECTED, "This is not an id of the object."),
    "INVALID_QUERY_FILTER_OPERATOR": _SCHEMA,
    "QUERY_TOO_COMPLICATED": Meaning(SchemaError, Outcome.REJECTED, "Map fewer formula fields."),
    "INVALID_FIELD_FOR_INSERT_UPDATE": Meaning(
        SchemaError, Outcome.RETRY, "The field is read-only or the connecting user may not edit it."
    ),
    "INVALID_QUERY_LOCATOR": Meaning(ResumeError),
    "QUERY_TIMEOUT": Meaning(QueryTimeoutError, Outcome.RETRY),
    "UNABLE_TO_LOCK_ROW": _PASSING,
    "TOOMANYLOCKFAILURE": _PASSING,
    "ENTITY_IS_LOCKED": Meaning(ProtocolError, Outcome.RETRY, "The record waits in an approval process."),
    "DUPLICATE_VALUE": _REFUSED,
    "DUPLICATE_EXTERNAL_ID": _REFUSED,
    "DUPLICATES_DETECTED": _REFUSED,
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": _REFUSED,
    "REQUIRED_FIELD_MISSING": _REFUSED,
    "STRING_TOO_LONG": _REFUSED,
    "NUMBER_OUTSIDE_VALID_RANGE": _REFUSED,
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": _REFUSED,
    "INVALID_CROSS_REFERENCE_KEY": _REFUSED,
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": _REFUSED,
    "CANNOT_EXECUTE_FLOW_TRIGGER": _REFUSED,
    "ENTITY_IS_DELETED": Meaning(ProtocolError, Outcome.GONE),
    "NOT_FOUND": Meaning(ConfigurationError, Outcome.GONE, "Check the object's name, the rights and the API version."),
    "ALL_OR_NONE_OPERATION_ROLLED_BACK": _PASSING,
    "PROCESSING_HALTED": _PASSING,
    "UNSUPPORTED_API_VERSION": Meaning(ConfigurationError, Outcome.REJECTED, "Set a newer api_version."),
    "JSON_PARSER_ERROR": _MALFORMED,
    "MISSING_ARGUMENT": _MALFORMED,
    "INVALIDBATCH": _SCHEMA,
    "INVALIDJOB": _MALFORMED,
    "INVALIDJOBSTATE": _MALFORMED,
    "INVALID_JOB_STATE": _MALFORMED,
    "JOB_NOT_COMPLETE": _PASSING,
    "API_ERROR": Meaning(ProtocolError),
    "EXCEEDED_ID_LIMIT": Meaning(IncompleteError),
    "INVALID_REPLICATION_DATE": Meaning(IncompleteError),
    "TXN_SECURITY_METERING_ERROR": _PASSING,
    "SERVER_UNAVAILABLE": _PASSING,
    "UNKNOWN_EXCEPTION": _PASSING,
    "GACK": _PASSING,
}

_HOPELESS_SESSIONS = ("not valid for use with the REST API", "not attached to Agent")
"""Texts of a 401 that a new token does not cure; clients that renew on them hammer the login."""


@dataclass(frozen=True, slots=True)
class Complaint:
    """One entry of an error answer, whichever of the shapes it came in."""

    code: str
    message: str = ""
    fields: tuple[str, ...] = ()


def read_complaints(body: bytes | object) -> list[Complaint]:
    """Every complaint in an error body; empty for HTML, XML, an empty body or anything unexpected."""
    value = decode_json(body) if isinstance(body, bytes) else body
    if isinstance(value, Mapping) and "errors" in value:
        value = value["errors"]
    entries = value if isinstance(value, list) else [value]
    return [_read_complaint(entry) for entry in entries if isinstance(entry, Mapping) and _code_of(entry)]


_JOB_CODE = re.compile(r"\s*(\w+)\s*:")
_CODE_KEYS = ("errorCode", "statusCode", "error", "exceptionCode")


def _code_of(entry: Mapping[str, Any]) -> str:
    return str(
        entry.get("errorCode") or entry.get("statusCode") or entry.get("error") or entry.get("exceptionCode") or ""
    )


def _read_complaint(entry: Mapping[str, Any]) -> Complaint:
    text = entry.get("message") or entry.get("error_description") or entry.get("exceptionMessage") or ""
    fields = entry.get("fields") or ()
    return Complaint(
        _code_of(entry), redact(str(text)), tuple(str(f) for f in fields) if isinstance(fields, list) else ()
    )


def read_failure(status: int, body: bytes | object, headers: Mapping[str, str] | None = None) -> ConnectorError:
    """The error that an answer of `status` with `body` stands for. `headers` are keyed in lower case."""
    complaints = read_complaints(body)
    wait = read_retry_after(headers or {})
    if not complaints:
        kind = error_for_status(status)
        return kind(_status_message(status), code=str(status), retry_after=wait)
    kind, advice = _class_of(status, complaints[0])
    return kind(_message(complaints, advice), code=complaints[0].code, retry_after=wait)


def _class_of(status: int, complaint: Complaint) -> tuple[type[ConnectorError], str]:
    if complaint.code == "REQUEST_LIMIT_EXCEEDED" and "concurrent" in complaint.message.lower():
        return RateLimitedError, "Too many long requests run at once in this org."
    meaning = CODES.get(complaint.code.upper())
    return (meaning.error, meaning.advice) if meaning else (error_for_status(status), "")


def _message(complaints: Iterable[Complaint], advice: str) -> str:
    said = "; ".join(f"{c.message or 'refused'} ({c.code})" for c in complaints)
    return f"Salesforce: {said} {advice}".strip()


def _status_message(status: int) -> str:
    if status == 410:
        return "Salesforce has retired this API version: set a newer api_version."
    if status in (414, 431):
        return f"Salesforce found the request line too long (HTTP {status}). {_BUG}"
    return f"Salesforce answered HTTP {status} without a reason it could be read from."


def outcome_of(code: str) -> Outcome:
    """What becomes of a row refused with `code`; an unknown code means the record is at fault."""
    meaning = CODES.get(code.upper())
    return meaning.outcome if meaning else Outcome.REJECTED


def is_passing(code: str, *, unknown: bool = False) -> bool:
    """Whether a row refused with `code` may well be taken in a moment; `unknown` is the answer for unknown codes."""
    meaning = CODES.get(code.upper())
    return issubclass(meaning.error, TransientError) if meaning else unknown


def read_job_failure(what: str, text: str) -> ConnectorError:
    """The error of a failed bulk job: `text` is its errorMessage, `CODE : message`; `what` says what failed."""
    found = _JOB_CODE.match(text)
    code = found[1] if found else ""
    meaning = CODES.get(code.upper()) or Meaning(ProtocolError)
    said = f"{what}: {redact(text) or 'no reason given'} {meaning.advice}"
    return meaning.error(said.strip(), code=code)


def is_hopeless_session(body: bytes) -> bool:
    text = body.decode("utf-8", "replace")
    return any(sign in text for sign in _HOPELESS_SESSIONS)
