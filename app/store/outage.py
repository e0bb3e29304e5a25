"""Tells a database that is away for a moment from everything else that can go wrong."""

from __future__ import annotations

import sqlalchemy as sa

OUTAGES: tuple[type[Exception], ...] = (sa.exc.OperationalError, sa.exc.InterfaceError, sa.exc.TimeoutError)
"""The database could not be reached or did not answer in time: trying again later makes sense."""
