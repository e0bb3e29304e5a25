"""Asking a customer for a reference: what holds it back at that moment, and the request where nothing does."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.availability import OVERRIDABLE, Block, Clearance, Hold
from app.domain.candidates import candidate_of
from app.domain.matching import Candidate, rank_references
from app.domain.reference_events import Grade
from app.domain.reference_scopes import ReferenceScope
from app.domain.request_events import kinds_of
from app.domain.requests import State
from app.errors import ConfigError, HeldError
from app.store import references, requests, runs
from app.store.connection import Connection
from app.store.value_rows import find_accounts, load_survivor
from app.sync.reference_requests import RequestView, load_request, show_request_on
from app.sync.references import CANDIDATES, build_need, find_deal, load_facts, read_scope
from app.sync.services import Services

MAX_TEXT = 2000


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody wants from one customer for one deal. `kind`: the type of reference; None: the usual one."""

    account: str
    opportunity: str
    scope: str = ReferenceScope.BASIC
    kind: str | None = None
    contact: str | None = None
    needed_by: date | None = None
    expected: Grade | None = None
    override: str | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """How one customer stands for one favour at this moment. `open_request`, `newest`: numbers; 0: there is none.

    `blocks`: everything that holds it back; some of it can be overridden.
    """

    account: str
    account_name: str
    deal: references.Deal
    scope: ReferenceScope
    clearance: Clearance
    blocks: tuple[Block, ...]
    open_request: int
    newest: int

    @property
    def is_possible(self) -> bool:
        """Whether it can be asked, if need be with a reason why it should be all the same."""
        return all(block.hold in OVERRIDABLE for block in self.blocks)


def look_ahead(services: Services, ask: Ask) -> Outlook:
    """What `request_reference` would meet now, without asking. Raises ConfigError for what is not known."""
    scope = read_scope(ask.scope)
    with services.database.read() as connection:
        deal = find_deal(services, connection, ask.opportunity)
        account = _find_customer(services, connection, ask.account)
        contact = services.canonical_id(ask.contact) if ask.contact else None
        favour = Favour(deal, account, scope, contact)
        candidate, blocks = _judge(services, connection, favour, services.today)
        return Outlook(
            account,
            name_of(connection, account),
            deal,
            scope,
            candidate.clearance,
            blocks,
            requests.find_open_request(connection, deal.id, account, scope) or 0,
            requests.find_newest_request(connection, deal.id, account, scope),
        )


def request_reference(services: Services, ask: Ask, who: str, *, after: int | None = None) -> RequestView:
    """A new request. `after`: the newest request for the same that the caller knows; a later one of its own is this
    one, sent twice.

    Raises HeldError where the customer may not be asked, ConfigError for what is not known.
    """
    scope = read_scope(ask.scope)
    kind = _read_kind(scope, ask.kind)
    override = (ask.override or "").strip() or None
    check_text(override)
    with services.database.begin() as connection:
        deal = find_deal(services, connection, ask.opportunity)
        account = _find_customer(services, connection, ask.account)
        requests.hold_account(connection, account)
        newest = requests.find_newest_request(connection, deal.id, account, scope)
        if after is not None and newest > after and load_request(connection, newest).requested_by == who:
            return show_request_on(services, connection, newest)
        if deal.is_closed:
            raise ConfigError(f"the deal {deal.name or deal.id} is closed: a reference would come too late")
        if (known := requests.find_open_request(connection, deal.id, account, scope)) is not None:
            raise ConfigError(f"request {known} is open for the same customer, deal and scope")
        contact = services.canonical_id(ask.contact) if ask.contact else None
        if contact and (doubt := services.doubt_id("contact", contact)):
            raise ConfigError(doubt)
        favour = Favour(deal, account, scope, contact)
        candidate = check_askable(services, connection, favour, override, services.today)
        if contact is None and len(candidate.clearance.contacts) == 1:
            contact = candidate.clearance.contacts[0]
        new = requests.NewRequest(
            deal.id, account, scope, kind, contact, ask.needed_by, ask.expected and ask.expected.value, override
        )
        now, today = services.now(), services.today
        request_id = requests.save_request(connection, new, who=who, now=now, today=today)
        save_audit(services, connection, who, request_id, State.NEW, {"override": override} if override else {})
        return show_request_on(services, connection, request_id)


def _read_kind(scope: ReferenceScope, kind: str | None) -> str:
    kinds = kinds_of(scope)
    if kind is not None and kind not in kinds:
        raise ConfigError(f"{kind} does not go with the scope {scope}", hint=f"it takes {', '.join(kinds)}")
    return kind or kinds[0]


def _find_customer(services: Services, connection: Connection, text: str) -> str:
    """The id of the account with this id, this name, or the only one whose name contains it. Raises ConfigError."""
    survivor = load_survivor(connection, services.canonical_id(text))
    if survivor in references.load_firms(connection, [survivor], live=True):
        return survivor
    found = find_accounts(connection, text, CANDIDATES + 1)
    if len(found) == 1:
        return found[0][0]
    if not found:
        raise ConfigError(f"no account has the id or the name '{text}'", hint="list them with: advocacy accounts --all")
    raise ConfigError(
        f"'{text}' can mean several accounts: {', '.join(f'{name} ({id_})' for id_, name in found)}", hint="use the id"
    )


@dataclass(frozen=True, slots=True)
class Favour:
    """What is asked of whom, for which deal."""

    deal: references.Deal
    account: str
    scope: ReferenceScope
    contact: str | None


def check_askable(
    services: Services,
    connection: Connection,
    favour: Favour,
    override: str | None,
    on: date,
    only: Collection[Hold] = tuple(Hold),
) -> Candidate:
    """Raises HeldError with everything that holds the customer back on the day. An override lifts what it may lift."""
    candidate, found = _judge(services, connection, favour, on)
    blocks = [block for block in found if block.hold in only]
    left = [block for block in blocks if not (override and block.hold in OVERRIDABLE)]
    if left:
        liftable = all(block.hold in OVERRIDABLE for block in left)
        raise HeldError(
            f"{name_of(connection, favour.account)} may not be asked for {favour.scope}: "
            + "; ".join(block.reason for block in left),
            code="reference_held",
            hint="say why it should be asked all the same: --override REASON" if liftable else "",
        )
    return candidate


def _judge(services: Services, connection: Connection, favour: Favour, on: date) -> tuple[Candidate, tuple[Block, ...]]:
    """The customer as a candidate on a day, and everything that holds it back."""
    policy = services.mapping.policy
    facts = load_facts(connection, [favour.account], on, policy)[favour.account]
    candidate = candidate_of(facts, favour.scope, policy, on, favour.contact)
    need = build_need(connection, favour.deal, favour.scope, {})
    found = rank_references(need, [candidate], policy.reference, on)
    return candidate, tuple(block for one in found.excluded for block in one.blocks)


def name_of(connection: Connection, account: str) -> str:
    firms = references.load_firms(connection, [account])
    return firms[account].name if account in firms else account


def check_text(*texts: str | None) -> None:
    """Raises ConfigError for text that a database cannot hold, or that nobody would read."""
    for text in texts:
        if text and (len(text) > MAX_TEXT or any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in text)):
            raise ConfigError(f"a reason is at most {MAX_TEXT} characters, without control characters")


def save_audit(
    services: Services, connection: Connection, who: str, request_id: int, state: State, detail: Mapping[str, Any]
) -> None:
    runs.save_audit(
        connection,
        now=services.now(),
        who=who,
        action=f"reference {state.value}",
        subject=f"reference request {request_id}",
        detail=detail,
    )
