"""The first five minutes: one command, a table, and three commands that work as printed."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import urllib.request
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]


def commands_of(text: str) -> list[list[str]]:
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith("  advocacy ")]


def test_the_demo_puts_customer_b_above_customer_a(demo: Any) -> None:
    _, answer = demo

    assert answer.code == 0, answer.err
    assert re.search(r"Customer B +280,000 USD +30,000 +250,000", answer.out)
    assert re.search(r"Customer A +140,000 USD +100,000 +40,000", answer.out)
    assert answer.out.index("Customer B ") < answer.out.index("Customer A ")
    assert "wrote 44 accounts" in answer.out
    assert "\x1b" not in answer.out


def test_the_commands_it_prints_work_as_printed(demo: Any) -> None:
    shell, answer = demo
    explain, triage, plan, serve = commands_of(answer.out)

    explained, day, planned = shell.run(*explain), shell.run(*triage), shell.run(*plan)

    assert explained.code == 0, explained.err
    assert "Called Fairmantle's head of operations" in explained.out
    assert day.out.index("Customer B") < day.out.index("Customer A")
    assert (planned.code, planned.out) == (0, "Nothing to write: the CRM shows what it should.\n")
    with shell.start(*serve, "--port", "0") as running:
        url = running.next_line()
        with urllib.request.urlopen(f"{url}/") as page:
            text = page.read().decode()
        assert text.index("Customer B") < text.index("Customer A")
        assert running.stop(signal.SIGTERM) == 0


def test_s4_02_the_day_of_the_demo_flips_customers_a_and_b(demo: Any) -> None:
    shell, _ = demo

    day, told = shell.run("triage", "--hours", "6", "--json"), shell.run("triage", "--hours", "6")

    assert (day.code, told.code) == (0, 0), day.err
    places = {item["name"]: (item["place"], item["place_by_spend"]) for item in day.json["items"]}
    assert (places["Customer B"], places["Customer A"]) == ((2, 3), (3, 2))
    sentence = "Customer A looks 3.33 times Customer B on spend; on total value Customer A is 0.5 of Customer B"
    assert [flip["sentence"] for flip in day.json["flips"]] == [sentence]
    assert f"{sentence}.\n" in told.out
    assert "Served because total value decides: Customer B" in told.out


def test_the_demo_may_be_repeated(demo: Any) -> None:
    shell, _ = demo

    again = shell.run("demo", "--json")

    assert again.code == 0, again.err
    assert again.json["events_added"] == 0
    assert again.json["run"]["counts"]["written"] == 0
    assert again.json["accounts"][0]["name"] == "Customer B"


def block_under(heading: str) -> list[list[str]]:
    """The commands of the first block of code under a heading of the README."""
    text = (PROJECT / "README.md").read_text("utf-8").partition(f"\n## {heading}\n")[2]
    return [shlex.split(line)[1:] for line in text.split("```")[1].splitlines() if line.startswith("advocacy ")]


@pytest.mark.parametrize("heading", ["The human half", "References", "One call a day"])
def test_the_commands_of_the_readme_work_on_the_demo(demo: Any, tmp_path: Any, heading: str) -> None:
    shell, _ = demo
    for file in shell.folder.glob("advocacy-demo*"):
        shutil.copy(file, tmp_path)
    own, commands = type(shell)(tmp_path), block_under(heading)

    assert len(commands) > 5
    for command in commands:
        answer = own.run(*command)
        # A permission that is not there is code 4: the command answers what it was asked.
        assert answer.code == (4 if command[:2] == ["permissions", "check"] else 0), (command, answer.err)


def test_s3_12_prospects_of_the_demo_resemble_customers_who_need_us(demo: Any) -> None:
    shell, _ = demo

    found = {one["name"]: one for one in shell.run("lookalikes", "--json").json}

    assert {name: one["resembles_name"] for name, one in found.items()} == {
        "Harrowdene Growers": "Customer B",
        "Coldbrook Nurseries": "Solmarine Orchards",
    }
    assert found["Harrowdene Growers"]["reasons"] == [
        "reason: less waste, planning",
        "industry: Agriculture",
        "size: large",
    ]


def test_the_demo_keeps_away_from_what_is_really_set_up(demo: Any) -> None:
    shell, _ = demo
    real = type(shell)(shell.folder, {"ADVOCACY_DATABASE_URL": "sqlite:///real.db", "ADVOCACY_CRM": "salesforce"})

    answer = real.run("demo")

    assert answer.code == 0, answer.err
    assert not (shell.folder / "real.db").exists()
    assert commands_of(answer.out)[0] == ["--demo", "explain", "Customer B"]
    assert real.run(*commands_of(answer.out)[0]).code == 0
    assert not (shell.folder / "real.db").exists()


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("Customer A", ("100000.00", "40000.00", "140000.00")),
        ("Customer B", ("30000.00", "250000.00", "280000.00")),
        ("Norwick Pumps Group", ("40000.00", "30000.00", "70000.00")),
        ("Hollowell Press", ("40000.00", "27500.00", "67500.00")),
        ("Brunnental Maschinenbau", ("62500.00", "30000.00", "92500.00")),
        ("Lindenfall Leasing", ("44000.00", "0.00", "44000.00")),
    ],
)
def test_merges_refunds_currencies_groups_and_contacts_come_out_right(demo: Any, name: str, numbers: Any) -> None:
    shell, _ = demo

    answer = shell.run("explain", name, "--json")

    assert answer.code == 0, answer.err
    assert tuple(answer.json[key] for key in ("direct", "referred", "total")) == numbers
    lines = [line for line in answer.json["lines"] if line["measure"] in {"direct", "referred"}]
    assert sum(round(float(line["amount"]) * 100) for line in lines) == round(float(numbers[2]) * 100)


def test_the_same_answers_come_as_a_list_for_programs(demo: Any) -> None:
    shell, _ = demo

    accounts = shell.run("accounts", "--json").json

    assert [account["rank"] for account in accounts[:3]] == [1, 2, 3]
    keys = [
        "id",
        "name",
        "rank",
        "currency",
        "direct",
        "referred",
        "total",
        "conserved",
        "given",
        "network",
        "influence",
    ]
    keys += ["touched", "pipeline", "group_direct", "group_referred", "issues"]
    assert set(keys) <= set(accounts[0])
    assert len(shell.run("accounts", "--top", "5", "--json").json) == 5
    before = shell.run("accounts", "--as-of", "2024-12-31", "--json").json
    b = next(account for account in before if account["name"] == "Customer B")
    assert b["total"] == "30000.00"


def test_the_crm_is_set_up_once_and_written_in_full(demo: Any, tmp_path: Any) -> None:
    shell, _ = demo
    for file in shell.folder.glob("advocacy-demo*"):
        shutil.copy(file, tmp_path)
    own = type(shell)(tmp_path)

    checked = own.run("crm", "setup", "--check")
    refused = own.run("crm", "setup")
    created = own.run("crm", "setup", "--yes", "--json")

    assert (checked.code, refused.code, created.code) == (10, 2, 0), created.err
    assert "would be created" in checked.out
    assert own.run("crm", "setup", "--check").out.endswith("Everything is in place.\n")
    assert own.run("sync", "--json").json["counts"]["written"] > 0
    assert own.run("plan", "--exit-code").code == 0


def test_a_mapping_is_proposed_and_fits(demo: Any) -> None:
    shell, _ = demo

    first = shell.run("mapping", "init", "--out", "proposed/salesforce.yaml")
    again = shell.run("mapping", "init", "--out", "proposed/salesforce.yaml")

    assert first.code == 0, first.err
    assert again.code == 2
    assert shell.run("mapping", "check", "proposed/salesforce.yaml", "--live").code == 0
    preview = shell.run("mapping", "preview", "--account", shell.run("accounts", "--json").json[0]["id"], "--json")
    assert preview.json["read"]["name"] == preview.json["crm"]["Name"] == "Customer B"


def test_a_doctor_finds_nothing_wrong(demo: Any) -> None:
    shell, _ = demo

    answer = shell.run("doctor", "--live", "--json")

    assert answer.code == 0, answer.out
    assert {finding["level"] for finding in answer.json} <= {"ok", "warning"}
    assert shell.run("mapping", "check", "--live").code == 0
