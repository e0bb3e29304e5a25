"""What `advocacy why`, `advocacy runs diff` and `/v1/accounts/ID/changes` print about one changed night."""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest
import structlog
from companies import TOKEN, build_company
from starlette.testclient import TestClient

from app.cli import main
from app.errors import ConfigError
from app.mapping.policy import apply_policy_overrides, policy_version
from app.store.keys import save_key
from app.sync.why import read_since
from app.web.api import create_app
from connectors.salesforce.sandbox import Org, Sandbox

ORG = "https://example.my.salesforce.com"


@pytest.fixture
def company(migrated_database_url):
    with Sandbox(Org(), token=TOKEN) as sandbox:
        built = build_company(sandbox, migrated_database_url)
        built.sync()
        built.org.update("Opportunity", built.ids["D-Y"], {"Amount": 260_000})
        built.refer("A-Y", "A", "Y")
        built.sync()
        yield built
        built.services.database.close()


@pytest.fixture
def advocacy(company, capsys, tmp_path, monkeypatch):
    """`advocacy(*arguments)` -> (exit code, stdout, stderr)."""
    root = logging.getLogger()
    before, level = root.handlers[:], root.level
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        given = ["--set", f"database_url={company.services.settings.database_url}"]
        with pytest.raises(SystemExit) as ended:
            main([*given, "--set", f"salesforce_instance_url={ORG}", *arguments])
        return (ended.value.code, *capsys.readouterr())

    yield run
    root.handlers[:] = before
    root.setLevel(level)
    structlog.reset_defaults()


def test_why_says_each_reason_in_words_and_what_it_moved(advocacy):
    code, out, err = advocacy("why", "B", "--since", "1")

    lines = out.splitlines()
    assert (code, err) == (0, "")
    assert lines[1] == "from run 1 of 2026-03-01 to run 2 of 2026-03-01"
    assert "total 280,000 -> 160,000 USD (-120,000)" in lines
    assert "direct 30,000 -> 30,000 USD" in lines
    assert [line.split()[:2] for line in lines if "D-Y" in line] == [
        ["co_referrer", "-130,000"],
        ["opportunity_changed", "+10,000"],
    ]
    assert lines[-2:] == [
        "co_referrer: another account's referral of the same opportunity came or went",
        "opportunity_changed: the amount, date, type, people or account of an opportunity changed",
    ]


def test_why_as_json_carries_every_measure_of_every_part(advocacy, company):
    code, out, _ = advocacy("why", company.ids["A"], "--since", "2026-03-01", "--json")
    _, since_first, _ = advocacy("why", "A", "--since", "1", "--json")

    assert code == 0
    assert json.loads(out)["parts"] == []
    answer = json.loads(since_first)
    (part,) = answer["parts"]
    assert (part["cause"], part["amounts"]["total"], part["opportunity_name"]) == ("referral_added", "130000.00", "D-Y")
    assert (part["event"], part["event_title"], part["occurred_on"]) == ("test/A-Y", "referral", "2025-02-01")
    assert part["opportunity_url"] == f"{ORG}/lightning/r/Opportunity/{company.ids['D-Y']}/view"
    assert (answer["id"], answer["since"]["run_id"], answer["until"]["run_id"]) == (company.ids["A"], 1, 2)
    for measure, moved in answer["change"].items():
        assert Decimal(answer["after"][measure]) - Decimal(answer["before"][measure]) == Decimal(moved)
        assert sum(Decimal(one["amounts"][measure]) for one in answer["parts"]) == Decimal(moved)


def test_two_runs_are_compared_by_cause_and_by_account(advocacy):
    code, out, err = advocacy("runs", "diff", "1", "2", "--top", "2")

    assert (code, err) == (0, "")
    assert "direct 420,000 -> 430,000 USD (+10,000)" in out
    assert "and 1 account more" in out
    _, plain, _ = advocacy("runs", "diff", "1", "2", "--json")
    diff = json.loads(plain)
    assert [one["name"] for one in diff["accounts"]] == ["A", "B", "Y"]
    assert {one["cause"]: one["amounts"]["referred"] for one in diff["causes"]} == {
        "referral_added": "130000.00",
        "co_referrer": "-130000.00",
        "opportunity_changed": "10000.00",
    }


def test_equal_runs_have_nothing_to_tell(advocacy):
    for arguments in (("runs", "diff", "2", "2"), ("why", "X", "--since", "1")):
        code, out, _ = advocacy(*arguments)

        assert code == 0
        assert "nothing moved in between" in out


def test_a_changed_policy_is_named(advocacy, company):
    mapping = company.services.mapping
    policy = apply_policy_overrides(mapping.policy, ["split=first", "window_days=400", "credited_types=new,unknown"])
    changed = replace(mapping, policy=policy, policy_version=policy_version(policy))
    company.services = replace(company.services, mapping=changed)
    company.sync()

    _, out, _ = advocacy("runs", "diff", "2", "3")

    assert [line for line in out.splitlines() if line.startswith("policy ") and "->" in line] == [
        "policy credited_types: new, unknown, upsell -> new, unknown",
        "policy split: equal -> first",
        "policy window_days: 365 -> 400",
    ]
    assert "policy: the rules for credit changed" in out


@pytest.mark.parametrize(
    "arguments",
    [
        ("why", "B"),
        ("why", "B", "--since", "yesterday"),
        ("why", "B", "--since", "2026-02-30"),
        ("why", "B", "--since", "77"),
        ("why", "B", "--since", "2020-01-01"),
        ("why", "Nobody", "--since", "1"),
        ("runs", "diff", "1"),
        ("runs", "diff", "2", "1"),
        ("runs", "diff", "1", "77"),
    ],
)
def test_what_cannot_be_compared_is_code_2_and_nothing_on_stdout(advocacy, arguments):
    code, out, err = advocacy(*arguments)

    assert (code, out) == (2, "")
    assert err.strip()
    assert "Traceback" not in err


def test_the_same_answer_over_http(company):
    services = company.services
    _, secret = save_key(services.database, name="t", scopes=["read"], now=datetime.now(UTC), who="t")
    headers = {"Authorization": f"Bearer {secret}"}
    path = f"/v1/accounts/{company.ids['A']}/changes"
    with TestClient(create_app(services, on_delivery=lambda: None), raise_server_exceptions=False) as client:

        def ask(since, **more):
            return client.get(path, params={"since": since}, **more)

        assert ask("1").status_code == 401
        answer = ask("1", headers=headers)
        assert answer.json()["change"]["total"] == "130000.00"
        assert answer.json()["parts"][0]["cause"] == "referral_added"
        codes = [
            ask(since, headers=headers).status_code for since in ("77", "2020-01-01", "soon", "2026-02-30", "9" * 11)
        ]
        assert codes == [404, 404, 422, 422, 422]
        assert client.get("/v1/accounts/nobody/changes?since=1", headers=headers).status_code == 404
        assert client.get(path, headers=headers).status_code == 422


@pytest.mark.parametrize("text", ["", "١٢", "-1", "1.5", "2026-3", "2026-03-01T00", "9999999999"])
def test_only_a_day_or_a_number_is_a_beginning(text):
    with pytest.raises(ConfigError, match="neither a date"):
        read_since(text)


def test_a_beginning_is_a_run_or_a_day():
    assert (read_since("17"), read_since("2026-03-31")) == (17, date(2026, 3, 31))
