"""A frozen org behind a server, and a client that speaks to it; no test may crash the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest

from connectors.salesforce.sandbox import Clock, Org, Sandbox

START = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


class Client:
    """httpx with the version's root in front of every path that has no leading slash."""

    def __init__(self, sandbox, token, version="62.0"):
        self.root = f"/services/data/v{version}/"
        self.http = httpx.Client(
            base_url=sandbox.url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, verify=False
        )

    def ask(self, method, path, **options):
        return self.http.request(method, path if path.startswith("/") else self.root + path, **options)

    def get(self, path, **options):
        return self.ask("GET", path, **options)

    def post(self, path, json=None, **options):
        return self.ask("POST", path, json=json, **options)

    def patch(self, path, json=None, **options):
        return self.ask("PATCH", path, json=json, **options)

    def delete(self, path, **options):
        return self.ask("DELETE", path, **options)

    def soql(self, text, *, deleted=False, **options):
        return self.get("queryAll" if deleted else "query", params={"q": text}, **options)

    def rows(self, text, *, deleted=False):
        answer = self.soql(text, deleted=deleted)
        assert answer.status_code == 200, answer.text
        return [{key: value for key, value in row.items() if key != "attributes"} for row in answer.json()["records"]]

    def names(self, text, **options):
        return [row["Name"] for row in self.rows(text, **options)]

    def refused(self, text):
        answer = self.soql(text)
        assert answer.status_code == 400, answer.text
        return answer.json()[0]["errorCode"]

    def update_many(self, *records, object_name="Account", **body):
        typed = [{"attributes": {"type": object_name}, **record} for record in records]
        return self.patch("composite/sobjects", {"records": typed, **body})


@pytest.fixture
def clock():
    return Clock(START)


@pytest.fixture
def org(clock):
    return Org(clock=clock)


@pytest.fixture
def sandbox(org):
    with Sandbox(org, token="fixed-token") as running:
        yield running
        assert running.engine.crashes == []


@pytest.fixture
def connect(sandbox):
    opened = []

    def open_client(token="fixed-token", version="62.0"):
        opened.append(Client(sandbox, token, version))
        return opened[-1]

    yield open_client
    for client in opened:
        client.http.close()


@pytest.fixture
def client(connect):
    return connect()


@pytest.fixture
def run_ingest(client):
    """Run an ingest job to its end and return its final state and a reader of its result files."""

    def run(text, operation="update", object_name="Account", **extra):
        body = {"object": object_name, "operation": operation, "contentType": "CSV", "lineEnding": "LF", **extra}
        job = client.post("jobs/ingest", body).json()
        path = f"jobs/ingest/{job['id']}"
        content = text if isinstance(text, bytes) else text.encode()
        assert (
            client.ask("PUT", f"{path}/batches", content=content, headers={"Content-Type": "text/csv"}).status_code
            == 201
        )
        assert client.patch(path, {"state": "UploadComplete"}).status_code == 200
        for _ in range(5):
            state = client.get(path).json()
            if state["state"] in {"JobComplete", "Failed"}:
                break
        return state, lambda name: client.get(f"{path}/{name}").text

    return run


@pytest.fixture
def run_bulk_query(client):
    """Run a query job to its end and return its path."""

    def run(text, operation="query", **extra):
        answer = client.post("jobs/query", {"operation": operation, "query": text, **extra})
        assert answer.status_code == 200, answer.text
        path = f"jobs/query/{answer.json()['id']}"
        for _ in range(5):
            if client.get(path).json()["state"] in {"JobComplete", "Failed"}:
                break
        return path

    return run
