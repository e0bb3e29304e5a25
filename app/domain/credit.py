"""Who brought one won opportunity in, and for how much. The only place where that is decided.

The reference model (`value`), the database engine and the explanation all call `credit_opportunity`. Sales on which one
claim stands, or several that share alike, are credited by the same rules in SQL (`store.plain_sales`, held against this
in the tests); for the others it is called one by one, thousands in a first night, so its inputs are plain tuples and
its dates ISO text (`2025-06-01`), which compares like a date. `Sale._make(row)` and `Claim._make(row)` take a row as it
is.

What the caller has to find, one `Sale` per opportunity that is won, closed, not deleted and closed by the day of the
valuation, with its net value in minor units (None where a rate is missing: do not call at all):

* ids after merges (`hierarchy`): buyer, referrer, and the ultimate parent of each;
* `is_first_won`: smallest (close_on, id) among all such opportunities of the buyer, of whatever type and amount;
* one `Claim` per referral and route, status `verified` or `claimed`, dated up to the day of the valuation: tier 1
  names the opportunity, 2 a contact on it, 3 its account (after merges), 4 a domain that exactly one account has and
  that is not a free-mail domain. Routes need no further condition: types, dates, windows, self-referral, duplicates
  and tiers are judged here. The same referral may come by several routes; the order does not matter.
* one `Advocate` per influence event linked to the opportunity, and the latest survey answer, as far as there are any.

Chains come after that, from the lines of first won opportunities: `chain`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from operator import attrgetter
from typing import NamedTuple

from app.domain.decay import decay_ppm
from app.domain.model import (
    AccountIssue,
    CreditLine,
    Issue,
    Measure,
    Policy,
    ReferralStatus,
    Scope,
    Split,
    Tier,
)
from app.domain.money import WHOLE, allocate, storable

NOTHING = Fraction(0)


class Sale(NamedTuple):
    """One won opportunity. `type`: an `OpportunityType`. `created_on`: where the CRM has none, pass the close date."""

    id: str
    buyer_id: str
    group_id: str
    created_on: str
    close_on: str
    type: str
    is_first_won: bool | int


class Claim(NamedTuple):
    """One referral by one route to one opportunity. `share`: explicit, 0 to 1; None: the policy splits."""

    event_id: str
    referrer_id: str
    group_id: str
    occurred_on: str
    recorded_on: str | None
    tier: int
    status: str = ReferralStatus.VERIFIED
    share: Fraction | None = None
    is_referrer_deleted: bool | int = False


class Advocate(NamedTuple):
    """One reference call, case study, site visit ... linked to one opportunity."""

    event_id: str
    account_id: str
    occurred_on: str
    weight: int = 1
    is_deleted: bool | int = False


class _Standing(Enum):
    SOURCED = 1
    LATE = 2
    """After the opportunity was created: it took part, it did not bring it in."""


_Verdict = _Standing | Issue | None

_strength = attrgetter("tier", "occurred_on", "event_id")
_time = attrgetter("occurred_on", "event_id")


def credit_opportunity(
    sale: Sale,
    net: int,
    claims: Sequence[Claim],
    policy: Policy,
    advocates: Sequence[Advocate] = (),
    reference_share: Fraction | None = None,
) -> tuple[list[CreditLine], list[AccountIssue]]:
    """The referred, influence and touched lines of one won opportunity, and what is wrong with its claims.

    `net`: minor units, refunds taken off; at or below zero nobody is credited. `reference_share`: the buyer's answer,
    0 to 1, how much references mattered. Referred lines add up to at most `net`; with influence in the total, both do.
    """
    issues: list[AccountIssue] = []
    sourced, late = _attach(sale, claims, policy, issues)
    if not advocates and not late:
        return _referred(sale, net, sourced, policy, WHOLE, issues), issues
    present = _present(sale, late, advocates, issues)
    pool = _influence_pool(present, bool(sourced), reference_share, policy)
    kept = 1 - pool if policy.influence.include else WHOLE
    lines = _referred(sale, net, sourced, policy, kept, issues)
    return lines + _influence(sale, net, present, pool), issues


@lru_cache(maxsize=65536)
def later(day: str, days: int) -> str:
    """The ISO day `days` after another; the calendar ends with the year 9999."""
    try:
        return (date.fromisoformat(day) + timedelta(days=days)).isoformat()
    except OverflowError:
        return date.max.isoformat()


def weight_ppm(days: int, half_life: int) -> int:
    """What is left of a million after some days, at least 1: a claim never weighs nothing."""
    return max(1, decay_ppm(days, max(1, half_life)))


def _attach(
    sale: Sale, claims: Sequence[Claim], policy: Policy, issues: list[AccountIssue]
) -> tuple[list[Claim], list[Claim]]:
    """The claims that brought the opportunity in, and those that came too late for that; one per referrer, by time."""
    standing: dict[_Standing, dict[str, Claim]] = {_Standing.SOURCED: {}, _Standing.LATE: {}}
    for claim in sorted(claims, key=_strength) if len(claims) > 1 else claims:
        verdict = _judge(sale, claim, policy)
        if isinstance(verdict, Issue):
            issues.append(AccountIssue(verdict, claim.referrer_id, sale.id, claim.event_id))
        elif verdict is not None:
            kept = standing[verdict].setdefault(claim.referrer_id, claim)
            if kept.event_id != claim.event_id:
                issues.append(AccountIssue(Issue.DUPLICATE_CLAIM, claim.referrer_id, sale.id, claim.event_id))
    sourced = standing[_Standing.SOURCED]
    late = [claim for referrer, claim in standing[_Standing.LATE].items() if referrer not in sourced]
    issues += [AccountIssue(Issue.REFERRAL_AFTER_CREATED, one.referrer_id, sale.id, one.event_id) for one in late]
    if len(issues) > 1:
        issues[:] = dict.fromkeys(issues)
    return _competing(list(sourced.values()), policy), late


def _judge(sale: Sale, claim: Claim, policy: Policy) -> _Verdict:
    is_named = claim.tier <= Tier.CONTACT
    if not is_named and not _in_scope(sale, claim, policy):
        return None
    if objection := _objection(sale, claim, policy):
        return objection
    if claim.status != ReferralStatus.VERIFIED:
        return Issue.BACKDATED_CLAIM if _is_backdated(sale, claim) else None
    if is_named or claim.occurred_on <= _sourced_until(sale, policy):
        return _Standing.SOURCED
    return _Standing.LATE


def _objection(sale: Sale, claim: Claim, policy: Policy) -> Issue | None:
    if claim.is_referrer_deleted:
        return Issue.REFERRER_DELETED
    if claim.referrer_id == sale.buyer_id:
        return Issue.SELF_REFERRAL
    if claim.group_id == sale.group_id and not policy.intra_group:
        return Issue.INTRA_GROUP
    return Issue.AFTER_CLOSE if claim.occurred_on > sale.close_on else None


def _in_scope(sale: Sale, claim: Claim, policy: Policy) -> bool:
    """Whether a referral of the account itself may reach this one of its opportunities."""
    if sale.type not in policy.credited_types:
        return False
    if claim.occurred_on > sale.close_on and not sale.is_first_won:
        # Whoever refers a customer comes after all that it ever bought: worth a look for the first deal only.
        return False
    if policy.scope is Scope.WINDOW:
        return sale.created_on <= later(claim.occurred_on, policy.window_days)
    return policy.scope is Scope.LIFETIME or bool(sale.is_first_won)


def _sourced_until(sale: Sale, policy: Policy) -> str:
    return later(sale.created_on, policy.grace_days) if policy.grace_days else sale.created_on


def _is_backdated(sale: Sale, claim: Claim) -> bool:
    if claim.status != ReferralStatus.CLAIMED or claim.recorded_on is None:
        return False
    return claim.occurred_on <= sale.created_on < claim.recorded_on


def _competing(claims: list[Claim], policy: Policy) -> list[Claim]:
    if len(claims) < 2:
        return claims
    best = min(claim.tier for claim in claims)
    return sorted((claim for claim in claims if claim.tier == best or not policy.exclusive), key=_time)


def _referred(
    sale: Sale, net: int, claims: list[Claim], policy: Policy, kept: Fraction, issues: list[AccountIssue]
) -> list[CreditLine]:
    if not claims:
        return []
    if len(claims) == 1 and claims[0].share is None and kept is WHOLE:
        return [_referred_line(sale, claims[0], net, net, WHOLE, policy.split)] if net > 0 else []
    if kept is WHOLE and policy.split is Split.EQUAL and all(claim.share is None for claim in claims):
        return _split_equally(sale, claims, net)
    shares, rules = _shares(sale, claims, policy, issues)
    if net <= 0:
        return []
    amounts = allocate(net, shares, sum(shares, NOTHING) * kept)
    return [
        _referred_line(sale, claim, net, amount, storable(share * kept), rule)
        for claim, amount, share, rule in zip(claims, amounts, shares, rules, strict=True)
        if share * kept
    ]


def _split_equally(sale: Sale, claims: list[Claim], net: int) -> list[CreditLine]:
    """What `allocate` gives for equal weights, by one division: nearly every deal of several referrers is this case."""
    if net <= 0:
        return []
    each, left = divmod(net, len(claims))
    share = _one_of(len(claims))
    return [_referred_line(sale, claim, net, each + (at < left), share, Split.EQUAL) for at, claim in enumerate(claims)]


@lru_cache(maxsize=1024)
def _one_of(parts: int) -> Fraction:
    return Fraction(1, parts)


def _referred_line(sale: Sale, claim: Claim, net: int, amount: int, share: Fraction, rule: str) -> CreditLine:
    return CreditLine(
        Measure.REFERRED,
        claim.referrer_id,
        sale.id,
        sale.buyer_id,
        amount,
        claim.event_id,
        claim.tier,
        share,
        rule,
        net,
        claim.occurred_on,
    )


def _shares(
    sale: Sale, claims: list[Claim], policy: Policy, issues: list[AccountIssue]
) -> tuple[list[Fraction], list[str]]:
    """Per claim its share of the opportunity and the rule behind it: explicit ones first, the rest is split."""
    explicit = sum((claim.share for claim in claims if claim.share is not None), NOTHING)
    if explicit > 1:
        issues.append(AccountIssue(Issue.OVERALLOCATED, sale.buyer_id, sale.id))
        return [(claim.share or NOTHING) / explicit for claim in claims], ["explicit, scaled to 100 %"] * len(claims)
    open_claims = [claim for claim in claims if claim.share is None]
    weights = _weights(sale, [claim.occurred_on for claim in open_claims], policy)
    rest = (1 - explicit) / sum(weights) if weights else NOTHING
    split = {claim.event_id: rest * weight for claim, weight in zip(open_claims, weights, strict=True)}
    shares = [split[claim.event_id] if claim.share is None else claim.share for claim in claims]
    return shares, [str(policy.split) if claim.share is None else "explicit" for claim in claims]


def _weights(sale: Sale, days: list[str], policy: Policy) -> list[int]:
    """What each claim without an explicit share weighs in the split; `days` in time order."""
    others, middle = [0] * (len(days) - 1), len(days) - 2
    if not days:
        return []
    match policy.split:
        case Split.EQUAL:
            return [1] * len(days)
        case Split.FIRST:
            return [1, *others]
        case Split.LAST:
            return [*others, 1]
        case Split.TIME_DECAY:
            return [weight_ppm(_days_between(day, sale.close_on), policy.half_life_days) for day in days]
        case Split.POSITION:
            return [2 * middle, *[1] * middle, 2 * middle] if middle > 0 else [1] * len(days)


@lru_cache(maxsize=65536)
def _days_between(first: str, last: str) -> int:
    return (date.fromisoformat(last) - date.fromisoformat(first)).days


class _Part(NamedTuple):
    """One account's part in an opportunity: its first event and the weight of all of them."""

    account_id: str
    occurred_on: str
    event_id: str
    weight: int


