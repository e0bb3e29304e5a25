"""The whole story over real HTTP against the sandbox org, on both databases: what RevOps relies on every night."""

from __future__ import annotations

from datetime import date
from decimal import Decimal

import pytest
from companies import TODAY, TOKEN, build_company, open_services

from app.cli.live import examine_crm
from app.config import default_mapping_path
from app.domain.events import AdvocacyEvent
from app.errors import ConfigError, LeaseHeldError, MappingError, UnreachableCrmError
from app.store.events import save_events
from app.store.lease import acquire_lease
from app.sync.answers import approve_run, explain_account, list_runs, portfolio, retry_run, show_run, undo_run
from app.sync.run import run_sync
from connectors.salesforce.sandbox import Field, Org, Sandbox
from connectors.salesforce.sandbox.standard import custom_type


@pytest.fixture
def company(migrated_database_url):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        yield built
        built.services.database.close()


def test_the_crm_shows_what_customers_are_really_worth(company):
    report = company.sync()

    assert report.status == "ok"
    assert company.shown("B") == ("280000.00", "30000.00", "250000.00")
    assert company.shown("A") == ("140000.00", "100000.00", "40000.00")
    assert list(company.totals())[:2] == ["B", "Y"]


def test_a_second_run_writes_nothing_and_costs_at_most_three_calls(company):
    company.sync()
    before = company.sandbox.written["Account"]

    report = company.sync()

    assert (report.status, report.counts["update"], report.counts["written"]) == ("ok", 0, 0)
    assert company.sandbox.written["Account"] == before
    assert report.calls <= 3


def test_s4_14_what_customers_did_elsewhere_arrives_in_the_crm(company):
    """Advocacy events come from other software; a sync carries what they are worth into the CRM, and again nothing."""
    company.sync()
    company.refer("A-Y", "A", "Y")
    company.sync()

    assert [company.shown(name)[0] for name in "AB"] == ["265000.00", "155000.00"]
    assert company.sync().counts["written"] == 0


def test_a_plan_sends_nothing_and_says_what_a_sync_would_write(company):
    plan = company.sync(send=False)

    assert company.shown("B") == (None, None, None)
    assert plan.counts["update"] == 4
    biggest = plan.updates[0]
    assert (biggest.name, {c.measure: c.after for c in biggest.changes}["total"]) == ("B", "280000.00")
    report = company.sync()
    assert (report.plan_digest, report.counts["written"]) == (plan.plan_digest, 4)


def test_every_number_is_the_sum_of_its_lines(company):
    company.sync()

    explanation = explain_account(company.services, company.ids["B"])

    sums = {}
    for line in explanation.lines:
        sums[line.measure] = sums.get(line.measure, 0) + line.amount
    assert sums == {"direct": Decimal("30000.00"), "referred": Decimal("250000.00")}
    assert {line.opportunity for line in explanation.lines} == {company.ids["D-B"], company.ids["D-Y"]}
    assert "280" not in explanation.sentence.split("\n")[0]


def test_the_portfolio_counts_nothing_twice(company):
    company.sync()

    whole = portfolio(company.services)

    assert (whole.direct, whole.referred, whole.conserved) == (
        Decimal("420000.00"),
        Decimal("290000.00"),
        Decimal("420000.00"),
    )


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda c: c.org.update("Opportunity", c.ids["D-Y"], {"Amount": 260_000}), {"B": "290000.00", "Y": "260000.00"}),
        (lambda c: c.org.update("Opportunity", c.ids["D-Y"], {"StageName": "Closed Lost"}), {"B": "30000.00"}),
        (lambda c: c.org.delete("Opportunity", c.ids["D-Y"]), {"B": "30000.00"}),
        (lambda c: c.org.update("Opportunity", c.ids["D-Y"], {"AccountId": c.ids["X"]}), {"A": "390000.00", "B": "30000.00"}),
        (lambda c: c.org.merge("Account", c.ids["B"], c.ids["Y"]), {"B": "280000.00"}),
        (lambda c: c.org.merge("Account", c.ids["A"], c.ids["B"]), {"A": "420000.00"}),
        (lambda c: c.refer("A-Y", "A", "Y"), {"A": "265000.00", "B": "155000.00"}),
    ],
    ids=["amount corrected", "lost after all", "deleted", "moved", "referred merged away", "referrers merged", "co-referrer"],
)  # fmt: skip
def test_what_changes_in_the_crm_moves_the_numbers_by_the_next_run(company, change, expected):
    company.sync()

    change(company)
    report = company.sync()

    assert report.status == "ok"
    totals = company.totals()
    assert {name: totals.get(name) for name in expected} == expected
    for name, total in expected.items():
        assert company.shown(name)[0] == total
    assert company.sync().counts["update"] == 0


