"""Why values changed: the ledger at two runs, explained part by part, for one account or for all of them.

Both runs are read from stored lines; nothing is computed again. What an account was worth at a run is the sum of the
lines valid then, so the parts always lead from the one to the other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.causes import MEANING, SPLIT, Cause, Change, Part
from app.domain.model import Measure
from app.domain.money import major_units
from app.domain.rows import Entity
from app.domain.why import changes_of, measures_of
from app.errors import ConfigError
from app.store import history, value_rows
from app.store.connection import Connection
from app.store.statuses import load_changes
from app.sync.comparison import (
    Comparison,
    RunMark,
    Since,
    compare_runs,
    explain_between,
    find_last,
    find_run,
    find_since,
    read_since,
)
from app.sync.services import Services

__all__ = [
    "AccountDelta", "CauseSum", "ChangeExplanation", "ChangePart", "RunMark", "RunsDiff", "Since", "diff_runs",
    "explain_change", "read_since",
]  # fmt: skip

SUMMABLE = (Measure.DIRECT, Measure.REFERRED, Measure.NETWORK, Measure.INFLUENCE, "conserved")
"""What may be added up over accounts; totals never."""


@dataclass(frozen=True, slots=True)
class ChangePart:
    """One reason why an account's measures moved. Money in major units; every measure is there, zero or not."""

    cause: str
    meaning: str
    amounts: Mapping[str, Decimal]
    opportunity: str | None = None
    opportunity_name: str = ""
    opportunity_url: str = ""
    event: str | None = None
    event_title: str | None = None
    """What kind of event it was, where it has no title; None for a refund, which is no advocacy event."""
    occurred_on: str | None = None
    decision: str | None = None
    """What became of the event meanwhile: `claimed -> verified by ann on 2026-03-02: they confirmed it`."""


@dataclass(frozen=True, slots=True)
class ChangeExplanation:
    """`after - before == change`, and the parts add up to `change`, exactly, in every measure."""

    id: str
    name: str
    currency: str
    since: RunMark
    until: RunMark
    before: Mapping[str, Decimal]
    after: Mapping[str, Decimal]
    change: Mapping[str, Decimal]
    parts: tuple[ChangePart, ...]
    policy: tuple[str, ...] = ()
    """What is different in the policy: `split: equal -> first`."""

    def as_json(self) -> dict[str, Any]:
        """Every field; money as decimal text, moments as ISO text."""
        return _plain_fields(self)


@dataclass(frozen=True, slots=True)
class CauseSum:
    """What one cause did to all accounts together, and how many it moved."""

    cause: str
    meaning: str
    accounts: int
    amounts: Mapping[str, Decimal]


