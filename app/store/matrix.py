"""The accounts by what our offer and our people are worth to them, as of the last run."""

from __future__ import annotations

from typing import NamedTuple

import sqlalchemy as sa

_LIVE = (
    " from account_standing s join account a on a.id = s.account_id left join account_value v on v.account_id = a.id"
    " where a.is_deleted = 0 and a.merged_into_id is null"
)


class CellRow(NamedTuple):
    """One account of a cell. `rep`: its owner in the CRM."""

    id: str
    name: str
    rep: str | None


def count_cells(connection: sa.Connection) -> dict[tuple[int | None, int | None], int]:
    """(offer level, personal level) -> live accounts; whoever was rated on neither scale is left out."""
    rows = connection.exec_driver_sql(
        f"select s.offer_level, s.personal_level, count(*){_LIVE}"
        " and (s.offer_level is not null or s.personal_level is not null) group by s.offer_level, s.personal_level"
    )
    return {(offer, personal): int(count) for offer, personal, count in rows}


def load_cell(connection: sa.Connection, offer: int, personal: int, top: int) -> list[CellRow]:
    """The live accounts of one cell: the most valuable first, then by id."""
    query = sa.text(
        f"select a.id, a.name, a.owner_id{_LIVE} and s.offer_level = :offer and s.personal_level = :personal"
        " order by coalesce(v.total, 0) desc, a.id limit :top"
    )
    rows = connection.execute(query, {"offer": offer, "personal": personal, "top": top})
    return [CellRow(*row) for row in rows]
