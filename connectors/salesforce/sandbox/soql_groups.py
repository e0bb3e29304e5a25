"""Aggregates: COUNT, SUM, MIN, MAX and AVG, over everything or by group, and HAVING."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.schema import NUMERIC, Field, Row
from connectors.salesforce.sandbox.soql_evaluate import matching_rows, pick_ids, sort_rows
from connectors.salesforce.sandbox.soql_scope import (
    Resolved,
    Scope,
    check_usable,
    is_folded,
    local_parts,
    resolve,
)
from connectors.salesforce.sandbox.soql_tree import AGGREGATES, Function, Operand, Path, Query
from connectors.salesforce.sandbox.soql_where import compile_condition
from connectors.salesforce.sandbox.values import json_writer, quote_json


def group_records(scope: Scope) -> list[str]:
    """The finished JSON of one record for each group."""
    query = scope.query
    group = [resolve(scope, operand) for operand in query.group]
    for operand, found in zip(query.group, group, strict=True):
        check_usable(scope, operand, found.field, "grouped")
    if query.offset or any(isinstance(item, Query) for item in query.select):
        raise scope.error(query.at, "Grouped query cannot use OFFSET or an inner query")
    columns = _group_columns(scope)
    kept = compile_condition(scope, query.having, pick_ids, _of_group) if query.having is not None else None
    buckets: dict[tuple[Any, ...], list[Row]] = {} if group else {(): []}
    for row in matching_rows(scope):
        buckets.setdefault(tuple(found.read(row) for found in group), []).append(row)
    lines = _sorted_groups(scope, list(filter(kept, buckets.values())) if kept else list(buckets.values()))
    return [_group_json(columns, rows) for rows in lines[: query.limit]]


Make = Callable[[list[Row]], str]


def _group_columns(scope: Scope) -> dict[str, Make]:
    columns, unnamed = dict[str, Make](), 0
    for item in scope.query.select:
        if isinstance(item, Query):
            continue
        name = item.alias or (item.parts[-1] if isinstance(item, Path) else f"expr{unnamed}")
        unnamed += isinstance(item, Function) and not item.alias
        if name in columns:
            raise scope.error(item.at, f"duplicate alias: {name}")
        columns[name] = _writer(_of_group(scope, item))
    return columns


def _writer(found: Resolved) -> Make:
    write = json_writer(found.field.type)
    return lambda rows: "null" if (value := found.read(rows)) is None else write(value)


def _of_group(scope: Scope, operand: Operand) -> Resolved:
    """An aggregate, or what the rows are grouped by; its `read` takes the rows of a group."""
    if isinstance(operand, Function) and operand.name in AGGREGATES:
        return _aggregate(scope, operand)
    found = resolve(scope, operand)
    if _key(scope, operand) not in {_key(scope, one) for one in scope.query.group}:
        raise scope.error(operand.at, f"Field must be grouped or aggregated: {found.field.name}")
    return replace(found, read=lambda rows: found.read(rows[0]))


def _key(scope: Scope, operand: Operand) -> tuple[str, ...]:
    """Equal for two ways to write the same."""
    if isinstance(operand, Path):
        return tuple(part.lower() for part in local_parts(scope, operand))
    return (f"{operand.name}()", *(_key(scope, operand.argument) if operand.argument else ()))


def _aggregate(scope: Scope, function: Function) -> Resolved:
    if function.argument is None:
        raise scope.error(function.at, f"unexpected token: '{function.name}'")
    found = resolve(scope, function.argument)
    if found.field.long_text or found.field.type in {"address", "boolean"} or not _sums(function.name, found.field):
        message = f"field {found.field.name} does not support aggregate operator {function.name}"
        raise scope.error(function.argument.at, message)
    summarise = _SUMMARIES[function.name]

    def value(rows: list[Row]) -> Any:
        return summarise([one for one in map(found.read, rows) if one is not None])

    types = {"COUNT": "int", "COUNT_DISTINCT": "int", "AVG": "double"}
    field = Field(function.name, types[function.name]) if function.name in types else found.field
    return Resolved(field, found.of, (), value)


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
        found = _of_group(scope, _aliased(scope, order.by))
        groups = sort_rows(groups, found.read, order, folded=is_folded(found.field))
    return groups


def _aliased(scope: Scope, operand: Operand) -> Operand:
    """What is selected under the alias that the operand is, or else the operand itself."""
    name = operand.parts[0].lower() if isinstance(operand, Path) and len(operand.parts) == 1 else ""
    selected = (item for item in scope.query.select if not isinstance(item, Query))
    return next((item for item in selected if name and item.alias.lower() == name), operand)


def _group_json(columns: dict[str, Make], rows: list[Row]) -> str:
    cells = "".join(f",{quote_json(name)}:{make(rows)}" for name, make in columns.items())
    return f'{{"attributes":{{"type":"AggregateResult"}}{cells}}}'