def _present(
    sale: Sale, late: Sequence[Claim], advocates: Sequence[Advocate], issues: list[AccountIssue]
) -> list[_Part]:
    """Every account that took part, once, in time order; a referral that came too late counts as one event."""
    parts = [_Part(claim.referrer_id, claim.occurred_on, claim.event_id, 1) for claim in late]
    for one in advocates:
        if one.is_deleted:
            issues.append(AccountIssue(Issue.REFERRER_DELETED, one.account_id, sale.id, one.event_id))
        elif one.occurred_on > sale.close_on:
            issues.append(AccountIssue(Issue.AFTER_CLOSE, one.account_id, sale.id, one.event_id))
        elif one.account_id != sale.buyer_id:
            parts.append(_Part(one.account_id, one.occurred_on, one.event_id, max(0, one.weight)))
    merged: dict[str, _Part] = {}
    for part in sorted(parts, key=_time):
        first = merged.get(part.account_id)
        merged[part.account_id] = first._replace(weight=first.weight + part.weight) if first else part
    return list(merged.values())


def _influence_pool(parts: list[_Part], is_sourced: bool, reference_share: Fraction | None, policy: Policy) -> Fraction:
    """The share of the opportunity that influence gets; beside a referral, and in the total, at most `rho`."""
    if reference_share is None or not any(part.weight for part in parts):
        return NOTHING
    answer = min(WHOLE, max(NOTHING, reference_share))
    return min(policy.influence.rho, answer) if policy.influence.include and is_sourced else answer


def _influence(sale: Sale, net: int, parts: list[_Part], pool: Fraction) -> list[CreditLine]:
    if net <= 0:
        return []
    touched = CreditLine(Measure.TOUCHED, "", sale.id, sale.buyer_id, net, rule="took part", net=net)
    lines = [_part_line(touched, part, net, WHOLE) for part in parts]
    if not pool:
        return lines
    amounts = allocate(net, [part.weight for part in parts], pool)
    whole = sum(part.weight for part in parts)
    answered = replace(touched, measure=Measure.INFLUENCE, rule="won survey")
    return lines + [
        _part_line(answered, part, amount, pool * part.weight / whole)
        for part, amount in zip(parts, amounts, strict=True)
        if part.weight
    ]


def _part_line(like: CreditLine, part: _Part, amount: int, share: Fraction) -> CreditLine:
    return replace(
        like,
        account_id=part.account_id,
        amount=amount,
        event_id=part.event_id,
        share=share,
        dated_on=part.occurred_on,
    )
