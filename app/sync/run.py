"""The whole story on one screen: check, pull, credit, value, plan, push, prove.

The nightly schedule, the command line and the webhook worker all come in through `run_sync`; there is no other way.
"""

from __future__ import annotations

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from app.domain.money import RateBook, major_units
from app.domain.plan import GuardVerdict
from app.errors import AppError, ConfigError
from app.mapping.check import ReadPlan, check_mapping, objects_of
from app.mapping.translate import compile_writer
from app.mapping.writer import Writer
from app.store import mirror, runs, writes
from app.store.connection import Connection
from app.store.lease import Lease, acquire_lease
from app.store.ledger import count_issues
from app.store.values import load_portfolio
from app.sync.explanations import Explainer
from app.sync.failures import as_app_error
from app.sync.keepalive import keep_alive
from app.sync.plan import Plan, Planner, plan_updates
from app.sync.prove import prove
from app.sync.pull import Puller, PullReport, convert_again, pull_changes, reread
from app.sync.push import Pusher, PushReport, push_intents
from app.sync.report import PlannedUpdate, Progress, Rejected, RunReport, silent
from app.sync.revalue import Day, Revaluation, revalue
from app.sync.services import Services
from connectors.contract import CrmConnector
from connectors.errors import ConnectorError

__all__ = ["PlannedUpdate", "Progress", "Rejected", "RunReport", "run_sync"]

MAX_REREAD = 2_000


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
    flaws: Counter[str] = field(default_factory=Counter)
    """What makes the run `partial` beside refused records: counts by issue code."""
    calls: int = 0
    places: int = 2
    """Decimal places of the reporting currency."""

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


def run_sync(
    services: Services,
    *,
    full: bool = False,
    send: bool = True,
    trigger: str = "cli",
    slot: str | None = None,
    only: Sequence[str] | None = None,
    progress: Progress = silent,
) -> RunReport:
    """Bring what the CRM shows in line with what its accounts are worth.

    `send=False` plans and sends nothing. `full` reads and values everything again. `only`: the accounts that an
    advocacy event touched; the CRM is not searched for other changes then. `slot`: the scheduled time this run
    stands for. Raises AppError; refused records and a held plan are in the report.
    """
    mode = ("sync" if send else "plan") + (" full" if full else "")
    with _opened(services, mode, send=send, trigger=trigger, slot=slot, progress=progress) as run:
        return _tell(run, full=full, only=only)


@dataclass(frozen=True, slots=True)
class Errand:
    """Something other than a valuation that is written under the same lease, fence and bookkeeping.

    `accounts` are read again first; `plan` then gives the intents, the updates to show, and how many were skipped.
    """

    name: str
    accounts: Sequence[str]
    plan: Callable[[Connection], tuple[list[writes.Intent], tuple[PlannedUpdate, ...], int]]


def run_errand(services: Services, errand: Errand, *, send: bool, progress: Progress) -> RunReport:
    """Check, read the accounts again, plan, push. Raises AppError like `run_sync`."""
    with (
        _opened(services, errand.name, send=send, trigger=errand.name, slot=None, progress=progress) as run,
        _connected(run) as connector,
    ):
        with run.phase("check"):
            read_plan, writer = _check(run, connector)
        with run.phase("pull"):
            for start in range(0, len(errand.accounts), MAX_REREAD):
                reread(_puller(run, connector, read_plan), errand.accounts[start : start + MAX_REREAD])
        with run.phase("plan"), services.database.begin() as connection:
            intents, run.plan.updates, run.plan.counts["skipped"] = errand.plan(connection)
            run.plan.counts["update"] = run.plan.sent = len(intents)
            if send:
                writes.save_intents(connection, run.run_id, intents)
        if send and intents:
            with run.phase("push"):
                run.pushed = push_intents(_pusher(run, connector, writer), len(intents))
        return _close(run, connector, settles_plan=False)


@contextmanager
def _opened(
    services: Services, mode: str, *, send: bool, trigger: str, slot: str | None, progress: Progress
) -> Iterator[Run]:
    """A run under the lease; whatever ends it early is recorded as its failure."""
    lease = acquire_lease(services.database, holder=_holder(), seconds=services.settings.lease_seconds)
    try:
        with keep_alive(lease):
            run = _open_run(services, lease, mode, send=send, trigger=trigger, slot=slot, progress=progress)
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
def _connected(run: Run) -> Iterator[CrmConnector]:
    connector = run.services.connect()
    try:
        yield connector
    finally:
        run.calls = connector.usage.api_calls
        connector.close()


def _holder() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


