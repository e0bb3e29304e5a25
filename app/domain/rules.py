"""The rules of the measures beside the money: parts of the policy, so data and not code.

Counts and days are whole numbers; types are codes of `event_types` or custom ones that start with `x_`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

AGAINST_US = ("churn_signal", "complaint", "escalation", "negative_review", "public_criticism")
"""Types that speak against us whatever polarity they are given."""
MEMBERSHIPS = ("advisory_board_membership", "beta_membership", "design_partner")


def _bands() -> Mapping[str, int]:
    return {"light": 1, "active": 25, "strong": 100}


@dataclass(frozen=True, slots=True)
class EngagementRules:
    """What an account does for us beside buying, in points and as participation."""

    half_life_days: int = 365
    half_lives: Mapping[str, int] = field(default_factory=dict)
    """Days per type, where not `half_life_days`."""
    points: Mapping[str, int] = field(default_factory=dict)
    """Base points per type, where not the default (`engagement.BASE_POINTS`); 0 mutes a type."""
    cap: int = 5
    """How many events of one type count in one calendar quarter."""
    caps: Mapping[str, int] = field(default_factory=dict)
    """The same per type, where not `cap`."""
    bands: Mapping[str, int] = field(default_factory=_bands)
    """Band -> the least points it takes."""
    detractor_days: int = 180
    detractor_types: frozenset[str] = frozenset(AGAINST_US)
    participation_days: int = 365
    participation_types: frozenset[str] = frozenset(MEMBERSHIPS)


@dataclass(frozen=True, slots=True)
class SegmentRules:
    """From where on direct and referred revenue are high: whole units of the reporting currency, None: the median."""

    direct: int | None = None
    referred: int | None = None


@dataclass(frozen=True, slots=True)
class OptionalRules:
    """What the optional money measures are computed from: whole units of the reporting currency, None: unknown.

    A measure with an unknown input is empty. None of them is ever in the total.
    """

    margin: Fraction | None = None
    """Gross margin, 0 to 1."""
    incentive: int | None = None
    """Paid for one customer that was brought."""
    retention_cost: int | None = None
    """Spent on keeping such a customer for the time that its purchases count."""
    acquisition_cost: int | None = None
    """What it costs to win a customer that nobody brought."""
    would_have_come: Fraction = Fraction(1, 2)
    """The part of the customers brought that would have come anyway: of them only the acquisition cost is saved."""


def _validity() -> Mapping[int, int]:
    return {1: 180, 2: 365, 3: 365, 4: 365, 6: 365, 9: 730, 10: 730, 11: 730}


@dataclass(frozen=True, slots=True)
class CommitmentRules:
    """How long what proves a rung of the commitment ladder proves it."""

    validity_days: Mapping[int, int] = field(default_factory=_validity)
    """Rung -> days, the first one included, where the evidence names no end. 5, 7 and 8 last as long as agreed."""
    pilot_grace_days: int = 90
    """A pilot still proves its rung for so many days after its end."""
    assumed_term_months: int = 12
    """A won sale of unknown term counts as a licence of so many months from its close; 0: never."""
    licence_months: int = 12
    """The least term of an annual licence; a shorter sale is a pilot."""
    promise_days: int = 90
    """A permission promised in a deal is due after so many days, where the promise names no day."""


@dataclass(frozen=True, slots=True)
class RelationshipRules:
    """How long a rating of the offer or of a person counts."""

    rating_days: int = 365
    stale_days: int = 180
    """A rating this old should be renewed, though it still counts."""
    tco_alone: bool = False
    """Whether total cost of ownership makes level 4 of the offer without a premium or the first call."""


@dataclass(frozen=True, slots=True)
class ReferenceRules:
    """How often a customer may be asked, and what makes a good reference."""

    asks_per_window: int = 2
    """More than two calls a quarter tire a customer."""
    window_days: int = 90
    cooldown_days: int = 14
    """Between an ask and the next one, whatever was answered."""
    traits_days: int = 365
    """How long a rated trait counts."""
    stale_days: int = 180
    """Ratings of traits this old should be renewed, though they still count."""
    high_trait: int = 3
    """From this level on, of 0 to 4, a trait is high."""
    high_impact_traits: int = 4
    """So many high traits, of six, make a high-impact reference."""
    weights: Mapping[str, int] = field(default_factory=dict)
    """Per trait, where not 1; 0 leaves a trait out of the score."""
    weak_share: Fraction = Fraction(1, 2)
    """A programme is fundamentally weak when fewer than this share of its references are high impact."""
    goal_per_quarter: int | None = None
    """New reference customers per calendar quarter."""
    small_sample: int = 5
    """With fewer outcomes than this, nothing is said about a reference's record."""
    prompt_days: int = 2
    """A yes within so many days is prompt: a mark of a customer B."""
    chasing_days: int = 14
    """A yes that took so many days came after weeks of chasing: a mark of a customer A."""


