"""What a salesperson reads before a call, from recorded events to the page, the command line's view and the API."""

from __future__ import annotations

import csv
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from starlette.testclient import TestClient

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.events import AdvocacyEvent
from app.store.events import save_events
from app.sync.answers import explain_account, find_account, list_accounts
from app.sync.run import run_sync
from app.web.api import create_app

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
TOLD = (
    ("offer_rating", date(2026, 2, 1), {"basis": "tco", "pays_premium": True}),
    ("personal_rating", date(2026, 2, 1), {"rep": "R1", "level": 2, "product_knowledge": True, "keeps_up_to_date": True}),
    ("permission_granted", date(2026, 1, 10), {"scopes": ["logo", "basic"], "granted_by": "Ada"}),
    ("care_answer", date(2026, 2, 20), {"bucket": "need_you", "verbatim": "We would stop."}),
    ("reference_traits", date(2026, 2, 1), {"brand": 4, "articulate": 3}),
    ("complaint", date(2026, 2, 25), {}),
    ("care_answer", date(2025, 11, 20), {"bucket": "ok", "verbatim": "It is <fine>."}),
    ("success_metric", date(2026, 1, 20), {
        "owner": "customer", "kind": "cash_flow", "unit": "EUR", "baseline": "1000", "target": "3000.5", "actual": "500",
        "agreed_on": "2026-01-20",
    }),
    ("success_metric", date(2026, 1, 21), {"owner": "champion", "kind": "roi", "target": "4"}),
)  # fmt: skip


@pytest.fixture
def services(tmp_path, migrated_database_url):
    (tmp_path / "accounts.csv").write_text("id,name,is_deleted\nB,Customer B,false\nP,Prospect,false\n")
    (tmp_path / "opportunities.csv").write_text(
        "id,account_id,name,amount,created_date,close_date,is_won,is_closed,term_months\n"
        "1,B,One,30000,2025-01-02,2025-12-01,true,true,24\n"
    )
    settings = load_settings(database_url=migrated_database_url, crm="files", files_dir=str(tmp_path))
    services = build_services(settings, now=lambda: NOW)
    events = [
        AdvocacyEvent("t", f"{code}-{n}", code, day, "B", attributes=attributes)
        for n, (code, day, attributes) in enumerate(TOLD)
    ]
    save_events(services.database, events, now=NOW, policy=services.mapping.policy)
    run_sync(services)
    yield services
    services.database.close()


def cards(explanation):
    return {card.code: (card.value, card.detail) for card in explanation.standing.cards}


def test_every_measure_stands_beside_the_money_with_what_explains_it(services) -> None:
    told = explain_account(services, "B")

    shown = cards(told)
    assert shown["commitment"] == ("8 of 11: Reference", "under licence until 2027-12-01")
    assert shown["permissions"] == ("basic, logo", "")
    assert shown["offer"] == ("4 of 4: Total cost of ownership", "rated on 2026-02-01")
    assert shown["personal"] == ("2 of 4: Useful asset", "rated on 2026-02-01")
    assert shown["care"] == ("Need you", "asked on 2026-02-20; before: It's ok")
    assert shown["reference"][0] == "Something is open"
    assert shown["stance"] == ("Speaks against us", "0 good and 1 bad words that still count")
    assert shown["next_call"][0] > "2026-02-20"
    assert "record" not in shown
    assert told.standing.to_do[0].about == "Open since 2026-02-25"
    assert any(one.about == "Offer and person" for one in told.standing.to_do)


def test_the_same_measures_are_in_the_list_and_in_what_the_crm_is_given(services, tmp_path) -> None:
    view = find_account(services, "B").as_json()

    expected = {
        "commitment_level": 8, "commitment_rung": "reference", "commitment_gaps": "1 2 3 4 5 6", "is_customer": True,
        "permissions": "basic logo", "strongest_permission": "logo", "offer_level": 4, "personal_level": 2,
        "care_bucket": "need_you", "reference_coverage": 33, "stance": "detractor", "roles": "buyer critic",
    }  # fmt: skip
    assert {name: view[name] for name in expected} == expected
    with (tmp_path / "scores.csv").open(newline="") as file:
        scores = next(row for row in csv.DictReader(file) if row["id"] == "B")
    assert (scores["commitment_level"], scores["care_bucket"], scores["is_customer"]) == ("8", "need_you", "true")


