"""Logging in: four grants, one token for all threads, refusals that are never repeated, and no secret in sight."""

from __future__ import annotations

import json
import logging
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import parse_qs

import httpx
import jwt
import pytest
import respx
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from connectors.errors import ConfigurationError, CredentialsError, ProtocolError, TransientError, UnreachableError
from connectors.retry import RetryPolicy
from connectors.salesforce.auth import (
    FUSE_LOGINS,
    IDLE_SECONDS,
    REFUSALS,
    REFUSED,
    REFUSED_HOURS,
    SESSIONS,
    TokenSource,
    read_refusal,
    share_session,
)
from connectors.salesforce.connector import SalesforceConnector
from connectors.salesforce.settings import SalesforceSettings

URL = "https://acme.my.salesforce.com"
TOKEN_PATH = f"{URL}/services/oauth2/token"
GOOD = {
    "access_token": "00D!secret-token",
    "instance_url": "https://acme.my.salesforce.com",
    "id": "https://login.salesforce.com/id/00D000000000001EAA/005000000000001AAA",
    "issued_at": "1700000000000",
    "token_type": "Bearer",
}
CLIENT = SalesforceSettings(login_url=URL, client_id="app", client_secret="hunter2")


@pytest.fixture(scope="module")
def key() -> str:
    made = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = made.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pem.decode()


Source = Callable[..., TokenSource]


def forget_process() -> None:
    """As in a new process: nobody has logged in yet, and nothing was refused."""
    REFUSED.clear()
    SESSIONS.clear()


@pytest.fixture
def source():
    with httpx.Client() as client:

        def make(settings: SalesforceSettings, **more) -> TokenSource:
            return TokenSource(settings, client, RetryPolicy(attempts=3, sleep=lambda _: None), **more)

        yield make


@pytest.fixture
def login():
    with respx.mock(assert_all_called=False) as router:
        yield router.post(TOKEN_PATH).respond(json=GOOD)


def form(route) -> dict[str, str]:
    return dict(httpx.QueryParams(route.calls.last.request.content.decode()))


def test_client_credentials_go_into_the_form_and_never_into_the_address(source: Source, login) -> None:
    token = source(CLIENT).current()

    assert form(login) == {"grant_type": "client_credentials", "client_id": "app", "client_secret": "hunter2"}
    assert "hunter2" not in str(login.calls.last.request.url)
    assert (token.organisation_id, token.user_id) == ("00D000000000001EAA", "005000000000001AAA")


def test_a_jwt_assertion_is_signed_short_lived_and_has_a_whole_number_of_seconds(source: Source, login, key) -> None:
    settings = SalesforceSettings(login_url=URL, client_id="app", username="u@example.com", private_key=key)

    source(settings, wall=lambda: 1_700_000_000.9).current()

    sent = form(login)
    claims = jwt.decode(sent["assertion"], options={"verify_signature": False})
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert jwt.get_unverified_header(sent["assertion"])["alg"] == "RS256"
    assert claims == {"iss": "app", "sub": "u@example.com", "aud": "https://login.salesforce.com", "exp": 1_700_000_150}
    assert isinstance(claims["exp"], int)


@pytest.mark.parametrize(
    ("login_url", "audience"),
    [
        ("https://login.salesforce.com", "https://login.salesforce.com"),
        ("https://test.salesforce.com", "https://test.salesforce.com"),
        ("https://acme.my.salesforce.com", "https://login.salesforce.com"),
        ("https://acme--dev.sandbox.my.salesforce.com", "https://test.salesforce.com"),
    ],
)
def test_the_audience_follows_the_kind_of_org(login_url, audience) -> None:
    assert SalesforceSettings(login_url=login_url).jwt_audience == audience
    assert SalesforceSettings(login_url=login_url, audience="https://other").jwt_audience == "https://other"


def test_a_clock_that_is_off_is_learned_from_the_answer_once(source: Source, key) -> None:
    settings = SalesforceSettings(login_url=URL, client_id="app", username="u", private_key=key)
    server = datetime(2025, 1, 1, tzinfo=UTC)
    expired = {"error": "invalid_grant", "error_description": "expired authorization code"}
    refusal = httpx.Response(400, json=expired, headers={"Date": format_datetime(server, usegmt=True)})
    with respx.mock as router:
        route = router.post(TOKEN_PATH).mock(side_effect=[refusal, httpx.Response(200, json=GOOD)])

        source(settings, wall=(server - timedelta(hours=2)).timestamp).current()

        claims = jwt.decode(form(route)["assertion"], options={"verify_signature": False})
        assert abs(claims["exp"] - server.timestamp() - 150) <= 1
        assert route.call_count == 2


