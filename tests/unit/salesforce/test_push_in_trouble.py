"""Writing when things go wrong. Numbers in the names: the list of field problems that the connector guards against."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from itertools import count

import httpx
import pytest
import respx

from connectors.contract import Outcome, Update, UpdateResult
from connectors.errors import (
    AllowanceError,
    CredentialsError,
    ProtocolError,
    SchemaError,
    TransientError,
    UnreachableError,
)
from connectors.retry import RetryPolicy
from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.push import Pusher

NUMBER = "Total_Customer_Value__c"
TEXT = "Advocacy_Explanation__c"
MANY = 5000


class Fence:
    def __init__(self) -> None:
        self.asked = 0

    def __call__(self) -> None:
        self.asked += 1


@pytest.fixture
def fence() -> Fence:
    return Fence()


@pytest.fixture
def crm(connect) -> SalesforceConnector:
    return connect()


def make_accounts(org, size: int = 20) -> list[str]:
    return [org.create("Account", {"Name": f"Account {i}"}) for i in range(size)]


def updates_of(ids: list[str], value: int = 7) -> list[Update]:
    return [Update(key, {NUMBER: Decimal(value)}) for key in ids]


def push(crm, ids, fence, expected: int = 1) -> dict[str, UpdateResult]:
    results = list(crm.push("Account", updates_of(ids), expected=expected, fence=fence))
    assert Counter(result.record_id for result in results) == Counter(ids)
    return {result.record_id: result for result in results}


def outcomes(results: dict[str, UpdateResult]) -> Counter[Outcome]:
    return Counter(result.outcome for result in results.values())


# What it costs


def test_a_thousand_updates_are_one_call(org, crm, fence) -> None:
    push(crm, make_accounts(org, 1000), fence)

    assert crm.usage.by_kind == {"collections": 1}


def test_two_thousand_and_one_go_by_bulk_in_four_calls(org, crm, fence, sandbox) -> None:
    push(crm, make_accounts(org, 2001), fence, expected=2001)

    assert crm.usage.by_kind == {
        "ingest_create": 1,
        "ingest_upload": 1,
        "ingest_start": 1,
        "ingest_poll": 1,
    }


def test_a_large_write_is_split_into_files_that_fit_in_memory(org, crm, fence) -> None:
    ids = make_accounts(org, 300)
    pusher = Pusher(crm.transport, crm.jobs, "Account", fence, file_bytes=2000)

    results = list(pusher.results(iter(updates_of(ids)), MANY))

    assert sorted(result.record_id for result in results) == sorted(ids)
    assert crm.usage.by_kind["ingest_create"] > 3


# 2, 3: three states


def test_problem_2_fields_that_come_and_go_between_rows_stay_apart(org, crm, fence) -> None:
    ids = make_accounts(org, 4)
    push(crm, ids, fence)
    rows = [{NUMBER: None}, {TEXT: "t"}, {NUMBER: Decimal("1.5"), TEXT: ""}, {"Advocacy_Level__c": "x"}]

    list(crm.push("Account", [Update(*pair) for pair in zip(ids, rows, strict=True)], expected=MANY, fence=fence))

    shown = [[org.record("Account", key)[name] for name in (NUMBER, TEXT, "Advocacy_Level__c")] for key in ids]
    assert shown[0] == [None, None, None]
    assert shown[1][1:] == ["t", None]
    assert shown[1][0] is not None
    assert shown[2][1:] == [None, None]
    assert shown[3][1:] == [None, "x"]


# 9: locks


@pytest.mark.parametrize(("expected", "kind"), [(1, "collections"), (MANY, "bulk_ingest.poll")])
def test_problem_9_a_locked_row_is_sent_again_alone(org, crm, fence, sandbox, expected, kind) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("row", on=kind, code="UNABLE_TO_LOCK_ROW", ids=ids[3:5], times=2)

    results = push(crm, ids, fence, expected)

    assert outcomes(results) == {Outcome.OK: 20}
    assert all(org.record("Account", key)[NUMBER] == Decimal(7) for key in ids)
    assert sandbox.written["Account"] == 20


@pytest.mark.parametrize("expected", [1, MANY])
def test_problem_9_a_row_that_stays_locked_is_for_another_time(org, crm, fence, sandbox, expected) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("row", code="UNABLE_TO_LOCK_ROW", ids=ids[:1], times=None)

    results = push(crm, ids, fence, expected)

    assert results[ids[0]].outcome is Outcome.RETRY
    assert results[ids[0]].code == "UNABLE_TO_LOCK_ROW"
    assert outcomes(results) == {Outcome.OK: 19, Outcome.RETRY: 1}


def make_families(org, families: int, children: int) -> list[Update]:
    """Updates of children in an order that keeps changing the parent."""
    parents = [org.create("Account", {"Name": f"Parent {i}"}) for i in range(families)]
    return [
        Update(org.create("Account", {"Name": f"Child {i}", "ParentId": parent}), {NUMBER: Decimal(7)}, parent)
        for i in range(children)
        for parent in parents
    ]


def test_problem_9_siblings_stay_in_one_batch_of_a_bulk_job(org, crm, fence, sandbox) -> None:
    sandbox.manners.lock_siblings = True
    sandbox.manners.batch_rows = 10
    updates = make_families(org, families=6, children=5)
    pusher = Pusher(crm.transport, crm.jobs, "Account", fence, batch_rows=10)

    results = list(pusher.results(updates, MANY))

    assert Counter(result.outcome for result in results) == {Outcome.OK: 30}
    assert sandbox.written["Account"] == 30
    assert "collections" not in crm.usage.by_kind


def test_problem_9_families_that_would_straddle_batches_go_one_after_the_other(org, crm, fence, sandbox) -> None:
    sandbox.manners.lock_siblings = True
    sandbox.manners.batch_rows = 10
    hot, *rest = make_families(org, families=1, children=13), make_families(org, families=3, children=4)
    lonely = updates_of(make_accounts(org, 7))
    updates = [*hot[:5], *lonely, *rest[0], *hot[5:]]
    pusher = Pusher(crm.transport, crm.jobs, "Account", fence, batch_rows=10)

    results = list(pusher.results(updates, MANY))

    assert Counter(result.record_id for result in results) == Counter(update.record_id for update in updates)
    assert {result.outcome for result in results} == {Outcome.OK}
    assert crm.usage.by_kind["collections"] == 1
    assert "ingest_results" not in crm.usage.by_kind, "nothing was refused"


def test_problem_9_gathering_families_keeps_what_later_columns_say(org, crm, fence, sandbox) -> None:
    parent = org.create("Account", {"Name": "Parent"})
    ids = [org.create("Account", {"Name": name, "ParentId": parent}) for name in "ab"]
    lonely = org.create("Account", {"Name": "c"})
    updates = [
        Update(ids[0], {NUMBER: Decimal(1)}, parent),
        Update(lonely, {TEXT: "alone", NUMBER: None}),
        Update(ids[1], {TEXT: "two"}, parent),
    ]

    list(crm.push("Account", updates, expected=MANY, fence=fence))

    assert [(org.record("Account", key)[NUMBER], org.record("Account", key)[TEXT]) for key in (*ids, lonely)] == [
        (Decimal(1), None),
        (None, "two"),
        (None, "alone"),
    ]


@pytest.mark.parametrize("expected", [1, MANY])
def test_problem_9_children_of_a_hot_parent_are_at_last_written_alone(
    org, crm, fence, sandbox, waits, expected
) -> None:
    updates = make_families(org, families=1, children=30)
    sandbox.faults.inject("lock", ids=[updates[0].family], rows=1, times=None)

    results = list(crm.push("Account", updates, expected=expected, fence=fence))

    assert Counter(result.outcome for result in results) == {Outcome.OK: 30}
    assert sandbox.written["Account"] == 30
    assert waits[-2:] == [1.0, 2.0], "each round waits longer"
    assert crm.usage.by_kind["collections"] <= 4


@pytest.mark.parametrize("expected", [1, MANY])
def test_problem_9_a_parent_that_stays_locked_is_for_another_time(org, crm, fence, sandbox, expected) -> None:
    locked, free = make_families(org, families=1, children=3), make_families(org, families=1, children=3)
    sandbox.faults.inject("lock", ids=[locked[0].family], times=None)

    results = {r.record_id: r for r in crm.push("Account", [*locked, *free], expected=expected, fence=fence)}

    assert {results[one.record_id].outcome for one in locked} == {Outcome.RETRY}
    assert {results[one.record_id].code for one in locked} == {"UNABLE_TO_LOCK_ROW"}
    assert {results[one.record_id].outcome for one in free} == {Outcome.OK}


def test_problem_9_a_mass_of_locked_rows_is_not_hammered_one_by_one(org, crm, fence, sandbox) -> None:
    updates = make_families(org, families=1, children=300)
    sandbox.faults.inject("lock", times=None)

    results = list(crm.push("Account", updates, expected=1, fence=fence))

    assert Counter(result.outcome for result in results) == {Outcome.RETRY: 300}
    assert crm.usage.by_kind == {"collections": 2}


def test_problem_9_a_row_refused_alone_keeps_its_reason(org, crm, fence, sandbox) -> None:
    ids = make_accounts(org, 2)
    sandbox.faults.inject("row", on="collections", code="UNABLE_TO_LOCK_ROW", times=None)
    org.refuse(ids[0], "FIELD_CUSTOM_VALIDATION_EXCEPTION", "not so", fields=(NUMBER,))

    results = push(crm, ids, fence)

    assert results[ids[0]] == UpdateResult(
        ids[0], Outcome.REJECTED, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "not so", (NUMBER,)
    )
    assert results[ids[1]].outcome is Outcome.OK


def test_a_row_that_a_duplicate_rule_keeps_out_of_a_bulk_job_goes_with_the_header_that_lets_it_in(
    org, crm, fence, sandbox
) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("row", on="bulk_ingest.poll", code="DUPLICATES_DETECTED", ids=ids[3:5], times=None)

    results = push(crm, ids, fence, MANY)

    assert outcomes(results) == {Outcome.OK: 20}
    assert all(org.record("Account", key)[NUMBER] == Decimal(7) for key in ids)
    assert crm.usage.by_kind["collections"] == 1


@pytest.mark.parametrize("expected", [1, MANY])
def test_a_duplicate_rule_that_lets_nothing_in_is_a_refusal_and_not_asked_again(
    org, crm, fence, sandbox, expected
) -> None:
    ids = make_accounts(org)
    org.refuse(ids[0], "DUPLICATES_DETECTED", "Use one of these records?")

    results = push(crm, ids, fence, expected)

    assert outcomes(results) == {Outcome.OK: 19, Outcome.REJECTED: 1}
    assert results[ids[0]].message == "Use one of these records?"
    assert crm.usage.by_kind["collections"] == 1


def test_a_record_in_an_approval_process_is_not_hammered(org, crm, fence) -> None:
    ids = make_accounts(org, 3)
    org.refuse(ids[0], "ENTITY_IS_LOCKED", "the entity is locked for editing")

    results = push(crm, ids, fence)

    assert results[ids[0]].outcome is Outcome.RETRY
    assert crm.usage.api_calls == 1


# 23, 24: what was refused, and why


@pytest.mark.parametrize("expected", [1, MANY])
def test_problem_23_each_refusal_keeps_its_code_message_and_fields(org, crm, fence, expected) -> None:
    ids = make_accounts(org)
    org.refuse(ids[2], "FIELD_CUSTOM_VALIDATION_EXCEPTION", 'Not so: "never", please: stop', fields=(NUMBER,))
    org.refuse(ids[3], "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "Trigger: System.LimitException: Apex CPU")

    results = push(crm, ids, fence, expected)

    assert results[ids[2]] == UpdateResult(
        ids[2], Outcome.REJECTED, "FIELD_CUSTOM_VALIDATION_EXCEPTION", 'Not so: "never", please: stop', (NUMBER,)
    )
    assert results[ids[3]].code == "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY"
    assert outcomes(results) == {Outcome.OK: 18, Outcome.REJECTED: 2}


def test_a_file_whose_columns_are_refused_is_a_schema_error(org, crm, fence) -> None:
    updates = [Update(key, {"No_Such__c": "x"}) for key in make_accounts(org, 3)]

    with pytest.raises(SchemaError, match="No_Such__c"):
        list(crm.push("Account", updates, expected=MANY, fence=fence))


def test_ids_that_are_none_are_refused_and_never_sent(org, crm, fence) -> None:
    ids = make_accounts(org, 1)
    bad = ["", "001", ids[0].lower()]
    updates = updates_of([*bad, *ids])

    for expected in (1, MANY):
        results = {r.record_id: r for r in crm.push("Account", updates, expected=expected, fence=fence)}
        assert {results[key].code for key in bad} == {"MALFORMED_ID"}
        assert results[ids[0]].outcome is Outcome.OK


# Connections


@pytest.mark.parametrize("after_work", [False, True])
def test_a_lost_answer_is_asked_for_again_behind_the_fence(org, crm, fence, sandbox, after_work) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("reset", on="composite", after_work=after_work)

    results = push(crm, ids, fence)

    assert outcomes(results) == {Outcome.OK: 20}
    assert fence.asked == 2


def test_rows_without_an_answer_are_unknown_and_the_push_ends_there(org, crm, fence, sandbox) -> None:
    ids = make_accounts(org, 1500)
    sandbox.faults.inject("reset", on="composite", after_work=True, times=None, skip=1)
    results: list[UpdateResult] = []

    with pytest.raises(UnreachableError):
        results.extend(crm.push("Account", updates_of(ids), expected=1, fence=fence))

    assert Counter(result.outcome for result in results) == {Outcome.OK: 1000, Outcome.UNKNOWN: 500}


def test_the_fence_is_asked_before_every_attempt_and_stops_the_next(org, crm, sandbox) -> None:
    ids = make_accounts(org, 3)
    sandbox.faults.inject("reset", on="composite", times=None)
    asked = count(1)

    def closes_at_the_third() -> None:
        if next(asked) == 3:
            raise RuntimeError("the lease is lost")

    with pytest.raises(RuntimeError, match="lease"):
        list(crm.push("Account", updates_of(ids), expected=1, fence=closes_at_the_third))

    assert crm.usage.by_kind == {"collections": 2}


def test_a_session_that_ends_while_writing_is_renewed(org, crm, fence, sandbox) -> None:
    ids = make_accounts(org)
    for kind in ("composite", "bulk_ingest.create", "bulk_ingest.upload", "bulk_ingest.state", "bulk_ingest.poll"):
        sandbox.faults.inject("expired", on=kind)

    assert outcomes(push(crm, ids, fence)) == {Outcome.OK: 20}
    assert outcomes(push(crm, ids, fence, MANY)) == {Outcome.OK: 20}


def test_the_daily_limit_stops_a_push(org, crm, fence, sandbox) -> None:
    sandbox.faults.inject("error", on="composite", code="REQUEST_LIMIT_EXCEEDED", message="TotalRequests", status=403)

    with pytest.raises(AllowanceError):
        list(crm.push("Account", updates_of(make_accounts(org, 3)), expected=1, fence=fence))


@pytest.mark.parametrize("kind", ["create", "upload", "state", "poll"])
@pytest.mark.parametrize("fault", ["reset", "html"])
def test_trouble_at_any_step_of_a_bulk_write_is_survived(org, crm, fence, sandbox, kind, fault) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject(fault, on=f"bulk_ingest.{kind}", status=503)

    assert outcomes(push(crm, ids, fence, MANY)) == {Outcome.OK: 20}


@pytest.mark.parametrize("kind", ["create", "upload", "state"])
def test_an_answer_lost_after_the_work_does_not_write_twice(org, crm, fence, sandbox, kind) -> None:
    ids = make_accounts(org)
    sandbox.faults.inject("reset", on=f"bulk_ingest.{kind}", after_work=True)

    assert outcomes(push(crm, ids, fence, MANY)) == {Outcome.OK: 20}
    assert sandbox.written["Account"] == 20


def test_problem_6_a_job_that_could_not_be_filled_is_not_left_open(org, crm, fence, sandbox) -> None:
    sandbox.faults.inject("html", on="bulk_ingest.upload", status=503, times=None)

    with pytest.raises(TransientError):
        list(crm.push("Account", updates_of(make_accounts(org, 3)), expected=MANY, fence=fence))

    assert [job for job in sandbox.engine.jobs.values() if job.state == "Open"] == []


def test_problem_6_a_bulk_write_that_never_ends_leaves_its_rows_unknown(org, connect, fence, sandbox, waits) -> None:
    ids = make_accounts(org, 3)
    sandbox.manners.job_polls = 1_000_000
    results: list[UpdateResult] = []
    stream = connect(job_hours=0.001).push("Account", updates_of(ids), expected=MANY, fence=fence)

    with pytest.raises(TransientError, match="did not finish"):
        results.extend(stream)

    assert [result.outcome for result in results] == [Outcome.UNKNOWN] * 3
    assert 3.6 <= waits.clock() <= 3.6 + 2 * 8


class GiveUp(BaseException):
    """As a signal that ends the process."""


@pytest.mark.parametrize("ending", ["time", "connection", "credentials", "signal"])
def test_a_bulk_write_that_is_given_up_does_not_go_on_and_overwrite_newer_values(
    org, connect, fence, sandbox, ending
) -> None:
    ids = make_accounts(org, 3)
    sandbox.manners.job_polls = 1_000_000
    crm = connect(job_hours=0.001)
    match ending:
        case "connection":
            sandbox.faults.inject("reset", on="bulk_ingest.poll", times=None)
        case "credentials":
            sandbox.faults.inject("error", on="bulk_ingest.poll", code="API_DISABLED_FOR_ORG", status=403)
        case "signal":

            def give_up(_seconds: float) -> None:
                raise GiveUp

            crm.jobs.transport.retry = RetryPolicy(sleep=give_up)

    with pytest.raises((TransientError, CredentialsError, GiveUp)):
        list(crm.push("Account", updates_of(ids), expected=MANY, fence=fence))

    assert crm.usage.by_kind["ingest_start"] == 1, "the job was under way"
    assert sandbox.engine.jobs == {}


def test_a_given_up_job_that_cannot_be_removed_is_at_least_stopped_whatever_it_takes(
    org, connect, fence, sandbox
) -> None:
    sandbox.manners.job_polls = 1_000_000
    sandbox.faults.inject("reset", on="bulk_ingest.state", after_work=True, skip=1)
    sandbox.faults.inject("html", on="bulk_ingest.delete", status=503, times=None)

    with pytest.raises(TransientError, match="did not finish"):
        list(connect(job_hours=0.001).push("Account", updates_of(make_accounts(org, 3)), expected=MANY, fence=fence))

    assert [job.state for job in sandbox.engine.jobs.values()] == ["Aborted"]


def test_a_lasting_401_ends_the_push(org, crm, fence, sandbox) -> None:
    sandbox.faults.inject("html_401", on="composite", times=None)

    with pytest.raises(CredentialsError):
        list(crm.push("Account", updates_of(make_accounts(org, 3)), expected=1, fence=fence))


# Answers that no sandbox gives

ORG = "https://acme.my.salesforce.com"
A, B, C, D = (f"001{i:012d}AAA" for i in range(4))


@pytest.fixture
def wire() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ORG, assert_all_called=False) as router:
        yield router


@pytest.fixture
def cloud(connect, wire) -> SalesforceConnector:
    return connect(access_token="token", instance_url=ORG)


def test_assignment_and_duplicate_rules_are_told_to_stay_out_of_it(wire, cloud, fence) -> None:
    answer = {"compositeResponse": [{"referenceId": "r0", "httpStatusCode": 200, "body": [{"id": A, "success": True}]}]}
    route = wire.post("/services/data/v62.0/composite").respond(json=answer)

    list(cloud.push("Account", updates_of([A]), expected=1, fence=fence))

    request = route.calls.last.request
    part = json.loads(request.content)["compositeRequest"][0]
    for headers in (request.headers, part["httpHeaders"]):
        assert headers["Sforce-Auto-Assign"] == "FALSE"
        assert headers["Sforce-Duplicate-Rule-Header"] == "allowSave=true"
    assert next(iter(part["body"]["records"][0])) == "attributes"
    assert part["body"]["allOrNone"] is False


def test_a_collection_refused_as_a_whole_stops_after_the_results_of_the_others(wire, cloud, fence) -> None:
    ids = [f"001{i:012d}AAA" for i in range(201)]
    good = [{"id": key, "success": True, "errors": []} for key in ids[:200]]
    bad = [{"errorCode": "JSON_PARSER_ERROR", "message": "no"}]
    parts = [
        {"referenceId": "r1", "httpStatusCode": 400, "body": bad},
        {"referenceId": "r0", "httpStatusCode": 200, "body": good},
    ]
    wire.post("/services/data/v62.0/composite").respond(json={"compositeResponse": parts})
    results: list[UpdateResult] = []

    with pytest.raises(ProtocolError, match="JSON_PARSER_ERROR"):
        results.extend(cloud.push("Account", updates_of(ids), expected=1, fence=fence))

    assert [result.outcome for result in results] == [Outcome.OK] * 200


def test_a_collection_that_answers_too_few_rows_is_unknown(wire, cloud, fence) -> None:
    parts = [{"referenceId": "r0", "httpStatusCode": 200, "body": [{"id": A, "success": True}]}]
    wire.post("/services/data/v62.0/composite").respond(json={"compositeResponse": parts})

    results = list(cloud.push("Account", updates_of([A, B]), expected=1, fence=fence))

    assert {result.outcome for result in results} == {Outcome.UNKNOWN}


def bulk_job(wire, state: dict[str, object], **files: str) -> None:
    base = "/services/data/v62.0/jobs/ingest"
    wire.post(base).respond(json={"id": "750J", "state": "Open", "contentUrl": "services/data/odd"})
    wire.put(f"{base}/750J/batches").respond(201)
    wire.patch(f"{base}/750J").respond(json={"id": "750J", "state": "UploadComplete"})
    wire.get(f"{base}/750J").respond(json={"id": "750J", **state})
    for name in ("successfulResults", "failedResults", "unprocessedrecords"):
        wire.get(f"{base}/750J/{name}/").respond(text=files.get(name, f'"sf__Id","sf__Error","Id","{NUMBER}"\n'))


class Broken(httpx.SyncByteStream):
    def __iter__(self) -> Iterator[bytes]:
        yield b"<html>"
        raise httpx.ReadError("peer closed")


def failed(*ids: str) -> str:
    lines = [f'"{key}","STRING_TOO_LONG:too: long:{NUMBER} --","{key}","7"\n' for key in ids]
    return f'"sf__Id","sf__Error","Id","{NUMBER}"\n' + "".join(lines)


def written(*ids: str) -> str:
    return f'"sf__Id","sf__Created","Id","{NUMBER}"\n' + "".join(f'"{key}","false","{key}","7"\n' for key in ids)


def complete(processed: int, refused: int, state: str = "JobComplete") -> dict[str, object]:
    return {"state": state, "numberRecordsProcessed": processed, "numberRecordsFailed": refused}


def bulk(cloud, fence) -> dict[str, UpdateResult]:
    return {r.record_id: r for r in cloud.push("Account", updates_of([A, B, C, D]), expected=MANY, fence=fence)}


def test_problem_24_complete_is_not_success(wire, cloud, fence) -> None:
    bulk_job(wire, complete(4, 1), failedResults=failed(C))

    results = bulk(cloud, fence)

    assert outcomes(results) == {Outcome.OK: 3, Outcome.REJECTED: 1}
    assert results[C] == UpdateResult(C, Outcome.REJECTED, "STRING_TOO_LONG", "too: long", (NUMBER,))


def test_problem_24_without_failures_no_file_is_fetched(wire, cloud, fence) -> None:
    bulk_job(wire, complete(4, 0))

    assert outcomes(bulk(cloud, fence)) == {Outcome.OK: 4}
    assert "ingest_results" not in cloud.usage.by_kind


def test_problem_24_where_counts_do_not_add_up_only_named_rows_count_as_written(wire, cloud, fence) -> None:
    bulk_job(wire, complete(3, 1), successfulResults=written(A), failedResults=failed(B))

    results = bulk(cloud, fence)

    assert {key: result.outcome for key, result in results.items()} == {
        A: Outcome.OK,
        B: Outcome.REJECTED,
        C: Outcome.UNKNOWN,
        D: Outcome.UNKNOWN,
    }


def test_problem_24_fewer_reasons_than_failures_are_not_taken_for_success(wire, cloud, fence) -> None:
    bulk_job(wire, complete(4, 2), successfulResults=written(A, B), failedResults=failed(C))

    assert bulk(cloud, fence)[D].outcome is Outcome.UNKNOWN


def test_a_connection_that_breaks_in_the_body_of_a_refusal_is_unreachable(wire, cloud, fence) -> None:
    bulk_job(wire, complete(4, 1))
    path = "/services/data/v62.0/jobs/ingest/750J/failedResults/"
    wire.get(path).mock(side_effect=lambda _: httpx.Response(503, stream=Broken()))

    with pytest.raises(UnreachableError, match=r"acme\.my\.salesforce\.com"):
        bulk(cloud, fence)


def test_a_session_that_ends_while_the_connection_breaks_is_unreachable(wire, cloud, fence) -> None:
    bulk_job(wire, complete(4, 1))
    path = "/services/data/v62.0/jobs/ingest/750J/failedResults/"
    wire.get(path).mock(side_effect=lambda _: httpx.Response(401, stream=Broken()))

    with pytest.raises(UnreachableError, match=r"acme\.my\.salesforce\.com"):
        bulk(cloud, fence)


def test_rows_of_an_aborted_job_are_told_apart(wire, cloud, fence) -> None:
    unprocessed = f'"Id","{NUMBER}"\n"{D}","7"\n'
    bulk_job(
        wire,
        complete(3, 1, "Aborted"),
        successfulResults=written(A, B),
        failedResults=failed(C),
        unprocessedrecords=unprocessed,
    )

    results = bulk(cloud, fence)

    assert [results[key].outcome for key in (A, B, C, D)] == [
        Outcome.OK,
        Outcome.OK,
        Outcome.REJECTED,
        Outcome.RETRY,
    ]


def test_the_upload_goes_to_the_documented_path_with_a_known_length(wire, cloud, fence) -> None:
    bulk_job(wire, complete(4, 0))

    bulk(cloud, fence)

    upload = next(call.request for call in wire.calls if call.request.method == "PUT")
    assert upload.headers["content-type"].startswith("text/csv")
    assert "transfer-encoding" not in upload.headers
    assert int(upload.headers["content-length"]) == len(upload.content)
    assert upload.content.decode().splitlines() == [f"Id,{NUMBER}", *(f"{key},7" for key in (A, B, C, D))]


def test_no_token_is_part_of_any_address(wire, cloud, fence) -> None:
    bulk_job(wire, complete(4, 0))

    bulk(cloud, fence)

    assert all("token" not in str(call.request.url) for call in wire.calls)
    assert {call.request.headers["authorization"] for call in wire.calls} == {"Bearer token"}


def test_a_redirect_is_not_followed(wire, cloud, fence) -> None:
    elsewhere = wire.post("https://elsewhere.example/").respond(200)
    wire.post("/services/data/v62.0/composite").mock(
        return_value=httpx.Response(307, headers={"location": "https://elsewhere.example/"})
    )

    with pytest.raises(ProtocolError):
        list(cloud.push("Account", updates_of([A]), expected=1, fence=fence))

    assert not elsewhere.called