def test_a_merged_account_disappears_from_the_list_and_is_not_written(company):
    company.sync()
    company.org.merge("Account", company.ids["B"], company.ids["Y"])

    company.sync()

    assert "Y" not in company.totals()


def test_a_hand_edited_number_heals(company):
    company.sync()
    company.org.update("Account", company.ids["B"], {"Total_Customer_Value__c": 1})

    report = company.sync()

    assert company.shown("B")[0] == "280000.00"
    assert report.counts["drifted"] == 1


def test_a_refused_record_is_a_line_in_the_report_and_not_sent_again_until_it_changes(company):
    company.org.clock.advance(3600)  # what is younger than the look-back may have changed since
    company.org.refuse(company.ids["B"], message="Owner must be active")

    report = company.sync()
    again = company.sync()

    assert (report.status, report.counts["rejected"], report.counts["written"]) == ("partial", 1, 3)
    assert [(r.name, r.message) for r in report.rejected] == [("B", "Owner must be active")]
    assert again.counts["update"] == 0
    company.org.allow(company.ids["B"])
    assert retry_run(company.services, report.run_id) == 1
    assert company.sync().counts["written"] == 1
    assert company.shown("B")[0] == "280000.00"


def test_a_row_that_stays_locked_through_the_first_run_is_written_by_the_next(company):
    company.org.clock.advance(3600)  # what is younger than the look-back is looked at again anyway
    company.org.refuse(company.ids["B"], "UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")

    first = company.sync()
    company.org.allow(company.ids["B"])
    second = company.sync()

    assert (first.status, first.counts["retry"], first.counts["written"]) == ("partial", 1, 3)
    assert (second.status, second.counts["written"]) == ("ok", 1)
    assert company.shown("B")[0] == "280000.00"


def test_a_write_without_an_answer_is_read_again_before_anything_is_sent(company):
    company.sandbox.faults.inject("reset", on="composite", contains="", after_work=True, times=1, skip=3)
    first = company.sync()
    company.sandbox.faults.clear()

    second = company.sync()

    assert company.shown("B")[0] == "280000.00"
    assert second.status == "ok"
    assert company.sandbox.written["Account"] == 4
    assert first.status in ("ok", "partial")


def test_a_plan_that_changes_too_much_is_held_until_somebody_approves_it(company):
    for number in range(30):
        company.account(f"N{number}")
        company.deal(f"D-N{number}", f"N{number}", 1000)
    company.sync()
    for number in range(30):
        company.org.update("Opportunity", company.ids[f"D-N{number}"], {"Amount": 1})

    held = company.sync()

    assert (held.status, held.counts["written"]) == ("held", 0)
    assert company.shown("N0")[0] == "1000.00"
    assert show_run(company.services, held.run_id).updates
    approve_run(company.services, held.run_id, "test")
    released = company.sync()
    assert (released.status, company.shown("N0")[0]) == ("ok", "1.00")


def test_undo_brings_back_what_a_run_overwrote_and_leaves_later_edits_alone(company):
    company.sync()
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 1000})
    wrong = company.sync()
    company.org.update("Account", company.ids["Y"], {"Total_Customer_Value__c": 7})

    report = undo_run(company.services, wrong.run_id)

    assert report.status == "ok"
    assert company.shown("B") == ("280000.00", "30000.00", "250000.00")
    assert company.shown("Y")[0] == "7"


def test_another_organisation_behind_the_same_database_is_refused(company, migrated_database_url):
    company.sync()
    with Sandbox(Org(name="Another"), token=TOKEN.replace("00D000000000001", "00D000000000002")) as other:
        services = open_services(
            other, migrated_database_url, salesforce_access_token=TOKEN.replace("00D000000000001", "00D000000000002")
        )

        with pytest.raises(ConfigError, match="belongs to organisation"):
            run_sync(services)
        services.database.close()


def test_a_hidden_field_stops_the_run_before_anything_is_read_or_written(company):
    company.org.hide_field("Account", "Total_Customer_Value__c")

    with pytest.raises(MappingError) as caught:
        company.sync()

    assert any("Total_Customer_Value__c" in problem.message for problem in caught.value.problems)
    assert company.shown("B") == (None, None, None)
    assert list_runs(company.services)[0].status == "failed"


