"""A slot is run once, by whoever comes first; a failed one may be tried again; a missed one is caught up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from app.config import read_schedule
from app.errors import AppError, LeaseHeldError
from app.jobs import schedule as jobs

NIGHTLY = read_schedule("0 2 * * * UTC")
NOW = datetime(2026, 3, 10, 2, 5, tzinfo=UTC)
SLOT = "2026-03-10T02:00 UTC"


@dataclass
class Ledger:
    """Stands for the table of runs and for `run_sync`."""

    runs: list[Any] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    settings: Any = field(default_factory=lambda: SimpleNamespace(schedule="off"))

    def run_sync(self, _services: Any, *, trigger: str, slot: str) -> Any:
        assert trigger == "schedule"
        if self.failures:
            failure = self.failures.pop(0)
            if not isinstance(failure, LeaseHeldError):
                self.runs.append(SimpleNamespace(slot=slot, status="failed"))
            raise failure
        self.runs.append(SimpleNamespace(slot=slot, status="ok"))
        return SimpleNamespace(run_id=1, status="ok")

    def now(self) -> datetime:
        return NOW

    @property
    def statuses(self) -> list[tuple[str, str]]:
        return [(run.slot, run.status) for run in self.runs]


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    stand_in = Ledger()
    monkeypatch.setattr(jobs, "run_sync", stand_in.run_sync)
    monkeypatch.setattr(jobs, "list_runs", lambda _services, top: stand_in.runs[-top:])
    return stand_in


def run_due(ledger: Ledger) -> bool:
    return jobs.run_due(ledger, NIGHTLY, ledger.waits.append)  # type: ignore[arg-type]


def test_a_slot_is_run_once(ledger: Ledger) -> None:
    assert run_due(ledger)
    assert not run_due(ledger)
    assert ledger.statuses == [(SLOT, "ok")]


@pytest.mark.parametrize("failure", [AppError("away"), RuntimeError("bug")])
def test_a_failed_slot_may_be_tried_again_and_never_raises(ledger: Ledger, failure: Exception) -> None:
    ledger.failures.append(failure)

    assert run_due(ledger)
    assert run_due(ledger)

    assert ledger.statuses == [(SLOT, "failed"), (SLOT, "ok")]


def test_a_night_waits_for_the_run_that_is_inside(ledger: Ledger) -> None:
    ledger.failures += [LeaseHeldError("busy")] * 3

    assert run_due(ledger)

    assert ledger.waits == [jobs.LEASE_WAIT_SECONDS] * 3
    assert ledger.statuses == [(SLOT, "ok")]


def test_a_run_that_never_ends_is_given_up_at_last(ledger: Ledger) -> None:
    ledger.failures += [LeaseHeldError("busy")] * jobs.LEASE_TRIES

    assert not run_due(ledger)
    assert ledger.runs == []


def test_a_missed_night_is_caught_up_at_start_but_nothing_before_the_first_run(ledger: Ledger) -> None:
    jobs.catch_up(ledger, NIGHTLY)  # type: ignore[arg-type]
    assert ledger.runs == []

    ledger.runs.append(SimpleNamespace(slot="2026-03-08T02:00 UTC", status="ok"))
    jobs.catch_up(ledger, NIGHTLY)  # type: ignore[arg-type]
    jobs.catch_up(ledger, NIGHTLY)  # type: ignore[arg-type]

    assert ledger.statuses == [("2026-03-08T02:00 UTC", "ok"), (SLOT, "ok")]


def test_a_killed_run_is_made_again(ledger: Ledger) -> None:
    ledger.runs.append(SimpleNamespace(slot=SLOT, status="running"))

    jobs.catch_up(ledger, NIGHTLY)  # type: ignore[arg-type]

    assert ledger.statuses == [(SLOT, "running"), (SLOT, "ok")]


def test_no_schedule_starts_nothing(ledger: Ledger) -> None:
    assert jobs.start_schedule(ledger) is None  # type: ignore[arg-type]


def test_the_ticker_ticks_in_the_zone_of_the_schedule(ledger: Ledger) -> None:
    ledger.settings.schedule = "30 3 * * 1 Europe/Berlin"

    scheduler = jobs.start_schedule(ledger)  # type: ignore[arg-type]

    assert scheduler is not None
    try:
        job = scheduler.get_job("sync")
        assert (job.coalesce, job.misfire_grace_time, job.max_instances) == (True, None, 1)
        assert job.next_run_time.strftime("%a %H:%M") == "Mon 03:30"
        assert str(job.next_run_time.tzinfo) == "Europe/Berlin"
    finally:
        scheduler.shutdown()
