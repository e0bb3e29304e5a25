"""What finding a reference asks the mirror: who is a reference customer, what a deal needs, whose group is whose."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import sqlalchemy as sa

from app.domain.hierarchy import ultimate_parents
from app.domain.permission_events import PERMISSION_GRANTED
from app.domain.reference_events import Profile
from app.store.evidence import stage_asked
from app.store.staging import LIVE, stage_ids
from app.store.value_rows import load_survivor

_LIVE_DEAL = "o.is_deleted = 0"


@dataclass(frozen=True, slots=True)
class Deal:
    """An opportunity somebody needs a reference for. `account_id`: who may buy, merges followed."""

    id: str
    name: str
    account_id: str | None
    product: str | None
    is_won: bool
    is_closed: bool
    close_on: str | None

    @property
    def result(self) -> bool | None:
        return self.is_won if self.is_closed else None


@dataclass(frozen=True, slots=True)
class Firm:
    """What the CRM knows of an account. `products`: what it bought so far."""

    id: str
    name: str
    industry: str | None = None
    employees: int | None = None
    region: str | None = None
    products: tuple[str, ...] = ()

    @property
    def profile(self) -> Profile:
        size = self.employees if self.employees and self.employees > 0 else None
        return Profile(self.industry or None, self.products, size=size, regions=(self.region,) if self.region else ())


@dataclass(frozen=True, slots=True)
class OpenDeal:
    """For a list to choose from. `home_amount`: minor units of the reporting currency."""

    id: str
    name: str
    account_id: str | None
    account_name: str
    home_amount: int | None
    close_on: str | None


def load_reference_accounts(connection: sa.Connection, types: Collection[str]) -> list[str]:
    """The accounts with a verified event of these types: live ones, merges followed, by id."""
    query = sa.text(
        "select distinct a.id, a.merged_into_id from advocacy_event e join account a on a.id = e.account_id"
        " where e.status = 'verified' and e.type in :types"
    ).bindparams(sa.bindparam("types", expanding=True))
    found = {
        load_survivor(connection, row[0]) if row[1] else row[0]
        for row in connection.execute(query, {"types": sorted(types)})
    }
    return sorted(set(load_firms(connection, found, live=True)))


def load_granted(connection: sa.Connection, scope: str) -> set[str]:
    """The accounts, merges followed, with a verified consent that names the scope, whatever became of it since.

    Nobody else can have one that holds: a consent names its scopes by their codes, and they are stored as such.
    """
    query = sa.text(
        "select distinct a.id, a.merged_into_id from advocacy_event e join account a on a.id = e.account_id"
        " where e.status = 'verified' and e.type = :type and e.attributes like :scope escape '!'"
    )
    given = {"type": PERMISSION_GRANTED, "scope": f'%"{scope.replace("_", "!_")}"%'}
    rows = connection.execute(query, given)
    return {load_survivor(connection, row[0]) if row[1] else row[0] for row in rows}


def load_firms(connection: sa.Connection, ids: Collection[str], *, live: bool = False) -> dict[str, Firm]:
    """Account id -> what is known of it, for those we hold. `live`: without deleted and merged ones.

    What an account bought that was merged into another, the other one has.
    """
    stage_asked(connection, ids)
    only = f" where {LIVE}" if live else ""
    rows = connection.exec_driver_sql(
        "select a.id, a.name, a.industry, a.employees, a.region from s_asked q join account a on a.id = q.id" + only
    ).fetchall()
    products: dict[str, set[str]] = defaultdict(set)
    for account, product in connection.exec_driver_sql(
        "select distinct m.owner_id, o.product from s_member m join opportunity o on o.account_id = m.account_id"
        f" where {_LIVE_DEAL} and o.is_won = 1 and o.is_closed = 1 and o.product is not null"
    ):
        products[account].add(product)
    return {row[0]: Firm(row[0], row[1], row[2], row[3], row[4], tuple(sorted(products[row[0]]))) for row in rows}


def load_groups(connection: sa.Connection, ids: Collection[str]) -> dict[str, str]:
    """Account id -> the ultimate parent of its group, merged parents followed; of a circle the smallest id in it."""
    parents: dict[str, str] = {}
    ahead = set(ids)
    seen: set[str] = set()
    while ahead:
        seen |= ahead
        stage_ids(connection, "s_child", ahead)
        above = connection.exec_driver_sql(
            "select q.id, a.parent_id, p.merged_into_id from s_child q join account a on a.id = q.id"
            " left join account p on p.id = a.parent_id where a.parent_id is not null"
        ).fetchall()
        for child, parent, merged in above:
            survivor = load_survivor(connection, parent) if merged else parent
            if survivor != child:
                parents[child] = survivor
        ahead = {parents[child] for child, _, _ in above if child in parents} - seen
    tops = ultimate_parents(parents)
    return {id_: tops.get(id_, id_) for id_ in ids}


def load_deal(connection: sa.Connection, deal_id: str) -> Deal | None:
    row = connection.execute(
        sa.text(
            "select o.id, o.name, o.account_id, o.product, o.is_won, o.is_closed, o.close_on from opportunity o"
            f" where o.id = :id and {_LIVE_DEAL}"
        ),
        {"id": deal_id},
    ).first()
    if row is None:
        return None
    account = load_survivor(connection, row[2]) if row[2] else None
    return Deal(row[0], row[1], account, row[3], bool(row[4]), bool(row[5]), row[6])


def find_deals(connection: sa.Connection, text: str, limit: int) -> list[OpenDeal]:
    """The opportunities whose name is `text`, or failing that, contains it; case does not matter. Open ones first."""
    escaped = text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    for pattern in (escaped, f"%{escaped}%"):
        found = _deals(
            connection,
            "lower(o.name) like lower(:pattern) escape '!' order by o.is_closed, o.name, o.id",
            {"pattern": pattern},
            limit,
        )
        if found:
            return found
    return []


def list_open_deals(connection: sa.Connection, limit: int) -> list[OpenDeal]:
    """The largest open opportunities."""
    return _deals(connection, "o.is_closed = 0 order by coalesce(o.home_amount, -1) desc, o.id", {}, limit)


def _deals(connection: sa.Connection, where: str, given: dict[str, str], limit: int) -> list[OpenDeal]:
    rows = connection.execute(
        sa.text(
            "select o.id, o.name, o.account_id, coalesce(a.name, ''), o.home_amount, o.close_on"
            " from opportunity o left join account a on a.id = o.account_id"
            f" where {_LIVE_DEAL} and {where} limit :limit"
        ),
        {**given, "limit": limit},
    )
    return [OpenDeal(*row) for row in rows]


def load_roles(connection: sa.Connection, deal_id: str) -> tuple[str, ...]:
    """The roles of the people in a deal, by name."""
    rows = connection.execute(
        sa.text(
            "select distinct role from contact_role"
            " where opportunity_id = :id and is_deleted = 0 and role is not null and role <> ''"
        ),
        {"id": deal_id},
    )
    return tuple(sorted(row[0] for row in rows))


def load_results(connection: sa.Connection, deal_ids: Iterable[str]) -> dict[str, bool | None]:
    """Opportunity id -> whether it was won; None while it is open; absent where we do not hold it."""
    stage_ids(connection, "s_deal", set(deal_ids))
    rows = connection.exec_driver_sql(
        "select o.id, o.is_won, o.is_closed from s_deal q join opportunity o on o.id = q.id where o.is_deleted = 0"
    )
    return {row[0]: bool(row[1]) if row[2] else None for row in rows}
