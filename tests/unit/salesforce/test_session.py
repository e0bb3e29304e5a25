"""The REST session as it reaches the wire: our token, time-outs, no redirect, plain http for loopback only."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import requests
from requests.adapters import HTTPAdapter

from connectors.errors import ProtocolError, UnreachableError
from connectors.salesforce.connector import SalesforceConnector

ORG = "https://acme.my.salesforce.com"


class Wire:
    """Stands in for the network below the session's own adapters."""

    def __init__(self) -> None:
        self.sent: list[requests.PreparedRequest] = []
        self.timeouts: list[object] = []
        self.status, self.headers, self.error = 200, {}, None

    def send(self, request: requests.PreparedRequest, **more: object) -> requests.Response:
        self.sent.append(request)
        self.timeouts.append(more.get("timeout"))
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


@pytest.mark.parametrize(
    "error",
    [requests.ConnectionError("https://x?token=1"), requests.ReadTimeout(), requests.exceptions.ChunkedEncodingError()],
)
def test_trouble_below_is_unreachable_and_tells_no_address(cloud, wire, error) -> None:
    wire.error = error

    with pytest.raises(UnreachableError, match=r"No answer from acme\.my\.salesforce\.com") as caught:
        cloud.transport.call("GET", "limits", "limits")

    assert "token" not in caught.value.message
