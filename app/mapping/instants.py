"""Moments become business dates here, once, in the policy's time zone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from app.domain.rows import RowIssue
from app.mapping.columns import Column, Texts, all_match, iso_day, read_day
from app.mapping.memo import BAD, Memo, Notes, note_bad, read_all
from app.mapping.transforms import BadValueError
from connectors.contract import RawValue

_UTC_MOMENTS = re.compile(
    r"(?:[0-9]{4}-[0-9]{2}-[0-9]{2}T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{3})?(?:Z|\+00:?00),)*",
    re.ASCII,
)
_TIME = re.compile(r":[0-5][0-9](?::[0-5][0-9](?:\.[0-9]{1,9})?)?(?P<zone>Z|[+-][0-9]{2}:?[0-9]{2})?", re.ASCII)


def instant_column(attribute: str, time_zone: str) -> Column:
    """Moments, as dates of `time_zone`.

    Seen by the hour, and by the day where the zone is UTC: all minutes of an hour usually fall on one date, so hours
    are remembered. An hour in which the date changes, and everything that is not written in UTC, is worked out one by
    one.
    """
    zone = ZoneInfo(time_zone)
    whole = Memo(lambda text: _instant_day(text, zone))
    hours = Memo(_known_day if zone.key == "UTC" else lambda hour: _hour_day(hour, zone))
    told = 10 if zone.key == "UTC" else 13

    def read(texts: Texts, notes: Notes) -> list[Any]:
        if None in texts or not all_match(_UTC_MOMENTS, texts):
            return read_all(whole, texts, notes, attribute)
        days = list(map(hours.__getitem__, [text[:told] for text in texts]))  # type: ignore[index]  # no None in it
        if None in days:
            rest = [row for row, day in enumerate(days) if day is None]
            for row in rest:
                days[row] = _read_moment(texts[row], row, notes)
        return days

    def _read_moment(text: RawValue, row: int, notes: Notes) -> Any:
        found = whole[text]
        if found is BAD:
            note_bad(whole.read, text, row, notes, attribute)
            return None
        return found

    return read


def _hour_day(hour: RawValue, zone: ZoneInfo) -> str | None:
    """The date of every minute of a UTC hour such as `2025-03-31T22`; None where they differ or it is no hour."""
    try:
        start, end = (datetime.fromisoformat(f"{hour}:{minute}:00+00:00") for minute in ("00", "59"))
        first, last = _local_day(start, zone), _local_day(end, zone)
    except (ValueError, OverflowError, BadValueError):
        return None
    return first if first == last else None


def _known_day(word: RawValue) -> str | None:
    try:
        return iso_day(str(word))
    except BadValueError:
        return None


def _instant_day(text: RawValue, zone: ZoneInfo) -> str | None:
    word = text.strip() if text else ""
    if len(word) <= 10:
        return read_day(word)
    match = _TIME.fullmatch(word[13:])
    if not match or word[10] not in "T ":
        raise BadValueError(RowIssue.BAD_DATE, "not a moment")
    iso_day(word[:10])
    try:
        moment = datetime.fromisoformat(word[: 13 + match.start("zone")] if match["zone"] else word)
        if match["zone"]:
            moment = datetime.fromisoformat(word)
        return _local_day(moment if moment.tzinfo else moment.replace(tzinfo=UTC), zone)
    except (ValueError, OverflowError):
        raise BadValueError(RowIssue.BAD_DATE, "not a moment") from None


def _local_day(moment: datetime, zone: ZoneInfo) -> str:
    return moment.astimezone(zone).date().isoformat()
