"""From the events that people record to whom a salesperson asks, and back: on both databases, on every surface."""

from __future__ import annotations

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta

import pytest
from reference_company import DEALS, NOON, TODAY, consent, event, open_company, traits
from starlette.testclient import TestClient

from app.domain.availability import Hold
from app.domain.candidates import REFERENCE_CUSTOMER_TYPES, ReferenceFacts, candidate_of
from app.domain.events import Polarity
from app.domain.matching import rank_references
from app.domain.model import ReferralStatus
from app.domain.reference_events import Grade
from app.domain.reference_scopes import ReferenceScope
from app.domain.requests import State
from app.domain.rows import ACCOUNT_COLUMNS, Entity, batch_of
from app.errors import ConfigError, HeldError
from app.store.evidence import load_verified
from app.store.keys import save_key
from app.store.mirror import save_batch
from app.store.references import load_firms, load_groups, load_reference_accounts
from app.sync.answers import find_account
from app.sync.programme import show_programme
from app.sync.reference_requests import list_requests, show_request
from app.sync.references import find_references
from app.sync.run import run_sync
from app.web.api import create_app


@pytest.fixture
def company(tmp_path, migrated_database_url, monkeypatch):
    yield from open_company(tmp_path, migrated_database_url, monkeypatch)


def reasons(found):
    return {one["account"]: [reason["code"] for reason in one["reasons"]] for one in found["excluded"]}


def test_g14_who_is_asked_and_why_not_the_others(company):
    found = company.find()

    assert [(one["account"], one["place"]) for one in found["matches"]] == [("A", 1), ("B", 2)]
    assert found["wanted"] == {"industry": ["Retail"], "product": ["Core"], "size": ["large"], "region": ["EMEA"]}
    assert found["from_crm"] == ["industry", "product", "size", "region"]
    best, second = found["matches"]
    assert (best["name"], best["fit"], best["quality_low"], best["is_high_impact"]) == ("Anna", 4, 100, True)
    assert best["contacts"] == ["ann"]
    assert second["behind"] == "fits in 0 points instead of 4"
    assert reasons(found) == {
        "C": ["no_consent"],
        "D": ["no_consent"],
        "E": ["escalated", "detractor"],
        "P": ["prospect_itself"],
        "S": ["same_group"],
    }
    told = {one["account"]: one["reasons"][0]["reason"] for one in found["excluded"]}
    assert told["E"] == "escalation of 2026-05-29 is open: System down"
    assert "expired on 2026-06-01" in told["D"]


def test_s2_12_what_is_asked_for_by_hand_replaces_what_the_crm_says(company):
    found = company.find(industry=["finance"], size=["20000"], region=["apac"], product=["Edge"], language=["de"])

    assert found["wanted"]["size"] == ["giant"]
    assert found["from_crm"] == []
    assert [(one["account"], one["fit"]) for one in found["matches"]] == [("B", 3), ("A", 1)]


def test_g13_another_scope_asks_other_customers(company):
    assert [one["account"] for one in company.find("logo")["matches"]] == ["C"]
    assert company.find("press_release")["matches"] == []


def crowd():
    """Sixty customers, each with another consent, and what may be in its way."""
    scopes = list(ReferenceScope)
    for n in range(60):
        name, on = f"K{n:02}", TODAY - timedelta(n * 3)
        yield consent(f"{name}c", name, {scopes[n % 8], scopes[n % 3]}, on, contact=f"p{n % 5}")
        yield traits(f"{name}t", name, n % 5, on)
        if n % 4 == 0:
            yield event(f"{name}a", "ask_sent", name, TODAY - timedelta(n))
        if n % 5 == 0:
            yield event(f"{name}w", "permission_revoked", name, attributes={"scopes": [scopes[n % 3]]})
        if n % 7 == 0:
            yield event(f"{name}l", "contact_left", name, contact=f"p{n % 5}")
        if n % 11 == 0:
            yield event(f"{name}x", "social_post", name, polarity=Polarity.DETRACTOR)


