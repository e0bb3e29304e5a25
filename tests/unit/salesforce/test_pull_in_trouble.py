"""A pull when things go wrong. Numbers in the names: the list of field problems that the connector guards against."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from connectors.contract import Condition, Operator, Page, PullRequest, RawRow
from connectors.errors import (
    AllowanceError,
    CredentialsError,
    IncompleteError,
    ProtocolError,
    QueryTimeoutError,
    RateLimitedError,
    ResumeError,
    SchemaError,
    TransientError,
    UnreachableError,
)
from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.ids import normalise_id
from connectors.salesforce.transport import Answer

ACCOUNTS = PullRequest("Account", ("Id", "Name"))


def make_accounts(org, count: int = 25) -> list[str]:
    return [org.create("Account", {"Name": f"Account {i}"}) for i in range(count)]


def rows_of(pages: Sequence[Page]) -> list[RawRow]:
    return [row for page in pages for row in page.rows]


def ids_of(pages: Sequence[Page]) -> list[str | None]:
    return sorted((row[0] for row in rows_of(pages)), key=str)


def pull(crm: SalesforceConnector, *requests: PullRequest) -> list[Page]:
    return list(crm.pull(requests or (ACCOUNTS,)))


ABORT = b'{"state":"Aborted"}'


class Relay:
    """A REST session whose every call goes through a function."""

    def __init__(self, call: Callable[..., Answer]) -> None:
        self.call = call

    def close(self) -> None:
        pass


class FixedJobs:
    """The jobs of a connector with another way to create one."""

    def __init__(self, jobs, create) -> None:
        self._jobs, self.create = jobs, create

    def __getattr__(self, name: str):
        return getattr(self._jobs, name)


# What costs nothing


def test_a_quiet_night_is_one_call_for_all_objects(org, connect, sandbox) -> None:
    crm = connect()
    since = org.clock.now() + timedelta(hours=1)
    requests = [PullRequest(name, ("Id",), since=since) for name in ("Account", "Opportunity", "Contact")]

    pages = pull(crm, *requests)

    assert crm.usage.api_calls == 1
    assert [page.complete for page in pages] == [True] * 3


def test_small_objects_arrive_with_the_probe_itself(org, by_rest) -> None:
    make_accounts(org)

    pull(by_rest)

    assert by_rest.usage.by_kind == {"probe": 1}


def test_more_than_five_objects_take_two_probes(org, by_rest) -> None:
    pull(by_rest, *[ACCOUNTS] * 7)

    assert by_rest.usage.by_kind == {"probe": 2}


def test_a_count_of_all_objects_is_one_call(org, by_rest) -> None:
    make_accounts(org, 3)

    assert by_rest.count({"Account": (), "Opportunity": ()}) == {"Account": 3, "Opportunity": 0}
    assert by_rest.usage.api_calls == 1


def test_large_objects_cost_a_job_a_poll_and_their_pages(org, by_bulk, sandbox) -> None:
    sandbox.manners.bulk_page_rows = 10
    make_accounts(org, 25)

    pull(by_bulk)

    assert by_bulk.usage.by_kind == {"probe": 1, "bulk_create": 1, "bulk_poll": 1, "bulk_results": 3}


def test_the_jobs_of_all_large_objects_are_started_before_the_first_is_read(org, by_bulk, sandbox) -> None:
    account = make_accounts(org, 3)[0]
    org.create("Contact", {"LastName": "C", "AccountId": account})

    pages = by_bulk.pull([ACCOUNTS, PullRequest("Contact", ("Id",))])
    first = next(page for page in pages if page.rows)

    assert first.request is ACCOUNTS
    assert sandbox.calls["bulk_query.create"] == 2
    assert sandbox.calls["bulk_query.results"] == 1


# 1 to 5: the dialect


NASTY = [
    "line1\nline2",
    "line1\r\nline2",
    'quo"te',
    "com,ma",
    "🎉 Søn",
    "NA",
    "null",
    "007",
    "  kept  ",
    "#N/A",
    "'",
    "\\",
]


def test_problem_1_newlines_quotes_and_commas_survive_both_ways(org, by_rest, by_bulk) -> None:
    for name in NASTY:
        org.create("Account", {"Name": name})

    assert sorted(str(row[1]) for row in rows_of(pull(by_rest))) == sorted(NASTY)
    assert sorted(str(row[1]) for row in rows_of(pull(by_bulk))) == sorted(NASTY)


def test_problem_4_nul_bytes_are_dropped_and_the_rest_is_kept(org, by_rest, by_bulk) -> None:
    org.create("Account", {"Name": "be\0fore"})

    assert [row[1] for row in rows_of(pull(by_rest))] == ["before"]
    assert [row[1] for row in rows_of(pull(by_bulk))] == ["before"]


def test_rest_and_bulk_deliver_the_same_facts(org, by_rest, by_bulk) -> None:
    account = make_accounts(org, 1)[0]
    deal = {"Name": "D", "StageName": "Closed Won", "CloseDate": "2024-02-29", "AccountId": account, "Amount": "0.1"}
    org.create("Opportunity", deal)
    fields = ("Id", "Account.Name", "IsWon", "CloseDate", "Description")
    request = PullRequest("Opportunity", fields)

    rest, bulk = rows_of(pull(by_rest, request)), rows_of(pull(by_bulk, request))

    assert list(map(tuple, rest)) == list(map(tuple, bulk))
    assert rest[0][1:] == ["Account 0", "true", "2024-02-29", None]


def test_a_path_over_an_empty_relationship_is_none(org, by_rest, by_bulk) -> None:
    org.create("Opportunity", {"Name": "D", "StageName": "Prospecting", "CloseDate": "2024-01-01"})
    request = PullRequest("Opportunity", ("Account.Name", "Name"))

    assert list(map(list, rows_of(pull(by_rest, request)))) == [[None, "D"]]
    assert list(map(list, rows_of(pull(by_bulk, request)))) == [[None, "D"]]


# 6 to 8: completeness


def test_problem_7_a_truncated_result_is_fetched_again(org, by_bulk, sandbox) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("truncate", on="bulk_query.results", rows=3)

    assert ids_of(pull(by_bulk)) == sorted(ids)


def test_problem_7_a_result_that_stays_short_is_incomplete_and_never_looks_complete(org, by_bulk, sandbox) -> None:
    make_accounts(org)
    sandbox.faults.inject("truncate", on="bulk_query.results", rows=3, times=None)
    pages: list[Page] = []

    with pytest.raises(IncompleteError):
        pages.extend(by_bulk.pull([ACCOUNTS]))

    assert not any(page.complete for page in pages)


def test_problem_7_a_short_query_page_is_incomplete(org, connect, sandbox) -> None:
    make_accounts(org)
    sandbox.manners.page_size = 10
    sandbox.faults.inject("lose", on="query_more", rows=2)

    with pytest.raises(IncompleteError, match="announced 25"):
        pull(connect())


def test_problem_7_a_short_page_of_a_pull_by_id_is_incomplete_and_never_looks_complete(org, connect, sandbox) -> None:
    ids = make_accounts(org)
    sandbox.manners.page_size = 10
    sandbox.faults.inject("lose", on="query_more", rows=2)
    pages: list[Page] = []

    with pytest.raises(IncompleteError, match="announced 25"):
        pages.extend(connect().pull([replace(ACCOUNTS, ids=tuple(ids))]))

    assert not any(page.complete for page in pages)


def test_problem_8_every_result_page_is_read(org, by_bulk, sandbox) -> None:
    ids = make_accounts(org, 31)
    sandbox.manners.bulk_page_rows = 7

    assert ids_of(pull(by_bulk)) == sorted(ids)


def test_rows_repeated_between_pages_are_handed_out_once(org, connect, sandbox) -> None:
    ids = make_accounts(org)
    sandbox.manners.page_size = 10
    sandbox.faults.inject("repeat", on="query_more", rows=4)

    assert ids_of(pull(connect())) == sorted(ids)


@pytest.mark.parametrize("keep", [0, 1, 40, 300, 900])
def test_a_connection_cut_in_the_middle_of_a_result_loses_and_doubles_nothing(org, by_bulk, sandbox, keep) -> None:
    ids = make_accounts(org, 40)
    sandbox.faults.inject("cut", on="bulk_query.results", keep=keep)

    assert ids_of(pull(by_bulk)) == sorted(ids)


def test_problem_6_a_job_that_never_ends_is_given_up_and_aborted(org, connect, sandbox, waits) -> None:
    make_accounts(org, 3)
    sandbox.manners.job_polls = 1_000_000
    crm = connect(rest_limit=0, job_hours=0.01)

    with pytest.raises(TransientError, match="did not finish"):
        pull(crm)

    assert sandbox.calls["bulk_query.abort"] == 1
    assert sandbox.engine.jobs == {}
    assert 36 <= waits.clock() <= 36 + 2 * 8


def test_waits_for_a_job_double_up_to_eight_seconds(org, connect, sandbox, waits) -> None:
    make_accounts(org, 3)
    sandbox.manners.job_polls = 7
    crm = connect(rest_limit=0)

    pull(crm)

    assert waits == [0.5, 1, 2, 4, 8, 8, 8, 8]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        ("InternalServerError : sorry", ProtocolError),
        ("INVALID_FIELD: No such column", SchemaError),
        ("", ProtocolError),
    ],
)
def test_a_job_that_fails_says_why(org, by_bulk, sandbox, message, error) -> None:
    make_accounts(org, 3)
    sandbox.faults.inject("job_fails", on="bulk_query.poll", message=message)

    with pytest.raises(error, match=message or "no reason given"):
        pull(by_bulk)


def test_a_job_that_somebody_aborts_is_incomplete(org, by_bulk, sandbox) -> None:
    make_accounts(org, 3)
    sandbox.manners.job_polls = 1
    create = by_bulk.jobs.create

    def create_and_lose(soql: str) -> str:
        job = create(soql)
        by_bulk.transport.send("PATCH", f"/services/data/v62.0/jobs/query/{job}", "bulk_abort", content=ABORT)
        return job

    by_bulk.jobs = FixedJobs(by_bulk.jobs, create_and_lose)

    with pytest.raises(IncompleteError, match="aborted"):
        pull(by_bulk)


# Time-outs of queries


TOO_LONG = "QUERY_TIMEOUT: Your query request was running for too long."


@pytest.fixture
def spread(org) -> list[str]:
    """Forty accounts, two an hour."""
    ids = []
    for _ in range(20):
        ids += make_accounts(org, 2)
        org.clock.advance(3600)
    return ids


@pytest.mark.parametrize("message", [TOO_LONG, "The job was retried more than fifteen times and failed"])
def test_a_query_that_runs_too_long_is_narrowed_until_it_passes(by_bulk, sandbox, spread, message) -> None:
    sandbox.faults.inject("job_fails", on="bulk_query.poll", message=message, times=3)

    pages = pull(by_bulk)

    assert ids_of(pages) == sorted(spread)
    assert [page.complete for page in pages].count(True) == 1
    assert by_bulk.usage.by_kind["bulk_create"] == 7


def test_a_probe_that_runs_too_long_leads_to_a_bulk_job(connect, sandbox, spread) -> None:
    sandbox.manners.slow_query_rows = 12
    crm = connect()

    assert ids_of(pull(crm)) == sorted(spread)
    assert crm.usage.by_kind["bulk_create"] == 1


def test_a_change_while_a_narrowed_pull_runs_is_not_lost(org, by_bulk, sandbox, spread) -> None:
    sandbox.faults.inject("job_fails", on="bulk_query.poll", message=TOO_LONG)
    pages = []

    for page in by_bulk.pull([ACCOUNTS]):
        pages.append(page)
        if len(pages) == 1:
            org.update("Account", spread[1], {"Name": "moved"})

    assert set(ids_of(pages)) == set(spread)
    assert "moved" in [row[1] for row in rows_of(pages)]


def test_rows_of_one_second_cannot_be_narrowed_for_ever(org, by_bulk, sandbox) -> None:
    make_accounts(org)
    sandbox.faults.inject("job_fails", on="bulk_query.poll", message=TOO_LONG, times=None)

    with pytest.raises(QueryTimeoutError):
        pull(by_bulk, replace(ACCOUNTS, since=org.clock.now()))
    with pytest.raises(QueryTimeoutError):
        pull(by_bulk)


# 11: sessions


@pytest.mark.parametrize("fault", ["expired", "html_401"])
@pytest.mark.parametrize("kind", ["composite", "query_more"])
def test_problem_11_a_session_that_ends_in_a_query_is_renewed_once(org, connect, sandbox, fault, kind) -> None:
    ids = make_accounts(org)
    sandbox.manners.page_size = 10
    sandbox.faults.inject(fault, on=kind)

    assert ids_of(pull(connect())) == sorted(ids)
    assert sandbox.calls["token"] == 2


@pytest.mark.parametrize("kind", ["bulk_query.create", "bulk_query.poll", "bulk_query.results"])
def test_problem_11_a_session_that_ends_in_a_job_is_renewed_and_the_job_goes_on(org, by_bulk, sandbox, kind) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("expired", on=kind)

    assert ids_of(pull(by_bulk)) == sorted(ids)
    assert sandbox.calls["bulk_query.create"] <= 2


def test_problem_11_a_lasting_401_stops_after_one_renewal(org, by_rest, sandbox) -> None:
    sandbox.faults.inject("html_401", on="composite", times=None)

    with pytest.raises(CredentialsError):
        pull(by_rest)

    assert sandbox.calls["composite"] == 2


# Trouble on the way


@pytest.mark.parametrize("status", [406, 420, 429, 500, 502, 503, 504])
def test_a_passing_status_without_json_is_retried(org, by_rest, sandbox, status) -> None:
    ids = make_accounts(org, 3)
    sandbox.faults.inject("html", on="composite", status=status, times=2)

    assert ids_of(pull(by_rest)) == sorted(ids)
    assert by_rest.usage.by_kind == {"probe": 3}


def test_a_passing_error_of_a_subrequest_is_retried(org, by_rest, sandbox) -> None:
    ids = make_accounts(org, 3)
    sandbox.faults.inject("error", on="query", code="SERVER_UNAVAILABLE", status=503)

    assert ids_of(pull(by_rest)) == sorted(ids)


def test_trouble_that_does_not_pass_goes_up_after_five_attempts(org, by_rest, sandbox) -> None:
    sandbox.faults.inject("html", on="composite", status=503, times=None)

    with pytest.raises(TransientError):
        pull(by_rest)

    assert by_rest.usage.api_calls == 5


def test_a_dropped_connection_is_retried_and_a_lasting_one_named(org, by_rest, sandbox) -> None:
    make_accounts(org, 3)
    sandbox.faults.inject("reset", on="composite")
    assert len(rows_of(pull(by_rest))) == 3

    sandbox.faults.inject("reset", on="composite", times=None)
    with pytest.raises(UnreachableError, match=r"No answer from 127\.0\.0\.1"):
        pull(by_rest)


@pytest.mark.parametrize("kind", ["bulk_query.create", "bulk_query.poll", "bulk_query.results"])
def test_trouble_around_a_job_is_retried(org, by_bulk, sandbox, kind) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("html", on=kind, status=502)
    sandbox.faults.inject("reset", on=kind)

    assert ids_of(pull(by_bulk)) == sorted(ids)


# 12: allowance


def test_problem_12_the_end_of_the_daily_calls_stops_the_run_at_once(org, by_rest, sandbox, waits) -> None:
    message = "TotalRequests Limit exceeded."
    sandbox.faults.inject("error", on="composite", code="REQUEST_LIMIT_EXCEEDED", message=message, status=403)

    with pytest.raises(AllowanceError):
        pull(by_rest)

    assert by_rest.usage.api_calls == 1


def test_problem_12_too_many_at_once_is_waited_for(org, by_rest, sandbox) -> None:
    message = "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
    sandbox.faults.inject("error", on="composite", code="REQUEST_LIMIT_EXCEEDED", message=message, status=403)
    pull(by_rest)
    assert by_rest.usage.api_calls == 2

    sandbox.faults.inject(
        "error", on="composite", code="REQUEST_LIMIT_EXCEEDED", message=message, status=403, times=None
    )
    with pytest.raises(RateLimitedError):
        pull(by_rest)


def test_problem_12_the_allowance_is_known_before_and_after_calls(org, connect, sandbox) -> None:
    crm = connect()
    assert crm.allowance().limit == sandbox.manners.daily_limit
    assert crm.usage.by_kind == {"limits": 1}

    pull(crm)
    crm.allowance()

    assert crm.usage.by_kind == {"limits": 1, "probe": 1}


# 10, 17: what may be asked for


def test_problem_10_a_hidden_field_is_called_missing_or_hidden(org, by_rest, by_bulk) -> None:
    make_accounts(org, 1)
    org.hide_field("Account", "Industry")
    request = PullRequest("Account", ("Id", "Industry"))

    for crm in (by_rest, by_bulk):
        with pytest.raises(SchemaError, match=r"Industry.*(does not exist or is hidden)"):
            pull(crm, request)
        schema = crm.describe(["Account"])["Account"]
        assert schema is not None
        assert "Industry" not in schema.fields


def test_problem_17_a_compound_field_is_asked_for_by_its_parts(org, connect) -> None:
    org.create("Account", {"Name": "A", "BillingCity": "Köln", "BillingStreet": "1 Road\nHouse"})
    request = PullRequest("Account", ("Name", "BillingAddress", "BillingCity"))

    for options in ({}, {"rest_limit": 0}):
        crm = connect(**options)
        crm.describe(["Account"])
        ((name, address, city),) = rows_of(pull(crm, request))

        assert (name, city) == ("A", "Köln")
        assert json.loads(str(address)) == {"BillingCity": "Köln", "BillingStreet": "1 Road\nHouse"}


def test_an_object_that_the_bulk_api_does_not_serve_is_read_by_rest(org, by_bulk, sandbox) -> None:
    ids = make_accounts(org)
    text = "Entity 'Account' is not supported by the Bulk API."
    sandbox.faults.inject("error", on="bulk_query.create", code="INVALIDENTITY", message=text, status=400)

    pages = pull(by_bulk)

    assert ids_of(pages) == sorted(ids)
    assert pages[-1].complete


# 14, 15: what an incremental pull must see


def test_problem_14_rows_with_equal_stamps_at_a_page_border_are_all_read(org, connect, sandbox) -> None:
    sandbox.manners.page_size = 10
    since = org.clock.now()
    ids = make_accounts(org, 35)

    pages = pull(connect(), replace(ACCOUNTS, since=since))

    assert ids_of(pages) == sorted(ids)
    assert all(page.watermark == since.replace(microsecond=0) for page in pages)


def test_problem_14_a_kill_at_a_page_border_loses_no_row_of_the_same_second(org, connect, sandbox) -> None:
    sandbox.manners.page_size = 10
    since = org.clock.now()
    ids = make_accounts(org, 35)
    first = next(connect().pull([replace(ACCOUNTS, since=since)]))

    again = pull(connect(), replace(ACCOUNTS, since=first.watermark))

    assert {row[0] for row in [*first.rows, *rows_of(again)]} == set(ids)


def test_problem_14_each_page_of_a_query_carries_the_stamp_of_its_last_row(org, connect, sandbox) -> None:
    sandbox.manners.page_size = 10
    since = org.clock.now().replace(microsecond=0)
    for _ in range(25):
        make_accounts(org, 1)
        org.clock.advance(10)

    marks = [page.watermark for page in pull(connect(), replace(ACCOUNTS, since=since))]

    assert marks[:2] == [since + timedelta(seconds=90), since + timedelta(seconds=190)]
    assert marks[2] == since + timedelta(seconds=250)


def test_problem_15_a_bulk_page_before_the_last_carries_no_watermark(org, by_bulk) -> None:
    make_accounts(org, 25)

    assert [page.watermark is None for page in pull(by_bulk) if page.rows] == [True, True, False]


def test_problem_15_the_watermark_is_the_clock_of_the_crm_when_the_pull_started(org, by_bulk) -> None:
    org.clock.advance(-86_400 * 30)
    make_accounts(org)
    started = org.clock.now()
    pages = []

    for page in by_bulk.pull([ACCOUNTS]):
        org.clock.advance(600)
        pages.append(page)

    assert pages[-1].watermark == started.replace(microsecond=0)


def test_a_lost_cursor_is_replaced_without_loss_or_doubles(org, connect, sandbox) -> None:
    ids = make_accounts(org, 35)
    sandbox.manners.page_size = 10
    for since in (None, org.clock.now()):
        sandbox.faults.inject("error", on="query_more", code="INVALID_QUERY_LOCATOR", status=400, skip=1)

        pages = pull(connect(), replace(ACCOUNTS, since=since))

        assert ids_of(pages) == sorted(ids)


def test_a_lost_cursor_of_a_pull_by_id_is_replaced_without_loss_or_doubles(org, connect, sandbox) -> None:
    ids = make_accounts(org, 35)
    sandbox.manners.page_size = 10
    sandbox.faults.inject("error", on="query_more", code="INVALID_QUERY_LOCATOR", status=400, skip=1)

    pages = pull(connect(), replace(ACCOUNTS, ids=tuple(ids)))

    assert ids_of(pages) == sorted(ids)
    assert [page.complete for page in pages].count(True) == 1


@pytest.mark.parametrize("by_id", [False, True])
def test_a_cursor_that_is_always_lost_is_given_up(org, connect, sandbox, by_id) -> None:
    ids = make_accounts(org, 35)
    sandbox.manners.page_size = 10
    sandbox.faults.inject("error", on="query_more", code="INVALID_QUERY_LOCATOR", status=400, times=None)

    with pytest.raises(IncompleteError):
        pull(connect(), replace(ACCOUNTS, ids=tuple(ids) if by_id else None))


@pytest.mark.parametrize("by_id", [False, True])
def test_a_page_that_names_itself_as_the_next_is_not_followed_for_ever(org, connect, sandbox, by_id) -> None:
    ids = make_accounts(org, 35)
    sandbox.manners.page_size = 10
    crm = connect()
    rest, pages = crm.transport.rest.call, []

    def repeat(token, method, path, body, headers):
        if "/query/" not in path:
            return rest(token, method, path, body, headers)
        if len(pages) > 20:
            raise AssertionError("followed for ever")
        answer = rest(token, method, path, body, headers)
        pages.append(path)
        shown = json.loads(answer.body) | {"done": False, "nextRecordsUrl": path}
        return Answer(answer.status, answer.headers, json.dumps(shown).encode())

    crm.transport.rest = Relay(repeat)

    with pytest.raises(IncompleteError, match="twice"):
        pull(crm, replace(ACCOUNTS, ids=tuple(ids) if by_id else None))

    assert len(pages) == 1


# 19: long queries


def test_problem_19_a_long_query_never_becomes_an_address(org, connect) -> None:
    ids = make_accounts(org, 3)
    many = tuple(normalise_id(f"001{i:012d}") for i in range(10**6, 10**6 + 1500))
    fields = ("Id", *(f"Account_{i}" for i in range(3)))
    crm = connect()

    assert ids_of(pull(crm, replace(ACCOUNTS, ids=(*many, *ids)))) == sorted(ids)
    with pytest.raises(SchemaError):
        pull(crm, PullRequest("Account", fields))


# Resume


def test_a_killed_pull_goes_on_with_the_same_job(org, connect, sandbox) -> None:
    ids = make_accounts(org, 45)
    sandbox.manners.bulk_page_rows = 20
    stream = connect(rest_limit=0, page_rows=10).pull([ACCOUNTS])
    stored = [next(stream), next(stream), next(stream)]

    rest = pull(connect(rest_limit=0, page_rows=4), replace(ACCOUNTS, resume=stored[-1].resume))

    assert ids_of([*stored, *rest]) == sorted(ids)
    assert sandbox.calls["bulk_query.create"] == 1


def test_a_resumed_pull_keeps_the_watermark_of_its_start(org, connect, sandbox) -> None:
    make_accounts(org, 25)
    started = org.clock.now()
    first = next(connect(rest_limit=0, page_rows=10).pull([ACCOUNTS]))
    org.clock.advance(3600)

    rest = pull(connect(), replace(ACCOUNTS, resume=first.resume))

    assert rest[-1].watermark == started.replace(microsecond=0)


def test_problem_6_a_pull_killed_while_its_jobs_are_at_work_goes_on_with_all_of_them(org, connect, sandbox) -> None:
    make_accounts(org, 25)
    sandbox.manners.job_polls = 3
    users = PullRequest("User", ("Id",))
    stream = connect(rest_limit=0, page_rows=10).pull([ACCOUNTS, users])
    accounts, people = next(stream), next(stream)
    stream.close()

    rest = pull(connect(), replace(ACCOUNTS, resume=accounts.resume), replace(users, resume=people.resume))

    assert [page.request.object for page in (accounts, people)] == ["Account", "User"]
    assert accounts.rows == people.rows == ()
    assert len(rows_of(rest)) == 25 + len(org.table("User").rows)
    assert sandbox.calls["bulk_query.create"] == 2


def test_problem_6_jobs_that_nobody_goes_on_with_are_removed_and_no_others(org, connect, sandbox) -> None:
    make_accounts(org, 25)
    sandbox.manners.job_polls = 3
    positions = [page.resume for page in (next(connect(rest_limit=0).pull([ACCOUNTS])) for _ in range(2))]
    somebody_elses = connect().jobs.create("SELECT Id FROM Account")
    done = connect().jobs.create("SELECT Id FROM User")
    finished = pull(connect(rest_limit=0), PullRequest("User", ("Id",)))[0].resume

    connect().abandon([*positions, finished, "nonsense"])

    assert set(sandbox.engine.jobs) == {somebody_elses, done}


def test_removing_a_job_of_another_version_or_one_that_is_gone_fails_nothing(org, connect, sandbox) -> None:
    make_accounts(org, 3)
    old = next(connect(rest_limit=0, api_version="61.0").pull([ACCOUNTS])).resume

    connect(api_version="62.0").abandon([old, old])

    assert sandbox.engine.jobs == {}


# 13: records that are gone without a trace


WAYS = pytest.mark.parametrize("options", [{}, {"rest_limit": 0, "page_rows": 10}], ids=["REST", "bulk"])


def settled(crm: SalesforceConnector) -> SalesforceConnector:
    """Past its first answers, as after the check of a run: it knows the CRM's clock."""
    crm.describe(["Account"])
    crm.usage.by_kind.clear()
    return crm


