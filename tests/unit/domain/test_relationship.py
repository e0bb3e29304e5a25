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
    clients_by_rep,
    count_recognitions,
    offer_history,
    offer_standing,
    personal_history,
    personal_standing,
    place_in_matrix,
)
from app.domain.relationship_events import (
    OfferBasis,
    OfferRating,
    OfferTerms,
    PersonalRating,
    PersonalTerms,
    Recognition,
    recognition_of,
)
from app.domain.rules import RelationshipRules

RULES = RelationshipRules()
D = date.fromisoformat
JAN = D("2026-01-10")
B = OfferBasis


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
