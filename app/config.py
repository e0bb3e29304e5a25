"""Every knob of the service: flag > environment `ADVOCACY_...` > `.env` > `advocacy.toml` > default.

The rule upheld here: a setting that cannot work is refused at start, all of them together, with its name
and what to do. Secrets stay wrapped in `SecretStr`; each can come from a file instead (`..._FILE`).
"""

from __future__ import annotations

import base64
import binascii
import difflib
import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit, urlunsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from app.errors import ConfigError

PREFIX = "ADVOCACY_"
DEMO_PROFILE = "advocacy-demo.toml"
SECRETS = (
    "database_url",
    "webhook_secrets",
    "salesforce_client_secret",
    "salesforce_access_token",
    "salesforce_private_key",
    "salesforce_refresh_token",
    "salesforce_outbound_secret",
)
"""Settings that may also be given as `<name>_file`."""

_PLACEHOLDER = re.compile(r"change[-_ ]?me.*|<.*>|todo|xxx+|placeholder|your[-_ ].*|\.\.\.", re.IGNORECASE)
_CRON_FIELD = re.compile(r"[0-9a-z*/,\-]+", re.IGNORECASE)
_ORIGINS = {"InitSettingsSource": "flag", "EnvSettingsSource": "environment", "DotEnvSettingsSource": ".env"}


@dataclass(frozen=True, slots=True)
class Schedule:
    """Five cron fields and the zone they are read in."""

    cron: tuple[str, str, str, str, str]
    zone: ZoneInfo


