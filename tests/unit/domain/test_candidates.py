"""From events to candidates: nobody is offered without a consent that holds for that scope on that day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.availability import Hold, openness_of
from app.domain.candidates import (
    CONSENT_TYPES,
    ReferenceFacts,
    candidate_of,
    clearance,
    evidence_types,
    ledger_of,
    readiness,
    uses_of,
)
from app.domain.event_attributes import check_attributes
from app.domain.event_types import EVENT_TYPES
from app.domain.events import Polarity, VerifiedEvent
from app.domain.matching import Need, rank_references
from app.domain.model import Policy
from app.domain.permissions import may_use, read_record
from app.domain.reference_events import Grade, Outcome, Profile
from app.domain.reference_scopes import ReferenceScope
from app.domain.request_events import RequestFacts, StepReport, events_of_step, kinds_of
from app.domain.requests import State, Step
from app.domain.standing import AccountFacts, assess_account, build_frame, shown

POLICY = Policy()
DAY = date(2026, 6, 1)
BASIC, LOGO = ReferenceScope.BASIC, ReferenceScope.LOGO


def event(id_, type_, on=0, **more):
    return VerifiedEvent(id_, type_, DAY + timedelta(on), **more)


def consent(id_="c", scopes=("basic",), on=-9, **more):
    return event(id_, "permission_granted", on, attributes={"scopes": list(scopes)}, **more)


def offered(events, scope=BASIC, day=DAY, contact=None, group="G"):
    facts = ReferenceFacts("C", group, events)
    one = candidate_of(facts, scope, POLICY, day, contact)
    return rank_references(Need(scope, "P", "PG"), [one], POLICY.reference, day)


@pytest.mark.parametrize(
    ("left", "scope", "contact", "holds"),
    [
        (None, LOGO, "ann", []),
        (-1, LOGO, "ann", [Hold.PERSON_LEFT]),  # the company's consent holds, but there is no Ann to ask
        (0, LOGO, "ann", [Hold.PERSON_LEFT]),
        (1, LOGO, "ann", []),
        (-1, LOGO, "bob", []),
        (-1, LOGO, None, []),
        (-1, BASIC, "ann", [Hold.NO_CONSENT]),  # what was hers went with her
        (-1, BASIC, None, []),
    ],
)
def test_nobody_who_left_can_be_asked_for_what_belongs_to_the_company(left, scope, contact, holds):
    gone = [] if left is None else [event("l", "contact_left", left, contact="ann")]
    found = offered(
        [consent(scopes=("basic", "logo")), *(one for one in gone if one.occurred_on <= DAY)], scope, contact=contact
    )

    assert [block.hold for one in found.excluded for block in one.blocks] == holds
    if holds == [Hold.PERSON_LEFT]:
        assert found.excluded[0].blocks[0].reason == f"ann left on {DAY + timedelta(left)}: name somebody else there"


@pytest.mark.parametrize(
    ("events", "scope", "contact", "is_offered"),
    [
        ([], BASIC, None, False),
        ([consent()], BASIC, None, True),
        ([consent()], LOGO, None, False),
        ([consent(scopes=("logo",))], LOGO, None, True),
        # A consent holds up to the day before its end.
        ([consent(valid_to=DAY + timedelta(1))], BASIC, None, True),
        ([consent(valid_to=DAY)], BASIC, None, False),
        # And from its start on.
        ([consent(valid_from=DAY)], BASIC, None, True),
        ([consent(valid_from=DAY + timedelta(1))], BASIC, None, False),
        ([consent(), event("r", "permission_revoked", -1)], BASIC, None, False),
        ([consent(), event("r", "permission_revoked", 1)], BASIC, None, True),
        ([consent(contact="ann"), event("l", "contact_left", contact="ann")], BASIC, None, False),
        ([consent(contact="ann"), event("l", "contact_left", contact="bob")], BASIC, None, True),
        ([consent(contact="ann")], BASIC, "ann", True),
        ([consent(contact="ann")], BASIC, "bob", False),
        ([consent()], BASIC, "bob", True),
        ([consent(), event("o", "opted_out")], BASIC, None, False),
        ([consent(on=0), event("o", "opted_out", -1)], BASIC, None, True),
        ([consent(), event("x", "escalation")], BASIC, None, False),
        ([consent(), event("x", "escalation", valid_to=DAY)], BASIC, None, False),  # closed, but it still speaks badly
        ([consent(), event("x", "escalation", -1), event("y", "recovered")], BASIC, None, True),
        ([consent(), event("x", "nps_response", -5, polarity=Polarity.DETRACTOR)], BASIC, None, False),
        ([consent(), event("x", "nps_response", -180, polarity=Polarity.DETRACTOR)], BASIC, None, True),
        # Whoever withdrew or left is not covered by what was given for everybody; the others are.
        ([consent(), event("r", "permission_revoked", -1, contact="bob")], BASIC, "bob", False),
        ([consent(), event("r", "permission_revoked", -1, contact="bob")], BASIC, "ann", True),
        ([consent(), event("l", "contact_left", -1, contact="bob")], BASIC, "bob", False),
        ([consent(), event("l", "contact_left", -1, contact="bob")], BASIC, None, True),
        # The company's name is withdrawn by whoever of the company says so.
        ([consent(scopes=("logo",)), event("r", "permission_revoked", -1, contact="bob")], LOGO, None, False),
        (
            [consent(scopes=("logo",), contact="ann"), event("r", "permission_revoked", -1, contact="bob")],
            LOGO,
            None,
            False,
        ),
        # What cannot be read says nothing, and never yes.
        ([consent(), event("r", "permission_revoked", attributes={"scope": "basic"})], BASIC, None, False),
        (
            [consent(contact="ann"), event("l", "contact_left", contact="ann", attributes={"why": 1})],
            BASIC,
            None,
            False,
        ),
        ([consent(), event("o", "opted_out", attributes={"reasn": "tired"})], BASIC, None, False),
        ([event("c", "permission_granted", attributes={"scopes": "everything"})], BASIC, None, False),
        ([consent(), event("a", "ask_sent", attributes={"days": "many"})], BASIC, None, True),
        ([consent(), event("p", "reference_profile", attributes={"size": 0})], BASIC, None, True),
    ],
    ids=range(34),
)
def test_g13_who_is_offered(events, scope, contact, is_offered):
    assert bool(offered(events, scope, contact=contact).matches) is is_offered


days = st.integers(-200, 40)
scopes = st.lists(st.sampled_from(list(ReferenceScope)), min_size=1, max_size=3, unique=True)
people = st.sampled_from((None, "ann", "bob"))
ends = st.none() | st.integers(-50, 50).map(lambda n: DAY + timedelta(n))
histories = st.lists(
    st.builds(consent, st.uuids().map(str), scopes, days, contact=people, valid_from=ends, valid_to=ends)
    | st.builds(
        event, st.uuids().map(str), st.sampled_from(("contact_left", "opted_out", "ask_sent")), days, contact=people
    )
    | st.builds(
        lambda id_, on, contact, names: event(
            id_, "permission_revoked", on, contact=contact, attributes={"scopes": names} if names else {}
        ),
        st.uuids().map(str),
        days,
        people,
        st.none() | scopes,
    ),
    max_size=8,
    unique_by=lambda one: one.id,
)


@given(histories, st.sampled_from(list(ReferenceScope)), st.integers(-60, 60), people, st.randoms())
def test_no_candidate_is_ever_offered_without_a_consent_valid_for_that_scope_on_that_day(
    events, scope, on, contact, random
):
    day = DAY + timedelta(on)
    found = offered(events, scope, day, contact)
    allowed = may_use(read_record(events).on(day), scope, day, contact).is_allowed
    if found.matches:
        assert allowed
    holds = {block.hold for one in found.excluded for block in one.blocks}
    assert (Hold.NO_CONSENT in holds) is not allowed
    random.shuffle(events)
    assert offered(events, scope, day, contact) == found


def test_who_can_be_asked_is_named_and_until_when():
    given_ = [
        consent("1", contact="ann", valid_to=DAY + timedelta(9)),
        consent("2", contact="bob", valid_to=DAY),
        consent("3", contact="eve", valid_to=DAY + timedelta(5)),
    ]
    found = clearance(read_record(given_).on(DAY), BASIC, DAY)
    assert (found.contacts, found.until) == (("ann", "eve"), DAY + timedelta(9))
    assert clearance(read_record(given_).on(DAY), BASIC, DAY, "eve").until == DAY + timedelta(5)
    ahead = clearance(read_record([consent(valid_from=DAY + timedelta(3))]).on(DAY), BASIC, DAY)
    assert (ahead.is_valid, ahead.until) == (False, DAY + timedelta(3))


def test_whoever_left_is_no_contact_though_what_it_signed_for_the_company_holds():
    signed = [consent("1", ("logo",), contact="ann"), consent("2", ("logo",), contact="bob")]
    left = [*signed, event("l", "contact_left", -1, contact="ann")]
    assert clearance(read_record(left).on(DAY), LOGO, DAY).contacts == ("bob",)
    assert clearance(read_record(left).on(DAY), LOGO, DAY, "ann").contacts == ()
    assert clearance(read_record(left).on(DAY), LOGO, DAY - timedelta(2)).contacts == ("ann", "bob")
    back = [*left, consent("3", ("nda_only",), 0, contact="ann")]
    assert clearance(read_record(back).on(DAY), LOGO, DAY).contacts == ("ann", "bob")


@pytest.mark.parametrize(
    ("events", "state", "available_from"),
    [
        ([], "none", None),
        ([consent()], "available", None),
        # Whoever lends its logo may not be called.
        ([consent(scopes=("logo",))], "none", None),
        ([consent(scopes=("logo",)), event("p", "opted_out")], "opted_out", None),
        ([consent(scopes=("logo",)), consent("d", valid_to=DAY)], "no_consent", None),
        ([consent(scopes=("logo",)), consent("d", valid_from=DAY + timedelta(9))], "no_consent", 9),
        ([consent(), event("a", "ask_sent", -5)], "resting", 9),
    ],
    ids=range(7),
)
def test_the_state_of_a_customer_is_about_calls(events, state, available_from):
    permissions, ledger = read_record(events).on(DAY), ledger_of(events, POLICY, DAY)
    found = readiness(permissions, openness_of(events, DAY), ledger, POLICY.reference, DAY)
    assert found.state == state
    assert found.available_from == (None if available_from is None else DAY + timedelta(available_from))
    standing = shown(assess_account(AccountFacts("C", events), build_frame(POLICY, DAY)))
    assert standing["reference_state"] == (None if state == "none" else state)


def test_what_the_crm_knows_fills_what_nobody_said():
    firm = Profile("Retail", ("Core",), size=50, regions=("EMEA",))
    said = event("p", "reference_profile", attributes={"industry": "Finance", "languages": ["de"]})
    one = candidate_of(ReferenceFacts("C", "G", [said, consent()], firm), BASIC, POLICY, DAY)
    assert one.profile == Profile("Finance", ("Core",), size=50, regions=("EMEA",), languages=("de",))
    assert one.confirmed_on == DAY


def test_a_no_lowers_the_willingness():
    asked = {"request": "1"}
    events = [
        consent(),
        event("t", "reference_traits", -100, attributes={"willing_variety": 3}),
        event("a", "ask_sent", -20, attributes=asked),
        event("n", "ask_declined", -19, attributes=asked),
    ]
    one = candidate_of(ReferenceFacts("C", "G", events), BASIC, POLICY, DAY)
    assert one.quality.traits[-1].low == 2
    assert one.ledger.used == 0


def test_a_reference_and_its_outcome_are_one_use():
    events = [
        event("a", "ask_sent", -20, opportunity="O1", attributes={"request": "1"}),
        event("b", "ask_accepted", -19, opportunity="O1", attributes={"request": "1"}),
        event("c", "reference_call", -10, opportunity="O1", attributes={"request": "1"}),
        event("d", "reference_outcome", -10, opportunity="O1", attributes={"request": "1", "actual_grade": "positive"}),
        event("e", "site_visit", -5, opportunity="O2"),
        event("f", "reference_outcome", -4, opportunity="O2", attributes={"minutes": 90}),
        event("g", "reference_call", -3),
        event("h", "reference_outcome", -2, attributes={"actual_grade": "neutral"}),
        event("i", "logo_use", -1, opportunity="O1"),
        event("j", "reference_outcome", -1, attributes={"actual_grade": "grand"}),
    ]
    uses = uses_of(events, ledger_of(events, POLICY, DAY), {"O1": True, "O2": None})
    assert [(use.id, use.outcome, use.is_won, use.days_to_accept) for use in uses] == [
        ("c", Outcome("1", actual=Grade.POSITIVE), True, 1),
        ("e", Outcome(minutes=90), None, None),
        ("g", Outcome(), None, None),
        ("h", Outcome(actual=Grade.NEUTRAL), None, None),
    ]


@pytest.mark.parametrize("scope", list(ReferenceScope))
def test_every_scope_has_a_kind_of_reference_that_takes_it(scope):
    kinds = kinds_of(scope)
    assert kinds
    assert {EVENT_TYPES[kind].permission for kind in kinds} == {scope.sub_level}


def test_the_usual_kinds():
    assert [kinds_of(scope)[0] for scope in ReferenceScope] == [
        "reference_call", "nda_slide_use", "linkedin_recommendation", "web_release", "press_quote", "case_study",
        "joint_press_release", "logo_use",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("was", "step", "told", "types"),
    [
        (State.NEW, Step.APPROVE, {}, ["ask_sent"]),
        (State.NEW, Step.DECLINE, {}, []),
        (State.NEW, Step.CANCEL, {"no_reply": True}, []),
        (State.APPROVED, Step.SCHEDULE, {}, ["ask_accepted"]),
        (State.APPROVED, Step.DECLINE, {"reason": "busy"}, ["ask_declined"]),
        (State.APPROVED, Step.CANCEL, {}, []),
        (State.APPROVED, Step.CANCEL, {"no_reply": True}, ["ask_unanswered"]),
        (State.SCHEDULED, Step.SCHEDULE, {}, []),
        (State.SCHEDULED, Step.CANCEL, {}, []),
        (State.SCHEDULED, Step.COMPLETE, {}, ["reference_call", "permission_used", "reference_outcome"]),
        (
            State.SCHEDULED,
            Step.COMPLETE,
            {"actual": Grade.NEUTRAL, "minutes": 0, "signals": ("reluctant",), "prospect_bought": False},
            ["reference_call", "permission_used", "reference_outcome"],
        ),
        (State.COMPLETED, Step.CONFIRM, {}, []),
    ],
    ids=range(12),
)
def test_what_a_step_records_is_what_the_door_would_take(was, step, told, types):
    facts = RequestFacts("7", "C", "O", BASIC, "reference_call", "ann", "Big deal")
    events = events_of_step(facts, was, step, StepReport(DAY, **told), None)
    assert [one.type for one in events] == types
    for one in events:
        assert one.source_event_id.startswith("7-")
        assert (one.account, one.contact, one.opportunity, one.occurred_on) == ("C", "ann", "O", DAY)
        check_attributes(one.type, one.attributes)
    if told.get("prospect_bought") is False:
        assert events[2].attributes["prospect_bought"] is False
        assert events[2].attributes["minutes"] == 0


SOME_EVENT = st.tuples(
    st.sampled_from(sorted({*EVENT_TYPES, "x_ours"})),
    st.integers(-400, 0),
    st.sampled_from(Polarity),
    st.sampled_from(({}, {"scopes": ["basic"]}, {"scopes": ["logo", "linkedin"]}, {"articulate": 3}, {"event": "e0"})),
    st.sampled_from((None, "ann")),
)


@given(st.lists(SOME_EVENT, max_size=8), st.sampled_from(ReferenceScope))
def test_nothing_but_the_named_evidence_says_anything_about_a_candidate(some, scope):
    events = [
        event(f"e{n}", type_, on, polarity=polarity, attributes=attributes, contact=contact)
        for n, (type_, on, polarity, attributes, contact) in enumerate(some)
    ]
    needed = [one for one in events if one.type in evidence_types(POLICY) or one.polarity is Polarity.DETRACTOR]
    said = [one for one in events if one.type in CONSENT_TYPES]

    whole = candidate_of(ReferenceFacts("C", "G", events), scope, POLICY, DAY)

    assert candidate_of(ReferenceFacts("C", "G", needed), scope, POLICY, DAY) == whole
    assert uses_of(needed, whole.ledger, {}) == uses_of(events, whole.ledger, {})
    assert clearance(read_record(said).on(DAY), scope, DAY) == whole.clearance
