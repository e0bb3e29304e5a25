"""`POST /webhooks/salesforce/outbound/{secret}`: Salesforce tells which records changed.

Salesforce does not sign these messages: who may send them is whoever knows the secret path, for the organisation this
database belongs to. Acknowledged only after storage; anything else makes Salesforce send it again for a day.
"""

from __future__ import annotations

import hmac
import json

from fastapi import APIRouter, Request, Response

from app.intake.outbound_messages import ACKNOWLEDGED, BrokenMessageError, Notification, read_outbound_message
from app.logs import open_log
from app.store.inbox import save_delivery
from app.store.state import ORGANISATION, load_flag
from app.sync.services import Services
from app.web.access import ServicesOf
from app.web.problems import ProblemError
from app.web.webhooks import LimitedBody

SOURCE = "salesforce"
MIN_SECRET = 24

router = APIRouter(tags=["webhooks"])


@router.post("/webhooks/salesforce/outbound/{secret}", include_in_schema=False)
def receive_outbound(request: Request, secret: str, body: LimitedBody, services: ServicesOf) -> Response:
    """Store every notification, then acknowledge. One that came before has no further effect."""
    _check_secret(services, secret)
    try:
        message = read_outbound_message(body)
    except BrokenMessageError as error:
        raise ProblemError(400, f"not an outbound message: {error}") from None
    _check_organisation(services, message.organisation_id)
    stored = [_store(services, notification) for notification in message.notifications]
    if any(stored):
        request.app.state.on_delivery()
    return Response(ACKNOWLEDGED, media_type="text/xml")


def _check_secret(services: Services, given: str) -> None:
    expected = services.settings.salesforce_outbound_secret
    known = expected.get_secret_value() if expected is not None else ""
    if len(known) < MIN_SECRET or not hmac.compare_digest(given.encode(), known.encode()):
        open_log().warning("outbound message refused", reason="wrong address")
        raise ProblemError(404, "Not Found")


def _check_organisation(services: Services, organisation_id: str) -> None:
    with services.database.read() as connection:
        pinned = load_flag(connection, ORGANISATION)
    if pinned is None or not _same(services, organisation_id, pinned):
        open_log().warning("outbound message refused", reason="another organisation")
        raise ProblemError(403, "this message is from another organisation")


def _same(services: Services, one: str, other: str) -> bool:
    try:
        return services.normalise_id(one) == services.normalise_id(other)
    except ValueError:
        return one == other


def _store(services: Services, notification: Notification) -> bool:
    body = json.dumps({"object": notification.object, "id": notification.record_id}, sort_keys=True).encode()
    stored = save_delivery(services.database, sender_id=notification.id, source=SOURCE, body=body, now=services.now())
    return stored == "stored"
