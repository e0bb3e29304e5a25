"""`POST /webhooks/events`: what is stored, what is refused, and that the answer says which."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.cli import main
from app.store.database import Database
from app.store.inbox import list_deliveries
from app.web.signatures import sign

SECRET = "whsec_" + "a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="
ACCOUNT = "001000000000001AAA"
EVENT = {
    "source_system": "hub",
    "source_event_id": "e-1",
    "type": "follow",
    "occurred_on": "2026-01-01",
    "account": ACCOUNT,
}
BODY = json.dumps(EVENT).encode()


def post(site: Any, body: bytes = BODY, *, delivery: str = "msg_1", **headers: str) -> Any:
    signed = sign(SECRET, delivery, datetime.now(UTC), body)
    return site.client.post("/webhooks/events", content=body, headers={**signed, **headers})


def stored(site: Any) -> list[str]:
    return [delivery.sender_id for delivery in list_deliveries(site.services.database)]


def test_a_signed_delivery_is_stored_before_it_is_accepted(site: Any) -> None:
    answer = post(site)

    assert (answer.status_code, answer.json()) == (202, {"status": "stored"})
    assert stored(site) == ["msg_1"]
    assert site.wakes == [1]


def test_a_list_of_events_is_one_delivery(site: Any) -> None:
    answer = post(site, json.dumps({"events": [EVENT, {**EVENT, "source_event_id": "e-2"}]}).encode())

    assert answer.status_code == 202
    assert stored(site) == ["msg_1"]


def test_the_same_delivery_again_is_known(site: Any) -> None:
    post(site)

    answer = post(site)

    assert (answer.status_code, answer.json()) == (200, {"status": "duplicate"})
    assert stored(site) == ["msg_1"]
    assert site.wakes == [1]


def test_the_same_id_with_another_body_is_a_conflict(site: Any) -> None:
    post(site)

    answer = post(site, json.dumps({**EVENT, "title": "other"}).encode())

    assert answer.status_code == 409
    assert len(stored(site)) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "msg_1"},
        {"webhook-id": "a.b", "webhook-timestamp": "1", "webhook-signature": "v1,x"},
        {"webhook-id": "a", "webhook-timestamp": "NaN", "webhook-signature": "v1,AAAA"},
        {"webhook-id": "a", "webhook-timestamp": "1", "webhook-signature": "v1"},
        sign(SECRET, "msg_1", datetime.now(UTC) - timedelta(hours=1), BODY),
        sign(SECRET, "msg_1", datetime.now(UTC), b"other"),
        sign("whsec_" + "b" * 44, "msg_1", datetime.now(UTC), BODY),
    ],
)
def test_every_failure_to_verify_looks_the_same(site: Any, headers: dict[str, str]) -> None:
    answer = site.client.post("/webhooks/events", content=BODY, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "about:blank",
        "title": "Unauthorized",
        "status": 401,
        "detail": "the signature is missing, wrong or too old",
    }
    assert stored(site) == []


def test_header_bytes_that_are_no_text_are_refused_too(site: Any) -> None:
    signed = sign(SECRET, "msg_1", datetime.now(UTC), BODY)
    headers = {**{name: value.encode() for name, value in signed.items()}, "webhook-signature": b"v1,\xff\xfe"}

    assert site.client.post("/webhooks/events", content=BODY, headers=headers).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"1e999",
        b'{"a": NaN}',
        b'{"a": "\\ud800"}',
        b'{"a": 1, "a": 2}',
        b"[" * 100000,
        b'{"a": ' + b"9" * 5000 + b"}",
        json.dumps({**EVENT, "type": "folow"}).encode(),
        b'{"events": []}',
        json.dumps({**EVENT, "title": "a\x00b"}).encode(),
        json.dumps({**EVENT, "extra": 1}).encode(),
    ],
)
def test_a_signed_body_that_is_no_event_is_unprocessable(site: Any, body: bytes) -> None:
    answer = post(site, body)

    assert answer.status_code == 422
    assert answer.json()["errors"]
    assert stored(site) == []


def test_a_bad_body_names_every_problem(site: Any) -> None:
    answer = post(site, json.dumps({**EVENT, "type": "folow", "occurred_on": "x", "account": "001"}).encode())

    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert set(errors) == {"type", "occurred_on", "account"}
    assert "'follow'" in errors["type"]


def test_a_body_has_a_limit(site: Any) -> None:
    assert post(site, b"x" * 1_048_577).status_code == 413
    assert post(site, b"x" * 1_048_576).status_code == 422


def test_a_body_without_a_declared_length_has_the_same_limit(site: Any) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * 65_536

    answer = site.client.post("/webhooks/events", content=chunks(), headers=sign(SECRET, "a", datetime.now(UTC), b""))

    assert answer.status_code == 413


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
def test_no_content_encoding_is_taken(site: Any, encoding: str) -> None:
    assert post(site, **{"content-encoding": encoding}).status_code == 415
    assert stored(site) == []


def test_a_database_that_is_away_asks_the_sender_to_come_again(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlalchemy as sa

    def fail(_self: Database) -> None:
        raise sa.exc.OperationalError("insert", {}, Exception("database is away"))

    monkeypatch.setattr(Database, "begin", fail)

    answer = post(site)

    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert "insert" not in answer.text
    assert site.wakes == []


def test_only_posts_are_answered(site: Any) -> None:
    assert site.client.get("/webhooks/events").status_code == 405


def read_body(*messages: dict[str, Any]) -> Any:
    """Read a request body that arrives as these messages, and then nothing more."""
    import asyncio

    from starlette.requests import Request

    from app.web.webhooks import read_limited_body

    async def read() -> Any:
        waiting = list(messages)

        async def receive() -> Any:
            if waiting:
                return waiting.pop(0)
            return await asyncio.Event().wait()

        return await read_limited_body(Request({"type": "http", "headers": []}, receive))

    return asyncio.run(read())


def test_a_sender_that_hangs_up_in_the_middle_is_answered_and_not_logged_as_our_failure() -> None:
    from app.web.problems import ProblemError

    with pytest.raises(ProblemError) as caught:
        read_body({"type": "http.request", "body": b"{", "more_body": True}, {"type": "http.disconnect"})

    assert caught.value.status == 400


def test_a_sender_that_stops_sending_does_not_hold_us(monkeypatch: pytest.MonkeyPatch) -> None:
    from app.web.problems import ProblemError

    monkeypatch.setattr("app.web.webhooks.BODY_SECONDS", 0.01)

    with pytest.raises(ProblemError) as caught:
        read_body({"type": "http.request", "body": b"{", "more_body": True})

    assert caught.value.status == 408
    assert read_body({"type": "http.request", "body": b"{}", "more_body": False}) == b"{}"


ACCOUNT, CONTACT, OPPORTUNITY = "001000000000001AAA", "003000000000001AAA", "006000000000001AAA"
USER, CUSTOM = "005000000000001AAA", "a01000000000001AAA"


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({}, None),
        ({"account": CONTACT}, "account: 003000000000001AAA is the id of a record of Contact"),
        ({"account": USER}, "account: 005000000000001AAA is the id of a record of User"),
        ({"contact": ACCOUNT}, "which cannot be the contact"),
        ({"opportunity": CONTACT}, "which cannot be the opportunity"),
        ({"referred_account": OPPORTUNITY}, "which cannot be the referred account"),
        ({"referred_contact": OPPORTUNITY}, "which cannot be the referred contact"),
        ({"attributes": {"rep": ACCOUNT}}, "`rep`: 001000000000001AAA is the id of a record of Account"),
        ({"attributes": {"rep": USER}}, None),
        ({"attributes": {"rep": "Kim"}}, None),
        # Nobody can tell of what a custom object's id is.
        ({"account": CUSTOM, "contact": CUSTOM}, None),
    ],
    ids=range(11),
)
def test_every_way_in_refuses_an_id_of_another_kind(
    site: Any, changes: Any, problem: str | None, tmp_path: Any, capsys: Any
) -> None:
    event = {
        "source_event_id": "1", "type": "referral", "occurred_on": "2026-03-01", "account": ACCOUNT,
        "contact": CONTACT, "opportunity": OPPORTUNITY, **changes,
    }  # fmt: skip
    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps(event))

    over_http = site.client.post("/v1/events", json=event, headers=site.key("events:write"))
    delivered = post(site, json.dumps(event).encode())
    with pytest.raises(SystemExit) as imported:
        main(["--set", "salesforce_access_token=x", "events", "import", str(file), "--source", "f"])
    told = capsys.readouterr()

    if problem is None:
        assert (over_http.status_code, delivered.status_code, imported.value.code) == (201, 202, 0)
    else:
        assert (over_http.status_code, delivered.status_code) == (422, 422)
        assert imported.value.code != 0
        for answer in (over_http.text, delivered.text, (told.out + told.err).replace("\n", " ")):
            assert problem.partition(": ")[2] in answer or problem in answer
