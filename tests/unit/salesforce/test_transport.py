"""What the transport itself refuses, seen over both libraries that carry its calls."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
import respx

from connectors.errors import CredentialsError, ProtocolError
from connectors.retry import RetryPolicy
from connectors.salesforce.auth import TokenSource
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.transport import Answer, Transport

ORG = "https://acme.my.salesforce.com"
PATH = "/services/data/v62.0/limits"
SETTINGS = SalesforceSettings(login_url=ORG, client_id="app", client_secret="s")
TOKEN = {"access_token": "t", "instance_url": ORG}
HOPELESS = [{"errorCode": "INVALID_SESSION_ID", "message": "This session is not valid for use with the REST API"}]
ENDED = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]


class OverHttpx:
    """Stands in for the REST session, so that one router answers both."""

    def call(self, token, method, path, body, headers) -> Answer:
        answer = httpx.request(method, token.instance_url + path, content=body, headers=headers)
        return Answer(answer.status_code, dict(answer.headers), answer.content)

    def close(self) -> None:
        pass


@pytest.fixture
def wire() -> Iterator[respx.MockRouter]:
    with respx.mock(base_url=ORG, assert_all_called=False) as router:
        yield router


@pytest.fixture
def login(wire) -> respx.Route:
    return wire.post("/services/oauth2/token").respond(json=TOKEN)


@pytest.fixture
def transport() -> Iterator[Transport]:
    with httpx.Client() as client:
        retry = RetryPolicy(attempts=1)
        yield Transport(TokenSource(SETTINGS, client, retry), client, OverHttpx(), retry, "62.0")


def stream(transport: Transport, path: str) -> None:
    with transport.stream(path, "k"):
        pass


def call(transport: Transport, path: str) -> None:
    transport.call("GET", path, "k")


def send(transport: Transport, path: str) -> None:
    transport.send("GET", path, "k")


@pytest.mark.parametrize("way", [call, send, stream])
def test_a_session_that_no_login_can_cure_is_not_renewed(transport, wire, login, way) -> None:
    route = wire.get(PATH).respond(401, json=HOPELESS)

    with pytest.raises(CredentialsError, match="scopes"):
        way(transport, PATH)

    assert (login.call_count, route.call_count) == (1, 1)


@pytest.mark.parametrize("way", [call, send, stream])
def test_a_session_that_has_ended_is_renewed_once(transport, wire, login, way) -> None:
    route = wire.get(PATH).respond(401, json=ENDED)

    with pytest.raises(CredentialsError, match="even a new session"):
        way(transport, PATH)

    assert (login.call_count, route.call_count) == (2, 2)


@pytest.mark.parametrize("way", [send, stream])
@pytest.mark.parametrize(
    "path", [".evil.example/services/", "@evil.example/services/", ":1/services/", "//evil.example/services/", "/other"]
)
def test_nothing_is_sent_to_a_path_outside_the_api(transport, wire, login, way, path) -> None:
    with pytest.raises(ProtocolError, match="outside its API"):
        way(transport, path)

    assert [call.request.url.path for call in wire.calls] == ["/services/oauth2/token"]
