"""One run at a time. The lease's epoch is the fence: a holder that was overtaken may not write any more.

Time is the database's, never ours: two hosts with different clocks must not both believe they hold it.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlalchemy as sa

from app.errors import LeaseHeldError
from app.store.database import Database
from app.store.tables import lease

NAME = "sync"


@dataclass(frozen=True, slots=True)
class Lease:
    """Held by this process until `release`, or until it was not renewed for `seconds`."""

    database: Database
    epoch: int
    seconds: int

    def renew(self) -> None:
        """Push the expiry out. Raises LeaseHeldError when another process took over meanwhile."""
        with self.database.begin() as connection:
            renewed = connection.execute(
                sa.update(lease)
                .where(lease.c.name == NAME, lease.c.epoch == self.epoch)
                .values(expires_at=_now(connection) + self.seconds)
            )
        if renewed.rowcount == 0:
            raise _overtaken()

    def check(self, connection: sa.Connection) -> None:
        """The fence of a transaction: raises LeaseHeldError when another process took over meanwhile.

        Asked last, so that nobody waits for a long transaction; until it has ended nobody else can take over.
        """
        query = sa.select(lease.c.epoch).where(lease.c.name == NAME).with_for_update(read=True)
        if connection.execute(query).scalar() != self.epoch:
            raise _overtaken()

    def release(self) -> None:
        """Let the next run in at once. Harmless when the lease is no longer ours."""
        with self.database.begin() as connection:
            connection.execute(
                sa.update(lease)
                .where(lease.c.name == NAME, lease.c.epoch == self.epoch)
                .values(holder=None, expires_at=0)
            )


def _overtaken() -> LeaseHeldError:
    return LeaseHeldError("another run took over, this one stops before its next write")


def acquire_lease(database: Database, *, holder: str, seconds: int) -> Lease:
    """Take the lease or raise LeaseHeldError naming who holds it and for how long."""
    with database.begin() as connection:
        now = _now(connection)
        row = connection.execute(sa.select(lease).where(lease.c.name == NAME).with_for_update()).mappings().first()
        if row is None:
            epoch = 1
            connection.execute(sa.insert(lease).values(name=NAME, epoch=1, holder=holder, expires_at=now + seconds))
        elif row["holder"] is not None and row["expires_at"] > now:
            raise LeaseHeldError(
                f"another run is in progress (held by {row['holder']})",
                hint=f"wait for it; if it died, its lease ends in {row['expires_at'] - now} seconds",
            )
        else:
            epoch = row["epoch"] + 1
            connection.execute(
                sa.update(lease)
                .where(lease.c.name == NAME)
                .values(epoch=epoch, holder=holder, expires_at=now + seconds)
            )
    return Lease(database, epoch, seconds)


def _now(connection: sa.Connection) -> int:
    """Seconds since 1970 by the database's clock."""
    if connection.dialect.name == "sqlite":
        clock = "select cast(strftime('%s', 'now') as integer)"
    else:
        clock = "select floor(extract(epoch from clock_timestamp()))::bigint"
    return int(connection.exec_driver_sql(clock).scalar_one())
