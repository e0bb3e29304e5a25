"""The sums per account as they are stored, or staged for another day: read for people and plans."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.domain.hierarchy import canonical_ids
from app.domain.model import Issue
from app.store.staging import LIVE, PRICED, SOLD, stage_ids
from app.store.values import MEASURES


class ValueRow(NamedTuple):
    """One account with its stored (or staged) value. Money in minor units."""

    account_id: str
    name: str
    shown: str
    """Canonical JSON: measure -> text as the CRM shows it."""
    written: str | None
    """The same of what we wrote last; None where we never did."""
    currency: str | None
    """The currency of the record in the CRM, where it keeps one."""
    rank: int | None
    issues: str
    policy_version: str
    money: dict[str, int]


_SELECT = (
    "select a.id as id, a.name as name, a.shown, a.written, a.currency, {rank} as place,"
    " coalesce(v.issues, '') as issues, {policy}, "
    + ", ".join(f"coalesce(v.{m}, 0) as {m}" for m in MEASURES)
    + " from account a {join} join {table} v on v.account_id = a.id"
)
_IS_LIVE = f"case when {LIVE} then 1 else 0 end"
# Who is merged in a circle takes nobody's place: it is told the one that it would have.
_PLACE = f"sum({_IS_LIVE}) over (order by coalesce(v.total, 0) desc, a.id rows unbounded preceding) + 1 - {_IS_LIVE}"
_IN_CIRCLE = f"v.issues like '%{Issue.MERGE_CYCLE}%'"
"""SQL: the account is one of those that are merged into each other: none is live, and one has the money of all."""


def _value_row(row: Sequence[Any]) -> ValueRow:
    account, name, shown, written, currency, rank, issues, policy, *money = row
    return ValueRow(
        account, name, shown, written, currency, rank, issues, policy, dict(zip(MEASURES, money, strict=True))
    )


def _query(*, staged: bool, everybody: bool, rank: str | None = None) -> str:
    table, kept, policy = "account_value", "v.rank", "coalesce(v.policy_version, '')"
    if staged:
        table, kept, policy = "s_value", "null", "''"
    return _SELECT.format(table=table, rank=rank or kept, policy=policy, join="left" if everybody else "")


SORTS = ("name", *MEASURES)


def load_values(
    connection: sa.Connection,
    *,
    sort: str,
    top: int | None,
    everybody: bool,
    staged: bool = False,
    after: tuple[str | int, str] | None = None,
) -> list[ValueRow]:
    """Accounts by a measure, highest first, ties by id, each with its place by total. `sort`: one of SORTS.

    `everybody`: also those that are worth nothing or merged in a circle. `after`: only what follows an account of this
    value and id.
    """
    worth = " or ".join(f"v.{m} <> 0" for m in MEASURES)
    which = f"({LIVE}) or {_IN_CIRCLE}" if everybody else f"{LIVE} and ({worth})"
    order = "name, id" if sort == "name" else f"{sort} desc, id"
    inner = _query(staged=staged, everybody=everybody, rank=_PLACE) + f" where {which}"
    limit = "" if top is None else f" limit {int(top)}"
    beyond, given = "", dict[str, str | int]()
    if after is not None:
        further = ">" if sort == "name" else "<"
        beyond = f" where {sort} {further} :value or ({sort} = :value and id > :id)"
        given = {"value": after[0], "id": after[1]}
    query = sa.text(f"select * from ({inner}) x{beyond} order by {order}{limit}")
    return [_value_row(row) for row in connection.execute(query, given)]


def load_named(connection: sa.Connection, account_ids: Collection[str], *, staged: bool = False) -> list[ValueRow]:
    """The live ones of some accounts by id, worth anything or not; without a place, for that takes a look at all."""
    stage_ids(connection, "s_asked", account_ids)
    query = _query(staged=staged, everybody=True, rank="null").replace(
        "from account a", "from s_asked q join account a on a.id = q.id"
    )
    return [_value_row(row) for row in connection.exec_driver_sql(f"{query} where {LIVE} order by a.id")]


def load_value(connection: sa.Connection, account_id: str, *, staged: bool = False) -> ValueRow | None:
    """One account, whatever its state, with its place by total among the live ones."""
    row = connection.execute(
        sa.text(_query(staged=staged, everybody=True) + " where a.id = :id"), {"id": account_id}
    ).first()
    if row is None:
        return None
    found = _value_row(row)
    return found._replace(rank=_place(connection, found, staged=staged))


def _place(connection: sa.Connection, row: ValueRow, *, staged: bool) -> int:
    ahead = sa.text(
        f"select count(*) from {'s_value' if staged else 'account_value'} v join account a on a.id = v.account_id"
        f" where {LIVE} and (v.total > :total or (v.total = :total and v.account_id < :id))"
    )
    given = {"total": row.money["total"], "id": row.account_id}
    return 1 + int(connection.execute(ahead, given).scalar_one())


def load_survivor(connection: sa.Connection, account_id: str) -> str:
    """The account that a merged one lives on in, of a circle the smallest id; any other id as it is."""
    winner = sa.text("select merged_into_id from account where id = :id")
    merged: dict[str, str] = {}
    at = account_id
    while at not in merged and (found := connection.execute(winner, {"id": at}).scalar()) is not None:
        merged[at] = found
        at = found
    return canonical_ids(merged).get(account_id, account_id)


def find_accounts(connection: sa.Connection, text: str, limit: int) -> list[tuple[str, str]]:
    """(id, name) of the live accounts whose name is `text`, or failing that, contains it; case does not matter."""
    for pattern in (_escaped(text), f"%{_escaped(text)}%"):
        rows = connection.execute(
            sa.text(
                "select a.id, a.name from account a where lower(a.name) like lower(:pattern) escape '!'"
                f" and {LIVE} order by a.name, a.id limit :limit"
            ),
            {"pattern": pattern, "limit": limit},
        ).fetchall()
        if rows:
            return [(row[0], row[1]) for row in rows]
    return []


def _escaped(text: str) -> str:
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")


def stream_planned(connection: sa.Connection, *, only_dirty: bool) -> Iterator[list[ValueRow]]:
    """The accounts a plan has to look at, by id, in pages; a quiet night looks at nothing, whatever the size."""
    query = _query(staged=False, everybody=True)
    # Where a page begins is said of both tables: PostgreSQL would read the values before it once more for each page.
    query = query.replace("on v.account_id = a.id", "on v.account_id = a.id and v.account_id > :last")
    if only_dirty:
        query = query.replace("from account a", "from dirty d join account a on a.id = d.id")
        query += f" where d.kind = 'plan' and {LIVE} and d.id > :last order by d.id limit 2000"
    else:
        query += f" where {LIVE} and a.id > :last order by a.id limit 2000"
    last = ""
    while rows := connection.execute(sa.text(query), {"last": last}).fetchall():
        yield [_value_row(row) for row in rows]
        last = str(rows[-1][0])


def count_unknown(connection: sa.Connection) -> dict[str, int]:
    """What names something that we do not hold: a wrong id, a filter of the mapping, a missing right, or too early."""
    queries = {
        "account_unknown": "select count(*) from account_value v"
        " where v.direct <> 0 and not exists (select 1 from account a where a.id = v.account_id)",
        "event_account_unknown": "select count(*) from advocacy_event e where e.type = 'referral'"
        " and e.status = 'verified' and not exists (select 1 from account a where a.id = e.account_id)",
        "milestone_names_nothing": "select count(*) from advocacy_event m where m.referral_id is not null"
        " and m.status = 'verified' and not exists (select 1 from advocacy_event r where r.event_id = m.referral_id)",
    }
    counts = {code: int(connection.exec_driver_sql(query).scalar_one()) for code, query in queries.items()}
    return {code: count for code, count in counts.items() if count}


@dataclass(frozen=True, slots=True)
class PortfolioRow:
    direct: int
    referred: int
    overlap: int
    conserved: int
    accounts: int
    unassigned: int
    """Won money of opportunities without an account: part of the company's revenue, nobody's value."""


def load_portfolio(connection: sa.Connection, as_of: str) -> PortfolioRow:
    sums = connection.exec_driver_sql(
        "select coalesce(sum(direct), 0), coalesce(sum(referred), 0), coalesce(sum(conserved), 0), count(*)"
        " from account_value where direct <> 0 or referred <> 0"
    ).one()
    unassigned = connection.execute(
        sa.text(
            "select coalesce(sum(o.home_amount), 0) from opportunity o where "
            + f"{SOLD} and {PRICED}".replace("o.account_id is not null", "o.account_id is null")
        ),
        {"as_of": as_of},
    ).scalar_one()
    direct, referred, conserved, accounts = (int(x) for x in sums)
    return PortfolioRow(direct, referred, direct + referred - conserved, conserved, accounts, int(unassigned))
