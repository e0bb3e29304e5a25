"""Accounts judged by their likeness, against the judgement of each by everything that is known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date, timedelta
from random import Random

import pytest

from app.domain.commitment import sale_evidence
from app.domain.contradictions import is_hidden_gem
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.model import Policy
from app.domain.plain_standing import (
    HIDDEN_GEM,
    LICENCE_RUNG,
    MOST_HELD,
    Deed,
    Sale,
    is_plain,
    list_plain_types,
    list_spells,
)
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
    """Events and sales of one account as they were recorded, and what is looked at of them: of a term the latest."""
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
    facts = [
        *(Deed(one.type, one.occurred_on) for one in events),
        *(
            Sale(max(one.closed_on for one in sales if one.term_months == term), term)
            for term in {one.term_months for one in sales}
        ),
    ]
    return events, sales, worth, facts


def hold_up(facts, worth, frame):
    """Everything that an account holds up -> until when, as the database joins and sums it."""
    longest = {}
    for held, until in (spell for fact in facts for spell in list_spells(fact, frame)):
        longest[held] = max(longest.get(held, until), until)
    if is_hidden_gem(worth.direct, worth.referred, worth.quadrant, frame.policy.triage):
        longest[HIDDEN_GEM] = date.max
    return longest


def day_or_none(day):
    return None if day in (None, date.max) else day


def judge_by_everything(events, sales, worth, frame):
    proofs = (sale_evidence(one.closed_on, one.term_months, "", frame.policy.commitment) for one in sales)
    bought_on = max((one.closed_on for one in sales), default=None)
    return assess_account(AccountFacts("A", events, [one for one in proofs if one], bought_on, worth), frame)


@pytest.mark.parametrize("policy", POLICIES, ids=["default", "own"])
def test_whoever_is_alike_stands_the_same(policy):
    draw, frame = Random(7), build_frame(policy, DAY)
    judged, met = {}, Counter()
    for _ in range(4000):
        events, sales, worth, facts = invent_account(draw, frame)
        expected = judge_by_everything(events, sales, worth, frame)

        held = hold_up(facts, worth, frame)
        likeness = frozenset(held)
        met["judged before"] += likeness in judged
        judged.setdefault(likeness, shown(expected))

        renewal_on = day_or_none(held.get(LICENCE_RUNG))
        own = {"renewal_on": renewal_on.isoformat() if renewal_on else None}
        assert judged[likeness] | own == shown(expected)
        assert day_or_none(min(held.values(), default=None)) == expected.next_change_on
        if not held:
            assert shown(expected) == shown(assess_account(AccountFacts("A"), frame))
        met.update(name for name, value in shown(expected).items() if value)
        met["due"] += expected.next_change_on is not None
        met["nothing held"] += not held

    seen = {
        "renewal_on",
        "commitment_level",
        "is_customer",
        "commitment_gaps",
        "roles",
        "stance",
        "contradictions",
        "due",
        "nothing held",
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
    sales = [Sale(DAY - timedelta(300), 12), Sale(DAY - timedelta(10), None)]
    deed = Deed("referral", DAY - timedelta(3))
    both, deed_alone = hold_up([*sales, deed], Worth(), frame), hold_up([deed], Worth(), frame)

    # Both sales prove rung 7, the second for longer: the first may end without anybody noticing.
    assert both[LICENCE_RUNG] == date(2027, 5, 22)
    assert min(both.values()) == min(*deed_alone.values(), date(2027, 5, 22))
    assert LICENCE_RUNG not in deed_alone
    assert list_spells(Deed("referral", DAY - timedelta(9999)), frame) == []


def test_a_policy_with_more_roles_than_bits_leaves_some_deeds_to_be_judged_by_themselves():
    roles = {code: tuple(f"x_{code}_{n}" for n in range(3)) for code in PLAIN}
    frame = build_frame(replace(Policy(), roles=RoleRules(roles=roles)), DAY)
    plain = list_plain_types(frame)
    facts = [*(Deed(code, DAY) for code in plain), Sale(DAY, 1), Sale(DAY, 12)]

    assert 0 < len(plain) < len(PLAIN)
    assert len({HIDDEN_GEM, *(held for fact in facts for held, _ in list_spells(fact, frame))}) <= MOST_HELD
    assert list_plain_types(build_frame(Policy(), DAY)) == PLAIN
