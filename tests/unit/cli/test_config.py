"""Settings: where they come from, what is refused, and that secrets stay secret."""

from __future__ import annotations

import base64
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from app.config import (
    Settings,
    check_url,
    default_mapping_path,
    describe_settings,
    is_loopback,
    load_settings,
    mask_url,
    read_schedule,
    read_webhook_key,
)
from app.errors import ConfigError

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def origin_of(settings: Settings, name: str) -> str:
    return next(origin for row, _, origin in describe_settings(settings) if row == f"ADVOCACY_{name.upper()}")


def value_of(settings: Settings, name: str) -> str:
    return next(value for row, value, _ in describe_settings(settings) if row == f"ADVOCACY_{name.upper()}")


def test_without_anything_the_defaults_hold() -> None:
    settings = load_settings()

    assert settings.database_url == "sqlite:///advocacy.db"
    assert settings.crm == "salesforce"
    assert settings.look_back_seconds == 900
    assert origin_of(settings, "crm") == "default"


def test_a_flag_beats_the_environment_beats_dotenv_beats_the_settings_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("advocacy.toml").write_text('crm = "toml"\nlook_back_seconds = 1\nlease_seconds = 11\nschedule = "off"\n')
    Path(".env").write_text("ADVOCACY_CRM=dotenv\nADVOCACY_LOOK_BACK_SECONDS=2\nADVOCACY_LEASE_SECONDS=12\n")
    monkeypatch.setenv("ADVOCACY_CRM", "environment")
    monkeypatch.setenv("ADVOCACY_LOOK_BACK_SECONDS", "3")

    settings = load_settings(crm="flag")

    assert (settings.crm, settings.look_back_seconds, settings.lease_seconds, settings.schedule) == (
        "flag",
        3,
        12,
        "off",
    )
    names = ("crm", "look_back_seconds", "lease_seconds", "schedule", "files_dir")
    origins = [origin_of(settings, name) for name in names]
    assert origins == ["flag", "environment", ".env", "settings file", "default"]


def test_tables_of_the_settings_file_are_name_prefixes() -> None:
    Path("advocacy.toml").write_text('[salesforce]\nusername = "sync@acme.example"\n[web]\nport = 9000\n')

    settings = load_settings()

    assert (settings.salesforce_username, settings.web_port) == ("sync@acme.example", 9000)


def test_another_settings_file_can_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("advocacy.toml").write_text('crm = "one"\n')
    Path("other.toml").write_text('crm = "two"\n')

    assert load_settings(config_file="other.toml").crm == "two"
    monkeypatch.setenv("ADVOCACY_CONFIG_FILE", "other.toml")
    assert load_settings().crm == "two"
    with pytest.raises(ConfigError, match=r"absent\.toml does not exist"):
        load_settings(config_file="absent.toml")


def test_the_demos_settings_serve_only_where_nothing_else_is_set_up(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("advocacy-demo.toml").write_text('database_url = "sqlite:///advocacy-demo.db"\n')

    assert load_settings().database_url == "sqlite:///advocacy-demo.db"
    monkeypatch.setenv("ADVOCACY_SALESFORCE_USERNAME", "x@y.example")
    assert load_settings().database_url == "sqlite:///advocacy.db"


def test_every_problem_is_reported_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(
            salesforce_login_url="http://login.example",
            schedule="0 2 * * * Mars/Base",
            salesforce_client_secret="changeme",
            webhook_secrets="whsec_short",
            look_back_seconds=-1,
            databse_url="x",
        )

    message = caught.value.message
    names = ("SALESFORCE_LOGIN_URL", "SCHEDULE", "SALESFORCE_CLIENT_SECRET", "WEBHOOK_SECRETS", "LOOK_BACK_SECONDS")
    assert all(f"ADVOCACY_{name}:" in message for name in names)
    assert "did you mean 'database_url'?" in message
    assert caught.value.exit_code == 2


def test_a_typo_in_a_file_is_found() -> None:
    Path("advocacy.toml").write_text('[salesforce]\nusrname = "x"\n')
    with pytest.raises(ConfigError, match="did you mean 'salesforce_username'"):
        load_settings()

    Path("advocacy.toml").unlink()
    Path(".env").write_text("ADVOCACY_SHEDULE=off\n")
    with pytest.raises(ConfigError, match="did you mean 'schedule'"):
        load_settings()


def test_an_ill_formed_settings_file_is_named() -> None:
    Path("advocacy.toml").write_text("crm = \n")

    with pytest.raises(ConfigError, match="cannot read the settings"):
        load_settings()


@pytest.mark.parametrize("text", ["changeme", "CHANGE_ME", "<secret>", "your-client-secret", "xxxx", "TODO", "..."])
def test_placeholders_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="placeholder"):
        load_settings(salesforce_client_secret=text)


def test_a_secret_can_come_from_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("key.pem").write_text("-----BEGIN-----\nabc\n-----END-----\n")
    Path("hooks").write_text(f"{SECRET}\n{SECRET}\n")
    monkeypatch.setenv("ADVOCACY_SALESFORCE_PRIVATE_KEY_FILE", "key.pem")
    monkeypatch.setenv("ADVOCACY_WEBHOOK_SECRETS_FILE", "hooks")

    settings = load_settings()

    assert settings.salesforce_private_key is not None
    assert settings.salesforce_private_key.get_secret_value() == "-----BEGIN-----\nabc\n-----END-----"
    assert [secret.get_secret_value() for secret in settings.webhook_secrets] == [SECRET, SECRET]
    assert origin_of(settings, "salesforce_private_key") == "environment"


