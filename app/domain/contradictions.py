"""The contradiction radar: what does not go together in one account, and what to do about it.

Every rule looks at measures that stand beside each other anyway; together they say something that none says alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.domain.days import days_after
from app.domain.roles import Stance
from app.domain.rules import TriageRules
from app.domain.segments import Quadrant

NEED_YOU = "need_you"
TOP_RUNG = 11


class Contradiction(StrEnum):
    """Codes are stable: they are written to the CRM. In the order in which they are shown, most pressing first."""

    BIG_SPENDER_DETRACTOR = "big_spender_detractor"
    LIMBO_NEAR_RENEWAL = "limbo_near_renewal"
    HIDDEN_GEM = "hidden_gem"
    NEED_YOU_AT_PRICE = "need_you_at_price"
    TOP_RUNG_WITHOUT_PERMISSION = "top_rung_without_permission"


@dataclass(frozen=True, slots=True)
class Advice:
    """`title` and `meaning` for people; `action` is what to do about it, one sentence."""

    title: str
    meaning: str
    action: str


ADVICE: Mapping[Contradiction, Advice] = {
    Contradiction.BIG_SPENDER_DETRACTOR: Advice(
        "Big spender, speaks against us",
        "Buys much and says no good things of us.",
        "Address what they speak against us for as a business problem, with an owner and a date, before the next sale.",
    ),
    Contradiction.LIMBO_NEAR_RENEWAL: Advice(
        "In limbo, renewal near",
        "Gets no value any more, has not cancelled yet, and decides soon.",
        "Call this week: ask what success means to them now, and offer to start over or part well before the renewal.",
    ),
    Contradiction.HIDDEN_GEM: Advice(
        "Hidden gem",
        "Buys little and brings in much.",
        "Treat them like one of the largest customers: thank them in person, tell them what came of their referrals.",
    ),
    Contradiction.NEED_YOU_AT_PRICE: Advice(
        "Needs us, buys on price",
        "Could not live without us, and we are chosen for the price.",
        "Work out with them, in their own figures, what it is worth to them, before price is talked about again.",
    ),
    Contradiction.TOP_RUNG_WITHOUT_PERMISSION: Advice(
        "Refers others, no permission on file",
        "Recommends us to others, and nothing says that we may name them.",
        "Ask them for the basic reference permission: they already do more than it allows.",
    ),
}


@dataclass(frozen=True, slots=True)
class Measures:
    """What is known of one account; None where nobody knows. Money in minor units of the reporting currency."""

    direct: int = 0
    referred: int = 0
    quadrant: Quadrant | None = None
    stance: Stance = Stance.NEUTRAL
    care_bucket: str | None = None
    offer_level: int | None = None
    commitment_level: int = 0
    has_permission: bool = False
    """Any reference permission that is valid today."""
    is_in_limbo: bool = False
    renewal_on: date | None = None
    """When what it bought runs out: the first day that is not covered any more."""


@dataclass(frozen=True, slots=True)
class Found:
    code: Contradiction
    because: str
    """The measures that contradict each other, in words."""

    @property
    def action(self) -> str:
        return ADVICE[self.code].action


@dataclass(frozen=True, slots=True)
class Radar:
    found: tuple[Found, ...] = ()
    next_change_on: date | None = None
    """When time alone will change it: a renewal comes near or has passed."""

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(one.code for one in self.found)


def find_contradictions(measures: Measures, rules: TriageRules, as_of: date) -> Radar:
    """Every contradiction of one account on a day, most pressing first."""
    order = list(Contradiction)
    found = sorted(_list_found(measures, rules, as_of), key=lambda one: order.index(one.code))
    return Radar(tuple(found), _next_change(measures, rules, as_of))


def _list_found(measures: Measures, rules: TriageRules, as_of: date) -> Iterator[Found]:
    if measures.quadrant in (Quadrant.CHAMPION, Quadrant.AFFLUENT) and measures.stance in (
        Stance.DETRACTOR,
        Stance.MIXED,
    ):
        yield Found(Contradiction.BIG_SPENDER_DETRACTOR, "buys more than most; spoke against us lately")
    if measures.is_in_limbo and measures.renewal_on and _is_near(measures.renewal_on, rules, as_of):
        yield Found(Contradiction.LIMBO_NEAR_RENEWAL, f"gets no value; renewal on {measures.renewal_on.isoformat()}")
    if is_hidden_gem(measures.direct, measures.referred, measures.quadrant, rules):
        yield Found(Contradiction.HIDDEN_GEM, _tell_parts(measures))
    if measures.care_bucket == NEED_YOU and _is_at_most(measures.offer_level, rules.price_level_max):
        yield Found(Contradiction.NEED_YOU_AT_PRICE, f"needs us; offer level {measures.offer_level} of 4")
    if measures.commitment_level == TOP_RUNG and not measures.has_permission:
        yield Found(Contradiction.TOP_RUNG_WITHOUT_PERMISSION, "refers others; no valid permission")


def is_hidden_gem(direct: int, referred: int, quadrant: Quadrant | None, rules: TriageRules) -> bool:
    """High among those who refer, and own purchases are a small part of what it is worth."""
    if quadrant not in (Quadrant.CHAMPION, Quadrant.ADVOCATE):
        return False
    share = rules.small_direct_share
    return direct * share.denominator <= share.numerator * (direct + referred)


def _tell_parts(measures: Measures) -> str:
    whole = measures.direct + measures.referred
    percent = max(0, measures.direct) * 100 // whole if whole > 0 else 0
    return f"own purchases are {percent} % of what it is worth; the rest it brought in"


def _is_at_most(level: int | None, limit: int) -> bool:
    return level is not None and level <= limit


def _near(renewal_on: date, rules: TriageRules) -> tuple[date, date]:
    """From when and until when (exclusive) a renewal is near."""
    lead = min(rules.renewal_days, renewal_on.toordinal() - 1)
    return renewal_on - timedelta(lead), days_after(renewal_on, 1)


def _is_near(renewal_on: date, rules: TriageRules, as_of: date) -> bool:
    first, end = _near(renewal_on, rules)
    return first <= as_of < end


def _next_change(measures: Measures, rules: TriageRules, as_of: date) -> date | None:
    if not measures.is_in_limbo or measures.renewal_on is None:
        return None
    return next((day for day in _near(measures.renewal_on, rules) if day > as_of), None)
