"""The locks that a write takes: a row is written under its parent, and a parent that somebody else holds refuses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from connectors.salesforce.sandbox.engine import Call, Engine
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.schema import ObjectType

PARENTS = {"Opportunity": "AccountId", "Contact": "AccountId", "Account": "ParentId"}


def parent_of(engine: Engine, of: ObjectType, target: str, values: Mapping[str, Any]) -> str:
    """The parent under which the row is written: the new one, else the one it has; empty without any."""
    name = PARENTS.get(of.name, "")
    row = engine.org.tables[of.name].rows.get(target)
    return str(values.get(name) or (row[of.slot(name)] if row is not None and name else None) or "")


def take_lock(engine: Engine, call: Call, of: ObjectType, target: str, values: Mapping[str, Any]) -> None:
    parent = parent_of(engine, of, target, values)
    if not parent:
        return
    if engine.faults.strike_lock(call.kind, parent, call.children[parent]) is not None:
        raise locked(parent)
    call.children[parent] += 1


def locked(parent: str) -> ApiError:
    message = f"unable to obtain exclusive access to this record or 1 records: {parent}"
    return ApiError("UNABLE_TO_LOCK_ROW", message)
