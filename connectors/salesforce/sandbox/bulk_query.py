"""Bulk API 2.0 query jobs. A finished job holds the rows it found: its pages are stable and can be read again."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.schema import Row
from connectors.salesforce.sandbox.soql_answer import prepare_bulk
from connectors.salesforce.sandbox.soql_evaluate import select_rows
from connectors.salesforce.sandbox.soql_scope import Scope
from connectors.salesforce.sandbox.wire import read_json

DELIMITERS = {"BACKQUOTE": "`", "CARET": "^", "COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t"}
LINE_ENDINGS = {"LF": "\n", "CRLF": "\r\n"}
_TERMINAL = frozenset({"JobComplete", "Aborted", "Failed"})


class AnyJob(Protocol):
    user: str
    created: datetime


Job = TypeVar("Job", bound=AnyJob)


@dataclass(slots=True)
class QueryJob:
    id: str
    user: str
    version: str
    operation: str
    soql: str
    scope: Scope
    created: datetime
    columns: tuple[str, ...]
    cells: Callable[[Row], list[str]]
    delimiter: str
    line_ending: str
    state: str = "UploadComplete"
    polls: int = 0
    error: str = ""
    rows: list[Row] = field(default_factory=list)


def create(engine: Engine, call: Call) -> Reply:
    body = read_json(call)
    operation = body.get("operation")
    if operation not in {"query", "queryAll"} or not isinstance(body.get("query"), str):
        raise ApiError("API_ERROR", "operation (query or queryAll) and query are required")
    if engine.calls["bulk_query.create"] > engine.manners.bulk_query_limit:
        raise ApiError("EXCEEDED_MAX_JOBS", "the daily limit of query jobs is reached", status=403)
    delimiter, line_ending = dialect(body)
    view = engine.view(call)
    scope, plan = prepare_bulk(view, body["query"], call.version, deleted=operation == "queryAll")
    job = QueryJob(
        id=engine.new_id("750"),
        user=call.user,
        version=call.version,
        operation=operation,
        soql=body["query"],
        scope=scope,
        created=engine.org.clock.now(),
        columns=plan.columns,
        cells=plan.csv_cells,
        delimiter=delimiter,
        line_ending=line_ending,
    )
    engine.jobs[job.id] = job
    return json_reply(_shown(job))


def dialect(body: dict[str, Any]) -> tuple[str, str]:
    """Names of the column delimiter and of the line ending a job asks for."""
    delimiter, line_ending = body.get("columnDelimiter") or "COMMA", body.get("lineEnding") or "LF"
    # Lists, because what was asked for may be anything, also what no set can look for.
    if (
        body.get("contentType", "CSV") not in ["CSV", None]
        or delimiter not in list(DELIMITERS)
        or line_ending not in list(LINE_ENDINGS)
    ):
        raise ApiError("API_ERROR", "contentType, columnDelimiter or lineEnding is not supported")
    return delimiter, line_ending


def _shown(job: QueryJob) -> dict[str, Any]:
    stamp = stamp_text(job.created)
    return {
        "id": job.id,
        "operation": job.operation,
        "object": job.scope.table.type.name,
        "createdById": job.user,
        "createdDate": stamp,
        "systemModstamp": stamp,
        "state": job.state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version),
        "lineEnding": job.line_ending,
        "columnDelimiter": job.delimiter,
    }


def find(engine: Engine, call: Call, job_id: str) -> QueryJob:
    """The caller's own job; another user's, or one past its keeping time, does not exist."""
    job = engine.jobs.get(job_id)
    if not isinstance(job, QueryJob) or job.user != call.user or expired(engine, job.created):
        raise not_found()
    if job.version != call.version:
        raise ApiError("API_ERROR", f"the job was created with version {job.version}", status=409)
    return job


def expired(engine: Engine, created: datetime) -> bool:
    return engine.org.clock.now() - created > timedelta(seconds=engine.manners.job_seconds)


def poll(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    _advance(engine, call, job)
    return json_reply(_details(job))


def _details(job: QueryJob) -> dict[str, Any]:
    details = {
        "jobType": "V2Query",
        "numberRecordsProcessed": len(job.rows),
        "retries": 0,
        "totalProcessingTime": 100 * job.polls,
        "isPkChunkingSupported": not job.scope.query.order and job.scope.query.limit is None,
    }
    return _shown(job) | details | ({"errorMessage": job.error} if job.error else {})


def _advance(engine: Engine, call: Call, job: QueryJob) -> None:
    """Each status call moves the job on; the work itself is done in the step that completes it."""
    if job.state in _TERMINAL:
        return
    job.polls += 1
    if job.polls <= engine.manners.queue_polls:
        return
    if job.polls <= engine.manners.queue_polls + engine.manners.job_polls:
        job.state = "InProgress"
        return
    fault = engine.faults.strike(call.kind, call.address, "job_fails")
    if fault is not None:
        job.state, job.error = "Failed", fault.message
        return
    job.rows = select_rows(job.scope)
    job.state = "JobComplete"


def list_all(engine: Engine, call: Call) -> Reply:
    return list_own(engine, call, QueryJob, lambda job: _shown(job) | {"jobType": "V2Query"})


def list_own(engine: Engine, call: Call, kind: type[Job], show: Callable[[Job], dict[str, Any]]) -> Reply:
    """The caller's jobs of one kind that are still kept."""
    own = [job for job in engine.jobs.values() if isinstance(job, kind) and job.user == call.user]
    shown = [show(job) for job in own if not expired(engine, job.created)]
    return json_reply({"done": True, "nextRecordsUrl": None, "records": shown})


