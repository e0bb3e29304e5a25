"""Single records over REST, and the one way in which every API writes a row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.locks import take_lock
from connectors.salesforce.sandbox.rest import visible_type
from connectors.salesforce.sandbox.schema import Field, ObjectType, Row
from connectors.salesforce.sandbox.soql_answer import attributes_json, field_json
from connectors.salesforce.sandbox.values import quote_json
from connectors.salesforce.sandbox.wire import read_json
from connectors.salesforce.sandbox.write import record_id


@dataclass(frozen=True, slots=True)
class Written:
    id: str
    created: bool


def insert_row(engine: Engine, call: Call, of: ObjectType, values: Mapping[str, Any]) -> Written:
    if any(name.lower() == "id" for name in values):
        raise ApiError("INVALID_FIELD_FOR_INSERT_UPDATE", "cannot specify Id in an insert call", fields=("Id",))
    _meet_fault(engine, call, "")
    take_lock(engine, call, of, "", values)
    made = engine.org.create(of.name, values, user=call.user)
    engine.written[of.name] += 1
    return Written(made, created=True)


def update_row(engine: Engine, call: Call, of: ObjectType, target: str, values: Mapping[str, Any]) -> Written:
    if not of.updateable:
        raise ApiError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be updated: {of.label}")
    target = _visible_id(engine, call, of, target)
    _meet_fault(engine, call, target)
    take_lock(engine, call, of, target, values)
    engine.org.update(of.name, target, values, user=call.user)
    engine.written[of.name] += 1
    return Written(target, created=False)


def delete_row(engine: Engine, call: Call, of: ObjectType, target: str) -> Written:
    target = _visible_id(engine, call, of, target)
    _meet_fault(engine, call, target)
    engine.org.delete(of.name, target, user=call.user)
    return Written(target, created=False)


def upsert_row(
    engine: Engine,
    call: Call,
    of: ObjectType,
    key: Field,
    value: Any,
    values: Mapping[str, Any],
    *,
    create: bool = True,
) -> Written:
    """By external id (or Id). AmbiguousKey when several records have it."""
    matches = _live_matches(engine, call, of, key, value)
    if len(matches) > 1:
        raise AmbiguousKey([row[0] for row in matches])
    if matches:
        return update_row(engine, call, of, matches[0][0], values)
    if not create or key.type == "id":
        raise not_found()
    return insert_row(engine, call, of, {**values, key.name: value})


class AmbiguousKey(ApiError):  # noqa: N818 - named after what it is: a 300, no failure
    """Several records carry the external id: status 300 over REST, DUPLICATE_EXTERNAL_ID in a row."""

    def __init__(self, ids: list[str]) -> None:
        super().__init__("DUPLICATE_EXTERNAL_ID", "Duplicate external id specified: " + ",".join(ids), status=300)
        self.ids = ids


def key_field(engine: Engine, call: Call, of: ObjectType, name: str) -> Field:
    found = engine.view(call).find(of, name)
    if found is None or not found.id_lookup:
        raise not_found("Provided external ID field does not exist or is not accessible: " + name)
    return found


def _live_matches(engine: Engine, call: Call, of: ObjectType, key: Field, value: Any) -> list[Row]:
    table, view = engine.org.tables[of.name], engine.view(call)
    wanted = record_id(str(value)) if key.type == "id" else value
    return [row for row in table.matching(key.name, wanted) if table.alive(row) and view.sees_row(row)]


def _visible_id(engine: Engine, call: Call, of: ObjectType, text: str) -> str:
    target = record_id(text)
    row = engine.org.tables[of.name].rows.get(target)
    if row is not None and not engine.view(call).sees_row(row):
        raise not_found()
    if row is None and target in engine.org.deletions:
        raise ApiError("ENTITY_IS_DELETED", "entity is deleted", status=404)
    if row is None:
        raise not_found()
    return target


def _meet_fault(engine: Engine, call: Call, target: str) -> None:
    fault = engine.faults.strike_row(call.kind, target)
    if fault is not None:
        raise ApiError(fault.code, fault.message, fields=())


def create(engine: Engine, call: Call, name: str) -> Reply:
    of = visible_type(engine, call, name)
    written = insert_row(engine, call, of, _fields(read_json(call)))
    return _created(call, of, written, 201)


def _created(call: Call, of: ObjectType, written: Written, status: int, **extra: Any) -> Reply:
    location = f"/services/data/v{call.version}/sobjects/{of.name}/{written.id}"
    return json_reply({"id": written.id, "success": True, "errors": [], **extra}, status, Location=location)


def _fields(body: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in body.items() if name != "attributes"}


def retrieve(engine: Engine, call: Call, name: str, target: str) -> Reply:
    of = visible_type(engine, call, name)
    row = engine.org.row(engine.org.tables[of.name], _visible_id(engine, call, of, target))
    return Reply(body=record_json(engine, call, of, row, _wanted(engine, call, of)).encode())


def retrieve_by_key(engine: Engine, call: Call, name: str, key_name: str, value: str) -> Reply:
    of = visible_type(engine, call, name)
    matches = _live_matches(engine, call, of, key_field(engine, call, of, key_name), value)
    if not matches:
        raise not_found()
    if len(matches) > 1:
        return _ambiguous(call, of, [row[0] for row in matches])
    return Reply(body=record_json(engine, call, of, matches[0], _wanted(engine, call, of)).encode())


def _ambiguous(call: Call, of: ObjectType, ids: list[str]) -> Reply:
    return json_reply([f"/services/data/v{call.version}/sobjects/{of.name}/{one}" for one in ids], 300)


def _wanted(engine: Engine, call: Call, of: ObjectType) -> list[Field]:
    names = [name for name in call.query.get("fields", "").split(",") if name]
    return pick_fields(engine, call, of, names) if names else list(engine.view(call).fields(of).values())


def pick_fields(engine: Engine, call: Call, of: ObjectType, names: list[str]) -> list[Field]:
    view, picked = engine.view(call), list[Field]()
    for name in names:
        found = view.find(of, name)
        if found is None:
            raise ApiError("INVALID_FIELD", f"No such column '{name}' on sobject of type {of.name}")
        picked.append(found)
    return picked


def record_json(engine: Engine, call: Call, of: ObjectType, row: Row, fields: list[Field]) -> str:
    before, after = attributes_json(of, call.version)
    view = engine.view(call)
    cells = [f",{quote_json(one.name)}:{field_json(view, of, one)(row)}" for one in fields]
    return before + str(row[0]) + after + "".join(cells) + "}"


def update(engine: Engine, call: Call, name: str, target: str) -> Reply:
    update_row(engine, call, visible_type(engine, call, name), target, _fields(read_json(call)))
    return Reply(204)


def delete(engine: Engine, call: Call, name: str, target: str) -> Reply:
    delete_row(engine, call, visible_type(engine, call, name), target)
    return Reply(204)


def upsert(engine: Engine, call: Call, name: str, key_name: str, value: str) -> Reply:
    of = visible_type(engine, call, name)
    key = key_field(engine, call, of, key_name)
    values = _fields(read_json(call))
    if key.type != "id" and key.name in values:
        raise ApiError("INVALID_FIELD", "The " + key.name + " field should not be specified in the sobject data.")
    create_too = call.query.get("updateOnly", "").lower() != "true"
    try:
        written = upsert_row(engine, call, of, key, value, values, create=create_too)
    except AmbiguousKey as several:
        return _ambiguous(call, of, several.ids)
    if not written.created and float(call.version) < 46:
        return Reply(204)
    return _created(call, of, written, 201 if written.created else 200, created=written.created)
