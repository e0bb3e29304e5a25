"""Listening to change data capture, against a Pub/Sub API on this machine."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import pytest

pytest.importorskip("grpc", reason="the extra cdc is not installed")
pytest.importorskip("fastavro", reason="the extra cdc is not installed")

from pub_sub import TOPIC, Peer, position

from connectors.changes import Announcement
from connectors.errors import (
    ConfigurationError,
    ConnectorError,
    CredentialsError,
    UnreachableError,
)
from connectors.salesforce.changes.listener import SalesforceChanges, build_changes
from connectors.salesforce.changes.messages import ReplayPreset
from connectors.salesforce.sandbox import Sandbox
from connectors.salesforce.settings import SalesforceSettings

A, B = "001000000000001AAA", "001000000000002AAA"
TOKEN = "00D000000000001!fixed"
Open = Callable[..., SalesforceChanges]


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer() as made:
        yield made


@pytest.fixture
def listen(peer: Peer) -> Iterator[Open]:
    opened: list[SalesforceChanges] = []

    def make(*, silence: float = 20, **options: Any) -> SalesforceChanges:
        given = {"login_url": "http://127.0.0.1:9", "access_token": TOKEN, "retry_seconds": 0, **options}
        opened.append(
            build_changes(SalesforceSettings(**given), endpoint=peer.address, topics=(TOPIC,), silence=silence)
        )
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def hear(changes: SalesforceChanges, count: int, start: bytes | None = None) -> list[Announcement]:
    return list(islice(changes.listen(TOPIC, start), count))


@pytest.mark.parametrize("change", ["CREATE", "UPDATE", "DELETE", "UNDELETE", "GAP_UPDATE", "GAP_DELETE"])
def test_every_change_of_a_record_names_it(peer: Peer, listen: Open, change: str) -> None:
    peer.announce("Account", change, A, B)

    [heard] = hear(listen(), 1, position(0))

    assert heard.changed == {"Account": {A, B}}
    assert (heard.everything, heard.position) == (False, position(1))


def test_events_of_several_objects_come_in_one_stream_each_with_its_own_schema(peer: Peer, listen: Open) -> None:
    peer.announce("Account", "UPDATE", A)
    peer.announce("Opportunity", "CREATE", "006000000000001AAA")

    [heard] = hear(listen(), 1, position(0))

    assert heard.changed == {"Account": {A}, "Opportunity": {"006000000000001AAA"}}


@pytest.mark.parametrize(
    ("change", "ids"),
    [("GAP_OVERFLOW", ("000000000000000AAA",)), ("UPDATE", ("001*",)), ("UPDATE", ())],
    ids=["overflow", "a field's type changed", "nothing named"],
)
def test_what_salesforce_does_not_name_costs_a_pull(
    peer: Peer, listen: Open, change: str, ids: tuple[str, ...]
) -> None:
    peer.announce("Account", change, *ids)
    peer.announce("Account", "UPDATE", B)

    [heard] = hear(listen(), 1, position(0))

    assert heard.everything
    assert heard.changed == {"Account": {B}}


@pytest.mark.parametrize("payload", [b"", b"\xff" * 12, b"\x0eAccount\xfe"], ids=["empty", "noise", "cut off"])
def test_an_event_that_cannot_be_read_costs_a_pull_and_the_stream_goes_on(
    peer: Peer, listen: Open, payload: bytes
) -> None:
    peer.announce("Account", "UPDATE", A)
    peer.events.append((peer.events[0][0], payload))
    peer.events.append(("no-such-schema", b""))
    peer.batch = 1

    heard = hear(listen(), 3, position(0))

    assert [one.everything for one in heard] == [False, True, True]
    assert [one.position for one in heard] == [position(1), position(2), position(3)]


def test_a_keep_alive_moves_the_position_and_says_nothing_else(peer: Peer, listen: Open) -> None:
    peer.announce("Account", "UPDATE", A)

    [heard] = hear(listen(), 1, position(1))

    assert heard == Announcement(position=position(1))


def test_the_first_word_of_a_subscription_from_now_on_closes_the_gap_behind_it(peer: Peer, listen: Open) -> None:
    peer.announce("Account", "UPDATE", A)

    [first] = hear(listen(), 1)

    assert (first.everything, first.changed, first.position) == (True, {}, position(1))
    assert peer.asked[0].replay_preset == ReplayPreset.LATEST


@pytest.mark.parametrize("trailers", [True, False])
def test_a_forgotten_position_costs_a_pull_then_the_stream_goes_on_from_its_tip(
    peer: Peer, listen: Open, trailers: bool
) -> None:
    peer.trailers = trailers
    for _ in range(5):
        peer.announce("Account", "UPDATE", A)
    peer.forgotten = 4

    first, second = hear(listen(), 2, position(2))

    assert (first.everything, first.position) == (True, None)
    assert (second.everything, second.position) == (True, position(5))
    assert [one.replay_preset for one in peer.asked] == [ReplayPreset.CUSTOM, ReplayPreset.LATEST]


def test_a_position_of_another_org_is_forgotten_too(peer: Peer, listen: Open) -> None:
    [first] = hear(listen(), 1, b"\x01")

    assert first.everything


def test_more_events_are_asked_for_as_they_come_and_never_more_than_salesforce_allows(peer: Peer, listen: Open) -> None:
    for _ in range(330):
        peer.announce("Account", "UPDATE", A)
    peer.batch = 30

    positions = (one.position for one in listen().listen(TOPIC, position(0)))

    assert any(one == position(330) for one in positions)
    assert peer.asked[0].num_requested == 100
    assert peer.most_outstanding <= 100


def test_the_token_goes_along_with_the_address_and_the_org(peer: Peer, listen: Open) -> None:
    peer.announce("Account", "UPDATE", A)

    hear(listen(), 1, position(0))

    wanted = {"accesstoken": TOKEN, "instanceurl": "http://127.0.0.1:9", "tenantid": "00D000000000001EAA"}
    assert len(peer.metadata) == 3
    assert all(given == wanted for given in peer.metadata)


def test_a_session_that_ends_in_mid_stream_is_renewed_once_and_nothing_is_skipped(
    peer: Peer, sandbox: Any, listen: Open
) -> None:
    known = sandbox.credentials
    peer.batch, peer.end_token_after = 1, 2
    for n in range(4):
        peer.announce("Account", "UPDATE", f"00100000000000{n}")
    changes = listen(
        access_token="", login_url=sandbox.url, client_id=known.client_id, client_secret=known.client_secret
    )
    void: set[str] = set()
    peer.tokens = _AllBut(void)

    heard = hear(changes, 4, position(0))

    assert [one.position for one in heard] == [position(n) for n in (1, 2, 3, 4)]
    assert [one.replay_id for one in peer.asked] == [position(0), position(2)]
    assert len({given["accesstoken"] for given in peer.metadata}) == 2


class _AllBut(set):
    """Every token but the void ones."""

    def __init__(self, void: set[str]) -> None:
        super().__init__()
        self.void = void

    def __contains__(self, token: object) -> bool:
        return token not in self.void

    def discard(self, token: str) -> None:
        self.void.add(token)


def test_a_token_that_cannot_be_renewed_ends_the_matter(peer: Peer, listen: Open) -> None:
    peer.tokens = set()

    with pytest.raises(CredentialsError) as caught:
        hear(listen(), 1)

    assert TOKEN not in caught.value.message


def test_a_broken_connection_is_told_after_everything_that_came(peer: Peer, listen: Open) -> None:
    peer.batch, peer.drop_after = 1, [2]
    for _ in range(5):
        peer.announce("Account", "UPDATE", A)
    stream = listen().listen(TOPIC, position(0))

    heard = list(islice(stream, 2))
    with pytest.raises(UnreachableError):
        next(stream)

    assert [one.position for one in heard] == [position(1), position(2)]


def test_a_connection_that_only_looks_alive_is_given_up(peer: Peer, listen: Open) -> None:
    peer.silent = True

    with pytest.raises(UnreachableError, match="nothing was heard"):
        hear(listen(silence=0.05), 1)


@pytest.mark.parametrize(
    ("trouble", "kind"), [({"unknown_topics": True}, ConfigurationError), ({"may_subscribe": False}, CredentialsError)]
)
def test_a_topic_that_is_not_for_us_says_so(
    peer: Peer, listen: Open, trouble: dict[str, bool], kind: type[ConnectorError]
) -> None:
    for name, value in trouble.items():
        setattr(peer, name, value)

    with pytest.raises(kind, match=TOPIC):
        hear(listen(), 1)


def test_closing_ends_a_stream_that_waits_without_an_error(peer: Peer, listen: Open) -> None:
    changes = listen()
    heard: list[Announcement] = []
    waiting = threading.Event()

    def work() -> None:
        for announcement in changes.listen(TOPIC, None):
            heard.append(announcement)
            waiting.set()

    thread = threading.Thread(target=work)
    thread.start()
    assert waiting.wait(10)
    changes.close()
    thread.join(10)

    assert not thread.is_alive()
    assert len(heard) == 1
    assert hear(changes, 1) == []


@pytest.mark.parametrize(
    ("endpoint", "topics"),
    [
        ("api.pubsub.example.com:7443", (TOPIC,)),
        ("api.pubsub.salesforce.com", (TOPIC,)),
        ("api.pubsub.salesforce.com:7443", ()),
        ("api.pubsub.salesforce.com:7443", ("/event/Order__e",)),
    ],
)
def test_settings_that_cannot_work_are_refused_before_anything_is_sent(endpoint: str, topics: tuple[str, ...]) -> None:
    with pytest.raises(ConfigurationError):
        build_changes(
            SalesforceSettings(access_token=TOKEN, instance_url="https://x.my.salesforce.com"),
            endpoint=endpoint,
            topics=topics,
        )


def test_a_login_that_was_refused_is_not_repeated_by_the_next_listener(listen: Open) -> None:
    with Sandbox() as sandbox:
        wrong = {"login_url": sandbox.url, "client_id": "app", "client_secret": "wrong", "access_token": ""}
        for _ in range(3):
            with pytest.raises(CredentialsError):
                hear(listen(**wrong), 1)

        assert sandbox.calls["token"] == 1
