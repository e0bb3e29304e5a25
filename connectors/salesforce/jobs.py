"""The calls of Bulk API 2.0 query jobs, and the patience that both kinds of job need."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

from connectors.errors import ConfigurationError, ConnectorError, ResumeError, TransientError
from connectors.http import decode_json, require
from connectors.salesforce.transport import Transport

S = TypeVar("S")

JSON_HEADERS = {"Content-Type": "application/json; charset=UTF-8"}
JOB_TIMEOUT = "JOB_TIMEOUT"
FINAL = ("JobComplete", "Failed", "Aborted")
LONGEST_WAIT = 8.0
"""Seconds between two looks at a job."""


@dataclass(frozen=True, slots=True)
class JobState:
    state: str
    rows: int
    message: str


@dataclass(slots=True)
class Jobs:
    """The calls of `jobs/query`, with waits that double from `first_wait` to 8 seconds."""

    transport: Transport
    first_wait: float
    give_up_after: float
    """Seconds."""
    clock: Callable[[], float] = time.monotonic

    def create(self, soql: str) -> str:
        body = json.dumps({"operation": "queryAll", "query": soql}).encode()
        answer = self._request("POST", "jobs/query", "bulk_create", body)
        return require(answer, "id", str)

    def state(self, job: str, api: str = "") -> JobState:
        try:
            body = self._request("GET", f"jobs/query/{quote(job)}", "bulk_poll", None, api)
        except ConfigurationError:
            raise ResumeError("The bulk job no longer exists: start this pull again from its watermark.") from None
        rows = require(body, "numberRecordsProcessed", int) if body.get("state") == "JobComplete" else 0
        return JobState(require(body, "state", str), rows, str(body.get("errorMessage") or ""))

    def wait(self, job: str, started: float, api: str = "") -> JobState:
        """The final state of a query job that was created when the clock showed `started`."""
        return self.poll(lambda: self.state(job, api), lambda state: state.state, started)

    def poll(self, look: Callable[[], S], name: Callable[[S], str], started: float) -> S:
        """What `look` tells once its state has a final name."""
        delay, due = self.first_wait, started + self.first_wait
        while True:
            self.transport.retry.sleep(max(0.0, due - self.clock()))
            state = look()
            if name(state) in FINAL:
                return state
            if self.clock() - started > self.give_up_after:
                raise TransientError("A bulk job did not finish in time; it was given up.", code=JOB_TIMEOUT)
            delay = min(delay * 2, LONGEST_WAIT)
            due = self.clock() + delay

    def discard(self, job: str, api: str = "") -> None:
        """Stop and remove a job that nobody will read. Housekeeping: that it fails must not stop a pull."""
        path = f"jobs/query/{quote(job)}"
        for method, body in (("PATCH", b'{"state":"Aborted"}'), ("DELETE", None)):
            with suppress(ConnectorError):
                self.transport.send(
                    method, self.transport.path(path, api), "bulk_discard", content=body, headers=JSON_HEADERS
                )

    def _request(self, method: str, path: str, kind: str, body: bytes | None, api: str = "") -> dict[str, Any]:
        def call() -> dict[str, Any]:
            answer = self.transport.send(
                method, self.transport.path(path, api), kind, content=body, headers=JSON_HEADERS
            )
            value = decode_json(answer.body)
            if not isinstance(value, dict):
                raise TransientError("The answer about a bulk job is not JSON.")
            return value

        return self.transport.retry.run(call)
