"""How good a reference a customer is, by what was rated.

Quality is an interval: a trait that nobody rated counts as 0 below and as 4 above. So it contains whatever the missing
ratings would say, and it never pretends to know.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from math import ceil, floor

from app.domain.days import days_after
from app.domain.events import order_of
from app.domain.reference_events import MAX_LEVEL, TRAITS, TraitRating
from app.domain.rules import ReferenceRules

WILLING = "willing_variety"
PERCENT = 100


@dataclass(frozen=True, slots=True)
class Trait:
    """`low` to `high`, of 0 to 4, because of the event that rated it; unknown without one.

    `until`: the first day on which the rating no longer counts.
    """

    name: str
    low: int = 0
    high: int = MAX_LEVEL
    event_id: str | None = None
    rated_on: date | None = None
    until: date | None = None

    @property
    def is_rated(self) -> bool:
        return self.event_id is not None


@dataclass(frozen=True, slots=True)
class Quality:
    """`low` and `high` of 0 to 100, and the share of the weight that is rated, 0 to 1. Exact.

    `high_traits`: how many of the six are high for certain.
    """

    low: Fraction
    high: Fraction
    coverage: Fraction
    traits: tuple[Trait, ...]
    high_traits: int
    is_high_impact: bool
    may_be_high_impact: bool
    rated_on: date | None = None
    """The latest rating that counts."""
    is_stale: bool = False
    """Whether the latest rating, counted or not, is old enough to rate again."""
    next_change_on: date | None = None

    @property
    def percents(self) -> tuple[int, int, int]:
        """Low, high and coverage in whole percent, rounded so that nothing is claimed that is not known."""
        return floor(self.low), ceil(self.high), floor(self.coverage * PERCENT)


def quality(
    ratings: Iterable[TraitRating], rules: ReferenceRules, as_of: date, declines: Sequence[date] = ()
) -> Quality:
    """Of one customer on a day. Each trait has its own latest rating, so a rating may be partial.

    `declines`: the days on which it said no to an ask; each of the window takes one level off its willingness.
    """
    ordered = sorted(ratings, key=order_of)
    known = [rating for rating in ordered if rating.occurred_on <= as_of]
    recent = [end for day in declines if day <= as_of < (end := days_after(day, rules.window_days))]
    traits = tuple(_trait(name, known, rules, as_of, len(recent) if name == WILLING else 0) for name in TRAITS)
    weights = {name: rules.weights.get(name, 1) for name in TRAITS}
    whole = sum(weights.values()) * MAX_LEVEL
    high_traits = sum(trait.low >= rules.high_trait for trait in traits)
    possible = sum(trait.high >= rules.high_trait for trait in traits)
    stale_on = days_after(known[-1].occurred_on, rules.stale_days) if known else date.max
    changes = [*recent, *(trait.until for trait in traits if trait.until)]
    changes += [stale_on] if as_of < stale_on < date.max else []
    changes += [rating.occurred_on for rating in ordered if rating.occurred_on > as_of][:1]
    return Quality(
        low=_part(sum(weights[trait.name] * trait.low for trait in traits) * PERCENT, whole),
        high=_part(sum(weights[trait.name] * trait.high for trait in traits) * PERCENT, whole),
        coverage=_part(sum(weights[trait.name] for trait in traits if trait.is_rated) * MAX_LEVEL, whole),
        traits=traits,
        high_traits=high_traits,
        is_high_impact=high_traits >= rules.high_impact_traits,
        may_be_high_impact=possible >= rules.high_impact_traits,
        rated_on=max((trait.rated_on for trait in traits if trait.rated_on), default=None),
        is_stale=stale_on <= as_of,
        next_change_on=min(changes, default=None),
    )


def _trait(name: str, known: Sequence[TraitRating], rules: ReferenceRules, as_of: date, declines: int) -> Trait:
    rating = next((one for one in reversed(known) if name in one.levels), None)
    level = rating.levels[name] if rating else None
    if rating is None or level is None or (until := days_after(rating.occurred_on, rules.traits_days)) <= as_of:
        return Trait(name, high=max(0, MAX_LEVEL - declines))
    level = max(0, level - declines)
    return Trait(name, level, level, rating.id, rating.occurred_on, until)


def _part(share: int, whole: int) -> Fraction:
    return Fraction(share, whole) if whole else Fraction(0)
