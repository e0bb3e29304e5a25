"""Trouble with the CRM or the database, in every step of a night: what is written is right or not written at all.

Every fault passes. Within three runs the CRM shows what it would have shown without it; until then no run that left
something undone calls itself ok, and no account ever shows a value that is not its final one.
"""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from nights import (
    BULK,
    NOW,
    REST,
    Way,
    books,
    build_org,
    change_org,
    deal_id,
    differences,
    go,
    open_night,
    referrals,
    serve_org,
    shown,
)

from app.bootstrap import Services
from app.errors import AppError, LeaseHeldError
from app.store.database import Database
from app.store.events import save_events
from app.sync.answers import approve_run, list_runs, undo_run
from app.sync.run import run_sync
from connectors.salesforce.sandbox import Sandbox, load_org, save_org

RUNS = 3


@dataclass
class Night:
    """The second night of the company, every time from the same state, with the whole CRM read again."""

    sandbox: Sandbox
    services: Services
    statuses: list[str] = field(default_factory=list)
    shown_after_writes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    def run(self, *, full: bool) -> str:
        try:
            self.statuses.append(run_sync(self.services, full=full).status)
        except AppError:
            assert list_runs(self.services)[0].status == "failed"
            self.statuses.append("failed")
        return self.statuses[-1]

    def end_state(self) -> dict[str, Any]:
        return {**books(self.services.database), "shown": list(self.shown().items())}

    def shown(self) -> dict[str, dict[str, Any]]:
        return shown(self.sandbox.org)


