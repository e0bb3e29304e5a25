"""Everything the server knows beside the org's records: tokens, open cursors, jobs, counters, faults, manners."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from connectors.salesforce.sandbox.access import View
from connectors.salesforce.sandbox.faults import Faults
from connectors.salesforce.sandbox.ids import new_id
from connectors.salesforce.sandbox.org import Org
from connectors.salesforce.sandbox.values import dump_json

OLDEST_VERSION, NEWEST_VERSION = 31, 66
RETIRED_VERSIONS = range(7, OLDEST_VERSION)


@dataclass(slots=True)
class Manners:
    """How the org behaves. Change any of it while the sandbox runs."""

    page_size: int = 2000
    """Rows of a query page when the client gives no batchSize hint."""
    largest_page: int = 2000
    """Never more rows than this, whatever the hint says: the hint is one."""
    bulk_page_rows: int = 50_000
    job_polls: int = 1
    """How many status calls still see a bulk job at work; 0: complete at the first one."""
    queue_polls: int = 0
    """How many status calls before those see a bulk job that has not begun."""
    early_results_status: int = 412
    shuffle_results: bool = True
    """Ingest results come in another order than the rows were sent."""
    attributes_first: bool = True
    """A record of a collection names its type before its fields, or is refused."""
    lock_siblings: bool = False
    """Ingest rows whose AccountId or ParentId occurs in an earlier batch of the job fail with UNABLE_TO_LOCK_ROW."""
    batch_rows: int = 10_000
    """An ingest job works in parallel on batches of so many rows."""
    result_pages_key: str = "nextRecordsUrl"
    """The guide spells it in two ways; `nextRecordUrl` is the other."""
    slow_query_rows: int | None = None
    """A query that would return more rows fails with QUERY_TIMEOUT."""
    daily_limit: int = 100_000
    bulk_query_limit: int = 10_000
    limit_lag: int = 3
    """`Sforce-Limit-Info` moves only every so many calls."""
    concurrent_limit: int | None = None
    token_seconds: int | None = None
    """Life of a token; None: until revoked."""
    rotate_refresh_tokens: bool = False
    """A login with a refresh token voids it and answers with the next one."""
    cursor_seconds: int = 2 * 24 * 3600
    job_seconds: int = 7 * 24 * 3600


@dataclass(slots=True)
class Reply:
    status: int = 200
    body: bytes = b""
    content_type: str = "application/json;charset=UTF-8"
    headers: dict[str, str] = field(default_factory=dict)
    cut_after: int | None = None
    """Send only so many bytes of the body and drop the connection; -1: drop it before anything is sent."""


@dataclass(slots=True)
class Call:
    """One request, or one sub-request of a composite."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Keys are lower case."""
    body: bytes
    user: str = ""
    version: str = ""
    kind: str = ""
    token: str = ""
    children: Counter[str] = field(default_factory=Counter)
    """Rows written in this transaction, by their parent."""

    @property
    def address(self) -> str:
        """Path and query, for faults that look for a text in it."""
        return self.path + "?" + "&".join(f"{key}={value}" for key, value in self.query.items())


@dataclass(slots=True)
class Cursor:
    """An open query: the ids still to come, and how to render the rows as they are by then."""

    user: str
    table: str
    ids: list[str]
    total: int
    json_record: Callable[[list[Any]], str]
    opened: datetime
    page: int
    soql: str
    version: str
    deleted: bool


@dataclass(slots=True)
class Token:
    user: str
    issued: datetime


@dataclass(slots=True)
class Engine:
    org: Org
    fixed_token: str = ""
    base_url: str = ""
    faults: Faults = field(default_factory=Faults)
    manners: Manners = field(default_factory=Manners)
    calls: Counter[str] = field(default_factory=Counter)
    """Requests by kind, since the start; sub-requests of composites count under their own kind with a `/` in front."""
    api_used: int = 0
    """Requests that count against the daily allowance."""
    shown_used: int = 0
    running: int = 0
    tokens: dict[str, Token] = field(default_factory=dict)
    refresh_tokens: dict[str, str] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    public_keys: dict[str, bytes] = field(default_factory=dict)
    unapproved: set[str] = field(default_factory=set)
    cursors: dict[str, Cursor] = field(default_factory=dict)
    jobs: dict[str, Any] = field(default_factory=dict)
    deploys: dict[str, Any] = field(default_factory=dict)
    outbound: list[Any] = field(default_factory=list)
    written: Counter[str] = field(default_factory=Counter)
    """Records changed through the API, by object."""
    save: Callable[[], None] = lambda: None
    crashes: list[str] = field(default_factory=list)
    """Tracebacks of the sandbox's own mistakes; each was answered with 500 UNKNOWN_EXCEPTION."""
    settled: Callable[[], None] = lambda: None
    """Called after every request, under the org's lock."""
    serial: int = 0

    def view(self, call: Call) -> View:
        return self.org.view(call.user)

    def new_id(self, prefix: str) -> str:
        """An id for something that is no record: a cursor, a job."""
        self.serial += 1
        return new_id(prefix, self.serial)

    def limit_info(self) -> str:
        if self.api_used - self.shown_used >= self.manners.limit_lag or not self.shown_used:
            self.shown_used = self.api_used
        return f"api-usage={self.shown_used}/{self.manners.daily_limit}"


def json_reply(value: Any, status: int = 200, **headers: str) -> Reply:
    return Reply(status, dump_json(value).encode(), headers=headers)