def test_a_plan_can_be_seen_before_the_crm_has_any_of_our_fields(migrated_database_url):
    with Sandbox(Org(write_back=False), token=TOKEN) as sandbox:
        company = build_company(sandbox, migrated_database_url)

        plan = company.sync(send=False)

        assert plan.counts["update"] == 4
        assert {change.measure: change.after for change in plan.updates[0].changes}["total"] == "280000.00"
        assert any("advocacy crm setup" in note for note in plan.notes)
        with pytest.raises(MappingError):
            company.sync()
        company.services.database.close()


def test_a_wrong_login_ends_with_the_exit_code_for_an_unreachable_crm(company, migrated_database_url):
    services = open_services(company.sandbox, migrated_database_url, salesforce_access_token="00D000000000001!wrong")

    with pytest.raises(UnreachableCrmError) as caught:
        run_sync(services)

    services.database.close()
    assert caught.value.exit_code == 5
    assert "wrong" not in caught.value.message


def test_two_runs_at_once_are_one_too_many(company):
    lease = acquire_lease(company.services.database, holder="somebody", seconds=60)

    with pytest.raises(LeaseHeldError, match="somebody"):
        company.sync()

    lease.release()
    assert company.sync().status == "ok"


def test_a_slot_runs_once(company):
    company.sync(slot="2026-03-01T02:00 UTC")

    with pytest.raises(ConfigError, match="made already"):
        company.sync(slot="2026-03-01T02:00 UTC")


def test_an_event_is_answered_without_searching_the_whole_crm(company):
    company.sync()
    event = AdvocacyEvent(
        "hook", "1", "referral", date(2025, 2, 2), company.ids["A"], referred_account=company.ids["Y"]
    )
    saved = save_events(company.services.database, [event], now=TODAY, policy=company.services.mapping.policy)

    report = company.sync(only=saved.accounts, trigger="webhook")

    assert company.shown("A")[0] == "265000.00"
    assert company.shown("B")[0] == "155000.00"
    assert report.calls <= 4


@pytest.mark.parametrize(
    "earlier",
    [[{}, {"send": False, "full": True}], [{"send": False}]],
    ids=["all are to be planned again", "nothing was ever written"],
)
def test_an_event_is_answered_for_accounts_that_were_just_read_and_for_no_others(company, tmp_path, earlier):
    mapping = tmp_path / "mapping.yaml"
    field = "total: Total_Customer_Value__c"
    protecting = "total: {field: Total_Customer_Value__c, policy: protect_if_edited}"
    mapping.write_text(default_mapping_path("salesforce").read_text().replace(field, protecting))
    company.services.database.close()
    company.services = open_services(company.sandbox, str(company.services.settings.database_url), mapping=str(mapping))
    for run in earlier:
        company.sync(**run)
    company.org.clock.advance(3600)
    for name in ("B", "X"):  # what people type in meanwhile; only B is touched by the event
        company.org.update("Account", company.ids[name], {"Total_Customer_Value__c": 123_456})
    event = AdvocacyEvent(
        "hook", "1", "referral", date(2025, 2, 2), company.ids["A"], referred_account=company.ids["Y"]
    )
    saved = save_events(company.services.database, [event], now=TODAY, policy=company.services.mapping.policy)

    report = company.sync(only=saved.accounts, trigger="webhook")

    assert (company.shown("B")[0], company.shown("X")[0]) == ("123456", "123456")
    assert company.shown("A")[0] == "265000.00"
    assert report.counts["drifted"] == (1 if len(earlier) > 1 else 0)
    company.sync()
    assert (company.shown("B")[0], company.shown("X")[0]) == ("123456", "123456")


def test_what_vanishes_without_a_trace_is_found_by_a_full_read_but_never_believed_in_bulk(company):
    for number in range(100):
        company.account(f"N{number}")
        company.deal(f"D-N{number}", f"N{number}", 1000)
    company.sync()
    company.org.purge("Opportunity", company.ids["D-N0"])
    company.sync(full=True)
    assert company.shown("N0")[0] == "0.00"

    for number in range(1, 80):
        company.org.hide_record(company.ids[f"D-N{number}"])
    held = company.sync(full=True)

    assert held.status == "held"
    assert any("lost permission" in reason for reason in held.guard.reasons)
    assert company.shown("N1")[0] == "1000.00"