@pytest.mark.parametrize("scope", list(ReferenceScope))
def test_looking_at_consents_first_finds_what_looking_at_everything_finds(company, monkeypatch, scope):
    monkeypatch.setattr("app.sync.references.HELD_BACK", 2)
    with company.services.database.begin() as connection:
        firms = [
            {"id": f"K{n:02}", "name": f"Firm {n}", "industry": "Retail", "shown": "{}", "is_deleted": 0}
            for n in range(60)
        ]
        rows = [tuple(firm.get(name) for name in ACCOUNT_COLUMNS) for firm in firms]
        save_batch(connection, batch_of(Entity.ACCOUNT, rows), run_id=1, first_load=True)
    company.save(*crowd())
    policy = company.services.mapping.policy

    first = find_references(company.services, "OPEN", scope, top=2)

    with company.services.database.read() as connection:
        accounts = load_reference_accounts(connection, REFERENCE_CUSTOMER_TYPES)
        events = load_verified(connection, accounts, TODAY)
        groups, firms = load_groups(connection, accounts), load_firms(connection, accounts)
    everybody = [ReferenceFacts(one, groups[one], events[one], firms[one].profile) for one in accounts]
    candidates = [candidate_of(one, scope, policy, TODAY) for one in everybody]
    whole = rank_references(first.matching.need, candidates, policy.reference, TODAY)
    assert first.matching.matches == whole.matches
    assert set(first.matching.excluded) < set(whole.excluded)
    assert len(first.matching.excluded) + first.unnamed == len(whole.excluded)
    unnamed = set(whole.excluded) - set(first.matching.excluded)
    assert all(one.blocks[0].hold is Hold.NO_CONSENT or one.account in "PS" for one in unnamed)
    assert find_references(company.services, "OPEN", scope).matching == whole


@pytest.mark.parametrize(
    "withdrawal",
    [
        event("w", "permission_revoked", "A"),
        event("w", "permission_revoked", "A", contact="ann", attributes={"scopes": ["basic"]}),
        event("w", "contact_left", "A", contact="ann"),
        event("w", "opted_out", "A"),
        event("w", "resting", "A", valid_to=TODAY + timedelta(9)),
    ],
    ids=range(5),
)
def test_g13_a_withdrawal_counts_at_once_without_any_run(company, withdrawal):
    assert "A" in [one["account"] for one in company.find()["matches"]]
    company.save(withdrawal)
    assert "A" not in [one["account"] for one in company.find()["matches"]]
    with pytest.raises(HeldError, match="Anna may not be asked for basic"):
        company.ask()


@pytest.mark.parametrize("kind", ["permission_revoked", "contact_left", "opted_out"])
def test_g13_a_withdrawal_that_is_only_claimed_counts_until_somebody_rejects_it(company, kind):
    claim = event("w", kind, "A", contact="ann", status=ReferralStatus.CLAIMED)

    company.save(claim)

    assert "A" not in [one["account"] for one in company.find()["matches"]]
    again = company.save(claim)
    assert (again.duplicate, again.conflicts, again.moved_on) == (1, (), 0)
    assert company.run("events", "reject", "t/w", "--reason", "somebody else's") == 0
    assert "A" in [one["account"] for one in company.find()["matches"]]


def test_a_deal_is_found_by_its_name_and_an_unclear_name_is_told(company):
    services = company.services
    assert find_references(services, "big").deal.id == "OPEN"
    with pytest.raises(ConfigError, match="can mean several opportunities"):
        find_references(services, "deal")
    with pytest.raises(ConfigError, match="no opportunity"):
        find_references(services, "nonsense")
    with pytest.raises(ConfigError, match="no scope"):
        find_references(services, "OPEN", "everything")
    with pytest.raises(ConfigError, match="no size"):
        company.find(size=["huge"])


