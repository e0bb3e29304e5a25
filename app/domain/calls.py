"""One call a day: which buyer a representative calls next, and how well the whole list is covered.

Every account has its own rhythm: what it said last gives the interval, what it is worth makes it shorter or longer.
Whoever is latest in proportion to that interval is called first, so nobody is forgotten; on a day on which nobody is
due it is whoever is closest to it, unless the policy says to wait (`call_before_due`). Who is called on a day depends
on what happened before that day: what is logged during it changes tomorrow, and never today.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction
from itertools import islice
from typing import NamedTuple

from app.domain.attributes import AttributeReader
from app.domain.care import Care, care_on
from app.domain.care_events import CARE_ANSWER, CARE_TYPES, Bucket, Decision
from app.domain.days import days_after
from app.domain.events import VerifiedEvent, order_of, told
from app.domain.rules import CareRules

CALL_SKIPPED = "call_skipped"
CONTACT_TYPES = (
    CARE_ANSWER, "ask_accepted", "ask_declined", "attention_given", "needs_shared", "project_data_shared",
    "research_session", "roadmap_shared",
)  # fmt: skip
"""Somebody of theirs talked with us."""
CALL_TYPES = tuple(sorted({*CARE_TYPES, *CONTACT_TYPES, CALL_SKIPPED}))
"""What the queue looks at."""
UNKNOWN = "unknown"
"""The interval of an account that nobody knows the bucket of."""
LAST_TIER = "C"
DAYS_OF_A_WEEK = 7
BEGINNING = date(2000, 1, 1)
"""Since when somebody waits who was never called and whose beginning nobody knows: ahead of everybody else."""


class SkipReason(StrEnum):
    NO_ANSWER = "no_answer"
    ON_HOLIDAY = "on_holiday"
    NOT_NOW = "not_now"
    WRONG_PERSON = "wrong_person"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class CallSkipped:
    """`until`: the first day on which the account may be called again; None: as the rules say for the reason."""

    reason: SkipReason
    caller: str | None = None
    until: date | None = None
    note: str = ""


def read_call_skipped(attributes: Mapping[str, object]) -> CallSkipped:
    """Attributes of `call_skipped`. Raises ValueError with every problem."""
    reader = AttributeReader(attributes)
    reason = reader.choice("reason", list(SkipReason), is_required=True)
    caller, until, note = reader.text("caller"), reader.day("until"), reader.text("note") or ""
    reader.check()
    return CallSkipped(SkipReason(str(reason)), caller, until, note)


# The calendar


def is_business_day(day: date, rules: CareRules) -> bool:
    return day.weekday() in rules.work_days and day not in rules.holidays


def business_days(start: date, rules: CareRules) -> Iterator[date]:
    """The business days from a day on, that day included. Ends with the calendar."""
    if not rules.work_days:
        return
    for ordinal in range(start.toordinal(), date.max.toordinal()):
        day = date.fromordinal(ordinal)
        if is_business_day(day, rules):
            yield day


def business_day_from(start: date, rules: CareRules) -> date | None:
    """The first business day on or after a day; None where there is none."""
    return next(business_days(start, rules), None)


# The list


@dataclass(frozen=True, slots=True)
class Buyer:
    """An account on a representative's list, as it was known before a day.

    `total`: minor units. `percentile`: of all customers, None for one that is worth nothing.
    `known_since`: from when an account waits that was never contacted; None: nobody knows.
    `resting_until`: the first day after a skipped call on which it may be called again.
    `is_written_off`: there is no win for both sides, and no call is spent on it while that answer holds.
    """

    id: str
    name: str = ""
    total: int = 0
    percentile: int | None = None
    bucket: Bucket | None = None
    last_contact_on: date | None = None
    known_since: date | None = None
    resting_until: date | None = None
    is_written_off: bool = False


def known_before(events: Iterable[VerifiedEvent], day: date) -> list[VerifiedEvent]:
    """What a queue of a day may look at: nothing that happened on it."""
    return [event for event in events if event.occurred_on < day]


def buyer_from(buyer: Buyer, events: Iterable[VerifiedEvent], rules: CareRules, day: date) -> Buyer:
    """An account with what its events say of it before a day."""
    return buyer_on(buyer, known_before(events, day), rules, day)


def buyer_on(buyer: Buyer, events: Iterable[VerifiedEvent], rules: CareRules, day: date) -> Buyer:
    """An account as it stands on a day, with what its events up to that day say of it, that day included."""
    known = [event for event in events if event.occurred_on <= day]
    if not known:
        return buyer
    standing = care_on(known, rules, day, is_customer=True)
    return replace(
        buyer,
        bucket=standing.bucket,
        last_contact_on=last_contact(known, day),
        resting_until=resting_until(known, rules, day),
        is_written_off=is_written_off(standing),
    )


def is_written_off(standing: Care) -> bool:
    return standing.decision is Decision.ASSUME_GONE


def last_contact(events: Iterable[VerifiedEvent], as_of: date) -> date | None:
    """The last day, up to one, on which somebody of theirs talked with us."""
    days = (event.occurred_on for event in events if event.type in CONTACT_TYPES and event.occurred_on <= as_of)
    return max(days, default=None)


def resting_until(events: Sequence[VerifiedEvent], rules: CareRules, as_of: date) -> date | None:
    """Until when a skipped call stands; None where none was skipped, or they were reached since."""
    skips = told(events, CALL_SKIPPED, read_call_skipped, as_of)
    if not skips:
        return None
    event, said = skips[-1]
    if any(order_of(one) > order_of(event) for one in events if one.type in CONTACT_TYPES and one.occurred_on <= as_of):
        return None
    return said.until or days_after(event.occurred_on, rules.skip_days.get(said.reason, 1))


def tier_of(percentile: int | None, rules: CareRules) -> str:
    """The first value tier whose percentile is reached, best first."""
    ranked = sorted(rules.tier_percentiles.items(), key=lambda one: (-one[1], one[0]))
    return next((tier for tier, least in ranked if percentile is not None and percentile >= least), LAST_TIER)


def interval_of(bucket: Bucket | None, percentile: int | None, rules: CareRules) -> Fraction:
    """Days from one contact to the next call."""
    return rules.interval_days[bucket or UNKNOWN] * rules.tiers[tier_of(percentile, rules)]


def waiting_days(buyer: Buyer, day: date) -> int:
    """Days since the last contact, or since it became known."""
    return max(0, (day - (buyer.last_contact_on or buyer.known_since or BEGINNING)).days)


def urgency(buyer: Buyer, rules: CareRules, day: date) -> Fraction:
    """How much of its interval an account has waited: due from 1 on."""
    return waiting_days(buyer, day) / interval_of(buyer.bucket, buyer.percentile, rules)


class Obstacle(StrEnum):
    """Why an account is not called on a day."""

    WRITTEN_OFF = "written_off"
    SKIPPED = "skipped"
    RECENT_CONTACT = "recent_contact"
    NOT_DUE = "not_due"
    """Called in this cycle already, which is the account's own interval; only where the policy waits for its end."""