def test_a_clock_that_is_right_is_not_blamed_for_ever(source: Source, key) -> None:
    settings = SalesforceSettings(login_url=URL, client_id="app", username="u", private_key=key)
    expired = {"error": "invalid_grant", "error_description": "expired authorization code"}
    with respx.mock as router:
        route = router.post(TOKEN_PATH).respond(400, json=expired)

        with pytest.raises(CredentialsError, match="clock"):
            source(settings).current()

        assert route.call_count == 1


def test_a_rotated_refresh_token_replaces_the_old_one(source: Source, login) -> None:
    settings = SalesforceSettings(login_url=URL, client_id="app", refresh_token="first")
    tokens = source(settings)
    login.respond(json=GOOD | {"refresh_token": "second"})
    token = tokens.current()
    assert form(login)["refresh_token"] == "first"

    tokens.renew(token)

    assert form(login)["refresh_token"] == "second"


def test_a_fixed_token_is_used_as_it_is_and_cannot_be_renewed(source: Source, login) -> None:
    tokens = source(SalesforceSettings(access_token="fixed", instance_url=URL + "/"))
    token = tokens.current()

    with pytest.raises(CredentialsError, match="fixed access token"):
        tokens.renew(token)

    assert (token.value, token.instance_url) == ("fixed", URL)
    assert not login.called


def test_the_instance_of_every_answer_is_taken_and_checked(source: Source, login) -> None:
    tokens = source(CLIENT)
    first = tokens.current()
    login.respond(json=GOOD | {"access_token": "t2", "instance_url": "https://moved.my.salesforce.com"})
    assert tokens.renew(first).instance_url == "https://moved.my.salesforce.com"

    for hostile in (
        "https://evil.example",
        "http://acme.my.salesforce.com",
        "https://x.salesforce.com@evil.example",
        "https://evil.example\\.salesforce.com",
        "https://acme.my.salesforce.com/elsewhere",
    ):
        login.respond(json=GOOD | {"access_token": "t3", "instance_url": hostile})
        forget_process()
        with pytest.raises(ConfigurationError, match="instance_url"):
            source(CLIENT).current()


def test_an_allowed_host_of_ones_own_is_accepted(source: Source, login) -> None:
    login.respond(json=GOOD | {"instance_url": "https://crm.acme.example"})

    assert source(replace(CLIENT, allowed_hosts=("crm.acme.example",))).current().host == "crm.acme.example"


def test_problem_22_none_of_the_ways_in_that_salesforce_closes_is_used(source: Source, login, key) -> None:
    """No user name with a password, no SOAP login, no session that a person has to start."""
    lasting = {"client_credentials", "refresh_token", "urn:ietf:params:oauth:grant-type:jwt-bearer"}
    jwt_bearer = replace(CLIENT, client_secret="", username="sync@acme.example", private_key=key)
    used = set()

    for settings in (CLIENT, jwt_bearer, replace(CLIENT, refresh_token="r")):
        source(settings).current()
        sent = form(login)
        used.add(sent["grant_type"])
        assert not {"password", "username"} & sent.keys()

    assert used == lasting
    assert not [f.name for f in fields(SalesforceSettings) if "password" in f.name or "security_token" in f.name]


@pytest.mark.parametrize("row", REFUSALS, ids=[f"{row.error}: {row.text}" for row in REFUSALS])
def test_each_refusal_has_its_class_and_its_advice(row) -> None:
    described = f"Something - {row.text.capitalize()}" if row.text else "words that nobody knows"
    body = json.dumps({"error": row.error, "error_description": described}).encode()

    error = read_refusal(400, body, {})

    assert type(error) is row.kind
    assert row.advice in error.message
    assert error.code == row.error


def test_an_unknown_refusal_is_a_matter_of_credentials() -> None:
    assert type(read_refusal(400, b'{"error":"new_one"}', {})) is CredentialsError
    assert type(read_refusal(403, b"<html>", {})) is CredentialsError
    assert type(read_refusal(503, b"<html>", {})) is TransientError


