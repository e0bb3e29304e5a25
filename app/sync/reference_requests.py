"""Requests for references as they stand: what was asked, every step since, and whether it may still take place."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.domain.candidates import CONSENT_TYPES, clearance
from app.domain.days import iso
from app.domain.permissions import Permissions, read_record
from app.domain.reference_scopes import ReferenceScope
from app.domain.requests import OPEN_STATES, State, open_steps
from app.errors import ConfigError
from app.store import references, requests
from app.store.connection import Connection
from app.store.evidence import load_verified
from app.store.value_rows import load_survivor
from app.sync.services import Services


@dataclass(frozen=True, slots=True)
class RequestView:
    request: requests.StoredRequest
    account_name: str
    deal_name: str
    no_consent: str | None = None
    """Why, as far as is known now, it may not take place any more, today or on its day; None: it may, or it is over."""
    steps: tuple[requests.StoredStep, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        one = self.request
        return {
            "id": one.request_id,
            "state": one.state.value,
            "account": one.account_id,
            "account_name": self.account_name,
            "opportunity": one.opportunity_id,
            "opportunity_name": self.deal_name,
            "contact": one.contact_id,
            "scope": one.scope,
            "kind": one.kind,
            "requested_by": one.requested_by,
            "requested_on": one.requested_on.isoformat(),
            "needed_by": iso(one.needed_by),
            "scheduled_for": iso(one.scheduled_for),
            "expected_grade": one.expected_grade,
            "override_reason": one.override_reason,
            "no_consent": self.no_consent,
            "next_steps": [step.value for step in open_steps(one.state)],
            "steps": [
                {"state": step.state.value, "at": step.at.isoformat(), "on": step.on.isoformat(), "who": step.who}
                | {"detail": dict(step.detail)}
                for step in self.steps
            ],
        }


def load_request(connection: Connection, request_id: int) -> requests.StoredRequest:
    stored = requests.load_request(connection, request_id)
    if stored is None:
        raise ConfigError(
            f"there is no reference request {request_id}", hint="list them with: advocacy references list"
        )
    return stored


def show_request(services: Services, request_id: int) -> RequestView:
    """Raises ConfigError for an unknown one."""
    with services.database.read() as connection:
        return show_request_on(services, connection, request_id)


def show_request_on(services: Services, connection: Connection, request_id: int) -> RequestView:
    stored = load_request(connection, request_id)
    steps = tuple(requests.load_steps(connection, request_id))
    return replace(_show(services, connection, [stored])[0], steps=steps)


def _show(services: Services, connection: Connection, found: Sequence[requests.StoredRequest]) -> list[RequestView]:
    firms = references.load_firms(connection, {one.account_id for one in found})
    uncovered = _uncovered(services, connection, found)
    deals = {id_: references.load_deal(connection, id_) for id_ in {one.opportunity_id for one in found}}
    return [
        RequestView(
            one,
            firms[one.account_id].name if one.account_id in firms else "",
            deal.name if (deal := deals[one.opportunity_id]) else "",
            uncovered.get(one.request_id),
        )
        for one in found
    ]


def _uncovered(services: Services, connection: Connection, found: Iterable[requests.StoredRequest]) -> dict[int, str]:
    """Of the requests that are still to take place those without a consent, today or on their day, and why."""
    today = services.today
    ahead = {one.request_id: load_survivor(connection, one.account_id) for one in found if one.state in OPEN_STATES}
    events = load_verified(connection, set(ahead.values()), today, CONSENT_TYPES)
    permissions = {account: read_record(said).on(today) for account, said in events.items()}
    return {
        one.request_id: missing
        for one in found
        if one.request_id in ahead
        if (missing := _missing(permissions[ahead[one.request_id]], one, today)) is not None
    }


def _missing(permissions: Permissions, one: requests.StoredRequest, today: date) -> str | None:
    """Why it has no consent today, or else on its day."""
    days = sorted({today, max(one.scheduled_for or today, today)})
    found = (clearance(permissions, ReferenceScope(one.scope), day, one.contact_id) for day in days)
    return next((one.gone or one.reason for one in found if one.gone or not one.is_valid), None)


def list_requests(
    services: Services,
    *,
    state: State | None = None,
    opportunity: str | None = None,
    top: int = 100,
    before: int | None = None,
) -> list[RequestView]:
    """Newest first, without their steps. `before`: only older ones than this.

    Raises ConfigError for an opportunity that neither the CRM nor any request knows.
    """
    with services.database.read() as connection:
        wanted = services.canonical_id(opportunity) if opportunity else None
        found = requests.load_requests(connection, state=state, opportunity_id=wanted, limit=top, before=before)
        is_known = found or wanted is None or references.load_deal(connection, wanted) is not None
        if not is_known and not requests.load_requests(connection, opportunity_id=wanted, limit=1):
            raise ConfigError(f"no opportunity has the id {opportunity}", hint="is the last sync long ago?")
        return _show(services, connection, found)
