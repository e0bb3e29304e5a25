"""Why a number changed: one thing happens in the CRM or in the events, and exactly that is what is said."""

from __future__ import annotations

from collections import Counter
from dataclasses import MISSING, fields, replace
from datetime import date, timedelta
from decimal import Decimal

import pytest
from companies import TODAY, TOKEN, build_company
from stored_worlds import save_world, stored_values
from worlds import build_case

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.causes import GIVEN, Between
from app.domain.events import AdvocacyEvent
from app.domain.model import Policy, ReferralStatus
from app.domain.why import explain_deal, measures_of
from app.errors import ConfigError
from app.mapping.policy import apply_policy_overrides, policy_version
from app.store import history
from app.store.database import open_database
from app.store.events import save_events
from app.store.tables import advocacy_event
from app.sync.comparison import NO_CREDIT
from app.sync.revalue import Day, revalue
from app.sync.run import run_sync
from app.sync.why import diff_runs, explain_change
from connectors.salesforce.sandbox import Org, Sandbox

TOMORROW = TODAY + timedelta(days=1)


@pytest.fixture
def company(migrated_database_url):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        yield built
        built.services.database.close()


def at(company, moment):
    company.services = replace(company.services, now=lambda: moment)


def under(company, *overrides):
    mapping = company.services.mapping
    policy = apply_policy_overrides(mapping.policy, overrides)
    version = policy_version(policy)
    company.services = replace(company.services, mapping=replace(mapping, policy=policy, policy_version=version))


def why(company, name, since):
    """(cause, deal) -> (total, direct, referred) of every part, whole units; every measure is checked to add up."""
    explanation = explain_change(company.services, company.ids[name], since)
    deals = {id_: key for key, id_ in company.ids.items()}
    found = Counter()
    for measure, moved in explanation.change.items():
        assert explanation.after[measure] - explanation.before[measure] == moved
        assert sum((part.amounts[measure] for part in explanation.parts), Decimal()) == moved
        for part in explanation.parts:
            found[part.cause, deals.get(part.opportunity), measure] += int(part.amounts[measure])
    keys = dict.fromkeys((cause, deal) for cause, deal, _ in found)
    return {key: tuple(found[*key, m] for m in ("total", "direct", "referred")) for key in keys}


def test_nothing_happened_and_nothing_is_said(company):
    first = company.sync()
    company.sync()

    explanation = explain_change(company.services, company.ids["B"], first.run_id)

    assert explanation.parts == ()
    assert set(explanation.change.values()) == {Decimal("0.00")}
    assert explanation.before["total"] == explanation.after["total"] == Decimal("280000.00")


def change_amount(c):
    c.org.update("Opportunity", c.ids["D-Y"], {"Amount": 260_000})


def lose(c):
    c.org.update("Opportunity", c.ids["D-Y"], {"StageName": "Closed Lost"})


def move(c):
    c.org.update("Opportunity", c.ids["D-Y"], {"AccountId": c.ids["X"]})


def win(c):
    c.deal("D-Y2", "Y", 5_000, close=date(2025, 8, 1))


def close_later(c):
    c.org.update("Opportunity", c.ids["D-Y"], {"CloseDate": date(2027, 1, 1)})


def renew(c):
    c.org.update("Opportunity", c.ids["D-Y"], {"Type": "Renewal"})


def merge_buyer_into_referrer(c):
    c.org.merge("Account", c.ids["B"], c.ids["Y"])


def merge_referrers(c):
    c.org.merge("Account", c.ids["A"], c.ids["B"])


def own_policy(c):
    under(c, "window_days=20")


