"""Who brought one opportunity in: tiers, dates, windows, shares, influence and chains, case by case."""

from fractions import Fraction

import pytest

from app.domain.chain import Edge, credit_chain, edges_of
from app.domain.credit import Advocate, Claim, Sale, credit_opportunity, later, weight_ppm
from app.domain.model import (
    AccountIssue,
    Chain,
    ChainMode,
    CreditLine,
    Influence,
    Issue,
    Measure,
    Policy,
    Scope,
    Split,
)

SALE = Sale("O", "BUYER", "BUYER", "2025-03-01", "2025-06-01", "new", True)
BY_OPPORTUNITY, BY_CONTACT, BY_ACCOUNT, BY_DOMAIN = 1, 2, 3, 4


def claim(referrer="A", occurred_on="2025-02-01", tier=BY_ACCOUNT, **more):
    row = {"event_id": f"R-{referrer}", "group_id": referrer, "recorded_on": None, **more}
    return Claim(referrer_id=referrer, occurred_on=occurred_on, tier=tier, **row)


def credit(*claims, net=100, sale=SALE, policy=None, **more):
    """Referred amounts per account, and the issue codes per event."""
    lines, issues = credit_opportunity(sale, net, claims, policy or Policy(), **more)
    amounts = {line.account_id: line.amount for line in lines if line.measure is Measure.REFERRED}
    return amounts, [(issue.code, issue.event_id) for issue in issues]


def money(measure, *claims, net=100, policy=None, **more):
    lines, _ = credit_opportunity(SALE, net, claims, policy or Policy(), **more)
    return {line.account_id: line.amount for line in lines if line.measure is measure}


def test_the_only_referrer_gets_all_of_it():
    lines, issues = credit_opportunity(SALE, 25_000_000, [claim()], Policy())

    assert lines == [
        CreditLine(
            *(Measure.REFERRED, "A", "O", "BUYER", 25_000_000, "R-A", BY_ACCOUNT),
            *(Fraction(1), "equal", 25_000_000, "2025-02-01"),
        )
    ]
    assert issues == []


@pytest.mark.parametrize("net", [0, -5])
def test_nobody_is_credited_for_a_deal_that_is_worth_nothing(net):
    advocates = [Advocate("E", "C", "2025-04-01")]

    alone, _ = credit_opportunity(SALE, net, [claim()], Policy())
    together, _ = credit_opportunity(SALE, net, [claim(), claim("B")], Policy(), advocates, Fraction(1))
    explicit, _ = credit_opportunity(SALE, net, [claim(share=Fraction(1, 2))], Policy())

    assert alone + together + explicit == []


def test_even_a_single_cent_is_credited():
    assert credit(claim("A"), net=1)[0] == {"A": 1}
    assert credit(claim("A", share=Fraction(1)), net=1)[0] == {"A": 1}
    assert credit(claim("A"), claim("B"), net=1)[0] == {"A": 1, "B": 0}
    assert money(Measure.TOUCHED, net=1, advocates=ADVOCATES[1:2]) == {"D": 1}


@pytest.mark.parametrize(
    ("tier", "occurred_on", "credited", "issue"),
    [
        (BY_OPPORTUNITY, "2025-06-01", True, None),
        (BY_OPPORTUNITY, "2025-06-02", False, Issue.AFTER_CLOSE),
        (BY_CONTACT, "2025-06-01", True, None),
        (BY_CONTACT, "2025-06-02", False, Issue.AFTER_CLOSE),
        (BY_ACCOUNT, "2025-03-01", True, None),
        (BY_ACCOUNT, "2025-03-02", False, Issue.REFERRAL_AFTER_CREATED),
        (BY_ACCOUNT, "2025-06-01", False, Issue.REFERRAL_AFTER_CREATED),
        (BY_ACCOUNT, "2025-06-02", False, Issue.AFTER_CLOSE),
        (BY_ACCOUNT, "2024-03-01", True, None),
        (BY_ACCOUNT, "2024-02-29", False, None),
        (BY_DOMAIN, "2025-03-01", True, None),
        (BY_DOMAIN, "2025-03-02", False, Issue.REFERRAL_AFTER_CREATED),
    ],
)
def test_the_day_of_a_referral_decides_whether_it_brought_the_deal_in(tier, occurred_on, credited, issue):
    amounts, issues = credit(claim(tier=tier, occurred_on=occurred_on))

    assert amounts == ({"A": 100} if credited else {})
    assert [code for code, _ in issues] == ([issue] if issue else [])


