"""Amounts in order, known at a few places only: what they become after a change, against sorting everything again."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.order_statistics import Order, Statistic, read_order, shift_order

amounts = st.lists(st.integers(0, 30), min_size=1, max_size=60)


def tenths(size):
    """Twelve places of any order, with the first, the middle and the last among them."""
    return [part * (size - 1) // 11 for part in range(12)] if size else []


def neighbours_of(everything, asked):
    """Of all amounts, as the database answers; `asked` notes how many were wanted."""
    counts = Counter(everything)

    def neighbours(amount, upwards, at_most):
        asked.append(at_most)
        beyond = sorted((one for one in counts if (one > amount if upwards else one < amount)), reverse=not upwards)
        return [(one, counts[one]) for one in beyond[:at_most]]

    return neighbours


def test_an_amount_knows_how_many_are_below_it_and_how_many_are_not_above_it():
    assert read_order([5, 1, 5, 9], lambda size: [0, size // 2]) == Order(4, (Statistic(1, 0, 1), Statistic(5, 1, 3)))


@given(amounts, st.data())
def test_after_a_change_the_order_is_what_sorting_everything_gives(before, data):
    gone = data.draw(st.lists(st.sampled_from(range(len(before))), unique=True, max_size=len(before) - 1))
    come = data.draw(st.lists(st.integers(0, 30), max_size=10))
    after = [one for at, one in enumerate(before) if at not in gone] + come

    order = read_order(before, tenths)
    shifted = shift_order(order, [before[at] for at in gone], come, tenths, neighbours_of(after, []))

    assert shifted == read_order(after, tenths)


def test_what_stays_where_it_is_asks_for_no_neighbour():
    before = list(range(0, 1000, 10))
    asked = []

    shifted = shift_order(read_order(before, tenths), [500], [505], tenths, neighbours_of([], asked))

    assert (asked, shifted.statistics) == ([], read_order(before, tenths).statistics)


def test_one_that_passes_a_place_asks_for_one_neighbour():
    before = list(range(0, 1000, 10))
    after = [one for one in before if one != 10] + [995]
    asked = []

    shifted = shift_order(read_order(before, tenths), [10], [995], tenths, neighbours_of(after, asked))

    assert shifted == read_order(after, tenths)
    assert asked == [1] * 11


def test_who_leaves_the_top_for_the_bottom_lets_every_place_above_ask_for_the_one_below_it():
    before = list(range(0, 1000, 10))
    after = [one for one in before if one != 980] + [5]
    asked = []

    shifted = shift_order(read_order(before, tenths), [980], [5], tenths, neighbours_of(after, asked))

    assert shifted == read_order(after, tenths)
    assert asked == [1] * 10


@pytest.mark.parametrize("contradiction", [([5], []), ([1, 1, 1, 1, 1, 1, 1, 1], [])])
def test_amounts_that_were_never_there_are_noticed(contradiction):
    """Fewer neighbours than there should be, or fewer amounts than none."""
    order = read_order([1, 2, 3, 4, 5, 6], tenths)

    assert shift_order(order, *contradiction, tenths, neighbours_of([], [])) is None


def test_an_order_that_has_no_place_yet_is_read():
    assert shift_order(Order(), [], [7], tenths, neighbours_of([7], [])) is None
    assert shift_order(Order(), [], [], tenths, neighbours_of([], [])) == Order()
