"""What is ticked and the level that follows, against tables made by hand."""

from __future__ import annotations

from datetime import date
from itertools import product

import pytest

from app.domain.events import VerifiedEvent
from app.domain.relationship import offer_standing
from app.domain.relationship_events import (
    OFFER_LEVELS,
    PERSONAL_LEVELS,
    READERS,
    OfferBasis,
    PersonalTerms,
    Tick,
    offer_rating_of,
    personal_rating_of,
    rate_offer,
    rate_person,
    read_offer_rating,
    read_personal_rating,
    read_recognition,
)
from app.domain.rules import RelationshipRules

RULES = RelationshipRules()
D = date.fromisoformat
JAN = D("2026-01-10")
B = OfferBasis
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


def test_every_level_has_words_and_every_reader_its_type():
    assert [one.number for one in OFFER_LEVELS] == [one.number for one in PERSONAL_LEVELS] == [0, 1, 2, 3, 4]
    assert set(READERS) == {"offer_rating", "personal_rating", "recognition_received"}
    assert personal_rating_of(
        VerifiedEvent("e1", "personal_rating", JAN, attributes={"rep": "R1", "level": 0})
    ).terms == PersonalTerms("R1", 0)


def test_a_token_of_esteem_is_a_bobble_head_unless_it_says_what():
    assert read_recognition({}).item == "bobble-head"
    assert read_recognition({"item": "mug", "note": "at the fair"}).item == "mug"
    assert "`item` is a text" in refusal(read_recognition, {"item": 1})
