"""Planned updates on their way into the CRM, and what became of each.

Nothing is sent without the lease: the fence is called before every attempt. Outcomes are stored as they come, a chunk
a transaction, so that a crash loses the knowledge of one chunk at most; the next run re-reads those accounts.

What the CRM may go on with when this process dies is stored before it begins, and ended by the next run before anything
is read: what is written later would undo what was read and planned in between.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from app.mapping.writer import Writer
from app.store import writes
from app.store.database import Database
from app.store.state import load_flag, save_flag
from app.sync.budget import Budget
from app.sync.report import Progress, Rejected
from connectors.contract import CrmConnector, Outcome, Update, UpdateResult
from connectors.errors import AllowanceError

LEFT_BEHIND = "left_behind"
"""State: what of a push the CRM may still be at, in the words of its connector."""

CHUNK = 5_000
SHOWN_REJECTIONS = 200
CALL_OF = 1_000
BULK_CALLS = 8
COUNTED = {
    Outcome.OK: "written",
    Outcome.REJECTED: "rejected",
    Outcome.GONE: "gone",
    Outcome.RETRY: "retry",
    Outcome.UNKNOWN: "unknown",
}


@dataclass(slots=True)
class PushReport:
    counts: Counter[str] = field(default_factory=Counter)
    rejected: list[Rejected] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Pusher:
    database: Database
    connector: CrmConnector
    writer: Writer
    object: str
    run_id: int
    fence: Callable[[], None]
    budget: Budget
    progress: Progress


def push_intents(pusher: Pusher, expected: int) -> PushReport:
    """Send every unsent intent of the run, the biggest movers first."""
    report = PushReport()
    if not _can_afford(pusher, expected, report):
        with pusher.database.begin() as connection:
            writes.unplan(connection, pusher.run_id)
        return report
    updates = _updates(pusher)
    trace = partial(_keep_trace, pusher.database)
    results = pusher.connector.push(pusher.object, updates, expected=expected, fence=pusher.fence, trace=trace)
    for chunk in _chunks(_until_spent(results, report)):
        _save(pusher, chunk, report)
        pusher.progress("write", sum(report.counts.values()), expected)
    missing = expected - sum(report.counts.values())
    if missing > 0 and not report.notes:
        report.counts["unknown"] += missing
    return report


def end_left_behind(database: Database, connector: CrmConnector, fence: Callable[[], None]) -> None:
    """End what a killed run has left in the CRM; at no call where it left nothing."""
    with database.read() as connection:
        left = load_flag(connection, LEFT_BEHIND)
    if left is not None:
        connector.end_push(left, fence=fence)
        _keep_trace(database, "")


def _keep_trace(database: Database, trace: str) -> None:
    with database.begin() as connection:
        save_flag(connection, LEFT_BEHIND, trace or None)


def _can_afford(pusher: Pusher, expected: int, report: PushReport) -> bool:
    """A run knows its cost before it writes, and leaves the reserve to others."""
    shortage = pusher.budget.shortage(min(-(-expected // CALL_OF), BULK_CALLS))
    if shortage:
        report.notes.append(f"{expected:,} updates were not sent: {shortage}. The next run sends them.")
    return not shortage


def _updates(pusher: Pusher) -> Iterator[Update]:
    """Stream the intents page by page: no transaction stays open while the network is slow."""
    position = writes.START
    while True:
        with pusher.database.read() as connection:
            page = writes.load_unsent_after(connection, pusher.run_id, position)
        if not page:
            return
        for intent in page:
            yield pusher.writer.update(intent.account_id, intent.after, intent.parent_id)
        position = (page[-1].movement, page[-1].account_id)


def _until_spent(results: Iterable[UpdateResult], report: PushReport) -> Iterator[UpdateResult]:
    try:
        yield from results
    except AllowanceError as error:
        report.notes.append(f"stopped before the end: {error.message}. The next run goes on.")


def _chunks(results: Iterator[UpdateResult]) -> Iterator[list[UpdateResult]]:
    while chunk := list(islice(results, CHUNK)):
        yield chunk


def _save(pusher: Pusher, chunk: list[UpdateResult], report: PushReport) -> None:
    with pusher.database.begin() as connection:
        writes.save_outcomes(
            connection, pusher.run_id, [(r.record_id, r.outcome, r.code, r.message[:500]) for r in chunk]
        )
        refused = [r for r in chunk if r.outcome in (Outcome.REJECTED, Outcome.GONE)]
        names = writes.load_names(connection, [r.record_id for r in refused])
    report.counts.update(COUNTED[result.outcome] for result in chunk)
    for result in refused[: max(0, SHOWN_REJECTIONS - len(report.rejected))]:
        name = names.get(result.record_id, "")
        report.rejected.append(Rejected(result.record_id, name, result.code, result.message[:500]))
