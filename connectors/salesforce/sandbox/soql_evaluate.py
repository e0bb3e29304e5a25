"""A parsed query against an org, as one user sees it: names are resolved once, then every row is cheap."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.access import View
from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.ids import full_id
from connectors.salesforce.sandbox.schema import NUMERIC, Field, ObjectType, Row
from connectors.salesforce.sandbox.soql_parse import (
    Comparison,
    Condition,
    Function,
    Literal,
    Logic,
    Not,
    Order,
    Path,
    Query,
    placed,
    unescape,
)
from connectors.salesforce.sandbox.tables import Table

Read = Callable[[Row], Any]
Test = Callable[[Row], bool]
_MAX_HOPS = 5


@dataclass(frozen=True, slots=True)
class Resolved:
    """A path with its field at the end. `steps`: the reference fields crossed on the way."""

    field: Field
    of: ObjectType
    steps: tuple[Field, ...]
    read: Read


@dataclass(slots=True)
class Scope:
    """The object a query reads from, for one user, with or without deleted rows."""

    view: View
    query: Query
    table: Table
    deleted: bool

    @property
    def text(self) -> str:
        return self.query.text

    def error(self, at: int, message: str, code: str = "MALFORMED_QUERY") -> ApiError:
        return placed(self.text, at, message, code)


def open_scope(view: View, query: Query, *, deleted: bool) -> Scope:
    """INVALID_TYPE when the object does not exist or is hidden."""
    of = view.type(query.object)
    if of is None:
        message = (
            f"sObject type '{query.object}' is not supported. If you are attempting to use a custom object, be sure "
            "to append the '__c' after the entity name. Please reference your WSDL or the describe call for the "
            "appropriate names."
        )
        raise placed(query.text, query.at, message, "INVALID_TYPE")
    return Scope(view, query, view.org.tables[of.name], deleted)


def select_rows(scope: Scope) -> list[Row]:
    """The rows the query's WHERE, ORDER BY, LIMIT and OFFSET leave, in order."""
    query = scope.query
    rows = matching_rows(scope)
    order = [_sort_key(scope, one) for one in query.order]
    for key, descending in reversed(order):
        rows.sort(key=key, reverse=descending)
    end = None if query.limit is None else query.offset + query.limit
    return rows[query.offset : end]


def check_rows(scope: Scope) -> None:
    """Resolve WHERE and ORDER BY without running them."""
    if scope.query.where is not None:
        compile_condition(scope, scope.query.where)
    for one in scope.query.order:
        _sort_key(scope, one)


def matching_rows(scope: Scope) -> list[Row]:
    """The visible rows that meet the WHERE, in no promised order."""
    test = compile_condition(scope, scope.query.where) if scope.query.where is not None else None
    rows: Iterable[Row] = _candidates(scope)
    if not scope.deleted and "IsDeleted" in scope.table.type.fields:
        slot = scope.table.type.slot("IsDeleted")
        rows = (row for row in rows if not row[slot])
    if scope.view.org.access.hidden_records:
        rows = filter(scope.view.sees_row, rows)
    return list(rows) if test is None else list(filter(test, rows))


def _candidates(scope: Scope) -> Iterable[Row]:
    """Rows by id where the WHERE names ids, instead of the whole table."""
    where = scope.query.where
    terms = where.terms if isinstance(where, Logic) and where.op == "AND" else (where,)
    for term in terms:
        if isinstance(term, Comparison) and term.op in {"=", "IN"} and _is_id(scope, term.field):
            values = term.value if isinstance(term.value, tuple) else (term.value,)
            if all(isinstance(value, Literal) and value.kind == "string" for value in values):
                ids = {_id_value(scope, term.field, value) for value in values if isinstance(value, Literal)}
                return [scope.table.rows[one] for one in ids if one in scope.table.rows]
    return scope.table.rows.values()


def _is_id(scope: Scope, path: Path) -> bool:
    parts = local_parts(scope, path)
    return len(parts) == 1 and parts[0].lower() == "id"


def local_parts(scope: Scope, path: Path) -> tuple[str, ...]:
    """The path without the object's own name or alias in front."""
    head = path.parts[0].lower()
    own = {scope.query.alias.lower(), scope.table.type.name.lower()}
    return path.parts[1:] if len(path.parts) > 1 and head in own and not scope.table.type.parent(head) else path.parts


def resolve(scope: Scope, path: Path) -> Resolved:
    """INVALID_FIELD for a field or relationship that is missing or hidden from the user."""
    parts = local_parts(scope, path)
    of, steps = scope.table.type, list[Field]()
    for relationship in parts[:-1]:
        reference = of.parent(relationship)
        target = scope.view.type(reference.refers_to[0]) if reference and scope.view.sees(of, reference) else None
        if reference is None or target is None or len(steps) == _MAX_HOPS:
            raise _no_relationship(scope, path, relationship)
        steps.append(reference)
        of = target
    field = scope.view.find(of, parts[-1])
    if field is None:
        raise _no_field(scope, path, parts[-1], of)
    return Resolved(field, of, tuple(steps), _reader(scope, of, field, steps))


