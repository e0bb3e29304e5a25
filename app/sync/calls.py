"""One call a day: whom to call, and what to talk about.

What a queue shows was known before its day, and stays the same all day; only the state of the call moves, and nobody is
named as a contact who is known to have left. What decides about the order, total and value tier, is of the last run
before the day; the money that is told is of the last run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from app.domain.calls import (
    CALL_SKIPPED,
    CALL_TYPES,
    Buyer,
    Call,
    business_day_from,
    buyer_from,
    buyer_on,
    is_business_day,
    known_before,
    next_call_on,
    rank_calls,
    read_call_skipped,
    schedule_calls,
)
from app.domain.care import Care, Rule, care_on
from app.domain.care_events import CARE_ANSWER, Bucket
from app.domain.days import iso
from app.domain.events import VerifiedEvent, told
from app.domain.explain import percent_text
from app.domain.icalendar import Entry, moment_of, write_calendar
from app.domain.money import major_units
from app.domain.permission_events import CONTACT_LEFT, PERMISSION_GRANTED
from app.domain.permissions import read_record
from app.domain.rules import CareRules
from app.domain.success import Progress, success
from app.errors import ConfigError
from app.store.before import WorthBefore, load_before
from app.store.calls import CustomerRow, load_buyer_contacts, load_customers, load_first_sales, load_reps
from app.store.connection import Connection
from app.store.evidence import load_verified
from app.store.rates import load_places
from app.store.standing_rows import load_standing
from app.sync.services import Services

UPCOMING = 3
MAX_CALENDAR_DAYS = 260
"""A year of business days."""
DEFAULT_MINUTES = 15

BUCKETS: Mapping[Bucket | None, str] = {
    Bucket.NEED_YOU: "need you",
    Bucket.OK: "it's ok",
    Bucket.WHO_ARE_YOU: "who are you?",
    None: "not known",
}
_INFERRED: Mapping[Rule, str] = {
    Rule.ASKED_TO_CUT: "they asked to cut",
    Rule.HARDLY_USED: "they hardly use it",
    Rule.CONSIDERS_ALTERNATIVES: "they look at alternatives",
    Rule.USED_LESS: "they use it less than they did",
    Rule.USED_WITH_SPONSOR: "they use it and have a sponsor",
    Rule.USED_WITHOUT_SPONSOR: "they use it, and no sponsor is known",
}


@dataclass(frozen=True, slots=True)
class CallView:
    """One buyer to call: why this one, and what to talk about. Money in major units; `contact`: ids of the CRM."""

    account: str
    name: str
    url: str
    contact: str | None
    contact_role: str | None
    why: str
    bucket: Bucket | None
    is_inferred: bool
    action: str
    points: tuple[str, ...]
    verbatim: str
    answered_on: date | None
    direct: Decimal
    referred: Decimal
    total: Decimal
    currency: str

    def as_json(self) -> dict[str, Any]:
        """Every field under its name, money as decimal text."""
        return {
            "account": self.account,
            "name": self.name,
            "url": self.url,
            "contact": self.contact,
            "contact_role": self.contact_role,
            "why": self.why,
            "bucket": self.bucket,
            "is_inferred": self.is_inferred,
            "action": self.action,
            "talking_points": list(self.points),
            "verbatim": self.verbatim,
            "answered_on": iso(self.answered_on),
            "direct": str(self.direct),
            "referred": str(self.referred),
            "total": str(self.total),
            "currency": self.currency,
        }


@dataclass(frozen=True, slots=True)
class QueueView:
    """The one call of a representative on a day. `rep`: the owner in the CRM, None where an account has none.

    `state`: open, answered or skipped; empty without a call. `upcoming`: who would be next, by name. `outcome`: what
    came of the call, in sentences; empty while it is open. `bucket`: as it stands with that, at the end of the day.
    """

    rep: str | None
    day: date
    is_business_day: bool
    next_business_day: date | None
    call: CallView | None
    state: str
    upcoming: tuple[tuple[str, str], ...]
    outcome: tuple[str, ...] = ()
    bucket: Bucket | None = None

    def as_json(self) -> dict[str, Any]:
        """The documented object."""
        return {
            "rep": self.rep,
            "day": self.day.isoformat(),
            "is_business_day": self.is_business_day,
            "next_business_day": iso(self.next_business_day),
            "state": self.state,
            "outcome": list(self.outcome),
            "bucket": self.bucket,
            "call": self.call.as_json() if self.call else None,
            "upcoming": [{"account": id_, "name": name} for id_, name in self.upcoming],
        }


@dataclass(frozen=True, slots=True)
class CallList:
    """One representative's customers as they were known before a day. `events`: up to the day, that day included."""

    rep: str | None
    buyers: tuple[Buyer, ...]
    rows: Mapping[str, CustomerRow]
    events: Mapping[str, Sequence[VerifiedEvent]]


