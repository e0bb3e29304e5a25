"""Deployments: a zip of metadata in, checked as a whole, applied as a whole; the same for REST and SOAP."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.engine import Call, Engine
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.metadata import (
    Grant,
    Package,
    PermissionSet,
    apply_field,
    apply_object,
    apply_permission_set,
    check_change,
    check_customiser,
    check_field,
)
from connectors.salesforce.sandbox.org import Org

MOST_FILES, MOST_BYTES = 10_000, 39 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Component:
    kind: str
    name: str
    file: str
    problem: str = ""
    created: bool = False


@dataclass(slots=True)
class Deployment:
    """`polls`: status calls so far; the first `Manners.job_polls` of them still see it running."""

    id: str
    user: str
    check_only: bool
    rollback_on_error: bool
    started: str
    options: dict[str, Any]
    components: list[Component] = field(default_factory=list)
    polls: int = 0

    @property
    def failures(self) -> list[Component]:
        return [one for one in self.components if one.problem]


def start(engine: Engine, call: Call, archive: bytes, options: dict[str, Any]) -> Deployment:
    """Check everything, then apply everything unless something failed or it was only a check."""
    check_customiser(engine.view(call))
    check_only = _flag(options.get("checkOnly"))
    rollback = _flag(options.get("rollbackOnError", True))
    made = Deployment(
        engine.new_id("0Af"), call.user, check_only, rollback, stamp_text(engine.org.clock.now()), options
    )
    try:
        package, files = read_package(archive)
        steps = list(_steps(engine.org, package, files))
    except _BadPackage as bad:
        made.components = [Component("", "package.xml", "package.xml", str(bad))]
    else:
        checked = [_check(step) for step in steps]
        failed = any(one.problem for one in checked)
        apply = not check_only and not (failed and rollback)
        made.components = [
            _apply(step) if apply and not one.problem else one for step, one in zip(steps, checked, strict=True)
        ]
    engine.deploys[made.id] = made
    return made


def _flag(value: Any) -> bool:
    return value is True or str(value).lower() == "true"


def find(engine: Engine, call: Call, deploy_id: str) -> Deployment:
    made = engine.deploys.get(deploy_id)
    if not isinstance(made, Deployment) or made.user != call.user:
        raise not_found()
    made.polls += 1
    return made


def shown(engine: Engine, made: Deployment) -> dict[str, Any]:
    """The deploy result, running or done; `details` are always there when it is done."""
    done = made.polls > engine.manners.job_polls
    failures = made.failures if done else []
    deployed = [one for one in made.components if not one.problem] if done else []
    status = ("Failed" if failures else "Succeeded") if done else ("InProgress" if made.polls else "Pending")
    return {
        "checkOnly": made.check_only,
        "completedDate": made.started if done else None,
        "createdBy": made.user,
        "createdDate": made.started,
        "done": done,
        "id": made.id,
        "ignoreWarnings": False,
        "lastModifiedDate": made.started,
        "numberComponentErrors": len(failures),
        "numberComponentsDeployed": len(deployed),
        "numberComponentsTotal": len(made.components) if done else 0,
        "numberTestErrors": 0,
        "numberTestsCompleted": 0,
        "numberTestsTotal": 0,
        "rollbackOnError": made.rollback_on_error,
        "runTestsEnabled": False,
        "startDate": made.started,
        "status": status,
        "success": done and not failures,
        "details": {
            "componentFailures": [_shown_component(one) for one in failures],
            "componentSuccesses": [_shown_component(one) for one in deployed],
            "runTestResult": {"numFailures": 0, "numTestsRun": 0, "totalTime": "0"},
        },
    }


def _shown_component(one: Component) -> dict[str, Any]:
    shown_ = {
        "changed": not one.problem,
        "componentType": one.kind,
        "created": one.created,
        "deleted": False,
        "fileName": one.file,
        "fullName": one.name,
        "success": not one.problem,
    }
    return shown_ | ({"problem": one.problem, "problemType": "Error"} if one.problem else {})


# Reading the zip


class _BadPackage(Exception):  # noqa: N818
    pass


def read_package(archive: bytes) -> tuple[Package, dict[str, str]]:
    """The package, and the file each component came from."""
    files = _unzip(archive)
    manifest = next((name for name in files if name == "package.xml"), None)
    if manifest is None:
        raise _BadPackage("No package.xml found")
    members = _members(_xml(files[manifest], "package.xml"))
    package, origins = Package(), dict[str, str]()
    for name, content in files.items():
        if name != "package.xml":
            _read_file(package, origins, name, content)
    _check_manifest(members, origins)
    return package, origins


def _unzip(archive: bytes) -> dict[str, bytes]:
    """Files by their path, without the one folder that some tools put around everything."""
    if len(archive) > MOST_BYTES:
        raise _BadPackage("the zip exceeds 39 MB")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [one for one in opened.infolist() if not one.is_dir()]
            if len(entries) > MOST_FILES or sum(one.file_size for one in entries) > 600 * 1024 * 1024:
                raise _BadPackage("too many files, or too large unpacked")
            files = {one.filename: opened.read(one) for one in entries}
    except zipfile.BadZipFile:
        raise _BadPackage("the file is not a zip archive") from None
    around = {name.partition("/")[0] for name in files}
    if "package.xml" not in files and len(around) == 1:
        return {name.partition("/")[2]: content for name, content in files.items()}
    return files


def _xml(content: bytes, name: str) -> Element:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise _BadPackage(f"{name}: a document type is not allowed")
    try:
        return _without_namespaces(fromstring(content))  # noqa: S314
    except ParseError as error:
        raise _BadPackage(f"{name}: {error}") from None


def _without_namespaces(root: Element) -> Element:
    for one in root.iter():
        one.tag = one.tag.rpartition("}")[2]
    return root


def _members(manifest: Element) -> dict[str, set[str]]:
    return {
        types.findtext("name", ""): {member.text or "" for member in types.findall("members")}
        for types in manifest.findall("types")
    }


def _read_file(package: Package, origins: dict[str, str], name: str, content: bytes) -> None:
    folder, _, rest = name.partition("/")
    stem = rest.rpartition("/")[2].split(".")[0]
    if folder == "objects":
        _read_object(package, origins, name, stem, _xml(content, name))
    elif folder == "permissionsets":
        package.permission_sets.append(_read_permission_set(stem, _xml(content, name)))
        origins[f"PermissionSet:{stem}"] = name
    elif not name.endswith("-meta.xml"):
        package.others.append((folder, rest))
        origins[f"{folder}:{rest}"] = name


def _read_object(package: Package, origins: dict[str, str], file: str, name: str, root: Element) -> None:
    if name.endswith("__c") and root.find("label") is not None:
        package.objects[name] = root.findtext("label", name)
        origins[f"CustomObject:{name}"] = file
    for one in root.findall("fields"):
        full_name = f"{name}.{one.findtext('fullName', '')}"
        package.fields[full_name] = _tree(one)
        origins[f"CustomField:{full_name}"] = file
    for kind, tag in (("ListView", "listViews"), ("CompactLayout", "compactLayouts")):
        for one in root.findall(tag):
            full_name = f"{name}.{one.findtext('fullName', '')}"
            package.others.append((kind, full_name))
            origins[f"{kind}:{full_name}"] = file


def _tree(node: Element) -> dict[str, Any]:
    """Nested elements as a dictionary; repeated ones as a list."""
    found: dict[str, Any] = {}
    for child in node:
        value = _tree(child) if len(child) else (child.text or "").strip()
        if child.tag in found:
            earlier = found[child.tag]
            found[child.tag] = [*(earlier if isinstance(earlier, list) else [earlier]), value]
        else:
            found[child.tag] = value
    return found


def _read_permission_set(name: str, root: Element) -> PermissionSet:
    return PermissionSet(
        name,
        root.findtext("label", name),
        tuple(_grant(one, "field", "readable", "editable") for one in root.findall("fieldPermissions")),
        tuple(_grant(one, "object", "allowRead", "allowEdit") for one in root.findall("objectPermissions")),
    )


def _grant(node: Element, target: str, read: str, edit: str) -> Grant:
    return Grant(node.findtext(target, ""), _flag(node.findtext(read)), _flag(node.findtext(edit)))


def _check_manifest(members: dict[str, set[str]], origins: dict[str, str]) -> None:
    """Fields and permission sets have to be named in package.xml, and what is named has to be there."""
    for key, file in origins.items():
        kind, _, name = key.partition(":")
        whole_object = kind == "CustomField" and _named(members, "CustomObject", name.partition(".")[0])
        if kind in {"CustomField", "CustomObject", "PermissionSet"} and not (
            _named(members, kind, name) or whole_object
        ):
            raise _BadPackage(f"{file}: {name} of type {kind} is not named in package.xml")
    for kind in ("CustomField", "PermissionSet"):
        for name in members.get(kind, set()) - {"*"}:
            if f"{kind}:{name}" not in origins:
                raise _BadPackage(f"Entity of type '{kind}' named '{name}' was not found in the zip")


def _named(members: dict[str, set[str]], kind: str, name: str) -> bool:
    return bool(members.get(kind, set()) & {name, "*"})


# Applying


@dataclass(frozen=True, slots=True)
class _Step:
    component: Component
    check: Callable[[], None]
    apply: Callable[[], bool]


def _steps(org: Org, package: Package, files: dict[str, str]) -> Iterator[_Step]:
    for name, label in package.objects.items():
        yield _step(files, "CustomObject", name, _always, partial(apply_object, org, name, label))
    for full_name in package.fields:
        check, apply = partial(_check_field, org, package, full_name), partial(_apply_field, org, package, full_name)
        yield _step(files, "CustomField", full_name, check, apply)
    for one in package.permission_sets:
        check, set_up = partial(_check_grants, org, package, one), partial(apply_permission_set, org, one)
        yield _step(files, "PermissionSet", one.name, check, set_up)
    for kind, name in package.others:
        yield _step(files, kind, name, _always, partial(_remember, org, kind, name))


def _always() -> None:
    """Nothing can be wrong with it."""


def _step(files: dict[str, str], kind: str, name: str, check: Callable[[], None], apply: Callable[[], bool]) -> _Step:
    return _Step(Component(kind, name, files[f"{kind}:{name}"]), check, apply)


def _check_field(org: Org, package: Package, full_name: str) -> None:
    object_name, made = check_field(org, full_name, package.fields[full_name], package.objects)
    of = org.find_type(object_name)
    if of is not None:
        check_change(of, made)


def _apply_field(org: Org, package: Package, full_name: str) -> bool:
    object_name, made = check_field(org, full_name, package.fields[full_name], package.objects)
    return apply_field(org, object_name, made)


def _check_grants(org: Org, package: Package, wanted: PermissionSet) -> None:
    for grant in wanted.fields:
        object_name, _, name = grant.target.partition(".")
        of = org.find_type(object_name)
        known = of.fields.get(name) if of is not None else None
        if known is None and grant.target not in package.fields:
            raise ApiError("INVALID", f"In field: field - no CustomField named {grant.target} found")
        required = known.required if known is not None else _flag(package.fields[grant.target].get("required"))
        if required:
            raise ApiError("INVALID", f"You cannot deploy to a required field: {grant.target}")
    for grant in wanted.objects:
        if org.find_type(grant.target) is None and grant.target not in package.objects:
            raise ApiError("INVALID", f"In field: object - no CustomObject named {grant.target} found")


def _remember(org: Org, kind: str, name: str) -> bool:
    new = (kind, name) not in org.components
    org.components.add((kind, name))
    return new


def _check(step: _Step) -> Component:
    try:
        step.check()
    except ApiError as error:
        return _failed(step.component, error)
    return step.component


def _apply(step: _Step) -> Component:
    one = step.component
    try:
        return Component(one.kind, one.name, one.file, created=step.apply())
    except ApiError as error:
        return _failed(one, error)


def _failed(one: Component, error: ApiError) -> Component:
    return Component(one.kind, one.name, one.file, problem=error.message)
