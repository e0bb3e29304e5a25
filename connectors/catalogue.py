"""Every connector by name. The only module that names a concrete one, and it imports it when it is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from connectors.changes import ChangeListener
from connectors.contract import CrmConnector
from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from connectors.salesforce import SalesforceSettings


def _build_salesforce(options: Mapping[str, Any]) -> CrmConnector:
    from connectors.salesforce import connect

    return connect(_salesforce_settings(options))


def _salesforce_settings(options: Mapping[str, Any]) -> SalesforceSettings:
    from connectors.salesforce import SalesforceSettings

    unknown = sorted(options.keys() - {f.name for f in fields(SalesforceSettings)})
    if unknown:
        raise ConfigurationError(f"Salesforce settings: unknown option {', '.join(unknown)}")
    return SalesforceSettings(**options)


def _build_files(options: Mapping[str, Any]) -> CrmConnector:
    from connectors.files import FilesSettings, connect

    folder = options.get("folder")
    if not folder:
        raise ConfigurationError("ADVOCACY_FILES_DIR must name a folder with accounts.csv and opportunities.csv.")
    return connect(FilesSettings(**{**options, "folder": Path(folder)}))


_FACTORIES: Mapping[str, Callable[[Mapping[str, Any]], CrmConnector]] = {
    "files": _build_files,
    "salesforce": _build_salesforce,
}


def connector_names() -> tuple[str, ...]:
    return tuple(sorted(_FACTORIES))


def build_connector(name: str, options: Mapping[str, Any]) -> CrmConnector:
    """The connector called `name`; `options` are the fields of its settings class. ConfigurationError when unusable."""
    factory = _FACTORIES.get(name)
    if factory is None:
        raise ConfigurationError(f"There is no connector {name!r}; choose one of {', '.join(connector_names())}.")
    return factory(options)


def build_change_listener(
    name: str, options: Mapping[str, Any], *, endpoint: str, topics: tuple[str, ...]
) -> ChangeListener:
    """Who listens to the changes that the CRM `name` announces. ConfigurationError when it announces none to us."""
    if name != "salesforce":
        raise ConfigurationError(f"The connector {name!r} does not announce changes.")
    from connectors.salesforce.changes import connect_changes

    return connect_changes(_salesforce_settings(options), endpoint=endpoint, topics=topics)


def record_linker(name: str, options: Mapping[str, Any]) -> Callable[[str, str], str]:
    """Where a person opens a record, from (object, id); empty text where that is not known without a login."""
    if name == "salesforce":
        from connectors.salesforce.links import record_linker as of_salesforce

        return of_salesforce(str(options.get("instance_url") or options.get("login_url") or ""))
    return lambda _object_name, _record_id: ""


def id_judge(name: str) -> Callable[[str], str | None]:
    """The object of this CRM that a record id in its one form belongs to, as far as the id itself tells; else None."""
    if name == "salesforce":
        from connectors.salesforce.ids import object_of

        return object_of
    return lambda _record_id: None


def id_reader(name: str) -> Callable[[str], str]:
    """How record ids of this CRM get their one form, for ids that come in while nobody is connected.

    The function raises ValueError with a reason for what cannot be an id.
    """
    if name == "salesforce":
        from connectors.salesforce.ids import normalise_id

        return normalise_id
    if name == "files":
        from connectors.files.ids import normalise_id as normalise_file_id

        return normalise_file_id
    return str
