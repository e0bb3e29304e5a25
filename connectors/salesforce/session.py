"""simple-salesforce over a `requests` session that we own.

The library knows the paths and headers of the REST API. Its own error handling, token renewal and record classes are
left aside: they lose headers on renewal, recurse without end on a lasting 401 and stumble over bodies that are not
JSON. What arrives is an `Answer`, whatever it holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce

from connectors.http import CONNECT_SECONDS, READ_SECONDS, USER_AGENT, is_loopback, unreachable
from connectors.salesforce.auth import Token
from connectors.salesforce.transport import Answer


class OwnedAdapter(HTTPAdapter):
    """Gives every request time-outs, and lets a library that writes https everywhere reach a local org by http."""

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


class LoopbackAdapter(OwnedAdapter):
    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> requests.Response:
        if request.url and is_loopback(urlsplit(request.url).hostname or ""):
            request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


class RestSession:
    """One org's REST API. Every call sends one request, once, and returns what came back."""

    def __init__(self, api_version: str) -> None:
        self._version = api_version
        self._session = requests.Session()
        # Without an auth object of its own, requests would replace our token by a password from ~/.netrc.
        self._session.auth = _keep_headers
        self._session.headers["User-Agent"] = USER_AGENT
        self._session.mount("https://", OwnedAdapter())
        self._session.mount("http://", OwnedAdapter())
        self._org: Salesforce | None = None

    def call(self, token: Token, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """`path` is relative to the versioned base, or absolute when it starts with a slash."""
        org = self._org_of(token)
        url = f"https://{org.sf_instance}{path}" if path.startswith("/") else org.base_url + path
        sent = {**org.headers, "X-PrettyPrint": "0", "Accept-Encoding": "gzip", **headers}
        try:
            answer = self._session.request(method, url, data=body, headers=sent, allow_redirects=False)
        except requests.RequestException as error:
            raise unreachable(error, urlsplit(token.instance_url).hostname or "") from None
        return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)

    def close(self) -> None:
        self._session.close()

    def _org_of(self, token: Token) -> Salesforce:
        if self._org is None or self._org.session_id != token.value:
            parts = urlsplit(token.instance_url)
            self._session.mount("https://", LoopbackAdapter() if parts.scheme == "http" else OwnedAdapter())
            self._session.trust_env = not is_loopback(parts.hostname or "")
            self._org = Salesforce(
                session_id=token.value,
                instance_url=token.instance_url,
                session=self._session,
                version=self._version,
            )
        return self._org


def _keep_headers(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