ONE_THING = {
    "amount corrected": (change_amount, {
        "B": {("opportunity_changed", "D-Y"): (10_000, 0, 10_000)},
        "Y": {("opportunity_changed", "D-Y"): (10_000, 10_000, 0)},
        "A": {},
    }),
    "lost after all": (lose, {
        "B": {("opportunity_lost", "D-Y"): (-250_000, 0, -250_000)},
        "Y": {("opportunity_lost", "D-Y"): (-250_000, -250_000, 0)},
    }),
    "deleted": (lambda c: c.org.delete("Opportunity", c.ids["D-Y"]), {
        "B": {("opportunity_lost", "D-Y"): (-250_000, 0, -250_000)},
    }),
    "won": (win, {
        "B": {("new_opportunity", "D-Y2"): (5_000, 0, 5_000)},
        "Y": {("new_opportunity", "D-Y2"): (5_000, 5_000, 0)},
    }),
    "moved": (move, {
        "A": {("opportunity_changed", "D-Y"): (250_000, 0, 250_000)},
        "B": {("opportunity_changed", "D-Y"): (-250_000, 0, -250_000)},
        "X": {("opportunity_changed", "D-Y"): (250_000, 250_000, 0)},
        "Y": {("opportunity_changed", "D-Y"): (-250_000, -250_000, 0)},
    }),
    "closes later": (close_later, {"Y": {("opportunity_changed", "D-Y"): (-250_000, -250_000, 0)}}),
    "a renewal after all": (renew, {"B": {("opportunity_changed", "D-Y"): (-250_000, 0, -250_000)}, "Y": {
        ("opportunity_changed", "D-Y"): (0, 0, 0)}}),
    "referred account merged away": (merge_buyer_into_referrer, {
        "B": {("merge", "D-Y"): (0, 250_000, -250_000)},
    }),
    "referrers merged": (merge_referrers, {
        "A": {("merge", "D-B"): (30_000, 30_000, 0), ("merge", "D-Y"): (250_000, 0, 250_000)},
    }),
    "co-referrer": (lambda c: c.refer("A-Y", "A", "Y"), {
        "A": {("referral_added", "D-Y"): (125_000, 0, 125_000)},
        "B": {("co_referrer", "D-Y"): (-125_000, 0, -125_000)},
    }),
    "first referral": (lambda c: c.refer("X-A", "X", "A"), {
        "X": {("referral_added", "D-A"): (100_000, 0, 100_000)},
    }),
    "policy": (own_policy, {
        "B": {("policy", "D-Y"): (-250_000, 0, -250_000)},
        "A": {("policy", "D-X"): (-40_000, 0, -40_000)},
    }),
}  # fmt: skip


@pytest.mark.parametrize("what", ONE_THING)
def test_one_thing_that_happened_is_one_reason_that_is_given(company, what):
    happen, expected = ONE_THING[what]
    first = company.sync()

    happen(company)
    second = company.sync()

    for name, parts in expected.items():
        assert why(company, name, first.run_id) == parts, name
    diff = diff_runs(company.services, first.run_id, second.run_id)
    for measure, moved in diff.change.items():
        assert sum((one.amounts[measure] for one in diff.causes), Decimal()) == moved
        assert diff.after[measure] - diff.before[measure] == moved
    for one in diff.accounts:
        alone = explain_change(company.services, one.id, first.run_id)
        if alone.id == one.id:
            assert (alone.change, set(one.causes)) == (one.change, {part.cause for part in alone.parts})


def event(company, key, kind, account, day, **more):
    one = AdvocacyEvent("test", key, kind, day, company.ids[account], **more)
    save_events(company.services.database, [one], now=company.services.now(), policy=company.services.mapping.policy)


def test_a_future_close_date_that_arrives_is_time_passing_though_the_record_was_read_again(company):
    company.deal("D-future", "Y", 7_000, close=date(2026, 3, 2), CreatedDate=TODAY - timedelta(days=100))
    first = company.sync()
    company.org.update("Opportunity", company.ids["D-future"], {"Name": "D-future, renamed"})

    at(company, TOMORROW)
    company.sync()

    assert why(company, "Y", first.run_id) == {("time_passing", "D-future"): (7_000, 7_000, 0)}
    assert why(company, "B", date(2026, 3, 1)) == {("time_passing", "D-future"): (7_000, 0, 7_000)}


