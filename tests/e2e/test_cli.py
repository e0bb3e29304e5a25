"""Exit codes, results on stdout and messages on stderr: what scripts rely on."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HEADER = "source_system,source_event_id,type,occurred_on,account,referred_account\n"
A, B = "001000000000001AAA", "001000000000002AAA"


def test_help_is_complete(shell: Any) -> None:
    answer = shell.run("--help")

    assert answer.code == 0
    for name in ("demo", "init", "doctor", "config", "version", "errors", "mapping", "events", "plan", "apply", "sync"):
        assert f"  {name} " in answer.out
    for name in (
        "accounts",
        "explain",
        "portfolio",
        "runs",
        "webhooks",
        "sandbox",
        "serve",
        "worker",
        "schedule",
        "db",
    ):
        assert f"  {name} " in answer.out
    for name in ("keys", "ladder", "assess", "permissions"):
        assert f"  {name} " in answer.out


@pytest.mark.parametrize("arguments", [["nonsense"], ["--set", "schedule=never", "accounts"], ["explain", "Nobody"]])
def test_what_cannot_be_meant_is_code_2_and_no_traceback(shell: Any, arguments: list[str]) -> None:
    answer = shell.run(*arguments)

    assert (answer.code, answer.out) == (2, "")
    assert answer.err.strip()
    assert "Traceback" not in answer.err


def test_a_bad_mapping_is_shown_with_its_place(shell: Any) -> None:
    (shell.folder / "bad.yaml").write_text("version: 1\ncrm: salesforce\naccuonts: {}\n")

    answer = shell.run("mapping", "check", "bad.yaml")

    assert answer.code == 2
    assert "bad.yaml:3:1" in answer.err
    assert "did you mean 'accounts'" in answer.err
    assert "^^^^^^^^" in answer.err
    problems = shell.run("mapping", "check", "bad.yaml", "--json")
    assert (problems.code, problems.json["valid"]) == (2, False)


def test_a_crm_that_is_away_is_code_5(shell: Any) -> None:
    away = type(shell)(
        shell.folder,
        {"ADVOCACY_SALESFORCE_INSTANCE_URL": "http://127.0.0.1:9", "ADVOCACY_SALESFORCE_ACCESS_TOKEN": "t"},
    )

    for arguments in (["plan"], ["sync"], ["doctor", "--live"]):
        answer = away.run(*arguments)
        assert answer.code == 5, answer.err
        assert "Traceback" not in answer.err


def test_a_wrong_token_is_code_5(sandbox: Any) -> None:
    shell = sandbox()
    wrong = type(shell)(shell.folder, {**shell.settings, "ADVOCACY_SALESFORCE_ACCESS_TOKEN": "wrong"})

    assert wrong.run("plan").code == 5


def test_missing_credentials_are_code_2(shell: Any) -> None:
    answer = shell.run("plan")

    assert answer.code == 2
    assert "credentials" in answer.err


def write_org(folder: Path) -> None:
    """Customers A and B, and whom they brought."""
    (folder / "org").mkdir()
    accounts = "Id,Name\n" + "".join(f"00100000000000{n}AAA,{name}\n" for n, name in enumerate("ABXY", start=1))
    (folder / "org/Account.csv").write_text(accounts)
    rows = [
        ("1", A, 100_000),
        ("2", B, 30_000),
        ("3", "001000000000003AAA", 40_000),
        ("4", "001000000000004AAA", 250_000),
    ]
    deals = "".join(
        f"00600000000000{n}AAA,{account},Deal {n},{amount},Closed Won,2025-06-30,2025-05-01T09:00:00.000Z,New Business\n"
        for n, account, amount in rows
    )
    (folder / "org/Opportunity.csv").write_text(
        "Id,AccountId,Name,Amount,StageName,CloseDate,CreatedDate,Type\n" + deals
    )
    events = (
        HEADER
        + f"hub,r1,referral,2025-04-01,{A},001000000000003AAA\nhub,r2,referral,2025-04-01,{B},001000000000004AAA\n"
    )
    (folder / "events.csv").write_text(events)


def test_the_seed_from_import_to_write_back_to_undo(sandbox: Any, shell: Any) -> None:
    write_org(shell.folder)
    shell = sandbox("--data", "org")

    imported = shell.run("events", "import", "events.csv", "--json")
    planned = shell.run("plan", "--exit-code", "--json", "--out", "plan.json")
    applied = shell.run("apply", "plan.json", "--json")
    again = shell.run("plan", "--exit-code", "--json")
    accounts = {account["name"]: account for account in shell.run("accounts", "--json").json}

    assert (imported.code, imported.json["added"]) == (0, 2)
    assert planned.code == 10, planned.err
    assert planned.json["counts"]["update"] == 4
    assert applied.code == 0, applied.err
    assert (applied.json["status"], applied.json["counts"]["written"]) == ("ok", 4)
    assert again.code == 0, again.out
    assert (accounts["A"]["total"], accounts["B"]["total"]) == ("140000.00", "280000.00")
    undone = shell.run("runs", "undo", str(applied.json["run_id"]), "--json")
    assert undone.code == 0, undone.err
    assert undone.json["counts"]["written"] == 4


def test_a_plan_that_no_longer_holds_is_not_applied(sandbox: Any, shell: Any) -> None:
    write_org(shell.folder)
    shell = sandbox("--data", "org")
    first = shell.run("plan", "--out", "plan.json")
    shell.run("events", "import", "events.csv")

    answer = shell.run("apply", "plan.json")

    assert first.code == 0, first.err
    assert answer.code == 1
    assert "no longer holds" in answer.err
    assert shell.run("apply").code == 2


def test_bad_rows_are_listed_and_the_others_taken(shell: Any) -> None:
    rows = f"hub,e1,referral,2026-01-01,{A},{B}\nhub,e2,referral,soon,{A},{B}\nhub,e3,referral,2026-01-01,xx,{B}\n"
    (shell.folder / "events.csv").write_text(HEADER + rows)

    first = shell.run("events", "import", "events.csv")
    again = shell.run("events", "import", "-", "--json", stdin=HEADER + rows)

    assert first.code == 3
    assert first.out == "1 added, 0 known already, 2 rejected\n"
    assert "line 3: occurred_on" in first.err
    assert "line 4: account" in first.err
    assert again.json["duplicate"] == 1
    assert [row["line"] for row in again.json["rejected"]] == [3, 4]


def test_events_go_out_as_they_came_in(shell: Any) -> None:
    rows = [
        {"source_system": "hub", "source_event_id": "1", "type": "nps_response", "occurred_on": "2026-01-01", "account": A,
         "attributes": {"score": 9}, "title": 'quote " and, comma'},
        {"source_system": "hub", "source_event_id": "2", "type": "referral", "occurred_on": "2026-01-02", "account": A,
         "referred_domain": "example.com", "share_percent": 50},
    ]  # fmt: skip
    (shell.folder / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert shell.run("events", "import", "events.jsonl").code == 0

    for file in ("out.csv", "out.jsonl"):
        assert shell.run("events", "export", "--out", file, "--format", file.partition(".")[2]).code == 0
        back = shell.run("events", "import", file, "--json")
        assert (back.code, back.json["duplicate"], back.json["conflicts"]) == (0, 2, [])


def test_an_event_added_by_hand_is_listed(shell: Any) -> None:
    answer = shell.run("events", "add", "referral", "--account", A[:15], "--referred-account", B, "--id", "x", "--json")

    assert answer.json["added"] == 1
    assert shell.run("events", "add", "referral", "--account", A, "--referred-account", B, "--id", "x").code == 0
    rejected = shell.run("events", "reject", "x", "--reason", "a partner", "--who", "ann", "--json").json
    assert [(one["event_id"], one["was"], one["status"], one["who"], one["reason"]) for one in rejected] == [
        ("cli/x", "verified", "rejected", "ann", "a partner")
    ]
    assert "cli/x: rejected already" in shell.run("events", "reject", "cli/x").out
    assert shell.run("events", "list", "--status", "claimed", "--json").json == []
    assert shell.run("events", "verify", "cli/x").out == "cli/x: rejected -> verified\n"
    listed = shell.run("events", "list", "--account", A, "--json").json
    assert [(event["account"], event["source_event_id"]) for event in listed] == [(A, "x")]


def test_keys_and_secrets_are_printed_once(shell: Any) -> None:
    added = shell.run("keys", "add", "reporting", "--scope", "read,events:write", "--json").json
    listed = shell.run("keys", "list", "--json")

    assert added["secret"].startswith("advk_")
    assert added["secret"] not in listed.out
    assert listed.json[0]["scopes"] == ["events:write", "read"]
    assert shell.run("keys", "revoke", added["key_id"]).code == 0
    assert shell.run("keys", "revoke", added["key_id"]).code == 2
    assert shell.run("webhooks", "secret").out.startswith("whsec_")


def test_secrets_are_masked_wherever_settings_are_shown(shell: Any) -> None:
    secret = type(shell)(shell.folder, {"ADVOCACY_SALESFORCE_CLIENT_SECRET": "hunter2hunter2"})

    answer = secret.run("config", "show", "--origin", "--json")

    assert "hunter2" not in answer.out + answer.err
    row = next(row for row in answer.json if row["name"] == "ADVOCACY_SALESFORCE_CLIENT_SECRET")
    assert (row["value"], row["origin"]) == ("***", "environment")


def test_a_folder_is_set_up_once(shell: Any) -> None:
    first, second = shell.run("init"), shell.run("init")

    assert first.code == 0
    assert (shell.folder / "advocacy.toml").exists()
    assert (shell.folder / "mappings/salesforce.yaml").exists()
    assert second.out.count("left alone") == 2
    assert shell.run("mapping", "check").out.startswith("mappings/salesforce.yaml: fine")


def test_the_schema_is_upgraded_and_named(shell: Any) -> None:
    assert shell.run("db", "current", "--json").json["up_to_date"] is False
    assert shell.run("db", "upgrade").code == 0
    assert shell.run("db", "current", "--json").json["up_to_date"] is True


def test_a_closed_pipe_is_no_accident(shell: Any) -> None:
    command = f"{sys.executable} -m app events types --json | true"

    done = subprocess.run(["sh", "-c", command], env=shell.environment, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


def test_a_sandbox_keeps_its_org_in_a_file(shell: Any) -> None:
    for _ in range(2):
        with shell.start("sandbox", "--port", "0", "--state", "org.json") as running:
            assert "listens on http://127.0.0.1:" in running.next_line()
            assert running.stop(signal.SIGTERM) == 0
    assert (shell.folder / "org.json").exists()


def test_a_port_in_use_is_explained(shell: Any) -> None:
    with shell.start("sandbox", "--port", "0", "--json") as running:
        port = json.loads(running.next_line())["url"].rpartition(":")[2]

        for command in ("sandbox", "serve"):
            answer = shell.run(command, "--port", port)
            assert answer.code == 2, answer.err
            assert f"port {port}" in answer.err
