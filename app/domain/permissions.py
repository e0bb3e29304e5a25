"""What a customer lets us do with its name: eight independent consents, each with a scope, a person and an end.

They are no staircase: who lends the logo may still refuse a call. So a standing is a set, and before any use the
consent for that very scope and day is asked for; the commitment level is not a permission. A consent is valid on a day
when `start <= day < end`. It ends by its own expiry, by a revocation, when a later consent of the same person for the
same scope replaces it and, where it is personal, when the person leaves. On one day a revocation beats a consent,
unless the times of both are known and the consent is the later one: in doubt, nothing leaves the house.

A personal consent that names nobody covers everybody there, but nobody who withdrew from it later, and nobody who
left. What belongs to the company anybody there may withdraw, whoever granted it.

A permission is a term of a deal like the price. So what was promised in a deal is compared with what was granted and
used. Only events with the status `verified` come in here; their accounts are resolved through merges before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import TypeVar

from app.domain.attributes import AttributeReader
from app.domain.days import days_after, first_change
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.rules import CommitmentRules


class ReferenceScope(StrEnum):
    """8a to 8h, in the order of the ladder."""

    BASIC = "basic"
    NDA_ONLY = "nda_only"
    LINKEDIN = "linkedin"
    WEB_RELEASE = "web_release"
    PRESS_RELEASE = "press_release"
    OTHER_PUBLIC_DOCUMENT = "other_public_document"
    JOINT_PRESS_RELEASE = "joint_press_release"
    LOGO = "logo"

    @property
    def sub_level(self) -> str:
        """Its place on the ladder, `8a` to `8h`."""
        return SUB_LEVELS[self]

    @property
    def meaning(self) -> str:
        """What it allows, for people."""
        return _MEANINGS[self]

    @property
    def is_personal(self) -> bool:
        """Whether it is given by a person for itself, and goes with that person."""
        return self in PERSONAL


SUB_LEVELS: Mapping[ReferenceScope, str] = {
    scope: f"8{letter}" for scope, letter in zip(ReferenceScope, "abcdefgh", strict=True)
}
BY_SUB_LEVEL: Mapping[str, ReferenceScope] = {level: scope for scope, level in SUB_LEVELS.items()}
PERSONAL = frozenset(
    {ReferenceScope.BASIC, ReferenceScope.NDA_ONLY, ReferenceScope.LINKEDIN, ReferenceScope.WEB_RELEASE}
)
_MEANINGS: Mapping[ReferenceScope, str] = {
    ReferenceScope.BASIC: "takes calls from new prospects",
    ReferenceScope.NDA_ONLY: "name, title and company on a slide shown under NDA",
    ReferenceScope.LINKEDIN: "a reference on LinkedIn; suits firms that sell services",
    ReferenceScope.WEB_RELEASE: "name, title and company on the web site, with a testimonial statement",
    ReferenceScope.PRESS_RELEASE: "a press release with an agreed quote, or a set of quotes",
    ReferenceScope.OTHER_PUBLIC_DOCUMENT: "a case study, a white paper, a joint paper for a technical conference",
    ReferenceScope.JOINT_PRESS_RELEASE: "a joint press release; very big with a public company, hard for a young firm",
    ReferenceScope.LOGO: "the corporate logo; normally more effort than the word of one person",
}

PERMISSION_GRANTED = "permission_granted"
PERMISSION_REVOKED = "permission_revoked"
PERMISSION_PROMISED = "permission_promised"
PERMISSION_USED = "permission_used"
CONTACT_LEFT = "contact_left"

_Scopes = tuple[ReferenceScope, ...]
_Fact = TypeVar("_Fact")


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
    if len(scopes) > 1:
        reader.refuse("`scopes` is exactly one scope: log one use for each")
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


@dataclass(frozen=True, slots=True)
class PermissionRecord:
    """All that the events of one account say about permissions."""

    grants: tuple[Grant, ...] = ()
    revocations: tuple[Revocation, ...] = ()
    departures: tuple[Departure, ...] = ()
    promises: tuple[Promise, ...] = ()
    uses: tuple[Use, ...] = ()

    def on(self, as_of: date) -> Permissions:
        """What is allowed on a day, and when that changes."""
        return permissions_on(self.grants, self.revocations, self.departures, as_of)

    def departed_on(self, known_on: date) -> dict[str, date]:
        """Person -> from when on it is gone, as far as is known on a day."""
        return _departed(self.grants, self.departures, known_on)

    def consents_on(self, known_on: date) -> tuple[Consent, ...]:
        """Every consent that is known on a day, ended ones included; by scope, then by start."""
        return _resolve(self.grants, self.revocations, self.departures, known_on)


def read_record(events: Iterable[VerifiedEvent]) -> PermissionRecord:
    """Sort out the events of one account. What is older than its door and cannot be read allows nothing."""
    events = list(events)
    return PermissionRecord(
        tuple(_each(events, PERMISSION_GRANTED, grant_of)),
        tuple(_each(events, PERMISSION_REVOKED, revocation_of)),
        tuple(_each(events, CONTACT_LEFT, departure_of)),
        tuple(_each(events, PERMISSION_PROMISED, promise_of)),
        tuple(use for use in _each(events, None, use_of) if use is not None),
    )


def _each(events: Iterable[VerifiedEvent], code: str | None, read: Callable[[VerifiedEvent], _Fact]) -> Iterator[_Fact]:
    for event in events:
        if code is None or event.type == code:
            with suppress(ValueError):
                yield read(event)


RECORD_TYPES: tuple[str, ...] = tuple(
    sorted({*READERS, *(code for code, one in EVENT_TYPES.items() if one.permission)})
)
"""The types of events that `read_record` looks at."""


# --- what holds ------------------------------------------------------------------------------------------------------


class Ending(StrEnum):
    """Why a consent ends."""

    EXPIRY = "expiry"
    REVOKED = "revoked"
    LEFT = "left"
    REPLACED = "replaced"


@dataclass(frozen=True, slots=True)
class Consent:
    """One scope of one grant, with the end that it really has. `end`: the first day it no longer holds."""

    scope: ReferenceScope
    start: date
    end: date | None
    ending: Ending | None
    source: str
    """The event it was granted by."""
    contact: str | None = None
    granted_by: str | None = None
    document: str | None = None
    made_on: date = date.min
    made_at: datetime | None = None

    def holds_on(self, day: date) -> bool:
        return self.start <= day and (self.end is None or day < self.end)

    @property
    def ever_holds(self) -> bool:
        return self.end is None or self.start < self.end


@dataclass(frozen=True, slots=True)
class Permissions:
    """What a customer allows. `valid`: from 8a to 8h; `oldest`: of the consents that are valid the one held longest.

    `next_change_on`: the first day on which time alone changes `valid`; `turns_on`: the first on which it leaves
    nothing of it, or, while nothing is valid, makes something so; `basic_turns_on`: the first on which `basic` turns.
    """

    valid: _Scopes = ()
    consents: tuple[Consent, ...] = ()
    """All that are known, ended ones included; by scope, then by start."""
    oldest: Consent | None = None
    turns_on: date | None = None
    basic_turns_on: date | None = None
    next_change_on: date | None = None
    revocations: tuple[Revocation, ...] = ()
    """All that are known."""
    departed: Mapping[str, date] = field(default_factory=dict)
    """Person -> from when on it is gone."""

    @property
    def strongest(self) -> ReferenceScope | None:
        return self.valid[-1] if self.valid else None

    @property
    def since(self) -> date | None:
        """The first day on which anything was allowed, whatever became of it."""
        return min((consent.start for consent in self.consents if consent.ever_holds), default=None)

    def has_left(self, contact: str, day: date) -> bool:
        return self.departed.get(contact, date.max) <= day


NOTHING_ALLOWED = Permissions()


def permissions_on(
    grants: Sequence[Grant], revocations: Sequence[Revocation], departures: Sequence[Departure], as_of: date
) -> Permissions:
    """What one account allows on a day, as far as it is known on that day."""
    if not grants:
        return NOTHING_ALLOWED

    consents = _resolve(grants, revocations, departures, as_of)
    known_revocations = (revoked for revoked in revocations if revoked.made_on <= as_of)
    told = (
        *(grant.made_on for grant in grants),
        *(revoked.made_on for revoked in revocations),
        *(left.made_on for left in departures),
    )
    news = sorted({day for day in told if day > as_of})

    @cache
    def valid_on(day: date) -> _Scopes:
        # Only an event that is still to come can change what is known today.
        is_known = not news or day < news[0]
        known = consents if is_known else _resolve(grants, revocations, departures, day)
        held = {consent.scope for consent in known if consent.holds_on(day)}
        return tuple(scope for scope in ReferenceScope if scope in held)

    edges = [
        *told,
        *(day for grant in grants for day in (grant.start, grant.end) if day),
        *(revoked.day for revoked in revocations),
        *(left.day for left in departures),
    ]
    return Permissions(
        valid=valid_on(as_of),
        consents=consents,
        oldest=min(
            (one for one in consents if one.holds_on(as_of)), key=lambda one: (one.start, one.source), default=None
        ),
        turns_on=first_change(as_of, edges, lambda day: bool(valid_on(day))),
        basic_turns_on=first_change(as_of, edges, lambda day: ReferenceScope.BASIC in valid_on(day)),
        next_change_on=first_change(as_of, edges, valid_on),
        revocations=tuple(sorted(known_revocations, key=lambda one: (one.day, one.id))),
        departed=_departed(grants, departures, as_of),
    )


def _resolve(
    grants: Sequence[Grant], revocations: Sequence[Revocation], departures: Sequence[Departure], known_on: date
) -> tuple[Consent, ...]:
    """Every consent with its end, from what has happened by that day."""
    given = sorted(
        (grant for grant in grants if grant.made_on <= known_on and (grant.end is None or grant.start < grant.end)),
        key=lambda grant: (grant.made_on, grant.made_at.timestamp() if grant.made_at else 0.0, grant.id),
    )
    withdrawn = [revoked for revoked in revocations if revoked.made_on <= known_on]
    gone = [left for left in departures if left.made_on <= known_on]
    consents = [
        _settle(grant, scope, given[place + 1 :], withdrawn, gone)
        for place, grant in enumerate(given)
        for scope in grant.scopes
    ]
    order = {scope: place for place, scope in enumerate(ReferenceScope)}
    return tuple(sorted(consents, key=lambda one: (order[one.scope], one.start, one.contact or "", one.source)))


def _settle(
    grant: Grant,
    scope: ReferenceScope,
    later: Sequence[Grant],
    revocations: Iterable[Revocation],
    departures: Iterable[Departure],
) -> Consent:
    ends: list[tuple[date, Ending]] = [(grant.end, Ending.EXPIRY)] if grant.end else []
    ends += [
        *((one.day, Ending.REVOKED) for one in revocations if _revokes(one, grant, scope)),
        *((one.day, Ending.LEFT) for one in departures if scope.is_personal and _leaves(one, grant)),
        *((one.start, Ending.REPLACED) for one in later if one.contact == grant.contact and scope in one.scopes),
    ]
    end, ending = min(ends) if ends else (None, None)
    return Consent(
        scope, grant.start, end, ending, grant.id, grant.contact, grant.granted_by, grant.document, grant.made_on,
        grant.made_at,
    )  # fmt: skip


def _revokes(revocation: Revocation, grant: Grant, scope: ReferenceScope) -> bool:
    # The company's name is one: a no from anybody there is a no.
    of_whom = not scope.is_personal or revocation.contact in (None, grant.contact)
    return of_whom and scope in revocation.scopes and not _is_after(grant, revocation)


def _leaves(departure: Departure, grant: Grant) -> bool:
    return departure.contact == grant.contact and not _is_after(grant, departure)


def _departed(grants: Iterable[Grant], departures: Iterable[Departure], known_on: date) -> dict[str, date]:
    """Whoever consents to anything after leaving is back."""
    own = [grant for grant in grants if grant.contact is not None and grant.made_on <= known_on]
    gone = sorted((left.day, left.contact) for left in departures if left.made_on <= known_on and not any(
        grant.contact == left.contact and _is_after(grant, left) for grant in own
    ))  # fmt: skip
    return {contact: day for day, contact in reversed(gone)}


def _is_after(grant: Grant | Consent, other: Revocation | Departure) -> bool:
    """Whether the grant was surely given after the other; in doubt it was not."""
    if grant.made_on != other.made_on or grant.made_at is None or other.made_at is None:
        return grant.made_on > other.made_on
    return grant.made_at > other.made_at


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether something may be used, why or why not, and the consent that decides it."""

    is_allowed: bool
    reason: str
    consent: Consent | None = None


