"""Which request is answered by which function, and what happens around it: tokens, allowances, faults, headers."""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache
from urllib.parse import unquote

from connectors.salesforce.sandbox import (
    auth,
    bulk_ingest,
    bulk_query,
    composite,
    control,
    many,
    records,
    rest,
    soap,
    tooling,
)
from connectors.salesforce.sandbox.engine import NEWEST_VERSION, RETIRED_VERSIONS, Call, Engine, Reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.faults import Fault
from connectors.salesforce.sandbox.wire import error_reply, html_reply

Respond = Callable[..., Reply]


@dataclass(frozen=True, slots=True)
class Route:
    """`kind` is the name under which calls are counted and faults are aimed."""

    kind: str
    method: str
    pattern: re.Pattern[str]
    respond: Respond
    open: bool = False
    """Needs no token and does not count against the allowance."""


def _route(kind: str, method: str, path: str, respond: Respond, *, is_open: bool = False) -> Route:
    """`path` below `/services/data/vXX.0` unless it starts with `//`; `{}` stands for one segment."""
    root = "" if path.startswith("//") else r"/services/data/v(?P<version>\d+\.0)"
    pattern = re.escape(path.removeprefix("/") if path.startswith("//") else path).replace(r"\{\}", "([^/]+)")
    return Route(kind, method, re.compile(root + pattern, re.IGNORECASE), respond, is_open)


def _composite(respond: Respond) -> Respond:
    return lambda engine, call: respond(engine, call, answer_sub)


@lru_cache(maxsize=1)
def routes() -> tuple[Route, ...]:
    return (
        _route("token", "POST", "//services/oauth2/token", auth.token, is_open=True),
        _route("revoke", "POST", "//services/oauth2/revoke", auth.revoke, is_open=True),
        _route("identity", "GET", "//services/oauth2/userinfo", auth.identity),
        _route("identity", "GET", "//id/{}/{}", lambda engine, call, *_: auth.identity(engine, call)),
        _route("versions", "GET", "//services/data", rest.versions, is_open=True),
        _route("resources", "GET", "", rest.resources),
        _route("limits", "GET", "/limits", rest.limits),
        _route("record_count", "GET", "/limits/recordCount", rest.record_count),
        _route("query", "GET", "/query", rest.query),
        _route("query", "GET", "/queryAll", rest.query),
        _route("query_more", "GET", "/query/{}", rest.query_more),
        _route("query_more", "GET", "/queryAll/{}", rest.query_more),
        _route("describe_global", "GET", "/sobjects", rest.describe_global),
        _route("object_info", "GET", "/sobjects/{}", rest.object_info),
        _route("describe", "GET", "/sobjects/{}/describe", rest.describe),
        _route("updated", "GET", "/sobjects/{}/updated", rest.updated),
        _route("deleted", "GET", "/sobjects/{}/deleted", rest.deleted),
        _route("create", "POST", "/sobjects/{}", records.create),
        _route("retrieve", "GET", "/sobjects/{}/{}", records.retrieve),
        _route("update", "PATCH", "/sobjects/{}/{}", records.update),
        _route("delete", "DELETE", "/sobjects/{}/{}", records.delete),
        _route("retrieve", "GET", "/sobjects/{}/{}/{}", records.retrieve_by_key),
        _route("upsert", "PATCH", "/sobjects/{}/{}/{}", records.upsert),
        _route("composite", "POST", "/composite", _composite(composite.composite)),
        _route("batch", "POST", "/composite/batch", _composite(composite.batch)),
        _route("graph", "POST", "/composite/graph", _composite(composite.graph)),
        _route("tree", "POST", "/composite/tree/{}", composite.tree),
        _route("collections", "POST", "/composite/sobjects", many.create_many),
        _route("collections", "PATCH", "/composite/sobjects", many.update_many),
        _route("collections", "DELETE", "/composite/sobjects", many.delete_many),
        _route("collections", "PATCH", "/composite/sobjects/{}/{}", many.upsert_many),
        _route("collections.retrieve", "GET", "/composite/sobjects/{}", many.retrieve_many),
        _route("collections.retrieve", "POST", "/composite/sobjects/{}", many.retrieve_many),
        _route("tooling.create", "POST", "/tooling/sobjects/{}", tooling.create_component),
        _route("tooling.query", "GET", "/tooling/query", tooling.query),
        _route("deploy.start", "POST", "/metadata/deployRequest", tooling.deploy_start),
        _route("deploy.poll", "GET", "/metadata/deployRequest/{}", tooling.deploy_status),
        _route("soap", "POST", "//services/Soap/m/{}", soap.answer, is_open=True),
        _route("soap", "POST", "//services/Soap/m/{}/{}", soap.answer, is_open=True),
        _route("soap", "POST", "//services/Soap/m/{}/deployRequest/{}", soap.answer, is_open=True),
        _route("bulk_query.create", "POST", "/jobs/query", bulk_query.create),
        _route("bulk_query.list", "GET", "/jobs/query", bulk_query.list_all),
        _route("bulk_query.poll", "GET", "/jobs/query/{}", bulk_query.poll),
        _route("bulk_query.results", "GET", "/jobs/query/{}/results", bulk_query.results),
        _route("bulk_query.pages", "GET", "/jobs/query/{}/resultPages", bulk_query.result_pages),
        _route("bulk_query.abort", "PATCH", "/jobs/query/{}", bulk_query.abort),
        _route("bulk_query.delete", "DELETE", "/jobs/query/{}", bulk_query.delete),
        _route("bulk_ingest.create", "POST", "/jobs/ingest", bulk_ingest.create),
        _route("bulk_ingest.list", "GET", "/jobs/ingest", bulk_ingest.list_all),
        _route("bulk_ingest.upload", "PUT", "/jobs/ingest/{}/batches", bulk_ingest.upload),
        _route("bulk_ingest.state", "PATCH", "/jobs/ingest/{}", bulk_ingest.change_state),
        _route("bulk_ingest.poll", "GET", "/jobs/ingest/{}", bulk_ingest.poll),
        _route("bulk_ingest.results", "GET", "/jobs/ingest/{}/successfulResults", bulk_ingest.successful_results),
        _route("bulk_ingest.results", "GET", "/jobs/ingest/{}/failedResults", bulk_ingest.failed_results),
        _route("bulk_ingest.results", "GET", "/jobs/ingest/{}/unprocessedrecords", bulk_ingest.unprocessed_records),
        _route("bulk_ingest.delete", "DELETE", "/jobs/ingest/{}", bulk_ingest.delete),
    )


