"""The life of a request and the ledger of asks, against tables made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import VerifiedEvent
from app.domain.requests import (
    LEDGER_TYPES,
    MOVES,
    Answer,
    AskNote,
    LedgerEvent,
    State,
    Step,
    ask_ledger,
    ledger_event_of,
    next_state,
    open_steps,
    read_ask,
    read_pause,
)
from app.domain.rules import ReferenceRules

RULES = ReferenceRules()
DAY = date(2026, 6, 1)


def days(count, since=DAY):
    return since + timedelta(count)


def at(offset, type_="ask_sent", id_=None, **more):
    return LedgerEvent(id_ or f"{type_}{offset}{more}", type_, days(offset), **more)


ledger_events = st.lists(
    st.builds(
        LedgerEvent,
        st.uuids().map(str),
        st.sampled_from((*LEDGER_TYPES, "ask_sent", "ask_declined")),
        st.dates(date(2026, 1, 1), date(2026, 9, 1)),
        st.none(),
        st.sampled_from((None, "R1", "R2", "R3")),
        st.sampled_from((None, "O1", "O2")),
    ),
    max_size=12,
    unique_by=lambda event: event.id,
)


@pytest.mark.parametrize(
    ("state", "step", "reached"),
    [
        ("new", "approve", "approved"),
        ("new", "decline", "not_approved"),
        ("new", "cancel", "cancelled"),
        ("approved", "schedule", "scheduled"),
        ("approved", "decline", "not_approved"),
        ("approved", "cancel", "cancelled"),
        ("scheduled", "schedule", "scheduled"),
        ("scheduled", "complete", "completed"),
        ("scheduled", "cancel", "cancelled"),
        ("completed", "confirm", "confirmed"),
    ],
)
def test_a_request_takes_the_steps_of_its_state(state, step, reached):
    assert next_state(State(state), Step(step)) == reached


def test_no_other_step_is_possible():
    refused = 0
    for state, step in product(State, Step):
        if (state, step) not in MOVES:
            with pytest.raises(ValueError, match=f"{state} cannot take the step {step}"):
                next_state(state, step)
            refused += 1
    assert refused == len(State) * len(Step) - 10


def test_what_is_possible_is_named():
    assert open_steps(State.SCHEDULED) == (Step.SCHEDULE, Step.COMPLETE, Step.CANCEL)
    assert open_steps(State.CONFIRMED) == ()
    with pytest.raises(ValueError, match="possible is approve, decline, cancel"):
        next_state(State.NEW, Step.COMPLETE)
    with pytest.raises(ValueError, match="it has ended"):
        next_state(State.CANCELLED, Step.APPROVE)


@pytest.mark.parametrize(
    ("asked", "on", "used", "capped_until", "cooling_until", "factor"),
    [
        # Nothing was ever asked.
        ([], 0, 0, None, None, Fraction(1)),
        # One ask: it cools for 14 days and counts for 90.
        ([0], 0, 1, None, 14, Fraction(1, 2)),
        ([0], 13, 1, None, 14, Fraction(1, 2)),
        ([0], 14, 1, None, None, Fraction(1, 2)),
        ([0], 89, 1, None, None, Fraction(1, 2)),
        ([0], 90, 0, None, None, Fraction(1)),
        # Two: capped until the first leaves the window.
        ([0, 20], 20, 2, 90, 34, Fraction(0)),
        ([0, 20], 89, 2, 90, None, Fraction(0)),
        ([0, 20], 90, 1, None, None, Fraction(1, 2)),
        ([0, 20], 110, 0, None, None, Fraction(1)),
        # Three, since somebody overrode the cap: capped until the second leaves it.
        ([0, 20, 40], 60, 3, 110, None, Fraction(0)),
        # Both on one day.
        ([5, 5], 5, 2, 95, 19, Fraction(0)),
        # An ask of tomorrow is not known today.
        ([1], 0, 0, None, None, Fraction(1)),
    ],
)
def test_the_cap_and_the_cooldown_to_the_day(asked, on, used, capped_until, cooling_until, factor):
    events = [at(offset, id_=f"e{n}", request=f"R{n}") for n, offset in enumerate(asked)]
    ledger = ask_ledger(events, RULES, days(on))
    assert (ledger.used, ledger.cap, ledger.factor) == (used, 2, factor)
    assert ledger.capped_until == (None if capped_until is None else days(capped_until))
    assert ledger.cooling_until == (None if cooling_until is None else days(cooling_until))


@pytest.mark.parametrize(
    ("events", "answers", "used"),
    [
        ([at(0)], {"pending": 1}, 1),
        ([at(0, request="R"), at(3, "ask_accepted", request="R")], {"yes": 1}, 1),
        ([at(0, request="R"), at(3, "ask_unanswered", request="R")], {"no_reply": 1}, 1),
        # A no does not use up the cap.
        ([at(0, request="R"), at(3, "ask_declined", request="R")], {"no": 1}, 0),
        # An answer whose ask was not recorded is an ask of its own.
        ([at(3, "ask_accepted", request="R")], {"yes": 1}, 1),
        # A reminder is no second ask.
        ([at(0, request="R"), at(5, request="R")], {"pending": 1}, 1),
        # Two requests are two asks; the answer goes to its own.
        ([at(0, request="R"), at(0, request="S"), at(1, "ask_declined", request="S")], {"pending": 1, "no": 1}, 1),
        # Whoever said yes may think again.
        (
            [at(0, request="R"), at(1, "ask_accepted", request="R"), at(2, "ask_declined", request="R")],
            {"no": 1},
            0,
        ),
        # Without a request the opportunity tells, without either the one that waits.
        (
            [at(0, opportunity="O"), at(1, opportunity="P"), at(2, "ask_declined", opportunity="O")],
            {"pending": 1, "no": 1},
            1,
        ),
        ([at(0), at(1, "ask_accepted"), at(20), at(21, "ask_declined")], {"yes": 1, "no": 1}, 1),
        # A second ask for an opportunity whose first was answered is a new one.
        (
            [at(0, opportunity="O"), at(1, "ask_declined", opportunity="O"), at(9, opportunity="O")],
            {"pending": 1, "no": 1},
            1,
        ),
        # A call nobody was asked for on record counts; one that was asked for does not count again.
        ([at(0, "reference_call", opportunity="O")], {"yes": 1}, 1),
        (
            [at(0, opportunity="O"), at(1, "ask_accepted", opportunity="O"), at(9, "reference_call", opportunity="O")],
            {"yes": 1},
            1,
        ),
        (
            [at(0, request="R"), at(9, "reference_call", request="R", opportunity="O")],
            {"pending": 1},
            1,
        ),
        ([at(0, "site_visit"), at(0, "rfp_reference")], {"yes": 2}, 2),
        # A call that was given after a no was given all the same, and tires once however often it is told.
        (
            [at(0, opportunity="O"), at(1, "ask_declined", opportunity="O"), at(9, "reference_call", opportunity="O")],
            {"yes": 1, "no": 1},
            1,
        ),
        (
            [
                at(1, "ask_declined", request="R"),
                at(9, "reference_call", request="R"),
                at(9, "site_visit", request="R"),
            ],
            {"yes": 1, "no": 1},
            1,
        ),
    ],
    ids=range(17),
)
def test_what_was_asked_and_what_came_back(events, answers, used):
    ledger = ask_ledger(events, RULES, days(30))
    assert {answer.value: count for answer, count in ledger.counts.items() if count} == answers
    assert ledger.used == used


def test_g22_balance_is_what_was_given_back_less_what_was_given():
    events = [at(n * 20, "ask_accepted", request=f"R{n}") for n in range(3)]
    assert ask_ledger(events, RULES, days(60)).balance == -3
    given_back = [at(50, "reward_given", id_="g1"), at(55, "reward_given", id_="g2")]
    ledger = ask_ledger([*events, *given_back], RULES, days(60))
    assert (ledger.given_back, ledger.balance) == (2, -1)


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        ([at(0, request="R"), at(3, "ask_accepted", request="R")], 3),
        ([at(0, request="R"), at(0, "ask_accepted", request="R")], 0),
        ([at(0, request="R"), at(9, request="R"), at(20, "ask_accepted", request="R")], 20),
        ([at(0, request="R"), at(3, "ask_accepted", request="R", days=7)], 7),
        ([at(3, "ask_accepted", request="R", days=7)], 7),
        ([at(3, "ask_accepted", request="R")], None),
        ([at(0, request="R")], None),
    ],
)
def test_s2_11_time_to_accept_is_from_the_first_ask_to_the_answer(events, expected):
    (ask,) = ask_ledger(events, RULES, days(60)).asks
    assert ask.days == expected


def test_time_alone_changes_the_ledger_on_the_day_it_says():
    events = [at(0, request="R"), at(20, request="S"), at(25, "ask_declined", request="S"), at(70, request="T")]
    changes, day = [], DAY
    while day < days(200):
        step = ask_ledger(events, RULES, day).next_change_on
        if step is None:
            break
        changes.append((step - DAY).days)
        day = step
    # Day 14 ends the first cooldown; 20, 25 and 70 are events; 34 ends the second; 84 the third;
    # 90 and 160 asks leave the window, 115 the no does.
    assert changes == [14, 20, 25, 34, 70, 84, 90, 115, 160]


@given(ledger_events, st.dates(date(2026, 1, 1), date(2026, 12, 31)), st.integers(0, 3), st.randoms())
def test_the_ledger_does_not_depend_on_the_order_and_changes_only_when_it_says(events, day, cap, random):
    rules = replace(RULES, asks_per_window=cap)
    ledger = ask_ledger(events, rules, day)
    shuffled = list(events)
    random.shuffle(shuffled)
    assert ask_ledger(shuffled, rules, day) == ledger
    assert sum(ledger.counts.values()) == len(ledger.asks)
    assert 0 <= ledger.factor <= 1
    assert (ledger.capped_until is not None) is (ledger.used >= cap)
    if ledger.capped_until and ledger.capped_until < date.max:
        known = [event for event in events if event.occurred_on <= day]
        assert ask_ledger(known, rules, ledger.capped_until).used < cap
        assert ask_ledger(known, rules, ledger.capped_until - timedelta(1)).used >= cap
    until = ledger.next_change_on or date(2027, 12, 31)
    assert until > day
    assert replace(ask_ledger(events, rules, until - timedelta(1))) == ledger


@given(ledger_events, st.dates(date(2026, 1, 1), date(2026, 12, 31)))
def test_what_lies_ahead_changes_nothing(events, day):
    known = [event for event in events if event.occurred_on <= day]
    ledger, without = ask_ledger(events, RULES, day), ask_ledger(known, RULES, day)
    assert replace(ledger, next_change_on=None) == replace(without, next_change_on=None)


def test_a_cap_of_nothing_is_for_ever():
    ledger = ask_ledger([], replace(RULES, asks_per_window=0), DAY)
    assert (ledger.capped_until, ledger.factor) == (date.max, 0)


def test_two_events_of_one_day_are_in_the_order_of_their_time():
    noon = datetime(2026, 6, 1, 12, tzinfo=UTC)
    sent = LedgerEvent("z", "ask_sent", DAY, noon, "R")
    yes = LedgerEvent("y", "ask_accepted", DAY, noon.replace(hour=13), "R")
    no = LedgerEvent("a", "ask_declined", DAY, noon.replace(hour=14), "R")
    (ask,) = ask_ledger([no, yes, sent], RULES, DAY).asks
    assert ask.answer is Answer.NO


def test_the_attributes_of_an_ask():
    assert read_ask({}) == AskNote()
    given = {"request": "7", "minutes": 30, "days": 2, "reason": "on holiday", "note": "n", "x_channel": "mail"}
    assert read_ask(given) == AskNote("7", 30, 2, "on holiday")
    with pytest.raises(ValueError, match=r"`minutes` is a whole number.*`days` is a whole.*Did you mean request"):
        read_ask({"minutes": -1, "days": "soon", "reqest": "7"})
    assert read_pause({"reason": "summer"}) == "summer"
    with pytest.raises(ValueError, match="Did you mean reason"):
        read_pause({"reasn": "summer"})


def test_events_become_entries_of_the_ledger():
    asked = VerifiedEvent("e1", "ask_accepted", DAY, opportunity="O", attributes={"request": "7", "days": 3})
    assert ledger_event_of(asked) == LedgerEvent("e1", "ask_accepted", DAY, None, "7", "O", 3)
    call = VerifiedEvent("e2", "reference_call", DAY, opportunity="O", attributes={"request": "7", "anything": 1})
    assert ledger_event_of(call) == LedgerEvent("e2", "reference_call", DAY, None, "7", "O")
    assert ledger_event_of(call._replace(attributes={"request": 7})).request is None
