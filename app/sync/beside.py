"""The measures beside the money, for people and programs: plain values under the names the mapping uses."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from app.domain.decay import MILLION
from app.domain.engagement import PointLine, band_of, point_lines, shown_points
from app.domain.event_types import EVENT_TYPES
from app.domain.money import major_units
from app.domain.rows import Cell
from app.domain.rules import EngagementRules
from app.store.activity import load_deeds
from app.store.connection import Connection
from app.store.engagement_rows import EngagementRow

Plain = Cell
"""Text, a whole number, a flag, or nothing."""


def read_measures(row: EngagementRow, places: int) -> Mapping[str, Plain]:
    """Measure -> plain value: money and points as decimal text, days and counts as numbers."""
    money = {
        measure: None if amount is None else str(major_units(amount, places))
        for measure, amount in (*row.money.items(), *row.optional.items())
    }
    return {**row.facts(), **money, "points": str(shown_points(row.points))}


@dataclass(frozen=True, slots=True)
class PointedEvent:
    """What one event adds to the score today. `points`: exact; `left`: what has not faded of `base`, 0 to 1."""

    event: str
    title: str
    type: str
    occurred_on: str
    base: int
    left: Decimal
    points: Decimal

    def as_json(self) -> dict[str, Plain]:
        """Every field, the exact numbers as decimal text."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return {**plain, "left": str(self.left), "points": str(self.points)}


def explain_points(
    connection: Connection, account_id: str, rules: EngagementRules, as_of: date
) -> tuple[tuple[PointedEvent, ...], Mapping[str, Plain]]:
    """The events behind an account's points on a day, the weightiest first, and the measures that they add up to."""
    rows = load_deeds(connection, account_id)
    titles = {row.deed.id: row.title for row in rows}
    lines = point_lines([row.deed for row in rows], rules, as_of)
    score = sum(line.millionths for line in lines)
    events = tuple(_pointed(line, titles[line.event_id]) for line in _weightiest(lines))
    return events, {"points": str(shown_points(score)), "points_band": band_of(score, rules)}


def _weightiest(lines: Sequence[PointLine]) -> list[PointLine]:
    return sorted(lines, key=lambda line: (-abs(line.millionths), line.occurred_on, line.event_id))


def _pointed(line: PointLine, title: str) -> PointedEvent:
    known = EVENT_TYPES.get(line.type)
    return PointedEvent(
        line.event_id,
        title or (known.title if known else line.type),
        line.type,
        line.occurred_on.isoformat(),
        line.base,
        Decimal(line.ppm) / MILLION,
        Decimal(line.millionths) / MILLION,
    )
