"""Records as Salesforce sends them, turned into rows of text in the order that was asked for. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.contract import FieldType, ObjectSchema, PullRequest, RawRow, RawValue
from connectors.errors import ProtocolError
from connectors.salesforce.soql import STAMP

ID = "Id"

Source = int | tuple[tuple[str, int], ...]
"""Where an asked-for value comes from: one column, or the named columns of a compound field."""


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns to select, each once, and how a row of them becomes a row of `PullRequest.fields`."""

    columns: tuple[str, ...]
    sources: tuple[Source, ...]

    @property
    def straight(self) -> bool:
        """True when a selected row already is what was asked for."""
        return self.sources == tuple(range(len(self.columns)))

    def arrange(self, rows: Sequence[RawRow]) -> Sequence[RawRow]:
        return rows if self.straight else [[_take(row, source) for source in self.sources] for row in rows]


def _take(row: RawRow, source: Source) -> RawValue:
    if isinstance(source, int):
        return row[source]
    parts = {name: row[i] for name, i in source if row[i] is not None}
    return json.dumps(parts, ensure_ascii=False) if parts else None


def lay_out(request: PullRequest, schema: ObjectSchema | None, extra: Sequence[str] = ()) -> Layout:
    """Place the fields of `request` and the `extra` ones the connector needs itself.

    A compound field (an address, a location) cannot be selected by the Bulk API: its parts are, and the value is
    delivered as a JSON object of them. That needs the `schema`; without one, fields are taken as they are named.
    """
    places: dict[str, int] = {}
    columns: list[str] = []

    def place(name: str) -> int:
        if name.lower() not in places:
            places[name.lower()] = len(columns)
            columns.append(name)
        return places[name.lower()]

    def source(name: str) -> Source:
        parts = _parts(name, schema)
        return tuple((part, place(part)) for part in parts) if parts else place(name)

    sources = tuple(source(name) for name in request.fields)
    for name in extra:
        place(name)
    return Layout(tuple(columns), sources)


def _parts(name: str, schema: ObjectSchema | None) -> tuple[str, ...]:
    field = schema.fields.get(name) if schema else None
    return field.compound_parts if field and field.type is FieldType.COMPOUND else ()


def read_records(records: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> list[list[RawValue]]:
    """Rows of text from the record objects of a query answer."""
    if not records:
        return []
    paths = [_spelled(records[0], column) for column in columns]
    readers = [_flat(path[0]) if len(path) == 1 else _nested(path) for path in paths]
    try:
        return [[reader(record) for reader in readers] for record in records]
    except KeyError as missing:
        raise ProtocolError(f"Salesforce left out a field that was asked for: {missing.args[0]}.") from None
    except (TypeError, AttributeError):
        raise ProtocolError("A record in an answer is not an object.") from None


def _spelled(sample: Mapping[str, Any], column: str) -> tuple[str, ...]:
    """The path of `column` in the CRM's own spelling: SOQL ignores case, JSON does not."""
    path: list[str] = []
    level: Any = sample
    for step in column.split("."):
        keys = {key.lower(): key for key in level} if isinstance(level, Mapping) else {}
        path.append(keys.get(step.lower(), step))
        level = level.get(path[-1]) if isinstance(level, Mapping) else None
    return tuple(path)


def _flat(name: str) -> Callable[[Mapping[str, Any]], RawValue]:
    return lambda record: text_of(record[name])


def _nested(path: Sequence[str]) -> Callable[[Mapping[str, Any]], RawValue]:
    def read(record: Mapping[str, Any]) -> RawValue:
        value: Any = record
        for step in path:
            if value is None:
                return None
            value = value[step]
        return text_of(value)

    return read


def text_of(value: Any) -> RawValue:
    """A JSON value (fractions already text) as the contract's text; the empty text and null are both None."""
    if isinstance(value, str):
        return value.replace("\0", "") or None
    if value is None:
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return json.dumps(value, ensure_ascii=False)


def read_stamp(text: RawValue) -> datetime | None:
    """A SystemModstamp of either spelling (`+0000` of REST, `Z` of Bulk) as an aware moment."""
    try:
        return None if text is None else datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    except (ValueError, TypeError):
        raise ProtocolError("A SystemModstamp cannot be read.") from None


INTERNAL = (ID, STAMP)
"""What a REST stream needs on every row to tell rows and moments apart."""
