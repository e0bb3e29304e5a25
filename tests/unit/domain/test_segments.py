"""Quadrant, percentile and revenue at risk, against tables made by hand and against counting."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.order_statistics import Order, Statistic
from app.domain.rules import SegmentRules
from app.domain.segments import (
    Quadrant,
    Standard,
    build_orders,
    build_standard,
    percentile,
    quadrant,
    revenue_at_risk,
    shift_orders,
    shifted_totals,
    standard_of,
)

MEDIAN = SegmentRules()
amounts = st.integers(-50, 200)
customers = st.lists(st.tuples(amounts, amounts, amounts), max_size=250)


def totals(*found):
    return build_standard([(0, 0, total) for total in found], MEDIAN)


@pytest.mark.parametrize(
    ("others", "total", "expected"),
    [
        ([], 10, 0),
        ([10], 10, 100),
        ([1], 1, 100),
        ([10, 20, 0], 10, 0),
        ([10, 20], 10, 0),
        ([10, 20], 20, 100),
        ([10, 20, 30], 20, 50),
        ([10, 20, 30, 40], 20, 33),
        ([10, 20, 30, 40], 30, 66),
        ([10, 20, 20, 40], 20, 33),
        ([10, 10, 10], 10, 0),
        ([10, 10, 20], 20, 100),
        ([10, 20, 0, -5], 20, 100),
        ([10, 20], 0, None),
        ([10, 20], -1, None),
        (list(range(1, 202)), 101, 50),
        (list(range(1, 202)), 100, 49),
        (list(range(1, 202)), 102, 50),
        (list(range(1, 202)), 103, 51),
        (list(range(1, 202)), 201, 100),
    ],
)
def test_the_percentile_is_how_many_percent_of_the_others_are_worth_less(others, total, expected):
    assert percentile(total, totals(*others)) == expected


@given(customers)
def test_every_percentile_is_what_counting_gives(found):
    standard = build_standard(found, MEDIAN)
    positive = [total for _, _, total in found if total > 0]

    for total in positive:
        less = sum(other < total for other in positive)
        expected = 100 * less // (len(positive) - 1) if len(positive) > 1 else 100
        assert percentile(total, standard) == expected


@given(customers, customers)
def test_only_totals_within_the_shifted_ranges_have_another_percentile(before, after):
    old, new = build_standard(before, MEDIAN), build_standard(after, MEDIAN)
    ranges = shifted_totals(old, new)

    for total in range(1, 202):
        moved = percentile(total, old) != percentile(total, new)
        assert moved <= any(low < total <= high for low, high in ranges)


@pytest.mark.parametrize(
    ("before", "after", "ranges"),
    [
        ((), (), []),
        ((0, 10), (0, 10), []),
        ((0, 10), (10, 20), [(0, 20)]),
        ((0, 10), (5, 20), [(0, 5), (10, 20)]),
        ((10, 20), (0, 5), [(0, 20)]),
        ((), (0, 10), [(0, 2**63 - 1)]),
    ],
)
def test_where_cuts_move_the_totals_between_them_are_shifted(before, after, ranges):
    assert shifted_totals(Standard(cuts=before), Standard(cuts=after)) == ranges


@pytest.mark.parametrize(
    ("direct", "referred", "expected"),
    [
        (100, 50, Quadrant.CHAMPION),
        (100, 49, Quadrant.AFFLUENT),
        (99, 50, Quadrant.ADVOCATE),
        (99, 49, Quadrant.POTENTIAL),
        (1, 0, Quadrant.POTENTIAL),
        (0, 50, Quadrant.ADVOCATE),
        (0, 1, Quadrant.POTENTIAL),
        (-1, 50, Quadrant.ADVOCATE),
        (0, 0, None),
        (-1, 0, None),
    ],
)
def test_the_quadrant_on_both_sides_of_fixed_thresholds(direct, referred, expected):
    assert quadrant(direct, referred, Standard(100, 50)) == expected


def test_zero_is_never_high_even_where_the_median_is_zero():
    standard = build_standard([(10, 0, 10), (20, 0, 20), (30, 5, 35)], MEDIAN)

    assert (standard.direct, standard.referred) == (20, 0)
    assert quadrant(20, 0, standard) is Quadrant.AFFLUENT
    assert quadrant(20, 1, standard) is Quadrant.CHAMPION
    assert quadrant(0, 1, standard) is Quadrant.ADVOCATE
    assert quadrant(0, 1, Standard()) is Quadrant.ADVOCATE
    assert quadrant(1, 0, Standard()) is Quadrant.AFFLUENT


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([], (0, 0)),
        ([(0, 90, 90), (-5, 70, 65)], (0, 0)),
        ([(7, 3, 10)], (7, 3)),
        ([(1, 9, 10)], (1, 9)),
        ([(10, 1, 11), (20, 2, 22)], (10, 1)),
        ([(10, 9, 19), (20, 0, 20), (30, 4, 34), (0, 500, 500)], (20, 4)),
    ],
)
def test_a_median_is_the_lower_one_over_those_who_bought(found, expected):
    standard = build_standard(found, MEDIAN)

    assert (standard.direct, standard.referred) == expected


def test_fixed_thresholds_are_whole_units_of_the_currency():
    standard = build_standard([(1, 1, 2)], SegmentRules(direct=1000, referred=0), minor_per_unit=100)

    assert (standard.direct, standard.referred) == (100_000, 0)
    assert build_standard([], SegmentRules(direct=1000, referred=7)) == Standard(100_000, 700)
    assert build_standard([], SegmentRules(direct=1000, referred=7), 1) == Standard(1000, 7)
    assert standard_of(build_orders([]), SegmentRules(direct=1000, referred=7)) == Standard(100_000, 700)


def neighbours_among(everybody):
    """Per order, as the database answers."""

    def of(amounts):
        def neighbours(amount, upwards, at_most):
            beyond = Counter(one for one in amounts if (one > amount if upwards else one < amount))
            return sorted(beyond.items(), reverse=not upwards)[:at_most]

        return neighbours

    buyers = [one for one in everybody if one[0] > 0]
    return {
        "direct": of([one[0] for one in buyers]),
        "referred": of([one[1] for one in buyers]),
        "total": of([one[2] for one in everybody if one[2] > 0]),
    }


def test_who_moves_moves_the_medians_and_cuts_of_all():
    before, move = [(10, 1, 11), (20, 2, 22), (30, 3, 33)], ((20, 2, 22), (40, 0, 40))
    after = [(10, 1, 11), (40, 0, 40), (30, 3, 33)]

    shifted = shift_orders(build_orders(before), [move], neighbours_among(after))

    assert shifted == build_orders(after)
    assert (shifted["direct"].statistics, shifted["referred"].statistics) == (
        (Statistic(30, 1, 2),),
        (Statistic(1, 1, 2),),
    )


def test_where_nobody_buys_any_more_or_one_is_alone_all_are_looked_at():
    alone = build_orders([(10, 1, 11)])

    assert alone["total"] == Order(1)
    assert shift_orders(alone, [((10, 1, 11), (0, 1, 1))], neighbours_among([(0, 1, 1)])) is None


@given(st.lists(st.tuples(amounts, amounts, amounts), min_size=1, max_size=40), st.data())
def test_orders_that_are_shifted_are_those_of_everybody(before, data):
    after = [data.draw(st.just(one) | st.tuples(amounts, amounts, amounts)) for one in before]
    moves = [(old, new) for old, new in zip(before, after, strict=True) if old != new]

    shifted = shift_orders(build_orders(before), moves, neighbours_among(after))

    assert shifted in (None, build_orders(after))


@given(customers, st.randoms())
def test_the_standard_does_not_depend_on_the_order_of_accounts(found, draw):
    assert build_standard(draw.sample(found, len(found)), MEDIAN) == build_standard(found, MEDIAN)


@given(st.integers(-5, 200), st.integers(-5, 200), st.integers(0, 200), st.integers(0, 200))
def test_more_revenue_never_lowers_a_side(direct, referred, high_direct, high_referred):
    standard = Standard(high_direct, high_referred)
    buys = {Quadrant.CHAMPION, Quadrant.AFFLUENT}

    before, after = quadrant(direct, referred, standard), quadrant(direct + 1, referred, standard)

    assert (before in buys) <= (after in buys)


def test_revenue_at_risk_counts_every_account_once_and_all_that_it_ever_bought():
    sources = [("A", "X"), ("A", "X"), ("A", "Y"), ("B", "X"), ("B", "unknown")]

    assert revenue_at_risk(sources, {"X": 100, "Y": 7, "Z": 9}) == {"A": 107, "B": 100}
