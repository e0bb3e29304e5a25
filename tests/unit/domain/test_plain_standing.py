"""Accounts judged by their likeness, against the judgement of each by everything that is known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest

from app.domain.commitment import sale_evidence
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.model import Policy
from app.domain.plain_standing import Deed, Likenesses, Sale, is_plain, plain_account
from app.domain.rules import CommitmentRules, RoleRules
from app.domain.segments import Quadrant
from app.domain.standing import AccountFacts, Worth, assess_account, build_frame, shown

DAY = date(2026, 6, 1)
POLICIES = (
    Policy(),
    replace(
        Policy(),
        commitment=CommitmentRules(assumed_term_months=0),
        roles=RoleRules(roles={"referral": ("curator", "x_scout")}, days=40, advocate_days=700),
    ),
)
PLAIN = [code for code in sorted(EVENT_TYPES) if is_plain(code, build_frame(Policy(), DAY))]


def invent_account(draw, frame):
    """Events and sales of one account as they were recorded, and the latest of each that is all its likeness needs."""
    plain = [code for code in PLAIN if is_plain(code, frame)]
    codes = draw.sample(plain, draw.randrange(0, 4))
    events = [
        VerifiedEvent(f"{code}-{n}", code, DAY - timedelta(draw.randrange(0, 1500)), contact=draw.choice((None, "C1")))
        for code in codes
        for n in range(draw.randrange(1, 4))
    ]
    sales = [
        Sale(DAY - timedelta(draw.randrange(0, 1200)), draw.choice((None, None, 1, 6, 12, 36)))
        for _ in range(draw.choice((0, 0, 1, 2, 5)))
    ]
    worth = Worth(draw.randrange(0, 900), draw.randrange(0, 900), 0, None, draw.choice((None, *Quadrant)))
    latest = [
        *(Deed(code, max(one.occurred_on for one in events if one.type == code)) for code in codes),
        *(
            Sale(max(one.closed_on for one in sales if one.term_months == term), term)
            for term in {one.term_months for one in sales}
        ),
    ]
    return events, sales, worth, latest


def judge_by_everything(events, sales, worth, frame):
    proofs = (sale_evidence(one.closed_on, one.term_months, "", frame.policy.commitment) for one in sales)
    bought_on = max((one.closed_on for one in sales), default=None)
    return assess_account(AccountFacts("A", events, [one for one in proofs if one], bought_on, worth), frame)


@pytest.mark.parametrize("policy", POLICIES, ids=["default", "own"])
def test_whoever_is_alike_stands_the_same(policy):
    draw, frame = Random(7), build_frame(policy, DAY)
    likenesses, judged, met = Likenesses(frame), {}, Counter()
    for _ in range(4000):
        events, sales, worth, latest = invent_account(draw, frame)
        expected = judge_by_everything(events, sales, worth, frame)

        likeness, renewal_on, due = likenesses.of(latest, worth)
        met["judged before"] += likeness in judged
        if likeness not in judged:
            judged[likeness] = shown(assess_account(plain_account(latest, worth, policy), frame))

        own = {"renewal_on": renewal_on.isoformat() if renewal_on else None}
        assert judged[likeness] | own == shown(expected)
        assert due == expected.next_change_on
        met.update(name for name, value in shown(expected).items() if value)
        met["due"] += due is not None

    seen = {
        "renewal_on",
        "commitment_level",
        "is_customer",
        "commitment_gaps",
        "roles",
        "stance",
        "contradictions",
        "due",
    }
    assert all(met[name] > 100 for name in (*seen, "judged before")), met


def test_what_is_not_plain_is_judged_by_itself():
    frame = build_frame(Policy(), DAY)

    assert {"referral", "case_study", "event_speaker"} <= set(PLAIN)
    # A state, words against us, what has typed attributes, and types of one's own.
    for code in (
        "beta_membership",
        "complaint",
        "permission_granted",
        "care_answer",
        "recovered",
        "roles_set",
        "x_ours",
    ):
        assert not is_plain(code, frame), code


def test_what_falls_first_is_announced_whatever_else_still_holds():
    frame = build_frame(Policy(), DAY)
    facts = [Sale(DAY - timedelta(300), 12), Sale(DAY - timedelta(10), None), Deed("referral", DAY - timedelta(3))]
    _, renewal_on, due = Likenesses(frame).of(facts, Worth())
    _, no_renewal, without_sales = Likenesses(frame).of(facts[2:], Worth())

    # Both sales prove rung 7, the second for longer: the first may end without anybody noticing.
    assert due == min(without_sales, date(2027, 5, 22))
    assert (renewal_on, no_renewal) == (date(2027, 5, 22), None)
    assert Likenesses(frame).of([], Worth())[1:] == (None, None)
