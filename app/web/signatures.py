"""Is this delivery from somebody who knows our secret? The `standardwebhooks` library behind a strict door.

The library alone answers unauthenticated nonsense with exceptions, gives up at the first malformed entry of a
key rotation, and takes ids with dots, which lets one signature fit two messages. So the headers' grammar is checked
first, entries are offered to it one by one, and every failure looks the same.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from standardwebhooks import Webhook, WebhookVerificationError

TOLERANCE_SECONDS = 300
MAX_ENTRIES = 20
SIGNATURE_BYTES = 32

_ID = re.compile(r"[A-Za-z0-9_-]{1,256}", re.ASCII)
_TIMESTAMP = re.compile(r"0|[1-9][0-9]{0,10}", re.ASCII)
_VERSION = "v1,"


@dataclass(frozen=True, slots=True)
class SignedHeaders:
    """The three headers after their grammar was checked: `signatures` holds only well-formed `v1,...` entries."""

    delivery_id: str
    timestamp: str
    signatures: tuple[str, ...]


def read_signed_headers(headers: Mapping[str, str]) -> SignedHeaders | None:
    """The signature headers, or None when one is missing or is not what the specification allows."""
    delivery_id = headers.get("webhook-id", "")
    timestamp = headers.get("webhook-timestamp", "")
    entries = headers.get("webhook-signature", "").split(" ")
    if not _ID.fullmatch(delivery_id) or not _TIMESTAMP.fullmatch(timestamp) or len(entries) > MAX_ENTRIES:
        return None
    signatures = tuple(entry for entry in entries if _is_signature(entry))
    return SignedHeaders(delivery_id, timestamp, signatures) if signatures else None


def _is_signature(entry: str) -> bool:
    if not entry.startswith(_VERSION) or not entry.isascii():
        return False
    try:
        return len(base64.b64decode(entry.removeprefix(_VERSION), validate=True)) == SIGNATURE_BYTES
    except binascii.Error:
        return False


def verify(headers: Mapping[str, str], body: bytes, secrets: Sequence[str], *, now: datetime) -> str | None:
    """The delivery's id when any of the secrets signed it in the last (or next) five minutes, else None.

    `headers` by lower-case names. Every secret and every entry is tried whatever the others said, so that time
    tells nothing.
    """
    signed = read_signed_headers(headers)
    if signed is None or abs(int(signed.timestamp) - now.timestamp()) > TOLERANCE_SECONDS:
        return None
    matches = [_matches(secret, signed, entry, body) for secret in secrets for entry in signed.signatures]
    return signed.delivery_id if any(matches) else None


def _matches(secret: str, signed: SignedHeaders, entry: str, body: bytes) -> bool:
    headers = {
        "webhook-id": signed.delivery_id,
        "webhook-timestamp": signed.timestamp,
        "webhook-signature": entry,
    }
    try:
        Webhook(secret).verify(body, headers, json_parse=False)
    except (WebhookVerificationError, ValueError):  # ValueError: the body is not UTF-8
        return False
    return True


def sign(secret: str, delivery_id: str, moment: datetime, body: bytes) -> dict[str, str]:
    """The headers a sender would put on a delivery."""
    signature = Webhook(secret).sign(delivery_id, moment, body.decode("utf-8"))
    timestamp = str(int(moment.timestamp()))
    return {"webhook-id": delivery_id, "webhook-timestamp": timestamp, "webhook-signature": signature}
