"""Person accounts: an account that is a person, with a contact behind it that follows it everywhere.

The name is the person's and cannot be written; a business account has no first and last name. The contact is the one
that opportunities name in their contact roles.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.schema import ObjectType, Row

if TYPE_CHECKING:
    from connectors.salesforce.sandbox.org import Org

_SHARED = {"FirstName": "FirstName", "LastName": "LastName", "PersonEmail": "Email", "PersonTitle": "Title"}
"""Field of the account -> field of its contact."""


def is_person(org: Org, of: ObjectType, row: Row) -> bool:
    return org.person_accounts and of.name == "Account" and row[of.slot("LastName")] is not None


def check_names(org: Org, of: ObjectType, given: Iterable[str], *, person: bool) -> None:
    """A person has no name of its own to write, a business none of a person's."""
    if not org.person_accounts or of.name != "Account":
        return
    foreign = {"Name"} if person else _SHARED.keys()
    wrong = [name for name in given if name in foreign]
    if wrong:
        message = f"Account: bad field names on insert/update call: {', '.join(wrong)}"
        raise ApiError("INVALID_FIELD_FOR_INSERT_UPDATE", message, fields=tuple(wrong))


def follow_person(org: Org, of: ObjectType, row: Row) -> None:
    """Make the contact behind the account, or let it follow; the row is not stored yet."""
    slot = of.slot("PersonContactId")
    values = {theirs: row[of.slot(ours)] for ours, theirs in _SHARED.items()}
    if row[slot] is None:
        row[slot] = org.create("Contact", {**values, "AccountId": row[0], "IsPersonAccount": True})
    elif values != {name: org.record("Contact", row[slot])[name] for name in values}:
        org.update("Contact", row[slot], values)


def contact_of(of: ObjectType, row: Row) -> str | None:
    """The contact behind a person account; None for a business."""
    return row[of.slot("PersonContactId")] if "PersonContactId" in of.fields else None
