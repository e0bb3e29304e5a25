"""Asking a customer for a reference: the life of a request, and the ledger of what was asked and what came back.

An ask counts against the cap from the day it was made, whatever became of it, unless the customer said no. Days are
counted half-open: an ask of day d is in a window of 90 days up to d + 89.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum
from fractions import Fraction

from app.domain.attributes import AttributeReader
from app.domain.days import days_after
from app.domain.events import VerifiedEvent, order_of
from app.domain.rules import ReferenceRules

MAX_MINUTES = 60 * 24 * 7
MAX_DAYS = 3650


class State(StrEnum):
    """Where a request stands."""

    NEW = "new"
    APPROVED = "approved"
    """The programme agreed, and the customer has been asked."""
    NOT_APPROVED = "not_approved"
    """The programme or the customer said no."""
    SCHEDULED = "scheduled"
    """The customer said yes."""
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    """Sales says that it took place as reported."""
    CANCELLED = "cancelled"


class Step(StrEnum):
    """What can be done with a request."""

    APPROVE = "approve"
    DECLINE = "decline"
    SCHEDULE = "schedule"
    COMPLETE = "complete"
    CONFIRM = "confirm"
    CANCEL = "cancel"


MOVES: Mapping[tuple[State, Step], State] = {
    (State.NEW, Step.APPROVE): State.APPROVED,
    (State.NEW, Step.DECLINE): State.NOT_APPROVED,
    (State.NEW, Step.CANCEL): State.CANCELLED,
    (State.APPROVED, Step.SCHEDULE): State.SCHEDULED,
    (State.APPROVED, Step.DECLINE): State.NOT_APPROVED,
    (State.APPROVED, Step.CANCEL): State.CANCELLED,
    (State.SCHEDULED, Step.SCHEDULE): State.SCHEDULED,
    (State.SCHEDULED, Step.COMPLETE): State.COMPLETED,
    (State.SCHEDULED, Step.CANCEL): State.CANCELLED,
    (State.COMPLETED, Step.CONFIRM): State.CONFIRMED,
}
"""Every step that is allowed; a scheduled request can be scheduled anew."""

OPEN_STATES = (State.NEW, State.APPROVED, State.SCHEDULED)


def open_steps(state: State) -> tuple[Step, ...]:
    """What can be done next."""
    return tuple(step for step in Step if (state, step) in MOVES)


def next_state(state: State, step: Step) -> State:
    """Raises ValueError that names the steps there are."""
    reached = MOVES.get((state, step))
    if reached is None:
        steps = ", ".join(open_steps(state)) or "nothing: it has ended"
        raise ValueError(f"a request that is {state} cannot take the step {step}; possible is {steps}")
    return reached


# What people record ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class AskNote:
    """The attributes of `ask_sent`, `ask_accepted`, `ask_declined` and `ask_unanswered`.

    `days`: how long the answer took, where the ask itself was not recorded. `minutes`: what it costs the customer.
    """

    request: str | None = None
    minutes: int | None = None
    days: int | None = None
    reason: str | None = None


def read_ask(attributes: Mapping[str, object]) -> AskNote:
    """Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    note = AskNote(
        reader.text("request"),
        reader.whole("minutes", 0, MAX_MINUTES),
        reader.whole("days", 0, MAX_DAYS),
        reader.text("reason"),
    )
    reader.text("note")
    reader.check()
    return note


def read_pause(attributes: Mapping[str, object]) -> str | None:
    """The reason of `resting` and `opted_out`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    reason = reader.text("reason")
    reader.text("note")
    reader.check()
    return reason


READERS: Mapping[str, Callable[[Mapping[str, object]], object]] = {
    **dict.fromkeys(("ask_accepted", "ask_declined", "ask_sent", "ask_unanswered"), read_ask),
    **dict.fromkeys(("opted_out", "resting"), read_pause),
}
"""The strict reader of each type's attributes."""

# The ledger -----------------------------------------------------------------------------------------------------------

