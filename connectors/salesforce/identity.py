"""Who we are, where, and whether this org will go on serving us: identity, health, allowance."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from connectors.contract import Allowance, Condition, Finding, Identity, Operator
from connectors.errors import ConnectorError, CredentialsError, ProtocolError, TransientError
from connectors.http import decode_json, require
from connectors.salesforce.auth import Token
from connectors.salesforce.automations import examine_automations
from connectors.salesforce.composite import query_path, read_composite
from connectors.salesforce.ids import normalise_id
from connectors.salesforce.settings import SalesforceSettings
from connectors.salesforce.soql import Select
from connectors.salesforce.transport import Answer, Transport

USERINFO = "/services/oauth2/userinfo"
ORGANISATION = "SELECT Id, Name, IsSandbox, OrganizationType FROM Organization LIMIT 1"
DEPRECATED_BELOW = 41.0
"""API versions under this are retired in summer 2028 at the latest; the settings refuse them anyway."""

_VERSION = re.compile(r"\d{1,3}\.\d", re.ASCII)
_ORGANISATION_TOKEN = re.compile(r"(00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?)!")
"""A session token starts with the id of its organisation."""

_ASK_AGAIN = "Correct what it says, then run this again."

CLOCK_WARNING_SECONDS = 60.0
LOW_ALLOWANCE = 0.2


def identify(transport: Transport, username: str) -> Identity:
    """The org and the user behind the token. An org that hides its Organization record is known by the token alone."""
    token = transport.tokens.current()
    paths = [query_path(transport, ORGANISATION, deleted=False)]
    if token.user_id:
        only = (Condition("Id", Operator.EQ, token.user_id),)
        paths.append(query_path(transport, Select("User", ("Id", "Username"), only).text(), deleted=False))
    parts = read_composite(transport, paths, "identity").parts
    org, person = (_first(part.body) for part in (parts[0], parts[-1]))
    person = person if token.user_id else {}
    facts = {} if (org.get("Id") or token.organisation_id) and token.user_id else _userinfo(transport)
    return Identity(
        organisation_id=_id(org.get("Id") or token.organisation_id or facts.get("organization_id")),
        organisation_name=str(org.get("Name") or ""),
        user_id=canonical(str(token.user_id or facts.get("user_id") or "")),
        username=str(person.get("Username") or facts.get("preferred_username") or username),
        is_production=_is_production(org),
        base_url=token.instance_url,
    )


def organisation_of(token: Token) -> str:
    """The organisation that a token was issued by, where the login or the token itself says so; else empty."""
    issued_by = _ORGANISATION_TOKEN.match(token.value)
    return token.organisation_id or (issued_by[1] if issued_by else "")


def connected_user(transport: Transport) -> str:
    """The id of the user behind the token."""
    known = transport.tokens.current().user_id
    return known or require(decode_json(transport.read("GET", USERINFO, "identity").body), "user_id", str)


def _first(body: Any) -> Mapping[str, Any]:
    records = body.get("records") if isinstance(body, Mapping) else None
    first = records[0] if isinstance(records, list) and records else None
    return first if isinstance(first, Mapping) else {}


def _userinfo(transport: Transport) -> Mapping[str, Any]:
    try:
        value = decode_json(transport.read("GET", USERINFO, "identity").body)
    except (CredentialsError, TransientError):
        raise
    except ConnectorError:
        return {}
    return value if isinstance(value, Mapping) else {}


def _id(text: Any) -> str:
    if not text:
        raise ProtocolError("Salesforce does not say which organisation this is; it cannot be told from another.")
    return canonical(str(text))


def canonical(text: str) -> str:
    """An id of the org or the user is only compared with itself: one that is odd is odd every time."""
    try:
        return normalise_id(text)
    except ValueError:
        return text


def _is_production(org: Mapping[str, Any]) -> bool | None:
    if not isinstance(org.get("IsSandbox"), bool):
        return None
    return not org["IsSandbox"] and org.get("OrganizationType") != "Developer Edition"


def read_allowance(transport: Transport) -> Allowance:
    """The gauge of the last answer, which lags; before any answer, what `limits` says."""
    if transport.gauge.limit is None:
        body = decode_json(transport.read("GET", "limits", "limits").body)
        daily = body.get("DailyApiRequests") if isinstance(body, Mapping) else None
        if isinstance(daily, Mapping):
            limit, left = require(daily, "Max", int), require(daily, "Remaining", int)
            transport.gauge = Allowance(used=limit - left, limit=limit)
    return transport.gauge


@dataclass(frozen=True, slots=True)
class Checkup:
    """`doctor --live`: each check tells its finding; one that fails does not stop the others, except the login."""

    transport: Transport
    settings: SalesforceSettings
    written: Sequence[str] = ()
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def findings(self) -> Sequence[Finding]:
        try:
            self.transport.tokens.current()
        except ConnectorError as error:
            return [Finding("error", "login", error.message, "Check the Salesforce settings of this service.")]
        return [
            Finding("ok", "login", "Logged in."),
            *self._refresh_token(),
            *self._who(),
            *self._versions(),
            *self._calls_left(),
            *(found for name in self.written for found in examine_automations(self.transport, name)),
        ]

    def _refresh_token(self) -> Iterator[Finding]:
        unkept = self.transport.tokens.refresh_token.unkept
        if unkept:
            said, _, action = unkept.partition(". ")
            yield Finding("error", "refresh token", f"{said}.", action)

    def _who(self) -> Iterator[Finding]:
        try:
            who = identify(self.transport, self.settings.username)
        except ConnectorError as error:
            yield Finding("error", "organisation", error.message, _ASK_AGAIN)
            return
        kind = {True: "production", False: "sandbox or developer org", None: "kind unknown"}[who.is_production]
        name = who.organisation_name or "(name hidden)"
        yield Finding("ok", "organisation", f"{name}, {who.organisation_id}, {kind}")
        yield Finding("ok", "user", who.username or who.user_id or "unknown")

    def _versions(self) -> Iterator[Finding]:
        try:
            answer = self.transport.read("GET", "/services/data", "versions")
        except ConnectorError as error:
            yield Finding("error", "API version", error.message, _ASK_AGAIN)
            return
        yield self._version(_versions_of(answer))
        yield self._clock(answer)

    def _version(self, offered: Sequence[float]) -> Finding:
        ours = float(self.settings.api_version)
        if not offered:
            said = "The org does not list its API versions."
            return Finding("warning", "API version", said, "Look for a proxy between this computer and Salesforce.")
        if ours not in offered:
            newest = f"{max(offered):.1f}"
            return Finding("error", "API version", f"The org does not offer {ours}.", f"Set api_version to {newest}.")
        if ours < max(DEPRECATED_BELOW, min(offered) + 1):
            said = f"{ours} is among the oldest that are offered and will be retired."
            return Finding("warning", "API version", said, f"Set api_version to {max(offered):.1f}.")
        said = f"{ours}; the org offers {min(offered)} to {max(offered)} and retires the oldest first"
        return Finding("ok", "API version", said)

    def _clock(self, answer: Answer) -> Finding:
        if answer.date is None:
            return Finding("error", "clock", "Salesforce's answers carry no Date.", "Look for a proxy that removes it.")
        skew = (self.now() - answer.date).total_seconds()
        if abs(skew) > CLOCK_WARNING_SECONDS:
            said = f"This computer's clock is {skew:+.0f} seconds off Salesforce's."
            return Finding("warning", "clock", said, "Set the clock; logins fail when it is minutes off.")
        return Finding("ok", "clock", "This computer's clock agrees with Salesforce's.")

    def _calls_left(self) -> Iterator[Finding]:
        try:
            allowance = read_allowance(self.transport)
        except ConnectorError as error:
            yield Finding("warning", "API calls", error.message, _ASK_AGAIN)
            return
        if allowance.left is None or not allowance.limit:
            said = "The org does not say how many API calls are left."
            yield Finding(
                "warning", "API calls", said, "Give the user the right View Setup, or look in Company Information."
            )
            return
        low = allowance.left < LOW_ALLOWANCE * allowance.limit
        said = f"{allowance.left} of {allowance.limit} API calls are left in this 24 hours."
        yield Finding("warning" if low else "ok", "API calls", said, "Find out what else spends them." if low else "")


def _versions_of(answer: Answer) -> list[float]:
    value = decode_json(answer.body)
    entries = value if isinstance(value, list) else []
    texts = [str(entry.get("version")) for entry in entries if isinstance(entry, Mapping)]
    return [float(text) for text in texts if _VERSION.fullmatch(text)]
