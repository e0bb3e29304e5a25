"""From exported files and recorded events to every place where people see who needs them first."""

from __future__ import annotations

import base64
import json
from datetime import UTC, date, datetime
from decimal import Decimal
from html import unescape

import pytest
from starlette.testclient import TestClient

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.events import AdvocacyEvent
from app.domain.model import ReferralStatus
from app.errors import ConfigError
from app.store.events import save_events
from app.store.keys import save_key
from app.sync.run import run_sync
from app.sync.triage import open_day
from app.web.api import create_app

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
ACCOUNTS = (
    "id,name,merged_into_id,is_deleted\n"
    "A,Customer A,,false\nB,Customer <B>,,false\nX,Xenon,,false\nY,Yonder,,false\n"
    "OLD,Merged away,B,false\nGONE,Deleted,,true\n"
)
DEALS = (
    "id,account_id,name,amount,created_date,close_date,is_won,is_closed\n"
    "1,A,One,100000,2025-01-02,2025-02-01,true,true\n2,B,Two,30000,2025-01-02,2025-02-01,true,true\n"
    "3,X,Three,40000,2025-06-02,2025-07-01,true,true\n4,Y,Four,250000,2025-06-02,2025-07-01,true,true\n"
)
SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()
SENTENCE = "Customer A looks 3.33 times Customer <B> on spend; on total value Customer A is 0.5 of Customer <B>"


class Company:
    """The seed, in a folder of files."""

    def __init__(self, folder, database_url):
        (folder / "accounts.csv").write_text(ACCOUNTS)
        (folder / "opportunities.csv").write_text(DEALS)
        settings = load_settings(database_url=database_url, crm="files", files_dir=str(folder), webhook_secrets=SECRET)
        self.services = build_services(settings, now=lambda: NOW)
        self.refer("A", "X")
        self.refer("B", "Y")
        run_sync(self.services)

    def tell(self, number, code, account, day=date(2026, 2, 20), **more):
        event = AdvocacyEvent("t", number, code, day, account, **more)
        save_events(self.services.database, [event], now=NOW, policy=self.services.mapping.policy)

    def refer(self, referrer, referred):
        self.tell(f"{referrer}-{referred}", "referral", referrer, date(2025, 3, 1), referred_account=referred)

    def day(self, hours=None):
        return open_day(self.services, hours=None if hours is None else Decimal(hours)).as_json()


@pytest.fixture
def company(tmp_path, migrated_database_url):
    built = Company(tmp_path, migrated_database_url)
    yield built
    built.services.database.close()


@pytest.fixture
def urgent(company):
    company.tell("a", "escalation", "A", attributes={"hours": 2}, title="Export fails")
    company.tell("b", "escalation", "B", date(2026, 2, 27), attributes={"hours": "2.5"})
    return company


def test_s4_03_two_urgent_customers_stand_in_two_orders_and_the_flip_is_told(urgent):
    day = urgent.day()

    shown = [(item["name"], item["place"], item["place_by_spend"], item["moves"]) for item in day["items"]]
    assert shown == [("Customer <B>", 1, 2, 1), ("Customer A", 2, 1, -1)]
    assert [(item["title"], item["waiting_days"], item["hours"]) for item in day["items"]] == [
        ("Escalation", 3, "2.5"),
        ("Export fails", 10, "2"),
    ]
    assert day["flips"] == [{"up": "B", "down": "A", "on_spend": "3.33", "on_total": "0.5", "sentence": SENTENCE}]
    assert day["capacity"] == {"by_total": None, "by_spend": None}


def test_s4_12_the_hours_there_are_go_to_whoever_is_worth_more(urgent):
    day = urgent.day("4")

    assert [(item["account"], item["is_done_by_total"], item["is_done_by_spend"]) for item in day["items"]] == [
        ("B", True, False),
        ("A", False, True),
    ]
    assert (day["capacity"]["by_total"]["used"], day["capacity"]["by_total"]["left"]) == ("2.5", "1.5")
    assert (day["capacity"]["by_spend"]["used"], day["capacity"]["by_spend"]["done"]) == ("2", 1)


def test_whoever_was_merged_away_speaks_for_the_account_that_remains(company):
    company.tell("old", "complaint", "OLD")
    company.tell("gone", "escalation", "GONE")
    company.tell("unknown", "escalation", "NOBODY")
    company.tell("claimed", "escalation", "A", status=ReferralStatus.CLAIMED)
    company.tell("future", "escalation", "A", date(2026, 3, 3))
    company.tell("closed", "escalation", "A", valid_to=date(2026, 3, 2))

    assert [(item["account"], item["type"]) for item in company.day()["items"]] == [("B", "complaint")]


def test_a_recovery_closes_what_came_before_it(urgent):
    urgent.tell("well", "recovered", "B", date(2026, 2, 27))
    urgent.tell("again", "complaint", "B", date(2026, 2, 28))

    assert [(item["account"], item["type"]) for item in urgent.day()["items"]] == [
        ("A", "escalation"),
        ("B", "complaint"),
    ]


def test_a_quiet_day_names_the_customers_to_look_after_first(company):
    day = company.day("8")

    assert day["items"] == []
    assert [customer["name"] for customer in day["customers"]] == ["Customer <B>", "Yonder", "Customer A", "Xenon"]


@pytest.mark.parametrize("hours", ["-1", "NaN", "Infinity", "10001", "1e999999"])
def test_hours_that_nobody_has_are_refused(company, hours):
    with pytest.raises(ConfigError, match="hours"):
        company.day(hours)


def test_s4_07_customer_b_is_a_hidden_gem_and_the_day_says_what_to_do(company):
    (found,) = [one for one in company.day()["contradictions"] if one["account"] == "B"]

    assert {"code", "title", "meaning", "action"} == set(found["found"][0])
    assert "hidden_gem" in {one["code"] for one in found["found"]}
    assert not any(
        one["code"] == "hidden_gem"
        for other in company.day()["contradictions"]
        if other["account"] == "A"
        for one in other["found"]
    )


def test_the_most_pressing_contradictions_come_first_and_then_those_of_the_most_valuable(company):
    company.tell("a", "complaint", "A")
    run_sync(company.services)

    found = [(one["account"], [each["code"] for each in one["found"]]) for one in company.day()["contradictions"]]

    assert found[0] == ("A", ["big_spender_detractor", "top_rung_without_permission"])
    assert found[1] == ("B", ["hidden_gem", "top_rung_without_permission"])


def test_programs_and_pages_say_the_same(urgent):
    _, secret = save_key(urgent.services.database, name="t", scopes=("read",), now=NOW, who="t")
    with TestClient(create_app(urgent.services), base_url="http://testserver") as client:
        answer = client.get("/v1/triage", params={"hours": "4"}, headers={"Authorization": f"Bearer {secret}"})
        refused = client.get("/v1/triage", params={"hours": "-1"}, headers={"Authorization": f"Bearer {secret}"})
        page = client.get("/triage", params={"hours": "4"}, auth=("me", secret))

    assert answer.json() == json.loads(json.dumps(urgent.day("4")))
    assert refused.status_code == 422
    assert SENTENCE in unescape(page.text)
    assert "Customer <B>" not in page.text
    assert "<script" not in page.text
    assert page.text.index("Escalation") < page.text.index("4 h end here") < page.text.index("Export fails")
    assert "style=" not in page.text
