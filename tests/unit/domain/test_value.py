"""Worlds of a handful of rows whose value anybody can check by hand."""

from datetime import date
from fractions import Fraction

import pytest

from app.domain.model import (
    Account,
    AccountIssue,
    AccountValue,
    Adjustment,
    Chain,
    ChainMode,
    CreditLine,
    Influence,
    InfluenceEvent,
    Issue,
    Measure,
    Opportunity,
    OpportunityType,
    Policy,
    Rate,
    Referral,
    ReferralStatus,
    Scope,
    WonSurvey,
    World,
)
from app.domain.value import value_world

AS_OF = date(2025, 12, 31)
FEBRUARY, MARCH, APRIL, MAY = (date(2025, month, 1) for month in (2, 3, 4, 5))


def deal(id_, account, amount=100, **more):
    row = {"currency": "USD", "created_on": MARCH, "close_on": APRIL, "is_won": True, "is_closed": True, **more}
    return Opportunity(id_, account, None if amount is None else Fraction(amount), **row)


def referral(referrer, account=None, occurred_on=FEBRUARY, **more):
    return Referral(more.pop("id", f"R-{referrer}"), referrer, occurred_on, account_id=account, **more)


def world(*rows):
    """A world of any rows; accounts that no row introduces are added."""
    tables = {name: tuple(row for row in rows if isinstance(row, kind)) for name, kind in KINDS.items()}
    named = {one.account_id for one in tables["opportunities"]} | {one.referrer_id for one in tables["referrals"]}
    missing = sorted(named - {one.id for one in tables["accounts"]} - {None})
    return World(**{**tables, "accounts": (*tables["accounts"], *map(Account, missing))})


KINDS = {
    "accounts": Account,
    "opportunities": Opportunity,
    "adjustments": Adjustment,
    "referrals": Referral,
    "influence": InfluenceEvent,
    "surveys": WonSurvey,
    "rates": Rate,
}


def value(*rows, as_of=AS_OF, **policy):
    return value_world(world(*rows), Policy(**policy), as_of)


def amounts(measure, valuation):
    return {id_: getattr(one, measure) for id_, one in valuation.values.items() if getattr(one, measure)}


def codes(valuation):
    return [(issue.code, issue.account_id) for issue in valuation.issues]


@pytest.mark.parametrize(
    "changed",
    [
        {"is_won": False},
        {"is_closed": False},
        {"is_deleted": True},
        {"close_on": date(2026, 1, 1)},
        {"account": None},
    ],
)
def test_only_won_closed_living_deals_of_an_account_are_revenue(changed):
    fields = {"account": "B", **changed}

    valuation = value(deal("O", fields.pop("account"), **fields), referral("A", "B"))

    assert valuation.lines == ()


def test_the_type_of_a_deal_is_the_rule_of_its_line():
    valuation = value(deal("O", "B", type=OpportunityType.RENEWAL), Adjustment("J", "O", Fraction(-1), "USD", MAY))

    whole = Fraction(1)
    assert valuation.lines == (
        CreditLine(Measure.DIRECT, "B", "O", "B", 10000, None, 0, whole, "renewal", 10000, "2025-04-01"),
        CreditLine(Measure.DIRECT, "B", "O", "B", -100, "J", 0, whole, "adjustment", -100, "2025-05-01"),
    )


def test_every_amount_is_converted_at_the_rate_of_its_own_day():
    rates = [Rate("EUR", Fraction(per_unit), date(2025, month, 1)) for month, per_unit in ((4, 1), (5, 2), (6, 4))]

    valuation = value(
        deal("O1", "B", currency="EUR"),
        deal("O2", "C", close_on=MAY),
        Adjustment("J", "O2", Fraction(-8), "EUR", date(2025, 6, 1)),
        deal("O3", "D", currency="EUR", close_on=MAY, is_won=False, is_closed=False, probability=Fraction(1)),
        *rates,
    )

    assert amounts("direct", valuation) == {"B": 10000, "C": 10000 - 200}
    assert amounts("pipeline", valuation) == {"D": 5000}


def test_what_is_dated_on_the_day_of_the_valuation_counts():
    rows = (
        deal("O", "B", close_on=MAY),
        Adjustment("J", "O", Fraction(-1), "USD", MAY),
        InfluenceEvent("E", "C", "O", MAY),
        referral("A", opportunity_id="O", occurred_on=MAY),
        deal("P", "B", created_on=MAY, is_won=False, is_closed=False, probability=Fraction(1)),
    )

    valuation = value(*rows, as_of=MAY)

    assert valuation.values["B"].direct == 9900
    assert valuation.values["B"].pipeline == 10000
    assert valuation.values["C"].touched == 9900
    assert valuation.values["A"].referred == 9900


