"""The nightly run. APScheduler only ticks; the truth about what ran is our own `sync_run` table.

Each scheduled run has a slot: its civil date and time with the zone. The slot is unique in the database, so neither
a second process nor the hour that a clock change repeats runs it twice, and a slot without a run was missed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]  # 3 has no types
from apscheduler.triggers.cron import CronTrigger  # type: ignore[import-untyped]  # version 3 carries no types

from app.bootstrap import Services
from app.config import Schedule, read_schedule
from app.errors import AppError, ConfigError, LeaseHeldError
from app.logs import open_log
from app.sync.answers import list_runs
from app.sync.run import run_sync

WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LEASE_WAIT_SECONDS = 10.0
LEASE_TRIES = 360
_WINDOWS = (timedelta(hours=2), timedelta(days=2), timedelta(days=35), timedelta(days=400))


def build_trigger(schedule: Schedule) -> CronTrigger:
    """The trigger for cron's own numbering of weekdays. Raises ConfigError."""
    minute, hour, day, month, weekday = schedule.cron
    try:
        return CronTrigger(
            minute=minute, hour=hour, day=day, month=month, day_of_week=expand_weekdays(weekday), timezone=schedule.zone
        )
    except ValueError as error:
        raise ConfigError(f"ADVOCACY_SCHEDULE: {error}") from None


def expand_weekdays(field: str) -> str:
    """`1-5` as `mon,tue,wed,thu,fri`: cron counts from Sunday, and takes 7 for Sunday too; APScheduler from Monday."""
    if not any(character.isdigit() for character in field):
        return field
    names: dict[str, None] = {}
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = ("0-6" if span == "*" else span).partition("-")
        for number in range(int(first), int(last or first) + 1, int(step or 1)):
            if number > 7:
                raise ValueError(f"{number} is not a day of the week")
            names[WEEKDAYS[number % 7]] = None
    return ",".join(names)


def find_last_due(schedule: Schedule, now: datetime) -> datetime | None:
    """The latest moment (UTC) at or before `now` when a run was due; None when there was none in a year."""
    trigger = build_trigger(schedule)
    for window in _WINDOWS:
        due = list(_list_due(trigger, now - window, now))
        if due:
            return due[-1]
    return None


def _list_due(trigger: CronTrigger, start: datetime, end: datetime) -> Iterator[datetime]:
    """Every due moment of a stretch of time.

    The trigger is asked anew from each moment in UTC: told its last answer, it repeats itself for ever in the hour
    that a clock change brings twice.
    """
    moment = trigger.get_next_fire_time(None, start.astimezone(UTC))
    while moment is not None and moment.astimezone(UTC) <= end:
        found = moment.astimezone(UTC)
        yield found
        moment = trigger.get_next_fire_time(None, found + timedelta(seconds=1))
        if moment is not None and moment.astimezone(UTC) <= found:
            moment = trigger.get_next_fire_time(None, found + timedelta(hours=2))


def write_slot(moment: datetime, schedule: Schedule) -> str:
    """The civil minute and zone: the two passes of a repeated hour have one and the same slot."""
    return f"{moment.astimezone(schedule.zone).strftime('%Y-%m-%dT%H:%M')} {schedule.zone.key}"


def run_due(services: Services, schedule: Schedule, wait: Callable[[float], object] = time.sleep) -> bool:
    """Run the slot that is due now unless it was run; never raises. True when a run was made.

    While another run is inside, this one waits for it: a night must not be lost to a webhook.
    """
    due = find_last_due(schedule, services.now())
    if due is None or _is_done(services, write_slot(due, schedule)):
        return False
    for _ in range(LEASE_TRIES):
        try:
            _run_slot(services, write_slot(due, schedule))
        except LeaseHeldError:
            wait(LEASE_WAIT_SECONDS)
        else:
            return True
    open_log().error("scheduled run given up: another run did not end", slot=write_slot(due, schedule))
    return False


def _is_done(services: Services, slot: str) -> bool:
    """A failed run does not count: it may be tried again. One that runs still holds the lease, or was killed."""
    return any(run.slot == slot and run.status not in {"failed", "running"} for run in list_runs(services, 50))


def _run_slot(services: Services, slot: str) -> None:
    try:
        report = run_sync(services, trigger="schedule", slot=slot)
        open_log().info("scheduled run finished", run_id=report.run_id, status=report.status, slot=slot)
    except LeaseHeldError:
        raise
    except AppError as error:
        open_log().error("scheduled run failed", slot=slot, reason=error.message)
    except Exception as error:  # noqa: BLE001 - the top of the job
        open_log().error("scheduled run failed", slot=slot, exc_info=error)


def catch_up(services: Services, schedule: Schedule) -> None:
    """At start: make up for a run that was missed or killed. Before the very first run there is nothing to make up."""
    if not list_runs(services, 1):
        open_log().info("no run yet: the first one waits for its time, or for `advocacy sync`")
        return
    if run_due(services, schedule):
        open_log().warning("a missed run was caught up")


def start_schedule(services: Services) -> BackgroundScheduler | None:
    """Start ticking, and catch up in the background; None when the schedule is off."""
    if services.settings.schedule == "off":
        return None
    schedule = read_schedule(services.settings.schedule)
    scheduler = BackgroundScheduler(
        timezone=schedule.zone,
        job_defaults={"coalesce": True, "misfire_grace_time": None, "max_instances": 1},
    )
    scheduler.add_job(run_due, build_trigger(schedule), args=(services, schedule), id="sync")
    scheduler.add_job(catch_up, "date", args=(services, schedule), id="catch-up")
    scheduler.start()
    return scheduler
