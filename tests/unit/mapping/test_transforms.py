"""The named transforms, one by one."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.rows import RowIssue
from app.mapping.transforms import (
    BadValueError,
    BoolArgument,
    MapArgument,
    Transform,
    TransformName,
    build_step,
    domain,
    plain,
    read_number,
    trim,
)

T = TransformName
texts = st.text(max_size=30)
numbers = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**15), max_value=10**15, places=6)


def apply(name: TransformName, argument: object, text: str | None) -> str | None:
    return build_step(Transform(name, argument))(text)  # type: ignore[arg-type]


@given(texts)
def test_trim_leaves_no_blank_around_and_no_empty_text(text: str) -> None:
    found = trim(text)

    assert found is None or (found == found.strip() and found)
    assert trim(found) == found


@given(texts)
def test_lower_and_upper_change_capitals_only(text: str) -> None:
    assert (apply(T.LOWER, None, text) or "") == text.lower()
    assert (apply(T.UPPER, None, text) or "") == text.upper()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://www.Acme.com/about?x=1", "acme.com"),
        ("acme.com", "acme.com"),
        ("http://user:pass@shop.acme.co.uk:8080/#top", "shop.acme.co.uk"),
        ("Jo <jo@acme.com>", None),
        ("jo@acme.com", "acme.com"),
        ("www.acme.com.", "acme.com"),
        ("HTTPS://MÜNCHEN.de", "xn--mnchen-3ya.de"),
        ("xn--mnchen-3ya.de", "xn--mnchen-3ya.de"),
        ("localhost", None),
        ("192.168.0.1", None),
        ("n/a", None),
        ("-", None),
        ("https://", None),
        ("", None),
        ("a" * 64 + ".com", None),
        ("." * 300, None),
        ("ä" * 100_000 + ".de", None),
        ("\u2488com.acme", "1.com.acme"),
    ],
)
def test_domain_is_the_host_of_an_address_or_nothing(text: str, found: str | None) -> None:
    assert domain(text) == found


@given(st.one_of(texts, st.from_regex(r"https?://[a-zä.]{1,20}/?", fullmatch=True)))
def test_the_domain_of_a_domain_is_itself(text: str) -> None:
    found = domain(text)

    assert found is None or (domain(found) == found and domain(f"https://www.{found}/x") == found)


def test_map_replaces_listed_values_and_keeps_empties_or_replaces_the_rest() -> None:
    listed = {"A": "new", "B": None}

    assert apply(T.MAP, MapArgument(listed), "A") == "new"
    assert apply(T.MAP, MapArgument(listed), "B") is None
    assert apply(T.MAP, MapArgument(listed), "C") == "C"
    assert apply(T.MAP, MapArgument(listed, keep=False), "C") is None
    assert apply(T.MAP, MapArgument(listed, keep=False, otherwise="x"), "C") == "x"
    assert apply(T.MAP, MapArgument(listed, keep=False, otherwise="x"), None) is None


@given(st.one_of(st.none(), texts))
def test_const_is_always_its_value(text: str | None) -> None:
    assert apply(T.CONST, "EUR", text) == "EUR"


@given(numbers, st.fractions(min_value=Fraction(1, 1000), max_value=1000, max_denominator=1000))
def test_scale_is_exact_or_right_to_eighteen_decimals(number: Decimal, factor: Fraction) -> None:
    found = apply(T.SCALE, factor, str(number))

    assert found is not None
    assert abs(Fraction(found) - Fraction(number) * factor) <= Fraction(1, 2 * 10**18)


@given(numbers)
def test_scaling_by_a_power_of_ten_and_back_is_the_identity(number: Decimal) -> None:
    there = apply(T.SCALE, Fraction(1, 1000), str(number))

    assert Decimal(apply(T.SCALE, Fraction(1000), there) or "x") == number


@given(numbers, st.integers(0, 6))
def test_round_goes_to_the_nearest_and_halves_go_away_from_zero(number: Decimal, places: int) -> None:
    found = Decimal(apply(T.ROUND, places, str(number)) or "x")
    unit = Decimal(1).scaleb(-places)

    assert abs(found - number) <= unit / 2
    assert found % unit == 0
    if abs(found - number) == unit / 2:
        assert abs(found) >= abs(number)


@pytest.mark.parametrize(
    ("layout", "text", "found"),
    [
        (("DD.MM.YYYY",), "31.12.2025", "2025-12-31"),
        (("D.M.YYYY",), "1.2.2025", "2025-02-01"),
        (("MM/DD/YYYY",), " 02/28/2024 ", "2024-02-28"),
        (("YYYYMMDD",), "20240229", "2024-02-29"),
        (("YYYY-MM-DD", "DD.MM.YYYY"), "01.03.2024", "2024-03-01"),
    ],
)
def test_dates_are_read_in_the_form_that_is_named(layout: tuple[str, ...], text: str, found: str) -> None:
    assert apply(T.PARSE_DATE, layout, text) == found


@pytest.mark.parametrize("text", ["31.02.2025", "2025-01-01", "1.2.2025", "٣١.١٢.٢٠٢٥", "31.12.2025 10:00"])
def test_a_date_in_another_form_is_a_bad_date(text: str) -> None:
    with pytest.raises(BadValueError) as refused:
        apply(T.PARSE_DATE, ("DD.MM.YYYY",), text)

    assert refused.value.issue is RowIssue.BAD_DATE


@given(st.dates(), st.sampled_from(["DD.MM.YYYY", "MM/DD/YYYY", "YYYY_MM_DD", "D-M-YYYY", "YYYYMMDD"]))
def test_every_date_survives_every_form(day: date, layout: str) -> None:
    text = layout.replace("YYYY", f"{day.year:04}")
    for token, number in (("DD", day.day), ("MM", day.month)):
        text = text.replace(token, f"{number:02}")
    text = text.replace("D", str(day.day)).replace("M", str(day.month))

    assert apply(T.PARSE_DATE, (layout,), text) == day.isoformat()


@pytest.mark.parametrize(
    ("argument", "text", "found"),
    [
        (BoolArgument(), "TRUE", "true"),
        (BoolArgument(), " no ", "false"),
        (BoolArgument(), None, None),
        (BoolArgument(frozenset({"closed won"}), frozenset(), False), "Closed Won", "true"),
        (BoolArgument(frozenset({"closed won"}), frozenset(), False), "Open", "false"),
    ],
)
def test_bool_compares_without_regard_to_capitals(argument: BoolArgument, text: str | None, found: str | None) -> None:
    assert apply(T.BOOL, argument, text) == found


def test_bool_refuses_what_is_neither() -> None:
    with pytest.raises(BadValueError) as refused:
        apply(T.BOOL, BoolArgument(), "perhaps")

    assert refused.value.issue is RowIssue.BAD_FLAG


@pytest.mark.parametrize("text", ["1", "-1.50", "9.12260031E8", "1e-5", " 7 ", ".5", "5.", "+3"])
def test_a_number_is_read_exactly(text: str) -> None:
    assert read_number(text) == Decimal(text.strip())


@pytest.mark.parametrize(
    "text",
    ["NaN", "sNaN", "Infinity", "-inf", "1e400", "1E-400", "1_000", "1,5", "0x10", "", "٣", "1e", "--1", "1" * 101],
)
def test_what_is_no_reasonable_number_is_refused(text: str) -> None:
    with pytest.raises(BadValueError):
        read_number(text)


@given(st.text(max_size=20))
def test_any_text_is_a_number_or_refused(text: str) -> None:
    try:
        number = read_number(text)
    except BadValueError:
        return
    assert number.is_finite()


@given(numbers)
def test_canonical_text_is_one_per_value(number: Decimal) -> None:
    text = plain(number)

    assert Decimal(text) == number
    assert text == plain(number.normalize()) == plain(Decimal(f"{number:E}")) == plain(number + Decimal("0.000"))
    assert "E" not in text
    assert text != "-0"


def test_a_date_step_reads_a_whole_calendar() -> None:
    days = [date(2023, 12, 30) + timedelta(days=n) for n in range(430)]
    step = build_step(Transform(T.PARSE_DATE, ("D.M.YYYY",)))

    assert [step(f"{d.day}.{d.month}.{d.year}") for d in days] == [d.isoformat() for d in days]
