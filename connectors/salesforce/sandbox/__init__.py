"""A local Salesforce org over loopback http, for demos, tests and trying a mapping without an org.

with Sandbox(Org()) as sandbox:
sandbox.org.create("Account", {"Name": "B"})
...  # point any Salesforce client at sandbox.url
sandbox.faults.inject("error", on="query", code="QUERY_TIMEOUT", status=400)
assert sandbox.calls["query"] == 1
"""

from __future__ import annotations

from connectors.salesforce.sandbox.automations import Automation
from connectors.salesforce.sandbox.clock import Clock
from connectors.salesforce.sandbox.engine import Manners
from connectors.salesforce.sandbox.faults import Fault, Faults
from connectors.salesforce.sandbox.handle import Credentials, Sandbox, open_org, serve
from connectors.salesforce.sandbox.load import Loaded, load_csv
from connectors.salesforce.sandbox.org import Org
from connectors.salesforce.sandbox.schema import Field
from connectors.salesforce.sandbox.state import load_org, save_org

__all__ = [
    "Automation",
    "Clock",
    "Credentials",
    "Fault",
    "Faults",
    "Field",
    "Loaded",
    "Manners",
    "Org",
    "Sandbox",
    "load_csv",
    "load_org",
    "open_org",
    "save_org",
    "serve",
]
