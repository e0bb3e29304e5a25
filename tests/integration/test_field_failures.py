"""What goes wrong between a CRM and a sync in the field and is seen by nobody, played through from end to end.

The list of all of it, and which test stands guard, is in tests/architecture/test_field_failures.py.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import NoneType
from typing import Any

import pytest
from companies import TODAY, TOKEN, Company, build_company, open_services
from nights import BULK, DEALS, REST, build_org, go, open_night, serve_org

from app.bootstrap import Services
from app.config import default_mapping_path
from app.errors import AppError, UnreachableCrmError
from app.sync.answers import list_runs
from app.sync.report import Progress
from app.sync.run import run_sync
from connectors.salesforce.sandbox import Org, Sandbox

DAY = timedelta(days=1)


@pytest.fixture
def company(migrated_database_url: str) -> Iterator[Company]:
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        sandbox.org.clock.advance(3600)  # beyond what every run looks back
        yield built
        built.services.database.close()


def on(company: Company, day: datetime, **settings: Any) -> None:
    """A new process on another day, with other settings."""
    url = str(company.services.settings.database_url)
    company.services.database.close()
    company.services = open_services(company.sandbox, url, now=day, **settings)


def write_mapping(folder: Path, old: str, new: str) -> Path:
    """The shipped mapping with one change."""
    text = default_mapping_path("salesforce").read_text("utf-8")
    assert text.count(old) == 1
    path = folder / "salesforce.yaml"
    path.write_text(text.replace(old, new), "utf-8")
    return path


@contextmanager
def night(database_url: str, *, wrong_secret: bool = False) -> Iterator[tuple[Sandbox, Services]]:
    """Forty accounts and 120 deals that are read and written in bulk, nine rows to a page."""
    with serve_org(build_org(), page_size=1_000) as sandbox:
        login = replace(sandbox.credentials, client_secret="wrong") if wrong_secret else sandbox.credentials
        services = open_night(sandbox.url, database_url, BULK, login=login)
        yield sandbox, services
        services.database.close()


# 5: memory


def count_raw_deals() -> int:
    """Rows of deals, as the CRM sent them, that are alive in this process."""
    return sum(
        type(each) in (tuple, list)
        and len(each) > 5
        and str(each[0]).startswith("006")
        and set(map(type, each)) <= {str, NoneType}
        for each in gc.get_objects()
    )


def test_problem_5_a_pull_holds_one_page_however_many_records_there_are(migrated_database_url: str) -> None:
    alive: list[int] = []

    def watch(step: str, done: int, _total: int | None) -> None:
        if step == "pull Opportunity" and done:
            alive.append(count_raw_deals())

    with night(migrated_database_url) as (_, services), no_collection():
        report = run_sync(services, progress=watch)

    assert report.counts["pulled_opportunity"] == DEALS
    assert len(alive) > DEALS // BULK.page_rows
    assert max(alive) <= 4 * BULK.page_rows, "a page as it came, the same page translated, and the one before it"


@contextmanager
def no_collection() -> Iterator[None]:
    """A collection would stop following tuples of text, and they could not be counted any more."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


# 6: jobs


def jobs_of(sandbox: Sandbox) -> dict[str, str]:
    """State by object of the query jobs that the org holds."""
    return {job.scope.table.type.name: job.state for job in sandbox.engine.jobs.values() if hasattr(job, "scope")}


def die_when(step: str) -> Progress:
    """As a kill: what was committed by then stays, and nothing is cleaned up."""

    def watch(phase: str, _done: int, _total: int | None) -> None:
        if phase == step:
            raise KeyboardInterrupt

    return watch


def test_problem_6_a_run_killed_while_the_crm_works_on_its_queries_leaves_no_job_behind(
    migrated_database_url: str,
) -> None:
    with night(migrated_database_url) as (sandbox, services):
        sandbox.manners.job_polls = 2
        with pytest.raises(KeyboardInterrupt):
            run_sync(services, progress=die_when("pull Opportunity"))
        left, made = jobs_of(sandbox), sandbox.calls["bulk_query.create"]

        assert run_sync(services).status == "ok"

        again = sandbox.calls["bulk_query.create"] - made
    assert set(left.values()) == {"UploadComplete"}
    assert (len(left), made, again) == (3, 3, 0), "all of them are gone on with, and none is asked for again"


