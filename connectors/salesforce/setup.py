"""Create the fields that scores go to and the permission sets that open them: a Metadata deployment of `metadata/`.

Only what is missing is deployed, so that what an administrator changed afterwards stays. Everything is rolled back when
one component fails. Needs the right to customise the application, which the nightly user should not have.
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
from xml.sax.saxutils import escape

from connectors.contract import Condition, Operator, SetupStep
from connectors.errors import ConfigurationError, ConnectorError, ProtocolError
from connectors.http import decode_json, redact, require
from connectors.salesforce.composite import query_path, read_composite
from connectors.salesforce.describe import describe_objects
from connectors.salesforce.failures import read_complaints
from connectors.salesforce.jobs import JSON_HEADERS, Jobs
from connectors.salesforce.soql import Select
from connectors.salesforce.transport import Transport

OBJECT = "Account"
SYNC_SET = "Advocacy_Sync"
"""The permission set of the user that the service connects as."""

_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_SPACE = 'xmlns="http://soap.sforce.com/2006/04/metadata"'
FIELD, PERMISSION_SET = "field", "permission set"
ASSIGNMENT = "assignment"


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

    def plan(self) -> tuple[SetupStep, ...]:
        components = read_components()
        schema = describe_objects(self.transport, [OBJECT])[OBJECT]
        fields = schema.fields if schema else {}
        sets = self._found_sets([c.name for c in components if c.kind == PERMISSION_SET])
        present = {FIELD: fields.keys(), PERMISSION_SET: sets.keys()}
        steps = [SetupStep(c.kind, _shown(c), c.name in present[c.kind]) for c in components]
        assigned = SYNC_SET in sets and self._is_assigned(sets[SYNC_SET])
        return (*steps, SetupStep(ASSIGNMENT, f"{SYNC_SET} to the connecting user", assigned))

    def apply(self, *, check_only: bool) -> tuple[SetupStep, ...]:
        """Deploy what is missing and give the connecting user its rights; with `check_only` Salesforce only tries."""
        steps = self.plan()
        missing = [c for c, step in zip(read_components(), steps, strict=False) if not step.present]
        if missing:
            self._deploy(missing, check_only=check_only)
        if check_only:
            return steps
        if not steps[-1].present:
            self._assign(self._found_sets([SYNC_SET]))
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

    def _found_sets(self, names: Sequence[str]) -> Mapping[str, str]:
        """Names of the permission sets that exist -> their ids."""
        where = (Condition("Name", Operator.IN, tuple(names)),)
        records = self._query(Select("PermissionSet", ("Id", "Name"), where))
        return {require(record, "Name", str): require(record, "Id", str) for record in records}

    def _is_assigned(self, permission_set: str) -> bool:
        where = (
            Condition("PermissionSetId", Operator.EQ, permission_set),
            Condition("AssigneeId", Operator.EQ, self._user()),
        )
        return bool(self._query(Select("PermissionSetAssignment", ("Id",), where)))

    def _query(self, select: Select) -> Sequence[Mapping[str, Any]]:
        path = query_path(self.transport, select.text(), deleted=False)
        (part,) = read_composite(self.transport, [path], "setup").parts
        records: Sequence[Mapping[str, Any]] = require(part.settled(), "records", list)
        return records

    def _assign(self, sets: Mapping[str, str]) -> None:
        body = json.dumps({"AssigneeId": self._user(), "PermissionSetId": sets[SYNC_SET]}).encode()
        path = self.transport.path("sobjects/PermissionSetAssignment")
        try:
            self.transport.send("POST", path, "setup", content=body, headers=JSON_HEADERS)
        except ConnectorError as error:
            # Somebody assigned it in the meantime: that is what was wanted.
            if error.code != "DUPLICATE_VALUE":
                raise

    def _user(self) -> str:
        known = self.transport.tokens.current().user_id
        if known:
            return known
        return require(_object(self.transport.read("GET", "/services/oauth2/userinfo", "setup").body), "user_id", str)


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
