"""Who may see and change what: field-level security, permission sets and sharing, per user."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from connectors.salesforce.sandbox.schema import Field, ObjectType, Row

if TYPE_CHECKING:
    from connectors.salesforce.sandbox.org import Org

EVERYONE = ""


@dataclass(slots=True)
class Access:
    """Restrictions beside what permission sets grant. The user id `EVERYONE` stands for all users."""

    hidden_fields: set[tuple[str, str, str]] = field(default_factory=set)
    locked_fields: set[tuple[str, str, str]] = field(default_factory=set)
    hidden_objects: set[tuple[str, str]] = field(default_factory=set)
    closed_objects: set[str] = field(default_factory=set)
    """Custom objects that only a permission set opens."""
    hidden_records: set[tuple[str, str]] = field(default_factory=set)
    no_customising: set[str] = field(default_factory=set)
    """Users without the right to change the org's set-up."""


@dataclass(slots=True)
class View:
    """What one user sees of the org. `user` None: the org itself, which sees and may change everything."""

    org: Org
    user: str | None

    def type(self, name: str) -> ObjectType | None:
        """The object by name without regard to case; None when there is none or it is hidden from the user."""
        found = self.org.find_type(name)
        if found is None or self.user is None:
            return found
        if found.name in self.org.access.closed_objects and found.name not in self.org.granted(self.user).objects:
            return None
        hidden = self.org.access.hidden_objects
        return None if {(self.user, found.name), (EVERYONE, found.name)} & hidden else found

    def fields(self, of: ObjectType) -> dict[str, Field]:
        """The visible fields, in the order of the object."""
        return {name: one for name, one in of.fields.items() if self.sees(of, one)}

    def find(self, of: ObjectType, name: str) -> Field | None:
        found = of.find(name)
        return found if found is not None and self.sees(of, found) else None

    def sees(self, of: ObjectType, one: Field) -> bool:
        if self.user is None:
            return True
        if self._listed(self.org.access.hidden_fields, of, one):
            return False
        return one.open or (of.name, one.name) in self.org.granted(self.user).readable

    def edits(self, of: ObjectType, one: Field) -> bool:
        if self.user is None:
            return True
        if not self.sees(of, one) or self._listed(self.org.access.locked_fields, of, one):
            return False
        return one.open or (of.name, one.name) in self.org.granted(self.user).editable

    def sees_row(self, row: Row) -> bool:
        hidden = self.org.access.hidden_records
        return not hidden or self.user is None or not {(self.user, row[0]), (EVERYONE, row[0])} & hidden

    def _listed(self, listed: set[tuple[str, str, str]], of: ObjectType, one: Field) -> bool:
        return bool(listed) and (
            (self.user or EVERYONE, of.name, one.name) in listed or (EVERYONE, of.name, one.name) in listed
        )


@dataclass(frozen=True, slots=True)
class Grants:
    """What a user's permission sets add: (object, field) pairs, and objects."""

    readable: frozenset[tuple[str, str]]
    editable: frozenset[tuple[str, str]]
    objects: frozenset[str]


def load_grants(org: Org, user: str) -> Grants:
    """Sum of the FieldPermissions of every permission set assigned to the user."""
    assigned = {
        record["PermissionSetId"] for record in org.records("PermissionSetAssignment") if record["AssigneeId"] == user
    }
    grants = [record for record in org.records("FieldPermissions") if record["ParentId"] in assigned]
    pairs = {record["Id"]: _pair(record["Field"]) for record in grants}
    editable = frozenset(pairs[record["Id"]] for record in grants if record["PermissionsEdit"])
    readable = editable | {pairs[record["Id"]] for record in grants if record["PermissionsRead"]}
    objects = {
        record["SobjectType"]
        for record in org.records("ObjectPermissions")
        if record["ParentId"] in assigned and record["PermissionsRead"]
    }
    return Grants(readable, editable, frozenset(objects))


def _pair(qualified: str) -> tuple[str, str]:
    object_name, _, field_name = qualified.partition(".")
    return object_name, field_name
