"""One call a day, from exported files to the command line, the interface for programs, the calendar and the page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from app.bootstrap import build_services
from app.cli import main
from app.config import load_settings
from app.domain.care import Bucket
from app.domain.events import AdvocacyEvent
from app.errors import ConfigError
from app.intake.event_fields import RejectedEventError
from app.store.events import list_events, save_events
from app.store.keys import save_key
from app.sync.call_log import log_call, skip_call
from app.sync.calls import list_calls, write_call_calendar
from app.sync.care import show_care
from app.sync.coverage import measure_coverage
from app.sync.lookalikes import list_lookalikes
from app.sync.run import run_sync
from app.web.api import create_app

MONDAY = datetime(2026, 3, 2, 9, tzinfo=UTC)
ACCOUNTS = """\
id,name,owner_id,industry,region,employees,merged_into_id
A,Anna,kim,Retail,EMEA,300,
B,Berta,kim,Mining,APAC,20,
C,Clara,kim,Retail,EMEA,10,
D,Dora,lee,Energy,EMEA,9000,
E,Emma,,Energy,EMEA,9000,
OLD,Anna before,kim,,,,A
P,Paul,lee,Retail,EMEA,900,
Q,Quinn,lee,Retail,APAC,,
R,Rosa,lee,Mining,EMEA,,
"""
DEALS = """\
id,account_id,name,amount,created_date,close_date,is_won,is_closed,type,product,probability
D1,A,First,1000,2025-01-10,2025-02-01,true,true,new,Alpha,
D2,B,First,9000,2025-06-10,2025-07-01,true,true,new,Beta,
D3,C,First,10,2026-02-10,2026-02-25,true,true,new,Alpha,
D4,D,First,500,2025-06-10,2025-07-01,true,true,new,Alpha,
D5,E,First,400,2025-06-10,2025-07-01,true,true,new,Alpha,
D6,P,Maybe,700,2026-01-10,2026-06-01,false,false,new,Alpha,50
D7,Q,Maybe,300,2026-01-10,2026-06-01,false,false,new,Beta,
D8,R,Lost,300,2026-01-10,2026-02-01,false,true,new,Alpha,
"""
NEED = "We would stop shipping without it."


class Clock:
    def __init__(self):
        self.now = MONDAY

    def __call__(self):
        return self.now

    def move(self, **ahead):
        self.now += timedelta(**ahead)


@pytest.fixture
def company(tmp_path, migrated_database_url):
    (tmp_path / "accounts.csv").write_text(ACCOUNTS)
    (tmp_path / "opportunities.csv").write_text(DEALS)
    clock = Clock()
    settings = load_settings(database_url=migrated_database_url, crm="files", files_dir=str(tmp_path))
    services = build_services(settings, now=clock)
    assert run_sync(services).status == "ok"
    yield services, clock
    services.database.close()


def save(services, *events):
    save_events(services.database, events, now=services.now(), policy=services.mapping.policy)


def said(id_, account, day, bucket, **more):
    attributes = {"bucket": bucket, **more}
    return AdvocacyEvent("t", id_, "care_answer", date.fromisoformat(day), account, attributes=attributes)


def called(services, rep="kim", day=None):
    (queue,) = list_calls(services, rep=rep, day=day)
    return queue.call.account if queue.call else None


def test_s3_04_each_representative_has_one_buyer_a_day(company):
    services, _ = company

    queues = list_calls(services)

    assert [(queue.rep, queue.call.account, queue.state) for queue in queues] == [
        # Anna waits since the sale, for 394 days of 45; Berta is worth more and waits for 244 of 22.5.
        ("kim", "B", "open"),
        ("lee", "D", "open"),
        (None, "E", "open"),
    ]
    assert queues[0].upcoming == (("A", "Anna"), ("C", "Clara"))
    assert "never called, customer for 244 days" in queues[0].call.why


def test_the_call_of_a_day_stays_whatever_is_logged_and_tomorrow_is_another(company):
    services, clock = company

    logged = log_call(services, "Berta", {"bucket": "need_you", "verbatim": NEED, "caller": "Kim"})

    assert (logged.is_new, logged.bucket, logged.name) == (True, Bucket.NEED_YOU, "Berta")
    assert logged.next_call_on == date(2026, 5, 1)
    (queue,) = list_calls(services, rep="kim")
    assert (queue.call.account, queue.call.bucket, queue.state) == ("B", None, "answered")
    clock.move(days=1)
    assert called(services) == "A"
    assert called(services, day=date(2026, 3, 2)) == "B", "and looking back tells the same"
    run_sync(services)
    assert called(services) == "A"


def write_deals(services, *more):
    (services.settings.files_dir / "opportunities.csv").write_text(DEALS + "".join(f"{line}\n" for line in more))


BIG = "D9,C,More,900000,2026-02-26,2026-02-27,true,true,new,Alpha,"
NEWCOMER = "D10,R,First,50,2024-01-10,2024-02-01,true,true,new,Alpha,"


def test_a_run_during_the_day_changes_the_call_of_tomorrow_and_not_of_today(company):
    """Clara's second sale makes her the most valuable, and Rosa, whose old sale was unknown, waits longest of all."""
    services, clock = company
    morning = list_calls(services)
    write_deals(services, BIG, NEWCOMER)
    clock.move(hours=5)
    run_sync(services)

    afternoon = list_calls(services)

    assert [(queue.rep, queue.call.account, queue.upcoming, queue.call.why) for queue in afternoon] == [
        (queue.rep, queue.call.account, queue.upcoming, queue.call.why) for queue in morning
    ]
    clock.move(hours=1)
    write_deals(services, NEWCOMER.replace(",50,", ",70,"))
    run_sync(services)
    assert [queue.call.account for queue in list_calls(services)] == [queue.call.account for queue in morning]
    clock.move(days=1)
    assert called(services, "lee") == "R"
    assert called(services, "lee", date(2026, 3, 2)) == "D", "and looking back tells what was told then"


