"""WHERE -> a test of rows. Text compares without case, ids and dates as they stand; null only equals null."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.ids import full_id
from connectors.salesforce.sandbox.schema import NUMERIC, Field, Row
from connectors.salesforce.sandbox.soql_dates import day_range
from connectors.salesforce.sandbox.soql_scope import Read, Resolved, Scope, check_usable, is_folded, resolve
from connectors.salesforce.sandbox.soql_tree import Comparison, Condition, Literal, Logic, Not, Operand, Query, unescape

Test = Callable[[Row], bool]
Pick = Callable[[Scope, Query], set[Any]]
"""Runs a sub-query and gives the values of its one field; handed in by who can run queries."""
Find = Callable[[Scope, Operand], Resolved]
"""What stands on the left of a comparison: a field of a row, or in HAVING something of a group."""


def compile_condition(scope: Scope, condition: Condition, pick: Pick, find: Find = resolve) -> Test:
    """A test of one row; ApiError for what the fields' types do not allow."""
    if isinstance(condition, Not):
        inner = compile_condition(scope, condition.term, pick, find)
        return lambda row: not inner(row)
    if isinstance(condition, Logic):
        return _compile_logic(condition.op, [compile_condition(scope, term, pick, find) for term in condition.terms])
    return _compile_comparison(scope, condition, pick, find(scope, condition.field))