@dataclass(frozen=True)
class Stage:
    """Where the night starts, and how it ends when nothing happens."""

    folder: Path
    ends: dict[str, dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def night(self, way: Way, database_url: str) -> Iterator[Night]:
        with serve_org(load_org(self.folder / "org")) as sandbox:
            services = open_night(sandbox.url, database_url, way, login=sandbox.credentials)
            night = Night(sandbox, services)

            def note(name: str, id_: str) -> None:
                if name == "Account":
                    night.shown_after_writes.append((id_, night.shown()[id_]))

            sandbox.org.watchers.append(note)
            yield night
            services.database.close()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Stage:
    """After the first night, and after the day that followed."""
    folder = tmp_path_factory.mktemp("stage")
    shutil.copyfile(sqlite_template, folder / "morning.db")
    org = build_org()
    with serve_org(org) as sandbox:
        services = open_night(sandbox.url, f"sqlite:///{folder / 'morning.db'}", REST, login=sandbox.credentials)
        policy = services.mapping.policy
        save_events(services.database, referrals(org), now=NOW, policy=policy)
        assert run_sync(services).status == "ok"
        change_org(org)
        save_events(services.database, referrals(org, range(24, 27)), now=NOW, policy=policy)
        services.database.close()
    save_org(org, folder / "org")
    return Stage(folder)


@pytest.fixture
def evening(stage: Stage, tmp_path: Path) -> str:
    """The URL of a database that is where the second night starts."""
    shutil.copyfile(stage.folder / "morning.db", tmp_path / "evening.db")
    return f"sqlite:///{tmp_path / 'evening.db'}"


@pytest.fixture
def undisturbed(stage: Stage, tmp_path: Path) -> Callable[[], dict[str, Any]]:
    """How the night ends when nothing happens."""

    def end() -> dict[str, Any]:
        if not stage.ends:
            url = f"sqlite:///{shutil.copyfile(stage.folder / 'morning.db', tmp_path / 'undisturbed.db')}"
            with stage.night(REST, url) as night:
                assert night.run(full=True) == "ok"
                stage.ends.update(night.end_state())
        return stage.ends

    return end


FAULTS: dict[str, tuple[str, list[tuple[Way, str, int]], dict[str, Any]]] = {
    "session ended": (
        "expired",
        [(REST, "composite", 1), (REST, "query_more", 2), (REST, "composite", 3), (REST, "composite", 5)]
        + [(BULK, f"bulk_query.{step}", 1) for step in ("create", "poll", "results")]
        + [(BULK, f"bulk_ingest.{step}", 0) for step in ("create", "upload", "state", "poll")],
        {},
    ),
    "page of a proxy": (
        "html",
        [(REST, "composite", 0), (REST, "query_more", 1), (REST, "composite", 3)]
        + [(BULK, f"bulk_query.{step}", 1) for step in ("create", "poll", "results")]
        + [(BULK, f"bulk_ingest.{step}", 0) for step in ("create", "upload", "state", "poll")],
        {"status": 502, "times": 2},
    ),
    "long outage": (
        "html",
        [(REST, "query_more", 1), (REST, "composite", 3), (BULK, "bulk_query.results", 2)]
        + [(BULK, f"bulk_ingest.{step}", 0) for step in ("create", "upload", "state", "poll")],
        {"status": 503, "times": 11},
    ),
    "connection reset": (
        "reset",
        [(REST, "query_more", 0), (REST, "composite", 4), (BULK, "bulk_query.results", 1), (BULK, "bulk_ingest.state", 0)],
        {"times": 3},
    ),
    "answer lost after the work was done": (
        "reset",
        [(REST, "composite", 3), (REST, "composite", 5), (BULK, "bulk_query.create", 1)]
        + [(BULK, f"bulk_ingest.{step}", 0) for step in ("create", "upload", "state", "poll")],
        {"after_work": True, "times": 1},
    ),
    "answer lost for long after the work was done": (
        "reset", [(REST, "composite", 3), (BULK, "bulk_ingest.state", 0)], {"after_work": True, "times": 6},
    ),
    "answer cut": (
        "cut",
        [(REST, "composite", 1), (REST, "query_more", 1), (REST, "composite", 3)]
        + [(BULK, step, at) for step, at in (("bulk_query.results", 1), ("bulk_ingest.poll", 0))],
        {},
    ),
    "lines missing from a result": ("truncate", [(BULK, "bulk_query.results", 1)], {"rows": 3}),
    "lines missing from a result for long": ("truncate", [(BULK, "bulk_query.results", 1)], {"rows": 3, "times": 8}),
    "rows repeated": ("repeat", [(REST, "query_more", 0), (REST, "query_more", 2)], {"rows": 5}),
    "rows lost": ("lose", [(REST, "query", 1), (REST, "query_more", 1), (REST, "query_more", 4)], {"rows": 2}),
    "query too slow": (
        "error", [(REST, "query", 1), (REST, "query", 2), (REST, "query_more", 1)], {"code": "QUERY_TIMEOUT", "status": 400},
    ),
    "query job too slow": ("job_fails", [(BULK, "bulk_query.poll", 0), (BULK, "bulk_query.poll", 1)], {"message": "QUERY_TIMEOUT: too long"}),
    "query job failed": ("job_fails", [(BULK, "bulk_query.poll", 1)], {"message": "InternalServerError: sorry"}),
    "write job failed": ("job_fails", [(BULK, "bulk_ingest.poll", 0)], {"message": "InternalServerError: sorry"}),
    "rows locked": (
        "row", [(REST, "collections", 0), (BULK, "bulk_ingest.poll", 0)], {"code": "UNABLE_TO_LOCK_ROW", "times": 5},
    ),
    "rows locked for long": (
        "row", [(REST, "collections", 0), (BULK, "bulk_ingest.poll", 0)], {"code": "UNABLE_TO_LOCK_ROW", "times": 60},
    ),
    "cursor lost": (
        "error", [(REST, "query_more", 0), (REST, "query_more", 3)], {"code": "INVALID_QUERY_LOCATOR", "status": 400},
    ),
    "day's calls spent": (
        "error",
        [(REST, "composite", 1), (REST, "query_more", 1), (REST, "composite", 4)]
        + [(BULK, step, at) for step, at in (("bulk_query.results", 1), ("bulk_ingest.create", 0), ("bulk_ingest.poll", 0))],
        {"code": "REQUEST_LIMIT_EXCEEDED", "message": "TotalRequests Limit exceeded.", "status": 403},
    ),
}  # fmt: skip
CASES = [
    pytest.param(kind, way, on, skip, details, id=f"{name}: {on}, {skip} passed")
    for name, (kind, places, details) in FAULTS.items()
    for way, on, skip in places
]


@pytest.mark.parametrize(("kind", "way", "on", "skip", "details"), CASES)
def test_a_fault_that_passes_never_shows_a_wrong_value_and_is_healed_within_three_runs(
    stage, evening, undisturbed, monkeypatch, kind, way, on, skip, details
):
    go(way, monkeypatch)
    right = undisturbed()
    final = dict(right["shown"])

    with stage.night(way, evening) as night:
        fault = night.sandbox.faults.inject(kind, on, skip=skip, **details)
        for number in range(RUNS):
            status = night.run(full=number == 0)
            if status == "ok":
                break
            assert status in ("failed", "partial")
        end, crashes = night.end_state(), night.sandbox.engine.crashes

    assert fault.struck, "the fault never met a request"
    assert not crashes
    assert night.statuses[-1] == "ok", night.statuses
    assert differences(end, right) == []
    assert [(id_, values) for id_, values in night.shown_after_writes if values != final[id_]] == []


class Interruption(Exception):
    """Stands for whatever ends a process."""


def interrupt_at(step: str, times: int = 1) -> Callable[[str, int, int | None], None]:
    """Progress that ends the run when a step is told for the n-th time."""
    left = [times]

    def progress(phase: str, _done: int, _total: int | None) -> None:
        left[0] -= phase == step
        if left[0] == 0:
            raise Interruption

    return progress


def test_a_pull_that_goes_on_after_days_does_not_let_its_old_rows_stand(stage, evening, monkeypatch):
    go(BULK, monkeypatch)
    with stage.night(BULK, evening) as night:
        with pytest.raises(Interruption):
            run_sync(night.services, full=True, progress=interrupt_at("pull Opportunity", 2))
        night.sandbox.org.clock.advance(3 * 86_400)
        last = deal_id(night.sandbox.org, 110)
        night.sandbox.org.update("Opportunity", last, {"Amount": 77_777, "StageName": "Closed Won"})
        buyer = night.sandbox.org.record("Opportunity", last)["AccountId"]

        assert night.run(full=False) == "ok"

        totals = {id_: values["Advocacy_Direct_Revenue__c"] for id_, values in night.shown_after_writes}
    assert float(totals[buyer]) > 77_777


def totals(values: dict[str, dict[str, Any]]) -> dict[str, Decimal | None]:
    shown = {id_: fields["Total_Customer_Value__c"] for id_, fields in values.items()}
    return {id_: None if total is None else Decimal(total) for id_, total in shown.items()}


def test_a_write_whose_answer_was_lost_can_be_taken_back_like_any_other(stage, evening, monkeypatch):
    go(REST, monkeypatch)
    with stage.night(REST, evening) as night:
        before = totals(night.shown())
        night.sandbox.faults.inject("reset", "composite", skip=2, after_work=True, times=5)
        assert night.run(full=False) == "failed"
        changed_by_the_lost_write = [id_ for id_, total in totals(night.shown()).items() if total != before[id_]]
        assert night.run(full=False) == "ok"

        for run in list_runs(night.services)[:2]:
            undo_run(night.services, run.run_id)

        assert changed_by_the_lost_write
        assert totals(night.shown()) == before


def test_the_brake_on_vanished_records_holds_again_after_it_was_released_once(stage, evening):
    with stage.night(REST, evening) as night:
        org = night.sandbox.org
        deals = [deal_id(org, number) for number in range(20, 75)]
        for deal in deals:
            org.hide_record(deal)
        held = run_sync(night.services, full=True)
        approve_run(night.services, held.run_id, "test")
        released = run_sync(night.services, full=True)
        for deal in deals:
            org.show_record(deal)
        run_sync(night.services, full=True)
        for deal in deals:
            org.hide_record(deal)

        again = run_sync(night.services, full=True)

    about_vanished = [["no longer visible" in " ".join(run.guard.reasons)] for run in (held, released, again)]
    assert about_vanished == [[True], [False], [True]]


# The lease: one run at a time, also when one of them sleeps


def steal_lease(database: Database) -> None:
    """What the passing of time does to the lease of a run that is frozen."""
    with database.begin() as connection:
        connection.exec_driver_sql("update lease set expires_at = 0")


@pytest.mark.parametrize("way", [REST, BULK], ids=["REST", "bulk"])
@pytest.mark.parametrize("step", ["check", "pull", "pull Opportunity", "value", "plan", "push", "write", "prove"])
def test_a_run_that_slept_through_the_end_of_its_lease_changes_nothing_any_more(
    stage, evening, undisturbed, monkeypatch, way, step
):
    go(way, monkeypatch)
    right = undisturbed()
    with stage.night(way, evening) as night:
        successor = open_night(night.sandbox.url, evening, REST, login=night.sandbox.credentials)
        requests_then: list[int] = []
        writes_then: list[int] = []

        def sleep(phase: str, _done: int, _total: int | None) -> None:
            if phase == step and not writes_then:
                steal_lease(successor.database)
                assert run_sync(successor).status == "ok"
                writes_then.append(len(night.shown_after_writes))
                requests_then.append(night.sandbox.calls["bulk_ingest.state"])

        with pytest.raises(LeaseHeldError):
            run_sync(night.services, full=True, progress=sleep)

        end = night.end_state()
        statuses = sorted(run.status for run in list_runs(night.services))
        successor.database.close()
    assert differences(end, right) == []
    assert len(night.shown_after_writes) == writes_then[0]
    assert night.sandbox.calls["bulk_ingest.state"] == requests_then[0]
    assert statuses == ["failed", "ok", "ok"]


def test_rows_that_a_sleeper_has_read_do_not_replace_what_its_successor_has_read_since(stage, evening, monkeypatch):
    go(BULK, monkeypatch)
    with stage.night(BULK, evening) as night:
        successor = open_night(night.sandbox.url, evening, REST, login=night.sandbox.credentials)
        deal = deal_id(night.sandbox.org, 110)
        slept: list[str] = []

        def sleep(phase: str, _done: int, _total: int | None) -> None:
            if phase == "pull Opportunity" and not slept:
                slept.append(phase)
                night.sandbox.org.update("Opportunity", deal, {"Amount": 77_777})
                steal_lease(successor.database)
                assert run_sync(successor).status == "ok"

        with pytest.raises(LeaseHeldError):
            run_sync(night.services, full=True, progress=sleep)

        amounts = {row[0]: row[3] for row in books(successor.database)["deals"]}
        successor.database.close()
    assert amounts[deal] == "77777"


# The database


@pytest.mark.parametrize("step", ["pull", "value", "write"])
def test_a_run_waits_while_somebody_else_writes_into_the_sqlite_file(stage, evening, undisturbed, step):
    right = undisturbed()
    other = sqlite3.connect(evening.removeprefix("sqlite:///"), isolation_level=None, check_same_thread=False)
    release = threading.Timer(0.05, lambda: other.execute("rollback"))

    def lock(phase: str, _done: int, _total: int | None) -> None:
        if phase == step and not release.is_alive() and not release.finished.is_set():
            other.execute("begin immediate")
            release.start()

    with stage.night(REST, evening) as night:
        report = run_sync(night.services, progress=lock)
        end = night.end_state()

    release.join()
    other.close()
    assert report.status == "ok"
    assert differences(end, right) == []


@pytest.mark.parametrize("spare", [0, 2, 5, 8])
def test_a_full_disk_ends_the_run_and_loses_nothing(stage, evening, undisturbed, monkeypatch, spare):
    go(REST, monkeypatch)
    right = undisturbed()
    final = dict(right["shown"])
    with stage.night(REST, evening) as night:
        engine = night.services.database.engine

        def fill(connection: sqlite3.Connection, _record: object) -> None:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count = {pages + spare}")

        engine.dispose()
        sa.event.listen(engine, "connect", fill)
        with pytest.raises(sa.exc.OperationalError, match="full"):
            run_sync(night.services, full=True)
        sa.event.remove(engine, "connect", fill)
        engine.dispose()
        steal_lease(night.services.database)

        assert night.run(full=False) == "ok"
        end = night.end_state()
    assert differences(end, right) == []
    assert [(id_, values) for id_, values in night.shown_after_writes if values != final[id_]] == []


@pytest.fixture
def server_evening(stage: Stage, migrated_database_url: str) -> str:
    """The evening on PostgreSQL."""
    with serve_org(build_org()) as sandbox:
        services = open_night(sandbox.url, migrated_database_url, REST, login=sandbox.credentials)
        policy = services.mapping.policy
        save_events(services.database, referrals(sandbox.org), now=NOW, policy=policy)
        assert run_sync(services).status == "ok"
        save_events(services.database, referrals(sandbox.org, range(24, 27)), now=NOW, policy=policy)
        services.database.close()
    return migrated_database_url


def terminate_backend(url: str, connection: sa.Connection) -> None:
    process: Any = connection.connection.driver_connection
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as other:
        other.execute("select pg_terminate_backend(%s, 1000)", [process.info.backend_pid])


@pytest.mark.parametrize("migrated_database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("statement", [30, 90, 180, 270])
def test_a_session_ended_by_the_server_fails_the_run_honestly_and_the_next_one_heals(
    stage, server_evening, undisturbed, statement
):
    right = undisturbed()
    with stage.night(REST, server_evening) as night:
        left = [statement]

        def strike(connection: sa.Connection, *_: Any) -> None:
            left[0] -= 1
            if left[0] == 0:
                terminate_backend(server_evening, connection)

        sa.event.listen(night.services.database.engine, "before_cursor_execute", strike)
        with pytest.raises(sa.exc.OperationalError):
            run_sync(night.services)
        failed = list_runs(night.services)[0]
        sa.event.remove(night.services.database.engine, "before_cursor_execute", strike)

        assert (failed.status, "AdminShutdown" in str(failed.error)) == ("failed", True)
        assert night.run(full=False) == "ok"
        assert differences(night.end_state(), right) == []


# What people do in the CRM while a run is under way


def at(step: str, action: Callable[[], object], count: int = 1) -> Callable[[str, int, int | None], None]:
    """Progress that does something when a step is told for the n-th time."""
    left = [count]

    def progress(phase: str, _done: int, _total: int | None) -> None:
        left[0] -= phase == step
        if left[0] == 0:
            left[0] = -1_000_000
            action()

    return progress


def test_what_changes_while_it_is_being_read_is_right_after_the_next_run(stage, evening, undisturbed, monkeypatch):
    go(REST, monkeypatch)
    right = undisturbed()
    with stage.night(REST, evening) as night:
        org = night.sandbox.org
        deal = deal_id(org, 0)
        amount = org.record("Opportunity", deal)["Amount"]
        run_sync(
            night.services,
            full=True,
            progress=at("pull Opportunity", lambda: org.update("Opportunity", deal, {"Amount": 55_555}), 2),
        )
        night.run(full=False)
        changed = night.end_state()
        org.update("Opportunity", deal, {"Amount": amount})
        night.run(full=False)
        end = night.end_state()
    assert {row[0]: row[3] for row in changed["deals"]}[deal] == "55555"
    assert changed["shown"] != right["shown"]
    assert differences(end, right) == []


def test_a_change_that_becomes_visible_below_the_watermark_is_not_lost(stage, evening):
    with stage.night(REST, evening) as night:
        org = night.sandbox.org
        deal = deal_id(org, 0)
        late = org.late_update("Opportunity", deal, {"Amount": 55_555})
        org.clock.advance(300)
        assert night.run(full=False) == "ok"
        late.commit()
        org.clock.advance(86_400)

        assert night.run(full=False) == "ok"

        amounts = {row[0]: row[3] for row in books(night.services.database)["deals"]}
    assert amounts[deal] == "55555"


def test_calls_that_are_kept_for_others_are_not_spent_and_the_next_day_writes_what_was_left(
    stage, evening, undisturbed
):
    right = undisturbed()
    with stage.night(REST, evening) as night:
        enough = night.sandbox.manners.daily_limit
        night.sandbox.manners.page_size = 2_000  # to read it takes no more than the first look
        night.sandbox.manners.daily_limit = 100
        night.sandbox.engine.api_used = 82

        assert night.run(full=False) == "partial"

        assert night.shown_after_writes == []
        night.sandbox.manners.daily_limit = enough
        assert night.run(full=False) == "ok"
        end = night.end_state()
    assert differences(end, right) == []


@pytest.mark.parametrize("way", [REST, BULK], ids=["REST", "bulk"])
@pytest.mark.parametrize("field", ["Total_Customer_Value__c", "Advocacy_Explanation__c"])
@pytest.mark.parametrize("step", ["pull", "push", "write"])
@pytest.mark.parametrize("take", ["hide_field", "lock_field"])
def test_a_field_taken_away_in_the_middle_of_a_run_is_written_once_it_is_back(
    stage, evening, undisturbed, monkeypatch, way, field, step, take
):
    go(way, monkeypatch)
    right = undisturbed()
    with stage.night(way, evening) as night:
        org = night.sandbox.org
        with suppress(AppError):
            run_sync(night.services, progress=at(step, lambda: getattr(org, take)("Account", field)))
        org.access.hidden_fields.clear()
        org.access.locked_fields.clear()

        again = [night.run(full=False), night.run(full=False)]

        end = night.end_state()
    assert again[-1] == "ok"
    assert differences({"shown": end["shown"]}, {"shown": right["shown"]}) == []
