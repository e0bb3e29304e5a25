"""What becomes of a request for a reference, step by step.

Asking and arranging look at what holds the customer back at that moment, on the day they are told of, and on the day
of the meeting to come; what took place, at the day it did. What a step is worth recording becomes advocacy events, in
the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from app.domain.availability import Hold
from app.domain.candidates import clearance
from app.domain.days import iso
from app.domain.event_attributes import check_attributes
from app.domain.events import AdvocacyEvent
from app.domain.permissions import read_record
from app.domain.reference_events import Grade
from app.domain.reference_scopes import ReferenceScope
from app.domain.request_events import RequestFacts, StepReport, events_of_step
from app.domain.requests import MOVES, Step, next_state
from app.errors import ConfigError, HeldError
from app.store import references, requests
from app.store.connection import Connection
from app.store.events import save_events_on
from app.store.value_rows import load_survivor
from app.sync.reference_asks import Favour, check_askable, check_text, name_of, save_audit
from app.sync.reference_requests import RequestView, load_request, show_request_on
from app.sync.references import load_facts
from app.sync.services import Services

ALWAYS = frozenset({Hold.NO_CONSENT, Hold.OPTED_OUT, Hold.PROSPECT_ITSELF, Hold.SAME_GROUP})
"""What holds a customer back even after it said yes."""
_CHECKED: Mapping[Step, Collection[Hold]] = {
    # Nobody is asked who may not be; whoever said yes is still not used without a consent.
    Step.APPROVE: tuple(Hold),
    Step.SCHEDULE: ALWAYS,
    Step.COMPLETE: ALWAYS,
}
MOVED = "request_moved"
"""The code of the error that somebody else took a step meanwhile."""


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


def _check_consent(services: Services, connection: Connection, favour: Favour, day: date) -> None:
    """Raises HeldError where, as far as is known today, the customer does not consent for that day."""
    policy = services.mapping.policy
    facts = load_facts(connection, [favour.account], services.today, policy)[favour.account]
    found = clearance(read_record(facts.events).on(services.today), favour.scope, day, favour.contact)
    if not found.is_valid:
        raise HeldError(
            f"{name_of(connection, favour.account)} may not be asked for {favour.scope} on {day}: {found.reason}",
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
    check_text(report.reason, report.override)
    if on > today:
        raise ConfigError(f"{on} has not come yet", hint="the day of a meeting to come is said when it is scheduled")
    if report.scheduled_for is not None and report.scheduled_for < on:
        raise ConfigError(f"{report.scheduled_for} lies before {on}", hint="say when it will take place, or say --on")
    with services.database.begin() as connection:
        stored = load_request(connection, request_id)
        account = load_survivor(connection, stored.account_id)
        requests.hold_account(connection, account)
        if seen is not None and _was_taken(connection, request_id, step, report, who, seen=seen):
            return show_request_on(services, connection, request_id)
        try:
            becomes = next_state(stored.state, step)
        except ValueError as error:
            raise ConfigError(f"request {request_id}: {error}") from None
        override = (report.override or "").strip() or stored.override_reason
        favour = Favour(_deal_of(connection, stored), account, ReferenceScope(stored.scope), stored.contact_id)
        if step in _CHECKED:
            for day in sorted({on} if step is Step.COMPLETE else {on, today}):
                check_askable(services, connection, favour, override, day, _CHECKED[step])
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
        save_audit(services, connection, who, request_id, becomes, detail)
        return show_request_on(services, connection, request_id)


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