def test_a_prospect_without_a_deal_stands_on_the_ladder_too(services) -> None:
    told = explain_account(services, "P")

    assert cards(told)["commitment"] == ("Not on the ladder yet", "no licence that is valid today")
    assert told.standing.to_do[-1].about == "Next rung: Attention"


def test_another_day_is_told_with_what_was_true_then(services) -> None:
    before = explain_account(services, "B", as_of=date(2026, 1, 15))

    assert cards(before)["care"] == ("It's ok", "asked on 2025-11-20")
    assert cards(before)["permissions"] == ("basic, logo", "")


def test_a_consent_that_was_taken_back_or_ran_out_is_nowhere_to_be_seen_before_the_next_run(services) -> None:
    limited = {"attributes": {"scopes": ["linkedin"]}, "valid_to": date(2026, 3, 5)}
    told(services, "permission_granted", date(2026, 1, 11), **limited)
    run_sync(services)
    assert find_account(services, "B").as_json()["permissions"] == "basic linkedin logo"

    told(services, "permission_revoked", date(2026, 3, 2), attributes={"scopes": ["logo"]})
    revoked = find_account(services, "B").as_json()
    later = replace(services, now=lambda: datetime(2026, 3, 5, 12, tzinfo=UTC))
    expired = find_account(later, "B").as_json()
    told(services, "permission_revoked", date(2026, 3, 2), attributes={"scopes": ["basic"], "note": "no calls"})
    no_calls = find_account(services, "B").as_json()
    assert cards(explain_account(services, "B"))["reference"][0] == "No consent to calls today"
    told(services, "permission_revoked", date(2026, 3, 2))
    nothing = find_account(services, "B").as_json()

    assert (revoked["permissions"], revoked["strongest_permission"]) == ("basic linkedin", "linkedin")
    assert (expired["permissions"], expired["reference_state"]) == ("basic", revoked["reference_state"])
    assert (no_calls["permissions"], no_calls["reference_state"]) == ("linkedin", "no_consent")
    assert (nothing["permissions"], nothing["reference_state"]) == (None, "no_consent")
    assert cards(explain_account(services, "B"))["permissions"][0] == "Nothing"
    assert list_accounts(services, include_all=True)[0].as_json()["permissions"] is None


def told(services, code, day, **more):
    event = AdvocacyEvent("t", f"{code}-{day}-{len(str(more))}", code, day, "B", **more)
    save_events(services.database, [event], now=NOW, policy=services.mapping.policy)


def test_s3_11_the_page_and_the_explanation_tell_how_it_came_to_care_and_what_it_measures(services) -> None:
    told = explain_account(services, "B").standing.as_json()

    assert [(one["on"], one["before"], one["after"], one["direction"]) for one in told["transitions"]] == [
        ("2025-11-20", None, "ok", "first"),
        ("2026-02-20", "ok", "need_you", "up"),
    ]
    shown = [(one["owner"], one["kind"], one["baseline"], one["target"], one["actual"]) for one in told["metrics"]]
    assert shown == [("customer", "cash_flow", "1000", "3000.5", "500"), ("champion", "roi", None, "4", None)]
    assert [one["is_agreed"] for one in told["metrics"]] == [True, False]

    here = TestClient(create_app(services), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000))
    page = here.get("/accounts/B").text
    for text in (
        "What they measure success by", "Cash flow <small>EUR</small>", "1,000", "3,000.5", "\N{MINUS SIGN}24.9 %",
        "2026-01-20", "not agreed", "2025-11-20: It&#39;s ok: “It is &lt;fine&gt;.”", "It&#39;s ok → Need you",
    ):  # fmt: skip
        assert text in page, text
    assert "What they measure success by" not in here.get("/accounts/P").text