def obstacle(buyer: Buyer, rules: CareRules, day: date) -> Obstacle | None:
    """The first thing that speaks against calling an account on a day. Whoever was never contacted is always due."""
    if buyer.is_written_off:
        return Obstacle.WRITTEN_OFF
    if buyer.resting_until is not None and day < buyer.resting_until:
        return Obstacle.SKIPPED
    if buyer.last_contact_on is None:
        return None
    if (day - buyer.last_contact_on).days < rules.recent_contact_days:
        return Obstacle.RECENT_CONTACT
    return Obstacle.NOT_DUE if not rules.call_before_due and urgency(buyer, rules, day) < 1 else None


def next_call_on(buyer: Buyer, rules: CareRules) -> date | None:
    """The business day from which an account is due; it may lie in the past, and stays until something happens.

    None for whoever is written off, or was never contacted and has no known beginning.
    """
    if buyer.is_written_off:
        return None
    start = buyer.known_since
    if buyer.last_contact_on is not None:
        # Rounded up: a day on which only part of the interval is left is not due yet.
        interval = -(-interval_of(buyer.bucket, buyer.percentile, rules) // 1)
        start = days_after(buyer.last_contact_on, max(int(interval), rules.recent_contact_days))
    start = max((one for one in (start, buyer.resting_until) if one is not None), default=None)
    return business_day_from(start, rules) if start is not None else None


# The queue


class Call(NamedTuple):
    """One buyer to call, and why this one."""

    day: date
    buyer: Buyer
    waiting_days: int
    interval: Fraction
    tier: str

    @property
    def urgency(self) -> Fraction:
        return self.waiting_days / self.interval

    @property
    def reason(self) -> str:
        """For people."""
        bucket = _SPOKEN[self.buyer.bucket]
        every = f"every {_days(self.interval)} ({bucket}, value tier {self.tier})"
        if self.buyer.last_contact_on is not None:
            return f"last contact {_days(self.waiting_days)} ago, due {every}"
        if self.buyer.known_since is not None:
            return f"never called, customer for {_days(self.waiting_days)}, due {every}"
        return f"never called, due {every}"


_SPOKEN: Mapping[Bucket | None, str] = {
    Bucket.NEED_YOU: "need you", Bucket.OK: "it's ok", Bucket.WHO_ARE_YOU: "who are you", None: "unknown",
}  # fmt: skip


def _days(count: Fraction | int) -> str:
    shown = str(count) if Fraction(count).denominator == 1 else f"{float(count):.1f}"
    return f"{shown} day" if count == 1 else f"{shown} days"


def rank_calls(buyers: Iterable[Buyer], rules: CareRules, day: date, top: int | None = None) -> list[Call]:
    """Whoever may be called on a business day, the most urgent first; nobody on any other day.

    Ties go to the greater total, then to the lesser id.
    """
    if not is_business_day(day, rules):
        return []
    possible = _possible(buyers, rules, day)
    return sorted(possible, key=_precedence) if top is None else heapq.nsmallest(top, possible, key=_precedence)


def pick_call(buyers: Iterable[Buyer], rules: CareRules, day: date) -> Call | None:
    """The one call of a day."""
    return next(iter(rank_calls(buyers, rules, day, top=1)), None)


def _possible(buyers: Iterable[Buyer], rules: CareRules, day: date) -> Iterator[Call]:
    rhythms: dict[tuple[Bucket | None, int | None], tuple[Fraction, str]] = {}
    for buyer in buyers:
        if obstacle(buyer, rules, day) is None:
            key = (buyer.bucket, buyer.percentile)
            if key not in rhythms:
                rhythms[key] = interval_of(*key, rules), tier_of(buyer.percentile, rules)
            yield Call(day, buyer, waiting_days(buyer, day), *rhythms[key])


def _precedence(call: Call) -> tuple[Fraction, int, str]:
    return -call.urgency, -call.buyer.total, call.buyer.id


def schedule_calls(
    buyers: Iterable[Buyer], rules: CareRules, start: date, count: int
) -> list[tuple[date, Call | None]]:
    """The next business days and whom each is for, if every call is made and nothing else happens."""
    waiting = {buyer.id: buyer for buyer in buyers}
    planned = []
    for day in islice(business_days(start, rules), count):
        call = pick_call(waiting.values(), rules, day)
        if call is not None:
            waiting[call.buyer.id] = replace(call.buyer, last_contact_on=day)
        planned.append((day, call))
    return planned


# The meter


@dataclass(frozen=True, slots=True)
class Coverage:
    """How well a list is covered on a day. Whoever is written off is counted apart, and nowhere else.

    `covered`: contacted within their own interval. `overdue`: contacted before, longer ago than that. `never`: never.
    `skipped`: resting after a skipped call, whatever else they are.
    `utilisation`: calls that the intervals ask for, of those that one call per business day allows; above 1
    everything comes late in proportion.
    """

    accounts: int
    covered: int
    overdue: int
    never: int
    skipped: int
    written_off: int
    buckets: Mapping[Bucket | None, int]
    utilisation: Fraction | None

    @property
    def share(self) -> Fraction | None:
        """The part of the list that is covered; None for an empty one."""
        return Fraction(self.covered, self.accounts) if self.accounts else None

    @property
    def is_feasible(self) -> bool:
        return self.utilisation is not None and self.utilisation <= 1


def capacity(rules: CareRules) -> Fraction:
    """Calls per calendar day that one call per work day allows, holidays aside."""
    return Fraction(len(set(rules.work_days)), DAYS_OF_A_WEEK)


def coverage(buyers: Iterable[Buyer], rules: CareRules, day: date) -> Coverage:
    """The meter of one representative's list. `utilisation` is None where there is no work day at all."""
    everybody = list(buyers)
    active = [buyer for buyer in everybody if not buyer.is_written_off]
    contacted = [buyer for buyer in active if buyer.last_contact_on is not None]
    covered = sum(urgency(buyer, rules, day) < 1 for buyer in contacted)
    skipped = sum(obstacle(buyer, rules, day) is Obstacle.SKIPPED for buyer in active)
    needed = sum((1 / interval_of(buyer.bucket, buyer.percentile, rules) for buyer in active), Fraction(0))
    possible = capacity(rules)
    buckets: list[Bucket | None] = [*Bucket, None]
    return Coverage(
        len(active),
        covered,
        len(contacted) - covered,
        len(active) - len(contacted),
        skipped,
        len(everybody) - len(active),
        {bucket: sum(buyer.bucket is bucket for buyer in active) for bucket in buckets},
        needed / possible if possible else None,
    )


def month_of(day: date, rules: CareRules) -> tuple[date, int, int]:
    """The first day of a day's month, its business days up to that day, and all of them."""
    first = day.replace(day=1)
    following = days_after(first, 31).replace(day=1)
    days = [first + timedelta(n) for n in range((following - first).days)]
    business = [one for one in days if is_business_day(one, rules)]
    return first, sum(one <= day for one in business), len(business)
