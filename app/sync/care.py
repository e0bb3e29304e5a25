"""Why one customer cares: where it stands, how it got there, and the success it measures itself by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.calls import CALL_TYPES, Buyer, buyer_on, next_call_on
from app.domain.care import Care, Transition, care, transitions
from app.domain.days import iso
from app.domain.success import Progress, success
from app.store.calls import load_customers
from app.store.evidence import load_verified
from app.store.standing_rows import load_standing
from app.sync.answers import find_account
from app.sync.services import Services
from app.sync.standing import show_metric, show_move


@dataclass(frozen=True, slots=True)
class CareHistory:
    """`moves`: how it went from bucket to bucket by its answers, oldest first. `metrics`: the customer's own first."""

    account: str
    name: str
    as_of: date
    standing: Care
    next_call_on: date | None
    metrics: tuple[Progress, ...]
    moves: tuple[Transition, ...]

    def as_json(self) -> dict[str, Any]:
        """The documented object: exact numbers and fractions as text."""
        now = self.standing
        return {
            "id": self.account,
            "name": self.name,
            "as_of": self.as_of.isoformat(),
            "bucket": now.bucket,
            "rule": now.rule,
            "is_inferred": now.is_inferred,
            "inferred": now.inferred,
            "has_conflict": now.has_conflict,
            "decision": now.decision,
            "action": now.action,
            "evidence": list(now.evidence),
            "limbo_since": iso(now.limbo_since),
            "has_agreed_value": now.has_agreed_value,
            "proposal_gate": now.proposal_gate,
            "next_change_on": iso(now.next_change_on),
            "next_call_on": iso(self.next_call_on),
            "metrics": [show_metric(one) for one in self.metrics],
            "transitions": [show_move(one) for one in self.moves],
        }


def show_care(services: Services, account: str, *, as_of: date | None = None) -> CareHistory:
    """Why a customer cares, on a day and before it. Raises ConfigError for an unknown account."""
    found = find_account(services, account)
    rules, day = services.mapping.policy.care, as_of or services.today
    with services.database.read() as connection:
        events = load_verified(connection, [found.id], day, CALL_TYPES)[found.id]
        is_customer = bool(load_standing(connection, [found.id])[found.id].measures["is_customer"])
        customers = load_customers(connection, account_ids=[found.id])
    percentile = customers[0].percentile if customers else None
    buyer = buyer_on(Buyer(found.id, percentile=percentile), events, rules, day)
    return CareHistory(
        found.id,
        found.name,
        day,
        care(events, rules, day, is_customer=is_customer),
        next_call_on(buyer, rules),
        tuple(success(events, day)),
        tuple(transitions(events, day)),
    )
