"""The measures beside the money as they are stored, or staged for another day: read for people and plans."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from app.domain.rows import Cell
from app.store.optional import OPTIONAL
from app.store.staging import stage_ids
from app.store.values import KINDS

MONEY = (*KINDS, "revenue_at_risk")


@dataclass(frozen=True, slots=True)
class EngagementRow:
    """The measures of one account beside the money of its value. `points` in millionths, money in minor units."""

    points: int = 0
    whole_points: int = 0
    points_band: str | None = None
    is_detractor: bool = False
    is_participant: bool = False
    participation_days: int = 0
    feedback_adopted: int = 0
    feedback_declined: int = 0
    feedback_open: int = 0
    quadrant: str | None = None
    percentile: int | None = None
    money: Mapping[str, int] = field(default_factory=dict)
    optional: Mapping[str, int | None] = field(default_factory=dict)
    """Money too, None where the policy does not know what it takes, or nobody was brought."""

    @property
    def is_nothing(self) -> bool:
        """Whether there is nothing to show of it."""
        return self == NOTHING

    @property
    def known_money(self) -> dict[str, int]:
        """All money measures that have an amount."""
        return {**self.money, **{name: amount for name, amount in self.optional.items() if amount is not None}}

    def facts(self) -> dict[str, Cell]:
        """Measure -> what a CRM is given: whole points, money in minor units."""
        shown = {name: getattr(self, name) for name in _READ if name != "whole_points"}
        return {**shown, **self.money, **self.optional, "points": self.whole_points}


NOTHING = EngagementRow(money=dict.fromkeys(MONEY, 0), optional=dict.fromkeys(OPTIONAL))
_READ = tuple(name for name in EngagementRow.__dataclass_fields__ if name not in ("money", "optional"))
MEASURES = frozenset(NOTHING.facts())
"""The measures that can be written back from here."""


def load_engagement(
    connection: sa.Connection, account_ids: Collection[str], *, staged: bool = False
) -> dict[str, EngagementRow]:
    """Account id -> its measures, for every id that is asked for."""
    stage_ids(connection, "s_asked", account_ids)
    rows = connection.exec_driver_sql(
        f"select t.account_id, {', '.join(f't.{name}' for name in (*_READ, *MONEY, *OPTIONAL))} from s_asked q"
        f" join {'s_engagement' if staged else 'account_engagement'} t on t.account_id = q.id"
    )
    found = {row[0]: _engagement_row(row[1:]) for row in rows}
    return {id_: found.get(id_, NOTHING) for id_ in account_ids}


def _engagement_row(cells: Sequence[Any]) -> EngagementRow:
    facts = dict(zip(_READ, cells, strict=False))
    flags = {name: bool(facts[name]) for name in ("is_detractor", "is_participant")}
    amounts = dict(zip((*MONEY, *OPTIONAL), cells[len(_READ) :], strict=True))
    return EngagementRow(
        **facts | flags,
        money={name: amounts[name] for name in MONEY},
        optional={name: amounts[name] for name in OPTIONAL},
    )
