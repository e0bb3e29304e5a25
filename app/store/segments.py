"""Where accounts stand among all, and what hangs on them, staged from credit lines and values.

`s_kind`      own revenue by type, corrections among it; of all accounts only where there are any
`s_risk`      own revenue of the accounts that an account brought
`s_engaged`   the accounts to compute again; without it (`touched=False`) all of them
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from functools import partial

import sqlalchemy as sa

from app.domain.model import OpportunityType, Policy
from app.domain.order_statistics import Order, Statistic
from app.domain.segments import Amounts, Orders, Standard, build_orders, shift_orders, shifted_totals, standard_of
from app.domain.standing import GIVEN_TYPES
from app.store.bulk import analyze, load_numbers
from app.store.rates import load_places
from app.store.staging import LIVE, add_ids, create_temp, fill_temp, text_type
from app.store.state import load_flag, save_flag
from app.store.values import CORRECTIONS, KINDS, OWNED, LineSource

CORRECTION = "adjustment"
"""The rule of a direct line that is a refund or correction."""
ORDERS = "segment_orders"
"""State: what the stored quadrants and percentiles were compared with."""
MANY = 2_000
"""So many moved accounts, and more, are not gone through one by one: reading all takes no longer."""

_BUYS = "v.direct > 0 and v.direct >= :high_direct"
_REFERS = "v.referred > 0 and v.referred >= :high_referred"
QUADRANT = (
    "case when a.id is null or v.account_id is null or (v.direct <= 0 and v.referred <= 0) then null"
    f" when {_BUYS} and {_REFERS} then 'champion' when {_BUYS} then 'affluent' when {_REFERS} then 'advocate'"
    " else 'potential' end"
)
"""SQL: `domain.segments.quadrant`."""


def percentile_in(standard: Standard) -> str:
    """SQL: `domain.segments.percentile`. The cuts are few, and to look them up in a table for each account is slow."""
    return f"case when a.id is null or coalesce(v.total, 0) <= 0 then null else {_count_below(standard.cuts)} end"


def _count_below(cuts: Sequence[int], passed: int = 0) -> str:
    """SQL: how many of the ascending cuts the total is above, found by halving."""
    if not cuts:
        return str(passed)
    middle = len(cuts) // 2
    above = _count_below(cuts[middle + 1 :], passed + middle + 1)
    return f"case when v.total > {cuts[middle]} then {above} else {_count_below(cuts[:middle], passed)} end"


def stage_segments(connection: sa.Connection, lines: LineSource, *, touched: bool) -> None:
    """Fill `s_kind` and `s_risk`.

    Of all accounts right after `values.stage_values` of all accounts only: what it summed is used again.
    """
    _stage_kinds(connection, lines, touched=touched)
    _stage_risk(connection, lines, touched=touched)


def _stage_kinds(connection: sa.Connection, lines: LineSource, *, touched: bool) -> None:
    """Own revenue by type. A correction belongs to the type of its opportunity, so that the types sum to `direct`."""
    text = text_type(connection)
    create_temp(connection, "s_kind", f"account_id {text} primary key, {', '.join(f'{name} bigint' for name in KINDS)}")
    create_temp(connection, "s_corrected", f"id {text} primary key")
    current = f"{lines.current('l')} and l.measure = 'direct'"
    if touched:
        source = f"s_engaged t join {lines.table} l on l.account_id = t.id where {current}"
        connection.exec_driver_sql(
            f"insert into s_kind select l.account_id, {_by_kind('l.rule')} from {source} group by 1"
        )
        add_ids(connection, "s_corrected", f"select l.account_id as id from {source} and l.rule = '{CORRECTION}'")
    else:
        # The values were just summed from the same lines.
        corrected = f"from s_earned where {CORRECTIONS} > 0"
        connection.exec_driver_sql(f"insert into s_kind select account_id, {', '.join(KINDS)} {corrected}")
        add_ids(connection, "s_corrected", f"select account_id as id {corrected}")
    connection.exec_driver_sql(
        f"update s_kind set {', '.join(f'{name} = {name} + c.more_{name}' for name in KINDS)} from ("
        f"select l.account_id as id, {_by_kind('o.type', 'more_')} from s_corrected w cross join {lines.table} l"
        f" cross join opportunity o where l.account_id = w.id and o.id = l.opportunity_id and {current}"
        f" and l.rule = '{CORRECTION}' group by l.account_id) c where c.id = s_kind.account_id"
    )
    analyze(connection, "s_kind")


def _by_kind(kind: str, prefix: str = "") -> str:
    """SQL: the sums of `l.amount` for each type of sale, which `kind` tells of a line."""
    return ", ".join(
        f"cast(sum(case when {kind} = '{one}' then l.amount else 0 end) as bigint) as {prefix}direct_{one}"
        for one in OpportunityType
    )


def _stage_risk(connection: sa.Connection, lines: LineSource, *, touched: bool) -> None:
    source = f"s_engaged t join {lines.table} l on l.account_id = t.id" if touched else f"{lines.table} l"
    fill_temp(
        connection,
        "s_risk",
        f"account_id {text_type(connection)}, revenue_at_risk bigint",
        "select s.account_id, cast(sum(v.direct) as bigint) from (select distinct l.account_id, l.buyer_id"
        f" from {source} where {lines.current('l')} and l.measure = 'referred') s"
        f" join {lines.values} v on v.account_id = s.buyer_id group by s.account_id",
        key="account_id",
    )


def standard_in(connection: sa.Connection, orders: Orders, policy: Policy) -> Standard:
    """What accounts are compared with."""
    return standard_of(orders, policy.segments, 10 ** load_places(connection, policy.reporting_currency))


def load_orders(connection: sa.Connection, values: str) -> Orders:
    """From the values of all live accounts."""
    return build_orders(
        load_numbers(
            connection,
            ("v.direct", "v.referred", "v.total"),
            f"{values} v join account a on a.id = v.account_id where {LIVE} and (v.direct > 0 or v.total > 0)",
        )
    )


def load_kept_orders(connection: sa.Connection) -> Orders | None:
    """What the stored quadrants and percentiles were compared with; None where nothing is stored."""
    text = load_flag(connection, ORDERS)
    if text is None:
        return None
    return {
        name: Order(size, tuple(Statistic(*one) for one in statistics))
        for name, (size, statistics) in json.loads(text).items()
    }


def save_orders(connection: sa.Connection, orders: Orders) -> None:
    kept = {name: (order.size, order.statistics) for name, order in orders.items()}
    save_flag(connection, ORDERS, json.dumps(kept))


Moves = Sequence[tuple[Amounts, Amounts]]
"""Old and new amounts of accounts; nothing where they are not live."""


def load_moves(connection: sa.Connection) -> Moves | None:
    """What the staged values will change in the orders; None where that is too much to go through one by one.

    Whoever has a place among all, as stored, was live: the account itself only tells whether it is now.
    """
    amounts = ("direct", "referred", "total")
    before = [f"case when e.quadrant is null and e.percentile is null then 0 else old.{one} end" for one in amounts]
    after = [f"case when a.id is null then 0 else new.{one} end" for one in amounts]
    moved = " or ".join(f"{old} <> {new}" for old, new in zip(before, after, strict=True))
    rows = connection.exec_driver_sql(
        f"select {', '.join((*before, *after))} from s_value new"
        f" left join account a on a.id = new.account_id and {LIVE}"
        " left join account_value old on old.account_id = new.account_id"
        f" left join account_engagement e on e.account_id = old.account_id where {moved} limit {MANY + 1}"
    ).fetchall()
    return None if len(rows) > MANY else [(row[:3], row[3:]) for row in rows]


def shift_kept_orders(connection: sa.Connection, kept: Orders, moves: Moves) -> Orders:
    """The orders after these moves, which are stored: as `load_orders` has them."""
    neighbours = {
        name: partial(_load_neighbours, connection, name, f"v.{member} > 0") for name, member in _MEMBERS.items()
    }
    return shift_orders(kept, moves, neighbours) or load_orders(connection, "account_value")


_MEMBERS = {"direct": "direct", "referred": "direct", "total": "total"}
"""Measure -> the one that is above zero where it counts."""


def _load_neighbours(
    connection: sa.Connection, name: str, member: str, amount: int, upwards: bool, count: int
) -> list[tuple[int, int]]:
    further, order = (">", "asc") if upwards else ("<", "desc")
    rows = connection.execute(
        sa.text(
            f"select v.{name}, count(*) from account_value v join account a on a.id = v.account_id"
            f" where v.{name} {further} :amount and {member} and {LIVE} group by v.{name} order by v.{name} {order}"
            " limit :count"
        ),
        {"amount": amount, "count": count},
    )
    return [(row[0], row[1]) for row in rows]


def stage_engaged(connection: sa.Connection, before: Standard, after: Standard) -> None:
    """Fill `s_engaged`: the touched accounts, whoever brought them, and whoever stands elsewhere in comparison now."""
    create_temp(connection, "s_engaged", f"id {text_type(connection)} primary key")
    add_ids(connection, "s_engaged", "select id from s_touched")
    add_ids(connection, "s_engaged", "select id from dirty where kind = 'engagement'")
    _add_givers(connection)
    add_ids(
        connection,
        "s_engaged",
        f"select l.account_id as id from {OWNED} t cross join opportunity o cross join credit_line l"
        " where o.account_id = t.id and l.opportunity_id = o.id and l.valid_to_run is null and l.measure = 'referred'",
    )
    shifted = " union all ".join(
        f"select account_id as id from account_value where {column} >= {low} and {column} < {high}"
        for column, low, high in _shifted(before, after)
    )
    if shifted:
        add_ids(connection, "s_engaged", shifted)
    analyze(connection, "s_engaged")


def _add_givers(connection: sa.Connection) -> None:
    """Whoever gave a reference for a deal that changed: its record says what became of the deal."""
    types = ", ".join(f"'{code}'" for code in GIVEN_TYPES)
    add_ids(
        connection,
        "s_engaged",
        "select coalesce(c.canonical_id, e.account_id) as id from dirty d cross join advocacy_event e"
        " left join s_canonical c on c.account_id = e.account_id"
        f" where d.kind = 'opportunity' and e.opportunity_id = d.id and e.type in ({types})",
    )


def _shifted(before: Standard, after: Standard) -> Iterator[tuple[str, int, int]]:
    """Measure, and the amounts, from one up to another, that stand elsewhere in comparison."""
    for low, high in shifted_totals(before, after):
        yield "total", low + 1, high + 1
    for name, old, new in (
        ("direct", before.direct, after.direct),
        ("referred", before.referred, after.referred),
    ):
        if old != new:
            yield name, min(old, new), max(old, new)
