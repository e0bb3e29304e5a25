"""Finding a field by name in what the CRM described, paths through related records included."""

from __future__ import annotations

from collections.abc import Mapping

from app.mapping.render import suggest
from connectors.contract import FieldSchema, FieldType, ObjectSchema

Schemas = Mapping[str, ObjectSchema | None]


def find_field(schema: ObjectSchema, name: str, schemas: Schemas) -> FieldSchema | None:
    """The field itself, or the last one of a path such as `RecordType.DeveloperName` where its object is known."""
    if name in schema.fields:
        return schema.fields[name]
    first, dot, rest = name.partition(".")
    reference = _reference(schema, first) if dot else None
    targets = [schemas.get(target) for target in reference.reference_to] if reference else []
    found = [find_field(target, rest, schemas) for target in targets if target is not None]
    return next((one for one in found if one is not None), None)


def is_open_path(schema: ObjectSchema, name: str, schemas: Schemas) -> bool:
    """A path to an object that was not described: the CRM will say whether it is right."""
    first, dot, _ = name.partition(".")
    reference = _reference(schema, first) if dot else None
    return reference is not None and not any(schemas.get(target) for target in reference.reference_to)


def is_known(schema: ObjectSchema, name: str, schemas: Schemas) -> bool:
    return find_field(schema, name, schemas) is not None or is_open_path(schema, name, schemas)


def _reference(schema: ObjectSchema, relationship: str) -> FieldSchema | None:
    """The reference field behind a relationship name: `Account` -> AccountId, `Partner__r` -> Partner__c."""
    custom = relationship.removesuffix("__r") + "__c" if relationship.endswith("__r") else ""
    for name in (f"{relationship}Id", custom, relationship):
        found = schema.fields.get(name)
        if found is not None and found.type is FieldType.REFERENCE:
            return found
    return None


def closest_field(name: str, schema: ObjectSchema) -> str:
    """A near name, or the same name with a package's namespace before it."""
    spaced = [one for one in schema.fields if one.lower().endswith(f"__{name.lower()}")]
    if spaced:
        return f"did you mean {spaced[0]!r}?"
    return suggest(name, schema.fields, listed=False) or "check the API name and the field-level security"
