"""What a step of a request is worth recording as: the advocacy events it leaves behind, each known for ever.

The ask and its answer go into the ledger of the customer. A completed reference counts for the deal like one that was
imported, its use of the consent is logged, and how it went is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from app.domain.event_types import EVENT_TYPES
from app.domain.events import AdvocacyEvent, Polarity
from app.domain.permission_events import PERMISSION_USED
from app.domain.reference_events import REFERENCE_OUTCOME, Grade
from app.domain.reference_scopes import SUB_LEVELS, ReferenceScope
from app.domain.requests import ACCEPTED, DECLINED, REQUEST, SENT, UNANSWERED, State, Step

SOURCE = "reference_requests"
"""`source_system` of the events of our own requests."""


@dataclass(frozen=True, slots=True)
class RequestFacts:
    """One request, as far as its events go. `title`: of the deal, for people."""

    number: str
    account: str
    opportunity: str
    scope: ReferenceScope
    kind: str
    contact: str | None = None
    title: str = ""


@dataclass(frozen=True, slots=True)
class StepReport:
    """What somebody says with a step; every step looks at what is its own. `on`: the day it happened on."""

    on: date
    reason: str | None = None
    no_reply: bool = False
    expected: Grade | None = None
    actual: Grade | None = None
    minutes: int | None = None
    signals: tuple[str, ...] = ()
    prospect_bought: bool | None = None


def kinds_of(scope: ReferenceScope) -> tuple[str, ...]:
    """The types of references that take this consent; the usual one comes first."""
    usual = {ReferenceScope.OTHER_PUBLIC_DOCUMENT: "case_study"}.get(scope)
    kinds = [code for code, kind in EVENT_TYPES.items() if kind.permission == SUB_LEVELS[scope]]
    return tuple(sorted(kinds, key=lambda code: code != usual)) if usual else tuple(kinds)


def events_of_step(
    facts: RequestFacts, was: State, step: Step, report: StepReport, now: datetime | None
) -> tuple[AdvocacyEvent, ...]:
    """`now`: the instant, where the step happens today; None where it is told of an earlier day."""
    note: dict[str, object] = {REQUEST: facts.number}
    if report.reason:
        note["reason"] = report.reason
    if step is Step.APPROVE:
        return (_event(facts, "sent", SENT, note, report.on, now),)
    if step is Step.SCHEDULE and was is State.APPROVED:
        return (_event(facts, "accepted", ACCEPTED, note, report.on, now),)
    if step is Step.DECLINE and was is State.APPROVED:
        return (_event(facts, "declined", DECLINED, note, report.on, now),)
    if step is Step.CANCEL and was is State.APPROVED and report.no_reply:
        return (_event(facts, "unanswered", UNANSWERED, note, report.on, now),)
    if step is Step.COMPLETE:
        return (
            _event(facts, "given", facts.kind, {REQUEST: facts.number}, report.on, now),
            _event(facts, "used", PERMISSION_USED, _use(facts), report.on, now),
            _event(facts, "outcome", REFERENCE_OUTCOME, _outcome(facts, report), report.on, now),
        )
    return ()


def _use(facts: RequestFacts) -> Mapping[str, object]:
    return {"scopes": [facts.scope.value], "where": _title(facts)}


def _outcome(facts: RequestFacts, report: StepReport) -> Mapping[str, object]:
    told: dict[str, object] = {
        REQUEST: facts.number,
        "expected_grade": report.expected.value if report.expected else None,
        "actual_grade": report.actual.value if report.actual else None,
        "minutes": report.minutes,
        "signals": list(report.signals) or None,
        "prospect_bought": report.prospect_bought,
    }
    return {name: value for name, value in told.items() if value is not None}


def _title(facts: RequestFacts) -> str:
    return f"{EVENT_TYPES[facts.kind].title} for {facts.title or facts.opportunity}"


def _event(
    facts: RequestFacts, what: str, code: str, attributes: Mapping[str, object], on: date, now: datetime | None
) -> AdvocacyEvent:
    return AdvocacyEvent(
        source_system=SOURCE,
        source_event_id=f"{facts.number}-{what}",
        type=code,
        occurred_on=on,
        account=facts.account,
        occurred_at=now,
        contact=facts.contact,
        opportunity=facts.opportunity,
        # What was asked is about us, what was given is for us.
        polarity=Polarity.ADVOCATE if code == facts.kind else Polarity.NEUTRAL,
        title=_title(facts) if code == facts.kind else None,
        attributes=attributes,
    )
