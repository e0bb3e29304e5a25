"""Conversion, rounding, splitting and text, against tables made by hand."""

from datetime import date
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain.model import Rate
from app.domain.money import (
    Correction,
    RateBook,
    allocate,
    decimal_text,
    format_money,
    major_units,
    minor_places,
    minor_text,
    minor_units,
    net_steps,
    storable,
)

EUR = (
    Rate("EUR", Fraction("0.9")),
    Rate("EUR", Fraction("0.8"), date(2025, 1, 1)),
    Rate("EUR", Fraction("0.5"), date(2025, 7, 1)),
)

CURRENCIES = st.sampled_from(["USD", "EUR", "JPY", "BAD", "XXX", None])
DAYS = st.sampled_from(["", "2024-12-31", "2025-01-01", "2025-06-30", "2025-07-01", None])
minors = st.none() | st.integers(-(10**17), 10**17)

weights = st.lists(st.integers(0, 10**6) | st.fractions(0, 1, max_denominator=1000), min_size=1, max_size=6)
shares = st.fractions(0, 1, max_denominator=1000)
totals = st.integers(-(10**15), 10**15)


@pytest.fixture
def book():
    return RateBook((*EUR, Rate("JPY", Fraction(150), None, 0), Rate("BAD", Fraction(0))), "USD")


@pytest.mark.parametrize(
    ("amount", "minor"),
    [
        ("2.675", 268),
        ("-2.675", -268),
        ("0.005", 1),
        ("0.00499999999999999999999999999999999999999", 0),
        ("-0.004", 0),
        ("9.12260031E8", 91226003100),
        ("999999999999999.99", 99999999999999999),
        ("1e14", 10**16),
    ],
)
def test_an_amount_in_the_reporting_currency_is_rounded_once_and_half_away_from_zero(book, amount, minor):
    assert book.convert(Decimal(amount), None, "2025-01-01") == (minor, None, None)
    assert book.convert(Fraction(amount), "USD", "2025-01-01") == (minor, None, None)


def test_rounding_does_not_depend_on_the_decimal_context_of_the_thread(book):
    with localcontext() as context:
        context.prec = 3

        assert book.convert(Decimal("123456.785"), None, "2025-01-01")[0] == 12345679


@pytest.mark.parametrize(
    ("on", "minor", "rate", "rate_on"),
    [
        ("2024-12-31", 11111, "0.9", None),
        ("2025-01-01", 12500, "0.8", "2025-01-01"),
        ("2025-06-30", 12500, "0.8", "2025-01-01"),
        ("2025-07-01", 20000, "0.5", "2025-07-01"),
        ("2031-01-01", 20000, "0.5", "2025-07-01"),
    ],
)
def test_a_dated_rate_holds_until_the_next_one_and_the_static_rate_before_the_first(book, on, minor, rate, rate_on):
    assert book.convert(Decimal(100), "EUR", on) == (minor, rate, rate_on)


def test_a_currency_without_a_rate_is_never_worth_one(book):
    assert book.convert(Decimal(100), "XXX", "2025-01-01") == (None, None, None)
    assert book.convert(Decimal(100), "BAD", "2025-01-01") == (None, None, None)
    assert RateBook(EUR[1:], "USD").convert(Decimal(100), "EUR", "2024-01-01") == (None, None, None)


def test_the_reporting_currency_need_not_be_the_corporate_one():
    book = RateBook([Rate("EUR", Fraction("0.8")), Rate("GBP", Fraction("0.6"), date(2025, 1, 1))], "EUR")

    assert book.convert(Decimal(60), "GBP", "2025-05-01") == (8000, "0.6/0.8", "2025-01-01")


def test_a_dated_corporate_rate_row_of_one_changes_nothing():
    book = RateBook([*EUR, Rate("USD", Fraction(1), date(2020, 1, 1))], "USD")

    assert book.convert(Decimal(100), "EUR", "2024-12-31")[0] == 11111


def test_the_order_of_rates_does_not_matter():
    assert RateBook(reversed(EUR), "USD").convert(Decimal(1), "EUR", "2025-08-01") == (200, "0.5", "2025-07-01")


