"""The token endpoint and the token check: client credentials, JWT bearer and refresh token; passwords are refused."""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qsl

import jwt

from connectors.salesforce.sandbox.engine import Call, Engine, Reply, Token, json_reply
from connectors.salesforce.sandbox.errors import ApiError

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
AUDIENCES = ("https://login.salesforce.com", "https://test.salesforce.com")
_LONGEST_ASSERTION = timedelta(minutes=5)


class OAuthError(Exception):
    """Answered with status 400 and an object, unlike every other error."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


def token(engine: Engine, call: Call) -> Reply:
    form = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
    grants = {
        "client_credentials": _client_credentials,
        "refresh_token": _refresh,
        JWT_BEARER: _jwt_bearer,
        "password": _password,
    }
    grant = grants.get(form.get("grant_type", ""))
    try:
        if grant is None:
            raise OAuthError("unsupported_grant_type", "grant type not supported")
        user, secret = grant(engine, call, form)
        _check_user(engine, user)
    except OAuthError as refused:
        return json_reply({"error": refused.error, "error_description": refused.description}, 400)
    return json_reply(_success(engine, user, secret) | _rotate(engine, form))


def _rotate(engine: Engine, form: Mapping[str, str]) -> dict[str, str]:
    """The next refresh token, where the app rotates them."""
    if form["grant_type"] != "refresh_token" or not engine.manners.rotate_refresh_tokens:
        return {}
    following = secrets.token_urlsafe(48)
    engine.refresh_tokens[following] = engine.refresh_tokens.pop(form["refresh_token"])
    return {"refresh_token": following}


def _success(engine: Engine, user: str, secret: str) -> dict[str, Any]:
    issued = str(int(engine.org.clock.now().timestamp() * 1000))
    identity = f"{engine.base_url}/id/{engine.org.organization_id}/{user}"
    signature = hmac.new(secret.encode(), (identity + issued).encode(), hashlib.sha256).digest()
    return {
        "access_token": issue_token(engine, user),
        "signature": base64.b64encode(signature).decode(),
        "scope": "api",
        "instance_url": engine.base_url,
        "id": identity,
        "token_type": "Bearer",
        "issued_at": issued,
    }


def issue_token(engine: Engine, user: str) -> str:
    made = f"{engine.org.organization_id[:15]}!{secrets.token_urlsafe(48)}"
    engine.tokens[made] = Token(user, engine.org.clock.now())
    return made


def _password(_engine: Engine, _call: Call, _form: Mapping[str, str]) -> tuple[str, str]:
    raise OAuthError("invalid_grant", "authentication failure")


def _client(engine: Engine, call: Call, form: Mapping[str, str]) -> tuple[str, str]:
    """Client id and secret, from the form or from Basic authentication."""
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    authorization = call.headers.get("authorization", "")
    if not client_id and authorization.lower().startswith("basic "):
        decoded = base64.b64decode(authorization[6:] + "==").decode("utf-8", "replace")
        client_id, _, secret = decoded.partition(":")
    if client_id not in engine.clients:
        raise OAuthError("invalid_client_id", "client identifier invalid")
    return client_id, secret


def _client_credentials(engine: Engine, call: Call, form: Mapping[str, str]) -> tuple[str, str]:
    client_id, secret = _client(engine, call, form)
    if not hmac.compare_digest(secret.encode(), engine.clients[client_id].encode()):
        raise OAuthError("invalid_client", "invalid client credentials")
    return engine.org.user_id, secret


def _refresh(engine: Engine, call: Call, form: Mapping[str, str]) -> tuple[str, str]:
    client_id, secret = _client(engine, call, form)
    if secret and not hmac.compare_digest(secret.encode(), engine.clients[client_id].encode()):
        raise OAuthError("invalid_client", "invalid client credentials")
    user = engine.refresh_tokens.get(form.get("refresh_token", ""))
    if user is None:
        raise OAuthError("invalid_grant", "expired access/refresh token")
    return user, engine.clients[client_id]


def _jwt_bearer(engine: Engine, _call: Call, form: Mapping[str, str]) -> tuple[str, str]:
    claims = _read_claims(engine, form.get("assertion", ""))
    user = next((record for record in engine.org.records("User") if record["Username"] == claims.get("sub")), None)
    if user is None or user["Id"] in engine.unapproved:
        raise OAuthError("invalid_grant", "user hasn't approved this consumer")
    return str(user["Id"]), engine.clients[str(claims["iss"])]


def _read_claims(engine: Engine, assertion: str) -> dict[str, Any]:
    try:
        unchecked = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        raise OAuthError("invalid_grant", "invalid assertion") from None
    client_id = str(unchecked.get("iss", ""))
    if client_id not in engine.clients:
        raise OAuthError("invalid_client_id", "client identifier invalid")
    _check_signature(engine, client_id, assertion)
    if unchecked.get("aud") not in {*AUDIENCES, engine.base_url}:
        raise OAuthError("invalid_grant", "audience is invalid")
    try:
        # Some clients send the number as text.
        expires = float(unchecked.get("exp", 0))
    except (TypeError, ValueError):
        raise OAuthError("invalid_grant", "invalid assertion") from None
    now = engine.org.clock.now().timestamp()
    if not now < expires <= now + _LONGEST_ASSERTION.total_seconds():
        raise OAuthError("invalid_grant", "expired authorization code")
    return dict(unchecked)


def _check_signature(engine: Engine, client_id: str, assertion: str) -> None:
    """RS256 with the key registered for the client; without a registered key any signature will do."""
    key = engine.public_keys.get(client_id)
    if key is None:
        return
    try:
        # The times are judged elsewhere, by the org's clock.
        jwt.decode(
            assertion,
            key.decode(),
            algorithms=["RS256"],
            options={"verify_exp": False, "verify_aud": False, "verify_iat": False, "verify_nbf": False},
        )
    except jwt.PyJWTError:
        raise OAuthError("invalid_grant", "invalid assertion") from None


def _check_user(engine: Engine, user: str) -> None:
    if not engine.org.record("User", user)["IsActive"]:
        raise OAuthError("invalid_grant", "inactive user")


def authenticate(engine: Engine, call: Call) -> tuple[str, str]:
    """The user behind the request's token, and the token; 401 INVALID_SESSION_ID without a valid one."""
    scheme, _, given = call.headers.get("authorization", "").partition(" ")
    if scheme.lower() not in {"bearer", "oauth"}:
        given = call.query.get("oauth_token", "")
    return session_user(engine, given), given


