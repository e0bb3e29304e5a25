"""The invariants of the valuation, over worlds that are known to contain what each invariant is about."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from worlds import AS_OF, build_case, cases, features

from app.domain.model import (
    Adjustment,
    ChainMode,
    InfluenceEvent,
    Measure,
    Opportunity,
    Rate,
    Referral,
    Scope,
    Split,
    WonSurvey,
    World,
)
from app.domain.value import won_by

EXAMPLES = 300
MONEY = ("direct", "referred", "total", "given", "conserved", "network", "influence", "touched", "pipeline")


def over_worlds(*needs):
    """Run a check over many cases, and fail if fewer than two of them contained any of what it `needs`."""

    def wrap(check):
        def run_check():
            met = Counter()

            @settings(max_examples=EXAMPLES, derandomize=True, database=None, deadline=None)
            @given(cases())
            def run(case):
                met.update(features(case))
                check(case)

            run()
            assert [need for need in needs if met[need] < 2] == [], "the worlds were too tame for this invariant"

        run_check.__name__ = check.__name__
        run_check.__doc__ = check.__doc__
        return run_check

    return wrap


def test_the_worlds_contain_every_kind_of_trouble_the_model_knows():
    met = Counter(feature for seed in range(600) for feature in features(build_case(seed, 3 + seed % 7)))
    wanted = {
        *(
            "direct",
            "referred",
            "network",
            "influence",
            "touched",
            "pipeline",
            "refund",
            "full refund",
            "negative deal",
        ),
        *("merge", "parent", "currency", "co-referrers", "explicit", "carved", "both", "group credit", "consolidated"),
        *("tier 1", "tier 2", "tier 3", "tier 4", "chain 2", "chain 3", "merge_cycle", "parent_cycle", "overallocated"),
        *("amount_missing", "rate_missing", "self_referral", "intra_group", "after_close", "referral_after_created"),
        *("ambiguous_domain", "referrer_deleted", "duplicate_claim", "backdated_claim"),
        *(f"policy {one}" for kind in (Split, Scope, ChainMode) for one in kind),
    }

    rare = {feature: met[feature] for feature in wanted if met[feature] < 6}

    assert rare == {}


@over_worlds("direct", "refund", "full refund", "negative deal", "currency", "merge", "rate_missing", "amount_missing")
def test_i1_direct_revenue_adds_up_to_the_revenue_of_the_company(case):
    company = sum(net_value(case, one) for one in won_by(case.world, case.as_of))

    assert sum_of(case.valuation, "direct") == company


@over_worlds("referred", "co-referrers", "explicit", "overallocated", "negative deal", "carved", "both")
def test_i2_the_credit_of_a_deal_never_exceeds_it_and_is_exactly_the_share_that_was_given(case):
    nets = nets_of(case)

    for deal, lines in lines_by_deal(case, Measure.REFERRED).items():
        credit = sum(line.amount for line in lines)
        assert min(line.amount for line in lines) >= 0
        assert credit <= max(0, nets[deal])
        assert credit == int(nets[deal] * sum(line.share for line in lines))


@over_worlds("referred", "merge", "carved", "network", "influence")
def test_i3_what_some_accounts_receive_other_accounts_give(case):
    assert sum_of(case.valuation, "referred") == sum_of(case.valuation, "given")
    assert sum_of(case.valuation, "conserved") == sum_of(case.valuation, "direct")


@over_worlds("referred", "network", "chain 3", "touched", "influence", "self_referral", "merge", "merge_cycle")
def test_i4_nobody_is_credited_for_a_deal_of_their_own(case):
    soft = [line for line in case.valuation.lines if line.measure is not Measure.DIRECT]

    assert [line for line in soft if line.account_id == line.buyer_id] == []


@over_worlds("both", "influence", "referred", "carved")
def test_i5_with_influence_in_the_total_a_deal_is_still_given_away_only_once(case):
    if not case.policy.influence.include:
        return
    nets = nets_of(case)
    given_away = Counter()
    for line in case.valuation.lines:
        if line.measure in (Measure.REFERRED, Measure.INFLUENCE):
            given_away[line.opportunity_id] += line.amount

    assert [deal for deal, amount in given_away.items() if amount > max(0, nets[deal])] == []


@over_worlds("merge_cycle", "parent_cycle", "co-referrers", "duplicate_claim", "chain 3", "refund", "influence")
def test_i6_the_order_of_rows_does_not_matter(case):
    shuffle = Random(7)
    tables = {name: shuffled(shuffle, getattr(case.world, name)) for name in World.__slots__}

    assert case.value(**tables) == case.valuation


@over_worlds("merge", "referred", "network", "influence", "parent", "parent_cycle")
def test_i7_merging_an_account_is_the_same_as_replacing_it_in_every_row(case):
    loser, winner = case.world.accounts[-1].id, case.world.accounts[0].id
    # A merged account lends its domain to the winner, and its own parent is forgotten: neither is in the equation.
    plain = tuple(
        replace(account, domain=None, parent_id=None, merged_into_id=None) if account.id == loser else account
        for account in case.world.accounts
        if account.merged_into_id is None or account.id == loser
    )
    if winner not in {account.id for account in plain}:
        return

    merged = case.value(
        accounts=tuple(replace(one, merged_into_id=winner) if one.id == loser else one for one in plain)
    )
    replaced = case.value(**with_account_replaced(replace(case.world, accounts=plain), loser, winner))

    assert merged == replaced


@over_worlds("referred", "network", "refund", "influence", "currency")
def test_i8_what_happens_after_the_day_changes_nothing(case):
    later = case.as_of + timedelta(1)
    account = case.world.accounts[0].id
    deal = Opportunity("Z", account, Fraction(10**6), "USD", later, later, is_won=True, is_closed=True)
    open_deal = replace(deal, id="Z-open", is_won=False, is_closed=False, probability=Fraction(1))
    known = [one.id for one in case.world.opportunities]
    world = case.world

    valuation = case.value(
        opportunities=(*world.opportunities, deal, open_deal),
        adjustments=(*world.adjustments, *(Adjustment(f"Z{id_}", id_, Fraction(-7), "USD", later) for id_ in known)),
        referrals=(*world.referrals, *(Referral(f"Z{id_}", "A1", later, opportunity_id=id_) for id_ in known)),
        influence=(*world.influence, *(InfluenceEvent(f"Z{id_}", "A1", id_, later) for id_ in known)),
        surveys=(*world.surveys, *(WonSurvey(f"Z{id_}", id_, Fraction(1), later) for id_ in known)),
    )

    assert valuation == case.valuation


@over_worlds("referred", "currency", "refund")
def test_i8_a_rate_that_starts_after_the_day_changes_no_line(case):
    late = Rate("EUR", Fraction(5), case.as_of + timedelta(1))

    assert case.value(rates=(*case.world.rates, late)).lines == case.valuation.lines


@over_worlds("referred", "network", "currency", "influence", "co-referrers")
def test_i9_when_everything_is_refunded_nothing_is_left(case):
    refunds = tuple(
        Adjustment(f"J{one.id}", one.id, -one.amount, one.currency, one.close_on)
        for one in case.world.opportunities
        if one.amount is not None
    )

    valuation = case.value(adjustments=refunds)

    for value in valuation.values.values():
        assert (value.direct, value.referred, value.network, value.influence, value.touched) == (0, 0, 0, 0, 0)


@over_worlds("referred", "co-referrers", "network", "referral_after_created", "explicit", "carved")
def test_i10_repeating_a_referral_earns_nothing(case):
    twice = tuple(replace(referral, id=referral.id + "~") for referral in case.world.referrals)

    valuation = case.value(referrals=(*case.world.referrals, *twice))

    assert valuation.values == case.valuation.values
    assert valuation.lines == case.valuation.lines


@over_worlds("parent", "parent_cycle", "merge", "group credit", "consolidated")
def test_i11_groups_add_up_over_ultimate_parents(case):
    groups = ultimate_parents_of(case)
    values = case.valuation.values
    tops = set(groups.values())

    own = sum(values[top].group_direct for top in tops if top in values)

    assert own == sum_of(case.valuation, "direct")
    assert all(value.group_referred <= sum_of(case.valuation, "referred") for value in values.values())


@over_worlds("parent", "parent_cycle", "consolidated", "referred")
def test_a_group_is_not_credited_for_deals_within_it(case):
    groups = ultimate_parents_of(case)
    outside = Counter()
    for line in case.valuation.lines:
        seller, buyer = (groups.get(id_, id_) for id_ in (line.account_id, line.buyer_id))
        if line.measure is Measure.REFERRED and seller != buyer:
            outside[seller] += line.amount

    values = case.valuation.values

    assert {top: values[top].group_referred for top in groups.values() if top in values} == {
        top: outside[top] for top in groups.values() if top in values
    }


@over_worlds("influence", "touched", "network", "chain 2", "chain 3")
def test_i12_influence_is_part_of_what_was_touched_and_chains_fade(case):
    nets = nets_of(case)
    chains = Counter()
    for line in case.valuation.lines:
        if line.measure is Measure.NETWORK:
            chains[line.opportunity_id, line.tier] += line.amount

    assert [value for value in case.valuation.values.values() if value.influence > value.touched] == []
    for (deal, tier), amount in chains.items():
        assert 2 <= tier <= case.policy.chain.depth
        assert amount <= nets[deal] * case.policy.chain.delta ** (tier - 1)


@over_worlds("referred", "network", "influence", "touched", "merge", "refund", "both")
def test_i14_every_number_is_the_sum_of_its_lines(case):
    sums = Counter()
    for line in case.valuation.lines:
        sums[line.account_id, line.measure] += line.amount

    for id_, value in case.valuation.values.items():
        assert {measure: getattr(value, measure) for measure in Measure} == {
            measure: sums[id_, measure] for measure in Measure
        }
        influence = value.influence if case.policy.influence.include else 0
        assert value.total == value.direct + value.referred + influence


@over_worlds("referred", "network", "co-referrers")
def test_i15_an_amount_changes_the_lines_of_its_own_deal_only(case):
    nets = nets_of(case)
    deal = next((one for one in case.world.opportunities if nets[one.id] > 0 and (one.amount or 0) > 0), None)
    if deal is None:
        return
    doubled = tuple(replace(one, amount=one.amount * 2) if one is deal else one for one in case.world.opportunities)

    valuation = case.value(opportunities=doubled)

    assert others(valuation, deal.id) == others(case.valuation, deal.id)


@over_worlds("after_close", "duplicate_claim", "rate_missing", "backdated_claim", "merge_cycle")
def test_every_issue_is_reported_once(case):
    assert len(case.valuation.issues) == len(set(case.valuation.issues))


@over_worlds("referred", "network")
def test_everybody_with_a_line_has_a_value_and_nobody_merged_away_has_one(case):
    merged = {account.id for account in case.world.accounts if account.merged_into_id}
    named = {line.account_id for line in case.valuation.lines}

    assert named <= set(case.valuation.values)
    if "merge_cycle" not in features(case):
        assert merged.isdisjoint(case.valuation.values)


def test_a_check_over_tame_worlds_is_refused():
    @over_worlds("a kind of trouble that no world contains")
    def check(case):
        assert case.as_of <= AS_OF

    with pytest.raises(AssertionError, match="too tame"):
        check()


def sum_of(valuation, measure):
    return sum(getattr(value, measure) for value in valuation.values.values())


def nets_of(case):
    nets = Counter()
    for line in case.valuation.lines:
        if line.measure is Measure.DIRECT:
            nets[line.opportunity_id] += line.amount
    return nets


def lines_by_deal(case, measure):
    found = defaultdict(list)
    for line in case.valuation.lines:
        if line.measure is measure:
            found[line.opportunity_id].append(line)
    return found


def others(valuation, deal):
    return [line for line in valuation.lines if line.opportunity_id != deal]


def shuffled(shuffle, rows):
    return tuple(shuffle.sample(rows, len(rows)))


def with_account_replaced(world, loser, winner):
    def seen(id_):
        return winner if id_ == loser else id_

    return {
        "accounts": tuple(
            replace(one, parent_id=seen(one.parent_id), merged_into_id=seen(one.merged_into_id))
            for one in world.accounts
            if one.id != loser
        ),
        "opportunities": tuple(replace(one, account_id=seen(one.account_id)) for one in world.opportunities),
        "referrals": tuple(
            replace(one, referrer_id=seen(one.referrer_id), account_id=seen(one.account_id)) for one in world.referrals
        ),
        "influence": tuple(replace(one, account_id=seen(one.account_id)) for one in world.influence),
    }


def net_value(case, deal):
    """The net value in cents, computed another way: fractions throughout, rounded once per currency."""
    corrections = [
        one for one in case.world.adjustments if one.opportunity_id == deal.id and one.dated_on <= case.as_of
    ]
    same = sum((one.amount for one in corrections if one.currency == deal.currency), deal.amount or Fraction(0))
    has_same = any(one.currency == deal.currency for one in corrections)
    own = in_cents(case, same, deal.currency, deal.close_on) if deal.amount is not None or has_same else 0
    if own is None:
        return 0
    return own + sum(
        in_cents(case, one.amount, one.currency, one.dated_on) or 0
        for one in corrections
        if one.currency != deal.currency
    )


def in_cents(case, amount, currency, day):
    rates = [one for one in case.world.rates if one.currency == currency]
    started = [one for one in rates if one.start_on and one.start_on <= day]
    usable = [max(started, key=lambda one: one.start_on)] if started else [one for one in rates if not one.start_on]
    if currency != "USD" and not usable:
        return None
    exact = amount * 100 / (1 if currency == "USD" else usable[0].rate)
    nearest = int(abs(exact) + Fraction(1, 2))
    return nearest if exact > 0 else -nearest


def ultimate_parents_of(case):
    """Account -> top of its group, by walking; a circle counts as its smallest id."""
    merged = {one.id: one.merged_into_id for one in case.world.accounts if one.merged_into_id}

    def end(id_, links):
        walk = [id_]
        while walk[-1] in links and links[walk[-1]] not in walk:
            walk.append(links[walk[-1]])
        back = links.get(walk[-1])
        return min(walk[walk.index(back) :]) if back else walk[-1]

    parents = {
        one.id: end(one.parent_id, merged)
        for one in case.world.accounts
        if one.parent_id and end(one.id, merged) == one.id and end(one.parent_id, merged) != one.id
    }
    everybody = {line.account_id for line in case.valuation.lines} | set(case.valuation.values)
    return {id_: end(id_, parents) for id_ in everybody}