class Settings(BaseSettings):
    """One frozen object, read once at start. `load_settings` builds it with messages a person can act on."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_file=".env",
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        env_ignore_empty=True,
    )

    config_file: Path | None = None
    """Another settings file than `advocacy.toml`."""
    database_url: str = Field("sqlite:///advocacy.db", repr=False)
    database_url_file: Path | None = None
    crm: str = "salesforce"
    mapping: Path | None = None
    """None: `mappings/<crm>.yaml`, from the working folder or as shipped."""
    files_dir: Path | None = None
    """The folder of CSV exports of the `files` connector."""

    salesforce_login_url: str = "https://login.salesforce.com"
    salesforce_client_id: str = ""
    salesforce_client_secret: SecretStr | None = None
    salesforce_client_secret_file: Path | None = None
    salesforce_username: str = ""
    salesforce_private_key: SecretStr | None = None
    """PEM of the key whose certificate the Salesforce app trusts (JWT bearer flow)."""
    salesforce_private_key_file: Path | None = None
    salesforce_refresh_token: SecretStr | None = None
    salesforce_refresh_token_file: Path | None = None
    salesforce_audience: str = ""
    """Of the signed login; empty: derived from the login address."""
    salesforce_allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    """Hosts beside Salesforce's own that a token may be sent to: exact names or `.suffix`, comma-separated."""
    salesforce_api_version: str = Field("62.0", pattern=r"^\d{2,3}\.0$")
    salesforce_poll_seconds: float = Field(0.5, ge=0, le=300, allow_inf_nan=False)
    """First wait for a bulk job; it doubles up to the connector's cap."""
    salesforce_access_token: SecretStr | None = None
    """A fixed token instead of a login: for the sandbox and for trying out."""
    salesforce_access_token_file: Path | None = None
    salesforce_instance_url: str = ""

    salesforce_outbound_secret: SecretStr | None = None
    """Last part of the address that Salesforce's outbound messages are sent to; 24 characters at least, random."""
    salesforce_outbound_secret_file: Path | None = None
    salesforce_changes: Literal["off", "on"] = "off"
    """Whether `serve` listens to Salesforce's change data capture; needs the extra `cdc`."""
    salesforce_changes_endpoint: str = "api.pubsub.salesforce.com:7443"
    """host:port of the Pub/Sub API; orgs bound to a region have one of their own."""
    salesforce_changes_topics: Annotated[tuple[str, ...], NoDecode] = ("/data/ChangeEvents",)
    """Comma-separated. The default holds every object selected in Setup under Change Data Capture."""
    salesforce_changes_seconds: int = Field(60, ge=1, le=3600)
    """How long announced changes are gathered before they are read: one run at most in that time."""

    webhook_secrets: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """`whsec_...`, comma-separated: the first signs, all verify."""
    webhook_secrets_file: Path | None = None
    schedule: str = "0 2 * * * UTC"
    """Cron with a time zone; `off`: no schedule."""
    look_back_seconds: int = Field(900, ge=0, le=604_800)
    """How far behind the watermark a pull starts again."""
    full_read_days: int = Field(7, ge=0, le=365)
    """After so many days an object is read in full again; 0: only when asked for or needed."""
    today: date | None = None
    """The business date where it is not the real one: for the demo and for trying out."""
    lease_seconds: int = Field(120, ge=10, le=3600)
    api_reserve_percent: int = Field(20, ge=0, le=95)
    """Share of the CRM's daily API calls that a run leaves to others."""

    log_format: Literal["console", "json"] = "console"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    web_host: str = "127.0.0.1"
    web_port: int = Field(8000, ge=0, le=65_535)
    web_pages: Literal["auto", "login", "open"] = "auto"
    """`auto`: the pages ask for an API key unless browser and server are on one machine and no proxy is between."""
    sandbox_state: Path | None = None
    """A sandbox org kept in this file is started beside the command, and is the CRM."""

    origins: Mapping[str, str] = Field(default_factory=dict, repr=False)
    """Where each given value came from; filled in by the last source."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - the base class's signature
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        chosen = getattr(init_settings, "init_kwargs", {}).get("config_file") or os.environ.get(f"{PREFIX}CONFIG_FILE")
        toml = _FlatTomlSource(settings_cls, toml_file=find_settings_file(chosen))
        return (init_settings, env_settings, dotenv_settings, toml, _OriginSource(settings_cls))

    @field_validator("webhook_secrets", "salesforce_allowed_hosts", "salesforce_changes_topics", mode="before")
    @classmethod
    def _split_list(cls, value: object) -> object:
        return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _read_secret_files(cls, data: dict[str, Any]) -> dict[str, Any]:
        origins = data.get("origins", {})
        for name in SECRETS:
            path = data.get(f"{name}_file")
            if path and _file_wins(origins, name, data):
                data = {**data, name: _read_secret(name, Path(path))}
        return data

    @field_validator("*")
    @classmethod
    def _refuse_placeholders(cls, value: object) -> object:
        for text in value if isinstance(value, tuple) else (value,):
            plain = text.get_secret_value() if isinstance(text, SecretStr) else text
            if isinstance(plain, str) and _PLACEHOLDER.fullmatch(plain.strip()):
                raise ValueError("still holds a placeholder; put the real value there or remove it")
        return value

    @field_validator("salesforce_login_url", "salesforce_instance_url")
    @classmethod
    def _require_https(cls, value: str) -> str:
        if value:
            check_url(value)
        return value.rstrip("/")

    @field_validator("webhook_secrets")
    @classmethod
    def _check_webhook_secrets(cls, value: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        for secret in value:
            read_webhook_key(secret.get_secret_value())
        return value

    @field_validator("schedule")
    @classmethod
    def _check_schedule(cls, value: str) -> str:
        if value != "off":
            read_schedule(value)
        return value

    def file_of(self, secret: str) -> Path | None:
        """The file that a secret was read from; None for one that was given itself, or not at all."""
        path: Path | None = getattr(self, f"{secret}_file")
        return path if path and _file_wins(self.origins, secret, self.origins) else None

    @property
    def mapping_path(self) -> Path:
        """The mapping file in force; it may not exist."""
        return self.mapping or default_mapping_path(self.crm)


class _FlatTomlSource(TomlConfigSettingsSource):
    """`[salesforce] username = ...` means the same as `salesforce_username = ...`."""

    def __call__(self) -> dict[str, Any]:
        flat: dict[str, Any] = {}
        for key, value in super().__call__().items():
            flat |= {f"{key}_{inner}": v for inner, v in value.items()} if isinstance(value, dict) else {key: value}
        return flat

    @property
    def file_name(self) -> str:
        return str(self.toml_file_path)


class _OriginSource(PydanticBaseSettingsSource):
    """Says of every value which source it came from: the last source sees what the earlier ones gave."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 - as in the base
        return None, field_name, False

    def __call__(self) -> dict[str, Any]:
        origins: dict[str, str] = {}
        for source, values in self.settings_sources_data.items():
            label = _ORIGINS.get(source, "settings file")
            origins = dict.fromkeys(values, label) | origins
        return {"origins": origins}


def load_settings(**overrides: Any) -> Settings:
    """Read every source and report all problems together.

    Overrides that are None count as not given. Raises ConfigError.
    """
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        lines = [_describe_problem(dict(problem)) for problem in error.errors(include_url=False, include_input=False)]
        raise ConfigError("\n".join(lines), code="ADV-CFG-001") from None
    except (OSError, ValueError) as error:  # an unreadable or ill-formed settings file
        raise ConfigError(f"cannot read the settings: {error}", code="ADV-CFG-002") from None


def _describe_problem(problem: Mapping[str, Any]) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else ""
    if problem["type"] == "extra_forbidden":
        known = name.lower().removeprefix(PREFIX.lower())
        close = difflib.get_close_matches(known, Settings.model_fields, n=1)
        return f"unknown setting {name!r}" + (f"; did you mean {close[0]!r}?" if close else "")
    message = str(problem["msg"]).removeprefix("Value error, ")
    return f"{PREFIX}{name.upper()}: {message}" if name else message


