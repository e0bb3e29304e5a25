"""A file of advocacy events into the store: all of it that can be taken, in slices, safe to repeat."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from app.domain.events import AdvocacyEvent
from app.domain.model import Policy
from app.intake.event_files import FileRow, RejectedRow
from app.store.database import Database
from app.store.events import Conflict, save_events

SLICE = 5_000
"""Events saved in one transaction. Saving is idempotent, so a killed import is simply run again."""


@dataclass(frozen=True, slots=True)
class ImportReport:
    """`conflicts`: rows whose (source_system, source_event_id) is stored with other content; the stored one stays."""

    added: int
    duplicate: int
    conflicts: tuple[Conflict, ...]
    rejected: tuple[RejectedRow, ...]
    moved_on: int = 0
    """Known events that got another status."""

    @property
    def is_clean(self) -> bool:
        return not self.conflicts and not self.rejected


def import_events(database: Database, rows: Iterable[FileRow], *, now: datetime, policy: Policy) -> ImportReport:
    """Save the events among `rows`, and report the rows that are none."""
    added = duplicate = moved_on = 0
    conflicts: list[Conflict] = []
    rejected: list[RejectedRow] = []
    remaining = iter(rows)
    while chunk := list(islice(remaining, SLICE)):
        rejected += [row for row in chunk if isinstance(row, RejectedRow)]
        events = [row for row in chunk if isinstance(row, AdvocacyEvent)]
        report = save_events(database, events, now=now, policy=policy)
        added, duplicate = added + report.added, duplicate + report.duplicate
        moved_on += report.moved_on
        conflicts += report.conflicts
    return ImportReport(added, duplicate, tuple(conflicts), tuple(rejected), moved_on)
