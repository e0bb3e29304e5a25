"""One access token for all threads of a process: fetched when first needed, renewed under a lock, never logged.

A login that Salesforce refused is not tried again by the same process with the same credentials before half a day has
passed (repeating it locks the user), and a token that keeps expiring at once blows a fuse instead of storming the
login. SOAP login is never used.
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx
import jwt

from connectors.errors import (
    ConfigurationError,
    ConnectorError,
    CredentialsError,
    ProtocolError,
    RateLimitedError,
    TransientError,
)
from connectors.http import check_address, decode_json, error_for_status, read_http_date, read_retry_after, unreachable
from connectors.retry import RetryPolicy
from connectors.salesforce.refresh import RefreshToken
from connectors.salesforce.settings import SalesforceSettings

ASSERTION_SECONDS = 150
"""Life of a JWT assertion; Salesforce allows about 180."""

REFUSED_HOURS = 12.0
"""How long a refusal is believed: a nightly run tries once a night, and a process asked all day twice a day."""

FUSE_LOGINS = 6
FUSE_SECONDS = 120.0

IDLE_SECONDS = 600.0
"""After so long without use a session may have ended (an org may end it after fifteen minutes): asking for another
costs no call, trying the old one does."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row of the login error table: `error` and a part of the description, and what to do about it."""

    error: str
    text: str
    advice: str
    kind: type[ConnectorError] = CredentialsError


REFUSALS: tuple[Refusal, ...] = (
    Refusal("invalid_grant", "hasn't approved this consumer", "An administrator must pre-authorise the user."),
    Refusal(
        "invalid_grant",
        "audience is invalid",
        "The login address does not fit the org: test.salesforce.com is for sandboxes only.",
        ConfigurationError,
    ),
    Refusal("invalid_grant", "expired authorization code", "Set this computer's clock.", CredentialsError),
    Refusal("invalid_grant", "expired access/refresh token", "Connect the org again to get a new refresh token."),
    Refusal("invalid_grant", "invalid password", "Check the secret; do not retry, it locks the user."),
    Refusal("invalid_grant", "authentication failure", "Check user, secret, IP restrictions and the app's flows."),
    Refusal("invalid_grant", "locked", "The user is locked: an administrator must unlock it."),
    Refusal("invalid_grant", "inactive", "The user or the org is inactive."),
    Refusal("invalid_grant", "invalid assertion", "The private key does not fit the certificate of the app."),
    Refusal("invalid_grant", "no client credentials user", "Give the app a run-as user for client credentials."),
    Refusal("invalid_grant", "request not supported on this domain", "Use the org's My Domain address to log in."),
    Refusal("invalid_grant", "", "Check the credentials and the settings of the app."),
    Refusal("invalid_client_id", "", "No app has this client id; one just created needs some minutes."),
    Refusal("invalid_client", "", "The client id or the client secret is wrong."),
    Refusal("inactive_user", "", "The user is inactive."),
    Refusal("inactive_org", "", "The org is locked, closed or suspended."),
    Refusal("unauthorized_client", "", "The app does not allow this login flow."),
    Refusal("unsupported_grant_type", "", "The app does not allow this login flow."),
    Refusal("invalid_app_access", "", "An administrator must give the user access to the app."),
    Refusal("OAUTH_APP_BLOCKED", "", "An administrator has blocked the app: Setup > Connected Apps OAuth Usage."),
    Refusal(
        "OAUTH_APPROVAL_ERROR_GENERIC",
        "",
        "The app is not installed in this org: an administrator installs it in Setup > Connected Apps OAuth Usage.",
    ),
    Refusal("rate_limit_exceeded", "", "Too many logins; wait before the next.", RateLimitedError),
    Refusal("server_error", "", "", TransientError),
    Refusal("temporarily_unavailable", "", "", TransientError),
    Refusal("unknown_error", "retry", "", TransientError),
)
"""Read from the top: the first row that fits decides."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A login that failed for good, and the clock then, in seconds."""

    error: ConnectorError
    at: float


REFUSED: dict[str, Refused] = {}
"""What Salesforce said to credentials that it refused, by their digest. Of the process: every run has a connector of
its own, and so has the listener for changes. Other settings or another secret are other credentials."""


@dataclass(frozen=True, slots=True)
class Token:
    value: str = field(repr=False)
    instance_url: str
    organisation_id: str = ""
    user_id: str = ""

    @property
    def host(self) -> str:
        return urlsplit(self.instance_url).netloc