def test_a_few_days_of_grace_still_count_as_before():
    late = claim(occurred_on="2025-03-06")

    assert credit(late, policy=Policy(grace_days=5))[0] == {"A": 100}
    assert credit(late, policy=Policy(grace_days=4))[0] == {}


def test_the_day_of_the_close_is_not_after_it():
    later_deal = SALE._replace(is_first_won=False)

    lines, _ = credit_opportunity(later_deal, 100, [claim(occurred_on="2025-06-01")], Policy())

    assert [(line.measure, line.tier) for line in lines] == [(Measure.TOUCHED, 0)]


def test_referring_an_old_customer_is_not_reported_for_everything_it_ever_bought():
    later_deal = SALE._replace(is_first_won=False)

    assert credit(claim(occurred_on="2025-07-01"), sale=later_deal) == ({}, [])
    assert credit(claim(occurred_on="2025-07-01", tier=BY_CONTACT), sale=later_deal)[1] == [(Issue.AFTER_CLOSE, "R-A")]


@pytest.mark.parametrize(
    ("kind", "tier", "credited"),
    [
        ("new", BY_ACCOUNT, True),
        ("upsell", BY_ACCOUNT, True),
        ("unknown", BY_DOMAIN, True),
        ("renewal", BY_ACCOUNT, False),
        ("refund", BY_ACCOUNT, False),
        ("renewal", BY_OPPORTUNITY, True),
        ("renewal", BY_CONTACT, True),
    ],
)
def test_only_a_named_deal_or_person_is_credited_beyond_the_credited_types(kind, tier, credited):
    amounts, issues = credit(claim(tier=tier), sale=SALE._replace(type=kind))

    assert (amounts, issues) == ({"A": 100} if credited else {}, [])


@pytest.mark.parametrize(
    ("scope", "is_first_won", "occurred_on", "credited"),
    [
        (Scope.WINDOW, False, "2025-01-30", True),
        (Scope.WINDOW, False, "2025-01-29", False),
        (Scope.FIRST_WON, True, "2019-01-01", True),
        (Scope.FIRST_WON, False, "2025-01-30", False),
        (Scope.LIFETIME, False, "2019-01-01", True),
    ],
)
def test_the_scope_says_which_deals_of_the_account_a_referral_reaches(scope, is_first_won, occurred_on, credited):
    policy = Policy(scope=scope, window_days=30)

    amounts, _ = credit(claim(occurred_on=occurred_on), sale=SALE._replace(is_first_won=is_first_won), policy=policy)

    assert amounts == ({"A": 100} if credited else {})


def test_only_the_best_evidence_competes_unless_the_policy_lets_everybody_in():
    claims = (claim("A"), claim("B", tier=BY_CONTACT), claim("C", tier=BY_CONTACT), claim("D", tier=BY_DOMAIN))

    assert credit(*claims)[0] == {"B": 50, "C": 50}
    assert credit(*claims, policy=Policy(exclusive=False))[0] == {"A": 25, "B": 25, "C": 25, "D": 25}


def test_a_referrer_counts_once_by_best_tier_then_earliest_then_id():
    tier = claim("A", event_id="1 weak"), claim("A", event_id="2 strong", tier=BY_CONTACT, occurred_on="2025-02-02")
    early = claim("A", event_id="1 late"), claim("A", event_id="2 early", occurred_on="2025-01-01")
    same = claim("A", event_id="r2"), claim("A", event_id="r1")

    kept = [credit_opportunity(SALE, 100, pair, Policy()) for pair in (tier, early, same)]

    assert [lines[0].event_id for lines, _ in kept] == ["2 strong", "2 early", "r1"]
    assert [issues for _, issues in kept] == [
        [AccountIssue(Issue.DUPLICATE_CLAIM, "A", "O", event)] for event in ("1 weak", "1 late", "r2")
    ]


