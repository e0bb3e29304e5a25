"""The declared messages against bytes that a compiler of the public pubsub_api.proto made."""

from __future__ import annotations

import pytest

pytest.importorskip("google.protobuf", reason="the extra cdc is not installed")

from connectors.salesforce.changes.messages import ReplayPreset, build_messages

MESSAGES = build_messages()


def test_requests_are_written_as_the_public_definition_writes_them() -> None:
    fetch = MESSAGES.fetch_request(
        topic_name="/data/ChangeEvents", replay_preset=ReplayPreset.CUSTOM, replay_id=b"\x00\x07", num_requested=100
    )
    written = [
        message.SerializeToString().hex()
        for message in (
            fetch,
            MESSAGES.topic_request(topic_name="/data/ChangeEvents"),
            MESSAGES.schema_request(schema_id="s-1"),
        )
    ]

    assert written == [
        "0a122f646174612f4368616e67654576656e747310021a0200072064",
        "0a122f646174612f4368616e67654576656e7473",
        "0a03732d31",
    ]


def test_answers_are_read_past_the_fields_that_we_leave_out() -> None:
    wire = "0a1c0a160a03652d311203732d311a02020422060a016b12017612020008120200091a03722d312063"
    answer = MESSAGES.fetch_response.FromString(bytes.fromhex(wire))
    topic = MESSAGES.topic_info.FromString(
        bytes.fromhex("0a122f646174612f4368616e67654576656e7473120167180120012a03732d313203722d31")
    )
    schema = MESSAGES.schema_info.FromString(bytes.fromhex("0a027b7d1203732d311a03722d31"))

    event = answer.events[0]
    assert (event.event.id, event.event.schema_id, event.event.payload) == ("e-1", "s-1", b"\x02\x04")
    assert (event.replay_id, answer.latest_replay_id, answer.pending_num_requested) == (b"\x00\x08", b"\x00\x09", 99)
    assert (topic.topic_name, topic.can_subscribe, topic.schema_id) == ("/data/ChangeEvents", True, "s-1")
    assert (schema.schema_json, schema.schema_id) == ("{}", "s-1")