@WAYS
def test_problem_13_what_was_purged_is_named_with_the_last_page(org, connect, options) -> None:
    ids, since = make_accounts(org), org.clock.now()
    org.clock.advance(7200)
    org.update("Account", ids[9], {"Name": "moved"})
    for key in ids[:3]:
        org.purge("Account", key)
    org.clock.advance(60)

    pages = pull(settled(connect(**options)), replace(ACCOUNTS, since=since + timedelta(minutes=1)))

    assert sorted(pages[-1].gone) == sorted(ids[:3])
    assert not any(page.gone for page in pages[:-1])
    assert ids[9] in ids_of(pages)


def test_problem_13_only_what_has_no_row_any_more_is_named(org, connect) -> None:
    ids, since = make_accounts(org), org.clock.now()
    filtered = org.create("Account", {"Name": "left out"})
    org.clock.advance(7200)
    binned, restored, purged, loser, winner, twice = ids[:6]
    for key in (binned, restored, filtered):
        org.delete("Account", key)
    org.undelete("Account", restored)
    org.purge("Account", purged)
    org.merge("Account", winner, loser)
    org.clock.advance(60)
    # Salesforce may name what was restored afterwards, and more than once.
    org.deletions[restored] = org.deletions[binned]
    only = Condition("Name", Operator.NE, "left out")

    pages = pull(settled(connect()), replace(ACCOUNTS, since=since + timedelta(minutes=1), where=(only,)))

    assert list(pages[-1].gone) == [purged]
    assert twice not in pages[-1].gone