SENT, ACCEPTED, DECLINED, UNANSWERED = "ask_sent", "ask_accepted", "ask_declined", "ask_unanswered"
ASK_TYPES = (ACCEPTED, DECLINED, SENT, UNANSWERED)
GIVEN_BACK_TYPES = ("reward_given",)
TIRING_TYPES = (
    "analyst_reference",
    "investor_reference",
    "press_interview",
    "reference_call",
    "reference_email",
    "reference_meeting",
    "rfp_reference",
    "site_visit",
)
"""References that cost the customer time. Where none was asked for on record, each counts as an ask of its own."""
REQUEST = "request"
"""The attribute that names the request an event belongs to."""
LEDGER_TYPES = tuple(sorted((*ASK_TYPES, *GIVEN_BACK_TYPES, *TIRING_TYPES)))


class Answer(StrEnum):
    PENDING = "pending"
    YES = "yes"
    NO = "no"
    NO_REPLY = "no_reply"


_ANSWERS = {ACCEPTED: Answer.YES, DECLINED: Answer.NO, UNANSWERED: Answer.NO_REPLY}


@dataclass(frozen=True, slots=True)
class LedgerEvent:
    """A verified event of one of `LEDGER_TYPES`. An answer belongs to the ask of its request, or of its opportunity."""

    id: str
    type: str
    occurred_on: date
    occurred_at: datetime | None = None
    request: str | None = None
    opportunity: str | None = None
    days: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """`last_on`: the latest reminder. `days`: from the ask to the answer, where both are known."""

    sent_on: date
    last_on: date
    answer: Answer = Answer.PENDING
    answered_on: date | None = None
    days: int | None = None
    request: str | None = None
    opportunity: str | None = None
    event_id: str = ""

    @property
    def counts(self) -> bool:
        """Whether it uses up the cap."""
        return self.answer is not Answer.NO


@dataclass(frozen=True, slots=True)
class AskLedger:
    """What was asked of one customer, on a day. `used`: asks in the window that count, of `cap`.

    `capped_until`, `cooling_until`: the first day on which it may be asked again; None: not held back by that.
    `recent_declines`: in the window.
    """

    asks: tuple[Ask, ...] = ()
    given_back: int = 0
    used: int = 0
    cap: int = 0
    window_days: int = 0
    recent_declines: int = 0
    uses: int = 0
    """References given for which it took time, ever."""
    last_used_on: date | None = None
    capped_until: date | None = None
    cooling_until: date | None = None
    next_change_on: date | None = None
    counts: Mapping[Answer, int] = field(default_factory=dict)

    @property
    def factor(self) -> Fraction:
        """What is left of the cap, 0 to 1."""
        return Fraction(max(0, self.cap - self.used), self.cap) if self.cap > 0 else Fraction(0)

    @property
    def balance(self) -> int:
        """What we gave back less what we were given: below zero, we only ever withdraw."""
        return self.given_back - self.counts.get(Answer.YES, 0)


def ledger_event_of(event: VerifiedEvent) -> LedgerEvent:
    """An event of one of `LEDGER_TYPES` as the ledger sees it. Raises ValueError for an ask that cannot be read."""
    note = read_ask(event.attributes) if event.type in ASK_TYPES else AskNote(_request(event.attributes))
    return LedgerEvent(
        event.id, event.type, event.occurred_on, event.occurred_at, note.request, event.opportunity, note.days
    )


def _request(attributes: Mapping[str, object]) -> str | None:
    request = attributes.get(REQUEST)
    return request if isinstance(request, str) else None


