"""The CRM under measurement: a server in a process of its own, and the shortest honest client for it.

The client is what the floors are made with: standard library, no retries, nothing checked. It speaks Bulk API 2.0.
"""

from __future__ import annotations

import csv
import io
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from company import Size, record_id, write_exports

PROJECT = Path(__file__).resolve().parents[2]
STUB_VARIABLE = "ADVOCACY_BENCH_STUB"
API = "/services/data/v62.0/jobs"
START_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Crm:
    """A running server. `fields`: where it shows total, direct and referred revenue."""

    kind: str
    url: str
    token: str
    pid: int
    fields: tuple[str, str, str]
    has_currencies: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """How slow the CRM pretends to be; only the neutral server can."""

    latency_ms: float = 0
    job_seconds: float = 0

    @property
    def poll_seconds(self) -> float:
        return 0.5 if self.job_seconds else 0.05


def find_stub() -> Path | None:
    """The folder of the neutral server; None where there is none."""
    folder = Path(os.environ.get(STUB_VARIABLE) or PROJECT.parent / "shared/bench/salesforce-stub")
    return folder if (folder / "sfstub").is_dir() else None


@contextmanager
def start_crm(stub: Path | None, size: Size, scratch: Path, pace: Pace) -> Iterator[Crm]:
    """A server with untouched data. `scratch` may be shared: what was rendered or generated there is used again."""
    start = _start_sandbox(size, scratch) if stub is None else _start_stub(stub, size, scratch, pace)
    with start as crm:
        yield crm


@contextmanager
def _start_stub(stub: Path, size: Size, scratch: Path, pace: Pace) -> Iterator[Crm]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    options = {
        "port": port,
        "accounts": size.accounts,
        "opportunities": size.opportunities,
        "latency-ms": pace.latency_ms,
        "job-seconds": pace.job_seconds,
        "cache-dir": scratch / "rendered",
    }
    command = [sys.executable, "-m", "sfstub", *(f"--{name}={value}" for name, value in options.items())]
    with _running(command, stub) as (process, _):
        url = f"http://127.0.0.1:{port}"
        fields = ("Total_Customer_Value__c", "Direct_Revenue__c", "Referred_Revenue__c")
        yield Crm("stub", url, "00D5g0000000001!bench", process.pid, fields, has_currencies=True)


@contextmanager
def _start_sandbox(size: Size, scratch: Path) -> Iterator[Crm]:
    exports = scratch / "exports"
    if not exports.is_dir():
        exports.mkdir()
        write_exports(size, exports)
    with start_sandbox(exports) as crm:
        yield crm


@contextmanager
def start_sandbox(exports: Path) -> Iterator[Crm]:
    """A sandbox org that holds the records of a folder of CSV files."""
    token = secrets.token_urlsafe(16)
    options = ["--port=0", f"--token={token}", f"--data={exports}", "--json"]
    with _running([sys.executable, "-m", "app", "sandbox", *options], PROJECT) as (process, said):
        fields = ("Total_Customer_Value__c", "Advocacy_Direct_Revenue__c", "Advocacy_Referred_Revenue__c")
        yield Crm("sandbox", json.loads(said)["url"], token, process.pid, fields, has_currencies=False)


@contextmanager
def _running(command: list[str], folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process once it has said its first line, which both servers say when they listen or are about to."""
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        said = process.stdout.readline()
        if not said:
            raise SystemExit(f"the CRM did not start: {' '.join(command)}")
        yield process, said
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=30)
        if process.stdout is not None:
            process.stdout.close()


class Plain:
    """One connection and no more care than it takes to be measured."""

    def __init__(self, crm: Crm, poll_seconds: float = 0.05) -> None:
        self.crm, self.poll_seconds, self.calls = crm, poll_seconds, 0
        self._connection = HTTPConnection(urlsplit(crm.url).netloc, timeout=600)
        _wait_until_listening(self._connection)

    def rows(self, soql: str) -> Iterator[list[str]]:
        """Every record of a query as text, by one bulk job."""
        job = self._json("POST", f"{API}/query", {"operation": "queryAll", "query": soql})["id"]
        self._settled(f"{API}/query/{job}")
        locator = ""
        while locator != "null":
            path = f"{API}/query/{job}/results" + (f"?locator={quote(locator)}" if locator else "")
            response = self._ask("GET", path)
            locator = response.getheader("Sforce-Locator") or "null"
            reader = csv.reader(io.TextIOWrapper(response, "utf-8", newline=""))
            next(reader, None)
            yield from reader
            # The reader stops at the last byte, one empty read before http.client notices.
            response.close()

    def upload(self, path: Path, object_name: str = "Account") -> None:
        """Update records from a CSV file by one ingest job."""
        job = {"object": object_name, "operation": "update", "contentType": "CSV", "lineEnding": "LF"}
        url = f"{API}/ingest/" + self._json("POST", f"{API}/ingest", job)["id"]
        self._ask("PUT", f"{url}/batches", path.read_bytes(), "text/csv").read()
        self._json("PATCH", url, {"state": "UploadComplete"})
        done = self._settled(url)
        if done["numberRecordsFailed"]:
            raise SystemExit(f"the CRM refused {done['numberRecordsFailed']} records of {path.name}")

    def count_calls(self) -> int:
        """API calls as the server counts them, since it started."""
        if self.crm.kind == "stub":
            return int(self._json("GET", "/__stats")["api_calls"])
        return int(self._json("GET", "/sandbox/state")["api_used"])

    def change_deals(self, start: int, count: int, scratch: Path) -> None:
        """Let users win `count` deals, from number `start` on."""
        if self.crm.kind == "stub":
            self._json("POST", f"/__mutate?object=Opportunity&start={start}&count={count}")
            return
        path = scratch / "changes.csv"
        lines = [f"{record_id('006', start + n)},Closed Won,{5000 + n}.50\n" for n in range(count)]
        path.write_text("Id,StageName,Amount\n" + "".join(lines))
        self.upload(path, "Opportunity")

    def _settled(self, url: str) -> dict[str, Any]:
        while True:
            job = self._json("GET", url)
            if job["state"] == "JobComplete":
                return job
            if job["state"] in ("Failed", "Aborted"):
                raise SystemExit(f"a bulk job of the CRM ended as {job['state']}: {job.get('errorMessage')}")
            time.sleep(self.poll_seconds)

    def _json(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        answer: dict[str, Any] = json.load(self._ask(method, path, data, "application/json"))
        return answer

    def _ask(self, method: str, path: str, body: bytes | None = None, content_type: str = "") -> HTTPResponse:
        headers = {"Authorization": f"Bearer {self.crm.token}"} | ({"Content-Type": content_type} if body else {})
        self._connection.request(method, path, body, headers)
        self.calls += path.startswith(API)
        response = self._connection.getresponse()
        if response.status >= 400:
            raise SystemExit(f"{method} {path}: {response.status} {response.read()[:300]!r}")
        return response


def _wait_until_listening(connection: HTTPConnection) -> None:
    until = time.monotonic() + START_SECONDS
    while True:
        try:
            connection.connect()
            return
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)
