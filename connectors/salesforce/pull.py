"""The pull of one night: probe every object with one call, start the bulk jobs of the large ones, stream in order.

Watermark: the clock of the CRM (the Date header of the probe), minus nothing; a row committed late can still appear
below it, so the caller looks back. Ordered REST pages carry the stamp of their own last row until then.
Resume: bulk pages only. A position that no longer holds raises ResumeError before any row is yielded. REST pages are
few (`rest_limit`), carry no position, and a lost cursor is replaced in place.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

from connectors.contract import Afford, Condition, ObjectSchema, Operator, Page, PullRequest, RawRow, RawValue
from connectors.errors import IncompleteError, ProtocolError, QueryTimeoutError, ResumeError, SchemaError
from connectors.http import require
from connectors.salesforce.bulk import BulkPull, read_earliest
from connectors.salesforce.composite import (
    MAX_QUERIES,
    SubAnswer,
    decode_record_json,
    in_groups,
    query_path,
    read_composite,
)
from connectors.salesforce.deletions import deleted_path, read_deleted
from connectors.salesforce.jobs import Jobs
from connectors.salesforce.position import Position, digest_of, read_position
from connectors.salesforce.records import ID, INTERNAL, Layout, lay_out, read_records, read_stamp
from connectors.salesforce.soql import STAMP, Select, Window
from connectors.salesforce.transport import Transport

IDS_PER_QUERY = 800
RESTARTS = 3
JOB_CALLS = 10
"""What a query job takes beside its result pages: its creation and some looks at it."""
BULK_PAGE_ROWS = 50_000
MANY_ROWS = 1_000_000
"""Taken for the size of what cannot be counted in time."""
NO_BULK = "INVALIDENTITY"
"""The code of objects that the Bulk API does not serve."""


@dataclass(slots=True)
class Puller:
    transport: Transport
    jobs: Jobs
    rest_limit: int
    page_rows: int
    schemas: Mapping[str, ObjectSchema | None]
    """What has been described so far; needed only to expand compound fields."""

    def pages(self, requests: Sequence[PullRequest], afford: Afford) -> Iterator[Page]:
        bulk = self._resumed(requests)
        gone: dict[int, set[str]] = {}
        probes = self._probe([r for i, r in enumerate(requests) if i not in bulk and r.ids is None], gone)
        afford(sum(self._cost(r, bulk.get(i), probes) for i, r in enumerate(requests)))
        streams = [bulk.get(i) or self._stream(r, probes) for i, r in enumerate(requests)]
        del probes  # the first pages of large objects are of no further use
        for stream in streams:
            if isinstance(stream, BulkPull) and not stream.position.job and stream.position.windows:
                yield from self._start(stream)
        for request, stream in zip(requests, streams, strict=True):
            yield from self._name_gone(request, self._follow(request, stream), gone.get(id(request), set()))

    def _name_gone(self, request: PullRequest, pages: Iterator[Page], candidates: set[str]) -> Iterator[Page]:
        """The pages; the last one names those candidates of which no query shows a row any more."""
        for page in pages:
            if candidates and page.rows:
                at = request.fields.index(ID)
                candidates.difference_update(str(row[at]) for row in page.rows)
            named = self._confirm(request.object, candidates) if page.complete and candidates else ()
            yield replace(page, gone=named) if named else page

    def _confirm(self, object_name: str, candidates: set[str]) -> Sequence[str]:
        wanted = PullRequest(object_name, (ID,), ids=tuple(sorted(candidates)))
        found = {row[0] for page in self._by_ids(wanted, wanted.ids or ()) for row in page.rows}
        return [key for key in wanted.ids or () if key not in found]

    def _follow(self, request: PullRequest, stream: BulkPull | Iterator[Page]) -> Iterator[Page]:
        if not isinstance(stream, BulkPull):
            yield from stream
        elif stream.position.job:
            yield from stream.pages()
        else:
            yield from self._rest_from_start(request, stream.position.as_of)

    def _start(self, pull: BulkPull) -> Iterator[Page]:
        try:
            yield pull.start()
        except SchemaError as error:
            if error.code != NO_BULK:
                raise

    def _cost(
        self, request: PullRequest, resumed: BulkPull | None, probes: Mapping[int, tuple[SubAnswer, datetime]]
    ) -> int:
        """Calls that the request will take from here on, about: how Salesforce cuts results is its own affair."""
        if resumed is not None:
            known = MANY_ROWS if resumed.rows_known is None else resumed.rows_known - resumed.position.rows
            return JOB_CALLS + max(0, known) // BULK_PAGE_ROWS
        if request.ids is not None:
            return -(-len(request.ids) // (IDS_PER_QUERY * MAX_QUERIES))
        part, _ = probes[id(request)]
        if isinstance(part.failure, QueryTimeoutError):
            return JOB_CALLS + MANY_ROWS // BULK_PAGE_ROWS
        body = _query_body(part.settled())
        total: int = body["totalSize"]
        first = max(1, len(body["records"]))
        return max(0, total - 1) // first if total <= self.rest_limit else JOB_CALLS + total // BULK_PAGE_ROWS

    def _resumed(self, requests: Sequence[PullRequest]) -> dict[int, BulkPull]:
        pulls = {
            i: self._bulk(request, read_position(request.resume))
            for i, request in enumerate(requests)
            if request.resume is not None
        }
        for pull in pulls.values():
            pull.check()
        return pulls

    def _bulk(self, request: PullRequest, position: Position) -> BulkPull:
        layout = lay_out(request, self.schemas.get(request.object))
        select = Select(request.object, layout.columns, request.where)
        earliest = partial(read_earliest, self.transport)
        return BulkPull(self.jobs, request, select, layout, position, self.page_rows, earliest)

    def _probe(
        self, requests: Sequence[PullRequest], gone: dict[int, set[str]]
    ) -> dict[int, tuple[SubAnswer, datetime]]:
        """The first page of every request, keyed by the request's identity; one call for each five requests.

        `gone` receives, under the same key, what Salesforce says was deleted since: in the same call.
        """
        found = {}
        for group in in_groups(requests, MAX_QUERIES):
            queries = [self._rest_select(r).text(Window(r.since), ordered=r.since is not None) for r in group]
            lists = {id(r): path for r in group if (path := self._deleted_path(r))}
            paths = [*(query_path(self.transport, q) for q in queries), *lists.values()]
            answer = read_composite(self.transport, paths, "probe")
            for request, part in zip(group, answer.parts, strict=False):
                found[id(request)] = (part, _known(answer.date))
            for key, part in zip(lists, answer.parts[len(group) :], strict=True):
                gone[key] = read_deleted(part)
        return found

    def _deleted_path(self, request: PullRequest) -> str:
        """Empty where it cannot be asked: without a start, without ids to compare, or before the clock is known."""
        if request.since is None or ID not in request.fields or self.transport.now is None:
            return ""
        return deleted_path(self.transport, request.object, request.since, self.transport.now)

    def _rest_select(self, request: PullRequest) -> Select:
        return Select(request.object, self._rest_layout(request).columns, request.where)

    def _rest_layout(self, request: PullRequest) -> Layout:
        return lay_out(request, self.schemas.get(request.object), INTERNAL)

    def _stream(
        self, request: PullRequest, probes: Mapping[int, tuple[SubAnswer, datetime]]
    ) -> BulkPull | Iterator[Page]:
        if request.ids is not None:
            return self._by_ids(request, request.ids)
        part, as_of = probes[id(request)]
        if not isinstance(part.failure, QueryTimeoutError):
            body = _query_body(part.settled())
            if body["totalSize"] <= self.rest_limit:
                return self._rest(request, body, as_of)
        digest = digest_of(self._bulk_select(request))
        return self._bulk(request, Position(self.transport.api_version, digest, as_of, (Window(request.since),)))

    def _bulk_select(self, request: PullRequest) -> Select:
        return Select(request.object, lay_out(request, self.schemas.get(request.object)).columns, request.where)

    def _rest_from_start(self, request: PullRequest, as_of: datetime) -> Iterator[Page]:
        yield from self._rest(request, self._query(request, request.since), as_of)

    def _query(self, request: PullRequest, since: datetime | None) -> Mapping[str, Any]:
        return self._ask(self._rest_select(request).text(Window(since), ordered=request.since is not None))

    def _ask(self, soql: str) -> Mapping[str, Any]:
        (part,) = read_composite(self.transport, [query_path(self.transport, soql)], "query").parts
        return _query_body(part.settled())

    def _rest(self, request: PullRequest, body: Mapping[str, Any], as_of: datetime) -> Iterator[Page]:
        """Follow the pages of a query; when its cursor is lost, ask again from the last stamp and drop known rows."""
        layout, ordered = self._rest_layout(request), request.since is not None
        tally = Tally(layout, body["totalSize"])
        since = request.since
        while True:
            rows = read_records(body["records"], layout.columns)
            fresh = tally.unseen(rows)
            if ordered and rows:
                since = read_stamp(rows[-1][tally.stamp_at]) or since
            if body["done"]:
                break
            yield Page(request, layout.arrange(fresh), watermark=min(since, as_of) if since else None)
            body = self._go_on(body, tally, partial(self._query, request, since))
        tally.check(request.object)
        yield Page(request, layout.arrange(fresh), watermark=as_of, complete=True)

    def _go_on(
        self, body: Mapping[str, Any], tally: Tally, again: Callable[[], Mapping[str, Any]]
    ) -> Mapping[str, Any]:
        """The next page; when the cursor is lost, the first page of the query asked `again`."""
        tally.turn(body["nextRecordsUrl"])
        try:
            return self._next(body)
        except ResumeError:
            return tally.restart(again)

    def _next(self, body: Mapping[str, Any]) -> Mapping[str, Any]:
        path = body["nextRecordsUrl"]
        if not path.startswith("/services/data/"):
            raise ProtocolError("Salesforce named a next page outside its API; nothing was asked there.")
        return _query_body(decode_record_json(self.transport.read("GET", path, "query").body))

    def _by_ids(self, request: PullRequest, ids: Sequence[str]) -> Iterator[Page]:
        """Records by id. No watermark: nothing is known about other records. Ids that are gone have no row."""
        layout = self._rest_layout(request)
        for group in in_groups(in_groups(dict.fromkeys(ids), IDS_PER_QUERY), MAX_QUERIES):
            selects = [self._select_ids(request, layout, chunk) for chunk in group]
            paths = [query_path(self.transport, soql) for soql in selects]
            for soql, part in zip(selects, read_composite(self.transport, paths, "ids").parts, strict=True):
                for rows in self._all_rows(request, layout, soql, _query_body(part.settled())):
                    yield Page(request, layout.arrange(rows))
        yield Page(request, (), complete=True)

    def _select_ids(self, request: PullRequest, layout: Layout, ids: Sequence[str]) -> str:
        only = Condition(ID, Operator.IN, tuple(ids))
        return Select(request.object, layout.columns, (*request.where, only)).text()

    def _all_rows(
        self, request: PullRequest, layout: Layout, soql: str, body: Mapping[str, Any]
    ) -> Iterator[list[RawRow]]:
        tally = Tally(layout, body["totalSize"])
        while True:
            yield tally.unseen(read_records(body["records"], layout.columns))
            if body["done"]:
                break
            body = self._go_on(body, tally, partial(self._ask, soql))
        tally.check(request.object)


def _query_body(body: Any) -> Mapping[str, Any]:
    require(body, "totalSize", int)
    require(body, "records", list)
    if not require(body, "done", bool):
        require(body, "nextRecordsUrl", str)
    checked: Mapping[str, Any] = body
    return checked


def _known(date: datetime | None) -> datetime:
    if date is None:
        raise ProtocolError("Salesforce's answer carries no Date: without its clock no pull can be placed in time.")
    return date


def _place(layout: Layout, name: str) -> int:
    return [column.lower() for column in layout.columns].index(name.lower())


class Tally:
    """What a REST stream has handed out, and whether all of what was announced has come.

    Pages are read at call time, so a row that moved meanwhile can come twice and push another out: only records that
    differ count. Memory: an id and a stamp for each row, of at most `rest_limit` rows.
    """

    def __init__(self, layout: Layout, total: int) -> None:
        self.id_at, self.stamp_at = _place(layout, ID), _place(layout, STAMP)
        self._total, self._restarts = total, 0
        self._ids: set[RawValue] = set()
        self._turned: set[str] = set()
        self._handed_out: set[tuple[RawValue, RawValue]] = set()

    def unseen(self, rows: Sequence[RawRow]) -> list[RawRow]:
        """The rows that have not been handed out in this state; they are from now on."""
        fresh = {(row[self.id_at], row[self.stamp_at]): row for row in rows}
        kept = [row for key, row in fresh.items() if key not in self._handed_out]
        self._handed_out |= fresh.keys()
        self._ids.update(row[self.id_at] for row in rows)
        return kept

    def turn(self, path: str) -> None:
        """Note which page comes next. IncompleteError when it has come before: it would come for ever."""
        if path in self._turned:
            raise IncompleteError("Salesforce names the same page of a query twice: nothing of this pull is complete.")
        self._turned.add(path)

    def restart(self, again: Callable[[], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The first page of the query asked `again`; from here its own total counts."""
        self._restarts += 1
        if self._restarts > RESTARTS:
            raise IncompleteError("Salesforce keeps losing the position of a query; try again later.") from None
        body = again()
        self._total = body["totalSize"]
        self._ids.clear()
        self._turned.clear()
        return body

    def check(self, object_name: str) -> None:
        if len(self._ids) != self._total:
            raise IncompleteError(
                f"Salesforce announced {self._total} records of {object_name} and delivered {len(self._ids)}: "
                "nothing of this pull is complete."
            )
