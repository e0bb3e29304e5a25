"""Where an account stands beside its money, in words: what a salesperson reads before a call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from app.domain.availability import Readiness
from app.domain.care import Care, Transition, transitions
from app.domain.care_events import Bucket
from app.domain.commitment import LICENCE, TOP, advise, rung_of
from app.domain.contradictions import ADVICE
from app.domain.days import iso
from app.domain.model import Policy
from app.domain.promises import PromiseState
from app.domain.reference_quality import Quality
from app.domain.reference_record import Kind, Record
from app.domain.relationship import Standing, place_in_matrix
from app.domain.relationship_events import OFFER_LEVELS, PERSONAL_LEVELS
from app.domain.requests import Answer, AskLedger
from app.domain.roles import Stance
from app.domain.standing import AccountStanding, assess_account, build_frame
from app.domain.success import Progress
from app.store.connection import Connection
from app.store.standing import load_facts

NOBODY = "nobody has said"
SHOWN_STEPS = 2
BUCKETS = {Bucket.NEED_YOU: "Need you", Bucket.OK: "It's ok", Bucket.WHO_ARE_YOU: "Who are you?"}
_READINESS = {
    Readiness.AVAILABLE: "May be asked for a call",
    Readiness.RESTING: "Resting",
    Readiness.CAPPED: "Asked often enough",
    Readiness.OPTED_OUT: "Opted out",
    Readiness.NO_CONSENT: "No consent to calls today",
    Readiness.ESCALATED: "Something is open",
    Readiness.NONE: "Never consented to calls",
}
_STANCES = {
    Stance.ADVOCATE: "Speaks for us",
    Stance.DETRACTOR: "Speaks against us",
    Stance.MIXED: "Speaks for us and against us",
    Stance.NEUTRAL: "Not heard lately",
}


@dataclass(frozen=True, slots=True)
class Card:
    """One measure: what it is, how it stands, and what explains that."""

    code: str
    title: str
    value: str
    detail: str = ""

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code, "title": self.title, "value": self.value, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class ToDo:
    """Something to do, and what it is about."""

    about: str
    text: str

    def as_json(self) -> dict[str, Any]:
        return {"about": self.about, "text": self.text}


@dataclass(frozen=True, slots=True)
class StandingView:
    as_of: date
    cards: tuple[Card, ...]
    to_do: tuple[ToDo, ...]
    """Most pressing first."""
    metrics: tuple[Progress, ...] = ()
    """What the customer and its champion measure their success by."""
    moves: tuple[Transition, ...] = ()
    """How it went from bucket to bucket by its answers, oldest first."""

    def as_json(self) -> dict[str, Any]:
        """The documented object."""
        return {
            "as_of": self.as_of.isoformat(),
            "cards": [card.as_json() for card in self.cards],
            "to_do": [one.as_json() for one in self.to_do],
            "metrics": [show_metric(one) for one in self.metrics],
            "transitions": [show_move(one) for one in self.moves],
        }


def show_metric(one: Progress) -> dict[str, Any]:
    """The documented object: exact numbers and fractions as text."""
    metric = one.metric
    return {
        "owner": metric.owner,
        "kind": metric.kind,
        "name": metric.name,
        "unit": metric.unit,
        "baseline": _exact(metric.baseline),
        "target": _exact(metric.target),
        "actual": _exact(metric.actual),
        "agreed_on": iso(metric.agreed_on),
        "is_agreed": one.is_agreed,
        "progress": None if one.share is None else str(one.share),
        "told_on": one.told_on.isoformat(),
    }


def show_move(one: Transition) -> dict[str, Any]:
    """The documented object."""
    return {
        "on": one.on.isoformat(),
        "before": one.before,
        "after": one.after,
        "direction": one.direction,
        "decision": one.decision,
        "verbatim": one.verbatim,
        "event": one.event_id,
    }


def _exact(number: Decimal | None) -> str | None:
    return None if number is None else format(number, "f")


def tell_standing(connection: Connection, account_id: str, policy: Policy, day: date) -> StandingView:
    """Every human measure of an account on a day, from what is known today."""
    facts = load_facts(connection, account_id, policy, day)
    standing = assess_account(facts, build_frame(policy, day))
    return StandingView(
        day,
        tuple(_cards(standing)),
        tuple(_to_do(standing)),
        standing.care.metrics,
        tuple(transitions(facts.events, day)),
    )


def _cards(one: AccountStanding) -> Iterator[Card]:
    level = one.commitment.level
    yield Card(
        "commitment",
        "Commitment",
        f"{level} of {TOP}: {rung_of(level).title}" if level else "Not on the ladder yet",
        f"under licence until {one.renewal_on}" if one.renewal_on else "no licence that is valid today",
    )
    allowed = ", ".join(scope.replace("_", " ") for scope in one.permissions.valid)
    until = f"all of it until {one.permissions.lapses_on}" if one.permissions.lapses_on else ""
    yield Card("permissions", "Lets us use its name for", allowed or "Nothing", until)
    if one.promised:
        yield Card("promised", "Promised in deals", *_tell_promised(one))
    before = f"; before: {OFFER_LEVELS[one.offer_before].title}" if one.offer_before is not None else ""
    yield Card("offer", "Our offer is to them", _level(one.offer.level, OFFER_LEVELS), _rated(one.offer) + before)
    best = one.personal.best
    yield Card(
        "personal",
        "Our people are to them",
        _level(one.personal.highest, PERSONAL_LEVELS),
        _rated(best) if best else "time to ask again" if one.personal.is_stale else "",
    )
    bucket = BUCKETS[one.care.bucket] if one.care.bucket else "Nobody knows"
    yield Card("care", "Why they care", bucket, _tell_care(one.care))
    yield Card("reference", "As a reference", _READINESS[one.availability.state], _tell_quality(one))
    if one.record.uses:
        yield Card("record", "References it gave", _tell_kind(one.record), _tell_record(one.record))
    if one.ledger.asks or one.ledger.given_back:
        asked = f"{one.ledger.used} of {one.ledger.cap} in {one.ledger.window_days} days"
        yield Card("asks", "Favours asked of it", asked, _tell_balance(one.ledger))
    roles = ", ".join(code.removeprefix("x_").replace("_", " ") for code in one.roles.codes)
    yield Card("roles", "Is to us", roles or "nothing yet", "")
    words = f"{len(one.voice.words_for)} good and {len(one.voice.words_against)} bad words that still count"
    yield Card("stance", "What they say of us", _STANCES[one.voice.stance], words)
    if one.recognitions:
        yield Card("recognitions", "Tokens of esteem", str(one.recognitions), "received from them")
    if one.next_call_on:
        yield Card("next_call", "Next call", one.next_call_on.isoformat(), "")


def _tell_promised(one: AccountStanding) -> tuple[str, str]:
    kept = len(one.promised) - len(one.owed)
    owed = ", ".join(
        f"{promise.scope.replace('_', ' ')}"
        f" ({'was ' if promise.state is PromiseState.OVERDUE else ''}due on {promise.due_on})"
        for promise in one.owed
    )
    return owed or "Nothing is owed", f"{kept} of {len(one.promised)} granted or delivered"


def _tell_care(care: Care) -> str:
    known = "inferred from usage: ask" if care.is_inferred else f"asked on {care.answered_on}" if care.answer else ""
    again = "time to ask again" if care.is_stale and care.answer else ""
    decided = f"decided: {care.decision.replace('_', ' ')}" if care.decision else ""
    before = f"before: {BUCKETS[care.before]}" if care.before else ""
    return "; ".join(part for part in (known, again, decided, before) if part)


_KINDS = {
    Kind.CUSTOMER_A: "a customer A, they help little",
    Kind.CUSTOMER_B: "a customer B, they convince",
    Kind.MIXED: "some helped, some did not",
    Kind.NOT_ENOUGH_DATA: "too few to say how good",
}


def _tell_kind(record: Record) -> str:
    return f"{record.uses}: {_KINDS[record.kind]}"


def _tell_record(record: Record) -> str:
    better, expected, worse = record.surprises
    parts = [f"{record.won} of {record.decided} decided deals won" if record.decided else "no deal is decided yet"]
    if record.surprise:
        told = ((better, "better than"), (expected, "as"), (worse, "worse than"))
        parts += [f"{number} {how} expected" for number, how in told if number]
    if record.days_to_accept is not None:
        parts.append(f"says yes {_within(record.days_to_accept)}")
    return "; ".join(parts)


def _within(days: int) -> str:
    return "on the same day" if days == 0 else f"after {days} {'day' if days == 1 else 'days'}"


def _tell_balance(ledger: AskLedger) -> str:
    given = ledger.counts.get(Answer.YES, 0)
    return f"{given} granted in all, {ledger.given_back} given back"


def _level(level: int | None, names: Any) -> str:
    return NOBODY if level is None else f"{level} of 4: {names[level].title}"


def _rated(standing: Standing) -> str:
    if standing.rated_on is None:
        return ""
    return f"rated on {standing.rated_on}" + ("; time to ask again" if standing.is_stale else "")


def _tell_quality(one: AccountStanding) -> str:
    from_day = f"from {one.availability.available_from} on; " if one.availability.available_from else ""
    return from_day + tell_quality(one.quality)


def tell_quality(quality: Quality) -> str:
    """`quality 75 to 92 of 100, 83 % of it rated`."""
    low, high, coverage = quality.percents
    if not coverage:
        return "nobody has rated its quality"
    impact = ", high impact" if quality.is_high_impact else ""
    again = "; time to rate again" if quality.is_stale else ""
    return f"quality {low} to {high} of 100, {coverage} % of it rated{impact}{again}"


def _to_do(one: AccountStanding) -> Iterator[ToDo]:
    for item in one.open_items:
        yield ToDo(f"Open since {item.opened_on}", item.title or item.type.replace("_", " "))
    for found in one.radar.found:
        yield ToDo(ADVICE[found.code].title, found.action)
    if one.voice.stance in (Stance.DETRACTOR, Stance.MIXED):
        yield ToDo(_STANCES[one.voice.stance], one.voice.strategy)
    if one.care.is_in_limbo:
        yield ToDo("In limbo", f"The value has stopped since {one.care.limbo_since}, the contract has not: call them.")
    yield ToDo("Why they care", one.care.action)
    for promise in one.owed:
        if promise.state is PromiseState.OVERDUE:
            scope = promise.scope.replace("_", " ")
            yield ToDo("Promise overdue", f"Ask for the permission {scope}: promised, and due on {promise.due_on}.")
    if one.care.metrics_are_stale:
        yield ToDo("Success", "An agreed measure of success was not told for long: ask how it stands.")
    if one.care.proposal_gate:
        yield ToDo("Agreed value", one.care.proposal_gate)
    place = place_in_matrix(one.offer.level, one.personal.highest)
    if place is not None:
        yield ToDo("Offer and person", place.talking_point)
    # Nobody who refers others needs to be won over to a first conversation: the ladder in full has those gaps, too.
    steps = [step for step in advise(one.commitment) if step.rung >= min(LICENCE, one.commitment.level)]
    for step in steps[:SHOWN_STEPS]:
        yield ToDo(("Next rung: " if step.is_next else "Gap: ") + rung_of(step.rung).title, step.text)
