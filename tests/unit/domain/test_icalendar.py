"""Calendars that calendar programs can read: checked against RFC 5545 by a small reader that shares no code."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.icalendar import Entry, fold, moment_of, write_calendar

STAMP = datetime(2026, 6, 1, 4, 30, tzinfo=UTC)


def read(text):
    """Unfold, split and unescape, as section 3.1 and 3.3.11 of the RFC say."""
    assert text.endswith("\r\n")
    assert "\n" not in text.replace("\r\n", "")
    lines = text.replace("\r\n ", "").split("\r\n")[:-1]
    events, current = [], None
    for line in lines:
        name, _, value = line.partition(":")
        if line == "BEGIN:VEVENT":
            current = {}
        elif line == "END:VEVENT":
            events.append(current)
            current = None
        elif current is not None:
            current[name] = unescape(value)
    return lines, events


def unescape(value):
    plain, rest = "", iter(value)
    for character in rest:
        if character == "\\":
            following = next(rest)
            plain += "\n" if following in "nN" else following
        else:
            plain += character
    return plain


def test_a_calendar_as_the_standard_has_it():
    entries = [
        Entry("one@here", date(2026, 12, 31), "Call Acme, Inc.", "Why: a; b\\c\nnow", "https://crm.example/1"),
        Entry("two@here", datetime(2026, 6, 2, 7, 0, tzinfo=UTC), "Call Boo", minutes=15),
    ]
    assert write_calendar(entries, "Calls", STAMP) == "".join(
        f"{line}\r\n"
        for line in (
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//advocacy-sync//calls//EN",
            "CALSCALE:GREGORIAN",
            "METHOD:PUBLISH",
            "X-WR-CALNAME:Calls",
            "BEGIN:VEVENT",
            "UID:one@here",
            "DTSTAMP:20260601T043000Z",
            "DTSTART;VALUE=DATE:20261231",
            "DTEND;VALUE=DATE:20270101",
            "TRANSP:TRANSPARENT",
            "SUMMARY:Call Acme\\, Inc.",
            "DESCRIPTION:Why: a\\; b\\\\c\\nnow",
            "URL:https://crm.example/1",
            "END:VEVENT",
            "BEGIN:VEVENT",
            "UID:two@here",
            "DTSTAMP:20260601T043000Z",
            "DTSTART:20260602T070000Z",
            "DTEND:20260602T071500Z",
            "SUMMARY:Call Boo",
            "END:VEVENT",
            "END:VCALENDAR",
        )
    )


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("", [""]),
        ("a" * 75, ["a" * 75]),
        ("a" * 76, ["a" * 75, " a"]),
        ("a" * 149, ["a" * 75, " " + "a" * 74]),
        ("a" * 150, ["a" * 75, " " + "a" * 74, " a"]),
        ("a" * 74 + "\u00e4", ["a" * 74, " \u00e4"]),
        ("a" * 73 + "\u00e4", ["a" * 73 + "\u00e4"]),
        ("\u65e5" * 25, ["\u65e5" * 25]),
        ("\u65e5" * 26, ["\u65e5" * 25, " \u65e5"]),
        ("\U0001f4de" * 19, ["\U0001f4de" * 18, " \U0001f4de"]),
    ],
)
def test_long_lines_are_folded_at_75_bytes_between_characters(line, parts):
    assert list(fold(line)) == parts


@given(st.text(), st.text(), st.text(min_size=1))
def test_whatever_a_customer_is_called_a_calendar_reads_it_back(summary, description, uid):
    text = write_calendar([Entry(uid, date(2026, 6, 1), summary, description)], summary, STAMP)
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    _, (event,) = read(text)

    def kept(value):
        value = value.replace("\r\n", "\n").replace("\r", "\n")
        return "".join(c for c in value if c in "\t\n" or not (ord(c) < 32 or ord(c) == 127))

    assert event["SUMMARY"] == kept(summary)
    assert event.get("DESCRIPTION", "") == kept(description)


def test_nobody_smuggles_lines_into_a_calendar():
    text = write_calendar(
        [Entry("u", date(2026, 6, 1), "x\r\nATTENDEE:mailto:a@b", url="https://a\r\nATTACH:x")], "n\nX:y", STAMP
    )
    lines, _ = read(text)
    assert not [line for line in lines if line.startswith(("ATTENDEE", "ATTACH", "X:"))]


@pytest.mark.parametrize(
    ("day", "at", "zone", "instant"),
    [
        (date(2026, 6, 1), time(9, 30), "UTC", "2026-06-01T09:30"),
        (date(2026, 6, 1), time(9, 30), "Europe/Berlin", "2026-06-01T07:30"),
        (date(2026, 12, 1), time(9, 30), "Europe/Berlin", "2026-12-01T08:30"),
        (date(2026, 3, 29), time(2, 30), "Europe/Berlin", "2026-03-29T01:30"),  # left out: 03:30 by the new clock
        (date(2026, 10, 25), time(2, 30), "Europe/Berlin", "2026-10-25T00:30"),  # twice: the first one
        (date(2026, 6, 1), time(0, 0), "Pacific/Auckland", "2026-05-31T12:00"),
        (date(2026, 6, 1), time(23, 0), "America/Los_Angeles", "2026-06-02T06:00"),
    ],
)
def test_a_time_of_day_is_one_of_the_time_zone(day, at, zone, instant):
    assert moment_of(day, at, zone) == datetime.fromisoformat(instant + "+00:00")
