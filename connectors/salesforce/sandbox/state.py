"""An org in a file, so that it outlives the process: JSON lines, the org's set-up first, then a line per record.

A running sandbox appends every change as it happens, so that a killed one has forgotten nothing that it answered;
a later line about a record overrides an earlier one. Saving writes the file anew, atomically.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, fields
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TextIO

from connectors.salesforce.sandbox.access import Access
from connectors.salesforce.sandbox.clock import Clock
from connectors.salesforce.sandbox.currencies import refresh_currencies
from connectors.salesforce.sandbox.lifecycle import Deletion
from connectors.salesforce.sandbox.load import without_collector
from connectors.salesforce.sandbox.org import Org, Refusal
from connectors.salesforce.sandbox.schema import NUMERIC, Field, ObjectType, Row, build_type

FORMAT = 1


def save_org(org: Org, path: Path | str) -> None:
    """Formula fields and open late commits are code and stay behind."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(target.name + ".part")
    with org.lock, draft.open("w", encoding="utf-8") as out:
        out.writelines(line + "\n" for line in _lines(org))
        out.flush()
        os.fsync(out.fileno())
    draft.replace(target)


def _lines(org: Org) -> Iterator[str]:
    yield json.dumps(_head(org), ensure_ascii=False)
    for name, table in org.tables.items():
        for row in table.rows.values():
            yield json.dumps([name, *row], ensure_ascii=False, default=str)


def _head(org: Org) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "multi_currency": org.multi_currency,
        "person_accounts": org.person_accounts,
        "organization_id": org.organization_id,
        "user_id": org.user_id,
        "client_secret": org.client_secret,
        "clock": org.clock.saved(),
        "schema_changed": org.schema_changed.isoformat(),
        "numbers": org.numbers,
        "stages": org.stages,
        "access": {one.name: sorted(map(_plain, getattr(org.access, one.name))) for one in fields(Access)},
        "deletions": {record_id: asdict(gone) for record_id, gone in org.deletions.items()},
        "refusals": {record_id: asdict(refusal) for record_id, refusal in org.refusals.items()},
        "components": sorted(map(list, org.components)),
        "objects": [_saved_type(table.type) for table in org.tables.values()],
    }


def _plain(item: Any) -> Any:
    return list(item) if isinstance(item, tuple) else item


def _saved_type(of: ObjectType) -> dict[str, Any]:
    """The fields in the order of their slots; formulas cannot be saved and are left out."""
    kept = [{**asdict(one), "formula": None} for one in of.fields.values() if one.formula is None]
    options = {"label": of.label, "createable": of.createable, "updateable": of.updateable}
    options |= {"deletable": of.deletable, "bulk": of.bulk}
    return {"name": of.name, "prefix": of.prefix, "options": options, "fields": kept}


class Journal:
    """Appends to the state file what changes in the org. `save` writes the file anew."""

    def __init__(self, org: Org, path: Path | str) -> None:
        self._org = org
        self._path = Path(path)
        self._out: TextIO | None = None
        self.save()
        org.watchers.append(self._note)

    def save(self) -> None:
        with self._org.lock:
            self._end()
            save_org(self._org, self._path)
            self._out = self._path.open("a", encoding="utf-8")

    def close(self) -> None:
        with self._org.lock:
            self._org.watchers.remove(self._note)
            self._end()
            save_org(self._org, self._path)

    def _end(self) -> None:
        if self._out is not None:
            self._out.close()

    def _note(self, object_name: str, record_id: str) -> None:
        if not object_name:
            self.save()
        elif self._out is not None:
            self._out.write(
                json.dumps(_change(self._org, object_name, record_id), ensure_ascii=False, default=str) + "\n"
            )
            self._out.flush()


def _change(org: Org, object_name: str, record_id: str) -> dict[str, Any]:
    gone, prefix = org.deletions.get(record_id), record_id[:3]
    return {
        "object": object_name,
        "id": record_id,
        "row": org.tables[object_name].rows.get(record_id),
        "deletion": asdict(gone) if gone else None,
        "numbers": {prefix: org.numbers.get(prefix, 0)},
    }


def load_org(path: Path | str) -> Org:
    """The org a file holds; ValueError when it is no such file."""
    with Path(path).open(encoding="utf-8") as lines, without_collector():
        head = _read_head(next(lines, ""))
        org = Org(multi_currency=head["multi_currency"], person_accounts=head["person_accounts"], write_back=False)
        _restore_set_up(org, head)
        numeric = {name: _numeric_slots(table.type) for name, table in org.tables.items()}
        for line in lines:
            if not line.endswith("\n"):
                # The process was killed in the middle of this line: what it says was never answered.
                break
            change = json.loads(line)
            if isinstance(change, dict):
                _restore_change(org, change, numeric)
            else:
                name, *row = change
                org.tables[name].rows[row[0]] = _read_row(row, numeric[name])
    if org.multi_currency:
        refresh_currencies(org)
    return org


def _restore_change(org: Org, change: dict[str, Any], numeric: dict[str, list[int]]) -> None:
    name, record_id, rows = change["object"], change["id"], org.tables[change["object"]].rows
    if change["row"] is None:
        rows.pop(record_id, None)
    else:
        rows[record_id] = _read_row(change["row"], numeric[name])
    if change["deletion"] is None:
        org.deletions.pop(record_id, None)
    else:
        org.deletions[record_id] = Deletion(**change["deletion"])
    org.numbers |= change["numbers"]


def _read_head(line: str) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != FORMAT:
        raise ValueError("this is not the state file of a sandbox org")
    return head


def _restore_set_up(org: Org, head: dict[str, Any]) -> None:
    formulas = {table.type.name: _formulas(table.type) for table in org.tables.values()}
    children = {table.type.name: table.type.children for table in org.tables.values()}
    org.tables.clear()
    for saved in head["objects"]:
        made = build_type(saved["name"], saved["prefix"], map(_read_field, saved["fields"]), **saved["options"])
        made.children = children.get(made.name, {})
        for formula in formulas.get(made.name, ()):
            made.add(formula)
        org.add_type(made)
    org.organization_id, org.user_id, org.client_secret = (
        head["organization_id"],
        head["user_id"],
        head["client_secret"],
    )
    org.clock = Clock.restored(head["clock"])
    org.schema_changed = datetime.fromisoformat(head["schema_changed"])
    org.numbers = head["numbers"]
    org.stages = {name: (won, closed, chance) for name, (won, closed, chance) in head["stages"].items()}
    org.access = Access(**{name: set(map(_hashable, items)) for name, items in head["access"].items()})
    org.deletions = {record_id: Deletion(**gone) for record_id, gone in head["deletions"].items()}
    org.refusals = {
        record_id: Refusal(**{**refusal, "fields": tuple(refusal["fields"])})
        for record_id, refusal in head["refusals"].items()
    }
    org.components = {(kind, name) for kind, name in head["components"]}


def _formulas(of: ObjectType) -> list[Field]:
    return [one for one in of.fields.values() if one.formula is not None]


def _hashable(item: Any) -> Any:
    return tuple(item) if isinstance(item, list) else item


def _read_field(saved: dict[str, Any]) -> Field:
    made = Field(**{**saved, "values": tuple(saved["values"]), "refers_to": tuple(saved["refers_to"])})
    made.slot = -1
    return made


def _numeric_slots(of: ObjectType) -> list[int]:
    return [one.slot for one in of.fields.values() if one.slot >= 0 and one.type in NUMERIC]


def _read_row(row: Row, numeric: list[int]) -> Row:
    for slot in numeric:
        if row[slot] is not None:
            row[slot] = Decimal(row[slot])
    return row
