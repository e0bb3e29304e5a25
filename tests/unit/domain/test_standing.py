"""All human measures of one account together: nothing recorded stops them, and they know when time changes them."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest
from told import tell

from app.domain.candidates import ReferenceFacts, candidate_of, uses_of
from app.domain.commitment import LICENCE, Evidence
from app.domain.event_types import EVENT_TYPES
from app.domain.events import Polarity, VerifiedEvent
from app.domain.model import Policy
from app.domain.reference_scopes import ReferenceScope
from app.domain.standing import AccountFacts, Worth, assess_account, build_frame, shown

POLICY = Policy()
DAY = date(2026, 6, 1)
JUNK = (
    {},
    {"until": "soon"},
    {"reason": ["tired"], "note": {"a": 1}},
    {"family": ["review"], "role": ["host"], "rung": [1], "basis": {"x": 1}},
    {"family": {"a": 1}, "role": {"a": 1}, "outcome": ["done"]},
    {"add": 5, "remove": {"a": 1}},
    {"add": ["emperor"]},
    {"scopes": 3, "severity": ["high"], "hours": "many", "months": "twelve", "until": ["2026-01-01"]},
    {"bucket": 7, "usage_percent": "all", "rep": None, "level": "four", "size": 0, "request": ["r"], "days": "x"},
    {"hours": "1e-999999"},
    {"owner": "customer", "kind": "revenue", "actual": "1", "baseline": "0", "target": "1e-999999"},
    {"owner": "us", "kind": ["logins"], "baseline": "NaN", "referral": ["r"]},
)
TYPES = (*sorted(EVENT_TYPES), "x_ours", "forgotten_type")


def event(id_, code, on=0, attributes=None, **more):
    return VerifiedEvent(id_, code, DAY + timedelta(on), attributes=attributes or {}, **more)


def assess(events, day=DAY, policy=POLICY, **facts):
    known = tuple(one for one in events if one.occurred_on <= day)
    return assess_account(AccountFacts("A", known, **facts), build_frame(policy, day))


@pytest.mark.parametrize("code", TYPES)
def test_nothing_that_is_stored_stops_a_valuation(code):
    for number, attributes in enumerate(JUNK):
        one = event(f"e{number}", code, -3, attributes)
        for polarity in Polarity:
            events = (one._replace(polarity=polarity), event("c", "care_answer", -9, {"bucket": "ok"}))

            assert shown(assess(events))["care_bucket"] is not None
            facts = ReferenceFacts("A", "G", events)
            for scope in ReferenceScope:
                candidate = candidate_of(facts, scope, POLICY, DAY)
            assert len(uses_of(events, candidate.ledger, {})) <= 1


def test_a_pause_that_cannot_be_read_still_holds_the_customer_back():
    consent = event("c", "permission_granted", -9, {"scopes": ["basic"]})

    resting = assess([consent, event("r", "resting", -2, {"until": "soon"})])
    gone = assess([consent, event("o", "opted_out", -2, {"why": "tired"})])

    assert shown(resting)["reference_state"] == "resting"
    assert shown(gone)["reference_state"] == "opted_out"


def test_a_change_of_roles_that_cannot_be_read_changes_none():
    events = [event("s", "roles_set", -9, {"add": ["investor"]}), event("t", "roles_set", -2, {"remove": 5})]

    assert shown(assess(events))["roles"] == "investor"


def told_world(seed):
    """One account of which everything was recorded before today, some of it with an end."""
    draw = Random(seed)
    events = []
    for number in range(12):
        code, attributes = tell(draw)
        end = draw.choice((None, None, None, DAY + timedelta(draw.randrange(-30, 200))))
        contact = "C1" if code == "contact_left" else draw.choice((None, "C1", "C2"))
        polarity = draw.choice((Polarity.ADVOCATE, Polarity.ADVOCATE, Polarity.DETRACTOR))
        more = {"valid_to": end, "contact": contact, "polarity": polarity}
        events.append(event(f"e{number}", code, -draw.randrange(0, 400), attributes, **more))
    return events, Worth(500, 2000, 2500, draw.choice((None, 10, 55, 90)))


@pytest.mark.parametrize("seed", range(24))
def test_nothing_changes_before_the_day_that_was_announced(seed):
    events, worth = told_world(seed)
    before, announced = None, None
    for step in range(120):
        standing = assess(events, DAY + timedelta(step), worth=worth)
        if before is not None and (announced is None or DAY + timedelta(step) < announced):
            assert shown(standing) == before, step
        before, announced = shown(standing), standing.next_change_on


def test_the_next_call_follows_the_bucket_of_the_day_and_not_of_the_morrow():
    answer = event("c", "care_answer", -179, {"bucket": "need_you"})
    eve, after = assess([answer]), assess([answer], DAY + timedelta(1))

    assert (eve.care.bucket, after.care.bucket) == ("need_you", None)
    assert eve.next_change_on == DAY + timedelta(1)
    # 240 and 90 days: twice the interval of the bucket, for the lowest value tier.
    assert (eve.next_call_on - answer.occurred_on).days in range(240, 243)
    assert (after.next_call_on - answer.occurred_on).days in range(90, 93)


def test_a_call_of_the_day_moves_the_next_one_at_once():
    asked = assess([event("c", "care_answer", 0, {"bucket": "who_are_you"})], worth=Worth(percentile=90))

    assert asked.next_call_on == DAY + timedelta(15)


def test_an_account_written_off_until_tomorrow_has_no_next_call_today():
    answer = event("c", "care_answer", -179, {"bucket": "who_are_you", "win_win": False})

    assert assess([answer]).next_call_on is None
    assert assess([answer], DAY + timedelta(1)).next_call_on is not None


@pytest.mark.parametrize(
    ("begins", "renewal", "is_near"),
    [
        (None, None, True),
        (30, DAY + timedelta(395), False),  # the very day on which the old one ends
        (20, DAY + timedelta(385), False),  # overlapping
        (31, DAY + timedelta(30), True),  # a day between: it lapses first
    ],
)
def test_a_signed_renewal_ends_the_alarm_about_the_renewal(begins, renewal, is_near):
    events = [event("v", "value_stopped", -3)]
    licence = Evidence(LICENCE, DAY - timedelta(335), DAY + timedelta(30), "deal")
    if begins is not None:
        begin = DAY + timedelta(begins)
        more = {"valid_from": begin, "valid_to": begin + timedelta(365)}
        events.append(event("s", "annual_license_signed", -1, **more))

    standing = assess(events, sales=(licence,))

    assert standing.renewal_on == (renewal or DAY + timedelta(30))
    assert ("limbo_near_renewal" in shown(standing)["contradictions"]) is is_near
