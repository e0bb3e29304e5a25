"""Several requests in one: composite, batch, graph and tree."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.records import insert_row
from connectors.salesforce.sandbox.rest import visible_type
from connectors.salesforce.sandbox.schema import ObjectType
from connectors.salesforce.sandbox.values import Raw, dump_json
from connectors.salesforce.sandbox.wire import error_entry, error_reply, read_json

MOST_REQUESTS, MOST_QUERIES = 25, 5
MOST_NODES, MOST_GRAPHS = 500, 75
FAILED_GRAPHS_STOP = 14
MOST_PLANTED, DEEPEST_TREE = 200, 5
_REFERENCE = re.compile(r"@\{([A-Za-z]\w*)((?:\.\w+|\[\d+\])*)\}")
_STEP = re.compile(r"\.(\w+)|\[(\d+)\]")

Dispatch = Callable[[Engine, Call], Reply]
"""Answers a sub-request; handed in by the router, which knows this module."""


def composite(engine: Engine, call: Call, dispatch: Dispatch) -> Reply:
    body = read_json(call)
    requests = _requests(body, "compositeRequest", MOST_REQUESTS)
    heavy = sum(1 for one in requests if re.search(r"/(query(All)?|composite/sobjects)\b", str(one.get("url"))))
    if heavy > MOST_QUERIES:
        message = (
            f"Cannot have more than {MOST_QUERIES} query and sObject collections subrequests in a composite request"
        )
        raise ApiError("LIMIT_EXCEEDED", message)
    results, _ = _run(engine, call, dispatch, requests, all_or_none=body.get("allOrNone") is True)
    return json_reply({"compositeResponse": results})


def _requests(body: Mapping[str, Any], key: str, most: int) -> list[dict[str, Any]]:
    requests = body.get(key)
    if not isinstance(requests, list) or not all(isinstance(one, dict) for one in requests) or not requests:
        raise ApiError("MISSING_ARGUMENT", f"{key} must be a list of requests")
    if len(requests) > most:
        raise ApiError("LIMIT_EXCEEDED", f"Limit of {most} subrequests exceeded")
    return requests


def _run(
    engine: Engine, call: Call, dispatch: Dispatch, requests: list[dict[str, Any]], *, all_or_none: bool
) -> tuple[list[dict[str, Any]], bool]:
    """The sub-responses, and whether all went well. A sub-request whose reference failed is not sent."""
    answers: dict[str, Any] = {}
    results, failed = list[dict[str, Any]](), False
    with engine.org.transaction() as transaction:
        for one in requests:
            halted = (failed and all_or_none) or bool(_references(one) - answers.keys())
            reply = _halted() if halted else _dispatch(engine, call, dispatch, one, answers)
            failed = failed or reply.status >= 400
            name = str(one.get("referenceId", ""))
            if reply.status < 400:
                answers[name] = reply
            results.append(_shown(reply, name))
        if failed and all_or_none:
            transaction.roll_back()
            results = [
                one if one["httpStatusCode"] >= 400 else _shown(_halted(), one["referenceId"]) for one in results
            ]
    return results, not failed


def _halted() -> Reply:
    message = "The transaction was rolled back since another operation in the same transaction failed."
    return error_reply(ApiError("PROCESSING_HALTED", message))


def _shown(reply: Reply, name: str) -> dict[str, Any]:
    is_json = reply.content_type.startswith("application/json")
    body = Raw(reply.body.decode()) if reply.body and is_json else (reply.body.decode() or None)
    return {"body": body, "httpHeaders": reply.headers, "httpStatusCode": reply.status, "referenceId": name}


def _references(one: Mapping[str, Any]) -> set[str]:
    return {match[1] for match in _REFERENCE.finditer(dump_json(one))}


def _dispatch(
    engine: Engine, call: Call, dispatch: Dispatch, one: Mapping[str, Any], answers: Mapping[str, Reply]
) -> Reply:
    try:
        filled = _fill(dict(one), answers)
    except (KeyError, IndexError, TypeError):
        return error_reply(ApiError("INVALID_REFERENCE", "a reference names nothing in the answer it points at"))
    return dispatch(engine, sub_call(call, filled))


def sub_call(call: Call, one: Mapping[str, Any]) -> Call:
    """The sub-request as a call of its own, by the same user."""
    address = urlsplit(str(one.get("url", "")))
    body = one.get("body", one.get("richInput"))
    path = address.path if address.path.startswith("/") else f"/services/data/{address.path}"
    headers = {str(name).lower(): str(value) for name, value in (one.get("httpHeaders") or {}).items()}
    return Call(
        method=str(one.get("method", "GET")).upper(),
        path=path,
        query=dict(parse_qsl(address.query, keep_blank_values=True)),
        headers=headers,
        body=b"" if body is None else dump_json(body).encode(),
        user=call.user,
    )


def _fill(value: Any, answers: Mapping[str, Reply]) -> Any:
    if isinstance(value, str):
        return _REFERENCE.sub(lambda match: str(_look_up(answers[match[1]], match[2])), value)
    if isinstance(value, list):
        return [_fill(item, answers) for item in value]
    if isinstance(value, dict):
        return {key: _fill(item, answers) for key, item in value.items()}
    return value


def _look_up(reply: Reply, path: str) -> Any:
    found = json.loads(reply.body or b"null", parse_float=Decimal)
    for name, index in _STEP.findall(path):
        found = found[name] if name else found[int(index)]
    return found


def batch(engine: Engine, call: Call, dispatch: Dispatch) -> Reply:
    """Independent requests; `haltOnError` stops after the first failure."""
    body = read_json(call)
    results, failed = list[dict[str, Any]](), False
    for one in _requests(body, "batchRequests", MOST_REQUESTS):
        if failed and body.get("haltOnError") is True:
            halted = ApiError("BATCH_PROCESSING_HALTED", "Batch processing was halted", status=412)
            results.append({"statusCode": 412, "result": [error_entry(halted)]})
            continue
        reply = dispatch(engine, sub_call(call, one))
        failed = failed or reply.status >= 400
        results.append({"statusCode": reply.status, "result": _shown(reply, "")["body"]})
    return json_reply({"hasErrors": failed, "results": results})


def graph(engine: Engine, call: Call, dispatch: Dispatch) -> Reply:
    """Each graph is a transaction of its own."""
    graphs = _requests(read_json(call), "graphs", MOST_GRAPHS)
    if sum(len(one.get("compositeRequest") or ()) for one in graphs) > MOST_NODES:
        raise ApiError("LIMIT_EXCEEDED", f"a graph request may have {MOST_NODES} nodes")
    results, failures = list[dict[str, Any]](), 0
    for one in graphs:
        requests = _requests(one, "compositeRequest", MOST_NODES)
        if failures >= FAILED_GRAPHS_STOP:
            answers, well = [_shown(_halted(), str(node.get("referenceId", ""))) for node in requests], False
        else:
            answers, well = _run(engine, call, dispatch, requests, all_or_none=True)
        failures += not well
        results.append(
            {"graphId": one.get("graphId"), "graphResponse": {"compositeResponse": answers}, "isSuccessful": well}
        )
    return json_reply({"graphs": results})


def tree(engine: Engine, call: Call, name: str) -> Reply:
    """Insert up to 200 records with their children, and the children's, all or none."""
    planting = _Planting(engine, call)
    with engine.org.transaction() as transaction:
        planting.plant(visible_type(engine, call, name), _requests(read_json(call), "records", MOST_PLANTED), {}, 1)
        if planting.errors:
            transaction.roll_back()
    failed = bool(planting.errors)
    body = {"hasErrors": failed, "results": planting.errors or planting.results}
    return json_reply(body, 400 if failed else 201)


