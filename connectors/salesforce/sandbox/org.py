"""One Salesforce org in memory: its objects, records, users and clock, with the semantics of real writes.

`Org` is also the handle for tests and demos: calls without a `user` act as the org itself, which may set
everything, ids and stamps included, and is held to types but not to rules.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from connectors.salesforce.sandbox.access import EVERYONE, Access, Grants, View, load_grants
from connectors.salesforce.sandbox.automations import Automation
from connectors.salesforce.sandbox.clock import Clock
from connectors.salesforce.sandbox.currencies import CURRENCY_OBJECTS, refresh_currencies
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.ids import new_id
from connectors.salesforce.sandbox.lifecycle import (
    Deletion,
    delete_record,
    merge_records,
    purge_record,
    undelete_record,
)
from connectors.salesforce.sandbox.persons import follow_person, is_person
from connectors.salesforce.sandbox.schema import Field, Formula, ObjectType, Row
from connectors.salesforce.sandbox.standard import STAGES, standard_types
from connectors.salesforce.sandbox.tables import Table
from connectors.salesforce.sandbox.transaction import Transaction
from connectors.salesforce.sandbox.write import prepare_insert, prepare_update, touched_slots

STAMPS = ("LastModifiedDate", "LastModifiedById", "SystemModstamp")
"""What every ordinary change moves."""

_PERMISSION_OBJECTS = frozenset({"PermissionSet", "PermissionSetAssignment", "FieldPermissions", "ObjectPermissions"})


@dataclass(slots=True)
class Refusal:
    """A validation rule, lock or trigger that stands in the way of writing one record. `times` None: for ever."""

    code: str
    message: str
    fields: tuple[str, ...] = ()
    times: int | None = None


@dataclass(slots=True)
class LateCommit:
    """A write whose stamp is already set and whose row is not yet visible."""

    org: Org
    row: Row
    object: str
    slots: tuple[int, ...]
    stamp: str

    def commit(self) -> str:
        """Make the row visible, below the watermark of whoever read in the meantime."""
        with self.org.transaction():
            table = self.org.table(self.object)
            current = list(table.rows.get(self.row[0], self.row))
            for slot in self.slots:
                current[slot] = self.row[slot]
            self.org.note(table, self.row[0])
            table.put(current)
            self.org.open_commits.remove(self)
        return str(self.row[0])


class Org:
    def __init__(
        self,
        *,
        clock: Clock | None = None,
        multi_currency: bool = False,
        person_accounts: bool = False,
        write_back: bool = True,
        name: str = "Sandbox Org",
        username: str = "sync@example.com",
    ) -> None:
        self.lock = threading.RLock()
        self.clock = clock or Clock()
        self.multi_currency = multi_currency
        self.person_accounts = person_accounts
        self.access = Access()
        self.stages = dict(STAGES)
        self.deletions: dict[str, Deletion] = {}
        self.refusals: dict[str, Refusal] = {}
        self.components: set[tuple[str, str]] = set()
        """Deployed metadata without a meaning here: (type, name)."""
        self.automations: list[Automation] | None = []
        """None: the user may not see them."""
        self.client_secret = secrets.token_urlsafe(24)
        self.open_commits: list[LateCommit] = []
        self.watchers: list[Callable[[str, str], None]] = []
        """Told of every change that stays, as object and record id; both empty when the set-up changed."""
        self.remembered: dict[str, Any] = {}
        """What the server before this one knew beside the records, by key."""
        self.missing_formulas: tuple[str, ...] = ()
        """`Opportunity.Net__c`: formula fields that were there when the org was saved; their code was not handed in."""
        self.schema_changed = self.clock.now()
        self.numbers: dict[str, int] = {}
        self.open_transaction: Transaction | None = None
        self._grants: dict[str, Grants] = {}
        types = standard_types(multi_currency=multi_currency, person_accounts=person_accounts, write_back=write_back)
        self.tables: dict[str, Table] = {}
        self._folded: dict[str, ObjectType] = {}
        for of in types:
            self.add_type(of)
        self._found(name, username)

    def _found(self, name: str, username: str) -> None:
        self.user_id = new_id("005", self._next_number("005"))
        user = {"Id": self.user_id, "Username": username, "LastName": "Integration", "Email": username}
        self.create("User", user)
        organization = {"Name": name, "InstanceName": "LOOP1", "OrganizationType": "Developer Edition"}
        self.organization_id = self.create("Organization", organization)
        if self.multi_currency:
            self.create("CurrencyType", {"IsoCode": "USD", "ConversionRate": 1, "IsCorporate": True})

    def find_type(self, name: str) -> ObjectType | None:
        """By name without regard to case."""
        return self._folded.get(name.lower())

    def table(self, name: str) -> Table:
        of = self.find_type(name)
        if of is None:
            raise not_found()
        return self.tables[of.name]

    def view(self, user: str | None) -> View:
        return View(self, user)

    def granted(self, user: str) -> Grants:
        if user not in self._grants:
            self._grants[user] = load_grants(self, user)
        return self._grants[user]

    def record(self, object_name: str, record_id: str) -> dict[str, Any]:
        """All stored fields of one record, deleted or not; KeyError when there is none (or it was purged)."""
        table = self.table(object_name)
        return self.as_record(table.type, table.rows[record_id])

    def records(self, object_name: str, *, deleted: bool = False) -> Iterator[dict[str, Any]]:
        """Every record of an object, with the deleted ones on request."""
        table = self.table(object_name)
        rows = list(table.rows.values()) if deleted else list(table.live())
        return (self.as_record(table.type, row) for row in rows)

    def count(self, object_name: str) -> int:
        return sum(1 for _ in self.table(object_name).live())

    @staticmethod
    def as_record(of: ObjectType, row: Row) -> dict[str, Any]:
        record = {name: row[field.slot] for name, field in of.fields.items() if field.slot >= 0}
        formulas = {name: field.formula(record) for name, field in of.fields.items() if field.formula}
        return record | formulas

    def create(self, object_name: str, values: Mapping[str, Any], *, user: str | None = None) -> str:
        """Insert a record and return its id."""
        with self.transaction():
            table = self.table(object_name)
            row = prepare_insert(self, table, values, user)
            self._store(table, row)
            return str(row[0])

    def update(self, object_name: str, record_id: str, values: Mapping[str, Any], *, user: str | None = None) -> None:
        """Set fields of a record; None clears one."""
        with self.transaction():
            table = self.table(object_name)
            self._store(table, prepare_update(self, table, self.row(table, record_id), values, user))

    def late_update(self, object_name: str, record_id: str, values: Mapping[str, Any]) -> LateCommit:
        """Stamp a change now, show it only at `commit()` of the answer."""
        with self.lock:
            table = self.table(object_name)
            old = self.row(table, record_id)
            row = prepare_update(self, table, old, values, None)
            return self._hold(table, row, touched_slots(table.type, old, row, values))

    def late_create(self, object_name: str, values: Mapping[str, Any]) -> LateCommit:
        with self.lock:
            table = self.table(object_name)
            row = prepare_insert(self, table, values, None)
            return self._hold(table, row, tuple(range(len(row))))

    def _hold(self, table: Table, row: Row, slots: tuple[int, ...]) -> LateCommit:
        held = LateCommit(self, row, table.type.name, slots, row[table.type.slot("SystemModstamp")])
        self.open_commits.append(held)
        return held

    def touch(self, object_name: str, record_id: str) -> None:
        """Move SystemModstamp alone, as an automated recalculation does."""
        with self.transaction():
            table = self.table(object_name)
            row = list(self.row(table, record_id))
            row[table.type.slot("SystemModstamp")] = self.clock.stamp()
            self.note(table, record_id)
            table.put(row)

    def drift(self, object_name: str, record_id: str, values: Mapping[str, Any]) -> None:
        """Change fields and move no stamp: as where a formula, a rate or a parent's name behind them has changed."""
        with self.transaction():
            table = self.table(object_name)
            old = self.row(table, record_id)
            row = prepare_update(self, table, old, values, None)
            for name in STAMPS:
                if name in table.type.fields:
                    row[table.type.slot(name)] = old[table.type.slot(name)]
            self.note(table, record_id)
            table.put(row)

    def delete(self, object_name: str, record_id: str, *, user: str | None = None) -> None:
        with self.transaction():
            delete_record(self, self.table(object_name), record_id, user)

    def undelete(self, object_name: str, record_id: str) -> None:
        with self.transaction():
            undelete_record(self, self.table(object_name), record_id)

    def purge(self, object_name: str, record_id: str) -> None:
        """Remove a record for good: no query shows it any more."""
        with self.transaction():
            purge_record(self, self.table(object_name), record_id)

    def merge(self, object_name: str, winner: str, *losers: str) -> None:
        """Fold up to two losers into the winner; their children move over."""
        with self.transaction():
            merge_records(self, self.table(object_name), winner, losers)

    def row(self, table: Table, record_id: str) -> Row:
        """A live row; ApiError with the answer Salesforce gives for a deleted or unknown id."""
        row = table.rows.get(record_id)
        if row is None:
            raise not_found("Provided external ID field does not exist or is not accessible: Id")
        if not table.alive(row):
            raise ApiError("ENTITY_IS_DELETED", "entity is deleted", status=404)
        return row

    def transaction(self) -> Transaction:
        """Writes inside it can be rolled back together."""
        return Transaction(self)

    def _store(self, table: Table, row: Row) -> None:
        if is_person(self, table.type, row):
            follow_person(self, table.type, row)
        self.note(table, row[0])
        table.put(row)
        if table.type.name in CURRENCY_OBJECTS:
            refresh_currencies(self)

    def note(self, table: Table, record_id: str) -> None:
        """Called before every change of a row: for rolling back, and for who watches."""
        if table.type.name in _PERMISSION_OBJECTS:
            self._grants.clear()
        if self.open_transaction is not None:
            self.open_transaction.journal.append((table, record_id, table.rows.get(record_id)))
            self.open_transaction.written[table.type.name, record_id] = None

    def tell_watchers(self, written: Iterable[tuple[str, str]]) -> None:
        for object_name, record_id in written:
            for watcher in self.watchers:
                watcher(object_name, record_id)

    def next_id(self, of: ObjectType) -> str:
        return new_id(of.prefix, self._next_number(of.prefix))

    def _next_number(self, prefix: str) -> int:
        number = self.numbers.get(prefix, 0)
        self.numbers[prefix] = number + 1
        return number

    def add_type(self, of: ObjectType) -> None:
        self.tables[of.name] = Table(of)
        self._folded[of.name.lower()] = of
        self._set_up_changed()

    def add_field(self, object_name: str, field: Field) -> None:
        """A new field, visible to everyone unless `field.open` is False."""
        with self.lock:
            table = self.table(object_name)
            table.type.add(field)
            table.widen()
            self._set_up_changed()

    def _set_up_changed(self) -> None:
        self.schema_changed = self.clock.now()
        self.tell_watchers([("", "")])

    def add_formula(self, object_name: str, name: str, formula: Formula, type_: str = "double") -> None:
        """A formula field; what it yields may change without any stamp moving."""
        made = Field(name, type_, precision=18, scale=2, writable=False, creatable=False, formula=formula)
        self.add_field(object_name, made)

    def hide_field(self, object_name: str, field_name: str, *, user: str = EVERYONE) -> None:
        self.access.hidden_fields.add((user, object_name, field_name))

    def show_field(self, object_name: str, field_name: str, *, user: str = EVERYONE) -> None:
        self.access.hidden_fields.discard((user, object_name, field_name))

    def lock_field(self, object_name: str, field_name: str, *, user: str = EVERYONE) -> None:
        """Visible, but not to be written."""
        self.access.locked_fields.add((user, object_name, field_name))

    def hide_object(self, object_name: str, *, user: str = EVERYONE) -> None:
        self.access.hidden_objects.add((user, object_name))

    def hide_record(self, record_id: str, *, user: str = EVERYONE) -> None:
        """Take a record out of the user's sharing: it looks like a purged one, without any trace."""
        self.access.hidden_records.add((user, record_id))

    def show_record(self, record_id: str, *, user: str = EVERYONE) -> None:
        self.access.hidden_records.discard((user, record_id))

    def refuse(
        self,
        record_id: str,
        code: str = "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        message: str = "This record does not meet a validation rule.",
        *,
        fields: tuple[str, ...] = (),
        times: int | None = None,
    ) -> None:
        """Let writes by users to this record fail, for ever or a number of times."""
        self.refusals[record_id] = Refusal(code, message, fields, times)

    def allow(self, record_id: str) -> None:
        self.refusals.pop(record_id, None)
