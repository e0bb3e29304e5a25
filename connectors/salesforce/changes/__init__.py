"""Change data capture over Salesforce's Pub/Sub API (gRPC and Avro): the optional extra `cdc`.

Importing this package needs nothing of the extra; `connect_changes` says how to install it where it is missing.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING

from connectors.errors import ConfigurationError

if TYPE_CHECKING:
    from connectors.salesforce.changes.listener import SalesforceChanges
    from connectors.salesforce.settings import SalesforceSettings

__all__ = ["ENDPOINT", "INSTALL", "TOPIC", "connect_changes", "is_installed"]

ENDPOINT = "api.pubsub.salesforce.com:7443"
TOPIC = "/data/ChangeEvents"
"""The channel of every object selected in Setup under Change Data Capture."""
INSTALL = "pip install 'advocacy-sync[cdc]'"


def is_installed() -> bool:
    """Whether the libraries of the extra can be imported."""
    return all(find_spec(name) is not None for name in ("grpc", "fastavro")) and _has_protobuf()


def _has_protobuf() -> bool:
    # `google` is a namespace that other libraries share: it may be there without what we need.
    return find_spec("google") is not None and find_spec("google.protobuf") is not None


def connect_changes(
    settings: SalesforceSettings, *, endpoint: str = ENDPOINT, topics: tuple[str, ...] = (TOPIC,)
) -> SalesforceChanges:
    """A listener that logs in when first used. ConfigurationError without the extra, or for unusable settings."""
    if not is_installed():
        raise ConfigurationError(f"Listening for changes needs the extra cdc: {INSTALL}")
    from connectors.salesforce.changes.listener import build_changes  # noqa: PLC0415  loads the extra

    return build_changes(settings, endpoint=endpoint, topics=topics)
