"""Create the fields that scores go to and the permission sets that open them: a Metadata deployment of `metadata/`.

Only what is missing is deployed, so that what an administrator changed afterwards stays; a permission set that lacks
one of its rights is deployed again as a whole. A field that is there in another shape is named and left alone: another
type or length could cost data, so a person decides. Salesforce tries everything before anything is deployed, and rolls
all of it back when one component fails. Needs the right to customise the application, which the nightly user should not
have. Whoever may not even read permission sets is told what it can see and do, by describe.
"""

from __future__ import annotations

import io
import json
import secrets
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any
from urllib.parse import quote
from xml.etree.ElementTree import Element, fromstring
from xml.sax.saxutils import escape

from connectors.contract import Condition, FieldSchema, FieldType, ObjectSchema, Operator, SetupStep
from connectors.errors import ConfigurationError, ConnectorError, CredentialsError, ProtocolError, SchemaError
from connectors.http import decode_json, redact, require
from connectors.salesforce.composite import query_path, read_composite
from connectors.salesforce.describe import describe_objects
from connectors.salesforce.failures import read_complaints
from connectors.salesforce.identity import connected_user
from connectors.salesforce.jobs import JSON_HEADERS, Jobs
from connectors.salesforce.soql import Select
from connectors.salesforce.transport import Transport

OBJECT = "Account"
SYNC_SET = "Advocacy_Sync"
"""The permission set of the user that the service connects as."""
VIEWER_SET = "Advocacy_Viewer"
"""The permission set of people who should see the values."""

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
_TAG = "{http://soap.sforce.com/2006/04/metadata}"
FIELD, PERMISSION_SET = "field", "permission set"
ASSIGNMENT, ACCESS = "assignment", "access"

_FITTING: Mapping[str, tuple[FieldType, ...]] = {
    "Checkbox": (FieldType.BOOLEAN,),
    "Currency": (FieldType.CURRENCY, FieldType.NUMBER),
    "Date": (FieldType.DATE,),
    "LongTextArea": (FieldType.LONG_TEXT,),
    "Number": (FieldType.NUMBER, FieldType.INTEGER),
    "Picklist": (FieldType.PICKLIST,),
    "Text": (FieldType.TEXT, FieldType.LONG_TEXT),
}
"""The metadata's type -> how it is described, then what does as well: numbers suit orgs with several currencies."""

SHOWN_RIGHTS = 12

Right = tuple[str, str]
"""What is allowed on what: `("edit", "Account.Field__c")`, `("view all", "Account")`, `("use", "ApiEnabled")`."""

_FIELD_RIGHTS = {"readable": "read", "editable": "edit"}
_OBJECT_RIGHTS = {
    "allowRead": ("read", "PermissionsRead"),
    "allowCreate": ("create", "PermissionsCreate"),
    "allowEdit": ("edit", "PermissionsEdit"),
    "allowDelete": ("delete", "PermissionsDelete"),
    "viewAllRecords": ("view all", "PermissionsViewAllRecords"),
    "modifyAllRecords": ("modify all", "PermissionsModifyAllRecords"),
}
"""The metadata's name of a right -> ours, and the column of ObjectPermissions that holds it."""


@dataclass(frozen=True, slots=True)
class Component:
    kind: str
    name: str
    source: str
    """The file's text."""


def read_components() -> tuple[Component, ...]:
    """The package of this project, fields first."""
    root = files("connectors.salesforce").joinpath("metadata/force-app/main/default")
    fields = _read(root.joinpath(f"objects/{OBJECT}/fields"), FIELD)
    return (*fields, *_read(root.joinpath("permissionsets"), PERMISSION_SET))


def _read(folder: Traversable, kind: str) -> Iterator[Component]:
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        yield Component(kind, file.name.split(".")[0], file.read_text(encoding="utf-8"))


