"""Schemas and events that no change event should have: each is a ProtocolError, which costs a pull and no stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from connectors.errors import ProtocolError
from connectors.salesforce.changes.events import HEADER, hear, read_schema


def with_header(kind: Any) -> str:
    return json.dumps({"type": "record", "name": "E", "fields": [{"name": HEADER, "type": kind}]})


def nested(depth: int) -> str:
    return '{"fields":' + "[" * depth + "]" * depth + "}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"fields": [1]}',
        '{"fields": []}',
        with_header("no such type"),
        with_header({"type": "record", "fields": []}),
        with_header({"type": "enum", "name": "E", "symbols": ["a b"]}),
        with_header({"type": "array"}),
        json.dumps({"type": "record", "fields": [{"name": HEADER, "type": "string"}]}),
        nested(100_000),
    ],
)
def test_what_is_no_schema_of_a_change_event_is_a_protocol_error(text: str) -> None:
    with pytest.raises(ProtocolError):
        read_schema(text)


class Event:
    schema_id = "s"

    def __init__(self, payload: bytes) -> None:
        self.payload = payload


@pytest.mark.parametrize(
    ("kind", "payload"),
    [
        ("string", b"\x02a"),
        ("int", b"\x02"),
        ({"type": "map", "values": "int"}, b"\x00"),
        (
            {
                "type": "record",
                "name": "H",
                "fields": [{"name": "entityName", "type": "string"}, {"name": "recordIds", "type": "string"}],
            },
            b"\x02a\x02b",
        ),
        (
            {
                "type": "record",
                "name": "H",
                "fields": [
                    {"name": "entityName", "type": "string"},
                    {"name": "recordIds", "type": {"type": "array", "items": "int"}},
                ],
            },
            b"\x02a\x02\x02\x00",
        ),
    ],
    ids=["text", "number", "empty map", "ids as text", "ids as numbers"],
)
def test_a_header_of_another_shape_costs_a_pull(kind: Any, payload: bytes) -> None:
    heard = hear([Event(payload)], lambda _: read_schema(with_header(kind)))

    assert (heard.everything, heard.changed) == (True, {})
