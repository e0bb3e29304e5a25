"""What happens to values between the caller and the row: rights, types, rules, defaults, derived fields, stamps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from connectors.salesforce.sandbox.access import View
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.ids import full_id
from connectors.salesforce.sandbox.persons import check_names, is_person
from connectors.salesforce.sandbox.schema import Field, ObjectType, Row
from connectors.salesforce.sandbox.tables import Table
from connectors.salesforce.sandbox.values import check_value, read_value

if TYPE_CHECKING:
    from connectors.salesforce.sandbox.org import Org

_PERMISSION_KEYS: dict[str, tuple[str, ...]] = {
    "FieldPermissions": ("ParentId", "Field"),
    "ObjectPermissions": ("ParentId", "SobjectType"),
    "PermissionSetAssignment": ("AssigneeId", "PermissionSetId"),
}
_AUDIT = ("CreatedDate", "CreatedById", "LastModifiedDate", "LastModifiedById", "SystemModstamp")


def prepare_insert(org: Org, table: Table, values: Mapping[str, Any], user: str | None) -> Row:
    """The complete new row, not yet stored."""
    of = table.type
    if user is not None and not of.createable:
        raise ApiError("CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", f"entity type cannot be inserted: {of.label}")
    given = _read_all(org, table, values, user, inserting=True)
    if user is not None:
        check_names(org, of, given, person="LastName" in given)
    row: Row = [None] * of.width
    for field in of.fields.values():
        if field.slot >= 0:
            row[field.slot] = given.get(field.name, _default(field))
    row[0] = row[0] or org.next_id(of)
    _stamp(org, of, row, user, given, inserting=True)
    _derive(org, of, row, given)
    _check_row(org, table, row, user)
    return row


def prepare_update(org: Org, table: Table, row: Row, values: Mapping[str, Any], user: str | None) -> Row:
    """The row after the update, not yet stored."""
    of = table.type
    if user is not None:
        _meet_refusal(org, row[0])
    given = _read_all(org, table, values, user, inserting=False)
    if user is not None:
        check_names(org, of, given, person=is_person(org, of, row))
    changed = list(row)
    for name, value in given.items():
        changed[of.fields[name].slot] = value
    _stamp(org, of, changed, user, given, inserting=False)
    _derive(org, of, changed, given)
    _check_row(org, table, changed, user, touched=given)
    return changed


def touched_slots(of: ObjectType, old: Row, new: Row, given: Iterable[str]) -> tuple[int, ...]:
    """The slots an update has to say something about: what it was given, what followed, and the stamp."""
    named = {of.slot(of.fields[name].name) for name in (*given, "SystemModstamp")}
    return tuple(slot for slot, value in enumerate(new) if value != old[slot] or slot in named)


def _default(field: Field) -> Any:
    if field.default is not None:
        return field.default
    return False if field.type == "boolean" else None


def _meet_refusal(org: Org, record_id: str) -> None:
    refusal = org.refusals.get(record_id)
    if refusal is None:
        return
    if refusal.times is not None:
        refusal.times -= 1
        if refusal.times <= 0:
            del org.refusals[record_id]
    raise ApiError(refusal.code, refusal.message, fields=refusal.fields)


def _read_all(
    org: Org, table: Table, values: Mapping[str, Any], user: str | None, *, inserting: bool
) -> dict[str, Any]:
    view, given = org.view(user), dict[str, Any]()
    for name, raw in values.items():
        field = _writable(view, table.type, name, inserting=inserting)
        given[field.name] = _read(org, field, raw, user)
    return given


def _writable(view: View, of: ObjectType, name: str, *, inserting: bool) -> Field:
    field = view.find(of, name)
    if field is None:
        raise ApiError("INVALID_FIELD", f"No such column '{name}' on sobject of type {of.name}")
    allowed = field.creatable if inserting else field.writable
    if not field.stored or (view.user is not None and not (allowed and view.edits(of, field))):
        raise ApiError(
            "INVALID_FIELD_FOR_INSERT_UPDATE",
            f"Unable to create/update fields: {field.name}. Please check the security settings of this field and "
            "verify that it is read/write for your profile or permission set.",
            fields=(field.name,),
        )
    return field


def _read(org: Org, field: Field, raw: Any, user: str | None) -> Any:
    try:
        value = read_value(field, raw)
    except ValueError:
        raise _unreadable(field, raw) from None
    if user is None:
        return False if value is None and field.type == "boolean" else value
    value = check_value(field, value)
    if field.type == "reference" and value is not None:
        _check_reference(org, field, value)
    return value


def _unreadable(field: Field, raw: Any) -> ApiError:
    if field.type in {"reference", "id"}:
        return ApiError("MALFORMED_ID", f"{field.label}: id value of incorrect type: {raw}", fields=(field.name,))
    kind = "VALUE_STRING" if isinstance(raw, str) else "VALUE_NUMBER"
    return ApiError(
        "JSON_PARSER_ERROR",
        f"Cannot deserialize instance of {field.type} from {kind} value {raw} or request may be missing a required "
        "field at [line:1, column:1]",
    )


def _check_reference(org: Org, field: Field, value: str) -> None:
    for target in field.refers_to:
        table = org.tables.get(target)
        if table is None or not value.startswith(table.type.prefix):
            continue
        row = table.rows.get(value)
        if row is None or not table.alive(row):
            raise ApiError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", fields=(field.name,))
        return
    message = f"{field.label}: id value of incorrect type: {value}"
    raise ApiError("FIELD_INTEGRITY_EXCEPTION", message, fields=(field.name,))


def _stamp(org: Org, of: ObjectType, row: Row, user: str | None, given: Mapping[str, Any], *, inserting: bool) -> None:
    now, author = org.clock.stamp(), user or org.user_id
    for name in _AUDIT if inserting else _AUDIT[2:]:
        if name in of.fields and name not in given:
            row[of.slot(name)] = author if name.endswith("ById") else now
    if inserting and "OwnerId" in of.fields and row[of.slot("OwnerId")] is None:
        row[of.slot("OwnerId")] = author


def _derive(org: Org, of: ObjectType, row: Row, given: Mapping[str, Any]) -> None:
    if of.name == "Opportunity" and "StageName" in given:
        _derive_stage(org, of, row, given)
    elif of.name in {"Contact", "User"} and "Name" not in given:
        row[of.slot("Name")] = _full_name(of, row)
    elif is_person(org, of, row):
        row[of.slot("IsPersonAccount")] = True
        row[of.slot("Name")] = _full_name(of, row)


def _derive_stage(org: Org, of: ObjectType, row: Row, given: Mapping[str, Any]) -> None:
    won, closed, probability = org.stages.get(row[of.slot("StageName")], (False, False, 0))
    derived = {"IsWon": won, "IsClosed": closed, "Probability": Decimal(probability)}
    for name, value in derived.items():
        if name not in given:
            row[of.slot(name)] = value


def _full_name(of: ObjectType, row: Row) -> str | None:
    parts = (row[of.slot("FirstName")], row[of.slot("LastName")])
    return " ".join(part for part in parts if part) or None


def _check_row(org: Org, table: Table, row: Row, user: str | None, touched: Mapping[str, Any] | None = None) -> None:
    of = table.type
    if user is not None and touched is None:
        missing = [field.name for field in of.fields.values() if field.required and row[field.slot] is None]
        if missing:
            names = ", ".join(missing)
            raise ApiError("REQUIRED_FIELD_MISSING", f"Required fields are missing: [{names}]", fields=tuple(missing))
    for field in of.unique:
        if (touched is None or field.name in touched) and row[field.slot] is not None:
            _check_unique(table, field, row)
    if touched is None and of.name in _PERMISSION_KEYS:
        _check_permission(org, table, row)


def _check_unique(table: Table, field: Field, row: Row) -> None:
    for other in table.matching(field.name, row[field.slot]):
        if other[0] != row[0] and table.alive(other):
            raise ApiError(
                "DUPLICATE_VALUE",
                f"duplicate value found: {field.name} duplicates value on record with id: {other[0]}",
                fields=(field.name,),
            )


def _check_permission(org: Org, table: Table, row: Row) -> None:
    of = table.type
    if of.name == "FieldPermissions":
        _check_grant(org, row)
    key = _PERMISSION_KEYS[of.name]
    for other in table.rows.values():
        if all(other[of.slot(name)] == row[of.slot(name)] for name in key):
            raise ApiError(
                "DUPLICATE_VALUE", "duplicate value found: <unknown> duplicates value on record with id: <unknown>"
            )


def _check_grant(org: Org, row: Row) -> None:
    of = org.tables["FieldPermissions"].type
    object_name, qualified = row[of.slot("SobjectType")], row[of.slot("Field")]
    target = org.find_type(object_name or "")
    prefix, _, name = (qualified or "").partition(".")
    field = target.fields.get(name) if target is not None and prefix == target.name else None
    if field is None or field.required or not (field.writable or field.formula):
        message = f"Field Name: bad value for restricted picklist field: {qualified}"
        raise ApiError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, fields=("Field",))
    if row[of.slot("PermissionsEdit")] and not row[of.slot("PermissionsRead")]:
        message = "Field permissions: read access is needed for edit access"
        raise ApiError("FIELD_INTEGRITY_EXCEPTION", message, fields=("PermissionsEdit",))


def record_id(text: str) -> str:
    """An id from a URL or a body; MALFORMED_ID when it is none."""
    try:
        return full_id(text)
    except ValueError:
        raise ApiError("MALFORMED_ID", f"malformed id {text}") from None