def may_use(permissions: Permissions, scope: ReferenceScope, day: date, contact: str | None = None) -> Verdict:
    """Ask before every use. `contact`: the person whose word or name it is; only personal scopes look at it.

    A consent that names no person was given for the account, and covers everybody but those who withdrew from it later
    and those who left.
    """
    person = contact if scope.is_personal else None
    given = [
        consent if person is None else _for_person(consent, person, permissions)
        for consent in permissions.consents
        if consent.scope is scope and (person is None or consent.contact in (None, person))
    ]
    held = [consent for consent in given if consent.holds_on(day)]
    if held:
        consent = max(held, key=lambda one: (one.end or date.max, one.start, one.source))
        until = f", until {consent.end} exclusive" if consent.end else ""
        return Verdict(True, f"allowed{_by(consent)} since {consent.start}{until}", consent)
    if not given:
        return Verdict(False, f"nobody has granted {scope} ({scope.sub_level})")
    ended = [consent for consent in given if consent.start <= day or (consent.end or date.max) <= day]
    if not ended:
        consent = min(given, key=lambda one: (one.start, one.source))
        return Verdict(False, f"granted{_by(consent)} only from {consent.start} on", consent)
    consent = max(ended, key=lambda one: (one.end or date.max, one.start, one.source))
    return Verdict(False, _tell_end(consent, person), consent)


