"""One execution while it happens: under the lease, timed step by step, and recorded however it ends."""

from __future__ import annotations

import json
import os
import socket
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from app.domain.money import major_units
from app.domain.plan import GuardVerdict
from app.domain.triage import idle_closings
from app.errors import AppError, ConfigError
from app.store import row_problems, runs, state
from app.store.connection import Connection
from app.store.lease import Lease, acquire_lease
from app.store.ledger import count_issues
from app.store.triage import load_closings
from app.store.value_rows import count_unknown, load_portfolio
from app.sync.failures import as_app_error
from app.sync.keepalive import keep_alive
from app.sync.plan import Plan
from app.sync.pull import PullReport
from app.sync.push import PushReport
from app.sync.report import Progress, RunReport
from app.sync.revalue import Day, Revaluation
from app.sync.services import Services
from connectors.contract import CrmConnector
from connectors.errors import ConnectorError

UNKNOWN = "unknown_accounts"
"""State: the counts of accounts that are named and not held, as JSON."""


@dataclass(slots=True)
class Run:
    """One execution while it happens: what it is, what it works with, what it found so far."""

    services: Services
    lease: Lease
    run_id: int
    trigger: str
    send: bool
    progress: Progress
    started: float = field(default_factory=time.monotonic)
    phases: dict[str, float] = field(default_factory=dict)
    pulled: PullReport = field(default_factory=PullReport)
    valued: Revaluation = field(default_factory=lambda: Revaluation("nothing", 0))
    plan: Plan = field(default_factory=Plan)
    pushed: PushReport = field(default_factory=PushReport)
    verdict: GuardVerdict = field(default_factory=lambda: GuardVerdict(allowed=True))
    proof: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    left_out: tuple[str, ...] = ()
    flaws: Counter[str] = field(default_factory=Counter)
    """What makes the run `partial` beside refused records: counts by issue code."""
    calls: int = 0
    places: int = 2
    """Decimal places of the reporting currency."""

    @property
    def day(self) -> Day:
        """The rules and the day this run values by."""
        mapping = self.services.mapping
        return Day(mapping.policy, mapping.policy_version, self.services.today, self.run_id)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a step, and note it in the table of runs so that a killed run shows how far it came."""
        self.progress(name, 0, None)
        with self.services.database.begin() as connection:
            runs.note_phase(connection, self.run_id, name, now=self.services.now())
        started = time.monotonic()
        try:
            yield
        finally:
            self.phases[name] = round(self.phases.get(name, 0.0) + time.monotonic() - started, 3)


@contextmanager
def open_run(
    services: Services, mode: str, *, send: bool, trigger: str, slot: str | None, progress: Progress
) -> Iterator[Run]:
    """A run under the lease; whatever ends it early is recorded as its failure."""
    lease = acquire_lease(services.database, holder=_holder(), seconds=services.settings.lease_seconds)
    try:
        with keep_alive(lease):
            run = _create(services, lease, mode, send=send, trigger=trigger, slot=slot, progress=progress)
            try:
                yield run
            except ConnectorError as error:
                raise _fail(run, as_app_error(error)) from error
            except AppError as error:
                _fail(run, error)
                raise
            except BaseException as error:
                _fail(run, AppError(f"{type(error).__name__}: {error}"))
                raise
    finally:
        lease.release()


@contextmanager
def connect(run: Run) -> Iterator[CrmConnector]:
    connector = run.services.connect()
    try:
        yield connector
    finally:
        run.calls = connector.usage.api_calls
        connector.close()


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _create(
    services: Services, lease: Lease, mode: str, *, send: bool, trigger: str, slot: str | None, progress: Progress
) -> Run:
    new = runs.NewRun(
        trigger=trigger,
        mode=mode,
        as_of=services.today.isoformat(),
        epoch=lease.epoch,
        policy_version=services.mapping.policy_version,
        mapping_digest=services.mapping.digest,
        slot=slot,
    )
    with services.database.begin() as connection:
        runs.bury_dead_runs(connection, now=services.now())
        run_id = runs.create_run(connection, new, now=services.now())
    if run_id is None:
        raise ConfigError(f"the run of {slot} was made already", hint="look at it with: advocacy runs list")
    # A run that slept through the end of its lease must not write over what its successor has read meanwhile.
    fenced = replace(services, database=services.database.fenced(lease.check))
    return Run(fenced, lease, run_id, trigger, send, progress)


def _status(run: Run) -> str:
    if not run.verdict.allowed:
        return "held"
    refused = sum(run.pushed.counts[name] for name in ("rejected", "gone", "retry", "unknown"))
    return "partial" if refused or run.flaws or run.pushed.notes else "ok"


def close_run(run: Run, connector: CrmConnector, *, settles_plan: bool = True) -> RunReport:
    status = _status(run)
    with run.services.database.begin() as connection:
        report = RunReport(
            run_id=run.run_id,
            status=status,
            trigger=run.trigger,
            as_of=run.services.today,
            counts=_counts(run),
            calls=connector.usage.api_calls,
            seconds=round(time.monotonic() - run.started, 3),
            issues={
                **count_issues(connection),
                **row_problems.count_problems(connection),
                **_count_unknown(run, connection),
                **run.flaws,
            },
            guard=run.verdict,
            updates=run.plan.updates,
            rejected=tuple(run.pushed.rejected),
            money=_money(run, connection),
            proof=tuple(run.proof),
            notes=(*run.notes, *run.pushed.notes),
            left_out=run.left_out,
            plan_digest=run.plan.digest,
            phases=run.phases,
        )
        if run.send and settles_plan and status != "held":
            state.save_flag(connection, state.REPLAN_ALL, None)
        runs.finish_run(
            connection,
            run.run_id,
            status=status,
            report=report.as_json(),
            now=run.services.now(),
            plan_digest=run.plan.digest or None,
        )
    return report


def _count_unknown(run: Run, connection: Connection) -> dict[str, int]:
    """Counted after a valuation, which forgets the count before it; remembered on the nights in between."""
    remembered = state.load_flag(connection, UNKNOWN)
    if remembered is not None:
        counted: dict[str, int] = json.loads(remembered)
        return counted
    counts = count_unknown(connection)
    rules = run.services.mapping.policy.triage
    closings = load_closings(connection, tuple(rules.severities), run.services.today)
    if idle := sum(len(idle_closings(events, rules)) for events in closings.values()):
        counts["closes_nothing"] = idle
    state.save_flag(connection, UNKNOWN, json.dumps(counts))
    return counts


def _counts(run: Run) -> dict[str, int]:
    pushed = dict.fromkeys(("written", "rejected", "gone", "retry", "unknown"), 0) | dict(run.pushed.counts)
    return {
        "pulled": sum(run.pulled.pulled.values()),
        **{f"pulled_{entity}": count for entity, count in sorted(run.pulled.pulled.items())},
        "valued": run.valued.moved,
        **run.plan.counts,
        **pushed,
    }


def _money(run: Run, connection: Connection) -> dict[str, str]:
    policy = run.services.mapping.policy
    row = load_portfolio(connection, run.services.today.isoformat())
    amounts = {
        "direct": row.direct,
        "referred": row.referred,
        "overlap": row.overlap,
        "conserved": row.conserved,
        "unassigned": row.unassigned,
    }
    return {
        "currency": policy.reporting_currency,
        **{name: str(major_units(value, run.places)) for name, value in amounts.items()},
    }


def _fail(run: Run, error: AppError) -> AppError:
    """Record the failed run; its slot is free again."""
    report = RunReport(
        run_id=run.run_id,
        status="failed",
        trigger=run.trigger,
        as_of=run.services.today,
        counts=_counts(run),
        calls=run.calls,
        seconds=round(time.monotonic() - run.started, 3),
        notes=(error.message,),
        phases=run.phases,
    )
    with run.lease.database.begin() as connection:
        runs.finish_run(
            connection,
            run.run_id,
            status="failed",
            report=report.as_json(),
            now=run.services.now(),
            error=error.message,
        )
    return error
