"""What the shell works with. `app.bootstrap` builds it; everything below receives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.config import Settings
from app.domain.rows import Entity
from app.intake.event_fields import Reader, build_reader
from app.mapping.file import MappingFile
from app.store.database import Database
from connectors.contract import CrmConnector

_ENTITIES = {
    "account": Entity.ACCOUNT,
    "referred_account": Entity.ACCOUNT,
    "opportunity": Entity.OPPORTUNITY,
}


def _no_page(_object_name: str, _record_id: str) -> str:
    return ""


def _no_object(_record_id: str) -> str | None:
    return None


@dataclass(frozen=True, slots=True)
class Services:
    """`connect` builds a connector that has not talked to anyone yet; whoever calls it closes it."""

    settings: Settings
    mapping: MappingFile
    database: Database
    connect: Callable[[], CrmConnector]
    now: Callable[[], datetime]
    normalise_id: Callable[[str], str] = str
    """The one form of a record id of this CRM, without connecting; raises ValueError with a reason."""
    object_of: Callable[[str], str | None] = _no_object
    """The object of this CRM that an id belongs to, as far as the id tells, without connecting."""
    record_url: Callable[[str, str], str] = _no_page
    """(object, id) -> where a person opens the record; empty where that is not known."""

    def user_of(self, connector: CrmConnector) -> str | None:
        """Who connects, as far as the settings tell; None where the CRM knows no users."""
        return self.settings.salesforce_username if connector.capabilities.users else None

    def canonical_id(self, text: str) -> str:
        """The one form of an id; text that is no id stays as it is."""
        try:
            return self.normalise_id(text)
        except ValueError:
            return text

    def event_reader(self, source_system: str | None = None) -> Reader:
        """How every door of this installation reads events. `source_system`: of events that name none."""
        return build_reader(self.normalise_id, self.mapping.policy, source_system, doubt=self.doubt_id)

    def doubt_id(self, column: str, record_id: str) -> str:
        """Why an id cannot stand in this column of an event, by the id alone; "" where nothing speaks against it."""
        found = self.object_of(record_id)
        if found is None:
            return ""
        objects = {entity: section.object for entity, section in self.mapping.entities.items()}
        wanted = objects.get(_ENTITIES[column]) if column in _ENTITIES else None
        # Where people are kept the mapping does not say; that they are no accounts it does.
        is_wrong = found != wanted if wanted else found in (objects.get(one) for one in _ENTITIES.values())
        if not is_wrong:
            return ""
        return f"{record_id} is the id of a record of {found}, which cannot be the {column.replace('_', ' ')}"

    @property
    def today(self) -> date:
        """The business date: the policy's time zone decides when a day ends, unless the settings name a day."""
        return self.settings.today or self.now().astimezone(ZoneInfo(self.mapping.policy.time_zone)).date()
