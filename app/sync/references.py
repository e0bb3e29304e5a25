"""Finding a reference for a deal. Nobody is offered without a consent that holds.

Every answer is computed from the events there are at that moment, never from what a nightly run stored: a consent that
was withdrawn a minute ago is withdrawn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.availability import OVERRIDABLE, Block, Hold
from app.domain.candidates import (
    CONSENT_TYPES,
    REFERENCE_CUSTOMER_TYPES,
    ReferenceFacts,
    candidate_of,
    clearance,
    evidence_types,
    uses_of,
)
from app.domain.days import iso
from app.domain.matching import Exclusion, Facet, Match, Matching, Need, rank_references, shown
from app.domain.model import Policy
from app.domain.money import major_units
from app.domain.permissions import read_record
from app.domain.reference_record import Record, record_of
from app.domain.reference_scopes import BY_SUB_LEVEL, ReferenceScope
from app.domain.requests import AskLedger
from app.domain.sizes import read_size, size_band
from app.errors import ConfigError
from app.store import references
from app.store.connection import Connection
from app.store.evidence import load_verified
from app.store.rates import load_places
from app.sync.services import Services

CANDIDATES = 8
HELD_BACK = 50
"""As many at most of those without a consent are told one by one, unless everybody is asked for."""


@dataclass(frozen=True, slots=True)
class Found:
    """Who can be asked for a reference in a deal, best first, and who cannot. `guessed`: facets taken from the CRM.

    `matching` knows all who can be asked, and of the others those that are told one by one; `unnamed` is how many more
    there are, each without a consent. `records`: of those that are shown, the first ones of the order.
    """

    deal: references.Deal
    matching: Matching
    names: Mapping[str, str]
    records: Mapping[str, Record]
    guessed: tuple[Facet, ...]
    as_of: date
    unnamed: int = 0

    def as_json(self) -> dict[str, Any]:
        """Plain values. The scores are cut to one decimal, the order is of the exact ones."""
        need = self.matching.need
        return {
            "opportunity": self.deal.id,
            "opportunity_name": self.deal.name,
            "prospect": need.prospect or None,
            "prospect_name": self.names.get(need.prospect, ""),
            "scope": need.scope,
            "as_of": self.as_of.isoformat(),
            "wanted": {facet.value: list(need.wanted[facet]) for facet in Facet if need.wanted.get(facet)},
            "from_crm": [facet.value for facet in self.guessed],
            "possible": len(self.matching.matches),
            "matches": [self._match(match) for match in self.matching.matches if match.account in self.records],
            "impossible": len(self.matching.excluded) + self.unnamed,
            "excluded": [self._exclusion(one) for one in sorted(self.matching.excluded, key=_exclusion_order)],
        }

    def _match(self, match: Match) -> dict[str, Any]:
        quality, ledger = match.candidate.quality, match.candidate.ledger
        low, high, coverage = quality.percents
        record = self.records[match.account]
        return {
            "place": match.place,
            "account": match.account,
            "name": self.names.get(match.account, ""),
            "contacts": list(match.candidate.clearance.contacts),
            "consent_until": iso(match.candidate.clearance.until),
            "fit": match.matched,
            "fits": [
                {
                    "facet": fit.facet.value,
                    "wanted": list(fit.wanted),
                    "matched": list(fit.matched),
                    "known": list(fit.known),
                }
                for fit in match.fits
            ],
            "score": shown(match.score),
            "quality_low": low,
            "quality_high": high,
            "quality_coverage": coverage,
            "is_high_impact": quality.is_high_impact,
            "asks_used": ledger.used,
            "asks_cap": ledger.cap,
            "uses": ledger.uses,
            "last_used_on": iso(ledger.last_used_on),
            "record": record.kind.value,
            "won_percent": list(record.won_percent) if record.won_percent else None,
            "reasons": list(match.reasons),
            "behind": match.behind,
        }

    def _exclusion(self, one: Exclusion) -> dict[str, Any]:
        return {
            "account": one.account,
            "name": self.names.get(one.account, ""),
            "available_from": iso(one.available_from),
            "reasons": [show_block(block) for block in one.blocks],
        }


def _exclusion_order(one: Exclusion) -> tuple[bool, str]:
    """Whoever consented first: that one can be asked again."""
    return any(block.hold is Hold.NO_CONSENT for block in one.blocks), one.account


def show_block(block: Block) -> dict[str, Any]:
    """Plain values of what holds a customer back."""
    return {
        "code": block.hold.value,
        "reason": block.reason,
        "until": iso(block.until),
        "can_be_overridden": block.hold in OVERRIDABLE,
    }


def find_references(
    services: Services,
    opportunity: str,
    scope: str = ReferenceScope.BASIC,
    wanted: Mapping[Facet, Sequence[str]] | None = None,
    top: int | None = None,
) -> Found:
    """Rank every reference customer for a deal, by id or name. `wanted` replaces, facet by facet, what the CRM says.

    `top`: how many are shown; None: all, and all who cannot be asked. Without a consent that holds at this instant
    nothing else matters, so that is looked at first, and the rest of the evidence only of whoever is left. Raises
    ConfigError for an unknown deal, scope or size.
    """
    asked, said = read_scope(scope), read_wanted(wanted or {})
    as_of, policy = services.today, services.mapping.policy
    with services.database.read() as connection:
        deal = find_deal(services, connection, opportunity)
        guessed = _guess(connection, deal)
        need = build_need(connection, deal, asked, {**guessed, **said})
        accounts = references.load_reference_accounts(connection, REFERENCE_CUSTOMER_TYPES)
        told = accounts if top is None else _worth_a_look(connection, accounts, asked, as_of, max(top, HELD_BACK))
        facts = load_facts(connection, told, as_of, policy)
        candidates = [candidate_of(one, asked, policy, as_of) for one in facts.values()]
        matching = rank_references(need, candidates, policy.reference, as_of)
        shown_first = {match.account: match.candidate.ledger for match in matching.matches[:top]}
        return Found(
            deal,
            matching,
            {id_: firm.name for id_, firm in references.load_firms(connection, {*facts, need.prospect}).items()},
            load_records(services, connection, {id_: facts[id_] for id_ in shown_first}, shown_first),
            tuple(facet for facet in Facet if facet in guessed and facet not in said),
            as_of,
            len(accounts) - len(told),
        )


def _worth_a_look(
    connection: Connection, accounts: Sequence[str], scope: ReferenceScope, as_of: date, others: int
) -> list[str]:
    """Everybody with a consent for the scope that holds on the day, and so many of the others, by id."""
    granted = references.load_granted(connection, scope).intersection(accounts)
    said = load_verified(connection, granted, as_of, CONSENT_TYPES)
    cleared = {
        account for account, events in said.items() if clearance(read_record(events).on(as_of), scope, as_of).is_valid
    }
    rest = [account for account in accounts if account not in cleared]
    return [*cleared, *rest[:others]]


def read_scope(text: str) -> ReferenceScope:
    """Raises ConfigError that names the scopes."""
    code = text.strip().lower().replace("-", "_")
    try:
        return BY_SUB_LEVEL.get(code) or ReferenceScope(code)
    except ValueError:
        raise ConfigError(f"there is no scope {text!r}", hint=f"the scopes are {', '.join(ReferenceScope)}") from None


def read_wanted(wanted: Mapping[Facet, Sequence[str]]) -> dict[Facet, tuple[str, ...]]:
    """What somebody asks for by hand, without blanks. Raises ConfigError for a size there is none of."""
    try:
        return {
            facet: tuple(read_size(word) if facet is Facet.SIZE else word.strip() for word in words if word.strip())
            for facet, words in wanted.items()
            if any(word.strip() for word in words)
        }
    except ValueError as error:
        raise ConfigError(str(error)) from None


def find_deal(services: Services, connection: Connection, text: str) -> references.Deal:
    """The opportunity with this id, this name, or the only one whose name contains it. Raises ConfigError otherwise."""
    deal = references.load_deal(connection, services.canonical_id(text))
    if deal is not None:
        return deal
    found = references.find_deals(connection, text, CANDIDATES + 1)
    if len(found) != 1:
        if not found:
            raise ConfigError(f"no opportunity has the id or the name '{text}'", hint="is the last sync long ago?")
        named = ", ".join(f"{one.name} ({one.id})" for one in found[:CANDIDATES])
        more = " and more" if len(found) > CANDIDATES else ""
        raise ConfigError(f"'{text}' can mean several opportunities: {named}{more}", hint="use the id")
    by_name = references.load_deal(connection, found[0].id)
    if by_name is None:
        raise ConfigError(f"no opportunity has the id {found[0].id}")
    return by_name


def list_open_deals(services: Services, top: int) -> list[dict[str, Any]]:
    """The largest open opportunities, as plain values, to choose from."""
    policy = services.mapping.policy
    with services.database.read() as connection:
        places = load_places(connection, policy.reporting_currency)
        found = references.list_open_deals(connection, top)
    return [
        {
            "id": one.id,
            "name": one.name,
            "account": one.account_id,
            "account_name": one.account_name,
            "amount": None if one.home_amount is None else str(major_units(one.home_amount, places)),
            "currency": policy.reporting_currency,
            "close_on": one.close_on,
        }
        for one in found
    ]


def _guess(connection: Connection, deal: references.Deal) -> dict[Facet, tuple[str, ...]]:
    """What the CRM says about the deal and who may buy."""
    firm = references.load_firms(connection, [deal.account_id]).get(deal.account_id) if deal.account_id else None
    profile = firm.profile if firm else references.Firm("", "").profile
    found = {
        Facet.INDUSTRY: (profile.industry,) if profile.industry else (),
        Facet.PRODUCT: (deal.product,) if deal.product else (),
        Facet.ROLE: references.load_roles(connection, deal.id),
        Facet.SIZE: (band,) if (band := size_band(profile.size)) else (),
        Facet.REGION: profile.regions,
    }
    return {facet: words for facet, words in found.items() if words}


def build_need(
    connection: Connection, deal: references.Deal, scope: ReferenceScope, wanted: Mapping[Facet, tuple[str, ...]]
) -> Need:
    prospect = deal.account_id or ""
    group = references.load_groups(connection, [prospect])[prospect] if prospect else ""
    return Need(scope.value, prospect, group, deal.id, wanted)


def load_facts(
    connection: Connection, accounts: Collection[str], as_of: date, policy: Policy
) -> dict[str, ReferenceFacts]:
    """All that matching looks at."""
    events = load_verified(connection, accounts, as_of, evidence_types(policy), or_against=True)
    groups = references.load_groups(connection, accounts)
    firms = references.load_firms(connection, accounts)
    return {
        account: ReferenceFacts(
            account, groups[account], events[account], (firms.get(account) or references.Firm(account, "")).profile
        )
        for account in accounts
    }


def load_records(
    services: Services,
    connection: Connection,
    facts: Mapping[str, ReferenceFacts],
    ledgers: Mapping[str, AskLedger],
) -> dict[str, Record]:
    """How the references of each customer went, and what became of the deals they were for."""
    deals = {event.opportunity for one in facts.values() for event in one.events if event.opportunity}
    won = references.load_results(connection, deals)
    rules, as_of = services.mapping.policy.reference, services.today
    return {
        account: record_of(uses_of(one.events, ledgers[account], won), rules, as_of) for account, one in facts.items()
    }
