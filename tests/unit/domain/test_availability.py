"""Who may be asked for a reference, against tables made by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from favours import DAY, NO, RULES, YES, days, ledger
from hypothesis import given
from hypothesis import strategies as st

from app.domain.availability import (
    OVERRIDABLE,
    Block,
    Hold,
    Openness,
    Pause,
    Readiness,
    availability,
    openness_of,
)
from app.domain.events import VerifiedEvent
from app.domain.requests import LedgerEvent, ask_ledger


def test_a_cap_of_one_is_told_like_any_other():
    single = replace(RULES, asks_per_window=1)
    asked = ask_ledger([LedgerEvent("a", "ask_sent", days(-40))], single, DAY)

    (block,) = availability(YES, Openness(), asked, single, DAY).blocks

    assert (block.reason, block.until) == ("asked once in 90 days, the cap is 1", days(50))


def test_a_cooldown_says_when_the_last_ask_was():
    (block,) = availability(YES, Openness(), ledger(5, 100), RULES, DAY).blocks

    assert block.reason == f"last asked on {days(-5)}, less than 14 days ago"


def test_a_cap_of_nothing_names_no_day_and_no_number_of_asks():
    nobody = replace(RULES, asks_per_window=0)
    for asked in ((), (LedgerEvent("a", "ask_sent", DAY),)):
        found = availability(YES, Openness(), ask_ledger(asked, nobody, DAY), nobody, DAY)
        assert (found.state, found.available_from) == (Readiness.CAPPED, None)
        assert (found.blocks[0].until, found.blocks[0].reason) == (
            None,
            "the policy lets nobody be asked: its cap is 0",
        )


def test_a_cooldown_without_an_end_names_no_day():
    forever = replace(RULES, cooldown_days=10**7)
    asked = ask_ledger([LedgerEvent("a", "ask_sent", DAY)], forever, DAY)
    found = availability(YES, Openness(), asked, forever, DAY)
    assert (found.state, found.available_from, found.blocks[0].until) == (Readiness.RESTING, None, None)


def test_g22_only_cap_and_cooldown_can_be_overridden():
    assert {Hold.CAPPED, Hold.COOLDOWN} == OVERRIDABLE


@pytest.mark.parametrize(
    ("clearance", "openness", "asked", "has_consented", "state", "available_from", "next_change"),
    [
        (YES, Openness(), (), True, "available", None, None),
        (replace(YES, until=days(3)), Openness(), (), True, "available", None, 3),
        (replace(YES, until=DAY), Openness(), (), True, "available", None, None),
        (YES, Openness(), (20,), True, "available", None, 70),
        (YES, Openness(), (5,), True, "resting", 9, 9),
        (YES, Openness(resting=(Pause(DAY, days(7)),)), (), True, "resting", 7, 7),
        (YES, Openness(resting=(Pause(DAY),)), (), True, "resting", None, None),
        # One rest after another is one rest.
        (YES, Openness(resting=(Pause(days(7), days(9)), Pause(DAY, days(7)))), (), True, "resting", 9, 9),
        (YES, Openness(), (80, 40), True, "capped", 10, 10),
        (NO, Openness(), (80, 40), True, "no_consent", None, 10),
        (NO, Openness(), (), False, "none", None, None),
        (NO, Openness(opted_out=(Pause(days(-1)),)), (), True, "opted_out", None, None),
        (YES, Openness(opted_out=(Pause(days(-5)),), back_on=days(-2)), (), True, "available", None, None),
        (YES, Openness(opted_out=(Pause(days(-5)),), back_on=days(-5)), (), True, "opted_out", None, None),
        (YES, Openness(opted_out=(Pause(days(-5)),), back_on=days(-6)), (), True, "opted_out", None, None),
        (YES, Openness(open_items=("complaint",), resting=(Pause(DAY, days(7)),)), (5,), True, "escalated", None, 7),
        (YES, Openness(detractor_until=days(9)), (5,), True, "escalated", 9, 9),
        (YES, Openness(next_change_on=days(4)), (), True, "available", None, 4),
    ],
    ids=range(18),
)
def test_availability_in_one_word(clearance, openness, asked, has_consented, state, available_from, next_change):
    found = availability(clearance, openness, ledger(*asked), RULES, DAY, has_consented=has_consented)
    assert found.state == Readiness(state)
    assert found.available_from == (None if available_from is None else days(available_from))
    assert found.next_change_on == (None if next_change is None else days(next_change))


def test_without_a_word_about_it_a_customer_is_taken_to_have_consented_once():
    assert availability(NO, Openness(), ledger(), RULES, DAY).state is Readiness.NO_CONSENT


@pytest.mark.parametrize(
    ("openness", "reason"),
    [
        (Openness(opted_out=(Pause(days(-1)),)), f"opted out since {days(-1)}"),
        (Openness(resting=(Pause(days(-1), days(3)),)), f"resting since {days(-1)} until {days(2)}"),
        (Openness(resting=(Pause(DAY, reason="a merger"),)), f"resting since {DAY}: a merger"),
        (Openness(open_items=("escalation of 2026-05-30 is open",)), "escalation of 2026-05-30 is open"),
        (Openness(detractor_until=days(3)), f"speaks against us, which counts until {days(2)}"),
    ],
)
def test_what_holds_a_customer_back_says_since_when_and_until_when(openness, reason):
    (block,) = availability(YES, openness, ledger(), RULES, DAY).blocks

    assert block.reason == reason


def test_whoever_left_cannot_be_asked_though_the_consent_stands():
    gone = replace(YES, gone="Ann left on 2026-05-01")

    assert availability(gone, Openness(), ledger(), RULES, DAY).blocks == (
        Block(Hold.PERSON_LEFT, "Ann left on 2026-05-01"),
    )


@pytest.mark.parametrize("kind", ["resting", "opted_out"])
def test_pauses_are_ordered_by_start_end_and_reason_and_open_ends_come_last(kind):
    told = [(days(-5), None, None), (days(-9), days(3), "B"), (days(-9), days(3), "A"), (days(-9), days(3), None)]
    told += [(days(-9), days(2), "C"), (days(-9), None, "D")]
    events = [
        VerifiedEvent(str(number), kind, start, valid_to=end, attributes={"reason": reason} if reason else {})
        for number, (start, end, reason) in enumerate(told)
    ]

    found = getattr(openness_of(events, DAY), kind)

    assert [(pause.start, pause.end, pause.reason) for pause in found] == [told[at] for at in (4, 3, 2, 1, 5, 0)]


def test_whoever_says_nothing_is_open_and_whoever_joins_today_is_back_today():
    assert openness_of([], DAY) == Openness()
    assert openness_of([VerifiedEvent("1", "recruited", DAY)], DAY) == Openness(back_on=DAY)


def test_pauses_are_read_from_events():
    events = [
        VerifiedEvent("1", "resting", days(-9), valid_from=days(-20), valid_to=days(9), attributes={"reason": "tired"}),
        VerifiedEvent("2", "opted_out", days(-50)),
        VerifiedEvent("3", "permission_granted", days(-40)),
        VerifiedEvent("4", "recruited", days(3)),
        VerifiedEvent("5", "reference_call", days(-3)),
    ]
    found = openness_of(events, DAY, ("open",), days(7))
    assert found == Openness(
        (Pause(days(-9), days(9), "tired"),), (Pause(days(-50)),), days(-40), ("open",), days(7), days(3)
    )
    blocks = availability(YES, found, ledger(), RULES, DAY).blocks
    assert blocks[-1].reason == f"resting since {days(-9)} until {days(8)}: tired"


@given(
    st.sampled_from([YES, NO, replace(YES, until=days(2))]),
    st.sampled_from(
        [
            Openness(),
            Openness(),
            Openness(resting=(Pause(days(-1), days(1)),)),
            Openness(opted_out=(Pause(days(-1)),)),
            Openness(open_items=("open",)),
        ]
    ),
    st.builds(ledger, *[st.integers(0, 120)] * 2) | st.builds(ledger, st.integers(0, 120)) | st.builds(ledger),
    st.integers(0, 40),
)
def test_availability_changes_only_when_it_says(clearance, openness, asked, later):
    facts = (openness, asked, RULES)
    found = availability(clearance, *facts, DAY)
    if found.available_from is not None:
        assert found.available_from > DAY
        assert found.next_change_on is not None
        assert found.next_change_on <= found.available_from
    assert (found.state is Readiness.AVAILABLE) is (found.blocks == ())
