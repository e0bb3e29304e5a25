"""Which customer to ask for a reference: first who may be asked at all, then who fits best, each with its reasons.

Hard filters come first and each is named. Who passes them is ranked by fit, then by quality with what is left of the
cap, then by how fresh the evidence is, then by who was used least; last by id, so that equal means equal. Nothing is
weighed against anything else, so that the order can be read aloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from enum import StrEnum
from fractions import Fraction

from app.domain.days import days_after
from app.domain.events import VerifiedEvent
from app.domain.reference_events import Profile
from app.domain.reference_quality import Quality
from app.domain.requests import AskLedger, read_pause
from app.domain.rules import ReferenceRules
from app.domain.sizes import size_band


class Facet(StrEnum):
    """What a reference and a prospect can have in common."""

    INDUSTRY = "industry"
    PRODUCT = "product"
    ROLE = "role"
    SIZE = "size"
    REGION = "region"
    LANGUAGE = "language"
    USE_CASE = "use_case"


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
    return f"asked {_often(ledger.used)} in {rules.window_days} days, the cap is {rules.asks_per_window}"


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


# Fit ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Need:
    """What a prospect should hear, and from whom. `group`: the ultimate parent of the prospect."""

    scope: str
    prospect: str
    group: str
    opportunity: str | None = None
    wanted: Mapping[Facet, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One reference customer, on the day asked about. `clearance`: for the scope of the need."""

    account: str
    group: str
    clearance: Clearance
    ledger: AskLedger
    quality: Quality
    openness: Openness = field(default_factory=Openness)
    profile: Profile = field(default_factory=Profile)
    confirmed_on: date | None = None
    """The latest day on which anybody said anything about how good it is or what it can speak about."""


@dataclass(frozen=True, slots=True)
class Fit:
    """One facet that was asked for. `matched` is empty where nothing is in common; `known`: what the customer has."""

    facet: Facet
    wanted: tuple[str, ...]
    matched: tuple[str, ...]
    known: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Match:
    """One customer that may be asked. `place` from 1. `score`: low quality times what is left of the cap, exact.

    `freshness`: 0 confirmed within the window of asks, 1 while ratings count, 2 longer ago or never.
    `behind`: why it does not come before the one in front of it.
    """

    account: str
    place: int
    fits: tuple[Fit, ...]
    score: Fraction
    freshness: int
    candidate: Candidate
    reasons: tuple[str, ...]
    behind: str | None = None

    @property
    def matched(self) -> int:
        return sum(bool(fit.matched) for fit in self.fits)


@dataclass(frozen=True, slots=True)
class Exclusion:
    """One customer that may not be asked, with everything that holds it back."""

    account: str
    blocks: tuple[Block, ...]
    available_from: date | None = None


@dataclass(frozen=True, slots=True)
class Matching:
    need: Need
    matches: tuple[Match, ...]
    excluded: tuple[Exclusion, ...]


def rank_references(need: Need, candidates: Iterable[Candidate], rules: ReferenceRules, as_of: date) -> Matching:
    """Each account may come once. The order of the candidates does not matter."""
    matches, excluded = [], []
    for candidate in candidates:
        blocks, available_from = _holds(need, candidate, rules, as_of)
        if blocks:
            excluded.append(Exclusion(candidate.account, blocks, available_from))
        else:
            matches.append(_match(need, candidate, rules, as_of))
    ranked = sorted(matches, key=_order)
    placed = [
        replace(one, place=at + 1, behind=_behind(ranked[at - 1], one) if at else None) for at, one in enumerate(ranked)
    ]
    return Matching(need, tuple(placed), tuple(sorted(excluded, key=lambda one: one.account)))


def _holds(
    need: Need, candidate: Candidate, rules: ReferenceRules, as_of: date
) -> tuple[tuple[Block, ...], date | None]:
    found = availability(candidate.clearance, candidate.openness, candidate.ledger, rules, as_of)
    if candidate.account == need.prospect:
        return (Block(Hold.PROSPECT_ITSELF, "is the prospect itself"), *found.blocks), None
    if candidate.group == need.group:
        return (Block(Hold.SAME_GROUP, "belongs to the same group as the prospect"), *found.blocks), None
    return found.blocks, found.available_from


def _match(need: Need, candidate: Candidate, rules: ReferenceRules, as_of: date) -> Match:
    fits = tuple(
        Fit(facet, need.wanted[facet], *_common(facet, need.wanted[facet], candidate.profile))
        for facet in Facet
        if need.wanted.get(facet)
    )
    score = candidate.quality.low * candidate.ledger.factor
    freshness = _freshness(candidate.confirmed_on, rules, as_of)
    reasons = tuple(_reasons(candidate, fits, freshness, rules))
    return Match(candidate.account, 0, fits, score, freshness, candidate, reasons)


