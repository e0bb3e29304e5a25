"""One call a day: how well the list of a representative is covered, and whether one call a day is enough."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from itertools import islice
from typing import Any

from app.domain.calls import Coverage, coverage, month_of, next_call_on, urgency
from app.domain.care import transitions
from app.domain.care_events import CARE_ANSWER, Bucket
from app.domain.days import iso
from app.sync.calls import CallList, load_lists
from app.sync.services import Services

OVERDUE = 20
"""As many are named."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """An account that has waited longer than its interval. `urgency`: how many of them."""

    account: str
    name: str
    bucket: Bucket | None
    last_contact_on: date | None
    due_on: date | None
    urgency: Fraction


@dataclass(frozen=True, slots=True)
class CoverageView:
    """The meter of one representative. `called`: customers that answered this month, up to the day.

    `moves`: what their answers of this month changed, by direction. `gone`: id and name of whoever is assumed gone, to
    plan around the others; the most valuable first.
    """

    rep: str | None
    day: date
    meter: Coverage
    called: int
    month: date
    business_days: int
    business_days_of_month: int
    overdue: tuple[Overdue, ...]
    moves: Mapping[str, int]
    gone: tuple[tuple[str, str], ...]

    def as_json(self) -> dict[str, Any]:
        """The documented object: fractions as text."""
        meter = self.meter
        return {
            "rep": self.rep,
            "day": self.day.isoformat(),
            "accounts": meter.accounts,
            "covered": meter.covered,
            "overdue": meter.overdue,
            "never": meter.never,
            "skipped": meter.skipped,
            "written_off": meter.written_off,
            "buckets": {bucket or "unknown": number for bucket, number in meter.buckets.items()},
            "share": None if meter.share is None else str(meter.share),
            "utilisation": None if meter.utilisation is None else str(meter.utilisation),
            "is_feasible": meter.is_feasible,
            "month": f"{self.month:%Y-%m}",
            "called": self.called,
            "business_days": self.business_days,
            "business_days_of_month": self.business_days_of_month,
            "moves": dict(self.moves),
            "assumed_gone": [{"account": id_, "name": name} for id_, name in self.gone],
            "longest_overdue": [
                {
                    "account": one.account,
                    "name": one.name,
                    "bucket": one.bucket,
                    "last_contact_on": iso(one.last_contact_on),
                    "due_on": iso(one.due_on),
                    "urgency": str(one.urgency),
                }
                for one in self.overdue
            ],
        }


def measure_coverage(services: Services, *, rep: str | None = None, day: date | None = None) -> list[CoverageView]:
    """How well the lists are covered, with what was logged up to and on the day."""
    wanted = day or services.today
    with services.database.read() as connection:
        return [_measure(services, one, wanted) for one in load_lists(services, connection, wanted, rep, is_over=True)]


def _measure(services: Services, one: CallList, day: date) -> CoverageView:
    rules = services.mapping.policy.care
    first, so_far, all_days = month_of(day, rules)
    called = sum(
        any(event.type == CARE_ANSWER and first <= event.occurred_on <= day for event in events)
        for events in one.events.values()
    )
    late = [
        (urgency(buyer, rules, day), buyer)
        for buyer in one.buyers
        if not buyer.is_written_off and (buyer.last_contact_on is None or urgency(buyer, rules, day) >= 1)
    ]
    late.sort(key=lambda pair: (-pair[0], -pair[1].total, pair[1].id))
    gone = [buyer for buyer in one.buyers if buyer.is_written_off]
    moves = Counter(
        move.direction for events in one.events.values() for move in transitions(events, day) if move.on >= first
    )
    return CoverageView(
        one.rep,
        day,
        coverage(one.buyers, rules, day),
        called,
        first,
        so_far,
        all_days,
        tuple(
            Overdue(buyer.id, buyer.name, buyer.bucket, buyer.last_contact_on, next_call_on(buyer, rules), ratio)
            for ratio, buyer in islice(late, OVERDUE)
        ),
        {move: moves[move] for move in ("first", "up", "down", "decided") if moves[move]},
        tuple((buyer.id, buyer.name) for buyer in sorted(gone, key=lambda buyer: (-buyer.total, buyer.id))[:OVERDUE]),
    )