def test_a_call_that_moved_to_another_owner_or_was_deleted_is_not_told_any_more(company):
    services, clock = company
    accounts = services.settings.files_dir / "accounts.csv"
    accounts.write_text(ACCOUNTS.replace("B,Berta,kim", "B,Berta,lee"))
    clock.move(hours=2)
    run_sync(services)
    assert called(services) == "A"
    accounts.write_text(ACCOUNTS.replace("B,Berta,kim,Mining,APAC,20,\n", "B,Berta,kim,Mining,APAC,20,A\n"))
    clock.move(hours=2)
    run_sync(services)
    assert called(services) == "A"


def test_the_first_day_has_its_calls_whatever_runs_follow(company):
    services, clock = company
    clock.move(hours=1)
    run_sync(services)
    assert called(services) == "B"


def test_a_week_calls_everybody_once_and_then_nobody_again_so_soon(company):
    services, clock = company
    seen = []
    for _ in range(5):
        account = called(services)
        seen.append(account)
        if account:
            log_call(services, account, {"bucket": "ok", "verbatim": "fine"})
        clock.move(days=1)
    assert seen == ["B", "A", "C", None, None]
    (saturday,) = list_calls(services, rep="kim")
    assert (saturday.is_business_day, saturday.next_business_day, saturday.call) == (False, date(2026, 3, 9), None)


def test_a_skipped_call_rests_and_the_next_in_line_comes_tomorrow(company):
    services, clock = company

    skipped = skip_call(services, "B", {"reason": "on_holiday", "until": "2026-03-05", "caller": "Kim"})

    assert skipped.next_call_on == date(2026, 3, 5)
    (queue,) = list_calls(services, rep="kim")
    assert (queue.call.account, queue.state) == ("B", "skipped")
    days = []
    for _ in range(3):
        clock.move(days=1)
        days.append(called(services))
    assert days == ["A", "A", "B"]


def test_s3_05_what_was_said_is_there_for_the_next_call(company):
    services, clock = company
    save(services, said("1", "B", "2025-12-01", "ok", verbatim="It works, mostly.", caller="Kim"))
    clock.move(days=1)

    (queue,) = list_calls(services, rep="kim")
    assert queue.call.account == "A"
    clock.move(days=30)
    log_call(services, "A", {"bucket": "ok", "verbatim": "fine"}, on="2026-03-31")
    log_call(services, "C", {"bucket": "ok", "verbatim": "fine"}, on="2026-03-31")
    (queue,) = list_calls(services, rep="kim")

    call = queue.call
    assert (call.account, call.bucket, call.verbatim, call.answered_on) == (
        "B", Bucket.OK, "It works, mostly.", date(2025, 12, 1),
    )  # fmt: skip
    assert call.points[0] == 'Said "it\'s ok" on 2025-12-01, told Kim: “It works, mostly.”'
    assert "own 9,000, referred 0" in call.points[1]
    assert "innovation" in call.points[2]
    assert call.points[-1].startswith("No objective and value agreed")


