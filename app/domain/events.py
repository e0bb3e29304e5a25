"""Advocacy events: what a customer did for us, or against us.

The envelope every event carries, whatever its type. Append-only: what an event says never changes, only what it counts
as (its status), and every change of that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeVar

from app.domain.model import ReferralStatus

MILESTONES: Mapping[str, ReferralStatus] = {
    "referral.accepted": ReferralStatus.VERIFIED,
    "referral.won": ReferralStatus.VERIFIED,
    "referral.expired": ReferralStatus.EXPIRED,
    "referral.rejected": ReferralStatus.REJECTED,
    "referral.reversed": ReferralStatus.REJECTED,
}
"""What a milestone makes of the referral it names. All others tell its story and change nothing."""
NAMED_REFERRAL = "referral"
"""The attribute of a milestone that names its referral: the `source_event_id` of it in the same source system."""

PROGRESS = {
    ReferralStatus.CLAIMED: 0,
    ReferralStatus.VERIFIED: 1,
    ReferralStatus.EXPIRED: 2,
    ReferralStatus.REJECTED: 2,
}
"""How far a referral has come; further than the end it cannot go."""


def moves_on(status: ReferralStatus, said: ReferralStatus) -> bool:
    """Whether a source that says `said` changes what counts as `status`: only forwards, whatever came first.

    Sources repeat themselves and deliver late, so going back (a rejected referral that is verified after all) takes a
    decision.
    """
    return PROGRESS[said] > PROGRESS[status]


class Polarity(StrEnum):
    ADVOCATE = "advocate"
    NEUTRAL = "neutral"
    DETRACTOR = "detractor"


@dataclass(frozen=True, slots=True)
class AdvocacyEvent:
    """`(source_system, source_event_id)` identifies the event for ever: a second arrival has no effect."""

    source_system: str
    source_event_id: str
    type: str
    occurred_on: date
    """Business date; where the source gave an instant, its date in the policy's time zone."""
    account: str
    """Who did it: an account id of the CRM."""
    occurred_at: datetime | None = None
    contact: str | None = None
    opportunity: str | None = None
    referred_account: str | None = None
    referred_contact: str | None = None
    referred_domain: str | None = None
    status: ReferralStatus | None = None
    """None: the source does not say. A new event is verified then, and a known one keeps what it has."""
    share_percent: Decimal | None = None
    weight: int | None = None
    reference_share: Decimal | None = None
    amount: Decimal | None = None
    currency: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    polarity: Polarity = Polarity.ADVOCATE
    title: str | None = None
    url: str | None = None
    attributes: Mapping[str, object] = field(default_factory=dict)

    @property
    def named_referral(self) -> str | None:
        """The `source_event_id` of the referral that this milestone is about."""
        name = self.attributes.get(NAMED_REFERRAL)
        return str(name) if self.type in MILESTONES and isinstance(name, str | int) and name != "" else None


class VerifiedEvent(NamedTuple):
    """One verified advocacy event of an account, as the measures beside the money look at it."""

    id: str
    type: str
    occurred_on: date
    occurred_at: datetime | None = None
    contact: str | None = None
    opportunity: str | None = None
    valid_from: date | None = None
    valid_to: date | None = None
    """The first day on which it no longer holds."""
    polarity: Polarity = Polarity.ADVOCATE
    title: str | None = None
    url: str | None = None
    attributes: Mapping[str, object] = MappingProxyType({})

    @property
    def start(self) -> date:
        """The first day on which it holds."""
        return self.valid_from or self.occurred_on


class Recorded(Protocol):
    """What was said on a day, and at an instant where that is known."""

    @property
    def id(self) -> str: ...
    @property
    def occurred_on(self) -> date: ...
    @property
    def occurred_at(self) -> datetime | None: ...


_DAWN = datetime.min.replace(tzinfo=UTC)


def order_of(one: Recorded) -> tuple[date, datetime, str]:
    """Which of two was later: by day, then by instant, then by id; never by arrival."""
    return one.occurred_on, one.occurred_at or _DAWN, one.id


Said = TypeVar("Said")


def told(
    events: Iterable[VerifiedEvent], code: str, read: Callable[[Mapping[str, object]], Said], until: date
) -> list[tuple[VerifiedEvent, Said]]:
    """The events of a type up to a day, oldest first, each with its attributes.

    What was stored before its type had a reader, and does not fit it, says nothing.
    """
    found = []
    for event in sorted((one for one in events if one.type == code and one.occurred_on <= until), key=order_of):
        try:
            found.append((event, read(event.attributes)))
        except ValueError:
            continue
    return found
