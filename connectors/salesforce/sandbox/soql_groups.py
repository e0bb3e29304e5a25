"""Aggregates: COUNT, SUM, MIN, MAX and AVG, over everything or by group."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.schema import NUMERIC, Field, Row
from connectors.salesforce.sandbox.soql_evaluate import matching_rows, sort_rows
from connectors.salesforce.sandbox.soql_scope import Scope, check_usable, is_folded, local_parts, resolve
from connectors.salesforce.sandbox.soql_tree import AGGREGATES, Function, Order, Path, Query
from connectors.salesforce.sandbox.values import decimal_json, json_writer, quote_json


def group_records(scope: Scope) -> list[str]:
    """The finished JSON of one record for each group."""
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
    return [_group_json(names, [make(rows) for make in makers]) for rows in lines[: query.limit]]


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
        value, folded = _order_value(scope, order)
        groups = sort_rows(groups, value, order, folded=folded)
    return groups


def _order_value(scope: Scope, order: Order) -> tuple[Sum, bool]:
    """What a group is sorted by, and whether that is text."""
    by = order.by if isinstance(order.by, Function) else _aliased(scope, order.by)
    if isinstance(by, Function):
        return _aggregate(scope, by)[0], False
    _grouped_value(scope, by)
    found = resolve(scope, by)
    return lambda rows: found.read(rows[0]), is_folded(found.field)


def _aliased(scope: Scope, path: Path) -> Path | Function:
    """The selected function whose alias the path is, or else the path itself."""
    name = path.parts[0].lower()
    functions = (item for item in scope.query.select if isinstance(item, Function))
    return next((item for item in functions if len(path.parts) == 1 and item.alias.lower() == name), path)


def _group_json(names: list[str], values: list[str]) -> str:
    cells = "".join(f",{quote_json(name)}:{value}" for name, value in zip(names, values, strict=True))
    return f'{{"attributes":{{"type":"AggregateResult"}}{cells}}}'