def session_user(engine: Engine, given: str) -> str:
    if engine.fixed_token and hmac.compare_digest(given.encode(), engine.fixed_token.encode()):
        return engine.org.user_id
    known = engine.tokens.get(given)
    life = engine.manners.token_seconds
    if known is None or (life is not None and engine.org.clock.now() - known.issued >= timedelta(seconds=life)):
        raise ApiError("INVALID_SESSION_ID", "Session expired or invalid", status=401)
    return known.user


def revoke(engine: Engine, call: Call) -> Reply:
    form = dict(parse_qsl(call.body.decode("utf-8", "replace")))
    engine.tokens.pop(form.get("token", call.query.get("token", "")), None)
    return Reply(200, content_type="text/html")


def identity(engine: Engine, call: Call) -> Reply:
    """Answers both `/services/oauth2/userinfo` and the identity URL `/id/ORG/USER`."""
    user = engine.org.record("User", call.user)
    return json_reply(
        {
            "id": f"{engine.base_url}/id/{engine.org.organization_id}/{call.user}",
            "sub": f"{engine.base_url}/id/{engine.org.organization_id}/{call.user}",
            "user_id": call.user,
            "organization_id": engine.org.organization_id,
            "username": user["Username"],
            "preferred_username": user["Username"],
            "display_name": user["Name"],
            "name": user["Name"],
            "email": user["Email"],
            "active": user["IsActive"],
            "user_type": "STANDARD",
            "urls": {"rest": f"{engine.base_url}/services/data/v{{version}}/"},
        }
    )
