"""Amounts in ascending order, known at a few places: what a median and percentiles need to know of all amounts.

Of each place it is known how many amounts are below the one that stands there. So when some amounts change, these alone
tell how far the others have moved up or down. Where another amount stands at a place now, its neighbours are asked for
until the place is found: a change costs what it moves, however many amounts there are.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Statistic(NamedTuple):
    """The amount at a place: `less` of the amounts are below it, `upto` are not above it."""

    amount: int
    less: int
    upto: int


@dataclass(frozen=True, slots=True)
class Order:
    """How many amounts there are, and those at the places that matter."""

    size: int = 0
    statistics: tuple[Statistic, ...] = ()


Places = Callable[[int], Sequence[int]]
"""The places that matter, counted from 0, of so many amounts."""
Neighbours = Callable[[int, bool, int], Iterable[tuple[int, int]]]
"""The amounts above one (True) or below it, so many at most, nearest first; each with how often it occurs."""


def read_order(amounts: Iterable[int], places: Places) -> Order:
    """From all amounts, in any order."""
    ascending = sorted(amounts)
    found = (ascending[place] for place in places(len(ascending)))
    return Order(
        len(ascending),
        tuple(Statistic(one, bisect_left(ascending, one), bisect_right(ascending, one)) for one in found),
    )


def shift_order(
    order: Order, gone: Iterable[int], come: Iterable[int], places: Places, neighbours: Neighbours
) -> Order | None:
    """The order after some amounts have gone and others have come, as `read_order` has it.

    `neighbours` are those of the amounts as they are now. None where there are not so many places any more, or as many
    neighbours as there should be: whoever asks reads all amounts.
    """
    gone, come = sorted(gone), sorted(come)
    size = order.size + len(come) - len(gone)
    now = places(max(size, 0))
    if size < 0 or len(now) != len(order.statistics):
        return None
    found = []
    for (amount, less, upto), place in zip(order.statistics, now, strict=True):
        counted = Statistic(
            amount,
            less + bisect_left(come, amount) - bisect_left(gone, amount),
            upto + bisect_right(come, amount) - bisect_right(gone, amount),
        )
        statistic = _settle(counted, place, neighbours)
        if statistic is None:
            return None
        found.append(statistic)
    return Order(size, tuple(found))


def _settle(known: Statistic, place: int, neighbours: Neighbours) -> Statistic | None:
    """What stands at a place, by walking there from an amount whose place is known."""
    start, less, upto = known
    if less <= place < upto:
        return known
    upwards = place >= upto
    for amount, count in neighbours(start, upwards, place - upto + 1 if upwards else less - place):
        less, upto = (upto, upto + count) if upwards else (less - count, less)
        if less <= place < upto:
            return Statistic(amount, less, upto)
    return None
