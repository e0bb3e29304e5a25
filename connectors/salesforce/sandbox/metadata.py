"""Custom fields, objects and permission sets from their metadata, however it arrives: Tooling, REST or SOAP deploy.

A new field exists but stays invisible to everyone until a permission set grants it. Required fields are always
visible. Other kinds of component are remembered by name and mean nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from connectors.salesforce.sandbox.access import View
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.org import Org
from connectors.salesforce.sandbox.schema import Field, ObjectType
from connectors.salesforce.sandbox.standard import USER_RIGHTS, custom_type

_TYPES = {
    "AutoNumber": "string",
    "Checkbox": "boolean",
    "Currency": "currency",
    "Date": "date",
    "DateTime": "datetime",
    "Email": "email",
    "Html": "textarea",
    "LongTextArea": "textarea",
    "Lookup": "reference",
    "MasterDetail": "reference",
    "MultiselectPicklist": "multipicklist",
    "Number": "double",
    "Percent": "percent",
    "Phone": "phone",
    "Picklist": "picklist",
    "Text": "string",
    "TextArea": "textarea",
    "Url": "url",
}
_LENGTHS = {"TextArea": 255, "Picklist": 255, "MultiselectPicklist": 4099, "Email": 80, "Phone": 40, "Url": 255}
_NEEDS = {
    "Currency": ("precision", "scale"),
    "Number": ("precision", "scale"),
    "Percent": ("precision", "scale"),
    "Text": ("length",),
    "LongTextArea": ("length",),
    "Lookup": ("referenceTo",),
    "MasterDetail": ("referenceTo",),
}


@dataclass(frozen=True, slots=True)
class Grant:
    """`target` is `Account.Field__c` for a field, `Event__c` for an object."""

    target: str
    read: bool
    edit: bool
    more: tuple[str, ...] = ()
    """Further rights on an object, by their column: `PermissionsViewAllRecords`."""


@dataclass(frozen=True, slots=True)
class PermissionSet:
    """`users`: rights of the user itself, such as `ApiEnabled`."""

    name: str
    label: str
    fields: tuple[Grant, ...] = ()
    objects: tuple[Grant, ...] = ()
    users: tuple[str, ...] = ()


@dataclass(slots=True)
class Package:
    """What a deployment brings, in the order in which it has to be applied."""

    objects: dict[str, str] = field(default_factory=dict)
    """API name -> label of new custom objects."""
    fields: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """`Account.Field__c` -> metadata."""
    permission_sets: list[PermissionSet] = field(default_factory=list)
    others: list[tuple[str, str]] = field(default_factory=list)


def check_customiser(view: View) -> None:
    if view.user in view.org.access.no_customising:
        raise ApiError("INSUFFICIENT_ACCESS", "insufficient access rights: Customize Application is needed", status=403)


def build_field(name: str, metadata: Mapping[str, Any]) -> Field:
    """FIELD_INTEGRITY_EXCEPTION when the metadata lacks what its type needs."""
    kind = str(metadata.get("type", ""))
    if kind not in _TYPES:
        raise _integrity(f"Must specify a valid type for the CustomField {name}: {kind or 'none given'}")
    for needed in _NEEDS.get(kind, ()):
        if metadata.get(needed) in {None, ""}:
            raise _integrity(f"Must specify '{needed}' for a CustomField of type {kind}")
    target = metadata.get("referenceTo")
    precision, scale = int(metadata.get("precision") or 0), int(metadata.get("scale") or 0)
    if precision > 18 or scale > precision:
        raise _integrity(f"precision and scale of {name} do not fit: ({precision},{scale})")
    values, restricted = _picklist(metadata)
    required = is_true(metadata.get("required")) or kind == "MasterDetail"
    return Field(
        name=name,
        type=_TYPES[kind],
        label=str(metadata.get("label") or ""),
        length=int(metadata.get("length") or _LENGTHS.get(kind, 0)),
        # A percent or number of (5,2) in the metadata is described with the same precision.
        precision=precision,
        scale=scale,
        required=required,
        external_id=is_true(metadata.get("externalId")),
        unique=is_true(metadata.get("unique")),
        case_sensitive=is_true(metadata.get("caseSensitive")),
        values=values,
        restricted=restricted,
        refers_to=(str(target),) if target else (),
        relationship=name.removesuffix("__c") + "__r" if target else "",
        long_text=kind in {"LongTextArea", "Html"},
        default=is_true(metadata.get("defaultValue")) if kind == "Checkbox" else None,
        open=required,
    )


def _integrity(message: str) -> ApiError:
    return ApiError("FIELD_INTEGRITY_EXCEPTION", message)


def is_true(value: Any) -> bool:
    """Of a flag as JSON or as the text of XML."""
    return value is True or str(value).lower() == "true"


def _picklist(metadata: Mapping[str, Any]) -> tuple[tuple[str, ...], bool]:
    value_set = metadata.get("valueSet") or {}
    definition = value_set.get("valueSetDefinition") or {}
    values = definition.get("value") or []
    listed = values if isinstance(values, list) else [values]
    names = tuple(str(one.get("fullName") or one.get("valueName") or one.get("label")) for one in listed)
    return names, is_true(value_set.get("restricted"))


def check_field(org: Org, full_name: str, metadata: Mapping[str, Any], coming: Iterable[str] = ()) -> tuple[str, Field]:
    """The object's name and the field to add. `coming`: objects that the same deployment creates."""
    object_name, dot, name = full_name.partition(".")
    if not dot or not name.endswith("__c") or not name.removesuffix("__c").isidentifier():
        raise _integrity(f"The FullName of a custom field must look like Account.Name__c, not {full_name}")
    if org.find_type(object_name) is None and object_name not in coming:
        raise ApiError("INVALID_CROSS_REFERENCE_KEY", f"Entity {object_name} does not exist")
    made = build_field(name, metadata)
    for target in made.refers_to:
        if org.find_type(target) is None and target not in coming:
            raise _integrity(f"Relationship target {target} of {full_name} does not exist")
    return object_name, made


