"""The record of references, against tables made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.reference_events import A_SIGNALS, B_SIGNALS, Grade, Outcome
from app.domain.reference_record import Kind, Use, percent_range, record_of
from app.domain.rules import ReferenceRules

RULES = ReferenceRules()
DAY = date(2026, 6, 1)


def use(id_="u", signals=(), won=None, days=None, **more):
    return Use(id_, DAY, Outcome(signals=tuple(signals), **more), won, days)


@pytest.mark.parametrize(
    ("given_use", "signals", "leaning"),
    [
        (use(), set(), Kind.MIXED),
        (use(signals=["reluctant"]), {"reluctant"}, Kind.CUSTOMER_A),
        (use(signals=["known_brand"]), {"known_brand"}, Kind.CUSTOMER_B),
        (use(signals=["known_brand", "reluctant"]), {"known_brand", "reluctant"}, Kind.MIXED),
        # What the deal and the time tell is seen without anybody ticking it.
        (use(won=False), {"prospect_did_not_buy"}, Kind.CUSTOMER_A),
        (use(won=True), set(), Kind.MIXED),
        (use(won=False, prospect_bought=True), set(), Kind.MIXED),
        (use(won=True, prospect_bought=False), {"prospect_did_not_buy"}, Kind.CUSTOMER_A),
        (use(days=0), {"prompt_yes"}, Kind.CUSTOMER_B),
        (use(days=2), {"prompt_yes"}, Kind.CUSTOMER_B),
        (use(days=3), set(), Kind.MIXED),
        (use(days=13), set(), Kind.MIXED),
        (use(days=14), {"reluctant"}, Kind.CUSTOMER_A),
        # What somebody ticked outweighs what the days suggest.
        (use(signals=["reluctant"], days=1), {"reluctant"}, Kind.CUSTOMER_A),
        (use(signals=["prompt_yes"], days=20), {"prompt_yes"}, Kind.CUSTOMER_B),
    ],
    ids=range(15),
)
def test_s2_11_signals_are_ticked_or_follow_from_deal_and_time(given_use, signals, leaning):
    assert (given_use.signals(RULES), given_use.leaning(RULES)) == (signals, leaning)


def test_what_is_prompt_and_what_is_chasing_is_policy():
    patient = replace(RULES, prompt_days=5, chasing_days=30)

    assert use(days=5).signals(patient) == {"prompt_yes"}
    assert use(days=29).signals(patient) == set()
    assert record_of([use(str(n), days=20) for n in range(5)], patient, DAY).signals == {}
    assert record_of([use(str(n), days=20) for n in range(5)], RULES, DAY).kind is Kind.CUSTOMER_A


def test_s2_09_customer_a_has_these_markers():
    assert len(A_SIGNALS) == 7
    uses = [use(str(n), [signal]) for n, signal in enumerate(A_SIGNALS)]
    found = record_of(uses, RULES, DAY)
    assert found.kind is Kind.CUSTOMER_A
    assert found.signals == dict.fromkeys(A_SIGNALS, 1)


def test_s2_10_customer_b_has_these_markers():
    assert len(B_SIGNALS) == 8
    uses = [use(str(n), [signal]) for n, signal in enumerate(B_SIGNALS)]
    found = record_of(uses, RULES, DAY)
    assert found.kind is Kind.CUSTOMER_B
    assert found.signals == dict.fromkeys(B_SIGNALS, 1)


@pytest.mark.parametrize(
    ("a", "b", "mixed", "kind"),
    [
        (0, 0, 0, "not_enough_data"),
        (4, 0, 0, "not_enough_data"),
        (0, 4, 0, "not_enough_data"),
        (5, 0, 0, "customer_a"),
        (0, 5, 0, "customer_b"),
        (3, 2, 0, "customer_a"),
        (2, 3, 0, "customer_b"),
        (3, 3, 0, "mixed"),
        (2, 2, 1, "mixed"),
        (3, 0, 3, "mixed"),
        (4, 0, 3, "customer_a"),
        (0, 0, 9, "mixed"),
    ],
)
def test_g15_little_data_says_nothing(a, b, mixed, kind):
    uses = [
        *(use(f"a{n}", ["reluctant"]) for n in range(a)),
        *(use(f"b{n}", ["known_brand"]) for n in range(b)),
        *(use(f"m{n}") for n in range(mixed)),
    ]
    assert record_of(uses, RULES, DAY).kind == kind


@pytest.mark.parametrize(
    ("hits", "trials", "expected"),
    [
        # To two decimals, from the closed formula by hand: (p + z²/2n ± z·√(p(1-p)/n + z²/4n²)) / (1 + z²/n).
        (0, 0, (0, 100)),
        (0, 5, (0, 44)),  # 0.00 to 43.45
        (1, 5, (3, 63)),  # 3.62 to 62.45
        (5, 5, (56, 100)),  # 56.55 to 100.00
        (3, 6, (18, 82)),  # 18.76 to 81.24
        (5, 10, (23, 77)),  # 23.66 to 76.34
        (8, 10, (49, 95)),  # 49.02 to 94.33
        (50, 100, (40, 60)),  # 40.38 to 59.62
        (90, 100, (82, 95)),  # 82.56 to 94.48
        (500, 1000, (46, 54)),  # 46.91 to 53.09
    ],
)
def test_g15_a_share_is_a_range(hits, trials, expected):
    assert percent_range(hits, trials) == expected


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_range_contains_the_share_seen_and_mirrors(hits, trials):
    hits = min(hits, trials)
    low, high = percent_range(hits, trials)
    assert 0 <= low <= Fraction(hits * 100, trials) <= high <= 100
    assert percent_range(trials - hits, trials) == (100 - high, 100 - low)


def test_g15_won_deals_are_not_told_of_a_small_sample():
    uses = [use(str(n), won=n < 3) for n in range(4)]
    assert record_of(uses, RULES, DAY).won_percent is None
    found = record_of([*uses, use("9", won=None)], RULES, DAY)
    assert (found.uses, found.decided, found.won, found.won_percent) == (5, 4, 3, None)
    found = record_of([*uses, use("9", won=True)], RULES, DAY)
    assert (found.decided, found.won, found.won_percent) == (5, 4, (37, 97))


@pytest.mark.parametrize(
    ("expected", "actual", "difference"),
    [
        ("neutral", "neutral", 0),
        ("neutral", "very_positive", 2),
        ("very_positive", "neutral", -2),
        ("very_negative", "very_positive", 4),
        ("very_positive", "very_negative", -4),
        ("positive", "very_positive", 1),
        ("negative", "positive", 2),
        ("positive", "negative", -2),
        ("negative", "very_negative", -1),
        ("very_positive", "very_positive", 0),
    ],
)
def test_s2_11_how_it_went_against_how_it_should_have_gone(expected, actual, difference):
    found = record_of([use(expected=Grade(expected), actual=Grade(actual), minutes=30)], RULES, DAY)
    assert found.mean_difference == difference
    assert found.surprises == (int(difference > 0), int(difference == 0), int(difference < 0))
    assert found.minutes == 30


def test_a_record_tells_times_and_grades_it_knows():
    uses = [
        use("1", days=9, expected=Grade.POSITIVE, actual=Grade.VERY_POSITIVE, minutes=30),
        use("2", days=1, expected=Grade.POSITIVE, actual=Grade.NEUTRAL, minutes=45),
        use("3", days=4, actual=Grade.NEUTRAL),
        use("4", days=30, expected=Grade.POSITIVE, actual=Grade.VERY_NEGATIVE),
        replace(use("5", days=0), occurred_on=DAY + timedelta(1)),
    ]
    found = record_of(uses, RULES, DAY)
    assert (found.uses, found.minutes, found.days_to_accept) == (4, 75, 4)
    assert (found.surprises, found.mean_difference) == ((1, 0, 2), Fraction(-3, 3))
    assert record_of([], RULES, DAY).mean_difference is None
