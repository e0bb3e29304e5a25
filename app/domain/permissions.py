"""What a customer lets us do with its name: eight independent consents, each with a scope, a person and an end.

They are no staircase: who lends the logo may still refuse a call. So a standing is a set, and before any use the
consent for that very scope and day is asked for; the commitment level is not a permission. A consent is valid on a day
when `start <= day < end`. It ends by its own expiry, by a revocation, when a later consent of the same person for the
same scope replaces it and, where it is personal, when the person leaves. On one day a revocation beats a consent,
unless the times of both are known and the consent is the later one: in doubt, nothing leaves the house.

A personal consent that names nobody covers everybody there, but nobody who withdrew from it later, and nobody who
left. What belongs to the company anybody there may withdraw, whoever granted it.

Only events with the status `verified` come in here; their accounts are resolved through merges before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from functools import cache
from typing import TypeVar

from app.domain.days import first_change, unite_spans
from app.domain.events import VerifiedEvent
from app.domain.permission_events import (
    CONTACT_LEFT,
    PERMISSION_GRANTED,
    PERMISSION_PROMISED,
    PERMISSION_REVOKED,
    Departure,
    Grant,
    Promise,
    Revocation,
    Use,
    departure_of,
    grant_of,
    promise_of,
    revocation_of,
    use_of,
)
from app.domain.reference_scopes import ReferenceScope

_Scopes = tuple[ReferenceScope, ...]
_Fact = TypeVar("_Fact")


# --- what an account has said ----------------------------------------------------------------------------------------


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
    lapses_on: date | None = None
    """The first day on which something that is allowed today no longer is."""
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
        lapses_on=_lapses_on(consents, as_of),
        revocations=tuple(sorted(known_revocations, key=lambda one: (one.day, one.id))),
        departed=_departed(grants, departures, as_of),
    )


def _lapses_on(consents: Iterable[Consent], as_of: date) -> date | None:
    """Of the scopes held that day, the first end that no other consent for the same scope covers."""
    spans: dict[ReferenceScope, list[tuple[date, date | None]]] = {}
    for one in consents:
        spans.setdefault(one.scope, []).append((one.start, one.end))
    ends = (end for some in spans.values() for start, end in unite_spans(some) if start <= as_of < end < date.max)
    return min(ends, default=None)


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
