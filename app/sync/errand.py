"""Something other than a valuation that is written under the same lease, fence and bookkeeping."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from app.store import writes
from app.store.connection import Connection
from app.sync.execution import close_run, connect, open_run
from app.sync.pull import reread
from app.sync.push import end_left_behind, push_intents
from app.sync.report import PlannedUpdate, Progress, RunReport
from app.sync.run import build_puller, build_pusher, build_writer, check
from app.sync.services import Services


@dataclass(frozen=True, slots=True)
class Errand:
    """`accounts` are read again first; `plan` then gives intents, the updates to show, and how many were skipped."""

    name: str
    accounts: Sequence[str]
    plan: Callable[[Connection], tuple[list[writes.Intent], tuple[PlannedUpdate, ...], int]]


def run_errand(services: Services, errand: Errand, *, send: bool, progress: Progress) -> RunReport:
    """Check, read the accounts again, plan, push. Raises AppError like `run_sync`."""
    with (
        open_run(services, errand.name, send=send, trigger=errand.name, slot=None, progress=progress) as run,
        connect(run) as connector,
    ):
        with run.phase("check"):
            read_plan = check(run, connector)
            end_left_behind(run.services.database, connector, run.lease.renew)
        with run.phase("pull"):
            reread(build_puller(run, connector, read_plan), errand.accounts)
        writer = build_writer(run, read_plan)
        with run.phase("plan"), run.services.database.begin() as connection:
            intents, run.plan.updates, run.plan.counts["skipped"] = errand.plan(connection)
            run.plan.counts["update"] = run.plan.sent = len(intents)
            if send:
                writes.save_intents(connection, run.run_id, intents)
        if send and intents:
            with run.phase("push"):
                run.pushed = push_intents(build_pusher(run, connector, writer), len(intents))
        return close_run(run, connector, settles_plan=False)
