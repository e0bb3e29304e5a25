"""What the service remembers about itself between runs: one text per key."""

from __future__ import annotations

import sqlalchemy as sa

from app.store.tables import state

REVALUE_ALL = "revalue_all"
"""State flag: the next valuation covers everything, single dirty marks do not matter."""
REPLAN_ALL = "replan_all"
VALUED_AS_OF = "valued_as_of"
VALUED_BY = "valued_by"
"""State: the version of the policy that the stored values follow."""
CONVERTED_TO = "converted_to"
"""State: the reporting currency, and its decimal places, that the stored amounts were converted to."""
ORGANISATION = "organisation"
"""State: the CRM organisation this database belongs to; another one behind the same address is refused."""


def load_flag(connection: sa.Connection, key: str) -> str | None:
    return connection.execute(sa.select(state.c.value).where(state.c.key == key)).scalar()


def save_flag(connection: sa.Connection, key: str, value: str | None) -> None:
    """Set a state flag; None removes it."""
    connection.execute(sa.delete(state).where(state.c.key == key))
    if value is not None:
        connection.execute(sa.insert(state).values(key=key, value=value))