def test_one_referral_that_points_at_a_deal_in_several_ways_is_no_duplicate():
    amounts, issues = credit(claim(), claim(tier=BY_CONTACT), claim(tier=BY_DOMAIN))

    assert (amounts, issues) == ({"A": 100}, [])


def test_what_is_wrong_with_a_referral_is_said_once_however_many_ways_it_points_at_the_deal():
    claims = [claim("BUYER"), claim("BUYER", tier=BY_DOMAIN)]

    assert credit_opportunity(SALE, 100, claims, Policy()) == (
        [],
        [AccountIssue(Issue.SELF_REFERRAL, "BUYER", "O", "R-BUYER")],
    )


def test_a_referral_that_came_late_is_reported_with_account_deal_and_event():
    _, issues = credit_opportunity(SALE, 100, [claim("A", "2025-04-01")], Policy())

    assert issues == [AccountIssue(Issue.REFERRAL_AFTER_CREATED, "A", "O", "R-A")]


@pytest.mark.parametrize(
    ("changed", "issue"),
    [
        ({"referrer": "BUYER"}, Issue.SELF_REFERRAL),
        ({"group_id": "BUYER"}, Issue.INTRA_GROUP),
        ({"is_referrer_deleted": 1}, Issue.REFERRER_DELETED),
    ],
)
def test_a_claim_that_may_not_count_is_reported(changed, issue):
    amounts, issues = credit(claim(**changed), claim("B"))

    assert amounts == {"B": 100}
    assert [code for code, _ in issues] == [issue]


def test_a_group_may_refer_within_itself_where_the_policy_allows_it_but_nobody_refers_himself():
    policy = Policy(intra_group=True)

    assert credit(claim(group_id="BUYER"), policy=policy) == ({"A": 100}, [])
    assert credit(claim("BUYER"), policy=policy) == ({}, [(Issue.SELF_REFERRAL, "R-BUYER")])


@pytest.mark.parametrize(
    ("status", "recorded_on", "credited", "issue"),
    [
        ("verified", "2025-04-01", True, None),
        ("claimed", "2025-04-01", False, Issue.BACKDATED_CLAIM),
        ("claimed", "2025-03-01", False, None),
        ("claimed", None, False, None),
        ("rejected", "2025-04-01", False, None),
        ("expired", "2025-04-01", False, None),
    ],
)
def test_a_claim_is_worth_nothing_until_somebody_verifies_it(status, recorded_on, credited, issue):
    amounts, issues = credit(claim(status=status, recorded_on=recorded_on))

    assert amounts == ({"A": 100} if credited else {})
    assert [code for code, _ in issues] == ([issue] if issue else [])


def test_a_claim_dated_on_the_day_the_deal_was_created_and_recorded_later_is_backdated():
    late = claim(occurred_on="2025-03-01", status="claimed", recorded_on="2025-03-02")

    assert credit(late)[1] == [(Issue.BACKDATED_CLAIM, "R-A")]


@pytest.mark.parametrize(
    ("split", "days", "amounts"),
    [
        (Split.EQUAL, ["2025-01-01", "2025-02-01", "2025-02-02"], [34, 33, 33]),
        (Split.FIRST, ["2025-01-01", "2025-02-01", "2025-02-02"], [100, 0, 0]),
        (Split.LAST, ["2025-01-01", "2025-02-01", "2025-02-02"], [0, 0, 100]),
        (Split.TIME_DECAY, ["2024-12-31", "2025-01-30"], [33, 67]),
        (Split.POSITION, ["2025-01-01"], [100]),
        (Split.POSITION, ["2025-01-01", "2025-02-01"], [50, 50]),
        (Split.POSITION, ["2025-01-01", "2025-01-02", "2025-02-01"], [40, 20, 40]),
        (Split.POSITION, ["2025-01-01", "2025-01-02", "2025-01-03", "2025-02-01"], [40, 10, 10, 40]),
    ],
)
def test_the_split_shares_out_by_order_and_age(split, days, amounts):
    claims = [claim(f"A{index}", day) for index, day in enumerate(days)]

    credited, _ = credit(*reversed(claims), policy=Policy(split=split))

    assert [credited.get(f"A{index}", 0) for index in range(len(days))] == amounts


