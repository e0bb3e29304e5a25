"""Credit lines in words, for people and for the explanation field of the CRM.

The same lines give the same text everywhere: no locale, no clock, no order of rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from fractions import Fraction

from app.domain.model import CreditLine, Measure
from app.domain.money import format_money

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DEALS_NAMED = 3
_WORDS = {
    Measure.REFERRED: ("referred", "referral"),
    Measure.INFLUENCE: ("influenced, by the buyers' own answers", "took part"),
    Measure.NETWORK: ("referred further down the chain, not in the total", "referral"),
    Measure.TOUCHED: ("in deals it took part in, overlapping with others", "took part"),
}


@dataclass(frozen=True, slots=True)
class Words:
    """What the lines do not say themselves: the money's unit, the days of events, the names of opportunities."""

    currency: str
    places: int = 2
    event_days: Mapping[str, date] = field(default_factory=dict)
    opportunity_names: Mapping[str, str] = field(default_factory=dict)

    def money(self, amount: int) -> str:
        """Minor units as text with thousands separators and the currency."""
        return format_money(amount, self.currency, self.places)


def explain_account(lines: Iterable[CreditLine], words: Words) -> tuple[str, ...]:
    """At most five sentences, one per measure that is not empty, the largest contributions of each by name.

    `30,000.00 USD own revenue from 1 deal`, `250,000.00 USD referred: 100 % of D-2025-05, referral of 1 Feb 2025`.
    """
    by_measure: dict[Measure, list[CreditLine]] = {measure: [] for measure in Measure}
    for line in lines:
        by_measure[line.measure].append(line)
    return tuple(_sentence(measure, found, words) for measure, found in by_measure.items() if found)


def explain_line(line: CreditLine, words: Words) -> str:
    """One credit line without its amount: `100 % of D-2025-05, referral of 1 Feb 2025`."""
    deal = words.opportunity_names.get(line.opportunity_id) or line.opportunity_id
    if line.measure is Measure.DIRECT:
        return deal if line.event_id is None else f"correction {line.event_id} of {deal}"
    day = words.event_days.get(line.event_id or "")
    what = _WORDS[line.measure][1]
    when = f" of {_day(day)}" if day and what == "referral" else f" on {_day(day)}" if day else ""
    part = "" if line.measure is Measure.TOUCHED else f"{percent_text(line.share)} of "
    return f"{part}{deal}, {what}{when}"


def _sentence(measure: Measure, lines: Sequence[CreditLine], words: Words) -> str:
    total = words.money(sum(line.amount for line in lines))
    if measure is Measure.DIRECT:
        return f"{total} own revenue from {_own(lines)}"
    ranked = sorted(lines, key=lambda line: (-line.amount, line.opportunity_id, line.event_id or "", line.tier))
    named = "; ".join(explain_line(line, words) for line in ranked[:_DEALS_NAMED])
    more = len(ranked) - _DEALS_NAMED
    return f"{total} {_WORDS[measure][0]}: {named}" + (f"; and {more} more" if more > 0 else "")


def _own(lines: Sequence[CreditLine]) -> str:
    deals = len({line.opportunity_id for line in lines})
    corrections = sum(line.event_id is not None for line in lines)
    return _count(deals, "deal") + (f", {_count(corrections, 'correction')} included" if corrections else "")


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def percent_text(share: Fraction) -> str:
    """A share for people, cut after one decimal: `100 %`, `33.3 %`."""
    tenths = share * 1000
    if 0 < tenths < 1:
        return "less than 0.1 %"
    whole, tenth = divmod(int(tenths), 10)
    return f"{whole}.{tenth} %" if tenth else f"{whole} %"


def share_text(share: Fraction) -> str:
    """`60 %`, and exactly where that says less: `1/3 (33.3 %)`."""
    percent = percent_text(share)
    return percent if (share * 1000).denominator == 1 else f"{share} ({percent})"


def _day(day: date) -> str:
    return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