def test_success_limbo_and_inference_are_talking_points(company):
    services, _clock = company
    metric = {"owner": "customer", "kind": "risk_mitigation", "baseline": "10", "target": "4", "unit": "outages"}
    save(
        services,
        AdvocacyEvent("t", "1", "success_metric", date(2026, 1, 1), "B",
                      attributes={**metric, "actual": "13", "agreed_on": "2026-01-01"}),
        AdvocacyEvent("t", "2", "usage_report", date(2026, 2, 20), "B", attributes={"usage_percent": 3}),
    )  # fmt: skip
    run_sync(services)

    (queue,) = list_calls(services, rep="kim")

    assert queue.call.is_inferred
    assert queue.call.points == (
        "Probably 'who are you?': they hardly use it.",
        "Worth 9,000 USD: own 9,000, referred 0.",
        (
            "Learn how they define success and what it takes to recruit them again; decide whether both sides win."
            " This is inferred from usage: ask."
        ),
        "In limbo since 2026-02-20: the value has stopped, and the contract has not.",
        "Risk mitigation of the customer: minus 50 % of the way from 10 to 4 outages, agreed.",
    )


def test_the_buyer_of_a_deal_is_the_one_to_call_and_else_who_answered(company):
    services, clock = company
    roles = [("1", "D2", "user", "User"), ("2", "D2", "boss", "Economic Buyer"), ("3", "D1", "anna", None)]
    with services.database.begin() as connection:
        for id_, deal, contact, role in roles:
            connection.execute(
                sa.text("insert into contact_role (id, opportunity_id, contact_id, role) values (:i, :o, :c, :r)"),
                {"i": id_, "o": deal, "c": contact, "r": role},
            )
    (queue,) = list_calls(services, rep="kim")
    assert (queue.call.contact, queue.call.contact_role) == ("boss", "Economic Buyer")

    log_call(services, "B", {"bucket": "ok", "verbatim": "fine"})
    log_call(services, "A", {"bucket": "ok", "verbatim": "fine"}, contact="anna", on="2026-01-01")
    skip_call(services, "C", {"reason": "not_now", "until": "2026-12-01"})
    clock.move(days=1)
    (queue,) = list_calls(services, rep="kim")
    assert (queue.call.account, queue.call.contact, queue.call.contact_role) == ("A", "anna", None)


def test_nobody_who_has_left_is_the_one_to_call(company):
    services, _ = company
    with services.database.begin() as connection:
        for id_, contact, role in (("1", "boss", "Economic Buyer"), ("2", "user", "Business User")):
            connection.execute(
                sa.text("insert into contact_role (id, opportunity_id, contact_id, role) values (:i, 'D2', :c, :r)"),
                {"i": id_, "c": contact, "r": role},
            )

    def contact():
        (queue,) = list_calls(services, rep="kim")
        assert queue.call.account == "B"
        return queue.call.contact, queue.call.contact_role

    def told(id_, kind, who, day, account="B", **more):
        save(services, AdvocacyEvent("t", id_, kind, date.fromisoformat(day), account, contact=who, **more))

    told("0", "care_answer", "user", "2025-06-01", attributes={"bucket": "ok"})
    told("1", "contact_left", "boss", "2025-02-01", account="A")
    told("2", "contact_left", "boss", "2026-03-02", valid_from=date(2026, 3, 3))
    assert contact() == ("boss", "Economic Buyer")
    told("3", "contact_left", "boss", "2026-02-01")
    assert contact() == ("user", "Business User")
    told("4", "contact_left", "user", "2026-02-01")
    assert contact() == (None, None)
    told("5", "permission_granted", "boss", "2026-02-02", attributes={"scopes": ["basic"]})
    assert contact() == ("boss", "Economic Buyer")


def test_what_a_merged_account_said_counts_for_the_one_that_remains(company):
    services, _ = company
    save(services, said("1", "OLD", "2026-02-27", "need_you"), said("2", "B", "2026-02-27", "need_you"))

    assert called(services) == "C"
    (view,) = measure_coverage(services, rep="kim")
    assert view.meter.buckets[Bucket.NEED_YOU] == 2


