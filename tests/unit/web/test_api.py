"""The JSON interface: who may ask, what the answers look like, and what every answer carries."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from app.store.keys import list_keys, load_key, revoke_key, save_key

ACCOUNT = "001000000000001AAA"
EVENT = {
    "source_system": "hub",
    "source_event_id": "e-1",
    "type": "reference_call",
    "occurred_on": "2026-01-01",
    "account": ACCOUNT,
    "attributes": {"minutes": 30},
}
READ_PATHS = (
    "/v1/accounts",
    f"/v1/accounts/{ACCOUNT}",
    f"/v1/accounts/{ACCOUNT}/explanation",
    f"/v1/accounts/{ACCOUNT}/ladder",
    f"/v1/accounts/{ACCOUNT}/assessments",
    "/v1/permissions",
    "/v1/permissions/promised",
    "/v1/events",
    "/v1/runs",
)
READ_PATHS += ("/v1/portfolio", "/v1/runs/1")


@pytest.mark.parametrize("path", READ_PATHS)
@pytest.mark.parametrize("authorization", [None, "Bearer", "Bearer advk_wrong", "Basic YTpi", "Bearer \xff", "advk_x"])
def test_nothing_is_told_without_a_key(site: Any, path: str, authorization: str | None) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}

    answer = site.client.get(path, headers=headers)

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"


HUGE = "9" * 20


@pytest.mark.parametrize(
    "path",
    [
        "/v1/calls?day=9999-12-31", "/v1/calls/coverage?day=9999-12-31", "/v1/calls/coverage?day=0001-01-01",
        "/v1/accounts?as_of=9999-12-31", f"/v1/accounts/{ACCOUNT}/care?as_of=9999-12-31",
        f"/v1/accounts/{ACCOUNT}/ladder?as_of=9999-12-31", "/v1/permissions?as_of=9999-12-31", f"/v1/runs/{HUGE}",
        f"/v1/reference-requests/{HUGE}", "/v1/reference-requests/-1",
    ],
)  # fmt: skip
def test_days_and_numbers_beyond_everything_are_refused_and_no_failure(site: Any, path: str) -> None:
    answer = site.client.get(path, headers=site.key("read"))

    assert answer.status_code == 422
    assert "than or equal to" in answer.json()["errors"][0]["message"]


def test_a_step_of_a_request_beyond_everything_is_refused(site: Any) -> None:
    headers = site.key("events:write")

    assert site.client.post(f"/v1/reference-requests/{HUGE}/approve", json={}, headers=headers).status_code == 422


def test_a_scope_allows_its_own_and_admin_allows_all(site: Any) -> None:
    assert site.client.get("/v1/events", headers=site.key("read")).status_code == 200
    assert site.client.get("/v1/events", headers=site.key("admin")).status_code == 200
    assert site.client.get("/v1/events", headers=site.key("events:write")).status_code == 403
    assert site.client.post("/v1/events", json=EVENT, headers=site.key("read")).status_code == 403


def test_a_revoked_key_is_a_wrong_key(site: Any) -> None:
    database, now = site.services.database, datetime.now(UTC)
    headers = site.key("read")

    assert revoke_key(database, list_keys(database)[0].key_id, now=now, who="test")

    assert site.client.get("/v1/events", headers=headers).status_code == 401
    assert not revoke_key(database, list_keys(database)[0].key_id, now=now, who="test")


def test_only_a_hash_of_a_key_is_kept(site: Any) -> None:
    key, secret = save_key(site.services.database, name="n", scopes=["read"], now=datetime.now(UTC), who="test")

    site.services.database.close()
    content = b"".join(path.read_bytes() for path in _database_files())

    assert len(base64.urlsafe_b64decode(secret.removeprefix("advk_") + "=")) == 32
    assert secret.encode() not in content
    assert key.key_id.encode() in content
    assert load_key(site.services.database, secret) == key
    assert load_key(site.services.database, secret[:-1]) is None


def _database_files() -> list[Any]:
    from pathlib import Path

    return sorted(Path().glob("advocacy.db*"))


def test_events_are_added_once_and_listed(site: Any) -> None:
    write = site.key("events:write")

    first = site.client.post("/v1/events", json=EVENT, headers=write)
    again = site.client.post("/v1/events", json=EVENT, headers=write)
    other = site.client.post("/v1/events", json={**EVENT, "title": "x"}, headers=write)

    assert (first.status_code, first.json()["added"]) == (201, 1)
    assert (again.status_code, again.json()["duplicate"]) == (200, 1)
    assert other.status_code == 409
    listed = site.client.get("/v1/events", headers=site.key("read")).json()
    assert listed["next_cursor"] is None
    assert listed["data"][0]["source_event_id"] == "e-1"
    assert listed["data"][0]["attributes"] == {"minutes": 30}


def test_a_status_is_decided_with_a_reason_and_kept(site: Any) -> None:
    write, read = site.key("events:write"), site.key("read")
    site.client.post("/v1/events", json={**EVENT, "status": "claimed"}, headers=write)
    (listed,) = site.client.get("/v1/events?status=claimed", headers=read).json()["data"]
    address = f"/v1/events/{listed['id']}/status"

    decided = site.client.post(address, json={"status": "verified", "reason": " seen "}, headers=write)
    again = site.client.post("/v1/events/e-1/status", json={"status": "verified"}, headers=write)

    assert decided.status_code == again.status_code == 200
    (change,) = decided.json()["changes"]
    assert (change["was"], change["status"], change["reason"]) == ("claimed", "verified", "seen")
    assert change["who"].startswith("test (k")
    assert again.json() == {"id": listed["id"], "status": "verified", "changes": []}
    assert site.client.get("/v1/events?status=claimed", headers=read).json()["data"] == []


@pytest.mark.parametrize(
    ("event_id", "body", "status"),
    [
        ("hub/e-1", {"status": "great"}, 422),
        ("hub/e-1", {"status": "verified", "why": "x"}, 422),
        ("hub/e-1", {"status": "verified", "reason": "a\u0000b"}, 422),
        ("hub/e-1", {"status": "verified", "reason": "x" * 2001}, 422),
        ("hub/e-1", {}, 422),
        ("hub/none", {"status": "verified"}, 404),
        ("%00", {"status": "verified"}, 404),
        ("e-2", {"status": "verified"}, 409),
    ],
)
def test_a_decision_that_cannot_be_meant_is_refused(site: Any, event_id: str, body: Any, status: int) -> None:
    events = [EVENT, {**EVENT, "source_event_id": "e-2"}, {**EVENT, "source_event_id": "e-2", "source_system": "b"}]
    site.client.post("/v1/events", json={"events": events}, headers=site.key("admin"))

    answer = site.client.post(f"/v1/events/{event_id}/status", json=body, headers=site.key("events:write"))

    assert answer.status_code == status
    assert site.client.post("/v1/events/e-1/status", json=body, headers=site.key("read")).status_code == 403


def test_a_known_event_that_comes_with_a_later_status_moves_on(site: Any) -> None:
    write = site.key("events:write")
    site.client.post("/v1/events", json={**EVENT, "status": "claimed"}, headers=write)

    moved = site.client.post("/v1/events", json={**EVENT, "status": "rejected"}, headers=write)
    back = site.client.post("/v1/events", json={**EVENT, "status": "verified"}, headers=write)

    assert (moved.status_code, moved.json()["moved_on"], moved.json()["conflicts"]) == (200, 1, [])
    assert back.status_code == 409


def test_pages_follow_each_other_without_gap_or_repeat(site: Any) -> None:
    events = [{**EVENT, "source_event_id": f"e-{number}"} for number in range(7)]
    site.client.post("/v1/events", json={"events": events}, headers=site.key("admin"))
    read, seen, cursor = site.key("read"), [], None

    for _ in range(4):
        parameters = {"limit": 3} | ({"cursor": cursor} if cursor else {})
        page = site.client.get("/v1/events", params=parameters, headers=read).json()
        seen += [event["source_event_id"] for event in page["data"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break

    assert sorted(seen) == sorted(event["source_event_id"] for event in events)
    assert len(seen) == 7


@pytest.mark.parametrize("cursor", ["x", "AAAA", "e30", base64.urlsafe_b64encode(b'{"o": -1}').decode(), "é"])
def test_a_cursor_that_is_not_ours_is_refused(site: Any, cursor: str) -> None:
    assert site.client.get("/v1/events", params={"cursor": cursor}, headers=site.key("read")).status_code == 422


@pytest.mark.parametrize("query", ["limit=0", "limit=501", "limit=x"])
def test_a_wrong_parameter_is_named(site: Any, query: str) -> None:
    answer = site.client.get(f"/v1/events?{query}", headers=site.key("read"))

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "query.limit"


def test_what_does_not_exist_is_not_found(site: Any) -> None:
    read = site.key("read")

    assert site.client.get(f"/v1/accounts/{ACCOUNT}", headers=read).status_code == 404
    assert site.client.get(f"/v1/accounts/{ACCOUNT}/explanation", headers=read).status_code == 404
    assert site.client.get("/v1/runs/99", headers=read).status_code == 404
    assert site.client.get("/v2", headers=read).status_code == 404


def test_an_empty_database_has_empty_answers(site: Any) -> None:
    read = site.key("read")

    empty = {"data": [], "next_cursor": None, "computed": None}
    assert site.client.get("/v1/accounts", headers=read).json() == empty
    assert site.client.get("/v1/runs", headers=read).json() == {"data": [], "next_cursor": None}
    assert site.client.get("/v1/portfolio", headers=read).json()["accounts"] == 0


@pytest.mark.parametrize("path", ["/", "/healthz", "/v1/accounts", "/nothing", "/static/app.css", "/webhooks/events"])
def test_every_answer_carries_the_security_headers(site: Any, path: str) -> None:
    headers = site.client.get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == ("public, max-age=3600" if path.startswith("/static") else "no-store")


def test_health_says_alive_and_ready(site: Any) -> None:
    assert site.client.get("/healthz").json() == {"status": "ok"}
    assert site.client.get("/readyz").json() == {"status": "ready"}


def test_a_database_of_another_version_is_not_ready(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.web.api.newest_revision", lambda: "9999")

    assert site.client.get("/readyz").status_code == 503


def test_metrics_are_for_this_machine_and_for_keys(site: Any) -> None:
    from starlette.testclient import TestClient

    here = TestClient(site.client.app, base_url="http://127.0.0.1", client=("127.0.0.1", 50000))

    assert site.client.get("/metrics").status_code == 401
    assert site.client.get("/metrics", headers=site.key("read")).status_code == 200
    answer = here.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'advocacy_deliveries{status="dead"} 0' in answer.text.splitlines()


def test_metrics_tell_how_the_last_run_went(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from app.sync.answers import RunView

    moment = datetime(2026, 1, 1, tzinfo=UTC)
    runs = [
        RunView(3, "ok", "cli", "plan", None, "2026-01-01", moment, moment, {}, None),
        RunView(2, "failed", "schedule", "sync", None, "2026-01-01", moment, moment, {"written": 0}, "x"),
        RunView(1, "ok", "schedule", "sync", None, "2026-01-01", moment, moment, {"written": 5}, None),
    ]
    monkeypatch.setattr("app.web.metrics.list_runs", lambda _services, _top: runs)

    lines = site.client.get("/metrics", headers=site.key("read")).text.splitlines()

    assert 'advocacy_last_run_status{status="failed"} 1' in lines
    assert 'advocacy_last_run_status{status="ok"} 0' in lines
    assert 'advocacy_last_run_accounts{kind="written"} 0' in lines
    assert f"advocacy_last_success_timestamp_seconds {moment.timestamp()}" in lines


def test_a_failure_of_ours_tells_nothing_of_our_insides(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("app.web.v1.list_runs", fail)

    answer = site.client.get("/v1/runs", headers=site.key("read"))

    assert answer.status_code == 500
    assert answer.json() == {"type": "about:blank", "title": "Internal Server Error", "status": 500}


def test_the_interface_describes_itself(site: Any) -> None:
    described = site.client.get("/openapi.json").json()

    assert set(described["paths"]) >= {"/v1/accounts", "/v1/events", "/webhooks/events", "/healthz"}
    assert "/" not in described["paths"]
    assert json.dumps(described).isascii()