def test_a_request_lives_its_life_and_leaves_its_events_behind(company):
    number = company.ask("Anna", "Big", expected=Grade.POSITIVE, needed_by=TODAY + timedelta(20))
    assert show_request(company.services, number).request.contact_id == "ann"
    assert company.recorded() == {}

    company.step(number, "approve", reason="fits")
    company.clock.now = NOON + timedelta(3)
    company.step(number, "schedule", scheduled_for=TODAY + timedelta(9))
    company.clock.now = NOON + timedelta(9)
    done = company.step(
        number, "complete", actual=Grade.VERY_POSITIVE, minutes=30, signals=("roi_shared",), prospect_bought=False
    )
    last = company.step(number, "confirm")

    assert (done["state"], last["state"], last["next_steps"]) == ("completed", "confirmed", [])
    assert [(one["state"], one["on"]) for one in last["steps"]] == [
        ("new", "2026-06-01"), ("approved", "2026-06-01"), ("scheduled", "2026-06-04"), ("completed", "2026-06-10"),
        ("confirmed", "2026-06-10"),
    ]  # fmt: skip
    assert last["steps"][3]["detail"] == {
        "actual_grade": "very_positive", "minutes": 30, "signals": ["roi_shared"], "prospect_bought": False,
    }  # fmt: skip
    recorded = company.recorded()
    assert {
        id_: (one.type, one.occurred_on.isoformat(), one.opportunity, one.contact) for id_, one in recorded.items()
    } == {
        f"{number}-sent": ("ask_sent", "2026-06-01", "OPEN", "ann"),
        f"{number}-accepted": ("ask_accepted", "2026-06-04", "OPEN", "ann"),
        f"{number}-given": ("reference_call", "2026-06-10", "OPEN", "ann"),
        f"{number}-used": ("permission_used", "2026-06-10", "OPEN", "ann"),
        f"{number}-outcome": ("reference_outcome", "2026-06-10", "OPEN", "ann"),
    }
    assert recorded[f"{number}-used"].attributes == {"scopes": ["basic"], "where": "Reference call for Big deal"}
    assert recorded[f"{number}-outcome"].attributes == {
        "request": str(number), "expected_grade": "positive", "actual_grade": "very_positive", "minutes": 30,
        "signals": ["roi_shared"], "prospect_bought": False,
    }  # fmt: skip
    customer = next(one for one in show_programme(company.services).as_json()["customers"] if one["account"] == "A")
    assert (customer["uses"], customer["asks_used"], customer["days_to_accept"]) == (1, 1, 3)
    assert customer["better_as_worse"] == [1, 0, 0]
    assert customer["signals"] == {"prospect_did_not_buy": 1, "roi_shared": 1}
    assert customer["record"] == "not_enough_data"


def test_a_completed_reference_counts_for_the_deal(company):
    run_sync(company.services)
    company.step(number := company.ask(), "approve")
    company.step(number, "schedule")
    company.step(number, "complete")
    won = DEALS.replace("2026-09-01,false,false,new,Core", "2026-06-01,true,true,new,Core")
    (company.folder / "opportunities.csv").write_text(won)
    before = find_account(company.services, "A").as_json()

    run_sync(company.services)

    after = find_account(company.services, "A").as_json()
    assert (before["touched"], after["touched"]) == ("0.00", "90000.00")
    assert float(after["points"]) == float(before["points"]) + 30


@pytest.mark.parametrize(
    ("steps", "told", "answers"),
    [
        ([], {}, {}),
        (["decline"], {}, {}),
        (["cancel"], {}, {}),
        (["approve"], {}, {"sent": "ask_sent"}),
        (["approve", "decline"], {"reason": "no time"}, {"sent": "ask_sent", "declined": "ask_declined"}),
        (["approve", "cancel"], {}, {"sent": "ask_sent"}),
        (["approve", "cancel"], {"no_reply": True}, {"sent": "ask_sent", "unanswered": "ask_unanswered"}),
        (["approve", "schedule"], {}, {"sent": "ask_sent", "accepted": "ask_accepted"}),
        (["approve", "schedule", "schedule"], {}, {"sent": "ask_sent", "accepted": "ask_accepted"}),
        (["approve", "schedule", "cancel"], {}, {"sent": "ask_sent", "accepted": "ask_accepted"}),
    ],
    ids=range(10),
)
def test_what_each_way_leaves_in_the_ledger(company, steps, told, answers):
    number = company.ask()
    for step in steps:
        company.step(number, step, **(told if step == steps[-1] else {}))
    assert {id_.partition("-")[2]: one.type for id_, one in company.recorded().items()} == answers


