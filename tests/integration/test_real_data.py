"""The main job on a real sales pipeline that nobody here wrote, against sums that plain SQL computes on its own."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import pytest
from companies import TOKEN, open_services
from sales_book import expected_totals, open_book, referrals_of, write_exports_of

from app.bootstrap import build_services
from app.config import load_settings
from app.store.events import save_events
from app.sync.answers import list_accounts, portfolio
from app.sync.run import run_sync
from connectors.salesforce.sandbox import Org, Sandbox, load_csv

NOW = datetime(2018, 1, 15, tzinfo=UTC)


@pytest.fixture(scope="module")
def book(real_crm_data):
    opened = open_book(real_crm_data)
    yield opened
    opened.close()


def refer(services, book):
    save_events(services.database, referrals_of(book), now=NOW, policy=services.mapping.policy)


def check_totals(services, book):
    direct, referred = expected_totals(book)
    assert referred, "the referrals earn something, or this test says nothing"
    views = {view.id: view for view in list_accounts(services)}
    ours = {id_: (int(view.money["direct"]), int(view.money["referred"])) for id_, view in views.items()}
    theirs = {id_: (direct.get(id_, 0), referred.get(id_, 0)) for id_ in direct.keys() | referred.keys()}
    assert ours == theirs
    whole = portfolio(services)
    assert int(whole.direct) == sum(direct.values())
    assert int(whole.referred) == sum(referred.values())
    assert whole.conserved == whole.direct
    return theirs


def test_the_salesforce_way_gives_the_sums_of_the_files(real_crm_data, book, migrated_database_url):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        load_csv(sandbox.org, real_crm_data)
        services = open_services(sandbox, migrated_database_url)
        refer(services, book)

        report = run_sync(services)

        theirs = check_totals(services, book)
        assert (report.status, report.counts["pulled_account"], report.counts["pulled_opportunity"]) == ("ok", 85, 8800)
        assert report.counts["written"] == len(theirs)
        for id_, (direct, referred) in theirs.items():
            assert sandbox.org.record("Account", id_)["Total_Customer_Value__c"] == direct + referred
        assert run_sync(services).counts["update"] == 0
        services.database.close()


def test_the_files_way_gives_the_same_sums(real_crm_data, book, migrated_database_url, tmp_path):
    write_exports_of(book, tmp_path)
    settings = load_settings(database_url=migrated_database_url, crm="files", files_dir=str(tmp_path))
    services = build_services(settings, now=lambda: NOW)
    refer(services, book)

    report = run_sync(services)

    theirs = check_totals(services, book)
    assert report.status == "ok"
    with (tmp_path / "scores.csv").open(newline="", encoding="utf-8") as handle:
        scores = {row["id"]: row["total"] for row in csv.DictReader(handle) if row["total"]}
    assert scores == {id_: f"{direct + referred}.00" for id_, (direct, referred) in theirs.items()}
    assert run_sync(services).counts["update"] == 0
    services.database.close()