def test_a_deal_that_was_won_since_is_new_whatever_its_close_date(company):
    company.deal("D-open", "Y", 7_000, close=date(2026, 3, 2), StageName="Prospecting")
    first = company.sync()
    company.org.update("Opportunity", company.ids["D-open"], {"StageName": "Closed Won"})

    at(company, TOMORROW)
    company.sync()

    assert why(company, "Y", first.run_id) == {("new_opportunity", "D-open"): (7_000, 7_000, 0)}


def test_a_referral_that_is_withdrawn_or_verified_moves_everybody_on_the_deal(company):
    company.refer("A-Y", "A", "Y")
    first = company.sync()

    def say(status):
        """As an erasure or a review of the event would leave it."""
        with company.services.database.begin() as connection:
            named = advocacy_event.c.source_event_id == "A-Y"
            connection.execute(advocacy_event.update().where(named).values(status=str(status)))
            connection.exec_driver_sql("insert into dirty (kind, id) values ('event', 'test/A-Y')")
        return company.sync()

    second = say(ReferralStatus.REJECTED)
    assert why(company, "A", first.run_id) == {("referral_withdrawn", "D-Y"): (-125_000, 0, -125_000)}
    assert why(company, "B", first.run_id) == {("co_referrer", "D-Y"): (125_000, 0, 125_000)}

    at(company, TOMORROW)
    company.sync()
    between = company.sync()
    say(ReferralStatus.VERIFIED)
    assert why(company, "A", between.run_id) == {("referral_verified", "D-Y"): (125_000, 0, 125_000)}
    assert why(company, "B", second.run_id) == {("co_referrer", "D-Y"): (-125_000, 0, -125_000)}
    assert why(company, "A", first.run_id) == {}


def test_a_reference_call_and_the_answer_of_the_buyer_are_influence_and_enter_the_total_by_policy(company):
    first = company.sync()
    event(company, "call", "reference_call", "X", date(2025, 5, 1), opportunity=company.ids["D-Y"])
    event(
        company,
        "answer",
        "won_survey",
        "Y",
        date(2025, 7, 1),
        opportunity=company.ids["D-Y"],
        reference_share=Decimal("0.2"),
    )
    second = company.sync()

    explained = explain_change(company.services, company.ids["X"], first.run_id)
    assert {(one.cause, int(one.amounts["influence"]), int(one.amounts["touched"])) for one in explained.parts} == {
        ("influence", 50_000, 250_000)
    }
    assert why(company, "X", first.run_id) == {("influence", "D-Y"): (0, 0, 0)}

    under(company, "influence.include=true", "influence.rho=0.1")
    company.sync()

    assert why(company, "X", second.run_id) == {("policy", None): (50_000, 0, 0), ("policy", "D-Y"): (-25_000, 0, 0)}
    assert why(company, "B", second.run_id) == {("policy", "D-Y"): (-25_000, 0, -25_000)}
    assert explain_change(company.services, company.ids["B"], second.run_id).policy == (
        "influence.include: False -> True",
        "influence.rho: 0 -> 1/10",
    )


def test_a_policy_is_told_where_somebody_who_only_took_part_is_merged_in_the_same_night(company):
    under(company, "window_days=20")
    event(company, "call", "reference_call", "X", date(2025, 5, 1), opportunity=company.ids["D-Y"])
    at(company, TOMORROW)
    first = company.sync()
    under(company, "window_days=365")
    company.org.merge("Account", company.ids["B"], company.ids["X"])
    company.sync()

    assert why(company, "B", first.run_id) == {
        ("policy", "D-Y"): (250_000, 0, 250_000),
        ("policy", "D-B"): (0, 0, 0),
        ("merge", "D-X"): (40_000, 40_000, 0),
        ("merge", "D-Y"): (0, 0, 0),
    }


