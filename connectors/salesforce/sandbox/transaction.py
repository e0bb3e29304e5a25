"""A unit of writes that can be taken back, and that tells the watchers only what stayed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from connectors.salesforce.sandbox.schema import Row
from connectors.salesforce.sandbox.tables import Table

if TYPE_CHECKING:
    from connectors.salesforce.sandbox.org import Org


class Transaction:
    """Used as a context, under the org's lock; one inside another joins it."""

    def __init__(self, org: Org) -> None:
        self.org = org
        self.journal: list[tuple[Table, str, Row | None]] = []
        self.written: dict[tuple[str, str], None] = {}
        self._outer: Transaction | None = None

    def __enter__(self) -> Self:
        self.org.lock.acquire()
        self._outer = self.org.open_transaction
        self.org.open_transaction = self
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is not None:
                self.roll_back()
            self.org.open_transaction = self._outer
            if self._outer is not None:
                self._outer.journal += self.journal
                self._outer.written |= self.written
            else:
                self.org.tell_watchers(self.written)
        finally:
            self.org.lock.release()

    def roll_back(self) -> None:
        for table, record_id, old in reversed(self.journal):
            if old is None:
                table.drop(record_id)
            else:
                table.put(old)
            if old is None or table.alive(old):
                self.org.deletions.pop(record_id, None)
        self.journal.clear()
        self.written.clear()
