"""Asking a customer for a reference, and what became of it.

Asking and arranging look at what holds the customer back at that moment, on the day they are told of, and on the day
of the meeting to come; what took place, at the day it did. What a step is worth recording becomes advocacy events, in
the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from app.domain.availability import OVERRIDABLE, Block, Clearance, Hold
from app.domain.candidates import CONSENT_TYPES, candidate_of, clearance
from app.domain.days import iso
from app.domain.event_attributes import check_attributes
from app.domain.events import AdvocacyEvent
from app.domain.matching import Candidate, rank_references
from app.domain.permissions import Permissions, read_record
from app.domain.reference_events import Grade
from app.domain.reference_scopes import ReferenceScope
from app.domain.request_events import RequestFacts, StepReport, events_of_step, kinds_of
from app.domain.requests import MOVES, OPEN_STATES, State, Step, next_state, open_steps
from app.errors import ConfigError, HeldError
from app.store import references, requests, runs
from app.store.connection import Connection
from app.store.events import save_events_on
from app.store.evidence import load_verified
from app.store.values import find_accounts, load_survivor
from app.sync.references import CANDIDATES, build_need, find_deal, load_facts, read_scope
from app.sync.services import Services

ALWAYS = frozenset({Hold.NO_CONSENT, Hold.OPTED_OUT, Hold.PROSPECT_ITSELF, Hold.SAME_GROUP})
"""What holds a customer back even after it said yes."""
MAX_TEXT = 2000
MOVED = "request_moved"
"""The code of the error that somebody else took a step meanwhile."""


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


@dataclass(frozen=True, slots=True)
class Report:
    """What somebody says with a step. `on`: the day it happened; None: today. `scheduled_for`: of a meeting to come."""

    reason: str | None = None
    no_reply: bool = False
    on: date | None = None
    scheduled_for: date | None = None
    override: str | None = None
    expected: Grade | None = None
    actual: Grade | None = None
    minutes: int | None = None
    signals: tuple[str, ...] = ()
    prospect_bought: bool | None = None


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
        account = find_customer(services, connection, ask.account)
        contact = services.canonical_id(ask.contact) if ask.contact else None
        favour = _Favour(deal, account, scope, contact)
        candidate, blocks = _judge(services, connection, favour, services.today)
        return Outlook(
            account,
            _name_of(connection, account),
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
    _check_text(override)
    with services.database.begin() as connection:
        deal = find_deal(services, connection, ask.opportunity)
        account = find_customer(services, connection, ask.account)
        requests.hold_account(connection, account)
        newest = requests.find_newest_request(connection, deal.id, account, scope)
        if after is not None and newest > after and _load(connection, newest).requested_by == who:
            return _view(services, connection, newest)
        if deal.is_closed:
            raise ConfigError(f"the deal {deal.name or deal.id} is closed: a reference would come too late")
        if (known := requests.find_open_request(connection, deal.id, account, scope)) is not None:
            raise ConfigError(f"request {known} is open for the same customer, deal and scope")
        contact = services.canonical_id(ask.contact) if ask.contact else None
        if contact and (doubt := services.doubt_id("contact", contact)):
            raise ConfigError(doubt)
        favour = _Favour(deal, account, scope, contact)
        candidate = _check_askable(services, connection, favour, override, services.today)
        if contact is None and len(candidate.clearance.contacts) == 1:
            contact = candidate.clearance.contacts[0]
        new = requests.NewRequest(
            deal.id, account, scope, kind, contact, ask.needed_by, ask.expected and ask.expected.value, override
        )
        now, today = services.now(), services.today
        request_id = requests.save_request(connection, new, who=who, now=now, today=today)
        _audit(services, connection, who, request_id, State.NEW, {"override": override} if override else {})
        return _view(services, connection, request_id)


def _read_kind(scope: ReferenceScope, kind: str | None) -> str:
    kinds = kinds_of(scope)
    if kind is not None and kind not in kinds:
        raise ConfigError(f"{kind} does not go with the scope {scope}", hint=f"it takes {', '.join(kinds)}")
    return kind or kinds[0]


def find_customer(services: Services, connection: Connection, text: str) -> str:
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
class _Favour:
    """What is asked of whom, for which deal."""

    deal: references.Deal
    account: str
    scope: ReferenceScope
    contact: str | None


def _check_askable(
    services: Services,
    connection: Connection,
    favour: _Favour,
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
            f"{_name_of(connection, favour.account)} may not be asked for {favour.scope}: "
            + "; ".join(block.reason for block in left),
            code="reference_held",
            hint="say why it should be asked all the same: --override REASON" if liftable else "",
        )
    return candidate


def _judge(
    services: Services, connection: Connection, favour: _Favour, on: date
) -> tuple[Candidate, tuple[Block, ...]]:
    """The customer as a candidate on a day, and everything that holds it back."""
    policy = services.mapping.policy
    facts = load_facts(connection, [favour.account], on, policy)[favour.account]
    candidate = candidate_of(facts, favour.scope, policy, on, favour.contact)
    need = build_need(connection, favour.deal, favour.scope, {})
    found = rank_references(need, [candidate], policy.reference, on)
    return candidate, tuple(block for one in found.excluded for block in one.blocks)


def _name_of(connection: Connection, account: str) -> str:
    firms = references.load_firms(connection, [account])
    return firms[account].name if account in firms else account


def _check_consent(services: Services, connection: Connection, favour: _Favour, day: date) -> None:
    """Raises HeldError where, as far as is known today, the customer does not consent for that day."""
    policy = services.mapping.policy
    facts = load_facts(connection, [favour.account], services.today, policy)[favour.account]
    found = clearance(read_record(facts.events).on(services.today), favour.scope, day, favour.contact)
    if not found.is_valid:
        raise HeldError(
            f"{_name_of(connection, favour.account)} may not be asked for {favour.scope} on {day}: {found.reason}",
            code="reference_held",
            hint="choose a day on which the consent holds, or ask for a new consent first",
        )


def take_step(
    services: Services, request_id: int, step: Step, report: Report, who: str, *, seen: int | None = None
) -> RequestView:
    """Move a request on, with the events the step leaves behind, all or nothing.

    `seen`: how many steps the caller knows of. Where there is one more, and it is this very one, it was sent twice and
    changes nothing; any other was somebody else's, and is refused.

    Raises ConfigError where the request is not known or cannot take the step, HeldError where consent does not hold.
    """
    now, today = services.now(), services.today
    on = report.on or today
    _check_text(report.reason, report.override)
    if on > today:
        raise ConfigError(f"{on} has not come yet", hint="the day of a meeting to come is said when it is scheduled")
    if report.scheduled_for is not None and report.scheduled_for < on:
        raise ConfigError(f"{report.scheduled_for} lies before {on}", hint="say when it will take place, or say --on")
    with services.database.begin() as connection:
        stored = _load(connection, request_id)
        account = load_survivor(connection, stored.account_id)
        requests.hold_account(connection, account)
        if seen is not None and _was_taken(connection, request_id, step, report, who, seen=seen):
            return _view(services, connection, request_id)
        try:
            becomes = next_state(stored.state, step)
        except ValueError as error:
            raise ConfigError(f"request {request_id}: {error}") from None
        override = (report.override or "").strip() or stored.override_reason
        favour = _Favour(_deal_of(connection, stored), account, ReferenceScope(stored.scope), stored.contact_id)
        if step in _CHECKED:
            for day in sorted({on} if step is Step.COMPLETE else {on, today}):
                _check_askable(services, connection, favour, override, day, _CHECKED[step])
        if step is Step.SCHEDULE and report.scheduled_for is not None:
            _check_consent(services, connection, favour, report.scheduled_for)
        events = events_of_step(
            RequestFacts(
                stored.number, account, stored.opportunity_id, favour.scope, stored.kind, stored.contact_id,
                favour.deal.name,
            ),
            stored.state,
            step,
            _told(report, stored, on),
            now if on == today else None,
        )  # fmt: skip
        _check_events(events)
        changes: dict[str, date | str | None] = {"account_id": account, "override_reason": override}
        if step is Step.SCHEDULE:
            changes["scheduled_for"] = report.scheduled_for
        if not requests.move_request(connection, request_id, stored.state, becomes, **changes):
            told = f"request {request_id} was moved by somebody else just now"
            raise ConfigError(told, code=MOVED, hint="look at it again")
        save_events_on(connection, events, now=now, policy=services.mapping.policy)
        detail = _detail(report)
        requests.save_step(connection, request_id, becomes, who=who, now=now, day=on, detail=detail)
        _audit(services, connection, who, request_id, becomes, detail)
        return _view(services, connection, request_id)


def _was_taken(connection: Connection, request_id: int, step: Step, report: Report, who: str, *, seen: int) -> bool:
    """Whether the step that followed those was this very one. Raises ConfigError where it was another."""
    steps = requests.load_steps(connection, request_id)
    if len(steps) <= seen:
        return False
    before, taken = steps[seen - 1] if seen > 0 else None, steps[seen]
    reached = MOVES.get((before.state, step)) if before else None
    if (taken.state, taken.who, taken.detail) != (reached, who, _detail(report)):
        raise ConfigError(
            f"request {request_id} was moved meanwhile: {steps[-1].who} made it {steps[-1].state}",
            code=MOVED,
            hint="look at it again",
        )
    return True


def _deal_of(connection: Connection, stored: requests.StoredRequest) -> references.Deal:
    """The deal of a request, or what is left of it when the CRM has deleted it."""
    gone = references.Deal(stored.opportunity_id, "", None, None, is_won=False, is_closed=True, close_on=None)
    return references.load_deal(connection, stored.opportunity_id) or gone


def _told(report: Report, stored: requests.StoredRequest, on: date) -> StepReport:
    expected = report.expected or (Grade(stored.expected_grade) if stored.expected_grade else None)
    return StepReport(
        on,
        report.reason,
        report.no_reply,
        expected,
        report.actual,
        report.minutes,
        report.signals,
        report.prospect_bought,
    )


_CHECKED: Mapping[Step, Collection[Hold]] = {
    # Nobody is asked who may not be; whoever said yes is still not used without a consent.
    Step.APPROVE: tuple(Hold),
    Step.SCHEDULE: ALWAYS,
    Step.COMPLETE: ALWAYS,
}


def _detail(report: Report) -> dict[str, Any]:
    """What was said, without what was not."""
    told = {
        "reason": report.reason,
        "no_reply": report.no_reply or None,
        "scheduled_for": iso(report.scheduled_for),
        "override": report.override,
        "expected_grade": report.expected and report.expected.value,
        "actual_grade": report.actual and report.actual.value,
        "minutes": report.minutes,
        "signals": list(report.signals) or None,
        "prospect_bought": report.prospect_bought,
    }
    return {name: value for name, value in told.items() if value is not None}


def _check_events(events: Sequence[AdvocacyEvent]) -> None:
    """Raises ConfigError where the door would refuse what a step is about to record."""
    try:
        for event in events:
            check_attributes(event.type, event.attributes)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _check_text(*texts: str | None) -> None:
    """Raises ConfigError for text that a database cannot hold, or that nobody would read."""
    for text in texts:
        if text and (len(text) > MAX_TEXT or any(sign == "\0" or "\ud800" <= sign <= "\udfff" for sign in text)):
            raise ConfigError(f"a reason is at most {MAX_TEXT} characters, without control characters")


def _audit(
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


def _load(connection: Connection, request_id: int) -> requests.StoredRequest:
    stored = requests.load_request(connection, request_id)
    if stored is None:
        raise ConfigError(
            f"there is no reference request {request_id}", hint="list them with: advocacy references list"
        )
    return stored


def show_request(services: Services, request_id: int) -> RequestView:
    """Raises ConfigError for an unknown one."""
    with services.database.read() as connection:
        return _view(services, connection, request_id)


def _view(services: Services, connection: Connection, request_id: int) -> RequestView:
    stored = _load(connection, request_id)
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
        one.request_id: missing[0]
        for one in found
        if one.request_id in ahead
        if (missing := _missing(permissions[ahead[one.request_id]], one, today))
    }


def _missing(permissions: Permissions, one: requests.StoredRequest, today: date) -> list[str]:
    """Why it has no consent today, and why it has none on its day."""
    days = sorted({today, max(one.scheduled_for or today, today)})
    found = (clearance(permissions, ReferenceScope(one.scope), day, one.contact_id) for day in days)
    return [verdict.gone or verdict.reason for verdict in found if verdict.gone or not verdict.is_valid]


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
