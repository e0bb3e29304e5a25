"""What was recorded about one account by hand, with how old it is and whether it still counts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from typing import Any, TypeVar

from app.domain.care_events import CARE_ANSWER, SUCCESS_METRIC, USAGE_REPORT
from app.domain.days import iso
from app.domain.event_types import EVENT_TYPES
from app.domain.events import AdvocacyEvent, VerifiedEvent
from app.domain.model import Policy
from app.domain.permission_events import PERMISSION_GRANTED, RECORD_TYPES, read_grant
from app.domain.permissions import Ending, read_record
from app.domain.reference_events import REFERENCE_PROFILE, REFERENCE_TRAITS
from app.domain.relationship import (
    PersonalStanding,
    Place,
    Point,
    Standing,
    offer_history,
    offer_standing,
    personal_history,
    personal_standing,
    place_in_matrix,
)
from app.domain.relationship_events import (
    OFFER_LEVELS,
    OFFER_RATING,
    PERSONAL_LEVELS,
    PERSONAL_RATING,
    OfferRating,
    PersonalRating,
    level_of,
    offer_rating_of,
    personal_rating_of,
)
from app.domain.rules import RelationshipRules
from app.store.evidence import load_verified
from app.store.history import load_names
from app.sync.services import Services

_Rating = TypeVar("_Rating")

ASSESSED: tuple[str, ...] = (
    "annual_license_signed", "attention_given", "call_skipped", "care_answer", "churn_signal", "complaint",
    "contact_left", "escalation", "evaluation_effort", "needs_shared", "offer_rating", "opted_out",
    "permission_granted", "permission_promised", "permission_revoked", "permission_used", "personal_rating",
    "pilot_purchased", "problem_closed", "project_data_shared", "recognition_received", "recovered",
    "reference_outcome", "reference_profile", "reference_traits", "resting", "roadmap_shared", "roles_set",
    "success_metric", "usage_report", "value_stopped",
)  # fmt: skip
"""The types that people record by hand."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """One thing that was recorded. `says`: in words. `counts`: False for a rating that a later one replaced, or that
    is too old. `is_stale`: old enough by the policy to ask again. None where the question has no meaning.
    """

    event: VerifiedEvent
    says: str
    age_days: int
    counts: bool | None
    is_stale: bool | None

    def as_json(self) -> dict[str, Any]:
        event = self.event
        return {
            "event": event.id,
            "type": event.type,
            "occurred_on": event.occurred_on.isoformat(),
            "contact": event.contact,
            "says": self.says,
            "age_days": self.age_days,
            "counts": self.counts,
            "is_stale": self.is_stale,
            "attributes": dict(event.attributes),
        }


@dataclass(frozen=True, slots=True)
class AssessmentHistory:
    """Everything that was recorded by hand, newest first, and where it leads on the two scales."""

    account: str
    account_name: str
    as_of: date
    offer: Standing
    offer_points: tuple[Point, ...]
    personal: PersonalStanding
    personal_points: Mapping[str, tuple[Point, ...]]
    place: Place | None
    assessments: tuple[Assessment, ...]

    def as_json(self) -> dict[str, Any]:
        """The documented object."""
        return {
            "id": self.account,
            "name": self.account_name,
            "as_of": self.as_of.isoformat(),
            "offer": {**_show_standing(self.offer, OFFER_LEVELS), "history": _show_points(self.offer_points)},
            "personal": {
                "highest": self.personal.highest,
                "latest": self.personal.latest,
                "by_rep": [
                    {
                        "rep": rep,
                        **_show_standing(one, PERSONAL_LEVELS),
                        "history": _show_points(self.personal_points[rep]),
                    }
                    for rep, one in self.personal.by_rep
                ],
            },
            "matrix": None
            if self.place is None
            else {
                "offer": self.place.offer,
                "personal": self.place.personal,
                "difference": self.place.difference,
                "talking_point": self.place.talking_point,
            },
            "assessments": [one.as_json() for one in self.assessments],
        }


def _show_standing(standing: Standing, levels: Sequence[Any]) -> dict[str, Any]:
    return {
        "level": standing.level,
        "title": None if standing.level is None else levels[standing.level].title,
        "is_stale": standing.is_stale,
        "rated_on": iso(standing.rated_on),
        "raters": len(standing.votes),
    }


def _show_points(points: Sequence[Point]) -> list[dict[str, Any]]:
    return [{"from": point.day.isoformat(), "level": point.level} for point in points]


def list_assessments(services: Services, account_id: str, *, as_of: date | None = None) -> AssessmentHistory:
    """What was recorded about an account by hand, up to a day."""
    day, policy = as_of or services.today, services.mapping.policy
    rules = policy.relationship
    with services.database.read() as connection:
        events = load_verified(connection, [account_id], day, ASSESSED)[account_id]
        names = load_names(connection, "account", [account_id])
    offers = _read(events, OFFER_RATING, offer_rating_of)
    people = _read(events, PERSONAL_RATING, personal_rating_of)
    offer, personal = offer_standing(offers, rules, day), personal_standing(people, rules, day)
    counting = {vote.id for standing in (offer, *(one for _, one in personal.by_rep)) for vote in standing.votes}
    told = {**_tell_offers(offers, rules), **_tell_people(people)}
    return AssessmentHistory(
        account_id,
        names.get(account_id, ""),
        day,
        offer,
        tuple(offer_history(offers, rules, day)),
        personal,
        {rep: tuple(personal_history(people, rep, rules, day)) for rep, _ in personal.by_rep},
        place_in_matrix(offer.level, personal.highest),
        tuple(_assessments(events, told, counting, stale_days(policy), day)),
    )


def _read(events: Iterable[VerifiedEvent], code: str, read: Callable[[VerifiedEvent], _Rating]) -> list[_Rating]:
    """The ratings of one type. What is older than the door that checks it and cannot be read says nothing."""
    ratings = []
    for event in events:
        if event.type == code:
            with suppress(ValueError):
                ratings.append(read(event))
    return ratings


def _assessments(
    events: Sequence[VerifiedEvent],
    told: Mapping[str, str],
    counting: set[str],
    stale: Mapping[str, int],
    day: date,
) -> Iterator[Assessment]:
    for event in reversed(events):
        age = (day - event.occurred_on).days
        yield Assessment(
            event,
            told.get(event.id) or describe(event),
            age,
            event.id in counting if event.type in (OFFER_RATING, PERSONAL_RATING) else None,
            age >= stale[event.type] if event.type in stale else None,
        )


def stale_days(policy: Policy) -> dict[str, int]:
    """Type -> after how many days what was recorded should be asked again.

    What a reference can speak about ages like its traits do, and what success means like the answer why they care.
    """
    return {
        OFFER_RATING: policy.relationship.stale_days,
        PERSONAL_RATING: policy.relationship.stale_days,
        REFERENCE_TRAITS: policy.reference.traits_days,
        REFERENCE_PROFILE: policy.reference.traits_days,
        CARE_ANSWER: policy.care.answer_days,
        SUCCESS_METRIC: policy.care.answer_days,
        USAGE_REPORT: policy.care.usage_days,
    }


def _tell_offers(ratings: Sequence[OfferRating], rules: RelationshipRules) -> dict[str, str]:
    told = {}
    for one in ratings:
        level = OFFER_LEVELS[level_of(one.terms, rules)]
        told[one.id] = _join(f"{level.number} {level.title}", one.terms.rated_by, one.terms.note)
    return told


def _tell_people(ratings: Sequence[PersonalRating]) -> dict[str, str]:
    told = {}
    for one in ratings:
        level = PERSONAL_LEVELS[one.terms.level]
        told[one.id] = _join(f"{one.terms.rep}: {level.number} {level.title}", one.terms.rated_by, one.terms.note)
    return told


def _join(says: str, rated_by: str | None, note: str | None) -> str:
    by = f", by {rated_by}" if rated_by else ""
    return f"{says}{by}" + (f" ({note})" if note else "")


def describe_recorded(services: Services, event: AdvocacyEvent) -> str:
    """What was just recorded, in words."""
    plain = VerifiedEvent(
        event.source_event_id, event.type, event.occurred_on, event.occurred_at, event.contact, event.opportunity,
        event.valid_from, event.valid_to, event.polarity, event.title, event.url, event.attributes,
    )  # fmt: skip
    offers, people = _read([plain], OFFER_RATING, offer_rating_of), _read([plain], PERSONAL_RATING, personal_rating_of)
    told = {**_tell_offers(offers, services.mapping.policy.relationship), **_tell_people(people)}
    said = told.get(plain.id) or describe(plain)
    return f"{_title(event.type)}{': ' + said if said else ''}{_tell_doubt(services, event)}"


def _tell_doubt(services: Services, event: AdvocacyEvent) -> str:
    """Why a consent that was just recorded holds on no day: who gives one on the day of a no should hear of it."""
    if event.type != PERMISSION_GRANTED:
        return ""
    scopes = read_grant(event.attributes).scopes
    with services.database.read() as connection:
        known = read_record(load_verified(connection, [event.account], services.today, RECORD_TYPES)[event.account])
    lost = [
        one.scope.replace("_", " ")
        for one in known.consents_on(services.today)
        if (one.made_on, one.contact) == (event.occurred_on, event.contact) and one.ending is Ending.REVOKED
        if not one.ever_holds and one.scope in scopes
    ]
    if not lost:
        return ""
    return (
        f". {', '.join(lost)}: does not count, as it was taken back on the same day and nobody knows which came first;"
        " if it was given again afterwards, record it for the day after, or both with their hours"
    )


def _title(code: str) -> str:
    known = EVENT_TYPES.get(code)
    return known.title if known else code


def describe(event: VerifiedEvent) -> str:
    """The attributes in words: `logo, basic; granted by Ada`. Whatever type it is."""
    parts = [event.title] if event.title else []
    for name in sorted(event.attributes, key=lambda name: (name not in _FIRST, name)):
        value = event.attributes[name]
        words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if isinstance(value, bool):
            parts.append(name.replace("_", " ") + ("" if value else ": no"))
        elif value not in (None, "", []):
            parts.append(words if name in _FIRST else f"{name.replace('_', ' ')} {words}")
    ends = f"until {event.valid_to}" if event.valid_to else ""
    about = [f"{name} {id_}" for name, id_ in (("contact", event.contact), ("deal", event.opportunity)) if id_]
    return "; ".join(part for part in (*parts, *about, ends) if part)


_FIRST = ("scopes", "bucket", "item", "kind", "note", "verbatim")
"""Attributes whose value speaks for itself."""
