"""Which way updates go: collections up to 2,000, bulk ingest above; exactly one result for every update either way.

Collections go one after the other. Inside a bulk job Salesforce works in parallel, so siblings are kept in one batch of
it, and what does not fit goes by collections; so do the rows that another writer kept locked, and those that a
duplicate rule refused: only collections have a header that keeps it out.

Updates by id set absolute values, so that sending one twice does no harm: connection trouble is retried, behind the
fence. What stays without an answer is reported as unknown, and the push ends there with the error.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from connectors.contract import Fence, Outcome, Trace, Update, UpdateResult, untraced
from connectors.errors import TransientError
from connectors.salesforce.collections import Collections, Row
from connectors.salesforce.failures import Complaint, is_passing
from connectors.salesforce.ids import normalise_id
from connectors.salesforce.ingest import IngestJob, record_id, results_of, unknown_results
from connectors.salesforce.ingest_jobs import Trail
from connectors.salesforce.jobs import Jobs
from connectors.salesforce.transport import Transport
from connectors.salesforce.wire import BulkOnlyClearsError, IngestFile, UnwritableError, json_record

COLLECTIONS_UP_TO = 2000
BATCH_ROWS = 10_000
"""Salesforce cuts a bulk file into batches of so many rows and works on them in parallel."""

DUPLICATES = "DUPLICATES_DETECTED"
"""What a duplicate rule says to a row. A bulk job cannot keep such rules out; without `assignmentRuleId` it runs no
assignment rules."""

FILE_BYTES = 40_000_000
"""Salesforce takes 100 MB raw; the file is held in memory, so less is better."""


@dataclass(slots=True)
class Pusher:
    transport: Transport
    jobs: Jobs
    object_name: str
    fence: Fence
    trace: Trace = untraced
    file_bytes: int = FILE_BYTES
    batch_rows: int = BATCH_ROWS
    _again: list[Row] = field(default_factory=list)
    """Rows of bulk files that go by collections after all."""
    _trail: Trail = field(init=False)

    def __post_init__(self) -> None:
        self._trail = Trail(self.transport, self.object_name, self.trace)

    def results(self, updates: Iterable[Update], expected: int) -> Iterator[UpdateResult]:
        return self._large(updates) if expected > COLLECTIONS_UP_TO else self._small(updates)

    def _small(self, updates: Iterable[Update]) -> Iterator[UpdateResult]:
        refusals: list[UpdateResult] = []
        yield from self._collections().results(self._rows(updates, refusals))
        yield from refusals

    def _collections(self) -> Collections:
        return Collections(self.transport, self.fence, self.object_name)

    def _rows(self, updates: Iterable[Update], refusals: list[UpdateResult]) -> Iterator[Row]:
        for update in updates:
            try:
                key = normalise_id(update.record_id)
                yield self._row(update, key)
            except ValueError as error:
                refusals.append(_unwritable(update, error))

    def _large(self, updates: Iterable[Update]) -> Iterator[UpdateResult]:
        file = IngestFile()
        for update in updates:
            try:
                self._add(file, update)
            except ValueError as error:
                yield _unwritable(update, error)
            if file.size >= self.file_bytes:
                yield from self._write(file)
                file = IngestFile()
        yield from self._write(file)
        self._trail.tidy(self.fence)
        yield from self._collections().results(self._again)

    def _add(self, file: IngestFile, update: Update) -> None:
        key = normalise_id(update.record_id)
        try:
            if key == update.record_id:
                file.add(update)
                return
        except BulkOnlyClearsError:
            pass
        self._again.append(self._row(update, key))

    def _row(self, update: Update, key: str) -> Row:
        return Row(update.record_id, json_record(self.object_name, key, update.values), update.family)

    def _write(self, file: IngestFile) -> Iterator[UpdateResult]:
        self._put_off(file, file.gather_families(self.batch_rows))
        if not file.lines:
            return
        job = IngestJob(self.transport, self.jobs, self.object_name, self.fence, file, self._trail)
        try:
            settled = job.run()
        except TransientError as error:
            yield from unknown_results(file.lines, error)
            raise
        passing = {key for key, complaint in settled.failed if _goes_again(complaint)}
        # By id, so that whoever stores the results writes neighbours together and not all over a large table.
        yield from results_of(settled, sorted(file.lines), _goes_again)
        self._put_off(file, (line for line in file.lines if record_id(line) in passing))

    def _put_off(self, file: IngestFile, lines: Iterable[bytes]) -> None:
        """Lines of the file go by collections, one after the other, once the bulk jobs are done."""
        self._again += [Row(record_id(line), file.json_of(line, self.object_name)) for line in lines]


def _goes_again(complaint: Complaint) -> bool:
    """Whether a row refused by a bulk job may be taken in a collection."""
    return is_passing(complaint.code) or complaint.code == DUPLICATES


def _unwritable(update: Update, error: ValueError) -> UpdateResult:
    code = "UNWRITABLE_VALUE" if isinstance(error, UnwritableError) else "MALFORMED_ID"
    return UpdateResult(update.record_id, Outcome.REJECTED, code, str(error))
