"""From exported files and imported events to every place where people see the measures beside the money."""

from __future__ import annotations

import base64
import csv
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from starlette.testclient import TestClient

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.engagement import cut_points
from app.domain.events import AdvocacyEvent, Polarity
from app.store.events import save_events
from app.store.keys import save_key
from app.sync.answers import explain_account, find_account, list_accounts
from app.sync.run import run_sync
from app.web.api import create_app

MONDAY = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNTS = "id,name\nA,Anna\nB,Berta\nX,Xaver\nN,Nobody yet\n"
DEALS = (
    "id,account_id,name,amount,created_date,close_date,is_won,is_closed,type\n"
    "D1,A,First,1000,2025-01-10,2025-02-01,true,true,new\n"
    "D2,A,Again,500,2025-06-10,2025-07-01,true,true,renewal\n"
    "D3,X,Brought,4000,2025-06-10,2025-07-01,true,true,new\n"
    "D4,B,Small,100,2025-06-10,2025-07-01,true,true,new\n"
)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


class Clock:
    now = MONDAY

    def __call__(self):
        return self.now


@pytest.fixture
def company(tmp_path, migrated_database_url):
    (tmp_path / "accounts.csv").write_text(ACCOUNTS)
    (tmp_path / "opportunities.csv").write_text(DEALS)
    clock = Clock()
    settings = load_settings(
        database_url=migrated_database_url, crm="files", files_dir=str(tmp_path), webhook_secrets=SECRET
    )
    services = build_services(settings, now=clock)
    events = [
        AdvocacyEvent("t", "1", "referral", date(2025, 5, 1), "A", referred_account="X"),
        AdvocacyEvent("t", "2", "case_study", date(2026, 3, 2), "A", title="Half the waste"),
        AdvocacyEvent("t", "3", "beta_membership", date(2026, 2, 1), "A", valid_to=date(2026, 3, 4)),
        AdvocacyEvent("t", "4", "idea_submitted", date(2026, 2, 1), "A", attributes={"outcome": "adopted"}),
        AdvocacyEvent("t", "5", "nps_response", date(2026, 1, 1), "B", polarity=Polarity.DETRACTOR),
        AdvocacyEvent("t", "6", "online_review", date(2026, 3, 2), "N"),
    ]
    save_events(services.database, events, now=MONDAY, policy=services.mapping.policy)
    yield services, clock, tmp_path / "scores.csv"
    services.database.close()


def scores(path):
    with path.open(newline="", encoding="utf-8") as stream:
        return {row["id"]: row for row in csv.DictReader(stream)}


def test_the_measures_arrive_where_people_look(company):
    services, _, path = company

    report = run_sync(services)

    assert report.status == "ok"
    view = find_account(services, "A").as_json()
    shown = scores(path)
    assert {name: view[name] for name in ("quadrant", "percentile", "is_detractor", "is_participant")} == {
        "quadrant": "champion", "percentile": 100, "is_detractor": False, "is_participant": True,
    }  # fmt: skip
    assert (view["direct_new"], view["direct_renewal"], view["revenue_at_risk"]) == ("1000.00", "500.00", "4000.00")
    assert (view["participation_days"], view["feedback_adopted"]) == (30, 1)
    explanation = explain_account(services, "A")
    # 60 + 50 faded for 44 weeks + 15 + 3 faded for 5 weeks: 104.7005
    assert view["points"] == "104.7"
    assert str(cut_points(sum(event.points for event in explanation.activity))) == "104.7"
    assert [event.title for event in explanation.activity][:2] == ["Half the waste", "Referral"]
    assert (shown["A"]["points"], shown["A"]["points_band"], shown["A"]["quadrant"]) == ("104", "strong", "champion")
    assert (shown["B"]["is_detractor"], shown["B"]["points"], shown["B"]["points_band"]) == ("true", "-9", "")
    assert (shown["N"]["points"], shown["N"]["total"], shown["N"]["quadrant"]) == ("20", "0.00", "")
    assert shown["A"]["revenue_at_risk"] == "4000.00"


def test_the_points_of_an_account_are_the_sum_of_its_lines_right_after_something_was_recorded(company):
    services, _, _ = company
    run_sync(services)
    before = find_account(services, "N").as_json()["points"]

    call = AdvocacyEvent("t", "late", "reference_call", date(2026, 3, 2), "N")
    save_events(services.database, [call], now=MONDAY, policy=services.mapping.policy)

    told = explain_account(services, "N").as_json()
    assert Decimal(told["points"]) == cut_points(sum(Decimal(event["points"]) for event in told["activity"]))
    assert Decimal(told["points"]) > Decimal(before)
    run_sync(services)
    after = find_account(services, "N").as_json()
    assert [after[name] for name in ("points", "points_band")] == [told[name] for name in ("points", "points_band")]