def list_reps(services: Services) -> list[str | None]:
    """Everybody who owns a customer; None last, where a customer has no owner."""
    with services.database.read() as connection:
        return load_reps(connection)


def list_calls(services: Services, *, rep: str | None = None, day: date | None = None) -> list[QueueView]:
    """The call of a day, of one representative or of each. A representative without a customer has no queue."""
    wanted = day or services.today
    with services.database.read() as connection:
        lists = load_lists(services, connection, wanted, rep)
        return _open_queues(services, connection, lists, wanted)


def write_call_calendar(
    services: Services,
    *,
    rep: str | None = None,
    start: date | None = None,
    days: int = 20,
    at: time | None = None,
    minutes: int = DEFAULT_MINUTES,
) -> str:
    """The calls of the next business days as an iCalendar: whole days, or at a time of day in the policy's zone.

    Days to come are a forecast: every answer may change them. Raises ConfigError.
    """
    if not 1 <= days <= MAX_CALENDAR_DAYS:
        raise ConfigError(f"a calendar covers 1 to {MAX_CALENDAR_DAYS} business days")
    first, policy = start or services.today, services.mapping.policy
    with services.database.read() as connection:
        lists = load_lists(services, connection, first, rep)
        planned = [
            (one, call)
            for one in lists
            for _, call in schedule_calls(one.buyers, policy.care, first, days)
            if call is not None
        ]
        views = _view(services, connection, planned)
    entries = []
    for (one, call), view in zip(planned, views, strict=True):
        begin: datetime | date = call.day if at is None else moment_of(call.day, at, policy.time_zone)
        whose = f" ({one.rep})" if len(lists) > 1 and one.rep is not None else ""
        entries.append(
            Entry(
                _uid(one.rep, call.day),
                begin,
                f"Call {view.name or view.account}{whose}",
                "\n".join((f"Why: {view.why}", *view.points)),
                view.url,
                minutes,
            )
        )
    return write_calendar(entries, "Customer calls", services.now())


def _uid(rep: str | None, day: date) -> str:
    """One for each representative and day: when somebody else is to be called, the entry is replaced, not doubled."""
    digest = hashlib.sha256(f"{rep or ''}/{day.isoformat()}".encode()).hexdigest()
    return f"call-{digest[:24]}@advocacy-sync"


def load_lists(
    services: Services, connection: Connection, day: date, rep: str | None, *, is_over: bool = False
) -> list[CallList]:
    """The lists of a day, by representative. `is_over`: with what happened on the day as well. Raises ConfigError."""
    rules = services.mapping.policy.care
    rep = None if rep is None else _find_rep(services, connection, rep)
    rows = load_customers(connection, rep=rep)
    ids = [row.id for row in rows]
    since = load_first_sales(connection, ids)
    events = load_verified(connection, ids, day, CALL_TYPES)
    before = {} if is_over else load_before(connection, day)
    tell = buyer_on if is_over else buyer_from
    lists: dict[str | None, list[CustomerRow]] = {}
    for row in rows:
        # Whoever bought later, or is known to have bought only since a run of the day, was no customer yet.
        if since.get(row.id, date.min) <= day and (row.id not in before or before[row.id].was_customer):
            lists.setdefault(row.rep, []).append(row)
    return [
        CallList(
            owner,
            tuple(
                tell(
                    _buyer(row, before.get(row.id), since.get(row.id)),
                    events[row.id],
                    rules,
                    day,
                )
                for row in members
            ),
            {row.id: row for row in members},
            {row.id: events[row.id] for row in members},
        )
        for owner, members in sorted(lists.items(), key=lambda one: (one[0] is None, one[0] or ""))
    ]


