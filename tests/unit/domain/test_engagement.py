"""Points, detractors and participation, against tables made by hand and against slower ways to say the same."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import ROUND_UP, Decimal, localcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.decay import decay_ppm
from app.domain.engagement import (
    BASE_POINTS,
    MILLION,
    Deed,
    Membership,
    Outcome,
    age_in_days,
    band_of,
    counted_types,
    decay_steps,
    detractor_until,
    outcome_of,
    participation,
    point_lines,
    points,
    quarter_of,
    rule_of,
    shown_points,
    unite,
    week_of,
    whole_points,
)
from app.domain.event_types import EVENT_TYPES, Family
from app.domain.events import Polarity
from app.domain.rules import EngagementRules

RULES = EngagementRules()
MONDAY = date(2026, 3, 2)
DAYS = st.dates(date(2024, 1, 1), date(2026, 12, 31))
deeds = st.lists(
    st.builds(
        Deed,
        st.uuids().map(str),
        st.sampled_from(("case_study", "reference_call", "complaint", "recovered", "nps_response", "follow", "x_ours")),
        DAYS,
        st.sampled_from(Polarity),
    ),
    max_size=25,
    unique_by=lambda deed: deed.id,
)
memberships = st.lists(st.builds(Membership, DAYS, st.none() | DAYS), max_size=8)


def deed(code="case_study", on=MONDAY, id_="e1", polarity=Polarity.ADVOCATE):
    return Deed(id_, code, on, polarity)


@pytest.mark.parametrize(
    ("days", "half_life", "ppm"),
    [
        (-5, 365, 1_000_000),
        (0, 365, 1_000_000),
        (7, 365, 986_795),
        (365, 365, 500_000),
        (730, 365, 250_000),
        (7 * 7, 7, 7_812),  # 7812.5: the half goes to the even number
        (8 * 7, 7, 3_906),  # 3906.25
        (9 * 7, 7, 1_953),  # 1953.125
        (20 * 7, 7, 1),
        (21 * 7, 7, 0),
        (10**6, 365, 0),
    ],
)
def test_what_is_left_of_a_million_after_some_days(days, half_life, ppm):
    assert decay_ppm(days, half_life) == ppm


def test_what_is_left_does_not_depend_on_the_decimal_context_of_the_thread():
    with localcontext() as context:
        context.prec, context.rounding = 3, ROUND_UP

        assert decay_ppm(8 * 11, 11) == 3_906


@given(st.integers(1, 400), st.integers(1, 40))
def test_the_decay_is_rounded_exactly_by_the_measure_of_whole_numbers(days, half_life):
    n = decay_ppm(days, half_life)

    # n - 1/2 <= 10**6 * 2**(-days / half_life) <= n + 1/2, both sides to the power of the half-life.
    exact = (2 * MILLION) ** half_life
    assert max(0, 2 * n - 1) ** half_life * 2**days <= exact <= (2 * n + 1) ** half_life * 2**days


def test_weeks_begin_on_monday_and_ages_move_only_then():
    sunday, tuesday = MONDAY - timedelta(1), MONDAY + timedelta(1)

    assert week_of(MONDAY) == week_of(MONDAY + timedelta(6)) == week_of(sunday) + 1
    assert [age_in_days(sunday, MONDAY), age_in_days(MONDAY, tuesday), age_in_days(sunday, tuesday)] == [7, 0, 7]


@pytest.mark.parametrize(
    ("day", "quarter"), [("2026-03-31", "2026Q1"), ("2026-04-01", "2026Q2"), ("2026-12-31", "2026Q4")]
)
def test_quarters_are_those_of_the_calendar(day, quarter):
    assert quarter_of(date.fromisoformat(day)) == quarter


@pytest.mark.parametrize(
    ("code", "polarity", "base"),
    [
        ("case_study", Polarity.ADVOCATE, 60),
        ("case_study", Polarity.NEUTRAL, 0),
        ("case_study", Polarity.DETRACTOR, -60),
        ("complaint", Polarity.ADVOCATE, -20),
        ("complaint", Polarity.NEUTRAL, -20),
        ("complaint", Polarity.DETRACTOR, -20),
        ("follow", Polarity.DETRACTOR, -10),
        ("nps_response", Polarity.ADVOCATE, 0),
        ("nps_response", Polarity.DETRACTOR, -10),
        ("referral.won", Polarity.ADVOCATE, 0),
        ("x_unheard_of", Polarity.ADVOCATE, 0),
    ],
)
def test_the_points_of_an_event_follow_from_its_type_and_polarity(code, polarity, base):
    assert rule_of(code, RULES).of(polarity) == base


def test_the_policy_gives_points_to_custom_types_and_mutes_known_ones():
    rules = EngagementRules(points={"x_ours": 7, "follow": 0}, half_lives={"x_ours": 30}, caps={"x_ours": 2})

    assert rule_of("x_ours", rules) == (7, -7, 30, 2)
    assert rule_of("follow", rules) == (0, 0, 365, 5)


def test_every_type_with_points_is_known_and_those_against_us_cost_some():
    assert set(BASE_POINTS) <= set(EVENT_TYPES)
    assert {EVENT_TYPES[code].family for code, base in BASE_POINTS.items() if base < 0} == {Family.SENTIMENT}
    assert {code for code, base in BASE_POINTS.items() if base < 0} == RULES.detractor_types


@pytest.mark.parametrize(
    ("on", "as_of", "millionths"),
    [
        (MONDAY, MONDAY, 60_000_000),
        (MONDAY, MONDAY + timedelta(6), 60_000_000),
        (MONDAY, MONDAY + timedelta(7), 60 * 986_795),
        (MONDAY + timedelta(6), MONDAY + timedelta(7), 60 * 986_795),
        (MONDAY, MONDAY - timedelta(1), 0),
        (MONDAY - timedelta(7 * 52), MONDAY, 60 * decay_ppm(364, 365)),
    ],
)
def test_a_case_study_fades_week_by_week(on, as_of, millionths):
    assert points([deed(on=on)], RULES, as_of) == millionths


def test_of_one_type_and_quarter_the_weightiest_then_the_earliest_count():
    rules = EngagementRules(cap=2)
    found = [
        deed(on=date(2026, 1, 1), id_="neutral", polarity=Polarity.NEUTRAL),
        deed(on=date(2026, 3, 1), id_="a"),
        deed(on=date(2026, 2, 1), id_="c"),
        deed(on=date(2026, 2, 1), id_="b"),
        deed(on=date(2026, 4, 1), id_="next quarter"),
        deed("reference_call", date(2026, 3, 1), "other type"),
    ]

    kept = [line.event_id for line in point_lines(found, rules, date(2026, 6, 1))]

    assert kept == ["b", "c", "other type", "next quarter"]


def test_a_type_may_have_a_cap_of_its_own():
    rules = EngagementRules(cap=3, caps={"follow": 1})
    found = [deed(code, MONDAY, f"{code} {number}") for code in ("case_study", "follow") for number in range(4)]

    kept = [line.type for line in point_lines(found, rules, MONDAY)]

    assert kept == ["case_study"] * 3 + ["follow"]


def test_all_known_types_are_counted_and_those_that_the_policy_names():
    rules = EngagementRules(points={"x_a": 1}, half_lives={"x_b": 30}, caps={"x_c": 1, "follow": 1})

    assert counted_types(rules) == tuple(sorted([*EVENT_TYPES, "x_a", "x_b", "x_c"]))


def test_a_word_against_us_outweighs_smaller_ones_where_the_cap_leaves_room_for_one():
    rules = EngagementRules(cap=1)
    found = [deed("follow", MONDAY, "for"), deed("follow", MONDAY + timedelta(1), "against", Polarity.DETRACTOR)]

    assert points(found, rules, MONDAY + timedelta(1)) == -10 * MILLION


@given(deeds, DAYS, st.randoms())
def test_the_score_does_not_depend_on_the_order_of_events(found, as_of, draw):
    shuffled = draw.sample(found, len(found))

    assert point_lines(shuffled, RULES, as_of) == point_lines(found, RULES, as_of)


@given(deeds, DAYS)
def test_what_has_not_happened_yet_changes_nothing(found, as_of):
    known = [one for one in found if one.occurred_on <= as_of]

    assert points(found, RULES, as_of) == points(known, RULES, as_of)
    assert detractor_until(found, RULES, as_of) == detractor_until(known, RULES, as_of)


@given(deeds, DAYS)
def test_within_a_week_the_score_of_the_same_events_stands_still(found, as_of):
    known = [one for one in found if one.occurred_on <= as_of]
    sunday = as_of + timedelta(6 - as_of.weekday())

    assert points(known, RULES, sunday) == points(known, RULES, as_of)


@given(deeds, DAYS)
def test_the_cap_is_never_exceeded_and_without_one_everything_counts(found, as_of):
    groups = {}
    for line in point_lines(found, replace(RULES, cap=2), as_of):
        groups.setdefault((line.type, quarter_of(line.occurred_on)), []).append(line)
    everything = point_lines(found, replace(RULES, cap=1000), as_of)

    assert all(len(lines) <= 2 for lines in groups.values())
    assert len(everything) == sum(
        one.occurred_on <= as_of and rule_of(one.type, RULES).of(one.polarity) != 0 for one in found
    )


@pytest.mark.parametrize(
    ("millionths", "whole", "shown", "band"),
    [
        (0, 0, "0.0", None),
        (999_999, 0, "0.9", None),
        (1_000_000, 1, "1.0", "light"),
        (24_999_999, 24, "24.9", "light"),
        (25_000_000, 25, "25.0", "active"),
        (99_999_999, 99, "99.9", "active"),
        (100_000_000, 100, "100.0", "strong"),
        (-1, -1, "-0.1", None),
        (-20_000_000, -20, "-20.0", None),
    ],
)
def test_what_is_shown_is_cut_so_that_no_band_runs_ahead_of_it(millionths, whole, shown, band):
    assert whole_points(millionths) == whole
    assert shown_points(millionths) == Decimal(shown)
    assert band_of(millionths, RULES) == band


def test_the_decay_table_says_what_the_function_says():
    table = list(decay_steps([MONDAY, MONDAY - timedelta(365)], [30, 365, 30], MONDAY))

    assert table == [
        (MONDAY, 30, MILLION),
        (MONDAY, 365, MILLION),
        (MONDAY - timedelta(365), 30, decay_ppm(371, 30)),
        (MONDAY - timedelta(365), 365, decay_ppm(371, 365)),
    ]


@pytest.mark.parametrize(
    ("events", "as_of", "until"),
    [
        ([("complaint", "2026-01-01")], "2026-01-01", "2026-06-30"),
        ([("complaint", "2026-01-01")], "2026-06-29", "2026-06-30"),
        ([("complaint", "2026-01-01")], "2026-06-30", None),
        ([("complaint", "2026-01-01")], "2025-12-31", None),
        ([("complaint", "2026-01-01"), ("recovered", "2026-01-01")], "2026-01-02", None),
        ([("complaint", "2026-01-02"), ("recovered", "2026-01-01")], "2026-01-02", "2026-07-01"),
        ([("complaint", "2026-01-01"), ("recovered", "2026-02-01")], "2026-01-31", "2026-06-30"),
        ([("complaint", "2026-01-01"), ("recovered", "2026-02-01")], "2026-02-01", None),
        ([("complaint", "2026-01-01"), ("escalation", "2026-03-01")], "2026-03-01", "2026-08-28"),
        ([("case_study", "2026-01-01")], "2026-01-01", None),
        ([("recovered", "2026-01-01")], "2026-01-01", None),
    ],
)
def test_whoever_spoke_against_us_is_a_detractor_for_180_days_or_until_recovered(events, as_of, until):
    found = [deed(code, date.fromisoformat(on), str(at)) for at, (code, on) in enumerate(events)]

    expected = date.fromisoformat(until) if until else None
    assert detractor_until(found, RULES, date.fromisoformat(as_of)) == expected


def test_any_event_with_the_polarity_of_a_detractor_makes_one_and_old_merits_do_not_help():
    merits = [deed(id_=str(number), on=MONDAY - timedelta(number)) for number in range(9)]

    assert detractor_until([*merits, deed("nps_response", MONDAY, "nps", Polarity.DETRACTOR)], RULES, MONDAY)


@given(deeds, DAYS)
def test_the_day_a_detractor_stops_being_one_is_exactly_that_day(found, as_of):
    known = [one for one in found if one.occurred_on <= as_of]
    until = detractor_until(known, RULES, as_of)

    if until is not None:
        assert detractor_until(known, RULES, until - timedelta(1)) == until
        assert detractor_until(known, RULES, until) is None


def span(start, end=None):
    return Membership(date.fromisoformat(start), date.fromisoformat(end) if end else None)


@pytest.mark.parametrize(
    ("spans", "as_of", "expected"),
    [
        ([], "2026-03-02", (0, False, None)),
        ([span("2026-03-02")], "2026-03-01", (0, False, "2026-03-02")),
        ([span("2026-03-02")], "2026-03-02", (1, True, "2026-03-03")),
        ([span("2026-03-02")], "2027-03-01", (365, True, None)),
        ([span("2026-03-01", "2026-03-02")], "2026-03-01", (1, True, "2026-03-02")),
        ([span("2026-03-01", "2026-03-02")], "2026-03-02", (1, False, "2027-03-01")),
        ([span("2026-03-01", "2026-03-02")], "2027-02-28", (1, False, "2027-03-01")),
        ([span("2026-03-01", "2026-03-02")], "2027-03-01", (0, False, None)),
        ([span("2026-03-02", "2026-03-02")], "2026-03-02", (0, False, None)),
        ([span("2026-01-01", "2026-01-11"), span("2026-01-06", "2026-01-21")], "2026-02-01", (20, False, "2027-01-01")),
        ([span("2026-01-01", "2026-01-11"), span("2026-01-11", "2026-01-21")], "2026-02-01", (20, False, "2027-01-01")),
        ([span("2025-01-01"), span("2026-01-01", "2026-02-01")], "2026-02-01", (365, True, None)),
        ([span("2025-01-01", "2026-02-03")], "2026-02-01", (365, True, "2026-02-03")),
    ],
)
def test_days_of_participation_are_those_of_the_last_365_and_count_once(spans, as_of, expected):
    days, is_active, change = expected

    found = participation(spans, RULES, date.fromisoformat(as_of))

    assert (found.days, found.is_active) == (days, is_active)
    assert found.next_change_on == (date.fromisoformat(change) if change else None)


@given(memberships, DAYS)
def test_participation_is_what_counting_day_by_day_gives(spans, as_of):
    def member(day):
        return any(one.start <= day < (one.end or date.max) for one in spans)

    found = participation(spans, RULES, as_of)

    assert found.days == sum(member(as_of - timedelta(back)) for back in range(365))
    assert found.is_active == member(as_of)


@given(memberships, DAYS)
def test_nothing_moves_before_the_next_change_is_due(spans, as_of):
    found = participation(spans, RULES, as_of)
    quiet = (found.next_change_on or as_of + timedelta(1500)) - timedelta(1)

    later = participation(spans, RULES, quiet)

    assert (later.days, later.is_active) == (found.days, found.is_active)


@given(memberships)
def test_united_memberships_lie_apart_and_in_order(spans):
    united = unite(spans)

    assert all(start < end for start, end in united)
    assert all(first[1] < second[0] for first, second in pairwise(united))


def test_participation_reaches_the_end_of_the_calendar_without_an_error():
    last = participation([Membership(date.min)], RULES, date.max)

    assert (last.is_active, last.next_change_on) == (False, None)
    assert detractor_until([deed("complaint", date.max)], RULES, date.max) is None


@pytest.mark.parametrize(
    ("code", "attributes", "outcome"),
    [
        ("idea_submitted", {}, Outcome.OPEN),
        ("idea_submitted", {"outcome": "Adopted"}, Outcome.ADOPTED),
        ("beta_feedback", {"outcome": " shipped "}, Outcome.ADOPTED),
        ("product_feedback", {"outcome": "Won't do"}, Outcome.DECLINED),
        ("product_feedback", {"outcome": "wont-fix"}, Outcome.DECLINED),
        ("product_feedback", {"outcome": "thinking about it"}, Outcome.OPEN),
        ("product_feedback", {"outcome": None}, Outcome.OPEN),
        ("idea_adopted", {}, Outcome.ADOPTED),
    ],
)
def test_feedback_is_adopted_declined_or_open(code, attributes, outcome):
    assert outcome_of(code, attributes) is outcome
