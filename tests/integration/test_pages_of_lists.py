"""Lists in pages: each item once, in order, whatever is added, removed or moved while somebody turns the pages."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.events import AdvocacyEvent
from app.store.events import save_events
from app.store.keys import save_key
from app.sync import consents
from app.web.api import create_app
from app.web.v1 import read_cursor, write_cursor

NOW = datetime(2026, 3, 1, tzinfo=UTC)
NAMES = ("Zoë", "alpha", "Beta", "Beta", "Émile", "beta", "Ω", "a, b", "", "7")


@pytest.fixture
def services(migrated_database_url):
    built = build_services(
        load_settings(database_url=migrated_database_url, salesforce_access_token="unused"), now=lambda: NOW
    )
    yield built
    built.database.close()


@pytest.fixture
def ask(services):
    _, secret = save_key(services.database, name="t", scopes=["read"], now=NOW, who="t")
    with TestClient(create_app(services), headers={"Authorization": f"Bearer {secret}"}) as client:

        def ask_for(path, **query):
            return client.get(path, params=query)

        yield ask_for


def add_accounts(services, rows):
    with services.database.begin() as connection:
        for id_, name, total in rows:
            connection.exec_driver_sql(f"insert into account (id, name) values ('{id_}', '{name}')")
            connection.exec_driver_sql(
                f"insert into account_value (account_id, total, direct) values ('{id_}', {total}, {total})"
            )


def walk(ask, path, meanwhile=lambda page: None, **query):
    """Every page of a list, to its end."""
    pages, cursor = [], None
    while True:
        answer = ask(path, **query, **({"cursor": cursor} if cursor else {}))
        assert answer.status_code == 200, answer.text
        pages.append(answer.json()["data"])
        cursor = answer.json()["next_cursor"]
        if cursor is None:
            return pages
        meanwhile(len(pages))


@pytest.mark.parametrize("sort", ["total", "name"])
def test_every_account_comes_once_and_in_order_with_ties_and_negative_sums(services, ask, sort):
    add_accounts(services, [(f"A{n}", name, (n % 3 - 1) * 50 + 1) for n, name in enumerate(NAMES)])
    (whole,) = walk(ask, "/v1/accounts", sort=sort, limit=50)

    for limit in (1, 3, 10):
        pages = walk(ask, "/v1/accounts", sort=sort, limit=limit)
        assert [one["id"] for page in pages for one in page] == [one["id"] for one in whole]
        assert {len(page) for page in pages[:-1]} <= {limit}
    if sort == "total":
        keys = [(-Decimal(one["total"]), one["id"]) for one in whole]
        assert keys == sorted(keys)


def test_what_comes_and_goes_while_somebody_turns_pages_repeats_and_skips_nobody_else(services, ask):
    add_accounts(services, [(f"A{n}", f"Account {n}", 1000 - n) for n in range(9)])

    def meanwhile(page):
        add_accounts(services, [(f"Top{page}", "New on top", 5000 + page)])
        if page == 1:
            with services.database.begin() as connection:
                connection.exec_driver_sql("update account set is_deleted = 1 where id in ('A0', 'A1', 'A2')")

    pages = walk(ask, "/v1/accounts", meanwhile, limit=3)

    assert [one["id"] for page in pages for one in page] == [f"A{n}" for n in range(9)]


def test_events_and_runs_come_once_each(services, ask):
    days = [date(2026, 1, 1 + n % 3) for n in range(8)]
    events = [AdvocacyEvent("hub", str(n), "follow", day, "A") for n, day in enumerate(days)]
    save_events(services.database, events, now=NOW, policy=services.mapping.policy)
    with services.database.begin() as connection:
        for _ in range(5):
            connection.exec_driver_sql(
                "insert into sync_run (trigger, mode, status, as_of, epoch, policy_version, mapping_digest, started_at,"
                " heartbeat_at) values ('t', 'sync', 'ok', '2026-03-01', 1, 'p', 'm', '2026-03-01T00:00:00+00:00',"
                " '2026-03-01T00:00:00+00:00')"
            )

    def more(page):
        late = AdvocacyEvent("hub", f"late {page}", "follow", date(2026, 2, 1), "A")
        save_events(services.database, [late], now=NOW, policy=services.mapping.policy)

    listed = [one for page in walk(ask, "/v1/events", more, limit=3) for one in page]
    runs = [one["run_id"] for page in walk(ask, "/v1/runs", limit=2) for one in page]

    assert sorted(one["source_event_id"] for one in listed) == [str(n) for n in range(8)]
    assert [one["occurred_on"] for one in listed] == sorted((one["occurred_on"] for one in listed), reverse=True)
    assert runs == sorted(runs, reverse=True)
    assert len(set(runs)) == 5


@pytest.mark.parametrize(
    "cursor",
    [
        write_cursor("name", "x", "A"),
        write_cursor("total", "NaN", "A"),
        write_cursor("total", "9" * 14, "A"),
        write_cursor("total", "1"),
        write_cursor("total", "1", "a\x00b"),
        write_cursor("total", "1", "\ud800"),
        "W1tbXV1d",
        "x" * 7000,
    ],
)
def test_a_cursor_of_another_list_or_of_nobody_is_refused(ask, cursor):
    assert ask("/v1/accounts", cursor=cursor).status_code == 422
    assert ask("/v1/runs", cursor=cursor).status_code == 422


def test_a_cursor_says_what_it_was_given():
    assert read_cursor(write_cursor("name", 'Zoë, "7"', "A/1"), 3) == ("name", 'Zoë, "7"', "A/1")
    assert read_cursor(None, 3) is None


def consent(n, account, scopes, day=date(2026, 1, 1), **more):
    return AdvocacyEvent("hub", f"c{n}", "permission_granted", day, account, attributes={"scopes": scopes}, **more)


@pytest.mark.parametrize("query", [{}, {"scope": "logo"}, {"all": "true"}, {"account": "A2"}])
def test_every_consent_comes_once_whatever_is_granted_meanwhile(services, ask, query):
    add_accounts(services, [(f"A{n}", f"Zed {9 - n}", 1) for n in range(6)])
    events = [
        consent(
            n, f"A{n % 5}", ["basic", "logo"], contact=f"p{n // 5}", valid_to=date(2026, 2, 1) if n % 3 == 0 else None
        )
        for n in range(10)
    ]
    save_events(services.database, events, now=NOW, policy=services.mapping.policy)
    whole = ask("/v1/permissions", limit=500, **query).json()["data"]

    def more(page):
        # Before the place, where nobody comes by again.
        save_events(services.database, [consent(f"l{page}", "A0", ["basic"], contact=f"late{page}")], now=NOW,
                    policy=services.mapping.policy)  # fmt: skip

    for limit in (1, 2, 7):
        listed = [one for page in walk(ask, "/v1/permissions", limit=limit, **query) for one in page]
        assert listed == whole
    listed = [one for page in walk(ask, "/v1/permissions", more, limit=3, **query) for one in page]
    assert [one for one in listed if not (one["contact"] or "").startswith("late")] == whole
    assert len({(one["account"], one["event"], one["scope"]) for one in listed}) == len(listed)


def test_a_page_of_consents_looks_at_no_more_accounts_than_it_takes(services, ask, monkeypatch):
    add_accounts(services, [(f"A{n}", "", 1) for n in range(9)])
    events = [consent(n, f"A{n}", ["basic"]) for n in range(9)]
    save_events(services.database, events, now=NOW, policy=services.mapping.policy)
    seen = []
    load = consents.load_verified
    monkeypatch.setattr(consents, "load_verified", lambda c, ids, *a: seen.extend(ids) or load(c, ids, *a))

    assert len(ask("/v1/permissions", limit=2).json()["data"]) == 2

    assert seen == ["A0", "A1", "A2"]


@pytest.mark.parametrize("query", ["", "account"])
@pytest.mark.parametrize("sort", ["total", "name"])
def test_the_customers_page_goes_on_behind_the_last_one_seen(services, monkeypatch, sort, query):
    monkeypatch.setattr("app.web.pages.ROWS", 2)
    add_accounts(services, [(f"A{n}", f"Account {n}", 1000 - n) for n in range(5)])
    here = TestClient(create_app(services), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000))
    seen, address = [], f"/?sort={sort}&q={query}"
    while address:
        page = here.get(address).text
        seen += re.findall(r'href="/accounts/(\w+)"', page)
        add_accounts(services, [(f"Top{len(seen)}", "AAA account", 5000 + len(seen))])
        address = next(iter(re.findall(r'href="([^"]+)" rel="next"', page)), "").replace("&amp;", "&")

    assert seen == [f"A{n}" for n in range(5)]


def test_what_nobody_knows_is_told_and_not_an_empty_list(services, ask):
    add_accounts(services, [("A1", "Anna", 1)])
    early = AdvocacyEvent("hub", "1", "follow", date(2026, 1, 1), "not here yet")
    save_events(services.database, [early], now=NOW, policy=services.mapping.policy)

    wrong_type, wrong_account = ask("/v1/events", type="folow"), ask("/v1/events", account="A9")

    assert wrong_type.status_code == 422
    assert "did you mean follow?" in wrong_type.json()["hint"]
    assert wrong_account.status_code == 404
    assert ask("/v1/events", type="x_ours").json()["data"] == []
    assert ask("/v1/events", account="A1").json()["data"] == []
    assert len(ask("/v1/events", account="not here yet").json()["data"]) == 1
