"""Bulk query answers that no sandbox gives: pages that end early, files that end inside a value, odd headers."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx

from connectors.contract import Page, PullRequest
from connectors.errors import IncompleteError, ProtocolError, UnreachableError
from connectors.salesforce.connector import SalesforceConnector

ORG = "https://acme.my.salesforce.com"
BASE = "/services/data/v62.0"
REQUEST = PullRequest("Account", ("Id", "Name"))
HEAD = b'"Id","Name"\n'


@pytest.fixture
def wire() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ORG, assert_all_called=False) as router:
        yield router


@pytest.fixture
def cloud(connect, monkeypatch) -> SalesforceConnector:
    """The probe goes over the other library and is answered here: everything is large."""
    crm = connect(access_token="token", instance_url=ORG, rest_limit=0, page_rows=2)
    probe = (
        b'{"compositeResponse":[{"referenceId":"r0","httpStatusCode":200,"body":'
        b'{"totalSize":99,"done":false,"nextRecordsUrl":"/services/data/v62.0/query/x-1","records":[]}}]}'
    )
    date = {"date": "Wed, 01 Jan 2025 00:00:00 GMT"}

    from connectors.salesforce.transport import Answer

    monkeypatch.setattr(type(crm.transport.rest), "call", lambda *_: Answer(200, date, probe))
    return crm


def bulk_job(wire, rows: int, *pages: httpx.Response) -> respx.Route:
    wire.post(f"{BASE}/jobs/query").respond(json={"id": "750J", "state": "UploadComplete"})
    wire.get(f"{BASE}/jobs/query/750J").respond(
        json={"id": "750J", "state": "JobComplete", "numberRecordsProcessed": rows}
    )
    wire.patch(f"{BASE}/jobs/query/750J").respond(400)
    return wire.get(url__regex=rf".*{BASE}/jobs/query/750J/results.*").mock(side_effect=pages)


def page(*lines: bytes, locator: str = "null", count: int | None = None) -> httpx.Response:
    announced = len(lines) if count is None else count
    headers = {"Sforce-Locator": locator, "Sforce-NumberOfRecords": str(announced)}
    return httpx.Response(200, content=HEAD + b"".join(lines), headers=headers)


def names(pages: list[Page]) -> list[str | None]:
    return [row[1] for found in pages for row in found.rows]


def test_the_locator_is_followed_to_the_text_null(wire, cloud) -> None:
    results = bulk_job(wire, 3, page(b'"1","a"\n', b'"2","b"\n', locator="M/A="), page(b'"3","c"\n'))

    begun, *pages = cloud.pull([REQUEST])

    assert (begun.rows, bool(begun.resume)) == ((), True)
    assert names(pages) == ["a", "b", "c"]
    assert [p.complete for p in pages] == [False, True]
    assert str(results.calls[1].request.url).endswith("?locator=M%2FA%3D")
    assert results.calls[0].request.headers["accept"] == "text/csv"


def test_problem_8_a_result_that_ends_before_its_announced_total_is_incomplete(wire, cloud) -> None:
    bulk_job(wire, 3, page(b'"1","a"\n', b'"2","b"\n'))
    pages: list[Page] = []

    with pytest.raises(IncompleteError, match="announced 3 records of Account and delivered 2"):
        pages.extend(cloud.pull([REQUEST]))

    assert not any(p.complete for p in pages)


def test_more_rows_than_announced_are_no_better(wire, cloud) -> None:
    bulk_job(wire, 1, page(b'"1","a"\n', b'"2","b"\n'))

    with pytest.raises(IncompleteError):
        list(cloud.pull([REQUEST]))


def test_a_page_that_names_itself_as_the_next_is_not_followed_for_ever(wire, cloud) -> None:
    answers = iter(range(20))
    route = bulk_job(wire, 99)
    route.mock(side_effect=lambda _: page(b'"%d","a"' % next(answers), locator="MQ"))

    with pytest.raises(IncompleteError, match="twice"):
        list(cloud.pull([REQUEST]))

    assert route.call_count == 2


def test_a_file_that_ends_inside_a_value_is_fetched_again(wire, cloud) -> None:
    bulk_job(
        wire, 3, page(b'"1","a"\n', b'"2","b"\n', b'"3","c', count=3), page(b'"1","a"\n', b'"2","b"\n', b'"3","c"\n')
    )

    assert names(list(cloud.pull([REQUEST]))) == ["a", "b", "c"]


def test_a_file_that_always_ends_inside_a_value_is_incomplete(wire, cloud) -> None:
    bulk_job(wire, 1, *[page(b'"1","a', count=1)] * 5)

    with pytest.raises(IncompleteError, match="inside a value"):
        list(cloud.pull([REQUEST]))


def test_problem_25_a_result_that_is_not_utf8_is_refused(wire, cloud) -> None:
    bulk_job(wire, 1, page(b'"1","\xff\xfe"\n'))

    with pytest.raises(ProtocolError, match="UTF-8"):
        list(cloud.pull([REQUEST]))


def test_a_connection_that_always_breaks_in_the_middle_is_unreachable(wire, cloud) -> None:
    class Broken(httpx.SyncByteStream):
        def __iter__(self) -> Iterator[bytes]:
            yield HEAD + b'"1","a"\n'
            raise httpx.ReadError("peer closed")

    headers = {"Sforce-Locator": "null", "Sforce-NumberOfRecords": "1"}
    bulk_job(wire, 1, *[httpx.Response(200, stream=Broken(), headers=headers) for _ in range(5)])

    with pytest.raises(UnreachableError, match="in the middle of a bulk result"):
        list(cloud.pull([REQUEST]))


def test_a_server_without_the_count_of_a_page_is_still_held_to_the_total(wire, cloud) -> None:
    bare = httpx.Response(200, content=HEAD + b'"1","a"\n', headers={"Sforce-Locator": "null"})
    bulk_job(wire, 1, bare)

    assert names(list(cloud.pull([REQUEST]))) == ["a"]


def test_an_empty_result_is_complete(wire, cloud) -> None:
    bulk_job(wire, 0, page())

    _, only = cloud.pull([REQUEST])

    assert (list(only.rows), only.complete, only.resume) == ([], True, None)
    assert only.watermark is not None


def test_a_page_of_exactly_the_page_size_is_not_taken_for_the_end(wire, cloud) -> None:
    bulk_job(wire, 4, page(b'"1","a"\n', b'"2","b"\n', locator="x"), page(b'"3","c"\n', b'"4","d"\n'))

    pages = list(cloud.pull([REQUEST]))

    assert names(pages) == ["a", "b", "c", "d"]
    assert pages[-1].complete