def _open_run(
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
    return Run(services, lease, run_id, trigger, send, progress)


def _tell(run: Run, *, full: bool, only: Sequence[str] | None) -> RunReport:
    with _connected(run) as connector:
        with run.phase("check"):
            read_plan, writer = _check(run, connector)
        puller = _puller(run, connector, read_plan)
        with run.phase("pull"):
            if only is None:
                run.pulled = pull_changes(puller, full=full)
            _reread_unsettled(run, puller)
        with run.phase("value"):
            run.valued = _value(run, everything=full)
            if run.valued.restated:
                run.notes.append("the policy changed: values reported before were computed again under the new one")
        if only is not None:
            with run.phase("pull"):
                _reread_planned(run, puller)
        with run.phase("plan"):
            run.plan = _plan(run, connector, read_plan, writer)
            run.verdict = _judge(run)
        if run.send and run.verdict.allowed and run.plan.sent:
            with run.phase("push"):
                run.pushed = push_intents(_pusher(run, connector, writer), run.plan.sent)
        if only is None:
            with run.phase("prove"):
                prove(run, puller)
        return _close(run, connector)


def _check(run: Run, connector: CrmConnector) -> tuple[ReadPlan, Writer]:
    """Refuse another organisation, and a mapping that does not fit this one, before anything is read."""
    organisation = connector.organisation_id()
    with run.services.database.begin() as connection:
        pinned = mirror.load_flag(connection, mirror.ORGANISATION)
        if pinned is None:
            mirror.save_flag(connection, mirror.ORGANISATION, organisation)
    if pinned not in (None, organisation):
        raise ConfigError(
            f"this database belongs to organisation {pinned}, the login leads to {organisation}",
            hint="use another ADVOCACY_DATABASE_URL for another organisation",
        )
    mapping = run.services.mapping
    schemas = connector.describe(objects_of(mapping))
    username = run.services.settings.salesforce_username or "the connected user"
    read_plan = check_mapping(mapping, schemas, username)
    run.notes += [f"left out, because this CRM does not have it: {name}" for name in read_plan.dropped]
    with run.services.database.read() as connection:
        run.places = mirror.load_places(connection, mapping.policy.reporting_currency)
    return read_plan, compile_writer(mapping, read_plan, run.places)


def _puller(run: Run, connector: CrmConnector, read_plan: ReadPlan) -> Puller:
    return Puller(
        run.services.database,
        connector,
        run.services.mapping,
        read_plan,
        run.run_id,
        timedelta(seconds=run.services.settings.look_back_seconds),
        run.progress,
    )


def _reread_unsettled(run: Run, puller: Puller) -> None:
    """What an earlier run sent without learning what became of it: look before anything is sent again."""
    with run.services.database.read() as connection:
        unsettled = writes.load_unsettled(connection)
    if not unsettled:
        return
    for start in range(0, len(unsettled), MAX_REREAD):
        reread(puller, unsettled[start : start + MAX_REREAD])
    with run.services.database.begin() as connection:
        writes.settle_reread(connection)


def _reread_planned(run: Run, puller: Puller) -> None:
    """Before a single event is answered: see what the CRM shows now for the accounts about to be written."""
    with run.services.database.read() as connection:
        planned = mirror.load_marked(connection, "plan", MAX_REREAD + 1)
    if planned and len(planned) <= MAX_REREAD:
        reread(puller, planned)


def _value(run: Run, *, everything: bool) -> Revaluation:
    convert_again(run.services.database, run.services.mapping.policy)
    mapping = run.services.mapping
    day = Day(mapping.policy, mapping.policy_version, run.services.today, run.run_id)
    with run.services.database.begin() as connection:
        if everything:
            mirror.save_flag(connection, mirror.REVALUE_ALL, "asked for")
            mirror.save_flag(connection, mirror.REPLAN_ALL, "asked for")
        return revalue(connection, day)


def _plan(run: Run, connector: CrmConnector, read_plan: ReadPlan, writer: Writer) -> Plan:
    currency = run.services.mapping.policy.reporting_currency
    explains = "explanation" in read_plan.writable
    with run.services.database.read() as connection:
        rates = RateBook(mirror.load_rates(connection), currency)
    planner = Planner(
        mapping=run.services.mapping,
        writer=writer,
        as_of=run.services.today,
        now=run.services.now(),
        places=run.places,
        currency=currency,
        explainer=Explainer(currency, run.places) if explains else None,
        record_rates=rates if connector.capabilities.currency_per_record else None,
        progress=run.progress,
    )
    with run.services.database.begin() as connection:
        return plan_updates(connection, planner, run_id=run.run_id, store=run.send)


def _judge(run: Run) -> GuardVerdict:
    """The guard looks at the whole plan; a plan that a person has released passes."""
    reasons = (*run.plan.verdict.reasons, *run.pulled.vanished)
    if not reasons:
        return GuardVerdict(allowed=True)
    with run.services.database.begin() as connection:
        if not run.pulled.vanished and runs.is_approved(connection, run.plan.digest):
            run.notes.append("the plan exceeds a limit and was released by approval")
            return GuardVerdict(allowed=True, reasons=reasons)
        if run.send:
            writes.unplan(connection, run.run_id)
    return GuardVerdict(allowed=False, reasons=reasons)


def _pusher(run: Run, connector: CrmConnector, writer: Writer) -> Pusher:
    return Pusher(
        run.services.database,
        connector,
        writer,
        run.services.mapping.write_back.object,
        run.run_id,
        run.lease.renew,
        run.services.settings.api_reserve_percent,
        run.progress,
    )


def _status(run: Run) -> str:
    if not run.verdict.allowed:
        return "held"
    refused = sum(run.pushed.counts[name] for name in ("rejected", "gone", "retry", "unknown"))
    return "partial" if refused or run.flaws or run.pushed.notes else "ok"


def _close(run: Run, connector: CrmConnector, *, settles_plan: bool = True) -> RunReport:
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
            issues={**count_issues(connection), **mirror.count_problems(connection), **run.flaws},
            guard=run.verdict,
            updates=run.plan.updates,
            rejected=tuple(run.pushed.rejected),
            money=_money(run, connection),
            proof=tuple(run.proof),
            notes=(*run.notes, *run.pushed.notes),
            plan_digest=run.plan.digest,
            phases=run.phases,
        )
        if run.send and settles_plan and status != "held":
            mirror.save_flag(connection, mirror.REPLAN_ALL, None)
        runs.finish_run(
            connection,
            run.run_id,
            status=status,
            report=report.as_json(),
            now=run.services.now(),
            plan_digest=run.plan.digest or None,
        )
    return report


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
    with run.services.database.begin() as connection:
        runs.finish_run(
            connection,
            run.run_id,
            status="failed",
            report=report.as_json(),
            now=run.services.now(),
            error=error.message,
        )
    return error
