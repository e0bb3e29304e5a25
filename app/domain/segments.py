"""Where an account stands among all: its quadrant and its percentile, and what hangs on it.

Both compare an account with the *customers*: live accounts, neither deleted nor merged away. The database keeps the
few numbers of `Standard` and compares every account with them; they are all that one account needs to know of others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.rules import SegmentRules

PERCENT = 100


class Quadrant(StrEnum):
    """Who buys much, and who brings much."""

    CHAMPION = "champion"
    """Both."""
    AFFLUENT = "affluent"
    """Buys, refers little."""
    ADVOCATE = "advocate"
    """Refers, buys little."""
    POTENTIAL = "potential"
    """Neither yet."""


@dataclass(frozen=True, slots=True)
class Standard:
    """What accounts are compared with, in minor units. `cuts`: see `build_standard`; none where nobody has a value."""

    direct: int = 0
    referred: int = 0
    cuts: tuple[int, ...] = ()


def build_standard(customers: Iterable[Sequence[int]], rules: SegmentRules, minor_per_unit: int = 100) -> Standard:
    """From (direct, referred, total) of every live account; the order does not matter.

    A median is over those who bought anything (direct above zero), the lower one of two in the middle. The hundred
    cuts are over those whose total is above zero: a total has the percentile of how many cuts it is above.
    """
    buyers: list[tuple[int, int]] = []
    totals: list[int] = []
    for direct, referred, total in customers:
        if direct > 0:
            buyers.append((direct, referred))
        if total > 0:
            totals.append(total)
    return Standard(
        _median([direct for direct, _ in buyers]) if rules.direct is None else rules.direct * minor_per_unit,
        _median([referred for _, referred in buyers]) if rules.referred is None else rules.referred * minor_per_unit,
        _cuts(sorted(totals)),
    )


def _median(amounts: list[int]) -> int:
    return sorted(amounts)[(len(amounts) - 1) // 2] if amounts else 0


def _cuts(ascending: Sequence[int]) -> tuple[int, ...]:
    """Cut k, from 1: whoever has more than it is ahead of at least k percent of the others."""
    others = len(ascending) - 1
    if others < 0:
        return ()
    if others == 0:
        # Alone at the top: ahead of everybody there is.
        return (0,) * PERCENT
    return tuple(ascending[-(-percent * others // PERCENT) - 1] for percent in range(1, PERCENT + 1))


def percentile(total: int, standard: Standard) -> int | None:
    """How many percent of the other customers are worth less, rounded down: 100 for a single best one, 0 for the last.

    Equal totals have equal percentiles. None for an account that is worth nothing.
    """
    return bisect_left(standard.cuts, total) if total > 0 else None


def quadrant(direct: int, referred: int, standard: Standard) -> Quadrant | None:
    """High is what reaches the threshold and is above zero; None for an account with neither kind of revenue."""
    if direct <= 0 and referred <= 0:
        return None
    buys = direct > 0 and direct >= standard.direct
    refers = referred > 0 and referred >= standard.referred
    if buys:
        return Quadrant.CHAMPION if refers else Quadrant.AFFLUENT
    return Quadrant.ADVOCATE if refers else Quadrant.POTENTIAL


def shifted_totals(before: Standard, after: Standard) -> list[tuple[int, int]]:
    """The ranges of totals, `low < total <= high`, whose percentile differs between two standards."""
    if len(before.cuts) != len(after.cuts):
        return [(0, 2**63 - 1)]
    pairs = ((min(old, new), max(old, new)) for old, new in zip(before.cuts, after.cuts, strict=True) if old != new)
    ranges: list[tuple[int, int]] = []
    for low, high in sorted(pairs):
        if ranges and low <= ranges[-1][1]:
            ranges[-1] = (ranges[-1][0], max(ranges[-1][1], high))
        else:
            ranges.append((low, high))
    return ranges


def revenue_at_risk(sources: Iterable[tuple[str, str]], direct: Mapping[str, int]) -> dict[str, int]:
    """Referrer -> own revenue of all accounts it brought, from (referrer, buyer) of every referred credit line.

    Customers that an advocate brought stay while the advocate stays: this is what may go with it. An account counts
    once for each of its referrers, so the sums must never be added up.
    """
    risk: dict[str, int] = {}
    for referrer, buyer in set(sources):
        risk[referrer] = risk.get(referrer, 0) + direct.get(buyer, 0)
    return risk