@pytest.mark.parametrize("override", ["engagement.cap=7", "roles.days=90"])
def test_a_rule_that_no_credit_depends_on_explains_no_credit(company, override):
    first = company.sync()
    under(company, override)
    company.org.update("Opportunity", company.ids["D-Y"], {"Type": "Renewal"})
    second = company.sync()

    assert why(company, "B", first.run_id) == {("opportunity_changed", "D-Y"): (-250_000, 0, -250_000)}
    assert len(diff_runs(company.services, first.run_id, second.run_id).policy) == 1


def test_every_block_of_the_policy_either_decides_about_credit_or_explains_none():
    beside = {one.name for one in fields(Policy) if one.default_factory is not MISSING}

    assert beside == set(NO_CREDIT)


def test_a_chain_that_grows_moves_the_network_of_the_one_at_its_top(company):
    first = company.sync()
    company.account("Z")
    event(company, "Z-B", "referral", "Z", date(2025, 1, 15), referred_account=company.ids["B"])
    company.sync()

    explained = explain_change(company.services, company.ids["Z"], first.run_id)

    assert {(one.cause, int(one.amounts["total"]), int(one.amounts["network"])) for one in explained.parts} == {
        ("referral_added", 30_000, 0),
        ("referral_added", 0, 125_000),
    }


def test_several_things_at_once_are_told_apart(company):
    first = company.sync()
    change_amount(company)
    win(company)
    company.refer("A-Y", "A", "Y")
    company.sync()

    assert why(company, "B", first.run_id) == {
        ("opportunity_changed", "D-Y"): (10_000, 0, 10_000),
        ("co_referrer", "D-Y"): (-130_000, 0, -130_000),
        ("new_opportunity", "D-Y2"): (2_500, 0, 2_500),
    }


def test_what_moved_there_and_back_is_no_difference_and_each_step_can_be_asked_for(company):
    first = company.sync()
    change_amount(company)
    second = company.sync()
    company.org.update("Opportunity", company.ids["D-Y"], {"Amount": 250_000})
    third = company.sync()

    assert why(company, "B", first.run_id) == {}
    assert why(company, "B", second.run_id) == {("opportunity_changed", "D-Y"): (-10_000, 0, -10_000)}
    steps = [
        diff_runs(company.services, *pair) for pair in ((first.run_id, second.run_id), (second.run_id, third.run_id))
    ]
    assert [int(step.change["direct"]) for step in steps] == [10_000, -10_000]
    assert [[one.name for one in step.accounts] for step in steps] == [["B", "Y"], ["B", "Y"]]


@pytest.fixture
def abroad(migrated_database_url):
    with Sandbox(Org(multi_currency=True), token=TOKEN) as sandbox:
        sandbox.org.create("CurrencyType", {"IsoCode": "EUR", "ConversionRate": Decimal("0.8"), "IsActive": True})
        built = build_company(sandbox, migrated_database_url)
        built.account("E")
        built.deal("D-E", "E", 800, CurrencyIsoCode="EUR")
        built.refer("B-E", "B", "E")
        yield built
        built.services.database.close()


def set_rate(company, rate):
    (row,) = (one for one in company.org.records("CurrencyType") if one["IsoCode"] == "EUR")
    company.org.update("CurrencyType", row["Id"], {"ConversionRate": Decimal(rate)})


def test_a_changed_rate_is_told_apart_from_a_changed_amount(abroad):
    first = abroad.sync()
    set_rate(abroad, "1")
    second = abroad.sync()

    assert why(abroad, "E", first.run_id) == {("rate", "D-E"): (-200, -200, 0)}
    assert why(abroad, "B", first.run_id) == {("rate", "D-E"): (-200, 0, -200)}

    set_rate(abroad, "0.8")
    abroad.org.update("Opportunity", abroad.ids["D-E"], {"Amount": 1600})
    abroad.sync()

    assert why(abroad, "B", second.run_id) == {
        ("rate", "D-E"): (200, 0, 200),
        ("opportunity_changed", "D-E"): (1_000, 0, 1_000),
    }


