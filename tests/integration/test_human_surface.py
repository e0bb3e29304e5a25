"""What people record and read on the command line and over HTTP: the ladder, permissions, both scales. Both databases."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest
import structlog
from exports import open_exports
from starlette.testclient import TestClient

from app.cli import main
from app.domain.reference_scopes import ReferenceScope
from app.intake.assessments import record
from app.intake.event_fields import Reader, RejectedEventError
from app.store.events import list_events
from app.store.keys import save_key
from app.sync.assessments import ASSESSED, list_assessments
from app.sync.consents import check_permission, list_consents, list_promised
from app.sync.ladder import show_ladder
from app.sync.triage import open_day
from app.web.api import create_app

ON = "2020-01-10"
D = date.fromisoformat


@pytest.fixture
def company(tmp_path, migrated_database_url):
    """Accounts A, B, C with a deal each, P without any, and M, which was merged into A."""
    exports = open_exports(tmp_path / "crm", migrated_database_url)
    exports.files["accounts"] += [
        {"id": "P", "name": "Prospect"},
        {"id": "M", "name": "Merged", "merged_into_id": "A"},
    ]
    exports.sync()
    yield exports
    exports.services.database.close()


@pytest.fixture
def advocacy(company, capsys, tmp_path, monkeypatch):
    """`advocacy(*arguments)` -> (exit code, stdout, stderr)."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)
    settings = company.services.settings

    def run(*arguments):
        given = [f"database_url={settings.database_url}", "crm=files", f"files_dir={company.folder}"]
        with pytest.raises(SystemExit) as ended:
            main([word for one in given for word in ("--set", one)] + list(arguments))
        return (ended.value.code, *capsys.readouterr())

    yield run
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def stored(company: Any, code: str) -> list[dict[str, Any]]:
    return [dict(one.event.attributes) for one in list_events(company.services.database, event_type=code)]


def tell(company: Any, code: str, account: str = "A", *, at: str = "2026-03-01T12:00:00+00:00", **columns: Any) -> Any:
    """Record one event on a clock of the test."""
    services = company.services
    given = {"type": code, "account": account, **columns}
    now = datetime.fromisoformat(at)
    return record(services.database, given, Reader(str), today=now.date(), now=now, policy=services.mapping.policy)