def find_rep(services: Services, text: str) -> str:
    """The id of a representative as the CRM keeps it. Raises ConfigError for somebody who owns no customer."""
    with services.database.read() as connection:
        return _find_rep(services, connection, text)


def _find_rep(services: Services, connection: Connection, text: str) -> str:
    """The id as the CRM keeps it, of somebody who owns a customer. Raises ConfigError."""
    rep = services.canonical_id(text)
    if rep not in load_reps(connection):
        raise ConfigError(
            f"{text!r} owns no customer", hint="use the id of an owner; they are named by: advocacy calls today"
        )
    return rep


def _buyer(row: CustomerRow, before: WorthBefore | None, since: date | None) -> Buyer:
    worth = before or row
    return Buyer(row.id, row.name, worth.total, worth.percentile, known_since=since)


def _open_queues(services: Services, connection: Connection, lists: Sequence[CallList], day: date) -> list[QueueView]:
    rules = services.mapping.policy.care
    ranked = [(one, rank_calls(one.buyers, rules, day, top=1 + UPCOMING)) for one in lists]
    first = [(one, calls[0]) for one, calls in ranked if calls]
    views = {call.buyer.id: view for (_, call), view in zip(first, _view(services, connection, first), strict=True)}
    return [
        QueueView(
            one.rep,
            day,
            is_business_day(day, rules),
            business_day_from(day + timedelta(1), rules),
            views[calls[0].buyer.id] if calls else None,
            _state(one.events[calls[0].buyer.id], day) if calls else "",
            tuple((other.buyer.id, other.buyer.name) for other in calls[1:]),
            *(_outcome(one, calls[0].buyer, rules, day) if calls else ()),
        )
        for one, calls in ranked
    ]


def _outcome(one: CallList, buyer: Buyer, rules: CareRules, day: date) -> tuple[tuple[str, ...], Bucket | None]:
    """What came of the call of a day, in sentences, and the bucket as it stands with that."""
    events, row = one.events[buyer.id], one.rows[buyer.id]
    state = _state(events, day)
    if state == "open":
        return (), buyer.bucket
    standing = care_on(events, rules, day, is_customer=True)
    after = Buyer(row.id, percentile=row.percentile, known_since=buyer.known_since)
    due = next_call_on(buyer_from(after, events, rules, day + timedelta(1)), rules)
    again = (f"Next call from {due} on.",) if due else ()
    said = (*tell_bucket(standing), standing.action) if state == "answered" else tell_skip(events, day)
    return (*said, *again), standing.bucket


def tell_skip(events: Iterable[VerifiedEvent], day: date) -> tuple[str, ...]:
    """`Skipped: on holiday.`, with what was noted; the last one of a day."""
    skips = [skip for event, skip in told(events, CALL_SKIPPED, read_call_skipped, day) if event.occurred_on == day]
    if not skips:
        return ("Skipped.",)
    note = f" {skips[-1].note.rstrip('.')}." if skips[-1].note else ""
    return (f"Skipped: {skips[-1].reason.replace('_', ' ')}.{note}",)


def _state(events: Iterable[VerifiedEvent], day: date) -> str:
    happened = {event.type for event in events if event.occurred_on == day}
    return "answered" if CARE_ANSWER in happened else "skipped" if CALL_SKIPPED in happened else "open"


