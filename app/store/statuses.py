"""What an advocacy event counts as: claimed, verified, rejected or expired, and who made it so.

The event holds the status that counts now; every change of it stays in `event_status`, oldest first. A source moves a
status only forwards (`moves_on`), so that repeated and late deliveries end the same in any order; a decision sets any.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa

from app.domain.events import moves_on
from app.domain.model import ReferralStatus
from app.store.database import Database
from app.store.staging import stage_ids
from app.store.tables import advocacy_event, event_status

SOURCE = "its source"
"""Who changed a status, when no person did."""
MATCHES = 5
"""Events named in a refusal to guess which one is meant."""


class Saying(NamedTuple):
    """A source says what an event counts as: the event sent again, or a milestone of it (`told_by`)."""

    event_id: str
    status: ReferralStatus
    reason: str | None = None
    told_by: str | None = None


@dataclass(frozen=True, slots=True)
class StatusChange:
    """`who`: a user of the machine, an API key, or SOURCE. `reason`: None where nobody gave one."""

    event_id: str
    was: ReferralStatus
    status: ReferralStatus
    at: datetime
    who: str
    reason: str | None = None


def decide_statuses(
    database: Database,
    event_ids: Iterable[str],
    status: ReferralStatus,
    *,
    who: str,
    now: datetime,
    reason: str | None = None,
) -> list[StatusChange]:
    """Set the status of some events, all or none, and return the changes: none for an event that has it already.

    What an event counted for is marked for the next valuation. Raises KeyError for an event that is not there.
    """
    wanted = dict.fromkeys(event_ids)
    with database.begin() as connection:
        held = _load_held(connection, wanted)
        changes = [
            StatusChange(event_id, held[event_id], status, now, who, reason)
            for event_id in wanted
            if held[event_id] is not status
        ]
        _save(connection, changes)
    return changes


def restate_on(
    connection: sa.Connection, sayings: Sequence[Saying], *, now: datetime
) -> tuple[list[StatusChange], list[Saying]]:
    """Take what sources say, in their order. Returns the changes, and what would have taken a status back.

    What repeats a status that the event has or had before is neither.
    """
    held = _load_held(connection, {one.event_id for one in sayings})
    before = _load_before(connection, held)
    changes: list[StatusChange] = []
    refused: list[Saying] = []
    for one in sayings:
        status, had = held[one.event_id], before.get(one.event_id, set())
        # A milestone comes once; an event sent again may repeat what a person has overruled since.
        is_news = one.told_by is not None or one.status not in had
        if is_news and moves_on(status, one.status):
            changes.append(StatusChange(one.event_id, status, one.status, now, SOURCE, one.reason))
            before[one.event_id] = had | {status}
            held[one.event_id] = one.status
        elif one.status is not status and one.status not in had:
            refused.append(one)
    _save(connection, changes)
    return changes, refused


def _load_held(connection: sa.Connection, event_ids: Collection[str]) -> dict[str, ReferralStatus]:
    stage_ids(connection, "s_stated", event_ids)
    rows = connection.exec_driver_sql(
        "select e.event_id, e.status from s_stated s join advocacy_event e on e.event_id = s.id"
    )
    return {row[0]: ReferralStatus(row[1]) for row in rows}


def _load_before(connection: sa.Connection, event_ids: Collection[str]) -> dict[str, set[ReferralStatus]]:
    """What each event counted as at any time before."""
    before: dict[str, set[ReferralStatus]] = {}
    for change in load_changes(connection, event_ids):
        before.setdefault(change.event_id, set()).update((change.was, change.status))
    return before


def _save(connection: sa.Connection, changes: Sequence[StatusChange]) -> None:
    if not changes:
        return
    last = {change.event_id: str(change.status) for change in changes}
    connection.execute(
        sa.update(advocacy_event)
        .where(advocacy_event.c.event_id == sa.bindparam("changed"))
        .values(status=sa.bindparam("now_counts_as")),
        [{"changed": event_id, "now_counts_as": status} for event_id, status in last.items()],
    )
    connection.execute(
        sa.insert(event_status),
        [
            {
                "event_id": one.event_id,
                "was": str(one.was),
                "status": str(one.status),
                "at": one.at,
                "who": one.who,
                "reason": one.reason,
            }
            for one in changes
        ],
    )
    connection.execute(
        sa.text("insert into dirty (kind, id) values ('event', :event_id) on conflict (kind, id) do nothing"),
        [{"event_id": event_id} for event_id in last],
    )


def load_changes(connection: sa.Connection, event_ids: Collection[str]) -> list[StatusChange]:
    """Every change of the status of some events, oldest first."""
    stage_ids(connection, "s_stated", event_ids)
    staged = sa.table("s_stated", sa.column("id"))
    query = (
        sa.select(*[event_status.c[name] for name in StatusChange.__dataclass_fields__])
        .join_from(staged, event_status, event_status.c.event_id == staged.c.id)
        .order_by(event_status.c.change_id)
    )
    return [
        StatusChange(**{**row, "was": ReferralStatus(row["was"]), "status": ReferralStatus(row["status"])})
        for row in connection.execute(query).mappings()
    ]


def find_event_ids(database: Database, name: str) -> list[str]:
    """The events that a person may mean: by our id, or else by the source's own, of any source. At most MATCHES."""
    if not name.isprintable():
        return []
    for column in (advocacy_event.c.event_id, advocacy_event.c.source_event_id):
        query = sa.select(advocacy_event.c.event_id).where(column == name).order_by(advocacy_event.c.event_id)
        with database.read() as connection:
            if found := list(connection.execute(query.limit(MATCHES)).scalars()):
                return found
    return []
