"""Advocacy events: append-only, and each known for ever by (source_system, source_event_id).

Only what an event counts as may change: `statuses`.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from app.domain.domains import read_domain
from app.domain.event_types import REFERRAL
from app.domain.events import MILESTONES, PROGRESS, AdvocacyEvent, Polarity
from app.domain.model import Policy, ReferralStatus
from app.domain.permission_events import CONTACT_LEFT, PERMISSION_REVOKED
from app.domain.rows import Row
from app.store.bulk import analyze, insert_rows
from app.store.database import Database
from app.store.staging import stage_ids
from app.store.statuses import Saying, StatusChange, restate_on
from app.store.tables import advocacy_event

CHUNK = 5_000
_IDENTITY = sa.table("s_identity", sa.column("id"))
_OURS = ("recorded_at", "recorded_on", "status", "referral_id")
"""Columns that say nothing about whether an event came again with other content."""
WITHDRAWALS = frozenset((CONTACT_LEFT, PERMISSION_REVOKED, "opted_out"))
"""What ends that a customer may be asked or shown."""
_WORDING = frozenset(("title", "url", "attributes"))
"""What a source may reword without meaning another event."""
_INPUT = tuple(c.name for c in advocacy_event.columns if c.name not in _OURS)


@dataclass(frozen=True, slots=True)
class StoredEvent:
    event_id: str
    """Our name for it in credit lines: the source system and the source's own id."""
    event: AdvocacyEvent
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Conflict:
    """An event came again under a known identity with other content. The first one stands.

    `differing` holds `status` where the event, or a milestone of a referral, would have taken a status back.
    """

    source_system: str
    source_event_id: str
    differing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SaveReport:
    added: int
    duplicate: int
    conflicts: tuple[Conflict, ...]
    moved_on: int = 0
    """Known events that got another status, by coming again with it or by a milestone."""
    accounts: tuple[str, ...] = ()
    """The accounts that did something, or were referred, in the added events; sorted."""


def save_events(database: Database, events: Iterable[AdvocacyEvent], *, now: datetime, policy: Policy) -> SaveReport:
    """Store the events that are new, all or none, and mark what they change for the next valuation."""
    with database.begin() as connection:
        return save_events_on(connection, events, now=now, policy=policy)


def save_events_on(
    connection: sa.Connection, events: Iterable[AdvocacyEvent], *, now: datetime, policy: Policy
) -> SaveReport:
    """`save_events` inside a transaction of the caller, so that a delivery and its events settle together."""
    recorded_on = now.astimezone(ZoneInfo(policy.time_zone)).date().isoformat()
    added, duplicate, moved_on = 0, 0, 0
    conflicts: list[Conflict] = []
    accounts: set[str] = set()
    for chunk in _chunks(events):
        new, repeated, differing, sayings = _sort_out(connection, chunk)
        duplicate += repeated
        conflicts += differing
        added += len(new)
        accounts |= {a for row in new.values() for a in (row["account_id"], row["referred_account_id"]) if a}
        _insert(connection, list(new.values()), now, recorded_on)
        changes, refused = _restate(connection, sayings, list(new.values()), now)
        moved_on += len(changes)
        conflicts += refused
    if added >= CHUNK:
        analyze(connection, advocacy_event.name)
    return SaveReport(added, duplicate, tuple(conflicts), moved_on, tuple(sorted(accounts)))


def _chunks(events: Iterable[AdvocacyEvent]) -> Iterator[list[AdvocacyEvent]]:
    iterator = iter(events)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


Identity = tuple[str, str]


def _sort_out(
    connection: sa.Connection, chunk: Sequence[AdvocacyEvent]
) -> tuple[dict[Identity, dict[str, Any]], int, list[Conflict], list[Saying]]:
    """The new rows, how many events were known, those of them that differ, and what the rest say about their status."""
    known = _load_known(connection, chunk)
    new: dict[Identity, dict[str, Any]] = {}
    repeated = 0
    conflicts = []
    sayings = []
    for event in chunk:
        identity = (event.source_system, event.source_event_id)
        row = _to_row(event)
        stored = known.get(identity) or new.get(identity)
        if stored is None:
            new[identity] = row
            continue
        repeated += 1
        differing = tuple(sorted(name for name in _INPUT if stored[name] != row[name]))
        if differing:
            conflicts.append(Conflict(*identity, differing))
        if event.status is not None and _WORDING.issuperset(differing):
            sayings.append(Saying(row["event_id"], ReferralStatus(row["status"])))
    return new, repeated, conflicts, sayings


