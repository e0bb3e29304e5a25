"""Who needs us first: what is urgent, in an order that can be read aloud.

Severity first, then what the customer is worth, then how long it waits, then the id. The same list ordered by what
customers spent stands beside it: whoever moves between the two lists is whom a CRM would have overlooked. With N hours
to give, everything above a line gets done; the line is drawn under both orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from app.domain.attributes import AttributeReader
from app.domain.engagement import RECOVERED
from app.domain.event_types import CUSTOM_CODE
from app.domain.events import VerifiedEvent
from app.domain.rules import TriageRules

COMPARED = 50
"""Flips are looked for among this many customers at the top of either order."""
MAX_HOURS = 1000
PROBLEM_CLOSED = "problem_closed"
_PLACES = 6


class Severity(StrEnum):
    """Most severe first."""

    CRITICAL = "critical"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


_RANK: Mapping[str, int] = {severity: rank for rank, severity in enumerate(Severity)}


@dataclass(frozen=True, slots=True)
class Urgency:
    """What an event says of itself; None: the policy's default."""

    severity: Severity | None = None
    hours: Fraction | None = None


@dataclass(frozen=True, slots=True)
class Worth:
    """What a customer spent and what it is worth in all, minor units of the reporting currency."""

    direct: int = 0
    total: int = 0


@dataclass(frozen=True, slots=True)
class Item:
    """Something urgent that is open. `hours`: the effort expected."""

    id: str
    account_id: str
    type: str
    severity: Severity
    hours: Fraction
    opened_on: date
    waiting_days: int
    title: str = ""
    worth: Worth = Worth()


@dataclass(frozen=True, slots=True)
class Capacity:
    """What fits into the hours there are: the first `done` items of an order, which take `used` hours.

    `next_item`: the one on the line, which `left` hours are not enough for; "" where everything fits.
    """

    hours: Fraction
    done: int
    used: Fraction
    next_item: str = ""

    @property
    def left(self) -> Fraction:
        return self.hours - self.used


@dataclass(frozen=True, slots=True)
class Place:
    """An item under both lenses; places count from 1. Without hours given everything is above the line."""

    item: Item
    by_total: int
    by_spend: int
    is_done_by_total: bool = True
    is_done_by_spend: bool = True

    @property
    def moves(self) -> int:
        """How many places the item rises when total value decides and not spend."""
        return self.by_spend - self.by_total


@dataclass(frozen=True, slots=True)
class Flip:
    """Two customers of equal urgency: `down` spent more, `up` is worth more.

    `on_spend`, `on_total`: how many times `up` the other is; None where `up` spent nothing, `down` is worth nothing.
    """

    up: str
    down: str
    on_spend: Fraction | None
    on_total: Fraction | None


@dataclass(frozen=True, slots=True)
class Triage:
    """The items by total value, each with its place by spend; the cut under both lenses, None without hours given."""

    places: tuple[Place, ...] = ()
    flips: tuple[Flip, ...] = ()
    by_total: Capacity | None = None
    by_spend: Capacity | None = None

    @property
    def by_spend_order(self) -> tuple[Place, ...]:
        return tuple(sorted(self.places, key=lambda place: place.by_spend))

    @property
    def saved(self) -> tuple[Place, ...]:
        """What gets done because total value decides."""
        return tuple(place for place in self.places if place.is_done_by_total and not place.is_done_by_spend)

    @property
    def given_up(self) -> tuple[Place, ...]:
        """What would have been done had spend decided."""
        return tuple(place for place in self.places if place.is_done_by_spend and not place.is_done_by_total)


def read_urgency(code: str, attributes: Mapping[str, object]) -> Urgency:
    """`severity` and `hours` of an escalation, a complaint, a churn signal. A custom type may hold anything besides.

    Raises ValueError naming everything that is wrong.
    """
    if CUSTOM_CODE.fullmatch(code):
        attributes = {name: attributes[name] for name in ("severity", "hours") if name in attributes}
    reader = AttributeReader(attributes)
    severity = reader.choice("severity", tuple(Severity))
    hours = reader.number("hours")
    rule = f"`hours` is more than 0 and at most {MAX_HOURS}"
    reader.demand(rule, rule if hours is not None and not 0 < hours <= MAX_HOURS else "")
    reader.check()
    return Urgency(Severity(severity) if severity else None, None if hours is None else Fraction(hours))


def read_closing(attributes: Mapping[str, object]) -> str:
    """The `event` that a `problem_closed` ends: an id as the triage shows it, or one of the same source system.

    Raises ValueError with every problem.
    """
    reader = AttributeReader(attributes)
    event = reader.text("event", is_required=True)
    reader.text("note")
    reader.check()
    return event or ""


def list_open(
    events: Mapping[str, Iterable[VerifiedEvent]], worths: Mapping[str, Worth], rules: TriageRules, as_of: date
) -> tuple[Item, ...]:
    """What is urgent and open on a day, in order, from the events of each account.

    An item is over on its `valid_to`, when it is closed, or when the account recovered, on the same day or later.
    """
    found: list[Item] = []
    for account_id, given in events.items():
        known = [event for event in given if event.occurred_on <= as_of]
        closed = _closings(known)
        recovered = max((event.occurred_on for event in known if event.type == RECOVERED), default=date.min)
        found += (
            _open(event, account_id, worths.get(account_id, Worth()), rules, as_of)
            for event in known
            if event.type in rules.severities
            and (event.valid_to is None or as_of < event.valid_to)
            and recovered < event.occurred_on
            and closed.get(event.id, date.min) < event.occurred_on
        )
    return tuple(sorted(found, key=_total_key))


