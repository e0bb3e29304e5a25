"""The programme of references, against tables made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest

from app.domain.programme import GoalReading, Member, Strength, last_quarters, programme
from app.domain.reference_events import TRAITS, TraitRating
from app.domain.reference_quality import quality
from app.domain.rules import ReferenceRules

RULES = ReferenceRules()
DAY = date(2026, 6, 1)
CUSTOMER_A = (0, 1, 0, 0, 0, None)
"""Nobody knows it, hardly from a vertical we aim at, no numbers, one-word answers, no passion; nobody asked for more."""
CUSTOMER_B = (4, 4, 4, 4, 4, 4)


def rated(*levels):
    named = dict(zip(TRAITS, levels, strict=True))
    return quality([TraitRating("r1", DAY, named)], RULES, DAY)


def test_s2_08_fifty_customers_b_beat_a_hundred_customers_a():
    pool_b = [Member(f"b{n}", rated(*CUSTOMER_B)) for n in range(50)]
    pool_a = [Member(f"a{n}", rated(*CUSTOMER_A)) for n in range(100)]
    good, poor = programme(pool_b, RULES, DAY), programme(pool_a, RULES, DAY)
    assert good.full_low == good.full_high == 50
    assert poor.full_high == 100 * Fraction(125, 6) / 100
    assert good.full_low * 100 == 50 * 100 > 100 * Fraction(208, 10)
    assert good.full_low > poor.full_high
    assert (good.high_impact, good.strength, good.is_fundamentally_weak) == (50, Strength.STRONG, False)
    assert (poor.high_impact, poor.strength, poor.is_fundamentally_weak) == (0, Strength.WEAK, True)
    mixed = programme([*pool_a, *pool_b], RULES, DAY)
    assert (mixed.references, mixed.high_impact, mixed.strength) == (150, 50, Strength.WEAK)


@pytest.mark.parametrize(
    ("strong", "poor", "unrated", "strength", "is_weak"),
    [
        (0, 0, 0, "empty", False),
        (1, 0, 0, "strong", False),
        (1, 1, 0, "strong", False),
        (1, 2, 0, "weak", True),
        (0, 1, 0, "weak", True),
        (0, 0, 1, "unproven", True),
        (1, 0, 1, "strong", False),
        (1, 0, 2, "unproven", True),
        (1, 2, 1, "unproven", True),
        (1, 3, 1, "weak", True),
        (49, 50, 0, "weak", True),
        (50, 50, 0, "strong", False),
    ],
)
def test_s2_08_a_programme_is_weak_when_too_few_are_high_impact(strong, poor, unrated, strength, is_weak):
    members = [
        *(Member(f"s{n}", rated(*CUSTOMER_B)) for n in range(strong)),
        *(Member(f"p{n}", rated(*CUSTOMER_A)) for n in range(poor)),
        *(Member(f"u{n}", quality([], RULES, DAY)) for n in range(unrated)),
    ]
    found = programme(members, RULES, DAY)
    assert (found.strength, found.is_fundamentally_weak) == (strength, is_weak)
    assert found.references == strong + poor + unrated
    assert found.high_impact == strong
    assert found.possible_high_impact == strong + unrated


@pytest.mark.parametrize(
    ("goal", "strong", "poor", "in_quarter", "reading"),
    [
        (None, 5, 0, "2026Q2", "no_goal"),
        (3, 3, 0, "2026Q2", "reached"),
        (3, 2, 0, "2026Q2", "running"),
        (3, 0, 0, "2026Q2", "running"),
        (3, 2, 0, "2026Q1", "missed"),
        (3, 3, 0, "2026Q1", "reached"),
        # Enough of them came, and hardly one is any good.
        (3, 1, 2, "2026Q1", "reached_but_weak"),
        (4, 2, 2, "2026Q1", "reached"),
        (3, 0, 9, "2026Q2", "reached_but_weak"),
        (0, 0, 0, "2026Q1", "reached"),
    ],
)
def test_s2_07_the_goal_of_a_quarter_is_read_with_quality(goal, strong, poor, in_quarter, reading):
    since = date(2026, 2, 15) if in_quarter == "2026Q1" else DAY
    members = [
        *(Member(f"s{n}", rated(*CUSTOMER_B), since) for n in range(strong)),
        *(Member(f"p{n}", rated(*CUSTOMER_A), since) for n in range(poor)),
        Member("old", rated(*CUSTOMER_B), date(2020, 1, 1)),
        Member("undated", rated(*CUSTOMER_B)),
        Member("tomorrow", rated(*CUSTOMER_B), DAY + timedelta(1)),
    ]
    found = programme(members, replace(RULES, goal_per_quarter=goal), DAY)
    quarter = next(one for one in found.quarters if one.name == in_quarter)
    assert (quarter.new, quarter.high_impact, quarter.reading) == (strong + poor, strong, GoalReading(reading))


def test_whoever_ended_its_consent_was_new_all_the_same_and_is_no_strength():
    since = date(2026, 2, 15)
    current, former = Member("c", rated(*CUSTOMER_A), since), Member("f", rated(*CUSTOMER_B), since)
    found = programme([current], RULES, DAY, former=[former])
    quarter = next(one for one in found.quarters if one.name == "2026Q1")
    assert (quarter.new, quarter.high_impact) == (2, 1)
    assert (found.references, found.high_impact) == (1, 0)
    assert found.full_low == programme([current], RULES, DAY).full_low


def test_quarters_come_newest_first():
    assert last_quarters(date(2026, 3, 31), 5) == ("2026Q1", "2025Q4", "2025Q3", "2025Q2", "2025Q1")
    assert last_quarters(date(2026, 4, 1), 1) == ("2026Q2",)
