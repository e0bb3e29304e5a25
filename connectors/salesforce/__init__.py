"""Salesforce as a CRM.

Importing this package does not load simple-salesforce: the command line asks for settings long before it connects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from connectors.salesforce.settings import SalesforceSettings

if TYPE_CHECKING:
    from connectors.salesforce.connector import SalesforceConnector

__all__ = ["SalesforceSettings", "connect"]


def connect(settings: SalesforceSettings) -> SalesforceConnector:
    """A connector for the org of `settings`; it logs in when first used. ConfigurationError for unusable settings."""
    from connectors.salesforce.connector import build_salesforce  # noqa: PLC0415  loads the vendor library

    return build_salesforce(settings)