def test_g22_the_third_ask_in_the_window_is_blocked_unless_overridden_with_a_reason(company):
    for day, deal in ((0, "OPEN"), (20, "OPEN2")):
        company.clock.now = NOON + timedelta(day)
        company.step(company.ask("A", deal), "approve")
    company.clock.now = NOON + timedelta(40)

    with pytest.raises(ConfigError, match="request 1 is open for the same"):
        company.ask("A", "OPEN", override="x")
    company.step(1, "cancel")
    with pytest.raises(HeldError, match="asked twice in 90 days, the cap is 2") as held:
        company.ask("A", "OPEN", scope="basic", kind="site_visit")
    assert "override" in held.value.hint
    with pytest.raises(HeldError):
        company.ask("A", "OPEN", override="   ")
    number = company.ask("A", "OPEN", override="the board asked for Anna by name")
    view = company.step(number, "approve")

    assert view["override_reason"] == "the board asked for Anna by name"
    company.clock.now = NOON + timedelta(90)
    assert reasons(company.find())["A"] == ["capped"]
    company.clock.now = NOON + timedelta(110)
    assert "A" in [one["account"] for one in company.find()["matches"]]


def test_the_cooldown_between_two_requests_is_looked_at_when_the_customer_is_asked(company):
    first, second = company.ask("A", "OPEN"), company.ask("A", "OPEN2")
    company.step(first, "approve")

    with pytest.raises(HeldError, match=r"last asked on 2026-06-01, less than 14 days ago"):
        company.step(second, "approve")
    company.clock.now = NOON + timedelta(14)
    assert company.step(second, "approve")["state"] == "approved"


def test_no_override_stands_above_consent(company):
    with pytest.raises(HeldError, match="nobody has granted basic") as held:
        company.ask("C", override="they are nice")
    assert held.value.hint == ""
    with pytest.raises(HeldError, match="System down"):
        company.ask("E", override="they are nice")
    with pytest.raises(HeldError, match="same group"):
        company.ask("S", override="they are nice")
    with pytest.raises(HeldError, match="Anna may not be asked"):
        company.ask("A", contact="bob")


@pytest.mark.parametrize("step", ["schedule", "complete"])
def test_g13_no_use_without_a_consent_on_that_day(company, step):
    company.step(number := company.ask(), "approve")
    if step == "complete":
        company.step(number, "schedule")
    company.clock.now = NOON + timedelta(2)
    company.save(event("w", "permission_revoked", "A", TODAY + timedelta(2)))
    before = company.recorded()

    with pytest.raises(HeldError, match="revoked on 2026-06-03"):
        company.step(number, step)

    assert company.recorded() == before
    assert show_request(company.services, number).request.state != State(f"{step}d")
    if step == "complete":
        # It took place while the consent still held.
        assert company.step(number, step, on=TODAY + timedelta(1))["state"] == "completed"


@pytest.mark.parametrize("step", ["approve", "schedule"])
def test_a_step_told_of_an_earlier_day_does_not_pass_over_what_was_withdrawn_since(company, step):
    number = company.ask()
    if step == "schedule":
        company.step(number, "approve")
    company.clock.now = NOON + timedelta(2)
    company.save(event("w", "permission_revoked", "A", TODAY + timedelta(2)))
    before = company.recorded()

    with pytest.raises(HeldError, match="revoked on 2026-06-03"):
        company.step(number, step, on=TODAY + timedelta(1))

    assert company.recorded() == before


def test_a_meeting_is_arranged_for_a_day_on_which_the_consent_holds(company):
    company.save(consent("b2", "B", valid_to=TODAY + timedelta(30)))
    company.step(number := company.ask("B"), "approve")
    before = company.recorded("B")
    for day in (30, 300):
        with pytest.raises(HeldError, match=r"Berta may not be asked for basic on .*expired on 2026-07-01"):
            company.step(number, "schedule", scheduled_for=TODAY + timedelta(day))
    assert company.recorded("B") == before
    assert company.step(number, "schedule", scheduled_for=TODAY + timedelta(29))["state"] == "scheduled"
    # Notice given since then counts for a new date, though today it still holds.
    company.save(event("w", "permission_revoked", "B", valid_from=TODAY + timedelta(9)))
    with pytest.raises(HeldError, match="revoked on 2026-06-10"):
        company.step(number, "schedule", scheduled_for=TODAY + timedelta(9))
    assert company.step(number, "schedule", scheduled_for=TODAY + timedelta(8))["scheduled_for"] == "2026-06-09"


