"""Days of the calendar: later ones, and the first on which time alone changes a judgement."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Iterable
from datetime import date, timedelta

MONTHS = 12
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(2999, 12, 31)
"""What can be asked about. Rhythms and terms that are counted from there stay within the calendar."""


def days_after(day: date, days: int) -> date:
    """So many days later; the last day of the calendar (`date.max`) stands for all that lie behind it."""
    return day + timedelta(days) if (date.max - day).days > days else date.max


def months_after(day: date, months: int) -> date:
    """The same day so many months later, or the last one of a shorter month: 31 January + 1 is 28 February."""
    year, month = divmod(day.year * MONTHS + day.month - 1 + months, MONTHS)
    if year > date.max.year:
        return date.max
    return date(year, month + 1, min(day.day, calendar.monthrange(year, month + 1)[1]))


def unite_spans(spans: Iterable[tuple[date, date | None]]) -> list[tuple[date, date]]:
    """The days that any of some half-open spans covers, as spans apart from each other and in order.

    An end of None, and `date.max`, mean that it lasts.
    """
    united: list[tuple[date, date]] = []
    for start, end in sorted((start, end or date.max) for start, end in spans):
        if start >= end:
            continue
        if united and start <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end))
        else:
            united.append((start, end))
    return united


def first_change(as_of: date, edges: Iterable[date], judge: Callable[[date], object]) -> date | None:
    """The first day after `as_of` on which `judge` says something else than on `as_of`; None: it never will.

    `edges`: every day on which its answer may change.
    """
    ahead = sorted({day for day in edges if as_of < day < date.max})
    if not ahead:
        return None
    now = judge(as_of)
    return next((day for day in ahead if judge(day) != now), None)


def iso(day: date | None) -> str | None:
    """As text, where there is one."""
    return None if day is None else day.isoformat()