@dataclass(frozen=True, slots=True)
class AccountDelta:
    """How far one account moved, and why, the strongest cause first."""

    id: str
    name: str
    change: Mapping[str, Decimal]
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RunsDiff:
    """Two runs of the whole company. `accounts`: those that moved, the biggest move of the total first."""

    currency: str
    since: RunMark
    until: RunMark
    before: Mapping[str, Decimal]
    after: Mapping[str, Decimal]
    change: Mapping[str, Decimal]
    causes: tuple[CauseSum, ...]
    accounts: tuple[AccountDelta, ...]
    policy: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Every field; money as decimal text, moments as ISO text."""
        return _plain_fields(self)


def _plain_fields(record: Any) -> dict[str, Any]:
    return {one.name: _plain(getattr(record, one.name)) for one in fields(record)}


def _plain(value: object) -> object:
    if is_dataclass(value):
        return _plain_fields(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return format(value, "f") if isinstance(value, Decimal) else _moment(value)


def _moment(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def explain_change(services: Services, account_id: str, since: Since) -> ChangeExplanation:
    """Split the difference between what an account was worth then and what it is worth now.

    Raises ConfigError for an account or a run that does not exist, and where the two cannot be compared.
    """
    with services.database.read() as connection:
        account = value_rows.load_value(connection, value_rows.load_survivor(connection, account_id))
        if account is None:
            raise ConfigError(f"no account has the id {account_id}", hint="list them with: advocacy accounts --all")
        comparison = compare_runs(services, connection, find_since(connection, since), find_last(connection))
        before, after, found = changes_between(connection, comparison, account.account_id)
        told = _Teller(services, connection, comparison).tell(found)
    money = comparison.money
    change = {measure: after[measure] - before[measure] for measure in after}
    return ChangeExplanation(
        account.account_id, account.name, comparison.currency, comparison.since, comparison.until,
        money(before), money(after), money(change), tuple(told), comparison.policy,
    )  # fmt: skip


def changes_between(
    connection: Connection, comparison: Comparison, account_id: str
) -> tuple[dict[str, int], dict[str, int], list[Change]]:
    """One account's measures at two runs, in minor units, and its changes, which add up to the difference."""
    absorbed = [one for one, winner in comparison.survivors.items() if winner == account_id]
    mine = [account_id, *absorbed]
    parts = [one for one in explain_between(connection, comparison, mine) if one.account_id == account_id]
    before, after = (
        measures_of(history.load_sums(connection, run, account_id), include=include)
        for run, include in zip(comparison.run_ids, comparison.includes, strict=True)
    )
    found = changes_of(parts, influence_before=before[Measure.INFLUENCE], includes=comparison.includes)
    return before, after, found


