"""`/composite/sobjects`: up to 200 records in one call, answered row by row in the order of the request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.records import (
    Written,
    delete_row,
    insert_row,
    key_field,
    pick_fields,
    record_json,
    update_row,
    upsert_row,
)
from connectors.salesforce.sandbox.rest import visible_type
from connectors.salesforce.sandbox.schema import ObjectType
from connectors.salesforce.sandbox.values import Raw
from connectors.salesforce.sandbox.wire import read_json, row_error
from connectors.salesforce.sandbox.write import record_id

MOST = 200
Write = Callable[[Any], Written]


def create_many(engine: Engine, call: Call) -> Reply:
    def write(record: Any) -> Written:
        of, values = _read_record(engine, call, record)
        return insert_row(engine, call, of, values)

    return _write_all(engine, read_json(call), write)


def update_many(engine: Engine, call: Call) -> Reply:
    seen: set[str] = set()

    def write(record: Any) -> Written:
        of, values = _read_record(engine, call, record)
        target = _take_id(values)
        if not target:
            raise ApiError("MISSING_ARGUMENT", "Id not specified in an update call", fields=("Id",))
        if record_id(target) in seen:
            raise ApiError("DUPLICATE_VALUE", f"duplicate id in the request: {target}", fields=("Id",))
        seen.add(record_id(target))
        return update_row(engine, call, of, target, values)

    return _write_all(engine, read_json(call), write)


def upsert_many(engine: Engine, call: Call, name: str, key_name: str) -> Reply:
    of = visible_type(engine, call, name)
    key = key_field(engine, call, of, key_name)

    def write(record: Any) -> Written:
        given, values = _read_record(engine, call, record, key_name)
        if given is not of:
            raise ApiError("INVALID_TYPE", f"all records must be of type {of.name}")
        value = _take_id(values) if key.type == "id" else values.pop(key.name, None)
        if key.type == "id" and not value:
            # Recorded traffic shows it: an upsert by a null Id creates.
            return insert_row(engine, call, of, values)
        if value is None:
            raise ApiError("MISSING_ARGUMENT", f"{key.name} not specified", fields=(key.name,))
        return upsert_row(engine, call, of, key, value, values)

    return _write_all(engine, read_json(call), write, told_created=True)


def delete_many(engine: Engine, call: Call) -> Reply:
    ids = [one for one in call.query.get("ids", "").split(",") if one]
    body = {"records": ids, "allOrNone": call.query.get("allOrNone", "").lower() == "true"}

    def write(target: Any) -> Written:
        return delete_row(engine, call, _type_of(engine, record_id(target)), target)

    return _write_all(engine, body, write)


def _type_of(engine: Engine, full: str) -> ObjectType:
    for table in engine.org.tables.values():
        if full.startswith(table.type.prefix):
            return table.type
    raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")


def retrieve_many(engine: Engine, call: Call, name: str) -> Reply:
    """By ids, in their order; null for a record that is gone or hidden."""
    of = visible_type(engine, call, name)
    body = read_json(call) if call.method == "POST" else call.query
    ids, names = _listed(body.get("ids")), _listed(body.get("fields"))
    if not names:
        raise ApiError("REQUIRED_FIELD_MISSING", "At least 1 field is required")
    if len(ids) > 2000:
        raise ApiError("EXCEEDED_ID_LIMIT", "record limit reached. cannot submit more than 2000 records into this call")
    fields, table, view = pick_fields(engine, call, of, names), engine.org.tables[of.name], engine.view(call)
    found: list[Raw | None] = []
    for one in ids:
        row = table.rows.get(record_id(one))
        seen = row is not None and table.alive(row) and view.sees_row(row)
        found.append(Raw(record_json(engine, call, of, row, fields)) if row is not None and seen else None)
    return json_reply(found)


def _listed(value: Any) -> list[str]:
    listed = [one for one in value.split(",") if one] if isinstance(value, str) else value or []
    if not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        raise ApiError("JSON_PARSER_ERROR", "ids and fields must be lists of texts")
    return listed


def _read_record(engine: Engine, call: Call, record: Any, key: str = "") -> tuple[ObjectType, dict[str, Any]]:
    """The record's object and fields; only a lower-case `id` or the key of an upsert may stand before `attributes`."""
    given = record if isinstance(record, Mapping) else {}
    first = next((name for name in given if name not in {"id", key}), None)
    late = engine.manners.attributes_first and first != "attributes"
    attributes = None if late else given.get("attributes")
    if not isinstance(attributes, Mapping) or not isinstance(attributes.get("type"), str):
        raise ApiError("JSON_PARSER_ERROR", "attributes with a type must come first in every record")
    of = engine.view(call).type(attributes["type"])
    if of is None:
        raise ApiError("INVALID_TYPE", f"sObject type '{attributes['type']}' is not supported.")
    return of, {name: value for name, value in given.items() if name != "attributes"}


def _take_id(values: dict[str, Any]) -> str:
    for name in ("Id", "id"):
        if name in values:
            return str(values.pop(name) or "")
    return ""


def _write_all(engine: Engine, body: Mapping[str, Any], write: Write, *, told_created: bool = False) -> Reply:
    records = body.get("records")
    if not isinstance(records, list) or not records:
        raise ApiError("REQUIRED_FIELD_MISSING", "At least 1 record is required")
    if len(records) > MOST:
        message = f"record limit reached. cannot submit more than {MOST} records into this call"
        raise ApiError("EXCEEDED_ID_LIMIT", message)
    with engine.org.transaction() as transaction:
        results = [_write_one(record, write, told_created=told_created) for record in records]
        if body.get("allOrNone") is True and not all(result["success"] for result in results):
            transaction.roll_back()
            results = [_rolled_back(result) for result in results]
    return json_reply(results)


def _write_one(record: Any, write: Write, *, told_created: bool) -> dict[str, Any]:
    try:
        written = write(record)
    except ApiError as error:
        return row_error(error)
    result = {"id": written.id, "success": True, "errors": []}
    return result | {"created": written.created} if told_created else result


def _rolled_back(result: dict[str, Any]) -> dict[str, Any]:
    if not result["success"]:
        return result
    message = "Record rolled back because not all records were valid and the request was using AllOrNone header"
    return row_error(ApiError("ALL_OR_NONE_OPERATION_ROLLED_BACK", message))