def find_settings_file(chosen: str | Path | None = None) -> Path | None:
    """The chosen settings file, else `advocacy.toml`, else the demo's when nothing else is set up here."""
    if chosen:
        path = Path(chosen)
        if not path.is_file():
            raise ValueError(f"{path} does not exist")
        return path
    if Path("advocacy.toml").is_file():
        return Path("advocacy.toml")
    return Path(DEMO_PROFILE) if Path(DEMO_PROFILE).is_file() and not _is_set_up() else None


def _is_set_up() -> bool:
    decisive = ("DATABASE_URL", "CRM", "MAPPING", "FILES_DIR", "SALESFORCE_", "SANDBOX_")
    return Path(".env").is_file() or any(
        name.startswith(tuple(PREFIX + part for part in decisive)) for name in os.environ
    )


def default_mapping_path(crm: str) -> Path:
    """`mappings/<crm>.yaml` of the working folder, else the one shipped with the package.

    Shipped files lie beside the package in a checkout, and in `app/mapping/shipped` of an installed wheel.
    """
    package = Path(__file__).resolve().parent
    folders = (Path("mappings"), package / "mapping" / "shipped", package.parent / "mappings")
    candidates = [folder / f"{crm}.yaml" for folder in folders]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _file_wins(origins: Mapping[str, str], name: str, data: Mapping[str, Any]) -> bool:
    """Whether the file variant of a secret is nearer to the operator than the plain one."""
    if name not in data:
        return True
    order = ("flag", "environment", ".env", "settings file")
    plain, file = (order.index(origins.get(key, "settings file")) for key in (name, f"{name}_file"))
    if plain == file:
        raise ValueError(f"{PREFIX}{name.upper()} and {PREFIX}{name.upper()}_FILE are both set; keep one")
    return file < plain


def _read_secret(name: str, path: Path) -> str:
    try:
        text = path.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ValueError(f"{PREFIX}{name.upper()}_FILE: cannot read {path}: {reason}") from None
    if not text:
        raise ValueError(f"{PREFIX}{name.upper()}_FILE: {path} is empty")
    return text


def is_loopback(host: str | None) -> bool:
    """Whether a host name or address can only be this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def check_url(url: str) -> None:
    """Raise ValueError unless the address is https, or http on this machine, without credentials in it."""
    parts = urlsplit(url)
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        raise ValueError("must be an address like https://login.salesforce.com")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("plain http is accepted for this machine only; use https")
    if parts.username or parts.password:
        raise ValueError("must not contain a user name or password")


def read_webhook_key(secret: str) -> bytes:
    """The key bytes of `whsec_<base64>`; raises ValueError unless they are 24 to 64."""
    body = secret.removeprefix("whsec_")
    try:
        key = base64.b64decode(body + "=" * (-len(body) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if body == secret or not 24 <= len(key) <= 64:
        raise ValueError("must be whsec_ and base64 of 24 to 64 bytes; `advocacy webhooks secret` makes one")
    return key


def read_schedule(text: str) -> Schedule:
    """Parse `minute hour day month weekday [zone]`; without a zone the times are UTC."""
    fields = text.split()
    if len(fields) not in {5, 6} or not all(_CRON_FIELD.fullmatch(field) for field in fields[:5]):
        raise ValueError('must be five cron fields and a time zone, such as "0 2 * * * Europe/Berlin"')
    zone = fields[5] if len(fields) == 6 else "UTC"
    try:
        return Schedule((fields[0], fields[1], fields[2], fields[3], fields[4]), ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"{zone!r} is not a time zone; write one like Europe/Berlin or UTC") from None


def describe_settings(settings: Settings) -> list[tuple[str, str, str]]:
    """(environment name, value with secrets masked, origin) of every setting."""
    rows = []
    for name in Settings.model_fields:
        if name != "origins":
            origin = settings.origins.get(name) or settings.origins.get(f"{name}_file") or "default"
            rows.append((PREFIX + name.upper(), _show(name, getattr(settings, name)), origin))
    return rows


def _show(name: str, value: object) -> str:
    if value is None or value in ("", ()):
        return ""
    if name == "database_url":
        return mask_url(str(value))
    if isinstance(value, tuple):
        return ", ".join("***" if isinstance(item, SecretStr) else str(item) for item in value)
    return "***" if isinstance(value, SecretStr) else str(value)


def mask_url(url: str) -> str:
    """The address without its password."""
    parts = urlsplit(url)
    if not parts.password:
        return url
    host = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{parts.username}:***@{host}"))
