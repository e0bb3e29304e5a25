"""Why values changed between two valuations: the difference of two sets of credit lines, split by cause.

Each opportunity is explained on its own (`explain_deal`), from all its lines before and after, in this fixed order:

1. merge: what a merged account had becomes its survivor's;
2. an opportunity that came, fell due or went takes every line on it along;
3. net value, with every share as it was: first the rate, then the amount, then refunds and corrections;
4. shares: what is left of a line has one cause, the first that fits in `reasons`. Recorded, verified and withdrawn
   referrals come before the policy: it explains only what no referral, merge or move explains.

Parts are whole minor units and add up to the difference of every account and measure, whatever the lines are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from app.domain.causes import GIVEN, SPLIT, Between, Cause, Change, DealFacts, Entry, Part
from app.domain.model import Measure
from app.domain.money import round_half_up
from app.domain.reasons import Deal, Key, find_reason


class _Step(NamedTuple):
    cause: Cause
    event_id: str | None
    amount: int


class _Way(NamedTuple):
    """From the old net value of an opportunity to the new one."""

    start: int
    steps: tuple[_Step, ...]

    @property
    def end(self) -> int:
        return self.start + sum(step.amount for step in self.steps)


def explain_deal(before: Sequence[Entry], after: Sequence[Entry], facts: DealFacts, between: Between) -> list[Part]:
    """The parts of one opportunity, for every account that has or had a line on it, `given` included.

    `before` and `after` hold all its lines at the two valuations. Parts that cancel out are left out.
    """
    held = [_survive(entry, between.survivors) for entry in before]
    merged = {old.measure for old, new in zip(before, held, strict=True) if old != new}
    deal = _build_deal(held, after, facts, between, merged)
    return _sum_parts([*_merged(_with_given(before), _with_given(held)), *_parts(deal)])


def changes_of(
    parts: Iterable[Part], *, influence_before: int = 0, includes: tuple[bool, bool] = (False, False)
) -> list[Change]:
    """The parts of ONE account by cause, opportunity and event, the biggest move of the total first.

    Adds `total` and `conserved`. `includes`: whether influence was, and is, part of the total; where that changed,
    what had been earned before (`influence_before`) entered or left the total by the policy.
    """
    found: defaultdict[tuple[Cause, str | None, str | None], dict[str, int]] = defaultdict(_nothing)
    for part in parts:
        found[part.cause, part.opportunity_id, part.event_id][part.measure] += part.amount
    changes = [Change(*key, measures_of(sums, include=includes[1])) for key, sums in found.items()]
    if includes[0] != includes[1]:
        entered = influence_before if includes[1] else -influence_before
        changes.append(Change(Cause.POLICY, None, None, {**_nothing(), "total": entered, "conserved": 0}))
    return sorted((change for change in changes if any(change.amounts.values())), key=_biggest_first)


def measures_of(sums: Mapping[str, int], *, include: bool) -> dict[str, int]:
    """The split measures with the two that follow from them. `include`: influence is part of the total."""
    direct, referred = sums[Measure.DIRECT], sums[Measure.REFERRED]
    total = direct + referred + (sums[Measure.INFLUENCE] if include else 0)
    return {**sums, "total": total, "conserved": direct + referred - sums[GIVEN]}


def _nothing() -> dict[str, int]:
    return dict.fromkeys(map(str, SPLIT), 0)


def _biggest_first(change: Change) -> tuple[object, ...]:
    largest = max(abs(amount) for amount in change.amounts.values())
    names = change.cause, change.opportunity_id or "", change.event_id or ""
    return -abs(change.amounts["total"]), -largest, *names


def _sum_parts(parts: Iterable[Part]) -> list[Part]:
    sums: defaultdict[Part, int] = defaultdict(int)
    for part in parts:
        sums[part._replace(amount=0)] += part.amount
    return [part._replace(amount=amount) for part, amount in sums.items() if amount]


def _survive(entry: Entry, survivors: Mapping[str, str]) -> Entry:
    if entry.account_id not in survivors and entry.buyer_id not in survivors:
        return entry
    account, buyer = (survivors.get(one, one) for one in (entry.account_id, entry.buyer_id))
    return entry._replace(account_id=account, buyer_id=buyer)


def _with_given(entries: Sequence[Entry]) -> list[Entry]:
    """Each referred line once more from the other side: the buyer's account, `buyer_id` naming who earned it."""
    referred = [one for one in entries if one.measure == Measure.REFERRED]
    return [
        *entries,
        *(one._replace(measure=GIVEN, account_id=one.buyer_id, buyer_id=one.account_id) for one in referred),
    ]


def _merged(before: Sequence[Entry], held: Sequence[Entry]) -> Iterator[Part]:
    for old, new in zip(before, held, strict=True):
        if old.account_id != new.account_id:
            yield _part(old, Cause.MERGE, -old.amount)
            yield _part(new, Cause.MERGE, new.amount)


def _part(entry: Entry, cause: Cause, amount: int, event_id: str | None = None) -> Part:
    return Part(entry.account_id, entry.measure, cause, entry.opportunity_id, event_id or entry.event_id, amount)


def _build_deal(
    held: Sequence[Entry], after: Sequence[Entry], facts: DealFacts, between: Between, merged: Collection[str]
) -> Deal:
    buyers = [{one.buyer_id for one in side if one.measure == Measure.DIRECT} for side in (held, after)]
    is_moved = all(buyers) and buyers[0] != buyers[1]
    return Deal(_fold(_with_given(held)), _fold(_with_given(after)), facts, between, merged, is_moved)


