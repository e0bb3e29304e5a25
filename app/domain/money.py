"""Exact money: conversion with one rounding, splits that add up, text for people.

Amounts in are exact major units (`Decimal`, `Fraction` or `int`); amounts out are `int` minor units of the
reporting currency. Rates are units of a currency per ONE corporate unit, as Salesforce keeps them, so
`reporting = amount * rate(reporting) / rate(currency)` in exact rationals, rounded once, half up away from zero.
Dates are ISO text (`2025-06-01`): it compares like a date, at a fraction of the price.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_UP, Context, Decimal
from fractions import Fraction
from math import lcm
from typing import NamedTuple

from app.domain.model import Rate

Exact = Decimal | Fraction | int

WHOLE = Fraction(1)
_PLACES = {
    0: frozenset("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split()),
    3: frozenset("BHD IQD JOD KWD LYD OMR TND".split()),
}
# Amounts have at most 15 digits before the point (the mapping refuses more); no rounding may happen before ours.
_DIGITS = 60
_WIDEST = 10**18
_ONE = Decimal(1)


Converted = tuple[int | None, str | None, str | None]
"""Minor units (None where there is no rate), exact text of the rate (None in the reporting currency), and the first
day of that rate (None for a static one)."""


class Correction(NamedTuple):
    """A refund or correction of one opportunity; `currency` None is the reporting currency, `dated_on` ISO text."""

    id: str
    amount: Exact
    currency: str | None
    dated_on: str


class NetStep(NamedTuple):
    """What one correction adds (`correction_id` None: the opportunity itself); `amount` None: a rate is missing."""

    correction_id: str | None
    amount: int | None


class _Quote(NamedTuple):
    """Minor units = amount * numerator / denominator."""

    numerator: int
    denominator: int
    rate: str
    rate_on: str | None


class _History(NamedTuple):
    """The rates of one currency: dated ones in order of their first day, and the static one before them."""

    starts: list[str]
    rates: list[Fraction]
    static: Fraction | None

    def on(self, day: str) -> tuple[Fraction, str | None] | None:
        at = bisect_right(self.starts, day)
        if at:
            return self.rates[at - 1], self.starts[at - 1]
        return (self.static, None) if self.static is not None else None


class RateBook:
    """All rates of one company, ready to convert into its reporting currency. Never changes once built.

    A dated rate holds from its first day to the day before the next one; before the first the static rate holds.
    Rates that are not positive are as good as missing. A reporting currency without any rate is the corporate one.
    """

    __slots__ = ("_exact", "_histories", "_quotes", "_unit", "currency", "places")

    def __init__(self, rates: Iterable[Rate], reporting_currency: str) -> None:
        known = sorted(rates, key=lambda rate: (rate.currency, _iso(rate), rate.rate))
        self.currency = reporting_currency
        self.places = _places_from(known, reporting_currency)
        self._unit = 10**self.places
        self._exact = Context(prec=_DIGITS, rounding=ROUND_HALF_UP)
        self._histories = _histories(known)
        self._histories.setdefault(reporting_currency, _History([], [], WHOLE))
        self._quotes: dict[tuple[str, str], _Quote | None] = {}

    def convert(self, amount: Exact, currency: str | None, on: str) -> Converted:
        """`amount` of `currency` (None: the reporting one) at the rate of the ISO day `on`."""
        if currency is None or currency == self.currency:
            return self.minor(amount), None, None
        return self._convert_ratio(*amount.as_integer_ratio(), currency, on)

    def convert_minors(
        self, minors: Sequence[int | None], currencies: Sequence[str | None], days: Sequence[str | None]
    ) -> tuple[list[int | None], list[str | None], list[str | None]]:
        """The same of many amounts with no more decimals than `places`, in and out as columns."""
        home = list(minors)
        rates: list[str | None] = [None] * len(minors)
        rates_on = rates.copy()
        own = (None, self.currency)
        for row, currency in enumerate(currencies):
            minor = minors[row]
            if currency in own or minor is None:
                continue
            quote = self._quote_on(currency, days[row] or "")
            if quote is None:
                home[row] = None
            else:
                home[row] = round_half_up(minor * quote.numerator, self._unit * quote.denominator)
                rates[row], rates_on[row] = quote.rate, quote.rate_on
        return home, rates, rates_on

    def _convert_ratio(self, numerator: int, denominator: int, currency: str, on: str) -> Converted:
        quote = self._quote_on(currency, on)
        if quote is None:
            return None, None, None
        minor = round_half_up(numerator * quote.numerator, denominator * quote.denominator)
        return minor, quote.rate, quote.rate_on

    def _quote_on(self, currency: str, on: str) -> _Quote | None:
        key = (currency, on)
        return self._quotes[key] if key in self._quotes else self._quotes.setdefault(key, self._quote(currency, on))

    def minor(self, amount: Exact) -> int:
        """Minor units of an amount that is in the reporting currency already."""
        if isinstance(amount, Decimal):
            scaled = amount.scaleb(self.places, self._exact)
            whole = int(scaled)
            return whole if whole == scaled else int(scaled.quantize(_ONE, ROUND_HALF_UP, self._exact))
        numerator, denominator = amount.as_integer_ratio()
        return round_half_up(numerator * self._unit, denominator)

    def shown_in(self, minor: int, currency: str) -> Decimal | None:
        """An amount of the reporting currency in major units of another one, at the static rates; None without one.

        CRMs show a record's currency fields in the record's own currency, and dated rates do not apply to them.
        """
        theirs, ours = self._histories.get(currency), self._histories[self.currency]
        if theirs is None or theirs.static is None or ours.static is None:
            return None
        exact = Fraction(minor, self._unit) * theirs.static / ours.static
        return self._exact.divide(Decimal(exact.numerator), Decimal(exact.denominator))

    def _quote(self, currency: str, on: str) -> _Quote | None:
        history = self._histories.get(currency)
        theirs = history.on(on) if history else None
        ours = self._histories[self.currency].on(on)
        if theirs is None or ours is None:
            return None
        factor = ours[0] * self._unit / theirs[0]
        text = decimal_text(theirs[0]) if ours[0] == 1 else f"{decimal_text(theirs[0])}/{decimal_text(ours[0])}"
        return _Quote(factor.numerator, factor.denominator, text, max(theirs[1] or "", ours[1] or "") or None)


def net_steps(
    book: RateBook, amount: Exact | None, currency: str | None, close_on: str, corrections: Iterable[Correction]
) -> list[NetStep]:
    """The net home value of one opportunity, step by step: the sum of the steps is its N.

    Corrections in the opportunity's own currency are netted before the conversion at the rate of the close date, so
    a full refund is exactly 0 and two halves leave no cent; each step is the difference of two conversions. Others
    convert at their own date. Without a rate for the opportunity itself everything of it is held back.
    """
    currency = currency or book.currency
    exact = Fraction(amount or 0)
    shown = 0 if amount is None else book.convert(exact, currency, close_on)[0]
    steps = [NetStep(None, shown)]
    for correction in sorted(corrections, key=lambda one: (one.dated_on, one.id)):
        if (correction.currency or book.currency) == currency:
            exact += Fraction(correction.amount)
            before, shown = shown, book.convert(exact, currency, close_on)[0]
            steps.append(NetStep(correction.id, None if shown is None or before is None else shown - before))
        else:
            own = book.convert(correction.amount, correction.currency, correction.dated_on)[0]
            steps.append(NetStep(correction.id, own))
    if shown is None:
        return [NetStep(step.correction_id, None) for step in steps]
    return steps


def allocate(total: int, weights: Sequence[int | Fraction], share: Fraction = WHOLE) -> list[int]:
    """Split `share` (0 to 1) of `total` in proportion to `weights`, adding up to the unit: largest remainder.

    What is left after rounding down goes to the largest fractions; ties to the earlier weight. A negative total is
    the mirror image. Weights that are all zero receive nothing.
    """
    scale = lcm(*(weight.denominator for weight in weights)) if weights else 1
    parts = [weight.numerator * (scale // weight.denominator) for weight in weights]
    if min(parts, default=0) < 0:
        raise ValueError("a weight must not be negative")
    whole = sum(parts)
    if whole == 0:
        return [0] * len(parts)
    pool = abs(total) * share.numerator // share.denominator
    floors, remainders = zip(*(divmod(pool * part, whole) for part in parts), strict=True)
    winners = sorted(range(len(parts)), key=lambda at: -remainders[at])[: pool - sum(floors)]
    sign = -1 if total < 0 else 1
    return [sign * (floor + (at in winners)) for at, floor in enumerate(floors)]


def storable(share: Fraction) -> Fraction:
    """A share that fits into two 64-bit columns: exact almost always, otherwise right to 18 digits."""
    return share if share.denominator <= _WIDEST else share.limit_denominator(_WIDEST)


def round_half_up(numerator: int, denominator: int) -> int:
    """The nearest integer to a fraction; halves go away from zero. `denominator` is positive."""
    nearest = (2 * abs(numerator) + denominator) // (2 * denominator)
    return -nearest if numerator < 0 else nearest


def minor_places(currency: str) -> int:
    """Decimal places of a currency after ISO 4217, for CRMs that do not say."""
    return next((places for places, currencies in _PLACES.items() if currency in currencies), 2)


def minor_units(amount: Exact, places: int = 2) -> int:
    """Major to minor units, rounded half up away from zero."""
    numerator, denominator = amount.as_integer_ratio()
    return round_half_up(numerator * 10**places, denominator)


def major_units(minor: int, places: int = 2) -> Decimal:
    """Minor to major units, exact: `major_units(3000000)` is `Decimal("30000.00")`."""
    return Decimal((minor < 0, tuple(map(int, str(abs(minor)))), -places))


def minor_text(minor: int, places: int = 2) -> str:
    """Minor units as plain text of major units: `minor_text(3000000)` is `30000.00`."""
    digits = str(abs(minor)).zfill(places + 1)
    text = f"{digits[:-places]}.{digits[-places:]}" if places else digits
    return f"-{text}" if minor < 0 else text


def format_money(minor: int, currency: str = "", places: int = 2) -> str:
    """For people, the same in every locale: `30,000.00 USD`."""
    return f"{major_units(minor, places):,f} {currency}".rstrip()


def decimal_text(value: Fraction) -> str:
    """Exact text: a plain decimal where there is one, otherwise `numerator/denominator`."""
    places, rest = 0, value.denominator
    for prime in (2, 5):
        count = 0
        while rest % prime == 0:
            rest //= prime
            count += 1
        places = max(places, count)
    if rest != 1:
        return f"{value.numerator}/{value.denominator}"
    return format(major_units(value.numerator * 10**places // value.denominator, places), "f")


def _iso(rate: Rate) -> str:
    return rate.start_on.isoformat() if rate.start_on else ""


def _places_from(rates: Iterable[Rate], currency: str) -> int:
    # Salesforce keeps the places with the static rate; dated rows only repeat them, so the first answer wins.
    told = (rate.decimal_places for rate in rates if rate.currency == currency and rate.decimal_places is not None)
    return next(told, minor_places(currency))


def _histories(rates: Sequence[Rate]) -> dict[str, _History]:
    dated: dict[str, dict[str, Fraction]] = {}
    for rate in rates:
        if rate.rate > 0:
            dated.setdefault(rate.currency, {})[_iso(rate)] = rate.rate
    return {currency: _history(by_start) for currency, by_start in dated.items()}


def _history(by_start: dict[str, Fraction]) -> _History:
    static = by_start.pop("", None)
    starts = sorted(by_start)
    return _History(starts, [by_start[start] for start in starts], static)
