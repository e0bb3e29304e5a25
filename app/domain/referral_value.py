"""Optional money measures of referring, after Kumar, Petersen and Leone. Empty unless the policy knows their inputs.

Beside the total, never in it: they mix booked revenue with assumed costs. All amounts are minor units. Nothing is
discounted, because purchases count for about a year only (`window_days`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from app.domain.money import allocate, round_half_up
from app.domain.rules import OptionalRules


class Part(NamedTuple):
    """One referrer's share of bringing one customer: of the credit for its first purchase."""

    referrer_id: str
    share: Fraction


Acquisition = Sequence[Part]
"""Everybody who brought one customer, in the order in which cents that are left over are given away."""


def acquisition_savings(
    acquisitions: Iterable[Acquisition], rules: OptionalRules, minor_per_unit: int = 100
) -> Counter[str] | None:
    """Referrer -> acquisition cost that its customers saved, less the incentives paid; None where either is unknown."""
    if rules.acquisition_cost is None or rules.incentive is None:
        return None
    return _split((rules.acquisition_cost - rules.incentive) * minor_per_unit, acquisitions)


def acquired_value(
    acquisitions: Iterable[Acquisition], rules: OptionalRules, minor_per_unit: int = 100
) -> Counter[str] | None:
    """Referrer -> what `referral_value` adds to the margin, per customer brought; None where an input is unknown."""
    if None in (rules.margin, rules.incentive, rules.retention_cost, rules.acquisition_cost):
        return None
    # Those who would have come anyway save the acquisition cost and nothing else.
    costs = ((rules.incentive or 0) + (rules.retention_cost or 0)) * (1 - rules.would_have_come)
    each = ((rules.acquisition_cost or 0) - costs) * minor_per_unit
    return _split(round_half_up(*each.as_integer_ratio()), acquisitions)


def referral_margin(referred: int, rules: OptionalRules) -> int | None:
    """The margin of referred revenue, without customers who would have come anyway. None where it is unknown."""
    if rules.margin is None:
        return None
    return round_half_up(*(referred * rules.margin * (1 - rules.would_have_come)).as_integer_ratio())


def referral_value(referred: int, acquired: int | None, rules: OptionalRules) -> int | None:
    """Customer referral value: margin of referred revenue - incentives - retention cost + saved acquisition cost.

    `referred`: the account's referred revenue; `acquired`: what `acquired_value` says of it.
    """
    margin = referral_margin(referred, rules)
    return None if margin is None or acquired is None else margin + acquired


def reference_value(influence: int, rules: OptionalRules) -> int | None:
    """Business reference value: the margin of influenced revenue, which buyers said references brought about."""
    if rules.margin is None:
        return None
    return round_half_up(*(influence * rules.margin).as_integer_ratio())


def _split(each: int, acquisitions: Iterable[Acquisition]) -> Counter[str]:
    found: Counter[str] = Counter()
    for parts in acquisitions:
        shares = [part.share for part in parts]
        for part, amount in zip(parts, allocate(each, shares, sum(shares, Fraction(0))), strict=True):
            found[part.referrer_id] += amount
    return found
