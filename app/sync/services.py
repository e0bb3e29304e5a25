"""What the shell works with. `app.bootstrap` builds it; everything below receives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from zoneinfo import ZoneInfo

from app.config import Settings
from app.mapping.file import MappingFile
from app.store.database import Database
from connectors.contract import CrmConnector


def _no_page(_object_name: str, _record_id: str) -> str:
    return ""


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
    record_url: Callable[[str, str], str] = _no_page
    """(object, id) -> where a person opens the record; empty where that is not known."""

    def user_of(self, connector: CrmConnector) -> str | None:
        """Who connects, as far as the settings tell; None where the CRM knows no users."""
        return self.settings.salesforce_username if connector.capabilities.users else None

    @property
    def today(self) -> date:
        """The business date: the policy's time zone decides when a day ends, unless the settings name a day."""
        return self.settings.today or self.now().astimezone(ZoneInfo(self.mapping.policy.time_zone)).date()