@dataclass(frozen=True, slots=True)
class Setup:
    transport: Transport
    jobs: Jobs

    user: str = ""
    """The name of the user who gets the rights; empty: the connecting one."""
    viewers: Sequence[str] = ()
    """The names of users who get the right to see the values."""

    @property
    def assignments(self) -> Sequence[tuple[str, str]]:
        """Which permission set goes to whom; an empty name is the connecting user."""
        return ((SYNC_SET, self.user), *((VIEWER_SET, name) for name in dict.fromkeys(self.viewers)))

    def plan(self) -> tuple[SetupStep, ...]:
        components = read_components()
        wanted = {c.name: _wanted_rights(c.source) for c in components if c.kind == PERMISSION_SET}
        objects = {on.partition(".")[0] for right, on in wanted[SYNC_SET] if right in ("read", "edit")}
        seen = describe_objects(self.transport, sorted(objects))
        fields = _fields_in(seen)
        access = _plan_access(self.user or "the connecting user", _unmet(wanted[SYNC_SET], seen))
        try:
            sets = self._found_sets(wanted)
            granted = self._found_rights(sets)
        except (SchemaError, CredentialsError):
            # Who may not read permission sets is no administrator: what it may do is all there is to judge by.
            if self.user or self.viewers:
                raise
            return (*(_plan_field(c, fields, seen) for c in components if c.kind == FIELD), access)
        fields |= {on for rights in granted.values() for _, on in rights}
        steps = [
            _plan_field(c, fields, seen) if c.kind == FIELD else _plan_set(c, granted.get(c.name)) for c in components
        ]
        for name, user in self.assignments:
            found = self._find_user(user)
            assigned = name in sets and self._is_assigned(sets[name]["Id"], found)
            steps.append(SetupStep(ASSIGNMENT, _assignment(name, user), assigned))
        if self.user and (assignee := self._find_user(self.user)) != connected_user(self.transport):
            access = _plan_granted(self.user, wanted[SYNC_SET] - self._rights_of(assignee, wanted))
        return (*steps, access)

    def apply(self, *, check_only: bool) -> tuple[SetupStep, ...]:
        """Deploy what is missing and give the user the rights; with `check_only` Salesforce only tries."""
        steps = self.plan()
        lacking = {(step.kind, step.name) for step in steps if not step.present and not step.differs}
        missing = [c for c in read_components() if (c.kind, _shown(c)) in lacking]
        for only_trying in (True,) if check_only else (True, False):
            if missing:
                self._deploy(missing, check_only=only_trying)
        if check_only:
            return steps
        for name, user in self.assignments:
            if (ASSIGNMENT, _assignment(name, user)) in lacking:
                self._assign(self._found_sets({name: set()})[name]["Id"], self._find_user(user))
        return self.plan()

    def _deploy(self, components: Sequence[Component], *, check_only: bool) -> None:
        options = {"checkOnly": check_only, "rollbackOnError": True, "singlePackage": True}
        body, kind = _multipart({"deployOptions": options}, build_archive(components, self.transport.api_version))
        answer = self.transport.send(
            "POST",
            self.transport.path("metadata/deployRequest"),
            "deploy",
            content=body,
            headers={"Content-Type": kind},
        )
        made = require(_object(answer.body), "id", str)
        result = self.jobs.poll(lambda: self._look(made), _progress, self.jobs.clock())
        if not result.get("success"):
            raise ConfigurationError(f"Salesforce refused the set-up: {_problems(result)}")

    def _look(self, deployment: str) -> Mapping[str, Any]:
        path = f"metadata/deployRequest/{quote(deployment, safe='')}?includeDetails=true"
        result = _object(self.transport.read("GET", path, "deploy").body).get("deployResult")
        if not isinstance(result, Mapping):
            raise ProtocolError("The answer about a deployment is not one.")
        return result

    def _found_sets(self, wanted: Mapping[str, set[Right]]) -> Mapping[str, Mapping[str, Any]]:
        """The permission sets that exist, by name, with the user rights that are wanted of any of them."""
        records = self._pull_sets(wanted, Condition("Name", Operator.IN, tuple(wanted)))
        return {require(record, "Name", str): record for record in records}

    def _pull_sets(self, wanted: Mapping[str, set[Right]], which: Condition) -> Sequence[Mapping[str, Any]]:
        columns = sorted({f"Permissions{on}" for rights in wanted.values() for right, on in rights if right == "use"})
        return self._query(Select("PermissionSet", ("Id", "Name", *columns), (which,)))

    def _rights_of(self, user: str, wanted: Mapping[str, set[Right]]) -> set[Right]:
        """What all permission sets of a user allow together; its profile is one of them."""
        of_user = (Condition("AssigneeId", Operator.EQ, user),)
        assigned = self._query(Select("PermissionSetAssignment", ("PermissionSetId",), of_user))
        ids = tuple(sorted({require(record, "PermissionSetId", str) for record in assigned}))
        if not ids:
            return set()
        sets = {require(one, "Id", str): one for one in self._pull_sets(wanted, Condition("Id", Operator.IN, ids))}
        return set().union(*self._found_rights(sets).values())

    def _found_rights(self, sets: Mapping[str, Mapping[str, Any]]) -> Mapping[str, set[Right]]:
        """What each of these permission sets allows, under its key."""
        found: dict[str, set[Right]] = {key: _user_rights(record) for key, record in sets.items()}
        if not sets:
            return found
        keys = {require(record, "Id", str): key for key, record in sets.items()}
        of_ours = Condition("ParentId", Operator.IN, tuple(keys))
        fields = Select(
            "FieldPermissions",
            ("ParentId", "Field", "PermissionsRead", "PermissionsEdit"),
            (of_ours, Condition("SobjectType", Operator.EQ, OBJECT)),
        )
        for record in self._query(fields):
            found[keys[require(record, "ParentId", str)]] |= _field_rights(record)
        columns = [column for _, column in _OBJECT_RIGHTS.values()]
        for record in self._query(Select("ObjectPermissions", ("ParentId", "SobjectType", *columns), (of_ours,))):
            found[keys[require(record, "ParentId", str)]] |= _object_rights(record)
        return found

    def _is_assigned(self, permission_set: str, user: str) -> bool:
        where = (
            Condition("PermissionSetId", Operator.EQ, permission_set),
            Condition("AssigneeId", Operator.EQ, user),
        )
        return bool(self._query(Select("PermissionSetAssignment", ("Id",), where)))

    def _query(self, select: Select) -> Sequence[Mapping[str, Any]]:
        records: list[Mapping[str, Any]] = []
        path = query_path(self.transport, select.text(), deleted=False)
        asked: set[str] = set()
        while path:
            asked.add(path)
            (part,) = read_composite(self.transport, [path], "setup").parts
            body = part.settled()
            records += require(body, "records", list)
            path = "" if require(body, "done", bool) else require(body, "nextRecordsUrl", str)
            if path in asked:
                raise ProtocolError("Salesforce named a page as its own next one.")
        return records

    def _assign(self, permission_set: str, user: str) -> None:
        body = json.dumps({"AssigneeId": user, "PermissionSetId": permission_set}).encode()
        path = self.transport.path("sobjects/PermissionSetAssignment")
        try:
            self.transport.send("POST", path, "setup", content=body, headers=JSON_HEADERS)
        except ConnectorError as error:
            # Somebody assigned it in the meantime: that is what was wanted.
            if error.code != "DUPLICATE_VALUE":
                raise

    def _find_user(self, name: str) -> str:
        """The id of the active user of this name; of the connecting user for an empty one."""
        if not name:
            return connected_user(self.transport)
        where = (Condition("Username", Operator.EQ, name), Condition("IsActive", Operator.EQ, True))
        found = self._query(Select("User", ("Id",), where))
        if not found:
            raise ConfigurationError(f"Salesforce has no active user {name!r}: give the user name, as in Setup.")
        return require(found[0], "Id", str)


