"""Ingest jobs from outside: the calls about them, which of them a push has going, and the end of those left behind.

A push notes that it asks for a job before it does, and the job's id before it gets a file. So whatever a killed process
left is found by whoever comes next, at no call where nothing was left.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from urllib.parse import quote

from connectors.contract import Fence, Trace
from connectors.errors import ConfigurationError, ConnectorError, CredentialsError, ProtocolError, TransientError
from connectors.http import decode_json, require
from connectors.salesforce.identity import canonical, connected_user
from connectors.salesforce.jobs import FINAL, JSON_HEADERS, Jobs
from connectors.salesforce.records import read_stamp
from connectors.salesforce.transport import Answer, Transport

OPERATION = "update"
LONGEST_CREATION = timedelta(minutes=10)
"""A request that creates a job was answered or given up by then, by any clock that is good enough to log in."""

CLOCK_SLACK = timedelta(seconds=10)
"""The servers of one org need not agree to the second."""


@dataclass(frozen=True, slots=True)
class IngestCalls:
    """The calls of `jobs/ingest`, each sent once. `api`: the version that a job was created with; empty: ours."""

    transport: Transport
    api: str = ""

    def create(self, object_name: str) -> str:
        order = {
            "object": object_name,
            "operation": OPERATION,
            "contentType": "CSV",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        }
        answer = self.transport.send(
            "POST", self.path(""), "ingest_create", content=json.dumps(order).encode(), headers=JSON_HEADERS
        )
        return require(_object(answer), "id", str)

    def state(self, job: str) -> dict[str, Any]:
        return _object(self.transport.send("GET", self.path(job), "ingest_poll", headers=JSON_HEADERS))

    def change(self, job: str, state: str, kind: str) -> None:
        content = json.dumps({"state": state}).encode()
        self.transport.send("PATCH", self.path(job), kind, content=content, headers=JSON_HEADERS)

    def delete(self, job: str) -> None:
        self.transport.send("DELETE", self.path(job), "ingest_abort", headers=JSON_HEADERS)

    def listed(self) -> Iterator[Mapping[str, Any]]:
        """The jobs that the user may see, page by page; a page that has come before ends it."""
        path, seen = f"{self.path('')}?jobType=V2Ingest", set[str]()
        while path and path not in seen:
            seen.add(path)
            send = partial(self.transport.send, "GET", path, "ingest_list", headers=JSON_HEADERS)
            answer = _object(self.transport.retry.run(send))
            yield from require(answer, "records", list)
            path = "" if require(answer, "done", bool) else require(answer, "nextRecordsUrl", str)

    def path(self, job: str, rest: str = "") -> str:
        return self.transport.path(f"jobs/ingest{f'/{quote(job)}' if job else ''}{rest}", self.api)

    def discard(self, job: str) -> bool:
        """Stop and remove a job, as far as that can be done; whether it is gone."""
        retry = self.transport.retry.run
        with suppress(ConnectorError):
            retry(partial(self.change, job, "Aborted", "ingest_abort"))
        with suppress(ConnectorError):
            retry(partial(self.delete, job))
            return True
        return False


def _object(answer: Answer) -> dict[str, Any]:
    value = decode_json(answer.body)
    if not isinstance(value, dict):
        raise TransientError("The answer about a bulk job is not JSON.")
    return value


Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """What of a push Salesforce may still have. `asked`: when jobs were asked for whose ids never became known."""

    api: str
    object_name: str
    jobs: tuple[str, ...] = ()
    asked: tuple[Span, ...] = ()

    def text(self) -> str:
        """Empty when nothing is left."""
        if not self.jobs and not self.asked:
            return ""
        spans = [[moment.astimezone(UTC).isoformat() for moment in span] for span in self.asked]
        values = {"v": 1, "api": self.api, "object": self.object_name, "jobs": self.jobs, "asked": spans}
        return json.dumps(values, separators=(",", ":"))


def read_left(text: str) -> LeftBehind | None:
    """What `LeftBehind.text` wrote; None for anything else."""
    try:
        values = json.loads(text)
        spans = tuple((datetime.fromisoformat(start), datetime.fromisoformat(end)) for start, end in values["asked"])
        jobs = tuple(str(job) for job in values["jobs"])
        return LeftBehind(str(values["api"]), str(values["object"]), jobs, spans) if values["v"] == 1 else None
    except (ValueError, KeyError, TypeError):
        return None


@dataclass(slots=True)
class Trail:
    """The jobs of one push, told to `note` before anything happens to them."""

    transport: Transport
    object_name: str
    note: Trace
    _left: LeftBehind = field(init=False)

    def __post_init__(self) -> None:
        self._left = LeftBehind(self.transport.api_version, self.object_name)

    def ask(self) -> Span:
        """A job is about to be asked for: Salesforce's clock now, as far as it is known, and the latest it can be."""
        here = datetime.now(UTC)
        known = self.transport.now or here - LONGEST_CREATION
        span = known - CLOCK_SLACK, max(known, here) + LONGEST_CREATION
        self._tell(replace(self._left, asked=(*self._left.asked, span)))
        return span

    def name(self, span: Span, job: str) -> None:
        """This is the job that was asked for."""
        asked = tuple(one for one in self._left.asked if one is not span)
        self._tell(replace(self._left, asked=asked, jobs=(*self._left.jobs, job)))

    def end(self, job: str) -> None:
        """Nothing more will come of this job."""
        self._tell(replace(self._left, jobs=tuple(one for one in self._left.jobs if one != job)))

    def tidy(self, fence: Fence) -> None:
        """After trouble: remove what was asked for and never named. Where that fails, the next start does it."""
        if self._left.asked:
            with suppress(ConnectorError):
                _discard_forgotten(IngestCalls(self.transport), self._left, fence)
                self._tell(replace(self._left, asked=()))

    def _tell(self, left: LeftBehind) -> None:
        self._left = left
        self.note(left.text())


