"""What people may say of references, and what is refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from app.domain.events import VerifiedEvent
from app.domain.reference_events import (
    Grade,
    Outcome,
    Profile,
    TraitRating,
    profile_on,
    rating_of,
    read_reference_outcome,
    read_reference_profile,
    read_reference_traits,
)

DAY = date(2026, 6, 1)


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
