"""Why one customer cares: where it stands, how it got there, and the success it measures itself by."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.calls import CALL_TYPES, Buyer, buyer_from, next_call_on
from app.domain.care import Care, Progress, Transition, care, success, transitions
from app.domain.days import days_after
from app.store.calls import load_customers
from app.store.evidence import load_verified
from app.store.standing import load_standing
from app.sync.answers import find_account
from app.sync.services import Services


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
            "limbo_since": _iso(now.limbo_since),
            "has_agreed_value": now.has_agreed_value,
            "proposal_gate": now.proposal_gate,
            "next_change_on": _iso(now.next_change_on),
            "next_call_on": _iso(self.next_call_on),
            "metrics": [_metric(one) for one in self.metrics],
            "transitions": [_move(one) for one in self.moves],
        }


def _metric(one: Progress) -> dict[str, Any]:
    metric = one.metric
    return {
        "owner": metric.owner,
        "kind": metric.kind,
        "name": metric.name,
        "unit": metric.unit,
        "baseline": _exact(metric.baseline),
        "target": _exact(metric.target),
        "actual": _exact(metric.actual),
        "agreed_on": _iso(metric.agreed_on),
        "is_agreed": one.is_agreed,
        "progress": None if one.share is None else str(one.share),
        "told_on": one.told_on.isoformat(),
    }


def _move(one: Transition) -> dict[str, Any]:
    return {
        "on": one.on.isoformat(),
        "before": one.before,
        "after": one.after,
        "direction": one.direction,
        "decision": one.decision,
        "verbatim": one.verbatim,
        "event": one.event_id,
    }


def _iso(day: date | None) -> str | None:
    return day.isoformat() if day else None


def _exact(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


def show_care(services: Services, account: str, *, as_of: date | None = None) -> CareHistory:
    """Why a customer cares, on a day and before it. Raises ConfigError for an unknown account."""
    found = find_account(services, account)
    rules, day = services.mapping.policy.care, as_of or services.today
    with services.database.read() as connection:
        events = load_verified(connection, [found.id], day, CALL_TYPES)[found.id]
        is_customer = bool(load_standing(connection, [found.id])[found.id].measures["is_customer"])
        customers = load_customers(connection, account_ids=[found.id])
    percentile = customers[0].percentile if customers else None
    # What happened on the day counts here: it is asked for, not queued.
    buyer = buyer_from(Buyer(found.id, percentile=percentile), events, rules, days_after(day, 1))
    return CareHistory(
        found.id,
        found.name,
        day,
        care(events, rules, day, is_customer=is_customer),
        next_call_on(buyer, rules),
        tuple(success(events, day)),
        tuple(transitions(events, day)),
    )
