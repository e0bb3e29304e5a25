"""How old a stored measure is: what lists and tables show was computed by the last run, and they say so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from app.store.connection import Connection
from app.store.runs import load_valued_run


@dataclass(frozen=True, slots=True)
class LastRun:
    """The last run that computed measures. `day`: the business day it counted for; `at`: when it began."""

    run_id: int
    day: date
    at: datetime

    def __str__(self) -> str:
        return f"As of run {self.run_id} for {self.day}, begun {self.at:%Y-%m-%d %H:%M} UTC"

    def as_json(self) -> dict[str, Any]:
        return {"run": self.run_id, "as_of": self.day.isoformat(), "at": self.at.isoformat()}


def load_last_run(connection: Connection) -> LastRun | None:
    """None before the first one."""
    found = load_valued_run(connection)
    return None if found is None else LastRun(found.run_id, date.fromisoformat(found.as_of), found.started_at)