def test_a_record_whose_currency_differs_shows_the_value_in_its_own_currency(migrated_database_url):
    with Sandbox(Org(multi_currency=True), token=TOKEN) as sandbox:
        sandbox.org.create("CurrencyType", {"IsoCode": "EUR", "ConversionRate": Decimal("0.8"), "IsActive": True})
        company = build_company(sandbox, migrated_database_url)
        company.account("E", CurrencyIsoCode="EUR")
        company.deal("D-E", "E", 800, CurrencyIsoCode="EUR")

        report = company.sync()

        assert company.totals()["E"] == "1000.00"
        assert company.shown("E")[0] == "800.00"
        assert report.status == "ok"
        assert company.sync().counts["update"] == 0
        company.services.database.close()


def test_a_count_that_takes_too_long_leaves_what_was_written_and_says_so(company):
    def too_long(step, *_rest):
        if step == "prove":
            company.sandbox.faults.inject("error", "query", code="QUERY_TIMEOUT", status=400)

    report = company.sync(progress=too_long)

    assert company.sandbox.faults.struck == 1
    assert (report.status, report.issues["not_counted"]) == ("partial", 1)
    assert "could not be compared" in " ".join(report.notes)
    assert company.shown("A")[0] == "140000.00"
    assert company.sync().status == "ok"


OF_ACCOUNTS = "    currency: {field: CurrencyIsoCode, optional: true}   # exists only with multiple currencies\n"
OF_DEALS = "    currency: {field: CurrencyIsoCode, optional: true}\n    created_on"


@pytest.fixture
def abroad(migrated_database_url):
    """E counts in EUR, of which 0.8 are worth one USD, and bought for 800 EUR; synchronised once."""
    with Sandbox(Org(multi_currency=True), token=TOKEN) as sandbox:
        sandbox.org.create("CurrencyType", {"IsoCode": "EUR", "ConversionRate": Decimal("0.8"), "IsActive": True})
        company = build_company(sandbox, migrated_database_url)
        company.account("E", CurrencyIsoCode="EUR")
        company.deal("D-E", "E", 800, CurrencyIsoCode="EUR")
        company.sync()
        yield company
        company.services.database.close()


def remap(company, tmp_path, old, new):
    """The shipped mapping with one change, in force for the next run."""
    text = default_mapping_path("salesforce").read_text("utf-8")
    assert text.count(old) == 1
    path = tmp_path / "changed.yaml"
    path.write_text(text.replace(old, new), "utf-8")
    company.services.database.close()
    company.services = open_services(company.sandbox, str(company.services.settings.database_url), mapping=path)


@pytest.mark.parametrize("of", ["accounts", "opportunities"])
@pytest.mark.parametrize("send", [True, False], ids=["sync", "plan"])
def test_a_hidden_currency_stops_a_run_over_several_currencies_before_anything_is_read_or_written(abroad, of, send):
    abroad.org.hide_field("Account" if of == "accounts" else "Opportunity", "CurrencyIsoCode")
    abroad.deal("D-E2", "E", 80, CurrencyIsoCode="EUR")

    with pytest.raises(MappingError) as refused:
        abroad.sync(send=send)

    (problem,) = refused.value.problems
    assert problem.code == "ADV-MAP-063"
    assert f"the currency of the {of} is not read" in problem.message
    assert "EUR, USD" in problem.message
    assert "read access to" in problem.hint
    assert abroad.shown("E")[0] == "800.00"
    assert abroad.totals()["E"] == "1000.00"
    (found,) = [one for one in examine_crm(abroad.services) if one.level == "error"]
    assert "[ADV-MAP-063]" in found.message
    assert found.action == problem.hint


@pytest.mark.parametrize(
    ("old", "new", "of"),
    [(OF_ACCOUNTS, "", "accounts"), (OF_DEALS, "    created_on", "opportunities")],
    ids=["accounts", "deals"],
)
def test_a_mapping_without_currencies_is_refused_where_the_crm_has_several(abroad, tmp_path, old, new, of):
    remap(abroad, tmp_path, old, new)

    with pytest.raises(MappingError) as refused:
        abroad.sync()

    (problem,) = refused.value.problems
    assert (problem.code, problem.hint) == ("ADV-MAP-063", f"map currency under {of}")
    assert abroad.shown("E")[0] == "800.00"