def _severities() -> Mapping[str, str]:
    return {"escalation": "high", "churn_signal": "high", "complaint": "normal"}


def _quadrant_labels() -> Mapping[str, str]:
    return {"champion": "Champion", "affluent": "Affluent", "advocate": "Advocate", "potential": "Potential"}


@dataclass(frozen=True, slots=True)
class RoleRules:
    """Which roles an account has, and whether it speaks for us or against us."""

    days: int = 730
    """How long a deed gives its role: from its day on, a state from its end on."""
    lasting: frozenset[str] = frozenset({"buyer", "investor"})
    """Roles that no time takes away."""
    roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Type -> its roles, where not the default (`roles.roles_of`); empty: none."""
    advocate_days: int = 365
    """How long a good word counts. A word against us counts `EngagementRules.detractor_days`."""


@dataclass(frozen=True, slots=True)
class TriageRules:
    """What is urgent and how long it takes; what the contradiction radar looks for."""

    severities: Mapping[str, str] = field(default_factory=_severities)
    """The types that are urgent -> how severe they are where the event does not say."""
    hours_per_item: Fraction = Fraction(1)
    """The effort that an urgent item takes where the event does not say."""
    price_level_max: int = 1
    """Up to this level of the offer scale (0 hope, 1 price) we are bought for the price."""
    small_direct_share: Fraction = Fraction(1, 4)
    """Own purchases of at most this part of own and referred revenue are those of a tiny spender."""
    renewal_days: int = 90
    """How many days ahead a renewal is near."""
    quadrant_labels: Mapping[str, str] = field(default_factory=_quadrant_labels)
    """What the four quadrants are called where people read it."""


def _care_intervals() -> Mapping[str, int]:
    return {"who_are_you": 30, "unknown": 45, "ok": 60, "need_you": 120}


def _care_tiers() -> Mapping[str, Fraction]:
    return {"A": Fraction(1, 2), "B": Fraction(1), "C": Fraction(2)}


def _care_percentiles() -> Mapping[str, int]:
    return {"A": 80, "B": 40}


def _skip_days() -> Mapping[str, int]:
    return {"no_answer": 3, "on_holiday": 14, "not_now": 14, "wrong_person": 3, "other": 7}


@dataclass(frozen=True, slots=True)
class CareRules:
    """Why customers care, and how often somebody asks them. Days of a state count from the day it was told."""

    answer_days: int = 180
    """So long an answer decides; then it is inferred again."""
    stale_days: int = 90
    """An answer this old should be asked for again, though it still decides."""
    metric_stale_days: int = 180
    """A measure of success that is agreed and not reached should be told anew after so many days."""
    usage_days: int = 90
    """So long a report of usage counts."""
    cut_percent: int = 25
    """Usage below it, in percent of the customer's own baseline: forgotten, or about to be cut."""
    alternatives_percent: int = 80
    """Usage below it: used, and replaceable."""
    limbo_percent: int = 5
    """Usage below it while the contract runs: the value has stopped."""
    interval_days: Mapping[str, int] = field(default_factory=_care_intervals)
    """Bucket, or `unknown` -> days from one call to the next, before the tier's multiplier."""
    recent_contact_days: int = 7
    """Nobody is called so soon after any contact."""
    call_before_due: bool = True
    """Whether somebody is called on every business day, due or not: whoever is closest to it."""
    tiers: Mapping[str, Fraction] = field(default_factory=_care_tiers)
    """Value tier -> what its intervals are multiplied with."""
    tier_percentiles: Mapping[str, int] = field(default_factory=_care_percentiles)
    """Value tier -> the least percentile it takes, best first; whoever reaches none is C."""
    skip_days: Mapping[str, int] = field(default_factory=_skip_days)
    """Why a call was skipped -> days until it is tried again, where nobody said until when."""
    work_days: tuple[int, ...] = (0, 1, 2, 3, 4)
    """0 is Monday."""
    holidays: tuple[date, ...] = ()
    least_shared: int = 2
    """A prospect resembles a customer that needs us by so many kinds of things in common: one alone is chance."""
