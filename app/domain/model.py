"""The nouns of the valuation, as frozen values.

Money is an `int` of minor units of the reporting currency. Dates are business dates: instants were turned
into dates of the policy's time zone once, when they entered. Ids are compared as they stand; merges are
resolved by `canonical` before anything else looks at them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from enum import IntEnum, StrEnum
from fractions import Fraction

from app.domain.rules import (
    CareRules,
    CommitmentRules,
    EngagementRules,
    OptionalRules,
    ReferenceRules,
    RelationshipRules,
    RoleRules,
    SegmentRules,
    TriageRules,
)


class OpportunityType(StrEnum):
    NEW = "new"
    UPSELL = "upsell"
    RENEWAL = "renewal"
    REFUND = "refund"
    UNKNOWN = "unknown"


class ReferralStatus(StrEnum):
    CLAIMED = "claimed"
    VERIFIED = "verified"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Tier(IntEnum):
    """How a referral is tied to an opportunity; 1 is the strongest evidence."""

    OPPORTUNITY = 1
    CONTACT = 2
    ACCOUNT = 3
    DOMAIN = 4


class Split(StrEnum):
    EQUAL = "equal"
    FIRST = "first"
    LAST = "last"
    TIME_DECAY = "time_decay"
    POSITION = "position"


class Scope(StrEnum):
    WINDOW = "window"
    """Opportunities created within `window_days` of the referral."""
    FIRST_WON = "first_won"
    """Only the buyer's first won opportunity."""
    LIFETIME = "lifetime"


class ChainMode(StrEnum):
    SEPARATE = "separate"
    CARVE_OUT = "carve_out"
    NONE = "none"


class Measure(StrEnum):
    """What a credit line counts towards. `direct` and `referred` make the total; `influence` if the policy says so."""

    DIRECT = "direct"
    REFERRED = "referred"
    NETWORK = "network"
    INFLUENCE = "influence"
    TOUCHED = "touched"


class Issue(StrEnum):
    """Something in the data that RevOps should look at. Counted per run, listed per account."""

    AMOUNT_MISSING = "amount_missing"
    RATE_MISSING = "rate_missing"
    OVERALLOCATED = "overallocated"
    SELF_REFERRAL = "self_referral"
    INTRA_GROUP = "intra_group"
    AFTER_CLOSE = "after_close"
    REFERRAL_AFTER_CREATED = "referral_after_created"
    AMBIGUOUS_DOMAIN = "ambiguous_domain"
    MERGE_CYCLE = "merge_cycle"
    PARENT_CYCLE = "parent_cycle"
    REFERRER_DELETED = "referrer_deleted"
    DUPLICATE_CLAIM = "duplicate_claim"
    BACKDATED_CLAIM = "backdated_claim"


@dataclass(frozen=True, slots=True)
class Chain:
    mode: ChainMode = ChainMode.SEPARATE
    delta: Fraction = Fraction(1, 2)
    depth: int = 3


@dataclass(frozen=True, slots=True)
class Influence:
    include: bool = False
    rho: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Policy:
    """How credit is given. Data, not code: the mapping's `policy` block, versioned by its content."""

    split: Split = Split.EQUAL
    half_life_days: int = 30
    scope: Scope = Scope.WINDOW
    window_days: int = 365
    credited_types: frozenset[OpportunityType] = frozenset(
        {OpportunityType.NEW, OpportunityType.UPSELL, OpportunityType.UNKNOWN}
    )
    exclusive: bool = True
    intra_group: bool = False
    """Whether a referral between members of one group earns credit."""
    chain: Chain = Chain()
    influence: Influence = Influence()
    time_zone: str = "UTC"
    reporting_currency: str = "USD"
    grace_days: int = 0
    """A referral may be dated this many days after the opportunity was created and still have sourced it."""
    engagement: EngagementRules = field(default_factory=EngagementRules)
    segments: SegmentRules = field(default_factory=SegmentRules)
    optional_measures: OptionalRules = field(default_factory=OptionalRules)
    commitment: CommitmentRules = field(default_factory=CommitmentRules)
    relationship: RelationshipRules = field(default_factory=RelationshipRules)
    reference: ReferenceRules = field(default_factory=ReferenceRules)
    care: CareRules = field(default_factory=CareRules)
    triage: TriageRules = field(default_factory=TriageRules)
    roles: RoleRules = field(default_factory=RoleRules)


