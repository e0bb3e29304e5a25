"""Quality of references, against tables made by hand and against slower ways to say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.reference_events import TRAITS, TraitRating
from app.domain.reference_quality import quality
from app.domain.rules import ReferenceRules

RULES = ReferenceRules()
DAY = date(2026, 6, 1)
CUSTOMER_A = (0, 1, 0, 0, 0, None)
"""Nobody knows it, hardly from a vertical we aim at, no numbers, one-word answers, no passion; nobody asked for more."""
CUSTOMER_B = (4, 4, 4, 4, 4, 4)


def rating(*levels, on=DAY, id_="r1"):
    """Levels in the order of TRAITS; "-" leaves one unnamed."""
    return TraitRating(id_, on, {name: level for name, level in zip(TRAITS, levels, strict=False) if level != "-"})


def rated(*levels, rules=RULES):
    return quality([rating(*levels)], rules, DAY)


@pytest.mark.parametrize(
    ("levels", "low", "high", "coverage", "high_traits", "is_high_impact"),
    [
        (CUSTOMER_B, 100, 100, 100, 6, True),
        (CUSTOMER_A, Fraction(25, 6), Fraction(125, 6), Fraction(500, 6), 0, False),
        ((None,) * 6, 0, 100, 0, 0, False),
        ((0,) * 6, 0, 0, 100, 0, False),
        ((2,) * 6, 50, 50, 100, 0, False),
        ((3, 3, 3, 3, 0, 0), 50, 50, 100, 4, True),
        ((3, 3, 3, 2, 2, 2), Fraction(1500, 24), Fraction(1500, 24), 100, 3, False),
        ((3, 3, 3, None, None, None), Fraction(900, 24), Fraction(2100, 24), 50, 3, False),
        ((4, 4, 4, 4, None, None), Fraction(1600, 24), 100, Fraction(400, 6), 4, True),
        ((4, None, None, None, None, None), Fraction(400, 24), 100, Fraction(100, 6), 1, False),
        ((1, 2, 3, 4, 0, None), Fraction(1000, 24), Fraction(1400, 24), Fraction(500, 6), 2, False),
    ],
)
def test_quality_is_an_interval_with_its_coverage(levels, low, high, coverage, high_traits, is_high_impact):
    found = rated(*levels)
    assert (found.low, found.high, found.coverage * 100) == (low, high, coverage)
    assert (found.high_traits, found.is_high_impact) == (high_traits, is_high_impact)


def _trait_counts(trait, level):
    without, with_it = (dict.fromkeys(TRAITS, 0) | {trait: given} for given in (0, level))
    low = quality([TraitRating("r", DAY, without)], RULES, DAY).low
    return quality([TraitRating("r", DAY, with_it)], RULES, DAY).low - low


def test_s2_01_well_known_brand_counts():
    assert _trait_counts("brand", 4) == Fraction(100, 6)


def test_s2_02_target_vertical_counts():
    assert _trait_counts("target_vertical", 3) == Fraction(75, 6)


def test_s2_03_quantified_results_count():
    assert _trait_counts("quantified_results", 2) == Fraction(50, 6)


def test_s2_04_articulate_counts():
    assert _trait_counts("articulate", 1) == Fraction(25, 6)


def test_s2_05_passionate_counts():
    assert _trait_counts("passionate", 4) == Fraction(100, 6)


def test_s2_06_willing_to_do_a_variety_counts_less_after_every_no():
    assert _trait_counts("willing_variety", 4) == Fraction(100, 6)
    willing = [rating("-", "-", "-", "-", "-", 3)]
    levels = [quality(willing, RULES, DAY, [DAY] * count).traits[-1] for count in range(5)]
    assert [(trait.low, trait.high) for trait in levels] == [(3, 3), (2, 2), (1, 1), (0, 0), (0, 0)]
    unrated = quality([], RULES, DAY, [DAY - timedelta(89), DAY - timedelta(90)]).traits[-1]
    assert (unrated.low, unrated.high, unrated.is_rated) == (0, 3, False)


def test_whole_percents_never_claim_more_than_is_known():
    assert rated(*CUSTOMER_A).percents == (4, 21, 83)
    assert rated(*CUSTOMER_B).percents == (100, 100, 100)


def test_weights_of_the_policy():
    rules = replace(RULES, weights={"brand": 3, "passionate": 0})
    found = rated(4, 0, 0, 0, None, None, rules=rules)
    assert (found.low, found.high, found.coverage) == (Fraction(300, 7), Fraction(400, 7), Fraction(6, 7))
    nothing = rated(*CUSTOMER_B, rules=replace(RULES, weights=dict.fromkeys(TRAITS, 0)))
    assert (nothing.low, nothing.high, nothing.coverage) == (0, 0, 0)


@pytest.mark.parametrize(
    ("ratings", "on", "brand", "articulate"),
    [
        # The latest rating of each trait counts, so a rating may be partial.
        ([rating(1, 1, 1, 1, 1, 1), rating("-", "-", "-", 4, on=DAY + timedelta(1), id_="r2")], 5, (1, 1), (4, 4)),
        # Null takes an earlier one back.
        ([rating(1, 1, 1, 1, 1, 1), rating(None, on=DAY + timedelta(1), id_="r2")], 5, (0, 4), (1, 1)),
        # Of one day the last id decides, since no time is known.
        ([rating(1, id_="a"), rating(2, id_="b")], 5, (2, 2), (0, 4)),
        ([rating(2, id_="b"), rating(1, id_="a")], 5, (2, 2), (0, 4)),
        # A year later it is no longer known, to the day.
        ([rating(3)], 364, (3, 3), (0, 4)),
        ([rating(3)], 365, (0, 4), (0, 4)),
        # An older one does not come back when the latest is too old, or was taken back.
        ([rating(4, on=DAY - timedelta(10)), rating(3, id_="r2")], 365, (0, 4), (0, 4)),
        # What is rated tomorrow is not known today.
        ([rating(3, on=DAY + timedelta(1))], 0, (0, 4), (0, 4)),
        ([rating(3, on=DAY + timedelta(1))], 1, (3, 3), (0, 4)),
        ([], 0, (0, 4), (0, 4)),
    ],
    ids=range(10),
)
def test_which_rating_counts(ratings, on, brand, articulate):
    found = {trait.name: (trait.low, trait.high) for trait in quality(ratings, RULES, DAY + timedelta(on)).traits}
    assert (found["brand"], found["articulate"]) == (brand, articulate)


levels = st.none() | st.integers(0, 4)
ratings = st.lists(
    st.builds(
        TraitRating,
        st.uuids().map(str),
        st.dates(date(2025, 1, 1), date(2026, 12, 31)),
        st.dictionaries(st.sampled_from(TRAITS), levels, min_size=1),
    ),
    max_size=6,
    unique_by=lambda one: one.id,
)


@given(st.tuples(*[levels] * 6), st.dictionaries(st.sampled_from(TRAITS), st.integers(0, 5)), st.integers(0, 3))
def test_the_interval_contains_every_completion_of_what_is_unknown(given_levels, weights, declines):
    rules = replace(RULES, weights=weights)
    no = [DAY] * declines
    found = quality([rating(*given_levels)], rules, DAY, no)
    scores, impacts = [], []
    for fill in product((0, 4), repeat=given_levels.count(None)):
        rest = iter(fill)
        full = [next(rest) if level is None else level for level in given_levels]
        whole = quality([rating(*full)], rules, DAY, no)
        assert whole.low == whole.high
        scores.append(whole.low)
        impacts.append(whole.is_high_impact)
    assert (found.low, found.high) == (min(scores), max(scores))
    assert (found.is_high_impact, found.may_be_high_impact) == (all(impacts), any(impacts))


@given(
    ratings,
    st.lists(st.dates(date(2026, 1, 1), date(2026, 12, 31)), max_size=3),
    st.dates(date(2026, 1, 1), date(2026, 12, 31)),
    st.randoms(),
)
def test_quality_does_not_depend_on_the_order_and_changes_only_when_it_says(given_ratings, declines, day, random):
    found = quality(given_ratings, RULES, day, declines)
    random.shuffle(given_ratings)
    assert quality(given_ratings, RULES, day, declines) == found
    assert 0 <= found.low <= found.high <= 100
    eve = (found.next_change_on or date(2028, 1, 1)) - timedelta(1)
    assert eve >= day
    known = [no for no in declines if no <= day]
    assert quality(given_ratings, RULES, eve, known) == found