def _view(services: Services, connection: Connection, calls: Sequence[tuple[CallList, Call]]) -> list[CallView]:
    """What there is to say about each of some calls."""
    policy, ids = services.mapping.policy, {call.buyer.id for _, call in calls}
    standings, contacts = load_standing(connection, ids), load_buyer_contacts(connection, ids)
    people = load_verified(connection, ids, services.today, (CONTACT_LEFT, PERMISSION_GRANTED))
    departed = {id_: read_record(events).departed_on(services.today) for id_, events in people.items()}
    currency = policy.reporting_currency
    places = load_places(connection, currency)
    views = []
    for one, call in calls:
        row = one.rows[call.buyer.id]
        events = known_before(one.events[row.id], call.day)
        standing = care_on(events, policy.care, call.day, is_customer=bool(standings[row.id].measures["is_customer"]))
        direct, referred, total = (major_units(amount, places) for amount in (row.direct, row.referred, row.total))
        gone = {person for person, left_on in departed[row.id].items() if left_on <= call.day}
        contact, role = _contact(contacts.get(row.id, ()), events, gone)
        worth = f"Worth {_money(total)} {currency}: own {_money(direct)}, referred {_money(referred)}."
        points = (*tell_bucket(standing), worth, standing.action, *_tell_value(standing, success(events, call.day)))
        views.append(
            CallView(
                account=row.id,
                name=row.name,
                url=_account_url(services, row.id),
                contact=contact,
                contact_role=role,
                why=call.reason,
                bucket=standing.bucket,
                is_inferred=standing.is_inferred,
                action=standing.action,
                points=points,
                verbatim=standing.answer.verbatim if standing.answer else "",
                answered_on=standing.answered_on,
                direct=direct,
                referred=referred,
                total=total,
                currency=currency,
            )
        )
    return views


def _account_url(services: Services, account_id: str) -> str:
    section = next((one for entity, one in services.mapping.entities.items() if entity == "account"), None)
    return services.record_url(section.object, account_id) if section else ""


def _contact(
    buyers: Iterable[tuple[str, str]], events: Sequence[VerifiedEvent], gone: Collection[str]
) -> tuple[str | None, str | None]:
    """(contact, its role): the best buyer, or whoever answered last where the CRM names none; nobody who has left."""
    answered = ((event.contact, None) for event in reversed(events) if event.type == CARE_ANSWER and event.contact)
    return next((one for one in (*buyers, *answered) if one[0] not in gone), (None, None))


def tell_bucket(standing: Care) -> Iterable[str]:
    """What an account said last, or what its usage suggests, as a sentence; nothing where neither is known."""
    if standing.answer is not None:
        by = f", told {standing.answer.caller}" if standing.answer.caller else ""
        said = f": \N{LEFT DOUBLE QUOTATION MARK}{standing.answer.verbatim}\N{RIGHT DOUBLE QUOTATION MARK}"
        quote = said if standing.answer.verbatim else "."
        yield f"Said {BUCKETS[standing.answer.bucket]!r} on {standing.answered_on}{by}{quote}"
    elif standing.bucket is not None:
        yield f"Probably {BUCKETS[standing.bucket]!r}: {_INFERRED[standing.rule]}."


def _tell_value(standing: Care, metrics: Sequence[Progress]) -> Iterable[str]:
    if standing.limbo_since is not None:
        yield f"In limbo since {standing.limbo_since}: the value has stopped, and the contract has not."
    for one in metrics:
        yield tell_progress(one)
    if standing.proposal_gate:
        yield standing.proposal_gate


def tell_progress(one: Progress) -> str:
    """`Revenue of the customer: 40 % of the way from 100 to 200 EUR, agreed.`"""
    metric = one.metric
    name = metric.name or metric.kind.removeprefix("x_").replace("_", " ").capitalize()
    unit = f" {metric.unit}" if metric.unit else ""
    agreed = "agreed" if one.is_agreed else "not agreed"
    whose = f"{name} of the {metric.owner}"
    if one.share is not None:
        done = ("minus " if one.share < 0 else "") + percent_text(abs(one.share))
        return f"{whose}: {done} of the way from {metric.baseline} to {metric.target}{unit}, {agreed}."
    if metric.target is None:
        return f"{whose}: no target yet."
    return f"{whose}: the target is {metric.target}{unit}, {agreed}; what is reached so far is not known."


def _money(amount: Decimal) -> str:
    return f"{amount:,.0f}" if amount == amount.to_integral_value() else f"{amount:,f}"
