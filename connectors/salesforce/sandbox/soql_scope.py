"""Names in a query -> fields of the org, as one user sees them; every row is cheap afterwards."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

from connectors.salesforce.sandbox.access import View
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.schema import NUMERIC, Field, ObjectType, Row
from connectors.salesforce.sandbox.soql_dates import DATE_PARTS, OF_DATETIMES
from connectors.salesforce.sandbox.soql_tree import Function, Operand, Path, Query, placed
from connectors.salesforce.sandbox.tables import Table

Read = Callable[[Row], Any]
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


def local_parts(scope: Scope, path: Path) -> tuple[str, ...]:
    """The path without the object's own name or alias in front."""
    head = path.parts[0].lower()
    own = {scope.query.alias.lower(), scope.table.type.name.lower()}
    return path.parts[1:] if len(path.parts) > 1 and head in own and not scope.table.type.parent(head) else path.parts


def resolve(scope: Scope, operand: Operand) -> Resolved:
    """A field, or a part of one's date; INVALID_FIELD when it is missing or hidden from the user."""
    return _resolve_part(scope, operand) if isinstance(operand, Function) else _resolve_path(scope, operand)


def _resolve_part(scope: Scope, function: Function) -> Resolved:
    """`CALENDAR_YEAR(CloseDate)` as if it were a field; aggregates have no place outside of groups."""
    make = DATE_PARTS.get(function.name)
    if make is None or function.argument is None:
        raise scope.error(function.at, f"unexpected token: '{function.name}'")
    inner = _resolve_path(scope, function.argument)
    if inner.field.type not in ({"datetime"} if function.name in OF_DATETIMES else {"date", "datetime"}):
        raise scope.error(function.at, f"field '{inner.field.name}' does not support function {function.name}")
    read = inner.read
    field = Field(function.name, "date" if function.name == "DAY_ONLY" else "int")
    return Resolved(field, inner.of, inner.steps, lambda row: None if (text := read(row)) is None else make(text))


def _resolve_path(scope: Scope, path: Path) -> Resolved:
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
    return itemgetter(field.slot)


def _through(rows: dict[str, Row], slot: int, read: Read) -> Read:
    def follow(row: Row) -> Any:
        parent = rows.get(row[slot])
        return None if parent is None else read(parent)

    return follow


def check_usable(scope: Scope, path: Operand, field: Field, use: str) -> None:
    """Long text and compound fields can be selected, not filtered, sorted or grouped."""
    if field.long_text or field.type == "address" or (use == "sorted" and field.type == "multipicklist"):
        raise scope.error(path.at, f"field '{field.name}' can not be {use} in a query call", "INVALID_FIELD")


def is_folded(field: Field) -> bool:
    """Text compares without case; ids, dates and case-sensitive external ids as they stand."""
    plain = field.type in {"id", "reference", "date", "datetime", "boolean", "int"} or field.type in NUMERIC
    return not plain and not field.case_sensitive