def _no_field(scope: Scope, path: Path, name: str, of: ObjectType) -> ApiError:
    message = (
        f"No such column '{name}' on entity '{of.name}'. If you are attempting to use a custom field, be sure to "
        "append the '__c' after the custom field name. Please reference your WSDL or the describe call for the "
        "appropriate names."
    )
    return scope.error(path.at, message, "INVALID_FIELD")


def _no_relationship(scope: Scope, path: Path, relationship: str) -> ApiError:
    message = (
        f"Didn't understand relationship '{relationship}' in field path. If you are attempting to use a custom "
        "relationship, be sure to append the '__r' after the custom relationship name. Please reference your WSDL "
        "or the describe call for the appropriate names."
    )
    return scope.error(path.at, message, "INVALID_FIELD")


def _reader(scope: Scope, of: ObjectType, field: Field, steps: Sequence[Field]) -> Read:
    read = field_reader(scope.view, of, field)
    for step in reversed(steps):
        read = _through(scope.view.org.tables[step.refers_to[0]].rows, step.slot, read)
    return read


def field_reader(view: View, of: ObjectType, field: Field) -> Read:
    """The field's value from a row of its own object."""
    if field.formula is not None:
        formula = field.formula
        return lambda row: formula(view.org.as_record(of, row))
    slot = field.slot
    return lambda row: row[slot]


def _through(rows: dict[str, Row], slot: int, read: Read) -> Read:
    def follow(row: Row) -> Any:
        parent = rows.get(row[slot])
        return None if parent is None else read(parent)

    return follow


def _sort_key(scope: Scope, order: Order) -> tuple[Callable[[Row], Any], bool]:
    if isinstance(order.by, Function):
        raise scope.error(order.by.at, f"unexpected token: '{order.by.name}'")
    found = resolve(scope, order.by)
    check_usable(scope, order.by, found.field, "sorted")
    return sort_key(found.read, order), order.descending


def sort_key(read: Read, order: Order) -> Callable[[Row], Any]:
    """Sorts nulls to the side the order asks for; text without case, then as it stands."""
    null_rank = 0 if order.nulls_first != order.descending else 2

    def key(row: Row) -> Any:
        value = read(row)
        if value is None:
            return (null_rank,)
        return (1, value.lower(), value) if isinstance(value, str) else (1, value)

    return key


def check_usable(scope: Scope, path: Path, field: Field, use: str) -> None:
    """Long text and compound fields can be selected, not filtered, sorted or grouped."""
    if field.long_text or field.type == "address" or (use == "sorted" and field.type == "multipicklist"):
        raise scope.error(path.at, f"field '{field.name}' can not be {use} in a query call", "INVALID_FIELD")


def compile_condition(scope: Scope, condition: Condition) -> Test:
    if isinstance(condition, Not):
        inner = compile_condition(scope, condition.term)
        return lambda row: not inner(row)
    if isinstance(condition, Logic):
        return _compile_logic(condition.op, [compile_condition(scope, term) for term in condition.terms])
    return _compile_comparison(scope, condition)