def test_problem_6_jobs_of_a_killed_run_that_a_full_read_does_not_go_on_with_are_removed(
    migrated_database_url: str,
) -> None:
    with night(migrated_database_url) as (sandbox, services):
        sandbox.manners.job_polls = 2
        with pytest.raises(KeyboardInterrupt):
            run_sync(services, progress=die_when("pull Opportunity"))
        left = {key for key, job in sandbox.engine.jobs.items() if hasattr(job, "scope")}
        with closing(services.connect()) as other_program:
            somebody_elses = other_program.jobs.create("SELECT Id FROM Account")

        assert run_sync(services, full=True).status == "ok"

        held = set(sandbox.engine.jobs)
    assert not left & held
    assert somebody_elses in held


# 12: the day's calls


def test_problem_12_a_pull_that_would_eat_the_reserve_is_not_begun_and_goes_on_the_next_day(
    migrated_database_url: str,
) -> None:
    with night(migrated_database_url) as (sandbox, services):
        enough = sandbox.manners.daily_limit
        sandbox.manners.daily_limit, sandbox.engine.api_used = 100, 70

        with pytest.raises(AppError, match="kept for others") as caught:
            run_sync(services)

        told = list_runs(services)[0]
        spent, jobs = sandbox.engine.api_used - 70, dict(sandbox.engine.jobs)
        written = sum(sandbox.written.values())
        sandbox.manners.daily_limit = enough
        assert run_sync(services).status == "ok"
    assert (told.status, caught.value.exit_code) == ("failed", 1)
    assert "would take about" in str(told.error)
    assert "the day's calls are back" in str(caught.value.hint)
    assert (jobs, written) == ({}, 0)
    assert spent <= 5, "a look at the schema and at the sizes"


def test_problem_12_a_night_with_nothing_to_read_needs_no_reserve(migrated_database_url: str) -> None:
    with serve_org(build_org(), page_size=1_000) as sandbox:
        services = open_night(sandbox.url, migrated_database_url, REST, login=sandbox.credentials)
        assert run_sync(services).status == "ok"
        sandbox.manners.daily_limit, sandbox.engine.api_used = 100, 85

        assert run_sync(services).status == "ok"
        services.database.close()


# 9: locks


def test_problem_9_accounts_with_one_parent_are_written_beside_each_other(company: Company) -> None:
    written: list[str] = []
    for name in ("P", "Q"):
        company.account(name)
    for name, parent, amount in (("p1", "P", 4_000), ("q1", "Q", 3_000), ("p2", "P", 2_000), ("q2", "Q", 1_000)):
        company.account(name, ParentId=company.ids[parent])
        company.deal(f"D-{name}", name, amount)
    company.org.watchers.append(lambda _object, key: written.append(key))

    company.sync()

    families = [company.org.record("Account", key)["ParentId"] for key in written]
    changes = sum(one != other for one, other in pairwise(families))
    assert changes == 2, "those of no parent, those of one, those of the other"


# 13: deletions


def test_records_that_trade_places_behind_our_back_are_found_within_a_week(company: Company) -> None:
    unseen = company.deal("D-unseen", "A", 1_000)
    company.org.hide_record(unseen)
    company.org.clock.advance(3600)
    company.sync()
    company.org.purge("Opportunity", company.ids["D-Y"])
    company.org.deletions.clear()  # the CRM keeps no list of it either
    company.org.show_record(unseen)

    on(company, TODAY + 6 * DAY)
    assert company.sync().status == "ok", "as many records as before: a count alone cannot tell"
    before = company.shown("A")[1], company.shown("B")[0]
    on(company, TODAY + 7 * DAY)
    company.sync()

    assert before == ("100000.00", "280000.00")
    assert (company.shown("A")[1], company.shown("B")[0]) == ("101000.00", "30000.00")


