"""The whole story on one screen: check, pull, credit, value, plan, push, prove.

The nightly schedule, the command line and the webhook worker all come in through `run_sync`; there is no other way.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from datetime import timedelta

from app.domain.money import RateBook
from app.domain.plan import GuardVerdict
from app.domain.rows import Entity
from app.errors import ConfigError
from app.mapping.check import ReadPlan
from app.mapping.translate import compile_writer
from app.mapping.writer import Writer
from app.store import mirror, rates, runs, state, writes
from app.sync.budget import Budget
from app.sync.execution import UNKNOWN, Run, close_run, connect, open_run
from app.sync.explanations import Explainer
from app.sync.fit import check_against_crm
from app.sync.heap import set_heap_aside
from app.sync.plan import Plan, Planner, plan_updates
from app.sync.prove import prove, prove_ledger
from app.sync.pull import MAX_REREAD, Puller, convert_again, pull_changes, reread
from app.sync.push import Pusher, end_left_behind, push_intents
from app.sync.report import PlannedUpdate, Progress, Rejected, RunReport, silent
from app.sync.revalue import Revaluation, revalue
from app.sync.services import Services
from connectors.contract import CrmConnector

__all__ = ["PlannedUpdate", "Progress", "Rejected", "RunReport", "run_sync"]


def run_sync(
    services: Services,
    *,
    full: bool = False,
    send: bool = True,
    trigger: str = "cli",
    slot: str | None = None,
    only: Sequence[str] | None = None,
    hints: Mapping[str, Sequence[str]] | None = None,
    progress: Progress = silent,
) -> RunReport:
    """Bring what the CRM shows in line with what its accounts are worth.

    `send=False` plans and sends nothing. `full` reads and values everything again. `only`: the accounts that an
    advocacy event touched; the CRM is not searched for other changes then. `hints`: records by CRM object that the CRM
    says have changed; they are read again, and with `only` nothing else is. `slot`: the scheduled time this run
    stands for. Raises AppError; refused records and a held plan are in the report.
    """
    mode = ("sync" if send else "plan") + (" full" if full else "")
    with (
        open_run(services, mode, send=send, trigger=trigger, slot=slot, progress=progress) as run,
        set_heap_aside() if only is None else nullcontext(),
    ):
        return _tell(run, full=full, only=only, hints=hints or {})


def _tell(run: Run, *, full: bool, only: Sequence[str] | None, hints: Mapping[str, Sequence[str]]) -> RunReport:
    with connect(run) as connector:
        with run.phase("check"):
            read_plan = check(run, connector)
            end_left_behind(run.services.database, connector, run.lease.renew)
        puller = build_puller(run, connector, read_plan)
        with run.phase("pull"):
            if only is None:
                run.pulled = pull_changes(puller, full=full)
            _reread_hinted(puller, hints)
            _reread_unsettled(run, puller)
        writer = build_writer(run, read_plan)
        with run.phase("value"):
            run.valued = _value(run, everything=full)
            if only is None:
                prove_ledger(run)
        if only is not None:
            with run.phase("pull"):
                _reread_planned(run, puller)
        with run.phase("plan"):
            run.plan = _plan(run, connector, read_plan, writer, only_marked=only is not None)
            run.verdict = _judge(run)
        if run.send and run.verdict.allowed and run.plan.sent:
            with run.phase("push"):
                run.pushed = push_intents(build_pusher(run, connector, writer), run.plan.sent)
        if only is None:
            with run.phase("prove"):
                prove(run, puller)
        return close_run(run, connector, settles_plan=only is None)


def check(run: Run, connector: CrmConnector) -> ReadPlan:
    """Refuse another organisation, and a mapping that does not fit this one, before anything is read."""
    organisation = connector.organisation_id()
    with run.services.database.begin() as connection:
        pinned = state.load_flag(connection, state.ORGANISATION)
        if pinned is None:
            state.save_flag(connection, state.ORGANISATION, organisation)
    if pinned not in (None, organisation):
        raise ConfigError(
            f"this database belongs to organisation {pinned}, the login leads to {organisation}",
            hint="use another ADVOCACY_DATABASE_URL for another organisation",
        )
    username = run.services.user_of(connector)
    read_plan = check_against_crm(run.services.mapping, connector, username, writing=run.send)
    if read_plan.absent:
        run.notes.append(
            f"a plan only: {', '.join(read_plan.absent)} must be created before anything can be written, "
            "with: advocacy crm setup"
        )
    if connector.shows_several_currencies() and Entity.CURRENCY_RATE not in read_plan.entities:
        run.notes.append(
            "the CRM has several currencies and shows no exchange rates: amounts are converted at the rates known from "
            "before, and count for nothing where there are none; let the connecting user see the rates"
        )
    run.left_out = read_plan.dropped
    return read_plan


def build_writer(run: Run, read_plan: ReadPlan) -> Writer:
    """After the pull, because the CRM may say how many decimal places the reporting currency has."""
    mapping = run.services.mapping
    with run.services.database.read() as connection:
        run.places = rates.load_places(connection, mapping.policy.reporting_currency)
    return compile_writer(mapping, read_plan, run.places)


def build_puller(run: Run, connector: CrmConnector, read_plan: ReadPlan) -> Puller:
    return Puller(
        run.services.database,
        connector,
        run.services.mapping,
        read_plan,
        run.run_id,
        timedelta(seconds=run.services.settings.look_back_seconds),
        timedelta(days=run.services.settings.full_read_days),
        run.services.today,
        run.progress,
        build_budget(run, connector),
    )


def build_budget(run: Run, connector: CrmConnector) -> Budget:
    return Budget(connector, run.services.settings.api_reserve_percent)


def _reread_hinted(puller: Puller, hints: Mapping[str, Sequence[str]]) -> None:
    """Read what the CRM says has changed; objects that the mapping does not read are nobody's business."""
    for entity, plan in puller.plan.entities.items():
        if plan.object in hints:
            reread(puller, sorted(set(hints[plan.object])), entity)


