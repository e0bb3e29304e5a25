"""Permissions over all accounts: what holds, what was promised in deals, and whether something may be used."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any, ClassVar

from app.domain.days import iso
from app.domain.permission_events import PERMISSION_GRANTED, PERMISSION_PROMISED, RECORD_TYPES
from app.domain.permissions import Consent, PermissionRecord, Verdict, may_use, read_record
from app.domain.promises import PromisedScope, promised_or_delivered
from app.domain.reference_scopes import ReferenceScope
from app.store.connection import Connection
from app.store.events import load_accounts_with
from app.store.evidence import load_verified
from app.store.history import load_names
from app.store.references import load_deal
from app.sync.services import Services


@dataclass(frozen=True, slots=True)
class HeldConsent:
    """One consent of one account. `holds`: on the day that was asked for."""

    account: str
    account_name: str
    consent: Consent
    holds: bool

    PLACE: ClassVar = ("account", "level", "start", "contact", "event")
    """What tells one consent from all others, in the order of pages."""

    @property
    def level(self) -> str:
        return self.consent.scope.sub_level

    @property
    def start(self) -> str:
        return self.consent.start.isoformat()

    @property
    def contact(self) -> str:
        return self.consent.contact or ""

    @property
    def event(self) -> str:
        return self.consent.source

    @property
    def place(self) -> tuple[str, ...]:
        return tuple(str(getattr(self, name)) for name in self.PLACE)

    def as_json(self) -> dict[str, Any]:
        return {"account": self.account, "account_name": self.account_name, **show_consent(self.consent, self.holds)}


@dataclass(frozen=True, slots=True)
class PromiseView:
    """One scope that one account promised in one deal, with what became of it."""

    account: str
    account_name: str
    opportunity_name: str
    promised: PromisedScope

    def as_json(self) -> dict[str, Any]:
        promised = self.promised
        return {
            "account": self.account,
            "account_name": self.account_name,
            "opportunity": promised.opportunity,
            "opportunity_name": self.opportunity_name,
            "scope": promised.scope.value,
            "level": promised.scope.sub_level,
            "state": promised.state.value,
            "promised_on": promised.promised_on.isoformat(),
            "due_on": promised.due_on.isoformat(),
            "granted_on": promised.consent.start.isoformat() if promised.consent else None,
            "delivered_on": promised.delivered_by.used_on.isoformat() if promised.delivered_by else None,
            "delivered_by": promised.delivered_by.id if promised.delivered_by else None,
            "event": promised.promise,
        }


def doubt_deal(services: Services, opportunity: str, account_id: str | None = None) -> str:
    """What speaks against there being such a deal, and one of this account if it is given; "" where nothing does."""
    with services.database.read() as connection:
        id_ = services.canonical_id(opportunity)
        deal = load_deal(connection, id_)
        if deal is None:
            return f"no deal {id_} is known: is it the id of an opportunity?"
        if account_id is None or deal.account_id in (None, account_id):
            return ""
        names = load_names(connection, "account", [deal.account_id])
    return f"the deal {id_} is one of {names.get(deal.account_id) or deal.account_id}, not of this account"


def show_consent(consent: Consent, holds: bool) -> dict[str, Any]:
    """A consent for programs. `until`: the first day it no longer holds; `ending`: why it ends."""
    return {
        "scope": consent.scope.value,
        "level": consent.scope.sub_level,
        "holds": holds,
        "since": consent.start.isoformat(),
        "until": iso(consent.end),
        "ending": consent.ending.value if consent.ending else None,
        "contact": consent.contact,
        "granted_by": consent.granted_by,
        "document": consent.document,
        "event": consent.source,
    }


def list_consents(
    services: Services,
    account: str | None = None,
    *,
    scope: ReferenceScope | None = None,
    include_ended: bool = False,
    as_of: date | None = None,
    top: int | None = None,
    after: tuple[str, ...] | None = None,
) -> list[HeldConsent]:
    """Consents by the id of the account, then by scope. `include_ended`: also those that hold no more, or not yet.

    `top`: so many at most; the events of no more accounts than it takes are looked at. `after`: only what follows this
    place.
    """
    day = as_of or services.today
    found: list[HeldConsent] = []
    with services.database.read() as connection:
        accounts = load_accounts_with(connection, (PERMISSION_GRANTED,)) if account is None else [account]
        ahead = [id_ for id_ in accounts if after is None or id_ >= after[0]]
        size = len(ahead) if top is None else top
        for start in range(0, len(ahead), max(size, 1)):
            some = ahead[start : start + size]
            events = load_verified(connection, some, day, RECORD_TYPES)
            names = load_names(connection, "account", some)
            found += (
                one
                for id_ in some
                for consent in read_record(events[id_]).consents_on(day)
                for one in (HeldConsent(id_, names.get(id_, ""), consent, consent.holds_on(day)),)
                if scope in (None, consent.scope) and (one.holds or include_ended)
                if after is None or one.place > after
            )
            if top is not None and len(found) >= top:
                break
    return found[:top]


def list_promised(services: Services, account: str | None = None, as_of: date | None = None) -> list[PromiseView]:
    """What was promised in deals against what was granted and delivered, most urgent first."""
    day = as_of or services.today
    rules = services.mapping.policy.commitment
    with services.database.read() as connection:
        records = list(_records(connection, account, (PERMISSION_PROMISED,), day))
        lines = [
            (id_, promised)
            for id_, record in records
            for promised in promised_or_delivered(record.promises, record.on(day), record.uses, rules, day)
        ]
        names = load_names(connection, "account", [id_ for id_, _ in records])
        deals = load_names(connection, "opportunity", {promised.opportunity for _, promised in lines})
    views = [PromiseView(id_, names.get(id_, ""), deals.get(one.opportunity, ""), one) for id_, one in lines]
    return sorted(views, key=lambda view: (view.promised.order, view.account))


def check_permission(
    services: Services, account: str, scope: ReferenceScope, *, on: date | None = None, contact: str | None = None
) -> Verdict:
    """Whether something of an account may be used on a day: ask before every use."""
    with services.database.read() as connection:
        ((_, record),) = _records(connection, account, (), services.today)
    return may_use(record.on(services.today), scope, on or services.today, contact)


def _records(
    connection: Connection, account: str | None, having: Collection[str], as_of: date
) -> Iterator[tuple[str, PermissionRecord]]:
    """(account id, what its events say) of one account, or of all that have an event of one of these types."""
    accounts = load_accounts_with(connection, having) if account is None else [account]
    events = load_verified(connection, accounts, as_of, RECORD_TYPES)
    return ((id_, read_record(events[id_])) for id_ in accounts)