def test_s3_03_whoever_is_assumed_gone_is_not_called_until_the_answer_is_old(company):
    services, clock = company
    logged = log_call(services, "B", {"bucket": "who_are_you", "verbatim": "Who?", "win_win": False})
    assert logged.next_call_on is None
    assert "gone by next year" in logged.action
    clock.move(days=1)
    (view,) = measure_coverage(services, rep="kim")
    assert (view.meter.written_off, view.meter.accounts) == (1, 2)
    assert view.gone == (("B", "Berta"),)
    clock.move(days=181)  # the next Monday on which the answer is too old
    assert called(services) in {"A", "B"}
    (view,) = measure_coverage(services, rep="kim")
    assert view.meter.written_off == 0


def test_the_meter_shows_the_month(company):
    services, clock = company
    log_call(services, "B", {"bucket": "need_you", "verbatim": NEED})
    clock.move(days=1)
    log_call(services, "A", {"bucket": "ok", "verbatim": "fine"})

    (view,) = measure_coverage(services, rep="kim")

    assert (view.meter.covered, view.meter.never, view.called) == (2, 1, 2)
    assert (view.business_days, view.business_days_of_month) == (2, 22)
    assert [one.account for one in view.overdue] == ["C"]
    assert view.as_json()["share"] == "2/3"
    json.dumps(view.as_json())


def test_the_same_answer_twice_is_stored_once_and_nonsense_not_at_all(company):
    services, _ = company
    answer = {"bucket": "need_you", "verbatim": NEED}
    assert log_call(services, "B", answer).is_new
    assert not log_call(services, "B", answer).is_new
    with pytest.raises(RejectedEventError, match="Did you mean need_you"):
        log_call(services, "B", {"bucket": "need you", "verbatim": NEED})
    with pytest.raises(RejectedEventError, match="has not come yet"):
        log_call(services, "B", answer, on="2026-03-03")
    with pytest.raises(ConfigError, match="no account has the id"):
        log_call(services, "Nobody", answer)


def test_a_day_of_the_past_knows_only_the_customers_of_then(company):
    services, _ = company
    assert called(services, day=date(2025, 3, 3)) == "A"
    assert list_calls(services, rep="lee", day=date(2025, 3, 3)) == []
    with pytest.raises(ConfigError, match="'nobody' owns no customer"):
        list_calls(services, rep="nobody")


def test_s3_11_the_history_tells_how_a_customer_moved_and_what_it_measures(company):
    services, _ = company
    metric = {"owner": "champion", "kind": "roi", "baseline": "1", "target": "4", "agreed_on": "2026-01-01"}
    save(
        services,
        said("1", "OLD", "2025-11-01", "ok", verbatim="fine"),
        said("2", "A", "2026-02-02", "who_are_you", verbatim="Who?"),
        said("3", "A", "2026-03-01", "who_are_you", win_win=True),
        AdvocacyEvent("t", "4", "success_metric", date(2026, 1, 1), "A", attributes=metric),
        AdvocacyEvent("t", "5", "success_metric", date(2026, 3, 1), "A",
                      attributes={"owner": "champion", "kind": "roi", "actual": "2"}),
    )  # fmt: skip
    run_sync(services)

    history = show_care(services, "Anna").as_json()

    assert [(move["on"], move["direction"], move["decision"]) for move in history["transitions"]] == [
        ("2025-11-01", "first", None),
        ("2026-02-02", "down", None),
        ("2026-03-01", "decided", "re_recruit"),
    ]
    assert history["transitions"][0]["verbatim"] == "fine"
    assert (history["bucket"], history["rule"], history["evidence"]) == ("who_are_you", "answered", ["t/3"])
    assert [(one["kind"], one["progress"], one["is_agreed"]) for one in history["metrics"]] == [("roi", "1/3", True)]
    # The middle one of five is in tier B: 30 days after 1 March.
    assert history["next_call_on"] == "2026-03-31"
    assert history["next_change_on"] == "2026-08-28"
    assert show_care(services, "A", as_of=date(2026, 1, 31)).standing.bucket is Bucket.OK
    (view,) = measure_coverage(services, rep="kim")
    assert view.moves == {"decided": 1}


# The calendar