def _restate(
    connection: sa.Connection, sayings: Sequence[Saying], new: Sequence[dict[str, Any]], now: datetime
) -> tuple[list[StatusChange], list[Conflict]]:
    """What known events and milestones say about the status of events, in the order in which it came."""
    told = [*sayings, *_load_milestones(connection, new)]
    if not told:
        return [], []
    changes, refused = restate_on(connection, told, now=now)
    return changes, _load_refused(connection, {one.told_by or one.event_id for one in refused})


def _load_refused(connection: sa.Connection, event_ids: set[str]) -> list[Conflict]:
    stage_ids(connection, "s_identity", event_ids)
    rows = connection.exec_driver_sql(
        "select e.source_system, e.source_event_id from s_identity i join advocacy_event e on e.event_id = i.id"
        " order by e.event_id"
    )
    return [Conflict(row[0], row[1], ("status",)) for row in rows]


def _load_milestones(connection: sa.Connection, new: Sequence[dict[str, Any]]) -> list[Saying]:
    """What the milestones among the new events say, and those that came before the referral they name."""
    milestones = {row["event_id"] for row in new if row["referral_id"]}
    referrals = {row["event_id"] for row in new if row["type"] == REFERRAL}
    if not milestones and not referrals:
        return []
    found = set[tuple[str, str, str, str]]()
    for ids, column in ((milestones, "event_id"), (referrals, "referral_id")):
        stage_ids(connection, "s_identity", ids)
        rows = connection.exec_driver_sql(
            "select m.occurred_on, m.event_id, m.type, r.event_id from s_identity i"
            f" join advocacy_event m on m.{column} = i.id join advocacy_event r on r.event_id = m.referral_id"
            f" where m.status = 'verified' and r.type = '{REFERRAL}'"
        )
        found.update((row[0], row[1], row[2], row[3]) for row in rows)
    told = sorted(found, key=lambda row: (row[0], PROGRESS[MILESTONES[row[2]]], row[1]))
    return [Saying(referral, MILESTONES[kind], kind, told_by) for _, told_by, kind, referral in told]


def _load_known(connection: sa.Connection, chunk: Sequence[AdvocacyEvent]) -> dict[Identity, sa.RowMapping]:
    """The stored events of a chunk, by a join: a planner without statistics walks the whole table for a list of ids."""
    stage_ids(connection, "s_identity", {event_id(one.source_system, one.source_event_id) for one in chunk})
    rows = connection.execute(
        sa.select(advocacy_event).join_from(_IDENTITY, advocacy_event, advocacy_event.c.event_id == _IDENTITY.c.id)
    ).mappings()
    return {(row["source_system"], row["source_event_id"]): row for row in rows}


def _insert(connection: sa.Connection, rows: Sequence[dict[str, Any]], now: datetime, recorded_on: str) -> None:
    if not rows:
        return
    connection.execute(
        sa.insert(advocacy_event), [{**row, "recorded_at": now, "recorded_on": recorded_on} for row in rows]
    )
    marks: list[Row] = [("event", row["event_id"]) for row in rows]
    insert_rows(connection, "dirty", ("kind", "id"), marks)


def event_id(source_system: str, source_event_id: str) -> str:
    """One text for the two-part identity; it does not depend on the order in which events arrived."""
    return f"{source_system.replace('/', '%2F')}/{source_event_id}"


def list_events(
    database: Database,
    *,
    account: str | None = None,
    event_type: str | None = None,
    status: str | None = None,
    limit: int = 100,
    after: tuple[str, str] | None = None,
) -> list[StoredEvent]:
    """The newest events first, of one account (as doer or as referred one), type or status where given.

    `after`: only what follows an event of this day and id.
    """
    query = sa.select(advocacy_event).order_by(advocacy_event.c.occurred_on.desc(), advocacy_event.c.event_id.desc())
    if account is not None:
        query = query.where(
            sa.or_(advocacy_event.c.account_id == account, advocacy_event.c.referred_account_id == account)
        )
    if event_type is not None:
        query = query.where(advocacy_event.c.type == event_type)
    if status is not None:
        query = query.where(advocacy_event.c.status == status)
    if after is not None:
        day, id_ = after
        older = sa.and_(advocacy_event.c.occurred_on == day, advocacy_event.c.event_id < id_)
        query = query.where(sa.or_(advocacy_event.c.occurred_on < day, older))
    with database.read() as connection:
        return [_from_row(row) for row in connection.execute(query.limit(limit)).mappings()]


