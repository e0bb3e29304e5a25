"""Our values on their way to the CRM, and what the CRM shows on its way back: one canonical text for both."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.mapping.file import WriteField
from app.mapping.measures import WriteType
from app.mapping.writer import Writer, cut, number_text
from connectors.contract import Update

W = WriteType


def writer(*fields: WriteField, places: int = 2) -> Writer:
    return Writer({field.measure: field for field in fields}, places)


def total(scale: int = 2, kind: WriteType = W.CURRENCY) -> WriteField:
    return WriteField("total", "Total__c", kind, scale)


def explanation(length: int = 2000, kind: WriteType = W.LONGTEXT) -> WriteField:
    return WriteField("explanation", "Why__c", kind, 0, length)


minor = st.integers(-(2**62), 2**62)


@given(minor, st.integers(0, 6), st.integers(0, 4))
def test_what_is_written_is_what_is_read_back(amount: int, scale: int, places: int) -> None:
    one = writer(total(scale), places=places)

    wanted = one.desired({"total": amount})["total"]
    sent = one.update("a", {"total": wanted}).values["Total__c"]

    assert isinstance(sent, Decimal)
    assert one.canonical("total", str(sent)) == wanted
    assert one.canonical("total", f"{sent:E}") == wanted


@given(minor)
def test_money_survives_a_crm_that_keeps_doubles(amount: int) -> None:
    one = writer(total())
    wanted = one.desired({"total": amount})["total"]

    assert one.canonical("total", repr(float(str(wanted)))) == wanted


@given(st.integers(-(10**13), 10**13))
def test_money_of_up_to_thirteen_digits_keeps_every_cent(amount: int) -> None:
    assert Decimal(str(writer(total()).desired({"total": amount})["total"])) * 100 == amount


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12), st.integers(0, 6))
def test_canonical_text_is_stable(number: Decimal, scale: int) -> None:
    text = number_text(number, scale)

    assert number_text(Decimal(text), scale) == text
    assert len(text.partition(".")[2]) == scale
    assert not (text.startswith("-") and not Decimal(text))


@pytest.mark.parametrize(
    ("number", "scale", "text"),
    [
        ("280000", 2, "280000.00"),
        ("2.675", 2, "2.68"),
        ("-2.675", 2, "-2.68"),
        ("0.5", 0, "1"),
        ("-0.001", 2, "0.00"),
        ("1234567890123456.78", 2, "1234567890123460.00"),
        ("1E+3", 2, "1000.00"),
    ],
)
def test_numbers_are_rounded_half_away_from_zero_at_the_fields_scale(number: str, scale: int, text: str) -> None:
    assert number_text(Decimal(number), scale) == text


@pytest.mark.parametrize(
    ("field", "raw", "text"),
    [
        (total(), "140000.0", "140000.00"),
        (total(), "1.4E5", "140000.00"),
        (total(), None, None),
        (total(), "", None),
        (total(), "a lot", "a lot"),
        (total(), "1e400", "1e400"),
        (total(0), "140000.49", "140000"),
        (WriteField("rank", "R", W.INTEGER, 0), "3.0", "3"),
        (WriteField("as_of", "D", W.DATE, 0), "2025-01-31", "2025-01-31"),
        (WriteField("as_of", "D", W.DATE, 0), "2025-01-31T00:00:00Z", "2025-01-31"),
        (WriteField("as_of", "D", W.DATE, 0), "soon", "soon"),
        (WriteField("synced_at", "S", W.DATETIME, 0), "2025-01-31T10:00:00.000+0000", "2025-01-31T10:00:00Z"),
        (WriteField("synced_at", "S", W.DATETIME, 0), "2025-01-31T12:00:00+02:00", "2025-01-31T10:00:00Z"),
        (WriteField("is_referrer", "F", W.BOOLEAN, 0), "true", "true"),
        (WriteField("is_referrer", "F", W.BOOLEAN, 0), None, "false"),
        (explanation(), " a\r\nb\rc \n", "a\nb\nc"),
        (explanation(), "  ", None),
    ],
)
def test_what_the_crm_shows_in_canonical_text(field: WriteField, raw: str | None, text: str | None) -> None:
    assert writer(field).canonical(field.measure, raw) == text


def test_values_become_text_per_measure() -> None:
    one = writer(
        total(),
        WriteField("rank", "R", W.INTEGER, 0),
        WriteField("issues", "I", W.TEXT, 0, 255),
        WriteField("as_of", "D", W.DATE, 0),
        WriteField("synced_at", "S", W.DATETIME, 0),
        WriteField("referred_share", "P", W.PERCENT, 1),
        WriteField("total_multiple", "M", W.NUMBER, 2),
        WriteField("is_referrer", "F", W.BOOLEAN, 0),
        explanation(),
    )

    texts = one.desired(
        {
            "direct": 3_000_000,
            "referred": 25_000_000,
            "total": 28_000_000,
            "rank": 1,
            "issues": ("amount_missing", "rate_missing"),
            "as_of": date(2025, 1, 31),
            "synced_at": datetime(2025, 1, 31, 12, tzinfo=timezone(timedelta(hours=2))),
            "explanation": "one\ntwo",
        }
    )

    assert texts == {
        "total": "280000.00",
        "rank": "1",
        "issues": "amount_missing; rate_missing",
        "as_of": "2025-01-31",
        "synced_at": "2025-01-31T10:00:00Z",
        "referred_share": "89.3",
        "total_multiple": "9.33",
        "is_referrer": "true",
        "explanation": "one\ntwo",
    }


def test_a_measure_that_nobody_gave_is_left_alone_and_none_clears() -> None:
    one = writer(total(), explanation())

    assert one.desired({"total": None}) == {"total": None}
    assert one.update("a", {"total": None}) == Update("a", {"Total__c": None})


@pytest.mark.parametrize(
    "values", [{"direct": 0, "total": 5}, {"direct": -5, "total": 5}, {"direct": None, "total": None}]
)
def test_there_is_no_multiple_of_nothing(values: dict[str, object]) -> None:
    assert writer(WriteField("total_multiple", "M", W.NUMBER, 2)).desired(values) == {"total_multiple": None}


def test_amounts_in_a_currency_without_decimals() -> None:
    assert writer(total(), places=0).desired({"total": 5000}) == {"total": "5000.00"}


def test_updates_carry_typed_values() -> None:
    one = writer(
        total(),
        WriteField("rank", "R", W.INTEGER, 0),
        WriteField("as_of", "D", W.DATE, 0),
        WriteField("synced_at", "S", W.DATETIME, 0),
        WriteField("is_referrer", "F", W.BOOLEAN, 0),
        explanation(),
    )

    update = one.update(
        "a1",
        {
            "total": "280000.00",
            "rank": "1",
            "as_of": "2025-01-31",
            "synced_at": "2025-01-31T10:00:00Z",
            "is_referrer": "false",
            "explanation": "because",
        },
    )

    assert update == Update(
        "a1",
        {
            "Total__c": Decimal("280000.00"),
            "R": 1,
            "D": date(2025, 1, 31),
            "S": datetime(2025, 1, 31, 10, tzinfo=UTC),
            "F": False,
            "Why__c": "because",
        },
    )


def test_values_are_mapped_to_the_crms_words() -> None:
    field = WriteField("is_referrer", "F", W.PICKLIST, 0, 255, values={"true": "Yes", "false": "No"})

    assert writer(field).desired({"referred": 5}) == {"is_referrer": "Yes"}
    assert writer(field).desired({"referred": 0}) == {"is_referrer": "No"}


def test_a_line_of_text_has_no_line_breaks() -> None:
    assert writer(explanation(255, W.TEXT)).desired({"explanation": "one\ntwo"}) == {"explanation": "one two"}


@given(st.text(max_size=60), st.integers(1, 40))
def test_text_fits_its_field_and_reads_back_the_same(text: str, length: int) -> None:
    one = writer(explanation(length))

    wanted = one.desired({"explanation": text})["explanation"]

    assert wanted is None or 0 < len(wanted.encode("utf-16-le")) // 2 <= length
    assert one.canonical("explanation", wanted) == wanted


@given(st.text(max_size=40), st.integers(1, 40))
def test_a_cut_never_splits_a_character(text: str, length: int) -> None:
    short = cut(text, length)

    assert short == text or (short.endswith("…") and text.startswith(short[:-1]))
    assert len(short.encode("utf-16-le", "surrogatepass")) // 2 <= length


def test_companions_are_known_to_the_planner() -> None:
    one = writer(total(), WriteField("as_of", "D", W.DATE, 0), WriteField("policy_version", "V", W.TEXT, 0, 12))

    assert one.companions == {"as_of", "policy_version"}
    assert one.measures == ("total", "as_of", "policy_version")
