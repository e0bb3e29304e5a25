"""Tells a database that is away for a moment from everything else that can go wrong."""

from __future__ import annotations

import sqlalchemy as sa


def is_outage(error: BaseException) -> bool:
    """Whether the database could not be reached or did not answer in time: trying again later makes sense."""
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError | sa.exc.TimeoutError)