def _wanted_rights(source: str) -> set[Right]:
    """Everything that a permission set of the package allows."""
    root = fromstring(source.encode())  # noqa: S314 - not hostile: the file comes with the program
    object_rights = {tag: right for tag, (right, _) in _OBJECT_RIGHTS.items()}
    return {
        *_marked(root, "fieldPermissions", "field", _FIELD_RIGHTS),
        *_marked(root, "objectPermissions", "object", object_rights),
        *_marked(root, "userPermissions", "name", {"enabled": "use"}),
    }


def _marked(root: Element, block: str, target: str, rights: Mapping[str, str]) -> Iterator[Right]:
    for one in root.iter(f"{_TAG}{block}"):
        for tag, right in rights.items():
            if one.findtext(f"{_TAG}{tag}") == "true":
                yield right, one.findtext(f"{_TAG}{target}", "")


def _user_rights(record: Mapping[str, Any]) -> set[Right]:
    return {("use", name.removeprefix("Permissions")) for name, value in record.items() if value is True}


def _field_rights(record: Mapping[str, Any]) -> set[Right]:
    """The right to edit includes the right to read."""
    field, edit = require(record, "Field", str), require(record, "PermissionsEdit", bool)
    return {("read", field)} | ({("edit", field)} if edit else set())


def _object_rights(record: Mapping[str, Any]) -> set[Right]:
    name = require(record, "SobjectType", str)
    return {(right, name) for right, column in _OBJECT_RIGHTS.values() if require(record, column, bool)}