COMMANDS = [
    (["commitment", "A", "attention"], "attention_given", {}),
    (["commitment", "A", "needs", "--note", "slow"], "needs_shared", {"note": "slow"}),
    (["commitment", "A", "project_data"], "project_data_shared", {}),
    (["commitment", "A", "evaluation"], "evaluation_effort", {}),
    (["commitment", "A", "pilot", "--seats", "5", "--months", "3"], "pilot_purchased", {"seats": 5, "months": 3}),
    (["commitment", "A", "roadmap", "--mutual-nda"], "roadmap_shared", {"mutual_nda": True}),
    (["commitment", "A", "annual_licence", "--months", "24"], "annual_license_signed", {"months": 24}),
    (["offer", "A", "--basis", "price"], "offer_rating", {"basis": "price"}),
    (
        ["offer", "A", "--basis", "tco", "--calls-first", "--last-chance", "--level", "4", "--by", "Ann"],
        "offer_rating",
        {"basis": "tco", "calls_first": True, "last_chance": True, "rated_by": "Ann"},
    ),
    (
        ["person", "A", "--rep", "R1", "--tick", "product_knowledge", "--tick", "keeps_up_to_date"],
        "personal_rating",
        {"rep": "R1", "product_knowledge": True, "keeps_up_to_date": True},
    ),
    (["person", "A", "--rep", "R1", "--level", "0"], "personal_rating", {"rep": "R1", "level": 0}),
    (["recognition", "A", "--rep", "R1"], "recognition_received", {"item": "bobble-head", "rep": "R1"}),
    (
        ["permission", "A", "--scope", "8h", "--scope", "basic", "--granted-by", "Ada", "--document", "contract 7"],
        "permission_granted",
        {"scopes": ["logo", "basic"], "granted_by": "Ada", "document": "contract 7"},
    ),
    (["revoke", "A"], "permission_revoked", {}),
    (["revoke", "A", "--scope", "logo"], "permission_revoked", {"scopes": ["logo"]}),
    (
        ["promise", "A", "--scope", "logo", "--opportunity", "D-A", "--due", "2020-06-10"],
        "permission_promised",
        {"scopes": ["logo"], "due_on": "2020-06-10"},
    ),
    (["use", "A", "--scope", "8h", "--where", "home"], "permission_used", {"scopes": ["logo"], "where": "home"}),
    (["left", "A", "--contact", "C1"], "contact_left", {}),
    (["traits", "A", "--brand", "4", "--articulate", "0"], "reference_traits", {"brand": 4, "articulate": 0}),
    (
        ["profile", "A", "--industry", "retail", "--product", "x", "--product", "y", "--size", "50", "--language", "de"],
        "reference_profile",
        {"industry": "retail", "products": ["x", "y"], "size": 50, "languages": ["de"]},
    ),
    (
        ["outcome", "A", "--actual", "positive", "--not-bought", "--minutes", "30"],
        "reference_outcome",
        {"actual_grade": "positive", "prospect_bought": False, "minutes": 30},
    ),
    (["rest", "A", "--until", "2020-03-10"], "resting", {}),
    (["opt-out", "A"], "opted_out", {}),
    (
        ["care", "A", "--bucket", "who_are_you", "--verbatim", "Who?", "--reason", "cost", "--no-win-win"],
        "care_answer",
        {"bucket": "who_are_you", "verbatim": "Who?", "reasons": ["cost"], "win_win": False},
    ),
    (["usage", "A", "--percent", "80", "--no-sponsor"], "usage_report", {"usage_percent": 80, "sponsor": False}),
    (
        ["metric", "A", "--owner", "customer", "--kind", "revenue", "--baseline", "1.5", "--agreed-on", ON],
        "success_metric",
        {"owner": "customer", "kind": "revenue", "baseline": "1.5", "agreed_on": ON},
    ),
    (["value", "A", "stopped"], "value_stopped", {}),
    (["value", "A", "recovered"], "recovered", {}),
    (
        ["problem", "A", "escalation", "--severity", "critical", "--hours", "2.5", "--title", "down"],
        "escalation",
        {"severity": "critical", "hours": "2.5"},
    ),
    (["roles", "A", "--add", "innovator", "--remove", "buyer"], "roles_set", {"add": ["innovator"], "remove": ["buyer"]}),
]  # fmt: skip


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_every_kind_of_human_event_is_recorded_in_one_step_and_only_once(company, advocacy):
    for command, code, attributes in COMMANDS:
        first = advocacy("assess", *command, "--on", ON, "--json")
        again = advocacy("assess", *command, "--on", ON, "--json")

        assert (first[0], again[0]) == (0, 0), (command, first[2])
        answer = json.loads(first[1])
        assert (answer["type"], answer["account"], answer["added"], answer["occurred_on"]) == (code, "A", True, ON)
        assert json.loads(again[1])["added"] is False, command
        assert attributes in stored(company, code), command
    assert {code for _, code, _ in COMMANDS} == set(ASSESSED) - {
        "call_skipped", "complaint", "churn_signal", "problem_closed",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        (["offer", "A", "--basis", "value_added", "--calls-first", "--level", "3"], "takes basis value_added, and pays_premium"),
        (["person", "A", "--rep", "R1", "--level", "4", "--tick", "understands_business"], "tick executive_credibility, innova"),
        (["person", "A", "--rep", "R1", "--tick", "doughnuts"], "`doughnuts` is no attribute of this type"),
        (["permission", "A", "--scope", "lgo"], "Did you mean logo?"),
        (["permission", "A", "--scope", "logo", "--from", "2020-02-01", "--until", "2020-01-01"], "lies before valid_from"),
        (["permission", "A", "--scope", "logo", "--until", "soon"], "must be a date like"),
        (["commitment", "A", "needs", "--months", "3"], "`months` is no attribute of this type"),
        (["care", "A", "--bucket", "ok", "--win-win"], "`win_win` is decided for who_are_you only"),
        (["metric", "A", "--owner", "customer", "--kind", "tickets_resolved"], "tickets_resolved"),
        (["traits", "A"], "it rates no trait"),
        (["traits", "A", "--brand", "5"], "`brand` is a whole number from 0 to 4"),
        (["profile", "A", "--note", "later"], "it says nothing, and would wipe what is known"),
        (["outcome", "A"], "it says nothing: name at least one of actual_grade"),
        (["permission", "A", "--scope", "logo", "--on", ON, "--until", ON], "later than 2020-01-10"),
        (["rest", "A", "--until", "2020-01-10"], "is the first day it no longer holds: later than"),
        (["problem", "A", "complaint", "--on", ON, "--closed", "2020-01-09"], "lies before the day it began, 2020-01-10"),
        (["recognition", "A", "--on", "9000-01-01"], "9000-01-01 has not come yet"),
        (["recognition", "Nobody"], "no account has the id or the name 'Nobody'"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_what_does_not_fit_is_refused_with_what_to_do(company, advocacy, command, problem):
    code, out, err = advocacy("assess", *command)

    assert (code, out) == (2, "")
    assert problem in err
    assert "Traceback" not in err
    assert list_events(company.services.database) == []


def test_changing_ones_mind_back_on_the_same_day_is_news(company):
    price, tco = {"basis": "price", "rated_by": "Ann"}, {"basis": "tco", "pays_premium": True, "rated_by": "Ann"}
    hours = [f"2026-03-01T{hour:02}:00:00+00:00" for hour in range(8, 13)]

    told = [
        tell(company, "offer_rating", attributes=attributes, at=at).is_new
        for attributes, at in zip([price, price, tco, price, {**price, "rated_by": "Bob"}], hours, strict=True)
    ]

    assert told == [True, False, True, True, True]
    assert not tell(company, "offer_rating", attributes=price).is_new
    history = list_assessments(company.services, "A")
    assert (history.offer.level, len(history.offer.votes)) == (1, 2)
    assert [one.counts for one in history.assessments] == [True, True, False, False]


def test_a_consent_given_again_after_it_was_taken_back_counts(company):
    def allowed():
        return [one.consent.scope for one in list_consents(company.services, "A")]

    tell(company, "permission_granted", attributes={"scopes": "logo"}, at="2026-03-01T08:00:00+00:00")
    assert allowed() == [ReferenceScope.LOGO]
    tell(company, "permission_revoked", at="2026-03-01T09:00:00+00:00")
    assert allowed() == []
    assert tell(company, "permission_granted", attributes={"scopes": "logo"}, at="2026-03-01T10:00:00+00:00").is_new
    assert allowed() == [ReferenceScope.LOGO]


def test_a_consent_that_was_given_on_the_day_of_a_no_says_that_it_does_not_count(company, advocacy):
    on = ("--on", "2020-01-10")

    assert "does not count" not in advocacy("assess", "permission", "A", "--scope", "logo", *on)[1]
    advocacy("assess", "revoke", "A", *on)
    again = advocacy("assess", "permission", "A", "--scope", "logo", "--scope", "basic", *on)[1]
    assert "logo, basic: does not count, as it was taken back on the same day" in again.replace(
        "basic, logo:", "logo, basic:"
    )
    assert list_consents(company.services, "A") == []

    later = advocacy("assess", "permission", "A", "--scope", "logo", "--on", "2020-01-11")[1]
    assert "does not count" not in later
    assert [one.consent.scope for one in list_consents(company.services, "A")] == [ReferenceScope.LOGO]


def test_the_hour_decides_what_was_said_last_on_a_past_day(company, advocacy):
    advocacy("assess", "revoke", "A", "--on", "2020-01-10T09:00:00Z")
    told = advocacy("assess", "permission", "A", "--scope", "logo", "--on", "2020-01-10T12:00:00+02:00", "--json")

    assert "does not count" not in json.loads(told[1])["says"]
    assert json.loads(told[1])["occurred_on"] == "2020-01-10"
    assert [one.consent.scope for one in list_consents(company.services, "A")] == [ReferenceScope.LOGO]
    earlier = advocacy("assess", "permission", "A", "--scope", "basic", "--on", "2020-01-10T08:59:59Z")
    assert "basic: does not count" in earlier[1]


def test_a_pretended_day_is_today(company, advocacy):
    code, out, _ = advocacy("--set", "today=2020-02-01", "assess", "recognition", "A", "--json")

    assert (code, json.loads(out)["occurred_on"]) == (0, "2020-02-01")
    refused = advocacy("--set", "today=2020-02-01", "assess", "recognition", "A", "--on", "2020-02-02")
    assert (refused[0], "2020-02-02 has not come yet" in refused[2]) == (2, True)
    (event,) = list_events(company.services.database)
    assert event.event.occurred_at is not None


def test_an_identity_of_ones_own_is_kept_and_guards_its_content(company):
    services = company.services
    given = {"type": "recognition_received", "account": "A", "attributes": {"item": "mug"}}
    arguments: dict[str, Any] = {"today": services.today, "now": services.now(), "policy": services.mapping.policy}
    arguments["event_id"] = "mug-1"

    assert record(services.database, given, Reader(str), **arguments).is_new
    assert not record(services.database, given, Reader(str), **arguments).is_new
    with pytest.raises(
        RejectedEventError, match="mug-1 is taken by an event that says otherwise about attributes: choose"
    ):
        record(services.database, {**given, "attributes": {"item": "cup"}}, Reader(str), **arguments)


def test_a_prospect_without_any_deal_stands_on_the_ladder(company, advocacy):
    advocacy("assess", "commitment", "P", "needs", "--on", ON)
    advocacy("assess", "commitment", "P", "evaluation", "--on", "2018-01-10")

    code, out, err = advocacy("ladder", "Prospect", "--as-of", "2020-03-01")

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[:2] == ["Prospect  (P)", "prospect: rung 2, Needs"]
    table = [line.split() for line in lines[4:16]]
    assert [row[0] for row in table if row[0].isdigit()] == ["11", "10", "9", "8", "7", "6", "5", "4", "3", "2", "1"]
    assert "customer" in lines[8]
    assert next(row for row in table if row[0] == "2")[1:] == ["Needs", "yes", ON, "2021-01-09", "Needs", "shared"]
    assert next(row for row in table if row[0] == "4")[1:5] == ["Evaluation", "lapsed", "2018-01-10", "2019-01-10"]
    assert lines[17] == "next:"
    assert lines[18].startswith("   3 Project data: Ask for data of a real project")
    assert lines[19].startswith("   1 Attention: ")
    assert lines[-1] == "it lets us do nothing with its name yet"


def test_the_ladder_of_a_customer_tells_evidence_consents_promises_and_uses(company, advocacy):
    for command in (
        ["permission", "A", "--scope", "basic", "--contact", "C1", "--granted-by", "Ada", "--until", "2026-06-10"],
        ["promise", "A", "--scope", "logo", "--opportunity", "D-A"],
        ["use", "A", "--scope", "logo", "--where", "home page"],
    ):
        assert advocacy("assess", *command, "--on", "2025-06-10")[0] == 0
    tell(company, "testimonial_quote", account="M", occurred_on="2025-09-01", title="They saved us")

    answer = json.loads(advocacy("ladder", "A", "--as-of", "2026-02-01", "--json")[1])

    assert (answer["id"], answer["level"], answer["rung"], answer["is_customer"]) == ("A", 9, "testimonial", True)
    assert answer["side"] == "customer"
    assert answer["gaps"] == [1, 2, 3, 4, 5, 6]
    rungs = {one["rung"]: one for one in answer["rungs"]}
    assert [rungs[7][name] for name in ("since", "until", "source", "because")] == [
        "2025-06-01", "2026-06-01", "D-A", "Sale: Deal A",
    ]  # fmt: skip
    assert [rungs[8][name] for name in ("since", "until", "because")] == [
        "2025-06-10",
        "2026-06-10",
        "Permission granted",
    ]
    assert rungs[9]["because"] == "Testimonial quote: They saved us"
    assert [one["side"] for one in answer["rungs"]] == ["prospect"] * 7 + ["customer"] * 4
    assert (answer["permissions"], answer["strongest_permission"]) == (["basic"], "basic")
    assert answer["consents"][0] | {"event": ""} == {
        "scope": "basic", "level": "8a", "holds": True, "since": "2025-06-10", "until": "2026-06-10",
        "ending": "expiry", "contact": "C1", "granted_by": "Ada", "document": None, "event": "",
    }  # fmt: skip
    assert [(one["scope"], one["state"]) for one in answer["promised"]] == [("logo", "overdue")]
    assert [one["reason"] for one in answer["uncovered_uses"]] == ["nobody has granted logo (8h)"]
    assert [one["rung"] for one in answer["coaching"]] == [10, 1, 2, 3, 4, 5, 6]
    assert answer["next_change_on"] == "2026-06-01"
    code, out, _ = advocacy("ladder", "A", "--as-of", "2026-02-01")
    assert code == 0
    assert "customer: rung 9, Testimonial" in out
    assert "used logo on 2025-06-10 without a consent: nobody has granted logo (8h)" in out
    assert "former customer: rung 9, Testimonial" in advocacy("ladder", "A", "--as-of", "2026-06-01")[1]


def test_a_use_without_a_consent_is_logged_and_said(company, advocacy):
    code, out, err = advocacy("assess", "use", "A", "--scope", "8h", "--where", "home page", "--on", ON)

    assert (code, out) == (0, "recorded: Account A: Permission used: logo; where home page\n")
    assert err == "no consent covers this use: nobody has granted logo (8h)\n"
    advocacy("assess", "permission", "A", "--scope", "logo", "--on", "2020-01-01")
    assert advocacy("assess", "use", "A", "--scope", "8h", "--where", "fair", "--on", ON)[2] == ""


def test_a_use_is_checked_before_it_happens(company, advocacy):
    advocacy("assess", "permission", "A", "--scope", "logo", "--on", ON, "--until", "2020-06-10")

    allowed = advocacy("permissions", "check", "A", "8h", "--on", "2020-06-09")
    refused = advocacy("permissions", "check", "A", "logo", "--on", "2020-06-10", "--json")

    assert allowed == (0, "Account A: allowed since 2020-01-10, until 2020-06-10 exclusive\n", "")
    assert (refused[0], json.loads(refused[1])["is_allowed"]) == (4, False)
    assert "Account A may not be used: granted, but expired on 2020-06-10" in refused[2]
    assert not check_permission(company.services, "A", ReferenceScope.LOGO).is_allowed


def test_promised_is_listed_against_delivered_overdue_first(company, advocacy):
    for account, scope, on in (
        ("A", "logo", "2020-01-10"),
        ("B", "basic", "2020-02-10"),
        ("C", "linkedin", "2020-03-01"),
    ):
        advocacy("assess", "promise", account, "--scope", scope, "--opportunity", f"D-{account}", "--on", on)
    advocacy("assess", "permission", "B", "--scope", "basic", "--on", "2020-03-01")

    views = json.loads(advocacy("permissions", "promised", "--as-of", "2020-04-10", "--json")[1])
    late = json.loads(advocacy("permissions", "promised", "A", "--as-of", "2020-04-10", "--json")[1])

    assert [(one["account"], one["scope"], one["state"], one["due_on"]) for one in views] == [
        ("A", "logo", "overdue", "2020-04-09"),
        ("C", "linkedin", "open", "2020-05-30"),
        ("B", "basic", "granted", "2020-05-10"),
    ]
    assert late == views[:1]
    assert [one["opportunity_name"] for one in views] == ["Deal A", "Deal C", "Deal B"]
    code, out, err = advocacy("permissions", "promised", "--as-of", "2020-04-10")
    assert (code, err) == (0, "")
    assert out.splitlines()[1].split()[:4] == ["overdue", "2020-04-09", "Account", "A"]
    assert "nothing was promised" in advocacy("permissions", "promised", "--as-of", "2019-01-01")[2]


def test_the_days_to_keep_a_promise_are_policy(company):
    tell(company, "permission_promised", attributes={"scopes": "logo"}, opportunity="D-A", occurred_on="2026-01-10")
    mapping = company.services.mapping
    commitment = replace(mapping.policy.commitment, promise_days=10)
    hasty = replace(company.services, mapping=replace(mapping, policy=replace(mapping.policy, commitment=commitment)))

    assert [one.promised.state for one in list_promised(company.services)] == ["open"]
    assert [one.promised.state for one in list_promised(hasty)] == ["overdue"]


def test_consents_are_listed_with_scope_person_and_expiry(company, advocacy):
    advocacy("assess", "permission", "A", "--scope", "logo", "--scope", "basic", "--contact", "C1", "--on", ON)
    advocacy("assess", "permission", "M", "--scope", "linkedin", "--on", ON, "--until", "2020-02-10")

    held = json.loads(advocacy("permissions", "list", "--as-of", "2020-03-01", "--json")[1])
    ever = json.loads(advocacy("permissions", "list", "A", "--all", "--as-of", "2020-03-01", "--json")[1])
    logo = json.loads(advocacy("permissions", "list", "--scope", "8h", "--as-of", "2020-03-01", "--json")[1])

    assert [(one["account"], one["scope"], one["contact"]) for one in held] == [
        ("A", "basic", "C1"),
        ("A", "logo", "C1"),
    ]
    assert [(one["scope"], one["holds"]) for one in ever] == [("basic", True), ("linkedin", False), ("logo", True)]
    assert [one["scope"] for one in logo] == ["logo"]
    code, out, err = advocacy("permissions", "list", "--all", "--as-of", "2020-03-01")
    assert (code, err) == (0, "")
    assert [line.split()[2] for line in out.splitlines()[1:]] == ["8a", "8c", "8h"]
    assert "no consent holds" in advocacy("permissions", "list", "--as-of", "2019-01-01")[2]


def test_merged_accounts_speak_for_who_remains_and_deleted_ones_for_nobody(company):
    services = company.services
    for account in ("M", "A", "B", "Unheard"):
        tell(company, "permission_granted", account, attributes={"scopes": "logo"}, contact=account)
    tell(company, "permission_granted", "C", attributes={"scopes": "logo"}, status="claimed")
    company.row("accounts", "B")["is_deleted"] = "true"
    company.sync()

    assert [(one.account, one.consent.contact) for one in list_consents(services)] == [("A", "A"), ("A", "M")]


def test_the_history_of_a_customer_shows_levels_trend_and_staleness(company, advocacy):
    for on, basis in (("2019-09-10", "price"), ("2020-01-10", "features")):
        advocacy("assess", "offer", "A", "--basis", basis, "--by", "Ann", "--on", on)
    advocacy("assess", "person", "A", "--rep", "R1", "--tick", "understands_business", "--on", "2020-01-10")

    shown = json.loads(advocacy("assess", "list", "A", "--as-of", "2020-07-20", "--json")[1])

    assert shown["offer"] == {
        "level": 2, "title": "Features and benefits", "is_stale": True, "rated_on": "2020-01-10", "raters": 1,
        "history": [{"from": "2019-09-10", "level": 1}, {"from": "2020-01-10", "level": 2}],
    }  # fmt: skip
    assert (shown["personal"]["highest"], shown["personal"]["by_rep"][0]["title"]) == (3, "Consultant")
    assert shown["matrix"]["difference"] == -1
    assert [(one["type"], one["counts"], one["is_stale"]) for one in shown["assessments"]] == [
        ("personal_rating", True, True),
        ("offer_rating", True, True),
        ("offer_rating", False, True),
    ]
    code, out, _ = advocacy("assess", "list", "A", "--as-of", "2020-07-20")
    assert code == 0
    assert "offer: 2 Features and benefits, rated 2020-01-10 (so far: 1 > 2); stale, rate it again" in out.splitlines()
    assert "offer: not rated yet" in advocacy("assess", "list", "B")[1]
    assert (
        "offer: not rated since 2020-01-10; rate it again"
        in advocacy("assess", "list", "A", "--as-of", "2022-01-01")[1]
    )


def test_what_ages_says_when_to_ask_again(company):
    """Each kind has days of its own in the policy: 365 for traits and profile, 180 for answer and metric, 90 for usage."""
    for code, attributes in (
        ("reference_traits", {"brand": 3}),
        ("reference_profile", {"industry": "Retail"}),
        ("care_answer", {"bucket": "ok"}),
        ("success_metric", {"owner": "customer", "kind": "profit", "target": "5"}),
        ("usage_report", {"usage_percent": 90}),
        ("attention_given", {}),
    ):
        tell(company, code, attributes=attributes, occurred_on="2024-03-01")

    def stale(day: str) -> set[str]:
        told = list_assessments(company.services, "A", as_of=date.fromisoformat(day))
        return {one.event.type for one in told.assessments if one.is_stale}

    assert stale("2024-05-29") == set()
    assert stale("2024-05-30") == {"usage_report"}
    assert stale("2024-08-27") == {"usage_report"}
    assert stale("2024-08-28") == {"usage_report", "care_answer", "success_metric"}
    assert stale("2025-02-28") == {"usage_report", "care_answer", "success_metric"}
    assert stale("2025-03-01") == {
        "usage_report", "care_answer", "success_metric", "reference_traits", "reference_profile",
    }  # fmt: skip


def test_s1_12_and_the_matrix_over_all_customers(company, advocacy):
    """A at 1/3, B at 1/3 too, C rated for its offer only, P for a person only; M's tokens are A's."""
    code, out, err = advocacy("assess", "recognitions")
    assert (code, out, "nobody received any yet" in err) == (0, "", True)
    for account in ("A", "B", "C"):
        tell(company, "offer_rating", account, attributes={"basis": "price"}, occurred_on="2026-02-01")
    for account in ("A", "B", "P"):
        about = {"rep": "R1", "level": 3, "understands_business": True}
        tell(company, "personal_rating", account, attributes=about, occurred_on="2026-02-01")
    for account, rep, item in (
        ("A", "R1", "mug"),
        ("M", "R1", "pen"),
        ("B", "R1", "mug"),
        ("B", "R2", "mug"),
        ("C", None, "mug"),
    ):
        about = {"item": item} | ({"rep": rep} if rep else {})
        tell(company, "recognition_received", account, attributes=about, occurred_on="2026-02-01")
    company.sync()

    shown = json.loads(advocacy("assess", "matrix", "--offer", "1", "--person", "3", "--json")[1])
    counted = json.loads(advocacy("assess", "recognitions", "--json")[1])

    assert [sum(row) for row in shown["matrix"]] == [0, 2, 0, 0, 0]
    assert shown["matrix"][1] == [0, 0, 0, 2, 0]
    assert (shown["only_offer"], shown["only_personal"]) == ([0, 1, 0, 0, 0], [0, 0, 0, 1, 0])
    assert sorted(one["account"] for one in shown["cell"]["accounts"]) == ["A", "B"]
    assert "leaves with the person" in shown["cell"]["talking_point"]
    assert (counted["received"], counted["reps"]) == (5, [{"rep": "R1", "clients": 2}, {"rep": "R2", "clients": 1}])
    lines = advocacy("assess", "matrix", "--offer", "1", "--person", "3")[1].splitlines()
    assert next(line for line in lines if line.startswith("1 Price")).split() == [
        "1",
        "Price",
        "0",
        "0",
        "0",
        "2",
        "0",
        "1",
    ]
    code, _, err = advocacy("assess", "matrix", "--offer", "1")
    assert (code, "give both --offer and --person" in err) == (2, True)
    assert advocacy("assess", "recognitions")[1].splitlines()[1].split() == ["R1", "2"]

    _, secret = save_key(company.services.database, name="t", scopes=["read"], now=datetime.now(UTC), who="test")
    with TestClient(create_app(company.services), base_url="http://testserver") as client:
        reads = {"headers": {"Authorization": f"Bearer {secret}"}}
        assert client.get("/v1/matrix").status_code == 401
        assert client.get("/v1/matrix?offer=1&personal=3", **reads).json() == shown
        assert client.get("/v1/matrix", **reads).json() == {**shown, "cell": None}
        assert client.get("/v1/matrix?offer=1", **reads).status_code == 422
        assert client.get("/v1/matrix?offer=5&personal=1", **reads).status_code == 422
        assert client.get("/v1/recognitions?as_of=2026-01-31", **reads).json() == {
            "as_of": "2026-01-31", "received": 0, "reps": [],
        }  # fmt: skip
        assert client.get("/v1/recognitions", **reads).json()["reps"] == counted["reps"]


def test_the_same_is_said_over_http(company):
    services = company.services
    tell(company, "permission_granted", attributes={"scopes": ["logo", "basic"]}, occurred_on="2026-02-01")
    tell(company, "permission_promised", attributes={"scopes": "linkedin"}, opportunity="D-A", occurred_on="2026-02-01")
    tell(company, "offer_rating", attributes={"basis": "price"}, occurred_on="2026-02-01")
    _, secret = save_key(services.database, name="t", scopes=["read"], now=datetime.now(UTC), who="test")
    app: Any = create_app(services)

    with TestClient(app, base_url="http://testserver") as client:

        def read(path: str, status: int = 200) -> Any:
            answer = client.get(path, headers={"Authorization": f"Bearer {secret}"})
            assert answer.status_code == status, answer.text
            return answer.json()

        assert client.get("/v1/accounts/A/ladder").status_code == 401
        assert read("/v1/accounts/A/ladder") == show_ladder(services, "A").as_json()
        assert read("/v1/accounts/A/ladder?as_of=2026-01-31")["permissions"] == []
        assert read("/v1/accounts/P/ladder")["level"] == 0
        assert read("/v1/accounts/Nobody/ladder", 404)["title"] == "Not Found"
        assert read("/v1/accounts/A/assessments")["offer"]["level"] == 1
        assert [one["type"] for one in read("/v1/accounts/A/assessments")["assessments"]].count("offer_rating") == 1
        first = read("/v1/permissions?limit=1")
        rest = read(f"/v1/permissions?limit=1&cursor={first['next_cursor']}")
        assert [one["scope"] for one in first["data"] + rest["data"]] == ["basic", "logo"]
        assert rest["next_cursor"] is None
        assert [one["scope"] for one in read("/v1/permissions?scope=logo&account=A")["data"]] == ["logo"]
        assert read("/v1/permissions?scope=lgo", 422)["status"] == 422
        assert [one["state"] for one in read("/v1/permissions/promised")["data"]] == ["open"]
        assert read("/v1/permissions/promised?account=B")["data"] == []
        assert [one["state"] for one in read("/v1/permissions/promised?as_of=2026-06-01")["data"]] == ["overdue"]


def urgent(company: Any) -> list[tuple[str, str]]:
    return [(item["account"], item["title"]) for item in open_day(company.services).as_json()["items"]]


@pytest.mark.parametrize("migrated_database_url", ["sqlite"], indirect=True)
def test_a_single_problem_is_closed_and_all_others_stay_open(company, advocacy):
    for title in ("slow", "down"):
        advocacy("assess", "problem", "A", "complaint", "--title", title, "--on", ON)
    assert sorted(urgent(company)) == [("A", "down"), ("A", "slow")]

    refused = advocacy("assess", "problem", "A", "complaint", "--closed", "2020-01-12")
    assert (refused[0], "advocacy assess close EVENT" in refused[2], len(urgent(company))) == (2, True, 2)
    early = advocacy("assess", "problem", "A", "complaint", "--title", "slow", "--on", ON, "--closed", "2020-01-09")
    assert (early[0], "lies before the day it began" in early[2]) == (2, True)

    for is_new in (True, False):
        closed = advocacy("assess", "problem", "A", "complaint", "--title", "slow", "--closed", "2020-01-12", "--json")
        assert (closed[0], json.loads(closed[1])["type"], json.loads(closed[1])["added"]) == (
            0,
            "problem_closed",
            is_new,
        )
        assert urgent(company) == [("A", "down")]

    (item,) = open_day(company.services).as_json()["items"]
    unknown = advocacy("assess", "close", "nothing", "--on", ON)
    assert (unknown[0], item["event"] in unknown[2]) == (2, True)
    assert advocacy("assess", "close", item["event"], "--note", "patched", "--on", ON)[0] == 0
    assert urgent(company) == []
    assert len(stored(company, "complaint")) == 2


def test_a_file_or_a_program_closes_what_it_opened_by_its_own_id(company):
    services = company.services
    with TestClient(create_app(services), base_url="http://testserver") as client:
        _, secret = save_key(services.database, name="w", scopes=("events:write",), now=services.now(), who="t")
        head = {"Authorization": f"Bearer {secret}"}

        def send(**event: Any) -> Any:
            full = {"source_system": "desk", "account": "A", "occurred_on": ON, **event}
            return client.post("/v1/events", json={"events": [full]}, headers=head).json()

        send(source_event_id="7", type="escalation", title="down")
        send(source_event_id="8", type="escalation", title="slow")
        assert len(urgent(company)) == 2
        send(source_event_id="9", type="problem_closed", attributes={"event": "7"})
        assert urgent(company) == [("A", "slow")]


def test_a_basis_without_its_signal_is_recorded_lower_and_said(company, advocacy):
    code, out, err = advocacy("assess", "offer", "A", "--basis", "tco", "--on", ON)

    assert (code, "2 Features and benefits" in out) == (0, True)
    assert "recorded as level 2: 4 takes a signal: --pays-premium, or --calls-first together with --last-chance" in err
    assert advocacy("assess", "offer", "A", "--basis", "tco", "--pays-premium", "--on", ON)[2] == ""
    assert "offer: 4 Total cost of ownership, rated 2020-01-10" in advocacy("assess", "list", "A", "--as-of", ON)[1]


def test_the_last_word_of_a_pretended_day_counts(company):
    day, services = D("2020-02-01"), company.services
    for hour, code in ((8, "permission_granted"), (9, "permission_revoked"), (10, "permission_granted")):
        attributes = {"scopes": ["logo"]}
        given = {"type": code, "account": "A", "attributes": attributes}
        now = datetime(2026, 3, 1, hour, tzinfo=UTC)
        record(services.database, given, Reader(str), today=day, now=now, policy=services.mapping.policy)
        held = [one.consent.scope for one in list_consents(services, "A", as_of=day)]
        assert held == ([] if code == "permission_revoked" else [ReferenceScope.LOGO]), hour


def test_a_promise_in_a_deal_that_is_not_theirs_is_told(company, advocacy):
    promise = ("assess", "promise", "A", "--scope", "logo", "--on", ON, "--opportunity")

    assert advocacy(*promise, "D-A")[2] == ""
    assert "no deal D-X is known" in advocacy(*promise, "D-X")[2]
    assert "the deal D-B is one of Account B" in advocacy(*promise, "D-B")[2]
    use = ("assess", "use", "A", "--scope", "logo", "--on", ON, "--opportunity")
    assert "no deal A is known: is it the id of an opportunity?" in advocacy(*use, "A")[2]
    assert "deal" not in advocacy(*use, "D-B")[2]
