"""Small writes: records in collections of 200, five collections to a call, refused rows apart from passing trouble.

A locked row is sent again without the others, and then each alone, in a transaction of its own that holds the parent
for the shortest time; one after the other, with waits that double.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.contract import Fence, Outcome, UpdateResult
from connectors.errors import ConnectorError, TransientError
from connectors.salesforce.composite import MAX_QUERIES, MAX_SUBREQUESTS, SubAnswer, in_groups, read_parts
from connectors.salesforce.failures import Complaint, is_passing, outcome_of, read_complaints
from connectors.salesforce.transport import Transport
from connectors.salesforce.wire import fields_of

COLLECTION = 200
ROWS_PER_CALL = COLLECTION * MAX_QUERIES
ROUNDS = 4
"""How often a row is sent that is refused for a passing reason."""

TOGETHER = 2
"""So many of the rounds go by collections; in the others each row goes alone."""

MOST_ALONE = 250
"""Of a thousand rows: when more stay locked, another mass write is at work, and the next run is soon enough."""

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
    family: str = ""


@dataclass(frozen=True, slots=True)
class Collections:
    transport: Transport
    fence: Fence
    object_name: str

    def results(self, rows: Iterable[Row]) -> Iterator[UpdateResult]:
        for group in in_groups(rows, ROWS_PER_CALL):
            # Siblings beside each other: one transaction locks their parent, and not several in turn.
            yield from self._settle(sorted(group, key=lambda row: row.family))

    def _settle(self, rows: Sequence[Row]) -> Iterator[UpdateResult]:
        """Send, and send again only the rows that met passing trouble, until a round brings none."""
        for turn in range(1, ROUNDS + 1):
            passing: list[tuple[Row, UpdateResult]] = []
            for parcel in self._parcels(rows, turn):
                results, failure = self._send(parcel)
                pairs = [(row, result) for row, result in zip(parcel.rows, results, strict=True) if result]
                passing += [pair for pair in pairs if _is_passing(pair[1])]
                yield from (result for _, result in pairs if not _is_passing(result))
                if failure is not None:
                    yield from (result for _, result in passing)
                    raise failure
            if turn == ROUNDS or (turn >= TOGETHER and len(passing) > MOST_ALONE):
                yield from (result for _, result in passing)
                return
            if not passing:
                return
            self.transport.retry.sleep(self.transport.retry.first * 2**turn)
            rows = [row for row, _ in passing]

    def _parcels(self, rows: Sequence[Row], turn: int) -> Iterator[Parcel]:
        if turn <= TOGETHER:
            return iter([Parcel([*in_groups(rows, COLLECTION)], alone=False)])
        return (Parcel([[row] for row in group], alone=True) for group in in_groups(rows, MAX_SUBREQUESTS))

    def _send(self, parcel: Parcel) -> tuple[list[UpdateResult | None], ConnectorError | None]:
        """One result a row, in order; None where a collection was refused as a whole, with the reason."""
        try:
            parts = self.transport.retry.run(self._attempt(parcel))
        except TransientError as error:
            return [_unknown(row, error) for row in parcel.rows], error
        results: list[UpdateResult | None] = []
        failure = None
        for chunk, part in zip(parcel.chunks, parts, strict=True):
            read = [_read_single(chunk[0], part)] if parcel.alone else _read_part(chunk, part)
            failure = failure or (part.failure if read[0] is None else None)
            results += read
        return results, failure

    def _attempt(self, parcel: Parcel) -> Callable[[], list[SubAnswer]]:
        body = self._body(parcel)

        def attempt() -> list[SubAnswer]:
            self.fence()
            answer = self.transport.send(
                "POST", self.transport.path("composite"), "collections", content=body, headers=_JSON
            )
            return read_parts(answer.body, len(parcel.chunks))

        return attempt

    def _body(self, parcel: Parcel) -> bytes:
        parts = [
            f'{{"method":"PATCH","url":"{self.transport.path(path)}","httpHeaders":{_HEADERS_JSON},'
            f'"referenceId":"r{i}","body":{content}}}'
            for i, (path, content) in enumerate(map(self._single if parcel.alone else self._collection, parcel.chunks))
        ]
        return f'{{"allOrNone":false,"compositeRequest":[{",".join(parts)}]}}'.encode()

    def _single(self, rows: Sequence[Row]) -> tuple[str, str]:
        return f"sobjects/{self.object_name}/{rows[0].record_id}", fields_of(rows[0].json)

    def _collection(self, rows: Sequence[Row]) -> tuple[str, str]:
        return "composite/sobjects", f'{{"allOrNone":false,"records":[{",".join(row.json for row in rows)}]}}'


@dataclass(frozen=True, slots=True)
class Parcel:
    """The rows of one call, by sub-request. `alone`: each chunk is one row, written as a single record."""

    chunks: Sequence[Sequence[Row]]
    alone: bool

    @property
    def rows(self) -> Sequence[Row]:
        return [row for chunk in self.chunks for row in chunk]


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


def _read_single(row: Row, part: SubAnswer) -> UpdateResult:
    if part.failure is None:
        return UpdateResult(row.record_id, Outcome.OK)
    return _read_result(row, {"errors": part.body})


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
