"""simple-salesforce over a `requests` session that we own.

The library knows the paths and headers of the REST API. Its own error handling, token renewal and record classes are
left aside: they lose headers on renewal, recurse without end on a lasting 401 and stumble over bodies that are not
JSON. What arrives is an `Answer`, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce

from connectors.http import CONNECT_SECONDS, READ_SECONDS, USER_AGENT, is_loopback, unreachable
from connectors.salesforce.auth import Token
from connectors.salesforce.transport import Answer


class OwnedAdapter(HTTPAdapter):
    """Gives every request time-outs."""

    def send(
        self,
        request: requests.PreparedRequest,
        stream: bool = False,
        timeout: Any = None,
        verify: Any = True,
        cert: Any = None,
        proxies: Any = None,
    ) -> requests.Response:
        return super().send(
            request,
            stream=stream,
            timeout=timeout or (CONNECT_SECONDS, READ_SECONDS),
            verify=verify,
            cert=cert,
            proxies=proxies,
        )


class RestSession:
    """One org's REST API. Every call sends one request, once, and returns what came back.

    Threads may share it: nothing here changes after it is built. The token comes with each call.
    """

    def __init__(self, api_version: str) -> None:
        self._version = api_version
        self._near, self._far = _build_session(trust_env=False), _build_session(trust_env=True)

    def call(self, token: Token, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """`path` is relative to the versioned base, or absolute when it starts with a slash."""
        place = urlsplit(token.instance_url)
        # Proxies are not for loopback.
        session = self._near if is_loopback(place.hostname or "") else self._far
        org = Salesforce(
            session_id=token.value, instance_url=token.instance_url, session=session, version=self._version
        )
        # The library writes https everywhere; a local org is reached by http.
        base = f"{place.scheme}://{place.netloc}"
        url = base + (path if path.startswith("/") else urlsplit(org.base_url).path + path)
        sent = {**org.headers, "X-PrettyPrint": "0", "Accept-Encoding": "gzip", **headers}
        try:
            answer = session.request(method, url, data=body, headers=sent, allow_redirects=False)
        except requests.RequestException as error:
            raise unreachable(error, place.hostname or "") from None
        return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    def close(self) -> None:
        self._near.close()
        self._far.close()


def _build_session(*, trust_env: bool) -> requests.Session:
    session = requests.Session()
    session.trust_env = trust_env
    # Without an auth object of its own, requests would replace our token by a password from ~/.netrc.
    session.auth = _keep_headers
    session.headers["User-Agent"] = USER_AGENT
    # A jar of cookies is copied for each request, and breaks when another thread fills it meanwhile.
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in ("https://", "http://"):
        session.mount(scheme, OwnedAdapter())
    return session


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
