"""How good a reference a customer is, how its calls went, and how strong all references are together.

Quality is an interval: a trait that nobody rated counts as 0 below and as 4 above. So it contains whatever the missing
ratings would say, and it never pretends to know. What a record of calls says is left unsaid while it is short.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal, localcontext
from enum import StrEnum
from fractions import Fraction
from math import ceil, floor

from app.domain.attributes import AttributeReader
from app.domain.days import days_after
from app.domain.engagement import quarter_of
from app.domain.events import VerifiedEvent, order_of
from app.domain.requests import MAX_MINUTES
from app.domain.rules import ReferenceRules

TRAITS = ("brand", "target_vertical", "quantified_results", "articulate", "passionate", "willing_variety")
"""Well-known brand; from a vertical we aim at; can show numbers; clear message; passionate about company and product;
willing to take part in a variety of reference activities."""
WILLING = "willing_variety"
MAX_LEVEL = 4
PERCENT = 100

# What people record ---------------------------------------------------------------------------------------------------


def read_reference_traits(attributes: Mapping[str, object]) -> dict[str, int | None]:
    """Trait -> 0 to 4, only those that were named; null takes an earlier rating back. Raises ValueError."""
    reader = AttributeReader(attributes)
    reader.text("rated_by")
    reader.text("note")
    levels = {trait: reader.whole(trait, 0, MAX_LEVEL) for trait in TRAITS if reader.has(trait)}
    some = f"at least one of {', '.join(TRAITS)}, 0 to {MAX_LEVEL}"
    reader.demand(f"it rates {some}", f"it rates no trait: give {some}" if not levels else "")
    reader.check()
    return levels


@dataclass(frozen=True, slots=True)
class Profile:
    """What a customer can speak about. `size`: employees."""

    industry: str | None = None
    products: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    size: int | None = None
    regions: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    use_cases: tuple[str, ...] = ()


def read_reference_profile(attributes: Mapping[str, object]) -> Profile:
    """Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    profile = Profile(
        reader.text("industry"),
        reader.words("products"),
        reader.words("roles"),
        reader.whole("size", 1, 10_000_000),
        reader.words("regions"),
        reader.words("languages"),
        reader.words("use_cases"),
    )
    reader.text("note")
    problem = "it says nothing, and would wipe what is known: name an industry, products, roles and so on"
    reader.demand(
        "it says something: it replaces what was said before as a whole", problem if profile == Profile() else ""
    )
    reader.check()
    return profile


class Grade(StrEnum):
    """How a call was expected to go, and how it went."""

    VERY_NEGATIVE = "very_negative"
    NEGATIVE = "negative"
    NEUTRAL = "neutral"
    POSITIVE = "positive"
    VERY_POSITIVE = "very_positive"

    @property
    def level(self) -> int:
        """-2 to 2."""
        return list(Grade).index(self) - 2


A_SIGNALS = (
    "reluctant",
    "unknown_firm",
    "no_benefits",
    "forced_product",
    "one_word_answers",
    "busy_low_knowledge",
    "prospect_did_not_buy",
)
"""Customer A: agrees after weeks of chasing, is a tiny unknown firm, names no benefits, had the product forced on it,
answers in one word, is busy and knows little; and the prospect did not buy."""
B_SIGNALS = (
    "prompt_yes",
    "known_brand",
    "roi_shared",
    "dollar_savings",
    "right_depth",
    "cross_sell",
    "unasked_praise",
    "quota_hit",
)
"""Customer B: a prompt and enthusiastic yes, a known brand, shares its return on investment, names specific savings,
speaks at the right technical depth and of the business, tells why it bought more products, praises the service
unasked; and the representative makes the quota."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one reference. `minutes`: that it took the customer."""

    request: str | None = None
    expected: Grade | None = None
    actual: Grade | None = None
    minutes: int | None = None
    signals: tuple[str, ...] = ()
    prospect_bought: bool | None = None


