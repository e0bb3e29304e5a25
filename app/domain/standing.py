"""Where an account stands beside its money: every human measure of one account on one day, from its verified events.

The measures are decided in modules of their own. They meet here, because some look at others: a rung of the commitment
ladder is a consent, whoever is in limbo still has a contract, and contradictions look at everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import NamedTuple, TypeVar

from app.domain.availability import OPENNESS_TYPES, Availability, Openness, Readiness, openness_of
from app.domain.calls import CALL_TYPES, Buyer, buyer_on, next_call_on
from app.domain.candidates import ledger_of, quality_of, readiness, uses_of
from app.domain.care import Care, care
from app.domain.care_events import MetricOwner
from app.domain.commitment import Commitment, Evidence, assess_commitment, evidence_of, reference_evidence, rung_of
from app.domain.contradictions import Measures, Radar, find_contradictions
from app.domain.days import days_after, iso
from app.domain.engagement import RECOVERED, detractor_until
from app.domain.event_attributes import READERS
from app.domain.events import VerifiedEvent
from app.domain.model import Policy
from app.domain.permissions import NOTHING_ALLOWED, PermissionRecord, Permissions, read_record
from app.domain.promises import PromisedScope, PromiseState, promised_or_delivered
from app.domain.reference_events import REFERENCE_OUTCOME, REFERENCE_TRAITS
from app.domain.reference_quality import Quality, quality
from app.domain.reference_record import Record, record_of
from app.domain.reference_scopes import ReferenceScope
from app.domain.relationship import (
    PersonalStanding,
    Standing,
    level_before,
    offer_history,
    offer_standing,
    personal_standing,
)
from app.domain.relationship_events import (
    OFFER_RATING,
    PERSONAL_RATING,
    RECOGNITION_RECEIVED,
    offer_rating_of,
    personal_rating_of,
)
from app.domain.requests import LEDGER_TYPES, TIRING_TYPES, Answer, AskLedger, ask_ledger
from app.domain.roles import Roles, Stance, Voice, derive_roles, take_stance
from app.domain.rows import Cell
from app.domain.segments import Quadrant
from app.domain.triage import Item, Severity, list_open

GIVEN_TYPES = tuple(sorted((*TIRING_TYPES, REFERENCE_OUTCOME)))
"""The types that tell of a reference that was given; what became of its deal belongs to the record of who gave it."""
TELLING_TYPES = frozenset({*READERS, *LEDGER_TYPES, *OPENNESS_TYPES, *CALL_TYPES, RECOVERED})

Read = TypeVar("Read")


class Worth(NamedTuple):
    """The money the human measures look at, in minor units, and where the account stands among all."""

    direct: int = 0
    referred: int = 0
    total: int = 0
    percentile: int | None = None
    quadrant: Quadrant | None = None


NO_WORTH = Worth()


NO_RECORD = Record()


@dataclass(frozen=True, slots=True)
class AccountFacts:
    """What is known of one account. `events`: verified ones, up to the day, oldest first.

    `sales`: what its won sales prove; `bought_on`: the latest of them. `deals`: opportunity -> whether the deal was won
    that it gave a reference for; None while it is open, absent where it is not known.
    """

    id: str
    events: Sequence[VerifiedEvent] = ()
    sales: Sequence[Evidence] = ()
    bought_on: date | None = None
    worth: Worth = NO_WORTH
    deals: Mapping[str, bool | None] = field(default_factory=dict, compare=False)


@dataclass(frozen=True, slots=True)
class AccountStanding:
    """Every human measure, each with what explains it."""

    commitment: Commitment
    permissions: Permissions
    promised: tuple[PromisedScope, ...]
    """What it promised in deals, most urgent first."""
    offer: Standing
    offer_before: int | None
    """The level of the offer before the present one."""
    personal: PersonalStanding
    recognitions: int
    quality: Quality
    ledger: AskLedger
    record: Record
    availability: Availability
    care: Care
    next_call_on: date | None
    roles: Roles
    voice: Voice
    radar: Radar
    open_items: tuple[Item, ...]
    items_change_on: date | None

    @property
    def renewal_on(self) -> date | None:
        """When the licence that is valid today runs out, and no signed one follows it."""
        return self.commitment.licence_until

    @property
    def owed(self) -> tuple[PromisedScope, ...]:
        """What it promised and neither granted nor let us use, most urgent first."""
        return tuple(one for one in self.promised if one.is_owed)

    @property
    def urgency(self) -> Severity | None:
        """How severe the most severe of its open items is."""
        order = list(Severity)
        return min((item.severity for item in self.open_items), key=order.index, default=None)

    @property
    def next_change_on(self) -> date | None:
        """The first day on which time alone changes any of it; None: never."""
        parts = (
            self.commitment, self.permissions, self.offer, self.personal, self.quality, self.ledger, self.availability,
            self.care, self.roles, self.voice, self.radar,
        )  # fmt: skip
        overdue = (days_after(one.due_on, 1) for one in self.promised if one.state is PromiseState.OPEN)
        days = (*(part.next_change_on for part in parts), *overdue, self.items_change_on)
        return min((day for day in days if day is not None), default=None)


@dataclass(frozen=True, slots=True)
class Frame:
    """The rules and the day of many assessments, with what holds for every account that nothing was said of."""

    policy: Policy
    as_of: date
    telling: frozenset[str]
    """The types of events that anything but the ladder, roles and stance looks at."""
    unrated: Quality
    unasked: AskLedger
    never_consented: Availability


def build_frame(policy: Policy, as_of: date) -> Frame:
    unasked = ask_ledger((), policy.reference, as_of)
    never = readiness(NOTHING_ALLOWED, Openness(), unasked, policy.reference, as_of)
    telling = TELLING_TYPES.union(policy.triage.severities)
    return Frame(policy, as_of, telling, quality((), policy.reference, as_of), unasked, never)


def assess_account(facts: AccountFacts, frame: Frame) -> AccountStanding:
    """Every human measure of one account on a day. Whatever order its events come in, the answer is the same."""
    events, policy, as_of = facts.events, frame.policy, frame.as_of
    telling = [event for event in events if event.type in frame.telling]
    said = read_record(telling)
    permissions = said.on(as_of)
    evidence = [one for one in _each(events, evidence_of) if one is not None]
    commitment = assess_commitment(
        (*facts.sales, *evidence, *reference_evidence(permissions, as_of)), policy.commitment, as_of
    )
    ratings = _of_type(telling, OFFER_RATING, offer_rating_of)
    offer = offer_standing(ratings, policy.relationship, as_of)
    personal = personal_standing(_of_type(telling, PERSONAL_RATING, personal_rating_of), policy.relationship, as_of)
    open_items = tuple(list_open({facts.id: telling}, {}, policy.triage, as_of))
    ledger = ledger_of(telling, policy, as_of) if _only(telling, LEDGER_TYPES) else frame.unasked
    standing = care(telling, policy.care, as_of, is_customer=commitment.is_customer)
    voice = take_stance(events, policy.roles, policy.engagement, as_of)
    measures = Measures(
        direct=facts.worth.direct,
        referred=facts.worth.referred,
        quadrant=facts.worth.quadrant,
        stance=voice.stance,
        care_bucket=standing.bucket,
        offer_level=offer.level,
        commitment_level=commitment.level,
        has_permission=bool(permissions.valid),
        is_in_limbo=standing.is_in_limbo,
        renewal_on=commitment.licence_until,
    )
    return AccountStanding(
        commitment=commitment,
        permissions=permissions,
        promised=_promised(said, permissions, frame),
        offer=offer,
        offer_before=level_before(offer_history(ratings, policy.relationship, as_of)) if ratings else None,
        personal=personal,
        recognitions=sum(event.type == RECOGNITION_RECEIVED for event in telling),
        quality=_quality(telling, ledger, frame),
        ledger=ledger,
        record=_record(facts, telling, ledger, frame),
        availability=_availability(events, permissions, ledger, open_items, frame),
        care=standing,
        next_call_on=_next_call(facts, policy, as_of) if _only(telling, CALL_TYPES) else None,
        roles=derive_roles(events, facts.bought_on, policy.roles, policy.engagement, as_of),
        voice=voice,
        radar=find_contradictions(measures, policy.triage, as_of),
        open_items=open_items,
        items_change_on=min((end for event in events if (end := event.valid_to) and end > as_of), default=None),
    )


def _each(events: Iterable[VerifiedEvent], read: Callable[[VerifiedEvent], Read]) -> Iterator[Read]:
    """What events say. The door lets in only what can be read; what is older than its door says nothing."""
    for event in events:
        try:
            yield read(event)
        except ValueError:
            continue


def _only(events: Iterable[VerifiedEvent], types: Sequence[str]) -> list[VerifiedEvent]:
    return [event for event in events if event.type in types]


def _of_type(events: Iterable[VerifiedEvent], code: str, read: Callable[[VerifiedEvent], Read]) -> list[Read]:
    return list(_each(_only(events, (code,)), read))


def _quality(events: Sequence[VerifiedEvent], ledger: AskLedger, frame: Frame) -> Quality:
    is_told = any(event.type == REFERENCE_TRAITS for event in events) or ledger.counts.get(Answer.NO)
    return quality_of(events, ledger, frame.policy, frame.as_of) if is_told else frame.unrated


def _promised(said: PermissionRecord, permissions: Permissions, frame: Frame) -> tuple[PromisedScope, ...]:
    if not said.promises:
        return ()
    return tuple(promised_or_delivered(said.promises, permissions, said.uses, frame.policy.commitment, frame.as_of))


def _record(facts: AccountFacts, events: Sequence[VerifiedEvent], ledger: AskLedger, frame: Frame) -> Record:
    given = _only(events, GIVEN_TYPES)
    if not given:
        return NO_RECORD
    return record_of(uses_of(given, ledger, facts.deals), frame.policy.reference, frame.as_of)


def _availability(
    events: Sequence[VerifiedEvent],
    permissions: Permissions,
    ledger: AskLedger,
    open_items: Sequence[Item],
    frame: Frame,
) -> Availability:
    detractor = _detractor_until(events, frame)
    pauses = [event for event in events if event.type in OPENNESS_TYPES]
    if ledger is frame.unasked and not (permissions.consents or pauses or open_items or detractor):
        return frame.never_consented
    openness = openness_of(pauses, frame.as_of, tuple(map(_tell_item, open_items)), detractor)
    return readiness(permissions, openness, ledger, frame.policy.reference, frame.as_of)


def _detractor_until(events: Sequence[VerifiedEvent], frame: Frame) -> date | None:
    return detractor_until(events, frame.policy.engagement, frame.as_of)


def _tell_item(item: Item) -> str:
    return f"{item.title or item.type.replace('_', ' ')}, open since {item.opened_on}"


def _next_call(facts: AccountFacts, policy: Policy, as_of: date) -> date | None:
    """From when on a buyer should be called again; None for whoever was never called. Contacts of the day count."""
    buyer = Buyer(facts.id, "", facts.worth.total, facts.worth.percentile)
    return next_call_on(buyer_on(buyer, facts.events, policy.care, as_of), policy.care)


def shown(standing: AccountStanding) -> dict[str, Cell]:
    """Measure -> what is stored and what a CRM is given: flags are 0 or 1, days ISO text, lists joined codes."""
    level = standing.commitment.level
    low, high, coverage = standing.quality.percents
    is_rated = coverage > 0
    state, record, care = standing.availability.state, standing.record, standing.care
    owed = {one.scope for one in standing.owed}
    return {
        "commitment_level": level,
        "commitment_rung": rung_of(level).code if level else None,
        "commitment_gaps": " ".join(str(gap) for gap in standing.commitment.gaps),
        "is_customer": int(standing.commitment.is_customer),
        "renewal_on": iso(standing.renewal_on),
        "permissions": " ".join(standing.permissions.valid),
        "strongest_permission": standing.permissions.strongest,
        "permissions_until": iso(standing.permissions.lapses_on),
        "promised_permissions": " ".join(scope for scope in ReferenceScope if scope in owed),
        "promise_is_overdue": int(any(one.state is PromiseState.OVERDUE for one in standing.owed)),
        "offer_level": standing.offer.level,
        "offer_before": standing.offer_before,
        "offer_is_stale": int(standing.offer.is_stale),
        "personal_level": standing.personal.highest,
        "personal_latest": standing.personal.latest,
        "personal_is_stale": int(standing.personal.is_stale),
        "recognitions": standing.recognitions,
        "reference_low": low if is_rated else None,
        "reference_high": high if is_rated else None,
        "reference_coverage": coverage if is_rated else None,
        "high_impact_traits": standing.quality.high_traits,
        "is_high_impact": int(standing.quality.is_high_impact),
        "reference_is_stale": int(standing.quality.is_stale),
        "references_given": record.uses,
        "references_won": record.won,
        "reference_record": record.kind if record.uses else None,
        "reference_surprise": record.surprise,
        "days_to_accept": record.days_to_accept,
        "asks_used": standing.ledger.used,
        "ask_balance": standing.ledger.balance,
        "reference_state": None if state is Readiness.NONE else state,
        "available_from": iso(standing.availability.available_from) if state is not Readiness.NONE else None,
        "care_bucket": care.bucket,
        "care_before": care.before,
        "care_is_inferred": int(care.is_inferred),
        "care_is_stale": int(care.is_stale),
        "care_conflict": int(care.has_conflict),
        "care_decision": care.decision,
        "is_in_limbo": int(care.is_in_limbo),
        "has_agreed_value": int(care.has_agreed_value),
        "customer_success": _success(care, MetricOwner.CUSTOMER),
        "champion_success": _success(care, MetricOwner.CHAMPION),
        "success_is_stale": int(care.metrics_are_stale),
        "next_call_on": iso(standing.next_call_on),
        "roles": " ".join(standing.roles.codes),
        "stance": standing.voice.stance if standing.voice.stance is not Stance.NEUTRAL else None,
        "contradictions": " ".join(standing.radar.codes),
        "urgency": standing.urgency,
    }


def _success(care: Care, owner: MetricOwner) -> str:
    """One line for each measure of success."""
    return "\n".join(one.words for one in care.metrics if one.metric.owner is owner)