def ask_ledger(events: Iterable[LedgerEvent], rules: ReferenceRules, as_of: date) -> AskLedger:
    """The order of the events does not matter; what lies after `as_of` does not count yet."""
    # Of one day, what was asked comes before what was answered, whatever is known of the times.
    ordered = sorted(events, key=lambda one: (one.occurred_on, one.type != SENT, order_of(one)))
    known = [event for event in ordered if event.occurred_on <= as_of]
    asks = _asks(known)
    ends = sorted(end for ask in asks if ask.counts and (end := days_after(ask.sent_on, rules.window_days)) > as_of)
    declines = [
        end
        for ask in asks
        if not ask.counts and (end := days_after(ask.answered_on or ask.sent_on, rules.window_days)) > as_of
    ]
    cooling = max((days_after(ask.last_on, rules.cooldown_days) for ask in asks), default=as_of)
    uses = [event.occurred_on for event in known if event.type in TIRING_TYPES]
    changes = [*ends, *declines, *([cooling] if cooling > as_of else [])]
    changes += [event.occurred_on for event in ordered if event.occurred_on > as_of][:1]
    return AskLedger(
        asks=tuple(asks),
        given_back=sum(event.type in GIVEN_BACK_TYPES for event in known),
        used=len(ends),
        cap=rules.asks_per_window,
        window_days=rules.window_days,
        recent_declines=len(declines),
        uses=len(uses),
        last_used_on=max(uses, default=None),
        capped_until=_free_on(ends, rules.asks_per_window),
        cooling_until=cooling if cooling > as_of else None,
        next_change_on=min(changes, default=None),
        counts={answer: sum(ask.answer is answer for ask in asks) for answer in Answer},
    )


def _free_on(ends: list[date], cap: int) -> date | None:
    """The day on which fewer than `cap` of the asks that end on these days are left."""
    if len(ends) < cap:
        return None
    return ends[len(ends) - cap] if cap > 0 else date.max


def _asks(ordered: Iterable[LedgerEvent]) -> list[Ask]:
    """One ask for all that was recorded about it, oldest first."""
    asks: list[Ask] = []
    events = list(ordered)
    for event in events:
        if event.type in ASK_TYPES:
            _enter(asks, event)
    for event in events:
        if event.type in TIRING_TYPES and not any(_is_about(ask, event) for ask in asks):
            day = event.occurred_on
            asks.append(Ask(day, day, Answer.YES, day, None, event.request, event.opportunity, event.id))
    return sorted(asks, key=lambda ask: (ask.sent_on, ask.event_id))


def _enter(asks: list[Ask], event: LedgerEvent) -> None:
    place = next((at for at in reversed(range(len(asks))) if _is_same(asks[at], event)), None)
    found = asks[place] if place is not None else None
    day, answer = event.occurred_on, _ANSWERS.get(event.type)
    if place is None or found is None:
        answered_on = day if answer else None
        asks.append(
            Ask(day, day, answer or Answer.PENDING, answered_on, event.days, event.request, event.opportunity, event.id)
        )
    elif answer is None:
        asks[place] = replace(found, last_on=day)
    else:
        days = event.days if event.days is not None else (day - found.sent_on).days
        asks[place] = replace(
            found,
            answer=answer,
            answered_on=day,
            days=days if found.answer is Answer.PENDING else found.days,
            opportunity=found.opportunity or event.opportunity,
        )


def _is_same(ask: Ask, event: LedgerEvent) -> bool:
    """Whether the event is about this ask: the same request; the same opportunity; or neither has any and it waits.

    A new ask for an opportunity whose last ask was answered is a new ask; an answer there corrects the old one.
    """
    if ask.request is not None or event.request is not None:
        return ask.request == event.request
    is_waiting = ask.answer is Answer.PENDING
    if ask.opportunity is not None or event.opportunity is not None:
        return ask.opportunity == event.opportunity and (is_waiting or event.type != SENT)
    return is_waiting


def _is_about(ask: Ask, use: LedgerEvent) -> bool:
    """Whether this was the ask for the reference. Who said no and gave one all the same was won over by another."""
    if not ask.counts:
        return False
    if use.request is not None and ask.request is not None:
        return ask.request == use.request
    return use.opportunity is not None and ask.opportunity == use.opportunity