def load_day(
    database: Database, account: str, day: date, types: Collection[str], *, source_system: str
) -> list[StoredEvent]:
    """What one source has recorded of an account for one day, in the order it was recorded."""
    query = (
        sa.select(advocacy_event)
        .where(
            advocacy_event.c.account_id == account,
            advocacy_event.c.occurred_on == day.isoformat(),
            advocacy_event.c.source_system == source_system,
            advocacy_event.c.type.in_(sorted(types)),
        )
        .order_by(advocacy_event.c.recorded_at, advocacy_event.c.event_id)
    )
    with database.read() as connection:
        return [_from_row(row) for row in connection.execute(query).mappings()]


def load_accounts_with(connection: sa.Connection, types: Collection[str]) -> list[str]:
    """The live accounts with a verified event of one of these types, by id; merged ones as those they live on in."""
    collation = "" if connection.dialect.name == "sqlite" else ' collate "C"'
    query = sa.text(
        "with recursive up (id, next_id) as ("
        f" select a.id{collation}, a.merged_into_id{collation} from account a where a.id in ("
        "  select account_id from advocacy_event where type in :types and status = 'verified')"
        f" union select a.id{collation}, a.merged_into_id{collation} from up join account a on a.id = up.next_id)"
        " select distinct up.id from up join account a on a.id = up.id where up.next_id is null and a.is_deleted = 0"
    ).bindparams(sa.bindparam("types", expanding=True))
    return sorted(connection.execute(query, {"types": sorted(types)}).scalars())


def stream_events(database: Database) -> Iterator[StoredEvent]:
    """Every event in the order it was recorded, without holding them all."""
    query = sa.select(advocacy_event).order_by(advocacy_event.c.recorded_at, advocacy_event.c.event_id)
    with database.read() as connection:
        result = connection.execution_options(stream_results=True).execute(query).mappings()
        for page in result.partitions(2_000):
            yield from (_from_row(row) for row in page)


def _exact(value: Decimal | None) -> str | None:
    """The one plain text of a number, so that 5 and 5.0 are the same content."""
    return None if value is None else format(value.normalize(), "f")


def _status_of(event: AdvocacyEvent) -> ReferralStatus:
    # In doubt nothing leaves the house: a no waits for nobody to confirm it. People may still reject it.
    if event.type in WITHDRAWALS and event.status is ReferralStatus.CLAIMED:
        return ReferralStatus.VERIFIED
    return event.status or ReferralStatus.VERIFIED


def _to_row(event: AdvocacyEvent) -> dict[str, Any]:
    return {
        "event_id": event_id(event.source_system, event.source_event_id),
        "source_system": event.source_system,
        "source_event_id": event.source_event_id,
        "type": event.type,
        "occurred_on": event.occurred_on.isoformat(),
        "occurred_at": event.occurred_at,
        "account_id": event.account,
        "contact_id": event.contact,
        "opportunity_id": event.opportunity,
        "referred_account_id": event.referred_account,
        "referred_contact_id": event.referred_contact,
        "referred_domain": event.referred_domain and read_domain(event.referred_domain),
        "status": _status_of(event).value,
        "share_percent": _exact(event.share_percent),
        "weight": event.weight,
        "reference_share": _exact(event.reference_share),
        "amount": _exact(event.amount),
        "currency": event.currency,
        "valid_from": event.valid_from and event.valid_from.isoformat(),
        "valid_to": event.valid_to and event.valid_to.isoformat(),
        "polarity": event.polarity.value,
        "title": event.title,
        "url": event.url,
        "attributes": json.dumps(event.attributes, sort_keys=True, separators=(",", ":"), ensure_ascii=False),
        "referral_id": event.named_referral and event_id(event.source_system, event.named_referral),
    }


def _from_row(row: sa.RowMapping) -> StoredEvent:
    def day(name: str) -> date | None:
        return None if row[name] is None else date.fromisoformat(row[name])

    def exact(name: str) -> Decimal | None:
        return None if row[name] is None else Decimal(row[name])

    event = AdvocacyEvent(
        source_system=row["source_system"],
        source_event_id=row["source_event_id"],
        type=row["type"],
        occurred_on=date.fromisoformat(row["occurred_on"]),
        account=row["account_id"],
        occurred_at=row["occurred_at"],
        contact=row["contact_id"],
        opportunity=row["opportunity_id"],
        referred_account=row["referred_account_id"],
        referred_contact=row["referred_contact_id"],
        referred_domain=row["referred_domain"],
        status=ReferralStatus(row["status"]),
        share_percent=exact("share_percent"),
        weight=row["weight"],
        reference_share=exact("reference_share"),
        amount=exact("amount"),
        currency=row["currency"],
        valid_from=day("valid_from"),
        valid_to=day("valid_to"),
        polarity=Polarity(row["polarity"]),
        title=row["title"],
        url=row["url"],
        attributes=json.loads(row["attributes"]),
    )
    return StoredEvent(row["event_id"], event, row["recorded_at"])
