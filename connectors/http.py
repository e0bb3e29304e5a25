"""What every REST connector needs from HTTP, and nothing of any vendor: one client, one status table, one redaction.

Rules upheld here: every request has time-outs; plain http reaches loopback only; a body that is not JSON is a fact,
never a crash; no secret survives into a message.
"""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import TypeVar
from urllib.parse import urlsplit

import httpx

from connectors.errors import (
    AllowanceError,
    ConfigurationError,
    ConnectorError,
    CredentialsError,
    ProtocolError,
    RateLimitedError,
    TransientError,
    UnreachableError,
)

T = TypeVar("T")

CONNECT_SECONDS = 10.0
READ_SECONDS = 150.0
"""Longer than the two minutes a CRM may work on one query before it answers."""

USER_AGENT = "advocacy-sync"

STATUS_ERRORS: Mapping[int, type[ConnectorError]] = {
    401: CredentialsError,
    402: AllowanceError,
    403: CredentialsError,
    404: ConfigurationError,
    406: TransientError,
    408: TransientError,
    410: ConfigurationError,
    420: RateLimitedError,
    425: TransientError,
    429: RateLimitedError,
    500: TransientError,
    502: TransientError,
    503: TransientError,
    504: TransientError,
}
"""What an HTTP status means when the body does not say more; any other refusal is a ProtocolError."""

_SECRETS = re.compile(
    r"""(?ix)
    (?: bearer | basic ) \s+ [\w.!~+/=-]+
    | \b 00D [a-z0-9]{9,15} ! [\w.]+
    | \b eyJ [\w-]+ \. [\w-]+ (?: \. [\w-]* )?
    | -----BEGIN [^-]+ KEY----- .*? (?: -----END [^-]+ KEY----- | \Z )
    | ( access_token | refresh_token | client_secret | assertion | password | sid | code ) (["']? \s* [=:] \s* ["']?)
      [^\s"'&,;]+
    """,
    re.DOTALL,
)
# The libraries that send do not agree with `urlsplit` on where a host ends, so it may hold nothing they differ about.
_ADDRESS = re.compile(
    r"https?://(?:(?:[a-z0-9-]+\.)*[a-z0-9-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?/?", re.IGNORECASE | re.ASCII
)
_QUERY_OF_URL = re.compile(r"(https?://[^\s?#\"'<>]+)[?#][^\s\"'<>]*")


def error_for_status(status: int) -> type[ConnectorError]:
    return STATUS_ERRORS.get(status) or (TransientError if status >= 500 else ProtocolError)


def redact(text: str, limit: int = 500) -> str:
    """`text` without tokens, secrets and query strings, on one line, at most `limit` characters."""
    clean = _QUERY_OF_URL.sub(r"\1", _SECRETS.sub(lambda m: f"{m[1]}{m[2]}[removed]" if m[1] else "[removed]", text))
    clean = " ".join(clean.split())
    return clean if len(clean) <= limit else clean[: limit - 1] + "…"


def decode_json(body: bytes | str) -> object | None:
    """The JSON value of a body, or None where the body is something else (a proxy's HTML page, nothing at all)."""
    try:
        value: object = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return value


def require(body: object, name: str, kind: type[T]) -> T:
    """The member `name` of a JSON object when it is of this kind; ProtocolError otherwise."""
    value = body.get(name) if isinstance(body, Mapping) else None
    if isinstance(value, kind) and not (kind is int and isinstance(value, bool)):
        return value
    raise ProtocolError(f"An answer of the CRM lacks {name}, or has something else in its place.")


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_address(url: str, name: str, domains: Iterable[str]) -> None:
    """Refuse an address that is more than scheme, host and port, or could carry a token somewhere else.

    `domains`: `.example.com` allows every host below it, `example.com` exactly that host. Loopback is always allowed,
    and is the only place plain http may go. `name` says in the message which setting or answer the address came from.
    """
    problem = _problem_of_address(url, tuple(domains))
    if problem:
        raise ConfigurationError(f"{name}: {problem}")


def _problem_of_address(url: str, domains: tuple[str, ...]) -> str:
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").lower(), parts.port
    except ValueError:
        return "this is not an address"
    if parts.scheme not in ("https", "http") or not host:
        return "write a full address, such as https://example.my.salesforce.com"
    if "@" in url:
        return "an address must not contain a user name or password"
    if not _ADDRESS.fullmatch(url):
        return "write the scheme, the host and at most a port, such as https://example.my.salesforce.com"
    if is_loopback(host):
        return ""
    if parts.scheme != "https":
        return f"plain http is accepted for this computer only; use https for {host}"
    return (
        ""
        if _is_allowed(host, domains)
        else f"{host} is not an allowed host; add it to the allowed hosts if it is yours"
    )


def _is_allowed(host: str, domains: tuple[str, ...]) -> bool:
    return any(host.endswith(d) if d.startswith(".") else host == d for d in (domain.lower() for domain in domains))


def build_client(base_url: str, *, read_seconds: float = READ_SECONDS) -> httpx.Client:
    """A client that never follows a redirect (a token must not travel) and ignores proxies for loopback.

    It keeps no cookies: one may carry the session of an earlier login into a later request.
    """
    return httpx.Client(
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
        timeout=httpx.Timeout(read_seconds, connect=CONNECT_SECONDS),
        follow_redirects=False,
        trust_env=not is_loopback(urlsplit(base_url).hostname or ""),
        headers={"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"},
    )


def unreachable(error: Exception, host: str) -> UnreachableError:
    """A connection problem in words; the text of the exception itself may hold a URL and is left out."""
    kind = type(error).__name__
    return UnreachableError(f"No answer from {host} ({kind}). Check the network and try again.", code=kind)


def read_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds to wait from a Retry-After header (seconds or a date); None without a usable one."""
    text = headers.get("retry-after", "").strip()
    if text.isdecimal():
        return float(text)
    moment = read_http_date(text)
    return None if moment is None else max(0.0, (moment - (now or datetime.now(UTC))).total_seconds())


def read_http_date(text: str) -> datetime | None:
    """An HTTP date as aware UTC; None when it is missing or malformed."""
    try:
        moment = parsedate_to_datetime(text)
    except (TypeError, ValueError, IndexError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
