"""What the CRM shows against what it should show: the updates of a run, judged as a whole before any is sent."""

from __future__ import annotations

import hashlib
import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.domain.money import RateBook, major_units
from app.domain.plan import (
    Change,
    FieldPolicy,
    GuardVerdict,
    PlanStats,
    clears_value,
    judge_plan,
    plan_account,
    replaces_value,
)
from app.mapping.file import MappingFile
from app.mapping.writer import Writer
from app.store import engagement_rows, standing_rows, value_rows, writes
from app.store.connection import Connection
from app.store.engagement_rows import EngagementRow
from app.store.standing_rows import StandingRow
from app.store.state import REPLAN_ALL, load_flag
from app.store.value_rows import ValueRow
from app.store.writes import Intent, Shown
from app.sync.explanations import Explainer
from app.sync.report import PlannedUpdate, Progress

SHOWN_UPDATES = 200
"""How many updates a report names; the rest is counted."""

RELATIVE = frozenset({"rank", "percentile", "quadrant", "points", "points_band", "next_call_on", "contradictions"})
"""Measures that move when other accounts or weeks do: they say nothing about how much a plan changes."""


@dataclass(frozen=True, slots=True)
class Planner:
    """What planning needs. `places`: decimal places of the reporting currency."""

    mapping: MappingFile
    writer: Writer
    as_of: date
    now: datetime
    places: int
    currency: str
    explainer: Explainer | None
    record_rates: RateBook | None
    """Given where the CRM shows currency fields in the record's own currency."""
    progress: Progress