def _order(match: Match) -> tuple[int, Fraction, int, int, date, str]:
    ledger = match.candidate.ledger
    return (
        -match.matched,
        -match.score,
        match.freshness,
        ledger.uses,
        ledger.last_used_on or date.min,
        match.account,
    )


def _common(facet: Facet, wanted: tuple[str, ...], profile: Profile) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(what is in common, what the customer has), in words."""
    if facet is Facet.SIZE:
        if profile.size is None:
            return (), ()
        band = size_band(profile.size)
        return tuple(word for word in wanted if _plain(word) == band), (f"{profile.size} ({band})",)
    known: tuple[str, ...] = {
        Facet.INDUSTRY: (profile.industry,) if profile.industry else (),
        Facet.PRODUCT: profile.products,
        Facet.ROLE: profile.roles,
        Facet.REGION: profile.regions,
        Facet.LANGUAGE: profile.languages,
        Facet.USE_CASE: profile.use_cases,
    }[facet]
    plain = {_plain(word) for word in known}
    return tuple(word for word in wanted if _plain(word) in plain), known


def _plain(word: str) -> str:
    """Capitals, hyphens, underscores and blanks make no difference."""
    return " ".join(word.casefold().replace("-", " ").replace("_", " ").split())


def _freshness(confirmed_on: date | None, rules: ReferenceRules, as_of: date) -> int:
    if confirmed_on is None or as_of >= days_after(confirmed_on, rules.traits_days):
        return 2
    return int(as_of >= days_after(confirmed_on, rules.window_days))


def _reasons(candidate: Candidate, fits: tuple[Fit, ...], freshness: int, rules: ReferenceRules) -> Iterable[str]:
    """Why this one, a line each, in the order in which it was ranked."""
    yield f"consent: {candidate.clearance.reason}"
    matched = [fit for fit in fits if fit.matched]
    if fits:
        named = "; ".join(f"{_title(fit.facet)} {', '.join(fit.matched)}" for fit in matched)
        yield f"fits {len(matched)} of {len(fits)} asked for{': ' + named if named else ''}"
    for fit in fits:
        if not fit.matched:
            has = f"is {', '.join(fit.known)}" if fit.known else "is not known"
            yield f"{_title(fit.facet)} {has}; asked for: {', '.join(fit.wanted)}"
    quality = candidate.quality
    low, high, _ = quality.percents
    rated = sum(trait.is_rated for trait in quality.traits)
    impact = ", high impact" if quality.is_high_impact else ""
    span = str(low) if low == high else f"{low} to {high}"
    yield f"quality {span} of 100, {rated} of {len(quality.traits)} traits rated{impact}"
    ledger = candidate.ledger
    yield f"{ledger.used} of {ledger.cap} asks used in {rules.window_days} days"
    ages = (f"confirmed within {rules.window_days} days", f"confirmed within {rules.traits_days} days", "not confirmed")
    yield f"{ages[freshness]}, last on {candidate.confirmed_on}" if candidate.confirmed_on else "never confirmed"
    yield f"used {_often(ledger.uses)}, last on {ledger.last_used_on}" if ledger.uses else "never used yet"


def _title(facet: Facet) -> str:
    return facet.replace("_", " ")


def _often(times: int) -> str:
    return {0: "never", 1: "once", 2: "twice"}.get(times, f"{times} times")


def _behind(front: Match, back: Match) -> str:
    """The first thing in which two neighbours differ."""
    ours, theirs = back.candidate.ledger, front.candidate.ledger
    if front.matched != back.matched:
        return f"fits in {back.matched} points instead of {front.matched}"
    if front.score != back.score:
        return f"quality with what is left of the cap is {shown(back.score)} instead of {shown(front.score)}"
    if front.freshness != back.freshness:
        return "was confirmed longer ago"
    if theirs.uses != ours.uses:
        return f"was used {_often(ours.uses)}, the other {_often(theirs.uses)}"
    if theirs.last_used_on != ours.last_used_on:
        return f"was used more recently, on {ours.last_used_on}"
    return "is equal in everything; the id decides"


def shown(score: Fraction) -> str:
    """One decimal, cut downwards."""
    tenths = score * 10 // 1
    return f"{tenths // 10}.{tenths % 10}"
