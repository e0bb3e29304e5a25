"""Why an account's share of an opportunity moved that is there before and after: one cause, the first that fits.

What somebody recorded or withdrew comes first, then moves, and merges of lines like it, then the rules, then what can
only be told from the evidence that a claim rests on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from fractions import Fraction

from app.domain.causes import GIVEN, Between, Cause, DealFacts, Entry
from app.domain.chain import CHAINED
from app.domain.model import Measure, Tier

_INFLUENCE = (Measure.INFLUENCE, Measure.TOUCHED)
_CREDIT = frozenset({Measure.DIRECT, Measure.REFERRED})
_TAKING_PART = frozenset({Measure.DIRECT, *_INFLUENCE})
_MERGED_WITH: Mapping[str, frozenset[Measure]] = {
    Measure.REFERRED: _CREDIT,
    GIVEN: _CREDIT,
    Measure.NETWORK: _CREDIT | {Measure.NETWORK},
    Measure.INFLUENCE: _TAKING_PART,
    Measure.TOUCHED: _TAKING_PART,
}
"""Per measure the lines whose merge explains it: the buyer's, its like, and for a chain the credit it starts from."""
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Deal:
    """One opportunity before, merges applied, and after: one entry a key, and what all of them together say."""

    old: Mapping[Key, Entry]
    new: Mapping[Key, Entry]
    facts: DealFacts
    between: Between
    merged: Collection[str]
    """The measures of the lines before whose account or buyer was merged."""
    is_moved: bool
    """Another account bought it."""


def find_reason(deal: Deal, entry: Entry, old: Entry | None, new: Entry | None) -> Cause:
    """`old` and `new`: the line before and after, one of which is `entry`."""
    between, influence = deal.between, entry.measure in _INFLUENCE
    if new and new.event_id in between.new_events and (old is None or old.event_id != new.event_id):
        return Cause.INFLUENCE if influence else Cause.REFERRAL_ADDED
    if new and new.event_id in between.verified_events and (old is None or old.event_id != new.event_id):
        return Cause.INFLUENCE if influence else Cause.REFERRAL_VERIFIED
    if new is None and entry.event_id in between.lost_events:
        return Cause.INFLUENCE if influence else Cause.REFERRAL_WITHDRAWN
    if deal.is_moved:
        return Cause.OPPORTUNITY_CHANGED
    if not _MERGED_WITH[entry.measure].isdisjoint(deal.merged):
        return Cause.MERGE
    if influence:
        return _influence_reason(deal)
    if entry.measure == Measure.NETWORK:
        return Cause.POLICY if between.policy_changed and not _is_recorded(deal) else Cause.CHAIN
    return _claim_reason(deal, entry, old, new)


def _influence_reason(deal: Deal) -> Cause:
    """The same for taking part: whoever stands there as a referrer after a merge no longer does beside it."""
    if any(_events(deal, *_INFLUENCE)):
        return Cause.MERGE if deal.merged else Cause.INFLUENCE
    return Cause.POLICY if deal.between.policy_changed else Cause.INFLUENCE


def _claim_reason(deal: Deal, entry: Entry, old: Entry | None, new: Entry | None) -> Cause:
    """The same for credit, once its own referral, a move and a merge are ruled out."""
    if _is_recorded(deal):
        return Cause.CO_REFERRER
    if deal.between.policy_changed:
        return Cause.POLICY
    if _chained(deal.old) != _chained(deal.new):
        return Cause.CHAIN
    if _weights(deal.old) != _weights(deal.new):
        return Cause.MERGE if Measure.INFLUENCE in deal.merged else Cause.INFLUENCE
    if deal.facts.is_changed:
        return Cause.OPPORTUNITY_CHANGED
    if old and new:
        return Cause.CO_REFERRER if any(_events(deal, Measure.REFERRED)) else Cause.ACCOUNT_CHANGED
    return _quiet_reason(deal, entry, is_credited=new is not None)


def _quiet_reason(deal: Deal, entry: Entry, *, is_credited: bool) -> Cause:
    """Nothing was recorded and no rule changed: the evidence that a claim rests on tells what must have happened."""
    if entry.event_id in deal.between.merged_events:
        return Cause.MERGE
    if entry.tier == Tier.CONTACT:
        return Cause.OPPORTUNITY_CHANGED
    is_about_the_claim = is_credited and entry.tier != Tier.DOMAIN
    return Cause.REFERRAL_VERIFIED if is_about_the_claim else Cause.ACCOUNT_CHANGED


def _is_recorded(deal: Deal) -> bool:
    """Whether a claim on the opportunity itself came or went because somebody recorded, verified or withdrew it."""
    come, gone = _events(deal, Measure.REFERRED)
    between = deal.between
    is_told = not come.isdisjoint(between.new_events) or not come.isdisjoint(between.verified_events)
    return is_told or not gone.isdisjoint(between.lost_events)


def _events(deal: Deal, *measures: Measure) -> tuple[set[str], set[str]]:
    """The events that credit on the opportunity itself rests on: (only after, only before)."""
    old, new = (
        {one.event_id for one in side.values() if one.measure in measures and one.event_id and not _is_chained(one)}
        for side in (deal.old, deal.new)
    )
    return new - old, old - new


def _is_chained(entry: Entry) -> bool:
    return entry.rule.startswith(CHAINED)


def _chained(side: Mapping[Key, Entry]) -> dict[Key, Fraction]:
    return {key: one.share for key, one in side.items() if one.measure == Measure.REFERRED and _is_chained(one)}


def _weights(side: Mapping[Key, Entry]) -> dict[Key, Fraction]:
    return {key: one.share for key, one in side.items() if one.measure == Measure.INFLUENCE}