def events_of(text):
    blocks = text.replace("\r\n ", "").split("BEGIN:VEVENT\r\n")[1:]
    return [dict(line.split(":", 1) for line in block.split("\r\nEND:VEVENT")[0].split("\r\n")) for block in blocks]


def test_the_calendar_forecasts_whom_to_call_on_the_next_business_days(company):
    services, _ = company

    events = events_of(write_call_calendar(services, rep="kim", days=5))

    assert [(event["DTSTART;VALUE=DATE"], event["SUMMARY"]) for event in events] == [
        ("20260302", "Call Berta"),
        ("20260303", "Call Anna"),
        ("20260304", "Call Clara"),
    ]
    assert "Worth 9\\,000 USD" in events[0]["DESCRIPTION"]
    everybody = events_of(write_call_calendar(services, days=1))
    assert [event["SUMMARY"] for event in everybody] == ["Call Berta (kim)", "Call Dora (lee)", "Call Emma"]
    assert len({event["UID"] for event in events + everybody}) == 5


def test_an_answer_replaces_entries_and_never_doubles_them(company):
    services, clock = company
    before = events_of(write_call_calendar(services, rep="kim", days=3))
    log_call(services, "B", {"bucket": "need_you", "verbatim": NEED})
    assert [e["SUMMARY"] for e in events_of(write_call_calendar(services, rep="kim", days=3))] == [
        e["SUMMARY"] for e in before
    ]
    clock.move(days=1)
    skip_call(services, "A", {"reason": "not_now"})
    clock.move(days=1)
    after = events_of(write_call_calendar(services, rep="kim", days=3))
    assert after[0]["UID"] == before[2]["UID"]
    assert after[0]["SUMMARY"] == "Call Clara"


def test_a_call_can_have_its_time_of_day(company):
    services, _ = company
    (event,) = events_of(write_call_calendar(services, rep="lee", days=1, at=time(9, 30), minutes=20))
    assert (event["DTSTART"], event["DTEND"]) == ("20260302T093000Z", "20260302T095000Z")
    with pytest.raises(ConfigError, match="business days"):
        write_call_calendar(services, days=0)


# Look-alikes


def test_s3_12_prospects_of_the_open_funnel_with_the_reasons_they_share(company):
    services, _ = company
    assert list_lookalikes(services).ideals == 0
    log_call(services, "A", {"bucket": "need_you", "verbatim": NEED, "reasons": ["no outages"]})
    save(services, AdvocacyEvent("t", "n", "needs_shared", date(2026, 2, 1), "Q", attributes={"needs": ["No outages"]}))

    listed = list_lookalikes(services)

    assert listed.ideals == 1
    assert [(one.account, one.resembles, one.reasons) for one in listed.found] == [
        ("P", "A", ("product: Alpha", "industry: Retail", "size: large", "region: EMEA")),
        ("Q", "A", ("reason: No outages", "industry: Retail")),
    ]
    assert (str(listed.found[0].pipeline), listed.found[0].resembles_name) == ("350.00", "Anna")
    assert list_lookalikes(services, least=3).found == listed.found[:1]
    assert list_lookalikes(services, top=1).found == listed.found[:1]
    other = list_lookalikes(services, "B")
    assert not other.needs_us
    assert [(one.account, one.reasons) for one in other.found] == [("Q", ("product: Beta", "region: APAC"))]


def test_a_deal_that_still_stands_on_a_merged_account_makes_a_prospect(company):
    services, _ = company
    log_call(services, "A", {"bucket": "need_you", "verbatim": NEED})
    with services.database.begin() as connection:
        connection.exec_driver_sql("update account set merged_into_id = 'R' where id = 'P'")
    assert [one.account for one in list_lookalikes(services).found] == ["R"]


def test_what_a_profile_says_counts_beside_the_crm(company):
    services, _ = company
    log_call(services, "A", {"bucket": "need_you", "verbatim": NEED})
    profile = {"industry": "retail", "languages": ["de"], "use_cases": ["picking"]}
    for account in ("A", "Q"):
        save(services, AdvocacyEvent("t", account, "reference_profile", date(2026, 2, 1), account, attributes=profile))
    (_, second) = list_lookalikes(services).found
    assert second.account == "Q"
    assert second.reasons == ("use case: picking", "industry: Retail", "language: de")


# Over HTTP


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
