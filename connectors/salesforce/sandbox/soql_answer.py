"""What a query's SELECT asks for, as JSON records and as CSV lines, plus counts and aggregates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from connectors.salesforce.sandbox.access import View
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.schema import Field, ObjectType, Row
from connectors.salesforce.sandbox.soql_evaluate import check_rows, select_rows
from connectors.salesforce.sandbox.soql_groups import group_records
from connectors.salesforce.sandbox.soql_parse import parse
from connectors.salesforce.sandbox.soql_scope import Read, Resolved, Scope, field_reader, is_folded, open_scope, resolve
from connectors.salesforce.sandbox.soql_tree import AGGREGATES, Function, Path, Query
from connectors.salesforce.sandbox.values import csv_writer, dump_json, json_writer, quote_json

Write = Callable[[Row], str]
_FIELDS_LIMIT = 200


@dataclass(slots=True)
class Answer:
    """A query that was understood, with the rows it found.

    `count_only`: `SELECT count()`, whose answer is `total` and no records. `records`: finished JSON of aggregate
    rows, when the query groups. Otherwise `rows`, to be rendered by `json_record`.
    """

    scope: Scope
    total: int = 0
    count_only: bool = False
    records: list[str] | None = None
    rows: list[Row] = field(default_factory=list)
    json_record: Callable[[Row], str] = str
    columns: tuple[str, ...] = ()


def answer_query(view: View, text: str, version: str, *, deleted: bool) -> Answer:
    """Parse, resolve and run a query for one user."""
    scope = open_scope(view, parse(text), deleted=deleted)
    query = scope.query
    functions = [item for item in query.select if isinstance(item, Function) and item.name in AGGREGATES]
    if len(query.select) == 1 and functions and functions[0].name == "COUNT" and not functions[0].argument:
        return _answer_count(scope, functions[0])
    if functions or query.group:
        records = group_records(scope)
        return Answer(scope, len(records), records=records)
    plan = plan_select(scope, version)
    rows = select_rows(scope)
    return Answer(scope, len(rows), rows=rows, json_record=plan.json_record, columns=plan.columns)


def _answer_count(scope: Scope, function: Function) -> Answer:
    if function.alias or scope.query.group or scope.query.order:
        raise scope.error(function.at, "Grouped query cannot use COUNT() without a field")
    return Answer(scope, len(select_rows(scope)), count_only=True)


@dataclass(slots=True)
class Selection:
    """Compiled SELECT: how a row becomes a JSON record, or the cells of a CSV line."""

    json_record: Write
    columns: tuple[str, ...]
    csv_cells: Callable[[Row], list[str]]


@dataclass(slots=True)
class _Parent:
    reference: Field
    of: ObjectType
    members: dict[str, _Parent | Write] = field(default_factory=dict)


def plan_select(scope: Scope, version: str) -> Selection:
    root = _Parent(Field("Id"), scope.table.type)
    columns: dict[str, tuple[Read, Field]] = {}
    for item in scope.query.select:
        if isinstance(item, Query):
            _plan_children(scope, root, item, version)
            continue
        for path in _expand(scope, item):
            found = resolve(scope, path)
            _place(scope, root, found)
            columns[_dotted(found)] = (found.read, found.field)
    return Selection(_record_writer(scope.view, root, version), tuple(columns), _cells_writer(columns.values()))


def _dotted(found: Resolved) -> str:
    return ".".join([*(step.relationship for step in found.steps), found.field.name])


def _expand(scope: Scope, item: Path | Function) -> list[Path]:
    """The item's own path, or every path behind FIELDS(...)."""
    if item.alias:
        raise scope.error(item.at, "only aggregate expressions use field aliasing")
    if isinstance(item, Path):
        return [item]
    if item.name != "FIELDS" or item.argument is None:
        raise scope.error(item.at, f"unexpected token: '{item.name}'")
    wanted = item.argument.parts[0].upper()
    if wanted not in {"ALL", "STANDARD", "CUSTOM"}:
        raise scope.error(item.argument.at, f"unexpected token: '{item.argument.parts[0]}'")
    if wanted != "STANDARD" and not (scope.query.limit is not None and scope.query.limit <= _FIELDS_LIMIT):
        message = f"The SOQL FIELDS function must have a LIMIT of at most {_FIELDS_LIMIT}"
        raise scope.error(item.at, message)
    visible = scope.view.fields(scope.table.type).values()
    return [Path((one.name,), item.at) for one in visible if wanted == "ALL" or one.custom == (wanted == "CUSTOM")]


def _place(scope: Scope, root: _Parent, found: Resolved) -> None:
    node, of = root, scope.table.type
    for step in found.steps:
        of = scope.view.org.tables[step.refers_to[0]].type
        child = node.members.setdefault(step.relationship, _Parent(step, of))
        if not isinstance(child, _Parent):
            raise scope.error(0, f"duplicate field selected: {step.relationship}")
        node = child
    if found.field.name in node.members:
        raise scope.error(scope.query.at, f"duplicate field selected: {found.field.name}")
    node.members[found.field.name] = field_json(scope.view, found.of, found.field)


