"""The calls of the Pub/Sub API over one gRPC channel. A token goes with every call, and only to Salesforce."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import grpc

from connectors.errors import ConfigurationError
from connectors.http import check_address, is_loopback
from connectors.salesforce.auth import Token
from connectors.salesforce.changes.messages import SERVICE, Messages, ReplayPreset

CALL_SECONDS = 30.0
WINDOW = 100
"""Events that Salesforce may have in flight to us: it allows no more."""

MAX_MESSAGE = 16 * 1024 * 1024
"""Salesforce advises room for 3 MB; a message that does not fit would end the stream each time it is sent."""

Metadata = tuple[tuple[str, str], ...]


def check_endpoint(endpoint: str, domains: tuple[str, ...]) -> None:
    """Raise ConfigurationError unless a token may be sent there."""
    host, _, port = endpoint.rpartition(":")
    if not host or not port.isdigit():
        raise ConfigurationError(
            f"changes endpoint: {endpoint!r} is not host:port, such as api.pubsub.salesforce.com:7443"
        )
    check_address(f"https://{endpoint}", "changes endpoint", domains)


def open_channel(endpoint: str) -> grpc.Channel:
    """TLS with the certificates that gRPC brings along; without it on this machine only."""
    options = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.enable_retries", 0)]
    if is_loopback(endpoint.rpartition(":")[0].strip("[]")):
        return grpc.insecure_channel(endpoint, options)
    return grpc.secure_channel(endpoint, grpc.ssl_channel_credentials(), options)


@dataclass(slots=True)
class Requests:
    """What we ask of one stream, and its watchdog.

    gRPC takes requests from a thread of its own. That thread waits here for the next one anyway, so it is also who
    notices that nothing was heard for longer than Salesforce ever stays silent: a dead connection looks like peace.
    """

    first: Any
    more: Callable[[int], Any]
    silence: float
    cancel: Callable[[], object] = lambda: None
    went_silent: bool = False
    outstanding: int = WINDOW
    """Events asked for and not yet here. Counted by us: what an answer says of it was true before our last request."""
    _wanted: queue.SimpleQueue[int | None] = field(default_factory=queue.SimpleQueue)

    def __iter__(self) -> Iterator[Any]:
        yield self.first
        while True:
            try:
                wanted = self._wanted.get(timeout=self.silence)
            except queue.Empty:
                self.went_silent = True
                self.cancel()
                return
            if wanted is None:
                return
            if wanted > 0:
                yield self.more(wanted)

    def heard(self, events: int) -> None:
        """An answer with so many events came and has been taken care of."""
        self.outstanding -= events
        wanted = WINDOW - self.outstanding if self.outstanding <= WINDOW // 2 else 0
        self.outstanding += wanted
        self._wanted.put(wanted)

    def end(self) -> None:
        self._wanted.put(None)


@dataclass(frozen=True, slots=True)
class PubSub:
    """`organisation`: the id of the org a token belongs to."""

    channel: grpc.Channel
    messages: Messages
    organisation: Callable[[], str]

    def pull_topic(self, token: Token, topic: str) -> Any:
        m = self.messages
        return self._call("GetTopic", m.topic_request(topic_name=topic), m.topic_info, token)

    def pull_schema(self, token: Token, schema_id: str) -> str:
        m = self.messages
        return str(self._call("GetSchema", m.schema_request(schema_id=schema_id), m.schema_info, token).schema_json)

    def build_requests(self, topic: str, position: bytes | None, silence: float) -> Requests:
        preset = ReplayPreset.LATEST if position is None else ReplayPreset.CUSTOM
        request = self.messages.fetch_request
        first = request(topic_name=topic, replay_preset=preset, replay_id=position or b"", num_requested=WINDOW)
        return Requests(first, lambda wanted: request(topic_name=topic, num_requested=wanted), silence)

    def subscribe(self, token: Token, requests: Requests) -> Any:
        """The running call: iterate over its answers, or cancel it."""
        open_stream = self.channel.stream_stream(
            f"{SERVICE}Subscribe",
            request_serializer=_serialise,
            response_deserializer=self.messages.fetch_response.FromString,
        )
        call = open_stream(iter(requests), metadata=self._metadata(token))
        requests.cancel = call.cancel
        return call

    def _call(self, method: str, request: Any, answer: Any, token: Token) -> Any:
        ask = self.channel.unary_unary(
            f"{SERVICE}{method}", request_serializer=_serialise, response_deserializer=answer.FromString
        )
        return ask(request, timeout=CALL_SECONDS, metadata=self._metadata(token))

    def _metadata(self, token: Token) -> Metadata:
        return (
            ("accesstoken", token.value),
            ("instanceurl", token.instance_url),
            ("tenantid", self.organisation()),
        )


def _serialise(message: Any) -> bytes:
    return bytes(message.SerializeToString())
