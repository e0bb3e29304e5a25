"""Advocacy events: what a customer did for us, or against us.

The envelope every event carries, whatever its type. Append-only: a correction is a new event that supersedes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import NamedTuple

from app.domain.model import ReferralStatus


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
    status: ReferralStatus = ReferralStatus.VERIFIED
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