def _compile_logic(op: str, tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return (lambda row: one(row) and two(row)) if op == "AND" else (lambda row: one(row) or two(row))
    if op == "AND":
        return lambda row: all(test(row) for test in tests)
    return lambda row: any(test(row) for test in tests)


def _compile_comparison(scope: Scope, comparison: Comparison) -> Test:
    found = resolve(scope, comparison.field)
    check_usable(scope, comparison.field, found.field, "filtered")
    value = comparison.value
    if isinstance(value, Query):
        return _in_query(scope, comparison, found, value)
    if isinstance(value, tuple):
        if comparison.op in {"INCLUDES", "EXCLUDES"}:
            return _includes(scope, comparison, found, value)
        return _in_values(scope, comparison, found, value)
    if comparison.op == "LIKE":
        return _like(scope, comparison, found, value)
    if value.kind == "days":
        return _within_days(scope, comparison, found, value)
    return _compare(comparison.op, found, literal_value(scope, comparison.field, found.field, value), scope, value.at)


def _compare(op: str, found: Resolved, wanted: Any, scope: Scope, at: int) -> Test:
    fold = is_folded(found.field)
    read = _folded(found.read) if fold else found.read
    wanted = wanted.lower() if fold and wanted is not None else wanted
    if op == "=":
        return lambda row: read(row) == wanted
    if op == "!=":
        return lambda row: read(row) != wanted
    if wanted is None or found.field.type in {"boolean", "id", "reference"}:
        raise scope.error(at, f"invalid operator for field '{found.field.name}'", "INVALID_QUERY_FILTER_OPERATOR")
    return _ordered(op, read, wanted)


def _ordered(op: str, read: Read, wanted: Any) -> Test:
    def test(row: Row) -> bool:
        value = read(row)
        if value is None:
            return False
        return bool(value > wanted if op == ">" else value < wanted if op == "<" else value == wanted)

    if op in {">", "<"}:
        return test
    if op == ">=":
        return lambda row: (value := read(row)) is not None and value >= wanted
    return lambda row: (value := read(row)) is not None and value <= wanted


def is_folded(field: Field) -> bool:
    """Text compares without case; ids, dates and case-sensitive external ids as they stand."""
    plain = field.type in {"id", "reference", "date", "datetime", "boolean", "int"} or field.type in NUMERIC
    return not plain and not field.case_sensitive


def _folded(read: Read) -> Read:
    def fold(row: Row) -> Any:
        value = read(row)
        return None if value is None else value.lower()

    return fold


def _in_values(scope: Scope, comparison: Comparison, found: Resolved, literals: tuple[Literal, ...]) -> Test:
    for literal in literals:
        if literal.kind == "days":
            raise scope.error(literal.at, f"unexpected token: '{literal.text}'")
    values = {literal_value(scope, comparison.field, found.field, literal) for literal in literals}
    return _membership(found, values, negated=comparison.op == "NOT IN")


def _membership(found: Resolved, values: set[Any], *, negated: bool) -> Test:
    read = found.read
    if is_folded(found.field):
        read = _folded(read)
        values = {None if value is None else value.lower() for value in values}
    return (lambda row: read(row) not in values) if negated else (lambda row: read(row) in values)


def _in_query(scope: Scope, comparison: Comparison, found: Resolved, query: Query) -> Test:
    inner = open_scope(scope.view, query, deleted=scope.deleted)
    picked = query.select[0]
    if len(query.select) != 1 or not isinstance(picked, Path) or found.field.type not in {"id", "reference"}:
        raise scope.error(query.at, "a semi join sub-select must select one id field, for an id field")
    chosen = resolve(inner, picked)
    if chosen.field.type not in {"id", "reference"}:
        raise scope.error(query.at, "a semi join sub-select must select one id field, for an id field")
    values = {chosen.read(row) for row in select_rows(inner)} - {None}
    return _membership(found, values, negated=comparison.op == "NOT IN")


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


def literal_value(scope: Scope, path: Path, field: Field, literal: Literal) -> Any:
    """The literal as the field's rows hold it; INVALID_FIELD when the kinds do not fit."""
    if literal.kind == "null":
        return None
    if field.type in {"id", "reference"}:
        return _id_value(scope, path, literal)
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


def _wrong_kind(scope: Scope, path: Path, field: Field) -> ApiError:
    kinds = {"boolean": "boolean", "date": "date", "datetime": "dateTime", "int": "int"}
    kind = kinds.get(field.type, "double" if field.type in NUMERIC else "string")
    quoting = "should be enclosed in quotes" if kind == "string" else "should not be enclosed in quotes"
    message = f"value of filter criterion for field '{field.name}' must be of type {kind} and {quoting}"
    return scope.error(path.at, message, "INVALID_FIELD")


def _id_value(scope: Scope, path: Path, literal: Literal) -> str:
    try:
        if literal.kind != "string":
            raise ValueError(literal.text)
        return full_id(unescape(literal.text))
    except ValueError:
        message = f"invalid ID field: {literal.text[:40]}"
        raise scope.error(path.at, message, "INVALID_QUERY_FILTER_OPERATOR") from None


def _within_days(scope: Scope, comparison: Comparison, found: Resolved, literal: Literal) -> Test:
    if found.field.type not in {"date", "datetime"}:
        raise _wrong_kind(scope, comparison.field, found.field)
    first, end = _day_range(scope.view.org.clock.now().date(), literal.text)
    if found.field.type == "datetime":
        first, end = (stamp_text(datetime.fromisoformat(day).replace(tzinfo=UTC)) for day in (first, end))
    read, op = found.read, comparison.op
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


def _day_range(today: date, text: str) -> tuple[str, str]:
    """First day, and the day after the last, of TODAY or LAST_N_DAYS:3."""
    word, _, count = text.partition(":")
    shift = {"TODAY": 0, "YESTERDAY": -1, "TOMORROW": 1}.get(word)
    if shift is not None:
        first, days = today + timedelta(days=shift), 1
    elif word == "LAST_N_DAYS":
        first, days = today - timedelta(days=int(count)), int(count) + 1
    else:
        first, days = today + timedelta(days=1), int(count)
    return first.isoformat(), (first + timedelta(days=days)).isoformat()
