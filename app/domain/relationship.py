"""How much a customer values the offer, and how much it values the person: two scales from 0 to 4, never mixed.

A rating is made by ticking what is so, and the level follows from the ticks. The offer is rated per account, the
person per account and representative. Where several people rate, each one's latest rating counts and the lower median
of them is the level: a whole number, and on the careful side. Raters are told apart by name, however it is written.
Ratings without a name are of one rater only where they are of one day: the later one corrects the earlier. Zero is a
value; nobody having rated is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

from app.domain.attributes import AttributeReader
from app.domain.days import days_after, first_change
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


# --- what a rating says ----------------------------------------------------------------------------------------------


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
    ticks: tuple[Tick, ...] = ()
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
    return PersonalTerms(rep or "", rate_person(ticks) if claimed is None else claimed, ticks, rated_by, note)


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


# --- facts -----------------------------------------------------------------------------------------------------------


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


# --- where an account stands -----------------------------------------------------------------------------------------


class Vote(NamedTuple):
    """One rating, reduced to its level. `rater`: who rated, as it is compared."""

    rater: str
    level: int
    day: date
    at: datetime | None
    id: str

    @property
    def order(self) -> tuple[date, float, str]:
        return self.day, self.at.timestamp() if self.at else 0.0, self.id


@dataclass(frozen=True, slots=True)
class Standing:
    """The level on one scale; None: nobody has rated, or not for too long. `votes`: each rater's latest that counts.

    `is_stale`: the latest rating, counted or not, is old enough to ask again. `rated_on`: its day.
    `next_change_on`: when time alone changes level or staleness.
    """

    level: int | None = None
    is_stale: bool = False
    rated_on: date | None = None
    votes: tuple[Vote, ...] = ()
    next_change_on: date | None = None


NOT_RATED = Standing()


def offer_standing(ratings: Iterable[OfferRating], rules: RelationshipRules, as_of: date) -> Standing:
    """How much one account values the offer."""
    return _stand(_offer_votes(ratings, rules), rules, as_of)


def _rater(rating: OfferRating | PersonalRating) -> str:
    """One person however the name is written. Without a name, what is said again on one day corrects what was said."""
    name = " ".join((rating.terms.rated_by or "").split()).casefold()
    return f"name {name}" if name else f"day {rating.rated_on}"


def _offer_votes(ratings: Iterable[OfferRating], rules: RelationshipRules) -> list[Vote]:
    return [Vote(_rater(one), level_of(one.terms, rules), one.rated_on, one.rated_at, one.id) for one in ratings]


@dataclass(frozen=True, slots=True)
class PersonalStanding:
    """How much one account values each representative. `by_rep`: in the order of their ids.

    `highest`: the best level among them; `latest`: the level of whoever was rated last.
    """

    by_rep: tuple[tuple[str, Standing], ...] = ()
    highest: int | None = None
    latest: int | None = None
    next_change_on: date | None = None

    @property
    def best(self) -> Standing | None:
        """How whoever reaches the highest level stands: of several the one who was rated last."""
        rated = [one for _, one in self.by_rep if one.level is not None]
        return max(rated, key=lambda one: (one.level or 0, one.rated_on or date.min), default=None)

    @property
    def is_stale(self) -> bool:
        """Whether the rating behind the highest level is old; where none counts any more, whether anybody was rated."""
        best = self.best
        return best.is_stale if best else any(one.is_stale for _, one in self.by_rep)


NOBODY_RATED = PersonalStanding()


def personal_standing(ratings: Iterable[PersonalRating], rules: RelationshipRules, as_of: date) -> PersonalStanding:
    """How much one account values the people it deals with."""
    votes: dict[str, list[Vote]] = {}
    for one in ratings:
        vote = Vote(_rater(one), one.terms.level, one.rated_on, one.rated_at, one.id)
        votes.setdefault(one.terms.rep, []).append(vote)
    if not votes:
        return NOBODY_RATED
    by_rep = tuple((rep, _stand(votes[rep], rules, as_of)) for rep in sorted(votes))

    def judge(day: date) -> tuple[object, ...]:
        levels = [_median(_counted(some, rules, day)) for some in votes.values()]
        return levels, [_is_stale(some, rules, day) for some in votes.values()], _latest(votes.values(), rules, day)

    edges = (day for some in votes.values() for day in _edges(some, rules))
    return PersonalStanding(
        by_rep,
        max((one.level for _, one in by_rep if one.level is not None), default=None),
        _latest(votes.values(), rules, as_of),
        first_change(as_of, edges, judge),
    )


def _latest(votes: Iterable[Sequence[Vote]], rules: RelationshipRules, day: date) -> int | None:
    """The level of whoever was rated last."""
    counted = [counted for some in votes if (counted := _counted(some, rules, day))]
    return _median(max(counted, key=lambda some: max(vote.order for vote in some))) if counted else None


def _stand(votes: Sequence[Vote], rules: RelationshipRules, as_of: date) -> Standing:
    if not votes:
        return NOT_RATED

    def judge(day: date) -> tuple[int | None, bool]:
        return _median(_counted(votes, rules, day)), _is_stale(votes, rules, day)

    level, is_stale = judge(as_of)
    return Standing(
        level,
        is_stale,
        max((vote.day for vote in votes if vote.day <= as_of), default=None),
        tuple(sorted(_counted(votes, rules, as_of), key=lambda vote: (vote.rater, vote.id))),
        first_change(as_of, _edges(votes, rules), judge),
    )


def _edges(votes: Iterable[Vote], rules: RelationshipRules) -> Iterator[date]:
    spans = (0, rules.rating_days, rules.stale_days)
    return (days_after(vote.day, span) for vote in votes for span in spans)


def _counted(votes: Iterable[Vote], rules: RelationshipRules, day: date) -> list[Vote]:
    """Each rater's latest rating, where it still counts."""
    latest: dict[str, Vote] = {}
    for vote in sorted((vote for vote in votes if vote.day <= day), key=lambda vote: vote.order):
        latest[vote.rater] = vote
    return [vote for vote in latest.values() if day < days_after(vote.day, rules.rating_days)]