@dataclass(slots=True)
class Plan:
    """The outcome of planning. `digest` is the same for the same updates, whatever run made them."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("unchanged", "update", "clear", "invalid", "drifted", "skipped"), 0)
    )
    verdict: GuardVerdict = field(default_factory=lambda: GuardVerdict(allowed=True))
    updates: tuple[PlannedUpdate, ...] = ()
    digest: str = ""
    sent: int = 0
    """Accounts that have something to send."""


@dataclass(slots=True)
class _Tally:
    plan: Plan = field(default_factory=Plan)
    changed: int = 0
    cleared: int = 0
    decrease: Decimal = Decimal(0)
    top: list[tuple[int, str, PlannedUpdate]] = field(default_factory=list)
    sha: Any = field(default_factory=hashlib.sha256)


def plan_updates(
    connection: Connection, planner: Planner, *, run_id: int, store: bool, only_marked: bool = False
) -> Plan:
    """Compare every account that may differ. `store`: keep the intents, and settle the accounts that are right.

    `only_marked`: whoever has not just been read is left to a run that reads all, also where all are to be planned.
    """
    tally = _Tally()
    everything = not only_marked and load_flag(connection, REPLAN_ALL) is not None
    looked = 0
    for page in value_rows.stream_planned(connection, only_dirty=not everything):
        intents, settled = _plan_page(connection, planner, page, tally)
        if store:
            writes.save_intents(connection, run_id, intents)
            writes.settle_unchanged(connection, settled)
        looked += len(page)
        planner.progress("plan", looked, None)
    if store:
        writes.settle_absent(connection)
    return _judge(connection, planner, tally)


def _plan_page(
    connection: Connection, planner: Planner, page: list[ValueRow], tally: _Tally
) -> tuple[list[Intent], list[str]]:
    explanations = planner.explainer.explain_page(connection, page) if planner.explainer else {}
    ids = [row.account_id for row in page]
    beside = _load_beside(connection, planner, ids)
    standings = _load_standings(connection, planner, ids)
    fields = planner.mapping.write_back.fields.items()
    policies = {measure: one.policy for measure, one in fields if one.policy != FieldPolicy.OVERWRITE}
    companions = planner.writer.companions
    intents: list[Intent] = []
    settled: list[str] = []
    for row in page:
        shown = writes.read_shown(row.shown)
        written = writes.read_shown(row.written) if row.written is not None else None
        measured = beside.get(row.account_id), standings.get(row.account_id)
        desired = _desired(planner, row, measured, shown, explanations.get(row.account_id))
        changes = plan_account(shown, desired, written, policies)
        if written is not None and any(shown.get(m) != written[m] for m in written if m in desired):
            tally.plan.counts["drifted"] += 1
        if any(change.is_sent and change.measure not in companions for change in changes):
            intents.append(_intent(row, changes, tally, planner, shown, written or {}))
        else:
            settled.append(row.account_id)
            tally.plan.counts["skipped" if changes else "unchanged"] += 1
    return intents, settled


def _load_beside(connection: Connection, planner: Planner, ids: list[str]) -> dict[str, EngagementRow]:
    """The measures beside the money, where the mapping writes any of them."""
    if engagement_rows.MEASURES.isdisjoint(planner.writer.fields):
        return {}
    return engagement_rows.load_engagement(connection, ids)


def _load_standings(connection: Connection, planner: Planner, ids: list[str]) -> dict[str, StandingRow]:
    """The human measures, where the mapping writes any of them."""
    if standing_rows.MEASURES.isdisjoint(planner.writer.fields):
        return {}
    return standing_rows.load_standing(connection, ids)


def _desired(
    planner: Planner,
    row: ValueRow,
    measured: tuple[EngagementRow | None, StandingRow | None],
    shown: Mapping[str, str | None],
    explanation: str | None,
) -> dict[str, str | None]:
    """Canonical text per writable measure; nothing for an account that is worth nothing and shows nothing."""
    beside, stands = measured
    is_worth = any(row.money.values()) or any(one is not None and not one.is_nothing for one in measured)
    if not is_worth and not row.issues and not shows_anything(shown):
        return {}
    facts: dict[str, object] = {
        **row.money,
        **(beside.facts() if beside else {}),
        **(stands.facts() if stands else {}),
        "rank": row.rank,
        "issues": row.issues or None,
        "currency": planner.currency,
        "as_of": planner.as_of,
        "synced_at": planner.now,
        "policy_version": row.policy_version,
        "explanation": explanation,
    }
    if planner.record_rates is None or row.currency in (None, planner.currency):
        return planner.writer.desired(facts)
    money = {**row.money, **(beside.known_money if beside else {})}
    return planner.writer.desired({**facts, **_in_record_currency(planner, planner.record_rates, money, row.currency)})


def _in_record_currency(
    planner: Planner, rates: RateBook, money: Mapping[str, int], currency: str
) -> dict[str, Decimal | None]:
    """The measures that go into currency fields, in the currency of the record; empty where there is no rate.

    A number in the wrong currency would be worse than none.
    """
    return {
        measure: rates.shown_in(amount, currency)
        for measure, amount in money.items()
        if measure in planner.writer.fields and planner.writer.fields[measure].in_record_currency
    }


def shows_anything(shown: Mapping[str, str | None]) -> bool:
    """Whether the CRM shows any value of ours; an unticked box is what every account shows from the start."""
    return any(text not in (None, "false") for text in shown.values())


def _intent(
    row: ValueRow, changes: tuple[Change, ...], tally: _Tally, planner: Planner, shown: Shown, written: Shown
) -> Intent:
    sent = [change for change in changes if change.is_sent]
    before = {change.measure: change.before for change in sent}
    after = {change.measure: change.after for change in sent}
    moved = _number(after.get("total")) - _number(before.get("total")) if "total" in after else Decimal(0)
    movement = int(abs(moved).scaleb(planner.places))
    own = [change for change in sent if change.replaces and _says_much(change, written)]
    clears = clears_value(own)
    tally.plan.counts["clear" if clears else "update"] += 1
    tally.plan.sent += 1
    tally.changed += replaces_value(own)
    tally.cleared += clears
    if before.get("total") is not None:
        tally.decrease -= moved
    texts = writes.shown_text(before), writes.shown_text(after)
    tally.sha.update(f"{row.account_id}\n{texts[0]}\n{texts[1]}\n".encode())
    _keep_mover(tally, row, changes, movement, planner.places)
    return Intent(row.account_id, before, after, movement, shown, written, texts)


def _says_much(change: Change, written: Shown) -> bool:
    """Whether something gets lost that somebody may rely on.

    A box that nobody ever wrote does not: it is unticked from the start.
    """
    is_new_box = change.before == "false" and written.get(change.measure) is None
    return change.measure not in RELATIVE and not is_new_box


def _keep_mover(tally: _Tally, row: ValueRow, changes: tuple[Change, ...], movement: int, places: int) -> None:
    """Keep the biggest movers for the report; the others are only counted."""
    is_full = len(tally.top) >= SHOWN_UPDATES
    if is_full and movement < tally.top[0][0]:
        return
    update = PlannedUpdate(row.account_id, row.name, changes, major_units(movement, places))
    item = movement, _Reversed(row.account_id), update
    if is_full:
        heapq.heappushpop(tally.top, item)
    else:
        heapq.heappush(tally.top, item)


class _Reversed(str):
    """Text that sorts backwards, so that of equal movements the smaller id stays."""

    __slots__ = ()

    def __lt__(self, other: str) -> bool:
        return str.__gt__(self, other)


def _number(text: str | None) -> Decimal:
    return Decimal(text) if text is not None else Decimal(0)


def _judge(connection: Connection, planner: Planner, tally: _Tally) -> Plan:
    plan = tally.plan
    ordered = sorted(tally.top, key=lambda item: (-item[0], str(item[1])))
    plan.updates = tuple(update for _, _, update in ordered)
    plan.digest = tally.sha.hexdigest() if plan.sent else ""
    if not plan.sent:
        return plan
    total = planner.writer.fields.get("total")
    shown = Decimal(writes.sum_shown(connection, "total")).scaleb(-(total.scale or 0)) if total else Decimal(0)
    scale = 10**planner.places
    stats = PlanStats(
        showing=writes.count_showing(connection),
        changed=tally.changed,
        cleared=tally.cleared,
        shown_total=int(shown * scale),
        planned_total=int((shown - tally.decrease) * scale),
    )
    plan.verdict = judge_plan(stats, planner.mapping.write_back.limits)
    return plan