@pytest.mark.parametrize(
    ("withdrawal", "why"),
    [
        (event("w", "permission_revoked", "A"), "granted by ann, but revoked on 2026-06-01"),
        (
            event("w", "permission_revoked", "A", valid_from=TODAY + timedelta(7)),
            "granted by ann, but revoked on 2026-06-08",
        ),
        (event("w", "contact_left", "A", contact="ann"), "granted by ann, who left on 2026-06-01"),
        (event("w", "permission_revoked", "M", contact="ann"), "granted by ann, but revoked on 2026-06-01"),
        (
            consent("w", "A", contact="ann", on=TODAY, valid_to=TODAY + timedelta(1)),
            "granted by ann, but expired on 2026-06-02",
        ),
    ],
    ids=["revoked", "revoked for its day", "left", "revoked by a merged account", "shortened"],
)
def test_g13_whoever_looks_at_a_request_hears_that_its_consent_is_gone(company, capsys, withdrawal, why):
    company.step(number := company.ask(), "approve")
    company.step(number, "schedule", scheduled_for=TODAY + timedelta(7))
    company.step(done := company.ask(opportunity="OPEN2", override="the board"), "cancel")
    company.save(consent("b", "B", contact="bob"))
    company.step(other := company.ask("B"), "approve")
    paths = ["/references/requests", "/references?opportunity=OPEN", f"/references/requests/{number}"]

    def told():
        requests = {one.request.request_id: one.as_json()["no_consent"] for one in list_requests(company.services)}
        assert requests[number] == show_request(company.services, number).as_json()["no_consent"]
        return requests

    browser = Browser(company, "read")
    assert told() == {number: None, done: None, other: None}
    assert "lace:</strong>" not in "".join(browser.get(path).text for path in paths)

    company.save(withdrawal)

    assert told() == {number: why, done: None, other: None}
    assert browser.get(f"/v1/reference-requests/{number}").json()["no_consent"] == why
    for path in paths:
        text = browser.get(path).text
        assert "ay not take place" in text
        assert why[8:] in text
    for arguments in (("list",), ("show", str(number))):
        assert company.run("references", *arguments) == 0
        assert why in capsys.readouterr().out


def test_whoever_withdrew_or_left_is_not_asked_under_a_consent_for_everybody(company):
    company.save(
        event("w1", "permission_revoked", "B", contact="bob", attributes={"scopes": ["basic"]}),
        event("w2", "contact_left", "B", contact="ben"),
    )
    for contact in ("bob", "ben"):
        with pytest.raises(HeldError, match="Berta may not be asked for basic"):
            company.ask("B", contact=contact)
    assert company.ask("B", contact="berta")


def test_what_was_bought_under_a_merged_account_is_known_of_the_one_that_remains(company):
    with company.services.database.begin() as connection:
        connection.exec_driver_sql("update opportunity set account_id = 'M' where id = 'WON'")
    (best, _) = company.find()["matches"]
    fits = {fit["facet"]: fit["matched"] for fit in best["fits"]}
    assert (best["account"], fits["product"]) == ("A", ["Core"])


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"on": TODAY + timedelta(1)}, "has not come yet"),
        ({"signals": ("nonsense",)}, "`signals` knows no 'nonsense'"),
        ({"minutes": 99999}, "`minutes` is a whole number"),
        ({"signals": ("prospect_did_not_buy",), "prospect_bought": True}, "keep one of them"),
        ({"reason": "a\0b"}, "without control characters"),
        ({"reason": "x" * 2001}, "at most 2000"),
    ],
    ids=range(6),
)
def test_what_cannot_be_told_changes_nothing(company, told, message):
    company.step(number := company.ask(), "approve")
    company.step(number, "schedule")
    before = company.recorded()
    with pytest.raises(ConfigError, match=message):
        company.step(number, "complete", **told)
    assert company.recorded() == before
    assert show_request(company.services, number).request.state is State.SCHEDULED


def test_what_is_not_known_or_not_possible_is_told(company):
    with pytest.raises(ConfigError, match="the deal Lost deal is closed"):
        company.ask("A", "LOST")
    with pytest.raises(ConfigError, match="no account"):
        company.ask("nonsense")
    with pytest.raises(ConfigError, match="logo_use does not go with the scope basic"):
        company.ask(kind="logo_use")
    with pytest.raises(ConfigError, match="no reference request 7"):
        company.step(7, "approve")
    number = company.ask()
    with pytest.raises(ConfigError, match="new cannot take the step complete; possible is approve, decline, cancel"):
        company.step(number, "complete")


