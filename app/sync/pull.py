"""From the CRM into the mirror: page by page, each page in one transaction with its position.

Rates come first, because amounts are converted when they enter. A full pull of an object also finds what has vanished
from the CRM; too much of that is more likely a lost permission than a purge, so it stops at a brake.

Between full pulls the CRM itself may name what it has purged; that needs no brake.

Every few days each object is read in full anyway: a formula, or a record that is no longer visible, changes without
moving the stamp by which changes are found.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from functools import partial

from app.domain.model import Policy
from app.domain.money import RateBook
from app.domain.rows import Batch, Entity, batch_of
from app.errors import AppError
from app.mapping.check import EntityPlan, ReadPlan
from app.mapping.file import MappingFile
from app.mapping.translate import compile_reader
from app.store import mirror, rates, row_problems, state
from app.store.connection import Connection
from app.store.database import Database
from app.sync.budget import Budget
from app.sync.report import Progress
from connectors.contract import CrmConnector, Page, PullRequest, RawRow
from connectors.errors import ResumeError

_LARGE = (Entity.ACCOUNT, Entity.OPPORTUNITY)
MAX_REREAD = 2_000
"""Accounts that are read again in one go."""
VANISHED_PERCENT = 10
VANISHED_MINIMUM = 50
ACCEPT_VANISHED = "accept_vanished"
"""State: a person has looked at a held run and says that what vanished is really gone."""

Reader = Callable[[Sequence[RawRow]], Batch]


@dataclass(frozen=True, slots=True)
class Puller:
    """What every step of a pull needs."""

    database: Database
    connector: CrmConnector
    mapping: MappingFile
    plan: ReadPlan
    run_id: int
    look_back: timedelta
    full_after: timedelta
    """An object whose last full read is older is read in full again; zero: never for its age."""
    today: date
    progress: Progress
    budget: Budget

    @property
    def policy(self) -> Policy:
        return self.mapping.policy


@dataclass(slots=True)
class PullReport:
    """How many records came, per entity, and what stopped the brake."""

    pulled: dict[str, int] = field(default_factory=dict)
    full: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    problems: int = 0


def pull_changes(puller: Puller, *, full: bool) -> PullReport:
    """Bring the mirror up to date. `full`: read everything, whatever was read before."""
    report = PullReport()
    sources = _open_sources(puller, full=full)
    puller.connector.abandon([source.outdated for source in sources if source.outdated])
    resumed = any(source.position.resume for source in sources)
    try:
        _pull_pages(puller, sources, report)
    except ResumeError:
        # The job this was to go on with is gone. Starting it afresh costs calls, never rows.
        puller.connector.abandon([source.position.resume for source in sources if source.position.resume])
        for source in sources:
            source.position = replace(source.position, resume=None)
        with puller.database.begin() as connection:
            for source in sources:
                if source.position.full_in_run is not None:
                    row_problems.forget_overflow(connection, source.plan.entity)
        _pull_pages(puller, sources, report)
    if resumed:
        # What was gone on with was asked for before the kill, perhaps days ago: read on top what has changed since.
        _pull_pages(puller, _open_sources(puller, full=False), report)
    with puller.database.begin() as connection:
        mirror.ensure_indexes(connection)
        if report.full:
            # An approval is about what one person saw in one run, not about everything that ever vanishes.
            state.save_flag(connection, ACCEPT_VANISHED, None)
    return report


def reread(puller: Puller, record_ids: Sequence[str], entity: Entity = Entity.ACCOUNT) -> int:
    """Read some records again, whatever the watermark: to see what the CRM shows now."""
    plan = puller.plan.entities[entity]
    reader = _compile(puller, plan)
    count = 0
    for start in range(0, len(record_ids), MAX_REREAD):
        ids = tuple(record_ids[start : start + MAX_REREAD])
        for page in puller.connector.pull([PullRequest(plan.object, plan.fields, ids=ids)]):
            with puller.database.begin() as connection:
                mirror.save_batch(connection, reader(page.rows), run_id=puller.run_id, first_load=False)
            count += len(page.rows)
    return count


@dataclass(slots=True)
class _Source:
    """One object being pulled: what to ask for, how far it got, and how its pages are read."""

    plan: EntityPlan
    position: mirror.Position
    reader: Reader | None = None
    outdated: str | None = None
    """Where a killed run stopped that this one does not go on from."""

    def request(self, look_back: timedelta) -> PullRequest:
        since = None if self.position.watermark is None else self.position.watermark - look_back
        plan = self.plan
        return PullRequest(plan.object, plan.fields, since=since, resume=self.position.resume, where=plan.where)


def source_name(plan: EntityPlan) -> str:
    """The name of a source's position."""
    return f"{plan.section}:{plan.object}"


