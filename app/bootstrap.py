"""The composition root: from settings to the services that every command, request and job uses.

The only module that opens the connector catalogue. Nothing here talks to anyone: the database is opened, the CRM is
not, until somebody calls `connect`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from pydantic import SecretStr

from app.config import Settings, default_mapping_path
from app.errors import ConfigError, MappingError
from app.mapping.file import MappingFile, load_mapping
from app.mapping.policy import apply_policy_overrides, policy_version
from app.mapping.render import suggest
from app.store.database import check_revision, open_database, upgrade_database
from app.sync.services import Services
from connectors.catalogue import (
    build_change_listener,
    build_connector,
    connector_names,
    id_judge,
    id_reader,
    record_linker,
)
from connectors.changes import ChangeListener
from connectors.contract import CrmConnector
from connectors.errors import ConfigurationError

INBOUND = ("salesforce_outbound_secret", "salesforce_changes")
"""Settings of a CRM, or how their names begin, that concern what it sends to us: the connector does not know them."""

_SETTINGS_HINT = (
    "every setting of the CRM is ADVOCACY_{crm}_ and its name, a secret also with _FILE behind it; what is in force: "
    "advocacy config show"
)

__all__ = ["Services", "build_change_source", "build_services", "check_connector", "connector_options"]


def build_services(
    settings: Settings,
    *,
    policy_overrides: Sequence[str] = (),
    connect: Callable[[], CrmConnector] | None = None,
    now: Callable[[], datetime] | None = None,
) -> Services:
    """Read the mapping, open the database and bring an SQLite one to the current schema. Raises ConfigError."""
    mapping = load_mapping(settings.mapping or default_mapping_path(settings.crm))
    check_connector(mapping)
    if mapping.crm != settings.crm:
        raise ConfigError(
            f"the mapping is for {mapping.crm}, the settings say {settings.crm}",
            hint="set ADVOCACY_CRM or ADVOCACY_MAPPING so that they agree",
        )
    if policy_overrides:
        policy = apply_policy_overrides(mapping.policy, policy_overrides)
        mapping = replace(mapping, policy=policy, policy_version=policy_version(policy))
    database = open_database(settings.database_url)
    # An embedded database belongs to this program alone; a server's schema is changed on purpose only.
    if database.is_sqlite:
        upgrade_database(database)
    else:
        check_revision(database)
    return Services(
        settings,
        mapping,
        database,
        connect or _connector(settings),
        now or _utc_now,
        id_reader(settings.crm),
        id_judge(settings.crm),
        record_linker(settings.crm, connector_options(settings)),
    )


def check_connector(mapping: MappingFile) -> None:
    """Refuse a mapping for a CRM that nobody can talk to. Raises MappingError."""
    names = connector_names()
    if mapping.crm not in names:
        raise MappingError(
            [
                mapping.problem(
                    "ADV-MAP-032", f"there is no connector {mapping.crm!r}", ("crm",), suggest(mapping.crm, names)
                )
            ]
        )


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _connector(settings: Settings) -> Callable[[], CrmConnector]:
    def connect() -> CrmConnector:
        try:
            return build_connector(settings.crm, connector_options(settings))
        except ConfigurationError as error:
            raise ConfigError(error.message, hint=_SETTINGS_HINT.format(crm=settings.crm.upper())) from error

    return connect


def connector_options(settings: Settings) -> Mapping[str, Any]:
    """The settings of the chosen CRM under the connector's own names; only those that were given."""
    if settings.crm == "files":
        return {"folder": settings.files_dir}
    prefix = f"{settings.crm}_"
    given = {
        name.removeprefix(prefix): _revealed(getattr(settings, name))
        for name in type(settings).model_fields
        if name.startswith(prefix) and not name.endswith("_file") and not name.startswith(INBOUND)
    }
    if settings.crm == "salesforce":
        given["refresh_token_file"] = settings.file_of("salesforce_refresh_token")
    return {name: value for name, value in given.items() if value not in (None, "", ())}


def build_change_source(settings: Settings) -> Callable[[], ChangeListener] | None:
    """How to listen to what the CRM announces; None where that is off. ConfigError where it could not work."""
    if settings.salesforce_changes == "off":
        return None

    def listen() -> ChangeListener:
        try:
            return build_change_listener(
                settings.crm,
                connector_options(settings),
                endpoint=settings.salesforce_changes_endpoint,
                topics=settings.salesforce_changes_topics,
            )
        except ConfigurationError as error:
            raise ConfigError(error.message, hint="or set ADVOCACY_SALESFORCE_CHANGES=off") from error

    # Tried once at start: what is missing shows to the operator, not to a thread in the night.
    listen().close()
    return listen


def _revealed(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value
