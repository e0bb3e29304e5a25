"""Who we are, whether this org will go on serving us, and where a person opens a record."""

from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.contract import Finding
from connectors.errors import ProtocolError
from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.identity import Checkup
from connectors.salesforce.sandbox import Automation


def finding(crm: SalesforceConnector, subject: str) -> Finding:
    return next(f for f in crm.check_health() if f.subject == subject)


def test_identity_names_the_org_and_the_user(org, connect, sandbox) -> None:
    who = connect().identify()

    assert who.organisation_id == org.organization_id
    assert who.organisation_name == "Sandbox Org"
    assert who.user_id == org.user_id
    assert who.username == "sync@example.com"
    assert who.is_production is False
    assert who.base_url == sandbox.url


def test_a_fixed_token_belongs_to_the_login_address_unless_told_otherwise(org, connect, sandbox) -> None:
    assert connect(access_token=sandbox.login()).identify().base_url == sandbox.url


def test_a_fixed_token_is_known_by_asking(org, connect, sandbox) -> None:
    who = connect(access_token=sandbox.login(), instance_url=sandbox.url).identify()

    assert (who.organisation_id, who.user_id, who.username) == (org.organization_id, org.user_id, "sync@example.com")


@pytest.mark.parametrize("fixed", [False, True])
def test_an_org_that_hides_its_own_record_is_known_all_the_same(org, connect, sandbox, fixed) -> None:
    org.hide_object("Organization")
    options = {"access_token": sandbox.login(), "instance_url": sandbox.url} if fixed else {}

    who = connect(**options).identify()

    assert who.organisation_id == org.organization_id
    assert who.is_production is None


def test_an_org_that_cannot_be_told_from_another_is_refused(org, connect, sandbox) -> None:
    org.hide_object("Organization")
    sandbox.faults.inject("error", on="identity", code="NOT_FOUND", status=404, times=None)

    with pytest.raises(ProtocolError, match="which organisation"):
        connect(access_token=sandbox.login(), instance_url=sandbox.url).identify()


@pytest.mark.parametrize(
    ("is_sandbox", "kind", "production"),
    [(False, "Enterprise Edition", True), (True, "Enterprise Edition", False), (False, "Developer Edition", False)],
)
def test_production_is_neither_a_sandbox_nor_a_developer_org(org, connect, is_sandbox, kind, production) -> None:
    org.update("Organization", org.organization_id, {"IsSandbox": is_sandbox, "OrganizationType": kind})

    assert connect().identify().is_production is production


def test_a_healthy_org_has_no_complaints(connect, sandbox) -> None:
    findings = connect().check_health()

    assert {f.level for f in findings} == {"ok"}
    assert [f.subject for f in findings] == ["login", "organisation", "user", "API version", "clock", "API calls"]


def test_a_refused_login_is_the_only_finding(connect) -> None:
    (found,) = connect(client_secret="wrong").check_health()

    assert (found.level, found.subject) == ("error", "login")
    assert "wrong" not in found.message + found.action or "is wrong" in found.message


def test_a_version_that_the_org_does_not_offer_is_an_error(connect) -> None:
    found = finding(connect(api_version="98.0"), "API version")

    assert found.level == "error"
    assert found.action == "Set api_version to 66.0."


def test_a_clock_that_is_off_is_a_warning(org, connect) -> None:
    crm = connect()
    checkup = Checkup(crm.transport, crm.settings, now=lambda: org.clock.now() + timedelta(minutes=5))

    found = next(f for f in checkup.findings() if f.subject == "clock")

    assert found.level == "warning"
    assert "+300 seconds" in found.message or "+301 seconds" in found.message


def test_few_calls_left_is_a_warning(connect, sandbox) -> None:
    sandbox.manners.daily_limit, sandbox.engine.api_used, sandbox.manners.limit_lag = 1000, 900, 1

    assert finding(connect(), "API calls").level == "warning"


def test_one_check_that_fails_does_not_stop_the_others(connect, sandbox) -> None:
    sandbox.faults.inject("html", on="versions", status=404, times=None)
    sandbox.faults.inject("html", on="composite", status=404, times=None)

    findings = {f.subject: f.level for f in connect().check_health()}

    assert findings["organisation"] == findings["API version"] == "error"
    assert "API calls" in findings