@pytest.mark.parametrize(
    ("status", "said", "reason"),
    [
        (400, {"error": "invalid_grant", "error_description": "authentication failure"}, "IP restrictions"),
        (403, {}, "without a reason"),
    ],
    ids=["with a reason", "without one"],
)
def test_a_refused_login_is_never_repeated_since_repeating_locks_the_user(
    source: Source, login, status, said, reason
) -> None:
    login.respond(status, json=said)
    tokens = source(CLIENT)

    for _ in range(3):
        with pytest.raises(CredentialsError, match=reason):
            tokens.current()

    assert login.call_count == 1


LASTING = [row for row in REFUSALS if not issubclass(row.kind, TransientError)]


@pytest.mark.parametrize("row", LASTING, ids=[f"{row.error}: {row.text}" for row in LASTING])
def test_no_connector_of_a_process_repeats_what_was_refused_to_another(source: Source, login, row) -> None:
    login.respond(400, json={"error": row.error, "error_description": row.text})

    for _ in range(3):
        with pytest.raises(row.kind) as refused:
            source(CLIENT).current()

    assert login.call_count == 1
    assert row.advice in refused.value.message
    assert "start this program anew" in refused.value.message


@pytest.mark.parametrize("lasting", [True, False], ids=["one connector", "a connector for each run"])
def test_a_refused_login_is_tried_again_after_half_a_day_and_once_only(source: Source, login, lasting) -> None:
    login.respond(400, json={"error": "invalid_grant", "error_description": "user is inactive"})
    now = [0.0]
    one = source(CLIENT, clock=lambda: now[0])

    def tries() -> int:
        with pytest.raises(CredentialsError):
            (one if lasting else source(CLIENT, clock=lambda: now[0])).current()
        return login.call_count

    made = []
    for hour in range(49):
        now[0] = hour * 3600.0
        made.append(tries())
    assert made == [1 + hour // int(REFUSED_HOURS) for hour in range(49)]

    login.respond(json=GOOD)
    now[0] += REFUSED_HOURS * 3600
    assert (one if lasting else source(CLIENT, clock=lambda: now[0])).current().value == GOOD["access_token"]


def test_other_credentials_are_tried_although_some_were_refused(source: Source, login, tmp_path) -> None:
    login.respond(400, json={"error": "invalid_grant", "error_description": "expired access/refresh token"})
    path = token_file(tmp_path)
    rotating = replace(CLIENT, refresh_token="first", refresh_token_file=path)
    for settings in (CLIENT, rotating):
        with pytest.raises(CredentialsError):
            source(settings).current()

    login.respond(json=GOOD)
    path.write_text("second\n", "utf-8")
    for settings in (replace(CLIENT, client_secret="mended"), rotating):
        assert source(settings).current().value == GOOD["access_token"]


@pytest.mark.parametrize("passing", [(503, {"error": "server_error"}), (403, {})], ids=["trouble", "a proxy"])
def test_what_may_pass_is_tried_by_the_next_connector(source: Source, login, passing) -> None:
    status, body = passing
    login.respond(status, json=body)
    with pytest.raises((TransientError, CredentialsError)):
        source(CLIENT).current()

    login.respond(json=GOOD)

    assert source(CLIENT).current().value == GOOD["access_token"]


def test_passing_trouble_at_the_login_is_retried(source: Source, login) -> None:
    login.mock(side_effect=[httpx.Response(503), httpx.ConnectError("no"), httpx.Response(200, json=GOOD)])

    assert source(CLIENT).current().value == GOOD["access_token"]


def test_an_unreachable_login_names_the_host_only(source: Source, login) -> None:
    login.mock(side_effect=httpx.ConnectError("secret detail https://u:p@x"))

    with pytest.raises(UnreachableError, match=r"No answer from acme\.my\.salesforce\.com \(ConnectError\)"):
        source(CLIENT).current()


def test_an_answer_that_is_no_token_is_a_protocol_error(source: Source, login) -> None:
    for body in ("<html>", "{}", '{"access_token":"x"}'):
        login.respond(text=body)
        with pytest.raises(ProtocolError):
            source(CLIENT).current()


def test_threads_that_meet_the_same_expiry_renew_once(source: Source, login) -> None:
    tokens = source(CLIENT)
    stale = tokens.current()

    def slow(_request: httpx.Request) -> httpx.Response:
        time.sleep(0.005)
        return httpx.Response(200, json=GOOD | {"access_token": "fresh"})

    login.mock(side_effect=slow)
    renewed: list[str] = []
    threads = [threading.Thread(target=lambda: renewed.append(tokens.renew(stale).value)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert renewed == ["fresh"] * 8
    assert login.call_count == 2


@pytest.mark.parametrize("settings", [CLIENT, replace(CLIENT, client_secret="", refresh_token="first")])
def test_all_connectors_of_a_process_share_one_token(source: Source, login, settings) -> None:
    one, other = source(settings), source(settings)
    stale = one.current()
    assert other.current() is stale

    login.respond(json=GOOD | {"access_token": "fresh"})

    assert one.renew(stale) is other.renew(stale)
    assert source(settings).current().value == "fresh"
    assert login.call_count == 2


@pytest.mark.parametrize(
    "other",
    [
        {"client_secret": "other"},
        {"client_id": "other"},
        {"login_url": "https://other.my.salesforce.com"},
        {"client_secret": "", "refresh_token": "first"},
        {"allowed_hosts": ("other.example",)},
    ],
    ids=repr,
)
def test_whoever_logs_in_in_another_way_has_a_session_of_its_own(other) -> None:
    settings = replace(CLIENT, **other)

    assert share_session(settings) is not share_session(CLIENT)
    assert share_session(replace(settings, page_rows=7)) is share_session(settings)


def test_a_session_that_nobody_used_for_a_while_is_not_tried(source: Source, login) -> None:
    now = [0.0]
    tokens = source(CLIENT, clock=lambda: now[0])
    made = []
    for now[0] in (0.0, IDLE_SECONDS, 2 * IDLE_SECONDS, 3 * IDLE_SECONDS + 1):
        tokens.current()
        made.append(login.call_count)

    assert made == [1, 1, 1, 2]


def test_a_storm_of_renewals_blows_the_fuse_and_time_mends_it(source: Source, login) -> None:
    now = [0.0]
    tokens = source(CLIENT, clock=lambda: now[0])
    token = tokens.current()
    for _ in range(FUSE_LOGINS - 1):
        token = tokens.renew(token)

    with pytest.raises(CredentialsError, match="ended 6 sessions"):
        tokens.renew(token)
    assert login.call_count == FUSE_LOGINS

    now[0] = 1000.0
    tokens.renew(token)
    assert login.call_count == FUSE_LOGINS + 1


def test_a_key_that_is_none_is_a_configuration_error_that_does_not_show_it(source: Source, login) -> None:
    bad = "-----BEGIN PRIVATE KEY-----\nsecretstuff\n-----END PRIVATE KEY-----"
    settings = SalesforceSettings(login_url=URL, client_id="app", username="u", private_key=bad)

    with pytest.raises(ConfigurationError) as caught:
        source(settings).current()

    assert "secretstuff" not in str(caught.value)
    assert "PEM" in caught.value.message


def test_secrets_are_not_part_of_any_representation(source: Source, login) -> None:
    settings = replace(CLIENT, private_key="k1", refresh_token="r1", access_token="a1")
    tokens = source(CLIENT)
    token = tokens.current()

    shown = repr(settings) + repr(token) + repr(tokens)

    for secret in ("hunter2", "k1", "r1", "a1'", "secret-token"):
        assert secret not in shown


def test_all_grants_work_against_the_local_org(sandbox, connect, key) -> None:
    public = serialization.load_pem_private_key(key.encode(), None).public_key()
    sandbox.register_key(
        public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    sandbox.add_refresh_token("refresh-me")
    sandbox.org.clock.freeze(datetime.now(UTC))
    known = sandbox.credentials

    options = [
        {},
        {"private_key": key, "username": known.username, "client_secret": ""},
        {"refresh_token": "refresh-me", "client_secret": ""},
        {"access_token": sandbox.login(), "instance_url": sandbox.url},
    ]

    for chosen in options:
        assert connect(**chosen).identify().organisation_id == sandbox.org.organization_id


# Refresh tokens that an app rotates


def token_file(folder: Path, text: str = "first") -> Path:
    path = folder / "refresh.token"
    path.write_text(text + "\n", "utf-8")
    path.chmod(0o644)
    return path


@pytest.fixture
def rotating(sandbox, connect) -> Callable[..., SalesforceConnector]:
    """Connectors, each a process of its own, to an org whose app rotates refresh tokens.

    A new process knows of nobody's session.
    """
    sandbox.manners.rotate_refresh_tokens = True
    sandbox.add_refresh_token("first")

    def start(path: Path | None, token: str = "first") -> SalesforceConnector:
        forget_process()
        return connect(refresh_token=token, refresh_token_file=path, client_secret="")

    return start


def test_a_rotated_refresh_token_survives_the_process_in_the_file_it_came_from(rotating, sandbox, tmp_path) -> None:
    path = token_file(tmp_path)

    for _ in range(3):
        rotating(path, path.read_text("utf-8").strip()).identify()

    assert path.read_text("utf-8").strip() in sandbox.engine.refresh_tokens
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path], "no half-written file is left"


def test_processes_that_share_the_file_do_not_lock_each_other_out(rotating, sandbox, tmp_path) -> None:
    path = token_file(tmp_path)
    one, other = rotating(path), rotating(path)

    for crm in (one, other, one, other):
        sandbox.engine.tokens.clear()
        crm.identify()


def test_a_token_rotated_between_reading_and_using_it_is_read_again(login, source, tmp_path) -> None:
    path = token_file(tmp_path)
    tokens = source(SalesforceSettings(login_url=URL, client_id="app", refresh_token="first", refresh_token_file=path))
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(parse_qs(request.content.decode())["refresh_token"][0])
        if sent[-1] == "first":
            path.write_text("second", "utf-8")  # another process logs in
            return httpx.Response(
                400, json={"error": "invalid_grant", "error_description": "expired access/refresh token"}
            )
        return httpx.Response(200, json=GOOD)

    login.mock(side_effect=answer)

    tokens.current()

    assert sent == ["first", "second"]


def test_connectors_of_one_process_use_the_newest_token_even_where_no_file_keeps_it(sandbox, connect) -> None:
    sandbox.manners.rotate_refresh_tokens = True
    sandbox.add_refresh_token("first")

    for _ in range(3):
        connect(refresh_token="first", client_secret="").identify()
        sandbox.engine.tokens.clear()


def test_a_link_to_the_token_stays_one(rotating, tmp_path) -> None:
    path, link = token_file(tmp_path), tmp_path / "link"
    link.symlink_to(path)

    rotating(link).identify()

    assert link.is_symlink()
    assert path.read_text("utf-8").strip() != "first"


@pytest.mark.parametrize("kept_in", ["nowhere", "a folder that is gone"])
def test_a_token_that_cannot_be_kept_is_a_loud_warning_without_it(rotating, sandbox, tmp_path, caplog, kept_in) -> None:
    caplog.set_level(logging.WARNING)  # another test may have set up logging for itself
    path = None if kept_in == "nowhere" else tmp_path / "gone" / "refresh.token"
    crm = rotating(path)

    crm.identify()
    sandbox.engine.tokens.clear()
    findings = crm.check_health()

    (issued,) = sandbox.engine.refresh_tokens
    assert crm.transport.tokens.refresh_token.value == issued, "this process goes on"
    assert "cannot be stored" in caplog.text
    assert "ADVOCACY_SALESFORCE_REFRESH_TOKEN_FILE" in caplog.text
    assert issued not in caplog.text
    (finding,) = [finding for finding in findings if finding.subject == "refresh token"]
    assert (finding.level, "switch refresh token rotation off" in finding.action) == ("error", True)


def test_an_operator_who_puts_a_new_token_into_the_file_is_believed(rotating, sandbox, tmp_path) -> None:
    path = token_file(tmp_path)
    crm = rotating(path)
    crm.identify()
    sandbox.revoke_tokens()
    sandbox.add_refresh_token("from the operator")
    path.write_text("from the operator", "utf-8")

    crm.identify()


def test_without_rotation_the_file_is_left_alone(sandbox, connect, tmp_path) -> None:
    sandbox.add_refresh_token("first")
    path = token_file(tmp_path)

    connect(refresh_token="first", refresh_token_file=path, client_secret="").identify()

    assert stat.S_IMODE(path.stat().st_mode) == 0o644
