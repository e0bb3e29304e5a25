"""Object schemas, as the connecting user sees them: one composite call for up to 24 objects.

The same call asks whether the org has several currencies. Only then do users have a default one; so it shows even where
the currencies and the currency of every mapped record are hidden from the user.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.contract import FieldSchema, FieldType, ObjectSchema
from connectors.errors import ConfigurationError, ConnectorError, ProtocolError, SchemaError
from connectors.salesforce.composite import MAX_SUBREQUESTS, in_groups, query_path, read_composite
from connectors.salesforce.soql import check_name
from connectors.salesforce.transport import Transport

FIELD_TYPES: Mapping[str, FieldType] = {
    "id": FieldType.ID,
    "string": FieldType.TEXT,
    "email": FieldType.TEXT,
    "phone": FieldType.TEXT,
    "url": FieldType.TEXT,
    "encryptedstring": FieldType.TEXT,
    "textarea": FieldType.LONG_TEXT,
    "picklist": FieldType.PICKLIST,
    "combobox": FieldType.PICKLIST,
    "multipicklist": FieldType.MULTI_PICKLIST,
    "reference": FieldType.REFERENCE,
    "boolean": FieldType.BOOLEAN,
    "int": FieldType.INTEGER,
    "long": FieldType.INTEGER,
    "double": FieldType.NUMBER,
    "currency": FieldType.CURRENCY,
    "percent": FieldType.PERCENT,
    "date": FieldType.DATE,
    "datetime": FieldType.DATETIME,
    "address": FieldType.COMPOUND,
    "location": FieldType.COMPOUND,
}
"""Types that are not listed (time, base64, anyType, …) are OTHER."""


SEVERAL_CURRENCIES = "SELECT DefaultCurrencyIsoCode FROM User LIMIT 1"


@dataclass(frozen=True, slots=True)
class Described:
    objects: Mapping[str, ObjectSchema | None]
    several_currencies: bool
    """False also where the org hides it."""


def describe_objects(transport: Transport, names: Sequence[str]) -> Mapping[str, ObjectSchema | None]:
    return describe(transport, names).objects


def describe(transport: Transport, names: Sequence[str]) -> Described:
    found: dict[str, ObjectSchema | None] = {}
    several = False
    for group in in_groups(dict.fromkeys(names), MAX_SUBREQUESTS - 1):
        paths = [transport.path(f"sobjects/{check_name(name)}/describe") for name in group]
        answer = read_composite(
            transport, [*paths, query_path(transport, SEVERAL_CURRENCIES, deleted=False)], "describe"
        )
        found |= {name: _read(part.body, part.failure) for name, part in zip(group, answer.parts, strict=False)}
        several = answer.parts[-1].failure is None
    return Described(found, several)


def _read(body: Any, failure: ConnectorError | None) -> ObjectSchema | None:
    if isinstance(failure, ConfigurationError | SchemaError):
        return None
    if failure is not None:
        raise failure
    return read_object(body)


def read_object(body: Any) -> ObjectSchema:
    """The schema in one describe answer; ProtocolError when it is none."""
    try:
        return _read_object(body)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise ProtocolError("The answer to a describe is not one.") from None


def _read_object(body: Mapping[str, Any]) -> ObjectSchema:
    fields = [entry for entry in body.get("fields", ()) if not entry.get("deprecatedAndHidden")]
    parts = _compound_parts(fields)
    return ObjectSchema(
        name=str(body["name"]),
        label=str(body.get("label") or body["name"]),
        updateable=bool(body.get("updateable")),
        fields={str(entry["name"]): _read_field(entry, parts) for entry in fields},
    )


def _compound_parts(fields: Sequence[Mapping[str, Any]]) -> dict[str, tuple[str, ...]]:
    parts: dict[str, tuple[str, ...]] = {}
    for entry in fields:
        whole = entry.get("compoundFieldName")
        if whole and whole != entry["name"]:
            parts[whole] = (*parts.get(whole, ()), str(entry["name"]))
    return parts


def _read_field(entry: Mapping[str, Any], parts: Mapping[str, tuple[str, ...]]) -> FieldSchema:
    kind = FIELD_TYPES.get(str(entry.get("type")), FieldType.OTHER)
    return FieldSchema(
        name=str(entry["name"]),
        type=kind,
        label=str(entry.get("label") or ""),
        length=int(entry.get("length") or 0),
        precision=int(entry.get("precision") or entry.get("digits") or 0),
        scale=int(entry.get("scale") or 0),
        nillable=bool(entry.get("nillable", True)),
        createable=bool(entry.get("createable")),
        updateable=bool(entry.get("updateable")),
        calculated=bool(entry.get("calculated")),
        external_id=bool(entry.get("externalId")),
        picklist_values=_active_values(entry),
        restricted_picklist=bool(entry.get("restrictedPicklist")),
        reference_to=tuple(str(name) for name in entry.get("referenceTo") or ()),
        compound_parts=parts.get(str(entry["name"]), ()) if kind is FieldType.COMPOUND else (),
    )


def _active_values(entry: Mapping[str, Any]) -> tuple[str, ...]:
    values = entry.get("picklistValues") or ()
    return tuple(str(value["value"]) for value in values if value.get("active", True))