def test_a_missing_amount_counts_as_nothing_and_is_reported():
    valuation = value(deal("O", "B", None), referral("A", "B"))

    assert valuation.issues == (AccountIssue(Issue.AMOUNT_MISSING, "B", "O"),)
    assert valuation.values["B"].direct == 0


def test_money_without_a_rate_is_held_back_and_reported():
    valuation = value(
        deal("O1", "B", currency="CHF"),
        deal("O2", "B"),
        Adjustment("J1", "O1", Fraction(-5), "USD", MAY),
        Adjustment("J2", "O2", Fraction(-5), "CHF", MAY),
        referral("A", "B"),
    )

    assert amounts("direct", valuation) == {"B": 10000}
    assert amounts("referred", valuation) == {"A": 10000}
    assert valuation.issues == (
        AccountIssue(Issue.RATE_MISSING, "B", "O1"),
        AccountIssue(Issue.RATE_MISSING, "B", "O2", "J2"),
    )


def test_issues_are_listed_by_account_code_deal_and_event():
    refunds = [("J6", "O1"), *((f"J{number}", "O2") for number in range(1, 6))]

    valuation = value(
        *(Adjustment(id_, deal_id, Fraction(-1), "CHF", MAY) for id_, deal_id in refunds),
        *(deal(id_, "B") for id_ in ("O1", "O2")),
        deal("O3", "C", None),
    )

    assert valuation.issues == (
        *(AccountIssue(Issue.RATE_MISSING, "B", deal_id, id_) for id_, deal_id in refunds),
        AccountIssue(Issue.AMOUNT_MISSING, "C", "O3"),
    )


def test_a_refund_takes_the_credit_back():
    rows = (deal("O", "B"), referral("A", "B"), Adjustment("J", "O", Fraction(-100), "USD", MAY))

    partly = (*rows[:2], Adjustment("J", "O", Fraction(-10), "USD", MAY))

    assert amounts("referred", value(*partly)) == {"A": 9000}
    assert amounts("referred", value(*rows, as_of=APRIL)) == {"A": 10000}
    assert amounts("referred", value(*rows)) == {}
    assert amounts("direct", value(*rows)) == {}


def test_every_route_leads_to_the_deal():
    for route in (
        {"account": "B"},
        {"opportunity_id": "O"},
        {"contact_id": "C"},
        {"domain": "b.example"},
    ):
        valuation = value(
            Account("B", domain="b.example"), deal("O", "B", contact_ids=frozenset("C")), referral("A", **route)
        )

        assert amounts("referred", valuation) == {"A": 10000}, route


def test_a_domain_that_several_accounts_share_brings_nothing_and_is_reported():
    accounts = Account("B", domain="b.example"), Account("C", domain="B.example")
    referrals = (
        referral("A", domain="b.example"),
        referral("D", domain="gmail.com"),
        referral("E", domain="nobody.example"),
        referral("F", "B", domain="gmail.com"),
    )

    valuation = value(*accounts, deal("O", "B"), *referrals)

    assert amounts("referred", valuation) == {"F": 10000}
    assert valuation.issues == (
        AccountIssue(Issue.AMBIGUOUS_DOMAIN, "A", None, "R-A"),
        AccountIssue(Issue.AMBIGUOUS_DOMAIN, "D", None, "R-D"),
    )


def test_two_referrers_who_become_one_account_share_nothing_any_more():
    rows = (deal("O", "B"), referral("A1", "B"), referral("A2", "B"))

    assert amounts("referred", value(*rows)) == {"A1": 5000, "A2": 5000}
    assert amounts("referred", value(Account("A2", merged_into_id="A1", is_deleted=True), *rows)) == {"A1": 10000}


def test_when_referrer_and_buyer_become_one_the_credit_is_gone():
    valuation = value(Account("A", merged_into_id="B", is_deleted=True), deal("O", "B"), referral("A", "B"))

    assert amounts("referred", valuation) == {}
    assert codes(valuation) == [(Issue.SELF_REFERRAL, "B")]
    assert set(valuation.values) == {"B"}


