"""`doctor --live`: everything that would spoil a night is told beforehand, each finding with what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import structlog
from companies import TOKEN, open_services

from app.bootstrap import Services
from app.cli import main
from app.cli.live import examine_crm
from app.config import default_mapping_path
from app.store import state
from connectors.contract import Finding
from connectors.salesforce.sandbox import Automation, Field, Org, Sandbox
from connectors.salesforce.sandbox.standard import standard_types

Open = Callable[..., Services]
TOTAL = "Total_Customer_Value__c"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)
    yield
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def org() -> Org:
    return Org()


@pytest.fixture
def sandbox(org: Org) -> Iterator[Sandbox]:
    with Sandbox(org, token=TOKEN) as made:
        yield made


@pytest.fixture
def look(sandbox: Sandbox, sqlite_template: Path, tmp_path: Path) -> Iterator[Callable[..., list[Finding]]]:
    """Examine the org as it is now, with a fresh database."""
    database = tmp_path / "fresh.db"
    database.write_bytes(sqlite_template.read_bytes())
    opened: list[Services] = []

    def examine(**settings: Any) -> list[Finding]:
        opened.append(open_services(sandbox, f"sqlite:///{database}", **settings))
        return list(examine_crm(opened[-1]))

    yield examine
    for services in opened:
        services.database.close()


def about(findings: list[Finding], subject: str, *levels: str) -> list[Finding]:
    return [f for f in findings if f.subject == subject and f.level in (levels or ("warning", "error"))]


def replaced(org: Org, field: Field) -> None:
    """Give Account another field of the same name."""
    fields = org.table("Account").type.fields
    del fields[field.name]
    org.add_field("Account", field)


def test_a_healthy_org_is_told_in_full_and_nothing_is_an_error(look) -> None:
    findings = look()

    assert [f for f in findings if f.level == "error"] == []
    assert {"login", "organisation", "user", "API version", "clock", "API calls", "automations", "currencies"} <= {
        f.subject for f in findings
    }


def test_every_complaint_says_what_to_do(look, org) -> None:
    org.automations = None
    org.hide_field("Account", TOTAL)
    org.lock_field("Account", "Advocacy_Direct_Revenue__c")

    complaints = [f for f in look() if f.level != "ok"]

    assert len(complaints) > 2
    assert [f for f in complaints if not f.action] == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda org: org.hide_field("Account", TOTAL), f"{TOTAL} does not exist on Account or is hidden"),
        (lambda org: org.hide_object("Opportunity"), "Opportunity does not exist or is hidden"),
        (lambda org: org.lock_field("Account", TOTAL), "may not be changed by the connecting user"),
        (lambda org: replaced(org, Field(TOTAL, "date")), "cannot hold"),
        (lambda org: replaced(org, Field(TOTAL, "boolean")), "cannot hold"),
    ],
    ids=["hidden field", "hidden object", "read-only", "a date", "a flag"],
)
def test_a_field_that_cannot_do_its_work_is_an_error(look, org, spoil, said) -> None:
    spoil(org)

    found = about(look(), "mapping", "error")

    assert [f for f in found if said in f.message]


@pytest.mark.parametrize(
    ("field", "said"),
    [
        (Field(TOTAL, "currency", precision=5, scale=2), "holds 3 digits before the point"),
        (Field(TOTAL, "double", precision=18, scale=2, external_id=True), "is an external id"),
    ],
    ids=["too short", "external id"],
)
def test_a_field_that_fits_badly_is_a_warning(look, org, field, said) -> None:
    replaced(org, field)

    (found,) = about(look(), "fields", "warning")

    assert said in found.message


def test_what_the_mapping_asks_of_decimals_and_lengths_and_values_is_compared(look, org, tmp_path) -> None:
    text = default_mapping_path("salesforce").read_text("utf-8")
    path = tmp_path / "narrow.yaml"
    path.write_text(
        text.replace(f"    total: {TOTAL}\n", f"    total: {{field: {TOTAL}, scale: 4}}\n").replace(
            "currency: {field: Advocacy_Currency__c, optional: true}",
            "currency: {field: Advocacy_Currency__c, max_length: 9}",
        ),
        "utf-8",
    )
    org.add_field("Account", Field("Advocacy_Currency__c", "picklist", length=3, values=("EUR",), restricted=True))

    found = " | ".join(f.message for f in about(look(mapping=path), "mapping", "error"))

    assert "keeps 2 decimals, not 4" in found
    assert "lacks the value 'USD'" in found
    assert "holds 3 characters, not 9" in found


def test_the_shipped_mapping_reads_nothing_of_another_kind(look, several) -> None:
    assert [f for f in look() if "[ADV-MAP-064]" in f.message] == []


def test_what_is_read_from_a_field_of_another_kind_is_told(look, tmp_path) -> None:
    text = default_mapping_path("salesforce").read_text("utf-8")
    path = tmp_path / "odd.yaml"
    path.write_text(
        text.replace("amount: Amount", "amount: Name", 1)
        .replace("close_on: CloseDate", "close_on: StageName")
        .replace("is_won: IsWon", "is_won: StageName")
        .replace("account_id: AccountId", "account_id: Name"),
        "utf-8",
    )

    found = [f for f in about(look(mapping=path), "mapping", "warning") if "[ADV-MAP-064]" in f.message]

    assert sorted(f.message.split()[1] for f in found) == ["account_id", "amount", "close_on", "is_won"]


def test_what_is_set_off_by_our_writes_is_named(look, org) -> None:
    org.automations = [Automation("trigger", "Account", "AccountTrigger")]

    (found,) = about(look(), "automations")

    assert (found.level, "AccountTrigger" in found.message) == ("warning", True)


def test_another_organisation_than_the_databases_is_an_error(look, sandbox, tmp_path) -> None:
    look()
    services = open_services(sandbox, f"sqlite:///{tmp_path / 'fresh.db'}")
    with services.database.begin() as connection:
        state.save_flag(connection, state.ORGANISATION, "00D000000000009AAA")
    services.database.close()

    (found,) = about(look(), "database")

    assert "belongs to organisation 00D000000000009AAA" in found.message


# Currencies


def test_one_currency_is_taken_for_the_reporting_currency(look) -> None:
    (found,) = about(look(), "currencies", "ok")

    assert "taken for USD" in found.message


@pytest.fixture
def several(org: Org) -> Org:
    for of in standard_types(multi_currency=True, person_accounts=False, write_back=True):
        if of.name in ("CurrencyType", "DatedConversionRate"):
            org.add_type(of)
    for name in ("Account", "Opportunity"):
        org.add_field(name, Field("CurrencyIsoCode", "picklist", length=3, default="USD"))
    org.create("CurrencyType", {"IsoCode": "USD", "ConversionRate": 1, "IsCorporate": True})
    org.create("CurrencyType", {"IsoCode": "EUR", "ConversionRate": Decimal("0.8"), "IsActive": True})
    return org


def test_several_currencies_are_named(look, several) -> None:
    (found,) = about(look(), "currencies", "ok")

    assert found.message == "EUR, USD, converted to USD at fixed rates and by date"


def test_a_reporting_currency_without_a_rate_is_an_error_because_it_would_pass_for_the_main_one(
    look, several, tmp_path
) -> None:
    text = default_mapping_path("salesforce").read_text("utf-8")
    path = tmp_path / "francs.yaml"
    path.write_text(text.replace("reporting_currency: USD", "reporting_currency: CHF"), "utf-8")

    (found,) = about(look(mapping=path), "currencies")

    assert (found.level, "no rate for it: it has EUR, USD" in found.message) == ("error", True)


def test_rates_that_may_not_be_seen_are_an_error(look, several) -> None:
    several.hide_object("CurrencyType")

    (found,) = about(look(), "currencies")

    assert (found.level, "no exchange rates can be read" in found.message) == ("error", True)


# The command


def doctor(sandbox: Sandbox, capsys: pytest.CaptureFixture[str], *more: str, token: str = TOKEN) -> tuple[int, Any]:
    given = [f"salesforce_instance_url={sandbox.url}", f"salesforce_access_token={token}"]
    options = [part for setting in given for part in ("--set", setting)]
    with pytest.raises(SystemExit) as ended:
        main([*options, "doctor", "--live", "--json", *more])
    code = ended.value.code
    return (code if isinstance(code, int) else 0), json.loads(capsys.readouterr().out)


def levels(found: Any) -> dict[str, str]:
    return {each["subject"]: each["level"] for each in found}


def test_warnings_are_no_failure(sandbox, org, capsys) -> None:
    org.automations = [Automation("rule", "Account", "Rule")]

    code, found = doctor(sandbox, capsys)

    assert (code, levels(found)["automations"]) == (0, "warning")
    assert set(found[0]) == {"level", "subject", "message", "action"}


def test_a_mapping_that_does_not_fit_is_code_2_and_what_was_found_before_is_told_too(sandbox, org, capsys) -> None:
    org.hide_field("Account", TOTAL)

    code, found = doctor(sandbox, capsys)

    assert (code, levels(found)["login"], levels(found)["mapping"]) == (2, "ok", "error")
    assert "\n" not in found[-1]["message"]


def test_a_login_that_is_refused_is_code_5(sandbox, capsys) -> None:
    code, found = doctor(sandbox, capsys, token="00D000000000001!other")

    assert code == 5
    assert [each["subject"] for each in found if each["level"] == "error"][-1] == "crm"