def test_the_matrix_is_a_page_that_names_who_is_in_a_cell_and_of_which_run_it_is(services, tmp_path) -> None:
    with services.database.begin() as connection:
        connection.exec_driver_sql("update account set owner_id = 'kim' where id = 'B'")
        connection.exec_driver_sql("insert into account (id, name, owner_id) values ('Q', 'Quinn <b>', 'lee')")
        connection.exec_driver_sql("insert into account_standing (account_id, offer_level) values ('Q', 1)")
    here = TestClient(create_app(services), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000))
    as_browser = {"accept": "text/html"}

    whole = here.get("/relationships").text
    cell = here.get("/relationships?offer=4&personal=2").text
    alone = here.get("/relationships?offer=1&personal=none&rep=lee").text
    other = here.get("/relationships?offer=1&personal=none&rep=kim").text

    assert 'href="/relationships?offer=4&amp;personal=2#cell"' in whole
    assert 'href="/relationships?offer=1&amp;personal=none#cell"' in whole
    assert "As of run 1 for 2026-03-02" in whole
    assert 'href="/accounts/B"' in cell
    assert "The offer is valued 2 levels more than the person" in cell
    assert "30,000" in cell
    assert "Quinn &lt;b&gt;" in alone
    assert "offer=4" not in alone
    assert "Nobody is here." in other
    nobody = here.get("/relationships?rep=nobody", headers=as_browser)
    assert (nobody.status_code, nobody.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert "owns no rated customer" in nobody.text
    assert "kim, lee" in nobody.text
    assert here.get("/relationships?offer=4").status_code == 422
    assert here.get("/relationships?offer=7&personal=1").status_code == 422
    assert "As of run 1" in here.get("/").text
    assert "as of run 1" in here.get("/triage").text


def test_before_the_first_run_nothing_is_of_a_run(site_services) -> None:
    here = TestClient(create_app(site_services), base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000))

    assert "Nobody has rated a relationship yet" in here.get("/relationships").text
    assert "As of run" not in here.get("/relationships").text


@pytest.fixture
def site_services(tmp_path, migrated_database_url):
    built = build_services(load_settings(database_url=migrated_database_url, crm="files", files_dir=str(tmp_path)))
    yield built
    built.database.close()


def test_what_was_promised_and_how_references_went_stand_on_the_page_too(services) -> None:
    told(services, "permission_promised", date(2026, 1, 5), attributes={"scopes": ["press_release"]}, opportunity="1")
    told(services, "permission_promised", date(2026, 1, 6), attributes={"scopes": ["logo"]}, opportunity="1")
    told(services, "permission_promised", date(2025, 6, 6), attributes={"scopes": ["linkedin"]}, opportunity="1")
    told(services, "reference_outcome", date(2026, 1, 20), opportunity="1",
         attributes={"expected_grade": "neutral", "actual_grade": "positive"})  # fmt: skip
    told(services, "ask_accepted", date(2026, 1, 15), opportunity="1", attributes={"days": 1})

    explained = explain_account(services, "B")

    shown = cards(explained)
    assert shown["promised"] == (
        "linkedin (was due on 2025-09-04), press release (due on 2026-04-05)", "1 of 3 granted or delivered",
    )  # fmt: skip
    assert shown["record"] == (
        "1: too few to say how good", "1 of 1 decided deals won; 1 better than expected; says yes after 1 day",
    )  # fmt: skip
    assert shown["asks"] == ("1 of 2 in 90 days", "1 granted in all, 0 given back")
    assert ("Promise overdue", "Ask for the permission linkedin: promised, and due on 2025-09-04.") in [
        (one.about, one.text) for one in explained.standing.to_do
    ]
    run_sync(services)
    view = find_account(services, "B").as_json()
    assert (view["promised_permissions"], view["promise_is_overdue"]) == ("linkedin press_release", True)
    assert (view["reference_surprise"], view["days_to_accept"], view["asks_used"]) == ("better", 1, 1)