def _median(votes: Sequence[Vote]) -> int | None:
    """The lower one of two in the middle."""
    levels = sorted(vote.level for vote in votes)
    return levels[(len(levels) - 1) // 2] if levels else None


def _is_stale(votes: Iterable[Vote], rules: RelationshipRules, day: date) -> bool:
    latest = max((vote.day for vote in votes if vote.day <= day), default=None)
    return latest is not None and day >= days_after(latest, rules.stale_days)


class Point(NamedTuple):
    """The level from that day on."""

    day: date
    level: int | None


def offer_history(ratings: Iterable[OfferRating], rules: RelationshipRules, as_of: date) -> list[Point]:
    """How the level of the offer has moved, oldest first: one point for each day on which it changed."""
    return _history(_offer_votes(ratings, rules), rules, as_of)


def personal_history(ratings: Iterable[PersonalRating], rep: str, rules: RelationshipRules, as_of: date) -> list[Point]:
    """How the level of one representative has moved, oldest first: one point for each day on which it changed."""
    votes = [
        Vote(_rater(one), one.terms.level, one.rated_on, one.rated_at, one.id)
        for one in ratings
        if one.terms.rep == rep
    ]
    return _history(votes, rules, as_of)


def _history(votes: Sequence[Vote], rules: RelationshipRules, as_of: date) -> list[Point]:
    days = {day for vote in votes for day in (vote.day, days_after(vote.day, rules.rating_days)) if day <= as_of}
    points: list[Point] = []
    for day in sorted(days):
        level = _median(_counted(votes, rules, day))
        if not points or points[-1].level != level:
            points.append(Point(day, level))
    return points


def level_before(points: Sequence[Point]) -> int | None:
    """The latest level of a history that is not the present one; None: there never was another."""
    now = points[-1].level if points else None
    return next((one.level for one in reversed(points) if one.level not in (None, now)), None)


# --- both scales together --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A cell of the five by five matrix. `difference`: the offer's level minus the person's."""

    offer: int
    personal: int

    @property
    def difference(self) -> int:
        return self.offer - self.personal

    @property
    def talking_point(self) -> str:
        """What the difference says, and what to talk about."""
        if self.difference > 0:
            return (
                f"The offer is valued {_steps(self.difference)} more than the person: any of us could serve them."
                " Learn their business before a competitor's representative does."
            )
        if self.difference < 0:
            return (
                f"The person is valued {_steps(-self.difference)} more than the offer: the account leaves with the"
                " person. Show what the offer does in their own numbers."
            )
        return "Offer and person are valued alike: raise both together."


def _steps(number: int) -> str:
    return "one level" if number == 1 else f"{number} levels"


def place_in_matrix(offer: int | None, personal: int | None) -> Place | None:
    """Where both levels meet; None while one of them is unknown."""
    return None if offer is None or personal is None else Place(offer, personal)


def count_recognitions(recognitions: Iterable[Recognition], as_of: date) -> int:
    """How many tokens of esteem were given, up to a day."""
    return len({one.id for one in recognitions if one.received_on <= as_of})


def clients_by_rep(recognitions: Iterable[Recognition], as_of: date) -> dict[str, int]:
    """Representative -> how many accounts gave it one of its own, each account once however often it gave."""
    pairs = {(one.rep, one.account) for one in recognitions if one.rep is not None and one.received_on <= as_of}
    return {rep: sum(1 for other, _ in pairs if other == rep) for rep in sorted({rep for rep, _ in pairs})}
