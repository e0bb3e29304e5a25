"""The advocacy events there are, for whoever asks; a question about what nobody knows is told so, not answered."""

from __future__ import annotations

import difflib

from app.domain.attributes import CUSTOM_PREFIX
from app.domain.event_types import EVENT_TYPES
from app.errors import ConfigError
from app.store.events import StoredEvent, list_events
from app.store.history import load_names
from app.store.value_rows import load_survivor
from app.sync.services import Services


def list_recorded(
    services: Services,
    *,
    account: str | None = None,
    event_type: str | None = None,
    status: str | None = None,
    limit: int,
    after: tuple[str, str] | None = None,
) -> list[StoredEvent]:
    """The newest first, of or about one account, of one type, with one status. `after`: behind this day and id.

    Raises ConfigError for a type there is none of, and for an account that neither the CRM nor any event knows.
    """
    if event_type is not None:
        check_type(event_type)
    wanted = None if account is None else services.canonical_id(account)
    found = list_events(
        services.database, account=wanted, event_type=event_type, status=status, limit=limit, after=after
    )
    if wanted is not None and not found and not _is_known(services, wanted):
        raise ConfigError(f"no account has the id {account}", hint="list them with: advocacy accounts --all")
    return found


def check_type(code: str) -> None:
    """Raises ConfigError for a type that is neither ours nor somebody's own."""
    if code in EVENT_TYPES or code.startswith(CUSTOM_PREFIX):
        return
    close = difflib.get_close_matches(code, sorted(EVENT_TYPES), n=1)
    guess = f"did you mean {close[0]}? " if close else ""
    raise ConfigError(f"there is no type of event {code!r}", hint=f"{guess}advocacy events types lists them")


def _is_known(services: Services, account: str) -> bool:
    with services.database.read() as connection:
        if load_names(connection, "account", [load_survivor(connection, account)]):
            return True
    return bool(list_events(services.database, account=account, limit=1))
