"""The main job on a real sales pipeline that nobody here wrote, against sums that plain SQL computes on its own."""

from __future__ import annotations

import csv
import sqlite3
from datetime import UTC, date, datetime

import pytest
from companies import TOKEN, open_services

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.events import AdvocacyEvent
from app.store.events import save_events
from app.sync.answers import list_accounts, portfolio
from app.sync.run import run_sync
from connectors.salesforce.sandbox import Org, Sandbox, load_csv

NOW = datetime(2018, 1, 15, tzinfo=UTC)
REFERRED_ON = date(2016, 10, 1)
WINDOW = 365
FILES = {"accounts": "Account.csv", "opportunities": "Opportunity.csv"}


@pytest.fixture(scope="module")
def book(real_crm_data):
    """The CSV files as they are, in tables of text, and one referral for every third account."""
    book = sqlite3.connect(":memory:")
    for table, file in FILES.items():
        with (real_crm_data / file).open(newline="", encoding="utf-8") as handle:
            header, *rows = list(csv.reader(handle))
        book.execute(f"create table {table} ({', '.join(header)})")
        book.executemany(f"insert into {table} values ({', '.join('?' * len(header))})", rows)
    ids = [row[0] for row in book.execute("select Id from accounts order by Id")]
    book.execute("create table referrals (referrer, referred)")
    book.executemany("insert into referrals values (?, ?)", [(ids[n], ids[n + 1]) for n in range(0, len(ids) - 1, 3)])
    yield book
    book.close()


def expected_totals(book):
    """(direct, referred) per account id, in whole dollars: sums over the files and nothing of ours.

    A referral earns what its account bought and had opened within a year of it, unless both belong to one group.
    """
    direct = dict(
        book.execute(
            "select AccountId, sum(cast(Amount as integer)) from opportunities"
            " where IsWon = 'true' and AccountId <> '' group by AccountId"
        )
    )
    referred = dict(
        book.execute(
            """
            with grp as (
              select Id, coalesce(nullif(ParentId, ''), Id) as top from accounts
            )
            select r.referrer, sum(cast(o.Amount as integer))
            from referrals r join opportunities o on o.AccountId = r.referred
            join grp a on a.Id = r.referrer join grp b on b.Id = r.referred
            where o.IsWon = 'true' and a.top <> b.top
              and substr(o.CreatedDate, 1, 10) >= ? and julianday(substr(o.CreatedDate, 1, 10)) <= julianday(?) + ?
            group by r.referrer
            """,
            (REFERRED_ON.isoformat(), REFERRED_ON.isoformat(), WINDOW),
        )
    )
    return direct, referred


def refer(services, book):
    events = [
        AdvocacyEvent("book", str(n), "referral", REFERRED_ON, referrer, referred_account=referred)
        for n, (referrer, referred) in enumerate(book.execute("select referrer, referred from referrals order by 1"))
    ]
    save_events(services.database, events, now=NOW, policy=services.mapping.policy)


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
    write_folder(book, tmp_path)
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


def write_folder(book, folder):
    """The same company as the exports that the files connector reads."""
    queries = {
        "accounts.csv": "select Id as id, Name as name, ParentId as parent_id, Industry as industry from accounts",
        "opportunities.csv": (
            "select Id as id, AccountId as account_id, Name as name, Amount as amount,"
            " CreatedDate as created_date, CloseDate as close_date, IsWon as is_won, IsClosed as is_closed"
            " from opportunities"
        ),
    }
    for name, query in queries.items():
        cursor = book.execute(query)
        with (folder / name).open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle)
            writer.writerow([column[0] for column in cursor.description])
            writer.writerows(cursor)