def test_problem_13_asking_what_was_deleted_costs_a_quiet_night_no_call(org, connect, sandbox) -> None:
    make_accounts(org, 3)
    org.clock.advance(7200)
    crm = settled(connect())

    pages = pull(crm, replace(ACCOUNTS, since=org.clock.now() - timedelta(hours=1)))

    assert (pages[-1].complete, list(pages[-1].gone)) == (True, [])
    assert crm.usage.by_kind == {"probe": 1}
    assert sandbox.calls["/deleted"] == 1


@pytest.mark.parametrize("code", ["INVALID_REPLICATION_DATE", "EXCEEDED_ID_LIMIT", "INVALID_TYPE"])
def test_a_list_of_deletions_that_is_refused_takes_nothing_from_the_pull(org, connect, sandbox, code) -> None:
    ids, since = make_accounts(org), org.clock.now()
    org.clock.advance(7200)
    org.purge("Account", ids[0])
    org.update("Account", ids[1], {"Name": "moved"})
    crm = settled(connect())
    sandbox.faults.inject("error", on="deleted", code=code, status=400)

    pages = pull(crm, replace(ACCOUNTS, since=since + timedelta(minutes=1)))

    assert (ids_of(pages), list(pages[-1].gone)) == ([ids[1]], [])


@pytest.mark.parametrize("days", [0, 14, 15, 400])
def test_the_window_of_deletions_keeps_to_what_salesforce_allows(org, connect, sandbox, days) -> None:
    ids = make_accounts(org)
    org.clock.advance(86_400 * 500)
    org.purge("Account", ids[0])
    crm = settled(connect())

    pages = pull(crm, replace(ACCOUNTS, since=org.clock.now() - timedelta(days=days)))

    assert list(pages[-1].gone) == [ids[0]]


