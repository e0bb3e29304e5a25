"""Who may do what: bearer keys for programs, the same keys as a password for people, deny by default."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Request

from app.bootstrap import Services
from app.config import is_loopback
from app.store.keys import PREFIX, ApiKey, load_key
from app.web.guesses import Guesses
from app.web.problems import ProblemError

MAX_KEY_LENGTH = 200
CHALLENGE = 'Basic realm="advocacy-sync: any user name, an API key as password", charset="UTF-8"'
"""ASCII on purpose: browsers show this text before any page is there to say it better."""
_FORWARDING_HEADERS = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def find_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


ServicesOf = Annotated[Services, Depends(find_services)]


def require_key(scope: str) -> Callable[[Request, Services], ApiKey]:
    """A dependency that lets a request through when its bearer key has the scope."""

    def check(request: Request, services: ServicesOf) -> ApiKey:
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        key = find_key(request, services, secret) if scheme.lower() == "bearer" else None
        if key is None:
            raise ProblemError(401, "a valid API key is needed", headers={"WWW-Authenticate": "Bearer"})
        if not key.allows(scope):
            raise ProblemError(403, f"this key may not {scope}")
        return key

    return check


def require_calendar(request: Request, services: ServicesOf) -> None:
    """Let a calendar program read its feed, with a key that may do no more than that as the password.

    These programs can send no header of their own, but all know user name and password. A secret in the address would
    end up in logs, histories and shared calendars. There is no way in without a key, not even from this machine.
    """
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    key = find_key(request, services, secret if scheme.lower() == "bearer" else read_password(request))
    if key is None:
        raise ProblemError(401, "a valid API key is needed, as password", headers={"WWW-Authenticate": CHALLENGE})
    if not key.allows("calendar"):
        raise ProblemError(403, "this key may not read the calendar")


def require_monitor(request: Request, services: ServicesOf) -> None:
    """Let this very machine see how the service is doing, and anybody with a key that may read."""
    if not _is_local(request):
        require_key("read")(request, services)


def require_reader(request: Request, services: ServicesOf) -> None:
    """Let a person see the pages: with a key as the password, or from this very machine."""
    mode = services.settings.web_pages
    if mode == "open" or (mode == "auto" and _is_local(request)):
        return
    key = find_key(request, services, read_password(request))
    if key is None or not key.allows("read"):
        raise ProblemError(401, "log in with an API key as password", headers={"WWW-Authenticate": CHALLENGE})


def find_key(request: Request, services: Services, secret: str) -> ApiKey | None:
    """The working key with this secret. Refuses to look for more of them when one address was wrong too often."""
    if not secret:
        return None
    guesses: Guesses = request.app.state.guesses
    address = request.client.host if request.client else ""
    if seconds := guesses.wait(address, secret):
        headers = {"Retry-After": str(seconds)}
        raise ProblemError(429, "too many wrong API keys from this address", headers=headers)
    key = _load_working(services, secret)
    guesses.note(address, secret, passed=key is not None)
    return key


def _load_working(services: Services, secret: str) -> ApiKey | None:
    if not secret.startswith(PREFIX) or len(secret) > MAX_KEY_LENGTH:
        return None
    key = load_key(services.database, secret)
    return key if key is not None and key.revoked_at is None else None


def read_password(request: Request) -> str:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""


def _is_local(request: Request) -> bool:
    """Browser and server on one machine, addressed as such, with no proxy between that we can see.

    The host is compared because a page elsewhere can make its own name point at 127.0.0.1.
    """
    peer = request.client.host if request.client else None
    forwarded = any(name in request.headers for name in _FORWARDING_HEADERS)
    return is_loopback(peer) and is_loopback(request.url.hostname) and not forwarded
