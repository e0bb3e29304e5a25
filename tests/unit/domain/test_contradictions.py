"""What does not go together in one account: on both sides of every boundary."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.contradictions import ADVICE, Contradiction, Measures, find_contradictions
from app.domain.roles import Stance
from app.domain.rules import SegmentRules, TriageRules
from app.domain.segments import Quadrant, build_standard, quadrant

RULES = TriageRules()
DAY = date(2026, 3, 2)
SEEDS = {"A": (10_000_000, 4_000_000), "B": (3_000_000, 25_000_000)}


def codes(rules=RULES, on=DAY, **measures):
    return find_contradictions(Measures(**measures), rules, on).codes


@pytest.mark.parametrize("others", [[], [(4_000_000, 0, 4_000_000), (25_000_000, 0, 25_000_000)]])
def test_s4_07_the_strongest_advocate_is_not_the_star_buyer_and_shows_as_a_hidden_gem(others):
    customers = [(*money, sum(money)) for money in SEEDS.values()] + others
    standard = build_standard(customers, SegmentRules())

    found = {
        name: codes(direct=direct, referred=referred, quadrant=quadrant(direct, referred, standard))
        for name, (direct, referred) in SEEDS.items()
    }

    assert found == {"A": (), "B": ("hidden_gem",)}


@pytest.mark.parametrize(
    ("measures", "expected"),
    [
        ({"care_bucket": "need_you", "offer_level": 1}, True),
        ({"care_bucket": "need_you", "offer_level": 0}, True),
        ({"care_bucket": "need_you", "offer_level": 2}, False),
        ({"care_bucket": "need_you", "offer_level": None}, False),
        ({"care_bucket": "ok", "offer_level": 1}, False),
        ({"care_bucket": None, "offer_level": 1}, False),
    ],
)
def test_they_need_us_and_buy_on_price(measures, expected):
    assert ("need_you_at_price" in codes(**measures)) == expected


@pytest.mark.parametrize(
    ("direct", "referred", "kind", "expected"),
    [
        (25, 75, Quadrant.ADVOCATE, True),
        (26, 75, Quadrant.ADVOCATE, False),
        (25, 74, Quadrant.ADVOCATE, False),
        (25, 75, Quadrant.CHAMPION, True),
        (25, 75, Quadrant.POTENTIAL, False),
        (25, 75, Quadrant.AFFLUENT, False),
        (25, 75, None, False),
        (0, 75, Quadrant.ADVOCATE, True),
        (-5, 75, Quadrant.ADVOCATE, True),
        (100, 40, Quadrant.CHAMPION, False),
    ],
)
def test_little_bought_and_much_brought(direct, referred, kind, expected):
    assert ("hidden_gem" in codes(direct=direct, referred=referred, quadrant=kind)) == expected


@pytest.mark.parametrize(
    ("kind", "stance", "expected"),
    [
        (Quadrant.CHAMPION, Stance.DETRACTOR, True),
        (Quadrant.AFFLUENT, Stance.DETRACTOR, True),
        (Quadrant.CHAMPION, Stance.MIXED, True),
        (Quadrant.AFFLUENT, Stance.ADVOCATE, False),
        (Quadrant.AFFLUENT, Stance.NEUTRAL, False),
        (Quadrant.ADVOCATE, Stance.DETRACTOR, False),
        (Quadrant.POTENTIAL, Stance.MIXED, False),
        (None, Stance.DETRACTOR, False),
    ],
)
def test_a_big_spender_speaks_against_us(kind, stance, expected):
    assert ("big_spender_detractor" in codes(quadrant=kind, stance=stance)) == expected


@pytest.mark.parametrize(
    ("level", "has_permission", "expected"),
    [(11, False, True), (11, True, False), (10, False, False), (0, False, False)],
)
def test_the_top_rung_without_any_permission(level, has_permission, expected):
    found = codes(commitment_level=level, has_permission=has_permission)

    assert ("top_rung_without_permission" in found) == expected


@pytest.mark.parametrize(
    ("is_in_limbo", "days", "expected"),
    [
        (True, 90, True),
        (True, 91, False),
        (True, 1, True),
        (True, 0, True),
        (True, -1, False),
        (True, None, False),
        (False, 30, False),
    ],
)
def test_limbo_near_a_renewal(is_in_limbo, days, expected):
    renewal_on = None if days is None else DAY + timedelta(days)

    assert ("limbo_near_renewal" in codes(is_in_limbo=is_in_limbo, renewal_on=renewal_on)) == expected


def test_the_policy_moves_the_boundaries():
    rules = TriageRules(price_level_max=2, small_direct_share=Fraction(1, 10), renewal_days=10)
    measures = {"care_bucket": "need_you", "offer_level": 2, "quadrant": Quadrant.ADVOCATE, "is_in_limbo": True}

    assert codes(rules, direct=11, referred=89, renewal_on=DAY + timedelta(11), **measures) == ("need_you_at_price",)
    assert codes(rules, direct=10, referred=90, renewal_on=DAY + timedelta(10), **measures) == (
        "limbo_near_renewal",
        "hidden_gem",
        "need_you_at_price",
    )


def test_everything_at_once_is_listed_in_one_order_with_reason_and_action():
    found = find_contradictions(
        Measures(10, 90, Quadrant.CHAMPION, Stance.MIXED, "need_you", 1, 11, False, True, DAY), RULES, DAY
    ).found

    assert [one.code for one in found] == list(Contradiction)
    assert all(one.because and one.action.endswith(".") for one in found)
    assert set(ADVICE) == set(Contradiction)
    assert len({advice.action for advice in ADVICE.values()}) == len(ADVICE)


def test_codes_are_stable():
    assert sorted(Contradiction) == [
        "big_spender_detractor",
        "hidden_gem",
        "limbo_near_renewal",
        "need_you_at_price",
        "top_rung_without_permission",
    ]


@pytest.mark.parametrize(("days", "next_in"), [(120, 30), (91, 1), (90, 91), (0, 1), (-1, None)])
def test_it_is_known_when_a_renewal_comes_near_and_passes(days, next_in):
    measures = Measures(is_in_limbo=True, renewal_on=DAY + timedelta(days))

    change = find_contradictions(measures, RULES, DAY).next_change_on

    assert change == (None if next_in is None else DAY + timedelta(next_in))
    assert find_contradictions(replace(measures, is_in_limbo=False), RULES, DAY).next_change_on is None


@given(st.none() | st.dates(), st.dates(), st.dates())
def test_nothing_changes_before_the_day_on_which_it_is_said_to_change(renewal_on, day, later):
    measures = Measures(is_in_limbo=True, renewal_on=renewal_on)
    radar = find_contradictions(measures, RULES, day)

    if later >= day and (radar.next_change_on is None or later < radar.next_change_on):
        assert find_contradictions(measures, RULES, later).codes == radar.codes
