"""What a parsed query consists of, and how places in it are told."""

from __future__ import annotations

import re
from dataclasses import dataclass

from connectors.salesforce.sandbox.errors import ApiError

AGGREGATES = frozenset({"COUNT", "COUNT_DISTINCT", "SUM", "MIN", "MAX", "AVG"})
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "N": "\n", "r": "\r", "R": "\r", "t": "\t", "T": "\t", "b": "\b", "B": "\b", "f": "\f"}
_ESCAPES |= {"F": "\f", '"': '"', "'": "'", "\\": "\\", "_": "_", "%": "%"}


@dataclass(frozen=True, slots=True)
class Path:
    """`Account.Owner.Name`, as written. Only a grouped query may give it an alias."""

    parts: tuple[str, ...]
    at: int
    alias: str = ""


@dataclass(frozen=True, slots=True)
class Function:
    """`COUNT()`, `SUM(Amount) total`, `FIELDS(ALL)`, `CALENDAR_YEAR(CloseDate)`; the name is upper case."""

    name: str
    argument: Path | None
    alias: str
    at: int


Operand = Path | Function


@dataclass(frozen=True, slots=True)
class Literal:
    """`kind`: string, number, date, datetime, boolean, null or days (a relative date; text `LAST_N_DAYS:3`).

    The text of a string is still escaped: LIKE and = read escapes differently.
    """

    kind: str
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """`op` is one of = != < <= > >= LIKE, or of IN, NOT IN, INCLUDES, EXCLUDES with a tuple or a sub-query."""

    field: Operand
    op: str
    value: Literal | tuple[Literal, ...] | Query


@dataclass(frozen=True, slots=True)
class Logic:
    """All (`AND`) or any (`OR`) of the terms."""

    op: str
    terms: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    term: Condition


Condition = Comparison | Logic | Not


@dataclass(frozen=True, slots=True)
class Order:
    by: Operand
    descending: bool
    nulls_first: bool


@dataclass(frozen=True, slots=True)
class Query:
    """`text` is the whole text, a sub-query's too: places in it are counted from its start."""

    text: str
    select: tuple[Operand | Query, ...]
    object: str
    at: int
    alias: str
    where: Condition | None
    group: tuple[Operand, ...]
    having: Condition | None
    order: tuple[Order, ...]
    limit: int | None
    offset: int


def placed(text: str, at: int, message: str, code: str = "MALFORMED_QUERY") -> ApiError:
    """An error with the line of the query, a caret under the place, and `Row:1:Column:8`."""
    start = text.rfind("\n", 0, at) + 1
    row, column = text.count("\n", 0, at) + 1, at - start + 1
    first = max(start, at - 40)
    line = text[first : at + 40].split("\n", maxsplit=1)[0]
    caret = " " * (at - first) + "^"
    return ApiError(code, f"\n{line}\n{caret}\nERROR at Row:{row}:Column:{column}\n{message}")


def escapes(text: str) -> list[str]:
    """What stands behind each backslash of a string literal's inside."""
    return _ESCAPE.findall(text)


def unescape(text: str) -> str:
    """The value of a string literal's inside; ValueError for an escape SOQL does not have."""

    def one(match: re.Match[str]) -> str:
        escape = match[1]
        if len(escape) == 5:
            return chr(int(escape[1:], 16))
        if escape not in _ESCAPES:
            raise ValueError(f"Illegal escape: \\{escape}")
        return _ESCAPES[escape]

    return _ESCAPE.sub(one, text)
