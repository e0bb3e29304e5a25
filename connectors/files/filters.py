"""Conditions on rows of text. A comparison takes the type of its value: numbers as numbers, flags as flags."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from operator import eq, ge, gt, le, lt, ne
from typing import Any

from connectors.contract import AnyOf, Condition, Filter, Operator, RawRow, RawValue, WriteValue

Test = Callable[[RawRow], bool]
Place = Callable[[str], int]

_COMPARE: dict[Operator, Callable[[Any, Any], bool]] = {
    Operator.EQ: eq,
    Operator.NE: ne,
    Operator.LT: lt,
    Operator.LE: le,
    Operator.GT: gt,
    Operator.GE: ge,
}
_TRUE = frozenset({"true", "1", "yes", "y", "t"})


def compile_filter(where: Filter, place: Place) -> Test:
    """Whether a row passes all conditions; `place` finds the column of a field."""
    tests = [_any(entry, place) if isinstance(entry, AnyOf) else _condition(entry, place) for entry in where]
    return lambda row: all(test(row) for test in tests)


def _any(entry: AnyOf, place: Place) -> Test:
    tests = [_condition(one, place) for one in entry.conditions]
    return lambda row: any(test(row) for test in tests)


def _condition(condition: Condition, place: Place) -> Test:
    at = place(condition.field)
    holds = _comparison(condition)
    return lambda row: holds(row[at])


def _comparison(condition: Condition) -> Callable[[RawValue], bool]:
    op, value = condition.op, condition.value
    if op in (Operator.IN, Operator.NOT_IN):
        wanted = value if isinstance(value, tuple) else (value,)
        return lambda text: any(_same(text, one) for one in wanted) == (op is Operator.IN)
    if isinstance(value, tuple):
        return lambda _text: False
    if op is Operator.LIKE:
        pattern = _like(str(value))
        return lambda text: text is not None and pattern.fullmatch(text) is not None
    if op in (Operator.EQ, Operator.NE):
        return lambda text: _same(text, value) == (op is Operator.EQ)
    return lambda text: _ordered(text, op, value)


def _same(text: RawValue, value: WriteValue) -> bool:
    if isinstance(value, bool):
        return ((text or "").strip().lower() in _TRUE) is value
    if text is None or value is None:
        return text is None and value in (None, "")
    return bool(_as_type_of(value, text) == value)


def _ordered(text: RawValue, op: Operator, value: WriteValue) -> bool:
    """Nothing is neither more nor less than anything."""
    found = None if text is None or value is None else _as_type_of(value, text)
    return found is not None and _COMPARE[op](found, value)


def _as_type_of(value: WriteValue, text: str) -> Any:
    """The text as a value that can be compared with `value`; None when it cannot."""
    try:
        if isinstance(value, datetime):
            found = datetime.fromisoformat(text.strip())
            return found if found.tzinfo else found.replace(tzinfo=value.tzinfo)
        if isinstance(value, date):
            return date.fromisoformat(text.strip()[:10])
        if isinstance(value, int | Decimal):
            number = Decimal(text.strip())
            return number if number.is_finite() else None
    except (ValueError, InvalidOperation):
        return None
    return text


def _like(pattern: str) -> re.Pattern[str]:
    """`%` stands for any text, `_` for one character; capitals do not matter."""
    parts = (".*" if letter == "%" else "." if letter == "_" else re.escape(letter) for letter in pattern)
    return re.compile("".join(parts), re.IGNORECASE | re.DOTALL)