@dataclass(frozen=True, slots=True)
class Match:
    route: Route
    call: Call
    arguments: tuple[str, ...]


def match(call: Call) -> Match:
    """NOT_FOUND for an unknown address, 405 for a wrong method, 410 for a retired version."""
    path = call.path.rstrip("/")
    known_path = False
    for route in routes():
        found = route.pattern.fullmatch(path)
        if found is None:
            continue
        known_path = True
        if route.method == call.method or (call.method == "HEAD" and route.method == "GET"):
            version = found.groupdict().get("version") or ""
            _check_version(version)
            groups = found.groups()[1:] if version else found.groups()
            arguments = tuple(unquote(group) for group in groups)
            return Match(route, replace(call, version=version, kind=route.kind), arguments)
    if known_path:
        raise ApiError("METHOD_NOT_ALLOWED", f"HTTP Method '{call.method}' not allowed.", status=405)
    raise not_found()


def _check_version(version: str) -> None:
    number = int(float(version)) if version else NEWEST_VERSION
    if number in RETIRED_VERSIONS:
        raise ApiError("UNSUPPORTED_API_VERSION", "API version retired.", status=410)
    if not RETIRED_VERSIONS.stop <= number <= NEWEST_VERSION:
        raise not_found()


def answer(engine: Engine, call: Call) -> Reply:
    """One request from outside, with everything that surrounds it."""
    if call.path.startswith(control.ROOT):
        return control.answer(engine, call)
    try:
        found = match(call)
    except ApiError as error:
        return error_reply(error)
    engine.calls[found.route.kind] += 1
    reply = _answer_counted(engine, found)
    reply.headers["X-Sfdc-Request-Id"] = secrets.token_hex(16)
    if not found.route.open and reply.status != 401:
        reply.headers["Sforce-Limit-Info"] = engine.limit_info()
    return reply


def _answer_counted(engine: Engine, found: Match) -> Reply:
    with engine.org.lock:
        engine.running += 1
    try:
        return _answer_admitted(engine, found)
    except ApiError as error:
        return error_reply(error)
    finally:
        with engine.org.lock:
            engine.running -= 1
            engine.settled()


def _answer_admitted(engine: Engine, found: Match) -> Reply:
    call = found.call
    with engine.org.lock:
        _admit(engine, found)
        before = engine.faults.strike(call.kind, call.address, "delay", "reset", "html", "html_401", "error", "expired")
        if before is not None and before.kind == "reset" and before.after_work:
            _respond(engine, found)
    if before is not None and before.kind == "delay":
        time.sleep(before.seconds)
    elif before is not None:
        return _strike(engine, call, before)
    with engine.org.lock:
        reply = _respond(engine, found)
        after = engine.faults.strike(call.kind, call.address, "cut", "truncate")
    return reply if after is None else _damage(reply, after)


def _respond(engine: Engine, found: Match) -> Reply:
    return found.route.respond(engine, found.call, *found.arguments)


def _admit(engine: Engine, found: Match) -> None:
    """Token, daily allowance, number of requests at once: in this order."""
    call, most = found.call, engine.manners.concurrent_limit
    if not found.route.open:
        call.user, call.token = auth.authenticate(engine, call)
        if engine.api_used >= engine.manners.daily_limit:
            raise ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", status=403)
        engine.api_used += 1
    if most is not None and engine.running > most:
        raise ApiError(
            "REQUEST_LIMIT_EXCEEDED", "ConcurrentRequests (Concurrent API Requests) Limit exceeded.", status=403
        )


def _strike(engine: Engine, call: Call, fault: Fault) -> Reply:
    if fault.kind == "reset":
        return Reply(cut_after=-1)
    if fault.kind == "html":
        return html_reply(fault.status, fault.message)
    if fault.kind == "html_401":
        return html_reply(401, "LOGIN_OAUTH_INVALID_TOKEN")
    if fault.kind == "expired":
        engine.tokens.pop(call.token, None)
        raise ApiError("INVALID_SESSION_ID", "Session expired or invalid", status=401)
    raise ApiError(fault.code, fault.message, status=fault.status)


def _damage(reply: Reply, fault: Fault) -> Reply:
    keep = fault.keep if fault.keep is not None else len(reply.body) // 2
    if fault.kind == "cut":
        return replace(reply, cut_after=keep)
    if fault.keep is not None:
        return replace(reply, body=reply.body[:keep])
    lines = reply.body.splitlines(keepends=True)
    return replace(reply, body=b"".join(lines[: -(fault.rows or 1)]))


def answer_sub(engine: Engine, call: Call) -> Reply:
    """One sub-request of a composite: same rights, no token, no allowance, its own faults."""
    try:
        found = match(call)
        engine.calls["/" + found.route.kind] += 1
        fault = engine.faults.strike(found.route.kind, call.address, "error", "html")
        if fault is not None:
            return _strike(engine, call, fault)
        return _respond(engine, found)
    except ApiError as error:
        return error_reply(error)
