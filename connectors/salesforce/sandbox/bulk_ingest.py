"""Bulk API 2.0 ingest jobs: CSV in, each row written on its own, three result files out."""

from __future__ import annotations

import csv
import io
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from email import message_from_bytes
from typing import Any

from connectors.salesforce.sandbox.bulk_query import DELIMITERS, LINE_ENDINGS, dialect, expired
from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.records import (
    Written,
    delete_row,
    insert_row,
    key_field,
    update_row,
    upsert_row,
)
from connectors.salesforce.sandbox.rest import visible_type
from connectors.salesforce.sandbox.schema import Field, ObjectType
from connectors.salesforce.sandbox.wire import read_json
from connectors.salesforce.sandbox.write import record_id

OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete"})
LARGEST_UPLOAD = 112_500_000
"""Bytes that become 150 MB in base64."""
_TERMINAL = frozenset({"JobComplete", "Aborted", "Failed"})


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


def create(engine: Engine, call: Call) -> Reply:
    content = None
    if call.headers.get("content-type", "").startswith("multipart/"):
        body, content = _read_multipart(call)
    else:
        body = read_json(call)
    operation = body.get("operation")
    if operation not in OPERATIONS:
        raise ApiError("API_ERROR", f"operation must be one of {', '.join(sorted(OPERATIONS))}")
    of = visible_type(engine, call, str(body.get("object")))
    if not of.bulk:
        raise ApiError("INVALIDENTITY", f"Entity '{of.name}' is not supported by the Bulk API.")
    key = str(body.get("externalIdFieldName") or "") if operation == "upsert" else ""
    if operation == "upsert":
        key = key_field(engine, call, of, key).name
    delimiter, line_ending = dialect(body)
    job = IngestJob(
        id=engine.new_id("750"),
        user=call.user,
        version=call.version,
        object=of.name,
        operation=operation,
        key=key,
        delimiter=delimiter,
        line_ending=line_ending,
        created=engine.org.clock.now(),
        content=content,
        state="Open" if content is None else "UploadComplete",
    )
    engine.jobs[job.id] = job
    return json_reply(_shown(job))


def _read_multipart(call: Call) -> tuple[dict[str, Any], bytes]:
    parts = read_parts(call)
    try:
        body = json.loads(parts["job"], parse_float=Decimal)
        return dict(body), parts["content"]
    except (KeyError, ValueError):
        raise ApiError("API_ERROR", "a multipart job needs the parts job (JSON) and content (CSV)") from None


def read_parts(call: Call) -> dict[str, bytes]:
    """The parts of a multipart/form-data body by their names."""
    head = f"Content-Type: {call.headers['content-type']}\r\n\r\n".encode()
    parts: dict[str, bytes] = {}
    for part in message_from_bytes(head + call.body).walk():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(payload, bytes):
            parts[name] = payload
    return parts


def _shown(job: IngestJob) -> dict[str, Any]:
    stamp = stamp_text(job.created)
    shown = {
        "id": job.id,
        "operation": job.operation,
        "object": job.object,
        "createdById": job.user,
        "createdDate": stamp,
        "systemModstamp": stamp,
        "state": job.state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version),
        "contentUrl": f"services/data/v{job.version}/jobs/ingest/{job.id}/batches",
        "lineEnding": job.line_ending,
        "columnDelimiter": job.delimiter,
    }
    return shown | ({"externalIdFieldName": job.key} if job.key else {})


def find(engine: Engine, call: Call, job_id: str) -> IngestJob:
    job = engine.jobs.get(job_id)
    if not isinstance(job, IngestJob) or job.user != call.user or expired(engine, job.created):
        raise not_found()
    return job