def results(engine: Engine, call: Call, job_id: str) -> Reply:
    """One page of CSV; the header `Sforce-Locator` is the text `null` on the last."""
    job = find(engine, call, job_id)
    _check_complete(engine, job)
    start = _offset(job, call.query.get("locator", ""))
    asked = call.query.get("maxRecords", "")
    if asked and not (asked.isdigit() and int(asked)):
        raise ApiError("API_ERROR", "maxRecords must be a positive number")
    size = min(int(asked or engine.manners.bulk_page_rows), engine.manners.bulk_page_rows)
    rows = job.rows[start : start + size]
    end = start + len(rows)
    headers = {
        "Sforce-NumberOfRecords": str(len(rows)),
        "Sforce-Locator": _locator(end) if end < len(job.rows) else "null",
    }
    return Reply(200, _csv(job, rows).encode(), "text/csv", headers)


def _check_complete(engine: Engine, job: QueryJob) -> None:
    if job.state != "JobComplete":
        status = engine.manners.early_results_status
        raise ApiError("JOB_NOT_COMPLETE", f"The job is in state {job.state}", status=status)


def _csv(job: QueryJob, rows: list[Row]) -> str:
    delimiter, ending = DELIMITERS[job.delimiter], LINE_ENDINGS[job.line_ending]
    lines = [delimiter.join(f'"{name}"' for name in job.columns)]
    lines += [delimiter.join(job.cells(row)) for row in rows]
    return ending.join(lines) + ending


def _locator(offset: int) -> str:
    return base64.urlsafe_b64encode(f"page:{offset}".encode()).decode().rstrip("=")


def _offset(job: QueryJob, locator: str) -> int:
    if not locator:
        return 0
    try:
        text = base64.urlsafe_b64decode(locator + "=" * (-len(locator) % 4)).decode()
        offset = int(text.removeprefix("page:"))
    except (ValueError, binascii.Error):
        offset = -1
    if not 0 < offset < len(job.rows):
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    return offset


def result_pages(engine: Engine, call: Call, job_id: str) -> Reply:
    """Up to five links for parallel download."""
    job = find(engine, call, job_id)
    _check_complete(engine, job)
    root, size = f"/services/data/v{call.version}/jobs/query/{job.id}", engine.manners.bulk_page_rows
    start = _offset(job, call.query.get("locator", ""))
    offsets = list(range(start, max(len(job.rows), 1), size))
    links = [
        {"resultUrl": f"{root}/results" + (f"?locator={_locator(offset)}" if offset else "")} for offset in offsets[:5]
    ]
    rest = offsets[5:]
    more = f"{root}/resultPages?locator={_locator(rest[0])}" if rest else None
    return json_reply({"resultPages": links, engine.manners.result_pages_key: more, "done": not rest})


def abort(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    if read_json(call).get("state") != "Aborted":
        raise ApiError("API_ERROR", "only the state Aborted can be set")
    if job.state in _TERMINAL:
        raise ApiError("API_ERROR", f"Aborting a job in state {job.state} is not allowed")
    job.state = "Aborted"
    return json_reply(_shown(job))


def delete(engine: Engine, call: Call, job_id: str) -> Reply:
    job = find(engine, call, job_id)
    if job.state not in _TERMINAL:
        raise ApiError("API_ERROR", "Error encountered when deleting the job because the job is not terminated")
    del engine.jobs[job.id]
    return Reply(204)
