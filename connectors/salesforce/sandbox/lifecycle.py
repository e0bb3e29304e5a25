"""The end of a record and its undoing: delete, undelete, purge, merge."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.persons import contact_of
from connectors.salesforce.sandbox.schema import Field, Row
from connectors.salesforce.sandbox.tables import Table

if TYPE_CHECKING:
    from connectors.salesforce.sandbox.org import Org

_CASCADES = {
    "Account": (("Opportunity", "AccountId"), ("Contact", "AccountId")),
    "Opportunity": (("OpportunityContactRole", "OpportunityId"),),
    "Contact": (("OpportunityContactRole", "ContactId"),),
}


@dataclass(frozen=True, slots=True)
class Deletion:
    """What getDeleted knows, also after a purge. `along_with`: the record whose deletion took this one along."""

    object: str
    stamp: str
    along_with: str = ""


def delete_record(org: Org, table: Table, record_id: str, user: str | None) -> None:
    """Into the bin, with the records that hang on it; objects without a bin lose it for good."""
    row = org.row(table, record_id)
    if user is not None and not table.type.deletable:
        raise ApiError("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
    if "IsDeleted" not in table.type.fields:
        org.note(table, record_id)
        table.drop(record_id)
        return
    _bin(org, table, row, along_with="")
    for child_table, child in list(_cascade(org, table.type.name, record_id)):
        _bin(org, child_table, child, along_with=record_id)


def _cascade(org: Org, object_name: str, record_id: str) -> Iterator[tuple[Table, Row]]:
    for child_name, field_name in _CASCADES.get(object_name, ()):
        table = org.tables[child_name]
        for child in table.matching(field_name, record_id):
            if table.alive(child):
                yield table, child
                yield from _cascade(org, child_name, child[0])


def _bin(org: Org, table: Table, row: Row, *, along_with: str) -> None:
    stamp = org.clock.stamp()
    _put(org, table, row, IsDeleted=True, SystemModstamp=stamp)
    org.deletions[row[0]] = Deletion(table.type.name, stamp, along_with)


def undelete_record(org: Org, table: Table, record_id: str) -> None:
    """Out of the bin, with what went along and was not purged since."""
    if record_id not in table.rows:
        raise ApiError("UNDELETE_FAILED", "Entity is not in the recycle bin")
    along = [(one, org.tables[gone.object]) for one, gone in org.deletions.items() if gone.along_with == record_id]
    for one, owner in [(record_id, table), *((one, owner) for one, owner in along if one in owner.rows)]:
        cleared = {"MasterRecordId": None} if "MasterRecordId" in owner.type.fields else {}
        _put(org, owner, owner.rows[one], IsDeleted=False, SystemModstamp=org.clock.stamp(), **cleared)
        org.deletions.pop(one, None)


def purge_record(org: Org, table: Table, record_id: str) -> None:
    if record_id not in org.deletions:
        _bin(org, table, org.row(table, record_id), along_with="")
    org.note(table, record_id)
    table.drop(record_id)


def merge_records(org: Org, table: Table, winner: str, losers: Sequence[str]) -> None:
    if not 1 <= len(losers) <= 2 or winner in losers or "MasterRecordId" not in table.type.fields:
        raise ApiError("INVALID_OPERATION", "merge takes one or two other records of an object that can be merged")
    stamp = org.clock.stamp()
    for loser in losers:
        _merge_persons(org, table, winner, loser)
        _move_children(org, table.type.name, loser, winner, stamp)
        row = org.row(table, loser)
        _put(org, table, row, IsDeleted=True, MasterRecordId=winner, SystemModstamp=stamp)
        org.deletions[loser] = Deletion(table.type.name, stamp)
    _put(org, table, org.row(table, winner), SystemModstamp=stamp, LastModifiedDate=stamp)


def _merge_persons(org: Org, table: Table, winner: str, loser: str) -> None:
    """The contacts behind person accounts are merged like them."""
    ours, theirs = (contact_of(table.type, org.row(table, one)) for one in (winner, loser))
    if (ours is None) != (theirs is None):
        raise ApiError("INVALID_OPERATION", "a person account can be merged with another one only")
    if ours is not None and theirs is not None:
        merge_records(org, org.tables["Contact"], ours, [theirs])


def _move_children(org: Org, object_name: str, loser: str, winner: str, stamp: str) -> None:
    for child_table, reference in _references(org, object_name):
        for child in child_table.matching(reference.name, loser):
            # The winner may have been a child of the loser; it cannot become its own parent.
            parent = None if child[0] == winner else winner
            _put(org, child_table, child, **{reference.name: parent, "SystemModstamp": stamp})


def _references(org: Org, object_name: str) -> Iterator[tuple[Table, Field]]:
    for table in org.tables.values():
        for field in table.type.fields.values():
            if object_name in field.refers_to and field.name != "MasterRecordId":
                yield table, field


def _put(org: Org, table: Table, row: Row, **values: object) -> None:
    org.note(table, row[0])
    copy = list(row)
    for name, value in values.items():
        copy[table.type.slot(name)] = value
    table.put(copy)
