"""Where an account stands among all: its quadrant and its percentile, and what hangs on it.

Both compare an account with the *customers*: live accounts, neither deleted nor merged away. The database keeps the
few numbers of `Standard` and compares every account with them; they are all that one account needs to know of others.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from app.domain.order_statistics import Neighbours, Order, Places, read_order, shift_order
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
    """What accounts are compared with, in minor units. `cuts`: see `standard_of`; none where nobody has a value."""

    direct: int = 0
    referred: int = 0
    cuts: tuple[int, ...] = ()


Amounts = Sequence[int]
"""Direct, referred and total of an account."""
Orders = Mapping[str, Order]
"""What is known of the own (`direct`) and the `referred` revenue of all who bought anything, and of the `total` of all
who are worth anything, each in ascending order."""


def build_standard(customers: Iterable[Amounts], rules: SegmentRules, minor_per_unit: int = 100) -> Standard:
    """From the amounts of every live account; the order does not matter."""
    return standard_of(build_orders(customers), rules, minor_per_unit)


def standard_of(orders: Orders, rules: SegmentRules, minor_per_unit: int = 100) -> Standard:
    """A median is over those who bought anything (direct above zero), the lower one of two in the middle.

    The hundred cuts are over those whose total is above zero: a total has the percentile of how many cuts it is above.
    """
    return Standard(
        _median(orders["direct"]) if rules.direct is None else rules.direct * minor_per_unit,
        _median(orders["referred"]) if rules.referred is None else rules.referred * minor_per_unit,
        _cuts(orders["total"]),
    )


def build_orders(customers: Iterable[Amounts]) -> Orders:
    """From the amounts of every live account."""
    return {name: read_order(amounts, _PLACES[name]) for name, amounts in _ordered(customers).items()}


def shift_orders(
    orders: Orders, moves: Iterable[tuple[Amounts, Amounts]], neighbours: Mapping[str, Neighbours]
) -> Orders | None:
    """After some live accounts moved, each from its old amounts to its new ones: as `build_orders` of all has it.

    None where nothing but a look at all accounts tells.
    """
    moved = list(moves)
    gone, come = _ordered(old for old, _ in moved), _ordered(new for _, new in moved)
    found: dict[str, Order] = {}
    for name, order in orders.items():
        shifted = shift_order(order, gone[name], come[name], _PLACES[name], neighbours[name])
        if shifted is None:
            return None
        found[name] = shifted
    return found


def _ordered(customers: Iterable[Amounts]) -> dict[str, list[int]]:
    """The amounts that are put in an order."""
    buyers: list[Amounts] = []
    totals: list[int] = []
    for amounts in customers:
        if amounts[0] > 0:
            buyers.append(amounts)
        if amounts[2] > 0:
            totals.append(amounts[2])
    return {"direct": [one[0] for one in buyers], "referred": [one[1] for one in buyers], "total": totals}


def _middle(size: int) -> Sequence[int]:
    return [(size - 1) // 2] if size else []


def _cut_places(size: int) -> Sequence[int]:
    """Of cut k, from 1: whoever has more than it is ahead of at least k percent of the others."""
    others = size - 1
    return [-(-percent * others // PERCENT) - 1 for percent in range(1, PERCENT + 1)] if others > 0 else []


_PLACES: Mapping[str, Places] = {"direct": _middle, "referred": _middle, "total": _cut_places}


def _median(order: Order) -> int:
    return order.statistics[0].amount if order.statistics else 0


def _cuts(order: Order) -> tuple[int, ...]:
    # Alone at the top: ahead of everybody there is.
    return (0,) * PERCENT if order.size == 1 else tuple(one.amount for one in order.statistics)


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