def test_s4_04_first_deals_later_deals_referrals_and_engagement_stand_side_by_side(company):
    services, _, _ = company
    run_sync(services)

    view = find_account(services, "A").as_json()

    bases = ("direct_new", "direct_renewal", "direct", "referred", "total")
    assert [view[name] for name in bases] == ["1000.00", "500.00", "1500.00", "4000.00", "5500.00"]
    assert (view["points"], view["points_band"], view["participation_days"]) == ("104.7", "strong", 30)


def test_s4_09_taking_part_in_innovation_shows_where_everybody_works(company):
    services, _, path = company
    run_sync(services)

    view, shown = find_account(services, "A").as_json(), scores(path)

    names = ("is_participant", "participation_days", "feedback_adopted", "feedback_declined", "feedback_open")
    assert [view[name] for name in names] == [True, 30, 1, 0, 0]
    assert [shown["A"][name] for name in names] == ["true", "30", "1", "0", "0"]
    assert shown["B"]["is_participant"] != "true"


def test_s4_10_membership_of_a_beta_group_is_a_dimension_of_its_own_and_no_money(company):
    services, _, _ = company
    run_sync(services)
    before = find_account(services, "B").as_json()

    join = AdvocacyEvent("t", "beta", "beta_membership", date(2026, 3, 2), "B")
    save_events(services.database, [join], now=MONDAY, policy=services.mapping.policy)
    run_sync(services)

    after = find_account(services, "B").as_json()
    moved = {name for name in after if after[name] != before[name]}
    assert {"is_participant", "participation_days"} <= moved
    assert not moved & {"direct", "referred", "total", "conserved", "network", "influence", "touched", "pipeline"}


def test_a_quiet_day_writes_nothing_and_a_flag_that_ends_is_written_that_day(company):
    services, clock, path = company
    run_sync(services)
    before = path.read_bytes()

    clock.now = MONDAY + timedelta(1)
    quiet = run_sync(services)
    same = path.read_bytes() == before
    days = find_account(services, "A").as_json()["participation_days"]
    clock.now = MONDAY + timedelta(2)
    ended = run_sync(services)

    assert (quiet.counts["update"], same, days) == (0, True, 31)
    assert [update.account_id for update in ended.updates] == ["A"]
    assert {change.measure for change in ended.updates[0].changes} == {"is_participant", "participation_days"}
    assert scores(path)["A"]["is_participant"] == "false"


def test_a_monday_writes_only_what_lost_a_whole_point(company):
    services, clock, _ = company
    run_sync(services)
    clock.now = MONDAY + timedelta(7)

    report = run_sync(services)

    points = {
        update.account_id: (change.before, change.after)
        for update in report.updates
        for change in update.changes
        if change.measure == "points"
    }
    assert points == {"A": ("104", "103"), "N": ("20", "19")}
    assert report.guard.allowed


def test_another_day_and_another_policy_are_computed_and_not_stored(company):
    services, _, _ = company
    run_sync(services)

    earlier = explain_account(services, "A", as_of=date(2025, 12, 31))

    # 50 points, 35 weeks ago: 31.398
    assert earlier.account.as_json()["points"] == "31.3"
    assert [event.type for event in earlier.activity] == ["referral"]
    assert find_account(services, "A").as_json()["points"] == "104.7"


def test_programs_and_pages_get_the_same(company):
    services, _, _ = company
    run_sync(services)
    _, secret = save_key(services.database, name="test", scopes=("read",), now=MONDAY, who="test")
    client = TestClient(create_app(services), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000))
    headers = {"Authorization": f"Bearer {secret}"}

    listed = client.get("/v1/accounts", headers=headers).json()["data"]
    explained = client.get("/v1/accounts/A/explanation", headers=headers).json()
    page = client.get("/accounts/A").text

    assert listed == [view.as_json() for view in list_accounts(services)]
    assert explained["points"] == listed[0]["points"] == "104.7"
    assert [event["event"] for event in explained["activity"]] == ["t/2", "t/1", "t/3", "t/4"]
    assert "Half the waste" in page
    assert "Champion" in page