def test_of_the_calls_of_the_org_and_of_the_app_the_scarcer_count(connect) -> None:
    crm = connect()
    told = "api-usage=18/15000; per-app-api-usage=240/250(appName=advocacy)"

    crm.transport._note_gauge({"sforce-limit-info": told})

    assert (crm.allowance().used, crm.allowance().limit) == (240, 250)


def test_a_record_opens_in_the_pages_of_its_org_and_a_local_org_has_none(connect) -> None:
    cloud = connect(access_token="t", instance_url="https://acme.my.salesforce.com")

    url = cloud.record_url("Account", "001000000000001AAA")

    assert url == "https://acme.my.salesforce.com/lightning/r/Account/001000000000001AAA/view"
    assert connect().record_url("Account", "001000000000001AAA") == ""


def test_every_request_but_the_login_is_counted(connect, sandbox) -> None:
    crm = connect()
    crm.identify()
    crm.describe(["Account"])
    crm.count({"Account": ()})

    assert crm.usage.api_calls == sandbox.engine.api_used == 3
    assert crm.usage.bytes_in > 1000
    assert crm.usage.bytes_out > 100


HARMLESS = [
    Automation("flow", "Account", "Old_Flow", active=False),
    Automation("flow", "Account", "On_Create", on="Create"),
    Automation("trigger", "Account", "OldTrigger", active=False),
    Automation("trigger", "Account", "InsertTrigger", on="Create"),
    Automation("rule", "Account", "Old_Rule", active=False),
    Automation("flow", "Opportunity", "Other_Flow"),
    Automation("trigger", "Opportunity", "OtherTrigger"),
    Automation("rule", "Opportunity", "Other_Rule"),
]


def automations_of(crm: SalesforceConnector) -> list[Finding]:
    return [f for f in crm.check_health(["Account"]) if f.subject == "automations"]


def test_an_org_where_nothing_runs_when_we_write_says_so(org, connect) -> None:
    org.automations = HARMLESS

    (found,) = automations_of(connect())

    assert (found.level, found.message) == (
        "ok",
        "No flow, trigger or validation rule runs when Account records change.",
    )


def test_what_runs_when_we_write_is_named(org, connect) -> None:
    ours = [
        Automation("flow", "Account", "Score_Changed", on="Update"),
        Automation("trigger", "Account", "AccountTrigger"),
        *(Automation("rule", "Account", f"Rule_{number:02}") for number in range(12)),
    ]
    org.automations = HARMLESS + ours

    (found,) = automations_of(connect())

    assert found.level == "warning"
    assert "flows: Score_Changed; triggers: AccountTrigger; validation rules: Rule_00" in found.message
    assert found.message.endswith("Rule_09 and 2 more.")
    assert "200 records" in found.action


def test_automations_that_may_not_be_read_are_one_line_that_says_where_to_look(org, connect) -> None:
    org.automations = None

    (found,) = automations_of(connect())

    assert found.level == "warning"
    assert "flows (INVALID_TYPE), triggers (INVALID_TYPE), validation rules (INVALID_TYPE)" in found.message
    assert "Object Manager > Account" in found.action


def test_of_automations_the_readable_kinds_are_told_beside_the_others(org, connect, sandbox) -> None:
    org.automations = [Automation("flow", "Account", "Score_Changed")]
    sandbox.faults.inject("error", on="tooling.query", code="API_DISABLED_FOR_ORG", status=403, times=None)

    told, untold = automations_of(connect())

    assert "Score_Changed" in told.message
    assert "triggers (API_DISABLED_FOR_ORG)" in untold.message


@pytest.mark.parametrize("broken", ["versions", "composite", "query", "tooling.query", "token"])
def test_every_complaint_says_what_to_do(connect, sandbox, broken) -> None:
    sandbox.faults.inject("html", on=broken, status=404, times=None)

    complaints = [f for f in connect().check_health(["Account"]) if f.level != "ok"]

    assert complaints
    assert [f for f in complaints if not f.action] == []
