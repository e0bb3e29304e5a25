"""Salesforce's outbound messages, from the org's notification to the corrected number in the CRM."""

from __future__ import annotations

import secrets

import pytest
import sqlalchemy as sa
from companies import TOKEN, build_company, open_services
from fastapi.testclient import TestClient

from app.jobs.worker import InboxWorker
from app.store.inbox import list_deliveries
from app.web.api import create_app
from connectors.salesforce.sandbox import Org, Sandbox

SECRET = secrets.token_urlsafe(24)
ORGANISATION = TOKEN.split("!")[0]


@pytest.fixture
def company(migrated_database_url):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        built.sync()
        built.services.database.close()
        built.services = open_services(sandbox, migrated_database_url, salesforce_outbound_secret=SECRET)
        yield built
        built.services.database.close()


def message(company, *records, organisation=ORGANISATION, number=1):
    notes = "".join(
        f'<Notification><Id>04l{number}{n}</Id><sObject xsi:type="sf:{kind}" xmlns:sf="urn:s"><sf:Id>{company.ids[name]}'
        "</sf:Id></sObject></Notification>"
        for n, (kind, name) in enumerate(records)
    )
    return (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><s:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{organisation}</OrganizationId>{notes}</notifications></s:Body></s:Envelope>"
    )


def post(company, body, secret=SECRET):
    with TestClient(create_app(company.services), raise_server_exceptions=False) as client:
        return client.post(
            f"/webhooks/salesforce/outbound/{secret}", content=body, headers={"content-type": "text/xml"}
        )


def test_a_changed_deal_moves_the_number_in_the_crm_within_one_run(company):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})

    answer = post(company, message(company, ("Opportunity", "D-Y")))
    InboxWorker(company.services).work_once()

    assert (answer.status_code, "<Ack>true</Ack>" in answer.text) == (200, True)
    assert company.shown("B")[0] == "290000.00"


def test_duplicates_and_disorder_have_one_effect_and_are_acknowledged_all_the_same(company):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})
    body = message(company, ("Opportunity", "D-Y"), ("Account", "Y"))

    answers = [post(company, body) for _ in range(3)]
    InboxWorker(company.services).work_once()

    assert [answer.status_code for answer in answers] == [200, 200, 200]
    assert len(list_deliveries(company.services.database)) == 2
    assert company.shown("B")[0] == "290000.00"


@pytest.mark.parametrize(
    ("secret", "organisation", "status"),
    [("x" * 32, ORGANISATION, 404), (SECRET, "00D000000000009", 403)],
    ids=["wrong address", "another organisation"],
)
def test_a_stranger_is_neither_heard_nor_acknowledged(company, secret, organisation, status):
    answer = post(company, message(company, ("Account", "Y"), organisation=organisation), secret)

    assert answer.status_code == status
    assert "Ack" not in answer.text
    assert list_deliveries(company.services.database) == []


def test_a_broken_message_is_refused_and_not_acknowledged(company):
    answer = post(company, "<a/>")

    assert (answer.status_code, "Ack" in answer.text) == (400, False)


def test_what_could_not_be_stored_is_not_acknowledged_and_counts_when_it_comes_again(company):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})
    body = message(company, ("Opportunity", "D-Y"))
    rename(company, "delivery", "away")

    refused = post(company, body)
    rename(company, "away", "delivery")
    accepted = post(company, body)
    InboxWorker(company.services).work_once()

    assert (refused.status_code >= 500, "Ack" in refused.text) == (True, False)
    assert (accepted.status_code, "<Ack>true</Ack>" in accepted.text) == (200, True)
    assert company.shown("B")[0] == "290000.00"


def rename(company, old, new):
    """A database that fails: its table of deliveries is not where it should be."""
    with company.services.database.begin() as connection:
        connection.execute(sa.text(f"alter table {old} rename to {new}"))


def test_our_own_write_coming_back_as_a_message_ends_the_matter(company):
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000})
    post(company, message(company, ("Opportunity", "D-Y")))
    InboxWorker(company.services).work_once()
    written = company.sandbox.written["Account"]

    post(company, message(company, ("Account", "B"), ("Account", "Y"), number=2))
    InboxWorker(company.services).work_once()

    assert company.sandbox.written["Account"] == written