# 12: the day's calls


def cost_of(crm: SalesforceConnector, *requests: PullRequest) -> tuple[int, dict[str, int]]:
    """What a pull says it will take, and what was spent by then; it is not begun."""
    said: list[int] = []

    def refuse(calls: int) -> None:
        said.append(calls)
        raise AllowanceError("kept for others")

    with pytest.raises(AllowanceError, match="kept for others"):
        list(crm.pull(requests, afford=refuse))
    return said[0], crm.usage.by_kind


def test_problem_12_a_pull_tells_its_cost_before_it_spends_more_than_a_look(org, connect, sandbox) -> None:
    make_accounts(org, 95)
    sandbox.manners.page_size = 10

    assert cost_of(connect(), ACCOUNTS) == (9, {"probe": 1})
    assert cost_of(connect(), ACCOUNTS, PullRequest("Contact", ("Id",))) == (9, {"probe": 1})
    assert cost_of(connect(rest_limit=50), ACCOUNTS) == (10, {"probe": 1})
    assert cost_of(connect(), replace(ACCOUNTS, ids=("001",) * 4001)) == (2, {})
    assert sandbox.engine.jobs == {}


def test_problem_12_what_rest_pages_were_said_to_cost_is_what_they_cost(org, connect, sandbox) -> None:
    make_accounts(org, 95)
    sandbox.manners.page_size = 10
    crm, said = connect(), list[int]()

    list(crm.pull([ACCOUNTS], afford=said.append))

    assert said == [crm.usage.api_calls - 1]