@dataclass(slots=True)
class Session:
    """What all connectors share that log in alike. `used`: the clock when the token was last handed out, in seconds."""

    refresh_token: RefreshToken
    lock: threading.Lock = field(default_factory=threading.Lock)
    token: Token | None = None
    used: float = 0.0
    logins: deque[float] = field(default_factory=lambda: deque(maxlen=FUSE_LOGINS))


SESSIONS: dict[str, Session] = {}
"""Of the process, by a digest of what they log in with: every run has a connector of its own and so has every listener
for changes, but an org may join their sessions, end the older ones, or void a refresh token that two of them hold."""
_sharing = threading.Lock()


def share_session(settings: SalesforceSettings) -> Session:
    """The session of everybody in this process who logs in with these settings."""
    s = settings
    places = (s.login_url, s.instance_url, s.audience, ",".join(s.allowed_hosts))
    refreshed_by = str(s.refresh_token_file or "") or s.refresh_token
    secrets = (s.client_secret, s.private_key, s.access_token, refreshed_by)
    key = _digest(*places, s.grant, s.client_id, s.username, *secrets)
    with _sharing:
        return SESSIONS.setdefault(key, Session(RefreshToken(s.refresh_token, s.refresh_token_file)))


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@dataclass(slots=True)
class TokenSource:
    """Hands out the current token. `wall`: epoch seconds, for the assertion; `clock`: seconds, for what has to wait."""

    settings: SalesforceSettings
    client: httpx.Client
    retry: RetryPolicy
    wall: Callable[[], float] = time.time
    clock: Callable[[], float] = time.monotonic
    _refused: Refused | None = None
    _skew: float = 0.0
    _session: Session = field(init=False)

    def __post_init__(self) -> None:
        self._session = share_session(self.settings)

    @property
    def refresh_token(self) -> RefreshToken:
        return self._session.refresh_token

    def current(self) -> Token:
        with self._session.lock:
            token = self._session.token
            if token is None or self._is_idle():
                token = self._log_in()
            self._session.used = self.clock()
            return token

    def renew(self, stale: Token) -> Token:
        """A token other than `stale`; when another thread has renewed it already, that one."""
        with self._session.lock:
            token = self._session.token
            if token is not None and token.value != stale.value:
                return token
            if self.settings.grant == "fixed":
                raise CredentialsError("The fixed access token was refused: it is void; give a new one.")
            self._session.token = None
            return self._log_in()

    def _is_idle(self) -> bool:
        return self.settings.grant != "fixed" and self.clock() - self._session.used > IDLE_SECONDS

    def _log_in(self) -> Token:
        refused = self._refused or REFUSED.get(self._credentials())
        if refused is not None and self.clock() - refused.at < REFUSED_HOURS * 3600:
            # A new one each time: an error that is raised again and again collects a traceback without end.
            said = f"{refused.error.message} It is not tried again for {REFUSED_HOURS:.0f} hours after a refusal: "
            said += "start this program anew when that is mended, or wait."
            raise type(refused.error)(said, code=refused.error.code)
        self._session.token = self._fixed_token() if self.settings.grant == "fixed" else self._fresh_token()
        return self._session.token

    def _fresh_token(self) -> Token:
        self._check_fuse()
        try:
            token = self.retry.run(self._request_token)
        except (CredentialsError, ConfigurationError) as error:
            self._refused = Refused(error, self.clock())
            raise
        self._refused, self._session.used = None, self.clock()
        return token

    def _credentials(self) -> str:
        """A digest of everything that decides whether a login is let in."""
        s = self.settings
        secrets = (s.client_secret, s.private_key, self.refresh_token.current())
        return _digest(s.login_url, s.grant, s.client_id, s.username, s.audience, *secrets)

    def _fixed_token(self) -> Token:
        return Token(self.settings.access_token, (self.settings.instance_url or self.settings.login_url).rstrip("/"))

    def _check_fuse(self) -> None:
        now, logins = self.clock(), self._session.logins
        if len(logins) == FUSE_LOGINS and now - logins[0] < FUSE_SECONDS:
            raise CredentialsError(
                f"Salesforce ended {FUSE_LOGINS} sessions within {FUSE_SECONDS:.0f} seconds; logging in was stopped. "
                "Check the session policy of the app and whether something logs this user out."
            )
        logins.append(now)

    def _request_token(self) -> Token:
        sent = self._form()
        answer = self._post(sent)
        if answer.status_code == 400 and (self._learn_clock(answer) or self._was_rotated(sent)):
            answer = self._post(self._form())
        if answer.status_code != 200:
            error = read_refusal(answer.status_code, answer.content, answer.headers)
            # Salesforce names a reason; who names none may be a proxy in between, and that passes.
            if not isinstance(error, TransientError) and error.code != str(answer.status_code):
                REFUSED[self._credentials()] = Refused(error, self.clock())
            raise error
        return self._read_token(answer)

    def _post(self, form: Mapping[str, str]) -> httpx.Response:
        url = f"{self.settings.login_url.rstrip('/')}/services/oauth2/token"
        try:
            return self.client.post(url, data=dict(form), headers={"Accept": "application/json"})
        except httpx.HTTPError as error:
            raise unreachable(error, urlsplit(url).hostname or "") from None

    def _form(self) -> Mapping[str, str]:
        s = self.settings
        if s.grant == "jwt":
            return {"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": self._assertion()}
        app = {"client_id": s.client_id} | ({"client_secret": s.client_secret} if s.client_secret else {})
        if s.grant == "refresh":
            return app | {"grant_type": "refresh_token", "refresh_token": self.refresh_token.current()}
        return app | {"grant_type": "client_credentials"}

    def _assertion(self) -> str:
        claims = {
            "iss": self.settings.client_id,
            "sub": self.settings.username,
            "aud": self.settings.jwt_audience,
            "exp": int(self.wall() + self._skew) + ASSERTION_SECONDS,
        }
        try:
            return jwt.encode(claims, self.settings.private_key, algorithm="RS256")
        except (ValueError, TypeError, jwt.PyJWTError):
            raise ConfigurationError("The private key is not an RSA key in PEM form (without a password).") from None

    def _learn_clock(self, answer: httpx.Response) -> bool:
        """True when the assertion was refused as expired and the server's clock tells by how much ours is off."""
        if self.settings.grant != "jwt" or b"expired authorization code" not in answer.content:
            return False
        server = read_http_date(answer.headers.get("date", ""))
        skew = 0.0 if server is None else server.timestamp() - self.wall()
        learned, self._skew = abs(skew - self._skew) > 1, skew
        return learned

    def _was_rotated(self, sent: Mapping[str, str]) -> bool:
        """True when another process has logged in between our reading of the token and our use of it."""
        return self.settings.grant == "refresh" and self.refresh_token.current() != sent["refresh_token"]

    def _read_token(self, answer: httpx.Response) -> Token:
        body = decode_json(answer.content)
        if not isinstance(body, dict) or not body.get("access_token") or not body.get("instance_url"):
            raise ProtocolError("The login answer holds no token: is the login address really a Salesforce address?")
        check_address(str(body["instance_url"]), "instance_url of the login answer", self.settings.domains)
        self.refresh_token.keep(str(body.get("refresh_token") or ""))
        return _token_from(body)


