"""Why a value changed: every cause by hand, and the promise that the parts add up for any two sets of lines."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import cases

from app.domain.causes import GIVEN, MEANING, SPLIT, Between, Cause, DealFacts, Entry, Part
from app.domain.model import Measure
from app.domain.why import changes_of, explain_deal, measures_of

BETWEEN = Between("2026-03-01", "2026-03-02")
UNKNOWN, UNCHANGED = DealFacts(), DealFacts(is_unchanged=True)
HALF, THIRD = Fraction(1, 2), Fraction(1, 3)


def own(amount, buyer="Y", **more):
    return Entry(Measure.DIRECT, buyer, "O", buyer, amount, **{"dated_on": "2025-06-01", **more})


def refund(amount, key="J", **more):
    return own(amount, event_id=key, dated_on="2025-07-01", **more)


def credit(amount, account="B", event="R-B", share=1, buyer="Y", **more):
    return Entry(Measure.REFERRED, account, "O", buyer, amount, event, 3, Fraction(share), **{"rule": "equal", **more})


def network(amount, event="R-C"):
    return Entry(Measure.NETWORK, "C", "O", "Y", amount, event, 2, HALF, "chain, step 2")


def took_part(amount, measure=Measure.TOUCHED, share=1):
    return Entry(measure, "D", "O", "Y", amount, "E", 0, Fraction(share), "took part")


def euros(amount, own_amount, rate, **more):
    return own(amount, own_amount=own_amount, own_currency="EUR", rate=rate, **more)


def moved(before, after, facts=UNKNOWN, between=BETWEEN):
    """(account, measure, cause) -> amount, `given` left aside."""
    sums = Counter()
    for one in explain_deal(before, after, facts, between):
        if one.measure != GIVEN:
            sums[one.account_id, one.measure, one.cause] += one.amount
    return dict(sums)


DIRECT, REFERRED = Measure.DIRECT, Measure.REFERRED


def test_what_stays_the_same_has_no_parts():
    lines = [own(100), credit(50, share=HALF), credit(50, "A", "R-A", HALF), network(25), took_part(100)]

    assert explain_deal(lines, lines[::-1], UNKNOWN, BETWEEN) == []
    assert changes_of([]) == []


def test_a_new_opportunity_takes_everything_on_it_along():
    assert moved([], [own(100), credit(100), network(50)]) == {
        ("Y", DIRECT, Cause.NEW_OPPORTUNITY): 100,
        ("B", REFERRED, Cause.NEW_OPPORTUNITY): 100,
        ("C", Measure.NETWORK, Cause.NEW_OPPORTUNITY): 50,
    }


@pytest.mark.parametrize(
    ("line", "facts", "cause"),
    [
        (own(100, dated_on="2026-03-02"), UNCHANGED, Cause.TIME_PASSING),
        (own(100, dated_on="2026-03-02"), DealFacts(is_changed=True), Cause.NEW_OPPORTUNITY),
        (own(100, dated_on="2026-03-02"), UNKNOWN, Cause.NEW_OPPORTUNITY),
        (euros(100, "1", "0.8"), UNCHANGED, Cause.RATE),
        (own(100), UNCHANGED, Cause.NEW_OPPORTUNITY),
        (own(100, dated_on="2026-03-01"), UNCHANGED, Cause.NEW_OPPORTUNITY),
    ],
    ids=["a close date arrived", "won since", "nobody knows", "its rate was missing", "nothing else fits", "was due"],
)
def test_why_an_opportunity_counts_now(line, facts, cause):
    assert moved([], [line], facts) == {("Y", DIRECT, cause): 100}


def test_a_policy_explains_an_opportunity_that_stood_there_before_and_counts_now():
    changed = Between("2026-03-01", "2026-03-01", policy_changed=True)

    assert explain_deal([], [own(100)], UNCHANGED, changed) == [Part("Y", DIRECT, Cause.POLICY, "O", None, 100)]


@pytest.mark.parametrize(
    ("facts", "cause"),
    [
        (DealFacts(close_on="2026-03-02"), Cause.OPPORTUNITY_LOST),
        (DealFacts(close_on="2025-06-01"), Cause.OPPORTUNITY_LOST),
        (DealFacts(is_changed=True, close_on="2026-05-01"), Cause.OPPORTUNITY_CHANGED),
        (DealFacts(is_unpriced=True, close_on="2025-06-01"), Cause.RATE),
        (UNKNOWN, Cause.OPPORTUNITY_LOST),
    ],
    ids=["due today", "lost after all", "closes later", "its rate is missing", "purged"],
)
def test_why_an_opportunity_no_longer_counts(facts, cause):
    assert moved([own(100), credit(100)], [], facts) == {("Y", DIRECT, cause): -100, ("B", REFERRED, cause): -100}


def test_a_corrected_amount_moves_every_share_of_it():
    before = [own(100), credit(50, share=HALF), credit(50, "A", "R-A", HALF)]
    after = [own(301), credit(151, share=HALF), credit(150, "A", "R-A", HALF)]

    assert moved(before, after) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): 201,
        ("B", REFERRED, Cause.OPPORTUNITY_CHANGED): 101,
        ("A", REFERRED, Cause.OPPORTUNITY_CHANGED): 100,
    }


def test_a_refund_takes_the_credit_for_what_was_refunded():
    before, after = [own(100), credit(100)], [own(100), refund(-40), credit(60)]

    parts = explain_deal(before, after, UNKNOWN, BETWEEN)

    assert moved(before, after) == {("Y", DIRECT, Cause.REFUND): -40, ("B", REFERRED, Cause.REFUND): -40}
    assert {one.event_id for one in parts} == {"J"}
    assert moved(after, before)["B", REFERRED, Cause.REFUND] == 40


def test_a_share_of_a_net_value_on_the_way_is_whole_cents_and_never_below_nothing():
    two_thirds = Fraction(2, 3)

    assert moved([own(100), credit(66, share=two_thirds)], [own(200), credit(100, share=HALF)]) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): 100,
        ("B", REFERRED, Cause.OPPORTUNITY_CHANGED): 67,
        ("B", REFERRED, Cause.ACCOUNT_CHANGED): -33,
    }
    assert moved([own(100), credit(100)], [own(-50), refund(100), credit(50)]) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -150,
        ("Y", DIRECT, Cause.REFUND): 100,
        ("B", REFERRED, Cause.OPPORTUNITY_CHANGED): -100,
        ("B", REFERRED, Cause.REFUND): 50,
    }


@pytest.mark.parametrize("net", [1, 100])
def test_a_credit_follows_the_net_value_only_from_nothing_and_to_nothing(net):
    grown = [own(300), credit(300)]

    assert moved([own(net), credit(net)], [own(net), refund(-net)])["B", REFERRED, Cause.REFUND] == -net
    assert moved([own(net)], grown)["B", REFERRED, Cause.REFERRAL_VERIFIED] == 300
    assert moved([own(0)], grown)["B", REFERRED, Cause.OPPORTUNITY_CHANGED] == 300
    for told, cause in (("new_events", Cause.REFERRAL_ADDED), ("verified_events", Cause.REFERRAL_VERIFIED)):
        between = Between("2026-03-01", "2026-03-01", **{told: {"R-B"}})
        assert moved([own(0)], grown, between=between)["B", REFERRED, cause] == 300


def test_a_full_refund_ends_all_credit_and_taking_it_back_brings_it_back():
    before, after = [own(100), credit(100), took_part(100)], [own(100), refund(-100)]

    assert moved(before, after)["B", REFERRED, Cause.REFUND] == -100
    assert moved(before, after)["D", Measure.TOUCHED, Cause.REFUND] == -100
    assert moved(after, before)["B", REFERRED, Cause.REFUND] == 100


def test_a_rate_moves_what_was_converted_with_it():
    before = [euros(100_000, "800", "0.8"), credit(100_000)]
    after = [euros(80_000, "800.00", "1"), credit(80_000)]

    assert moved(before, after) == {("Y", DIRECT, Cause.RATE): -20_000, ("B", REFERRED, Cause.RATE): -20_000}


def test_a_rate_and_an_amount_that_changed_together_are_told_apart_rate_first():
    before = [euros(100_000, "800", "0.8"), credit(50_000, share=HALF)]
    after = [euros(90_000, "900", "1"), credit(45_000, share=HALF)]

    assert moved(before, after) == {
        ("Y", DIRECT, Cause.RATE): -20_000,
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): 10_000,
        ("B", REFERRED, Cause.RATE): -10_000,
        ("B", REFERRED, Cause.OPPORTUNITY_CHANGED): 5_000,
    }


def test_a_rate_between_two_currencies_converts_by_both():
    before, after = [euros(100_000, "800", "0.8")], [euros(220_000, "1600", "0.8/1.1")]

    assert moved(before, after) == {
        ("Y", DIRECT, Cause.RATE): 10_000,
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): 110_000,
    }


def test_a_rate_changes_nothing_where_there_was_no_amount_and_all_of_what_goes():
    before, one = [euros(100_000, "800", "0.8")], [euros(125, "1", "0.8")]

    assert moved([euros(0, None, "0.8")], [euros(90_000, "900", "1")]) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): 90_000
    }
    assert moved(before, [euros(0, None, "1")]) == {
        ("Y", DIRECT, Cause.RATE): -20_000,
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -80_000,
    }
    assert moved(one, [euros(0, None, "1")]) == {
        ("Y", DIRECT, Cause.RATE): -25,
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -100,
    }


@pytest.mark.parametrize("rates", [("0.8", None), (None, "1")])
def test_a_rate_that_nobody_knows_explains_nothing(rates):
    before, after = ([euros(amount, "800", rate)] for amount, rate in zip((100_000, 80_000), rates, strict=True))

    assert moved(before, after) == {("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -20_000}


@pytest.mark.parametrize(
    "after",
    [
        euros(80_000, "800", "1", dated_on="2025-09-01"),
        own(80_000, own_amount="800", own_currency="CHF", rate="1"),
        own(80_000),
    ],
    ids=["another date", "another currency", "the reporting currency"],
)
def test_a_rate_that_differs_because_the_opportunity_does_is_a_changed_opportunity(after):
    assert moved([euros(100_000, "800", "0.8")], [after]) == {("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -20_000}


def test_a_rate_moves_refunds_in_that_currency_too():
    before = [euros(100_000, "800", "0.8"), refund(-25_000, own_amount="-200", own_currency="EUR", rate="0.8")]
    after = [euros(80_000, "800", "1"), refund(-20_000, own_amount="-200", own_currency="EUR", rate="1")]

    parts = explain_deal(before, after, UNKNOWN, BETWEEN)

    assert sorted((one.cause, one.amount) for one in parts) == [(Cause.RATE, -20_000), (Cause.RATE, 5_000)]


def test_an_opportunity_that_moves_to_another_account_takes_its_money_and_its_claims_along():
    before = [own(100), refund(-10), credit(90)]
    after = [own(100, "X"), refund(-10, buyer="X"), credit(90, "A", "R-A", buyer="X")]

    assert moved(before, after) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -90,
        ("X", DIRECT, Cause.OPPORTUNITY_CHANGED): 90,
        ("B", REFERRED, Cause.OPPORTUNITY_CHANGED): -90,
        ("A", REFERRED, Cause.OPPORTUNITY_CHANGED): 90,
    }


def test_a_refund_moves_with_its_opportunity_whoever_referred_it():
    assert moved([own(100), refund(-10)], [own(100, "X"), refund(-10, buyer="X")]) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -90,
        ("X", DIRECT, Cause.OPPORTUNITY_CHANGED): 90,
    }


def test_of_an_opportunity_that_moves_the_amount_comes_before_its_refunds():
    after = [own(200, "X"), refund(-110, buyer="X"), credit(90, buyer="X")]

    parts = explain_deal([own(100), refund(-10), credit(90)], after, UNKNOWN, BETWEEN)

    assert {(one.event_id, one.amount) for one in parts if one.account_id == "B"} == {("R-B", 100), ("J", -100)}


def test_who_referred_the_old_buyer_and_now_the_new_one_keeps_the_credit():
    between = Between("2026-03-01", "2026-03-01", new_events={"R-2"})

    assert moved(BEFORE, [own(100, "X"), credit(100, event="R-2", buyer="X")], between=between) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): -100,
        ("X", DIRECT, Cause.OPPORTUNITY_CHANGED): 100,
    }


BEFORE = [own(100), credit(100)]
SHARED = [own(100), credit(50, share=HALF), credit(50, "A", "R-A", HALF)]


def test_a_referral_that_was_recorded_since_takes_its_share_from_the_one_before():
    between = Between("2026-03-01", "2026-03-01", new_events={"R-A"})

    assert moved(BEFORE, SHARED, between=between) == {
        ("A", REFERRED, Cause.REFERRAL_ADDED): 50,
        ("B", REFERRED, Cause.CO_REFERRER): -50,
    }


def test_a_referral_that_was_withdrawn_gives_its_share_back():
    between = Between("2026-03-01", "2026-03-01", lost_events={"R-A"})

    assert moved(SHARED, BEFORE, between=between) == {
        ("A", REFERRED, Cause.REFERRAL_WITHDRAWN): -50,
        ("B", REFERRED, Cause.CO_REFERRER): 50,
    }


def test_a_referral_known_before_that_counts_now_was_verified():
    assert moved(BEFORE, SHARED) == {
        ("A", REFERRED, Cause.REFERRAL_VERIFIED): 50,
        ("B", REFERRED, Cause.CO_REFERRER): -50,
    }


def test_a_verification_is_told_whatever_else_changed():
    changed = DealFacts(is_changed=True)
    verified = Between("2026-03-01", "2026-03-01", policy_changed=True, verified_events={"R-A", "E"})

    assert moved(BEFORE, SHARED, changed, verified) == {
        ("A", REFERRED, Cause.REFERRAL_VERIFIED): 50,
        ("B", REFERRED, Cause.CO_REFERRER): -50,
    }
    called = [*BEFORE, took_part(100)]
    assert moved(BEFORE, called, changed, verified) == {("D", Measure.TOUCHED, Cause.INFLUENCE): 100}
    assert moved(called, called, changed, verified) == {}


def test_policy_explains_only_what_no_referral_explains():
    changed = Between("2026-03-01", "2026-03-01", policy_changed=True)
    both = Between("2026-03-01", "2026-03-01", policy_changed=True, new_events={"R-A"})

    assert {cause for _, _, cause in moved(BEFORE, SHARED, between=changed)} == {Cause.POLICY}
    assert {cause for _, _, cause in moved(BEFORE, SHARED, between=both)} == {Cause.REFERRAL_ADDED, Cause.CO_REFERRER}


def test_a_share_that_moves_with_the_amount_is_told_apart_amount_first():
    between = Between("2026-03-01", "2026-03-01", new_events={"R-A"})
    after = [own(300), credit(150, share=HALF), credit(150, "A", "R-A", HALF)]

    assert moved(BEFORE, after, between=between) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): 200,
        ("B", REFERRED, Cause.OPPORTUNITY_CHANGED): 200,
        ("B", REFERRED, Cause.CO_REFERRER): -150,
        ("A", REFERRED, Cause.REFERRAL_ADDED): 150,
    }


def test_a_merged_account_brings_along_what_it_had():
    between = Between("2026-03-01", "2026-03-01", survivors={"A": "B"})

    assert moved(SHARED, BEFORE, between=between) == {
        ("A", REFERRED, Cause.MERGE): -50,
        ("B", REFERRED, Cause.MERGE): 50,
    }


def test_what_a_merged_account_had_grows_with_the_opportunity_like_one_share():
    between = Between("2026-03-01", "2026-03-01", survivors={"A": "B"})

    assert moved(SHARED, [own(200), credit(200)], between=between) == {
        ("Y", DIRECT, Cause.OPPORTUNITY_CHANGED): 100,
        ("A", REFERRED, Cause.MERGE): -50,
        ("B", REFERRED, Cause.MERGE): 50,
        ("B", REFERRED, Cause.OPPORTUNITY_CHANGED): 100,
    }


MERGED_IN_A_NEW_POLICY = Between("2026-03-01", "2026-03-01", policy_changed=True, survivors={"D": "B", "C": "B"})
"""D, who took part, and C, whose referral led to a referral, are B now."""


def test_who_only_took_part_in_a_deal_and_is_merged_explains_no_credit_of_it():
    took_part_as_b = took_part(100)._replace(account_id="B")

    assert moved([own(100), took_part(100)], [*BEFORE, took_part_as_b], between=MERGED_IN_A_NEW_POLICY) == {
        ("B", REFERRED, Cause.POLICY): 100,
        ("D", Measure.TOUCHED, Cause.MERGE): -100,
        ("B", Measure.TOUCHED, Cause.MERGE): 100,
    }
    recorded = replace(MERGED_IN_A_NEW_POLICY, new_events={"R-A"})
    assert moved([*BEFORE, took_part(100)], [*SHARED, took_part_as_b], between=recorded) == {
        ("A", REFERRED, Cause.REFERRAL_ADDED): 50,
        ("B", REFERRED, Cause.CO_REFERRER): -50,
        ("D", Measure.TOUCHED, Cause.MERGE): -100,
        ("B", Measure.TOUCHED, Cause.MERGE): 100,
    }


def test_a_referral_that_led_to_another_and_is_merged_explains_the_network_alone():
    assert moved(
        [own(100), network(50)], [*BEFORE, network(30)._replace(account_id="B")], between=MERGED_IN_A_NEW_POLICY
    ) == {
        ("B", REFERRED, Cause.POLICY): 100,
        ("C", Measure.NETWORK, Cause.MERGE): -50,
        ("B", Measure.NETWORK, Cause.MERGE): 30,
    }


def test_referrers_that_are_merged_explain_the_network_behind_them_and_no_answer_about_references():
    between = Between("2026-03-01", "2026-03-01", policy_changed=True, survivors={"A": "B"})

    def answered(part):
        return took_part(100 * part, Measure.INFLUENCE, part)

    after = [*BEFORE, network(20), took_part(100), answered(HALF)]
    assert moved([*SHARED, network(50), took_part(100), answered(Fraction(3, 10))], after, between=between) == {
        ("A", REFERRED, Cause.MERGE): -50,
        ("B", REFERRED, Cause.MERGE): 50,
        ("C", Measure.NETWORK, Cause.MERGE): -30,
        ("D", Measure.INFLUENCE, Cause.POLICY): 20,
    }


def test_who_came_too_late_and_is_a_referrer_by_a_merge_took_no_part_beside_it():
    between = Between("2026-03-01", "2026-03-01", policy_changed=True, survivors={"B": "D"})

    assert moved([*BEFORE, took_part(100)], [own(100), credit(100, "D")], between=between) == {
        ("B", REFERRED, Cause.MERGE): -100,
        ("D", REFERRED, Cause.MERGE): 100,
        ("D", Measure.TOUCHED, Cause.MERGE): -100,
    }


def test_who_took_part_and_is_the_buyer_by_a_merge_leaves_the_referrer_what_it_was_answered():
    answered = [took_part(100), took_part(30, Measure.INFLUENCE, Fraction(3, 10))]
    between = Between("2026-03-01", "2026-03-01", survivors={"D": "Y"})

    before = [own(100), credit(70, share=Fraction(7, 10)), *answered]
    assert moved(before, BEFORE, between=between) == {
        ("B", REFERRED, Cause.MERGE): 30,
        ("D", Measure.TOUCHED, Cause.MERGE): -100,
        ("D", Measure.INFLUENCE, Cause.MERGE): -30,
    }


def test_a_claim_that_reaches_a_deal_by_the_merge_of_its_buyer_is_the_merge_s_doing_whatever_the_policy():
    between = Between("2026-03-01", "2026-03-01", policy_changed=True, survivors={"Z": "Y"})

    assert moved([own(100, "Z")], BEFORE, between=between) == {
        ("Z", DIRECT, Cause.MERGE): -100,
        ("Y", DIRECT, Cause.MERGE): 100,
        ("B", REFERRED, Cause.MERGE): 100,
    }


def test_a_referrer_merged_with_its_buyer_earns_nothing_any_more():
    between = Between("2026-03-01", "2026-03-01", survivors={"Y": "B"})

    parts = explain_deal(BEFORE, [own(100, "B")], UNKNOWN, between)

    sums = Counter()
    for one in parts:
        assert one.cause is Cause.MERGE
        sums[one.account_id, str(one.measure)] += one.amount
    assert sums == {("Y", "direct"): -100, ("B", "direct"): 100, ("B", "referred"): -100, ("Y", "given"): -100}


def test_a_buyer_that_is_merged_takes_along_what_it_bought_and_gave():
    between = Between("2026-03-01", "2026-03-01", survivors={"Y": "Z"})

    parts = explain_deal(BEFORE, [own(200, "Z"), credit(200, buyer="Z")], UNKNOWN, between)

    assert {(one.account_id, str(one.measure), one.cause, one.amount) for one in parts} == {
        ("Y", "direct", Cause.MERGE, -100),
        ("Z", "direct", Cause.MERGE, 100),
        ("Z", "direct", Cause.OPPORTUNITY_CHANGED, 100),
        ("B", "referred", Cause.OPPORTUNITY_CHANGED, 100),
        ("Y", "given", Cause.MERGE, -100),
        ("Z", "given", Cause.MERGE, 100),
        ("Z", "given", Cause.OPPORTUNITY_CHANGED, 100),
    }


def test_the_share_of_a_third_party_moves_by_the_merge_of_the_others():
    before = [own(90), *(credit(30, name, f"R-{name}", THIRD) for name in "ABC")]
    after = [own(90), credit(45, "B", "R-B", HALF), credit(45, "C", "R-C", HALF)]
    between = Between("2026-03-01", "2026-03-01", survivors={"A": "B"})

    assert moved(before, after, between=between) == {
        ("A", REFERRED, Cause.MERGE): -30,
        ("B", REFERRED, Cause.MERGE): 15,
        ("C", REFERRED, Cause.MERGE): 15,
    }


@pytest.mark.parametrize(
    ("tier", "facts", "between", "cause"),
    [
        (1, UNKNOWN, BETWEEN, Cause.REFERRAL_VERIFIED),
        (2, UNKNOWN, BETWEEN, Cause.OPPORTUNITY_CHANGED),
        (3, DealFacts(is_changed=True), BETWEEN, Cause.OPPORTUNITY_CHANGED),
        (3, UNKNOWN, Between("2026-03-01", "2026-03-01", merged_events={"R-B"}), Cause.MERGE),
        (4, UNKNOWN, BETWEEN, Cause.ACCOUNT_CHANGED),
    ],
    ids=["named", "a contact on the deal", "the deal's type", "a merge brought them together", "the domain"],
)
def test_why_a_claim_known_before_counts_now(tier, facts, between, cause):
    line = credit(100)._replace(tier=tier)

    assert moved([own(100)], [own(100), line], facts, between) == {("B", REFERRED, cause): 100}


def test_why_a_claim_that_is_still_there_counts_no_longer():
    assert moved(BEFORE, [own(100)]) == {("B", REFERRED, Cause.ACCOUNT_CHANGED): -100}
    assert moved(BEFORE, [own(100)], DealFacts(is_changed=True)) == {("B", REFERRED, Cause.OPPORTUNITY_CHANGED): -100}


def test_network_moves_with_the_chain_or_with_the_policy():
    changed = Between("2026-03-01", "2026-03-01", policy_changed=True)

    assert moved(BEFORE, [*BEFORE, network(50)]) == {("C", Measure.NETWORK, Cause.CHAIN): 50}
    assert moved(BEFORE, [*BEFORE, network(50)], between=changed) == {("C", Measure.NETWORK, Cause.POLICY): 50}
    recorded = Between("2026-03-01", "2026-03-01", new_events={"R-C"})
    assert moved(BEFORE, [*BEFORE, network(50)], between=recorded) == {("C", Measure.NETWORK, Cause.REFERRAL_ADDED): 50}


def test_a_chain_that_shares_the_credit_moves_the_direct_referrer():
    after = [own(100), credit(66, share=Fraction(2, 3)), credit(34, "C", "R-C", THIRD, rule="chain, step 2")]
    recorded = Between("2026-03-01", "2026-03-01", new_events={"R-C"})

    assert moved(BEFORE, after, between=recorded) == {
        ("C", REFERRED, Cause.REFERRAL_ADDED): 34,
        ("B", REFERRED, Cause.CHAIN): -34,
    }


def test_influence_moves_with_what_references_did():
    answered = took_part(30, Measure.INFLUENCE, Fraction(3, 10))

    assert moved(BEFORE, [*BEFORE, took_part(100), answered]) == {
        ("D", Measure.TOUCHED, Cause.INFLUENCE): 100,
        ("D", Measure.INFLUENCE, Cause.INFLUENCE): 30,
    }
    kept = [own(100), credit(70, share=Fraction(7, 10)), took_part(100), answered]
    assert moved(BEFORE, kept)["B", REFERRED, Cause.INFLUENCE] == -30


@pytest.mark.parametrize(
    ("told", "cause"), [("new_events", Cause.REFERRAL_ADDED), ("verified_events", Cause.REFERRAL_VERIFIED)]
)
def test_a_claim_that_takes_the_place_of_another_is_told_and_one_that_stays_is_not(told, cause):
    between = Between("2026-03-01", "2026-03-01", lost_events={"R-A"}, **{told: {"R-B", "R-2"}})

    replaced = moved(SHARED, [own(100), credit(100, event="R-2")], between=between)

    assert replaced == {("B", REFERRED, cause): 50, ("A", REFERRED, Cause.REFERRAL_WITHDRAWN): -50}
    assert moved(SHARED, BEFORE, between=between)["B", REFERRED, Cause.CO_REFERRER] == 50


def test_influence_is_the_policy_s_doing_only_where_nobody_came_or_went():
    def answered(part):
        return [*BEFORE, took_part(100), took_part(100 * part, Measure.INFLUENCE, part)]

    def cause_of(before, after, **more):
        causes = {
            one.cause for one in explain_deal(before, after, UNKNOWN, Between("2026-03-01", "2026-03-01", **more))
        }
        (cause,) = causes
        return cause

    less, more = answered(Fraction(3, 10)), answered(HALF)
    assert cause_of(less, more) is Cause.INFLUENCE
    assert cause_of(less, more, policy_changed=True) is Cause.POLICY
    assert cause_of(BEFORE, more, policy_changed=True) is Cause.INFLUENCE
    assert cause_of(more, BEFORE, policy_changed=True) is Cause.INFLUENCE
    assert cause_of(BEFORE, more, new_events={"E"}) is Cause.INFLUENCE
    assert cause_of(more, BEFORE, lost_events={"E"}) is Cause.INFLUENCE


def test_the_credit_moves_with_influence_that_was_recorded_and_not_with_a_co_referrer():
    answered = took_part(30, Measure.INFLUENCE, Fraction(3, 10))
    kept = [own(100), credit(70, share=Fraction(7, 10)), took_part(100), answered]
    recorded = Between("2026-03-01", "2026-03-01", new_events={"E"})

    assert moved(BEFORE, kept, between=recorded)["B", REFERRED, Cause.INFLUENCE] == -30


def test_the_credit_moves_with_a_co_referrer_and_not_with_the_network_beside_it():
    assert moved(BEFORE, [*SHARED, network(25)])["B", REFERRED, Cause.CO_REFERRER] == -50


def test_what_others_earn_is_explained_to_the_buyer_as_given():
    parts = explain_deal(BEFORE, SHARED, UNKNOWN, Between("2026-03-01", "2026-03-01", new_events={"R-A"}))

    given_parts = {(one.account_id, one.cause): one.amount for one in parts if one.measure == GIVEN}
    assert given_parts == {("Y", Cause.REFERRAL_ADDED): 50, ("Y", Cause.CO_REFERRER): -50}


def test_changes_put_the_biggest_move_of_the_total_first_and_add_what_follows_from_lines():
    between = Between("2026-03-01", "2026-03-01", new_events={"R-A"})
    parts = explain_deal(BEFORE, [own(90), credit(45, share=HALF), credit(45, "A", "R-A", HALF)], UNKNOWN, between)

    first, second = changes_of(one for one in parts if one.account_id == "B")

    assert (first.cause, first.amounts["total"], first.event_id) == (Cause.CO_REFERRER, -45, "R-B")
    assert (second.cause, second.amounts["total"]) == (Cause.OPPORTUNITY_CHANGED, -10)
    (only,) = (one for one in changes_of(one for one in parts if one.account_id == "Y") if one.amounts["direct"])
    assert (only.amounts["direct"], only.amounts["total"], only.amounts["conserved"]) == (-10, -10, -10)


def test_what_follows_from_the_sums_of_an_account():
    sums = {"direct": 100, "referred": 30, "given": 7, "network": 1000, "influence": 20, "touched": 2000}

    assert measures_of(sums, include=False) == {**sums, "total": 130, "conserved": 123}
    assert measures_of(sums, include=True) == {**sums, "total": 150, "conserved": 123}


def test_changes_with_one_total_are_ordered_by_size_cause_opportunity_and_event():
    moves = [
        ("network", Cause.CHAIN, "O1", "R1", 5),
        ("network", Cause.CHAIN, "O1", "R1", 7),
        ("network", Cause.CHAIN, "O2", "R3", 10),
        ("network", Cause.CHAIN, "O3", "R2", 10),
        ("network", Cause.CHAIN, "O3", None, 10),
        ("network", Cause.CHAIN, None, "R9", 10),
        ("network", Cause.POLICY, "O0", "R0", 10),
        ("direct", Cause.REFUND, "O9", "J", -1),
    ]

    changes = changes_of(
        Part("A", measure, cause, deal, event, amount) for measure, cause, deal, event, amount in reversed(moves)
    )

    assert [(one.cause, one.opportunity_id, one.event_id, one.amounts["network"]) for one in changes] == [
        (Cause.REFUND, "O9", "J", 0),
        (Cause.CHAIN, "O1", "R1", 12),
        (Cause.CHAIN, None, "R9", 10),
        (Cause.CHAIN, "O2", "R3", 10),
        (Cause.CHAIN, "O3", None, 10),
        (Cause.CHAIN, "O3", "R2", 10),
        (Cause.POLICY, "O0", "R0", 10),
    ]


def test_influence_of_nothing_enters_the_total_without_a_word():
    assert changes_of([], includes=(False, True)) == []


def test_influence_that_enters_the_total_by_policy_is_a_part_of_its_own():
    lines = [own(100), took_part(30, Measure.INFLUENCE, Fraction(3, 10))]
    grown = [own(200), took_part(60, Measure.INFLUENCE, Fraction(3, 10))]
    parts = [one for one in explain_deal(lines, grown, UNKNOWN, BETWEEN) if one.account_id == "D"]

    changes = changes_of(parts, influence_before=30, includes=(False, True))

    assert {one.cause: one.amounts["total"] for one in changes} == {Cause.POLICY: 30, Cause.OPPORTUNITY_CHANGED: 30}
    left = changes_of(parts, influence_before=30, includes=(True, False))
    assert {one.cause: one.amounts["total"] for one in left} == {Cause.POLICY: -30, Cause.OPPORTUNITY_CHANGED: 0}


def test_every_cause_has_its_words():
    assert set(MEANING) == set(Cause)


ACCOUNTS, EVENTS = st.sampled_from("ABCXY"), st.sampled_from(["R1", "R2", "R3", None])
DAYS = st.sampled_from([None, "2025-06-01", "2026-03-02", "2026-08-01"])
ENTRIES = st.builds(
    Entry,
    st.sampled_from(list(Measure)),
    ACCOUNTS,
    st.just("O"),
    ACCOUNTS,
    st.integers(-(10**15), 10**15),
    EVENTS,
    st.integers(0, 4),
    st.fractions(0, 1, max_denominator=97),
    st.sampled_from(["equal", "explicit", "chain, step 2", "new", "adjustment"]),
    DAYS,
    st.sampled_from([None, "800", "800.00", "-12.345"]),
    st.sampled_from([None, "EUR", "JPY"]),
    st.sampled_from([None, "0.8", "1.25/0.9", "157"]),
)
FACTS = st.builds(DealFacts, st.booleans(), st.booleans(), st.booleans(), DAYS)
BETWEENS = st.builds(
    Between,
    st.just("2026-03-01"),
    st.sampled_from(["2026-03-01", "2026-06-01"]),
    st.booleans(),
    st.sampled_from([1, 100, 1000]),
    st.dictionaries(st.sampled_from("AB"), st.sampled_from("XY")),
    st.frozensets(EVENTS),
    st.frozensets(EVENTS),
    st.frozensets(EVENTS),
)
LINES = st.lists(ENTRIES, max_size=8)


def sums_of(lines):
    """(account, measure) -> sum, `given` included."""
    sums = Counter()
    for line in lines:
        sums[line.account_id, str(line.measure)] += line.amount
        if line.measure == REFERRED:
            sums[line.buyer_id, GIVEN] += line.amount
    return sums


def difference(before, after):
    return {key: after[key] - before[key] for key in {*before, *after} if after[key] != before[key]}


@given(LINES, LINES, FACTS, BETWEENS)
def test_the_parts_of_any_two_sets_of_lines_add_up_to_the_difference_of_every_measure(before, after, facts, between):
    parts = explain_deal(before, after, facts, between)

    explained = Counter()
    for part in parts:
        assert part.amount
        explained[part.account_id, str(part.measure)] += part.amount
    assert {key: amount for key, amount in explained.items() if amount} == difference(sums_of(before), sums_of(after))


@given(LINES, LINES, FACTS, BETWEENS, st.booleans(), st.booleans())
def test_the_changes_of_an_account_add_up_to_the_difference_of_its_total(before, after, facts, between, was, now):
    parts = explain_deal(before, after, facts, between)
    old, new = sums_of(before), sums_of(after)

    for account in "ABCXY":
        changes = changes_of(
            (part for part in parts if part.account_id == account),
            influence_before=old[account, "influence"],
            includes=(was, now),
        )
        then, since = (
            measures_of({str(m): side[account, str(m)] for m in SPLIT}, include=include)
            for side, include in ((old, was), (new, now))
        )
        for measure in then:
            assert sum(change.amounts[measure] for change in changes) == since[measure] - then[measure]


@given(LINES, st.randoms(use_true_random=False), BETWEENS)
def test_lines_that_are_the_same_have_no_parts_in_any_order(lines, random, between):
    unmerged = Between("2026-03-01", "2026-03-02", between.policy_changed, 100, {}, between.new_events)
    shuffled = list({(one.measure, one.account_id, one.buyer_id, one.event_id): one for one in lines}.values())
    again = list(shuffled)
    random.shuffle(again)

    assert explain_deal(shuffled, again, UNKNOWN, unmerged) == []


@given(LINES, LINES, FACTS, BETWEENS, st.randoms(use_true_random=False))
def test_the_order_of_lines_does_not_matter_to_the_sums_by_account_and_measure(before, after, facts, between, random):
    shuffled = list(before)
    random.shuffle(shuffled)

    one, other = (explain_deal(side, after, facts, between) for side in (before, shuffled))

    totals = [Counter(), Counter()]
    for parts, total in zip((one, other), totals, strict=True):
        for part in parts:
            total[part.account_id, part.measure] += part.amount
    assert totals[0] == totals[1]


@given(cases())
def test_every_line_of_any_world_tells_what_it_was_computed_from(case):
    nets = Counter()
    for line in case.valuation.lines:
        nets[line.opportunity_id] += line.amount if line.measure is DIRECT else 0

    for line in case.valuation.lines:
        assert line.dated_on is not None
        assert line.dated_on <= case.as_of.isoformat()
        if line.measure is DIRECT:
            assert (line.net, line.share) == (line.amount, 1)
        else:
            assert line.net == nets[line.opportunity_id]
            assert abs(line.amount - line.net * line.share) < 2
