"""Quality, record and programme of references, against tables made by hand and against slower ways to say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import VerifiedEvent
from app.domain.reference import (
    A_SIGNALS,
    B_SIGNALS,
    TRAITS,
    GoalReading,
    Grade,
    Kind,
    Member,
    Outcome,
    Profile,
    Strength,
    TraitRating,
    Use,
    last_quarters,
    percent_range,
    profile_on,
    programme,
    quality,
    rating_of,
    read_reference_outcome,
    read_reference_profile,
    read_reference_traits,
    record_of,
)
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


def test_the_attributes_of_traits():
    assert read_reference_traits({"brand": 4, "passionate": None, "rated_by": "Ann", "x_call": 1}) == {
        "brand": 4,
        "passionate": None,
    }
    for wrong, told in [
        ({}, "rates no trait"),
        ({"rated_by": "Ann"}, "rates no trait"),
        ({"brand": 5}, "`brand` is a whole number from 0 to 4"),
        ({"brand": True}, "`brand` is a whole number"),
        ({"brand": "3.5"}, "`brand` is a whole number"),
        ({"brand": 1, "pasionate": 2}, "Did you mean passionate"),
    ]:
        with pytest.raises(ValueError, match=told):
            read_reference_traits(wrong)


def test_the_attributes_of_a_profile():
    full = {
        "industry": "Finance", "products": ["Core", "Edge"], "roles": "CFO", "size": 1200, "regions": ["EMEA"],
        "languages": ["de", "en"], "use_cases": ["migration"],
    }  # fmt: skip
    profile = Profile("Finance", ("Core", "Edge"), ("CFO",), 1200, ("EMEA",), ("de", "en"), ("migration",))
    assert read_reference_profile(full) == profile
    with pytest.raises(ValueError, match=r"`size` is a whole number from 1.*Did you mean languages"):
        read_reference_profile({"size": 0, "language": "de"})
    for empty in ({}, {"note": "later"}, {"roles": [], "industry": None}):
        with pytest.raises(ValueError, match="it says nothing, and would wipe what is known"):
            read_reference_profile(empty)


def test_the_latest_profile_counts_as_a_whole():
    events = [
        VerifiedEvent("p1", "reference_profile", DAY, attributes={"industry": "Finance", "size": 10}),
        VerifiedEvent("p2", "reference_profile", DAY + timedelta(1), attributes={"languages": "de"}),
        VerifiedEvent("p3", "reference_profile", DAY + timedelta(9), attributes={"size": 5}),
        VerifiedEvent("t1", "reference_traits", DAY + timedelta(2), attributes={"brand": 1}),
    ]
    assert profile_on(events, DAY + timedelta(5)) == Profile(languages=("de",))
    assert profile_on(events, DAY) == Profile("Finance", size=10)
    assert profile_on(events, DAY - timedelta(1)) == Profile()


def test_the_attributes_of_an_outcome():
    full = {
        "request": "7", "expected_grade": "positive", "actual_grade": "very_positive", "minutes": 30,
        "signals": ["quota_hit", "reluctant"], "prospect_bought": True, "note": "went well",
    }  # fmt: skip
    outcome = Outcome("7", Grade.POSITIVE, Grade.VERY_POSITIVE, 30, ("reluctant", "quota_hit"), True)
    assert read_reference_outcome(full) == outcome
    assert read_reference_outcome({"request": "7"}) == Outcome("7")
    for wrong, told in [
        ({"actual_grade": "postive"}, "Did you mean positive"),
        ({"signals": ["relutant"]}, "Did you mean reluctant"),
        ({"minutes": 10081}, "`minutes` is a whole number from 0 to 10080"),
        ({"prospect_bought": True, "signals": ["prospect_did_not_buy"]}, "keep one of them"),
        ({"grade": "positive"}, "`grade` is no attribute"),
        ({}, "it says nothing"),
        ({"note": "went well"}, "it says nothing"),
    ]:
        with pytest.raises(ValueError, match=told):
            read_reference_outcome(wrong)


def test_a_rating_is_read_from_its_event():
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    event = VerifiedEvent("e", "reference_traits", DAY, noon, attributes={"brand": 2})
    assert rating_of(event) == TraitRating("e", DAY, {"brand": 2}, noon)