def test_the_odd_cent_goes_to_the_earlier_referral_and_then_to_the_smaller_id():
    assert credit(claim("B", "2025-01-01"), claim("A"), net=5)[0] == {"B": 3, "A": 2}
    assert credit(claim("B", event_id="r1"), claim("A", event_id="r2"), net=5)[0] == {"B": 3, "A": 2}


def test_where_every_tier_competes_the_odd_cent_goes_by_time_and_id_and_not_by_tier():
    claims = claim("A", event_id="r2", tier=BY_CONTACT), claim("B", event_id="r1")

    assert credit(*claims, net=5, policy=Policy(exclusive=False))[0] == {"B": 3, "A": 2}


@pytest.mark.parametrize(
    ("shares", "amounts", "is_over"),
    [
        ([Fraction(3, 10)], [30], False),
        ([Fraction(3, 10), None], [30, 70], False),
        ([Fraction(3, 10), None, None], [30, 35, 35], False),
        ([Fraction(1), None], [100, 0], False),
        ([Fraction(3, 10), Fraction(3, 10)], [30, 30], False),
        ([Fraction(1), Fraction(1)], [50, 50], True),
        ([Fraction(1), Fraction(1, 2), None], [67, 33, 0], True),
        ([Fraction(0), None], [0, 100], False),
        ([Fraction(0)], [0], False),
    ],
)
def test_explicit_shares_come_first_and_never_exceed_the_deal(shares, amounts, is_over):
    claims = [claim(f"A{index}", share=share) for index, share in enumerate(shares)]

    credited, issues = credit(*claims)

    assert [credited.get(f"A{index}", 0) for index in range(len(shares))] == amounts
    assert [code for code, _ in issues] == ([Issue.OVERALLOCATED] if is_over else [])


def test_every_line_names_the_rule_behind_its_share():
    def rules(*shares):
        claims = [claim(f"A{index}", share=share) for index, share in enumerate(shares)]
        lines, _ = credit_opportunity(SALE, 100, claims, Policy())
        return [line.rule for line in lines]

    assert rules(Fraction(1, 4), None) == ["explicit", "equal"]
    assert rules(Fraction(1), Fraction(1)) == ["explicit, scaled to 100 %"] * 2


@pytest.mark.parametrize("advocates", [(), (Advocate("E", "C", "2025-04-01"),)])
def test_overallocation_is_reported_for_the_buyer(advocates):
    claims = [claim("A", share=Fraction(1)), claim("B", share=Fraction(1))]

    _, issues = credit_opportunity(SALE, 100, claims, Policy(), advocates)

    assert issues == [AccountIssue(Issue.OVERALLOCATED, "BUYER", "O", None)]


@pytest.mark.parametrize(
    ("days", "half_life", "ppm"),
    [
        (0, 30, 1_000_000),
        (1, 30, 977_160),
        (1, 1, 500_000),
        (30, 30, 500_000),
        (15, 30, 707_107),
        (10_000, 1, 1),
        (-3, 30, 10**6),
    ],
)
def test_decay_halves_with_every_half_life_and_never_reaches_zero(days, half_life, ppm):
    assert weight_ppm(days, half_life) == ppm


def test_the_calendar_ends_without_an_error():
    assert later("2024-02-28", 1) == "2024-02-29"
    assert later("9999-12-01", 365) == "9999-12-31"


ADVOCATES = (
    Advocate("E1", "C", "2025-04-01", 3),
    Advocate("E2", "D", "2025-04-02"),
    Advocate("E3", "C", "2025-05-01", 0),
)


def test_everybody_who_took_part_touched_the_whole_deal_once():
    assert money(Measure.TOUCHED, advocates=ADVOCATES) == {"C": 100, "D": 100}


def test_influence_is_money_only_as_far_as_the_buyer_said_so():
    assert money(Measure.INFLUENCE, advocates=ADVOCATES) == {}
    assert money(Measure.INFLUENCE, advocates=ADVOCATES, reference_share=Fraction(4, 10)) == {"C": 30, "D": 10}
    assert money(Measure.INFLUENCE, advocates=ADVOCATES, reference_share=Fraction(3)) == {"C": 75, "D": 25}


