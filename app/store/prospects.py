"""What accounts are like, for comparing prospects in the open funnel with customers who need us."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import NamedTuple

import sqlalchemy as sa

from app.store.evidence import stage_asked
from app.store.staging import LIVE, stage_ids

_OPEN = "o.is_closed = 0 and o.is_deleted = 0 and o.account_id is not null"


class LikenessRow(NamedTuple):
    """An account as the CRM describes it. `pipeline`: open deals by their probability, in minor units."""

    id: str
    name: str
    industry: str | None
    employees: int | None
    region: str | None
    pipeline: int


def load_prospects(connection: sa.Connection) -> list[str]:
    """The live accounts with an open deal that never bought anything and hold no licence, by id; merges followed."""
    rows = connection.exec_driver_sql(
        f"{_survivors(f'select o.account_id from opportunity o where {_OPEN}')} select a.id from account a"
        " left join account_value v on v.account_id = a.id left join account_standing s on s.account_id = a.id"
        " where a.id in (select id from up where next_id is null) and a.is_deleted = 0"
        " and coalesce(v.direct, 0) <= 0 and coalesce(s.is_customer, 0) = 0 order by a.id"
    )
    return [row[0] for row in rows]


def load_likeness(connection: sa.Connection, account_ids: Collection[str]) -> list[LikenessRow]:
    """The live ones among some accounts, by id."""
    stage_ids(connection, "s_asked", account_ids)
    rows = connection.exec_driver_sql(
        "select a.id, a.name, a.industry, a.employees, a.region, coalesce(v.pipeline, 0)"
        " from s_asked q join account a on a.id = q.id left join account_value v on v.account_id = a.id"
        f" where {LIVE} order by a.id"
    )
    return [LikenessRow(*row) for row in rows]


def load_products(connection: sa.Connection, account_ids: Collection[str]) -> dict[str, list[str]]:
    """Account id -> the products of its deals: of won ones, and of those still open."""
    stage_asked(connection, account_ids)
    rows = connection.exec_driver_sql(
        "select distinct m.owner_id, o.product from s_member m join opportunity o on o.account_id = m.account_id"
        " where o.product is not null and o.is_deleted = 0 and (o.is_won = 1 or o.is_closed = 0)"
        " order by m.owner_id, o.product"
    )
    found: defaultdict[str, list[str]] = defaultdict(list)
    for account, product in rows:
        found[account].append(product)
    return dict(found)


def load_told(connection: sa.Connection, types: Collection[str]) -> list[str]:
    """The accounts, as they live on, with a verified event of one of these types; by id."""
    rows = connection.execute(
        sa.text(
            _survivors("select account_id from advocacy_event where type in :types and status = 'verified'")
            + " select distinct id from up where next_id is null order by id"
        ).bindparams(sa.bindparam("types", expanding=True)),
        {"types": sorted(types)},
    )
    return [row[0] for row in rows]


def _survivors(accounts: str) -> str:
    """`up`: some accounts, and what each was merged into, on and on; those with no `next_id` live on."""
    return (
        "with recursive up (id, next_id) as ("
        f" select a.id, a.merged_into_id from account a where a.id in ({accounts})"
        " union select a.id, a.merged_into_id from up join account a on a.id = up.next_id)"
    )