def _unmet(wanted: set[Right], seen: Mapping[str, ObjectSchema | None]) -> list[Right]:
    """The rights that the connecting user does not have, as far as a describe can tell."""
    return [right for right in sorted(wanted, key=_sort_key) if not _is_met(right, seen)]


def _is_met(right: Right, seen: Mapping[str, ObjectSchema | None]) -> bool:
    what, on = right
    name, _, field_name = on.partition(".")
    if what not in ("read", "edit"):
        return True
    schema = seen[name]
    if schema is None:
        return False
    if not field_name:
        return what == "read" or schema.updateable
    found = schema.fields.get(field_name)
    return found is not None and (what == "read" or found.updateable)


def _fields_in(seen: Mapping[str, ObjectSchema | None]) -> set[str]:
    """The fields that the connecting user sees. A grant proves a field too: who sets up need not see it."""
    schema = seen.get(OBJECT)
    return {f"{OBJECT}.{name}" for name in schema.fields} if schema else set()


def _assignment(permission_set: str, user: str) -> str:
    return f"{permission_set} to {user or 'the connecting user'}"


def _plan_field(component: Component, fields: set[str], seen: Mapping[str, ObjectSchema | None]) -> SetupStep:
    """Whether the field is there, and as the package has it. What the user cannot see is taken for good."""
    schema = seen.get(OBJECT)
    found = schema.fields.get(component.name) if schema else None
    if found is None:
        return SetupStep(FIELD, _shown(component), _shown(component) in fields)
    note = "; ".join(find_differences(component, found))
    return SetupStep(FIELD, _shown(component), present=not note, note=note, differs=bool(note))


def find_differences(component: Component, found: FieldSchema) -> Iterator[str]:
    """Why the values for this field of the package do not fit the one that is there. More room is no difference."""
    root = fromstring(component.source.encode())  # noqa: S314 - see `_wanted_rights`
    wanted, *fitting = _FITTING[root.findtext(f"{_TAG}type", "")]
    if found.type not in (wanted, *fitting):
        yield f"is a {found.type} field, not {wanted}"
        return
    length, precision, scale = (int(root.findtext(f"{_TAG}{name}", "0")) for name in ("length", "precision", "scale"))
    if found.length < length:
        yield f"holds {found.length} characters, not {length}"
    if found.scale < scale:
        yield f"keeps {found.scale} decimals, not {scale}"
    if found.precision - found.scale < precision - scale:
        yield f"holds {found.precision - found.scale} digits before the point, not {precision - scale}"
    values = [one.findtext(f"{_TAG}fullName", "") for one in root.iter(f"{_TAG}value")]
    missing = [value for value in values if value not in found.picklist_values]
    if missing and found.restricted_picklist:
        yield f"is restricted and lacks the values {', '.join(missing)}"


def _plan_access(user: str, lacking: Sequence[Right]) -> SetupStep:
    """What the user finds when it looks, whatever the permission sets say."""
    name = f"{user} sees what is read and may write the fields"
    return SetupStep(ACCESS, name, present=not lacking, note=_say_lacking(lacking), partial=bool(lacking))


def _plan_granted(user: str, lacking: set[Right]) -> SetupStep:
    """What another user is allowed: nobody can look at the objects with its eyes but itself."""
    name = f"{user} is allowed it by its profile and permission sets"
    unseen = "which records it sees, and the other fields that are read, only its own login shows"
    note = "; ".join(part for part in (_say_lacking(sorted(lacking, key=_sort_key)), unseen) if part)
    return SetupStep(ACCESS, name, present=not lacking, note=note, partial=bool(lacking))


