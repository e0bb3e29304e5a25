"""What a killed push leaves in Salesforce, and how whoever comes next ends it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import respx

from connectors.contract import Trace, Update
from connectors.errors import TransientError
from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.ingest_jobs import IngestCalls, LeftBehind, Trail, is_forgotten, read_left
from connectors.salesforce.sandbox import Sandbox
from connectors.salesforce.wire import IngestFile

NUMBER = "Total_Customer_Value__c"
MANY = 5000
NOW = datetime(2025, 1, 2, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class LeaseLost(Exception):
    """Somebody else is at work: what this process would store is refused."""


@pytest.fixture
def accounts(org) -> list[str]:
    return [org.create("Account", {"Name": f"Account {i}"}) for i in range(3)]


def push(crm: SalesforceConnector, ids: list[str], trace: Trace, expected: int = MANY) -> None:
    updates = [Update(key, {NUMBER: Decimal(7)}) for key in ids]
    list(crm.push("Account", updates, expected=expected, fence=lambda: None, trace=trace))


def open_fence() -> None:
    """The lease is ours."""


def states(sandbox: Sandbox) -> list[str]:
    return [job.state for job in sandbox.engine.jobs.values()]


def leave(crm: SalesforceConnector, ids: list[str], state: str) -> str:
    """A job as a process leaves it that is killed when the job is in this state; its trace."""
    calls = IngestCalls(crm.transport)
    job = calls.create("Account")
    if state != "Open":
        file = IngestFile()
        for key in ids:
            file.add(Update(key, {NUMBER: Decimal(7)}))
        content, headers = b"".join(file.chunks()), {"Content-Type": "text/csv"}
        crm.transport.send("PUT", calls.path(job, "/batches"), "ingest_upload", content=content, headers=headers)
        calls.change(job, "UploadComplete", "ingest_start")
    if state == "InProgress":
        calls.state(job)
    return LeftBehind("62.0", "Account", (job,)).text()


def test_a_job_is_told_before_it_is_asked_for_and_by_its_id_before_it_gets_a_file(connect, accounts, sandbox) -> None:
    seen: list[tuple[str, int, int]] = []

    def look(trace: str) -> None:
        left = read_left(trace)
        told = "nothing" if left is None else "asked" if left.asked else "named"
        calls = sandbox.calls
        seen.append((told, calls["bulk_ingest.create"], calls["bulk_ingest.upload"]))

    push(connect(), accounts, look)

    assert seen == [("asked", 0, 0), ("named", 1, 0), ("nothing", 1, 1)]


def test_small_writes_leave_no_trace(connect, accounts) -> None:
    traces: list[str] = []

    push(connect(), accounts, traces.append, expected=1)

    assert traces == []


def test_problem_6_a_job_created_and_never_named_is_found_by_when_it_was_asked_for(connect, sandbox) -> None:
    traces: list[str] = []
    killed = connect()
    Trail(killed.transport, "Account", traces.append).ask()
    IngestCalls(killed.transport).create("Account")
    assert states(sandbox) == ["Open"]

    connect().end_push(traces[-1], fence=open_fence)

    assert states(sandbox) == []


def test_problem_6_a_job_of_a_killed_run_is_removed_by_its_id_without_a_list(connect, accounts, sandbox) -> None:
    left, crm = leave(connect(), accounts, "Open"), connect()

    crm.end_push(left, fence=open_fence)

    assert states(sandbox) == []
    assert crm.usage.by_kind == {"ingest_poll": 1, "ingest_abort": 2}


def test_who_lost_the_lease_while_asking_for_a_job_removes_it_itself(connect, accounts, sandbox) -> None:
    def refuse_names(trace: str) -> None:
        left = read_left(trace)
        if left is None or left.jobs:
            raise LeaseLost

    with pytest.raises(LeaseLost):
        push(connect(), accounts, refuse_names)

    assert sandbox.calls["bulk_ingest.create"] == 1
    assert states(sandbox) == []


@pytest.mark.parametrize("state", ["Open", "UploadComplete"])
def test_what_has_not_begun_is_stopped_and_nothing_of_it_is_written_later(
    connect, org, accounts, sandbox, state
) -> None:
    sandbox.manners.queue_polls = 2
    left = leave(connect(), accounts, state)

    connect().end_push(left, fence=open_fence)

    assert states(sandbox) == []
    assert {org.record("Account", key)[NUMBER] for key in accounts} == {None}


def test_what_has_begun_is_waited_for_since_salesforce_ends_a_batch_even_of_an_aborted_job(
    connect, org, accounts, sandbox, waits
) -> None:
    sandbox.manners.job_polls = 5
    left = leave(connect(), accounts, "InProgress")

    connect().end_push(left, fence=open_fence)

    assert states(sandbox) == ["JobComplete"]
    assert {org.record("Account", key)[NUMBER] for key in accounts} == {Decimal(7)}
    assert waits.clock() > 0


def test_what_begins_while_it_is_to_be_stopped_is_waited_for(connect, org, accounts, sandbox) -> None:
    sandbox.manners.job_polls = 2
    left = leave(connect(), accounts, "UploadComplete")
    for what in ("state", "delete"):
        sandbox.faults.inject("error", on=f"bulk_ingest.{what}", code="INVALID_JOB_STATE", status=400)

    connect().end_push(left, fence=open_fence)

    assert states(sandbox) == ["JobComplete"]


def test_what_never_ends_is_given_up_and_stopped(connect, accounts, sandbox) -> None:
    sandbox.manners.job_polls = 1_000_000
    left = leave(connect(), accounts, "InProgress")

    with pytest.raises(TransientError, match="did not finish"):
        connect(job_hours=0.001).end_push(left, fence=open_fence)

    assert states(sandbox) == []


def test_a_job_that_is_gone_and_a_trace_of_another_version_are_no_trouble(connect, accounts, sandbox) -> None:
    left = leave(connect(), accounts, "Open")
    sandbox.engine.jobs.clear()
    crm = connect()

    crm.end_push(left, fence=open_fence)
    for text in ("", "nonsense", "[]", '{"v":2}', '{"v":1,"api":"62.0"}'):
        crm.end_push(text, fence=open_fence)

    assert crm.usage.api_calls == 1


@pytest.mark.parametrize("named", [True, False])
def test_who_lost_the_lease_ends_nothing_since_it_may_be_somebody_elses_by_now(
    connect, accounts, sandbox, named
) -> None:
    traces: list[str] = []
    other = connect()
    Trail(other.transport, "Account", traces.append).ask()
    left = leave(other, accounts, "Open")

    def closed() -> None:
        raise LeaseLost

    with pytest.raises(LeaseLost):
        connect().end_push(left if named else traces[0], fence=closed)

    assert states(sandbox) == ["Open"]


@pytest.mark.parametrize("kind", ["create", "upload"])
def test_a_job_whose_creation_was_never_answered_is_removed_when_the_write_is_done(
    connect, accounts, sandbox, kind
) -> None:
    traces: list[str] = []
    sandbox.faults.inject("reset", on=f"bulk_ingest.{kind}", after_work=True)

    push(connect(), accounts, traces.append)

    assert traces[-1] == ""
    assert states(sandbox) == ["JobComplete"]
    assert sandbox.calls["bulk_ingest.list"] == (kind == "create")


def test_what_could_not_be_looked_for_is_left_to_the_next_start(connect, accounts, sandbox) -> None:
    traces: list[str] = []
    sandbox.faults.inject("reset", on="bulk_ingest.create", after_work=True)
    trouble = sandbox.faults.inject("html", on="bulk_ingest.list", status=503, times=None)

    push(connect(), accounts, traces.append)

    assert sorted(states(sandbox)) == ["JobComplete", "Open"]
    sandbox.faults.waiting.remove(trouble)
    connect().end_push(traces[-1], fence=open_fence)
    assert states(sandbox) == ["JobComplete"]


def test_who_may_not_list_jobs_leaves_them_to_salesforce_and_trouble_is_told(connect, sandbox) -> None:
    traces: list[str] = []
    Trail(connect().transport, "Account", traces.append).ask()

    sandbox.faults.inject("error", on="bulk_ingest.list", code="INSUFFICIENT_ACCESS", status=403)
    connect().end_push(traces[0], fence=open_fence)

    sandbox.faults.inject("html", on="bulk_ingest.list", status=503, times=None)
    with pytest.raises(TransientError):
        connect().end_push(traces[0], fence=open_fence)


ASKED = LeftBehind("62.0", "Account", asked=((NOW, NOW + MINUTE),))
MADE = {
    "state": "Open",
    "createdById": "005000000000001AAA",
    "object": "Account",
    "operation": "update",
    "createdDate": "2025-01-02T00:00:30.000+0000",
}


def test_a_job_is_forgotten_when_it_is_ours_empty_and_of_the_time_at_which_one_was_asked_for() -> None:
    assert is_forgotten(MADE, ASKED, "005000000000001")


@pytest.mark.parametrize(
    "other",
    [
        *({"state": state} for state in ("UploadComplete", "InProgress", "JobComplete", "Failed", "Aborted")),
        {"createdById": "005000000000002AAA"},
        {"object": "Contact"},
        {"operation": "insert"},
        {"createdDate": "2025-01-01T23:59:59.000+0000"},
        {"createdDate": "2025-01-02T00:01:01.000+0000"},
    ],
    ids=str,
)
def test_jobs_of_others_and_jobs_that_hold_something_are_not_forgotten_ones(other) -> None:
    assert not is_forgotten(MADE | other, ASKED, "005000000000001AAA")


def test_a_list_that_cannot_be_read_stops_no_run(connect) -> None:
    org = "https://acme.my.salesforce.com"
    with respx.mock(base_url=org) as wire:
        wire.post("/services/oauth2/token").respond(
            json={"access_token": "t", "instance_url": org, "id": f"{org}/id/00D000000000001AAA/{MADE['createdById']}"}
        )
        listed = wire.get("/services/data/v62.0/jobs/ingest")
        listed.respond(json={"done": True, "records": [MADE | {"createdDate": "yesterday"}, {}]})

        connect(login_url=org).end_push(ASKED.text(), fence=open_fence)

        assert listed.called


def test_left_jobs_are_looked_for_on_every_page_of_the_list(connect) -> None:
    org = "https://acme.my.salesforce.com"
    base = "/services/data/v62.0/jobs/ingest"
    following = f"{base}?queryLocator=01g-1"
    with respx.mock(base_url=org) as wire:
        who = f"https://login.salesforce.com/id/00D000000000001AAA/{MADE['createdById']}"
        wire.post("/services/oauth2/token").respond(json={"access_token": "t", "instance_url": org, "id": who})
        first = {"done": False, "nextRecordsUrl": following, "records": [MADE | {"id": "750J", "state": "JobComplete"}]}
        # The last page names itself, as a page must not.
        last = {"done": False, "nextRecordsUrl": following, "records": [MADE | {"id": "750OLD"}]}
        wire.get(base, params={"jobType": "V2Ingest"}).respond(json=first)
        wire.get(base, params={"queryLocator": "01g-1"}).respond(json=last)
        wire.patch(f"{base}/750OLD").respond(json={})
        removed = wire.delete(f"{base}/750OLD").respond(204)
        crm = connect(login_url=org)

        crm.end_push(ASKED.text(), fence=open_fence)

        assert removed.called
        assert crm.usage.by_kind["ingest_list"] == 2
