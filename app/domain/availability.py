"""Whether a customer may be asked for a reference, and if not, what holds it back and until when."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.domain.events import VerifiedEvent
from app.domain.requests import AskLedger, read_pause
from app.domain.rules import ReferenceRules


class Hold(StrEnum):
    """Why a customer may not be asked now."""

    PROSPECT_ITSELF = "prospect_itself"
    SAME_GROUP = "same_group"
    NO_CONSENT = "no_consent"
    PERSON_LEFT = "person_left"
    OPTED_OUT = "opted_out"
    ESCALATED = "escalated"
    DETRACTOR = "detractor"
    RESTING = "resting"
    CAPPED = "capped"
    COOLDOWN = "cooldown"


OVERRIDABLE = frozenset({Hold.CAPPED, Hold.COOLDOWN})
"""Somebody may decide otherwise and say why. Nobody can decide for the customer's consent."""


class Readiness(StrEnum):
    """In one word whether a customer can be asked."""

    AVAILABLE = "available"
    RESTING = "resting"
    """The customer rests, or was asked only just now."""
    CAPPED = "capped"
    OPTED_OUT = "opted_out"
    NO_CONSENT = "no_consent"
    """It consented once, but not for today."""
    ESCALATED = "escalated"
    """Something is open between us, or it speaks against us."""
    NONE = "none"
    """It never consented to this."""


@dataclass(frozen=True, slots=True)
class Block:
    """`until`: the first day on which this no longer holds the customer back; None: nobody knows."""

    hold: Hold
    reason: str
    until: date | None = None


@dataclass(frozen=True, slots=True)
class Clearance:
    """Whether a consent for one scope holds on one day. `reason`: by whom and until when, or why not.

    `contacts`: who can be asked for it; `until`: when time alone turns it round. `gone`: why the person who is named
    cannot be asked, though the consent holds without it.
    """

    is_valid: bool
    reason: str
    contacts: tuple[str, ...] = ()
    until: date | None = None
    gone: str = ""


@dataclass(frozen=True, slots=True)
class Pause:
    """A `resting` or `opted_out` state: from `start` to the day before `end`; None: it still lasts."""

    start: date
    end: date | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Openness:
    """Everything but consent that can hold a customer back.

    `back_on`: the latest day on which it joined the programme or gave a consent; an older opting-out is over.
    `open_items`: escalations, complaints and the like, in words. `detractor_until`: as in `engagement`.
    """

    resting: tuple[Pause, ...] = ()
    opted_out: tuple[Pause, ...] = ()
    back_on: date | None = None
    open_items: tuple[str, ...] = ()
    detractor_until: date | None = None
    next_change_on: date | None = None
    """The first day of something that is already recorded for later."""


BACK_TYPES = frozenset({"permission_granted", "recruited"})
"""Whoever opted out and later joins, or consents to something, is back."""
OPENNESS_TYPES = tuple(sorted({"opted_out", "resting", *BACK_TYPES}))


def openness_of(
    events: Iterable[VerifiedEvent],
    as_of: date,
    open_items: tuple[str, ...] = (),
    detractor_until: date | None = None,
) -> Openness:
    """From the events of one customer of `OPENNESS_TYPES`; others are passed over."""
    pauses: dict[str, list[Pause]] = {"opted_out": [], "resting": []}
    back: list[date] = []
    for event in events:
        if event.type in pauses:
            # Nobody knew of it before the day it was said on.
            start = max(event.start, event.occurred_on)
            pauses[event.type].append(Pause(start, event.valid_to, _reason_of(event)))
        elif event.type in BACK_TYPES:
            back.append(event.occurred_on)
    starts = [*back, *(pause.start for held in pauses.values() for pause in held)]
    return Openness(
        resting=tuple(sorted(pauses["resting"], key=_pause_order)),
        opted_out=tuple(sorted(pauses["opted_out"], key=_pause_order)),
        back_on=max((day for day in back if day <= as_of), default=None),
        open_items=open_items,
        detractor_until=detractor_until,
        next_change_on=min((day for day in starts if day > as_of), default=None),
    )


def _reason_of(event: VerifiedEvent) -> str | None:
    """What cannot be read is older than its door: the customer rests all the same, for a reason nobody knows."""
    try:
        return read_pause(event.attributes)
    except ValueError:
        return None


