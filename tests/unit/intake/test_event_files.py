"""Files of events: a bad row costs itself and nothing else; wrong columns cost the file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.events import AdvocacyEvent
from app.errors import ConfigError
from app.intake.event_bodies import read_event_body
from app.intake.event_fields import Reader, RejectedEventError
from app.intake.event_files import RejectedRow, guess_format, read_event_file, read_event_text

HEADER = "source_system,source_event_id,type,occurred_on,account,opportunity,title\n"
READER = Reader(normalise_id=str)


def row(number: int, title: str = "") -> str:
    return f"hub,e{number},reference_call,2026-01-01,A,O,{title}\n"


def read(text: str | bytes, file_format: str = "csv", reader: Reader = READER) -> list[object]:
    content = text.encode() if isinstance(text, str) else text
    return list(read_event_text(content, reader, file_format))  # type: ignore[arg-type]


def ids(rows: list[object]) -> list[str]:
    return [entry.source_event_id for entry in rows if isinstance(entry, AdvocacyEvent)]


def rejections(rows: list[object]) -> list[tuple[int, str]]:
    return [(entry.line, entry.reason) for entry in rows if isinstance(entry, RejectedRow)]


def test_every_good_row_of_a_bad_file_is_read() -> None:
    text = HEADER + row(1) + "hub,e2,reference_call,yesterday,A,O,\n" + "short\n" + "\n" + row(3)

    rows = read(text)

    assert ids(rows) == ["e1", "e3"]
    assert [line for line, _ in rejections(rows)] == [3, 4]
    assert "occurred_on" in rejections(rows)[0][1]
    assert "7" in rejections(rows)[1][1]


def test_line_numbers_count_lines_and_not_records() -> None:
    text = HEADER + row(1, '"two\nlines"') + "bad\n"

    assert [line for line, _ in rejections(read(text))] == [4]


def test_an_unclosed_quote_reports_the_lines_it_swallowed() -> None:
    text = HEADER + row(1) + row(2, '"never closed') + row(3)

    rows = read(text)

    assert ids(rows) == ["e1"]
    assert "lines 3 to 4" in rejections(rows)[0][1]


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_spreadsheet_dialects_and_the_byte_order_mark_are_understood(delimiter: str) -> None:
    text = ("\ufeff" + HEADER + row(1)).replace(",", delimiter).replace("\n", "\r\n")

    assert ids(read(text)) == ["e1"]


def test_bytes_that_are_not_utf8_spoil_their_own_row_only() -> None:
    content = (HEADER + row(1)).encode() + row(2, "Müller").encode("latin-1") + row(3, "Müller").encode()

    rows = read(content)

    assert ids(rows) == ["e1", "e3"]
    assert "UTF-8" in rejections(rows)[0][1]


def test_utf16_is_named() -> None:
    with pytest.raises(ConfigError, match="UTF-16"):
        read((HEADER + row(1)).encode("utf-16"))


def test_wrong_columns_refuse_the_file_with_every_problem() -> None:
    with pytest.raises(ConfigError) as caught:
        read("source_system,source_event_id,typ,typ,acount,title,title\n")

    message = caught.value.message
    assert "'typ'; did you mean 'type'?" in message
    assert "did you mean 'account'?" in message
    assert "'title' occurs twice" in message
    assert "missing columns type, occurred_on" in message


def test_the_source_may_come_from_the_command_line() -> None:
    reader = Reader(normalise_id=str, source_system="hub")
    text = "source_event_id,type,occurred_on,account,opportunity\ne1,reference_call,2026-01-01,A,O\n"

    rows = read(text, reader=reader)

    assert [entry.source_system for entry in rows if isinstance(entry, AdvocacyEvent)] == ["hub"]
    with pytest.raises(ConfigError, match="source_system"):
        read(text)


def test_json_lines_are_read_one_by_one() -> None:
    good = '{"source_system":"hub","source_event_id":"e1","type":"follow","occurred_on":"2026-01-01","account":"A"}'
    text = f'{good}\nnonsense\n[1]\n\n{good.replace("e1", "e2")}\n{{"a":1,"a":2}}'

    rows = read(text, "jsonl")

    assert ids(rows) == ["e1", "e2"]
    assert [line for line, _ in rejections(rows)] == [2, 3, 6]


def test_a_json_array_is_named() -> None:
    with pytest.raises(ConfigError, match="array"):
        read("[{}]", "jsonl")


def test_the_format_is_guessed_from_the_name_then_from_the_content(tmp_path: Path) -> None:
    path = tmp_path / "events"
    path.write_text(HEADER + row(1))

    assert ids(list(read_event_file(path, READER))) == ["e1"]
    assert guess_format("x.JSONL", b"") == "jsonl"
    assert guess_format("x.csv", b"{") == "csv"
    assert guess_format("-", b' {"a"') == "jsonl"
    with pytest.raises(ConfigError, match="No such file"):
        list(read_event_file(tmp_path / "absent", READER))


@given(st.binary(max_size=300))
def test_no_content_after_a_good_header_makes_the_reader_fail(content: bytes) -> None:
    rows = read(HEADER.encode() + content)

    assert all(isinstance(entry, AdvocacyEvent | RejectedRow) for entry in rows)


@given(st.binary(max_size=300))
def test_no_json_lines_content_makes_the_reader_fail(content: bytes) -> None:
    try:
        rows = read(b"{}\n" + content, "jsonl")
    except ConfigError:
        return

    assert all(isinstance(entry, AdvocacyEvent | RejectedRow) for entry in rows)


EVENT = '{"source_system":"hub","source_event_id":"e1","type":"follow","occurred_on":"2026-01-01","account":"A"}'


def test_a_body_is_one_event_or_a_list_of_them() -> None:
    assert [event.source_event_id for event in read_event_body(EVENT, READER)] == ["e1"]
    assert len(read_event_body(f'{{"events":[{EVENT},{EVENT}]}}', READER)) == 2


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"1e999",
        b"NaN",
        b'{"events":[]}',
        b'{"events":1}',
        b'{"events":[1]}',
        b"\xff",
        b"[" * 9999,
        f'{{"events":[{EVENT}],"more":1}}'.encode(),
        b'{"a":' * 30 + b"1" + b"}" * 30,
        b'{"a":' + b"9" * 5000 + b"}",
    ],
)
def test_a_body_that_is_not_events_is_rejected_with_a_reason(body: bytes) -> None:
    with pytest.raises(RejectedEventError) as caught:
        read_event_body(body, READER)

    assert str(caught.value)


def test_one_bad_event_rejects_the_body_and_names_its_place() -> None:
    with pytest.raises(RejectedEventError, match=r"events\[1\]\.type"):
        read_event_body(f'{{"events":[{EVENT},{EVENT.replace("follow", "folow")}]}}', READER)