def test_a_rate_that_leaves_the_amount_alone_does_not_open_a_line_again(abroad):
    abroad.org.update("Opportunity", abroad.ids["D-E"], {"Amount": 0})
    abroad.sync()
    set_rate(abroad, "0.5")

    second = abroad.sync()

    with abroad.services.database.read() as connection:
        opened = connection.exec_driver_sql(
            f"select count(*) from credit_line where valid_from_run = {second.run_id}"
        ).scalar_one()
    assert opened == 0


EXPORT = {
    "accounts": "id,name\nA,Alpha\nB,Beta\n",
    "opportunities": (
        "id,account_id,amount,currency,created_date,close_date,is_won,is_closed\n"
        "1,A,100.50,USD,2025-03-01,2025-06-01,true,true\n2,B,800,EUR,2025-03-01,2025-06-01,true,true\n"
    ),
    "currency_rates": "currency,start_date,rate\nEUR,,0.8\n",
}
REFUNDS = "id,opportunity_id,amount,currency,date\n"


@pytest.fixture
def folder(migrated_database_url, tmp_path):
    for name, content in EXPORT.items():
        (tmp_path / f"{name}.csv").write_text(content)
    (tmp_path / "adjustments.csv").write_text(REFUNDS)
    settings = load_settings(database_url=migrated_database_url, crm="files", files_dir=str(tmp_path))
    services = build_services(settings, now=lambda: TODAY)
    referral = AdvocacyEvent("test", "B-A", "referral", date(2025, 2, 1), "B", referred_account="A")
    save_events(services.database, [referral], now=TODAY, policy=services.mapping.policy)
    yield services, tmp_path
    services.database.close()


def parts_of(services, account, since):
    explanation = explain_change(services, account, since)
    for measure, moved in explanation.change.items():
        assert sum((part.amounts[measure] for part in explanation.parts), Decimal()) == moved
    return [(part.cause, str(part.amounts["total"]), part.event) for part in explanation.parts]


def test_a_refund_moves_the_buyer_and_the_referrer_and_names_itself(folder):
    services, path = folder
    first = run_sync(services)
    (path / "adjustments.csv").write_text(REFUNDS + "J1,1,-20.50,USD,2025-09-01\n")
    second = run_sync(services)

    assert parts_of(services, "A", first.run_id) == [("refund", "-20.50", "J1")]
    assert parts_of(services, "B", first.run_id) == [("refund", "-20.50", "J1")]

    (path / "adjustments.csv").write_text(REFUNDS)
    run_sync(services)
    assert parts_of(services, "B", second.run_id) == [("refund", "20.50", "J1")]


def test_a_refund_to_the_last_cent_ends_all_credit(folder):
    services, path = folder
    first = run_sync(services)
    (path / "adjustments.csv").write_text(REFUNDS + "J1,1,-100.50,USD,2025-09-01\n")
    run_sync(services)

    assert parts_of(services, "B", first.run_id) == [("refund", "-100.50", "J1")]


def test_a_rate_that_is_missing_and_arrives_again_explains_what_was_held_back(folder):
    services, path = folder
    first = run_sync(services)
    opportunities = path / "opportunities.csv"
    opportunities.write_text(EXPORT["opportunities"].replace("EUR", "CHF"))
    second = run_sync(services)

    assert parts_of(services, "B", first.run_id) == [("rate", "-1000.00", None)]
    (path / "currency_rates.csv").write_text(EXPORT["currency_rates"] + "CHF,,0.5\n")
    run_sync(services)
    assert parts_of(services, "B", second.run_id) == [("rate", "1600.00", None)]