@dataclass(frozen=True, slots=True)
class Availability:
    """`blocks`: everything that holds the customer back, in the order of `Hold`.

    `available_from`: when time alone will have lifted all of them; None: it is available, or nobody knows.
    """

    state: Readiness
    blocks: tuple[Block, ...]
    available_from: date | None
    next_change_on: date | None


def availability(
    clearance: Clearance,
    openness: Openness,
    ledger: AskLedger,
    rules: ReferenceRules,
    as_of: date,
    *,
    has_consented: bool = True,
) -> Availability:
    """`clearance`: for one scope. `has_consented`: it did at some time, to the same."""
    blocks = tuple(_blocks(clearance, openness, ledger, rules, as_of))
    untils = [block.until for block in blocks]
    edges = (*untils, clearance.until, ledger.next_change_on, openness.next_change_on)
    return Availability(
        _readiness([block.hold for block in blocks], has_consented=has_consented),
        blocks,
        max((until for until in untils if until), default=None) if None not in untils else None,
        min((edge for edge in edges if edge is not None and edge > as_of), default=None),
    )


def _readiness(holds: Iterable[Hold], *, has_consented: bool) -> Readiness:
    found = set(holds)
    by_weight = (
        (Hold.OPTED_OUT, Readiness.OPTED_OUT),
        (Hold.NO_CONSENT, Readiness.NO_CONSENT if has_consented else Readiness.NONE),
        (Hold.ESCALATED, Readiness.ESCALATED),
        (Hold.DETRACTOR, Readiness.ESCALATED),
        (Hold.RESTING, Readiness.RESTING),
        (Hold.CAPPED, Readiness.CAPPED),
        (Hold.COOLDOWN, Readiness.RESTING),
    )
    return next((readiness for hold, readiness in by_weight if hold in found), Readiness.AVAILABLE)


def _blocks(
    clearance: Clearance, openness: Openness, ledger: AskLedger, rules: ReferenceRules, as_of: date
) -> Iterable[Block]:
    if not clearance.is_valid:
        yield Block(Hold.NO_CONSENT, clearance.reason, clearance.until)
    if clearance.gone:
        yield Block(Hold.PERSON_LEFT, clearance.gone)
    since = openness.back_on
    left = [pause for pause in openness.opted_out if since is None or since <= pause.start]
    yield from _paused(Hold.OPTED_OUT, "opted out", left, as_of)
    for item in openness.open_items:
        yield Block(Hold.ESCALATED, item)
    if openness.detractor_until is not None and openness.detractor_until > as_of:
        until = openness.detractor_until
        yield Block(Hold.DETRACTOR, f"speaks against us, which counts until {_eve(until)}", until)
    yield from _paused(Hold.RESTING, "resting", openness.resting, as_of)
    if ledger.capped_until is not None:
        yield Block(Hold.CAPPED, _tell_cap(ledger, rules), _known(ledger.capped_until))
    if ledger.cooling_until is not None:
        last = max((ask.last_on for ask in ledger.asks), default=as_of)
        told = f"last asked on {last}, less than {rules.cooldown_days} days ago"
        yield Block(Hold.COOLDOWN, told, _known(ledger.cooling_until))


def _tell_cap(ledger: AskLedger, rules: ReferenceRules) -> str:
    if rules.asks_per_window <= 0:
        return "the policy lets nobody be asked: its cap is 0"
    return f"asked {often(ledger.used)} in {rules.window_days} days, the cap is {rules.asks_per_window}"


def often(times: int) -> str:
    """In words, for people."""
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")


def _known(day: date) -> date | None:
    """The end of the calendar stands for never."""
    return day if day < date.max else None


def _paused(hold: Hold, words: str, pauses: Iterable[Pause], as_of: date) -> Iterable[Block]:
    """At most one block: the pause that holds today, and whatever follows it without a day between."""
    known = sorted(pauses, key=_pause_order)
    held = [pause for pause in known if pause.start <= as_of < (pause.end or date.max)]
    if not held:
        return
    first, end = held[0], max(pause.end or date.max for pause in held)
    for pause in known:
        if as_of < pause.start <= end:
            end = max(end, pause.end or date.max)
    until = f" until {_eve(end)}" if end < date.max else ""
    why = f": {first.reason}" if first.reason else ""
    yield Block(hold, f"{words} since {first.start}{until}{why}", end if end < date.max else None)


def _pause_order(pause: Pause) -> tuple[date, date, str]:
    return pause.start, pause.end or date.max, pause.reason or ""


def _eve(day: date) -> date:
    return day - timedelta(1)
