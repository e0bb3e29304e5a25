"""Whom representatives call: their customers, since when they are customers, and who answers the phone there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.store.evidence import stage_asked
from app.store.staging import LIVE, SOLD, stage_ids

BUYER_ROLES = ("buyer", "economic buyer", "economic decision maker", "decision maker", "business user")
"""Roles of a contact in a deal that make it the one to call, best first; lower case."""
_CUSTOMER = (
    " from account a left join account_value v on v.account_id = a.id"
    " left join account_engagement e on e.account_id = a.id left join account_standing s on s.account_id = a.id"
    f" where {LIVE} and (v.direct > 0 or s.is_customer = 1)"
)


class CustomerRow(NamedTuple):
    """A live account that has bought something, or holds a licence. Money in minor units; `rep`: its owner."""

    id: str
    name: str
    rep: str | None
    direct: int
    referred: int
    total: int
    percentile: int | None


def load_customers(
    connection: sa.Connection, *, rep: str | None = None, account_ids: Collection[str] | None = None
) -> list[CustomerRow]:
    """Customers by id: all of them, those of one representative, or those among some ids."""
    query = (
        "select a.id, a.name, a.owner_id, coalesce(v.direct, 0), coalesce(v.referred, 0), coalesce(v.total, 0),"
        f" e.percentile{_CUSTOMER}"
    )
    given: dict[str, Any] = {}
    if rep is not None:
        query += " and a.owner_id = :rep"
        given["rep"] = rep
    if account_ids is not None:
        stage_ids(connection, "s_asked", account_ids)
        query += " and a.id in (select id from s_asked)"
    return [CustomerRow(*row) for row in connection.execute(sa.text(query + " order by a.id"), given)]


def load_reps(connection: sa.Connection) -> list[str | None]:
    """The owners of customers by id; None last, where a customer has none."""
    found = {row[0] for row in connection.exec_driver_sql(f"select distinct a.owner_id{_CUSTOMER}")}
    return sorted(found, key=lambda rep: (rep is None, rep or ""))


def load_first_sales(connection: sa.Connection, account_ids: Collection[str]) -> dict[str, date]:
    """Account id -> the close of its first won sale, those of accounts merged into it included."""
    stage_asked(connection, account_ids)
    rows = connection.execute(
        sa.text(
            "select m.owner_id, min(o.close_on) from s_member m join opportunity o on o.account_id = m.account_id"
            f" where {SOLD} group by m.owner_id"
        ),
        {"as_of": date.max.isoformat()},
    )
    return {account: date.fromisoformat(day) for account, day in rows}


def load_buyer_contacts(connection: sa.Connection, account_ids: Collection[str]) -> dict[str, list[tuple[str, str]]]:
    """Account id -> (contact id, its role as the CRM has it): the best buying role first, then the latest deal."""
    stage_asked(connection, account_ids)
    rank = " ".join(f"when '{role}' then {place}" for place, role in enumerate(BUYER_ROLES))
    rows = connection.exec_driver_sql(
        "select m.owner_id, r.contact_id, r.role from s_member m join opportunity o on o.account_id = m.account_id"
        " join contact_role r on r.opportunity_id = o.id"
        f" where o.is_deleted = 0 and r.is_deleted = 0 and case lower(r.role) {rank} end is not null"
        f" order by m.owner_id, case lower(r.role) {rank} end, coalesce(o.close_on, '') desc, o.id desc, r.contact_id"
    )
    found: defaultdict[str, list[tuple[str, str]]] = defaultdict(list)
    for account, contact, role in rows:
        found[account].append((contact, role))
    return dict(found)
