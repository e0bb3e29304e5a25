"""What a CRM that announces its changes promises: hints which records to read again, and a position to go on from.

An announcement is never data. Announcements may come twice, late or out of order, and a CRM may lose some: the nightly
run is the guarantee, these only make it sooner.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Announcement:
    """What the CRM said in one breath.

    `changed`: ids of records by CRM object, as the CRM wrote them. `everything`: the CRM cannot say which records
    changed; pull all changes since the watermark (`reason` says why, for the log). `position`: to be stored once the
    rest of this announcement is; None: keep the stored one.
    """

    changed: Mapping[str, frozenset[str]] = field(default_factory=dict)
    everything: bool = False
    reason: str = ""
    position: bytes | None = None


class ChangeListener(Protocol):
    """One CRM's streams of changes. Methods raise a `connectors.errors.ConnectorError`; nothing else."""

    topics: tuple[str, ...]

    def listen(self, topic: str, position: bytes | None) -> Iterator[Announcement]:
        """Yield what is announced after `position` until the connection ends; None: from now on.

        The iterator goes on only when the next announcement is asked for: store the last one before. A position that
        the CRM no longer knows costs an announcement of `everything`, never the stream.
        """

    def close(self) -> None:
        """End every stream, from any thread: `listen` then returns without an error."""
