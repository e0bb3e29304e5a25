"""What the server knows beside the records, as JSON and back: logins, open queries, bulk jobs.

An entry has a key like `job:750...`. Its mark says cheaply whether it is still the one that was written down last.
Queries are kept as their text and resolved again; one that the org would not accept any more is dropped. Not kept:
requests counted, faults, manners, running deployments, and whom outbound messages go to.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any

from connectors.salesforce.sandbox.bulk_query import QueryJob
from connectors.salesforce.sandbox.engine import Cursor, Engine, Token
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.ingest_rows import IngestJob, RowResult
from connectors.salesforce.sandbox.schema import NUMERIC, ObjectType, Row
from connectors.salesforce.sandbox.soql_answer import answer_query, prepare_bulk

Entries = Mapping[str, Any]


def marks(engine: Engine) -> dict[str, Hashable]:
    """Key -> mark of everything there is to remember."""
    return {key: mark for key, mark, _ in _things(engine)}


def remember(engine: Engine, keys: Mapping[str, Hashable] | None = None) -> dict[str, Any]:
    """Key -> JSON of everything, or of these."""
    return {key: write() for key, _, write in _things(engine) if keys is None or key in keys}


Thing = tuple[str, Hashable, Callable[[], Any]]


def _things(engine: Engine) -> Iterator[Thing]:
    yield "serial", engine.serial, partial(int, engine.serial)
    for name, stored in (("client", engine.clients), ("refresh", engine.refresh_tokens)):
        for key, value in stored.items():
            yield f"{name}:{key}", value, partial(str, value)
    for key, public in engine.public_keys.items():
        yield f"key:{key}", public, public.decode
    for user in engine.unapproved:
        yield f"unapproved:{user}", True, partial(bool, True)
    for key, token in engine.tokens.items():
        yield f"token:{key}", token.user, partial(_write_token, token)
    for key, cursor in engine.cursors.items():
        yield f"cursor:{key}", None, partial(_write_cursor, cursor)
    for key, job in engine.jobs.items():
        yield f"job:{key}", _mark_job(job), partial(_write_job, job)


def _mark_job(job: QueryJob | IngestJob) -> Hashable:
    return job.state, job.polls, isinstance(job, IngestJob) and job.content is not None


def recall(engine: Engine, entries: Entries) -> None:
    """Make the server know what `entries` say."""
    for key, value in entries.items():
        kind, _, name = key.partition(":")
        with suppress(ApiError):
            _READERS[kind](engine, name, value)


def _read_serial(engine: Engine, _name: str, value: int) -> None:
    engine.serial = max(engine.serial, value)


def _read_key(engine: Engine, name: str, value: str) -> None:
    engine.public_keys[name] = value.encode()


def _write_token(token: Token) -> list[str]:
    return [token.user, token.issued.isoformat()]


def _read_token(engine: Engine, name: str, value: list[str]) -> None:
    engine.tokens[name] = Token(value[0], datetime.fromisoformat(value[1]))


def _write_cursor(cursor: Cursor) -> dict[str, Any]:
    kept = {name: getattr(cursor, name) for name in ("user", "ids", "page", "soql", "version", "deleted")}
    return kept | {"opened": cursor.opened.isoformat()}


def _read_cursor(engine: Engine, name: str, value: Mapping[str, Any]) -> None:
    view, version = engine.org.view(value["user"]), value["version"]
    answer = answer_query(view, value["soql"], version, deleted=value["deleted"])
    engine.cursors[name] = Cursor(
        user=value["user"],
        table=answer.scope.table.type.name,
        ids=value["ids"],
        total=len(value["ids"]),
        json_record=answer.json_record,
        opened=datetime.fromisoformat(value["opened"]),
        page=value["page"],
        soql=value["soql"],
        version=version,
        deleted=value["deleted"],
    )


_PLAIN_QUERY = ("id", "user", "version", "operation", "soql", "delimiter", "line_ending", "state", "polls", "error")


def _write_query_job(job: QueryJob) -> dict[str, Any]:
    kept = {name: getattr(job, name) for name in _PLAIN_QUERY}
    return kept | {"kind": "query", "created": job.created.isoformat(), "rows": job.rows}


def _read_query_job(engine: Engine, value: dict[str, Any]) -> QueryJob:
    kept = {name: value[name] for name in _PLAIN_QUERY}
    view, deleted = engine.org.view(value["user"]), value["operation"] == "queryAll"
    scope, plan = prepare_bulk(view, value["soql"], value["version"], deleted=deleted)
    rows = [read_row(row, scope.table.type) for row in value["rows"]]
    created = datetime.fromisoformat(value["created"])
    return QueryJob(**kept, scope=scope, created=created, columns=plan.columns, cells=plan.csv_cells, rows=rows)


def _write_ingest_job(job: IngestJob) -> dict[str, Any]:
    content = None if job.content is None else b64encode(job.content).decode()
    return asdict(job) | {"kind": "ingest", "created": job.created.isoformat(), "content": content}


def _read_ingest_job(value: dict[str, Any]) -> IngestJob:
    created = datetime.fromisoformat(value.pop("created"))
    content = None if value["content"] is None else b64decode(value["content"])
    results = [RowResult(**result) for result in value["results"]]
    return IngestJob(**value | {"created": created, "content": content, "results": results})


def _write_job(job: QueryJob | IngestJob) -> dict[str, Any]:
    return _write_query_job(job) if isinstance(job, QueryJob) else _write_ingest_job(job)


def _read_job(engine: Engine, name: str, value: Mapping[str, Any]) -> None:
    kept = dict(value)
    kind = kept.pop("kind")
    engine.jobs[name] = _read_query_job(engine, kept) if kind == "query" else _read_ingest_job(kept)


_READERS: Mapping[str, Callable[[Engine, str, Any], None]] = {
    "serial": _read_serial,
    "client": lambda engine, name, value: engine.clients.__setitem__(name, value),
    "refresh": lambda engine, name, value: engine.refresh_tokens.__setitem__(name, value),
    "key": _read_key,
    "unapproved": lambda engine, name, _: engine.unapproved.add(name),
    "token": _read_token,
    "cursor": _read_cursor,
    "job": _read_job,
}


def read_row(row: Row, of: ObjectType) -> Row:
    """A row from JSON: numbers are exact again, and fields that came later are empty."""
    for one in of.fields.values():
        if 0 <= one.slot < len(row) and one.type in NUMERIC and row[one.slot] is not None:
            row[one.slot] = Decimal(row[one.slot])
    return [*row, *[None] * (of.width - len(row))]