@pytest.mark.parametrize(
    ("currency", "rates", "places"),
    [
        ("USD", [], 2),
        ("JPY", [], 0),
        ("KWD", [], 3),
        ("JPY", [Rate("JPY", Fraction(150))], 0),
        ("JPY", [Rate("JPY", Fraction(150), None, 2)], 2),
        ("KWD", [Rate("KWD", Fraction(1), date(2025, 1, 1), 2), Rate("KWD", Fraction(1), None, 3)], 3),
    ],
)
def test_the_crm_decides_how_many_places_a_currency_has_and_iso_where_it_is_silent(currency, rates, places):
    assert RateBook(rates, currency).places == places


def test_yen_and_dinars_are_counted_in_their_own_minor_units(book):
    assert RateBook([], "JPY").convert(Decimal("1000.5"), None, "2025-01-01")[0] == 1001
    assert RateBook([], "KWD").convert(Decimal("1.2345"), None, "2025-01-01")[0] == 1235
    assert book.convert(Decimal(15000), "JPY", "2025-01-01")[0] == 10000


@pytest.mark.parametrize(
    ("currencies", "places"),
    [
        ("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF", 0),
        ("USD EUR GBP CHF MRU ???", 2),
        ("BHD IQD JOD KWD LYD OMR TND", 3),
    ],
)
def test_where_the_crm_is_silent_places_are_those_of_iso_4217(currencies, places):
    assert {currency: minor_places(currency) for currency in currencies.split()} == dict.fromkeys(
        currencies.split(), places
    )


def test_a_full_refund_is_exactly_nothing_and_two_halves_leave_no_cent(book):
    halves = [Correction(id_, Decimal("-50.005"), "EUR", "2025-03-01") for id_ in ("a", "b")]

    steps = net_steps(book, Decimal("100.01"), "EUR", "2025-02-01", halves)

    assert [step.amount for step in steps] == [12501, -6250, -6251]
    assert sum(step.amount for step in steps) == 0


def test_a_correction_in_another_currency_is_converted_on_its_own_day(book):
    steps = net_steps(book, Decimal(100), "USD", "2025-02-01", [Correction("late", Decimal(-10), "EUR", "2025-08-01")])

    assert steps == [(None, 10000), ("late", -2000)]


def test_corrections_count_in_order_of_day_and_id_whatever_the_order_they_come_in(book):
    corrections = [
        Correction("b", Fraction(-1, 3), "EUR", "2025-03-01"),
        Correction("a", Fraction(-1, 3), "EUR", "2025-03-01"),
        Correction("c", Fraction(-1, 3), "EUR", "2025-02-01"),
    ]

    steps = net_steps(book, Decimal(1), "EUR", "2025-02-01", corrections)

    assert [step.correction_id for step in steps] == [None, "c", "a", "b"]
    assert steps == net_steps(book, Decimal(1), "EUR", "2025-02-01", corrections[::-1])


def test_without_a_rate_for_the_deal_everything_of_it_is_held_back(book):
    corrections = [
        Correction("a", Decimal(-10), "USD", "2025-03-01"),
        Correction("b", Decimal(-1), "XXX", "2025-03-01"),
    ]

    steps = net_steps(book, Decimal(100), "XXX", "2025-02-01", corrections)

    assert steps == [(None, None), ("a", None), ("b", None)]


def test_without_a_rate_for_a_correction_only_that_is_held_back(book):
    steps = net_steps(book, Decimal(100), None, "2025-02-01", [Correction("a", Decimal(-10), "XXX", "2025-03-01")])

    assert steps == [(None, 10000), ("a", None)]


def test_a_deal_without_an_amount_counts_as_nothing_and_needs_no_rate_but_one_of_zero_does(book):
    assert net_steps(book, None, "XXX", "2025-02-01", []) == [(None, 0)]
    assert net_steps(book, Decimal(0), "XXX", "2025-02-01", []) == [(None, None)]
    assert net_steps(book, Decimal(0), "USD", "2025-02-01", []) == [(None, 0)]


