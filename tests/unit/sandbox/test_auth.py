from __future__ import annotations

import base64
import hashlib
import hmac

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.salesforce.sandbox.auth import JWT_BEARER


@pytest.fixture(scope="session")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def ask_token(connect):
    client = connect(token="none")

    def ask(**form):
        return client.ask("POST", "/services/oauth2/token", data=form, headers=form.pop("headers", None))

    return ask


@pytest.fixture
def secret(sandbox):
    return {"client_id": sandbox.credentials.client_id, "client_secret": sandbox.credentials.client_secret}


@pytest.fixture
def assertion(sandbox, clock, key):
    def build(signed_by=key, **changes):
        claims = {
            "iss": sandbox.credentials.client_id,
            "sub": sandbox.credentials.username,
            "aud": "https://login.salesforce.com",
            "exp": int(clock.now().timestamp()) + 180,
        }
        return jwt.encode({**claims, **changes}, signed_by, algorithm="RS256")

    sandbox.register_key(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return build


def test_client_credentials_give_a_token_that_works(ask_token, secret, connect, sandbox, clock):
    answer = ask_token(grant_type="client_credentials", **secret)

    body = answer.json()
    assert answer.status_code == 200
    assert set(body) == {"access_token", "signature", "scope", "instance_url", "id", "token_type", "issued_at"}
    assert body["issued_at"] == str(int(clock.now().timestamp() * 1000))
    assert body["instance_url"] == sandbox.url
    assert "Sforce-Limit-Info" not in answer.headers
    assert connect(body["access_token"]).get("limits").status_code == 200


def test_the_signature_is_the_hmac_of_identity_and_time(ask_token, secret):
    body = ask_token(grant_type="client_credentials", **secret).json()

    expected = hmac.new(secret["client_secret"].encode(), (body["id"] + body["issued_at"]).encode(), hashlib.sha256)

    assert base64.b64decode(body["signature"]) == expected.digest()


def test_client_credentials_may_come_as_basic_authentication(ask_token, secret):
    pair = base64.b64encode(f"{secret['client_id']}:{secret['client_secret']}".encode()).decode()

    answer = ask_token(grant_type="client_credentials", headers={"Authorization": f"Basic {pair}"})

    assert answer.status_code == 200


def test_a_signed_assertion_gives_a_token(ask_token, assertion, connect):
    answer = ask_token(grant_type=JWT_BEARER, assertion=assertion())

    assert connect(answer.json()["access_token"]).get("limits").status_code == 200


def test_an_expiry_sent_as_text_is_accepted(ask_token, assertion, clock):
    assert (
        ask_token(grant_type=JWT_BEARER, assertion=assertion(exp=str(int(clock.now().timestamp()) + 60))).status_code
        == 200
    )


@pytest.mark.parametrize(
    ("changes", "error", "description"),
    [
        ({"iss": "stranger"}, "invalid_client_id", "client identifier invalid"),
        ({"aud": "https://evil.example"}, "invalid_grant", "audience is invalid"),
        ({"exp": 0}, "invalid_grant", "expired authorization code"),
        ({"exp": 99999999999}, "invalid_grant", "expired authorization code"),
        ({"exp": "soon"}, "invalid_grant", "invalid assertion"),
        ({"sub": "stranger@example.com"}, "invalid_grant", "user hasn't approved this consumer"),
    ],
)
def test_assertions_that_do_not_fit_are_refused_with_400_and_an_object(
    ask_token, assertion, changes, error, description
):
    answer = ask_token(grant_type=JWT_BEARER, assertion=assertion(**changes))

    assert answer.status_code == 400
    assert answer.json() == {"error": error, "error_description": description}


def test_an_assertion_signed_by_somebody_else_is_refused(ask_token, assertion):
    stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    answer = ask_token(grant_type=JWT_BEARER, assertion=assertion(signed_by=stranger))

    assert answer.json() == {"error": "invalid_grant", "error_description": "invalid assertion"}


@pytest.mark.parametrize("text", ["", "x", "a.b.c", "e30.e30.e30"])
def test_what_is_no_assertion_is_refused(ask_token, assertion, text):
    assert ask_token(grant_type=JWT_BEARER, assertion=text).status_code == 400


def test_a_user_who_has_not_approved_or_is_inactive_gets_nothing(ask_token, assertion, sandbox, org):
    sandbox.engine.unapproved.add(org.user_id)
    assert (
        ask_token(grant_type=JWT_BEARER, assertion=assertion()).json()["error_description"]
        == "user hasn't approved this consumer"
    )

    sandbox.engine.unapproved.clear()
    org.update("User", org.user_id, {"IsActive": False})

    assert ask_token(grant_type=JWT_BEARER, assertion=assertion()).json()["error_description"] == "inactive user"


def test_a_refresh_token_works_until_it_is_revoked(ask_token, secret, sandbox):
    sandbox.add_refresh_token("again")
    assert ask_token(grant_type="refresh_token", refresh_token="again", **secret).status_code == 200

    sandbox.revoke_tokens()

    answer = ask_token(grant_type="refresh_token", refresh_token="again", **secret)
    assert answer.json() == {"error": "invalid_grant", "error_description": "expired access/refresh token"}


@pytest.mark.parametrize(
    ("form", "error"),
    [
        ({"grant_type": "password", "username": "u", "password": "p"}, "invalid_grant"),
        (
            {"grant_type": "client_credentials", "client_id": "sandbox-client", "client_secret": "wrong"},
            "invalid_client",
        ),
        ({"grant_type": "client_credentials", "client_id": "stranger", "client_secret": "x"}, "invalid_client_id"),
        ({"grant_type": "device"}, "unsupported_grant_type"),
        ({}, "unsupported_grant_type"),
    ],
)
def test_other_ways_in_are_refused(ask_token, form, error):
    answer = ask_token(**form)

    assert (answer.status_code, answer.json()["error"]) == (400, error)


def test_a_request_without_a_valid_token_is_401(connect):
    answer = connect(token="wrong").get("limits")

    assert answer.status_code == 401
    assert answer.json() == [{"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}]


def test_the_word_oauth_is_as_good_as_bearer(client):
    assert client.get("limits", headers={"Authorization": "OAuth fixed-token"}).status_code == 200


def test_the_fixed_token_always_works(client, sandbox):
    sandbox.revoke_tokens()

    assert client.get("limits").status_code == 200


def test_tokens_have_a_life(connect, sandbox, clock):
    sandbox.manners.token_seconds = 900
    client = connect(sandbox.login())
    assert client.get("limits").status_code == 200

    clock.advance(900)

    assert client.get("limits").status_code == 401


def test_a_revoked_token_is_dead(connect, sandbox):
    token = sandbox.login()
    client = connect(token)

    client.ask("POST", "/services/oauth2/revoke", data={"token": token})

    assert client.get("limits").status_code == 401


def test_without_a_fixed_token_none_is_accepted():
    from connectors.salesforce.sandbox import Org, Sandbox
    from connectors.salesforce.sandbox.auth import session_user
    from connectors.salesforce.sandbox.errors import ApiError

    sandbox = Sandbox(Org())

    with pytest.raises(ApiError):
        session_user(sandbox.engine, "")
