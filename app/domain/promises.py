"""A permission is a term of a deal like the price: what was promised in a deal against what was granted and used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from app.domain.days import days_after
from app.domain.permission_events import Promise, Use
from app.domain.permissions import Consent, Permissions, may_use
from app.domain.reference_scopes import ReferenceScope
from app.domain.rules import CommitmentRules


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
    def is_owed(self) -> bool:
        """Whether nothing came of it: neither a consent that holds, nor a use."""
        return self.state in (PromiseState.OVERDUE, PromiseState.OPEN)

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
