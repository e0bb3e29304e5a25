"""How far we have heard what the CRM announces: one position a topic, kept with the rest of our state."""

from __future__ import annotations

from app.store.database import Database
from app.store.state import load_flag, save_flag

_HEARD = "announced:"
"""State, with the topic behind it: the CRM's own opaque bytes, as hexadecimal digits."""


def load_heard(database: Database, topic: str) -> bytes | None:
    """The position to go on from; None when this topic was never heard."""
    with database.read() as connection:
        stored = load_flag(connection, _HEARD + topic)
    return bytes.fromhex(stored) if stored else None


def save_heard(database: Database, topic: str, position: bytes) -> None:
    """To be called once everything announced up to `position` is stored."""
    with database.begin() as connection:
        save_flag(connection, _HEARD + topic, position.hex())
