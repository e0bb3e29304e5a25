"""Wrong keys: how many are looked at, and whom that keeps waiting."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

from app.web.guesses import Guesses


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def test_after_the_limit_an_address_waits_until_the_window_is_over() -> None:
    clock = Clock()
    guesses = Guesses(limit=3, seconds=60, clock=clock)
    for attempt in range(3):
        assert guesses.wait("here", f"wrong {attempt}") == 0
        guesses.note("here", f"wrong {attempt}", passed=False)
        clock.now += 1

    assert guesses.wait("here", "wrong") == 57
    assert guesses.wait("there", "wrong") == 0
    clock.now = 1059.5
    assert guesses.wait("here", "wrong") == 1
    clock.now = 1060
    assert guesses.wait("here", "wrong") == 0

    guesses.note("here", "wrong", passed=False)
    assert guesses.wait("here", "wrong") == 0, "a new window has begun"


def test_a_key_that_has_passed_is_not_kept_waiting() -> None:
    guesses = Guesses(limit=1, clock=Clock())
    guesses.note("proxy", "good", passed=True)
    guesses.note("proxy", "bad", passed=False)

    assert guesses.wait("proxy", "bad") == 60
    assert guesses.wait("proxy", "new") == 60
    assert guesses.wait("proxy", "good") == 0


def test_memory_is_bounded_and_the_ones_least_recently_seen_are_forgotten_first() -> None:
    guesses = Guesses(limit=1, kept=2, clock=Clock())
    for address in ("a", "b", "c"):
        guesses.note(address, "bad", passed=False)
        guesses.note(address, f"good {address}", passed=True)

    assert [guesses.wait(address, "bad") for address in "abc"] == [0, 60, 60]
    assert [guesses.wait("c", f"good {address}") for address in "abc"] == [60, 0, 0]
    assert (len(guesses._missed), len(guesses._passed)) == (2, 2)


def test_the_site_answers_429_and_says_how_long_to_wait(site: Any) -> None:
    clock = Clock()
    site.client.app.state.guesses = Guesses(limit=2, clock=clock)
    known, wrong = site.key("read"), {"Authorization": "Bearer advk_wrong"}
    assert site.client.get("/v1/events", headers=known).status_code == 200
    assert [site.client.get("/v1/events").status_code for _ in range(5)] == [401] * 5, "no key is no guess"
    assert [site.client.get("/v1/events", headers=wrong).status_code for _ in range(2)] == [401, 401]

    refused = site.client.get("/v1/events", headers=wrong)
    page = site.client.get("/", headers={"Authorization": "Basic " + base64.b64encode(b"me:advk_x").decode()})

    assert (refused.status_code, refused.headers["retry-after"]) == (429, "60")
    assert refused.headers["content-type"] == "application/problem+json"
    assert page.status_code == 429
    assert site.client.get("/v1/events", headers=known).status_code == 200
    assert site.client.get("/v1/events", headers=site.key("read")).status_code == 429, "a key not seen before waits"
    clock.now += 60
    assert site.client.get("/v1/events", headers=wrong).status_code == 401


def test_a_revoked_key_that_had_passed_is_wrong_all_the_same(site: Any) -> None:
    from datetime import UTC, datetime

    from app.store.keys import list_keys, revoke_key

    headers = site.key("read")
    site.client.get("/v1/events", headers=headers)
    revoke_key(site.services.database, list_keys(site.services.database)[0].key_id, now=datetime.now(UTC), who="test")

    assert site.client.get("/v1/events", headers=headers).status_code == 401
