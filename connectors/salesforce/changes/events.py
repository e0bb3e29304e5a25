"""What a change event says, and no more: which records of which object. Its values are never looked at.

The nature of the change does not matter either: created, changed, deleted, restored and the gap events, which say that
Salesforce cannot tell what changed in a record, are all answered by reading the record.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastavro import parse_schema, schemaless_reader
from fastavro.read import SchemaResolutionError
from fastavro.schema import SchemaParseException

from connectors.errors import ProtocolError

HEADER = "ChangeEventHeader"
OVERFLOW = "GAP_OVERFLOW"
"""More than 100,000 changes in one transaction: Salesforce stops saying which."""


_UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What fastavro, or a look into what it read, raises beside errors of its own that are none of these."""


@dataclass(slots=True)
class Heard:
    """What the events of one answer say together."""

    changed: dict[str, set[str]] = field(default_factory=dict)
    everything: bool = False
    reason: str = ""

    def cannot_tell(self, reason: str) -> None:
        self.everything, self.reason = True, self.reason or reason


@dataclass(frozen=True, slots=True)
class EventSchema:
    """How events of one schema are read: all of `writer` is on the wire, only `header` is wanted."""

    writer: Any
    header: Any


def read_schema(text: str) -> EventSchema:
    """Raises ProtocolError for what is no schema of a change event."""
    try:
        declared = json.loads(text)
        wanted = [one for one in declared["fields"] if one["name"] == HEADER]
        if not wanted:
            raise ProtocolError(f"The schema of an event has no {HEADER}: is the topic one of change data capture?")
        return EventSchema(parse_schema(declared), parse_schema({**declared, "fields": wanted}))
    except (*_UNREADABLE, SchemaParseException) as error:
        raise ProtocolError("The schema of an event cannot be read.") from error


def read_header(schema: EventSchema, payload: bytes) -> Mapping[str, Any]:
    """The header of one event. Raises ProtocolError when the payload does not follow the schema."""
    try:
        event: Any = schemaless_reader(io.BytesIO(payload), schema.writer, schema.header)
        header = event[HEADER]
    except (*_UNREADABLE, SchemaResolutionError, EOFError, OverflowError, MemoryError) as error:
        raise ProtocolError("An event does not follow its schema.") from error
    if not isinstance(header, Mapping):
        raise ProtocolError("The header of an event is none.")
    return header


def hear(events: Iterable[Any], schema_of: Callable[[str], EventSchema]) -> Heard:
    """What these `ProducerEvent`s say. One that cannot be read costs a pull; it must never stop the stream."""
    heard = Heard()
    for event in events:
        try:
            _note(heard, read_header(schema_of(event.schema_id), event.payload))
        except ProtocolError as error:
            heard.cannot_tell(error.message)
    return heard


def _note(heard: Heard, header: Mapping[str, Any]) -> None:
    if header.get("changeType") == OVERFLOW:
        heard.cannot_tell("Salesforce announced more changes than it lists.")
        return
    name, ids = header.get("entityName"), header.get("recordIds")
    if not name or not isinstance(ids, list) or not ids or not all(isinstance(i, str) and i.isalnum() for i in ids):
        # A change of a field's type is announced for all records at once, as "001*".
        heard.cannot_tell("Salesforce announced changes of records that it does not name.")
        return
    heard.changed.setdefault(str(name), set()).update(ids)
