"""Which customer to ask for a reference: first who may be asked at all, then who fits best, each with its reasons.

Hard filters come first and each is named. Who passes them is ranked by fit, then by quality with what is left of the
cap, then by how fresh the evidence is, then by who was used least; last by id, so that equal means equal. Nothing is
weighed against anything else, so that the order can be read aloud.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from enum import StrEnum
from fractions import Fraction

from app.domain.availability import Block, Clearance, Hold, Openness, availability, often
from app.domain.days import days_after
from app.domain.reference_events import Profile
from app.domain.reference_quality import Quality
from app.domain.requests import AskLedger
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
    yield f"used {often(ledger.uses)}, last on {ledger.last_used_on}" if ledger.uses else "never used yet"


def _title(facet: Facet) -> str:
    return facet.replace("_", " ")


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
        return f"was used {often(ours.uses)}, the other {often(theirs.uses)}"
    if theirs.last_used_on != ours.last_used_on:
        return f"was used more recently, on {ours.last_used_on}"
    return "is equal in everything; the id decides"


def shown(score: Fraction) -> str:
    """One decimal, cut downwards."""
    tenths = score * 10 // 1
    return f"{tenths // 10}.{tenths % 10}"
