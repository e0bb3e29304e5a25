"""The work of an ingest job: read its CSV, write each row on its own, keep what became of it."""

from __future__ import annotations

import csv
import io
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from connectors.salesforce.sandbox.bulk_query import DELIMITERS
from connectors.salesforce.sandbox.engine import Call, Engine
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.locks import locked, parent_of
from connectors.salesforce.sandbox.records import Written, delete_row, insert_row, update_row, upsert_row
from connectors.salesforce.sandbox.schema import Field, ObjectType
from connectors.salesforce.sandbox.write import record_id

TRANSACTION_ROWS = 200


@dataclass(slots=True)
class RowResult:
    id: str
    cells: list[str]
    created: bool = False
    error: str = ""


@dataclass(slots=True)
class IngestJob:
    id: str
    user: str
    version: str
    object: str
    operation: str
    key: str
    delimiter: str
    line_ending: str
    created: datetime
    state: str = "Open"
    polls: int = 0
    error: str = ""
    content: bytes | None = None
    header: list[str] = field(default_factory=list)
    results: list[RowResult] = field(default_factory=list)


class BadBatch(Exception):  # noqa: N818 - an answer to the caller
    """The file as a whole cannot be read; no row was tried."""


def write_rows(engine: Engine, call: Call, job: IngestJob) -> None:
    """BadBatch when the file as a whole is unreadable; a refused row is a result."""
    of = engine.org.tables[job.object].type
    job.header, lines = _read_csv(job)
    columns = [_column(engine, call, of, name) for name in job.header]
    held: dict[str, int] = {}
    job.results = []
    for number, cells in enumerate(lines):
        if number % TRANSACTION_ROWS == 0:
            call.children.clear()
        batch = number // engine.manners.batch_rows
        job.results.append(_write_line(engine, call, job, of, columns, cells, partial(_check_batch, held, batch)))
    if engine.manners.shuffle_results:
        # Seeded by the job's own id, so that a failing test can be run again.
        random.Random(job.id).shuffle(job.results)  # noqa: S311 - not a secret


def _read_csv(job: IngestJob) -> tuple[list[str], list[list[str]]]:
    try:
        text = (job.content or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise BadBatch("InvalidBatch : the file is not valid UTF-8") from None
    first_line = text.split("\n", 1)[0]
    if first_line.endswith("\r") != (job.line_ending == "CRLF"):
        raise BadBatch(
            f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {job.line_ending}"
        )
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter], strict=True)
        lines = [cells for cells in reader if cells]
    except csv.Error as error:
        raise BadBatch(f"InvalidBatch : {error}") from None
    header = lines[0] if lines else []
    if any(len(cells) != len(header) for cells in lines):
        raise BadBatch("InvalidBatch : a row does not have as many columns as the header")
    return header, lines[1:]


@dataclass(frozen=True, slots=True)
class _Column:
    """`key`: the external id of the parent that the cell names, for a header like `Account.Key__c`."""

    field: Field
    key: Field | None = None
    parent: ObjectType | None = None


def _column(engine: Engine, call: Call, of: ObjectType, name: str) -> _Column:
    view = engine.view(call)
    relationship, dot, key_name = name.partition(".")
    if not dot:
        found = view.find(of, name)
        if found is None:
            raise BadBatch(f"InvalidBatch : Field name not found : {name}")
        return _Column(found)
    reference = of.parent(relationship)
    parent = view.type(reference.refers_to[0]) if reference else None
    key = view.find(parent, key_name) if parent else None
    if reference is None or key is None or not key.id_lookup:
        raise BadBatch(f"InvalidBatch : Field name not found : {name}")
    return _Column(reference, key, parent)


def _write_line(
    engine: Engine,
    call: Call,
    job: IngestJob,
    of: ObjectType,
    columns: list[_Column],
    cells: list[str],
    check_batch: Callable[[str], None],
) -> RowResult:
    target = cells[job.header.index("Id")] if "Id" in job.header else ""
    try:
        values = _read_cells(engine, columns, cells)
        if engine.manners.lock_siblings:
            check_batch(parent_of(engine, of, str(values.get("Id", "")), values))
        written = _write(engine, call, job, of, values)
    except ApiError as error:
        return RowResult(target, cells, error=_error_text(error))
    return RowResult(written.id, cells, written.created)


def _check_batch(held: dict[str, int], batch: int, parent: str) -> None:
    """Batches run in parallel: the first one that touches a parent holds it against the others."""
    if parent and held.setdefault(parent, batch) != batch:
        raise locked(parent)


def _read_cells(engine: Engine, columns: list[_Column], cells: list[str]) -> dict[str, Any]:
    """An empty cell leaves its field alone, `#N/A` clears it."""
    values: dict[str, Any] = {}
    for column, cell in zip(columns, cells, strict=True):
        if cell == "":
            continue
        values[column.field.name] = None if cell == "#N/A" else _cell(engine, column, cell)
    return values


def _cell(engine: Engine, column: _Column, cell: str) -> Any:
    if column.key is None or column.parent is None:
        return cell
    table = engine.org.tables[column.parent.name]
    matches = [row for row in table.matching(column.key.name, cell) if table.alive(row)]
    if len(matches) != 1:
        message = (
            f"Foreign key external ID: {cell} not found for field {column.key.name} in entity {column.parent.name}"
        )
        raise ApiError("INVALID_FIELD", message)
    return matches[0][0]


def _write(engine: Engine, call: Call, job: IngestJob, of: ObjectType, values: dict[str, Any]) -> Written:
    if job.operation == "insert":
        return insert_row(engine, call, of, values)
    if job.operation == "upsert" and job.key != "Id":
        value = values.pop(job.key, None)
        if value is None:
            raise ApiError("MISSING_ARGUMENT", f"{job.key} not specified", fields=(job.key,))
        return upsert_row(engine, call, of, of.fields[job.key], value, values)
    target = values.pop("Id", None)
    if not target:
        raise ApiError("MISSING_ARGUMENT", f"Id not specified in an {job.operation} call")
    if job.operation in {"update", "upsert"}:
        return update_row(engine, call, of, target, values)
    written = delete_row(engine, call, of, target)
    if job.operation == "hardDelete":
        engine.org.purge(of.name, record_id(target))
    return written


def _error_text(error: ApiError) -> str:
    code, message = error.code, error.message
    if code == "JSON_PARSER_ERROR":
        code, message = "INVALID_TYPE_ON_FIELD_IN_RECORD", "value not of required type"
    return f"{code}:{message}:{' '.join(error.fields)} --"
