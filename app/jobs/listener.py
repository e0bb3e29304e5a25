"""Listening to what the CRM announces: each announcement becomes a delivery in the inbox, then its position is stored.

That order is the whole safety: a crash in between hears it again, and reading a record twice costs no more than a call.
The inbox worker reads what was announced and writes only where the outcome differs, so our own writes, which are
announced like anybody's, end there.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_when_event_set, wait_random_exponential
from tenacity.nap import sleep_using_event

from app.bootstrap import Services
from app.jobs.worker import HINTS
from app.logs import open_log
from app.mapping.check import objects_of
from app.store.announcements import load_heard, save_heard
from app.store.database import TRANSIENT_DATABASE_ERRORS
from app.store.inbox import save_delivery
from connectors.changes import Announcement, ChangeListener
from connectors.errors import TransientError

PAUSE_SECONDS = 5.0
"""Before a stream that ended is opened again."""
FIRST_WAIT_SECONDS = 2.0
LONGEST_WAIT_SECONDS = 300.0
HOPELESS_WAIT_SECONDS = 900.0
"""After a failure that time alone does not mend. Trying logs in again, and a login refused too often locks the user."""


@dataclass(slots=True)
class ChangeJob:
    """One topic, heard in a thread of its own until `halt`. `source` builds a listener that has not logged in yet."""

    services: Services
    source: Callable[[], ChangeListener]
    topic: str
    pause: float = PAUSE_SECONDS
    first_wait: float = FIRST_WAIT_SECONDS
    hopeless_wait: float = HOPELESS_WAIT_SECONDS
    stop: threading.Event = field(default_factory=threading.Event)
    thread: threading.Thread | None = None
    _listener: ChangeListener | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        self.thread = threading.Thread(target=self.listen_until_stopped, name=f"changes {self.topic}", daemon=True)
        self.thread.start()

    def halt(self) -> None:
        """Ask the thread to end, and end the stream it waits on."""
        self.stop.set()
        with self._lock:
            if self._listener is not None:
                self._listener.close()

    def listen_until_stopped(self) -> None:
        """Open the stream again whenever it ends; no failure ends this loop.

        Waits grow from failure to failure. A stream on which something was heard has ended that row.
        """
        while not self.stop.is_set():
            Retrying(
                retry=retry_if_exception_type(Exception),
                wait=self._wait,
                sleep=sleep_using_event(self.stop),
                stop=stop_when_event_set(self.stop),
                before_sleep=self._tell,
                retry_error_callback=lambda _state: None,
            )(self.listen)
            self.stop.wait(self.pause)

    def listen(self) -> None:
        """Hear one stream to its end. Returns when it ends, or breaks after something was heard; raises otherwise."""
        listener = self._open()
        heard = False
        try:
            for announcement in listener.listen(self.topic, load_heard(self.services.database, self.topic)):
                save_announcement(self.services, self.topic, announcement)
                heard = heard or announcement.position is not None
        except TransientError as error:
            if not heard:
                raise
            open_log().info("stream of changes ended", topic=self.topic, reason=error.message)
        finally:
            listener.close()

    def _open(self) -> ChangeListener:
        with self._lock:
            self._listener = self.source()
            if self.stop.is_set():
                self._listener.close()
            return self._listener

    def _wait(self, state: RetryCallState) -> float:
        error = state.outcome.exception() if state.outcome else None
        if not isinstance(error, (TransientError, *TRANSIENT_DATABASE_ERRORS)):
            return self.hopeless_wait
        return wait_random_exponential(multiplier=self.first_wait, max=LONGEST_WAIT_SECONDS)(state)

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        wait = round(state.next_action.sleep) if state.next_action else 0
        reason = getattr(error, "message", "") or type(error).__name__
        open_log().warning("not listening for changes", topic=self.topic, reason=reason, again_in_seconds=wait)


def listen_for_changes(services: Services, source: Callable[[], ChangeListener]) -> list[ChangeJob]:
    """A running job for every topic."""
    jobs = [ChangeJob(services, source, topic) for topic in services.settings.salesforce_changes_topics]
    for job in jobs:
        job.start()
    return jobs


def save_announcement(services: Services, topic: str, announcement: Announcement) -> None:
    """Store what was announced, then that it was heard."""
    body = _write_hint(services, announcement)
    if body:
        now = services.now()
        save_delivery(
            services.database,
            # Nothing is dropped as a duplicate: the same record may change, and be announced, any number of times.
            sender_id=uuid4().hex,
            source=HINTS,
            body=json.dumps(body, sort_keys=True).encode(),
            now=now,
            due=_end_of_gathering(now, services.settings.salesforce_changes_seconds),
        )
    if announcement.reason:
        open_log().info("all changes will be pulled", topic=topic, reason=announcement.reason)
    if announcement.position is not None:
        save_heard(services.database, topic, announcement.position)


def _write_hint(services: Services, announcement: Announcement) -> Mapping[str, object]:
    """The body of the delivery; empty for a keep-alive, and for objects that the mapping does not read."""
    read = objects_of(services.mapping)
    changed = {name: sorted(ids) for name, ids in announcement.changed.items() if name in read}
    if announcement.everything:
        return {"changed": changed, "everything": True}
    return {"changed": changed} if changed else {}


def _end_of_gathering(now: datetime, seconds: int) -> datetime:
    """The same moment for all that is announced within so many seconds: one run answers it together."""
    start = datetime.fromtimestamp(now.timestamp() // seconds * seconds, UTC)
    return start + timedelta(seconds=seconds)
