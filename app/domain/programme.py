"""How strong all references are together, and whether enough of them come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from fractions import Fraction

from app.domain.engagement import quarter_of
from app.domain.reference_quality import PERCENT, Quality
from app.domain.reference_record import Kind
from app.domain.rules import ReferenceRules


@dataclass(frozen=True, slots=True)
class Member:
    """A reference customer. `since`: the day of its first consent, whether that holds or not."""

    account: str
    quality: Quality
    since: date | None = None
    kind: Kind = Kind.NOT_ENOUGH_DATA


class Strength(StrEnum):
    """Whether enough of the references are high impact."""

    STRONG = "strong"
    UNPROVEN = "unproven"
    """Too few are known to be, but those not fully rated could make up for it."""
    WEAK = "weak"
    EMPTY = "empty"


class GoalReading(StrEnum):
    """The goal of a quarter, read together with quality."""

    NO_GOAL = "no_goal"
    RUNNING = "running"
    """Not reached yet, and the quarter is not over."""
    MISSED = "missed"
    REACHED = "reached"
    REACHED_BUT_WEAK = "reached_but_weak"
    """So many came, but too few of them are high impact."""


@dataclass(frozen=True, slots=True)
class Quarter:
    """`2026Q1`: its new reference customers, and how many of them are high impact today."""

    name: str
    new: int
    high_impact: int
    reading: GoalReading


@dataclass(frozen=True, slots=True)
class Programme:
    """All references on a day. `high_impact` for certain, `possible_high_impact` at best, of `references`.

    `full_low`, `full_high`: how many references of full quality they are worth together. Fifty good ones are worth
    more than a hundred poor ones.
    """

    references: int
    high_impact: int
    possible_high_impact: int
    full_low: Fraction
    full_high: Fraction
    strength: Strength
    kinds: Mapping[Kind, int]
    goal: int | None
    quarters: tuple[Quarter, ...]

    @property
    def is_fundamentally_weak(self) -> bool:
        """Fewer high-impact references are known than it takes, whatever else there is."""
        return self.strength in {Strength.WEAK, Strength.UNPROVEN}


def programme(
    members: Iterable[Member], rules: ReferenceRules, as_of: date, quarters: int = 4, *, former: Iterable[Member] = ()
) -> Programme:
    """The last quarters come newest first, the one that `as_of` lies in included.

    `former`: whose consents have all ended. They are no strength any more, but once they were new.
    """
    known = list(members)
    ever = [*known, *former]
    sure = sum(member.quality.is_high_impact for member in known)
    possible = sum(member.quality.may_be_high_impact for member in known)
    kinds = Counter(member.kind for member in known)
    return Programme(
        references=len(known),
        high_impact=sure,
        possible_high_impact=possible,
        full_low=sum((member.quality.low for member in known), Fraction(0)) / PERCENT,
        full_high=sum((member.quality.high for member in known), Fraction(0)) / PERCENT,
        strength=_strength(sure, possible, len(known), rules),
        kinds={kind: kinds[kind] for kind in Kind if kinds[kind]},
        goal=rules.goal_per_quarter,
        quarters=tuple(_quarter(name, ever, rules, as_of) for name in last_quarters(as_of, quarters)),
    )


def _strength(sure: int, possible: int, references: int, rules: ReferenceRules) -> Strength:
    if references == 0:
        return Strength.EMPTY
    if Fraction(sure, references) >= rules.weak_share:
        return Strength.STRONG
    return Strength.UNPROVEN if Fraction(possible, references) >= rules.weak_share else Strength.WEAK


def _quarter(name: str, members: Iterable[Member], rules: ReferenceRules, as_of: date) -> Quarter:
    new = [one for one in members if one.since is not None and one.since <= as_of and quarter_of(one.since) == name]
    high_impact, goal = sum(member.quality.is_high_impact for member in new), rules.goal_per_quarter
    if goal is None:
        reading = GoalReading.NO_GOAL
    elif len(new) < goal:
        reading = GoalReading.RUNNING if quarter_of(as_of) == name else GoalReading.MISSED
    elif new and Fraction(high_impact, len(new)) < rules.weak_share:
        reading = GoalReading.REACHED_BUT_WEAK
    else:
        reading = GoalReading.REACHED
    return Quarter(name, len(new), high_impact, reading)


def last_quarters(as_of: date, count: int) -> tuple[str, ...]:
    """`count` quarters of the calendar, newest first."""
    number = as_of.year * 4 + (as_of.month - 1) // 3
    return tuple(f"{one // 4}Q{one % 4 + 1}" for one in range(number, number - count, -1))
