"""What people record of how a customer values offer and person, and the level that follows from what they tick.

A rating is made by ticking what is so. The offer is rated per account, the person per account and representative. The
readers of the attributes are strict, for the door; `..._of` turn a verified event into the fact that it states.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from app.domain.attributes import AttributeReader
from app.domain.events import VerifiedEvent
from app.domain.rules import RelationshipRules

TOP_LEVEL = 4
OFFER_RATING = "offer_rating"
PERSONAL_RATING = "personal_rating"
RECOGNITION_RECEIVED = "recognition_received"
_STRICT = RelationshipRules()


class OfferBasis(StrEnum):
    """Why the customer buys from us, from the weakest reason up."""

    HOPE = "hope"
    """None: there is no relationship yet."""
    PRICE = "price"
    FEATURES = "features"
    """Functions that fulfil its specification, and their benefits."""
    VALUE_ADDED = "value_added"
    """Its business processes get better."""
    TCO = "tco"
    """Total cost of ownership: hard numbers on its business, by its own financial model."""


class Tick(StrEnum):
    """What is so about a representative, in the customer's eyes."""

    EXECUTIVE_CREDIBILITY = "executive_credibility"
    INNOVATIVE_SOLUTIONS = "innovative_solutions"
    PROVEN_FINANCIAL_IMPACT = "proven_financial_impact"
    UNDERSTANDS_BUSINESS = "understands_business"
    PRODUCT_KNOWLEDGE = "product_knowledge"
    KEEPS_UP_TO_DATE = "keeps_up_to_date"
    PASSES_PRICES = "passes_prices"


class Level(NamedTuple):
    """One step of a scale. `meaning`: for people."""

    number: int
    title: str
    meaning: str


OFFER_LEVELS: tuple[Level, ...] = (
    Level(0, "Hope", "no relationship"),
    Level(1, "Price", "buys where it is cheapest"),
    Level(2, "Features and benefits", "functions that fulfil its specification"),
    Level(3, "Value added", "better business processes, and a premium or the first call and the last chance to bid"),
    Level(4, "Total cost of ownership", "hard numbers by its own financial model, and a premium or the first call"
          " and the last chance to bid"),
)  # fmt: skip
PERSONAL_LEVELS: tuple[Level, ...] = (
    Level(0, "Visitor", "friendly, brings doughnuts"),
    Level(1, "Messenger", "carries prices between the customer and the sales manager"),
    Level(2, "Useful asset", "knows the product well and keeps the customer up to date"),
    Level(3, "Consultant", "understands the business in substantial detail"),
    Level(4, "Business resource", "sought after by executives for innovative solutions with a proven impact on the"
          " financial statements"),
)  # fmt: skip
TICKS: Mapping[int, tuple[Tick, ...]] = {
    4: (Tick.EXECUTIVE_CREDIBILITY, Tick.INNOVATIVE_SOLUTIONS, Tick.PROVEN_FINANCIAL_IMPACT),
    3: (Tick.UNDERSTANDS_BUSINESS,),
    2: (Tick.PRODUCT_KNOWLEDGE, Tick.KEEPS_UP_TO_DATE),
    1: (Tick.PASSES_PRICES,),
    0: (),
}
"""Level of a person -> all it takes."""


@dataclass(frozen=True, slots=True)
class OfferTerms:
    """The ticks of one rating of the offer."""

    basis: OfferBasis
    pays_premium: bool = False
    calls_first: bool = False
    last_chance: bool = False
    rated_by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class PersonalTerms:
    """One rating of a representative."""

    rep: str
    level: int
    rated_by: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class RecognitionTerms:
    """A bobble-head of your own, for example. `rep`: who was given it."""

    item: str
    rep: str | None = None


def rate_offer(
    basis: OfferBasis, *, pays_premium: bool, calls_first: bool, last_chance: bool, tco_alone: bool = False
) -> int:
    """The level of the offer, 0 to 4.

    Levels 3 and 4 take their reason *and* a signal: the customer pays a premium, or it always calls us first *and*
    gives us the last chance to bid. A reason of that weight without a signal is as good as features. `tco_alone`:
    level 4 needs no signal.
    """
    has_signal = pays_premium or (calls_first and last_chance)
    match basis:
        case OfferBasis.TCO:
            return 4 if has_signal or tco_alone else 2
        case OfferBasis.VALUE_ADDED:
            return 3 if has_signal else 2
        case OfferBasis.FEATURES:
            return 2
        case OfferBasis.PRICE:
            return 1
        case OfferBasis.HOPE:
            return 0


def rate_person(ticks: Iterable[Tick]) -> int:
    """The highest level of a person for which everything is ticked."""
    ticked = set(ticks)
    return max(level for level, needed in TICKS.items() if ticked.issuperset(needed))


