"""Who may be asked for a reference and who fits best, against tables made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import VerifiedEvent
from app.domain.matching import (
    OVERRIDABLE,
    Block,
    Candidate,
    Clearance,
    Facet,
    Hold,
    Need,
    Openness,
    Pause,
    Readiness,
    availability,
    openness_of,
    rank_references,
    shown,
)
from app.domain.reference_events import TRAITS, Profile, TraitRating
from app.domain.reference_quality import quality
from app.domain.requests import AskLedger, LedgerEvent, ask_ledger
from app.domain.rules import ReferenceRules

RULES = ReferenceRules()
DAY = date(2026, 6, 1)
YES = Clearance(True, "allowed by Ann since 2026-01-01", ("Ann",))
NO = Clearance(False, "nobody has granted basic (8a)")


def days(count):
    return DAY + timedelta(count)


def ledger(*ages, uses=()):
    """Asks and uses so many days before DAY."""
    asks = [LedgerEvent(f"a{n}", "ask_sent", days(-age), request=f"R{n}") for n, age in enumerate(ages)]
    calls = [LedgerEvent(f"u{n}", "reference_call", days(-age), request=f"U{n}") for n, age in enumerate(uses)]
    return ask_ledger([*asks, *calls], RULES, DAY)


def good(level=4):
    return quality([TraitRating("r", DAY, dict.fromkeys(TRAITS, level))], RULES, DAY)


def customer(account="C1", **more):
    facts = {
        "group": account,
        "clearance": YES,
        "ledger": AskLedger(cap=2, window_days=90),
        "quality": good(),
        "confirmed_on": DAY,
    }
    return Candidate(account, **{**facts, **more})


NEED = Need("basic", "P1", "PG", "O1")


@pytest.mark.parametrize(
    ("more", "holds", "available_from"),
    [
        ({}, [], None),
        ({"account": "P1"}, [Hold.PROSPECT_ITSELF], None),
        ({"group": "PG"}, [Hold.SAME_GROUP], None),
        ({"clearance": NO}, [Hold.NO_CONSENT], None),
        ({"clearance": replace(NO, until=days(9))}, [Hold.NO_CONSENT], 9),
        ({"openness": Openness(opted_out=(Pause(days(-9)),))}, [Hold.OPTED_OUT], None),
        ({"openness": Openness(open_items=("escalation of 2026-05-30 is open",))}, [Hold.ESCALATED], None),
        ({"openness": Openness(detractor_until=days(30))}, [Hold.DETRACTOR], 30),
        ({"openness": Openness(detractor_until=DAY)}, [], None),
        ({"openness": Openness(resting=(Pause(days(-9), days(5)),))}, [Hold.RESTING], 5),
        ({"openness": Openness(resting=(Pause(days(-9), DAY),))}, [], None),
        ({"openness": Openness(resting=(Pause(days(1), days(5)),))}, [], None),
        ({"ledger": ledger(80, 40)}, [Hold.CAPPED], 10),
        ({"ledger": ledger(90, 40)}, [], None),
        ({"ledger": ledger(13)}, [Hold.COOLDOWN], 1),
        ({"ledger": ledger(14)}, [], None),
        # Everything is said, and the last of it decides when it is over.
        (
            {"ledger": ledger(80, 3), "openness": Openness(resting=(Pause(days(-9), days(40)),))},
            [Hold.RESTING, Hold.CAPPED, Hold.COOLDOWN],
            40,
        ),
        ({"ledger": ledger(80, 3), "clearance": NO}, [Hold.NO_CONSENT, Hold.CAPPED, Hold.COOLDOWN], None),
        ({"account": "P1", "ledger": ledger(13)}, [Hold.PROSPECT_ITSELF, Hold.COOLDOWN], None),
    ],
    ids=range(19),
)
def test_g14_hard_filters_come_first_and_each_is_named(more, holds, available_from):
    more = dict(more)
    found = rank_references(NEED, [customer(more.pop("account", "C1"), **more)], RULES, DAY)
    if not holds:
        assert (len(found.matches), found.excluded) == (1, ())
        return
    (exclusion,) = found.excluded
    assert (found.matches, [block.hold for block in exclusion.blocks]) == ((), holds)
    assert exclusion.available_from == (None if available_from is None else days(available_from))
    assert all(block.reason for block in exclusion.blocks)


def test_g14_nobody_vouches_for_itself_or_for_its_own_group():
    found = rank_references(NEED, [customer("P1"), customer("C1", group="PG")], RULES, DAY)

    assert found.need == NEED
    assert [exclusion.blocks for exclusion in found.excluded] == [
        (Block(Hold.SAME_GROUP, "belongs to the same group as the prospect"),),
        (Block(Hold.PROSPECT_ITSELF, "is the prospect itself"),),
    ]


def test_g14_reached_cap_excludes_with_its_reason():
    (excluded,) = rank_references(NEED, [customer(ledger=ledger(80, 40))], RULES, DAY).excluded
    assert excluded.blocks[0].reason == "asked twice in 90 days, the cap is 2"


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


FULL = Profile("Financial Services", ("Core", "Edge"), ("CFO",), 1200, ("EMEA",), ("de", "en"), ("Data migration",))


@pytest.mark.parametrize(
    ("facet", "wanted", "matched"),
    [
        (Facet.INDUSTRY, ("financial-services",), ("financial-services",)),
        (Facet.INDUSTRY, ("retail",), ()),
        (Facet.PRODUCT, ("edge", "cloud"), ("edge",)),
        (Facet.PRODUCT, ("edg",), ()),
        (Facet.ROLE, ("cfo",), ("cfo",)),
        (Facet.ROLE, ("CTO",), ()),
        (Facet.SIZE, ("giant",), ("giant",)),
        (Facet.SIZE, ("large",), ()),
        (Facet.REGION, ("emea",), ("emea",)),
        (Facet.REGION, ("apac",), ()),
        (Facet.LANGUAGE, ("fr", "en"), ("en",)),
        (Facet.LANGUAGE, ("fr",), ()),
        (Facet.USE_CASE, ("data_migration",), ("data_migration",)),
        (Facet.USE_CASE, ("reporting",), ()),
    ],
)
def test_s2_12_every_facet_that_matches_is_named(facet, wanted, matched):
    need = replace(NEED, wanted={facet: wanted})
    (known,) = rank_references(need, [customer(profile=FULL)], RULES, DAY).matches
    (fit,) = known.fits
    assert (fit.matched, known.matched) == (matched, int(bool(matched)))
    told = [reason for reason in known.reasons if facet.replace("_", " ") in reason]
    assert told
    assert all(word in told[0] for word in matched or wanted)
    (unknown,) = rank_references(need, [customer()], RULES, DAY).matches
    assert (unknown.matched, unknown.fits[0].known) == (0, ())
    assert any("is not known" in reason for reason in unknown.reasons)


WANTED = replace(NEED, wanted={Facet.INDUSTRY: ("retail",), Facet.LANGUAGE: ("de",)})


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        # Fit before quality,
        (
            {"profile": Profile("Retail", languages=("de",)), "quality": good(1)},
            {"profile": Profile("Retail")},
            "fits in 1 points instead of 2",
        ),
        ({"profile": Profile(languages=("de",)), "quality": good(1)}, {}, "fits in 0 points instead of 1"),
        # quality before freshness,
        ({"confirmed_on": None}, {"quality": good(3)}, "quality with what is left of the cap is 75.0 instead of 100.0"),
        # of which an ask in the window takes half,
        ({"quality": good(3)}, {"ledger": ledger(20)}, "quality with what is left of the cap is 50.0 instead of 75.0"),
        # freshness before rotation,
        ({"ledger": ledger(uses=(200, 300))}, {"confirmed_on": days(-90)}, "was confirmed longer ago"),
        (
            {"confirmed_on": days(-90), "ledger": ledger(uses=(200,))},
            {"confirmed_on": None},
            "was confirmed longer ago",
        ),
        (
            {"confirmed_on": days(-364), "ledger": ledger(uses=(200,))},
            {"confirmed_on": days(-365)},
            "was confirmed longer ago",
        ),
        # least used first,
        ({}, {"ledger": ledger(uses=(200,))}, "was used once, the other never"),
        ({"ledger": ledger(uses=(100,))}, {"ledger": ledger(uses=(200, 300))}, "was used twice, the other once"),
        # longest ago first,
        ({"ledger": ledger(uses=(200,))}, {"ledger": ledger(uses=(100,))}, f"was used more recently, on {days(-100)}"),
        # and then the id.
        ({}, {}, "is equal in everything; the id decides"),
        ({"confirmed_on": days(-89)}, {}, "is equal in everything; the id decides"),
    ],
    ids=range(12),
)
def test_g14_the_order_can_be_read_aloud(first, second, why):
    accounts = ("C1", "C2") if "equal" in why else ("C2", "C1")
    candidates = [customer(accounts[0], **first), customer(accounts[1], **second)]
    found = rank_references(WANTED, candidates, RULES, DAY).matches
    assert [(match.account, match.place, match.behind) for match in found] == [
        (accounts[0], 1, None),
        (accounts[1], 2, why),
    ]


def test_g14_why_this_one():
    need = replace(NEED, wanted={Facet.INDUSTRY: ("retail",), Facet.LANGUAGE: ("de", "fr"), Facet.SIZE: ("small",)})
    half = quality([TraitRating("r", DAY, {"brand": 4, "articulate": 3})], RULES, DAY)
    one = customer(
        profile=Profile("Retail", size=1200),
        quality=half,
        ledger=ledger(40, uses=(400,)),
        confirmed_on=days(-100),
    )
    (match,) = rank_references(need, [one], RULES, DAY).matches
    assert match.score == Fraction(700, 24) / 2
    assert match.reasons == (
        "consent: allowed by Ann since 2026-01-01",
        "fits 1 of 3 asked for: industry retail",
        "size is 1200 (giant); asked for: small",
        "language is not known; asked for: de, fr",
        "quality 29 to 96 of 100, 2 of 6 traits rated",
        "1 of 2 asks used in 90 days",
        f"confirmed within 365 days, last on {days(-100)}",
        f"used once, last on {days(-400)}",
    )


def test_g14_why_one_that_fits_in_several_words_and_is_known_well():
    wanted = {Facet.PRODUCT: ("core", "edge"), Facet.ROLE: ("CTO",), Facet.LANGUAGE: ("de",)}
    one = customer(
        profile=Profile(products=("Core", "Edge"), roles=("CFO", "CIO"), languages=("de",)),
        quality=good(4),
        ledger=ledger(uses=(200, 300, 400)),
        confirmed_on=days(-400),
    )
    (match,) = rank_references(replace(NEED, wanted=wanted), [one], RULES, DAY).matches
    assert match.reasons == (
        "consent: allowed by Ann since 2026-01-01",
        "fits 2 of 3 asked for: product core, edge; language de",
        "role is CFO, CIO; asked for: CTO",
        "quality 100 of 100, 6 of 6 traits rated, high impact",
        "0 of 2 asks used in 90 days",
        f"not confirmed, last on {days(-400)}",
        f"used 3 times, last on {days(-200)}",
    )


def test_g14_why_one_of_which_little_is_known():
    need = replace(NEED, wanted={Facet.REGION: ("emea",)})
    unrated = quality([], RULES, DAY)
    (match,) = rank_references(need, [customer(quality=unrated, confirmed_on=None)], RULES, DAY).matches
    assert match.reasons == (
        "consent: allowed by Ann since 2026-01-01",
        "fits 0 of 1 asked for",
        "region is not known; asked for: emea",
        "quality 0 to 100 of 100, 0 of 6 traits rated",
        "0 of 2 asks used in 90 days",
        "never confirmed",
        "never used yet",
    )


def test_scores_are_cut_for_people():
    assert [shown(score) for score in (Fraction(0), Fraction(100), Fraction(125, 6), Fraction(1999, 20))] == [
        "0.0",
        "100.0",
        "20.8",
        "99.9",
    ]


candidates = st.lists(
    st.builds(
        Candidate,
        st.sampled_from([f"C{n}" for n in range(12)] + ["P1"]),
        st.sampled_from(["G1", "G2", "PG"]),
        st.sampled_from([YES, NO, replace(YES, until=days(2))]),
        st.builds(ledger, *[st.integers(0, 120)] * 2) | st.builds(ledger, st.integers(0, 120)) | st.builds(ledger),
        st.builds(good, st.integers(0, 4)),
        st.sampled_from(
            [
                Openness(),
                Openness(),
                Openness(resting=(Pause(days(-1), days(1)),)),
                Openness(opted_out=(Pause(days(-1)),)),
                Openness(open_items=("open",)),
            ]
        ),
        st.sampled_from([FULL, Profile(), Profile("Retail"), Profile(languages=("de",))]),
        st.none() | st.dates(date(2025, 1, 1), DAY),
    ),
    max_size=12,
    unique_by=lambda one: one.account,
)


@given(candidates, st.randoms())
def test_no_candidate_is_offered_without_consent_or_against_a_filter(given_candidates, random):
    found = rank_references(WANTED, given_candidates, RULES, DAY)
    by_account = {one.account: one for one in given_candidates}
    assert sorted([*(m.account for m in found.matches), *(e.account for e in found.excluded)]) == sorted(by_account)
    for match in found.matches:
        one = by_account[match.account]
        assert one.clearance.is_valid
        assert one.ledger.used < RULES.asks_per_window
        assert one.ledger.cooling_until is None
        assert one.openness in (Openness(), Openness(resting=(Pause(DAY, DAY),)))
        assert one.account != "P1"
        assert one.group != "PG"
    for exclusion in found.excluded:
        one = by_account[exclusion.account]
        holds = {block.hold for block in exclusion.blocks}
        assert holds
        assert (Hold.NO_CONSENT in holds) is not one.clearance.is_valid
        assert (Hold.CAPPED in holds) is (one.ledger.used >= RULES.asks_per_window)
    assert [match.place for match in found.matches] == list(range(1, len(found.matches) + 1))
    random.shuffle(given_candidates)
    assert rank_references(WANTED, given_candidates, RULES, DAY) == found


@given(candidates, st.integers(0, 40))
def test_availability_changes_only_when_it_says(given_candidates, later):
    for one in given_candidates:
        facts = (one.openness, one.ledger, RULES)
        found = availability(one.clearance, *facts, DAY)
        if found.available_from is not None:
            assert found.available_from > DAY
            assert found.next_change_on is not None
            assert found.next_change_on <= found.available_from
        assert (found.state is Readiness.AVAILABLE) is (found.blocks == ())