def field_json(view: View, of: ObjectType, one: Field) -> Write:
    """JSON of one field from a row of its own object; an address is put together from its visible parts."""
    if one.type == "address":
        return _address_json(view, of, one)
    read, write = field_reader(view, of, one), json_writer(one.type)

    def write_json(row: Row) -> str:
        value = read(row)
        return "null" if value is None else write(value)

    return write_json


def _address_json(view: View, of: ObjectType, compound: Field) -> Write:
    stem = compound.name.removesuffix("Address")
    parts = {one.name.removeprefix(stem): one.slot for one in of.fields.values() if one.compound == compound.name}
    names = {part[0].lower() + part[1:]: slot for part, slot in parts.items() if view.find(of, stem + part)}
    extra: dict[str, Any] = {"geocodeAccuracy": None, "latitude": None, "longitude": None}

    def write_json(row: Row) -> str:
        values = {name: row[slot] for name, slot in names.items()}
        return dump_json(values | extra) if any(value is not None for value in values.values()) else "null"

    return write_json


def attributes_json(of: ObjectType, version: str) -> tuple[str, str]:
    """What stands before and after the id in a record's `attributes`."""
    return f'{{"attributes":{{"type":"{of.name}","url":"/services/data/v{version}/sobjects/{of.name}/', '"}'


def _record_writer(view: View, node: _Parent, version: str) -> Write:
    before, after = attributes_json(node.of, version)
    writers = [
        (f",{quote_json(name)}:", _parent_writer(view, member, version) if isinstance(member, _Parent) else member)
        for name, member in node.members.items()
    ]

    def write_json(row: Row) -> str:
        return before + str(row[0]) + after + "".join([key + write(row) for key, write in writers]) + "}"

    return write_json


def _parent_writer(view: View, node: _Parent, version: str) -> Write:
    rows, slot, write = view.org.tables[node.of.name].rows, node.reference.slot, _record_writer(view, node, version)

    def write_json(row: Row) -> str:
        parent = rows.get(row[slot])
        return "null" if parent is None else write(parent)

    return write_json


def _plan_children(scope: Scope, root: _Parent, query: Query, version: str) -> None:
    """A sub-query over a child relationship: an envelope per record, null when it has no children."""
    children = {one.name.lower(): one for one in scope.table.type.children.values()}
    child = children.get(query.object.lower())
    if child is None or scope.view.type(child.object) is None:
        message = f"Didn't understand relationship '{query.object}' in FROM part of query call."
        raise scope.error(query.at, message, "INVALID_TYPE")
    if query.group or any(not isinstance(item, Path) for item in query.select):
        raise scope.error(query.at, "only fields can be selected in an inner query, and not grouped")
    table = scope.view.org.tables[child.object]
    inner = Scope(scope.view, query, table, scope.deleted)
    write = plan_select(inner, version).json_record
    slot = table.type.slot(child.field)
    by_parent: dict[str, list[Row]] = {}
    for row in select_rows(Scope(scope.view, _unlimited(query), table, scope.deleted)):
        by_parent.setdefault(row[slot], []).append(row)
    end = None if query.limit is None else query.offset + query.limit

    def write_json(row: Row) -> str:
        found = by_parent.get(row[0], [])[query.offset : end]
        if not found:
            return "null"
        return f'{{"totalSize":{len(found)},"done":true,"records":[{",".join(map(write, found))}]}}'

    root.members[child.name] = write_json


def _unlimited(query: Query) -> Query:
    return replace(query, limit=None, offset=0)


def _cells_writer(columns: Iterable[tuple[Read, Field]]) -> Callable[[Row], list[str]]:
    writers = [_cell_writer(read, one) for read, one in columns]
    return lambda row: [write(row) for write in writers]


def _cell_writer(read: Read, one: Field) -> Write:
    """A quoted cell. One call a cell: bulk answers have millions of them."""
    if one.type in {"id", "reference", "date"}:
        return lambda row: f'"{value}"' if (value := read(row)) else '""'
    if one.type == "boolean":
        return lambda row: '"true"' if read(row) else '"false"'
    if is_folded(one):
        return lambda row: '"' + value.replace('"', '""') + '"' if (value := read(row)) else '""'
    write = csv_writer(one.type)
    return lambda row: '""' if (value := read(row)) is None else f'"{write(value)}"'


def prepare_bulk(view: View, text: str, version: str, *, deleted: bool) -> tuple[Scope, Selection]:
    """A query for the Bulk API, resolved but not run; ApiError for what REST would answer and Bulk does not."""
    scope = open_scope(view, parse(text), deleted=deleted)
    query = scope.query
    if not scope.table.type.bulk:
        raise ApiError("INVALIDENTITY", f"Entity '{scope.table.type.name}' is not supported by the Bulk API.")
    if query.group or query.offset or any(not isinstance(item, Path) for item in query.select):
        raise ApiError("API_ERROR", "Aggregate functions, OFFSET and sub-queries are not supported in Bulk Query")
    for item in query.select:
        if isinstance(item, Path) and resolve(scope, item).field.type == "address":
            raise ApiError("API_ERROR", "Selecting compound data not supported in Bulk Query")
    check_rows(scope)
    return scope, plan_select(scope, version)
