"""Conditions of the file, typed for the CRM's fields: `2025-01-01` is a date for a date field, else text."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal

from app.mapping.grammar import as_text
from app.mapping.source import Route
from connectors.contract import AnyOf, Condition, FieldSchema, FieldType, Filter, WriteValue

Look = Callable[[str, Route], FieldSchema | None]
Note = Callable[[str, Route, str], None]

_NUMBERS = (FieldType.INTEGER, FieldType.NUMBER, FieldType.CURRENCY, FieldType.PERCENT)


class _MisfitError(ValueError):
    pass


def fit_filter(where: Filter, base: Route, look: Look, note: Note) -> Filter:
    """The same filter with every value in its field's type; what does not fit goes to `note`."""
    fitted: list[Condition | AnyOf] = []
    for at, entry in enumerate(where):
        if isinstance(entry, AnyOf):
            inner = [_fit(one, (*base, at, "any", n), look, note) for n, one in enumerate(entry.conditions)]
            fitted.append(AnyOf(tuple(inner)))
        else:
            fitted.append(_fit(entry, (*base, at), look, note))
    return tuple(fitted)


def _fit(condition: Condition, at: Route, look: Look, note: Note) -> Condition:
    found = look(condition.field, (*at, "field"))
    if found is None or condition.value is None:
        return condition
    try:
        if isinstance(condition.value, tuple):
            return Condition(condition.field, condition.op, tuple(_typed(one, found.type) for one in condition.value))
        return Condition(condition.field, condition.op, _typed(condition.value, found.type))
    except _MisfitError as misfit:
        note(f"{condition.field} is a {found.type} field: {misfit}", (*at, "value"), "")
        return condition


def _typed(value: WriteValue, kind: FieldType) -> WriteValue:
    if kind is FieldType.BOOLEAN:
        return _boolean(value)
    if kind in _NUMBERS:
        return _number(value)
    if kind is FieldType.DATE:
        return _day(value)
    if kind is FieldType.DATETIME:
        return _moment(value)
    return value if kind is FieldType.OTHER else as_text(value)


def _boolean(value: WriteValue) -> bool:
    if isinstance(value, bool):
        return value
    raise _MisfitError("true or false is needed")


def _number(value: WriteValue) -> WriteValue:
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    raise _MisfitError("a number is needed, without quotes")


def _day(value: WriteValue) -> date:
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise _MisfitError("a date is needed, e.g. 2025-01-31") from None


def _moment(value: WriteValue) -> datetime:
    try:
        read = datetime.fromisoformat(as_text(value))
    except ValueError:
        raise _MisfitError("a moment is needed, e.g. 2025-01-31T00:00:00Z") from None
    return read.replace(tzinfo=UTC) if read.tzinfo is None else read.astimezone(UTC)
