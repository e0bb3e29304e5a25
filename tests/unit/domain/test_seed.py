"""The two customers everything started with."""

from datetime import date
from fractions import Fraction

from app.domain.model import Account, Opportunity, Policy, Referral, World
from app.domain.value import value_world


def won(id_, account, amount, close_on):
    return Opportunity(
        id_,
        account,
        Fraction(amount),
        "USD",
        created_on=date(2025, 3, 1),
        close_on=close_on,
        is_won=True,
        is_closed=True,
    )


SEED = World(
    accounts=tuple(Account(id_, f"Customer {id_}") for id_ in "ABXY"),
    opportunities=(
        won("D-A", "A", 100_000, date(2025, 4, 1)),
        won("D-B", "B", 30_000, date(2025, 4, 2)),
        won("D-X", "X", 40_000, date(2025, 4, 3)),
        won("D-Y", "Y", 250_000, date(2025, 4, 4)),
    ),
    referrals=(
        Referral("R-1", "A", date(2025, 2, 1), account_id="X"),
        Referral("R-2", "B", date(2025, 2, 1), account_id="Y"),
    ),
)


def test_i16_customer_b_with_little_own_revenue_is_worth_more_than_customer_a():
    values = value_world(SEED, Policy(), date(2025, 12, 31)).values

    assert (values["A"].direct, values["A"].referred, values["A"].total) == (10_000_000, 4_000_000, 14_000_000)
    assert (values["B"].direct, values["B"].referred, values["B"].total) == (3_000_000, 25_000_000, 28_000_000)
    assert values["B"].total > values["A"].total


def test_s4_01_what_customers_spent_what_they_brought_and_what_they_are_worth():
    values = value_world(SEED, Policy(), date(2025, 12, 31)).values

    seen = {
        name: (values[name].direct // 100, values[name].referred // 100, values[name].total // 100) for name in "AB"
    }
    assert seen == {"A": (100_000, 40_000, 140_000), "B": (30_000, 250_000, 280_000)}


def test_the_seed_is_worth_the_same_in_a_summable_number_and_reports_nothing():
    valuation = value_world(SEED, Policy(), date(2025, 12, 31))

    assert sum(value.conserved for value in valuation.values.values()) == 42_000_000
    assert valuation.issues == ()


def test_a_deal_that_is_not_closed_yet_brings_nobody_anything():
    values = value_world(SEED, Policy(), date(2025, 4, 2)).values

    assert (values["A"].total, values["B"].total, values["Y"].total) == (10_000_000, 3_000_000, 0)
