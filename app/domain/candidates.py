"""From the events of a customer to what matching looks at: consent, asks, quality, what it can speak about.

Events that cannot be read are older than the door that would have refused them, and say nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TypeVar

from app.domain.availability import OPENNESS_TYPES, Availability, Clearance, Openness, availability, openness_of
from app.domain.engagement import RECOVERED, detractor_until
from app.domain.events import VerifiedEvent
from app.domain.matching import Candidate
from app.domain.model import Policy
from app.domain.permission_events import CONTACT_LEFT, PERMISSION_GRANTED, PERMISSION_REVOKED
from app.domain.permissions import Permissions, may_use, read_record
from app.domain.reference_events import (
    REFERENCE_OUTCOME,
    REFERENCE_PROFILE,
    REFERENCE_TRAITS,
    Outcome,
    Profile,
    profile_on,
    rating_of,
    read_reference_outcome,
)
from app.domain.reference_quality import Quality, quality
from app.domain.reference_record import Use
from app.domain.reference_scopes import ReferenceScope
from app.domain.requests import LEDGER_TYPES, REQUEST, TIRING_TYPES, Answer, Ask, AskLedger, ask_ledger, ledger_event_of
from app.domain.rules import ReferenceRules
from app.domain.triage import PROBLEM_CLOSED, list_open

CONFIRMING_TYPES = (REFERENCE_OUTCOME, REFERENCE_PROFILE, REFERENCE_TRAITS)
REFERENCE_CUSTOMER_TYPES = tuple(sorted({PERMISSION_GRANTED, *CONFIRMING_TYPES, *TIRING_TYPES}))
"""Whoever has an event of these types is somebody to think of when a reference is looked for."""
CONSENT_TYPES = (CONTACT_LEFT, PERMISSION_GRANTED, PERMISSION_REVOKED)
"""All that `clearance` depends on."""

Read = TypeVar("Read")


def evidence_types(policy: Policy) -> frozenset[str]:
    """All that `candidate_of`, `readiness` and `uses_of` depend on, beside words against us of any type."""
    return frozenset(
        {*CONSENT_TYPES, *LEDGER_TYPES, *CONFIRMING_TYPES, *OPENNESS_TYPES, RECOVERED, PROBLEM_CLOSED}
        | {*policy.triage.severities, *policy.engagement.detractor_types}
    )


@dataclass(frozen=True, slots=True)
class ReferenceFacts:
    """One customer. `events`: verified ones, up to the day. `firm`: what the CRM says of it."""

    account: str
    group: str
    events: Sequence[VerifiedEvent] = ()
    firm: Profile = field(default_factory=Profile)


def candidate_of(
    facts: ReferenceFacts, scope: ReferenceScope, policy: Policy, as_of: date, contact: str | None = None
) -> Candidate:
    """`contact`: the person to be asked; None: anybody who consented."""
    ledger = ledger_of(facts.events, policy, as_of)
    return Candidate(
        account=facts.account,
        group=facts.group,
        clearance=clearance(read_record(facts.events).on(as_of), scope, as_of, contact),
        ledger=ledger,
        quality=quality_of(facts.events, ledger, policy, as_of),
        openness=openness_of(facts.events, as_of, _open_items(facts, policy, as_of), _against(facts, policy, as_of)),
        profile=_complete(profile_on(facts.events, as_of), facts.firm),
        confirmed_on=max((one.occurred_on for one in facts.events if one.type in CONFIRMING_TYPES), default=None),
    )


def clearance(permissions: Permissions, scope: ReferenceScope, as_of: date, contact: str | None = None) -> Clearance:
    """Whether that very scope may be used on that very day, and who said so. Nobody who left is one to ask."""
    verdict = may_use(permissions, scope, as_of, contact)
    given = [consent for consent in permissions.consents if consent.scope is scope]
    if verdict.is_allowed:
        people = sorted({consent.contact for consent in given if consent.contact and consent.holds_on(as_of)})
        named = tuple(who for who in ([contact] if contact else people) if not permissions.has_left(who, as_of))
        until = verdict.consent.end if verdict.consent else None
        left_on = permissions.departed.get(contact or "", date.max)
        gone = f"{contact} left on {left_on}: name somebody else there" if left_on <= as_of else ""
        return Clearance(True, verdict.reason, named, until, gone)
    ahead = [consent.start for consent in given if consent.start > as_of and contact in (None, consent.contact)]
    return Clearance(False, verdict.reason, until=min(ahead, default=None))


def readiness(
    permissions: Permissions, openness: Openness, ledger: AskLedger, rules: ReferenceRules, as_of: date
) -> Availability:
    """How a customer stands for the usual reference, a call (`basic`): whoever lends its logo may not be called."""
    is_valid = ReferenceScope.BASIC in permissions.valid
    told = "consented to calls" if is_valid else "no consent to calls that holds today"
    has_consented = any(consent.scope is ReferenceScope.BASIC for consent in permissions.consents)
    cleared = Clearance(is_valid, told, until=permissions.basic_turns_on)
    return availability(cleared, openness, ledger, rules, as_of, has_consented=has_consented)


def ledger_of(events: Iterable[VerifiedEvent], policy: Policy, as_of: date) -> AskLedger:
    return ask_ledger(_each(events, ledger_event_of, *LEDGER_TYPES), policy.reference, as_of)


def quality_of(events: Iterable[VerifiedEvent], ledger: AskLedger, policy: Policy, as_of: date) -> Quality:
    declines = [ask.answered_on or ask.sent_on for ask in ledger.asks if ask.answer is Answer.NO]
    return quality(_each(events, rating_of, REFERENCE_TRAITS), policy.reference, as_of, declines)


def _complete(said: Profile, firm: Profile) -> Profile:
    """What people said, and where they said nothing, what the CRM knows."""
    return replace(
        said,
        industry=said.industry or firm.industry,
        size=said.size or firm.size,
        products=said.products or firm.products,
        regions=said.regions or firm.regions,
    )


def _open_items(facts: ReferenceFacts, policy: Policy, as_of: date) -> tuple[str, ...]:
    items = list_open({facts.account: facts.events}, {}, policy.triage, as_of)
    return tuple(
        f"{item.type.replace('_', ' ')} of {item.opened_on} is open{': ' + item.title if item.title else ''}"
        for item in items
    )


def _against(facts: ReferenceFacts, policy: Policy, as_of: date) -> date | None:
    return detractor_until(facts.events, policy.engagement, as_of)


def _each(events: Iterable[VerifiedEvent], read: Callable[[VerifiedEvent], Read], *types: str) -> Iterator[Read]:
    for event in events:
        if event.type in types:
            try:
                yield read(event)
            except ValueError:
                continue


def uses_of(events: Iterable[VerifiedEvent], ledger: AskLedger, won: Mapping[str, bool | None]) -> list[Use]:
    """Every reference that was given, once, with what was told of it.

    A reference and its outcome belong together by their request, else by their opportunity. `won`: opportunity ->
    whether its deal was; None while it is open.
    """
    found: dict[str, Use] = {}
    deals: dict[str, str] = {}
    for event in sorted(events, key=lambda one: (one.type == REFERENCE_OUTCOME, one.occurred_on, one.id)):
        if event.type not in TIRING_TYPES and event.type != REFERENCE_OUTCOME:
            continue
        try:
            outcome = read_reference_outcome(event.attributes) if event.type == REFERENCE_OUTCOME else Outcome()
        except ValueError:
            continue
        request = event.attributes.get(REQUEST)
        key = _key(request, event, found, deals)
        deal = event.opportunity or deals.get(key)
        if deal:
            deals[key] = deal
        known = found.get(key)
        found[key] = Use(
            known.id if known else event.id,
            known.occurred_on if known else event.occurred_on,
            outcome,
            won.get(deal) if deal else None,
            _days_to_accept(ledger.asks, request, deal),
        )
    return sorted(found.values(), key=lambda use: (use.occurred_on, use.id))


def _key(request: object, event: VerifiedEvent, found: Mapping[str, Use], deals: Mapping[str, str]) -> str:
    if isinstance(request, str):
        return f"request {request}"
    if event.type == REFERENCE_OUTCOME and event.opportunity:
        told = [key for key in found if deals.get(key) == event.opportunity and found[key].outcome == Outcome()]
        if told:
            return told[0]
    return f"event {event.id}"


def _days_to_accept(asks: Iterable[Ask], request: object, deal: str | None) -> int | None:
    answered = [ask for ask in asks if ask.answer is Answer.YES and ask.days is not None]
    same = [ask for ask in answered if isinstance(request, str) and ask.request == request]
    same = same or [ask for ask in answered if deal is not None and ask.opportunity == deal]
    return same[-1].days if same else None
