"""Records that are gone without a trace: `getDeleted` names what was purged and no query shows any more.

It looks back fifteen days at most, by whole minutes, and its log is trimmed when it grows: it adds to the soft
deletions that every pull reads and to the full read that finds all the rest, and takes the place of neither. What it
names need not be gone: a record may have been restored or only be left out by the filter, so each is looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlencode

from connectors.salesforce.composite import SubAnswer
from connectors.salesforce.ids import normalise_id
from connectors.salesforce.transport import Transport

FURTHEST = timedelta(days=14, hours=23)
SHORTEST = timedelta(minutes=2)
"""More than one minute is asked for, and seconds are cut."""


def deleted_path(transport: Transport, object_name: str, since: datetime, now: datetime) -> str:
    """The address that lists what was deleted since; the part of it that is too long ago is left to others."""
    end = (now + timedelta(minutes=1)).replace(second=0, microsecond=0)
    start = min(max(since, now - FURTHEST), end - SHORTEST).replace(second=0, microsecond=0)
    window = {name: moment.astimezone(UTC).isoformat() for name, moment in (("start", start), ("end", end))}
    return transport.path(f"sobjects/{quote(object_name)}/deleted/?{urlencode(window)}")


def read_deleted(part: SubAnswer) -> set[str]:
    """The ids that an answer names; none when it was refused: not every object keeps such a list."""
    listed = part.body.get("deletedRecords") if part.failure is None and isinstance(part.body, Mapping) else None
    named = [one.get("id") for one in listed or () if isinstance(one, Mapping)]
    return {normalise_id(text) for text in named if isinstance(text, str) and _is_id(text)}


def _is_id(text: str) -> bool:
    try:
        normalise_id(text)
    except ValueError:
        return False
    return True
