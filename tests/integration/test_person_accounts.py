"""An org where some accounts are people: from end to end, by REST and by bulk jobs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from companies import TODAY, TOKEN, Company, open_services
from nights import BULK, REST, Way, go, open_night

from app.config import default_mapping_path
from app.domain.events import AdvocacyEvent
from app.store.events import save_events
from connectors.salesforce.sandbox import Org, Sandbox


@pytest.fixture(params=[REST, BULK], ids=["REST", "bulk"])
def way(request: pytest.FixtureRequest) -> Way:
    return request.param


@pytest.fixture
def company(migrated_database_url: str, way: Way, monkeypatch: pytest.MonkeyPatch) -> Iterator[Company]:
    """Ada, a person, bought for 1,000 and recommended us to Engines, a business, and to Charles, a person."""
    go(way, monkeypatch)
    with Sandbox(Org(person_accounts=True), token=TOKEN) as sandbox:
        sandbox.manners.job_polls = 0
        built = Company(sandbox, open_night(sandbox.url, migrated_database_url, way))
        for first, last in (("Ada", "Lovelace"), ("Charles", "Babbage")):
            built.ids[first] = sandbox.org.create("Account", {"FirstName": first, "LastName": last})
        built.account("Engines")
        for name, buyer, amount in (("D-A", "Ada", 1_000), ("D-C", "Charles", 200), ("D-E", "Engines", 30_000)):
            built.deal(name, buyer, amount)
        sandbox.org.clock.advance(3600)
        yield built
        built.services.database.close()


def contact_of(company: Company, name: str) -> str:
    return str(company.org.record("Account", company.ids[name])["PersonContactId"])


def name_in_deal(company: Company, deal: str, contact: str) -> None:
    company.org.create("OpportunityContactRole", {"OpportunityId": company.ids[deal], "ContactId": contact})


def refer_person(company: Company, referrer: str, contact: str) -> None:
    event = AdvocacyEvent(
        "test", "person", "referral", date(2025, 2, 1), company.ids[referrer], referred_contact=contact
    )
    save_events(company.services.database, [event], now=TODAY, policy=company.services.mapping.policy)


def test_people_and_businesses_are_valued_and_written_alike(company: Company) -> None:
    company.refer("A-E", "Ada", "Engines")
    company.refer("E-C", "Engines", "Charles")

    report = company.sync()

    assert (report.status, report.counts["written"], report.rejected) == ("ok", 3, ())
    assert company.shown("Ada") == ("31000.00", "1000.00", "30000.00")
    assert company.shown("Engines") == ("30200.00", "30000.00", "200.00")
    assert company.totals() == {"Ada Lovelace": "31000.00", "Engines": "30200.00", "Charles Babbage": "200.00"}
    assert company.org.record("Account", company.ids["Ada"])["Name"] == "Ada Lovelace"


def test_a_referral_that_names_the_contact_behind_a_person_is_found_in_its_deals(company: Company) -> None:
    name_in_deal(company, "D-C", contact_of(company, "Charles"))
    refer_person(company, "Ada", contact_of(company, "Charles"))

    company.sync()

    assert company.shown("Ada") == ("1200.00", "1000.00", "200.00")


def test_a_person_who_is_renamed_merged_or_gone_is_followed(company: Company) -> None:
    company.refer("E-C", "Engines", "Charles")
    company.sync()
    company.org.update("Account", company.ids["Ada"], {"LastName": "King"})
    company.org.clock.advance(3600)
    company.sync()
    assert "Ada King" in company.totals()

    company.org.merge("Account", company.ids["Ada"], company.ids["Charles"])
    company.org.clock.advance(3600)
    company.sync()
    assert company.shown("Ada")[1] == "1200.00"
    assert company.shown("Engines")[2] == "1200.00", "whoever was referred is Ada now, with all her deals"

    company.org.delete("Account", company.ids["Ada"])
    company.org.clock.advance(3600)
    report = company.sync()
    assert report.status == "ok"
    assert "Ada King" not in company.totals()


def test_a_mapping_can_leave_people_out(company: Company, tmp_path: Path) -> None:
    text = default_mapping_path("salesforce").read_text("utf-8")
    path = tmp_path / "salesforce.yaml"
    where = "  where: [{field: IsPersonAccount, value: false}]\n"
    line = next(line for line in text.splitlines(keepends=True) if line.startswith("  where: []"))
    path.write_text(text.replace(line, where), "utf-8")
    url = str(company.services.settings.database_url)
    company.services.database.close()
    company.services = open_services(company.sandbox, url, mapping=path)

    company.sync()

    assert company.totals() == {"Engines": "30000.00"}
    assert company.shown("Ada") == (None, None, None)


def test_the_name_of_a_person_is_never_written_by_us(company: Company) -> None:
    """What the write-back sends to a person are the fields of the mapping and nothing else."""
    before = {name: company.org.record("Account", company.ids[name]) for name in ("Ada", "Charles")}

    company.sync()

    for name, record in before.items():
        after = company.org.record("Account", company.ids[name])
        changed = {field for field in record if after[field] != record[field]}
        assert {field for field in changed if not field.endswith("__c")} <= {
            "LastModifiedDate",
            "SystemModstamp",
        }
