"""What the referrers of the referrers get: network value, or a share of the credit itself.

An edge `i -> b` with share `s` says that `i` has credit on `b`'s first won opportunity. Edges multiply along a path,
are followed only back in time, never to the buyer and never twice to one account.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from operator import attrgetter
from typing import NamedTuple

from app.domain.credit import NOTHING, Sale
from app.domain.model import ChainMode, CreditLine, Measure, Policy
from app.domain.money import allocate, storable

CHAINED = "chain, step"
"""How the rule of a line starts that a chain gives to somebody further up."""


class Edge(NamedTuple):
    """A referred line seen from the account it brought in: who referred, with what share, when."""

    referrer_id: str
    share: Fraction
    occurred_on: str
    event_id: str
    tier: int = 0


class _Step(NamedTuple):
    """An account reached by climbing; the event is the referral that leads to it, 1 the distance of a direct one."""

    distance: int
    account_id: str
    share: Fraction
    occurred_on: str
    event_id: str


_step_order = attrgetter("occurred_on", "event_id", "distance", "account_id")


def credit_chain(
    sale: Sale, net: int, direct: Sequence[Edge], upstream: Mapping[str, Sequence[Edge]], policy: Policy
) -> list[CreditLine]:
    """The lines that chains add to one won opportunity of `net` minor units.

    `direct`: the edges of the opportunity itself; `upstream`: per account the edges of its first won opportunity, both
    from the lines of `credit_opportunity`. Mode `separate`: network lines, whose `tier` is the distance (2, 3 ...).
    Mode `carve_out`: all referred lines, to replace the direct ones, with tier 0 for everybody further up; call it for
    opportunities with a referrer in `upstream` only, the others keep what they have.
    """
    if policy.chain.mode is ChainMode.NONE or net <= 0:
        return []
    if policy.chain.mode is ChainMode.CARVE_OUT:
        return _carved(sale, net, direct, upstream, policy)
    steps = [step for edge in direct for step in _climb(sale, edge, upstream, policy)]
    return [line for tier in range(2, policy.chain.depth + 1) for line in _network(sale, net, tier, steps, policy)]


def edges_of(lines: Iterable[CreditLine], dates: Mapping[str, str]) -> list[Edge]:
    """The referred lines of one opportunity as edges; `dates`: event id -> ISO day of the referral."""
    return [
        Edge(line.account_id, line.share, dates[line.event_id], line.event_id, line.tier)
        for line in lines
        if line.measure is Measure.REFERRED and line.event_id is not None
    ]


def _climb(sale: Sale, edge: Edge, upstream: Mapping[str, Sequence[Edge]], policy: Policy) -> list[_Step]:
    """Every way up from one direct referrer."""
    found: list[_Step] = []
    paths: list[tuple[tuple[str, ...], Fraction, str]]
    paths = [((sale.buyer_id, edge.referrer_id), edge.share, edge.occurred_on)]
    for distance in range(2, policy.chain.depth + 1):
        ways = [
            (path, up, share * up.share)
            for path, share, day in paths
            for up in upstream.get(path[-1], ())
            if up.occurred_on <= day and up.referrer_id not in path
        ]
        found += [_Step(distance, up.referrer_id, share, up.occurred_on, up.event_id) for _, up, share in ways]
        paths = [((*path, up.referrer_id), share, up.occurred_on) for path, up, share in ways]
    return found


def _network(sale: Sale, net: int, distance: int, steps: Iterable[_Step], policy: Policy) -> list[CreditLine]:
    faded = policy.chain.delta ** (distance - 1)
    merged = _merge(step._replace(share=step.share * faded) for step in steps if step.distance == distance)
    return [_line(Measure.NETWORK, sale, net, step, amount, distance) for step, amount in _amounts(net, merged)]


def _carved(
    sale: Sale, net: int, direct: Sequence[Edge], upstream: Mapping[str, Sequence[Edge]], policy: Policy
) -> list[CreditLine]:
    tiers = {edge.referrer_id: edge.tier for edge in direct}
    merged = _merge(step for edge in direct for step in _carve(edge, _climb(sale, edge, upstream, policy), policy))
    return [
        _line(Measure.REFERRED, sale, net, step, amount, tiers[step.account_id] if step.distance == 1 else 0)
        for step, amount in _amounts(net, merged)
    ]


def _carve(edge: Edge, above: list[_Step], policy: Policy) -> list[_Step]:
    """One direct claim shares what it has with those above it: weights 1, delta, delta squared ..., normalised."""
    own = _Step(1, edge.referrer_id, edge.share, edge.occurred_on, edge.event_id)
    weighted = [step._replace(share=step.share * policy.chain.delta ** (step.distance - 1)) for step in (own, *above)]
    whole = sum((step.share for step in weighted), NOTHING)
    return [step._replace(share=edge.share * step.share / whole) for step in weighted]


def _merge(steps: Iterable[_Step]) -> list[_Step]:
    """One step per account and distance, however many ways lead there, in time order."""
    merged: dict[tuple[int, str], _Step] = {}
    for step in sorted(steps, key=_step_order):
        first = merged.get(step[:2])
        merged[step[:2]] = first._replace(share=first.share + step.share) if first else step
    return list(merged.values())


def _amounts(net: int, steps: list[_Step]) -> Iterable[tuple[_Step, int]]:
    shares = [step.share for step in steps]
    return zip(steps, allocate(net, shares, sum(shares, NOTHING)), strict=True)


def _line(measure: Measure, sale: Sale, net: int, step: _Step, amount: int, tier: int) -> CreditLine:
    return CreditLine(
        measure,
        step.account_id,
        sale.id,
        sale.buyer_id,
        amount,
        step.event_id,
        tier,
        storable(step.share),
        "referral, shared with its chain" if step.distance == 1 else f"{CHAINED} {step.distance}",
        net,
        step.occurred_on,
    )