def test_a_deleted_referrer_earns_nothing_and_is_reported():
    valuation = value(Account("A", is_deleted=True), deal("O", "B"), referral("A", "B"))

    assert codes(valuation) == [(Issue.REFERRER_DELETED, "A")]
    assert set(valuation.values) == {"B"}


def test_a_referral_with_a_share_of_its_own_brings_no_more_than_that():
    assert amounts("referred", value(deal("O", "B"), referral("A", "B", share=Fraction(1, 4)))) == {"A": 2500}


def test_what_an_account_took_from_others_is_summed_over_all_its_deals():
    valuation = value(deal("O1", "B"), deal("O2", "B", 50), referral("A", "B"), referral("C", "B"))

    assert valuation.values == {
        "A": AccountValue("A", referred=7500, total=7500, conserved=7500, group_referred=7500),
        "B": AccountValue("B", direct=15000, total=15000, given=15000, group_direct=15000),
        "C": AccountValue("C", referred=7500, total=7500, conserved=7500, group_referred=7500),
    }


@pytest.mark.parametrize("policy", [{}, {"influence": Influence(include=True)}])
def test_without_advocacy_a_customer_is_worth_what_it_spent(policy):
    valuation = value(deal("O", "B"), **policy)

    assert valuation.values == {"B": AccountValue("B", direct=10000, total=10000, conserved=10000, group_direct=10000)}


def test_a_referrer_we_never_pulled_is_still_credited():
    valuation = value_world(
        World((Account("B"),), (deal("O", "B"),), referrals=(referral("Partner", "B"),)), Policy(), AS_OF
    )

    assert valuation.values["Partner"].referred == 10000


@pytest.mark.parametrize("status", [ReferralStatus.REJECTED, ReferralStatus.EXPIRED])
def test_a_rejected_or_expired_referral_is_as_good_as_none(status):
    valuation = value(deal("O", "B"), referral("A", "B", status=status), referral("B", "B", status=status))

    assert (amounts("referred", valuation), valuation.issues) == ({}, ())


def test_a_claim_recorded_after_the_deal_began_waits_for_a_person():
    claimed = referral("A", "B", status=ReferralStatus.CLAIMED, recorded_on=APRIL)

    valuation = value(deal("O", "B"), claimed)

    assert (amounts("referred", valuation), codes(valuation)) == ({}, [(Issue.BACKDATED_CLAIM, "A")])


def test_the_first_won_deal_is_the_one_that_closed_first_and_then_the_smaller_id():
    deals = (deal("O2", "B", 2), deal("O3", "B", 3), deal("O1", "B", 1, close_on=MAY), deal("O0", "B", 5, is_won=False))

    valuation = value(*deals, referral("A", "B"), scope=Scope.FIRST_WON)

    assert amounts("referred", valuation) == {"A": 200}


def test_a_chain_runs_over_first_won_deals_only():
    rows = (
        deal("O1", "C"),
        deal("O2", "B", close_on=MARCH),
        deal("O3", "B", close_on=APRIL),
        referral("B", "C"),
        referral("A", "B", opportunity_id="O2"),
        referral("D", opportunity_id="O3"),
    )

    valuation = value(*rows, chain=Chain(ChainMode.SEPARATE))

    assert amounts("network", valuation) == {"A": 5000}
    assert amounts("total", valuation) == {"A": 10000, "B": 30000, "C": 10000, "D": 10000}


def test_a_chain_ends_where_the_first_deal_of_a_referrer_is_held_back():
    rows = (
        *(deal("O1", "C"), referral("A", "C"), referral("D", "C")),
        *(deal("O2", "A", currency="CHF"), referral("E", "A")),
        *(deal("O3", "D"), referral("F", "D")),
    )

    valuation = value(*rows, chain=Chain(ChainMode.SEPARATE))

    assert amounts("network", valuation) == {"F": 2500}


def test_a_carved_out_chain_stays_within_the_credit_of_the_deal():
    rows = (deal("O1", "C", 300), deal("O2", "B"), referral("B", "C"), referral("A", "B"))

    valuation = value(*rows, chain=Chain(ChainMode.CARVE_OUT))

    assert amounts("referred", valuation) == {"A": 10000 + 10000, "B": 20000}
    assert {(line.account_id, line.net) for line in valuation.lines if line.opportunity_id == "O1"} == {
        ("A", 30000), ("B", 30000), ("C", 30000)
    }  # fmt: skip
    assert amounts("network", valuation) == {}