def _token_from(body: Mapping[str, Any]) -> Token:
    path = urlsplit(str(body.get("id") or "")).path.strip("/").split("/")
    organisation, user = (path[-2], path[-1]) if len(path) == 3 and path[0] == "id" else ("", "")
    return Token(str(body["access_token"]), str(body["instance_url"]).rstrip("/"), organisation, user)


def read_refusal(status: int, body: bytes, headers: Mapping[str, str]) -> ConnectorError:
    """The error of a refused login, by the table above; an unreadable body is judged by its status."""
    value = decode_json(body)
    if not isinstance(value, dict) or "error" not in value:
        kind = CredentialsError if status in (400, 401, 403) else error_for_status(status)
        return kind(
            f"Login failed: HTTP {status} without a reason.", code=str(status), retry_after=read_retry_after(headers)
        )
    error, text = str(value["error"]), str(value.get("error_description") or "").lower()
    row = next((r for r in REFUSALS if r.error == error and r.text in text), Refusal(error, "", ""))
    said = f"Login refused: {_known_text(text)} ({error}). {row.advice}".strip()
    return row.kind(said, code=error, retry_after=read_retry_after(headers))


def _known_text(description: str) -> str:
    """The part of the description that the table knows; anything else may quote what we sent."""
    known = (r.text for r in REFUSALS if r.text and r.text in description)
    return next(known, "no reason that is known")