def test_all_that_one_account_did_counts_together():
    advocates = [
        Advocate("E1", "C", "2025-04-01", 2),
        Advocate("E2", "D", "2025-04-02"),
        Advocate("E3", "C", "2025-05-01"),
    ]

    assert money(Measure.INFLUENCE, advocates=advocates, reference_share=Fraction(1)) == {"C": 75, "D": 25}


def test_an_influence_line_says_its_share_and_the_day_of_the_close_still_counts():
    advocates = [*ADVOCATES[:1], Advocate("E9", "D", "2025-06-01")]

    lines, issues = credit_opportunity(SALE, 100, [], Policy(), advocates, Fraction(4, 10))

    shares = {line.account_id: line.share for line in lines if line.measure is Measure.INFLUENCE}
    assert shares == {"C": Fraction(3, 10), "D": Fraction(1, 10)}
    assert issues == []


def test_the_buyer_the_late_and_the_deleted_take_no_part():
    advocates = [
        Advocate("E1", "BUYER", "2025-04-01"),
        Advocate("E2", "C", "2025-06-02"),
        Advocate("E3", "D", "2025-04-01", 1, is_deleted=1),
    ]

    lines, issues = credit_opportunity(SALE, 100, [], Policy(), advocates, Fraction(1))

    assert lines == []
    assert [(issue.code, issue.event_id) for issue in issues] == [
        (Issue.AFTER_CLOSE, "E2"),
        (Issue.REFERRER_DELETED, "E3"),
    ]


def test_a_referral_that_comes_after_the_deal_was_created_took_part_in_it():
    late = [claim("A", "2025-04-01"), claim("A", "2025-05-01", event_id="again"), claim("B")]

    lines, issues = credit_opportunity(SALE, 100, late, Policy(), ADVOCATES[:1], Fraction(4, 10))

    assert {(line.measure, line.account_id): line.amount for line in lines} == {
        (Measure.REFERRED, "B"): 100,
        (Measure.TOUCHED, "A"): 100,
        (Measure.TOUCHED, "C"): 100,
        (Measure.INFLUENCE, "A"): 10,
        (Measure.INFLUENCE, "C"): 30,
    }
    assert {issue.code for issue in issues} == {Issue.REFERRAL_AFTER_CREATED, Issue.DUPLICATE_CLAIM}


def test_whoever_brought_the_deal_in_is_not_also_credited_for_referring_it_late():
    amounts = money(Measure.TOUCHED, claim("A"), claim("A", "2025-04-01", event_id="late", tier=BY_DOMAIN))

    assert amounts == {}


@pytest.mark.parametrize(
    ("rho", "answer", "referred", "influence"),
    [
        (Fraction(3, 10), Fraction(4, 10), 70, 30),
        (Fraction(5, 10), Fraction(4, 10), 60, 40),
        (Fraction(1), Fraction(1), 0, 100),
        (Fraction(0), Fraction(1), 100, 0),
        (Fraction(1, 2), None, 100, 0),
    ],
)
def test_with_influence_in_the_total_both_share_one_deal(rho, answer, referred, influence):
    policy = Policy(influence=Influence(include=True, rho=rho))
    more = {"policy": policy, "advocates": ADVOCATES[1:2], "reference_share": answer}

    assert money(Measure.REFERRED, claim(), **more).get("A", 0) == referred
    assert money(Measure.INFLUENCE, claim(), **more).get("D", 0) == influence


def test_a_line_beside_influence_says_what_share_is_left_for_it():
    policy = Policy(influence=Influence(include=True, rho=Fraction(1, 5)))

    lines, _ = credit_opportunity(SALE, 100, [claim(share=Fraction(1, 2))], policy, ADVOCATES[1:2], Fraction(1))

    assert lines[0] == CreditLine(
        *(Measure.REFERRED, "A", "O", "BUYER", 40, "R-A", BY_ACCOUNT, Fraction(2, 5), "explicit", 100, "2025-02-01")
    )


def test_without_a_referral_influence_gets_all_that_the_buyer_said():
    policy = Policy(influence=Influence(include=True, rho=Fraction(1, 10)))

    assert money(Measure.INFLUENCE, policy=policy, advocates=ADVOCATES[1:2], reference_share=Fraction(4, 10)) == {
        "D": 40
    }


