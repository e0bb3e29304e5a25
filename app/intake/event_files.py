"""Advocacy events from a CSV or JSON Lines file, one event a row.

A row that cannot be taken is yielded as a rejection with its line number and reason; every other row is taken.
A file whose *columns* are wrong is refused as a whole: taking half of what was meant would be worse.
"""

from __future__ import annotations

import csv
import difflib
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from app.domain.events import AdvocacyEvent
from app.errors import ConfigError
from app.intake.event_fields import COLUMNS, Reader, RejectedEventError, read_event
from app.intake.strict_json import JsonValue, read_json

FileFormat = Literal["csv", "jsonl"]
REQUIRED_COLUMNS = ("source_event_id", "type")
_DELIMITERS = (",", ";", "\t")


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """`line`: where the row starts in the file, the first line being 1."""

    line: int
    reason: str
    source_event_id: str = ""


FileRow = AdvocacyEvent | RejectedRow


def read_event_file(path: Path, reader: Reader, file_format: FileFormat | None = None) -> Iterator[FileRow]:
    """Yield every row of the file, in order. Raises ConfigError when the file cannot be read as what it says it is."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from None
    return read_event_text(text, reader, file_format or guess_format(path.name, text))


def guess_format(name: str, content: bytes) -> FileFormat:
    """By the file's ending, else by its first character."""
    if name.lower().endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if name.lower().endswith((".csv", ".tsv", ".txt")):
        return "csv"
    return "jsonl" if content.lstrip(b"\xef\xbb\xbf \r\n\t").startswith((b"{", b"[")) else "csv"


def read_event_text(content: bytes, reader: Reader, file_format: FileFormat) -> Iterator[FileRow]:
    """Yield every row of a file's content."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError("the file is UTF-16", hint="save it as UTF-8 (in Excel: CSV UTF-8)")
    # Bytes that are not UTF-8 become lone surrogates here, so that they spoil their own row and no other.
    text = content.decode("utf-8-sig", errors="surrogateescape")
    return _read_csv(text, reader) if file_format == "csv" else _read_json_lines(text, reader)


def _read_csv(text: str, reader: Reader) -> Iterator[FileRow]:
    delimiter = _guess_delimiter(text)
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
    except csv.Error as error:
        raise ConfigError(f"cannot read the first line of the file: {error}") from None
    check_columns(header, has_source=reader.source_system is not None)
    return _read_csv_rows(lines, header, reader)


def _guess_delimiter(text: str) -> str:
    header = text.split("\n", 1)[0]
    return max(_DELIMITERS, key=lambda delimiter: len({*COLUMNS} & {c.strip(' "\r') for c in header.split(delimiter)}))


def check_columns(header: Sequence[str], *, has_source: bool) -> None:
    """Raise ConfigError with every unknown, repeated or missing column."""
    problems = []
    for name in dict.fromkeys(header):
        if name not in COLUMNS:
            close = difflib.get_close_matches(name, COLUMNS, n=1)
            problems.append(f"unknown column {name[:50]!r}" + (f"; did you mean {close[0]!r}?" if close else ""))
        elif header.count(name) > 1:
            problems.append(f"column {name!r} occurs twice")
    required = REQUIRED_COLUMNS if has_source else ("source_system", *REQUIRED_COLUMNS)
    missing = [name for name in required if name not in header]
    if "occurred_on" not in header and "occurred_at" not in header:
        missing.append("occurred_on")
    if missing:
        problems.append(f"missing column{'s' if len(missing) > 1 else ''} {', '.join(missing)}")
    if problems:
        raise ConfigError("\n".join(problems), code="ADV-EVT-001", hint=f"the columns are: {', '.join(COLUMNS)}")


def _read_csv_rows(lines: Iterator[list[str]], header: Sequence[str], reader: Reader) -> Iterator[FileRow]:
    while True:
        start = lines.line_num + 1  # type: ignore[attr-defined]  # a csv reader
        try:
            cells = next(lines)
        except StopIteration:
            return
        except csv.Error as error:
            last = lines.line_num  # type: ignore[attr-defined]  # a csv reader
            yield RejectedRow(start, f"{error} (lines {start} to {last} could not be read)")
            continue
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            yield RejectedRow(start, f"has {len(cells)} cells, the first line has {len(header)}")
            continue
        yield _read_row(dict(zip(header, cells, strict=True)), start, reader)


def _read_json_lines(text: str, reader: Reader) -> Iterator[FileRow]:
    if text.lstrip().startswith("["):
        raise ConfigError("the file is one JSON array", hint="write one JSON object per line (JSON Lines)")
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        try:
            value = read_json(content)
        except ValueError as error:
            yield RejectedRow(line, str(error))
            continue
        if isinstance(value, dict):
            yield _read_row(value, line, reader)
        else:
            yield RejectedRow(line, "is not a JSON object; JSON Lines holds one object per line")


def _read_row(raw: dict[str, JsonValue] | dict[str, str], line: int, reader: Reader) -> FileRow:
    try:
        return read_event(dict(raw), reader)
    except RejectedEventError as error:
        return RejectedRow(line, str(error), _printable(raw.get("source_event_id")))


def _printable(value: JsonValue) -> str:
    return str(value if value is not None else "").encode("ascii", "replace").decode()[:100]
