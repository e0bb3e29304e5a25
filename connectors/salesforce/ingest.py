"""Large writes: one Bulk API 2.0 ingest job for a file of updates, and the truth about every row of it.

`JobComplete` is not success. Rows are taken as written only when the job's own counts add up to what was sent; where
they do not, the three result files decide, and what none of them names is unknown.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from connectors.contract import Fence, Outcome, UpdateResult
from connectors.errors import ConnectorError, IncompleteError, TransientError
from connectors.http import redact, require, unreachable
from connectors.salesforce.collections import refused
from connectors.salesforce.failures import Complaint, read_job_failure
from connectors.salesforce.ingest_jobs import IngestCalls, Trail
from connectors.salesforce.jobs import Jobs
from connectors.salesforce.results import read_lists
from connectors.salesforce.transport import Transport
from connectors.salesforce.wire import ID_LENGTH, IngestFile


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a job: rows refused, not come to, or not accounted for. All others are written.

    Keyed by record id. `failed` in the order of the file.
    """

    failed: Sequence[tuple[str, Complaint]]
    unprocessed: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


@dataclass(slots=True)
class IngestJob:
    transport: Transport
    jobs: Jobs
    object_name: str
    fence: Fence
    file: IngestFile
    trail: Trail
    job: str = ""

    @property
    def calls(self) -> IngestCalls:
        return IngestCalls(self.transport)

    def run(self) -> Settled:
        """Upload, start, wait and account for every line.

        Raises when nothing was written, or when what was written is not known. No job goes on after that: what it has
        not come to by then would be written later, over values newer than its own.
        """
        self.job = self.transport.retry.run(self._upload)
        try:
            self._begin()
            state = self.jobs.poll(self._state, lambda state: str(state.get("state")), self.jobs.clock())
        except BaseException:
            self._discard(self.job)
            raise
        self.trail.end(self.job)
        return self._account(state)

    def _upload(self) -> str:
        """A job with its file, not started. Nothing happens to it yet: a failed attempt is simply thrown away."""
        self.fence()
        asked = self.trail.ask()
        job = self.calls.create(self.object_name)
        try:
            self.trail.name(asked, job)
            self.fence()
            body = self.file.body()
            headers = {"Content-Type": "text/csv; charset=UTF-8", "Content-Length": str(body.length)}
            path = self.calls.path(job, "/batches")
            self.transport.send("PUT", path, "ingest_upload", content=body, headers=headers)
        except BaseException:
            self._discard(job)
            raise
        return job

    def _begin(self) -> None:
        """Start the job. When the answer is lost, its state says whether the order arrived."""

        def attempt() -> None:
            self.fence()
            try:
                self.calls.change(self.job, "UploadComplete", "ingest_start")
            except TransientError:
                if self._state().get("state") == "Open":
                    raise

        self.transport.retry.run(attempt)

    def _state(self) -> dict[str, Any]:
        return self.transport.retry.run(lambda: self.calls.state(self.job))

    def _discard(self, job: str) -> None:
        """A job that stays open counts against the org for days; one that runs goes on writing."""
        if self.calls.discard(job):
            self.trail.end(job)

    def _account(self, state: dict[str, Any]) -> Settled:
        processed, failed = (require(state, f"numberRecords{what}", int) for what in ("Processed", "Failed"))
        complete = state["state"] == "JobComplete" and processed == len(self.file.lines)
        if complete and not failed:
            return Settled(())
        if state["state"] == "Failed" and not processed:
            raise read_job_failure("A bulk write was refused as a whole", str(state.get("errorMessage") or ""))
        refused_rows = list(self._failed_rows())
        if complete and len(refused_rows) == failed:
            return Settled(refused_rows)
        return self._by_files(refused_rows)

    def _by_files(self, refused_rows: Sequence[tuple[str, Complaint]]) -> Settled:
        written = frozenset(self._ids_in("successfulResults"))
        waiting = frozenset(self._ids_in("unprocessedrecords"))
        named = written | waiting | {record_id for record_id, _ in refused_rows}
        sent = {record_id(line) for line in self.file.lines}
        return Settled(refused_rows, waiting, frozenset(sent - named))

    def _failed_rows(self) -> Iterator[tuple[str, Complaint]]:
        rows = self._lists("failedResults")
        header = next(rows, [])
        error, key = _place(header, "sf__Error"), _place(header, "Id")
        return ((row[key], read_row_error(row[error])) for row in rows)

    def _ids_in(self, name: str) -> Iterator[str]:
        rows = self._lists(name)
        key = _place(next(rows, []), "Id")
        return (row[key] for row in rows)

    def _lists(self, name: str) -> Iterator[list[str]]:
        def fetch() -> list[bytes]:
            path = self.calls.path(self.job, f"/{name}/")
            with self.transport.stream(path, "ingest_results") as answer:
                try:
                    return list(answer.iter_bytes())
                except httpx.HTTPError as error:
                    raise unreachable(error, "Salesforce, in the middle of a bulk result") from None

        chunks = self.transport.retry.run(fetch)
        self.transport.received(sum(map(len, chunks)))
        return _read(chunks)


def _read(chunks: Sequence[bytes]) -> Iterator[list[str]]:
    width = 0
    try:
        for row in read_lists(chunks):
            width = width or len(row)
            if len(row) == width:
                yield row
    except (csv.Error, UnicodeDecodeError):
        raise IncompleteError("A bulk result file cannot be read; what was written is not known.") from None


def record_id(line: bytes) -> str:
    return line[:ID_LENGTH].decode()


def read_row_error(text: str) -> Complaint:
    """`CODE:message:field1 field2 --`, where the message may hold colons itself."""
    code, _, rest = text.partition(":")
    message, _, fields = rest.rpartition(":") if ":" in rest else (rest, "", "")
    names = tuple(name for name in fields.removesuffix("--").split() if name != "--")
    return Complaint(code.strip(), redact(message), names)


def _place(header: Sequence[str], name: str) -> int:
    lowered = [column.lower() for column in header]
    if name.lower() not in lowered:
        raise IncompleteError(f"A bulk result file lacks the column {name}; what was written is not known.")
    return lowered.index(name.lower())


def results_of(
    settled: Settled, lines: Sequence[bytes], is_kept: Callable[[Complaint], bool]
) -> Iterator[UpdateResult]:
    """One result for every line, except the refused ones that are kept for another attempt."""
    failed: dict[str, list[Complaint]] = {}
    for key, complaint in settled.failed:
        failed.setdefault(key, []).append(complaint)
    for key in map(record_id, lines):
        if not failed.get(key):
            yield _quiet_result(key, settled)
        elif not is_kept(complaint := failed[key].pop()):
            yield refused(key, complaint)


def _quiet_result(key: str, settled: Settled) -> UpdateResult:
    if key in settled.unprocessed:
        return UpdateResult(key, Outcome.RETRY, "UNPROCESSED", "The bulk job ended before it came to this record.")
    if key in settled.unknown:
        return UpdateResult(key, Outcome.UNKNOWN, "UNACCOUNTED", "No result file of the bulk job names this record.")
    return UpdateResult(key, Outcome.OK)


def unknown_results(lines: Sequence[bytes], error: ConnectorError) -> Iterator[UpdateResult]:
    for line in lines:
        yield UpdateResult(record_id(line), Outcome.UNKNOWN, error.code, error.message)