def upload(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    if job.state != "Open" or job.content is not None:
        raise ApiError("API_ERROR", "one upload per job, and only while it is Open")
    if not call.headers.get("content-type", "").startswith("text/csv"):
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", "Content-Type must be text/csv", status=415)
    if len(call.body) > LARGEST_UPLOAD:
        raise ApiError("API_ERROR", "the upload exceeds 150 MB in base64", status=413)
    job.content = call.body
    return Reply(201)


def change_state(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    wanted = read_json(call).get("state")
    allowed = {"UploadComplete": {"Open"}, "Aborted": {"Open", "UploadComplete", "InProgress"}}
    if job.state not in allowed.get(str(wanted), set()):
        raise ApiError("INVALID_JOB_STATE", f"a job in state {job.state} cannot become {wanted}")
    if wanted == "UploadComplete" and job.content is None:
        raise ApiError("INVALID_JOB_STATE", "nothing has been uploaded to this job")
    job.state = str(wanted)
    return json_reply(_shown(job))


def poll(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    _advance(engine, call, job)
    failed = sum(1 for result in job.results if result.error)
    details = {
        "jobType": "V2Ingest",
        "numberRecordsProcessed": len(job.results),
        "numberRecordsFailed": failed,
        "retries": 0,
        "totalProcessingTime": 100 * job.polls,
        "apiActiveProcessingTime": 50 * job.polls,
        "apexProcessingTime": 0,
    }
    return json_reply(_shown(job) | details | ({"errorMessage": job.error} if job.error else {}))


def _advance(engine: Engine, call: Call, job: IngestJob) -> None:
    if job.state not in {"UploadComplete", "InProgress"}:
        return
    job.polls += 1
    if job.polls <= engine.manners.job_polls:
        job.state = "InProgress"
        return
    fault = engine.faults.strike(call.kind, call.address, "job_fails")
    if fault is not None:
        job.state, job.error = "Failed", fault.message
        return
    try:
        _work(engine, call, job)
    except _BadBatch as bad:
        job.state, job.error = "Failed", str(bad)
        return
    job.state = "JobComplete"


class _BadBatch(Exception):  # noqa: N818
    """The file as a whole cannot be read; no row was tried."""


def _work(engine: Engine, call: Call, job: IngestJob) -> None:
    of = engine.org.tables[job.object].type
    job.header, lines = _read_csv(job)
    columns = [_column(engine, call, of, name) for name in job.header]
    locked: set[str] = set()
    job.results = [_write_line(engine, call, job, of, columns, cells, locked) for cells in lines]
    if engine.manners.shuffle_results:
        # Seeded by the job's own id, so that a failing test can be run again.
        random.Random(job.id).shuffle(job.results)  # noqa: S311


def _read_csv(job: IngestJob) -> tuple[list[str], list[list[str]]]:
    try:
        text = (job.content or b"").decode("utf-8")
    except UnicodeDecodeError:
        raise _BadBatch("InvalidBatch : the file is not valid UTF-8") from None
    first_line = text.split("\n", 1)[0]
    if first_line.endswith("\r") != (job.line_ending == "CRLF"):
        raise _BadBatch(
            f"ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is {job.line_ending}"
        )
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=DELIMITERS[job.delimiter], strict=True)
        lines = [cells for cells in reader if cells]
    except csv.Error as error:
        raise _BadBatch(f"InvalidBatch : {error}") from None
    header = lines[0] if lines else []
    if any(len(cells) != len(header) for cells in lines):
        raise _BadBatch("InvalidBatch : a row does not have as many columns as the header")
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
            raise _BadBatch(f"InvalidBatch : Field name not found : {name}")
        return _Column(found)
    reference = of.parent(relationship)
    parent = view.type(reference.refers_to[0]) if reference else None
    key = view.find(parent, key_name) if parent else None
    if reference is None or key is None or not key.id_lookup:
        raise _BadBatch(f"InvalidBatch : Field name not found : {name}")
    return _Column(reference, key, parent)


def _write_line(
    engine: Engine,
    call: Call,
    job: IngestJob,
    of: ObjectType,
    columns: list[_Column],
    cells: list[str],
    locked: set[str],
) -> RowResult:
    target = cells[job.header.index("Id")] if "Id" in job.header else ""
    try:
        values = _read_cells(engine, columns, cells)
        if engine.manners.lock_siblings:
            _check_lock(engine, of, values, locked)
        written = _write(engine, call, job, of, values)
    except ApiError as error:
        return RowResult(target, cells, error=_error_text(error))
    return RowResult(written.id, cells, written.created)


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


def _check_lock(engine: Engine, of: ObjectType, values: Mapping[str, Any], locked: set[str]) -> None:
    name = {"Opportunity": "AccountId", "Contact": "AccountId", "Account": "ParentId"}.get(of.name, "")
    row = engine.org.tables[of.name].rows.get(str(values.get("Id", "")))
    parent = values.get(name) or (row[of.slot(name)] if row is not None and name else None)
    if parent in locked:
        raise ApiError("UNABLE_TO_LOCK_ROW", f"unable to obtain exclusive access to this record or 1 records: {parent}")
    if parent:
        locked.add(parent)


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


def list_all(engine: Engine, call: Call) -> Reply:
    own = [job for job in engine.jobs.values() if isinstance(job, IngestJob) and job.user == call.user]
    shown = [_shown(job) | {"jobType": "V2Ingest"} for job in own if not expired(engine, job.created)]
    return json_reply({"done": True, "nextRecordsUrl": None, "records": shown})


def delete(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    if job.state not in _TERMINAL | {"UploadComplete"}:
        raise ApiError("API_ERROR", "Error encountered when deleting the job because the job is not terminated")
    del engine.jobs[job.id]
    return Reply(204)


def successful_results(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    done = [[one.id, "true" if one.created else "false", *one.cells] for one in job.results if not one.error]
    return _csv_reply(job, ["sf__Id", "sf__Created"], done)


def failed_results(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    return _csv_reply(
        job, ["sf__Id", "sf__Error"], [[one.id, one.error, *one.cells] for one in job.results if one.error]
    )


def unprocessed_records(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    untouched = job.state in {"Aborted", "Failed"} and not job.results
    return Reply(200, (job.content or b"") if untouched else b"", "text/csv")


def _csv_reply(job: IngestJob, extra: list[str], rows: list[list[str]]) -> Reply:
    ending, delimiter = LINE_ENDINGS[job.line_ending], DELIMITERS[job.delimiter]
    out = io.StringIO(newline="")
    out.write(delimiter.join([f'"{name}"' for name in extra] + job.header) + ending)
    csv.writer(out, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL).writerows(rows)
    return Reply(200, out.getvalue().encode(), "text/csv")
