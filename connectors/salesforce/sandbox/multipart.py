"""The parts of a multipart/form-data body."""

from __future__ import annotations

from email import message_from_bytes

from connectors.salesforce.sandbox.engine import Call


def read_parts(call: Call) -> dict[str, bytes]:
    """The parts of a multipart/form-data body by their names."""
    head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode()
    parts: dict[str, bytes] = {}
    for part in message_from_bytes(head + call.body).walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            parts[name] = payload
    return parts
