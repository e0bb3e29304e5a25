"""What people record by hand: one advocacy event a command, which may be repeated.

Whoever says the same again on the same day changes nothing. Whoever says it again after something else was said on
that subject has changed its mind back, and that is news.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from decimal import Decimal

from app.domain.events import AdvocacyEvent
from app.domain.model import Policy
from app.intake.event_fields import FieldProblem, Reader, RejectedEventError, read_event
from app.intake.strict_json import JsonValue
from app.store.database import Database
from app.store.events import StoredEvent, load_day, save_events

SOURCE = "advocacy"
"""The source system of everything that is recorded here."""

_OPPOSITES: tuple[frozenset[str], ...] = (
    frozenset({"permission_granted", "permission_revoked", "contact_left"}),
    frozenset({"value_stopped", "recovered"}),
    frozenset({"resting", "opted_out"}),
)
"""Types that have a say in each other's subject."""
_SUBJECT = ("event", "rated_by", "rep", "owner", "kind", "name", "scopes")
"""Attributes that say what, or whose word, an event is about."""
_IDENTITY = frozenset({"source_system", "source_event_id", "occurred_at"})


@dataclass(frozen=True, slots=True)
class Recorded:
    """`is_new`: it was not known before."""

    event: AdvocacyEvent
    is_new: bool


def record(
    database: Database,
    columns: Mapping[str, JsonValue],
    reader: Reader,
    *,
    today: date,
    now: datetime,
    policy: Policy,
    event_id: str | None = None,
) -> Recorded:
    """Store one event of today, or of the day it names. `event_id`: instead of the identity that follows from content.

    `today`: the business date, which may be pretended; `now`: the hour of the clock, which orders what is told on it.
    Raises RejectedEventError with every problem.
    """
    # Whoever records it vouches for it: the same content, as stored, is the same event.
    day = {} if columns.get("occurred_at") else {"occurred_on": today.isoformat()}
    given = {**day, "status": "verified", **columns, "source_system": SOURCE}
    event = read_event({**given, "source_event_id": event_id or "-"}, reader)
    if event.occurred_on > today:
        raise RejectedEventError([FieldProblem("occurred_on", f"{event.occurred_on} has not come yet")])
    if event_id is None:
        known = load_day(database, event.account, event.occurred_on, _types_beside(event.type), source_system=SOURCE)
        repeated = _find_repeated(event, known)
        if repeated is not None:
            return Recorded(repeated, is_new=False)
        given["source_event_id"] = _name(event, known)
    else:
        given["source_event_id"] = event_id
    if event.occurred_on == today:
        # Of two words of one day the later hour counts.
        given.setdefault("occurred_at", now.isoformat())
    event = read_event(given, reader)
    report = save_events(database, [event], now=now, policy=policy)
    differing = {name for conflict in report.conflicts for name in conflict.differing} - {"occurred_at"}
    if differing:
        said = ", ".join(sorted(differing))
        message = f"{event.source_event_id} is taken by an event that says otherwise about {said}: choose another id"
        raise RejectedEventError([FieldProblem("source_event_id", message)])
    return Recorded(event, is_new=report.added > 0)


def _types_beside(code: str) -> frozenset[str]:
    return next((types for types in _OPPOSITES if code in types), frozenset({code}))


def _find_repeated(event: AdvocacyEvent, known: Sequence[StoredEvent]) -> AdvocacyEvent | None:
    """The same event, when it is the last word of that day on its subject."""
    spoken = [one.event for one in known if _is_about_the_same(one.event, event)]
    return spoken[-1] if spoken and _content(spoken[-1]) == _content(event) else None


def _is_about_the_same(one: AdvocacyEvent, other: AdvocacyEvent) -> bool:
    if one.type != other.type:
        return one.contact is None or other.contact is None or one.contact == other.contact
    return (one.contact, one.opportunity, _subject(one)) == (other.contact, other.opportunity, _subject(other))


def _subject(event: AdvocacyEvent) -> list[object]:
    return [event.attributes.get(name) for name in _SUBJECT]


def _name(event: AdvocacyEvent, known: Sequence[StoredEvent]) -> str:
    """An id that sorts in the order of recording, and is the same for the same content at the same place."""
    place = sum(one.event.type == event.type for one in known) + 1
    digest = hashlib.sha256(_content(event).encode()).hexdigest()[:16]
    return f"{event.type}-{event.occurred_on}-{place:04}-{digest}"


def _content(event: AdvocacyEvent) -> str:
    values = {one.name: getattr(event, one.name) for one in fields(event) if one.name not in _IDENTITY}
    return json.dumps(values, sort_keys=True, default=_as_text, ensure_ascii=False)


def _as_text(value: object) -> str:
    if isinstance(value, Decimal):
        return format(value.normalize(), "f")
    return value.isoformat() if isinstance(value, date) else str(value)
