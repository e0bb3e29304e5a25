"""What people record about consents: given, withdrawn, promised in a deal, used, and gone with a person.

The readers of the attributes are strict, for the door; `..._of` turn a verified event into the fact that it states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from app.domain.attributes import AttributeReader
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.reference_scopes import BY_SUB_LEVEL, ReferenceScope

PERMISSION_GRANTED = "permission_granted"
PERMISSION_REVOKED = "permission_revoked"
PERMISSION_PROMISED = "permission_promised"
PERMISSION_USED = "permission_used"
CONTACT_LEFT = "contact_left"

_Scopes = tuple[ReferenceScope, ...]


# --- what events say -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GrantTerms:
    """`document`: where the consent is written down, an address or some words."""

    scopes: _Scopes
    granted_by: str | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class PromiseTerms:
    """`due_on`: the last day to keep the promise; None: the policy's number of days."""

    scopes: _Scopes
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class UseTerms:
    """`where`: the page, the slide, the call it was used for."""

    scope: ReferenceScope
    where: str | None = None


def read_grant(attributes: Mapping[str, object]) -> GrantTerms:
    """The attributes of a `permission_granted`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    scopes = _read_scopes(reader, is_required=True)
    granted_by, document = reader.text("granted_by"), reader.text("document")
    _close(reader)
    return GrantTerms(scopes, granted_by, document)


def read_revocation(attributes: Mapping[str, object]) -> _Scopes:
    """The scopes of a `permission_revoked`, all of them where it names none. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    scopes = _read_scopes(reader)
    _close(reader)
    return scopes or tuple(ReferenceScope)


def read_promise(attributes: Mapping[str, object]) -> PromiseTerms:
    """The attributes of a `permission_promised`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    scopes, due_on = _read_scopes(reader, is_required=True), reader.day("due_on")
    _close(reader)
    return PromiseTerms(scopes, due_on)


def read_use(attributes: Mapping[str, object]) -> UseTerms:
    """The attributes of a `permission_used`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    scopes, where = _read_scopes(reader, is_required=True), reader.text("where")
    rule = "`scopes` is exactly one scope: log one use for each"
    reader.demand(rule, rule if len(scopes) > 1 else "")
    _close(reader)
    return UseTerms(scopes[0], where)


def read_departure(attributes: Mapping[str, object]) -> str | None:
    """The `note` of a `contact_left`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    note = reader.text("note")
    reader.check()
    return note


def _read_scopes(reader: AttributeReader, *, is_required: bool = False) -> _Scopes:
    is_empty = reader.has("scopes") and not reader.words("scopes")
    scopes = reader.choices("scopes", tuple(ReferenceScope), is_required=is_required)
    if is_empty:
        # Whoever empties the list of what is revoked does not mean everything.
        reader.refuse(f"`scopes` names at least one of {', '.join(ReferenceScope)}")
    return tuple(ReferenceScope(code) for code in scopes)


def _close(reader: AttributeReader) -> None:
    reader.text("note")
    reader.check()


READERS: Mapping[str, Callable[[Mapping[str, object]], object]] = {
    PERMISSION_GRANTED: read_grant,
    PERMISSION_REVOKED: read_revocation,
    PERMISSION_PROMISED: read_promise,
    PERMISSION_USED: read_use,
    CONTACT_LEFT: read_departure,
}
"""The strict reader of each type's attributes."""
REQUIRED: Mapping[str, tuple[str, ...]] = {PERMISSION_PROMISED: ("opportunity",), CONTACT_LEFT: ("contact",)}
"""What the envelope of an event of that type must name."""


# --- facts -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Grant:
    """`made_on`, `made_at`: when it was given, and so from when on it is known; `start`: its first day."""

    id: str
    scopes: _Scopes
    made_on: date
    start: date
    end: date | None = None
    made_at: datetime | None = None
    contact: str | None = None
    granted_by: str | None = None
    document: str | None = None


@dataclass(frozen=True, slots=True)
class Revocation:
    """Ends every consent for its scopes that was given before, from `day` on: personal ones only of its `contact`.

    `contact` None: of the whole account.
    """

    id: str
    scopes: _Scopes
    made_on: date
    day: date
    made_at: datetime | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Departure:
    """From `day` on the person is gone, and with it what it allowed for itself."""

    id: str
    contact: str
    made_on: date
    day: date
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    id: str
    scopes: _Scopes
    made_on: date
    opportunity: str
    due_on: date | None = None


@dataclass(frozen=True, slots=True)
class Use:
    """Something of the customer's was used: a call was taken, a page published."""

    id: str
    scope: ReferenceScope
    used_on: date
    where: str | None = None
    contact: str | None = None
    opportunity: str | None = None


def grant_of(event: VerifiedEvent) -> Grant:
    terms = read_grant(event.attributes)
    return Grant(
        id=event.id, scopes=terms.scopes, made_on=event.occurred_on, start=event.start, end=event.valid_to,
        made_at=event.occurred_at, contact=event.contact, granted_by=terms.granted_by, document=terms.document,
    )  # fmt: skip


def revocation_of(event: VerifiedEvent) -> Revocation:
    """One that cannot be read revokes everything: somebody said no, and nobody can tell to how little."""
    try:
        scopes = read_revocation(event.attributes)
    except ValueError:
        scopes = tuple(ReferenceScope)
    return Revocation(event.id, scopes, event.occurred_on, event.start, event.occurred_at, event.contact)


def departure_of(event: VerifiedEvent) -> Departure:
    """Raises ValueError for an event that names nobody."""
    if event.contact is None:
        raise ValueError("`contact` is missing: who left?")
    return Departure(event.id, event.contact, event.occurred_on, event.start, event.occurred_at)


def promise_of(event: VerifiedEvent) -> Promise:
    """Raises ValueError for an event without an opportunity."""
    if event.opportunity is None:
        raise ValueError("`opportunity` is missing: in which deal was it promised?")
    terms = read_promise(event.attributes)
    return Promise(event.id, terms.scopes, event.occurred_on, event.opportunity, terms.due_on)


def use_of(event: VerifiedEvent) -> Use | None:
    """The use that an event is: a logged one, or something delivered that takes a permission; None for all others."""
    if event.type == PERMISSION_USED:
        terms = read_use(event.attributes)
        return Use(event.id, terms.scope, event.occurred_on, terms.where, event.contact, event.opportunity)
    event_type = EVENT_TYPES.get(event.type)
    scope = BY_SUB_LEVEL.get(event_type.permission) if event_type else None
    if event_type is None or scope is None:
        return None
    where = event.title or event.url or event_type.title
    return Use(event.id, scope, event.occurred_on, where, event.contact, event.opportunity)


RECORD_TYPES: tuple[str, ...] = tuple(
    sorted({*READERS, *(code for code, one in EVENT_TYPES.items() if one.permission)})
)
"""The types of events that `read_record` looks at."""