def _compile_logic(op: str, tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return (lambda row: one(row) and two(row)) if op == "AND" else (lambda row: one(row) or two(row))
    if op == "AND":
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _compile_comparison(scope: Scope, comparison: Comparison, pick: Pick, found: Resolved) -> Test:
    check_usable(scope, comparison.field, found.field, "filtered")
    value = comparison.value
    if isinstance(value, Query):
        return _in_query(scope, comparison, found, value, pick)
    if isinstance(value, tuple):
        if comparison.op in {"INCLUDES", "EXCLUDES"}:
            return _includes(scope, comparison, found, value)
        return _in_values(scope, comparison, found, value)
    if comparison.op == "LIKE":
        return _like(scope, comparison, found, value)
    if value.kind == "days":
        return _within_days(scope, comparison.field, found, value, comparison.op)
    return _compare(comparison.op, found, literal_value(scope, comparison.field, found.field, value), scope, value.at)


def _compare(op: str, found: Resolved, wanted: Any, scope: Scope, at: int) -> Test:
    fold = is_folded(found.field)
    read = _folded(found.read) if fold else found.read
    wanted = wanted.lower() if fold and wanted is not None else wanted
    if op == "=":
        return lambda row: read(row) == wanted
    if op == "!=":
        return lambda row: read(row) != wanted
    if wanted is None or found.field.type == "boolean":
        raise scope.error(at, f"invalid operator for field '{found.field.name}'", "INVALID_QUERY_FILTER_OPERATOR")
    return _ordered(op, read, wanted)


def _ordered(op: str, read: Read, wanted: Any) -> Test:
    if op == ">":
        return lambda row: (value := read(row)) is not None and value > wanted
    if op == ">=":
        return lambda row: (value := read(row)) is not None and value >= wanted
    if op == "<":
        return lambda row: (value := read(row)) is not None and value < wanted
    return lambda row: (value := read(row)) is not None and value <= wanted


def _folded(read: Read) -> Read:
    def fold(row: Row) -> Any:
        value = read(row)
        return None if value is None else value.lower()

    return fold


def _in_values(scope: Scope, comparison: Comparison, found: Resolved, literals: tuple[Literal, ...]) -> Test:
    plain = [literal for literal in literals if literal.kind != "days"]
    values = {literal_value(scope, comparison.field, found.field, literal) for literal in plain}
    negated = comparison.op == "NOT IN"
    if len(plain) == len(literals):
        return _membership(found, values, negated=negated)
    days = [_within_days(scope, comparison.field, found, one, "=") for one in literals if one.kind == "days"]
    any_of = _compile_logic("OR", [_membership(found, values, negated=False), *days])
    return lambda row: any_of(row) != negated


def _membership(found: Resolved, values: set[Any], *, negated: bool) -> Test:
    read = found.read
    if is_folded(found.field):
        read = _folded(read)
        values = {None if value is None else value.lower() for value in values}
    return (lambda row: read(row) not in values) if negated else (lambda row: read(row) in values)


def _in_query(scope: Scope, comparison: Comparison, found: Resolved, query: Query, pick: Pick) -> Test:
    if found.field.type not in {"id", "reference"}:
        raise scope.error(query.at, "a semi join sub-select must select one id field, for an id field")
    return _membership(found, pick(scope, query), negated=comparison.op == "NOT IN")


def _includes(scope: Scope, comparison: Comparison, found: Resolved, literals: tuple[Literal, ...]) -> Test:
    if found.field.type != "multipicklist":
        message = f"includes or excludes operator can not be used on field '{found.field.name}'"
        raise scope.error(comparison.field.at, message, "INVALID_QUERY_FILTER_OPERATOR")
    wanted = [set(str(literal_value(scope, comparison.field, found.field, one)).split(";")) for one in literals]
    read, negated = found.read, comparison.op == "EXCLUDES"

    def test(row: Row) -> bool:
        chosen = set((read(row) or "").split(";"))
        return any(each <= chosen for each in wanted) != negated

    return test


def _like(scope: Scope, comparison: Comparison, found: Resolved, literal: Literal) -> Test:
    if found.field.type in {"id", "reference"} or not is_folded(found.field):
        message = f"invalid operator on {found.field.type} field"
        raise scope.error(comparison.field.at, message, "INVALID_QUERY_FILTER_OPERATOR")
    if literal.kind != "string":
        raise _wrong_kind(scope, comparison.field, found.field)
    pattern, read = like_pattern(literal.text), found.read
    return lambda row: (value := read(row)) is not None and pattern.fullmatch(value) is not None


def like_pattern(escaped: str) -> re.Pattern[str]:
    """`%` any run, `_` any one character, both literal behind a backslash; without case."""
    pieces, at = [], 0
    while at < len(escaped):
        character = escaped[at]
        if character == "\\":
            width = 6 if escaped[at + 1] == "u" else 2
            pieces.append(re.escape(unescape(escaped[at : at + width])))
            at += width
            continue
        pieces.append({"%": ".*", "_": "."}.get(character) or re.escape(character))
        at += 1
    return re.compile("".join(pieces), re.IGNORECASE | re.DOTALL)


def literal_value(scope: Scope, path: Operand, field: Field, literal: Literal) -> Any:
    """The literal as the field's rows hold it; INVALID_FIELD when the kinds do not fit."""
    if literal.kind == "null":
        return None
    if field.type in {"id", "reference"}:
        return id_value(scope, path, literal)
    wanted = {"boolean": "boolean", "date": "date", "datetime": "datetime", "int": "number"}
    if literal.kind != wanted.get(field.type, "number" if field.type in NUMERIC else "string"):
        raise _wrong_kind(scope, path, field)
    try:
        return _LITERALS[literal.kind](literal.text)
    except (ValueError, OverflowError):
        raise scope.error(literal.at, f"invalid {literal.kind}: {literal.text}") from None


_LITERALS: dict[str, Callable[[str], Any]] = {
    "string": unescape,
    "number": Decimal,
    "boolean": lambda text: text == "TRUE",
    "date": lambda text: date.fromisoformat(text).isoformat(),
    "datetime": lambda text: stamp_text(datetime.fromisoformat(text)),
}


def _wrong_kind(scope: Scope, path: Operand, field: Field) -> ApiError:
    kinds = {"boolean": "boolean", "date": "date", "datetime": "dateTime", "int": "int"}
    kind = kinds.get(field.type, "double" if field.type in NUMERIC else "string")
    quoting = "should be enclosed in quotes" if kind == "string" else "should not be enclosed in quotes"
    message = f"value of filter criterion for field '{field.name}' must be of type {kind} and {quoting}"
    return scope.error(path.at, message, "INVALID_FIELD")


def id_value(scope: Scope, path: Operand, literal: Literal) -> str:
    """The 18-character form; INVALID_QUERY_FILTER_OPERATOR for what is no id."""
    try:
        if literal.kind != "string":
            raise ValueError(literal.text)
        return full_id(unescape(literal.text))
    except ValueError:
        message = f"invalid ID field: {literal.text[:40]}"
        raise scope.error(path.at, message, "INVALID_QUERY_FILTER_OPERATOR") from None


def _within_days(scope: Scope, path: Operand, found: Resolved, literal: Literal, op: str) -> Test:
    if found.field.type not in {"date", "datetime"}:
        raise _wrong_kind(scope, path, found.field)
    try:
        days = day_range(scope.view.org.clock.now().date(), literal.text)
    except (ValueError, OverflowError):
        raise scope.error(literal.at, f"date out of range: {literal.text}") from None
    first, end = (day.isoformat() for day in days)
    if found.field.type == "datetime":
        first, end = (stamp_text(datetime.fromisoformat(day).replace(tzinfo=UTC)) for day in (first, end))
    read = found.read
    edges: dict[str, Callable[[str], bool]] = {
        "=": lambda value: first <= value < end,
        "!=": lambda value: not first <= value < end,
        "<": lambda value: value < first,
        "<=": lambda value: value < end,
        ">": lambda value: value >= end,
        ">=": lambda value: value >= first,
    }
    edge = edges[op]
    return lambda row: edge(value) if (value := read(row)) is not None else op == "!="
