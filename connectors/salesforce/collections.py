"""Small writes: records in collections of 200, five collections to a call, refused rows apart from passing trouble."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.contract import Fence, Outcome, UpdateResult
from connectors.errors import ConnectorError, TransientError
from connectors.salesforce.composite import MAX_QUERIES, SubAnswer, in_groups, read_parts
from connectors.salesforce.failures import Complaint, is_passing, outcome_of, read_complaints
from connectors.salesforce.transport import Transport

COLLECTION = 200
ROWS_PER_CALL = COLLECTION * MAX_QUERIES
ROUNDS = 4
"""How often a row is sent that is refused for a passing reason."""

WRITE_HEADERS = {
    "Sforce-Auto-Assign": "FALSE",
    "Sforce-Duplicate-Rule-Header": "allowSave=true",
}
"""A score must not reassign an account, nor be stopped because two accounts look alike."""


@dataclass(frozen=True, slots=True)
class Row:
    record_id: str
    json: str
    """The record of a collections request."""


@dataclass(frozen=True, slots=True)
class Collections:
    transport: Transport
    fence: Fence

    def results(self, rows: Iterable[Row]) -> Iterator[UpdateResult]:
        for group in in_groups(rows, ROWS_PER_CALL):
            yield from self._settle(group)

    def _settle(self, rows: Sequence[Row]) -> Iterator[UpdateResult]:
        """Send, and send again only the rows that met passing trouble, until a round brings none."""
        for turn in range(1, ROUNDS + 1):
            results, failure = self._send(rows)
            again = [r for r, result in zip(rows, results, strict=True) if _is_passing(result)] if turn < ROUNDS else []
            kept = {row.record_id for row in again}
            yield from (result for result in results if result and result.record_id not in kept)
            if failure is not None:
                raise failure
            if not again:
                return
            self.transport.retry.sleep(self.transport.retry.first * 2**turn)
            rows = again

    def _send(self, rows: Sequence[Row]) -> tuple[list[UpdateResult | None], ConnectorError | None]:
        """One result a row, in order; None where a collection was refused as a whole, with the reason."""
        try:
            parts = self.transport.retry.run(self._attempt(rows))
        except TransientError as error:
            return [_unknown(row, error) for row in rows], error
        results: list[UpdateResult | None] = []
        failure = None
        for chunk, part in zip(in_groups(rows, COLLECTION), parts, strict=True):
            read = _read_part(chunk, part)
            failure = failure or (part.failure if read[0] is None else None)
            results += read
        return results, failure

    def _attempt(self, rows: Sequence[Row]) -> Callable[[], list[SubAnswer]]:
        chunks = list(in_groups(rows, COLLECTION))
        body = self._body(chunks)

        def attempt() -> list[SubAnswer]:
            self.fence()
            answer = self.transport.send(
                "POST", self.transport.path("composite"), "collections", content=body, headers=_JSON
            )
            return read_parts(answer.body, len(chunks))

        return attempt

    def _body(self, chunks: Sequence[Sequence[Row]]) -> bytes:
        head = f'"method":"PATCH","url":"{self.transport.path("composite/sobjects")}","httpHeaders":{_HEADERS_JSON}'
        lists = [",".join(row.json for row in chunk) for chunk in chunks]
        parts = [
            f'{{{head},"referenceId":"r{i}","body":{{"allOrNone":false,"records":[{records}]}}}}'
            for i, records in enumerate(lists)
        ]
        return f'{{"allOrNone":false,"compositeRequest":[{",".join(parts)}]}}'.encode()


_JSON = {"Content-Type": "application/json; charset=UTF-8", **WRITE_HEADERS}
_HEADERS_JSON = json.dumps(WRITE_HEADERS)


def _read_part(rows: Sequence[Row], part: SubAnswer) -> Sequence[UpdateResult | None]:
    if part.failure is not None:
        if isinstance(part.failure, TransientError):
            return [UpdateResult(r.record_id, Outcome.RETRY, part.failure.code, part.failure.message) for r in rows]
        return [None] * len(rows)
    if not isinstance(part.body, list) or len(part.body) != len(rows):
        return [UpdateResult(r.record_id, Outcome.UNKNOWN, "RESULT_MISMATCH", "No result came back.") for r in rows]
    return [
        _read_result(row, entry if isinstance(entry, dict) else {}) for row, entry in zip(rows, part.body, strict=True)
    ]


def _read_result(row: Row, entry: Any) -> UpdateResult:
    if isinstance(entry, Mapping) and entry.get("success") is True:
        return UpdateResult(row.record_id, Outcome.OK)
    complaints = read_complaints(entry)
    if not complaints:
        return UpdateResult(row.record_id, Outcome.UNKNOWN, "NO_REASON", "Neither written nor refused with a reason.")
    return refused(row.record_id, complaints[0])


def refused(record_id: str, complaint: Complaint) -> UpdateResult:
    return UpdateResult(record_id, outcome_of(complaint.code), complaint.code, complaint.message, complaint.fields)


def _unknown(row: Row, error: ConnectorError) -> UpdateResult:
    return UpdateResult(row.record_id, Outcome.UNKNOWN, error.code, error.message)


def _is_passing(result: UpdateResult | None) -> bool:
    """Worth sending again at once: a lock is released in a moment, an approval process is not."""
    return result is not None and result.outcome is Outcome.RETRY and is_passing(result.code, unknown=True)
