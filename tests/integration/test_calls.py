"""One call a day, from exported files to the queue, the meter, the calendar and the prospects."""

from __future__ import annotations

import json
from datetime import date, time

import pytest
import sqlalchemy as sa
from callers import ACCOUNTS, DEALS, NEED, called, events_of, open_callers, said, save

from app.domain.care_events import Bucket
from app.domain.events import AdvocacyEvent
from app.errors import ConfigError
from app.intake.event_fields import RejectedEventError
from app.sync.call_log import log_call, skip_call
from app.sync.calls import list_calls, write_call_calendar
from app.sync.care import show_care
from app.sync.coverage import measure_coverage
from app.sync.lookalikes import list_lookalikes
from app.sync.run import run_sync


@pytest.fixture
def company(tmp_path, migrated_database_url):
    yield from open_callers(tmp_path, migrated_database_url)


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
    # After 90 days the answer is old.
    assert history["next_change_on"] == "2026-05-30"
    assert show_care(services, "A", as_of=date(2026, 1, 31)).standing.bucket is Bucket.OK
    (view,) = measure_coverage(services, rep="kim")
    assert view.moves == {"decided": 1}


# The calendar


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
