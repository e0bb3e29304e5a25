"""One call a day as programs, calendars, people at a page and people at a terminal meet it."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest
from callers import NEED, events_of, open_callers
from starlette.testclient import TestClient

from app.cli import main
from app.store.events import list_events
from app.store.keys import save_key
from app.sync.call_log import log_call
from app.sync.calls import list_calls
from app.web.api import create_app


@pytest.fixture
def company(tmp_path, migrated_database_url):
    yield from open_callers(tmp_path, migrated_database_url)


@pytest.fixture
def site(company):
    services, clock = company
    with TestClient(create_app(services), base_url="http://testserver") as client:
        yield client, services, clock


def key(services, *scopes):
    _, secret = save_key(services.database, name="test", scopes=scopes, now=services.now(), who="test")
    return secret


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def test_programs_read_the_queue_and_log_a_call(site):
    client, services, _ = site
    reads, writes = bearer(key(services, "read")), bearer(key(services, "events:write"))

    (queue,) = client.get("/v1/calls", params={"rep": "kim", "day": "2026-03-02"}, headers=reads).json()["data"]
    assert (queue["call"]["account"], queue["call"]["total"], queue["state"]) == ("B", "9000.00", "open")

    body = {"account": "B", "bucket": "need_you", "verbatim": NEED, "caller": "Kim", "reasons": ["speed"]}
    first, second = (client.post("/v1/calls", json=body, headers=writes) for _ in range(2))
    assert (first.status_code, first.json()["is_new"], first.json()["bucket"]) == (201, True, "need_you")
    assert (second.status_code, second.json()["is_new"]) == (200, False)
    skipped = client.post("/v1/calls", json={"account": "A", "skipped": "no_answer"}, headers=writes)
    assert (skipped.status_code, skipped.json()["next_call_on"]) == (201, "2026-03-05")

    (queue,) = client.get("/v1/calls", params={"rep": "kim"}, headers=reads).json()["data"]
    assert queue["state"] == "answered"
    (meter,) = client.get("/v1/calls/coverage", params={"rep": "kim"}, headers=reads).json()["data"]
    assert (meter["covered"], meter["called"], meter["skipped"]) == (1, 1, 1)
    care = client.get("/v1/accounts/B/care", headers=reads).json()
    assert (care["bucket"], care["transitions"][0]["verbatim"]) == ("need_you", NEED)
    assert client.get("/v1/accounts/Z/care", headers=reads).status_code == 404
    assert client.get("/v1/lookalikes", headers=reads).json()["data"][0]["account"] in {"Q", "R", "P"}


REFUSED = (
    (b"", 422),
    (b"[]", 422),
    (b"\xff", 422),
    (b'{"bucket": "ok"}', 422),
    (b'{"account": 5, "bucket": "ok"}', 422),
    (b'{"account": "B"}', 422),
    (b'{"account": "B", "bucket": "fine"}', 422),
    (b'{"account": "B", "bucket": "ok", "verbatm": "x"}', 422),
    (b'{"account": "B", "bucket": "ok", "occurred_on": "2027-01-01"}', 422),
    (b'{"account": "B", "skipped": "bored"}', 422),
    (b'{"account": "B", "skipped": "other", "until": "2026-03-02"}', 422),
    (b'{"account": "B", "skipped": "other", "bucket": "ok"}', 422),
    (b'{"account": "Z", "bucket": "ok"}', 404),
)


def test_what_is_no_call_is_refused(site):
    client, services, _ = site
    writes = bearer(key(services, "events:write"))
    for body, status in REFUSED:
        answer = client.post("/v1/calls", content=body, headers=writes)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), body


def test_reading_and_writing_calls_need_their_scopes(site):
    client, services, _ = site
    feed = bearer(key(services, "calendar"))
    body = {"account": "B", "bucket": "ok"}
    assert client.get("/v1/calls").status_code == 401
    assert client.get("/v1/calls", headers=feed).status_code == 403
    assert client.get("/v1/calls/coverage", headers=feed).status_code == 403
    assert client.post("/v1/calls", json=body, headers=bearer(key(services, "read"))).status_code == 403
    assert client.post("/v1/calls", json=body, auth=("me", key(services, "events:write"))).status_code == 401


def test_the_page_tells_of_a_representative_that_nobody_knows(site):
    client, services, _ = site

    answer = client.get("/calls?rep=nobody", headers={"accept": "text/html"}, auth=("me", key(services, "read")))

    assert answer.status_code == 404
    assert "&#39;nobody&#39; owns no customer" in answer.text
    assert "Call</dt>" not in answer.text


def test_what_nobody_knows_is_404_and_not_an_empty_list(site):
    client, services, _ = site
    reads = bearer(key(services, "read"))
    for path in ("/v1/calls", "/v1/calls/coverage", "/v1/calls/calendar.ics"):
        login = {"auth": ("any", key(services, "read"))} if path.endswith("ics") else {"headers": reads}
        assert client.get(path, params={"rep": "nobody"}, **login).status_code == 404
        assert client.get(path, params={"rep": "kim"}, **login).status_code == 200
    assert client.get("/v1/lookalikes", params={"account": "nobody"}, headers=reads).status_code == 404
    assert client.get("/v1/lookalikes", params={"account": "Berta"}, headers=reads).json()["ideals"] == 1


def test_the_id_of_a_representative_is_read_as_the_crm_keeps_it(company):
    services, _ = company
    plain = replace(services, normalise_id=lambda text: text.strip().lower())

    (queue,) = list_calls(plain, rep=" KIM ")
    assert queue.rep == "kim"


def test_a_calendar_program_logs_in_with_a_key_that_can_do_nothing_else(site):
    client, services, _ = site
    secret = key(services, "calendar")

    answer = client.get("/v1/calls/calendar.ics", params={"rep": "kim", "days": 3}, auth=("any", secret))

    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/calendar; charset=utf-8")
    assert answer.headers["cache-control"] == "no-store"
    assert len(events_of(answer.text)) == 3
    for path in ("/v1/accounts", "/v1/calls", "/v1/events"):
        assert client.get(path, headers=bearer(secret)).status_code == 403
    assert client.get("/calls", auth=("any", secret)).status_code == 401
    for scope, status in (("read", 200), ("admin", 200), ("events:write", 403)):
        assert client.get("/v1/calls/calendar.ics", auth=("any", key(services, scope))).status_code == status


def test_nobody_reads_the_calendar_without_a_key_and_no_key_is_taken_from_the_address(site):
    client, services, _ = site
    secret = key(services, "calendar")
    here = TestClient(client.app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000))
    for answer in (
        client.get("/v1/calls/calendar.ics"),
        here.get("/v1/calls/calendar.ics"),
        client.get("/v1/calls/calendar.ics", params={"token": secret, "key": secret}),
        client.get("/v1/calls/calendar.ics", auth=(secret, "")),
        client.get("/v1/calls/calendar.ics", auth=("any", "advk_wrong")),
    ):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")


def test_a_nonsensical_calendar_is_refused(site):
    client, services, _ = site
    auth = ("any", key(services, "calendar"))
    for query in ("days=0", "days=261", "at=noon", "minutes=0", "rep=" + "x" * 256):
        assert client.get(f"/v1/calls/calendar.ics?{query}", auth=auth).status_code == 422, query


def test_the_page_shows_the_calls_and_their_coverage(site):
    client, services, clock = site
    log_call(services, "A", {"bucket": "need_you", "verbatim": "<b>Never</b> without", "reasons": ["speed"]})
    auth = ("me", key(services, "read"))

    page = client.get("/calls", auth=auth)
    assert page.status_code == 200
    assert all(word in page.text for word in ("Berta", "Dora", "Emma", "customers without an owner", "Utilisation"))
    assert "industry: Retail" in client.get("/lookalikes", auth=auth).text
    kim = client.get("/calls", params={"rep": "kim"}, auth=auth).text
    assert "Dora" not in kim
    clock.move(days=120)
    kim = client.get("/calls", params={"rep": "kim", "day": "2026-07-01"}, auth=auth).text
    assert "<b>Never" not in kim
    weekend = client.get("/calls", params={"day": "2026-03-01"}, auth=auth).text
    assert "No business day" in weekend
    assert "/calls?rep=&amp;day=2026-03-02" in weekend


def test_once_answered_the_page_shows_the_answer_and_what_was_known_before_no_more(site):
    client, services, _ = site
    auth = ("me", key(services, "read"))
    before = client.get("/calls", params={"rep": "kim"}, auth=auth).text
    assert "Never called" in before

    log_call(services, "B", {"bucket": "need_you", "verbatim": NEED, "caller": "Kim"})

    page = client.get("/calls", params={"rep": "kim"}, auth=auth).text
    assert "said on 2026-03-02" in page
    assert NEED in page
    assert "Next call from 2026-05-01 on." in page
    assert "Never called" not in page
    assert "Next in line" not in page
    assert "talking" not in page


def test_with_many_representatives_the_page_asks_whose_calls(site):
    client, services, _ = site
    auth = ("me", key(services, "read"))
    assert "No customer is known to need us yet" in client.get("/lookalikes", auth=auth).text
    with services.database.begin() as connection:
        connection.exec_driver_sql("update account set owner_id = 'rep ' || id where id in ('A', 'B', 'C', 'D', 'E')")
        connection.exec_driver_sql("update account_value set direct = 1 where account_id = 'P'")
    page = client.get("/calls", auth=auth).text
    assert "Whose calls?" in page
    assert "Call</dt>" not in page
    assert 'href="/calls?rep=rep+A&amp;day=2026-03-02"' in page
    assert "Anna" in client.get("/calls", params={"rep": "rep A"}, auth=auth).text


# On the command line


@pytest.fixture
def command(company, capsys, monkeypatch):
    services, clock = company
    settings = services.settings
    options = ["--set", f"database_url={settings.database_url}", "--set", "crm=files"]
    options += ["--set", f"files_dir={settings.files_dir}"]
    monkeypatch.setattr("app.bootstrap._utc_now", clock)

    def run(*arguments):
        with pytest.raises(SystemExit) as ended:
            main([*options, *arguments])
        out, err = capsys.readouterr()
        return ended.value.code, out, err

    return run


def test_the_command_line_goes_through_a_day(command):
    code, out, _ = command("calls", "today")
    assert code == 0
    assert out.splitlines()[0].split() == ["REP", "CALL", "BUCKET", "TOTAL", "STATE"]
    assert "(nobody)" in out

    code, out, err = command("calls", "today", "--rep", "kim")
    assert out.startswith("Call Berta  (B)\nWhy: never called, customer for 244 days, due every 22.5 days")
    assert "next in line: Anna, Clara" in err
    assert "advocacy calls log B --bucket" in err

    code, out, _ = command(
        "calls",
        "log",
        "Berta",
        "--bucket",
        "who_are_you",
        "Remind me?",
        "--by",
        "Kim",
        "--win-win",
        "--reason",
        "new boss",
    )
    assert code == 0
    assert out.startswith("logged: Berta. Both sides win: recruit them again")
    code, out, _ = command("calls", "skip", "A", "--reason", "not_now", "--until", "2026-04-01", "--json")
    assert json.loads(out)["next_call_on"] == "2026-04-01"

    code, out, _ = command("calls", "history", "Berta")
    assert "Said 'who are you?' on 2026-03-02, told Kim: “Remind me?”" in out
    assert out.splitlines()[-1].split()[:2] == ["2026-03-02", "who"]

    code, out, _ = command("calls", "today", "--rep", "kim", "--json")
    (queue,) = json.loads(out)
    assert (queue["call"]["account"], queue["state"]) == ("B", "answered")
    assert (queue["bucket"], queue["outcome"][0]) == (
        "who_are_you", "Said 'who are you?' on 2026-03-02, told Kim: “Remind me?”",
    )  # fmt: skip
    code, out, _ = command("calls", "today", "--rep", "kim")
    assert out.startswith("Called Berta  (B): answered\n  - Said 'who are you?'")
    assert "never called" not in out
    _, out, _ = command("events", "list", "--type", "care_answer", "--json")
    (event,) = json.loads(out)
    assert event["attributes"] == {
        "bucket": "who_are_you", "verbatim": "Remind me?", "caller": "Kim", "win_win": True, "reasons": ["new boss"],
    }  # fmt: skip
    assert event["polarity"] == "neutral"


def test_a_skipped_call_says_why_and_when_it_is_tried_again(command):
    code, out, _ = command("calls", "skip", "Berta", "--reason", "on_holiday", "--until", "2026-03-16", "--note", "Ski")

    assert (code, out) == (0, "logged: Berta. Skipped: on holiday. Ski.\nNext call from 2026-03-16 on.\n")
    _, out, _ = command("calls", "today", "--rep", "kim")
    assert out.splitlines() == [
        "Called Berta  (B): skipped", "  - Skipped: on holiday. Ski.", "  - Next call from 2026-03-16 on.",
    ]  # fmt: skip


def test_less_is_only_advised_where_less_can_be_asked_for(command):
    command("calls", "log", "B", "--bucket", "need_you", NEED)

    assert "--least 7 asks for less" in command("lookalikes", "--least", "8")[2]
    assert "asks for less" not in command("lookalikes", "--least", "1")[2]


def test_the_command_line_measures_and_plans(command):
    code, out, _ = command("calls", "coverage")
    assert code == 0
    assert out.splitlines()[0].startswith("REP")
    code, out, _ = command("calls", "coverage", "--rep", "kim")
    assert "0 of 3 customers covered (0 %)" in out
    assert "business day 1 of 22" in out
    assert "one call a day is enough" in out
    code, out, _ = command("calls", "calendar", "--rep", "kim", "--days", "2", "--at", "09:30")
    assert out.startswith("BEGIN:VCALENDAR\r\n")
    assert out.count("BEGIN:VEVENT") == 2
    code, out, err = command("lookalikes")
    assert (code, "no customer is known to need us yet" in err) == (0, True)
    command("calls", "log", "A", "--bucket", "need_you", NEED)
    code, out, _ = command("lookalikes", "Anna", "--json")
    assert [one["account"] for one in json.loads(out)] == ["P"]


NONSENSE = (
    (("calls", "log", "B", "--bucket", "fine", "x"), "fine"),
    (("calls", "log", "B", "--bucket", "ok", " "), "what did they say"),
    (("calls", "log", "B", "--bucket", "ok", "x", "--win-win"), "win_win"),
    (("calls", "log", "B", "--bucket", "ok", "x", "--on", "2026-03-03"), "has not come yet"),
    (("calls", "log", "Nobody", "--bucket", "ok", "x"), "no account"),
    (("calls", "skip", "B", "--reason", "bored"), "bored"),
    (("calls", "skip", "B", "--reason", "other", "--until", "soon"), "until"),
    (("calls", "today", "--day", "soon"), "is not a date"),
    (("calls", "calendar", "--at", "9"), "time of day"),
    (("calls", "calendar", "--days", "0"), "business days"),
    (("lookalikes", "Nobody"), "no account"),
)


def test_what_cannot_be_meant_is_code_2(command):
    for arguments, words in NONSENSE:
        code, out, err = command(*arguments)
        assert (code, out) == (2, ""), arguments
        assert words in err


def test_an_unknown_representative_is_told_so(command):
    code, out, err = command("calls", "today", "--rep", "nobody")
    assert (code, out) == (2, "")
    assert "owns no customer" in err


def log_form(site, *scopes):
    """(post a form to the page of Berta's call, what it says there) of somebody with such a key."""
    client, services, _ = site
    login = ("kim", key(services, *scopes))
    page = client.get("/calls/log?account=B&rep=kim&contact=ann", auth=login).text
    hidden = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', page))

    def post(**said):
        return client.post("/calls/log", data={**hidden, **said}, auth=login, follow_redirects=False)

    return post, page


def test_a_call_is_logged_from_the_page_once_however_often_it_is_sent(site):
    client, services, _ = site
    post, page = log_form(site, "read", "events:write")
    listed = client.get("/calls?rep=kim", auth=("any", key(services, "read"))).text
    assert "/calls/log?account=B&amp;rep=kim" in listed
    assert 'value="ann"' in page

    sent = {"bucket": "need_you", "verbatim": NEED, "reasons": "no outages, fewer steps", "contact": "ann"}
    answers = [post(**sent), post(**sent)]

    assert [(one.status_code, one.headers["location"]) for one in answers] == [(303, "/calls?rep=kim")] * 2
    (stored,) = list_events(services.database, account="B", event_type="care_answer")
    assert stored.event.contact == "ann"
    assert stored.event.attributes == {
        "bucket": "need_you",
        "verbatim": NEED,
        "reasons": ["no outages", "fewer steps"],
        "caller": "test",
    }
    assert "Log the call" not in client.get("/calls?rep=kim", auth=("any", key(services, "read"))).text


def test_a_skipped_call_and_nonsense_from_the_page(site):
    _, services, _ = site
    post, _ = log_form(site, "read", "events:write")

    wrong = post(bucket="ok", verbatim="It <is>.", win_win="true")
    empty = post(verbatim="x")
    unsealed = post(bucket="ok", verbatim="x", seal="0")
    skipped = post(skipped="on_holiday", until="2026-03-09", note="back soon")

    assert (wrong.status_code, empty.status_code, unsealed.status_code, skipped.status_code) == (422, 422, 403, 303)
    assert "`win_win` is decided for who_are_you only" in wrong.text
    assert "It &lt;is&gt;." in wrong.text
    (stored,) = list_events(services.database, account="B")
    assert stored.event.attributes == {
        "reason": "on_holiday",
        "until": "2026-03-09",
        "note": "back soon",
        "caller": "test",
    }


@pytest.mark.parametrize("scopes", [("read",), ("events:write",), ("calendar",)])
def test_logging_from_the_page_needs_a_key_that_may(site, scopes):
    _, services, _ = site
    post, page = log_form(site, *scopes)

    assert "form" not in page
    assert post(account="B", bucket="ok", verbatim="x").status_code == 401
    assert list_events(services.database, account="B") == []
