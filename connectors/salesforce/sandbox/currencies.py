"""What follows from the currencies of a multi-currency org: which codes a record may carry, how long a rate lasts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.salesforce.sandbox.schema import Row
from connectors.salesforce.sandbox.tables import Table

if TYPE_CHECKING:
    from connectors.salesforce.sandbox.org import Org

CURRENCY_OBJECTS = frozenset({"CurrencyType", "DatedConversionRate"})


def refresh_currencies(org: Org) -> None:
    """Called after every change of a currency or a dated rate."""
    known = list(org.records("CurrencyType"))
    corporate = next((record["IsoCode"] for record in known if record["IsCorporate"]), None)
    for table in org.tables.values():
        if "CurrencyIsoCode" in table.type.fields:
            field = table.type.fields["CurrencyIsoCode"]
            field.values, field.default = tuple(record["IsoCode"] for record in known), corporate
    _close_rates(org.tables["DatedConversionRate"])


def _close_rates(table: Table) -> None:
    """A dated rate ends, exclusively, where the next of its currency starts."""
    code, start, end = map(table.type.slot, ("IsoCode", "StartDate", "NextStartDate"))
    following: dict[str, str] = {}
    for row in sorted(table.rows.values(), key=lambda row: str(row[start]), reverse=True):
        closed: Row = list(row)
        closed[end] = following.get(row[code], "9999-12-31")
        table.put(closed)
        following[row[code]] = row[start]
