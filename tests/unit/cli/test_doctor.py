"""`doctor` without `--live` and `mapping check` without an org: what can be told with nobody to talk to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.bootstrap import build_services
from app.cli import main
from app.cli.mapping import compare_with_crm
from app.config import SECRETS, load_settings
from app.errors import MappingError
from app.sync.run import run_sync

SHIPPED = Path(__file__).resolve().parents[3] / "mappings"


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    structlog.reset_defaults()


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, Any]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0), json.loads(capsys.readouterr().out)


def about_crm(found: Any) -> Any:
    (finding,) = [each for each in found if each["subject"] == "crm"]
    return finding


def test_without_credentials_it_says_what_is_missing_and_what_to_set(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(capsys, "doctor", "--json")

    assert (code, about_crm(found)["level"]) == (2, "error")
    assert "no credentials; give client_id and client_secret" in about_crm(found)["message"]
    assert "ADVOCACY_SALESFORCE_" in about_crm(found)["action"]
    assert {each["level"] for each in found if each["subject"] in ("database", "mapping")} == {"ok"}


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_in_a_file_that_others_can_read_is_told(
    name: str, capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    secret = own_folder / "secret"
    secret.write_text("sqlite:///a.db" if name == "database_url" else "whsec_" + "A" * 32)
    told = {}
    for mode in (0o644, 0o600):
        secret.chmod(mode)
        _, found = run(capsys, "--set", f"{name}_file={secret}", "doctor", "--json")
        told[mode] = [each["action"] for each in found if each["subject"] == "secrets"]

    assert told == {0o644: [f"chmod 600 {secret}"], 0o600: []}


def test_half_of_the_credentials_is_not_enough(capsys: pytest.CaptureFixture[str]) -> None:
    code, found = run(capsys, "--set", "salesforce_client_secret=s", "doctor", "--json")

    assert code == 2
    assert "client_id is missing" in about_crm(found)["message"]
    assert "My Domain" in about_crm(found)["message"]


def test_with_all_that_connecting_needs_nobody_is_called_and_it_is_fine(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--set", "salesforce_access_token=t", "--set", "salesforce_instance_url=http://127.0.0.1:9"]

    code, found = run(capsys, *options, "doctor", "--json")

    assert (code, about_crm(found)["level"]) == (0, "ok")


def test_a_folder_that_is_not_there_is_an_error_and_one_that_is_there_is_fine(
    capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    absent = run(capsys, "--set", "crm=files", "--set", "files_dir=exports", "doctor", "--json")
    unset = run(capsys, "--set", "crm=files", "doctor", "--json")
    (own_folder / "exports").mkdir()
    (own_folder / "exports" / "accounts.csv").write_text("id,name\nA,Alpha\n")
    there = run(capsys, "--set", "crm=files", "--set", "files_dir=exports", "doctor", "--json")

    assert [code for code, _ in (absent, unset, there)] == [2, 2, 0]
    assert "ADVOCACY_FILES_DIR" in about_crm(unset[1])["message"]
    assert about_crm(there[1])["level"] == "ok"


def test_a_mapping_for_a_crm_that_nobody_can_talk_to_is_refused_without_an_org(
    capsys: pytest.CaptureFixture[str], own_folder: Path
) -> None:
    text = (SHIPPED / "salesforce.yaml").read_text("utf-8")
    (own_folder / "m.yaml").write_text(text.replace("crm: salesforce", "crm: salesfroce"), "utf-8")

    code, answer = run(capsys, "mapping", "check", "m.yaml", "--json")

    (problem,) = answer["problems"]
    assert (code, answer["valid"], problem["code"]) == (2, False, "ADV-MAP-032")
    assert "did you mean 'salesforce'" in problem["hint"]
    assert text.splitlines()[problem["line"] - 1] == "crm: salesforce"
    assert problem["column"] == 6


def test_a_folder_hides_nothing_from_any_user(own_folder: Path) -> None:
    (own_folder / "accounts.csv").write_text("id\nA\n")
    (own_folder / "opportunities.csv").write_text("id,account_id\nO,A\n")
    services = build_services(load_settings(crm="files", files_dir=str(own_folder)))
    connector = services.connect()

    with pytest.raises(MappingError) as refused:
        compare_with_crm(services, services.mapping, connector)
    with pytest.raises(MappingError) as stopped:
        run_sync(services)
    services.database.close()

    for error in (refused, stopped):
        messages = [problem.message for problem in error.value.problems]
        assert "field close_date does not exist on opportunities" in messages
        assert not any("user" in message or "hidden" in message for message in messages)