def test_problem_12_what_cannot_be_counted_and_what_is_gone_on_with_have_a_price_too(org, connect, sandbox) -> None:
    make_accounts(org, 25)
    first = next(connect(rest_limit=0).pull([ACCOUNTS]))
    assert cost_of(connect(), replace(ACCOUNTS, resume=first.resume))[0] == 10
    sandbox.manners.slow_query_rows = 12

    assert cost_of(connect(), ACCOUNTS)[0] == 30


def test_a_position_whose_job_is_gone_is_refused_before_any_row(org, connect, sandbox) -> None:
    make_accounts(org, 25)
    first = next(connect(rest_limit=0, page_rows=10).pull([ACCOUNTS]))
    sandbox.engine.jobs.clear()

    with pytest.raises(ResumeError):
        next(connect().pull([replace(ACCOUNTS, resume=first.resume)]))


def test_a_position_of_other_fields_is_refused(org, connect) -> None:
    make_accounts(org, 25)
    first = next(connect(rest_limit=0, page_rows=10).pull([ACCOUNTS]))

    with pytest.raises(ResumeError, match="fields or the filter"):
        pull(connect(), PullRequest("Account", ("Id", "Industry"), resume=first.resume))


@pytest.mark.parametrize("text", ["", "nonsense", "{}", "[]", '{"v":2}', '{"v":1,"job":3}'])
def test_a_position_that_cannot_be_read_is_refused(org, connect, text) -> None:
    with pytest.raises(ResumeError):
        pull(connect(), replace(ACCOUNTS, resume=text))


