"""Which rows a query finds, and in what order."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from connectors.salesforce.sandbox.schema import Row
from connectors.salesforce.sandbox.soql_scope import (
    Resolved,
    Scope,
    check_usable,
    is_folded,
    local_parts,
    open_scope,
    resolve,
)
from connectors.salesforce.sandbox.soql_tree import Comparison, Function, Literal, Logic, Operand, Order, Path, Query
from connectors.salesforce.sandbox.soql_where import compile_condition, id_value

T = TypeVar("T")


def select_rows(scope: Scope) -> list[Row]:
    """The rows the query's WHERE, ORDER BY, LIMIT and OFFSET leave, in order."""
    query = scope.query
    rows = matching_rows(scope)
    for order, found in reversed([(one, _sortable(scope, one)) for one in query.order]):
        rows = sort_rows(rows, found.read, order, folded=is_folded(found.field))
    end = None if query.limit is None else query.offset + query.limit
    return rows[query.offset : end]


def sort_rows(rows: list[T], read: Callable[[T], Any], order: Order, *, folded: bool) -> list[T]:
    """Stable. Nulls go to the side the order asks for; text sorts without case, then as it stands."""
    present = [row for row in rows if read(row) is not None]

    def fold(row: T) -> tuple[str, str]:
        text = read(row)
        return text.lower(), text

    present.sort(key=fold if folded else read, reverse=order.descending)
    if len(present) == len(rows):
        return present
    absent = [row for row in rows if read(row) is None]
    return absent + present if order.nulls_first else present + absent


def _sortable(scope: Scope, order: Order) -> Resolved:
    if isinstance(order.by, Function):
        raise scope.error(order.by.at, f"unexpected token: '{order.by.name}'")
    found = resolve(scope, order.by)
    check_usable(scope, order.by, found.field, "sorted")
    return found


def check_rows(scope: Scope) -> None:
    """Resolve WHERE and ORDER BY without running them."""
    if scope.query.where is not None:
        compile_condition(scope, scope.query.where, pick_ids)
    for one in scope.query.order:
        _sortable(scope, one)


def pick_ids(scope: Scope, query: Query) -> set[Any]:
    """The ids a semi join's sub-select finds."""
    inner, picked = open_scope(scope.view, query, deleted=scope.deleted), query.select[0]
    chosen = resolve(inner, picked) if isinstance(picked, Path) else None
    if len(query.select) != 1 or chosen is None or chosen.field.type not in {"id", "reference"}:
        raise scope.error(query.at, "a semi join sub-select must select one id field, for an id field")
    return {chosen.read(row) for row in select_rows(inner)} - {None}


def matching_rows(scope: Scope) -> list[Row]:
    """The visible rows that meet the WHERE, in no promised order."""
    test = compile_condition(scope, scope.query.where, pick_ids) if scope.query.where is not None else None
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
                ids = {id_value(scope, term.field, value) for value in values if isinstance(value, Literal)}
                return [scope.table.rows[one] for one in ids if one in scope.table.rows]
    return scope.table.rows.values()


def _is_id(scope: Scope, operand: Operand) -> bool:
    if not isinstance(operand, Path):
        return False
    parts = local_parts(scope, operand)
    return len(parts) == 1 and parts[0].lower() == "id"