@pytest.mark.parametrize("send", [True, False], ids=["sync", "plan"])
def test_currencies_that_are_all_hidden_with_their_rates_are_several_still(abroad, send):
    for of in ("Account", "Opportunity"):
        abroad.org.hide_field(of, "CurrencyIsoCode")
    for of in ("CurrencyType", "DatedConversionRate"):
        abroad.org.hide_object(of)
    abroad.deal("D-E2", "E", 80, CurrencyIsoCode="EUR")

    with pytest.raises(MappingError) as refused:
        abroad.sync(send=send)

    assert {problem.code for problem in refused.value.problems} == {"ADV-MAP-063"}
    assert [problem.message.partition(", and ")[0] for problem in refused.value.problems] == [
        "the CRM has several currencies, of which it shows neither names nor rates"
    ] * 2
    assert abroad.totals()["E"] == "1000.00"
    assert abroad.sandbox.calls["query"] == 0, "it was known from the describe"
    assert len([one for one in examine_crm(abroad.services) if one.level == "error"]) == 2


def test_rates_that_are_hidden_later_are_missed_aloud_while_the_last_known_ones_are_used(abroad):
    abroad.org.hide_object("CurrencyType")
    abroad.deal("D-E2", "E", 80, CurrencyIsoCode="EUR")

    report = abroad.sync()

    assert "shows no exchange rates" in " ".join(report.notes)
    assert abroad.totals()["E"] == "1100.00"
    abroad.org.access.hidden_objects.clear()
    assert abroad.sync().notes == ()


REFUNDS = """\
adjustments:
  object: Refund__c
  attributes:
    id: Id
    opportunity_id: Opportunity__c
    amount: Amount__c
    dated_on: Date__c
    currency: {field: CurrencyIsoCode, optional: true}

write_back:
"""


@pytest.mark.parametrize("currency", ["not mapped", "hidden", "read"])
def test_a_correction_without_its_currency_is_refused_where_the_crm_has_several(abroad, tmp_path, currency):
    abroad.org.add_type(custom_type("Refund__c", "a00", "Refund"))
    for name, kind in (("Amount__c", "currency"), ("Date__c", "date"), ("CurrencyIsoCode", "picklist")):
        abroad.org.add_field("Refund__c", Field(name, kind, length=3, precision=18, scale=2))
    deal = Field("Opportunity__c", "reference", refers_to=("Opportunity",), relationship="Opportunity__r")
    abroad.org.add_field("Refund__c", deal)
    day = date(2025, 7, 1)
    values = {"Opportunity__c": abroad.ids["D-E"], "Amount__c": -80, "Date__c": day, "CurrencyIsoCode": "EUR"}
    abroad.org.create("Refund__c", values)
    section = REFUNDS if currency != "not mapped" else REFUNDS.replace(REFUNDS.splitlines(keepends=True)[7], "")
    remap(abroad, tmp_path, "\nwrite_back:\n", "\n" + section)
    if currency == "read":
        abroad.sync()
        assert abroad.totals()["E"] == "900.00"
        return
    if currency == "hidden":
        abroad.org.hide_field("Refund__c", "CurrencyIsoCode")

    with pytest.raises(MappingError) as refused:
        abroad.sync()

    (problem,) = refused.value.problems
    assert problem.code == "ADV-MAP-063"
    assert "every correction would be taken for one in USD" in problem.message
    hints = {"not mapped": "map currency under adjustments", "hidden": "read access to Refund__c.CurrencyIsoCode"}
    assert hints[currency] in problem.hint
    assert abroad.totals()["E"] == "1000.00"


def test_a_currency_that_the_mapping_states_is_taken_at_its_word(abroad, tmp_path):
    remap(abroad, tmp_path, OF_DEALS, "    currency: {transform: [{const: EUR}]}\n    created_on")

    assert abroad.sync().status == "ok"
    assert abroad.totals()["E"] == "1000.00"
    assert abroad.totals()["A"] == "175000.00"


def test_only_rates_of_several_currencies_ask_for_the_currency_of_a_record(company):
    assert "CurrencyIsoCode" not in company.org.table("Opportunity").type.fields

    assert company.sync().status == "ok"


def test_a_currency_field_shows_the_currency_of_its_record_whatever_type_the_mapping_names(abroad, tmp_path):
    remap(
        abroad,
        tmp_path,
        "    total: Total_Customer_Value__c\n",
        "    total: {field: Total_Customer_Value__c, type: number}\n",
    )

    abroad.sync(full=True)

    assert abroad.shown("E")[0] == "800.00"
