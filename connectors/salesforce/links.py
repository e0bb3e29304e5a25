"""Links into the org's own pages, for people."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlsplit

_NOT_AN_ORG = ("", "login.salesforce.com", "test.salesforce.com", "localhost", "127.0.0.1", "::1")
"""Hosts that lead to no particular org, or to a sandbox without pages."""


def record_linker(org_address: str) -> Callable[[str, str], str]:
    """(object, id) -> the page of the record in the org at this address; empty text where there is none."""
    if (urlsplit(org_address).hostname or "") in _NOT_AN_ORG:
        return lambda _object_name, _record_id: ""
    base = org_address.rstrip("/")
    return lambda object_name, record_id: f"{base}/lightning/r/{quote(object_name)}/{quote(record_id)}/view"
