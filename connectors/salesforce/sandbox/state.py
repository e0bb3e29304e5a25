"""An org in a file, so that it outlives the process: JSON lines, the org's set-up first, then a line per record.

A running sandbox appends every change as it happens, so that a killed one has forgotten nothing that it answered;
a later line about a record overrides an earlier one. So it does with logins, open queries and jobs (`memory.py`).
Saving writes the file anew, atomically. A formula is code and cannot be written down: whoever opens the file hands it
in again, or the field is missing and named in `Org.missing_formulas`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import asdict, fields
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

from connectors.salesforce.sandbox import memory
from connectors.salesforce.sandbox.access import Access
from connectors.salesforce.sandbox.automations import Automation
from connectors.salesforce.sandbox.clock import Clock
from connectors.salesforce.sandbox.currencies import refresh_currencies
from connectors.salesforce.sandbox.engine import Engine
from connectors.salesforce.sandbox.lifecycle import Deletion
from connectors.salesforce.sandbox.load import without_collector
from connectors.salesforce.sandbox.org import Org, Refusal
from connectors.salesforce.sandbox.schema import Field, Formula, ObjectType, build_type

FORMAT = 1


def save_org(org: Org, path: Path | str) -> None:
    """Open late commits stay behind: they never happened."""
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
    for key, value in org.remembered.items():
        yield _server_line(key, value)


def _server_line(key: str, value: Any) -> str:
    return json.dumps({"server": key, "value": value}, ensure_ascii=False, default=str)


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
        "automations": None if org.automations is None else [asdict(one) for one in org.automations],
        "objects": [_saved_type(table.type) for table in org.tables.values()],
        "formulas": {name: asdict(one) | {"formula": None} for name, one in _named_formulas(org)},
    }


def _named_formulas(org: Org) -> Iterator[tuple[str, Field]]:
    """The formula fields that somebody added; those of standard objects come with the program."""
    for name, table in org.tables.items():
        yield from ((f"{name}.{one.name}", one) for one in _formulas(table.type) if one.custom)


def _plain(item: Any) -> Any:
    return list(item) if isinstance(item, tuple) else item


def _saved_type(of: ObjectType) -> dict[str, Any]:
    """The fields in the order of their slots; formulas cannot be saved and are left out."""
    kept = [{**asdict(one), "formula": None} for one in of.fields.values() if one.formula is None]
    options = {"label": of.label, "createable": of.createable, "updateable": of.updateable}
    options |= {"deletable": of.deletable, "bulk": of.bulk}
    return {"name": of.name, "prefix": of.prefix, "options": options, "fields": kept}


class Journal:
    """Appends to the state file what changes in the org and in the server. `save` writes the file anew."""

    def __init__(self, org: Org, path: Path | str, engine: Engine) -> None:
        self._org = org
        self._engine = engine
        self._path = Path(path)
        self._out: TextIO | None = None
        self._marks: dict[str, Hashable] = {}
        self.save()
        org.watchers.append(self._note)

    def save(self) -> None:
        with self._org.lock:
            self._end()
            self._save()
            self._out = self._path.open("a", encoding="utf-8")

    def close(self) -> None:
        with self._org.lock:
            self._org.watchers.remove(self._note)
            self._end()
            self._save()

    def note_server(self) -> None:
        """Write down what the last request changed in logins, open queries and jobs."""
        with self._org.lock:
            marks = memory.marks(self._engine)
            changed = {key: mark for key, mark in marks.items() if key not in self._marks or self._marks[key] != mark}
            gone = dict.fromkeys(self._marks.keys() - marks.keys())
            self._marks = marks
            if self._out is not None and (changed or gone):
                entries = memory.remember(self._engine, changed) | gone
                self._out.writelines(_server_line(key, value) + "\n" for key, value in entries.items())
                self._out.flush()

    def _save(self) -> None:
        self._marks = memory.marks(self._engine)
        self._org.remembered = memory.remember(self._engine)
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


def load_org(path: Path | str, formulas: Mapping[str, Formula] | None = None) -> Org:
    """The org a file holds; ValueError when it is no such file. `formulas`: by field, like `Opportunity.Net__c`."""
    with Path(path).open(encoding="utf-8") as lines, without_collector():
        head = _read_head(next(lines, ""))
        org = Org(multi_currency=head["multi_currency"], person_accounts=head["person_accounts"], write_back=False)
        _restore_set_up(org, head, formulas or {})
        for line in lines:
            if not line.endswith("\n"):
                # The process was killed in the middle of this line: what it says was never answered.
                break
            _restore_line(org, json.loads(line))
    if org.multi_currency:
        refresh_currencies(org)
    return org


def _restore_line(org: Org, entry: Any) -> None:
    if isinstance(entry, list):
        name, *row = entry
        org.tables[name].rows[row[0]] = memory.read_row(row, org.tables[name].type)
    elif "server" not in entry:
        _restore_change(org, entry)
    elif entry["value"] is None:
        org.remembered.pop(entry["server"], None)
    else:
        org.remembered[entry["server"]] = entry["value"]


def _restore_change(org: Org, change: dict[str, Any]) -> None:
    name, record_id, rows = change["object"], change["id"], org.tables[change["object"]].rows
    if change["row"] is None:
        rows.pop(record_id, None)
    else:
        rows[record_id] = memory.read_row(change["row"], org.tables[name].type)
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


def _restore_set_up(org: Org, head: dict[str, Any], given: Mapping[str, Formula]) -> None:
    formulas = {table.type.name: _formulas(table.type) for table in org.tables.values()}
    children = {table.type.name: table.type.children for table in org.tables.values()}
    org.tables.clear()
    for saved in head["objects"]:
        made = build_type(saved["name"], saved["prefix"], map(_read_field, saved["fields"]), **saved["options"])
        made.children = children.get(made.name, {})
        for formula in formulas.get(made.name, ()):
            made.add(formula)
        org.add_type(made)
    _restore_formulas(org, head.get("formulas", {}), given)
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
    seen = head.get("automations", [])
    org.automations = None if seen is None else [Automation(**one) for one in seen]


def _restore_formulas(org: Org, saved: Mapping[str, Any], given: Mapping[str, Formula]) -> None:
    for name, field in saved.items():
        if name in given:
            made = _read_field(field)
            made.formula = given[name]
            org.tables[name.partition(".")[0]].type.add(made)
    org.missing_formulas = tuple(name for name in saved if name not in given)


def _formulas(of: ObjectType) -> list[Field]:
    return [one for one in of.fields.values() if one.formula is not None]


def _hashable(item: Any) -> Any:
    return tuple(item) if isinstance(item, list) else item


def _read_field(saved: dict[str, Any]) -> Field:
    made = Field(**{**saved, "values": tuple(saved["values"]), "refers_to": tuple(saved["refers_to"])})
    made.slot = -1
    return made
