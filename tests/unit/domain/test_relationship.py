"""The two scales, against tables made by hand and against slower ways to say the same."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import VerifiedEvent
from app.domain.relationship import (
    NOBODY_RATED,
    NOT_RATED,
    OFFER_LEVELS,
    PERSONAL_LEVELS,
    READERS,
    OfferBasis,
    OfferRating,
    OfferTerms,
    PersonalRating,
    PersonalTerms,
    Recognition,
    Tick,
    clients_by_rep,
    count_recognitions,
    offer_history,
    offer_rating_of,
    offer_standing,
    personal_history,
    personal_rating_of,
    personal_standing,
    place_in_matrix,
    rate_offer,
    rate_person,
    read_offer_rating,
    read_personal_rating,
    read_recognition,
    recognition_of,
)
from app.domain.rules import RelationshipRules

RULES = RelationshipRules()
D = date.fromisoformat
JAN = D("2026-01-10")
B = OfferBasis
OFFER_TICKS = ("pays_premium", "calls_first", "last_chance")
COMBINATIONS = list(product(B, (False, True), (False, True), (False, True)))
ALL_OF_4 = {"executive_credibility": True, "innovative_solutions": True, "proven_financial_impact": True}


def rate(basis, premium=False, first=False, last=False, **more):
    return rate_offer(basis, pays_premium=premium, calls_first=first, last_chance=last, **more)


def refusal(read, attributes, *more):
    with pytest.raises(ValueError) as refused:
        read(attributes, *more)
    return str(refused.value)


# premium, calls first, last chance -> is it a signal
SIGNALS = {
    (False, False, False): False,
    (False, False, True): False,
    (False, True, False): False,
    (False, True, True): True,
    (True, False, False): True,
    (True, False, True): True,
    (True, True, False): True,
    (True, True, True): True,
}


@pytest.mark.parametrize("ticks", SIGNALS)
def test_s1_01_total_cost_of_ownership_takes_a_premium_or_the_first_call_and_the_last_chance(ticks):
    assert rate(B.TCO, *ticks) == (4 if SIGNALS[ticks] else 2)
    assert rate(B.TCO, *ticks, tco_alone=True) == 4


@pytest.mark.parametrize("ticks", SIGNALS)
def test_s1_02_value_added_takes_a_premium_or_the_first_call_and_the_last_chance(ticks):
    assert rate(B.VALUE_ADDED, *ticks) == rate(B.VALUE_ADDED, *ticks, tco_alone=True) == (3 if SIGNALS[ticks] else 2)


@pytest.mark.parametrize("ticks", SIGNALS)
def test_s1_03_features_and_benefits_make_level_2_whatever_else_is_ticked(ticks):
    assert rate(B.FEATURES, *ticks) == 2


@pytest.mark.parametrize("ticks", SIGNALS)
def test_s1_04_price_makes_level_1_whatever_else_is_ticked(ticks):
    assert rate(B.PRICE, *ticks) == 1


@pytest.mark.parametrize("ticks", SIGNALS)
def test_s1_05_hope_makes_level_0_whatever_else_is_ticked(ticks):
    assert rate(B.HOPE, *ticks) == 0


@pytest.mark.parametrize("tco_alone", [False, True])
def test_the_offer_scale_is_monotone_in_every_input_over_all_combinations(tco_alone):
    order = list(B)
    for (basis, *ticks), (better, *more) in product(COMBINATIONS, repeat=2):
        if order.index(basis) <= order.index(better) and all(b >= a for a, b in zip(ticks, more, strict=True)):
            assert rate(better, *more, tco_alone=tco_alone) >= rate(basis, *ticks, tco_alone=tco_alone)
    assert {rate(basis, *ticks) for basis, *ticks in COMBINATIONS} == {0, 1, 2, 3, 4}


def needs_its_ticks(level, ticks):
    """A level is refused until everything it takes is ticked, and the refusal says what to tick."""
    whole = dict.fromkeys(ticks, True)
    assert read_personal_rating({"rep": "R1", "level": level, **whole}).level == level
    assert read_personal_rating({"rep": "R1", **whole}).level == level
    for missing in ticks:
        said = refusal(read_personal_rating, {"rep": "R1", "level": level, **whole, missing: False})
        assert f"tick {missing} too" in said
    assert PERSONAL_LEVELS[level].number == level


def test_s1_06_level_4_of_the_person_takes_credibility_innovation_and_proven_impact():
    needs_its_ticks(4, ("executive_credibility", "innovative_solutions", "proven_financial_impact"))


def test_s1_07_level_3_of_the_person_takes_understanding_of_the_business():
    needs_its_ticks(3, ("understands_business",))


def test_s1_08_level_2_of_the_person_takes_knowledge_and_keeping_up_to_date():
    needs_its_ticks(2, ("product_knowledge", "keeps_up_to_date"))


def test_s1_09_level_1_of_the_person_passes_prices():
    needs_its_ticks(1, ("passes_prices",))


def test_s1_10_level_0_of_the_person_needs_no_tick():
    assert read_personal_rating({"rep": "R1", "level": 0}).level == 0
    assert refusal(read_personal_rating, {"rep": "R1"}) == "give a `level`, or tick what is so"
    assert rate_person(()) == 0


@pytest.mark.parametrize(
    ("ticks", "level"),
    [
        ("", 0),
        ("passes_prices", 1),
        ("product_knowledge", 0),
        ("product_knowledge keeps_up_to_date", 2),
        ("keeps_up_to_date passes_prices", 1),
        ("understands_business", 3),
        ("understands_business product_knowledge", 3),
        ("executive_credibility innovative_solutions", 0),
        ("executive_credibility innovative_solutions understands_business", 3),
        ("executive_credibility innovative_solutions proven_financial_impact", 4),
        ("executive_credibility innovative_solutions proven_financial_impact passes_prices", 4),
    ],
)
def test_a_person_has_the_highest_level_for_which_everything_is_ticked(ticks, level):
    assert rate_person(Tick(tick) for tick in ticks.split()) == level


def test_a_rater_may_be_more_careful_than_the_ticks():
    assert read_personal_rating({"rep": "R1", "level": 3, "understands_business": True, **ALL_OF_4}).level == 3
    assert read_personal_rating({"rep": "R1", "level": 0, **ALL_OF_4}).level == 0


@pytest.mark.parametrize(
    ("attributes", "level"),
    [
        ({"basis": "tco", "pays_premium": True}, 4),
        ({"basis": "tco", "pays_premium": True, "level": 4}, 4),
        ({"basis": "tco", "level": 2}, 2),
        ({"basis": "value_added", "calls_first": True, "last_chance": True, "level": 3}, 3),
        ({"basis": "value_added", "calls_first": True, "level": 2}, 2),
        ({"basis": "features", "pays_premium": True, "level": 2}, 2),
        ({"basis": "price", "level": 1}, 1),
        ({"basis": "hope", "level": 0, "rated_by": "R1", "note": "new", "x_mood": 1}, 0),
        ({"basis": "hope"}, 0),
        ({"basis": "price", "pays_premium": None, "level": None}, 1),
    ],
)
def test_the_level_of_the_offer_follows_from_what_is_ticked(attributes, level):
    read_offer_rating(attributes)
    rating = offer_rating_of(VerifiedEvent("e1", "offer_rating", JAN, attributes=attributes))

    assert offer_standing([rating], RULES, JAN).level == level


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({}, "`basis` is missing"),
        ({"level": 3}, "`basis` is missing"),
        ({"basis": "value"}, "Did you mean value_added?"),
        ({"basis": "tco", "level": 4}, "`level` 4 takes basis tco, and pays_premium, or calls_first and last_chance;"),
        ({"basis": "tco", "calls_first": True, "level": 4}, "what is ticked makes 2"),
        ({"basis": "value_added", "level": 3}, "`level` 3 takes basis value_added, and pays_premium, or calls_first"),
        ({"basis": "tco", "pays_premium": True, "level": 3}, "what is ticked makes 4"),
        ({"basis": "price", "level": 2}, "`level` 2 takes basis features"),
        ({"basis": "features", "level": 1}, "`level` 1 takes basis price"),
        ({"basis": "price", "level": 0}, "`level` 0 takes basis hope"),
        ({"basis": "price", "level": 5}, "`level` is a whole number from 0 to 4"),
        ({"basis": "price", "pays_premium": "yes"}, "`pays_premium` is true or false"),
        ({"basis": "price", "pays_premiums": True}, "Did you mean pays_premium?"),
    ],
)
def test_a_rating_of_the_offer_is_refused_when_the_rule_does_not_hold(attributes, problem):
    assert problem in refusal(read_offer_rating, attributes)


def test_the_policy_may_let_total_cost_of_ownership_stand_alone():
    alone = RelationshipRules(tco_alone=True)

    assert read_offer_rating({"basis": "tco", "level": 4}, alone).basis is B.TCO
    assert "`level` 4 takes basis tco; what is ticked makes 3" in refusal(
        read_offer_rating, {"basis": "value_added", "pays_premium": True, "level": 4}, alone
    )
    # What was let in under one policy is still read under another, at the level that follows there.
    rating = offer_rating_of(VerifiedEvent("e1", "offer_rating", JAN, attributes={"basis": "tco", "level": 4}))
    assert [offer_standing([rating], rules, JAN).level for rules in (alone, RULES)] == [4, 2]


@pytest.mark.parametrize(
    ("attributes", "problem"),
    [
        ({"level": 1, "passes_prices": True}, "`rep` is missing"),
        (
            {"rep": "R1", "level": 4, "executive_credibility": True},
            "tick innovative_solutions, proven_financial_impact",
        ),
        ({"rep": "R1", "level": 3}, "`level` 3 takes understands_business; tick understands_business too, or rate 0"),
        ({"rep": "R1", "level": 4, "passes_prices": True}, "or rate 1"),
        ({"rep": "R1", "level": -1}, "`level` is a whole number from 0 to 4"),
        ({"rep": "R1", "level": 0, "doughnuts": True}, "`doughnuts` is no attribute of this type"),
        ({"rep": "R1", "passes_price": True}, "Did you mean passes_prices?"),
    ],
)
def test_a_rating_of_a_person_is_refused_when_the_rule_does_not_hold(attributes, problem):
    assert problem in refusal(read_personal_rating, attributes)


# --- several raters, staleness, history ------------------------------------------------------------------------------


def offered(basis, on=JAN, by="R1", id_=None, at=None, premium=True):
    day = D(on) if isinstance(on, str) else on
    return OfferRating(id_ or f"{by}-{day}", day, OfferTerms(B(basis), pays_premium=premium, rated_by=by), at)


def personal(level, on=JAN, by="M1", rep="R1", id_=None):
    day = D(on) if isinstance(on, str) else on
    return PersonalRating(id_ or f"{rep}-{by}-{day}", day, PersonalTerms(rep, level, rated_by=by))


@pytest.mark.parametrize(
    ("ratings", "as_of", "level", "is_stale", "next_change_on"),
    [
        ([], "2026-01-10", None, False, None),
        ([offered("price")], "2026-01-09", None, False, "2026-01-10"),
        ([offered("price")], "2026-01-10", 1, False, "2026-07-09"),
        ([offered("price")], "2026-07-08", 1, False, "2026-07-09"),
        ([offered("price")], "2026-07-09", 1, True, "2027-01-10"),
        ([offered("price")], "2027-01-09", 1, True, "2027-01-10"),
        ([offered("price")], "2027-01-10", None, True, None),
        # The lower of two in the middle.
        ([offered("price"), offered("tco", by="R2")], "2026-01-10", 1, False, "2026-07-09"),
        ([offered("price"), offered("tco", by="R2"), offered("value_added", by="R3")], "2026-01-10", 3, False, "2026-07-09"),
        # Each rater's latest counts, and only that.
        ([offered("tco"), offered("price", "2026-02-01")], "2026-02-01", 1, False, "2026-07-31"),
        ([offered("tco"), offered("hope", "2026-02-01"), offered("tco", by="R2")], "2026-02-01", 0, False, "2026-07-31"),
        # One person is one rater however the name is written.
        ([offered("tco", by="Ann"), offered("price", "2026-02-01", " ann ")], "2026-02-01", 1, False, "2026-07-31"),
        ([offered("tco", by="Ann"), offered("price", "2026-02-01", "ANN")], "2026-02-01", 1, False, "2026-07-31"),
        # Without a name the later word of a day corrects the earlier one.
        ([offered("price", by=None, id_="1"), offered("tco", by=None, id_="2")], "2026-01-10", 4, False, "2026-07-09"),
        # Those of two days are two raters, and none of them is somebody who gave a name.
        ([offered("price", by=None, id_="1"), offered("tco", "2026-02-01", None, "2"), offered("tco", "2026-02-01", "R3")],
         "2026-02-01", 4, False, "2026-07-31"),
        ([offered("tco", by=None, id_="1"), offered("price", "2026-02-01", None, "2"), offered("tco", "2026-02-01", "1")],
         "2026-02-01", 4, False, "2026-07-31"),
        # One rater's word lapses, the other's stands.
        ([offered("hope"), offered("tco", "2026-06-10", "R2")], "2027-01-09", 0, True, "2027-01-10"),
        ([offered("hope"), offered("tco", "2026-06-10", "R2")], "2027-01-10", 4, True, "2027-06-10"),
    ],
)  # fmt: skip
def test_each_raters_latest_counts_for_a_year_and_is_stale_after_half(ratings, as_of, level, is_stale, next_change_on):
    for given_order in (ratings, ratings[::-1]):
        standing = offer_standing(given_order, RULES, D(as_of))
        assert (standing.level, standing.is_stale) == (level, is_stale)
        assert standing.next_change_on == (next_change_on and D(next_change_on))


def test_on_one_day_the_later_hour_counts_then_the_id():
    nine, ten = datetime(2026, 1, 10, 9, tzinfo=UTC), datetime(2026, 1, 10, 10, tzinfo=UTC)

    assert offer_standing([offered("tco", at=ten, id_="a"), offered("price", at=nine, id_="b")], RULES, JAN).level == 4
    assert offer_standing([offered("tco", id_="a"), offered("price", id_="b")], RULES, JAN).level == 1


def test_the_person_is_rated_per_representative_with_the_best_and_the_latest():
    ratings = [
        personal(4, "2026-01-10", "M1", "R1"), personal(2, "2026-01-10", "M2", "R1"), personal(3, "2026-01-10", "M3", "R1"),
        personal(1, "2026-03-01", "M1", "R2"),
    ]  # fmt: skip
    standing = personal_standing(ratings, RULES, D("2026-03-01"))

    assert [(rep, one.level) for rep, one in standing.by_rep] == [("R1", 3), ("R2", 1)]
    assert (standing.highest, standing.latest) == (3, 1)
    assert standing.next_change_on == D("2026-07-09")


@pytest.mark.parametrize(
    ("as_of", "highest", "latest"),
    [
        ("2026-01-09", None, None),
        ("2026-01-10", 4, 4),
        ("2026-02-28", 4, 4),
        ("2026-03-01", 4, 0),
        ("2027-01-09", 4, 0),
        ("2027-01-10", 0, 0),
        ("2027-02-28", 0, 0),
        ("2027-03-01", None, None),
    ],
)
def test_the_best_person_and_the_latest_change_with_time(as_of, highest, latest):
    standing = personal_standing(
        [personal(4, "2026-01-10", rep="R1"), personal(0, "2026-03-01", rep="R2")], RULES, D(as_of)
    )
    assert (standing.highest, standing.latest) == (highest, latest)


def test_nobody_having_rated_is_not_a_zero():
    assert offer_standing([], RULES, JAN) == NOT_RATED
    assert personal_standing([], RULES, JAN) == NOBODY_RATED
    assert NOT_RATED.level is None
    assert offer_standing([offered("hope")], RULES, JAN).level == 0


def test_s1_11_the_history_of_a_client_shows_the_trend():
    ratings = [
        offered("price", "2025-01-10"), offered("features", "2025-03-10"), offered("features", "2025-06-10"),
        offered("tco", "2025-09-10", "R2"), offered("tco", "2025-12-10"),
    ]  # fmt: skip

    assert offer_history(ratings[::-1], RULES, D("2026-09-10")) == [
        (D("2025-01-10"), 1),
        (D("2025-03-10"), 2),
        (D("2025-12-10"), 4),
    ]
    assert offer_history(ratings, RULES, D("2027-01-10"))[-1] == (D("2026-12-10"), None)
    people = [personal(1, "2026-01-10"), personal(3, "2026-03-10"), personal(0, "2026-02-10", rep="R2")]
    assert personal_history(people, "R1", RULES, D("2026-06-10")) == [(D("2026-01-10"), 1), (D("2026-03-10"), 3)]


def test_s1_12_the_bobble_heads_of_a_representative_are_counted_by_client():
    given_ = [
        Recognition("1", "A", D("2026-01-10"), "bobble-head", "R1"),
        Recognition("2", "A", D("2026-02-10"), "bobble-head", "R1"),
        Recognition("3", "B", D("2026-03-10"), "mug", "R1"),
        Recognition("4", "B", D("2026-03-11"), "bobble-head", "R2"),
        Recognition("5", "C", D("2026-03-11"), "card", None),
    ]

    assert clients_by_rep(given_, D("2026-03-10")) == {"R1": 2}
    assert clients_by_rep(given_, D("2026-03-11")) == {"R1": 2, "R2": 1}
    assert count_recognitions([one for one in given_ if one.account == "A"], D("2026-02-09")) == 1
    assert count_recognitions([one for one in given_ if one.account == "A"], D("2026-02-10")) == 2
    assert recognition_of(VerifiedEvent("1", "recognition_received", JAN, attributes={"rep": "R1"}), "A") == (
        Recognition("1", "A", JAN, "bobble-head", "R1")
    )
    assert read_recognition({"item": "mug", "note": "at the fair"}).item == "mug"
    assert "`item` is a text" in refusal(read_recognition, {"item": 1})


@pytest.mark.parametrize(("offer", "person"), list(product(range(5), range(5))))
def test_both_scales_meet_in_one_of_25_cells_and_their_difference_is_the_talking_point(offer, person):
    place = place_in_matrix(offer, person)

    assert (place.offer, place.personal, place.difference) == (offer, person, offer - person)
    if offer > person:
        assert place.talking_point.startswith("The offer is valued")
    elif offer < person:
        assert place.talking_point.startswith("The person is valued")
    else:
        assert "alike" in place.talking_point
    assert ("one level more" in place.talking_point) == (abs(offer - person) == 1)


def test_there_is_no_cell_while_one_level_is_unknown():
    assert place_in_matrix(None, 3) is place_in_matrix(3, None) is None
    assert place_in_matrix(0, 0) is not None


# --- properties ------------------------------------------------------------------------------------------------------

DAYS = st.dates(JAN, JAN + timedelta(30))
SHORT = RelationshipRules(rating_days=12, stale_days=5)
RATERS = st.sampled_from(("M1", "M2", "M3"))
OFFERS = st.lists(
    st.builds(
        lambda n, day, basis, premium, by: offered(basis, day, by, f"e{n}", premium=premium),
        st.integers(0, 10**6), DAYS, st.sampled_from(B), st.booleans(), RATERS,
    ),
    max_size=7, unique_by=lambda one: one.id,
)  # fmt: skip
PEOPLE = st.lists(
    st.builds(
        lambda n, level, day, by, rep: personal(level, day, by, rep, f"e{n}"),
        st.integers(0, 10**6), st.integers(0, 4), DAYS, RATERS, st.sampled_from(("R1", "R2")),
    ),
    max_size=7, unique_by=lambda one: one.id,
)  # fmt: skip


@given(OFFERS, DAYS)
def test_the_next_change_of_the_offer_is_exactly_the_first_day_on_which_something_flips(ratings, as_of):
    def seen(day):
        standing = offer_standing(ratings, SHORT, day)
        return standing.level, standing.is_stale

    days = [as_of + timedelta(n) for n in range(1, 60)]
    expected = next((day for day in days if seen(day) != seen(as_of)), None)
    assert offer_standing(ratings, SHORT, as_of).next_change_on == expected


@given(PEOPLE, DAYS)
def test_the_next_change_of_the_person_is_exactly_the_first_day_on_which_something_flips(ratings, as_of):
    def seen(day):
        standing = personal_standing(ratings, SHORT, day)
        levels = [(rep, one.level, one.is_stale) for rep, one in standing.by_rep]
        return levels, standing.highest, standing.latest

    days = [as_of + timedelta(n) for n in range(1, 60)]
    expected = next((day for day in days if seen(day) != seen(as_of)), None)
    assert personal_standing(ratings, SHORT, as_of).next_change_on == expected


@given(OFFERS, DAYS, st.data())
def test_the_order_of_the_ratings_does_not_matter(ratings, as_of, data):
    shuffled = data.draw(st.permutations(ratings))
    assert offer_standing(shuffled, SHORT, as_of) == offer_standing(ratings, SHORT, as_of)


@given(OFFERS, DAYS)
def test_the_level_lies_among_the_votes_and_at_least_half_of_them_are_not_below_it(ratings, as_of):
    standing = offer_standing(ratings, SHORT, as_of)
    levels = [vote.level for vote in standing.votes]

    assert (standing.level is None) == (not levels)
    if levels:
        assert standing.level in levels
        assert 2 * sum(level >= standing.level for level in levels) >= len(levels)
        assert 2 * sum(level < standing.level for level in levels) < len(levels)
        assert len({vote.rater for vote in standing.votes}) == len(levels)


def test_every_level_has_words_and_every_reader_its_type():
    assert [one.number for one in OFFER_LEVELS] == [one.number for one in PERSONAL_LEVELS] == [0, 1, 2, 3, 4]
    assert set(READERS) == {"offer_rating", "personal_rating", "recognition_received"}
    assert personal_rating_of(
        VerifiedEvent("e1", "personal_rating", JAN, attributes={"rep": "R1", "level": 0})
    ).terms == PersonalTerms("R1", 0)
