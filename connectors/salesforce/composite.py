"""Several requests in one call. A query inside a composite may be as long as SOQL allows: it is never part of a URL."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

from connectors.errors import ConnectorError, ProtocolError, TransientError
from connectors.http import require
from connectors.salesforce.failures import read_failure
from connectors.salesforce.transport import Transport

MAX_SUBREQUESTS = 25
MAX_QUERIES = 5
"""Of one composite call; also for collections of records."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SubAnswer:
    """`body` is parsed JSON with fractions left as text; `failure` is set when the subrequest was refused."""

    status: int
    body: Any
    failure: ConnectorError | None = None

    def settled(self) -> Any:
        if self.failure is not None:
            raise self.failure
        return self.body


@dataclass(frozen=True, slots=True)
class CompositeAnswer:
    parts: Sequence[SubAnswer]
    date: datetime | None
    """The server's clock when it answered."""


def read_composite(transport: Transport, paths: Sequence[str], kind: str) -> CompositeAnswer:
    """GET every path (at most 25) in one call, answers in the order of `paths`.

    A part that failed for a passing reason makes the whole call be repeated: all parts only read.
    """
    requests = [{"method": "GET", "url": path, "referenceId": f"r{i}"} for i, path in enumerate(paths)]
    body = json.dumps({"allOrNone": False, "compositeRequest": requests}).encode()

    def attempt() -> CompositeAnswer:
        answer = transport.call("POST", "composite", kind, body=body)
        parts = read_parts(answer.body, len(paths))
        for part in parts:
            if isinstance(part.failure, TransientError):
                raise part.failure
        return CompositeAnswer(parts, answer.date)

    return transport.retry.run(attempt)


def read_parts(body: bytes, count: int) -> list[SubAnswer]:
    """The sub-answers of a composite body, in the order of their reference ids r0, r1 and so on."""
    value = decode_record_json(body)
    entries = value.get("compositeResponse") if isinstance(value, dict) else None
    if not isinstance(entries, list):
        raise ProtocolError("The answer to a composite call is not one.")
    found = {str(entry.get("referenceId")): entry for entry in entries if isinstance(entry, dict)}
    missing = [i for i in range(count) if f"r{i}" not in found]
    if missing:
        raise ProtocolError("The answer to a composite call lacks a part.")
    return [_read_part(found[f"r{i}"]) for i in range(count)]


def _read_part(entry: dict[str, Any]) -> SubAnswer:
    status, body = require(entry, "httpStatusCode", int), entry.get("body")
    return SubAnswer(status, body, None if 200 <= status < 300 else read_failure(status, body))


def decode_record_json(body: bytes) -> Any:
    """JSON with fractions as the text they came in; whole numbers are exact in Python anyway."""
    try:
        return json.loads(body, parse_float=str)
    except (ValueError, RecursionError):
        raise TransientError("Salesforce answered with something that is not JSON.") from None


def query_path(transport: Transport, soql: str, *, deleted: bool = True) -> str:
    return transport.path(f"{'queryAll' if deleted else 'query'}?q={quote(soql, safe='')}")


def in_groups(items: Iterable[T], size: int) -> Iterator[list[T]]:
    group: list[T] = []
    for item in items:
        group.append(item)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
