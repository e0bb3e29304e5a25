"""How much a customer values the offer, and how much it values the person: two scales from 0 to 4, never mixed.

Where several people rate, each one's latest rating counts and the lower median of them is the level: a whole number,
and on the careful side. Raters are told apart by name, however it is written. Ratings without a name are of one rater
only where they are of one day: the later one corrects the earlier. Zero is a value; nobody having rated is none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

from app.domain.days import days_after, first_change
from app.domain.relationship_events import OfferRating, PersonalRating, Recognition, level_of
from app.domain.rules import RelationshipRules


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
