"""Webhook deliveries: stored once, worked later, dead after too many tries, replayed on request."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import sqlalchemy as sa

from app.store.database import Database
from app.store.tables import delivery

MAX_ATTEMPTS = 8
FIRST_WAIT_SECONDS = 5
Stored = Literal["stored", "duplicate", "conflict"]


@dataclass(frozen=True, slots=True)
class Delivery:
    delivery_id: int
    source: str
    sender_id: str
    body: str
    status: str
    attempts: int
    next_attempt_at: datetime
    received_at: datetime
    finished_at: datetime | None
    error: str | None


_COLUMNS = [delivery.c[name] for name in Delivery.__dataclass_fields__]


def save_delivery(
    database: Database, *, sender_id: str, source: str, body: bytes, now: datetime, due: datetime | None = None
) -> Stored:
    """Store a verified delivery; `conflict` when its id came before with another body.

    `due`: when to work on it; None: at once.
    """
    digest = hashlib.sha256(body).hexdigest()
    with database.begin() as connection:
        known = connection.execute(
            sa.select(delivery.c.body_sha256).where(delivery.c.source == source, delivery.c.sender_id == sender_id)
        ).scalar()
        if known is not None:
            return "duplicate" if known == digest else "conflict"
        try:
            with connection.begin_nested():
                connection.execute(
                    sa.insert(delivery).values(
                        source=source, sender_id=sender_id, body_sha256=digest, body=body.decode(),
                        next_attempt_at=due or now, received_at=now,
                    )
                )  # fmt: skip
        except sa.exc.IntegrityError:
            # Two copies arrived at the same instant and the other one won.
            stored = connection.execute(
                sa.select(delivery.c.body_sha256).where(delivery.c.source == source, delivery.c.sender_id == sender_id)
            ).scalar()
            return "duplicate" if stored == digest else "conflict"
    return "stored"


def load_due(database: Database, *, now: datetime, limit: int = 50) -> list[Delivery]:
    """The deliveries to work on now, oldest first. One worker at a time works the inbox: it holds the sync lease."""
    query = (
        sa.select(*_COLUMNS)
        .where(delivery.c.status == "stored", delivery.c.next_attempt_at <= now)
        .order_by(delivery.c.delivery_id)
        .limit(limit)
    )
    with database.read() as connection:
        return [Delivery(**row) for row in connection.execute(query).mappings()]


def finish_delivery_on(connection: sa.Connection, delivery_id: int, *, now: datetime) -> None:
    """Settle a delivery in the transaction that stores its effect."""
    connection.execute(
        sa.update(delivery)
        .where(delivery.c.delivery_id == delivery_id)
        .values(status="done", finished_at=now, error=None, attempts=delivery.c.attempts + 1)
    )


def fail_delivery(database: Database, failed: Delivery, *, error: str, now: datetime, permanent: bool = False) -> None:
    """Try again later with growing waits, or give up and keep it among the dead."""
    attempts = failed.attempts + 1
    dead = permanent or attempts >= MAX_ATTEMPTS
    wait = timedelta(seconds=FIRST_WAIT_SECONDS * 2**attempts)
    with database.begin() as connection:
        connection.execute(
            sa.update(delivery)
            .where(delivery.c.delivery_id == failed.delivery_id)
            .values(
                status="dead" if dead else "stored",
                attempts=attempts,
                error=error[:2000],
                next_attempt_at=now + wait,
                finished_at=now if dead else None,
            )
        )


def list_deliveries(database: Database, *, status: str | None = None, limit: int = 50) -> list[Delivery]:
    query = sa.select(*_COLUMNS).order_by(delivery.c.delivery_id.desc()).limit(limit)
    if status is not None:
        query = query.where(delivery.c.status == status)
    with database.read() as connection:
        return [Delivery(**row) for row in connection.execute(query).mappings()]


def replay_delivery(database: Database, delivery_id: int, *, now: datetime) -> bool:
    """Put a delivery back into the queue with fresh tries; False when there is no such delivery."""
    with database.begin() as connection:
        done = connection.execute(
            sa.update(delivery)
            .where(delivery.c.delivery_id == delivery_id)
            .values(status="stored", attempts=0, error=None, next_attempt_at=now, finished_at=None)
        )
        return done.rowcount == 1
