"""How all references stand together, and each of them: how good, how available, how used.

Computed from the events there are at that moment, like `references`: a consent that was withdrawn a minute ago is
withdrawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction
from typing import Any

from app.domain.availability import Availability, Readiness
from app.domain.candidates import REFERENCE_CUSTOMER_TYPES, ReferenceFacts, candidate_of, ledger_of, readiness
from app.domain.days import iso
from app.domain.matching import shown
from app.domain.permissions import read_record
from app.domain.programme import Member, Programme, programme
from app.domain.reference_record import Record
from app.domain.reference_scopes import ReferenceScope
from app.domain.requests import Answer, AskLedger
from app.store import references
from app.sync.references import load_facts, load_records
from app.sync.services import Services


@dataclass(frozen=True, slots=True)
class ReferenceCustomer:
    """One customer of the programme: how good, how available, how used."""

    account: str
    name: str
    member: Member
    availability: Availability
    ledger: AskLedger
    record: Record

    def as_json(self) -> dict[str, Any]:
        low, high, coverage = self.member.quality.percents
        return {
            "account": self.account,
            "name": self.name,
            "since": iso(self.member.since),
            "state": self.availability.state.value,
            "available_from": iso(self.availability.available_from),
            "quality_low": low,
            "quality_high": high,
            "quality_coverage": coverage,
            "is_high_impact": self.member.quality.is_high_impact,
            "record": self.record.kind.value,
            "signals": dict(self.record.signals),
            "won_percent": list(self.record.won_percent) if self.record.won_percent else None,
            "days_to_accept": self.record.days_to_accept,
            "better_as_worse": list(self.record.surprises),
            "mean_difference": None if self.record.mean_difference is None else str(self.record.mean_difference),
            "minutes": self.record.minutes,
            "asks_used": self.ledger.used,
            "asks_cap": self.ledger.cap,
            "uses": self.ledger.uses,
            "last_used_on": iso(self.ledger.last_used_on),
            "balance": self.ledger.balance,
        }


@dataclass(frozen=True, slots=True)
class ProgrammeView:
    """All reference customers together. `utilisation`: asks used of those the caps allow, 0 to 1."""

    programme: Programme
    customers: tuple[ReferenceCustomer, ...]
    as_of: date
    answers: Mapping[Answer, int] = field(default_factory=dict)

    @property
    def utilisation(self) -> Fraction:
        cap = sum(one.ledger.cap for one in self.customers)
        return (
            Fraction(sum(min(one.ledger.used, one.ledger.cap) for one in self.customers), cap) if cap else Fraction(0)
        )

    @property
    def states(self) -> dict[Readiness, int]:
        """How many reference customers are in which state today."""
        found = [one.availability.state for one in self.customers]
        return {state: found.count(state) for state in Readiness if state in found}

    def as_json(self) -> dict[str, Any]:
        whole = self.programme
        return {
            "as_of": self.as_of.isoformat(),
            "references": whole.references,
            "high_impact": whole.high_impact,
            "possible_high_impact": whole.possible_high_impact,
            "full_strength_low": shown(whole.full_low),
            "full_strength_high": shown(whole.full_high),
            "strength": whole.strength.value,
            "is_fundamentally_weak": whole.is_fundamentally_weak,
            "records": {kind.value: count for kind, count in whole.kinds.items()},
            "goal": whole.goal,
            "quarters": [
                {"quarter": one.name, "new": one.new, "high_impact": one.high_impact, "reading": one.reading.value}
                for one in whole.quarters
            ],
            "states": {state.value: count for state, count in self.states.items()},
            "utilisation_percent": int(self.utilisation * 100),
            "answers": {answer.value: count for answer, count in self.answers.items()},
            "customers": [one.as_json() for one in self.customers],
        }


def show_programme(services: Services) -> ProgrammeView:
    """Every customer with any consent that holds today, the best first; and when whoever ever gave one was new."""
    as_of, policy = services.today, services.mapping.policy
    with services.database.read() as connection:
        accounts = references.load_reference_accounts(connection, REFERENCE_CUSTOMER_TYPES)
        facts = load_facts(connection, accounts, as_of, policy)
        firms = references.load_firms(connection, accounts)
        ledgers = {account: ledger_of(one.events, policy, as_of) for account, one in facts.items()}
        records = load_records(services, connection, facts, ledgers)
    customers: list[ReferenceCustomer] = []
    former: list[ReferenceCustomer] = []
    for account, one in facts.items():
        customer, is_current = _customer(services, one, firms[account].name, records[account], as_of)
        (customers if is_current else former).append(customer)
    customers.sort(key=lambda one: (-one.member.quality.low, -one.member.quality.high, one.account))
    answers = {answer: sum(one.ledger.counts.get(answer, 0) for one in customers) for answer in Answer}
    whole = programme([one.member for one in customers], policy.reference, as_of, former=[one.member for one in former])
    return ProgrammeView(whole, tuple(customers), as_of, {a: n for a, n in answers.items() if n})


def _customer(
    services: Services, facts: ReferenceFacts, name: str, record: Record, as_of: date
) -> tuple[ReferenceCustomer, bool]:
    """How one stands, and whether any of its consents holds."""
    policy = services.mapping.policy
    permissions = read_record(facts.events).on(as_of)
    # The scope is of no matter here: what is told of a candidate beside its clearance is the same for all of them.
    candidate = candidate_of(facts, ReferenceScope.BASIC, policy, as_of)
    found = readiness(permissions, candidate.openness, candidate.ledger, policy.reference, as_of)
    member = Member(facts.account, candidate.quality, permissions.since, record.kind)
    return ReferenceCustomer(facts.account, name, member, found, candidate.ledger, record), bool(permissions.valid)