@dataclass(frozen=True, slots=True)
class Account:
    id: str
    name: str = ""
    parent_id: str | None = None
    merged_into_id: str | None = None
    domain: str | None = None
    is_deleted: bool = False


@dataclass(frozen=True, slots=True)
class Adjustment:
    """A refund (negative) or correction of one opportunity.

    `amount`: exact, in major units of `currency`.
    """

    id: str
    opportunity_id: str
    amount: Fraction
    currency: str
    dated_on: date


@dataclass(frozen=True, slots=True)
class Opportunity:
    """`amount`: exact, in major units of `currency`; None where the CRM holds none."""

    id: str
    account_id: str | None
    amount: Fraction | None
    currency: str
    created_on: date
    close_on: date
    is_won: bool
    is_closed: bool
    type: OpportunityType = OpportunityType.UNKNOWN
    probability: Fraction | None = None
    """0 to 1."""
    is_deleted: bool = False
    contact_ids: frozenset[str] = frozenset()
    name: str = ""


@dataclass(frozen=True, slots=True)
class Referral:
    """An advocacy event that can bring an opportunity: who referred, and what it points at."""

    id: str
    referrer_id: str
    occurred_on: date
    recorded_on: date | None = None
    status: ReferralStatus = ReferralStatus.VERIFIED
    opportunity_id: str | None = None
    contact_id: str | None = None
    account_id: str | None = None
    domain: str | None = None
    share: Fraction | None = None
    """Explicit share of the opportunity, 0 to 1; None: the policy's split decides."""


@dataclass(frozen=True, slots=True)
class InfluenceEvent:
    """A reference call, case study, site visit ... that took part in one opportunity."""

    id: str
    account_id: str
    opportunity_id: str
    occurred_on: date
    weight: int = 1


@dataclass(frozen=True, slots=True)
class WonSurvey:
    """The buyer's answer to how much references mattered, 0 to 1."""

    id: str
    opportunity_id: str
    reference_share: Fraction
    occurred_on: date


@dataclass(frozen=True, slots=True)
class Rate:
    """Units of `currency` per one unit of the corporate currency, from `start_on` on (None: static)."""

    currency: str
    rate: Fraction
    start_on: date | None = None
    decimal_places: int | None = None
    """As the CRM is set up; None where it does not say, and ISO 4217 decides."""


@dataclass(frozen=True, slots=True)
class CreditLine:
    """One opportunity's money credited to one account because of one claim. Every published number is a sum of them."""

    measure: Measure
    account_id: str
    opportunity_id: str
    buyer_id: str
    amount: int
    event_id: str | None = None
    """The advocacy event, or the adjustment of a direct line; None for a direct line of the opportunity itself."""
    tier: int = 0
    share: Fraction = Fraction(1)
    rule: str = ""
    net: int = 0
    """What the share was taken of: the opportunity's value after refunds. A direct line is its own."""
    dated_on: str | None = None
    """ISO day of the event, of the correction, or, for the opportunity's own line, of its close."""


@dataclass(frozen=True, slots=True)
class AccountIssue:
    code: Issue
    account_id: str | None
    opportunity_id: str | None = None
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class AccountValue:
    """The money measures of one account, minor units of the reporting currency."""

    account_id: str
    direct: int = 0
    referred: int = 0
    total: int = 0
    given: int = 0
    conserved: int = 0
    network: int = 0
    influence: int = 0
    touched: int = 0
    pipeline: int = 0
    group_direct: int = 0
    group_referred: int = 0


@dataclass(frozen=True, slots=True)
class World:
    """Everything a valuation depends on, as plain values: input of the reference model and of the property tests."""

    accounts: tuple[Account, ...] = ()
    opportunities: tuple[Opportunity, ...] = ()
    adjustments: tuple[Adjustment, ...] = ()
    referrals: tuple[Referral, ...] = ()
    influence: tuple[InfluenceEvent, ...] = ()
    surveys: tuple[WonSurvey, ...] = ()
    rates: tuple[Rate, ...] = ()


@dataclass(frozen=True, slots=True)
class Valuation:
    """What the reference model says about a world on one day."""

    lines: tuple[CreditLine, ...]
    values: dict[str, AccountValue] = field(default_factory=dict)
    issues: tuple[AccountIssue, ...] = ()