def _closings(events: Iterable[VerifiedEvent]) -> Mapping[str, date]:
    """Event id -> the last day on which somebody closed it."""
    closed: dict[str, date] = {}
    for event in events:
        if event.type == PROBLEM_CLOSED:
            with suppress(ValueError):
                named = read_closing(event.attributes)
                # An event id starts with its source system; a source knows its own events without it.
                for id_ in (named, f"{event.id.partition('/')[0]}/{named}"):
                    closed[id_] = max(event.occurred_on, closed.get(id_, date.min))
    return closed


def idle_closings(events: Iterable[VerifiedEvent], rules: TriageRules) -> tuple[VerifiedEvent, ...]:
    """What one account's `problem_closed` events name and nobody has recorded there, or only for a later day.

    The event that is named may still be on its way; then its closing closes it once it is here.
    """
    known = list(events)
    opened = {event.id: event.occurred_on for event in known if event.type in rules.severities}
    closings = [event for event in known if event.type == PROBLEM_CLOSED]
    return tuple(
        event
        for event in closings
        if not any(opened.get(id_, date.max) <= event.occurred_on for id_ in _closings([event]))
    )


def _open(event: VerifiedEvent, account_id: str, worth: Worth, rules: TriageRules, as_of: date) -> Item:
    try:
        urgency = read_urgency(event.type, event.attributes)
    except ValueError:
        # Stored before its type had typed attributes: urgent all the same.
        urgency = Urgency()
    return Item(
        event.id,
        account_id,
        event.type,
        urgency.severity or Severity(rules.severities[event.type]),
        urgency.hours or rules.hours_per_item,
        event.occurred_on,
        (as_of - event.occurred_on).days,
        event.title or "",
        worth,
    )


def _total_key(item: Item) -> tuple[int, int, date, str]:
    return _RANK[item.severity], -item.worth.total, item.opened_on, item.id


def _spend_key(item: Item) -> tuple[int, int, date, str]:
    return _RANK[item.severity], -item.worth.direct, item.opened_on, item.id


def triage(items: Iterable[Item], hours: Fraction | None = None) -> Triage:
    """Both orders side by side, what they disagree on, and what fits into the hours there are (None: no limit).

    Raises ValueError for fewer than no hours.
    """
    by_total = sorted(items, key=_total_key)
    by_spend = sorted(by_total, key=_spend_key)
    cut_total = cut_spend = None
    if hours is not None:
        cut_total, cut_spend = cut(by_total, hours), cut(by_spend, hours)
    spend_places = {item.id: place for place, item in enumerate(by_spend, start=1)}
    places = tuple(
        Place(
            item,
            place,
            spend_places[item.id],
            cut_total is None or place <= cut_total.done,
            cut_spend is None or spend_places[item.id] <= cut_spend.done,
        )
        for place, item in enumerate(by_total, start=1)
    )
    return Triage(places, find_flips(by_total, by_spend), cut_total, cut_spend)


def cut(items: Sequence[Item], hours: Fraction) -> Capacity:
    """How far down the list one gets. Nothing below the line is pulled up, however short: the order is the order."""
    if hours < 0:
        raise ValueError("hours are 0 or more")
    used = Fraction(0)
    for done, item in enumerate(items):
        if used + item.hours > hours:
            return Capacity(hours, done, used, item.id)
        used += item.hours
    return Capacity(hours, len(items), used)


def find_flips(by_total: Sequence[Item], by_spend: Sequence[Item]) -> tuple[Flip, ...]:
    """Pairs of customers, equally urgent, that change places: `up` first by total value, then `down`.

    Only the first `COMPARED` customers of either order are compared.
    """
    found: dict[tuple[str, Severity], Item] = {}
    for order in (by_total, by_spend):
        seen: set[str] = set()
        for item in order:
            if item.account_id not in seen and len(seen) < COMPARED:
                seen.add(item.account_id)
                found.setdefault((item.account_id, item.severity), item)
    first = sorted(found.values(), key=_total_key)
    return tuple(
        Flip(up.account_id, down.account_id, _ratio(down.worth.direct, up.worth.direct), _on_total(up, down))
        for place, up in enumerate(first)
        for down in first[place + 1 :]
        if up.severity is down.severity
        and up.account_id != down.account_id
        and down.worth.direct > up.worth.direct
        and up.worth.total > down.worth.total
    )


def _ratio(one: int, other: int) -> Fraction | None:
    return Fraction(one, other) if other > 0 else None


def _on_total(up: Item, down: Item) -> Fraction | None:
    return Fraction(down.worth.total, up.worth.total) if down.worth.total > 0 else None


def tell_flip(flip: Flip, names: Mapping[str, str]) -> str:
    """`Customer A looks 3.33 times Customer B on spend; on total value Customer A is 0.5 of Customer B`."""
    up, down = names.get(flip.up) or flip.up, names.get(flip.down) or flip.down
    spend = (
        f"{down} bought something and {up} nothing"
        if flip.on_spend is None
        else f"{down} looks {tell_ratio(flip.on_spend)} times {up} on spend"
    )
    total = f"is worth nothing beside {up}" if flip.on_total is None else f"is {tell_ratio(flip.on_total)} of {up}"
    return f"{spend}; on total value {down} {total}"


def tell_ratio(ratio: Fraction) -> str:
    """Two decimals, and more where two would make it 0 or 1: 100/30 reads `3.33`, 999/1000 reads `0.999`."""
    for places in range(2, _PLACES + 1):
        scaled = round(ratio * 10**places)
        if ratio in (0, 1) or scaled not in (0, 10**places):
            break
    return tell_hours(Fraction(scaled, 10**places))


def tell_hours(hours: Fraction) -> str:
    """`3/2` reads `1.5`: as many decimals as there are, six at most."""
    text = format(Decimal(round(hours * 10**_PLACES)).scaleb(-_PLACES), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
