"""The REST session as it reaches the wire: our token, time-outs, no redirect, plain http for loopback only."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest
import requests
from requests.adapters import HTTPAdapter

from connectors.errors import ProtocolError, UnreachableError
from connectors.salesforce.auth import Token
from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.session import RestSession

ORG = "https://acme.my.salesforce.com"


class Wire:
    """Stands in for the network below the session's own adapters."""

    def __init__(self) -> None:
        self.sent: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []
        self.proxies: list[dict[str, str]] = []
        self.status, self.headers, self.error = 200, {}, None

    def send(self, request: requests.PreparedRequest, **more: object) -> requests.Response:
        self.sent.append(request)
        self.timeouts.append(more.get("timeout"))
        self.proxies.append(more.get("proxies"))
        if self.error:
            raise self.error
        answer = requests.Response()
        answer.status_code, answer._content, answer.url = self.status, b"{}", str(request.url)
        answer.headers.update(self.headers)
        answer.request = request
        return answer


@pytest.fixture
def wire(monkeypatch) -> Iterator[Wire]:
    made = Wire()
    monkeypatch.setattr(HTTPAdapter, "send", made.send)
    return made


@pytest.fixture
def cloud(connect, wire) -> SalesforceConnector:
    return connect(access_token="our-token", instance_url=ORG)


def test_a_netrc_file_does_not_replace_the_token(cloud, wire, tmp_path, monkeypatch) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))

    cloud.transport.call("GET", "limits", "limits")

    assert wire.sent[0].headers["Authorization"] == "Bearer our-token"


def test_every_request_has_time_outs(cloud, wire) -> None:
    cloud.transport.call("GET", "limits", "limits")

    assert all(wire.timeouts[0])


def test_a_redirect_is_not_followed(cloud, wire) -> None:
    wire.status, wire.headers = 302, {"Location": "https://elsewhere.example/"}

    with pytest.raises(ProtocolError):
        cloud.transport.call("GET", "limits", "limits")

    assert len(wire.sent) == 1


def test_a_cloud_org_is_reached_by_https_and_a_local_one_by_http(cloud, connect, wire) -> None:
    local = connect(access_token="t", instance_url="http://127.0.0.1:1234")

    cloud.transport.call("GET", "/services/data", "versions")
    local.transport.call("GET", "limits", "limits")

    assert wire.sent[0].url == f"{ORG}/services/data"
    assert wire.sent[1].url == "http://127.0.0.1:1234/services/data/v62.0/limits"


def test_a_loopback_org_with_a_certificate_is_reached_by_https(connect, wire) -> None:
    connect(access_token="t", instance_url="https://127.0.0.1:1234").transport.call("GET", "limits", "limits")

    assert wire.sent[0].url == "https://127.0.0.1:1234/services/data/v62.0/limits"


def test_threads_that_change_tokens_send_each_to_its_own_org(wire) -> None:
    rest = RestSession("62.0")
    tokens = [Token(f"token{i}", f"http{'s' * (i % 2)}://127.0.0.{i + 1}:1") for i in range(8)]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda n: rest.call(tokens[n % 8], "GET", "limits", None, {}), range(400)))
    finally:
        sys.setswitchinterval(interval)
        rest.close()

    seen = {(request.url, request.headers["Authorization"]) for request in wire.sent}
    assert seen == {(f"{t.instance_url}/services/data/v62.0/limits", f"Bearer {t.value}") for t in tokens}


def test_a_proxy_is_asked_for_a_cloud_org_only(cloud, connect, wire, monkeypatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)

    cloud.transport.call("GET", "limits", "limits")
    connect(access_token="t", instance_url="http://127.0.0.1:1234").transport.call("GET", "limits", "limits")

    assert [proxies.get("https") for proxies in wire.proxies] == ["http://127.0.0.1:9", None]


def test_a_cookie_that_an_org_sets_is_not_kept() -> None:
    received: list[str | None] = []

    class Baker(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            received.append(self.headers["Cookie"])
            self.send_response(200)
            self.send_header("Set-Cookie", "BrowserId=x; path=/")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    rest = RestSession("62.0")
    with HTTPServer(("127.0.0.1", 0), Baker) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            token = Token("t", f"http://127.0.0.1:{server.server_port}")
            for _ in range(2):
                rest.call(token, "GET", "limits", None, {})
        finally:
            server.shutdown()
            thread.join()
            rest.close()

    assert received == [None, None]


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError("https://x?token=1"), requests.ReadTimeout(), requests.exceptions.ChunkedEncodingError()],
)
def test_trouble_below_is_unreachable_and_tells_no_address(cloud, wire, error) -> None:
    wire.error = error

    with pytest.raises(UnreachableError, match=r"No answer from acme\.my\.salesforce\.com") as caught:
        cloud.transport.call("GET", "limits", "limits")

    assert "token" not in caught.value.message
