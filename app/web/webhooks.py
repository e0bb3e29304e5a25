"""`POST /webhooks/events`: read once under a limit, verify, parse strictly, store, answer. Never work inline."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import JSONResponse
from starlette.requests import ClientDisconnect

from app.intake.event_bodies import read_event_body
from app.intake.event_fields import Reader, RejectedEventError
from app.logs import open_log
from app.store.inbox import save_delivery
from app.web.access import ServicesOf
from app.web.problems import ProblemError
from app.web.signatures import verify

MAX_BODY_BYTES = 1_048_576
BODY_SECONDS = 15.0
SOURCE = "events"
REFUSED = "the signature is missing, wrong or too old"

router = APIRouter(tags=["webhooks"])


async def read_limited_body(request: Request) -> bytes:
    """The raw bytes, at most `MAX_BODY_BYTES`, within `BODY_SECONDS`."""
    if "content-encoding" in request.headers:
        raise ProblemError(415, "send the body without Content-Encoding")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared[:20]) > MAX_BODY_BYTES:
        raise ProblemError(413, f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read_stream(request)
    except TimeoutError:
        raise ProblemError(408, "the body took too long", headers={"Connection": "close"}) from None
    except ClientDisconnect:
        raise ProblemError(400, "the body is incomplete") from None


async def _read_stream(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise ProblemError(413, f"the body is larger than {MAX_BODY_BYTES} bytes", headers={"Connection": "close"})
    return bytes(body)


LimitedBody = Annotated[bytes, Depends(read_limited_body)]


@router.post("/webhooks/events", status_code=202)
def receive_events(request: Request, body: LimitedBody, services: ServicesOf) -> JSONResponse:
    """Take a signed delivery of one event or of `{"events": [...]}`. 202: stored for ever; 200: it was known."""
    secrets = [secret.get_secret_value() for secret in services.settings.webhook_secrets]
    delivery_id = verify(request.headers, body, secrets, now=services.now())
    if delivery_id is None:
        open_log().warning("webhook refused", has_secrets=bool(secrets))
        raise ProblemError(401, REFUSED)
    check_events(body, request.app.state.event_reader)
    stored = save_delivery(services.database, sender_id=delivery_id, source=SOURCE, body=body, now=services.now())
    if stored == "conflict":
        raise ProblemError(409, "this webhook-id came before with another body")
    if stored == "stored":
        request.app.state.on_delivery()
    return JSONResponse({"status": stored}, 202 if stored == "stored" else 200)


def check_events(body: bytes, reader: Reader) -> None:
    """Refuse the request unless every event in the body can be read."""
    try:
        read_event_body(body, reader)
    except RejectedEventError as error:
        errors = [{"field": problem.column, "message": problem.message} for problem in error.problems[:100]]
        raise ProblemError(422, "the body is not advocacy events", errors=errors) from None