def test_a_run_that_is_not_there_or_cannot_be_compared_is_refused(company):
    with pytest.raises(ConfigError, match="there is no run 1"):
        diff_runs(company.services, 1, 2)
    first = company.sync()
    second = company.sync()

    with pytest.raises(ConfigError, match="no account has the id nobody"):
        explain_change(company.services, "nobody", first.run_id)
    with pytest.raises(ConfigError, match="there is no run 77"):
        explain_change(company.services, company.ids["B"], 77)
    with pytest.raises(ConfigError, match="no run had finished by 2020-01-01"):
        explain_change(company.services, company.ids["B"], date(2020, 1, 1))
    with pytest.raises(ConfigError, match="comes after"):
        diff_runs(company.services, second.run_id, first.run_id)
    under(company, "reporting_currency=EUR")
    company.sync()
    with pytest.raises(ConfigError, match="counted in USD"):
        explain_change(company.services, company.ids["B"], second.run_id)


def test_a_run_that_failed_before_it_valued_stands_for_the_values_of_the_one_before(company):
    first = company.sync()
    company.org.hide_field("Account", "Total_Customer_Value__c")
    with pytest.raises(Exception, match="mapping"):
        company.sync()

    explanation = explain_change(company.services, company.ids["B"], first.run_id + 1)

    assert explanation.since.run_id == first.run_id
    assert explanation.parts == ()


SPLIT_AND_SUMMED = ("direct", "referred", "given", "network", "influence", "touched", "total", "conserved")
SEEDS = {"sqlite": 40, "postgresql": 6}


def later_world(case, seed):
    """The same ids some time later: half of the accounts and opportunities are as in another world."""
    other = build_case(seed + 100_000, len(case.world.accounts)).world

    def mixed(old, new):
        by_id = {one.id: one for one in new}
        return tuple(by_id.get(one.id, one) if number % 2 else one for number, one in enumerate(old))

    return replace(
        case.world,
        accounts=mixed(case.world.accounts, other.accounts),
        opportunities=mixed(case.world.opportunities, other.opportunities),
        referrals=case.world.referrals + tuple(replace(one, id=f"new-{one.id}") for one in other.referrals[::3]),
    )


def test_the_parts_of_whole_worlds_lead_from_the_values_stored_before_to_those_stored_now(migrated_database_url):
    database = open_database(migrated_database_url)
    for seed in range(SEEDS[database.engine.dialect.name]):
        case = build_case(seed, 3 + seed % 7)
        include = case.policy.influence.include
        runs = history.Runs(1, 2)
        with database.begin() as connection:
            save_world(connection, case.world, case.policy)
            revalue(connection, Day(case.policy, f"p{seed}", case.as_of, 1))
            before = stored_values(connection)
            save_world(connection, later_world(case, seed), case.policy, run_id=2, first_load=False)
            revalue(connection, Day(case.policy, f"p{seed}", case.as_of, 2))
            after = stored_values(connection)

            history.stage_moved_deals(connection, runs)
            facts = history.load_event_facts(connection, runs, TODAY)
            between = Between(
                case.as_of.isoformat(), case.as_of.isoformat(), survivors=history.load_survivors(connection, runs),
                new_events=facts.new, lost_events=facts.lost, merged_events=facts.merged,
            )  # fmt: skip
            sums = Counter()
            for deal in history.stream_moved_deals(connection, runs):
                for part in explain_deal(deal.before, deal.after, deal.facts, between):
                    sums[part.account_id, str(part.measure)] += part.amount
            for account in before | after:
                split = {m: sums[account, m] for m in ("direct", "referred", GIVEN, "network", "influence", "touched")}
                explained = measures_of(split, include=include)
                old, new = before.get(account, {}), after.get(account, {})
                assert {m: new.get(m, 0) - old.get(m, 0) for m in SPLIT_AND_SUMMED} == {
                    m: explained[m] for m in SPLIT_AND_SUMMED
                }, (seed, account)
                held = history.load_sums(connection, 1, account)
                assert {m: held[m] for m in split} == {m: old.get(m, 0) for m in split}, (seed, account)
            for table in (
                "credit_line",
                "account",
                "opportunity",
                "contact_role",
                "adjustment",
                "currency_rate",
                "advocacy_event",
                "dirty",
                "state",
                "account_value",
                "opportunity_issue",
                "policy",
            ):
                connection.exec_driver_sql(f"delete from {table}")
    database.close()
