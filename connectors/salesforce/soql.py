"""SOQL as text, from contract values. Pure; the only place where a value is quoted for the query language."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal

from connectors.contract import AnyOf, Condition, Filter, Operator, WriteValue
from connectors.errors import SchemaError

STAMP = "SystemModstamp"

_NAME = re.compile(r"[A-Za-z]\w*(\.[A-Za-z]\w*)*", re.ASCII)
_ESCAPES = str.maketrans(
    {"\\": "\\\\", "'": "\\'", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\b": "\\b", "\f": "\\f", "\0": None}
)


@dataclass(frozen=True, slots=True)
class Window:
    """A half-open span of SystemModstamp; None is unbounded."""

    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Select:
    """One query over one object, apart from the window of time it is asked for."""

    object: str
    columns: tuple[str, ...]
    where: Filter = ()

    def text(self, window: Window = Window(), *, ordered: bool = False) -> str:
        terms = [*_window_terms(window), *map(_term, self.where)]
        order = [f"ORDER BY {STAMP}"] if ordered else []
        return " ".join([_select(", ".join(map(check_name, self.columns)), self.object), *_where(terms), *order])


def count_query(object_name: str, where: Filter) -> str:
    return " ".join([_select("COUNT()", object_name), *_where([_term(term) for term in where])])


def _select(what: str, object_name: str) -> str:
    return f"SELECT {what} FROM {check_name(object_name)}"


def _where(terms: Sequence[str]) -> list[str]:
    return [f"WHERE {' AND '.join(terms)}"] if terms else []


def check_name(name: str) -> str:
    """`name` itself when it can be the name of a field, of a path to one or of an object; SchemaError otherwise."""
    if not _NAME.fullmatch(name):
        raise SchemaError(f"{name!r} cannot be the name of a Salesforce field or object.")
    return name


def literal(value: WriteValue) -> str:
    """`value` as SOQL writes it. Datetimes must be aware; they are cut to whole seconds, as SystemModstamp is."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, datetime):
        return datetime_literal(value)
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal | int):
        return f"{value:f}" if isinstance(value, Decimal) else str(value)
    return "'" + value.translate(_ESCAPES) + "'"


def datetime_literal(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be asked for")
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _window_terms(window: Window) -> list[str]:
    bounds = ((">=", window.start), ("<", window.end))
    return [f"{STAMP} {op} {datetime_literal(moment)}" for op, moment in bounds if moment is not None]


def _term(term: Condition | AnyOf) -> str:
    if isinstance(term, Condition):
        return _condition(term)
    if not term.conditions:
        return _never()
    return "(" + " OR ".join(map(_condition, term.conditions)) + ")"


def _condition(condition: Condition) -> str:
    field = check_name(condition.field)
    if condition.op in (Operator.IN, Operator.NOT_IN):
        return _membership(field, condition.op, condition.value)
    if isinstance(condition.value, tuple):
        raise SchemaError(f"The condition on {field} compares with a list; use `in`.")
    return f"{field} {_SIGNS[condition.op]} {literal(condition.value)}"


def _membership(field: str, op: Operator, value: object) -> str:
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise SchemaError(f"The condition on {field} needs a list of values.")
    # An empty list is a syntax error in SOQL, though its meaning is clear: nothing is in it, everything is outside.
    if not value:
        return _never() if op is Operator.IN else "Id != null"
    return f"{field} {_SIGNS[op]} ({', '.join(map(literal, value))})"


def _never() -> str:
    return "Id = null"


_SIGNS = {
    Operator.EQ: "=",
    Operator.NE: "!=",
    Operator.LT: "<",
    Operator.LE: "<=",
    Operator.GT: ">",
    Operator.GE: ">=",
    Operator.IN: "IN",
    Operator.NOT_IN: "NOT IN",
    Operator.LIKE: "LIKE",
}