def test_every_step_is_in_the_audit(company):
    company.step(company.ask(), "approve")
    with company.services.database.read() as connection:
        rows = connection.exec_driver_sql("select who, action, subject from audit_entry order by entry_id").fetchall()
    assert [tuple(row) for row in rows if "reference" in row[1]] == [
        ("me", "reference new", "reference request 1"),
        ("me", "reference approved", "reference request 1"),
    ]


def test_requests_are_listed_newest_first(company):
    first, second = company.ask("A", "OPEN"), company.ask("A", "OPEN2")
    company.step(second, "cancel")
    services = company.services
    assert [one.request.request_id for one in list_requests(services)] == [second, first]
    assert [one.request.request_id for one in list_requests(services, state=State.NEW)] == [first]
    assert [one.deal_name for one in list_requests(services, opportunity="OPEN2")] == ["Second deal"]


def test_s2_07_and_s2_08_the_programme(company):
    view = show_programme(company.services).as_json()

    # Anna is known to be high impact, Berta is known not to be; Carl, Emil, the sister and the prospect are unrated.
    assert (view["references"], view["high_impact"], view["possible_high_impact"]) == (6, 1, 5)
    assert (view["strength"], view["is_fundamentally_weak"]) == ("unproven", True)
    assert (view["full_strength_low"], view["full_strength_high"]) == ("1.5", "5.5")
    assert view["quarters"][:2] == [
        {"quarter": "2026Q2", "new": 0, "high_impact": 0, "reading": "no_goal"},
        # Dora's consent ends today; that she was new then stays.
        {"quarter": "2026Q1", "new": 7, "high_impact": 1, "reading": "no_goal"},
    ]
    assert view["states"] == {"available": 4, "escalated": 1, "none": 1}  # Carl lends his logo and takes no calls.
    assert view["customers"][0]["account"] == "A"
    company.step(company.ask(), "approve")
    view = show_programme(company.services).as_json()
    assert (view["utilisation_percent"], view["states"]["resting"]) == (8, 1)  # 1 of 6 × 2


def test_what_a_run_stores_is_what_the_programme_says_at_that_moment(company):
    company.step(company.ask("A"), "approve")
    company.save(event("rest", "resting", "B", valid_to=TODAY + timedelta(9)))
    run_sync(company.services)

    with company.services.database.read() as connection:
        stored = {
            row[0]: tuple(row[1:])
            for row in connection.exec_driver_sql(
                "select s.account_id, reference_state, available_from, coalesce(reference_low, 0),"
                " coalesce(reference_high, 100), is_high_impact from account_standing s"
                " join account a on a.id = s.account_id where s.permissions <> '' and a.is_deleted = 0"
            )
        }

    said = {
        one["account"]: (
            one["state"], one["available_from"], one["quality_low"], one["quality_high"], int(one["is_high_impact"]),
        )
        for one in show_programme(company.services).as_json()["customers"]
    }  # fmt: skip
    assert {account: (row[0] or "none", *row[1:]) for account, row in stored.items()} == said
    assert stored["A"][:2] == ("resting", "2026-06-15")
    assert stored["B"][:2] == ("resting", "2026-06-10")
    assert stored["C"][:2] == (None, None)
    assert stored["E"][:2] == ("escalated", None)


