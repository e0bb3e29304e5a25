"""What a query's SELECT asks for, as JSON records and as CSV lines, plus counts and aggregates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.access import View
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.schema import NUMERIC, Field, ObjectType, Row
from connectors.salesforce.sandbox.soql_evaluate import (
    Read,
    Resolved,
    Scope,
    check_rows,
    check_usable,
    field_reader,
    local_parts,
    matching_rows,
    open_scope,
    resolve,
    select_rows,
    sort_key,
)
from connectors.salesforce.sandbox.soql_parse import AGGREGATES, Function, Order, Path, Query, parse
from connectors.salesforce.sandbox.values import csv_writer, decimal_json, dump_json, json_writer, quote_json

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
        return _answer_groups(scope)
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
    if any(not isinstance(item, Path) for item in query.select):
        raise scope.error(query.at, "only fields can be selected in an inner query")
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
    return Query(
        query.text, query.select, query.object, query.at, query.alias, query.where, query.group, query.order, None, 0
    )


def _cells_writer(columns: Iterable[tuple[Read, Field]]) -> Callable[[Row], list[str]]:
    writers = [(read, csv_writer(one.type)) for read, one in columns]

    def cells(row: Row) -> list[str]:
        values = [(read(row), write) for read, write in writers]
        return ['""' if value is None else f'"{write(value)}"' for value, write in values]

    return cells


# Aggregates


def _answer_groups(scope: Scope) -> Answer:
    query = scope.query
    group = [resolve(scope, path) for path in query.group]
    for path, found in zip(query.group, group, strict=True):
        check_usable(scope, path, found.field, "grouped")
    if query.offset or any(isinstance(item, Query) for item in query.select):
        raise scope.error(query.at, "Grouped query cannot use OFFSET or an inner query")
    names, makers = _group_columns(scope)
    buckets: dict[tuple[Any, ...], list[Row]] = {} if group else {(): []}
    for row in matching_rows(scope):
        buckets.setdefault(tuple(found.read(row) for found in group), []).append(row)
    lines = _sorted_groups(scope, list(buckets.values()))
    records = [_group_json(names, [make(rows) for make in makers]) for rows in lines[: query.limit]]
    return Answer(scope, len(records), records=records)


Make = Callable[[list[Row]], str]
Sum = Callable[[list[Row]], Any]


def _group_columns(scope: Scope) -> tuple[list[str], list[Make]]:
    names, makers, unnamed = [], list[Make](), 0
    for item in scope.query.select:
        if isinstance(item, Function):
            value, write = _aggregate(scope, item)
            names.append(item.alias or f"expr{unnamed}")
            unnamed += not item.alias
            makers.append(_null_or(value, write))
        elif isinstance(item, Path):
            names.append(item.parts[-1])
            makers.append(_grouped_value(scope, item))
    return names, makers


def _null_or(value: Sum, write: Callable[[Any], str]) -> Make:
    def make(rows: list[Row]) -> str:
        found = value(rows)
        return "null" if found is None else write(found)

    return make


def _grouped_value(scope: Scope, path: Path) -> Make:
    wanted = tuple(part.lower() for part in local_parts(scope, path))
    if wanted not in {tuple(part.lower() for part in local_parts(scope, one)) for one in scope.query.group}:
        raise scope.error(path.at, f"Field must be grouped or aggregated: {path.parts[-1]}")
    found = resolve(scope, path)
    return _null_or(lambda rows: found.read(rows[0]), json_writer(found.field.type))


def _aggregate(scope: Scope, function: Function) -> tuple[Sum, Callable[[Any], str]]:
    if function.name not in AGGREGATES:
        raise scope.error(function.at, f"unexpected token: '{function.name}'")
    if function.argument is None:
        if function.name != "COUNT":
            raise scope.error(function.at, f"unexpected token: '{function.name}'")
        return len, str
    found = resolve(scope, function.argument)
    if found.field.long_text or found.field.type in {"address", "boolean"} or not _sums(function.name, found.field):
        message = f"field {found.field.name} does not support aggregate operator {function.name}"
        raise scope.error(function.argument.at, message)
    summarise = _SUMMARIES[function.name]

    def value(rows: list[Row]) -> Any:
        return summarise([one for one in map(found.read, rows) if one is not None])

    if function.name.startswith("COUNT"):
        return value, str
    return value, decimal_json if function.name == "AVG" else json_writer(found.field.type)


def _sums(name: str, one: Field) -> bool:
    return name not in {"SUM", "AVG"} or one.type in NUMERIC or one.type == "int"


_SUMMARIES: dict[str, Callable[[list[Any]], Any]] = {
    "COUNT": len,
    "COUNT_DISTINCT": lambda values: len(set(values)),
    "SUM": lambda values: sum(values) if values else None,
    "MIN": lambda values: min(values, default=None),
    "MAX": lambda values: max(values, default=None),
    "AVG": lambda values: Decimal(sum(values)) / len(values) if values else None,
}


def _sorted_groups(scope: Scope, groups: list[list[Row]]) -> list[list[Row]]:
    for order in reversed(scope.query.order):
        value = _order_value(scope, order)
        # A group is keyed by its first row for a grouped field, by all its rows for an aggregate.
        groups.sort(key=sort_key(value, order), reverse=order.descending)
    return groups


def _order_value(scope: Scope, order: Order) -> Callable[[Any], Any]:
    if isinstance(order.by, Function):
        return _aggregate(scope, order.by)[0]
    if len(order.by.parts) == 1:
        aliases = {item.alias.lower(): item for item in scope.query.select if isinstance(item, Function) and item.alias}
        aliased = aliases.get(order.by.parts[0].lower())
        if aliased is not None:
            return _aggregate(scope, aliased)[0]
    _grouped_value(scope, order.by)
    read = resolve(scope, order.by).read
    return lambda rows: read(rows[0])


def _group_json(names: list[str], values: list[str]) -> str:
    cells = "".join(f",{quote_json(name)}:{value}" for name, value in zip(names, values, strict=True))
    return f'{{"attributes":{{"type":"AggregateResult"}}{cells}}}'


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