def check_change(of: ObjectType, made: Field) -> None:
    old = of.fields.get(made.name)
    if old is not None and old.type != made.type:
        raise _integrity(f"Cannot change the type of {of.name}.{made.name} from {old.type} to {made.type}")


def change_field(of: ObjectType, made: Field) -> None:
    """A deployment may change what an existing field allows, not what it is."""
    check_change(of, made)
    old = of.fields[made.name]
    for name in ("label", "length", "precision", "scale", "external_id", "unique", "values", "restricted"):
        setattr(old, name, getattr(made, name))


def apply_field(org: Org, object_name: str, made: Field) -> bool:
    """True when the field is new."""
    of = org.table(object_name).type
    if made.name in of.fields:
        change_field(of, made)
        org.schema_changed = org.clock.now()
        return False
    org.add_field(of.name, made)
    return True


def apply_object(org: Org, name: str, label: str) -> bool:
    """True when the object is new. Like a new field it is invisible until a permission set grants it."""
    if org.find_type(name) is not None:
        return False
    number = sum(1 for table in org.tables.values() if table.type.name.endswith("__c"))
    org.add_type(custom_type(name, f"a{number:02d}", label))
    org.access.closed_objects.add(name)
    return True


def apply_permission_set(org: Org, wanted: PermissionSet) -> bool:
    """True when the permission set is new; its grants are replaced by the ones given."""
    known = {record["Name"]: record["Id"] for record in org.records("PermissionSet")}
    new = wanted.name not in known
    parent = org.create("PermissionSet", {"Name": wanted.name, "Label": wanted.label}) if new else known[wanted.name]
    rights = {f"Permissions{name}": name in wanted.users for name in USER_RIGHTS}
    org.update("PermissionSet", parent, rights)
    for name, grants in (("FieldPermissions", wanted.fields), ("ObjectPermissions", wanted.objects)):
        for record in list(org.records(name)):
            if record["ParentId"] == parent:
                org.delete(name, record["Id"])
        for grant in grants:
            org.create(name, _grant_values(name, parent, grant))
    return new


def _grant_values(name: str, parent: str, grant: Grant) -> dict[str, Any]:
    values = {"ParentId": parent, "PermissionsRead": grant.read or grant.edit, "PermissionsEdit": grant.edit}
    if name == "ObjectPermissions":
        return values | {"SobjectType": grant.target} | dict.fromkeys(grant.more, True)
    return values | {"SobjectType": grant.target.partition(".")[0], "Field": grant.target}