def test_influence_counts_in_the_total_only_where_the_policy_says_so():
    rows = (
        deal("O", "B"),
        referral("A", "B"),
        InfluenceEvent("E", "C", "O", MARCH),
        WonSurvey("S1", "O", Fraction(1), APRIL),
        WonSurvey("S2", "O", Fraction(1, 2), MAY),
    )

    apart, inside = value(*rows), value(*rows, influence=Influence(include=True, rho=Fraction(1, 5)))

    assert [(apart.values["C"].influence, apart.values["C"].touched, apart.values["C"].total)] == [(5000, 10000, 0)]
    assert apart.values["A"].total == 10000
    assert (inside.values["C"].total, inside.values["A"].total, inside.values["B"].total) == (2000, 8000, 10000)


def test_whoever_took_part_in_one_deal_did_so_in_no_other_and_only_while_it_lives():
    rows = (
        *(Account("D", is_deleted=True), deal("O1", "B"), deal("O2", "B")),
        *(InfluenceEvent("E1", "C", "O1", MARCH), InfluenceEvent("E2", "D", "O1", MARCH)),
    )

    valuation = value(*rows)

    touched = [line for line in valuation.lines if line.measure is Measure.TOUCHED]
    assert [(line.account_id, line.opportunity_id, line.event_id) for line in touched] == [("C", "O1", "E1")]
    assert valuation.issues == (AccountIssue(Issue.REFERRER_DELETED, "D", "O1", "E2"),)


def test_an_answer_that_comes_later_is_not_known_yet():
    rows = (deal("O", "B"), InfluenceEvent("E", "C", "O", MARCH), WonSurvey("S", "O", Fraction(1, 2), MAY))

    assert amounts("influence", value(*rows, as_of=APRIL)) == {}
    assert amounts("influence", value(*rows, as_of=MAY)) == {"C": 5000}


def test_open_deals_are_pipeline_and_never_part_of_the_total():
    open_ = {"is_won": False, "is_closed": False, "close_on": date(2026, 3, 1)}

    certain = {**open_, "probability": Fraction(1)}

    valuation = value(
        deal("O5", "B", **{**certain, "is_closed": True}),
        deal("O6", "B", is_deleted=True, **certain),
        deal("O7", None, **certain),
        deal("O8", "B", **{**certain, "created_on": date(2026, 1, 1)}),
        deal("O1", "B", "0.05", probability=Fraction(1, 10), **open_),
        deal("O2", "B", 200, probability=Fraction(1, 2), currency="EUR", **open_),
        deal("O3", "B", 100, **open_),
        deal("O4", "B", None, probability=Fraction(1), **open_),
        Rate("EUR", Fraction(2)),
    )

    assert amounts("pipeline", valuation) == {"B": 1 + 5000}
    assert amounts("total", valuation) == {}


def test_a_group_counts_its_members_but_not_their_deals_with_each_other():
    rows = (
        Account("TOP"),
        Account("LEFT", parent_id="TOP"),
        Account("RIGHT", parent_id="TOP"),
        deal("O1", "RIGHT"),
        deal("O2", "OUT"),
        referral("LEFT", "RIGHT"),
        referral("RIGHT", "OUT"),
    )

    valuation = value(*rows, intra_group=True)

    assert amounts("group_direct", valuation) == {"TOP": 10000, "RIGHT": 10000, "OUT": 10000}
    assert amounts("group_referred", valuation) == {"TOP": 10000, "LEFT": 10000, "RIGHT": 10000}
    assert codes(value(*rows)) == [(Issue.INTRA_GROUP, "LEFT")]


def test_lines_are_listed_by_account_and_what_it_bought_comes_first():
    valuation = value(
        deal("O2", "A"), deal("O1", "B"), referral("A", "B"), deal("O0", "B"), InfluenceEvent("E", "A", "O2", MARCH)
    )

    assert [(line.account_id, line.measure, line.opportunity_id) for line in valuation.lines] == [
        ("A", Measure.DIRECT, "O2"),
        ("A", Measure.REFERRED, "O0"),
        ("A", Measure.REFERRED, "O1"),
        ("B", Measure.DIRECT, "O0"),
        ("B", Measure.DIRECT, "O1"),
    ]


def test_lines_of_a_later_day_are_made_from_the_same_rows():
    rows = (deal("O", "B", close_on=MAY), referral("A", "B"))

    assert value(*rows, as_of=APRIL).lines == ()
    assert [line.measure for line in value(*rows, as_of=MAY).lines] == [Measure.REFERRED, Measure.DIRECT]
