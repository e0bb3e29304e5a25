"""The ledger at two runs: the lines of the opportunities on which anything moved, and what tells the cause.

A line is valid at a run when it was opened by it or before, and not closed by it or before. Only opportunities with
a line that was opened or closed between the two runs are looked at, so the cost follows what changed.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

import sqlalchemy as sa

from app.domain.causes import GIVEN, SPLIT, DealFacts, Entry
from app.domain.hierarchy import canonical_ids
from app.store.bulk import analyze
from app.store.staging import add_ids, create_temp, stage_ids, text_type
from app.store.tables import UtcDateTime

DEALS = 2_000
"""Opportunities explained at a time."""


@dataclass(frozen=True, slots=True)
class Runs:
    """The two runs that are compared, the earlier one first."""

    before: int
    after: int

    def valid_before(self, alias: str) -> str:
        return _valid(alias, self.before)

    def valid_after(self, alias: str) -> str:
        return _valid(alias, self.after)

    def moved(self, alias: str) -> str:
        """SQL: the line was opened or closed between the two."""
        opened, closed = f"{alias}.valid_from_run", f"{alias}.valid_to_run"
        a, b = int(self.before), int(self.after)
        return f"(({opened} > {a} and {opened} <= {b}) or ({closed} > {a} and {closed} <= {b}))"


def _valid(alias: str, run: int) -> str:
    opened, closed = f"{alias}.valid_from_run", f"{alias}.valid_to_run"
    return f"({opened} <= {int(run)} and ({closed} is null or {closed} > {int(run)}))"


@dataclass(frozen=True, slots=True)
class DealLines:
    """All lines of one opportunity at the two runs."""

    opportunity_id: str
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]
    facts: DealFacts


def load_survivors(connection: sa.Connection, runs: Runs) -> dict[str, str]:
    """Account merged between two runs -> its survivor: it had lines at the first and has none at the second."""
    merged = connection.exec_driver_sql("select id, merged_into_id from account where merged_into_id is not null")
    canonical = canonical_ids({row[0]: row[1] for row in merged})
    had = "select 1 from credit_line l where l.account_id = a.id and "
    gone = connection.exec_driver_sql(
        "select a.id from account a where a.merged_into_id is not null"
        f" and exists ({had}{runs.valid_before('l')}) and not exists ({had}{runs.valid_after('l')})"
    ).scalars()
    return {account: canonical[account] for account in gone if account in canonical}


def stage_moved_deals(connection: sa.Connection, runs: Runs, accounts: Collection[str] | None = None) -> None:
    """Fill `s_moved` with the opportunities where a line moved: all, or those that some accounts bought or earn on."""
    create_temp(connection, "s_moved", f"id {text_type(connection)} primary key")
    source, valid = "credit_line l", ""
    if accounts is not None:
        stage_ids(connection, "s_asked", accounts)
        source = (
            "s_asked x join credit_line own on own.account_id = x.id"
            " join credit_line l on l.opportunity_id = own.opportunity_id"
        )
        valid = f" and ({runs.valid_before('own')} or {runs.valid_after('own')})"
    add_ids(connection, "s_moved", f"select l.opportunity_id as id from {source} where {runs.moved('l')}{valid}")
    analyze(connection, "s_moved")


def stream_moved_deals(connection: sa.Connection, runs: Runs) -> Iterator[DealLines]:
    """The opportunities in `s_moved` with their lines, a page of them in memory at a time."""
    page = sa.text("select id from s_moved where id > :last order by id limit :n")
    last = ""
    while ids := list(connection.execute(page, {"last": last, "n": DEALS}).scalars()):
        stage_ids(connection, "s_page", ids)
        facts = _load_facts(connection, runs)
        lines = _load_lines(connection, runs)
        for one in ids:
            yield DealLines(one, *lines.get(one, ((), ())), facts.get(one, DealFacts()))
        last = ids[-1]


_ENTRY = (
    "l.measure, l.account_id, l.opportunity_id, l.buyer_id, l.amount, l.event_id, l.tier, l.share_numerator,"
    " l.share_denominator, l.rule, l.dated_on, l.own_amount, l.own_currency, l.rate"
)


def _load_lines(connection: sa.Connection, runs: Runs) -> dict[str, tuple[tuple[Entry, ...], tuple[Entry, ...]]]:
    before, after = runs.valid_before("l"), runs.valid_after("l")
    rows = connection.exec_driver_sql(
        f"select case when {before} then 1 else 0 end, case when {after} then 1 else 0 end, {_ENTRY}"
        f" from s_page p join credit_line l on l.opportunity_id = p.id where {before} or {after} order by l.line_id"
    )
    found: dict[str, tuple[list[Entry], list[Entry]]] = {}
    for was, is_now, *row in rows:
        entry = _entry(row)
        sides = found.setdefault(entry.opportunity_id, ([], []))
        for counts, side in zip((was, is_now), sides, strict=True):
            if counts:
                side.append(entry)
    return {deal: (tuple(old), tuple(new)) for deal, (old, new) in found.items()}


def _entry(row: Sequence[Any]) -> Entry:
    measure, account, opportunity, buyer, amount, event, tier, numerator, denominator, *rest = row
    return Entry(measure, account, opportunity, buyer, amount, event, tier, Fraction(numerator, denominator), *rest)


def _load_facts(connection: sa.Connection, runs: Runs) -> dict[str, DealFacts]:
    """What the mirror says now of the opportunities in `s_page`; what changed after the later run says nothing."""
    rows = connection.exec_driver_sql(
        "select o.id, o.changed_in, o.close_on, exists (select 1 from opportunity_issue i"
        " where i.opportunity_id = o.id and i.code = 'rate_missing') from s_page p join opportunity o on o.id = p.id"
    )
    return {
        row[0]: DealFacts(
            is_unchanged=row[1] <= runs.before,
            is_changed=runs.before < row[1] <= runs.after,
            is_unpriced=bool(row[3]),
            close_on=row[2],
        )
        for row in rows
    }


@dataclass(frozen=True, slots=True)
class EventFacts:
    """Ids of the events behind the lines. `new`: recorded since. `lost`: gone, or no longer verified.

    `merged`: naming an account that was merged into another.
    """

    new: frozenset[str]
    verified: frozenset[str]
    lost: frozenset[str]
    merged: frozenset[str]


def load_event_facts(connection: sa.Connection, runs: Runs, since: datetime) -> EventFacts:
    """What is known about the events behind the lines of `s_moved`. `since`: when the earlier run began.

    Recorded or verified while that run was going on counts as well, unless the run credited it.
    """
    valid = f"({runs.valid_before('l')} or {runs.valid_after('l')})"
    named = (
        "select distinct l.event_id as id from s_moved m join credit_line l on l.opportunity_id = m.id"
        f" where l.measure <> 'direct' and {valid}"
    )
    create_temp(connection, "s_named", f"id {text_type(connection)} primary key")
    add_ids(connection, "s_named", named)
    uncredited = (
        "not exists (select 1 from credit_line l where l.account_id = e.account_id and l.event_id = e.event_id"
        f" and {runs.valid_before('l')})"
    )
    rows = connection.execute(
        sa.text(
            f"select n.id, case when e.recorded_at >= :since and {uncredited} then 1 else 0 end,"
            f" case when {uncredited} and exists (select 1 from event_status s where s.event_id = e.event_id"
            " and s.status = 'verified' and s.at >= :since) then 1 else 0 end,"
            " case when e.status = 'verified' then 0 else 1 end,"
            " case when doer.merged_into_id is not null or met.merged_into_id is not null then 1 else 0 end"
            " from s_named n left join advocacy_event e on e.event_id = n.id"
            " left join account doer on doer.id = e.account_id"
            " left join account met on met.id = e.referred_account_id"
        ).bindparams(sa.bindparam("since", since, type_=UtcDateTime()))
    ).fetchall()
    new, verified, lost, merged = (frozenset(row[0] for row in rows if row[at]) for at in (1, 2, 3, 4))
    return EventFacts(new, verified, lost, merged)


def load_sums(connection: sa.Connection, run: int, account_id: str | None = None) -> dict[str, int]:
    """What the lines at one run add up to, by measure, `given` included: of one account, or of all together."""
    of, bought = "", ""
    if account_id is not None:
        of = " and l.account_id = :account"
        bought = (
            " and l.buyer_id = :account and l.opportunity_id in (select d.opportunity_id from credit_line d"
            f" where d.account_id = :account and d.measure = 'direct' and {_valid('d', run)})"
        )
    rows = connection.execute(
        sa.text(
            f"select l.measure, sum(l.amount) from credit_line l where {_valid('l', run)}{of} group by l.measure"
            f" union all select '{GIVEN}', coalesce(sum(l.amount), 0) from credit_line l"
            f" where l.measure = 'referred' and {_valid('l', run)}{bought}"
        ),
        {} if account_id is None else {"account": account_id},
    )
    return {**dict.fromkeys(map(str, SPLIT), 0), **{str(row[0]): int(row[1]) for row in rows}}


def load_influence(connection: sa.Connection, run: int) -> dict[str, int]:
    """Account -> influence at a run."""
    rows = connection.exec_driver_sql(
        "select l.account_id, sum(l.amount) from credit_line l"
        f" where l.measure = 'influence' and {_valid('l', run)} group by l.account_id"
    )
    return {row[0]: int(row[1]) for row in rows}


def load_names(connection: sa.Connection, table: str, ids: Collection[str]) -> dict[str, str]:
    """Id -> name, of accounts or opportunities; what is not there is left out."""
    stage_ids(connection, "s_wanted_names", ids)
    rows = connection.exec_driver_sql(f"select t.id, t.name from s_wanted_names n join {table} t on t.id = n.id")
    return {row[0]: row[1] for row in rows}


def load_event_titles(connection: sa.Connection, ids: Collection[str]) -> Mapping[str, tuple[str, str | None, str]]:
    """Event id -> (type, title, day)."""
    stage_ids(connection, "s_wanted_events", ids)
    rows = connection.exec_driver_sql(
        "select e.event_id, e.type, e.title, e.occurred_on from s_wanted_events n"
        " join advocacy_event e on e.event_id = n.id"
    )
    return {row[0]: (row[1], row[2], row[3]) for row in rows}
