"""Where a bulk pull stands, as text that survives the process: the content of `Page.resume`."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.errors import ResumeError
from connectors.salesforce.soql import Select, Window


@dataclass(frozen=True, slots=True)
class Position:
    """Where a pull stands, as `Page.resume` stores it.

    `windows`: what is left to read, the current span first. `job` is empty when its span has not been started.
    `locator` and `skip`: the result page to read next, and how many of its rows have been handed out.
    `rows`: rows of the current job handed out.
    """

    api: str
    digest: str
    as_of: datetime
    windows: tuple[Window, ...]
    job: str = ""
    locator: str = ""
    skip: int = 0
    rows: int = 0

    def text(self) -> str:
        spans = [[_iso(w.start), _iso(w.end)] for w in self.windows]
        values = {"v": 1, "api": self.api, "digest": self.digest, "as_of": _iso(self.as_of), "windows": spans}
        values |= {"job": self.job, "locator": self.locator, "skip": self.skip, "rows": self.rows}
        return json.dumps(values, separators=(",", ":"))


def read_position(text: str) -> Position:
    """The position in a stored `resume`; ResumeError for anything this version did not write."""
    try:
        values = json.loads(text)
        if values["v"] != 1:
            raise ValueError("another version wrote this")
        return Position(
            api=str(values["api"]),
            digest=str(values["digest"]),
            as_of=datetime.fromisoformat(values["as_of"]),
            windows=tuple(Window(_moment(a), _moment(b)) for a, b in values["windows"]),
            job=str(values["job"]),
            locator=str(values["locator"]),
            skip=int(values["skip"]),
            rows=int(values["rows"]),
        )
    except (ValueError, KeyError, TypeError):
        raise ResumeError("The stored position cannot be read: start this pull again from its watermark.") from None


def digest_of(select: Select) -> str:
    """Tells apart queries whose results must not be mixed: object, columns, filter."""
    return hashlib.sha256(select.text().encode()).hexdigest()[:16]


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat()


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