def read_offer_rating(attributes: Mapping[str, object], rules: RelationshipRules = _STRICT) -> OfferTerms:
    """The attributes of an `offer_rating`. Raises ValueError with every problem, and with what to tick.

    A `level` is optional, for it follows from the ticks; where it is given it must be the one that follows.
    """
    reader = AttributeReader(attributes)
    basis = reader.choice("basis", tuple(OfferBasis), is_required=True)
    terms = OfferTerms(
        OfferBasis(basis or OfferBasis.HOPE),
        pays_premium=bool(reader.flag("pays_premium")),
        calls_first=bool(reader.flag("calls_first")),
        last_chance=bool(reader.flag("last_chance")),
        rated_by=reader.text("rated_by"),
        note=reader.text("note"),
    )
    claimed = reader.whole("level", 0, TOP_LEVEL)
    for level in _OFFER_NEEDS:
        reader.demand(f"`level` {level} takes {_offer_needs(level, rules)}")
    is_wrong = basis is not None and claimed is not None and claimed != level_of(terms, rules)
    reader.demand(
        "`level` may be left out: it follows from the others", _correct_offer(claimed, terms, rules) if is_wrong else ""
    )
    reader.check()
    return terms


def level_of(terms: OfferTerms, rules: RelationshipRules) -> int:
    """The level of the offer that follows from the ticks."""
    return rate_offer(
        terms.basis,
        pays_premium=terms.pays_premium,
        calls_first=terms.calls_first,
        last_chance=terms.last_chance,
        tco_alone=rules.tco_alone,
    )


_OFFER_NEEDS: Mapping[int, str] = {
    4: "basis tco, and pays_premium, or calls_first and last_chance",
    3: "basis value_added, and pays_premium, or calls_first and last_chance",
    2: "basis features, or value_added or tco without pays_premium, and without calls_first and last_chance together",
    1: "basis price",
    0: "basis hope",
}


def _offer_needs(level: int, rules: RelationshipRules) -> str:
    return "basis tco" if level == TOP_LEVEL and rules.tco_alone else _OFFER_NEEDS[level]


def _correct_offer(claimed: int | None, terms: OfferTerms, rules: RelationshipRules) -> str:
    needs = _offer_needs(claimed or 0, rules)
    follows = level_of(terms, rules)
    return f"`level` {claimed} takes {needs}; what is ticked makes {follows}: tick what is so, or leave the level out"


def read_personal_rating(attributes: Mapping[str, object]) -> PersonalTerms:
    """The attributes of a `personal_rating`. Raises ValueError with every problem, and with what to tick.

    Without a `level` it is the highest that is fully ticked; a level that is given takes all its own ticks.
    """
    reader = AttributeReader(attributes)
    rep = reader.text("rep", is_required=True)
    claimed = reader.whole("level", 0, TOP_LEVEL)
    ticks = tuple(tick for tick in Tick if reader.flag(tick))
    for level, needed in TICKS.items():
        missing = [tick for tick in needed if tick not in ticks] if level == claimed else []
        takes = f"`level` {level} takes {', '.join(needed) or 'no tick'}"
        instead = f"{takes}; tick {', '.join(missing)} too, or rate {rate_person(ticks)}"
        reader.demand(takes, instead if missing else "")
    either = "give a `level`, or tick what is so"
    reader.demand(either, either if claimed is None and not ticks else "")
    rated_by, note = reader.text("rated_by"), reader.text("note")
    reader.check()
    return PersonalTerms(rep or "", rate_person(ticks) if claimed is None else claimed, rated_by, note)


def read_recognition(attributes: Mapping[str, object]) -> RecognitionTerms:
    """The attributes of a `recognition_received`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    item, rep = reader.text("item"), reader.text("rep")
    reader.text("note")
    reader.check()
    return RecognitionTerms(item or "bobble-head", rep)


READERS: Mapping[str, Callable[[Mapping[str, object]], object]] = {
    OFFER_RATING: read_offer_rating,
    PERSONAL_RATING: read_personal_rating,
    RECOGNITION_RECEIVED: read_recognition,
}
"""The strict reader of each type's attributes."""


class OfferRating(NamedTuple):
    """One rating of the offer, by one person on one day. The level is left to the rules that are in force."""

    id: str
    rated_on: date
    terms: OfferTerms
    rated_at: datetime | None = None


class PersonalRating(NamedTuple):
    """One rating of one representative."""

    id: str
    rated_on: date
    terms: PersonalTerms
    rated_at: datetime | None = None


class Recognition(NamedTuple):
    """`account` gave something to show its esteem."""

    id: str
    account: str
    received_on: date
    item: str
    rep: str | None = None


def offer_rating_of(event: VerifiedEvent) -> OfferRating:
    """A claimed level is not looked at again: the policy may have changed since it was checked."""
    ticked = {name: value for name, value in event.attributes.items() if name != "level"}
    return OfferRating(event.id, event.occurred_on, read_offer_rating(ticked), event.occurred_at)


def personal_rating_of(event: VerifiedEvent) -> PersonalRating:
    return PersonalRating(event.id, event.occurred_on, read_personal_rating(event.attributes), event.occurred_at)


def recognition_of(event: VerifiedEvent, account: str) -> Recognition:
    terms = read_recognition(event.attributes)
    return Recognition(event.id, account, event.occurred_on, terms.item, terms.rep)
