"""One CSV file, read row by row: strict about its form, and exact about the line where the form is broken.

UTF-8 with or without a byte order mark; comma, semicolon or tab, whichever the header uses; quoted line breaks.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from connectors.contract import RawRow
from connectors.errors import ConfigurationError, IncompleteError, SchemaError

_DELIMITERS = ",;\t"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


LONGEST_VALUE = 131_072
"""Characters of one value; more is a quote that was never closed."""


@dataclass(frozen=True, slots=True)
class Header:
    path: Path
    delimiter: str
    columns: tuple[str, ...]
    """Names in order; empty for a column that has none, which cannot be asked for."""

    def place(self, column: str) -> int:
        try:
            return self.columns.index(column)
        except ValueError:
            named = ", ".join(filter(None, self.columns))
            raise SchemaError(f"{self.path.name} has no column {column!r}; its columns are: {named}.") from None


def read_header(path: Path) -> Header | None:
    """The header of a file; None when there is no file. ConfigurationError for a header that cannot be used."""
    if not path.is_file():
        return None
    with _open_text(path) as stream:
        first = stream.readline()
    delimiter = max(_DELIMITERS, key=first.count)
    columns = tuple(name.strip() for name in _parse_line(path, first, delimiter))
    if not any(columns):
        raise ConfigurationError(f"{path.name}:1: the first line must name the columns.")
    twice = [name for name, count in Counter(filter(None, columns)).items() if count > 1]
    if twice:
        raise ConfigurationError(f"{path.name}:1: the column {twice[0]!r} is there twice.")
    return Header(path, delimiter, columns)


def _parse_line(path: Path, line: str, delimiter: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error as fault:
        raise ConfigurationError(f"{path.name}:1: the first line cannot be read: {fault}.") from None


def read_rows(header: Header) -> Iterator[tuple[int, RawRow]]:
    """(line, values) of each record, as many values as there are columns; an empty value is None.

    Blank lines are passed over. IncompleteError when the file changed while it was read.
    """
    with _open_text(header.path) as stream:
        before = os.fstat(stream.fileno())
        yield from _records(header, stream)
        after = os.fstat(stream.fileno())
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise IncompleteError(f"{header.path.name} was changed while it was read. Run again when the export is done.")


def _records(header: Header, stream: TextIO) -> Iterator[tuple[int, RawRow]]:
    # The limit belongs to the whole process: whoever read before us may have left another one.
    csv.field_size_limit(LONGEST_VALUE)
    reader = csv.reader(stream, delimiter=header.delimiter, strict=True)
    width = len(header.columns)
    line = 1
    try:
        next(reader, None)
        line = reader.line_num + 1
        for values in reader:
            if len(values) == width:
                row = [value or None for value in values]
                if any(row):
                    yield line, row
            elif any(values):
                raise _wrong_width(header, line, len(values))
            line = reader.line_num + 1
    except csv.Error as fault:
        name = header.path.name
        raise ConfigurationError(f'{name}:{line}: not CSV: {fault}. Is a quote (") missing or not doubled?') from None


def _wrong_width(header: Header, line: int, found: int) -> ConfigurationError:
    wanted = len(header.columns)
    return ConfigurationError(
        f"{header.path.name}:{line}: {found} values, but the first line names {wanted} columns. "
        "A value with a separator or a line break in it must stand in quotes."
    )


@contextmanager
def _open_text(path: Path) -> Iterator[TextIO]:
    """The file as text, line ends untouched; ConfigurationError with the line for what is not UTF-8."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            yield stream
    except UnicodeDecodeError:
        raise ConfigurationError(_undecodable(path)) from None
    except OSError as fault:
        raise ConfigurationError(f"{path.name} cannot be read: {fault.strerror or type(fault).__name__}.") from None


def _undecodable(path: Path) -> str:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, 1):
            if number == 1 and line.startswith(_UTF16):
                return f"{path.name}:1: the file is UTF-16. Save it as CSV UTF-8."
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as fault:
                byte = line[fault.start]
                return f"{path.name}:{number}: byte 0x{byte:02x} is not UTF-8. Save the file as CSV UTF-8."
    return f"{path.name}: not UTF-8. Save the file as CSV UTF-8."
