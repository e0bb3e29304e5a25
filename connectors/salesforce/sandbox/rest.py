"""REST reading: versions, resources, limits, describe, query and its pages, getUpdated and getDeleted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any

from connectors.salesforce.sandbox import tooling
from connectors.salesforce.sandbox.automations import SET_UP_QUERY
from connectors.salesforce.sandbox.clock import stamp_instant, stamp_text
from connectors.salesforce.sandbox.engine import NEWEST_VERSION, OLDEST_VERSION, Call, Cursor, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.schema import ObjectType, describe_field
from connectors.salesforce.sandbox.soql_answer import Answer, answer_query

_BATCH = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)


def versions(_engine: Engine, _call: Call) -> Reply:
    numbers = range(OLDEST_VERSION, NEWEST_VERSION + 1)
    return json_reply([{"label": f"v{n}", "url": f"/services/data/v{n}.0", "version": f"{n}.0"} for n in numbers])


def resources(engine: Engine, call: Call) -> Reply:
    root = f"/services/data/v{call.version}"
    names = ("sobjects", "query", "queryAll", "composite", "limits", "tooling", "jobs", "metadata")
    identity = f"{engine.base_url}/id/{engine.org.organization_id}/{call.user}"
    return json_reply({name: f"{root}/{name}" for name in names} | {"identity": identity})


def limits(engine: Engine, _call: Call) -> Reply:
    manners = engine.manners
    jobs = engine.calls["bulk_query.create"]
    maxima = {
        "DailyApiRequests": (manners.daily_limit, manners.daily_limit - engine.api_used),
        "DailyBulkApiBatches": (15_000, 15_000 - engine.calls["bulk_ingest.upload"]),
        "DailyBulkV2QueryJobs": (manners.bulk_query_limit, manners.bulk_query_limit - jobs),
        "DailyBulkV2QueryFileStorageMB": (976_562, 976_562),
        "DataStorageMB": (5_120, 5_000),
        "FileStorageMB": (5_120, 5_000),
    }
    return json_reply({name: {"Max": most, "Remaining": max(0, left)} for name, (most, left) in maxima.items()})


def record_count(engine: Engine, call: Call) -> Reply:
    """Stale on purpose, as the real one is: it may be off by one, and does not know about sharing."""
    wanted = [name for name in call.query.get("sObjects", "").split(",") if name]
    names = wanted or list(engine.org.tables)
    counts = [{"name": name, "count": max(0, engine.org.count(name) - 1)} for name in names]
    return json_reply({"sObjects": counts})


def describe_global(engine: Engine, call: Call) -> Reply:
    view = engine.view(call)
    types = [table.type for table in engine.org.tables.values() if view.type(table.type.name)]
    listed = [_summary(of, call.version) for of in types]
    return _conditional(engine, call, {"encoding": "UTF-8", "maxBatchSize": 200, "sobjects": listed})


def object_info(engine: Engine, call: Call, name: str) -> Reply:
    return json_reply({"objectDescribe": _summary(visible_type(engine, call, name), call.version), "recentItems": []})


def describe(engine: Engine, call: Call, name: str) -> Reply:
    of = visible_type(engine, call, name)
    view = engine.view(call)
    fields = [describe_field(one, editable=view.edits(of, one)) for one in view.fields(of).values()]
    children = [
        {"cascadeDelete": False, "childSObject": one.object, "field": one.field, "relationshipName": one.name}
        for one in of.children.values()
    ]
    return _conditional(
        engine,
        call,
        _summary(of, call.version) | {"fields": fields, "childRelationships": children, "recordTypeInfos": []},
    )


def visible_type(engine: Engine, call: Call, name: str) -> ObjectType:
    of = engine.view(call).type(name)
    if of is None:
        raise not_found()
    return of


def _summary(of: ObjectType, version: str) -> dict[str, Any]:
    root = f"/services/data/v{version}/sobjects/{of.name}"
    return {
        "activateable": False,
        "createable": of.createable,
        "custom": of.name.endswith("__c"),
        "customSetting": False,
        "deletable": of.deletable,
        "deprecatedAndHidden": False,
        "feedEnabled": False,
        "keyPrefix": of.prefix,
        "label": of.label,
        "labelPlural": of.label + "s",
        "layoutable": True,
        "mergeable": "MasterRecordId" in of.fields,
        "name": of.name,
        "queryable": True,
        "replicateable": True,
        "retrieveable": True,
        "searchable": True,
        "triggerable": True,
        "undeletable": "IsDeleted" in of.fields,
        "updateable": of.updateable,
        "urls": {"sobject": root, "describe": f"{root}/describe", "rowTemplate": root + "/{ID}"},
    }


def _conditional(engine: Engine, call: Call, body: Mapping[str, Any]) -> Reply:
    changed = engine.org.schema_changed.replace(microsecond=0)
    since = call.headers.get("if-modified-since")
    stamp = format_datetime(changed.astimezone(UTC), usegmt=True)
    if since and _http_instant(since) >= changed:
        return Reply(304, headers={"Last-Modified": stamp})
    return json_reply(body, 200, **{"Last-Modified": stamp})


def _http_instant(text: str) -> datetime:
    try:
        return parsedate_to_datetime(text).astimezone(UTC)
    except (ValueError, OverflowError):
        return datetime.min.replace(tzinfo=UTC)


def query(engine: Engine, call: Call) -> Reply:
    """`/query`; `/queryAll` shows deleted records as well."""
    text = call.query.get("q", "")
    deleted = call.path.rstrip("/").lower().endswith("queryall")
    if SET_UP_QUERY.search(text):
        return tooling.query(engine, call)
    answer = answer_query(engine.view(call), text, call.version, deleted=deleted)
    slow = engine.manners.slow_query_rows
    if slow is not None and answer.total > slow and not answer.count_only:
        raise ApiError("QUERY_TIMEOUT", "Your query request was running for too long.")
    if call.query.get("columns") == "true":
        return json_reply(_column_metadata(answer))
    if answer.count_only:
        return json_reply({"totalSize": answer.total, "done": True, "records": []})
    if answer.records is not None:
        return _envelope(answer.total, answer.records, "")
    cursor = Cursor(
        user=call.user,
        table=answer.scope.table.type.name,
        ids=[row[0] for row in answer.rows],
        total=answer.total,
        json_record=answer.json_record,
        opened=engine.org.clock.now(),
        page=page_size(engine, call),
        soql=text,
        version=call.version,
        deleted=deleted,
    )
    return _page(engine, call, "", cursor, 0)


def query_more(engine: Engine, call: Call, locator: str) -> Reply:
    cursor_id, _, offset = locator.partition("-")
    cursor = engine.cursors.get(cursor_id)
    gone = cursor is None or cursor.user != call.user or not offset.isdigit()
    if cursor is None or gone or _expired(engine, cursor) or int(offset) >= cursor.total:
        raise ApiError("INVALID_QUERY_LOCATOR", "invalid query locator")
    return _page(engine, call, cursor_id, cursor, int(offset))


def _expired(engine: Engine, cursor: Cursor) -> bool:
    return engine.org.clock.now() - cursor.opened > timedelta(seconds=engine.manners.cursor_seconds)


def page_size(engine: Engine, call: Call) -> int:
    hint = _BATCH.search(call.headers.get("sforce-query-options", ""))
    wanted = max(200, min(2000, int(hint[1]))) if hint else engine.manners.page_size
    return max(1, min(wanted, engine.manners.largest_page))


def _page(engine: Engine, call: Call, cursor_id: str, cursor: Cursor, offset: int) -> Reply:
    end = offset + cursor.page
    repeat = engine.faults.strike(call.kind, call.address, "repeat") if offset else None
    start = max(0, offset - (repeat.rows or 1)) if repeat else offset
    rows = engine.org.tables[cursor.table].rows
    records = [cursor.json_record(rows[one]) for one in cursor.ids[start:end] if one in rows]
    lost = engine.faults.strike(call.kind, call.address, "lose")
    if lost:
        records = records[: -(lost.rows or 1)]
    if end >= cursor.total:
        return _envelope(cursor.total, records, "")
    cursor_id = cursor_id or engine.new_id("0r8")
    engine.cursors[cursor_id] = cursor
    return _envelope(cursor.total, records, f"/services/data/v{call.version}/query/{cursor_id}-{end}")


def _envelope(total: int, records: list[str], next_url: str) -> Reply:
    more = f',"nextRecordsUrl":"{next_url}"' if next_url else ""
    done = "false" if next_url else "true"
    return Reply(body=f'{{"totalSize":{total},"done":{done}{more},"records":[{",".join(records)}]}}'.encode())


def _column_metadata(answer: Answer) -> dict[str, Any]:
    """What the command line asks for after a query, to lay out its table."""
    of = answer.scope.table.type
    columns: list[dict[str, Any]] = [
        {
            "aggregate": False,
            "apexType": "String",
            "booleanType": False,
            "columnName": name,
            "custom": name.endswith("__c"),
            "displayName": name.rsplit(".", 1)[-1],
            "foreignKeyName": None,
            "insertable": True,
            "joinColumns": [],
            "numberType": False,
            "textType": True,
            "updatable": True,
        }
        for name in answer.columns
    ]
    return {
        "columnMetadata": columns,
        "entityName": of.name,
        "groupBy": False,
        "idSelected": True,
        "keyPrefix": of.prefix,
    }


def updated(engine: Engine, call: Call, name: str) -> Reply:
    """Ids changed in a window of at most 30 days back; `latestDateCovered` is the start for the next call."""
    of = visible_type(engine, call, name)
    start, end = _window(engine, call, days=30)
    table, slot, view = engine.org.tables[of.name], of.slot("SystemModstamp"), engine.view(call)
    ids = [row[0] for row in table.live() if start <= row[slot] < end and view.sees_row(row)]
    return json_reply({"ids": ids, "latestDateCovered": _covered(engine, end)})


def deleted(engine: Engine, call: Call, name: str) -> Reply:
    """Ids deleted, purged and merged away in a window of at most 15 days back."""
    of = visible_type(engine, call, name)
    start, end = _window(engine, call, days=15)
    hidden = engine.org.access.hidden_records
    found = [
        {"id": record_id, "deletedDate": gone.stamp}
        for record_id, gone in engine.org.deletions.items()
        if gone.object == of.name
        and start <= gone.stamp < end
        and not {("", record_id), (call.user, record_id)} & hidden
    ]
    earliest = stamp_text(engine.org.clock.now() - timedelta(days=15))
    return json_reply(
        {"deletedRecords": found, "earliestDateAvailable": earliest, "latestDateCovered": _covered(engine, end)}
    )


def _window(engine: Engine, call: Call, *, days: int) -> tuple[str, str]:
    try:
        start, end = (
            datetime.fromisoformat(call.query[name]).replace(second=0, microsecond=0) for name in ("start", "end")
        )
        start, end = start.astimezone(UTC), end.astimezone(UTC)
    except (KeyError, ValueError, OverflowError):
        raise ApiError("INVALID_REPLICATION_DATE", "start and end must be dates with time and offset") from None
    if end - start < timedelta(minutes=1):
        raise ApiError("INVALID_REPLICATION_DATE", "endDate must be at least one minute greater than startDate")
    if start < engine.org.clock.now() - timedelta(days=days):
        raise ApiError(
            "INVALID_REPLICATION_DATE", f"startDate before org replication enablement date or {days} days ago"
        )
    return stamp_text(start), stamp_text(end)


def _to_minute(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC).replace(second=0, microsecond=0)


def _covered(engine: Engine, end: str) -> str:
    """Not beyond now, nor beyond the start of the oldest transaction that is still open."""
    limits_ = [end, engine.org.clock.stamp(), *(held.stamp for held in engine.org.open_commits)]
    return stamp_text(stamp_instant(min(limits_)).replace(second=0))