def _fold(entries: Iterable[Entry]) -> dict[Key, Entry]:
    """One entry a key, in order of keys: amounts and shares added up, the rest from its first line."""
    folded: dict[Key, Entry] = {}
    for entry in entries:
        first = folded.get(_key(entry))
        folded[_key(entry)] = (
            first._replace(amount=first.amount + entry.amount, share=first.share + entry.share) if first else entry
        )
    return dict(sorted(folded.items()))


def _key(entry: Entry) -> Key:
    """What makes two lines the same: direct ones per correction, all others per account, whatever credits it."""
    if entry.measure == Measure.DIRECT:
        return entry.measure, entry.account_id, entry.event_id or ""
    return entry.measure, entry.account_id, entry.buyer_id if entry.measure == GIVEN else ""


def _parts(deal: Deal) -> list[Part]:
    if not deal.old:
        return [_part(entry, _arrival(deal), entry.amount) for entry in deal.new.values()]
    if not deal.new:
        return [_part(entry, _departure(deal), -entry.amount) for entry in deal.old.values()]
    pairs = [(deal.old.get(key), deal.new.get(key)) for key in sorted(deal.old.keys() | deal.new.keys())]
    direct = [part for old, new in pairs for part in _direct(deal, old, new)]
    way = _build_way(deal, direct)
    return direct + [part for old, new in pairs for part in _shared(deal, old, new, way)]


def _arrival(deal: Deal) -> Cause:
    own = [one for one in deal.new.values() if one.measure == Measure.DIRECT]
    if not deal.facts.is_unchanged:
        return Cause.NEW_OPPORTUNITY
    if any(one.dated_on and one.dated_on > deal.between.as_of_before for one in own if one.event_id is None):
        return Cause.TIME_PASSING
    if any(one.rate for one in own):
        return Cause.RATE
    return Cause.POLICY if deal.between.policy_changed else Cause.NEW_OPPORTUNITY


def _departure(deal: Deal) -> Cause:
    if deal.facts.is_unpriced:
        return Cause.RATE
    is_later = deal.facts.close_on is not None and deal.facts.close_on > deal.between.as_of_after
    return Cause.OPPORTUNITY_CHANGED if is_later else Cause.OPPORTUNITY_LOST


def _direct(deal: Deal, old: Entry | None, new: Entry | None) -> Iterator[Part]:
    entry = new or old
    if entry is None or entry.measure != Measure.DIRECT:
        return
    rest = (new.amount if new else 0) - (old.amount if old else 0)
    if old and new and (by_rate := _by_rate(old, new, deal.between.unit)):
        yield _part(entry, Cause.RATE, by_rate)
        rest -= by_rate
    is_refund = entry.event_id is not None and not deal.is_moved
    yield _part(entry, Cause.REFUND if is_refund else Cause.OPPORTUNITY_CHANGED, rest)


def _by_rate(old: Entry, new: Entry, unit: int) -> int:
    """What the new rate alone does to the old amount. A rate that differs because the date does is not its doing."""
    if old.rate is None or new.rate is None or old.rate == new.rate:
        return 0
    if (old.own_currency, old.dated_on) != (new.own_currency, new.dated_on):
        return 0
    before, after = Fraction(old.own_amount or 0), Fraction(new.own_amount or 0)
    if before == after:
        return new.amount - old.amount
    theirs, _, ours = new.rate.partition("/")
    return round_half_up(*(before * unit * Fraction(ours or 1) / Fraction(theirs)).as_integer_ratio()) - old.amount


def _build_way(deal: Deal, direct: Iterable[Part]) -> _Way:
    sums: defaultdict[tuple[Cause, str | None], int] = defaultdict(int)
    for part in direct:
        sums[part.cause, part.event_id] += part.amount
    order = (Cause.RATE, Cause.OPPORTUNITY_CHANGED, Cause.REFUND)
    keys = sorted(sums, key=lambda key: (order.index(key[0]), key[1] or ""))
    start = sum(one.amount for one in deal.old.values() if one.measure == Measure.DIRECT)
    return _Way(start, tuple(_Step(*key, sums[key]) for key in keys if sums[key]))


def _shared(deal: Deal, old: Entry | None, new: Entry | None, way: _Way) -> Iterator[Part]:
    entry = new or old
    if entry is None or entry.measure == Measure.DIRECT:
        return
    at, goal = old.amount if old else 0, new.amount if new else 0
    if _follows_net(deal, old, new, way):
        is_same_share = old is None or new is None or old.share == new.share
        for step, worth in _worths(way, (old or entry).share):
            reached = goal if is_same_share and step is way.steps[-1] else worth
            yield _part(entry, step.cause, reached - at, step.event_id)
            at = reached
    yield _part(entry, find_reason(deal, entry, old, new), goal - at)


def _worths(way: _Way, share: Fraction) -> Iterator[tuple[_Step, int]]:
    net = way.start
    for step in way.steps:
        net += step.amount
        yield step, max(0, net) * share.numerator // share.denominator


def _follows_net(deal: Deal, old: Entry | None, new: Entry | None, way: _Way) -> bool:
    """Nobody is credited where nothing is left: then a line comes or goes with the net value, not with a claim."""
    if old and new:
        return True
    if old:
        return way.start > 0 >= way.end
    return way.start <= 0 < way.end and new is not None and not _is_told(deal, new)


def _is_told(deal: Deal, entry: Entry) -> bool:
    """Whether somebody recorded or verified what the line rests on meanwhile."""
    return entry.event_id in deal.between.new_events or entry.event_id in deal.between.verified_events
