"""Bulk results as rows, read from the raw byte stream in constant memory.

The dialect: every value quoted, quotes doubled, line breaks inside values kept, UTF-8, null and empty alike. Bytes are
decoded strictly; only U+0000 is dropped, because no database stores it.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from typing import BinaryIO, cast

import httpx

from connectors.contract import RawRow
from connectors.errors import ProtocolError, TransientError
from connectors.http import unreachable
from connectors.salesforce.transport import Transport

_LONGEST_VALUE = 1 << 24
"""Characters. The csv module refuses values over 131,072, which is just what one long text field can hold."""

CUT_SHORT = "CUT_SHORT"


class ChunkReader(io.BufferedIOBase):
    """Chunks of bytes as a file, without U+0000. A read gives the next chunk whole, whatever size was asked for."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)

    def readable(self) -> bool:
        return True

    def read1(self, _size: int = -1) -> bytes:
        for chunk in self._chunks:
            if kept := chunk.replace(b"\0", b""):
                return kept
        return b""


def read_lists(chunks: Iterable[bytes]) -> Iterator[list[str]]:
    """The lines of a CSV file with its header. Malformed CSV raises csv.Error, malformed UTF-8 UnicodeDecodeError."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_VALUE))
    lines = io.TextIOWrapper(cast("BinaryIO", ChunkReader(chunks)), encoding="utf-8-sig", newline="\n")
    return csv.reader(lines, strict=True)


def read_chunks(chunks: Iterable[bytes], columns: Sequence[str], size: int, skip: int = 0) -> Iterator[list[RawRow]]:
    """Groups of `size` rows in the order of `columns` after the first `skip`; the last is shorter, perhaps empty."""
    reader = read_lists(chunks)
    order = _order(next(reader, None), columns)
    if sum(1 for _ in islice(reader, skip)) < skip:
        raise TransientError("A bulk result is shorter than it was.", code=CUT_SHORT)
    rows: list[RawRow] = [()] * size
    while len(rows) == size:
        rows = _tuples(islice(reader, size))
        yield _placed(_of_width(rows, len(columns)), order)


def _tuples(lists: Iterable[list[str]]) -> list[RawRow]:
    """Rows with None for every empty value.

    Tuples, because the garbage collector soon stops following a tuple of strings and never a list; and most rows have
    no empty value, so that they need not be looked through one by one.
    """
    return [tuple(row) if "" not in row else tuple([value or None for value in row]) for row in lists]


def _of_width(rows: list[RawRow], width: int) -> list[RawRow]:
    if set(map(len, rows)) <= {width}:
        return rows
    rows = [row for row in rows if row]
    if set(map(len, rows)) - {width}:
        raise TransientError("A bulk result has a row of the wrong width.", code=CUT_SHORT)
    return rows


def _placed(rows: list[RawRow], order: Sequence[int] | None) -> list[RawRow]:
    return rows if order is None else [tuple([row[i] for i in order]) for row in rows]


def _order(header: Sequence[str] | None, columns: Sequence[str]) -> Sequence[int] | None:
    """Where each wanted column stands; None when the header has them in order already."""
    if header is None:
        raise TransientError("A bulk result came without its header.", code=CUT_SHORT)
    places = {name.lower(): i for i, name in enumerate(header)}
    try:
        order = [places[column.lower()] for column in columns]
    except KeyError as missing:
        raise ProtocolError(f"A bulk result lacks the column {missing.args[0]}.") from None
    if len(header) != len(columns):
        raise ProtocolError("A bulk result has columns that were not asked for.")
    return None if order == list(range(len(columns))) else order


class ResultPage:
    """One page of a job's result.

    `next_rows` may be called again after it failed: it opens the page anew and skips what it has handed out, so that a
    broken connection loses nothing and doubles nothing.
    """

    def __init__(self, transport: Transport, path: str, columns: Sequence[str], size: int, skip: int) -> None:
        self._transport, self._path, self._columns, self._size = transport, path, columns, size
        self.handed_out = skip
        self.locator = ""
        """Of the next page, empty on the last one; known after the first call of `next_rows`."""
        self.finished = False
        self._announced: int | None = None
        self._stack = ExitStack()
        self._groups: Iterator[list[RawRow]] | None = None

    def next_rows(self) -> list[RawRow]:
        """At most `size` rows; sets `finished` with the last of them."""
        try:
            rows = next(self._groups or self._open())
        except httpx.HTTPError as error:
            self.close()
            raise unreachable(error, "Salesforce, in the middle of a bulk result") from None
        except UnicodeDecodeError:
            self.close()
            raise ProtocolError("A bulk result is not UTF-8.") from None
        except csv.Error:
            self.close()
            raise TransientError("A bulk result ended inside a value.", code=CUT_SHORT) from None
        except TransientError:
            self.close()
            raise
        return self._accept(rows)

    def close(self) -> None:
        self._stack.close()
        self._groups = None

    def _accept(self, rows: list[RawRow]) -> list[RawRow]:
        total = self.handed_out + len(rows)
        if len(rows) < self._size:
            self.close()
            if self._announced is not None and total != self._announced:
                raise TransientError(f"A bulk result has {total} of {self._announced} rows.", code=CUT_SHORT)
            self.finished = True
        self.handed_out = total
        return rows

    def _open(self) -> Iterator[list[RawRow]]:
        answer = self._stack.enter_context(self._transport.stream(self._path, "bulk_results"))
        locator = answer.headers.get("sforce-locator", "null")
        self.locator = "" if locator == "null" else locator
        announced = answer.headers.get("sforce-numberofrecords", "")
        self._announced = int(announced) if announced.isdecimal() else None
        self._groups = read_chunks(self._counted(answer), self._columns, self._size, self.handed_out)
        return self._groups

    def _counted(self, answer: httpx.Response) -> Iterator[bytes]:
        for chunk in answer.iter_bytes():
            self._transport.received(len(chunk))
            yield chunk
