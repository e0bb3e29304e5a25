"""All human measures of one account together: nothing recorded stops them, and they know when time changes them."""

from __future__ import annotations

from datetime import date, timedelta
from random import Random

import pytest

from app.domain.candidates import ReferenceFacts, candidate_of, uses_of
from app.domain.commitment import LICENCE, Evidence
from app.domain.event_types import EVENT_TYPES
from app.domain.events import Polarity, VerifiedEvent
from app.domain.model import Policy
from app.domain.permissions import ReferenceScope
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
