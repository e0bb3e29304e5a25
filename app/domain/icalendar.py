"""A calendar as RFC 5545 has it: CRLF, lines folded at 75 bytes, text escaped, every time in UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

PRODUCT = "-//advocacy-sync//calls//EN"
LINE_BYTES = 75
"""The longest line, its end not counted."""
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_NO_ADDRESS = re.compile("[\x00-\x20\x7f\ud800-\udfff]")
_ESCAPED = {"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing to do. `uid`: the same for ever, so that a calendar replaces what it knows. `start`: aware, or a day.

    `minutes`: how long it takes; not for a whole day.
    """

    uid: str
    start: datetime | date
    summary: str
    description: str = ""
    url: str = ""
    minutes: int = 0


def moment_of(day: date, at: time, zone: str) -> datetime:
    """A wall-clock time of a day as an instant. One that a change of clocks leaves out comes that much later."""
    return datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)


def write_calendar(entries: Iterable[Entry], name: str, stamp: datetime) -> str:
    """The whole calendar. `stamp`: when it was computed; calendars compare it with what they have."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        f"PRODID:{PRODUCT}",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_text(name)}",
    ]
    for entry in entries:
        lines += _write_entry(entry, stamp)
    lines.append("END:VCALENDAR")
    return "".join(f"{line}\r\n" for whole in lines for line in fold(whole))


def _write_entry(entry: Entry, stamp: datetime) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield f"UID:{_text(entry.uid)}"
    yield f"DTSTAMP:{_instant(stamp)}"
    if isinstance(entry.start, datetime):
        yield f"DTSTART:{_instant(entry.start)}"
        yield f"DTEND:{_instant(entry.start + timedelta(minutes=entry.minutes))}"
    else:
        yield f"DTSTART;VALUE=DATE:{entry.start:%Y%m%d}"
        yield f"DTEND;VALUE=DATE:{entry.start + timedelta(1):%Y%m%d}"
        # Somebody with a call to make all day is still free for others.
        yield "TRANSP:TRANSPARENT"
    yield f"SUMMARY:{_text(entry.summary)}"
    if entry.description:
        yield f"DESCRIPTION:{_text(entry.description)}"
    if entry.url:
        yield f"URL:{_NO_ADDRESS.sub('', entry.url)}"
    yield "END:VEVENT"


def fold(line: str) -> Iterator[str]:
    """The lines that one line becomes, none longer than 75 bytes of UTF-8; no character is cut in two."""
    part, used = "", 0
    for character in line:
        size = len(character.encode())
        if used + size > LINE_BYTES:
            yield part
            # A line that goes on begins with a blank, which counts.
            part, used = " ", 1
        part, used = part + character, used + size
    yield part


def _text(value: str) -> str:
    plain = _CONTROLS.sub("", value.replace("\r\n", "\n").replace("\r", "\n"))
    return "".join(_ESCAPED.get(character, character) for character in plain)


def _instant(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"
