"""When runs are due: cron's own weekdays, one slot a night, clock changes included."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from app.config import read_schedule
from app.errors import ConfigError


@pytest.mark.parametrize(
    ("field", "days"),
    [
        ("*", "*"),
        ("mon-fri", "mon-fri"),
        ("0", "sun"),
        ("7", "sun"),
        ("1-5", "mon,tue,wed,thu,fri"),
        ("6,0", "sat,sun"),
        ("*/2", "sun,tue,thu,sat"),
        ("5-7", "fri,sat,sun"),
    ],
)
def test_weekdays_count_as_cron_counts_them(field: str, days: str) -> None:
    from app.jobs.schedule import expand_weekdays

    assert expand_weekdays(field) == days


def test_a_field_that_is_no_time_is_a_problem_of_the_setting() -> None:
    from app.jobs.schedule import build_trigger

    for text in ("61 2 * * *", "0 25 * * *", "0 2 * * 8", "0 2 * * 1-x"):
        with pytest.raises(ConfigError, match="ADVOCACY_SCHEDULE"):
            build_trigger(read_schedule(text))


def test_the_last_due_moment_is_found_near_and_far() -> None:
    from app.jobs.schedule import find_last_due

    now = datetime(2026, 3, 10, 1, 30, tzinfo=UTC)

    nightly = find_last_due(read_schedule("0 2 * * * Europe/Berlin"), now)
    yearly = find_last_due(read_schedule("0 2 1 4 * UTC"), now)

    assert nightly is not None
    assert nightly.astimezone(UTC) == datetime(2026, 3, 10, 1, 0, tzinfo=UTC)
    assert yearly is not None
    assert yearly.astimezone(UTC) == datetime(2025, 4, 1, 2, 0, tzinfo=UTC)
    assert find_last_due(read_schedule("0 2 30 2 * UTC"), now) is None


def test_the_hour_that_autumn_repeats_has_one_slot() -> None:
    from app.jobs.schedule import find_last_due, write_slot

    schedule = read_schedule("30 2 * * * Europe/Berlin")
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
    second = datetime(2026, 10, 25, 1, 30, tzinfo=UTC)

    slots = {write_slot(found, schedule) for now in (first, second) if (found := find_last_due(schedule, now))}

    assert slots == {"2026-10-25T02:30 Europe/Berlin"}
