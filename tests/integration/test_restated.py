"""A number that another policy had made stands beside the new one, wherever the new one is shown."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from companies import TODAY, TOKEN, build_company
from starlette.testclient import TestClient

from app.cli import main
from app.mapping.policy import apply_policy_overrides, policy_version
from app.store.keys import save_key
from app.sync.answers import explain_account
from app.sync.restated import find_policy_change
from app.web.api import create_app
from connectors.salesforce.sandbox import Org, Sandbox

NARROW = "window_days=20"
"""The deals were opened 60 days after the referrals: all credit goes."""


@pytest.fixture
def company(migrated_database_url):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        built.sync()
        yield built
        built.services.database.close()


def under(company, *overrides):
    mapping = company.services.mapping
    policy = apply_policy_overrides(mapping.policy, overrides)
    company.services = replace(
        company.services, mapping=replace(mapping, policy=policy, policy_version=policy_version(policy))
    )


def restated(company, name):
    return explain_account(company.services, company.ids[name]).restated


def test_under_one_policy_nothing_is_restated(company):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})
    company.sync()

    assert restated(company, "B") is None
    assert find_policy_change(company.services) is None


def test_a_policy_that_no_run_has_followed_yet_is_told_with_what_was_reported(company):
    under(company, NARROW)

    found = restated(company, "B")

    assert (found.by.reported.run_id, found.by.since_run, found.by.policy) == (1, None, ("window_days: 365 -> 20",))
    assert found.before["total"] == Decimal("280000.00")
    assert found.change == dict.fromkeys(("referred", "total", "conserved", "group_referred"), Decimal("-250000.00"))
    assert explain_account(company.services, company.ids["B"], as_of=company.services.today).restated is None


def test_a_day_that_has_passed_is_not_the_doing_of_a_policy_that_no_run_has_followed_yet(company):
    company.deal("D-later", "Y", 7_000, close=date(2026, 3, 2), CreatedDate=TODAY)
    company.sync()
    under(company, NARROW)
    company.services = replace(company.services, now=lambda: TODAY + timedelta(days=1))

    explanation = explain_account(company.services, company.ids["Y"])

    assert explanation.account.money["direct"] == Decimal("257000.00")
    assert explanation.restated.change["given"] == Decimal("-250000.00")
    assert "direct" not in explanation.restated.change


def test_only_what_the_policy_moved_is_restated_and_what_else_happened_is_not(company):
    under(company, NARROW)
    company.org.update("Opportunity", company.ids["D-B"], {"Amount": 31_000})
    company.sync()
    company.org.update("Opportunity", company.ids["D-B"], {"Amount": 32_000})
    company.sync()

    found = restated(company, "B")

    assert (found.by.reported.run_id, found.by.since_run) == (1, 2)
    assert (found.before["total"], found.before["referred"]) == (Decimal("280000.00"), Decimal("250000.00"))
    assert found.change == dict.fromkeys(("referred", "total", "conserved"), Decimal("-250000.00"))
    assert restated(company, "Y").change == {"given": Decimal("-250000.00"), "conserved": Decimal("250000.00")}


def test_an_account_that_the_policy_left_alone_is_not_restated_and_follows_the_new_version(company):
    company.account("Z")
    company.deal("D-Z", "Z", 500)
    company.sync()
    under(company, NARROW)
    company.sync()

    explanation = explain_account(company.services, company.ids["Z"])

    assert explanation.restated is None
    assert explanation.policy_version == company.services.mapping.policy_version


def test_a_policy_that_was_only_tried_has_reported_nothing(company):
    plain = company.services
    under(company, NARROW)
    company.sync(send=False)
    company.services = plain
    company.sync()

    assert restated(company, "B") is None
    assert find_policy_change(company.services) is None


def test_rules_beside_the_money_restate_none_and_hide_no_earlier_change(company):
    under(company, "care.answer_days=90")
    assert find_policy_change(company.services) is None
    company.sync()
    assert find_policy_change(company.services) is None
    under(company, NARROW)
    company.sync()
    under(company, NARROW, "care.answer_days=60")
    company.sync()

    assert find_policy_change(company.services).policy == ("window_days: 365 -> 20",)
    assert restated(company, "B").change["total"] == Decimal("-250000.00")


def test_numbers_in_another_currency_are_not_compared(company):
    under(company, "reporting_currency=EUR")

    assert restated(company, "B") is None
    assert find_policy_change(company.services).policy == ("reporting_currency: USD -> EUR",)


def test_the_command_line_says_so_beside_the_number(company, capsys):
    under(company, NARROW)
    company.sync()

    def advocacy(*arguments):
        with pytest.raises(SystemExit) as ended:
            main(["--set", f"database_url={company.services.settings.database_url}", *arguments])
        assert ended.value.code == 0
        return capsys.readouterr().out

    version = restated(company, "B").by.reported.policy_version
    reported = f"under policy {version} (window_days: 365 -> 20)"
    assert (
        "restated by the policy: referred -250,000, total -250,000, conserved -250,000; run 1 of 2026-03-01 reported a"
        f" total of 280,000 {reported}"
    ) in advocacy("explain", "B", "--policy", NARROW).splitlines()
    told = json.loads(advocacy("explain", "B", "--policy", NARROW, "--json"))["restated"]
    assert (told["run"], told["since_run"], told["before"]["total"]) == (1, 2, "280000.00")
    assert told["change"] == dict.fromkeys(("referred", "total", "conserved"), "-250000.00")
    list_of_all = advocacy("accounts", "--policy", NARROW).splitlines()
    assert list_of_all[-1] == f"restated: run 1 of 2026-03-01 reported {reported}; see advocacy runs diff 1 2"
    coming = (
        "to be restated by the policy: referred +250,000, total +250,000, conserved +250,000, group_referred +250,000;"
    )
    assert any(line.startswith(coming) for line in advocacy("explain", "B").splitlines())
    assert advocacy("accounts").splitlines()[-1].startswith("not reported yet: run 2 of 2026-03-01 reported under")
    assert advocacy("portfolio").splitlines()[-1].startswith("of run 2; the policy has changed since")


def test_the_pages_say_so_beside_the_number(company):
    _, secret = save_key(company.services.database, name="t", scopes=["read"], now=TODAY, who="t")

    def pages():
        with TestClient(create_app(company.services)) as client:
            client.auth = ("", secret)
            return client.get(f"/accounts/{company.ids['B']}").text, client.get("/").text

    under(company, NARROW)
    one, everybody = pages()
    assert "To be restated by the policy: referred −250,000" in one
    assert "Not reported yet: run 1 of 2026-03-01 reported under policy" in everybody
    company.sync()
    one, everybody = pages()

    assert "Restated by the policy: referred" in one
    assert "Run 1 of 2026-03-01 reported a total of 280,000 USD under policy" in one
    assert "total −250,000" in one
    assert "Restated: run 1 of 2026-03-01 reported under policy" in everybody
