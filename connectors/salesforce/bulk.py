"""One request read by Bulk API 2.0 query jobs: stream, prove complete, narrow what times out, go on after a kill.

A job is named in a page as soon as it exists, so that a killed run leaves none behind that nobody knows of. A finished
job's results stay for seven days and vanish by themselves; deleting them would cost a call for nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from urllib.parse import quote

from connectors.contract import Page, PullRequest, RawRow
from connectors.errors import (
    ConnectorError,
    IncompleteError,
    QueryTimeoutError,
    ResumeError,
    TransientError,
)
from connectors.http import decode_json, redact, require
from connectors.salesforce.failures import read_job_failure
from connectors.salesforce.jobs import JOB_TIMEOUT, Jobs, JobState
from connectors.salesforce.position import Position, digest_of
from connectors.salesforce.records import Layout, read_stamp
from connectors.salesforce.results import CUT_SHORT, ResultPage
from connectors.salesforce.soql import STAMP, Select, Window
from connectors.salesforce.transport import Transport

SHORTEST_WINDOW_SECONDS = 2
_TOO_LONG = ("QUERY_TIMEOUT", "retried more than fifteen times")


@dataclass(slots=True)
class BulkPull:
    """One request read by bulk jobs. `position` says what comes next."""

    jobs: Jobs
    request: PullRequest
    select: Select
    layout: Layout
    position: Position
    page_rows: int
    earliest: Callable[[Select], datetime | None]
    """The oldest SystemModstamp of the object, asked for only when a query without a lower bound timed out."""
    rows_known: int | None = None
    """Of the current job, once Salesforce has told."""
    finished: bool = False
    _started: float = field(default=0.0)

    def start(self) -> Page:
        """Create the job of the first span, and say so: the server works on it while other requests are streamed."""
        job = self.jobs.create(self.select.text(self.position.windows[0]))
        self.position = replace(self.position, job=job, locator="", skip=0, rows=0)
        self._started = self.jobs.clock()
        return Page(self.request, (), resume=self.position.text())

    def check(self) -> None:
        """ResumeError when the stored position can no longer be continued."""
        if self.position.digest != digest_of(self.select) or not self.position.windows:
            raise ResumeError("The fields or the filter have changed since the position was stored: start again.")
        if self.position.job:
            state = self.jobs.state(self.position.job, self.position.api)
            if state.state in ("Failed", "Aborted"):
                raise ResumeError("The bulk job was ended: start this pull again from its watermark.")
            self.rows_known = state.rows if state.state == "JobComplete" else None
        self._started = self.jobs.clock() - self.jobs.first_wait

    def pages(self) -> Iterator[Page]:
        while not self.finished:
            if not self.position.job:
                yield self.start()
            state = self._wait()
            if state.state == "JobComplete":
                yield from self._stream(state.rows)
            else:
                self._narrow(_failure(state))

    def _wait(self) -> JobState:
        job, api = self.position.job, self.position.api
        try:
            return self.jobs.wait(job, self._started, api)
        except TransientError as error:
            if error.code == JOB_TIMEOUT:
                self.jobs.discard(job, api)
            raise

    def _stream(self, total: int) -> Iterator[Page]:
        last = False
        opened: set[str] = set()
        while not last:
            if self.position.locator in opened:
                raise IncompleteError(
                    "Salesforce names the same page of a bulk result twice: nothing of this pull is complete."
                )
            opened.add(self.position.locator)
            page = self._open_page()
            try:
                while not page.finished:
                    rows = self._next(page)
                    last = page.finished and not page.locator
                    yield from self._deliver(page, rows, last, total)
            finally:
                page.close()

    def _open_page(self) -> ResultPage:
        place = self.position
        query = f"?locator={quote(place.locator, safe='')}" if place.locator else ""
        path = self.jobs.transport.path(f"jobs/query/{quote(place.job)}/results{query}", place.api)
        return ResultPage(self.jobs.transport, path, self.layout.columns, self.page_rows, place.skip)

    def _next(self, page: ResultPage) -> Sequence[RawRow]:
        try:
            return self.jobs.transport.retry.run(page.next_rows)
        except TransientError as error:
            if error.code != CUT_SHORT:
                raise
            raise IncompleteError(f"{error.message} It stayed so: nothing of this pull is complete.") from None

    def _deliver(self, page: ResultPage, rows: Sequence[RawRow], last: bool, total: int) -> Iterator[Page]:
        self._advance(page, len(rows))
        if last:
            self._end_job(total)
        if rows or self.finished:
            yield Page(
                request=self.request,
                rows=self.layout.arrange(rows),
                resume=None if self.finished else self.position.text(),
                watermark=self.position.as_of if self.finished else None,
                complete=self.finished,
            )

    def _advance(self, page: ResultPage, count: int) -> None:
        following = page.finished and page.locator
        self.position = replace(
            self.position,
            locator=page.locator if following else self.position.locator,
            skip=0 if following else page.handed_out,
            rows=self.position.rows + count,
        )

    def _end_job(self, total: int) -> None:
        if self.position.rows != total:
            raise IncompleteError(
                f"Salesforce announced {total} records of {self.select.object} and delivered {self.position.rows}: "
                "nothing of this pull is complete."
            )
        rest = self.position.windows[1:]
        self.finished = not rest
        self.position = replace(
            self.position, windows=rest, job="", locator="", skip=0, rows=0, api=self.jobs.transport.api_version
        )

    def _narrow(self, error: ConnectorError) -> None:
        """After a time-out: halve the span and read the older half first.

        A row that changes meanwhile moves into the last span, which has no end, so none is lost.
        """
        if not isinstance(error, QueryTimeoutError):
            raise error
        span, *rest = self.position.windows
        start = span.start or self.earliest(self.select)
        end = span.end or self.position.as_of
        if start is None or (end - start).total_seconds() < SHORTEST_WINDOW_SECONDS:
            raise error
        middle = (start + (end - start) / 2).replace(microsecond=0)
        halves = (Window(span.start, middle), Window(middle, span.end))
        self.position = replace(self.position, windows=(*halves, *rest), job="")


def _failure(state: JobState) -> ConnectorError:
    if state.state == "Aborted":
        return IncompleteError("Somebody aborted the bulk job; nothing of this pull is complete.")
    if any(sign in state.message for sign in _TOO_LONG):
        return QueryTimeoutError(f"Salesforce gave up a bulk query: {redact(state.message)}", code="QUERY_TIMEOUT")
    return read_job_failure("A bulk query failed", state.message)


def read_earliest(transport: Transport, select: Select) -> datetime | None:
    soql = Select(select.object, (STAMP,)).text(ordered=True) + " LIMIT 1"
    answer = transport.read("GET", f"queryAll?q={quote(soql, safe='')}", "query")
    records = require(decode_json(answer.body), "records", list)
    return read_stamp(require(records[0], STAMP, str)) if records else None