def _open_sources(puller: Puller, *, full: bool) -> list[_Source]:
    """Where each source stands, and the flags a first load needs, in one transaction."""
    with puller.database.begin() as connection:
        for plan in puller.plan.sources():
            if plan.entity in _LARGE and mirror.is_empty(connection, plan.entity):
                mirror.suspend_indexes(connection, plan.entity)
                state.save_flag(connection, state.REVALUE_ALL, "first load")
                state.save_flag(connection, state.REPLAN_ALL, "first load")
        return [_open_source(connection, puller, plan, full=full) for plan in puller.plan.sources()]


def _open_source(connection: Connection, puller: Puller, plan: EntityPlan, *, full: bool) -> _Source:
    stored = mirror.load_position(connection, source_name(plan))
    position = _open_position(connection, puller, plan, stored, full=full)
    return _Source(plan, position, outdated=None if position.resume else stored.resume)


def _open_position(
    connection: Connection, puller: Puller, plan: EntityPlan, position: mirror.Position, *, full: bool
) -> mirror.Position:
    changed = position.fields_digest != plan.fields_digest
    full_now = full or changed or position.watermark is None or _is_aged(position, puller)
    if full_now or not puller.connector.capabilities.incremental:
        resuming = position.full_in_run is not None and position.resume is not None and not changed and not full
        position = replace(
            position,
            fields_digest=plan.fields_digest,
            watermark=None,
            resume=position.resume if resuming else None,
            full_in_run=position.full_in_run if resuming else puller.run_id,
        )
        mirror.save_position(connection, position)
        if not resuming:
            row_problems.forget_overflow(connection, plan.entity)
    return position


def _is_aged(position: mirror.Position, puller: Puller) -> bool:
    """Whether the last full read is so long ago that what moves no stamp has to be looked for again."""
    if not puller.full_after:
        return False
    last = position.full_done_on
    return last is None or not date.fromisoformat(last) <= puller.today < date.fromisoformat(last) + puller.full_after


def _pull_pages(puller: Puller, sources: Sequence[_Source], report: PullReport) -> None:
    by_request = [(source.request(puller.look_back), source) for source in sources]
    requests = [request for request, _ in by_request]
    for page in puller.connector.pull(requests, afford=partial(_check_affordable, puller)):
        source = next(source for request, source in by_request if request == page.request)
        _save_page(puller, source, page, report)
        if page.complete:
            source.reader = None  # and with it all that it remembers
            if source.plan.entity is Entity.CURRENCY_RATE:
                convert_again(puller.database, puller.policy)


def _check_affordable(puller: Puller, calls: int) -> None:
    """Before a pull that costs anything: it must leave the reserve to others, or it is not begun."""
    shortage = puller.budget.shortage(calls) if calls else ""
    if shortage:
        raise AppError(
            f"not begun: reading the CRM would take about {calls:,} API calls; {shortage}",
            hint="nothing was read or written; run it again when the day's calls are back, "
            "or leave less to others with ADVOCACY_API_RESERVE_PERCENT",
        )


def _compile(puller: Puller, plan: EntityPlan) -> Reader:
    with puller.database.read() as connection:
        book = RateBook(rates.load_rates(connection), puller.policy.reporting_currency)
    return compile_reader(puller.mapping, plan, normalise_id=puller.connector.normalise_id, rates=book)


