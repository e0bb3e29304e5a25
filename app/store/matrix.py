"""The accounts by what our offer and our people are worth to them, as of the last run."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

from app.store.staging import LIVE

_LIVE = (
    " from account_standing s join account a on a.id = s.account_id left join account_value v on v.account_id = a.id"
    f" where {LIVE}"
)


_RATED = " and (s.offer_level is not null or s.personal_level is not null)"


class CellRow(NamedTuple):
    """One account of a cell. `rep`: its owner in the CRM; `total`: in minor units."""

    id: str
    name: str
    rep: str | None
    total: int


def count_cells(connection: sa.Connection, rep: str | None = None) -> dict[tuple[int | None, int | None], int]:
    """(offer level, personal level) -> live accounts; whoever was rated on neither scale is left out.

    `rep`: only the accounts of this owner.
    """
    query = f"select s.offer_level, s.personal_level, count(*){_LIVE}{_RATED}{_of(rep)}"
    rows = connection.execute(sa.text(f"{query} group by s.offer_level, s.personal_level"), _given(rep))
    return {(offer, personal): int(count) for offer, personal, count in rows}


def load_cell(
    connection: sa.Connection, offer: int | None, personal: int | None, top: int, rep: str | None = None
) -> list[CellRow]:
    """The live accounts of one cell, None standing for not rated: the most valuable first, then by id."""
    place = "".join(
        f" and s.{name} is null" if level is None else f" and s.{name} = {level:d}"
        for name, level in (("offer_level", offer), ("personal_level", personal))
    )
    query = f"select a.id, a.name, a.owner_id, coalesce(v.total, 0){_LIVE}{_RATED}{place}{_of(rep)}"
    rows = connection.execute(
        sa.text(f"{query} order by coalesce(v.total, 0) desc, a.id limit :top"), {**_given(rep), "top": top}
    )
    return [CellRow(*row) for row in rows]


def load_owners(connection: sa.Connection) -> list[str]:
    """The owners of rated accounts, by id."""
    rows = connection.exec_driver_sql(f"select distinct a.owner_id{_LIVE}{_RATED} and a.owner_id is not null")
    return sorted(rows.scalars())


def _of(rep: str | None) -> str:
    return "" if rep is None else " and a.owner_id = :rep"


def _given(rep: str | None) -> dict[str, str | int]:
    return {} if rep is None else {"rep": rep}
