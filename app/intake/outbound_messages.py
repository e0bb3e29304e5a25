"""Salesforce outbound messages: SOAP envelopes that say which records changed.

They come at least once, in any order, and carry the latest values of a moment that may be over. So nothing but the
names of the records is taken from them: "go and read this one again". A document type declaration is refused, which
is what entity attacks need. Contract: the Outbound Messaging chapter of Salesforce's SOAP API guide.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.parsers import expat

NAMESPACE = "http://soap.sforce.com/2005/09/outbound"
INSTANCE = "http://www.w3.org/2001/XMLSchema-instance"
MAX_NOTIFICATIONS = 100
MAX_DEPTH = 20
MAX_TEXT = 255

ACKNOWLEDGED = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    f'<notificationsResponse xmlns="{NAMESPACE}"><Ack>true</Ack></notificationsResponse>'
    "</soapenv:Body></soapenv:Envelope>"
)


class BrokenMessageError(ValueError):
    """The body is not an outbound message; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Notification:
    """One changed record. `id` is the same in every redelivery."""

    id: str
    object: str
    record_id: str


@dataclass(frozen=True, slots=True)
class OutboundMessage:
    organisation_id: str
    notifications: tuple[Notification, ...]


@dataclass(slots=True)
class _Reading:
    """What has been seen so far. `path` holds local names; `text` is what stands in the innermost element."""

    path: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    organisation_id: str = ""
    notification_id: str = ""
    object: str = ""
    record_id: str = ""
    found: list[Notification] = field(default_factory=list)

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.path.append(name.rpartition(" ")[2])
        self.text = []
        if len(self.path) > MAX_DEPTH:
            raise BrokenMessageError("nested too deeply")
        if self.path[-1] == "sObject":
            self.object = attributes.get(f"{INSTANCE} type", "").rpartition(":")[2]

    def characters(self, text: str) -> None:
        self.text.append(text)

    def end(self, _name: str) -> None:
        text = "".join(self.text).strip()[:MAX_TEXT]
        match self.path[-2:]:
            case ["notifications", "OrganizationId"]:
                self.organisation_id = text
            case ["Notification", "Id"]:
                self.notification_id = text
            case ["sObject", "Id"]:
                self.record_id = text
            case [_, "Notification"]:
                self._add()
            case _:
                pass
        self.path.pop()
        self.text = []

    def _add(self) -> None:
        if not (self.notification_id and self.object and self.record_id):
            raise BrokenMessageError("a notification without Id, type or record Id")
        if len(self.found) >= MAX_NOTIFICATIONS:
            raise BrokenMessageError(f"more than {MAX_NOTIFICATIONS} notifications")
        self.found.append(Notification(self.notification_id, self.object, self.record_id))
        self.notification_id = self.object = self.record_id = ""


def read_outbound_message(body: bytes) -> OutboundMessage:
    """What an envelope says changed. Raises BrokenMessageError."""
    reading = _Reading()
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler = reading.start
    parser.CharacterDataHandler = reading.characters
    parser.EndElementHandler = reading.end
    try:
        parser.Parse(body, True)
    except expat.ExpatError as error:
        raise BrokenMessageError(f"not XML: {expat.ErrorString(error.code)}") from None
    except BrokenMessageError:
        raise
    except (LookupError, ValueError):
        # What Python says of an encoding that expat does not know itself, and asks Python for.
        raise BrokenMessageError("not in an encoding that can be read; Salesforce writes UTF-8") from None
    if not reading.organisation_id or not reading.found:
        raise BrokenMessageError("no organisation or no notification in it")
    return OutboundMessage(reading.organisation_id, tuple(reading.found))


def _refuse_doctype(_name: str, _system: str | None, _public: str | None, _internal: bool) -> None:
    raise BrokenMessageError("a document type declaration is not allowed")
