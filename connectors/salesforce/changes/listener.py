"""Listening to change data capture: where to begin, what was said, and what to do when Salesforce has forgotten.

A subscription that begins at the tip of the stream has a gap behind it. Its first answer proves that it stands, and is
therefore told as `everything`: a pull from the watermark closes the gap, and whatever changes later is announced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeVar

import grpc

from connectors.changes import Announcement
from connectors.errors import (
    ConfigurationError,
    ConnectorError,
    CredentialsError,
    ProtocolError,
    ResumeError,
    UnreachableError,
)
from connectors.salesforce.auth import Token, TokenSource
from connectors.salesforce.changes.channel import PubSub, check_endpoint, open_channel
from connectors.salesforce.changes.events import EventSchema, hear, read_schema
from connectors.salesforce.changes.failures import SessionEndedError, read_call_failure
from connectors.salesforce.changes.messages import build_messages
from connectors.salesforce.connector import SalesforceConnector, build_salesforce
from connectors.salesforce.settings import SalesforceSettings

T = TypeVar("T")

SILENCE_SECONDS = 330.0
"""Salesforce sends a keep-alive within 270 seconds."""


@dataclass(slots=True)
class SalesforceChanges:
    """The promise of `connectors.changes.ChangeListener`, kept by the Pub/Sub API."""

    connector: SalesforceConnector
    pub_sub: PubSub
    topics: tuple[str, ...]
    silence: float = SILENCE_SECONDS
    _schemas: dict[str, EventSchema] = field(default_factory=dict)
    _calls: dict[str, Any] = field(default_factory=dict)
    _closed: threading.Event = field(default_factory=threading.Event)

    def listen(self, topic: str, position: bytes | None) -> Iterator[Announcement]:
        try:
            self._check_topic(topic)
            try:
                yield from self._follow(topic, position)
            except ResumeError as forgotten:
                if position is None:
                    raise
                yield Announcement(everything=True, reason=forgotten.message)
                yield from self._follow(topic, None)
        except (ConnectorError, ValueError, RuntimeError):
            # Closing cancels what is under way, and a closed channel or client refuses what is not; that is no failure.
            if not self._closed.is_set():
                raise

    def close(self) -> None:
        self._closed.set()
        for call in list(self._calls.values()):
            call.cancel()
        self.pub_sub.channel.close()
        self.connector.close()

    def _check_topic(self, topic: str) -> None:
        info = self._authorised(f"topic {topic}", lambda token: self.pub_sub.pull_topic(token, topic))
        if not info.can_subscribe:
            raise CredentialsError(
                f"The connected user may not subscribe to {topic}: give it read access to the objects."
            )

    def _follow(self, topic: str, position: bytes | None) -> Iterator[Announcement]:
        """One stream after another, as long as the only thing that ends them is the end of a session."""
        token, renewed = self._tokens.current(), False
        while True:
            try:
                for announcement in self._subscribe(token, topic, position):
                    yield announcement
                    position, renewed = announcement.position or position, False
                return
            except SessionEndedError:
                if renewed:
                    raise CredentialsError("Salesforce refuses even a new session: check the app's policies.") from None
                token, renewed = self._tokens.renew(token), True

    def _subscribe(self, token: Token, topic: str, position: bytes | None) -> Iterator[Announcement]:
        requests = self.pub_sub.build_requests(topic, position, self.silence)
        gap_behind = position is None
        call = self._calls[topic] = self.pub_sub.subscribe(token, requests)
        try:
            for answer in call:
                yield self._read(answer, gap_behind=gap_behind)
                gap_behind = False
                requests.heard(len(answer.events))
        except grpc.RpcError as error:
            if requests.went_silent:
                raise UnreachableError(f"{topic}: nothing was heard for {self.silence:.0f} seconds.") from None
            raise read_call_failure(error, topic) from None
        finally:
            requests.end()
            call.cancel()

    def _read(self, answer: Any, *, gap_behind: bool) -> Announcement:
        heard = hear((one.event for one in answer.events), self._schema)
        if gap_behind:
            heard.cannot_tell("The subscription begins here: what changed before was not announced.")
        changed = {name: frozenset(ids) for name, ids in heard.changed.items()}
        return Announcement(changed, heard.everything, heard.reason, _position_of(answer))

    def _schema(self, schema_id: str) -> EventSchema:
        if schema_id not in self._schemas:
            self._schemas[schema_id] = read_schema(self._pull_schema(schema_id))
        return self._schemas[schema_id]

    def _pull_schema(self, schema_id: str) -> str:
        try:
            return self._authorised("schema of an event", lambda token: self.pub_sub.pull_schema(token, schema_id))
        except ConfigurationError as error:
            # A schema that is gone makes an event unreadable; it must not make the stream unreadable.
            raise ProtocolError(error.message, code=error.code) from None

    def _authorised(self, what: str, call: Callable[[Token], T]) -> T:
        token = self._tokens.current()
        try:
            return _told(what, call, token)
        except SessionEndedError:
            return _told(what, call, self._tokens.renew(token))

    @property
    def _tokens(self) -> TokenSource:
        return self.connector.transport.tokens


def _told(what: str, call: Callable[[Token], T], token: Token) -> T:
    try:
        return call(token)
    except grpc.RpcError as error:
        raise read_call_failure(error, what) from None


def _position_of(answer: Any) -> bytes | None:
    """After the last event we were given, not after the last there is: more may be under way."""
    return bytes(answer.events[-1].replay_id if answer.events else answer.latest_replay_id) or None


def build_changes(
    settings: SalesforceSettings, *, endpoint: str, topics: tuple[str, ...], silence: float = SILENCE_SECONDS
) -> SalesforceChanges:
    """A listener that has not talked to anyone yet."""
    check_endpoint(endpoint, settings.domains)
    if not topics or any(not topic.startswith("/data/") for topic in topics):
        raise ConfigurationError("changes topics: each must begin with /data/, such as /data/ChangeEvents")
    connector = build_salesforce(settings)
    pub_sub = PubSub(open_channel(endpoint), build_messages(), connector.organisation_id)
    return SalesforceChanges(connector, pub_sub, topics, silence)
