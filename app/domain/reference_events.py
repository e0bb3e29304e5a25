"""What people record of references: how good one is, what it can speak about, and how each one went."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from app.domain.attributes import AttributeReader
from app.domain.events import VerifiedEvent, order_of
from app.domain.requests import MAX_MINUTES

REFERENCE_TRAITS = "reference_traits"
REFERENCE_PROFILE = "reference_profile"
REFERENCE_OUTCOME = "reference_outcome"
TRAITS = ("brand", "target_vertical", "quantified_results", "articulate", "passionate", "willing_variety")
"""Well-known brand; from a vertical we aim at; can show numbers; clear message; passionate about company and product;
willing to take part in a variety of reference activities."""
MAX_LEVEL = 4


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
    REFERENCE_TRAITS: read_reference_traits,
    REFERENCE_PROFILE: read_reference_profile,
    REFERENCE_OUTCOME: read_reference_outcome,
}
"""The strict reader of each type's attributes."""


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
    """What the latest `reference_profile` of one customer says; an older one is forgotten as a whole.

    What was stored before its type had a reader, and does not fit it, says nothing.
    """
    known = [event for event in events if event.type == REFERENCE_PROFILE and event.occurred_on <= as_of]
    try:
        return read_reference_profile(max(known, key=order_of).attributes) if known else Profile()
    except ValueError:
        return Profile()
