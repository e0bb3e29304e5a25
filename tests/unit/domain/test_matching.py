"""Who fits best as a reference, against tables made by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from fractions import Fraction

import pytest
from favours import DAY, NO, RULES, YES, days, ledger
from hypothesis import given
from hypothesis import strategies as st

from app.domain.availability import Block, Hold, Openness, Pause
from app.domain.matching import Candidate, Facet, Need, rank_references, shown
from app.domain.reference_events import TRAITS, Profile, TraitRating
from app.domain.reference_quality import quality
from app.domain.requests import AskLedger


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