def test_a_resumed_job_is_read_with_the_version_that_made_it(org, connect) -> None:
    ids = make_accounts(org, 25)
    first = next(connect(rest_limit=0, page_rows=10, api_version="61.0").pull([ACCOUNTS]))

    rest = pull(connect(api_version="62.0"), replace(ACCOUNTS, resume=first.resume))

    assert ids_of([first, *rest]) == sorted(ids)


@pytest.mark.parametrize("kill_after", range(1, 8))
def test_a_narrowed_pull_can_be_resumed(connect, sandbox, spread, kill_after) -> None:
    sandbox.faults.inject("job_fails", on="bulk_query.poll", message=TOO_LONG, times=2)
    stream = connect(rest_limit=0, page_rows=6).pull([ACCOUNTS])
    stored = [next(stream) for _ in range(kill_after)]

    try:
        rest = pull(connect(), replace(ACCOUNTS, resume=stored[-1].resume)) if stored[-1].resume else []
    except ResumeError:  # the job it was killed at ran too long meanwhile: the caller starts again
        stored, rest = [], pull(connect(), ACCOUNTS)

    assert ids_of([*stored, *rest]) == sorted(spread)


# Hostile answers


def test_a_next_page_outside_the_api_is_not_asked_for(org, connect, sandbox, monkeypatch) -> None:
    from connectors.salesforce import pull as module

    original = module.read_composite

    def twist(*arguments, **more):
        answer = original(*arguments, **more)
        for part in answer.parts:
            part.body.update(done=False, nextRecordsUrl="//elsewhere.example/")
        return answer

    monkeypatch.setattr(module, "read_composite", twist)

    with pytest.raises(ProtocolError, match="outside its API"):
        pull(connect())