def read_reference_outcome(attributes: Mapping[str, object]) -> Outcome:
    """Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    expected, actual = (reader.choice(name, list(Grade)) for name in ("expected_grade", "actual_grade"))
    outcome = Outcome(
        reader.text("request"),
        Grade(expected) if expected else None,
        Grade(actual) if actual else None,
        reader.whole("minutes", 0, MAX_MINUTES),
        reader.choices("signals", (*A_SIGNALS, *B_SIGNALS)),
        reader.flag("prospect_bought"),
    )
    reader.text("note")
    some = "at least one of actual_grade, signals, minutes, prospect_bought, request"
    reader.demand(f"it names {some}", f"it says nothing: name {some}" if outcome == Outcome() else "")
    both = "`prospect_bought` is true and `signals` says prospect_did_not_buy"
    is_both = outcome.prospect_bought and "prospect_did_not_buy" in outcome.signals
    reader.demand(f"never that {both}", f"{both}: keep one of them" if is_both else "")
    reader.check()
    return outcome


READERS: Mapping[str, Callable[[Mapping[str, object]], object]] = {
    "reference_traits": read_reference_traits,
    "reference_profile": read_reference_profile,
    "reference_outcome": read_reference_outcome,
}
"""The strict reader of each type's attributes."""

# Quality --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TraitRating:
    """One verified `reference_traits` event."""

    id: str
    occurred_on: date
    levels: Mapping[str, int | None]
    occurred_at: datetime | None = None


def rating_of(event: VerifiedEvent) -> TraitRating:
    """A `reference_traits` event. Raises ValueError."""
    return TraitRating(event.id, event.occurred_on, read_reference_traits(event.attributes), event.occurred_at)


