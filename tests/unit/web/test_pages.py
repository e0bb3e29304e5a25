"""The pages: who may see them, and that nothing from outside gets a hold of the browser."""

from __future__ import annotations

import base64
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from app.web.access import _is_local
from app.web.pages import build_bar, build_templates, group_lines, keep_web_link, show_money

HERE = {"base_url": "http://127.0.0.1:8000", "client": ("127.0.0.1", 50000)}


def local(site: Any, **options: Any) -> TestClient:
    return TestClient(site.client.app, **{**HERE, **options})


def test_the_page_is_open_on_this_very_machine(site: Any) -> None:
    answer = local(site).get("/")

    assert answer.status_code == 200
    assert "Who to call first" in answer.text
    assert "advocacy sync" in answer.text


def test_a_day_beyond_everything_is_refused_and_no_failure(site: Any) -> None:
    assert local(site).get("/calls?day=9999-12-31").status_code == 422


@pytest.mark.parametrize(
    ("options", "headers"),
    [
        ({"client": ("192.0.2.7", 50000)}, {}),
        ({"base_url": "http://rebound.example:8000"}, {}),
        ({}, {"X-Forwarded-For": "192.0.2.7"}),
        ({}, {"Forwarded": "for=192.0.2.7"}),
    ],
)
def test_from_anywhere_else_a_key_is_needed(site: Any, options: dict[str, Any], headers: dict[str, str]) -> None:
    client = local(site, **options)
    secret = site.key("read")["Authorization"].removeprefix("Bearer ")

    without = client.get("/", headers=headers)
    wrong = client.get("/", headers=headers, auth=("me", "advk_wrong"))
    right = client.get("/", headers=headers, auth=("me", secret))

    assert [without.status_code, wrong.status_code, right.status_code] == [401, 401, 200]
    assert without.headers["www-authenticate"].startswith("Basic realm=")


def test_a_key_that_may_not_read_sees_no_page(site: Any) -> None:
    secret = site.key("events:write")["Authorization"].removeprefix("Bearer ")

    assert site.client.get("/", auth=("me", secret)).status_code == 401


@pytest.mark.parametrize("authorization", ["Basic", "Basic !!!", "Basic " + base64.b64encode(b"\xff:\xff").decode()])
def test_a_malformed_login_is_refused(site: Any, authorization: str) -> None:
    assert site.client.get("/", headers={"Authorization": authorization}).status_code == 401


def test_a_day_without_anything_urgent_says_so_and_leads_to_the_customers(site: Any) -> None:
    answer = local(site).get("/triage", params={"hours": ""})

    assert answer.status_code == 200
    assert "Nothing is urgent today" in answer.text
    assert 'href="/"' in answer.text


@pytest.mark.parametrize("hours", ["many", "-1", "NaN", "1" * 21])
def test_hours_that_nobody_has_are_refused(site: Any, hours: str) -> None:
    assert local(site).get("/triage", params={"hours": hours}).status_code == 422


def test_the_day_needs_a_key_from_anywhere_else(site: Any) -> None:
    assert site.client.get("/triage").status_code == 401


def test_an_unknown_customer_is_a_friendly_page(site: Any) -> None:
    answer = local(site).get("/accounts/001000000000001AAA")

    assert answer.status_code == 404
    assert "No such customer" in answer.text


def test_a_search_without_a_find_says_so_and_escapes(site: Any) -> None:
    answer = local(site).get("/", params={"q": "<script>alert(1)</script>"})

    assert "<script" not in answer.text
    assert "No customer is called" in answer.text


@pytest.mark.parametrize("query", ["sort=nonsense", "after=x", "after=WyJ0b3RhbCIsICIxIl0", "q=" + "a" * 101])
def test_a_nonsensical_address_is_refused(site: Any, query: str) -> None:
    assert local(site).get(f"/?{query}").status_code == 422


def test_templates_have_no_inline_script_or_style() -> None:
    import app.web.pages as pages

    texts = [path.read_text() for path in (Path(pages.__file__).parent / "templates").glob("*.html")]

    assert len(texts) >= 4
    for text in texts:
        assert not re.search(r"<script|<style|\sstyle=|\son\w+=|javascript:|\|\s*safe", text)


VIEW = {
    "id": "001", "name": "<b>Evil</b> & Co", "rank": 1, "currency": "USD", "total": "280000.00", "direct": "30000.00",
    "referred": "250000.00", "pipeline": "0.00", "issues": ["rate_missing"],
}  # fmt: skip


def test_what_customers_are_called_stays_text() -> None:
    class Whole:
        direct, referred, accounts, currency = Decimal(1), Decimal(2), 3, "USD"

    page = build_templates().get_template("triage.html").render(
        rows=[{**VIEW, "bar": {"own": 1, "referred": 2}}], whole=Whole, sort="total", sorts=["total"], query="",
        first="", further="", computed=None, change=None, bar_width=160,
    )  # fmt: skip

    assert "<b>" not in page
    assert "&lt;b&gt;Evil&lt;/b&gt; &amp; Co" in page
    assert "280,000" in page
    assert "rate missing" in page


def test_links_lead_to_web_pages_only() -> None:
    assert keep_web_link("https://crm.example/001") == "https://crm.example/001"
    for text in ("javascript:alert(1)", "data:text/html,x", "", None, "//crm.example", " javascript:alert(1)"):
        assert keep_web_link(text) == ""


def test_money_reads_well() -> None:
    assert show_money("140000.00") == "140,000"
    assert show_money("140000.50") == "140,000.50"
    assert show_money("-8000") == "−8,000"


def test_bars_share_one_scale_and_never_run_backwards() -> None:
    view = {"direct": "-10", "referred": "50"}

    assert build_bar(view, Decimal(100)) == {"own": 0, "referred": 80}
    assert build_bar(view, Decimal(0)) == {"own": 0, "referred": 0}


def test_lines_are_grouped_by_measure_with_their_sum() -> None:
    lines = [{"measure": "referred", "amount": "1.50"}, {"measure": "direct", "amount": "2"}]
    lines.append({"measure": "referred", "amount": "2.50"})

    groups = group_lines(lines)

    assert [(group["measure"], group["total"]) for group in groups] == [
        ("direct", Decimal(2)),
        ("referred", Decimal(4)),
    ]


def test_local_means_peer_and_name_and_no_proxy() -> None:
    from starlette.requests import Request

    def request(peer: tuple[str, int] | None, host: str, *headers: tuple[bytes, bytes]) -> Request:
        named = [(b"host", host.encode()), *headers]
        return Request({"type": "http", "client": peer, "headers": named, "path": "/", "scheme": "http"})

    assert _is_local(request(("::1", 1), "localhost:8000"))
    assert not _is_local(request(None, "localhost"))
    assert not _is_local(request(("127.0.0.1", 1), "127.0.0.1.example"))
    assert not _is_local(request(("127.0.0.1", 1), "localhost", (b"via", b"1.1 proxy")))
