"""A zip of metadata -> what it brings. Only the Metadata API's own layout is understood, not the source format."""

from __future__ import annotations

import io
import zipfile
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring

from connectors.salesforce.sandbox.metadata import Grant, Package, PermissionSet, is_true

_MORE_RIGHTS = {
    "allowCreate": "PermissionsCreate",
    "allowDelete": "PermissionsDelete",
    "viewAllRecords": "PermissionsViewAllRecords",
    "modifyAllRecords": "PermissionsModifyAllRecords",
}
MOST_FILES, MOST_BYTES = 10_000, 39 * 1024 * 1024


class BadPackage(Exception):  # noqa: N818 - an answer to the caller
    """The zip as a whole cannot be deployed."""


def read_package(archive: bytes) -> tuple[Package, dict[str, str]]:
    """The package, and the file each component came from."""
    files = _unzip(archive)
    manifest = next((name for name in files if name == "package.xml"), None)
    if manifest is None:
        raise BadPackage("No package.xml found")
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
        raise BadPackage("the zip exceeds 39 MB")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = [one for one in opened.infolist() if not one.is_dir()]
            if len(entries) > MOST_FILES or sum(one.file_size for one in entries) > 600 * 1024 * 1024:
                raise BadPackage("too many files, or too large unpacked")
            files = {one.filename: opened.read(one) for one in entries}
    except zipfile.BadZipFile:
        raise BadPackage("the file is not a zip archive") from None
    around = {name.partition("/")[0] for name in files}
    if "package.xml" not in files and len(around) == 1:
        return {name.partition("/")[2]: content for name, content in files.items()}
    return files


def _xml(content: bytes, name: str) -> Element:
    if b"<!DOCTYPE" in content or b"<!ENTITY" in content:
        raise BadPackage(f"{name}: a document type is not allowed")
    try:
        return _without_namespaces(fromstring(content))  # noqa: S314 - entities refused above
    except ParseError as error:
        raise BadPackage(f"{name}: {error}") from None


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
        tuple(one.findtext("name", "") for one in root.findall("userPermissions") if is_true(one.findtext("enabled"))),
    )


def _grant(node: Element, target: str, read: str, edit: str) -> Grant:
    more = tuple(column for tag, column in _MORE_RIGHTS.items() if is_true(node.findtext(tag)))
    return Grant(node.findtext(target, ""), is_true(node.findtext(read)), is_true(node.findtext(edit)), more)


def _check_manifest(members: dict[str, set[str]], origins: dict[str, str]) -> None:
    """Fields and permission sets have to be named in package.xml, and what is named has to be there."""
    for key, file in origins.items():
        kind, _, name = key.partition(":")
        whole_object = kind == "CustomField" and _named(members, "CustomObject", name.partition(".")[0])
        if kind in {"CustomField", "CustomObject", "PermissionSet"} and not (
            _named(members, kind, name) or whole_object
        ):
            raise BadPackage(f"{file}: {name} of type {kind} is not named in package.xml")
    for kind in ("CustomField", "PermissionSet"):
        for name in members.get(kind, set()) - {"*"}:
            if f"{kind}:{name}" not in origins:
                raise BadPackage(f"Entity of type '{kind}' named '{name}' was not found in the zip")


def _named(members: dict[str, set[str]], kind: str, name: str) -> bool:
    return bool(members.get(kind, set()) & {name, "*"})