def test_a_record_that_was_purged_is_named_by_the_crm_and_gone_the_same_night(company: Company) -> None:
    company.sync()
    company.org.clock.advance(86_400)
    company.org.purge("Opportunity", company.ids["D-Y"])
    company.org.purge("Account", company.ids["X"])

    report = company.sync()

    assert report.status == "ok"
    assert company.shown("B")[0] == "30000.00"
    assert "X" not in company.totals()
    assert company.sandbox.calls["/deleted"] >= 2


def test_more_purged_than_the_brake_lets_pass_is_believed_when_the_crm_names_it(company: Company) -> None:
    numbered = [company.deal(f"D-{number}", "A", 10) for number in range(60)]
    company.org.clock.advance(3600)
    company.sync()
    company.org.clock.advance(86_400)
    for deal in numbered:
        company.org.purge("Opportunity", deal)

    assert company.sync().status == "ok"
    assert company.sync(full=True).status == "ok"
    assert company.shown("A")[1] == "100000.00"


def test_a_record_that_is_hidden_from_us_is_not_taken_for_purged(company: Company) -> None:
    company.sync()
    company.org.clock.advance(86_400)
    company.org.hide_record(company.ids["D-Y"])

    assert company.sync().status == "partial"
    assert company.shown("B")[0] == "280000.00"


def test_a_purge_that_the_crm_keeps_no_list_of_is_missed_at_once_and_gone_the_next_night(company: Company) -> None:
    company.sync()
    company.org.purge("Opportunity", company.ids["D-Y"])
    company.org.deletions.clear()  # the list is trimmed, or reaches back fifteen days at most

    noticed = company.sync()
    company.sync()

    assert noticed.status == "partial"
    assert any("we hold 4" in line and "holds 3 live" in line for line in noticed.proof)
    assert company.shown("B")[0] == "30000.00"


# 16: other silent misses


def test_what_a_formula_says_is_read_again_within_a_week_although_no_stamp_moved(
    company: Company, tmp_path: Path
) -> None:
    worth = {"B": 30_000}
    company.org.add_formula("Opportunity", "Net__c", lambda row: worth.get(row["Name"].removeprefix("D-"), 1_000))
    mapping = write_mapping(tmp_path, "    amount: Amount\n", "    amount: Net__c\n")
    on(company, TODAY, mapping=mapping)
    company.sync()
    assert company.shown("B")[1] == "30000.00"
    worth["B"] = 45_000

    on(company, TODAY + 6 * DAY, mapping=mapping)
    company.sync()
    before = company.shown("B")[1]
    on(company, TODAY + 7 * DAY, mapping=mapping)
    company.sync()

    assert (before, company.shown("B")[1]) == ("30000.00", "45000.00")


def test_a_week_after_the_last_full_read_everything_is_read_once(company: Company) -> None:
    company.sync()
    pulled = []
    for days in (0, 6, 7, 8, 13, 14):
        on(company, TODAY + days * DAY)
        pulled.append(company.sync().counts["pulled_opportunity"])

    on(company, TODAY + 99 * DAY, full_read_days=0)
    never = company.sync().counts["pulled_opportunity"]

    assert ([count == 4 for count in pulled], never) == ([False, False, True, False, False, True], 0)


def test_the_first_read_knows_no_day_before_which_nothing_counts(company: Company) -> None:
    company.org.clock.advance(-30 * 365 * 86_400)
    company.account("Old")
    company.deal("D-old", "Old", 5_000, close=date(1997, 6, 1))
    company.org.clock.advance(30 * 365 * 86_400)

    company.sync()

    assert company.shown("Old")[0] == "5000.00"


def test_a_change_of_the_mapping_reads_again_what_has_not_changed_in_the_crm(company: Company, tmp_path: Path) -> None:
    company.org.add_formula("Opportunity", "Net__c", lambda row: 7)
    company.sync()

    on(company, TODAY, mapping=write_mapping(tmp_path, "    amount: Amount\n", "    amount: Net__c\n"))
    company.sync()

    assert company.shown("A") == ("14.00", "7.00", "7.00")