def diff_runs(services: Services, a: int, b: int) -> RunsDiff:
    """Compare two runs, the earlier one first: every account that moved, and what the causes add up to.

    Raises ConfigError for a run that does not exist or valued nothing, and where the two cannot be compared.
    """
    if a > b:
        raise ConfigError(f"run {a} comes after run {b}", hint=f"advocacy runs diff {b} {a}")
    with services.database.read() as connection:
        comparison = compare_runs(services, connection, find_run(connection, a), find_run(connection, b))
        tally = _Tally(includes=comparison.includes)
        for part in explain_between(connection, comparison, None):
            tally.add(part)
        if comparison.includes[0] != comparison.includes[1]:
            tally.restate(history.load_influence(connection, comparison.since.run_id))
        before, after = (_portfolio(history.load_sums(connection, run)) for run in comparison.run_ids)
        deltas = tally.deltas()
        names = history.load_names(connection, "account", [account for account, *_ in deltas])
    money = comparison.money
    return RunsDiff(
        comparison.currency, comparison.since, comparison.until, money(before), money(after),
        money({measure: after[measure] - before[measure] for measure in after}),
        tuple(CauseSum(c, MEANING[c], count, money(sums)) for c, count, sums in tally.causes()),
        tuple(AccountDelta(one, names.get(one, ""), money(sums), causes) for one, sums, causes in deltas),
        comparison.policy,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Teller:
    """Turns changes into what a person reads."""

    services: Services
    connection: Connection
    comparison: Comparison

    def tell(self, found: Sequence[Change]) -> Iterator[ChangePart]:
        deals = {one.opportunity_id for one in found if one.opportunity_id}
        names = history.load_names(self.connection, "opportunity", deals)
        events = {one.event_id for one in found if one.event_id}
        titles = history.load_event_titles(self.connection, events)
        decisions = self._decisions(events)
        return (self._part(one, names, titles, decisions.get(one.event_id or "")) for one in found)

    def _decisions(self, events: Collection[str]) -> dict[str, str]:
        """Event -> the last change of its status since the earlier run."""
        zone = ZoneInfo(self.services.mapping.policy.time_zone)
        return {
            one.event_id: f"{one.was} -> {one.status} by {one.who} on {one.at.astimezone(zone).date()}"
            + (f": {one.reason}" if one.reason else "")
            for one in load_changes(self.connection, events)
            if one.at >= self.comparison.since.started_at
        }

    def _part(
        self,
        one: Change,
        names: Mapping[str, str],
        titles: Mapping[str, tuple[str, str | None, str]],
        decision: str | None,
    ) -> ChangePart:
        section = self.services.mapping.entities.get(Entity.OPPORTUNITY)
        kind, title, day = titles.get(one.event_id or "", (None, None, None))
        deal = one.opportunity_id
        return ChangePart(
            cause=one.cause,
            meaning=MEANING[one.cause],
            amounts={measure: major_units(amount, self.comparison.places) for measure, amount in one.amounts.items()},
            opportunity=deal,
            opportunity_name=names.get(deal or "", ""),
            opportunity_url=self.services.record_url(section.object, deal) if section and deal else "",
            event=one.event_id,
            event_title=title or kind,
            occurred_on=day,
            decision=decision,
        )


class _Tally:
    """Parts of many accounts, added up as they come."""

    def __init__(self, includes: tuple[bool, bool]) -> None:
        self._includes = includes
        self._sums: defaultdict[tuple[str, Cause], Counter[str]] = defaultdict(Counter)
        self._restated: dict[str, int] = {}

    def add(self, part: Part) -> None:
        self._sums[part.account_id, part.cause][part.measure] += part.amount

    def restate(self, influence: Mapping[str, int]) -> None:
        """Influence entered or left the total by the policy."""
        sign = 1 if self._includes[1] else -1
        self._restated = {account: sign * amount for account, amount in influence.items() if amount}

    def causes(self) -> list[tuple[Cause, int, dict[str, int]]]:
        """(cause, accounts moved, summable measures), the biggest cause first."""
        sums: defaultdict[Cause, Counter[str]] = defaultdict(Counter)
        moved: defaultdict[Cause, set[str]] = defaultdict(set)
        for (account, cause), found in self._sums.items():
            if any(found.values()):
                moved[cause].add(account)
                sums[cause].update(measures_of({m: found[m] for m in SPLIT}, include=False))
        for account in self._restated:
            moved[Cause.POLICY].add(account)
        rows = [(cause, len(moved[cause]), {m: sums[cause][m] for m in SUMMABLE}) for cause in moved]
        return sorted(rows, key=lambda row: (-max(map(abs, row[2].values())), row[0]))

    def deltas(self) -> list[tuple[str, dict[str, int], tuple[str, ...]]]:
        """(account, how far each measure moved, causes), the biggest move of the total first."""
        by_account: defaultdict[str, list[tuple[Cause, dict[str, int]]]] = defaultdict(list)
        for (account, cause), found in self._sums.items():
            by_account[account].append((cause, self._measures(found)))
        for account, amount in self._restated.items():
            by_account[account].append((Cause.POLICY, {**self._measures(Counter()), "total": amount}))
        rows = [(account, *_add_up(found)) for account, found in by_account.items()]
        return sorted((row for row in rows if any(row[1].values())), key=_biggest_first)

    def _measures(self, sums: Counter[str]) -> dict[str, int]:
        return measures_of({measure: sums[measure] for measure in SPLIT}, include=self._includes[1])


def _add_up(found: Iterable[tuple[Cause, dict[str, int]]]) -> tuple[dict[str, int], tuple[str, ...]]:
    sums: Counter[str] = Counter()
    strength: Counter[Cause] = Counter()
    for cause, amounts in found:
        sums.update(amounts)
        strength[cause] += max(map(abs, amounts.values()))
    causes = sorted((cause for cause in strength if strength[cause]), key=lambda cause: (-strength[cause], cause))
    return dict(sums), tuple(causes)


def _biggest_first(row: tuple[str, Mapping[str, int], object]) -> tuple[int, int, str]:
    account, amounts, _ = row
    return -abs(amounts["total"]), -max(map(abs, amounts.values())), account


def _portfolio(sums: Mapping[str, int]) -> dict[str, int]:
    """Only what may be added up over accounts."""
    measures = measures_of(sums, include=False)
    return {measure: measures[measure] for measure in SUMMABLE}