def test_the_command_line_tells_the_same(company, capsys):
    assert company.run("references", "find", "--for", "OPEN", "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [one["account"] for one in found["matches"]][:1] == ["A"]
    assert company.run("references", "find", "--for", "OPEN", "--language", "de") == 0
    text = capsys.readouterr().out
    assert "1. Anna  (A), ask ann" in text
    assert "after the one before it, because it fits" in text
    assert "System down" in text
    assert company.run("references", "request", "A", "--for", "OPEN") == 0
    assert "request 1 is new: Anna for Big deal" in capsys.readouterr().out
    for arguments, state in [
        (("approve", "1"), "approved"),
        (("schedule", "1", "--for", "2926-12-24"), "scheduled"),
        (("complete", "1", "--actual", "very positive", "--minutes", "30", "--signal", "roi_shared"), "completed"),
        (("confirm", "1"), "confirmed"),
    ]:
        assert company.run("references", *arguments) == 0
        assert f"request 1 is {state}" in capsys.readouterr().out
    assert company.run("references", "show", "1") == 0
    shown = capsys.readouterr().out
    assert "actual_grade very_positive" in shown
    assert "signals roi_shared" in shown
    assert company.run("references", "list", "--state", "confirmed") == 0
    assert "Big deal" in capsys.readouterr().out
    assert company.run("references", "programme") == 0
    assert "too few are known to be; rate the others" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("find", "--for", "nonsense"), 2),
        (("find", "--for", "OPEN", "--scope", "all"), 2),
        (("find", "--for", "OPEN", "--size", "huge"), 2),
        (("find",), 2),
        (("request", "C", "--for", "OPEN"), 4),
        (("request", "A", "--for", "OPEN", "--expected", "grand"), 2),
        (("approve", "7"), 2),
        (("list", "--state", "odd"), 2),
        (("schedule", "7", "--for", "soon"), 2),
        (("schedule", "7", "--for", "2020-01-01"), 2),
    ],
    ids=range(10),
)
@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_the_command_line_refuses_and_says_why(company, capsys, arguments, code):
    assert company.run("references", *arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.strip()
    assert "Traceback" not in err


class Browser:
    def __init__(self, company, *scopes):
        _, secret = save_key(company.services.database, name="program", scopes=scopes, now=NOON, who="test")
        app = create_app(company.services)
        self.client = TestClient(app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000))
        self.headers = {"Authorization": f"Bearer {secret}"}

    def get(self, path):
        return self.client.get(path, headers=self.headers)

    def post(self, path, body):
        return self.client.post(path, headers=self.headers, json=body)


def test_programs_find_and_ask(company):
    browser = Browser(company, "read", "events:write")

    first = company.find()
    found = browser.get("/v1/references?opportunity=OPEN").json()
    top = browser.get("/v1/references?opportunity=OPEN&limit=1&industry=Finance").json()
    made = browser.post("/v1/reference-requests", {"account": "A", "opportunity": "OPEN", "expected": "positive"})
    approved = browser.post("/v1/reference-requests/1/approve", {})
    scheduled = browser.post("/v1/reference-requests/1/schedule", {"scheduled_for": "2026-06-20"})
    done = browser.post(
        "/v1/reference-requests/1/complete", {"actual": "neutral", "minutes": 20, "signals": ["reluctant"]}
    )
    listed = browser.get("/v1/reference-requests?state=completed").json()
    one = browser.get("/v1/reference-requests/1").json()
    whole = browser.get("/v1/references/programme").json()

    assert found == first
    assert [match["account"] for match in found["matches"]] == ["A", "B"]
    assert (top["possible"], [one["account"] for one in top["matches"]]) == (2, ["A"])
    assert top["wanted"]["industry"] == ["Finance"]
    assert (made.status_code, made.json()["state"], made.json()["requested_by"]) == (
        201,
        "new",
        "program (" + made.json()["requested_by"].partition("(")[2],
    )
    assert [answer.json()["state"] for answer in (approved, scheduled, done)] == ["approved", "scheduled", "completed"]
    assert [request["id"] for request in listed["data"]] == [1]
    assert [step["state"] for step in one["steps"]] == ["new", "approved", "scheduled", "completed"]
    assert whole["references"] == 6


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("get", "/v1/references", None, 422),
        ("get", "/v1/references?opportunity=nonsense", None, 404),
        ("get", "/v1/references?opportunity=OPEN&scope=all", None, 422),
        ("get", "/v1/references?opportunity=OPEN&size=huge", None, 422),
        ("get", "/v1/reference-requests/7", None, 404),
        ("post", "/v1/reference-requests", {"account": "C", "opportunity": "OPEN"}, 409),
        ("post", "/v1/reference-requests", {"account": "nonsense", "opportunity": "OPEN"}, 422),
        ("post", "/v1/reference-requests", {"account": "A"}, 422),
        ("post", "/v1/reference-requests", {"account": "A", "opportunity": "OPEN", "acount": "B"}, 422),
        ("post", "/v1/reference-requests/7/approve", {}, 404),
        ("post", "/v1/reference-requests/1/complete", {}, 409),
        ("post", "/v1/reference-requests/1/jump", {}, 422),
        ("post", "/v1/reference-requests/1/approve", {"minutes": "many"}, 422),
    ],
    ids=range(13),
)
@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_programs_are_refused_with_a_reason(company, method, path, body, status):
    browser = Browser(company, "read", "events:write")
    company.ask()
    answer = browser.get(path) if method == "get" else browser.post(path, body)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_a_key_that_may_only_read_asks_nobody(company):
    browser = Browser(company, "read")
    assert browser.get("/v1/references?opportunity=OPEN").status_code == 200
    assert browser.post("/v1/reference-requests", {"account": "A", "opportunity": "OPEN"}).status_code == 403
    writer = Browser(company, "events:write")
    held = {"account": "C", "opportunity": "OPEN"}
    refused = writer.post("/v1/reference-requests", held)
    assert refused.status_code == 409
    assert "nobody has granted" not in refused.text
    assert (
        "nobody has granted basic" in Browser(company, "read", "events:write").post("/v1/reference-requests", held).text
    )
    assert writer.get("/v1/references?opportunity=OPEN").status_code == 403
    assert writer.client.get("/v1/references?opportunity=OPEN").status_code == 401


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_a_scope_is_taken_by_its_place_on_the_ladder_everywhere(company, capsys):
    browser = Browser(company, "read")
    for code, name in (("8h", "logo"), ("8a", "basic")):
        assert browser.get(f"/v1/references?opportunity=OPEN&scope={code}").json()["scope"] == name
        assert browser.get(f"/references?opportunity=OPEN&scope={code}").status_code == 200
        assert browser.get(f"/v1/permissions?scope={code}").status_code == 200
        assert company.find(scope=code)["scope"] == name
    assert browser.get("/v1/permissions?scope=8i").status_code == 422


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_who_may_not_be_asked_is_named_with_what_to_do(company, capsys):
    number = company.ask()
    with pytest.raises(ConfigError, match="2026-05-31 lies before 2026-06"):
        company.step(number, "schedule", scheduled_for=date(2026, 5, 31))
    with pytest.raises(HeldError, match=f"^{company.find()['excluded'][0]['name']} may not be asked for basic"):
        company.ask(company.find()["excluded"][0]["account"])


