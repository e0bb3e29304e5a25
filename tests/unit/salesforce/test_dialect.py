"""The two CSV dialects: what Bulk results look like coming in, and what an ingest file must look like going out."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.contract import Update
from connectors.errors import ProtocolError, SchemaError, TransientError
from connectors.salesforce.ingest import read_row_error
from connectors.salesforce.results import read_chunks
from connectors.salesforce.wire import (
    BulkOnlyClearsError,
    IngestFile,
    UnwritableError,
    json_record,
    json_value,
    plain,
)

KEY = "001000000000001AAA"
texts = st.text(st.characters(exclude_categories=["Cs"]))
cells = texts.map(lambda text: text.replace("\0", ""))


def as_salesforce(rows: list[list[str]], header: tuple[str, ...], ending: str = "\n") -> bytes:
    lines = [list(header), *rows]
    return "".join(",".join('"' + v.replace('"', '""') + '"' for v in line) + ending for line in lines).encode()


def in_pieces(data: bytes, sizes: list[int]) -> Iterator[bytes]:
    at = 0
    for size in [*sizes, len(data)]:
        yield data[at : at + size]
        at += size


@given(
    st.lists(st.tuples(cells, cells), max_size=30),
    st.lists(st.integers(0, 40), max_size=20),
    st.integers(1, 7),
    st.integers(0, 40),
    st.sampled_from(["\n", "\r\n"]),
)
@example([("a\nb", 'q"'), ("\r", "\r\n"), ("", "\ufeff")], [1, 1, 1], 2, 0, "\n")
def test_any_text_in_any_pieces_comes_through_whole(rows, sizes, size, skip, ending) -> None:
    data = as_salesforce([list(row) for row in rows], ("Id", "Name"), ending)
    skip = min(skip, len(rows))

    groups = list(read_chunks(in_pieces(data, sizes), ("Id", "Name"), size, skip))

    wanted = [tuple(value or None for value in row) for row in rows[skip:]]
    assert [row for group in groups for row in group] == wanted
    assert all(len(group) == size for group in groups[:-1])
    assert len(groups[-1]) < size


def test_problem_25_a_byte_order_mark_is_not_part_of_the_first_column() -> None:
    data = b"\xef\xbb\xbf" + as_salesforce([["1", "Søn"]], ("Id", "Name"))

    assert list(read_chunks([data], ("Id", "Name"), 10)) == [[("1", "Søn")]]


def test_problem_25_bytes_that_are_not_utf8_are_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        list(read_chunks([b'"Id"\n"\xff\xfe"\n'], ("Id",), 10))


def test_problem_4_a_nul_in_any_place_is_dropped() -> None:
    assert list(read_chunks([b'"I', b"\0", b'd"\n"a\0b"\n"\0"\n'], ("Id",), 10)) == [[("ab",), (None,)]]


def test_problem_3_nothing_is_guessed() -> None:
    values = ["NA", "null", "None", "007", "1e5", "true", "-", " x ", "1.50"]

    (rows,) = read_chunks([as_salesforce([[v] for v in values], ("V",))], ("V",), 100)

    assert [row[0] for row in rows] == values


def test_columns_are_found_by_name_whatever_their_order_or_case() -> None:
    data = as_salesforce([["1", "2"]], ("NAME", "id"))

    assert list(read_chunks([data], ("Id", "Name"), 10)) == [[("2", "1")]]


@pytest.mark.parametrize("header", [("Id",), ("Id", "Other"), ("Id", "Name", "More")])
def test_other_columns_than_asked_for_are_a_protocol_error(header) -> None:
    with pytest.raises(ProtocolError):
        list(read_chunks([as_salesforce([], header)], ("Id", "Name"), 10))


@pytest.mark.parametrize("data", [b"", b'"Id","Name"\n"1"\n', b'"Id","Name"\n"1","2","3"\n'])
def test_a_file_of_the_wrong_shape_is_worth_another_try(data) -> None:
    with pytest.raises(TransientError):
        list(read_chunks([data], ("Id", "Name"), 10))


@pytest.mark.parametrize("data", [b'"Id"\n"ab', b'"Id"\n"ab"x\n'])
def test_a_file_that_ends_or_goes_on_inside_a_value_is_noticed(data) -> None:
    with pytest.raises(csv.Error):
        list(read_chunks([data], ("Id",), 10))


def test_skipping_more_rows_than_there_are_is_noticed() -> None:
    with pytest.raises(TransientError, match="shorter than it was"):
        list(read_chunks([as_salesforce([["1"]], ("Id",))], ("Id",), 10, 2))


def test_a_value_longer_than_the_csv_module_likes_is_read() -> None:
    long = "x" * 400_000

    assert list(read_chunks([as_salesforce([[long]], ("V",))], ("V",), 10)) == [[(long,)]]


# Going out


def file_of(*rows: dict) -> IngestFile:
    file = IngestFile()
    for row in rows:
        file.add(Update(KEY, row))
    return file


def lines_of(file: IngestFile) -> list[list[str]]:
    data = b"".join(file.body())
    assert len(data) == file.body().length
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


writable = texts.filter(lambda text: text not in ("", "#N/A"))


@given(st.lists(st.tuples(writable, writable), min_size=1, max_size=10))
@example([("\r", "a\r\nb"), ('"', ","), (" x ", "\n")])
def test_any_text_goes_out_as_it_is(rows) -> None:
    file = file_of(*({"A__c": a, "B__c": b} for a, b in rows))

    assert lines_of(file) == [["Id", "A__c", "B__c"], *([KEY, a, b] for a, b in rows)]


def test_problem_2_set_clear_and_leave_are_three_different_cells() -> None:
    file = file_of({"A__c": "x", "B__c": None}, {"B__c": ""}, {"C__c": Decimal("1E+2")}, {"A__c": False, "C__c": 0})

    assert lines_of(file) == [
        ["Id", "A__c", "B__c", "C__c"],
        [KEY, "x", "#N/A", ""],
        [KEY, "", "#N/A", ""],
        [KEY, "", "", "100"],
        [KEY, "false", "", "0"],
    ]


def test_every_line_is_as_wide_as_the_header_whenever_a_column_came_in() -> None:
    file = file_of({}, {"A__c": 1}, {}, {"B__c": 1, "A__c": None}, {"C__c": "x,\n"})

    lines = lines_of(file)

    assert {len(line) for line in lines} == {4}
    assert [line[1:] for line in lines[1:]] == [
        ["", "", ""],
        ["1", "", ""],
        ["", "", ""],
        ["#N/A", "1", ""],
        ["", "", "x,\n"],
    ]


def test_the_text_that_would_clear_is_kept_out_of_the_file() -> None:
    file = IngestFile()

    with pytest.raises(BulkOnlyClearsError):
        file.add(Update(KEY, {"A__c": "#N/A"}))

    assert file.lines == []


def test_a_line_turns_into_the_record_it_came_from() -> None:
    values = {"N__c": Decimal("1.50"), "T__c": 'a "b"\n', "Z__c": None, "F__c": True, "D__c": date(2024, 1, 2)}
    file = file_of({"Other__c": "x"}, values)

    record = json.loads(file.json_of(file.lines[1], "Account"), parse_float=Decimal)

    assert record == {
        "attributes": {"type": "Account"},
        "id": KEY,
        "N__c": Decimal("1.50"),
        "T__c": 'a "b"\n',
        "Z__c": None,
        "F__c": True,
        "D__c": "2024-01-02",
    }
    assert next(iter(record)) == "attributes"


@given(st.dictionaries(st.sampled_from(["A__c", "B__c", "C__c"]), st.none() | writable | st.integers() | st.booleans()))
def test_json_of_a_line_says_the_same_as_json_of_the_update(values) -> None:
    file = file_of(values)

    assert json.loads(file.json_of(file.lines[0], "Account")) == json.loads(json_record("Account", KEY, values))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("9.12260031E8"), "912260031"),
        (Decimal("0E-2"), "0.00"),
        (Decimal("-0.10"), "-0.10"),
        (True, "true"),
        (3, "3"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 1, 1, tzinfo=timezone(timedelta(hours=-14))), "2024-01-01T14:00:00.000Z"),
        (datetime(2024, 1, 1, 0, 0, 0, 123456, tzinfo=UTC), "2024-01-01T00:00:00.123Z"),
    ],
)
def test_problem_18_values_have_one_plain_form(value, text) -> None:
    assert plain(value) == text
    assert json.loads(json_value(value), parse_float=str, parse_int=str) in (text, value)


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), datetime(2024, 1, 1), "half \ud800"])
def test_what_has_no_form_is_refused_before_it_is_sent(value) -> None:
    with pytest.raises(UnwritableError):
        json_record("Account", KEY, {"A__c": value})
    file = IngestFile()
    with pytest.raises(UnwritableError):
        file.add(Update(KEY, {"A__c": value}))
    assert file.lines == []


def test_a_field_name_cannot_smuggle_anything_into_a_request() -> None:
    for name in ('A","id":"x', "A,B", "A\n"):
        with pytest.raises(SchemaError):
            json_record("Account", KEY, {name: 1})
        with pytest.raises(SchemaError):
            file_of({name: 1})


@pytest.mark.parametrize(
    ("text", "code", "message", "fields"),
    [
        (
            "STRING_TOO_LONG:data value too large: abc:Name --",
            "STRING_TOO_LONG",
            "data value too large: abc",
            ("Name",),
        ),
        (
            "REQUIRED_FIELD_MISSING:Required fields are missing: [A, B]:A B --",
            "REQUIRED_FIELD_MISSING",
            "Required fields are missing: [A, B]",
            ("A", "B"),
        ),
        ("ENTITY_IS_DELETED:entity is deleted:--", "ENTITY_IS_DELETED", "entity is deleted", ()),
        ("ODD", "ODD", "", ()),
        ("CODE:no fields", "CODE", "no fields", ()),
    ],
)
def test_the_error_of_a_bulk_row_is_taken_apart(text, code, message, fields) -> None:
    complaint = read_row_error(text)

    assert (complaint.code, complaint.message, complaint.fields) == (code, message, fields)
