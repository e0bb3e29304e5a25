"""What can move a value, and the nouns in which a move is explained."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import NamedTuple

from app.domain.model import Measure

GIVEN = "given"
"""What an account's purchases earned others: the referred lines seen from the buyer."""
SPLIT: tuple[str, ...] = (
    Measure.DIRECT,
    Measure.REFERRED,
    GIVEN,
    Measure.NETWORK,
    Measure.INFLUENCE,
    Measure.TOUCHED,
)
"""The measures that are sums of lines; `total` and `conserved` follow from them."""


class Cause(StrEnum):
    """Everything that can move a value. Closed: each has a sentence in `MEANING`."""

    NEW_OPPORTUNITY = "new_opportunity"
    OPPORTUNITY_CHANGED = "opportunity_changed"
    OPPORTUNITY_LOST = "opportunity_lost"
    REFUND = "refund"
    REFERRAL_ADDED = "referral_added"
    REFERRAL_VERIFIED = "referral_verified"
    REFERRAL_WITHDRAWN = "referral_withdrawn"
    CO_REFERRER = "co_referrer"
    INFLUENCE = "influence"
    CHAIN = "chain"
    MERGE = "merge"
    ACCOUNT_CHANGED = "account_changed"
    RATE = "rate"
    POLICY = "policy"
    TIME_PASSING = "time_passing"


MEANING: Mapping[Cause, str] = {
    Cause.NEW_OPPORTUNITY: "an opportunity was won",
    Cause.OPPORTUNITY_CHANGED: "the amount, date, type, people or account of an opportunity changed",
    Cause.OPPORTUNITY_LOST: "an opportunity no longer counts as won",
    Cause.REFUND: "a refund or correction came, changed or went",
    Cause.REFERRAL_ADDED: "a referral was recorded",
    Cause.REFERRAL_VERIFIED: "a referral known before counts now",
    Cause.REFERRAL_WITHDRAWN: "a referral no longer counts",
    Cause.CO_REFERRER: "another account's referral of the same opportunity came or went",
    Cause.INFLUENCE: "a reference call or the like came or went, or the buyer answered how much it mattered",
    Cause.CHAIN: "the referrals behind a referral changed",
    Cause.MERGE: "accounts were merged",
    Cause.ACCOUNT_CHANGED: "an account was deleted, or its group or domain changed",
    Cause.RATE: "an exchange rate changed, or arrived",
    Cause.POLICY: "the rules for credit changed",
    Cause.TIME_PASSING: "a close date arrived",
}


class Entry(NamedTuple):
    """A credit line as it stood in one run. `own_amount`, `rate`: exact text, None where nothing was converted."""

    measure: str
    account_id: str
    opportunity_id: str
    buyer_id: str
    amount: int
    event_id: str | None = None
    tier: int = 0
    share: Fraction = Fraction(1)
    rule: str = ""
    dated_on: str | None = None
    own_amount: str | None = None
    own_currency: str | None = None
    rate: str | None = None


class DealFacts(NamedTuple):
    """What the mirror still knows about an opportunity. Both flags False: not known."""

    is_unchanged: bool = False
    """It stood in the CRM at the first valuation exactly as it does now."""
    is_changed: bool = False
    """It changed between the two valuations."""
    is_unpriced: bool = False
    """A rate is missing, so it is held back."""
    close_on: str | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """What is known about the time between two valuations. Days are ISO text."""

    as_of_before: str
    as_of_after: str
    policy_changed: bool = False
    unit: int = 100
    """Minor units in one unit of the reporting currency."""
    survivors: Mapping[str, str] = field(default_factory=dict)
    """Account merged meanwhile -> the one it lives on in."""
    new_events: Collection[str] = frozenset()
    verified_events: Collection[str] = frozenset()
    """Advocacy events known before that were verified meanwhile."""
    lost_events: Collection[str] = frozenset()
    """Advocacy events that are gone, or no longer verified."""
    merged_events: Collection[str] = frozenset()
    """Events one of whose accounts was merged into another."""


class Part(NamedTuple):
    """So much of the difference of one account and measure, because of this."""

    account_id: str
    measure: str
    cause: Cause
    opportunity_id: str
    event_id: str | None
    amount: int


class Change(NamedTuple):
    """The parts of one account that belong together, with its measures; all amounts in minor units."""

    cause: Cause
    opportunity_id: str | None
    event_id: str | None
    amounts: Mapping[str, int]