def test_a_correction_of_a_deal_without_an_amount_counts_in_full_and_needs_the_rate(book):
    def refund(currency):
        return net_steps(book, None, currency, "2025-02-01", [Correction("a", Decimal(-10), currency, "2025-03-01")])

    assert refund("USD") == [(None, 0), ("a", -1000)]
    assert refund("XXX") == [(None, None), ("a", None)]


def test_a_share_that_does_not_fit_into_two_columns_is_stored_as_exactly_as_they_allow():
    long = Fraction(1, 3) ** 40

    assert storable(Fraction(1, 3)) == Fraction(1, 3)
    assert storable(Fraction(1, 10**18)) == Fraction(1, 10**18)
    assert storable(Fraction(1, 10**18 + 1)) == Fraction(1, 10**18)
    assert storable(1 - long).denominator <= 10**18
    assert abs(storable(long) - long) < Fraction(1, 10**17)


@pytest.mark.parametrize(
    ("total", "parts", "share", "expected"),
    [
        (100, [1, 1, 1], 1, [34, 33, 33]),
        (101, [1, 1, 1], 1, [34, 34, 33]),
        (-100, [1, 1, 1], 1, [-34, -33, -33]),
        (5, [1, 1], Fraction(1, 2), [1, 1]),
        (5, [50, 50], 1, [3, 2]),
        (10, [3, 0, 1], 1, [8, 0, 2]),
        (10, [Fraction(1, 3), Fraction(1, 6)], Fraction(1, 2), [3, 2]),
        (0, [1, 2], 1, [0, 0]),
        (7, [0, 0], 1, [0, 0]),
        (7, [], 1, []),
        (7, [1], 0, [0]),
    ],
)
def test_a_split_adds_up_and_the_largest_remainder_gets_the_odd_cent(total, parts, share, expected):
    assert allocate(total, parts, Fraction(share)) == expected


def test_a_negative_weight_is_refused():
    with pytest.raises(ValueError, match=r"^a weight must not be negative$"):
        allocate(10, [2, -1])


@settings(derandomize=True, database=None, deadline=None)
@given(totals, weights, shares, st.integers(1, 50))
def test_i13_a_split_is_exact_fair_symmetric_and_blind_to_scale(total, parts, share, factor):
    amounts = allocate(total, parts, share)

    pool = int(abs(total) * share) * (-1 if total < 0 else 1)
    whole = sum(parts)
    assert sum(amounts) == (pool if whole else 0)
    assert allocate(-total, parts, share) == [-amount for amount in amounts]
    assert allocate(total, [part * factor for part in parts], share) == amounts
    for amount, part in zip(amounts, parts, strict=True):
        assert not whole or abs(amount - Fraction(pool * part) / whole) < 1
    ranked = sorted(zip(parts, (abs(amount) for amount in amounts), strict=True))
    assert all(low[1] <= high[1] for low, high in pairwise(ranked) if low[0] < high[0])


@pytest.mark.parametrize(
    ("minor", "currency", "places", "text"),
    [
        (3_000_000, "USD", 2, "30,000.00 USD"),
        (-5, "USD", 2, "-0.05 USD"),
        (1_234_567, "JPY", 0, "1,234,567 JPY"),
        (1, "KWD", 3, "0.001 KWD"),
        (0, "", 2, "0.00"),
    ],
)
def test_money_reads_the_same_everywhere(minor, currency, places, text):
    assert format_money(minor, currency, places) == text


def test_two_decimal_places_are_meant_where_nobody_says_otherwise():
    assert (format_money(150), minor_text(150)) == ("1.50", "1.50")
    assert (minor_units(Fraction(3, 2)), major_units(150)) == (150, Decimal("1.50"))


@pytest.mark.parametrize(
    ("minor", "places", "text"),
    [
        (3_000_000, 2, "30000.00"),
        (-5, 2, "-0.05"),
        (-1_234_567, 0, "-1234567"),
        (1, 3, "0.001"),
        (0, 2, "0.00"),
        (0, 0, "0"),
    ],
)
def test_minor_units_are_written_in_full_and_without_separators(minor, places, text):
    assert minor_text(minor, places) == text