def profile_on(events: Iterable[VerifiedEvent], as_of: date) -> Profile:
    """What the latest `reference_profile` of one customer says; an older one is forgotten as a whole."""
    known = [event for event in events if event.type == "reference_profile" and event.occurred_on <= as_of]
    if not known:
        return Profile()
    latest = max(known, key=order_of)
    return read_reference_profile(latest.attributes)


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

    `high_traits`: how many of the six are high for certain; `possible_high_traits`: how many may be.
    """

    low: Fraction
    high: Fraction
    coverage: Fraction
    traits: tuple[Trait, ...]
    high_traits: int
    possible_high_traits: int
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
        possible_high_traits=possible,
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


# Record ---------------------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    """What a record of references looks like."""

    CUSTOMER_A = "customer_a"
    CUSTOMER_B = "customer_b"
    MIXED = "mixed"
    NOT_ENOUGH_DATA = "not_enough_data"


class Surprise(StrEnum):
    """How references went, all in all, against how they should have gone."""

    BETTER = "better"
    AS_EXPECTED = "as_expected"
    WORSE = "worse"


NOTICEABLE = Fraction(1, 2)
"""From half a grade on, the mean of what was expected and what came is a surprise."""


@dataclass(frozen=True, slots=True)
class Use:
    """One reference that was given. `is_won`: the deal was; None while it is open. `days_to_accept`: None unknown."""

    id: str
    occurred_on: date
    outcome: Outcome
    is_won: bool | None = None
    days_to_accept: int | None = None

    @property
    def bought(self) -> bool | None:
        """Whether the prospect bought: what was reported, or else what became of the deal."""
        stated = self.outcome.prospect_bought
        if stated is None and "prospect_did_not_buy" in self.outcome.signals:
            return False
        return self.is_won if stated is None else stated

    def signals(self, rules: ReferenceRules) -> frozenset[str]:
        """The markers seen, with those that follow from the deal and from how long the yes took."""
        found = set(self.outcome.signals)
        if self.bought is False:
            found.add("prospect_did_not_buy")
        days = self.days_to_accept
        if days is not None and days <= rules.prompt_days and "reluctant" not in found:
            found.add("prompt_yes")
        if days is not None and days >= rules.chasing_days and "prompt_yes" not in found:
            found.add("reluctant")
        return frozenset(found)

    def leaning(self, rules: ReferenceRules) -> Kind:
        """Customer A or B by the larger number of markers."""
        signals = self.signals(rules)
        a, b = len(signals & set(A_SIGNALS)), len(signals & set(B_SIGNALS))
        if a == b:
            return Kind.MIXED
        return Kind.CUSTOMER_A if a > b else Kind.CUSTOMER_B


@dataclass(frozen=True, slots=True)
class Record:
    """How the references of one customer went. `decided`: uses whose deal is won or lost.

    `won_percent`: where the true share of won deals lies, with 95 % certainty; None: not enough data.
    `surprises`: calls that went better, as, and worse than expected. `days_to_accept`: the lower median.
    """

    uses: int = 0
    decided: int = 0
    won: int = 0
    won_percent: tuple[int, int] | None = None
    surprises: tuple[int, int, int] = (0, 0, 0)
    mean_difference: Fraction | None = None
    days_to_accept: int | None = None
    minutes: int = 0
    signals: Mapping[str, int] = field(default_factory=dict)
    kind: Kind = Kind.NOT_ENOUGH_DATA

    @property
    def surprise(self) -> Surprise | None:
        """None: of no reference both grades are known."""
        if self.mean_difference is None:
            return None
        if abs(self.mean_difference) < NOTICEABLE:
            return Surprise.AS_EXPECTED
        return Surprise.BETTER if self.mean_difference > 0 else Surprise.WORSE


def record_of(uses: Iterable[Use], rules: ReferenceRules, as_of: date) -> Record:
    """The kind is that of more than half of the uses; it is not said of fewer than `small_sample` of them."""
    known = sorted((use for use in uses if use.occurred_on <= as_of), key=lambda one: (one.occurred_on, one.id))
    results = [use.bought for use in known if use.bought is not None]
    graded = [
        use.outcome.actual.level - use.outcome.expected.level
        for use in known
        if use.outcome.expected and use.outcome.actual
    ]
    days = sorted(use.days_to_accept for use in known if use.days_to_accept is not None)
    signals = Counter(signal for use in known for signal in use.signals(rules))
    return Record(
        uses=len(known),
        decided=len(results),
        won=sum(results),
        won_percent=percent_range(sum(results), len(results)) if len(results) >= rules.small_sample else None,
        surprises=(sum(one > 0 for one in graded), sum(one == 0 for one in graded), sum(one < 0 for one in graded)),
        mean_difference=Fraction(sum(graded), len(graded)) if graded else None,
        days_to_accept=days[(len(days) - 1) // 2] if days else None,
        minutes=sum(use.outcome.minutes or 0 for use in known),
        signals={signal: signals[signal] for signal in (*A_SIGNALS, *B_SIGNALS) if signals[signal]},
        kind=_kind([use.leaning(rules) for use in known], rules),
    )


def _kind(leanings: Sequence[Kind], rules: ReferenceRules) -> Kind:
    if len(leanings) < max(1, rules.small_sample):
        return Kind.NOT_ENOUGH_DATA
    for kind in (Kind.CUSTOMER_A, Kind.CUSTOMER_B):
        if leanings.count(kind) * 2 > len(leanings):
            return kind
    return Kind.MIXED


def percent_range(hits: int, trials: int) -> tuple[int, int]:
    """Where a share lies of which `hits` of `trials` were seen: Wilson's 95 % interval, in whole percent, outwards."""
    if trials == 0:
        return 0, PERCENT
    with localcontext(prec=50):
        z = Decimal("1.959964")
        middle = hits + z * z / 2
        spread = z * (Decimal(hits) * (trials - hits) / trials + z * z / 4).sqrt()
        low, high = ((middle + side) * PERCENT / (trials + z * z) for side in (-spread, spread))
    # The ends of the range are exactly 0 and 100 where nothing or everything was hit; the root is not quite.
    least = 0 if hits == 0 else int(low.to_integral_value(ROUND_FLOOR))
    most = PERCENT if hits == trials else int(high.to_integral_value(ROUND_CEILING))
    return least, most


# The programme --------------------------------------------------------------------------------------------------------


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
