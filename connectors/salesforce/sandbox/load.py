"""Read CSV exports in Salesforce's shape into an org: one file per object, headers are field names."""

from __future__ import annotations

import csv
import gc
import operator
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.currencies import CURRENCY_OBJECTS, refresh_currencies
from connectors.salesforce.sandbox.org import Org
from connectors.salesforce.sandbox.schema import Field, ObjectType, Row
from connectors.salesforce.sandbox.tables import Table
from connectors.salesforce.sandbox.values import read_value

ROWS_PER_STAMP = 5
"""How many loaded records share one second when the file brings no SystemModstamp."""


@dataclass(slots=True)
class Loaded:
    """What came in: records per object, and the columns nobody knew (`Opportunity.Colour`)."""

    counts: dict[str, int] = field(default_factory=dict)
    skipped: list[str] = field(default_factory=list)


def load_csv(org: Org, folder: Path | str) -> Loaded:
    """Load `<Object>.csv` for every object of the org that has a file in the folder.

    Unknown columns that end in `__c` become text fields; `OwnerName` becomes a user and the OwnerId; other
    unknown columns are skipped and named in the answer. ValueError, with file and line, for a value that does
    not fit its field.
    """
    loaded = Loaded()
    with org.lock, without_collector():
        # Currencies first: they decide the default currency of everything else.
        for name in sorted(org.tables, key=lambda name: name not in CURRENCY_OBJECTS):
            path = Path(folder) / f"{name}.csv"
            if path.is_file():
                loaded.counts[name] = _load_file(org, org.tables[name], path, loaded)
                if name in CURRENCY_OBJECTS:
                    refresh_currencies(org)
    return loaded


@contextmanager
def without_collector() -> Iterator[None]:
    """Load many rows without pausing for garbage."""
    # A million new lists make the cyclic collector scan them again and again, and none is ever garbage.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


Fill = Callable[[Row, str], None]


def _load_file(org: Org, table: Table, path: Path, loaded: Loaded) -> int:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.reader(stream)
        header = next(reader, [])
        fills = [_fill(org, table, name.strip(), loaded) for name in header]
        blank = _blank_row(org, table.type)
        rows = [_read_row(blank, fills, cells, f"{path.name}:{reader.line_num}") for cells in reader]
    _complete(org, table.type, rows, {name.strip() for name in header})
    if table.type.name == "CurrencyType":
        # The file says which currencies there are; the one a new org starts with is not among them.
        table.rows.clear()
    table.add_all(rows)
    return len(rows)


def _blank_row(org: Org, of: ObjectType) -> Row:
    row: Row = [None] * of.width
    for one in of.fields.values():
        if one.slot >= 0:
            row[one.slot] = False if one.type == "boolean" and one.default is None else one.default
    for name in ("OwnerId", "CreatedById", "LastModifiedById"):
        if name in of.fields:
            row[of.slot(name)] = org.user_id
    return row


def _read_row(blank: Row, fills: list[Fill | None], cells: list[str], place: str) -> Row:
    row = list(blank)
    try:
        for fill, cell in zip(fills, cells, strict=True):
            if fill is not None and cell:
                fill(row, cell)
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None
    return row


def _fill(org: Org, table: Table, name: str, loaded: Loaded) -> Fill | None:
    if name == "OwnerName" and "OwnerId" in table.type.fields:
        return _owner_fill(org, table.type.slot("OwnerId"))
    known = table.type.find(name)
    if known is None and name.endswith("__c"):
        org.add_field(table.type.name, Field(name, length=255))
        known = table.type.find(name)
    if known is None or not known.stored:
        loaded.skipped.append(f"{table.type.name}.{name}")
        return None
    return _value_fill(known)


def _value_fill(known: Field) -> Fill:
    slot = known.slot
    if known.type in {"string", "textarea", "phone", "url", "email"}:
        return lambda row, cell: operator.setitem(row, slot, cell)
    if known.type not in {"picklist", "reference", "date", "datetime", "boolean"}:
        return lambda row, cell: operator.setitem(row, slot, read_value(known, cell))
    # Stages, dates, parents and stamps repeat: one object for each saves most of the memory of a large org.
    seen: dict[str, Any] = {}

    def fill(row: Row, cell: str) -> None:
        if cell not in seen:
            seen[cell] = read_value(known, cell)
        row[slot] = seen[cell]

    return fill


def _owner_fill(org: Org, slot: int) -> Fill:
    owners = {record["Name"]: record["Id"] for record in org.records("User")}

    def fill(row: Row, cell: str) -> None:
        if cell not in owners:
            first, _, last = cell.rpartition(" ")
            username = f"{cell.lower().replace(' ', '.')}@example.com"
            owners[cell] = org.create("User", {"FirstName": first, "LastName": last, "Username": username})
        row[slot] = owners[cell]

    return fill


def _complete(org: Org, of: ObjectType, rows: list[Row], header: set[str]) -> None:
    _give_ids(org, of, rows)
    if "SystemModstamp" in of.fields and "SystemModstamp" not in header:
        _give_stamps(org, of, rows)
    if "CreatedDate" in of.fields:
        created, modified, stamp = map(of.slot, ("CreatedDate", "LastModifiedDate", "SystemModstamp"))
        for row in rows:
            row[created] = row[created] or row[stamp]
            row[modified] = row[modified] or row[stamp]
    if of.name == "Opportunity":
        _give_stages(org, of, rows, header)
    elif of.name in {"Contact", "User"} and "Name" not in header:
        first, last, name = map(of.slot, ("FirstName", "LastName", "Name"))
        for row in rows:
            row[name] = " ".join(part for part in (row[first], row[last]) if part) or None


def _give_ids(org: Org, of: ObjectType, rows: list[Row]) -> None:
    for row in rows:
        row[0] = row[0] or org.next_id(of)


def _give_stamps(org: Org, of: ObjectType, rows: list[Row]) -> None:
    slot, end, groups = of.slot("SystemModstamp"), org.clock.now(), len(rows) // ROWS_PER_STAMP
    stamp = ""
    for number, row in enumerate(rows):
        if number % ROWS_PER_STAMP == 0:
            stamp = stamp_text(end - timedelta(seconds=groups - number // ROWS_PER_STAMP))
        row[slot] = stamp


def _give_stages(org: Org, of: ObjectType, rows: list[Row], header: set[str]) -> None:
    stage, won, closed, probability = map(of.slot, ("StageName", "IsWon", "IsClosed", "Probability"))
    for row in rows:
        name = row[stage]
        if name not in org.stages:
            org.stages[name] = (bool(row[won]), bool(row[closed]), 100 if row[won] else 0)
        is_won, is_closed, chance = org.stages[name]
        if "IsWon" not in header:
            row[won] = is_won
        if "IsClosed" not in header:
            row[closed] = is_closed
        if row[probability] is None:
            row[probability] = _percent(chance)
    field = of.fields["StageName"]
    field.values = tuple(dict.fromkeys([*field.values, *(name for name in org.stages if name)]))


def _percent(chance: int) -> Any:
    return read_value(Field("Probability", "percent"), chance)
