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
from typing import cast

import httpx

from connectors.contract import RawValue
from connectors.errors import ProtocolError, TransientError
from connectors.http import unreachable
from connectors.salesforce.transport import Transport

_LONGEST_VALUE = 1 << 24
"""Characters. The csv module refuses values over 131,072, which is just what one long text field can hold."""

_BUFFER = 1 << 18

CUT_SHORT = "CUT_SHORT"


class ByteStream(io.RawIOBase):
    """Chunks of bytes as a file, without U+0000."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, target: bytearray) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = chunk.replace(b"\0", b"")
        size = min(len(target), len(self._rest))
        target[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size


def read_lists(chunks: Iterable[bytes]) -> Iterator[list[str]]:
    """The lines of a CSV file with its header. Malformed CSV raises csv.Error, malformed UTF-8 UnicodeDecodeError."""
    csv.field_size_limit(max(csv.field_size_limit(), _LONGEST_VALUE))
    buffered = io.BufferedReader(cast("io.FileIO", ByteStream(chunks)), _BUFFER)
    lines = io.TextIOWrapper(buffered, encoding="utf-8-sig", newline="\n")
    return csv.reader(lines, strict=True)


def read_chunks(
    chunks: Iterable[bytes], columns: Sequence[str], size: int, skip: int = 0
) -> Iterator[list[list[RawValue]]]:
    """Groups of `size` rows in the order of `columns` after the first `skip`; the last is shorter, perhaps empty."""
    reader = read_lists(chunks)
    order = _order(next(reader, None), columns)
    if sum(1 for _ in islice(reader, skip)) < skip:
        raise TransientError("A bulk result is shorter than it was.", code=CUT_SHORT)
    full = True
    while full:
        lists = list(islice(reader, size))
        full = len(lists) == size
        yield _rows(_of_width(lists, len(columns)), order)


def _of_width(lists: list[list[str]], width: int) -> list[list[str]]:
    if set(map(len, lists)) <= {width}:
        return lists
    lists = [row for row in lists if row]
    if set(map(len, lists)) - {width}:
        raise TransientError("A bulk result has a row of the wrong width.", code=CUT_SHORT)
    return lists


def _rows(lists: list[list[str]], order: Sequence[int] | None) -> list[list[RawValue]]:
    if order is None:
        return [[value or None for value in row] for row in lists]
    return [[row[i] or None for i in order] for row in lists]


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
        self._groups: Iterator[list[list[RawValue]]] | None = None

    def next_rows(self) -> list[list[RawValue]]:
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

    def _accept(self, rows: list[list[RawValue]]) -> list[list[RawValue]]:
        total = self.handed_out + len(rows)
        if len(rows) < self._size:
            self.close()
            if self._announced is not None and total != self._announced:
                raise TransientError(f"A bulk result has {total} of {self._announced} rows.", code=CUT_SHORT)
            self.finished = True
        self.handed_out = total
        return rows

    def _open(self) -> Iterator[list[list[RawValue]]]:
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
