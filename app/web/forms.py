"""Forms of the pages: who may send one, and that one of our own pages sent it.

A browser that has logged in does so on every request, also on one that a page elsewhere makes it send. So each of our
forms carries a seal that only the key of whoever was shown it can make. Nothing has to be remembered for it: it holds
in every process, and for as long as the key. Without a key nobody writes, not even from this very machine, because what
people do here is kept under their name.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from app.store.keys import ApiKey
from app.web.access import CHALLENGE, ServicesOf, find_key, read_password
from app.web.problems import ProblemError
from app.web.webhooks import LimitedBody

FORM_TYPE = "application/x-www-form-urlencoded"
MAX_FIELDS = 100
_PURPOSE = b"a form of advocacy-sync"


@dataclass(frozen=True, slots=True)
class Writer:
    """Whoever may send forms. `seal`: what their forms must carry."""

    key: ApiKey
    seal: str


def require_writer(request: Request, services: ServicesOf) -> Writer:
    """Let a person see and send forms: with a key as the password that may read and write."""
    secret = read_password(request)
    key = find_key(request, services, secret)
    if key is None or not (key.allows("read") and key.allows("events:write")):
        told = "log in with an API key as password: advocacy keys add NAME --scope read,events:write"
        raise ProblemError(401, told, headers={"WWW-Authenticate": CHALLENGE})
    return Writer(key, hmac.digest(secret.encode(), _PURPOSE, hashlib.sha256).hex())


WriterOf = Annotated[Writer, Depends(require_writer)]


def read_form(request: Request, body: LimitedBody, writer: WriterOf) -> Mapping[str, str]:
    """The fields of a form of ours; one that comes several times, joined by commas; what was left empty is left out."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM_TYPE:
        raise ProblemError(415, f"a form is {FORM_TYPE}")
    if request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise ProblemError(403, "this form was sent by another site")
    fields: dict[str, str] = {}
    try:
        for name, value in parse_qsl(body.decode(), strict_parsing=True, errors="strict", max_num_fields=MAX_FIELDS):
            fields[name] = f"{fields[name]},{value.strip()}" if name in fields else value.strip()
    except ValueError:
        raise ProblemError(422, "the form cannot be read") from None
    if any("\0" in value for value in fields.values()):
        raise ProblemError(422, "the form cannot be read")
    if not hmac.compare_digest(fields.pop("seal", "").encode(), writer.seal.encode()):
        raise ProblemError(403, "this form was made for somebody else: load its page again")
    return fields


FormOf = Annotated[Mapping[str, str], Depends(read_form)]
