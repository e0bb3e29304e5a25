"""How a day begins: what is urgent under both lenses, what does not go together, whom to look after first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.domain.contradictions import ADVICE, Advice, Contradiction
from app.domain.event_types import EVENT_TYPES
from app.domain.events import VerifiedEvent
from app.domain.money import minor_units
from app.domain.triage import (
    PROBLEM_CLOSED,
    Capacity,
    Flip,
    Item,
    Place,
    Triage,
    Worth,
    idle_closings,
    list_open,
    tell_flip,
    tell_hours,
    tell_ratio,
    triage,
)
from app.errors import ConfigError
from app.store.rates import load_places
from app.store.triage import load_closings, load_contradicting, load_urgent
from app.sync.answers import AccountView, list_accounts, load_accounts
from app.sync.last_run import LastRun, load_last_run
from app.sync.services import Services

SHOWN_CUSTOMERS = 10
SHOWN_CONTRADICTIONS = 100
SHOWN_ITEMS = 10
"""Ids named to whoever asked for one that is not there."""
MAX_HOURS = 10_000


@dataclass(frozen=True, slots=True)
class Contradicting:
    """An account in which something does not go together."""

    account: AccountView
    found: tuple[Contradiction, ...]

    @property
    def advice(self) -> tuple[Advice, ...]:
        """What it means and what to do about it, most pressing first."""
        return tuple(ADVICE[code] for code in self.found)


@dataclass(frozen=True, slots=True)
class DayView:
    """What one page shows of a day. `customers`: those worth most, on a day on which nothing is urgent.

    What is urgent is known at this moment; worth and contradictions are of the last run, `computed`.
    """

    as_of: date
    currency: str
    triage: Triage
    accounts: Mapping[str, AccountView]
    contradictions: tuple[Contradicting, ...]
    customers: tuple[AccountView, ...]
    computed: LastRun | None = None
    idle: Mapping[str, tuple[VerifiedEvent, ...]] = field(default_factory=dict)
    """Account id -> what was recorded as closed and is not there."""

    @property
    def flips(self) -> tuple[str, ...]:
        """What the two lenses disagree on, one sentence a pair of customers."""
        names = {id_: view.name for id_, view in self.accounts.items()}
        return tuple(tell_flip(flip, names) for flip in self.triage.flips)

    def as_json(self) -> dict[str, Any]:
        """The documented object: money and hours as decimal text."""
        return {
            "as_of": self.as_of.isoformat(),
            "currency": self.currency,
            "computed": self.computed.as_json() if self.computed else None,
            "items": [self._item(place) for place in self.triage.places],
            "flips": [self._flip(flip, sentence) for flip, sentence in zip(self.triage.flips, self.flips, strict=True)],
            "capacity": {
                name: None if cut is None else _capacity(cut)
                for name, cut in (("by_total", self.triage.by_total), ("by_spend", self.triage.by_spend))
            },
            "contradictions": [_contradicting(one) for one in self.contradictions],
            "customers": [view.as_json() for view in self.customers],
            "closes_nothing": [
                {
                    "account": account,
                    "name": self.accounts[account].name,
                    "event": event.id,
                    "closed_on": event.occurred_on.isoformat(),
                    "names": event.attributes.get("event"),
                }
                for account, events in sorted(self.idle.items())
                for event in events
            ],
        }

    def _item(self, place: Place) -> dict[str, Any]:
        item, account = place.item, self.accounts[place.item.account_id]
        return {
            "place": place.by_total,
            "place_by_spend": place.by_spend,
            "moves": place.moves,
            "event": item.id,
            "account": item.account_id,
            "name": account.name,
            "type": item.type,
            "title": title_of(item.type, item.title),
            "severity": item.severity.value,
            "opened_on": item.opened_on.isoformat(),
            "waiting_days": item.waiting_days,
            "hours": tell_hours(item.hours),
            **{measure: str(account.money[measure]) for measure in ("total", "direct", "referred")},
            "is_done_by_total": place.is_done_by_total,
            "is_done_by_spend": place.is_done_by_spend,
        }

    def _flip(self, flip: Flip, sentence: str) -> dict[str, Any]:
        return {
            "up": flip.up,
            "down": flip.down,
            "on_spend": None if flip.on_spend is None else tell_ratio(flip.on_spend),
            "on_total": None if flip.on_total is None else tell_ratio(flip.on_total),
            "sentence": sentence,
        }


def title_of(code: str, title: str) -> str:
    """What happened, for people: the title given, else the name of its type."""
    known = EVENT_TYPES.get(code)
    return title or (known.title if known else code)


def _capacity(cut: Capacity) -> dict[str, Any]:
    return {
        "hours": tell_hours(cut.hours),
        "done": cut.done,
        "used": tell_hours(cut.used),
        "left": tell_hours(cut.left),
        "next_item": cut.next_item or None,
    }


def _contradicting(one: Contradicting) -> dict[str, Any]:
    found = [
        {"code": code.value, "title": advice.title, "meaning": advice.meaning, "action": advice.action}
        for code, advice in zip(one.found, one.advice, strict=True)
    ]
    money = {measure: str(one.account.money[measure]) for measure in ("total", "direct", "referred")}
    return {"account": one.account.id, "name": one.account.name, **money, "found": found}


def open_day(services: Services, *, hours: Decimal | None = None) -> DayView:
    """Today, with what is known now. `hours`: what there is to give; None draws no line. Raises ConfigError."""
    if hours is not None and not (hours.is_finite() and 0 <= hours <= MAX_HOURS):
        raise ConfigError(f"hours are a number from 0 to {MAX_HOURS}")
    policy, today = services.mapping.policy, services.today
    rules = policy.triage
    with services.database.read() as connection:
        events = load_urgent(connection, tuple(rules.severities), today)
        contradicting = load_contradicting(connection, tuple(Contradiction), SHOWN_CONTRADICTIONS)
        places = load_places(connection, policy.reporting_currency)
        computed = load_last_run(connection)
        closings = load_closings(connection, tuple(rules.severities), today)
    idle = {id_: found for id_, told in closings.items() if (found := idle_closings(told, rules))}
    accounts = load_accounts(services, {*events, *contradicting, *idle})
    worths = {id_: _worth(view, places) for id_, view in accounts.items()}
    # An account that was merged or deleted in between is in one reading and not in the other.
    known = {id_: found for id_, found in events.items() if id_ in accounts}
    items = list_open(known, worths, rules, today)
    return DayView(
        today,
        policy.reporting_currency,
        triage(items, None if hours is None else Fraction(hours)),
        accounts,
        tuple(Contradicting(accounts[id_], _codes_of(accounts[id_])) for id_ in contradicting if id_ in accounts),
        () if items else tuple(list_accounts(services, top=SHOWN_CUSTOMERS)),
        computed,
        {id_: found for id_, found in idle.items() if id_ in accounts},
    )


def find_problem(services: Services, event: str, day: date | None = None) -> Item:
    """The item with this event id, or with this id in the source system that it came from, if it is open on a day.

    What is closed on that very day counts as open, so that closing it again finds it. Raises ConfigError.
    """
    items = _open_before_closings(services, day or services.today)
    found = [item for item in items if event in (item.id, item.id.partition("/")[2])]
    if not found:
        ids = ", ".join(item.id for item in items[:SHOWN_ITEMS]) or "nothing"
        raise ConfigError(f"no open item has the id {event!r}; open is: {ids}", hint="see: advocacy triage --json")
    if len(found) > 1:
        raise ConfigError(f"several items have the id {event!r}: {', '.join(item.id for item in found)}")
    return found[0]


def match_problem(
    services: Services, account: str, code: str, title: str, closed: date, began: date | None = None
) -> Item | None:
    """The open item of an account of this type and title, begun on that day if one is given; None without any.

    Raises ConfigError where several can be meant, or one with another title.
    """
    items = [
        item
        for item in _open_before_closings(services, closed)
        if (item.account_id, item.type) == (account, code) and began in (None, item.opened_on)
    ]
    found = [item for item in items if item.title == title]
    if len(found) == 1:
        return found[0]
    if found or (items and not title):
        ids = ", ".join(item.id for item in items)
        raise ConfigError(f"open is: {ids}", hint="close the one you mean with: advocacy assess close EVENT")
    return None


def _open_before_closings(services: Services, day: date) -> tuple[Item, ...]:
    rules = services.mapping.policy.triage
    with services.database.read() as connection:
        events = load_urgent(connection, tuple(rules.severities), day)
    before = {
        id_: [event for event in known if event.type != PROBLEM_CLOSED or event.occurred_on < day]
        for id_, known in events.items()
    }
    return list_open(before, {}, rules, day)


def _worth(view: AccountView, places: int) -> Worth:
    direct, total = (minor_units(view.money[measure], places) for measure in ("direct", "total"))
    return Worth(direct, total)


def _codes_of(view: AccountView) -> tuple[Contradiction, ...]:
    codes: Sequence[str] = str(view.beside.get("contradictions") or "").split()
    return tuple(code for code in Contradiction if code in codes)