def edge(referrer, occurred_on="2025-01-01", share=1):
    return Edge(referrer, Fraction(share), occurred_on, f"R-{referrer}", BY_ACCOUNT)


UPSTREAM = {"A": [edge("J")], "J": [edge("K")], "K": [edge("L")]}


def chain(*direct, net=1000, upstream=None, **policy):
    lines = credit_chain(SALE, net, direct, upstream or UPSTREAM, Policy(chain=Chain(**policy)))
    return {(line.account_id, line.tier): line.amount for line in lines}


def test_a_chain_fades_by_half_with_every_step_and_ends_at_its_depth():
    assert chain(edge("A")) == {("J", 2): 500, ("K", 3): 250}
    assert chain(edge("A"), depth=2) == {("J", 2): 500}
    assert chain(edge("A"), depth=4, delta=Fraction(1, 10)) == {("J", 2): 100, ("K", 3): 10, ("L", 4): 1}
    assert chain(edge("A"), mode=ChainMode.NONE) == {}
    assert chain(edge("A"), net=0) == {}


def test_a_chain_carries_only_the_share_of_each_step():
    upstream = {"A": [edge("J", share=Fraction(1, 2)), edge("K", share=Fraction(1, 4))]}

    assert chain(edge("A", share=Fraction(1, 2)), upstream=upstream) == {("J", 2): 125, ("K", 2): 62}


def test_a_chain_is_followed_back_in_time_only():
    upstream = {"A": [edge("J", "2025-01-02"), edge("K", "2025-01-01")]}

    assert chain(edge("A", "2025-01-01"), upstream=upstream) == {("K", 2): 500}


def test_a_chain_never_comes_back_to_the_buyer_or_to_an_account_on_its_way():
    upstream = {"A": [edge("BUYER"), edge("J")], "J": [edge("A"), edge("J"), edge("BUYER")]}

    assert chain(edge("A"), upstream=upstream) == {("J", 2): 500}


def test_two_ways_to_one_account_are_one_line():
    upstream = {"A": [edge("J")], "B": [edge("J")]}

    assert chain(edge("A", share=Fraction(1, 2)), edge("B", share=Fraction(1, 2)), upstream=upstream) == {("J", 2): 500}


def test_of_two_ways_to_one_account_the_earlier_referral_is_named():
    upstream = {
        "A": [Edge("J", Fraction(1), "2024-06-01", "late")],
        "B": [Edge("J", Fraction(1), "2024-05-01", "early")],
    }
    direct = [edge("A", share=Fraction(1, 4)), edge("B", share=Fraction(1, 2))]

    (line,) = credit_chain(SALE, 1000, direct, upstream, Policy(chain=Chain()))

    assert line == CreditLine(
        Measure.NETWORK, "J", "O", "BUYER", 375, "early", 2, Fraction(3, 8), "chain, step 2", 1000, "2024-05-01"
    )


def test_the_odd_cent_of_a_step_goes_to_the_earlier_referral():
    half = Fraction(1, 2)
    upstream = {"A": [edge("J", "2024-12-02", share=half), edge("K", "2024-12-01", share=half)]}

    assert chain(edge("A"), net=2, upstream=upstream) == {("K", 2): 1, ("J", 2): 0}


def test_of_two_referrals_of_one_day_the_smaller_id_gets_the_odd_cent():
    half = Fraction(1, 2)
    upstream = {"A": [Edge("J", half, "2024-12-01", "r2"), Edge("K", half, "2024-12-01", "r1")]}

    assert chain(edge("A"), net=2, upstream=upstream) == {("K", 2): 1, ("J", 2): 0}


def test_one_referral_that_is_met_at_two_distances_is_first_credited_where_it_is_nearer():
    upstream = {"A": [edge("X")], "X": [edge("J", "2024-12-01")], "B": [edge("J", "2024-12-01")]}
    half = Fraction(1, 2)

    lines = credit_chain(
        SALE, 700, [edge("A", share=half), edge("B", share=half)], upstream, Policy(chain=Chain(ChainMode.CARVE_OUT))
    )

    assert [(line.account_id, line.rule) for line in lines[:2]] == [("J", "chain, step 2"), ("J", "chain, step 3")]


