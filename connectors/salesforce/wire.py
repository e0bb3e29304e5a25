"""Values on their way out: as JSON for collections, as CSV for bulk ingest. Pure.

Three states survive on both ways: a value sets (JSON value; cell), None clears (`null`; `#N/A`), absent leaves alone
(no key; empty cell). The empty text clears too: Salesforce stores no empty text.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import groupby, pairwise
from sys import intern
from typing import Any, cast

from connectors.contract import Update, WriteValue
from connectors.salesforce.soql import check_name

CLEAR = "#N/A"
ID_LENGTH = 18


class UnwritableError(ValueError):
    """A value that has no form on the wire; the record is refused before anything is sent."""


class BulkOnlyClearsError(ValueError):
    """The text `#N/A` itself: in a bulk file it would clear the field."""


def json_record(object_name: str, record_id: str, values: Mapping[str, WriteValue]) -> str:
    """One record of a collections request. `attributes` must come first, or Salesforce cannot parse the row."""
    fields = "".join(f',"{check_name(name)}":{json_value(value)}' for name, value in values.items())
    return f'{{"attributes":{{"type":"{check_name(object_name)}"}},"id":"{record_id}"{fields}}}'


def fields_of(record: str) -> str:
    """The fields of a `json_record` alone: what a request for a single record holds."""
    return "{" + record.partition('"},"id":"')[2][ID_LENGTH + 1 :].removeprefix(",")


def json_value(value: WriteValue) -> str:
    if value is None or value == "":
        return "null"
    if isinstance(value, str):
        return json.dumps(_sendable(value))
    text = plain(value)
    return f'"{text}"' if isinstance(value, date) else text


def plain(value: WriteValue) -> str:
    """A value that is not text, as text: plain notation for numbers, UTC with milliseconds for moments."""
    return _PLAIN[type(value)](value)


def _decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise UnwritableError(f"{value} is not a number that can be written")
    return format(value, "f")


@lru_cache(maxsize=1024)
def _datetime(value: datetime) -> str:
    if value.tzinfo is None:
        raise UnwritableError("a moment without a time zone cannot be written")
    return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _sendable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UnwritableError("the text holds half a character and cannot be written") from None
    return text


def _text_cell(value: str) -> str:
    if value == CLEAR:
        raise BulkOnlyClearsError(value)
    return value or CLEAR


_PLAIN: Mapping[type, Callable[[Any], str]] = {
    bool: lambda value: "true" if value else "false",
    int: str,
    Decimal: _decimal,
    date: date.isoformat,
    datetime: _datetime,
}
_CELLS: Mapping[type, Callable[[Any], str]] = {**_PLAIN, str: _text_cell, type(None): lambda _: CLEAR}
_BARE = (Decimal, int, bool)
_JSON_BARE = re.compile(r"true|false|-?(0|[1-9]\d*)(\.\d+)?", re.ASCII)


class _Line:
    """What csv.writer writes to: it hands the line back instead of keeping it."""

    def write(self, line: str) -> str:
        return line


class IngestFile:
    """Updates as the lines of a bulk file, in memory as bytes.

    A field first met later becomes a further column; the lines before it are padded when the file is sent.
    """

    def __init__(self) -> None:
        # With \r\n as its line end the csv module quotes both kinds of line break, which it would not with \n alone.
        self._write = cast("Callable[[list[str]], str]", csv.writer(_Line(), lineterminator="\r\n").writerow)
        self._columns: dict[str, None] = {}
        self._bare: dict[str, bool] = {}
        self._kindless: set[str] = set()
        self._grown: list[tuple[int, int]] = [(0, 0)]
        self.lines: list[bytes] = []
        self._families: list[str] = []
        self.size = 0
        """Bytes without header and padding."""

    def add(self, update: Update) -> None:
        """UnwritableError or BulkOnlyClearsError leave the file as it was."""
        values = update.values
        if not values.keys() <= self._columns.keys():
            self._grow(values)
        if self._kindless:
            self._note_kinds(values)
        cells = [_CELLS[type(values[name])](values[name]) if name in values else "" for name in self._columns]
        line = _sendable(self._write([update.record_id, *cells])[:-2]).encode() + b"\n"
        self.lines.append(line)
        self._families.append(intern(update.family))
        self.size += len(line)

    def _grow(self, values: Mapping[str, WriteValue]) -> None:
        fresh = [check_name(name) for name in values if name not in self._columns]
        self._columns |= dict.fromkeys(fresh)
        self._kindless |= set(fresh)
        self._grown.append((len(self.lines), len(self._columns)))

    def _note_kinds(self, values: Mapping[str, WriteValue]) -> None:
        """Remember which columns hold numbers and booleans, so that a line can be turned into JSON again."""
        for name in [name for name in self._kindless if values.get(name) is not None]:
            self._bare[name] = isinstance(values[name], _BARE)
            self._kindless.discard(name)

    def gather_families(self, batch: int) -> list[bytes]:
        """Put the lines of each family side by side, none of them across a border after every `batch` lines.

        Salesforce works on such batches in parallel, where siblings would lock each other out. Lines of families that
        do not fit before a border are taken out of the file and returned.
        """
        if not any(self._families):
            return []
        lines = [line for chunk in self._padded() for line in chunk]
        order = sorted(range(len(lines)), key=self._families.__getitem__)
        kept: list[bytes] = []
        aside: list[bytes] = []
        for family, members in groupby(order, self._families.__getitem__):
            siblings = [lines[i] for i in members]
            fits = not family or len(kept) % batch + len(siblings) <= batch
            (kept if fits else aside).extend(siblings)
        self.lines, self._families, self._grown = kept, [], [(0, len(self._columns))]
        self.size = sum(map(len, kept))
        return aside

    def body(self) -> IngestBody:
        return IngestBody(self)

    def chunks(self) -> Iterator[bytes]:
        """The whole file: the header, then the lines in pieces of some hundred kilobytes."""
        yield ",".join(["Id", *self._columns]).encode() + b"\n"
        for lines in self._padded():
            yield b"".join(lines)

    def _padded(self) -> Iterator[list[bytes]]:
        starts = [*self._grown, (len(self.lines), 0)]
        for (start, width), (end, _) in pairwise(starts):
            padding = b"," * (len(self._columns) - width)
            for at in range(start, end, 4096):
                lines = self.lines[at : min(at + 4096, end)]
                yield [line[:-1] + padding + b"\n" for line in lines] if padding else lines

    def json_of(self, line: bytes, object_name: str) -> str:
        """The record of a line as collections want it."""
        record_id, *cells = next(csv.reader([line.decode()[:-1]], strict=True))
        pairs = [(name, cell) for name, cell in zip(self._columns, cells, strict=False) if cell != ""]
        fields = "".join(f',"{name}":{self._json_cell(name, cell)}' for name, cell in pairs)
        return f'{{"attributes":{{"type":"{object_name}"}},"id":"{record_id}"{fields}}}'

    def _json_cell(self, name: str, cell: str) -> str:
        if cell == CLEAR:
            return "null"
        return cell if self._bare.get(name) and _JSON_BARE.fullmatch(cell) else json.dumps(cell)


class IngestBody:
    """The file as a request body that can be sent more than once."""

    def __init__(self, file: IngestFile) -> None:
        self._file = file

    def __iter__(self) -> Iterator[bytes]:
        return self._file.chunks()

    @property
    def length(self) -> int:
        return sum(map(len, self._file.chunks()))