@dataclass(slots=True)
class _Planting:
    """What became of the records of a tree so far."""

    engine: Engine
    call: Call
    results: list[dict[str, Any]] = field(default_factory=list)
    errors: list[dict[str, Any]] = field(default_factory=list)

    def plant(self, of: ObjectType, records: list[dict[str, Any]], parent: Mapping[str, Any], depth: int) -> None:
        """`parent`: the field that leads to the record above, with its id."""
        for record in records:
            reference = str((record.get("attributes") or {}).get("referenceId", ""))
            children = {key: value for key, value in record.items() if isinstance(value, dict) and "records" in value}
            values = {key: value for key, value in record.items() if key != "attributes" and key not in children}
            try:
                made = insert_row(self.engine, self.call, of, {**values, **parent}).id
                self.results.append({"referenceId": reference, "id": made})
                self._check_size(depth, children)
                for name, below in children.items():
                    child, link = self._child(of, name)
                    self.plant(child, _requests(below, "records", MOST_PLANTED), {link: made}, depth + 1)
            except ApiError as error:
                entry = {"statusCode": error.code, "message": error.message, "fields": list(error.fields)}
                self.errors.append({"referenceId": reference, "errors": [entry]})

    def _check_size(self, depth: int, children: Mapping[str, Any]) -> None:
        if len(self.results) > MOST_PLANTED or (children and depth == DEEPEST_TREE):
            raise ApiError("INVALID_INPUT", f"a tree has up to {MOST_PLANTED} records on {DEEPEST_TREE} levels")

    def _child(self, of: ObjectType, name: str) -> tuple[ObjectType, str]:
        """The object behind a child relationship, and its field that leads back."""
        link = of.children.get(name)
        child = self.engine.view(self.call).type(link.object) if link is not None else None
        if link is None or child is None:
            raise ApiError("INVALID_FIELD", f"No such column '{name}' on sobject of type {of.name}", fields=(name,))
        return child, link.field