def _for_person(consent: Consent, person: str, permissions: Permissions) -> Consent:
    """What of a consent covers one person: less, where it was given for all and this one withdrew from it or left."""
    if consent.contact is not None:
        return consent
    ends: list[tuple[date, Ending]] = [
        (one.day, Ending.REVOKED)
        for one in permissions.revocations
        if one.contact == person and consent.scope in one.scopes and not _is_after(consent, one)
    ]
    if person in permissions.departed:
        ends.append((permissions.departed[person], Ending.LEFT))
    if not ends or (consent.end is not None and consent.end <= min(ends)[0]):
        return consent
    end, ending = min(ends)
    return replace(consent, end=end, ending=ending)


def _by(consent: Consent) -> str:
    who = consent.granted_by or consent.contact
    return f" by {who}" if who else ""


def _tell_end(consent: Consent, person: str | None) -> str:
    if consent.ending is Ending.LEFT and consent.contact is None:
        return f"granted{_by(consent)} for everybody, but {person} left on {consent.end}"
    return _ENDED[consent.ending or Ending.EXPIRY].format(by=_by(consent), end=consent.end)


_ENDED: Mapping[Ending, str] = {
    Ending.EXPIRY: "granted{by}, but expired on {end}",
    Ending.REVOKED: "granted{by}, but revoked on {end}",
    Ending.LEFT: "granted{by}, who left on {end}",
    Ending.REPLACED: "granted{by}, but replaced on {end} by a later consent that does not cover the day",
}


