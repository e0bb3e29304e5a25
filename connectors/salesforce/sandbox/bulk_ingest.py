"""Bulk API 2.0 ingest jobs: CSV in, three result files out."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.bulk_query import DELIMITERS, LINE_ENDINGS, dialect, expired, list_own
from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.ingest_rows import BadBatch, IngestJob, write_rows
from connectors.salesforce.sandbox.multipart import read_parts
from connectors.salesforce.sandbox.records import key_field
from connectors.salesforce.sandbox.rest import visible_type
from connectors.salesforce.sandbox.wire import read_json

OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete"})
LARGEST_UPLOAD = 112_500_000
"""Bytes that become 150 MB in base64."""
_TERMINAL = frozenset({"JobComplete", "Aborted", "Failed"})


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
    if job.polls <= engine.manners.queue_polls:
        return
    if job.polls <= engine.manners.queue_polls + engine.manners.job_polls:
        job.state = "InProgress"
        return
    fault = engine.faults.strike(call.kind, call.address, "job_fails")
    if fault is not None:
        job.state, job.error = "Failed", fault.message
        return
    try:
        write_rows(engine, call, job)
    except BadBatch as bad:
        job.state, job.error = "Failed", str(bad)
        return
    job.state = "JobComplete"


def list_all(engine: Engine, call: Call) -> Reply:
    return list_own(engine, call, IngestJob, lambda job: _shown(job) | {"jobType": "V2Ingest"})


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
