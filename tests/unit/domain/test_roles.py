"""Roles and stance, against tables made by hand; a word against us is never outweighed."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.engagement import Deed, detractor_until
from app.domain.event_types import EVENT_TYPES, Family
from app.domain.events import Polarity, VerifiedEvent
from app.domain.roles import (
    ROLES,
    STRATEGIES,
    Held,
    RolesSet,
    Stance,
    derive_roles,
    read_roles_set,
    roles_of,
    take_stance,
)
from app.domain.rules import EngagementRules, RoleRules

RULES, ENGAGEMENT = RoleRules(), EngagementRules()
DAY = date(2026, 3, 2)
DAYS = st.dates(date(2023, 6, 1), date(2026, 12, 31))
INSTANTS = st.none() | st.datetimes(datetime(2023, 6, 1), datetime(2026, 12, 31), timezones=st.just(UTC))
acts = st.lists(
    st.builds(
        VerifiedEvent,
        st.uuids().map(str),
        st.sampled_from(
            ("referral", "case_study", "complaint", "recovered", "beta_membership", "online_review", "follow", "x_ours")
        ),
        DAYS,
        INSTANTS,
        polarity=st.sampled_from(Polarity),
        valid_from=st.none() | DAYS,
        valid_to=st.none() | DAYS,
        attributes=st.just({"family": "endorsement", "role": "ambassador"}),
    )
    | st.builds(
        VerifiedEvent,
        st.uuids().map(str),
        st.just("roles_set"),
        DAYS,
        INSTANTS,
        attributes=st.sampled_from(
            ({"add": "x_friend"}, {"remove": "critic"}, {"remove": ["advocate", "innovator"]}, {"add": ["critic"]})
        ),
    ),
    max_size=12,
    unique_by=lambda act: act.id,
)


def act(code, on=DAY, id_="e1", polarity=Polarity.ADVOCATE, **more):
    return VerifiedEvent(id_, code, on, polarity=polarity, **more)


def roles(*given, bought_on=None, rules=RULES, on=DAY):
    return derive_roles(given, bought_on, rules, ENGAGEMENT, on).codes


def stance(*given, on=DAY):
    return take_stance(given, RULES, ENGAGEMENT, on).stance


@pytest.mark.parametrize(
    ("code", "polarity", "expected"),
    [
        ("referral", Polarity.ADVOCATE, ("advocate",)),
        ("referral.won", Polarity.ADVOCATE, ()),
        ("beta_feedback", Polarity.ADVOCATE, ("innovator",)),
        ("investment_made", Polarity.ADVOCATE, ("investor",)),
        ("complaint", Polarity.ADVOCATE, ("critic",)),
        ("nps_response", Polarity.DETRACTOR, ("critic",)),
        ("nps_response", Polarity.ADVOCATE, ()),
        ("reference_call", Polarity.ADVOCATE, ("supporter",)),
        ("answer_given", Polarity.ADVOCATE, ("supporter",)),
        ("advisory_board_membership", Polarity.ADVOCATE, ("advisor",)),
        ("design_partner", Polarity.ADVOCATE, ("innovator", "advisor")),
        ("case_study", Polarity.ADVOCATE, ("creator",)),
        ("case_study", Polarity.DETRACTOR, ("critic",)),
        ("content_curated", Polarity.ADVOCATE, ("curator",)),
        ("brand_defence", Polarity.ADVOCATE, ("defender",)),
        ("event_speaker", Polarity.ADVOCATE, ("speaker",)),
        ("event_attended", Polarity.ADVOCATE, ()),
        ("online_review", Polarity.ADVOCATE, ("reviewer",)),
        ("online_review", Polarity.DETRACTOR, ("critic", "reviewer")),
        ("negative_review", Polarity.ADVOCATE, ("critic", "reviewer")),
        ("social_share", Polarity.ADVOCATE, ("sharer",)),
        ("follow", Polarity.ADVOCATE, ("follower",)),
        ("user_group_host", Polarity.ADVOCATE, ("host",)),
        ("site_visit", Polarity.ADVOCATE, ("supporter", "host")),
        ("annual_license_signed", Polarity.ADVOCATE, ("buyer",)),
        ("ask_declined", Polarity.ADVOCATE, ()),
        ("permission_granted", Polarity.ADVOCATE, ()),
        ("recovered", Polarity.DETRACTOR, ()),
        ("x_unheard_of", Polarity.ADVOCATE, ()),
    ],
)
def test_s4_08_what_an_account_does_makes_its_roles(code, polarity, expected):
    assert roles(act(code, polarity=polarity)) == expected


def test_s4_08_there_are_fourteen_roles_and_the_buyer_and_each_can_be_earned():
    assert len(ROLES) == 15
    earned = {role for code in EVENT_TYPES if code != "roles_set" for role in roles(act(code))}
    assert earned == set(ROLES)


def test_s4_08_the_list_of_roles_is_open():
    ours = act("x_ambassador_day", attributes={"role": "Brand ambassador"})
    known = act("x_fair", attributes={"role": "speaker"})
    given_by_hand = act("roles_set", attributes={"add": ["x_sponsor"]})
    rules = RoleRules(roles={"follow": ("x_fan",), "case_study": ()})

    assert roles(ours, known, given_by_hand) == ("speaker", "x_brand_ambassador", "x_sponsor")
    assert roles(act("follow"), act("case_study", id_="e2"), rules=rules) == ("x_fan",)


@pytest.mark.parametrize("word", ["critic", "buyer", "", None, "x_", "über", "a" * 80])
def test_no_word_makes_a_custom_event_a_role_that_it_is_not(word):
    assert roles_of("x_ours", {"role": word}, RULES) == ()


@pytest.mark.parametrize(
    ("code", "more", "days", "has_it"),
    [
        ("speaker", {}, 0, True),
        ("speaker", {}, -1, False),
        ("speaker", {}, 729, True),
        ("speaker", {}, 730, False),
        ("critic", {}, 179, True),
        ("critic", {}, 180, False),
        ("investor", {}, 9000, True),
        ("innovator", {"valid_from": DAY + timedelta(5)}, 4, False),
        ("innovator", {"valid_from": DAY + timedelta(5)}, 5, True),
        ("innovator", {"valid_from": DAY + timedelta(5)}, 9000, True),
        ("innovator", {"valid_to": DAY + timedelta(10)}, 9 + 729, True),
        ("innovator", {"valid_to": DAY + timedelta(10)}, 9 + 730, False),
        ("innovator", {"valid_to": DAY - timedelta(3)}, 729, True),
        ("innovator", {"valid_to": DAY - timedelta(3)}, 730, False),
    ],
)
def test_a_role_lasts_two_years_from_the_last_deed_and_a_state_while_it_holds(code, more, days, has_it):
    code_of = {"speaker": "event_speaker", "critic": "complaint", "investor": "investment_made"}
    one = act(code_of.get(code, "beta_membership"), **more)

    assert (code in roles(one, on=DAY + timedelta(days))) == has_it


@pytest.mark.parametrize(
    ("bought_on", "as_of", "expected"),
    [(None, DAY, ()), (DAY, DAY, ("buyer",)), (DAY, DAY - timedelta(1), ()), (DAY, date(2046, 1, 1), ("buyer",))],
)
def test_who_bought_is_a_buyer_for_good(bought_on, as_of, expected):
    assert roles(bought_on=bought_on, on=as_of) == expected


LATER = DAY + timedelta(10)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([act("roles_set", attributes={"add": "host"})], ("host",)),
        ([act("event_speaker"), act("roles_set", id_="e2", attributes={"remove": "speaker"})], ()),
        ([act("event_speaker", LATER), act("roles_set", id_="e2", attributes={"remove": "speaker"})], ("speaker",)),
        ([act("roles_set", attributes={"add": "host"}), act("roles_set", LATER, "e2", attributes={"remove": "host"})], ()),
        ([act("roles_set", LATER, attributes={"add": "host"}), act("roles_set", DAY, "e2", attributes={"remove": "host"})], ("host",)),
        ([act("roles_set", attributes={"add": "host"}), act("roles_set", LATER, "e2", attributes={"add": "curator"})], ("curator", "host")),
        ([act("roles_set", id_="b", attributes={"add": "host"}), act("roles_set", id_="a", attributes={"remove": "host"})], ("host",)),
        (
            [
                act("roles_set", id_="a", occurred_at=datetime(2026, 3, 2, 9, tzinfo=UTC), attributes={"remove": "host"}),
                act("roles_set", id_="b", occurred_at=datetime(2026, 3, 2, 8, tzinfo=UTC), attributes={"add": "host"}),
            ],
            (),
        ),
        ([act("complaint"), act("roles_set", id_="e2", attributes={"remove": "critic"})], ()),
        ([act("complaint", LATER), act("roles_set", id_="e2", attributes={"remove": "critic"})], ("critic",)),
        ([act("roles_set", LATER + timedelta(1), attributes={"add": "host"})], ()),
    ],
)  # fmt: skip
def test_people_override_roles_and_a_later_deed_brings_one_back(given, expected):
    assert roles(*given, on=LATER) == expected


def test_a_role_says_what_it_rests_on():
    older, newer = act("case_study", DAY - timedelta(9), "old"), act("case_study", DAY, "new")

    held = derive_roles([newer, older], DAY, RULES, ENGAGEMENT, DAY).held

    assert held == (Held("buyer", DAY), Held("creator", DAY, "new", DAY + timedelta(730)))


@pytest.mark.parametrize(
    ("attributes", "read"),
    [
        ({"add": "speaker"}, RolesSet(("speaker",))),
        ({"add": ["x_a", "host", "speaker"], "remove": ["critic"]}, RolesSet(("speaker", "host", "x_a"), ("critic",))),
        ({"remove": ["x_a"], "x_note": "seen at the fair"}, RolesSet((), ("x_a",))),
    ],
)
def test_roles_set_is_read(attributes, read):
    assert read_roles_set(attributes) == read


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({}, ["`add` or `remove` names at least one role"]),
        ({"add": []}, ["names at least one role"]),
        ({"add": "speeker"}, ["knows no 'speeker'", "Did you mean speaker?", "starts with x_"]),
        ({"add": "host", "remove": "host"}, ["host cannot be added and removed at once"]),
        ({"ad": "host"}, ["`ad` is no attribute of this type", "Did you mean add?"]),
        ({"add": 3}, ["`add` is a list"]),
        ({"add": "X_Big"}, ["knows no 'X_Big'"]),
    ],
)
def test_roles_set_that_makes_no_sense_is_refused_with_every_reason(attributes, words):
    with pytest.raises(ValueError) as refused:
        read_roles_set(attributes)
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], Stance.NEUTRAL),
        ([act("case_study")], Stance.ADVOCATE),
        ([act("complaint")], Stance.DETRACTOR),
        ([act("case_study"), act("complaint", id_="e2")], Stance.MIXED),
        ([act("complaint"), act("recovered", id_="e2")], Stance.NEUTRAL),
        ([act("complaint"), act("recovered", DAY - timedelta(1), "e2")], Stance.DETRACTOR),
        ([act("case_study"), act("complaint", id_="e2"), act("recovered", id_="e3")], Stance.ADVOCATE),
        ([act("complaint", DAY - timedelta(179))], Stance.DETRACTOR),
        ([act("complaint", DAY - timedelta(180))], Stance.NEUTRAL),
        ([act("case_study", DAY - timedelta(364))], Stance.ADVOCATE),
        ([act("case_study", DAY - timedelta(365))], Stance.NEUTRAL),
        ([act("case_study", DAY + timedelta(1))], Stance.NEUTRAL),
        ([act("case_study", polarity=Polarity.NEUTRAL)], Stance.NEUTRAL),
        ([act("case_study", polarity=Polarity.DETRACTOR)], Stance.DETRACTOR),
        ([act("event_attended"), act("follow", id_="e2"), act("beta_membership", id_="e3")], Stance.NEUTRAL),
        ([act("ask_accepted"), act("premium_paid", id_="e2"), act("referral.won", id_="e3")], Stance.NEUTRAL),
        ([act("x_ours", attributes={"family": "speaking"})], Stance.ADVOCATE),
        ([act("x_ours", attributes={"family": "community"})], Stance.NEUTRAL),
        ([act("churn_signal"), *(act("referral", id_=f"r{n}") for n in range(50))], Stance.MIXED),
    ],
)
def test_s4_05_the_stance_of_an_account(given, expected):
    assert stance(*given) == expected


def test_s4_05_each_stance_has_a_strategy_of_its_own_and_a_detractor_is_a_business_problem():
    assert set(STRATEGIES) == set(Stance)
    assert len(set(STRATEGIES.values())) == len(Stance)
    assert "business problem to be addressed" in STRATEGIES[Stance.DETRACTOR]
    assert take_stance([act("complaint")], RULES, ENGAGEMENT, DAY).strategy == STRATEGIES[Stance.DETRACTOR]


@pytest.mark.parametrize("code", ["social_mention", "word_of_mouth_offline"])
def test_s4_06_word_of_mouth_counts_online_and_offline_for_us_and_against_us(code):
    assert EVENT_TYPES[code].family is Family.WORD_OF_MOUTH
    good, bad = act(code), act(code, polarity=Polarity.DETRACTOR)

    assert (stance(good), roles(good)) == (Stance.ADVOCATE, ("sharer",))
    assert (stance(bad), roles(bad)) == (Stance.DETRACTOR, ("critic",))


@given(acts, DAYS)
def test_a_word_against_us_never_disappears_behind_good_ones(given_, day):
    voice = take_stance(given_, RULES, ENGAGEMENT, day)
    deeds = [Deed(one.id, one.type, one.occurred_on, one.polarity) for one in given_]
    is_detractor = detractor_until(deeds, ENGAGEMENT, day) is not None

    assert (voice.stance in (Stance.DETRACTOR, Stance.MIXED)) == is_detractor == bool(voice.words_against)
    louder = [*given_, *(act("referral", day, f"more-{n}") for n in range(5))]
    after = take_stance(louder, RULES, ENGAGEMENT, day)
    assert after.words_against == voice.words_against
    assert after.stance is (Stance.MIXED if is_detractor else Stance.ADVOCATE)


@given(acts, st.none() | DAYS, DAYS, st.randoms(use_true_random=False))
def test_roles_and_stance_do_not_depend_on_the_order_of_events(given_, bought_on, day, dice):
    shuffled = dice.sample(given_, len(given_))

    assert derive_roles(given_, bought_on, RULES, ENGAGEMENT, day) == derive_roles(
        shuffled, bought_on, RULES, ENGAGEMENT, day
    )
    assert take_stance(given_, RULES, ENGAGEMENT, day) == take_stance(shuffled, RULES, ENGAGEMENT, day)


@given(acts, st.none() | DAYS, DAYS, st.integers(0, 1500))
def test_nothing_changes_before_the_day_on_which_it_is_said_to_change(given_, bought_on, day, days):
    now, voice = derive_roles(given_, bought_on, RULES, ENGAGEMENT, day), take_stance(given_, RULES, ENGAGEMENT, day)
    later = day + timedelta(days)

    if now.next_change_on is None or later < now.next_change_on:
        assert derive_roles(given_, bought_on, RULES, ENGAGEMENT, later).held == now.held
    if voice.next_change_on is None or later < voice.next_change_on:
        assert take_stance(given_, RULES, ENGAGEMENT, later).stance == voice.stance
    if now.next_change_on:
        assert derive_roles(given_, bought_on, RULES, ENGAGEMENT, now.next_change_on).held != now.held