def test_a_secret_and_its_file_from_one_source_contradict_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("token").write_text("abc")
    monkeypatch.setenv("ADVOCACY_SALESFORCE_ACCESS_TOKEN", "def")
    monkeypatch.setenv("ADVOCACY_SALESFORCE_ACCESS_TOKEN_FILE", "token")

    with pytest.raises(ConfigError, match="both set"):
        load_settings()


def test_a_secret_nearer_to_the_operator_beats_the_file_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    Path("token").write_text("from-file")
    Path("advocacy.toml").write_text('salesforce_access_token_file = "token"\n')
    monkeypatch.setenv("ADVOCACY_SALESFORCE_ACCESS_TOKEN", "from-environment")

    token = load_settings().salesforce_access_token

    assert token is not None
    assert token.get_secret_value() == "from-environment"


@pytest.mark.parametrize(("content", "reason"), [(None, "No such file"), ("", "is empty")])
def test_a_secret_file_that_gives_nothing_is_named(content: str | None, reason: str) -> None:
    if content is not None:
        Path("token").write_text(content)

    with pytest.raises(ConfigError, match=reason):
        load_settings(salesforce_access_token_file="token")


def test_secrets_show_nowhere() -> None:
    settings = load_settings(
        salesforce_client_secret="s3cr3t-1",
        webhook_secrets=SECRET,
        database_url="postgresql://advocacy:s3cr3t-2@db.example/advocacy",
    )

    shown = repr(settings) + str(describe_settings(settings))

    assert "s3cr3t" not in shown
    assert SECRET not in shown
    assert value_of(settings, "database_url") == "postgresql://advocacy:***@db.example/advocacy"
    assert value_of(settings, "salesforce_client_secret") == "***"


def test_a_refused_secret_is_not_in_the_message() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(webhook_secrets="whsec_c2hvcnQtc2VjcmV0")

    assert "c2hvcnQ" not in caught.value.message


@pytest.mark.parametrize("url", ["https://a.example", "http://localhost:8080", "http://127.0.0.1:1", "http://[::1]:1"])
def test_addresses_that_are_fine(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        "http://a.example",
        "ftp://localhost",
        "localhost",
        "https://",
        "https://me:pw@a.example",
        "http://127.0.0.1.a.example",
        "http://localhost.a.example",
    ],
)
def test_addresses_that_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match=r"must|plain http"):
        check_url(url)


def test_loopback_is_this_machine_only() -> None:
    assert is_loopback("127.8.9.1")
    assert not is_loopback("10.0.0.1")
    assert not is_loopback("")
    assert not is_loopback(None)


def test_a_schedule_has_five_fields_and_a_zone() -> None:
    assert read_schedule("0 2 * * mon-fri Europe/Berlin").zone == ZoneInfo("Europe/Berlin")
    assert read_schedule("*/15 2,3 1-5 * *").zone == ZoneInfo("UTC")
    for text in ("0 2 * *", "0 2 * * * Berlin/Europe", "0 2 * * $ UTC", "0 2 * * * ../../etc/passwd"):
        with pytest.raises(ValueError, match=r"must be five|not a time zone"):
            read_schedule(text)


def test_webhook_keys_have_a_length() -> None:
    assert len(read_webhook_key(SECRET)) == 32
    assert len(read_webhook_key("whsec_" + base64.b64encode(b"x" * 25).decode().rstrip("="))) == 25
    for size in (0, 1, 23, 65):
        with pytest.raises(ValueError, match="24 to 64"):
            read_webhook_key("whsec_" + base64.b64encode(b"x" * size).decode())
    for text in ("whsk_" + SECRET[6:], SECRET[6:], "whsec_é" + SECRET[7:]):
        with pytest.raises(ValueError, match="24 to 64"):
            read_webhook_key(text)


def test_a_mapping_of_the_working_folder_comes_first() -> None:
    Path("mappings").mkdir()
    Path("mappings/acme.yaml").touch()

    assert default_mapping_path("acme") == Path("mappings/acme.yaml")
    assert load_settings(crm="acme").mapping_path == Path("mappings/acme.yaml")
    assert load_settings(mapping="mine.yaml").mapping_path == Path("mine.yaml")


def test_only_the_password_of_an_address_is_masked() -> None:
    assert mask_url("sqlite:///advocacy.db") == "sqlite:///advocacy.db"
    assert mask_url("postgresql://u@h:5432/d?x=1") == "postgresql://u@h:5432/d?x=1"
    assert mask_url("postgresql://u:p@h:5432/d?x=1") == "postgresql://u:***@h:5432/d?x=1"


def test_a_day_of_our_own_choice_replaces_today(monkeypatch: pytest.MonkeyPatch, empty_folder: Path) -> None:
    assert load_settings().today is None
    (empty_folder / "advocacy.toml").write_text('today = "2026-10-01"\n', encoding="utf-8")
    assert load_settings().today == date(2026, 10, 1)
    monkeypatch.setenv("ADVOCACY_TODAY", "2026-10-32")
    with pytest.raises(ConfigError, match="ADVOCACY_TODAY"):
        load_settings()
