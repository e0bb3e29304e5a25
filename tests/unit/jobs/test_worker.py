"""The inbox worker: every delivery becomes its events once, and no failure stops it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.bootstrap import Services, build_services
from app.config import load_settings
from app.errors import LeaseHeldError, UnreachableCrmError
from app.jobs import worker as jobs
from app.jobs.worker import InboxWorker
from app.store.events import list_events
from app.store.inbox import list_deliveries, save_delivery
from connectors.salesforce.sandbox import Sandbox

A, B = "001000000000001AAA", "001000000000002AAA"
EVENT = {"source_event_id": "e1", "type": "referral", "occurred_on": "2026-01-01", "account": A, "referred_account": B}


class Runs:
    """Stands for `run_sync`: remembers which accounts and records it was called for, and fails as told."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...] | None] = []
        self.hints: list[dict[str, list[str]]] = []
        self.failures: list[Exception] = []

    def __call__(
        self, _services: Services, *, trigger: str, only: tuple[str, ...] | None, hints: dict[str, list[str]]
    ) -> None:
        assert trigger == "webhook"
        self.calls.append(only)
        self.hints.append(hints)
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> Runs:
    stand_in = Runs()
    monkeypatch.setattr(jobs, "run_sync", stand_in)
    return stand_in


@pytest.fixture
def services(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(sqlite_template, tmp_path / "advocacy.db")
    services = build_services(load_settings())
    yield services
    services.database.close()


def deliver(services: Services, sender_id: str, *events: dict[str, Any], body: bytes = b"") -> None:
    content = body or json.dumps({"events": events}).encode()
    save_delivery(services.database, sender_id=sender_id, source="events", body=content, now=datetime.now(UTC))


def hint(services: Services, sender_id: str, **body: Any) -> None:
    content = json.dumps(body).encode()
    save_delivery(services.database, sender_id=sender_id, source=jobs.HINTS, body=content, now=datetime.now(UTC))


def statuses(services: Services) -> dict[str, str]:
    return {delivery.sender_id: delivery.status for delivery in list_deliveries(services.database)}


def test_deliveries_become_events_and_one_run_over_the_accounts_they_touch(services: Services, runs: Runs) -> None:
    deliver(services, "d1", EVENT)
    deliver(services, "d2", {**EVENT, "source_event_id": "e2", "referred_account": "001000000000003AAA"})

    assert InboxWorker(services).work_once() == 2

    assert statuses(services) == {"d1": "done", "d2": "done"}
    assert {stored.event.source_event_id for stored in list_events(services.database)} == {"e1", "e2"}
    assert runs.calls == [(A, B, "001000000000003AAA")]
    assert runs.hints == [{}]


def test_hints_of_every_form_become_one_run_that_reads_each_record_once(services: Services, runs: Runs) -> None:
    hint(services, "h1", object="Account", id=A)
    hint(services, "h2", changed={"Account": [A[:15], B], "Opportunity": ["006000000000001AAA"]})
    hint(services, "h3", changed={"Account": ["not an id"]})

    InboxWorker(services).work_once()

    assert runs.calls == [()]
    assert runs.hints == [{"Account": [A, B], "Opportunity": ["006000000000001AAA"]}]


def test_a_crm_that_cannot_say_what_changed_is_asked_for_all_changes(services: Services, runs: Runs) -> None:
    hint(services, "h1", changed={"Account": [A]}, everything=True)
    worker = InboxWorker(services)

    worker.work_once()
    worker.work_once()

    assert (runs.calls, runs.hints) == ([None], [{"Account": [A]}])


def test_more_hints_than_are_worth_reading_one_by_one_become_a_pull(
    services: Services, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MAX_HINTS", 1)
    hint(services, "h1", changed={"Account": [A, B]})

    InboxWorker(services).work_once()

    assert (runs.calls, runs.hints) == ([None], [{}])


def test_hints_of_a_run_that_failed_are_read_by_the_next(services: Services, runs: Runs) -> None:
    runs.failures.append(LeaseHeldError("busy"))
    hint(services, "h1", changed={"Account": [A]}, everything=True)
    worker = InboxWorker(services)

    for _ in range(3):
        worker._attempt(worker.work_once)

    assert runs.calls == [None, None]
    assert runs.hints == [{"Account": [A]}, {"Account": [A]}]


def test_a_new_process_that_cannot_look_at_all_that_was_settled_pulls_all_changes(
    services: Services, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    for n in range(3):
        hint(services, f"h{n}", changed={"Account": [A]})
    InboxWorker(services).work_once()
    monkeypatch.setattr(jobs, "CATCH_UP_DELIVERIES", 2)

    InboxWorker(services)._catch_up()

    assert runs.calls == [(), None]


def test_nothing_to_do_costs_no_run(services: Services, runs: Runs) -> None:
    assert InboxWorker(services).work_once() == 0
    assert runs.calls == []


def test_an_event_that_comes_in_two_deliveries_is_stored_once(services: Services, runs: Runs) -> None:
    deliver(services, "d1", EVENT)
    deliver(services, "d2", EVENT, {**EVENT, "title": "another content"})

    InboxWorker(services).work_once()

    assert statuses(services) == {"d1": "done", "d2": "done"}
    assert [stored.event.title for stored in list_events(services.database)] == [None]


def test_a_delivery_that_cannot_be_read_any_more_is_kept_among_the_dead(services: Services, runs: Runs) -> None:
    deliver(services, "bad", body=b'{"type": "retired"}')
    deliver(services, "good", EVENT)

    InboxWorker(services).work_once()

    assert statuses(services) == {"bad": "dead", "good": "done"}
    dead = list_deliveries(services.database, status="dead")[0]
    assert "not a known type" in str(dead.error)


@pytest.mark.parametrize(
    ("failure", "wait"),
    [
        (LeaseHeldError("busy"), jobs.LEASE_WAIT_SECONDS),
        (UnreachableCrmError("away"), jobs.FAILURE_WAIT_SECONDS),
        (RuntimeError("bug"), jobs.FAILURE_WAIT_SECONDS),
    ],
)
def test_a_run_that_fails_is_made_up_for_later(services: Services, runs: Runs, failure: Exception, wait: float) -> None:
    worker = InboxWorker(services)
    runs.failures.append(failure)
    deliver(services, "d1", EVENT)

    waits = [worker._attempt(worker.work_once) for _ in range(3)]

    assert waits == [wait, jobs.IDLE_SECONDS, jobs.IDLE_SECONDS]
    assert runs.calls == [(A, B), (A, B)]
    assert statuses(services) == {"d1": "done"}


def test_a_new_process_looks_again_at_what_was_settled_just_before(services: Services, runs: Runs) -> None:
    first = InboxWorker(services)
    runs.failures.append(RuntimeError("killed here"))
    deliver(services, "d1", EVENT)
    first._attempt(first.work_once)

    InboxWorker(services)._catch_up()

    assert runs.calls == [(A, B), (A, B)]


def test_what_was_settled_long_ago_is_left_alone(
    services: Services, runs: Runs, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(services, "d1", EVENT)
    InboxWorker(services).work_once()
    later = InboxWorker(services)
    object.__setattr__(services, "now", lambda: datetime.now(UTC) + timedelta(days=2))

    later._catch_up()

    assert runs.calls == [(A, B)]


def test_the_thread_works_when_woken_and_ends_when_told(services: Services, runs: Runs) -> None:
    worker = InboxWorker(services)
    thread = worker.start()
    deliver(services, "d1", EVENT)

    worker.wake.set()
    for _ in range(500):
        if runs.calls:
            break
        thread.join(0.01)
    worker.halt()
    thread.join(10)

    assert not thread.is_alive()
    assert runs.calls == [(A, B)]


def test_a_refused_login_is_not_repeated_however_often_the_worker_looks(tmp_path: Path, sqlite_template: Path) -> None:
    shutil.copyfile(sqlite_template, tmp_path / "advocacy.db")
    with Sandbox() as sandbox:
        services = build_services(
            load_settings(
                database_url=f"sqlite:///{tmp_path / 'advocacy.db'}",
                crm="salesforce",
                salesforce_login_url=sandbox.url,
                salesforce_client_id=sandbox.credentials.client_id,
                salesforce_client_secret="wrong",
            )
        )
        worker = InboxWorker(services, pending={A})

        waits = [worker._attempt(worker.work_once) for _ in range(3)]

        assert worker.pending == {A}
        assert waits == [jobs.HOPELESS_WAIT_SECONDS] * 3
        assert sandbox.calls["token"] == 1
        services.database.close()
