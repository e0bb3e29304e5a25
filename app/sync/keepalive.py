"""Keeping the lease while a long statement runs, and knowing when it was lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from app.errors import LeaseHeldError
from app.store.database import TRANSIENT_DATABASE_ERRORS
from app.store.lease import Lease


@contextmanager
def keep_alive(lease: Lease) -> Iterator[None]:
    """Renew the lease from a thread until the block ends.

    A renewal that the database could not take is tried again: as long as the database is busy with us, nobody else
    can take the lease from it either. A lost lease is noticed by the fence, which asks the database itself.
    """
    stop = threading.Event()

    def renew() -> None:
        while not stop.wait(lease.seconds / 3):
            try:
                lease.renew()
            except LeaseHeldError:
                return
            except TRANSIENT_DATABASE_ERRORS:
                continue

    thread = threading.Thread(target=renew, name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
