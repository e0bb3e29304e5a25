"""The optional money measures of referring, against sums made by hand."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.referral_value import (
    Part,
    acquired_value,
    acquisition_savings,
    reference_value,
    referral_value,
)
from app.domain.rules import OptionalRules

RULES = OptionalRules(Fraction(6, 10), incentive=50, retention_cost=100, acquisition_cost=1000)
ALONE, HALF, THIRD = Fraction(1), Fraction(1, 2), Fraction(1, 3)
shares = st.fractions(0, 1, max_denominator=50)
acquisitions = st.lists(
    st.lists(st.builds(Part, st.sampled_from("ABCD"), shares), min_size=1, max_size=4).filter(
        lambda parts: sum(part.share for part in parts) <= 1
    ),
    max_size=6,
)


@pytest.mark.parametrize(
    ("brought", "expected"),
    [
        ([], {}),
        ([[Part("A", ALONE)]], {"A": 950_00}),
        ([[Part("A", ALONE)], [Part("A", HALF), Part("B", HALF)]], {"A": 1425_00, "B": 475_00}),
        ([[Part("A", THIRD), Part("B", THIRD), Part("C", THIRD)]], {"A": 31667, "B": 31667, "C": 31666}),
        ([[Part("A", THIRD)]], {"A": 31666}),
    ],
)
def test_savings_are_shared_like_the_credit_for_the_first_purchase(brought, expected):
    assert acquisition_savings(brought, RULES) == Counter(expected)


def test_an_incentive_above_the_acquisition_cost_is_a_loss():
    assert acquisition_savings([[Part("A", ALONE)]], OptionalRules(incentive=3, acquisition_cost=1)) == {"A": -2_00}


@pytest.mark.parametrize(
    ("would_have_come", "expected"),
    [
        # 60 % of 10,000 - 50 - 100 + 1,000
        (Fraction(0), 6850_00),
        # half of (6,000 - 150), and the whole 1,000
        (Fraction(1, 2), 3925_00),
        # of customers who would have come anyway only the acquisition cost is saved
        (Fraction(1), 1000_00),
    ],
)
def test_the_referral_value_of_one_customer_brought(would_have_come, expected):
    rules = OptionalRules(Fraction(6, 10), 50, 100, 1000, would_have_come)
    acquired = acquired_value([[Part("A", ALONE)]], rules)

    assert referral_value(10_000_00, acquired["A"], rules) == expected


def test_costs_of_nothing_are_known():
    assert acquired_value([[Part("A", ALONE)]], OptionalRules(HALF, 0, 0, 0)) == {"A": 0}


def test_the_reference_value_is_the_margin_of_influenced_revenue():
    assert reference_value(10_01, RULES) == 6_01
    assert reference_value(-10_01, RULES) == -6_01


@pytest.mark.parametrize("unknown", ["margin", "incentive", "retention_cost", "acquisition_cost"])
def test_what_has_an_unknown_input_is_empty(unknown):
    known = {"margin": HALF, "incentive": 1, "retention_cost": 2, "acquisition_cost": 3}
    rules = OptionalRules(**{**known, unknown: None})

    assert acquired_value([], rules) is None
    assert (acquisition_savings([], rules) is None) == (unknown in ("incentive", "acquisition_cost"))
    assert (reference_value(1, rules) is None) == (unknown == "margin")
    assert referral_value(1, None, rules) is None


@given(acquisitions, st.integers(0, 10**6), st.integers(0, 10**6))
def test_no_more_is_given_away_than_was_saved(brought, cost, incentive):
    saved = acquisition_savings(brought, OptionalRules(incentive=incentive, acquisition_cost=cost))

    each = abs(cost - incentive) * 100
    assert sum(abs(amount) for amount in saved.values()) <= each * len(brought)
    if all(sum(part.share for part in parts) == 1 for parts in brought):
        assert sum(saved.values()) == (cost - incentive) * 100 * len(brought)
