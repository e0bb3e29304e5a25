"""The part of Salesforce's public `pubsub_api.proto` (package `eventbus.v1`) that a subscriber needs.

Declared here instead of generated: seven messages whose field numbers can never change, no compiler to install, and
no generated module that is tied to one version of the runtime. Fields left out (tracing ids, what concerns publishing)
are skipped when read. A new message or field is a line in `MESSAGES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

PACKAGE = "eventbus.v1"
SERVICE = f"/{PACKAGE}.PubSub/"

MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "TopicRequest": {"topic_name": (1, "string")},
    "TopicInfo": {
        "topic_name": (1, "string"),
        "tenant_guid": (2, "string"),
        "can_subscribe": (4, "bool"),
        "schema_id": (5, "string"),
    },
    "SchemaRequest": {"schema_id": (1, "string")},
    "SchemaInfo": {"schema_json": (1, "string"), "schema_id": (2, "string")},
    "ProducerEvent": {"id": (1, "string"), "schema_id": (2, "string"), "payload": (3, "bytes")},
    "ConsumerEvent": {"event": (1, "ProducerEvent"), "replay_id": (2, "bytes")},
    "FetchRequest": {
        "topic_name": (1, "string"),
        "replay_preset": (2, "int32"),
        "replay_id": (3, "bytes"),
        "num_requested": (4, "int32"),
    },
    "FetchResponse": {
        "events": (1, "ConsumerEvent*"),
        "latest_replay_id": (2, "bytes"),
        "pending_num_requested": (4, "int32"),
    },
}
"""Message -> field -> number and type; `*` means repeated. An enumeration is the number that it is on the wire."""


class ReplayPreset(IntEnum):
    LATEST = 0
    EARLIEST = 1
    CUSTOM = 2


@dataclass(frozen=True, slots=True)
class Messages:
    """The message classes. `Any`: they come into being at run time."""

    topic_request: Any
    topic_info: Any
    schema_request: Any
    schema_info: Any
    producer_event: Any
    consumer_event: Any
    fetch_request: Any
    fetch_response: Any


def build_messages() -> Messages:
    """The classes, in a pool of their own: another copy of the same file in this process does no harm."""
    declared = descriptor_pb2.FileDescriptorProto(name="pubsub_api.proto", package=PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        _declare(declared.message_type.add(name=name), fields)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(declared)
    file = pool.FindFileByName(declared.name)
    return Messages(*(message_factory.GetMessageClass(file.message_types_by_name[name]) for name in _ORDER))


_ORDER = (
    "TopicRequest", "TopicInfo", "SchemaRequest", "SchemaInfo",
    "ProducerEvent", "ConsumerEvent", "FetchRequest", "FetchResponse",
)  # fmt: skip


def _declare(message: descriptor_pb2.DescriptorProto, fields: Mapping[str, tuple[int, str]]) -> None:
    for name, (number, kind) in fields.items():
        field = message.field.add(name=name, number=number)
        field.label = field.LABEL_REPEATED if kind.endswith("*") else field.LABEL_OPTIONAL
        plain = kind.rstrip("*")
        if plain in MESSAGES:
            field.type, field.type_name = field.TYPE_MESSAGE, f".{PACKAGE}.{plain}"
        else:
            field.type = field.Type.Value(f"TYPE_{plain.upper()}")