def test_even_a_single_cent_goes_up_a_chain():
    assert chain(edge("A"), net=1, depth=2, delta=Fraction(1)) == {("J", 2): 1}


def test_carving_out_gives_the_chain_a_part_of_the_same_credit():
    carved = chain(edge("A"), net=700, mode=ChainMode.CARVE_OUT)

    assert carved == {("A", BY_ACCOUNT): 400, ("J", 0): 200, ("K", 0): 100}


def test_a_line_of_a_chain_says_how_far_up_it_is():
    lines = credit_chain(SALE, 700, [edge("A")], UPSTREAM, Policy(chain=Chain(ChainMode.CARVE_OUT)))

    assert [(line.account_id, line.rule, line.share) for line in lines] == [
        ("A", "referral, shared with its chain", Fraction(4, 7)),
        ("J", "chain, step 2", Fraction(2, 7)),
        ("K", "chain, step 3", Fraction(1, 7)),
    ]


def test_carving_out_leaves_other_referrers_what_they_have():
    half = Fraction(1, 2)

    carved = chain(edge("A", share=half), edge("Z", share=half), mode=ChainMode.CARVE_OUT, depth=2, net=600)

    assert carved == {("A", BY_ACCOUNT): 200, ("J", 0): 100, ("Z", BY_ACCOUNT): 300}


def test_the_lines_of_a_deal_are_the_edges_to_its_buyer():
    lines, _ = credit_opportunity(SALE, 100, [claim("A"), claim("B")], Policy(), ADVOCATES)

    edges = edges_of(lines, {"R-A": "2025-02-01", "R-B": "2025-02-01"})

    assert edges == [
        Edge("A", Fraction(1, 2), "2025-02-01", "R-A", 3),
        Edge("B", Fraction(1, 2), "2025-02-01", "R-B", 3),
    ]


def test_a_line_of_somebody_who_took_part_names_everything_it_was_made_from():
    advocates = [Advocate("E2", "D", "2025-05-02", 1), Advocate("E1", "C", "2025-04-01", 3)]

    lines, issues = credit_opportunity(SALE, 100, [], Policy(), advocates, Fraction(1, 2))

    made = [CreditLine(Measure.TOUCHED, "C", "O", "BUYER", 100, "E1", 0, Fraction(1), "took part", 100, "2025-04-01"),
            CreditLine(Measure.TOUCHED, "D", "O", "BUYER", 100, "E2", 0, Fraction(1), "took part", 100, "2025-05-02"),
            CreditLine(Measure.INFLUENCE, "C", "O", "BUYER", 38, "E1", 0, Fraction(3, 8), "won survey", 100, "2025-04-01"),
            CreditLine(Measure.INFLUENCE, "D", "O", "BUYER", 12, "E2", 0, Fraction(1, 8), "won survey", 100, "2025-05-02")]  # fmt: skip
    assert lines == made
    assert issues == []


def test_of_several_parts_of_one_account_the_first_in_time_stands_for_all():
    advocates = [
        Advocate("E2", "A", "2025-05-02", 1),
        Advocate("E1", "Z", "2025-04-30", 1),
        Advocate("E0", "A", "2025-05-01", 1),
    ]

    lines, _ = credit_opportunity(SALE, 100, [], Policy(), advocates)

    assert [(line.account_id, line.event_id, line.dated_on) for line in lines] == [
        ("Z", "E1", "2025-04-30"),
        ("A", "E0", "2025-05-01"),
    ]


def test_what_is_wrong_with_somebody_who_took_part_names_account_deal_and_event():
    advocates = [Advocate("E1", "C", "2025-07-01", 1), Advocate("E2", "D", "2025-04-01", 1, is_deleted=True)]

    lines, issues = credit_opportunity(SALE, 100, [], Policy(), advocates)

    assert lines == []
    assert issues == [
        AccountIssue(Issue.AFTER_CLOSE, "C", "O", "E1"),
        AccountIssue(Issue.REFERRER_DELETED, "D", "O", "E2"),
    ]


def test_an_equal_split_says_what_it_is_a_share_of():
    lines, _ = credit_opportunity(SALE, 100, [claim("A"), claim("B")], Policy())

    assert [(line.net, line.dated_on, line.rule) for line in lines] == [(100, "2025-02-01", "equal")] * 2
