"""Requests for references: where each stands, and every step it took."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import sqlalchemy as sa

from app.domain.days import iso
from app.domain.requests import OPEN_STATES, State
from app.store.bulk import is_sqlite
from app.store.tables import reference_request, reference_request_step


@dataclass(frozen=True, slots=True)
class NewRequest:
    """`kind`: the type of the event that the reference will be. `override_reason`: why cap or cooldown do not hold."""

    opportunity_id: str
    account_id: str
    scope: str
    kind: str
    contact_id: str | None = None
    needed_by: date | None = None
    expected_grade: str | None = None
    override_reason: str | None = None


@dataclass(frozen=True, slots=True)
class StoredStep:
    state: State
    at: datetime
    on: date
    who: str
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredRequest:
    request_id: int
    state: State
    opportunity_id: str
    account_id: str
    contact_id: str | None
    scope: str
    kind: str
    requested_by: str
    requested_at: datetime
    requested_on: date
    needed_by: date | None
    scheduled_for: date | None
    expected_grade: str | None
    override_reason: str | None

    @property
    def number(self) -> str:
        """How events name it."""
        return str(self.request_id)


def save_request(connection: sa.Connection, new: NewRequest, *, who: str, now: datetime, today: date) -> int:
    """A new request with its first step; returns its number."""
    request_id = int(
        connection.execute(
            sa.insert(reference_request)
            .values(
                state=State.NEW.value,
                opportunity_id=new.opportunity_id,
                account_id=new.account_id,
                contact_id=new.contact_id,
                scope=new.scope,
                kind=new.kind,
                requested_by=who,
                requested_at=now,
                requested_on=today.isoformat(),
                needed_by=iso(new.needed_by),
                expected_grade=new.expected_grade,
                override_reason=new.override_reason,
            )
            .returning(reference_request.c.request_id)
        ).scalar_one()
    )
    detail = {"override": new.override_reason} if new.override_reason else {}
    save_step(connection, request_id, State.NEW, who=who, now=now, day=today, detail=detail)
    return request_id


def move_request(
    connection: sa.Connection, request_id: int, was: State, becomes: State, **changes: date | str | None
) -> bool:
    """False when somebody else moved it meanwhile: nothing was changed then."""
    values = {name: iso(value) if isinstance(value, date) else value for name, value in changes.items()}
    done = connection.execute(
        sa.update(reference_request)
        .where(reference_request.c.request_id == request_id, reference_request.c.state == was.value)
        .values(state=becomes.value, **values)
    )
    return done.rowcount == 1


def save_step(
    connection: sa.Connection,
    request_id: int,
    state: State,
    *,
    who: str,
    now: datetime,
    day: date,
    detail: Mapping[str, Any],
) -> None:
    connection.execute(
        sa.insert(reference_request_step).values(
            request_id=request_id,
            state=state.value,
            at=now,
            on_day=day.isoformat(),
            who=who,
            detail=json.dumps(detail, sort_keys=True, ensure_ascii=False),
        )
    )


def load_request(connection: sa.Connection, request_id: int) -> StoredRequest | None:
    row = (
        connection.execute(sa.select(reference_request).where(reference_request.c.request_id == request_id))
        .mappings()
        .first()
    )
    return None if row is None else _request(row)


def load_requests(
    connection: sa.Connection,
    *,
    state: State | None = None,
    opportunity_id: str | None = None,
    limit: int = 100,
    before: int | None = None,
) -> list[StoredRequest]:
    """Newest first. `before`: only older ones than this."""
    query = sa.select(reference_request).order_by(reference_request.c.request_id.desc()).limit(limit)
    if state is not None:
        query = query.where(reference_request.c.state == state.value)
    if opportunity_id is not None:
        query = query.where(reference_request.c.opportunity_id == opportunity_id)
    if before is not None:
        query = query.where(reference_request.c.request_id < before)
    return [_request(row) for row in connection.execute(query).mappings()]


def find_open_request(connection: sa.Connection, opportunity_id: str, account_id: str, scope: str) -> int | None:
    """The number of the request that is open for the same customer, deal and scope."""
    found = connection.execute(
        sa.select(sa.func.min(reference_request.c.request_id)).where(
            reference_request.c.opportunity_id == opportunity_id,
            reference_request.c.account_id == account_id,
            reference_request.c.scope == scope,
            reference_request.c.state.in_([state.value for state in OPEN_STATES]),
        )
    ).scalar()
    return None if found is None else int(found)


def find_newest_request(connection: sa.Connection, opportunity_id: str, account_id: str, scope: str) -> int:
    """The number of the latest request, open or not, for the same customer, deal and scope; 0 without any."""
    found = connection.execute(
        sa.select(sa.func.max(reference_request.c.request_id)).where(
            reference_request.c.opportunity_id == opportunity_id,
            reference_request.c.account_id == account_id,
            reference_request.c.scope == scope,
        )
    ).scalar()
    return int(found or 0)


def load_steps(connection: sa.Connection, request_id: int) -> list[StoredStep]:
    """Oldest first."""
    rows = connection.execute(
        sa.select(reference_request_step)
        .where(reference_request_step.c.request_id == request_id)
        .order_by(reference_request_step.c.step_id)
    ).mappings()
    return [
        StoredStep(
            State(row["state"]), row["at"], date.fromisoformat(row["on_day"]), row["who"], json.loads(row["detail"])
        )
        for row in rows
    ]


def hold_account(connection: sa.Connection, account_id: str) -> None:
    """Until the end of the transaction nobody else decides whether this customer may be asked."""
    if not is_sqlite(connection):  # where a writing transaction is alone anyway
        connection.execute(sa.text("select id from account where id = :id for update"), {"id": account_id})


def _request(row: sa.RowMapping) -> StoredRequest:
    days = ("requested_on", "needed_by", "scheduled_for")
    cells = {name: row[name] for name in StoredRequest.__dataclass_fields__}
    cells |= {name: None if cells[name] is None else date.fromisoformat(cells[name]) for name in days}
    return StoredRequest(**{**cells, "state": State(row["state"])})
