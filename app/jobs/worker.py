"""The inbox worker: stored deliveries become events, and the accounts they touch are valued and written at once.

A delivery is settled in the transaction that stores its events. What follows, the run over the touched accounts, is
tried again for as long as it takes; should the process die in between, the next start or the nightly run does it.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from app.bootstrap import Services
from app.domain.events import AdvocacyEvent
from app.errors import AppError, LeaseHeldError
from app.intake.event_bodies import read_event_body
from app.intake.event_fields import Reader, RejectedEventError
from app.logs import open_log
from app.store.events import save_events_on
from app.store.inbox import Delivery, fail_delivery, finish_delivery_on, list_deliveries, load_due
from app.sync.run import run_sync
from connectors.errors import ConfigurationError, CredentialsError

IDLE_SECONDS = 5.0
LEASE_WAIT_SECONDS = 5.0
FAILURE_WAIT_SECONDS = 60.0
HOPELESS_WAIT_SECONDS = 900.0
"""After a failure that time alone does not mend: a login that was refused, a setting that is wrong."""
CATCH_UP = timedelta(days=1)
CATCH_UP_DELIVERIES = 200
HINTS = "salesforce"
"""`source` of deliveries that name changed records, see `app.web.outbound` and `app.jobs.listener`."""
MAX_HINTS = 2_000
"""More records than this are not read one by one: a pull of all changes is cheaper, and says the same."""
DEFAULT_SOURCE = "webhook"
"""`source_system` of events that name none."""


@dataclass(slots=True)
class InboxWorker:
    """`wake` is set when something arrived, `stop` when the process ends."""

    services: Services
    wake: threading.Event = field(default_factory=threading.Event)
    stop: threading.Event = field(default_factory=threading.Event)
    pending: set[str] = field(default_factory=set)
    """Accounts whose value may have changed and has not been written yet."""
    hinted: dict[str, set[str]] = field(default_factory=dict)
    """Records by CRM object that the CRM says have changed and that have not been read yet."""
    everything: bool = False
    """The CRM says that more has changed than it lists: pull all changes since the watermark."""

    def start(self) -> threading.Thread:
        """Work in a thread of its own until `stop` is set."""
        thread = threading.Thread(target=self.work_until_stopped, name="inbox", daemon=True)
        thread.start()
        return thread

    def halt(self) -> None:
        """Ask the thread to end after what it is doing now."""
        self.stop.set()
        self.wake.set()

    def work_until_stopped(self) -> None:
        """Work deliveries as they come; no failure ends this loop."""
        wait = self._attempt(self._catch_up)
        while not self.stop.is_set():
            self.wake.wait(wait)
            self.wake.clear()
            if not self.stop.is_set():
                wait = self._attempt(self.work_once)

    def _attempt(self, work: Callable[[], object]) -> float:
        """Do it; return the seconds to wait before the next time."""
        try:
            work()
        except LeaseHeldError:
            return LEASE_WAIT_SECONDS
        except AppError as error:
            open_log().warning("webhook run postponed", reason=error.message)
            hopeless = isinstance(error.__cause__, CredentialsError | ConfigurationError)
            return HOPELESS_WAIT_SECONDS if hopeless else FAILURE_WAIT_SECONDS
        except Exception as error:  # noqa: BLE001 - the top of the job
            open_log().error("webhook run failed", exc_info=error)
            return FAILURE_WAIT_SECONDS
        return IDLE_SECONDS

    def _catch_up(self) -> None:
        """Look again at what was settled shortly before the last stop: its run may not have happened."""
        since = self.services.now() - CATCH_UP
        done = list_deliveries(self.services.database, status="done", limit=CATCH_UP_DELIVERIES)
        recent = [delivery for delivery in done if delivery.finished_at is not None and delivery.finished_at >= since]
        # There may be more than we look at.
        self.everything |= len(recent) == CATCH_UP_DELIVERIES
        for delivery in recent:
            if delivery.source == HINTS:
                self._note_hint(delivery)
            else:
                self.pending |= find_touched(read_event_body(delivery.body, _reader(self.services)))
        self.work_once()

    def work_once(self) -> int:
        """Take in every delivery that is due, then run over the touched accounts. Returns the deliveries taken."""
        taken = 0
        while due := load_due(self.services.database, now=self.services.now()):
            for delivery in due:
                if delivery.source == HINTS:
                    self._take_hint(delivery)
                else:
                    self.pending |= take_in(self.services, delivery)
            taken += len(due)
        if self.pending or self.hinted or self.everything:
            self._run()
        return taken

    def _run(self) -> None:
        if sum(map(len, self.hinted.values())) > MAX_HINTS:
            self.everything = True
            self.hinted.clear()
        touched = frozenset(self.pending)
        only = None if self.everything else tuple(sorted(touched))
        hints = {name: sorted(ids) for name, ids in self.hinted.items()}
        run_sync(self.services, trigger="webhook", only=only, hints=hints)
        self.pending -= touched
        self.hinted.clear()
        self.everything = False

    def _take_hint(self, delivery: Delivery) -> None:
        """A hint is answered by reading the record: what is settled here is only that it came."""
        self._note_hint(delivery)
        with self.services.database.begin() as connection:
            finish_delivery_on(connection, delivery.delivery_id, now=self.services.now())

    def _note_hint(self, delivery: Delivery) -> None:
        hint = json.loads(delivery.body)
        self.everything |= bool(hint.get("everything"))
        changed = hint["changed"] if "changed" in hint else {hint["object"]: [hint["id"]]}
        for name, ids in changed.items():
            for record_id in ids:
                self._note_record(delivery, name, record_id)

    def _note_record(self, delivery: Delivery, name: str, record_id: str) -> None:
        try:
            self.hinted.setdefault(name, set()).add(self.services.normalise_id(record_id))
        except ValueError as error:
            open_log().warning(
                "hint about something that is no record", delivery_id=delivery.delivery_id, why=str(error)
            )


def _reader(services: Services) -> Reader:
    return services.event_reader(DEFAULT_SOURCE)


def take_in(services: Services, delivery: Delivery) -> set[str]:
    """Store the events of one delivery and settle it; return the accounts they touch."""
    now = services.now()
    try:
        events = read_event_body(delivery.body, _reader(services))
    except RejectedEventError as error:
        # It was readable when it came in: the rules became stricter since. Kept, for a person to look at.
        fail_delivery(services.database, delivery, error=str(error), now=now, permanent=True)
        return set()
    with services.database.begin() as connection:
        report = save_events_on(connection, events, now=now, policy=services.mapping.policy)
        finish_delivery_on(connection, delivery.delivery_id, now=now)
    open_log().info(
        "delivery taken in", delivery_id=delivery.delivery_id, added=report.added, duplicate=report.duplicate
    )
    for conflict in report.conflicts:
        open_log().warning("event came again with other content", source_event_id=conflict.source_event_id)
    return find_touched(events)


def find_touched(events: Iterable[AdvocacyEvent]) -> set[str]:
    """The accounts that did something or were referred."""
    return {account for event in events for account in (event.account, event.referred_account) if account}
