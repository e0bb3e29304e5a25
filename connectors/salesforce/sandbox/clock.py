"""The org's clock and the two ways it writes time. A test sets it, freezes it and moves it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

REST_SUFFIX = "+0000"


class Clock:
    """Runs with the machine's clock, shifted by what `advance` added, until it is frozen."""

    def __init__(self, frozen_at: datetime | None = None) -> None:
        self._frozen = frozen_at.astimezone(UTC) if frozen_at else None
        self._shift = timedelta()

    def now(self) -> datetime:
        return self._frozen if self._frozen is not None else datetime.now(UTC) + self._shift

    def freeze(self, at: datetime | None = None) -> None:
        """Stand still, at `at` or at the present instant."""
        self._frozen = at.astimezone(UTC) if at else self.now()

    def advance(self, seconds: float) -> None:
        step = timedelta(seconds=seconds)
        if self._frozen is None:
            self._shift += step
        else:
            self._frozen += step

    def saved(self) -> dict[str, Any]:
        """What `restored` needs to go on from here."""
        return {"frozen": self._frozen.isoformat() if self._frozen else None, "shift": self._shift.total_seconds()}

    @classmethod
    def restored(cls, saved: dict[str, Any]) -> Clock:
        made = cls(datetime.fromisoformat(saved["frozen"]) if saved["frozen"] else None)
        made._shift = timedelta(seconds=saved["shift"])
        return made

    def stamp(self) -> str:
        """Now, as a record's SystemModstamp is written: whole seconds, so ties are common."""
        return stamp_text(self.now())


def stamp_text(instant: datetime) -> str:
    """`2020-10-22T21:03:23.000+0000`: stored and compared as text, since every stamp has this one shape."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000") + REST_SUFFIX


def stamp_instant(stamp: str) -> datetime:
    return datetime.fromisoformat(stamp)


def day_text(day: date) -> str:
    return day.isoformat()
