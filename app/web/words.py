"""What numbers, codes and rules mean, in the words of people who sell."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from typing import Any

from app.domain.engagement import cut_points
from app.domain.explain import percent_text, share_text
from app.domain.model import Measure, Policy, Scope, Split, Tier

QUADRANTS: Mapping[str, tuple[str, str]] = {
    "champion": ("Champion", "buys much and brings customers"),
    "affluent": ("Affluent", "buys much, could bring more customers"),
    "advocate": ("Advocate", "brings customers, could buy more itself"),
    "potential": ("Potential", "has room to grow in both"),
}
"""Quadrant -> its name, and what it says."""
KINDS: Mapping[str, str] = {
    "direct_new": "New business",
    "direct_upsell": "Upsell",
    "direct_renewal": "Renewals",
    "direct_refund": "Refunds",
    "direct_unknown": "Other",
}
_RULES: Mapping[str, str] = {
    "new": "New business",
    "upsell": "Upsell",
    "renewal": "Renewal",
    "refund": "Refund",
    "unknown": "Type of deal not set",
    "adjustment": "Refund or correction",
    "explicit": "share agreed for this referral",
    "explicit, scaled to 100 %": "agreed shares were more than 100 % together and were cut",
    "referral, shared with its chain": "shared with those who referred the referrer",
    "took part": "Helped as a reference; others may have, too",
    "won survey": "The buyer said how much references mattered",
}
_SPLITS: Mapping[str, str] = {
    Split.EQUAL: "shared equally with the other referrers",
    Split.FIRST: "the first referrer gets it all",
    Split.LAST: "the latest referrer gets it all",
    Split.TIME_DECAY: "the later referral gets the larger share",
    Split.POSITION: "first and latest referrer get 40 % each, the rest is shared in between",
}
_EVIDENCE: Mapping[int, str] = {
    Tier.OPPORTUNITY: "The referral named this deal",
    Tier.CONTACT: "The referral named a person in this deal",
    Tier.ACCOUNT: "The referral named this customer",
    Tier.DOMAIN: "The referral named this customer's web or mail address",
}
_SCOPES: Mapping[str, str] = {
    Scope.WINDOW: "deals opened within {days} days after the referral",
    Scope.FIRST_WON: "the first deal that the referred customer signs",
    Scope.LIFETIME: "every deal of the referred customer",
}


def name_quadrants(labels: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """`QUADRANTS` with the names that the policy gives them."""
    return {code: (labels.get(code, name), meaning) for code, (name, meaning) in QUADRANTS.items()}


def show_share(share: object) -> str:
    """`1/3` reads `33.3 %`."""
    return percent_text(Fraction(str(share)))


def show_part(share: object) -> str:
    """The same, and exactly where that says less: `1/3 (33.3 %)`."""
    return share_text(Fraction(str(share)))


def show_progress(share: Fraction) -> str:
    """The part of a way that is done: `40 %`, with a real minus where it went the other way."""
    return ("\N{MINUS SIGN}" if share < 0 else "") + percent_text(abs(share))


def show_points(points: object) -> str:
    """One decimal, cut, with a real minus: a whole point that is not there yet is not shown."""
    return str(cut_points(Decimal(str(points)))).replace("-", "\N{MINUS SIGN}")


def show_rule(line: Mapping[str, Any]) -> str:
    """Why a credit line is what it is, as a sentence without an end."""
    rule, measure = str(line["rule"] or ""), line["measure"]
    if measure == Measure.NETWORK:
        return f"Referred somebody who referred: {rule.rpartition(' ')[2]} steps up"
    if measure != Measure.REFERRED:
        return _RULES.get(rule, rule)
    evidence = _EVIDENCE.get(line["tier"], "Referred the referrer")
    # With `first` and `last` a whole share does not mean that nobody else referred.
    only = Fraction(str(line["share"])) == 1 and rule in (Split.EQUAL, Split.TIME_DECAY, Split.POSITION)
    how = "no other referrer" if only else _SPLITS.get(rule) or _RULES.get(rule, rule)
    return f"{evidence}; {how}"


def describe_policy(policy: Policy) -> list[str]:
    """How referred revenue is counted, in a few sentences."""
    credited = policy.credited_types
    types = ", ".join(_type_words(str(kind)) for kind in sorted(credited)) or "none"
    scope = _SCOPES[policy.scope].format(days=policy.window_days)
    sentences = [
        f"A referral earns {scope}.",
        f"Kinds of deals that count: {types}. A referral that names a deal or a person in it counts for any kind.",
        f"Several referrers of one deal: {_SPLITS[policy.split]}. Together they never get more than the deal is worth.",
    ]
    if not policy.intra_group:
        sentences.append("Referrals between companies of one group do not count.")
    if not policy.influence.include:
        sentences.append("Helping as a reference is shown, and is not part of the total.")
    return sentences


def _type_words(kind: str) -> str:
    words = _RULES[kind]
    return words[:1].lower() + words[1:]