def _save_page(puller: Puller, source: _Source, page: Page, report: PullReport) -> None:
    plan, position = source.plan, source.position
    batch = _read_page(puller, source, page)
    seen_in = puller.run_id if position.full_in_run is None else position.full_in_run
    # What a power cut takes with its position is read again.
    with puller.database.begin(durable=False) as connection:
        first_load = state.load_flag(connection, state.REVALUE_ALL) == "first load"
        is_full = position.full_in_run is not None
        mirror.save_batch(connection, batch, run_id=seen_in, first_load=first_load, full=is_full)
        if page.gone and plan.entity is not Entity.CURRENCY_RATE:
            mirror.delete_gone(connection, plan.entity, page.gone)
        position = replace(position, resume=page.resume)
        if page.complete:
            position = _complete(connection, puller, source, page.watermark, report)
        mirror.save_position(connection, position)
    source.position = position
    report.pulled[plan.entity] = report.pulled.get(plan.entity, 0) + len(page.rows)
    report.problems += len(batch.problems)
    puller.progress(f"pull {plan.object}", report.pulled[plan.entity], None)


def _read_page(puller: Puller, source: _Source, page: Page) -> Batch:
    """Compiled with the first row: the rates have been read by then, which a reader of amounts needs."""
    if not page.rows:
        return batch_of(source.plan.entity, ())
    if source.reader is None:
        source.reader = _compile(puller, source.plan)
    return source.reader(page.rows)


def _complete(
    connection: Connection, puller: Puller, source: _Source, watermark: datetime | None, report: PullReport
) -> mirror.Position:
    """Move the watermark; after a full pull, what was not seen is gone."""
    plan, position = source.plan, source.position
    if position.full_in_run is not None and position.watermark is None:
        report.full.append(plan.object)
        _sweep(connection, plan, position.full_in_run, report)
        position = replace(position, full_done_on=puller.today.isoformat())
    return replace(position, watermark=watermark or position.watermark, resume=None, full_in_run=None)


def _sweep(connection: Connection, plan: EntityPlan, run_id: int, report: PullReport) -> None:
    if plan.entity is not Entity.CURRENCY_RATE and not _sweep_rows(connection, plan, run_id, report):
        return
    row_problems.forget_unseen_problems(connection, plan.entity, run_id)


def _sweep_rows(connection: Connection, plan: EntityPlan, run_id: int, report: PullReport) -> bool:
    """Whether what was not seen may be treated as gone."""
    unseen, live = mirror.count_unseen(connection, plan.entity, run_id)
    if not unseen:
        return True
    accepted = state.load_flag(connection, ACCEPT_VANISHED) is not None
    if unseen >= VANISHED_MINIMUM and unseen * 100 > live * VANISHED_PERCENT and not accepted:
        report.vanished.append(
            f"{unseen:,} of {live:,} {plan.object} records are no longer visible: "
            "that looks like a lost permission rather than a purge, so nothing was treated as deleted"
        )
        return False
    mirror.delete_unseen(connection, plan.entity, run_id)
    return True


def convert_again(database: Database, policy: Policy) -> None:
    """Convert the stored amounts whose rate changed, and all of them when the reporting currency did."""
    with database.begin() as connection:
        unit = f"{policy.reporting_currency}/{rates.load_places(connection, policy.reporting_currency)}"
        everything = state.load_flag(connection, state.CONVERTED_TO) not in (None, unit)
        state.save_flag(connection, state.CONVERTED_TO, unit)
        currencies = None if everything else rates.take_dirty_currencies(connection, policy.reporting_currency)
        if currencies is not None and not currencies:
            return
        book = RateBook(rates.load_rates(connection), policy.reporting_currency)
        for rows in _conversions(connection, book, currencies):
            rates.save_amounts(connection, rows)


def _conversions(
    connection: Connection, book: RateBook, currencies: Sequence[str] | None
) -> Iterator[list[tuple[str | int | None, ...]]]:
    for page in rates.pages_of_amounts(connection, currencies):
        yield [(id_, *book.convert(amount, currency, close_on)) for id_, amount, currency, close_on in page]