def test_amounts_in_whole_minor_units_are_converted_like_any_other(book):
    home, rates, rates_on = book.convert_minors([2001, -2001, 1, 7], ["EUR", "EUR", "XXX", None], ["2025-01-01"] * 4)

    assert (home[0], rates[0], rates_on[0]) == book.convert(Decimal("20.01"), "EUR", "2025-01-01")
    assert home == [2501, -2501, None, 7]
    assert (rates, rates_on) == (["0.8", "0.8", None, None], ["2025-01-01", "2025-01-01", None, None])


def test_what_is_shown_in_another_currency_is_rounded_half_up_where_its_digits_do_not_end():
    # 1/2^87 has 61 digits, and the last two of them are 25: half up and half even part ways here.
    book = RateBook([Rate("USD", Fraction(2**87)), Rate("CHF", Fraction(1))], "USD")

    assert book.shown_in(100, "CHF") == Decimal((0, tuple(map(int, str(5**87 // 10 + 1))), -86))


def test_a_record_is_shown_at_the_static_rate_whatever_the_dated_ones_say():
    rates = [
        Rate("USD", Fraction(1)),
        Rate("EUR", Fraction(4, 5)),
        Rate("EUR", Fraction(1, 2), date(2020, 1, 1)),
        Rate("CHF", Fraction(9, 10), date(2020, 1, 1)),
    ]
    book = RateBook(rates, "USD")

    assert book.shown_in(10_000, "EUR") == Decimal(80)
    assert book.shown_in(10_000, "USD") == Decimal(100)
    assert book.shown_in(10_000, "CHF") is None
    assert book.shown_in(10_000, "XXX") is None


@settings(derandomize=True, database=None, deadline=None)
@given(totals, st.integers(0, 3))
def test_minor_and_major_units_are_two_ways_to_write_one_amount(minor, places):
    assert minor_units(major_units(minor, places), places) == minor


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.125", "0.125"), ("150", "150"), ("1/3", "1/3"), ("-3/2", "-1.5"), ("0.92", "0.92"), ("1e-9", "0.000000001")],
)
def test_a_rate_is_written_exactly(value, text):
    assert decimal_text(Fraction(value)) == text


def test_an_amount_goes_from_the_reporting_currency_into_another_by_both_static_rates():
    # The rates count units of a third currency: 100.00 USD are 200 of it, and 50 CHF.
    book = RateBook([Rate("USD", Fraction(2)), Rate("CHF", Fraction(1))], "USD")

    assert book.shown_in(10_000, "CHF") == Decimal(50)
    assert book.shown_in(1, "CHF") == Decimal("0.005")


def test_a_cross_rate_is_as_old_as_the_younger_of_its_two():
    rates = [
        Rate("USD", Fraction(2), date(2025, 1, 1)),
        Rate("EUR", Fraction(3), date(2025, 3, 1)),
        Rate("CHF", Fraction(1)),
    ]
    book = RateBook(rates, "USD")

    assert book.convert(Fraction(3), "EUR", "2025-06-01")[2] == "2025-03-01"
    assert book.convert(Fraction(3), "CHF", "2025-06-01")[2] == "2025-01-01"


def test_a_long_denominator_keeps_its_exact_text():
    assert decimal_text(Fraction(1, 2**70)) == f"0.{5**70:070d}"
    assert decimal_text(Fraction(1, 10**30)) == f"0.{1:030d}"


@given(st.lists(st.tuples(minors, CURRENCIES, DAYS), min_size=1))
def test_many_amounts_convert_as_they_would_one_by_one(deals):
    book = RateBook((*EUR, Rate("JPY", Fraction(150)), Rate("BAD", Fraction(0))), "USD")

    home, rates, rates_on = book.convert_minors(*map(list, zip(*deals, strict=True)))

    assert list(zip(home, rates, rates_on, strict=True)) == [
        (None, None, None) if minor is None else book.convert(Fraction(minor, 100), currency, day or "")
        for minor, currency, day in deals
    ]