def uncovered_uses(uses: Iterable[Use], permissions: Permissions, as_of: date) -> list[tuple[Use, Verdict]]:
    """Uses that no consent covered on their day, oldest first, each with the reason."""
    judged = [(use, may_use(permissions, use.scope, use.used_on, use.contact)) for use in uses if use.used_on <= as_of]
    wrong = [(use, verdict) for use, verdict in judged if not verdict.is_allowed]
    return sorted(wrong, key=lambda one: (one[0].used_on, one[0].id))


# --- promised or delivered -------------------------------------------------------------------------------------------


class PromiseState(StrEnum):
    """How far a promised permission has come."""

    OVERDUE = "overdue"
    OPEN = "open"
    GRANTED = "granted"
    """Consent was given and holds, but nothing was made of it yet."""
    DELIVERED = "delivered"
    """It was used with a consent since it was promised."""


@dataclass(frozen=True, slots=True)
class PromisedScope:
    """One scope that was promised in one deal. `due_on`: the last day in time."""

    promise: str
    scope: ReferenceScope
    opportunity: str
    promised_on: date
    due_on: date
    state: PromiseState
    consent: Consent | None = None
    """The one that holds."""
    delivered_by: Use | None = None

    @property
    def order(self) -> tuple[int, date, str, str, str]:
        """Overdue before open before what is on its way, then what is due first."""
        place = list(PromiseState).index(self.state)
        return place, self.due_on, self.scope.sub_level, self.opportunity, self.promise


def promised_or_delivered(
    promises: Iterable[Promise], permissions: Permissions, uses: Sequence[Use], rules: CommitmentRules, as_of: date
) -> list[PromisedScope]:
    """What one account promised in deals against what came of it: most urgent first.

    A use counts from the day of the promise on, whichever deal it helped: what was promised with a purchase is
    delivered to the next prospects. One that no consent covered on its day delivers nothing.
    """
    standing = [
        _judge_promise(promise, scope, permissions, uses, rules, as_of)
        for promise in promises
        if promise.made_on <= as_of
        for scope in promise.scopes
    ]
    return sorted(standing, key=lambda one: one.order)


def _judge_promise(
    promise: Promise,
    scope: ReferenceScope,
    permissions: Permissions,
    uses: Iterable[Use],
    rules: CommitmentRules,
    as_of: date,
) -> PromisedScope:
    due_on = promise.due_on or days_after(promise.made_on, rules.promise_days)
    since = (
        use
        for use in uses
        if use.scope is scope
        and promise.made_on <= use.used_on <= as_of
        and may_use(permissions, scope, use.used_on, use.contact).is_allowed
    )
    used = min(since, key=lambda use: (use.used_on, use.id), default=None)
    consent = may_use(permissions, scope, as_of).consent if scope in permissions.valid else None
    if used is not None:
        state = PromiseState.DELIVERED
    elif consent is not None:
        state = PromiseState.GRANTED
    else:
        state = PromiseState.OVERDUE if as_of > due_on else PromiseState.OPEN
    return PromisedScope(promise.id, scope, promise.opportunity, promise.made_on, due_on, state, consent, used)
