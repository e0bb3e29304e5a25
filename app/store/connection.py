"""The one name under which rooms above the store speak of an open transaction; they never look inside."""

from __future__ import annotations

from sqlalchemy import Connection

__all__ = ["Connection"]
