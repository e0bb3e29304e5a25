"""How to reach one Salesforce org. Light to import: nothing here loads a vendor library."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from connectors.errors import ConfigurationError, ConnectorError
from connectors.http import check_address

SALESFORCE_DOMAINS = (".salesforce.com", ".force.com", ".salesforce.mil", ".sfcrmproducts.cn")
"""Where a token may be sent without the operator naming the host."""

_GENERIC_LOGIN_HOSTS = ("login.salesforce.com", "test.salesforce.com")


@dataclass(frozen=True, slots=True)
class SalesforceSettings:
    """Where the org is and how to log in.

    Credentials are of one of four kinds, looked for in this order: a fixed `access_token` with `instance_url` (a local
    org), `private_key` with `username` (JWT bearer), `refresh_token`, `client_secret` (client credentials).
    """

    login_url: str = "https://login.salesforce.com"
    """Client credentials need the org's own My Domain address here."""
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    username: str = ""
    private_key: str = field(default="", repr=False)
    """PEM text."""
    refresh_token: str = field(default="", repr=False)
    refresh_token_file: Path | None = None
    """Where the refresh token came from, and where the next one is kept when the app rotates them."""
    access_token: str = field(default="", repr=False)
    instance_url: str = ""
    """Only with a fixed `access_token` (empty: the login address); otherwise every token answer names it."""
    audience: str = ""
    """Of the JWT; empty: derived from `login_url`."""
    api_version: str = "62.0"
    poll_seconds: float = 0.5
    """First wait for a bulk job; doubles up to 8 seconds."""
    rest_limit: int = 4000
    """More rows than this are fetched by Bulk API."""
    page_rows: int = 5_000
    """Rows of one `Page` from a bulk result."""
    job_hours: float = 6.0
    """A bulk job that has not finished by then is given up."""
    retry_seconds: float = 0.5
    allowed_hosts: tuple[str, ...] = ()
    """Hosts beside Salesforce's own that a token may be sent to: exact names, or `.suffix`."""

    @property
    def domains(self) -> tuple[str, ...]:
        return SALESFORCE_DOMAINS + self.allowed_hosts

    @property
    def grant(self) -> str:
        """`fixed`, `jwt`, `refresh`, `client` or `` when no credentials are complete."""
        if self.access_token:
            return "fixed"
        if self.private_key:
            return "jwt"
        if self.refresh_token:
            return "refresh"
        return "client" if self.client_secret else ""

    @property
    def jwt_audience(self) -> str:
        host = urlsplit(self.login_url).hostname or ""
        sandbox = host == "test.salesforce.com" or ".sandbox." in host
        return self.audience or ("https://test.salesforce.com" if sandbox else "https://login.salesforce.com")


_NEEDED = {
    "fixed": (),
    "jwt": ("client_id", "username"),
    "refresh": ("client_id",),
    "client": ("client_id",),
}


def check_settings(settings: SalesforceSettings) -> None:
    """Raise one ConfigurationError that names everything wrong with `settings`."""
    problems = [*_address_problems(settings), *_credential_problems(settings), *_number_problems(settings)]
    if problems:
        raise ConfigurationError("Salesforce settings: " + "; ".join(problems))


def _address_problems(settings: SalesforceSettings) -> list[str]:
    named = {"login_url": settings.login_url} | (
        {"instance_url": settings.instance_url} if settings.instance_url else {}
    )
    return [problem for name, url in named.items() if (problem := _address_problem(url, name, settings.domains))]


def _address_problem(url: str, name: str, domains: tuple[str, ...]) -> str:
    try:
        check_address(url, name, domains)
    except ConnectorError as error:
        return error.message
    return ""


def _credential_problems(settings: SalesforceSettings) -> list[str]:
    grant = settings.grant
    if not grant:
        return ["no credentials; give client_id and client_secret, or client_id, username and private_key (JWT bearer)"]
    problems = [f"{name} is missing" for name in _NEEDED[grant] if not getattr(settings, name)]
    generic = urlsplit(settings.login_url).hostname in _GENERIC_LOGIN_HOSTS
    if generic and grant == "client":
        problems.append("client credentials need login_url to be the org's My Domain address")
    if generic and grant == "fixed" and not settings.instance_url:
        problems.append("a fixed access_token needs instance_url, the address of its org")
    return problems


def _number_problems(settings: SalesforceSettings) -> list[str]:
    problems = []
    if not re.fullmatch(r"\d{2,3}\.0", settings.api_version) or float(settings.api_version) < 58:
        problems.append("api_version must be 58.0 or newer, written like 62.0")
    if min(settings.poll_seconds, settings.retry_seconds) < 0 or settings.job_hours <= 0:
        problems.append("waiting times must be positive")
    if settings.rest_limit < 0 or settings.page_rows < 1:
        problems.append("rest_limit and page_rows must be positive")
    return problems
