"""One request to the org, whichever library carries it.

It adds the token, one renewal and one replay, the count of calls and the lagging gauge of the allowance, and turns
every refusal into a ConnectorError.

Retries are not here: `read` adds them for calls that only read; writers decide for themselves.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeVar

import httpx

from connectors.contract import Allowance, Usage
from connectors.errors import CredentialsError, ProtocolError
from connectors.http import read_http_date, unreachable
from connectors.retry import RetryPolicy
from connectors.salesforce.auth import Token, TokenSource
from connectors.salesforce.failures import is_hopeless_session, read_failure

_GAUGE = re.compile(r"\b(?:per-app-)?api-usage=(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` are keyed in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def date(self) -> datetime | None:
        return read_http_date(self.headers.get("date", ""))


class Rest(Protocol):
    def call(self, token: Token, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer: ...

    def close(self) -> None: ...


A = TypeVar("A", Answer, httpx.Response)


@dataclass(slots=True)
class Transport:
    tokens: TokenSource
    client: httpx.Client
    rest: Rest
    retry: RetryPolicy
    api_version: str
    usage: Usage = field(default_factory=Usage)
    gauge: Allowance = field(default_factory=Allowance)
    """Calls used and granted as the last answer told; it lags behind by minutes."""
    now: datetime | None = None
    """Salesforce's clock at the last answer that told it."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def path(self, rest: str, version: str = "") -> str:
        return f"/services/data/v{version or self.api_version}/{rest}"

    def read(
        self, method: str, path: str, kind: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """A call over the REST session that changes nothing in the CRM, repeated while it fails for passing reasons."""
        return self.retry.run(lambda: self.call(method, path, kind, body=body, headers=headers))

    def call(
        self, method: str, path: str, kind: str, *, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One call over the REST session (simple-salesforce)."""

        def attempt(token: Token) -> Answer:
            self._count(kind, len(body or b""))
            return self.rest.call(token, method, path, body, headers or {})

        return self._settle(self._authorised(attempt))

    def send(
        self,
        method: str,
        path: str,
        kind: str,
        *,
        content: bytes | Iterable[bytes] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One call over httpx. `content` must be iterable again: a renewal of the token sends it twice."""

        def attempt(token: Token) -> Answer:
            request = self._build(token, method, path, content, headers or {})
            self._count(kind, int(request.headers.get("content-length", 0)))
            try:
                answer = self.client.send(request)
            except httpx.HTTPError as error:
                raise unreachable(error, token.host) from None
            return _answer_of(answer)

        return self._settle(self._authorised(attempt))

    @contextmanager
    def stream(self, path: str, kind: str) -> Iterator[httpx.Response]:
        """A good answer whose body has not been read; the caller reads it, and translates httpx errors of that."""

        def attempt(token: Token) -> httpx.Response:
            self._count(kind, 0)
            try:
                return self.client.send(self._build(token, "GET", path, None, {"Accept": "text/csv"}), stream=True)
            except httpx.HTTPError as error:
                raise unreachable(error, token.host) from None

        answer = self._authorised(attempt)
        try:
            if answer.status_code != 200:
                raise read_failure(answer.status_code, _read_body(answer), _answer_of(answer).headers)
            self._note_gauge(answer.headers)
            yield answer
        finally:
            answer.close()

    def received(self, size: int) -> None:
        with self._lock:
            self.usage.bytes_in += size

    def _authorised(self, attempt: Callable[[Token], A]) -> A:
        token = self.tokens.current()
        answer = attempt(token)
        if _status(answer) != 401:
            return answer
        self._refuse_hopeless(answer)
        answer = attempt(self.tokens.renew(token))
        if _status(answer) == 401:
            raise CredentialsError("Salesforce refuses even a new session: check the app's policies.")
        return answer

    def _refuse_hopeless(self, answer: Answer | httpx.Response) -> None:
        body = answer.body if isinstance(answer, Answer) else _read_body(answer)
        if is_hopeless_session(body):
            raise CredentialsError("This session may not use the REST API: check the app's scopes.")

    def _settle(self, answer: Answer) -> Answer:
        self._note_gauge(answer.headers)
        self.received(len(answer.body))
        self.now = answer.date or self.now
        if not 200 <= answer.status < 300:
            raise read_failure(answer.status, answer.body, answer.headers)
        return answer

    def _build(
        self, token: Token, method: str, path: str, content: bytes | Iterable[bytes] | None, headers: Mapping[str, str]
    ) -> httpx.Request:
        if not path.startswith("/services/"):
            raise ProtocolError("Salesforce named a path outside its API; nothing was sent there.")
        sent = {"Authorization": f"Bearer {token.value}", "Accept": "application/json", **headers}
        return self.client.build_request(method, token.instance_url + path, content=content, headers=sent)

    def _count(self, kind: str, size: int) -> None:
        with self._lock:
            self.usage.api_calls += 1
            self.usage.bytes_out += size
            self.usage.by_kind[kind] = self.usage.by_kind.get(kind, 0) + 1

    def _note_gauge(self, headers: Mapping[str, str]) -> None:
        pairs = _GAUGE.findall(headers.get("sforce-limit-info", ""))
        if pairs:
            # An org may grant one app less than it has itself: the scarcer of the two is what counts.
            self.gauge = min((Allowance(int(used), int(limit)) for used, limit in pairs), key=lambda a: a.left or 0)


def _answer_of(answer: httpx.Response) -> Answer:
    return Answer(answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.content)


def _read_body(answer: httpx.Response) -> bytes:
    try:
        return answer.read()
    except httpx.HTTPError as error:
        answer.close()
        raise unreachable(error, answer.url.host) from None


def _status(answer: Answer | httpx.Response) -> int:
    return answer.status if isinstance(answer, Answer) else answer.status_code
