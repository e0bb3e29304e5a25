"""Bad records: each is a counted code, costs nobody else anything, and is forgotten once it is corrected."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date
from decimal import Decimal

import pytest
from companies import TODAY, TOKEN, build_company
from exports import open_exports
from nights import BULK, books, open_night

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.events import AdvocacyEvent
from app.errors import AppError
from app.intake.event_fields import Reader
from app.intake.event_files import read_event_file
from app.intake.import_events import ImportReport, import_events
from app.store.events import save_events
from app.sync.answers import approve_run, explain_account, list_accounts, list_runs
from app.sync.run import run_sync
from app.sync.triage import open_day
from connectors.salesforce.sandbox import Org, Sandbox


@pytest.fixture
def exports(tmp_path, migrated_database_url):
    made = open_exports(tmp_path / "exports", migrated_database_url)
    yield made
    made.services.database.close()


NOT_AMOUNTS = [
    "NaN", "-nan", "Infinity", "1e400", "-1e400", "1e15", "-1000000000000000", "abc", "12,50", "1_000", "--5", "0x10",
    "5 USD", "٣", "1.0.0", "0.0000000000000000001", "9" * 200,
]  # fmt: skip
NOT_IDS = ["", " ", "a\x00b", "a\nb", "a\u2028b", "x" * 256]
NOT_DATES = ["2025-02-30", "31.12.2025", "2025-6-1", "yesterday", "20250601", "10000-01-01"]

SPOILED = [
    *[("opportunities", "D-C", "amount", bad, {"bad_amount": 1, "amount_missing": 1}) for bad in NOT_AMOUNTS],
    ("opportunities", "D-C", "amount", "", {"amount_missing": 1}),
    *[("opportunities", "D-C", "id", bad, {"bad_id": 1}) for bad in NOT_IDS],
    *[("opportunities", "D-C", "close_date", bad, {"bad_date": 1}) for bad in NOT_DATES],
    *[("opportunities", "D-C", "created_date", bad, {"bad_date": 1}) for bad in NOT_DATES],
    ("opportunities", "D-C", "close_date", "", {"required_missing": 1}),
    ("opportunities", "D-C", "created_date", " ", {"required_missing": 1}),
    ("opportunities", "D-C", "currency", "ZZZ", {"rate_missing": 1}),
    ("opportunities", "D-C", "currency", "EURO", {"bad_currency": 1, "rate_missing": 1}),
    ("opportunities", "D-C", "currency", "€", {"bad_currency": 1, "rate_missing": 1}),
    ("opportunities", "D-C", "is_won", "maybe", {"bad_flag": 1}),
    ("opportunities", "D-C", "is_closed", "2", {"bad_flag": 1}),
    ("opportunities", "D-C", "is_deleted", "null", {"bad_flag": 1}),
    *[("opportunities", "D-C", "probability", bad, {"bad_number": 1}) for bad in ("150", "-1", "NaN", "high", "1e400")],
    *[("opportunities", "D-C", "account_id", bad, {"bad_reference": 1}) for bad in ("a\x00b", "a\nb", "x" * 256)],
    ("opportunities", "D-C", "contact_ids", "P1;a\nb;P2", {"bad_reference": 1}),
    ("opportunities", "D-C", "name", "a\x00b", {"text_cleaned": 1}),
    # An account without a usable id is not held, so what it bought names an account that nobody knows.
    *[("accounts", "C", "id", bad, {"bad_id": 1, "account_unknown": 1}) for bad in NOT_IDS],
    ("accounts", "C", "name", "a\x00b", {"text_cleaned": 1}),
    ("accounts", "C", "parent_id", "a\nb", {"bad_reference": 1}),
    ("accounts", "C", "merged_into_id", "x" * 256, {"bad_reference": 1}),
    ("accounts", "C", "is_deleted", "nope", {"bad_flag": 1}),
    ("accounts", "C", "merged_into_id", "C", {"merge_cycle": 1}),
    *[("currency_rates", "EUR", "rate", bad, {"bad_number": 1}) for bad in ("0", "-1", "NaN", "1e400", "x")],
    ("currency_rates", "EUR", "rate", "", {"required_missing": 1}),
    ("currency_rates", "EUR", "start_date", "soon", {"bad_date": 1}),
    ("currency_rates", "EUR", "decimal_places", "7", {"bad_number": 1}),
    ("currency_rates", "EUR", "currency", "EURO", {"bad_currency": 1}),
    ("adjustments", "R-C", "id", "", {"bad_id": 1}),
    *[("adjustments", "R-C", "amount", bad, {"bad_amount": 1}) for bad in ("NaN", "1e400", "x")],
    ("adjustments", "R-C", "opportunity_id", "", {"required_missing": 1}),
    ("adjustments", "R-C", "opportunity_id", "a\nb", {"bad_reference": 1}),
    ("adjustments", "R-C", "date", "soon", {"bad_date": 1}),
    ("adjustments", "R-C", "date", "", {"required_missing": 1}),
    ("adjustments", "R-C", "currency", "ZZZ", {"rate_missing": 1}),
]


ONE_OF_EACH = list(
    {(file, column, str(codes)): case for case in SPOILED for file, _, column, _, codes in [case]}.values()
)


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("file", "record", "column", "bad", "codes"),
    ONE_OF_EACH,
    ids=[f"{file}: {column} is {bad[:24]!r}" for file, _, column, bad, _ in ONE_OF_EACH],
)
def test_a_bad_value_is_counted_costs_nobody_else_anything_and_is_forgotten_when_it_is_corrected(
    exports, file, record, column, bad, codes
):
    row = exports.row(file, record)
    good = row.get(column, "")
    row[column] = bad

    report = exports.sync()
    others = {id_: total for id_, total in exports.totals().items() if id_ != "C"}
    scores = {id_: total for id_, total in exports.scores().items() if id_ != "C"}
    row[column] = good
    corrected = exports.sync()

    assert dict(report.issues) == codes
    assert others == scores == {"A": "100000.00", "B": "250.50"}
    assert (corrected.status, dict(corrected.issues)) == ("ok", {})
    assert exports.totals() == exports.scores() == {"A": "100000.00", "B": "250.50", "C": "6.00"}


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("column", "value", "total"),
    [
        ("amount", "-50", "-51.00"),
        ("amount", "0", "-1.00"),
        ("amount", "0.005", "-1.00"),  # a net of -0.995, rounded once
        ("amount", "1e3", "999.00"),
        ("amount", " 7.10 ", "6.10"),
        ("amount", "999999999999999.99", "999999999999998.99"),
        ("currency", " eur", "7.75"),
        ("currency", "", "6.00"),
        ("type", "frobnicate", "6.00"),
        ("probability", "", "6.00"),
        ("id", "d-c", "7.00"),
        ("id", "Ünïcode 🎉", "7.00"),
        ("name", 'two\nlines, "quotes", 🎉, \u202eright to left', "6.00"),
        ("name", "=cmd|' /C calc'!A0", "6.00"),
    ],
)
def test_an_unusual_value_is_taken_as_it_is(exports, column, value, total):
    exports.row("opportunities", "D-C")[column] = value

    report = exports.sync()

    assert (report.status, dict(report.issues)) == ("ok", {})
    assert exports.totals() == {"A": "100000.00", "B": "250.50", "C": total}


def test_ids_that_differ_only_in_case_are_two_records(exports):
    exports.files["accounts"].append({"id": "a", "name": "small a"})
    exports.files["opportunities"].append(
        exports.row("opportunities", "D-A") | {"id": "d-a", "account_id": "a", "amount": "3"}
    )

    report = exports.sync()

    assert (report.status, dict(report.issues)) == ("ok", {})
    assert exports.scores() == {"A": "100000.00", "B": "250.50", "C": "6.00", "a": "3.00"}


def test_every_record_without_an_id_is_counted(exports):
    deal = exports.row("opportunities", "D-C")
    exports.files["opportunities"] += [deal | {"id": ""}, deal | {"id": ""}, deal | {"id": "a\nb"}]

    report = exports.sync()

    assert (report.status, dict(report.issues)) == ("ok", {"bad_id": 3})
    assert exports.totals() == {"A": "100000.00", "B": "250.50", "C": "6.00"}


def test_an_id_that_comes_twice_with_different_contents_is_counted_and_the_last_one_stands(exports):
    exports.files["opportunities"].append(exports.row("opportunities", "D-C") | {"amount": "9"})

    report = exports.sync()
    del exports.files["opportunities"][-1]
    corrected = exports.sync()

    assert (report.status, report.issues["duplicate_id"]) == ("ok", 1)
    assert (corrected.status, dict(corrected.issues)) == ("ok", {})
    assert exports.totals() == {"A": "100000.00", "B": "250.50", "C": "6.00"}


def test_accounts_that_are_each_others_parents_or_losers_are_counted_listed_and_keep_their_own_money(exports):
    exports.row("accounts", "A")["parent_id"] = "B"
    exports.row("accounts", "B")["parent_id"] = "A"
    parents = exports.sync()
    exports.row("accounts", "A").update(parent_id="", merged_into_id="B")
    exports.row("accounts", "B").update(parent_id="", merged_into_id="A")
    merged = exports.sync()
    usual = exports.totals()
    found = list_accounts(exports.services, include_all=True)
    explained = [explain_account(exports.services, one.id).account for one in found]
    exports.row("accounts", "A")["merged_into_id"] = exports.row("accounts", "B")["merged_into_id"] = ""

    corrected = exports.sync()

    assert set(parents.issues) == {"parent_cycle"}
    assert dict(merged.issues) == {"merge_cycle": 2}
    assert usual == {"C": "6.00"}
    # Whoever reads the count finds the two; nobody loses a place to them.
    assert [(one.id, one.rank, str(one.money["total"]), one.issues) for one in found] == [
        ("A", 1, "100250.50", ("merge_cycle",)),
        ("C", 1, "6.00", ()),
        ("B", 2, "0.00", ("merge_cycle",)),
    ]
    assert [one.rank for one in explained] == [1, 1, 2]
    assert dict(corrected.issues) == {}
    assert exports.totals() == {"A": "100000.00", "B": "250.50", "C": "6.00"}


BROKEN = {
    "a row too short": ("opportunities.csv", lambda text: text + "D-Z,A,short\n", r"opportunities\.csv:5: 3 values"),
    "a row too long": ("accounts.csv", lambda text: text + "Z" + "," * 20 + "\n", r"accounts\.csv:5: 21 values"),
    "a quote that stays open": ("opportunities.csv", lambda text: text + '"D-Z,A\n', r"opportunities\.csv:5: not CSV"),
    "not UTF-8": ("accounts.csv", lambda text: (text + "Z,Zoë\n").encode("latin-1"), r"accounts\.csv:5: byte 0xeb"),
    "a column twice": (
        "accounts.csv",
        lambda text: text.replace("industry", "name", 1),
        "column 'name' is there twice",
    ),
    "a column missing": ("opportunities.csv", lambda text: text.replace("close_date", "closed"), "problem"),
    "no header": ("accounts.csv", lambda _text: "", "first line must name"),
}


@pytest.mark.parametrize(("file", "spoil", "message"), BROKEN.values(), ids=BROKEN)
def test_a_file_that_cannot_be_read_stops_the_run_with_its_line_and_leaves_everything_as_it_was(
    exports, monkeypatch, file, spoil, message
):
    exports.sync()
    before, scores = books(exports.services.database), (exports.folder / "scores.csv").read_bytes()
    path = exports.folder / file
    good = path.read_bytes()
    broken = spoil(good.decode().replace("\r\n", "\n").replace("100000", "5"))
    path.write_bytes(broken if isinstance(broken, bytes) else broken.encode())

    with pytest.raises(AppError, match=message):
        run_sync(exports.services)

    after = books(exports.services.database)
    assert {name: after[name] for name in ("lines", "values", "issues", "problems")} == {
        name: before[name] for name in ("lines", "values", "issues", "problems")
    }
    assert (exports.folder / "scores.csv").read_bytes() == scores
    assert list_runs(exports.services)[0].status == "failed"
    path.write_bytes(good)
    assert run_sync(exports.services).status == "ok"
    assert exports.scores() == {"A": "100000.00", "B": "250.50", "C": "6.00"}


def test_everything_at_once_is_counted_exactly_on_both_databases(exports):
    expected: Counter[str] = Counter()
    spoiled = [case for case in SPOILED if case[0] == "opportunities"]
    good = [exports.row("opportunities", "D-C") | {"id": f"X{n}", "account_id": f"K{n}"} for n, _ in enumerate(spoiled)]
    exports.files["accounts"] += [{"id": deal["account_id"], "name": deal["id"]} for deal in good]
    for deal, (_, _, column, bad, codes) in zip(good, spoiled, strict=True):
        exports.files["opportunities"].append(deal | {column: bad})
        expected.update(codes)

    report = exports.sync()
    exports.files["opportunities"][3:] = good
    # Every third account shows another value: somebody looks at that first.
    held = exports.sync()
    approve_run(exports.services, held.run_id, "tester")
    corrected = exports.sync()

    assert held.status == "held"
    assert (report.status, dict(report.issues)) == ("ok", dict(expected))
    assert (corrected.status, dict(corrected.issues)) == ("ok", {})
    right = {"A": "100000.00", "B": "250.50", "C": "6.00", **{deal["account_id"]: "7.00" for deal in good}}
    assert exports.totals() == exports.scores() == right


# The same over the APIs of Salesforce, as far as an org can hold it


@pytest.fixture
def company(migrated_database_url):
    with Sandbox(Org(multi_currency=True), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        built.account("C")
        built.deal("D-C", "C", 7)
        yield built
        built.services.database.close()


@pytest.mark.parametrize(
    ("kind", "values", "codes"),
    [
        ("Opportunity", {"Amount": None}, {"amount_missing": 1}),
        ("Opportunity", {"CurrencyIsoCode": "ZZZ"}, {"rate_missing": 1}),
        ("Opportunity", {"Amount": Decimal("1e15")}, {"bad_amount": 1, "amount_missing": 1}),
        ("Opportunity", {"Amount": Decimal(-50)}, {}),
        ("Opportunity", {"AccountId": None}, {}),
        ("Opportunity", {"Name": 'two\nlines "quoted", 🎉 \u202e'}, {}),
        ("Account", {"Name": "be\0fore 🎉\r\n"}, {}),
        ("Account", {"Website": "not a domain"}, {}),
    ],
    ids=["no amount", "unknown currency", "huge amount", "refund", "nobody's", "name", "NUL in a name", "website"],
)
@pytest.mark.parametrize("bulk", [False, True], ids=["REST", "bulk"])
@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_what_an_org_can_hold_is_counted_and_forgotten_alike(company, kind, values, codes, bulk):
    if bulk:
        services = open_night(company.sandbox.url, str(company.services.settings.database_url), BULK)
    else:
        services = company.services
    record = company.ids["C" if kind == "Account" else "D-C"]
    good = company.org.record(kind, record)
    company.org.update(kind, record, values)

    report = run_sync(services)
    company.org.update(kind, record, {name: good[name] for name in values})
    corrected = run_sync(services)

    assert (report.status, dict(report.issues)) == ("ok", codes)
    assert company.totals() == {"A": "140000.00", "B": "280000.00", "C": "7.00", "X": "40000.00", "Y": "250000.00"}
    assert dict(corrected.issues) == {}
    assert company.shown("B") == ("280000.00", "30000.00", "250000.00")


# Advocacy events: rows that cannot be taken are named by their line, and the others are all taken


ID = "001Sb00AAAAAAAA"
"""The first account of a sandbox, in 15 characters."""
HEADER = "source_system,source_event_id,type,occurred_on,account,referred_account,share_percent,amount,currency,title"
EVENTS = {
    "an id of 15 characters": (f"s,1,nps_response,2025-03-01,{ID},,,,,", None),
    "an id of 18 characters": (f"s,2,nps_response,2025-03-01,{ID}I25,,,,,", None),
    "blanks around an id": (f"s,3,nps_response,2025-03-01, {ID}I25 ,,,,,", None),
    "emoji and quotes": (f's,4,nps_response,2025-03-01,{ID},,,,,"two\nlines, ""quoted"" 🎉"', None),
    "an id in lower case": (f"s,5,nps_response,2025-03-01,{ID.lower()}i25,,,,,", "account: .* damaged"),
    "a bad checksum": (f"s,6,nps_response,2025-03-01,{ID}I24,,,,,", "account: .* damaged"),
    "an id too short": ("s,7,nps_response,2025-03-01,001,,,,,", "account: .* 3 characters"),
    "an unknown type": (f"s,8,frobnication,2025-03-01,{ID},,,,,", "type: 'frobnication' is not a known type"),
    "no day": (f"s,9,nps_response,,{ID},,,,,", "occurred_on: is required"),
    "no such day": (f"s,10,nps_response,2025-02-30,{ID},,,,,", "occurred_on: 2025-02-30 is not a day"),
    "no account": ("s,11,nps_response,2025-03-01,,,,,,", "account: is required"),
    "a referral of nobody": (f"s,12,referral,2025-03-01,{ID},,,,,", "a referral points at something"),
    "a share of 101 %": (f"s,13,referral,2025-03-01,{ID},{ID},101,,,", "share_percent: must be between 0 and 100"),
    "NaN as an amount": (f"s,14,nps_response,2025-03-01,{ID},,,NaN,,", "amount: must be a number"),
    "1e400 as an amount": (f"s,15,nps_response,2025-03-01,{ID},,,1e400,,", "amount: must be a number"),
    "no currency code": (f"s,16,nps_response,2025-03-01,{ID},,,5,EURO,", "currency: must be a currency code"),
    "a NUL in the title": (f"s,17,nps_response,2025-03-01,{ID},,,,,a\0b", "title: holds characters"),
    "too few cells": (f"s,18,nps_response,2025-03-01,{ID}", "has 5 cells, the first line has 10"),
    "no id of its own": (f"s,,nps_response,2025-03-01,{ID},,,,,", "source_event_id: is required"),
}


def test_events_that_cannot_be_taken_are_named_by_line_and_the_others_are_all_taken_once(company, tmp_path):
    file = tmp_path / "events.csv"
    file.write_text("\n".join([HEADER, *(row for row, _ in EVENTS.values())]), newline="")
    services = company.services

    def take() -> ImportReport:
        rows = read_event_file(file, Reader(services.normalise_id))
        return import_events(services.database, rows, now=TODAY, policy=services.mapping.policy)

    first, again = take(), take()

    wrong = {name: reason for name, (_, reason) in EVENTS.items() if reason}
    starts = {
        name: 2 + sum(row.count("\n") + 1 for row, _ in list(EVENTS.values())[:at]) for at, name in enumerate(EVENTS)
    }
    assert [row.line for row in first.rejected] == [starts[name] for name in wrong]
    for row, reason in zip(first.rejected, wrong.values(), strict=True):
        assert re.search(reason, row.reason), row
    assert (first.added, first.duplicate, first.conflicts) == (4, 0, ())
    assert (again.added, again.duplicate, again.conflicts, again.rejected) == (0, 4, (), first.rejected)
    stored = books(services.database)["events"]
    assert {row[1] for row in stored if row[0].startswith("s/")} == {ID + "I25"}


@pytest.mark.parametrize("form", [str, lambda id_: id_[:15]], ids=["18 characters", "15 characters"])
def test_a_referral_counts_whichever_form_its_ids_have(company, tmp_path, form):
    file = tmp_path / "events.csv"
    row = f"s,1,referral,2025-02-01,{form(company.ids['C'])},{form(company.ids['Y'])},,,,"
    file.write_text(f"{HEADER}\n{row}")
    services = company.services

    import_events(
        services.database,
        read_event_file(file, Reader(services.normalise_id)),
        now=TODAY,
        policy=services.mapping.policy,
    )
    report = run_sync(services)

    assert report.status == "ok"
    assert company.shown("C") == ("125007.00", "7.00", "125000.00")


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_accounts_that_are_named_and_not_held_are_counted(migrated_database_url, tmp_path):
    (tmp_path / "accounts.csv").write_text("id,name\nA,Anna\n")
    (tmp_path / "opportunities.csv").write_text(
        "id,account_id,amount,created_date,close_date,is_won,is_closed\n"
        "O1,A,100,2025-01-01,2025-02-01,true,true\nO2,gone,50,2025-01-01,2025-02-01,true,true\n"
    )
    settings = load_settings(database_url=migrated_database_url, crm="files", files_dir=str(tmp_path))
    services = build_services(settings)
    event = AdvocacyEvent("t", "1", "referral", date(2024, 12, 1), "typo", referred_account="A")
    save_events(services.database, [event], now=services.now(), policy=services.mapping.policy)

    first, second = run_sync(services), run_sync(services)

    for report in (first, second):
        assert (report.issues["account_unknown"], report.issues["event_account_unknown"]) == (1, 1)
    services.database.close()


def test_what_names_an_event_that_is_not_there_is_counted_until_it_arrives(migrated_database_url, tmp_path):
    (tmp_path / "accounts.csv").write_text("id,name\nA,Anna\nB,Berta\n")
    (tmp_path / "opportunities.csv").write_text("id,account_id,amount,created_date,close_date,is_won,is_closed\n")
    settings = load_settings(database_url=migrated_database_url, crm="files", files_dir=str(tmp_path))
    services = build_services(settings)
    today, policy = services.today, services.mapping.policy

    def save(*events):
        save_events(services.database, events, now=services.now(), policy=policy)

    def known(report):
        return {code: report.issues.get(code, 0) for code in ("closes_nothing", "milestone_names_nothing")}

    save(
        AdvocacyEvent("t", "1", "problem_closed", today, "A", attributes={"event": "late"}),
        AdvocacyEvent("t", "2", "referral.won", today, "A", attributes={"referral": "r1"}),
    )
    assert known(run_sync(services)) == {"closes_nothing": 1, "milestone_names_nothing": 1}
    (idle,) = open_day(services).as_json()["closes_nothing"]
    assert (idle["account"], idle["event"], idle["names"]) == ("A", "t/1", "late")

    save(
        AdvocacyEvent("t", "late", "complaint", today, "A"),
        AdvocacyEvent("t", "r1", "referral", date(2025, 1, 1), "A", referred_account="B"),
    )
    assert known(run_sync(services)) == {"closes_nothing": 0, "milestone_names_nothing": 0}
    assert open_day(services).as_json()["closes_nothing"] == []
    assert open_day(services).as_json()["items"] == []
    services.database.close()
