"""What every REST connector needs: where a token may go, what a status means, what a message may show."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import respx
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import ConfigurationError, ConnectorError, RateLimitedError, TransientError
from connectors.http import (
    build_client,
    check_address,
    decode_json,
    error_for_status,
    is_loopback,
    read_http_date,
    read_retry_after,
    redact,
)
from connectors.retry import RetryPolicy


@pytest.mark.parametrize(
    "url",
    [
        "https://acme.my.salesforce.com",
        "https://ACME.my.salesforce.com/",
        "http://127.0.0.1:8800",
        "http://localhost:1",
        "http://[::1]:8800",
        "http://127.8.9.1",
        "https://crm.acme.example",
        "https://acme.my.salesforce.com:443/",
    ],
)
def test_addresses_of_ours_are_accepted(url) -> None:
    check_address(url, "login_url", (".salesforce.com", "crm.acme.example"))


@pytest.mark.parametrize(
    "url",
    [
        "",
        "acme.my.salesforce.com",
        "ftp://acme.my.salesforce.com",
        "http://acme.my.salesforce.com",
        "https://salesforce.com",
        "https://evilsalesforce.com",
        "https://acme.my.salesforce.com.evil.example",
        "https://acme.my.salesforce.com@evil.example",
        "https://user:secret@acme.my.salesforce.com",
        "https://sub.crm.acme.example",
        "http://127.0.0.1.evil.example",
        "http://0.0.0.0",
        "http://10.0.0.1",
        "https://[::1",
        "https://acme.my.salesforce.com:port",
        "https://",
        "https://evil.example\\.salesforce.com",
        "https://evil.example\\@acme.my.salesforce.com",
        "https://@acme.my.salesforce.com",
        "https://evil.example .salesforce.com",
        "https://evil.example\t.salesforce.com",
        "https://evil.example\n.salesforce.com",
        "https://evil.example;.salesforce.com",
        "https://evil.example%2f.salesforce.com",
        "https://evil.example%00.salesforce.com",
        "https://evil.example,.salesforce.com",
        "https://evil.example\uff0f.salesforce.com",
        "https://evil\u3002.salesforce.com",
        "https://.salesforce.com",
        "https://acme.my.sale\u017fforce.com",
        "https://acme.my.salesforce.com/a",
        "https://acme.my.salesforce.com//",
        "https://acme.my.salesforce.com/?a",
        "https://acme.my.salesforce.com?",
        "https://acme.my.salesforce.com#",
        "https://acme.my.salesforce.com:",
        "https://acme.my.salesforce.com:99999",
        "https://acme.my.salesforce.com/ ",
        " https://acme.my.salesforce.com",
        "https://[::2]",
        "http://[::1%25eth0]:8800",
    ],
)
def test_addresses_that_could_carry_a_token_away_are_refused(url) -> None:
    with pytest.raises(ConfigurationError, match="login_url") as caught:
        check_address(url, "login_url", (".salesforce.com", "crm.acme.example"))

    assert "secret" not in caught.value.message


def test_loopback_is_recognised_in_all_its_spellings() -> None:
    assert all(map(is_loopback, ("localhost", "127.0.0.1", "127.255.0.1", "::1")))
    assert not any(map(is_loopback, ("", "0.0.0.0", "example.com", "10.0.0.1")))


def test_a_client_has_time_outs_and_follows_no_redirect() -> None:
    with build_client("https://acme.my.salesforce.com") as client:
        assert None not in (client.timeout.connect, client.timeout.read, client.timeout.write, client.timeout.pool)
        assert not client.follow_redirects


def test_unknown_statuses_are_transient_when_the_server_is_at_fault() -> None:
    assert error_for_status(429) is RateLimitedError
    assert error_for_status(599) is TransientError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        ("", None),
        ("soon", None),
        ("Wed, 01 Jan 2025 00:01:00 GMT", 60.0),
        ("Tue, 31 Dec 2024 00:00:00 GMT", 0.0),
    ],
)
def test_a_wait_comes_as_seconds_or_as_a_date(text, seconds) -> None:
    now = datetime(2025, 1, 1, tzinfo=UTC)

    assert read_retry_after({"retry-after": text}, now) == seconds


def test_dates_are_read_as_utc_and_nonsense_is_none() -> None:
    assert read_http_date("Wed, 01 Jan 2025 00:00:00 GMT") == datetime(2025, 1, 1, tzinfo=UTC)
    assert read_http_date("Wed, 01 Jan 2025 00:00:00 -0000") == datetime(2025, 1, 1, tzinfo=UTC)
    assert read_http_date("yesterday") is None


@pytest.mark.parametrize("host", ["https://acme.my.salesforce.com", "http://127.0.0.1:8491"])
def test_a_cookie_that_is_set_is_never_sent_back(host) -> None:
    with respx.mock as router, build_client(host) as client:
        asked = router.get(host).respond(headers={"Set-Cookie": "sid=of-another-session; Path=/"})

        for _ in range(2):
            client.get(host)

        assert "cookie" not in asked.calls.last.request.headers
        assert not client.cookies


@pytest.mark.parametrize("body", [b"", b"<html>", b"{", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_not_json_is_none(body) -> None:
    assert decode_json(body) is None


@given(st.text(max_size=2000))
def test_a_message_is_one_line_of_bounded_length(text) -> None:
    clean = redact(text)

    assert len(clean) <= 500
    assert "\n" not in clean


def test_the_query_string_of_an_address_is_removed() -> None:
    assert redact("see https://x.example/a?sid=1#frag now") == "see https://x.example/a now"


class Calls:
    def __init__(self, *errors: ConnectorError) -> None:
        self.errors = list(errors)
        self.made = 0

    def __call__(self) -> str:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return "done"


def test_only_passing_trouble_is_retried() -> None:
    waits: list[float] = []
    policy = RetryPolicy(attempts=3, sleep=waits.append)
    passing, lasting = Calls(TransientError("a"), RateLimitedError("b")), Calls(ConfigurationError("c"))

    assert policy.run(passing) == "done"
    with pytest.raises(ConfigurationError):
        policy.run(lasting)

    assert (passing.made, lasting.made) == (3, 1)


def test_attempts_are_bounded_and_the_last_error_goes_up() -> None:
    calls = Calls(*(TransientError(str(i)) for i in range(9)))

    with pytest.raises(TransientError, match="2"):
        RetryPolicy(attempts=3, sleep=lambda _: None).run(calls)

    assert calls.made == 3


def test_a_wait_that_is_asked_for_is_waited() -> None:
    waits: list[float] = []
    calls = Calls(TransientError("a", retry_after=42.0), TransientError("b"))

    RetryPolicy(first=1.0, sleep=waits.append).run(calls)

    assert waits[0] == 42.0
    assert waits[1] <= 2.0


def test_too_long_a_wait_is_left_to_the_caller() -> None:
    waits: list[float] = []
    calls = Calls(TransientError("a", retry_after=3600.0))

    with pytest.raises(TransientError):
        RetryPolicy(sleep=waits.append).run(calls)

    assert waits == []