def end_left_behind(jobs: Jobs, text: str, fence: Fence) -> None:
    """End the jobs that a killed push left: when this returns, nothing of them will be written any more.

    The fence is asked before any is removed: who wakes up late could meet the job of somebody who has come since.
    """
    left = read_left(text)
    if left is None:
        return
    calls = IngestCalls(jobs.transport, left.api)
    for job in left.jobs:
        _end(jobs, calls, job, fence)
    if left.asked:
        # Such a job writes nothing: what may not be listed or cannot be read is left to Salesforce for seven days.
        with suppress(CredentialsError, ProtocolError):
            _discard_forgotten(calls, left, fence)


def _discard_forgotten(calls: IngestCalls, left: LeftBehind, fence: Fence) -> None:
    """Nothing of such a job was written: it has no file yet."""
    user = connected_user(calls.transport)
    for job in [require(one, "id", str) for one in calls.listed() if is_forgotten(one, left, user)]:
        fence()
        calls.discard(job)


def _end(jobs: Jobs, calls: IngestCalls, job: str, fence: Fence) -> None:
    """What has not begun is stopped. What has begun is waited for: batches under way are finished even when aborted."""

    def look() -> str:
        return require(jobs.transport.retry.run(lambda: calls.state(job)), "state", str)

    try:
        state = look()
        fence()
        if state in FINAL or (state in ("Open", "UploadComplete") and calls.discard(job)):
            return
        jobs.poll(look, str, jobs.clock())
    except ConfigurationError:
        return  # there is no such job any more
    except TransientError:
        fence()
        calls.discard(job)
        raise


def is_forgotten(listed: Mapping[str, Any], left: LeftBehind, user: str) -> bool:
    """Whether a `listed` job is one that was asked for and never named: ours, still open, of that time."""
    if require(listed, "state", str) != "Open" or canonical(require(listed, "createdById", str)) != canonical(user):
        return False
    if (listed.get("object"), listed.get("operation")) != (left.object_name, OPERATION):
        return False
    made = read_stamp(require(listed, "createdDate", str))
    return made is not None and any(start <= made <= end for start, end in left.asked)