def _reread_unsettled(run: Run, puller: Puller) -> None:
    """What an earlier run sent without learning what became of it: look before anything is sent again."""
    with run.services.database.read() as connection:
        unsettled = writes.load_unsettled(connection)
    if not unsettled:
        return
    reread(puller, unsettled)
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
    with run.services.database.begin() as connection:
        if everything:
            state.save_flag(connection, state.REVALUE_ALL, "asked for")
            state.save_flag(connection, state.REPLAN_ALL, "asked for")
        valued = revalue(connection, run.day)
        if valued.scope != "nothing":
            # With the valuation, so that a run killed after it leaves no count that is out of date.
            state.save_flag(connection, UNKNOWN, None)
    if valued.restated:
        run.notes.append("the policy changed: values reported before were computed again under the new one")
    return valued


def _plan(run: Run, connector: CrmConnector, read_plan: ReadPlan, writer: Writer, *, only_marked: bool) -> Plan:
    currency = run.services.mapping.policy.reporting_currency
    explains = "explanation" in read_plan.writable
    with run.services.database.read() as connection:
        book = RateBook(rates.load_rates(connection), currency)
    planner = Planner(
        mapping=run.services.mapping,
        writer=writer,
        as_of=run.services.today,
        now=run.services.now(),
        places=run.places,
        currency=currency,
        explainer=Explainer(currency, run.places) if explains else None,
        record_rates=book if connector.capabilities.currency_per_record else None,
        progress=run.progress,
    )
    with run.services.database.begin() as connection:
        return plan_updates(connection, planner, run_id=run.run_id, store=run.send, only_marked=only_marked)


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


def build_pusher(run: Run, connector: CrmConnector, writer: Writer) -> Pusher:
    return Pusher(
        run.services.database,
        connector,
        writer,
        run.services.mapping.write_back.object,
        run.run_id,
        run.lease.renew,
        build_budget(run, connector),
        run.progress,
    )