def test_the_page_reads_like_an_answer(company):
    company.save(event("evil", "resting", "B", attributes={"reason": "<script>alert(1)</script>"}))
    client = Browser(company, "read").client

    start = client.get("/references")
    page = client.get("/references?opportunity=OPEN")
    logo = client.get("/references?opportunity=OPEN&scope=logo")
    missing = client.get("/references?opportunity=nonsense")

    assert (start.status_code, page.status_code, missing.status_code) == (200, 200, 404)
    assert '<a href="/references?opportunity=OPEN">Big deal</a>' in start.text
    assert "Anna" in page.text
    assert "ask ann" in page.text
    assert "System down" in page.text
    assert "<script" not in page.text
    assert "&lt;script&gt;" in page.text
    assert "Carl" in re.split("Not to be asked", logo.text)[0]
    assert "Anna" not in re.split("Not to be asked", logo.text)[0]
    assert "no opportunity" in missing.text


@pytest.mark.parametrize("query", ["scope=all&opportunity=OPEN", "opportunity=" + "a" * 300])
@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_a_nonsensical_address_of_the_page_is_told(company, query):
    assert Browser(company, "read").client.get(f"/references?{query}").status_code in {404, 422}


def test_two_requests_approved_at_once_ask_the_customer_once(company):
    numbers = [company.ask("A", "OPEN"), company.ask("A", "OPEN2")]
    start = threading.Barrier(2)

    def approve(number):
        start.wait(timeout=30)
        try:
            return company.step(number, "approve")["state"]
        except HeldError as error:
            return error.message

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(approve, numbers))

    assert answers[1] == "approved"
    assert "last asked on 2026-06-01" in answers[0]
    assert [one.type for one in company.recorded().values()] == ["ask_sent"]


def test_one_request_approved_twice_at_once_is_approved_once(company):
    number = company.ask()
    start = threading.Barrier(2)

    def approve(_):
        start.wait(timeout=30)
        try:
            return company.step(number, "approve")["state"]
        except (ConfigError, HeldError) as error:
            return f"refused: {error.message}"

    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(approve, range(2)))

    assert answers[0] == "approved"
    assert answers[1].startswith("refused")
    assert [step.state for step in show_request(company.services, number).steps] == [State.NEW, State.APPROVED]
