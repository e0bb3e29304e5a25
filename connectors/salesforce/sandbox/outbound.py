"""Outbound messages: a SOAP note to a listener for every changed record, repeated until it is acknowledged.

Delivery is at least once and in no order. Only listeners on loopback are accepted.
"""

from __future__ import annotations

import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit
from xml.sax.saxutils import escape

from connectors.salesforce.sandbox.engine import Engine
from connectors.salesforce.sandbox.values import decimal_json

MOST_NOTIFICATIONS = 100
GIVE_UP_AFTER = timedelta(hours=24)
LONGEST_PAUSE = timedelta(hours=2)
FIRST_PAUSE = timedelta(seconds=5)
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_NAMESPACE = "http://soap.sforce.com/2005/09/outbound"


@dataclass(slots=True)
class Notification:
    """One changed record, waiting for its Ack. The values are read when it is sent, not when it changed."""

    id: str
    record_id: str
    first: datetime
    due: datetime
    attempts: int = 0


@dataclass(slots=True)
class OutboundMessage:
    """`when` decides which records are told of; `twice` sends every message twice; `reverse` the newest first."""

    action_id: str
    url: str
    object: str
    fields: tuple[str, ...]
    when: Callable[[Mapping[str, Any]], bool] = lambda _: True
    twice: bool = False
    reverse: bool = False
    waiting: list[Notification] = field(default_factory=list)
    acknowledged: int = 0
    given_up: int = 0


def add_outbound(
    engine: Engine, url: str, object_name: str, fields: tuple[str, ...], **options: Any
) -> OutboundMessage:
    """From now on every change of the object, other than by a roll-back, queues a notification."""
    address = urlsplit(url)
    if address.scheme != "http" or address.hostname not in _LOOPBACK:
        raise ValueError("an outbound message of the sandbox goes to http on loopback only")
    message = OutboundMessage(engine.new_id("04k"), url, object_name, ("Id", *fields), **options)

    def queue(changed_object: str, record_id: str) -> None:
        record = _record(engine, message, record_id) if changed_object == object_name else None
        if record is not None and message.when(record):
            now = engine.org.clock.now()
            message.waiting.append(Notification(engine.new_id("04l"), record_id, now, now))

    engine.org.watchers.append(queue)
    engine.outbound.append(message)
    return message


def _record(engine: Engine, message: OutboundMessage, record_id: str) -> Mapping[str, Any] | None:
    if record_id not in engine.org.tables[message.object].rows:
        return None
    record = engine.org.record(message.object, record_id)
    return None if record.get("IsDeleted") else record


def deliver(engine: Engine) -> int:
    """Send what is due by the org's clock and return how many notifications were acknowledged."""
    return sum(_deliver_message(engine, message) for message in list(engine.outbound))


def _deliver_message(engine: Engine, message: OutboundMessage) -> int:
    with engine.org.lock:
        now = engine.org.clock.now()
        due = [one for one in message.waiting if one.due <= now]
    if message.reverse:
        due.reverse()
    done = 0
    for start in range(0, len(due), MOST_NOTIFICATIONS):
        done += _deliver_batch(engine, message, due[start : start + MOST_NOTIFICATIONS], now)
    return done


def _deliver_batch(engine: Engine, message: OutboundMessage, batch: list[Notification], now: datetime) -> int:
    with engine.org.lock:
        records = {one.id: _record(engine, message, one.record_id) for one in batch}
        live = [(one, record) for one in batch if (record := records[one.id]) is not None]
        envelope = _envelope(engine, message, live).encode()
    acked = not live or _post(message.url, envelope)
    if message.twice and live:
        acked = _post(message.url, envelope) or acked
    with engine.org.lock:
        for one in batch:
            _settle(message, one, now, acked=acked)
    return len(live) if acked else 0


def _settle(message: OutboundMessage, one: Notification, now: datetime, *, acked: bool) -> None:
    one.attempts += 1
    if not acked and now - one.first < GIVE_UP_AFTER:
        one.due = now + min(FIRST_PAUSE * 2 ** (one.attempts - 1), LONGEST_PAUSE)
        return
    message.waiting.remove(one)
    message.acknowledged += acked
    message.given_up += not acked


def _envelope(engine: Engine, message: OutboundMessage, live: list[tuple[Notification, Mapping[str, Any]]]) -> str:
    org = engine.org
    notes = "".join(
        f'<Notification><Id>{one.id}</Id><sObject xsi:type="sf:{message.object}" '
        f'xmlns:sf="urn:sobject.enterprise.soap.sforce.com">{_fields(message, record)}</sObject></Notification>'
        for one, record in live
    )
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
        f'<soapenv:Body><notifications xmlns="{_NAMESPACE}"><OrganizationId>{org.organization_id}</OrganizationId>'
        f'<ActionId>{message.action_id}</ActionId><SessionId xsi:nil="true"/>'
        f"<EnterpriseUrl>{engine.base_url}/services/Soap/c/62.0/{org.organization_id}</EnterpriseUrl>"
        f"<PartnerUrl>{engine.base_url}/services/Soap/u/62.0/{org.organization_id}</PartnerUrl>"
        f"{notes}</notifications></soapenv:Body></soapenv:Envelope>"
    )


def _fields(message: OutboundMessage, record: Mapping[str, Any]) -> str:
    """Null fields are left out, as in the real message."""
    given = {name: record[name] for name in message.fields if record[name] is not None}
    return "".join(f"<sf:{name}>{escape(_text(value))}</sf:{name}>" for name, value in given.items())


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str) and value.endswith("+0000"):
        return value[:-5] + "Z"
    return value if isinstance(value, str) else str(value) if isinstance(value, int) else decimal_json(value)


def _post(url: str, envelope: bytes) -> bool:
    """Whether the listener answered 200 with a true Ack."""
    address = urlsplit(url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 80, timeout=10)
    try:
        target = address.path + (f"?{address.query}" if address.query else "")
        connection.request(
            "POST", target or "/", envelope, {"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'}
        )
        answer = connection.getresponse()
        body = answer.read(65_536)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
    return answer.status == 200 and b"Ack>true</" in body.replace(b" ", b"")
