"""Relative dates (`LAST_N_MONTHS:3`) and parts of dates (`CALENDAR_YEAR(CloseDate)`).

Days are UTC days, weeks start on Sunday, and the fiscal year is the calendar year: an org's defaults.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta

_DAYS = {"TODAY": 0, "YESTERDAY": -1, "TOMORROW": 1}
_UNITS = {"DAY": 0, "WEEK": 0, "MONTH": 1, "QUARTER": 3, "YEAR": 12, "FISCAL_QUARTER": 3, "FISCAL_YEAR": 12}
"""Months of a unit; 0: it has none."""
_NAMED = {f"{side}_{unit}": shift for unit in _UNITS for side, shift in (("LAST", -1), ("THIS", 0), ("NEXT", 1))}
_NAMED = {word: shift for word, shift in _NAMED.items() if not word.endswith("_DAY")}

DATE_WORDS = frozenset(_DAYS.keys() | _NAMED.keys() | {"LAST_90_DAYS", "NEXT_90_DAYS"})
DATE_COUNTS = frozenset(
    pattern.format(unit) for unit in _UNITS for pattern in ("LAST_N_{}S", "NEXT_N_{}S", "N_{}S_AGO")
)


def day_range(today: date, text: str) -> tuple[date, date]:
    """The first day, and the day after the last, of `TODAY` or `LAST_N_DAYS:3`; ValueError or OverflowError too far."""
    if text in _DAYS:
        return today + timedelta(days=_DAYS[text]), today + timedelta(days=_DAYS[text] + 1)
    if text in _NAMED:
        unit = text.split("_", 1)[1]
        return _start(unit, today, _NAMED[text]), _start(unit, today, _NAMED[text] + 1)
    if text.endswith("_90_DAYS"):
        text = text.replace("_90_", "_N_") + ":90"
    word, _, count = text.partition(":")
    unit = word.removeprefix("LAST_").removeprefix("NEXT_").removeprefix("N_").removesuffix("_AGO").removesuffix("S")
    first, end = _counted(word, int(count))
    return _start(unit, today, first), _start(unit, today, end)


def _counted(word: str, count: int) -> tuple[int, int]:
    """Units from the present one. Only the last days include the present one."""
    if word.startswith("NEXT_"):
        return 1, count + 1
    if word.endswith("_AGO"):
        return -count, 1 - count
    return -count, 1 if word == "LAST_N_DAYS" else 0


def _start(unit: str, today: date, shift: int) -> date:
    """The first day of the unit that many units from today's."""
    if unit == "DAY":
        return today + timedelta(days=shift)
    if unit == "WEEK":
        return today - timedelta(days=today.isoweekday() % 7) + timedelta(weeks=shift)
    length = _UNITS[unit]
    months = today.year * 12 + today.month - 1
    year, month = divmod(months - months % length + shift * length, 12)
    return date(year, month + 1, 1)


def _day(text: str) -> date:
    return date.fromisoformat(text[:10])


DATE_PARTS: dict[str, Callable[[str], int | str]] = {
    "CALENDAR_YEAR": lambda text: _day(text).year,
    "CALENDAR_QUARTER": lambda text: (_day(text).month + 2) // 3,
    "CALENDAR_MONTH": lambda text: _day(text).month,
    "FISCAL_YEAR": lambda text: _day(text).year,
    "FISCAL_QUARTER": lambda text: (_day(text).month + 2) // 3,
    "FISCAL_MONTH": lambda text: _day(text).month,
    "DAY_IN_MONTH": lambda text: _day(text).day,
    "DAY_IN_WEEK": lambda text: _day(text).isoweekday() % 7 + 1,
    "DAY_IN_YEAR": lambda text: _day(text).timetuple().tm_yday,
    "WEEK_IN_MONTH": lambda text: (_day(text).day + 6) // 7,
    "WEEK_IN_YEAR": lambda text: (_day(text).timetuple().tm_yday + 6) // 7,
    "DAY_ONLY": lambda text: text[:10],
    "HOUR_IN_DAY": lambda text: int(text[11:13]),
}
"""From the text of a date or datetime, as rows hold it. The last two are for datetimes alone."""
OF_DATETIMES = frozenset({"DAY_ONLY", "HOUR_IN_DAY"})