def _plan_set(component: Component, found: set[Right] | None) -> SetupStep:
    """`found`: the rights it gives; None when there is no such permission set."""
    if found is None:
        return SetupStep(component.kind, component.name, present=False)
    lacking = sorted(_wanted_rights(component.source) - found, key=_sort_key)
    note = _say_lacking(lacking)
    return SetupStep(component.kind, component.name, present=not lacking, note=note, partial=bool(lacking))


def _sort_key(right: Right) -> tuple[str, str]:
    return right[1], right[0]


def _say_lacking(rights: Sequence[Right]) -> str:
    """On one line: what may be edited may be read, and where nearly all is lacking nobody reads the list of it."""
    edited = {on for right, on in rights if right == "edit"}
    told = [f"{right} {on}" for right, on in rights if right != "read" or on not in edited]
    more = f" and {len(told) - SHOWN_RIGHTS} more" if len(told) > SHOWN_RIGHTS else ""
    return f"lacks: {', '.join(told[:SHOWN_RIGHTS])}{more}" if told else ""


def _shown(component: Component) -> str:
    return f"{OBJECT}.{component.name}" if component.kind == FIELD else component.name


def build_archive(components: Sequence[Component], api_version: str) -> bytes:
    """The zip of a deployment, in the metadata format: the fields of an object share one file there."""
    fields = [c for c in components if c.kind == FIELD]
    sets = [c for c in components if c.kind == PERMISSION_SET]
    content = {"package.xml": _manifest(fields, sets, api_version)}
    if fields:
        content[f"objects/{OBJECT}.object"] = _object_file(fields)
    content |= {f"permissionsets/{c.name}.permissionset": c.source for c in sets}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in content.items():
            archive.writestr(name, text)
    return packed.getvalue()


def _manifest(fields: Sequence[Component], sets: Sequence[Component], api_version: str) -> str:
    types = [("CustomField", [_shown(c) for c in fields]), ("PermissionSet", [c.name for c in sets])]
    blocks = [
        f"<types>{''.join(f'<members>{escape(name)}</members>' for name in names)}<name>{kind}</name></types>"
        for kind, names in types
        if names
    ]
    return f"{_HEAD}<Package {_SPACE}>{''.join(blocks)}<version>{api_version}</version></Package>"


def _object_file(fields: Sequence[Component]) -> str:
    inner = [c.source.partition(f"<CustomField {_SPACE}>")[2].rpartition("</CustomField>")[0] for c in fields]
    return f"{_HEAD}<CustomObject {_SPACE}>{''.join(f'<fields>{text}</fields>' for text in inner)}</CustomObject>"


def _multipart(options: Mapping[str, Any], archive: bytes) -> tuple[bytes, str]:
    """Body and content type of a deployment request."""
    boundary = secrets.token_hex(16)
    parts = [
        ('name="json"', "application/json", json.dumps(options).encode()),
        ('name="file"; filename="package.zip"', "application/zip", archive),
    ]
    pieces = [
        f"--{boundary}\r\nContent-Disposition: form-data; {name}\r\nContent-Type: {kind}\r\n\r\n".encode() + content
        for name, kind, content in parts
    ]
    return b"\r\n".join([*pieces, f"--{boundary}--\r\n".encode()]), f"multipart/form-data; boundary={boundary}"


def _object(body: bytes) -> Mapping[str, Any]:
    value = decode_json(body)
    if not isinstance(value, Mapping):
        raise ProtocolError("Salesforce's answer about the set-up is not JSON.")
    return value


def _progress(result: Mapping[str, Any]) -> str:
    return "JobComplete" if result.get("done") else "InProgress"


def _problems(result: Mapping[str, Any]) -> str:
    details = result.get("details")
    failures = details.get("componentFailures") if isinstance(details, Mapping) else None
    said = [f"{f.get('fullName')}: {f.get('problem')}" for f in failures or () if isinstance(f, Mapping)]
    reasons = said or [c.message for c in read_complaints(result)] or [str(result.get("errorMessage") or "no reason")]
    return redact("; ".join(reasons))