def test_a_lost_position_means_reading_everything_and_never_starting_from_today(company: Company) -> None:
    company.sync()
    company.org.clock.advance(86_400)
    company.deal("D-new", "A", 1_000)
    company.org.clock.advance(86_400)
    with company.services.database.begin() as connection:
        connection.exec_driver_sql("delete from watermark")

    report = company.sync()

    assert report.counts["pulled_opportunity"] == 5
    assert company.shown("A")[1] == "101000.00"


# 22: ways in that are closed


def test_problem_22_an_app_that_was_closed_ends_the_run_with_one_login_and_says_what_to_do(
    migrated_database_url: str,
) -> None:
    with night(migrated_database_url, wrong_secret=True) as (sandbox, services):
        with pytest.raises(UnreachableCrmError) as caught:
            run_sync(services)

        told = list_runs(services)[0]

    assert (caught.value.exit_code, sandbox.calls["token"]) == (5, 1)
    assert (told.status, "client id or the client secret is wrong" in str(told.error)) == ("failed", True)


def test_problem_22_a_refresh_token_that_the_app_rotates_still_logs_in_after_a_restart(
    company: Company, tmp_path: Path
) -> None:
    path = tmp_path / "refresh.token"
    path.write_text("first\n", "utf-8")
    company.sandbox.manners.rotate_refresh_tokens = True
    company.sandbox.add_refresh_token("first")
    login = {
        "salesforce_access_token": None,
        "salesforce_instance_url": None,
        "salesforce_login_url": company.sandbox.url,
        "salesforce_client_id": company.sandbox.credentials.client_id,
        "salesforce_refresh_token_file": path,
    }

    for day in range(3):
        on(company, TODAY + day * DAY, **login)
        assert company.sync().status == "ok"

    assert path.read_text("utf-8").strip() in company.sandbox.engine.refresh_tokens


# 23: automations that fail on our write


def test_problem_23_where_an_automation_fails_the_others_are_written_and_it_is_not_provoked_again(
    migrated_database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    go(BULK, monkeypatch)
    reason = "AccountTrigger: System.LimitException: Apex CPU time limit exceeded"
    with night(migrated_database_url) as (sandbox, services):
        planned = [update.account_id for update in run_sync(services, send=False).updates]
        failing = set(planned[::10])
        for each in failing:
            sandbox.org.refuse(each, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", reason)

        first = run_sync(services)
        second = run_sync(services)

        jobs = sandbox.calls["bulk_ingest.create"]
        written = sandbox.written["Account"]

    assert (first.status, second.counts["update"]) == ("partial", 0)
    assert {(r.account_id, r.code, r.message) for r in first.rejected} == {
        (each, "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", reason) for each in failing
    }
    assert (written, first.counts["written"], jobs) == (len(planned) - len(failing), written, 1)


REPAIRS = {
    "a field that we do not read": lambda company, _: company.org.update("Account", company.ids["B"], {"Phone": "1"}),
    "a value of ours": lambda company, _: company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 260_000}),
    "the mapping": lambda company, folder: on(
        company, TODAY, mapping=write_mapping(folder, "    referred: Advocacy_Referred_Revenue__c\n", "")
    ),
}


@pytest.mark.parametrize("repair", REPAIRS)
def test_problem_23_what_a_rule_refused_waits_until_somebody_repairs_it(
    company: Company, tmp_path: Path, repair: str
) -> None:
    company.org.refuse(company.ids["B"], "FIELD_CUSTOM_VALIDATION_EXCEPTION", "Owner must be active")
    first = company.sync()
    company.org.clock.advance(7200)
    waiting = [company.sync().counts["update"] for _ in range(2)]

    company.org.allow(company.ids["B"])
    REPAIRS[repair](company, tmp_path)
    company.sync()

    assert [(one.name, one.message) for one in first.rejected] == [("B", "Owner must be active")]
    assert waiting == [0, 0]
    assert company.shown("B")[0] == ("290000.00" if repair == "a value of ours" else "280000.00")
