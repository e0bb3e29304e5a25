"""Whatever a server answers, the connector raises nothing but its own errors, and calls nothing complete that is not."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.contract import PullRequest, Update
from connectors.errors import ConnectorError
from connectors.retry import RetryPolicy
from connectors.salesforce.auth import TokenSource
from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.jobs import Jobs
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.transport import Answer, Transport

URL = "https://acme.my.salesforce.com"
KEY = "001000000000001AAA"
DATE = "Wed, 01 Jan 2025 00:00:00 GMT"

junk = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "null", "x", KEY, "JobComplete", "2025"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["errors", "fields", "Id"]), inner, max_size=3)
    ),
    max_leaves=6,
)


def bent(**members: object) -> st.SearchStrategy[object]:
    """An object that is right, or has something else in one place, or is something else altogether."""
    right = st.just(members)
    one_wrong = st.tuples(st.sampled_from(sorted(members)), junk).map(lambda pair: members | {pair[0]: pair[1]})
    one_missing = st.sampled_from(sorted(members)).map(lambda name: {k: v for k, v in members.items() if k != name})
    return right | one_wrong | one_missing | junk


records = st.lists(bent(Id=KEY, Name="n", SystemModstamp="2025-01-01T00:00:00.000+0000"), max_size=3) | junk
query = st.builds(
    lambda base, rows: {**base, "records": rows} if isinstance(base, dict) else base,
    bent(totalSize=1, done=True, nextRecordsUrl="/services/data/v62.0/query/x-1"),
    records,
)
describe = bent(name="Account", label="A", updateable=True, fields=[{"name": "Id", "type": "id"}])
row_results = st.lists(
    bent(id=KEY, success=False, errors=[{"statusCode": "STRING_TOO_LONG", "message": "m"}]), max_size=2
)
parts = st.lists(
    st.builds(
        lambda base, body: {**base, "body": body} if isinstance(base, dict) else base,
        bent(referenceId="r0", httpStatusCode=200, httpHeaders={}),
        query | describe | row_results | junk,
    ),
    min_size=1,
    max_size=2,
)
job = bent(id="750J", state="JobComplete", numberRecordsProcessed=1, numberRecordsFailed=1, errorMessage="X:y")
bodies = st.one_of(
    parts.map(lambda found: {"compositeResponse": found}),
    query,
    job,
    bent(access_token="t", instance_url=URL, id=f"{URL}/id/00D000000000001EAA/{KEY}"),
    bent(DailyApiRequests={"Max": 5, "Remaining": 3}),
    st.lists(bent(version="62.0"), max_size=2),
    junk,
).map(lambda value: json.dumps(value).encode())
files = st.sampled_from(
    [
        b'"Id","Name"\n"1","n"\n',
        b'"Id","Name"\n"1"\n',
        b'"sf__Id","sf__Error","Id"\n"","STRING_TOO_LONG:m:--","' + KEY.encode() + b'"\n',
        b'"Id"\n"ab',
        b"\xff\xfe",
        b"",
        b"<html>",
    ]
)
answers = st.tuples(
    st.sampled_from([200] * 12 + [201, 204, 300, 400, 401, 404, 410, 503]),
    bodies | files,
    st.sampled_from([DATE, "", "nonsense"]),
    st.sampled_from(["null", "", "next"]),
)


class Script:
    """Answers every request with the next of a list, over both libraries; the last one again and again."""

    def __init__(self, replies: list[tuple[int, bytes, str, str]]) -> None:
        self.replies = replies
        self.asked = 0

    def _next(self) -> tuple[int, bytes, dict[str, str]]:
        status, body, date, locator = self.replies[min(self.asked, len(self.replies) - 1)]
        self.asked += 1
        return status, body, {"date": date, "sforce-locator": locator, "sforce-limit-info": "api-usage=1/2"}

    def __call__(self, _request: httpx.Request) -> httpx.Response:
        # A server that says "there is more" for ever is not a case of bad data, and would never end.
        if self.asked > 60:
            raise httpx.ReadTimeout("enough")
        status, body, headers = self._next()
        return httpx.Response(status, content=body, headers=headers)

    def call(self, _token, _method, _path, _body, _headers) -> Answer:
        response = self(httpx.Request("GET", URL))
        return Answer(response.status_code, dict(response.headers), response.content)

    def close(self) -> None:
        pass


def connector(script: Script) -> SalesforceConnector:
    settings_ = SalesforceSettings(access_token="t", instance_url=URL, rest_limit=0, job_hours=0.01)
    client = httpx.Client(transport=httpx.MockTransport(script))
    retry = RetryPolicy(attempts=2, sleep=lambda _: None)
    transport = Transport(TokenSource(settings_, client, retry), client, script, retry, "62.0")
    ticks = iter(range(10_000_000))
    jobs = Jobs(transport, 0.0, 20.0, lambda: float(next(ticks)))
    return SalesforceConnector(settings_, transport, jobs, transport.usage)


CALLS: dict[str, Callable[[SalesforceConnector], object]] = {
    "identify": lambda crm: crm.identify(),
    "describe": lambda crm: crm.describe(["Account"]),
    "count": lambda crm: crm.count({"Account": ()}),
    "pull": lambda crm: list(crm.pull([PullRequest("Account", ("Id", "Name"))])),
    "pull ids": lambda crm: list(crm.pull([PullRequest("Account", ("Id", "Name"), ids=(KEY,))])),
    "push": lambda crm: list(crm.push("Account", [Update(KEY, {"A__c": Decimal(1)})], expected=1, fence=lambda: None)),
    "push many": lambda crm: list(
        crm.push("Account", [Update(KEY, {"A__c": Decimal(1)})], expected=5000, fence=lambda: None)
    ),
    "allowance": lambda crm: crm.allowance(),
    "health": lambda crm: crm.check_health(),
    "plan setup": lambda crm: crm.plan_setup(),
    "apply setup": lambda crm: crm.apply_setup(check_only=False),
}


@pytest.mark.parametrize("name", CALLS)
@settings(max_examples=60, deadline=None)
@given(replies=st.lists(answers, min_size=1, max_size=8))
def test_nothing_but_our_own_errors_comes_out(name, replies) -> None:
    with closing(connector(Script(replies))) as crm:
        try:
            CALLS[name](crm)
        except ConnectorError:
            return


@settings(max_examples=60, deadline=None)
@given(replies=st.lists(answers, min_size=1, max_size=8))
def test_every_update_has_at_most_one_result_whatever_comes_back(replies) -> None:
    for expected in (1, 5000):
        results = []
        with closing(connector(Script(replies))) as crm:
            try:
                results.extend(
                    crm.push("Account", [Update(KEY, {"A__c": Decimal(1)})], expected=expected, fence=lambda: None)
                )
            except ConnectorError:
                assert len(results) <= 1
            else:
                assert [result.record_id for result in results] == [KEY]
