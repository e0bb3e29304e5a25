"""The rows of one object, by id, with an index on those fields somebody looked things up by.

Rows are replaced, never changed in place: whoever holds one (a bulk job, a cursor) has a stable snapshot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from connectors.salesforce.sandbox.schema import ObjectType, Row

Index = dict[Any, dict[str, None]]
"""Key -> the ids that have it, in order of arrival."""


class Table:
    def __init__(self, of: ObjectType) -> None:
        self.type = of
        self.rows: dict[str, Row] = {}
        self._indexes: dict[int, Index] = {}
        self._deleted = of.fields["IsDeleted"].slot if "IsDeleted" in of.fields else -1

    def put(self, row: Row) -> None:
        if self._indexes:
            self._unindex(row[0])
            for slot, index in self._indexes.items():
                index.setdefault(index_key(row[slot]), {})[row[0]] = None
        self.rows[row[0]] = row

    def add_all(self, rows: Iterable[Row]) -> None:
        """Many new rows at once; an index is built again when it is next needed."""
        self._indexes.clear()
        self.rows.update((row[0], row) for row in rows)

    def drop(self, record_id: str) -> None:
        self._unindex(record_id)
        self.rows.pop(record_id, None)

    def alive(self, row: Row) -> bool:
        return self._deleted < 0 or not row[self._deleted]

    def live(self) -> Iterator[Row]:
        return (row for row in self.rows.values() if self.alive(row))

    def matching(self, field_name: str, value: Any) -> list[Row]:
        """Rows, deleted ones included, whose field has this value. Text is compared without case, ids with it."""
        slot = self.type.slot(field_name)
        if slot not in self._indexes:
            self._indexes[slot] = self._build_index(slot)
        return [self.rows[record_id] for record_id in self._indexes[slot].get(index_key(value), ())]

    def widen(self) -> None:
        """Make room in every row for a new field."""
        for row in self.rows.values():
            row.extend([None] * (self.type.width - len(row)))

    def _build_index(self, slot: int) -> Index:
        index: Index = {}
        for row in self.rows.values():
            index.setdefault(index_key(row[slot]), {})[row[0]] = None
        return index

    def _unindex(self, record_id: str) -> None:
        old = self.rows.get(record_id)
        if old is None:
            return
        for slot, index in self._indexes.items():
            index.get(index_key(old[slot]), {}).pop(record_id, None)


def index_key(value: Any) -> Any:
    """Text other than an id compares without case, as unique external ids do."""
    if isinstance(value, str) and not (len(value) == 18 and value.isalnum()):
        return value.lower()
    return value
