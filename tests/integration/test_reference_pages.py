"""Asking for a reference and every step after that, by somebody at a browser."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from reference_company import TODAY, event, open_company
from starlette.testclient import TestClient

from app.domain.requests import State
from app.errors import ConfigError
from app.store.keys import save_key
from app.sync.reference_requests import list_requests, show_request
from app.web.api import create_app


@pytest.fixture
def company(tmp_path, migrated_database_url, monkeypatch):
    yield from open_company(tmp_path, migrated_database_url, monkeypatch)


class Person:
    """Somebody at a browser that has logged in, and what the pages say."""

    def __init__(self, company, *scopes):
        key, secret = save_key(company.services.database, name="Kim", scopes=scopes, now=company.clock.now, who="me")
        app = create_app(company.services)
        client = TestClient(app, base_url="http://127.0.0.1:8000", client=("127.0.0.1", 50000), follow_redirects=False)
        self.client, self.name = client, f"Kim ({key.key_id})"
        self.client.auth = ("kim", secret)

    def see(self, path):
        return self.client.get(path)

    def fields(self, path, **said):
        """The hidden fields of the (first, or named by its step) form of a page, and what somebody fills in."""
        forms = re.findall(r"<form class=\"card.*?</form>", self.see(path).text, re.DOTALL)
        hidden = [dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', form)) for form in forms]
        wanted = said.get("step")
        return {**next(one for one in hidden if wanted is None or one.get("step") == wanted), **said}

    def send(self, path, fields, **headers):
        return self.client.post(path, data=fields, headers=headers)


ASK = "/references/ask?account=A&opportunity=OPEN&scope=basic"
STEPS = "/references/requests/1/steps"


def test_a_salesperson_takes_every_step_from_the_page(company):
    person = Person(company, "read", "events:write")
    assert (
        "/references/ask?account=A&amp;opportunity=OPEN&amp;scope=basic"
        in person.see("/references?opportunity=OPEN").text
    )
    assert "Consent holds." in person.see(ASK).text

    asked = person.send("/references/ask", person.fields(ASK, kind="site_visit", contact="ann", needed_by="2026-06-20"))

    assert (asked.status_code, asked.headers["location"]) == (303, STEPS)
    for step, told in (
        ("approve", {"reason": "a good one"}),
        ("schedule", {"scheduled_for": "2026-06-01"}),
        ("complete", {"actual": "positive", "minutes": "30", "signals": ["prompt_yes", "known_brand"], "on": ""}),
        ("confirm", {}),
    ):
        assert person.send(STEPS, person.fields(STEPS, step=step, **told)).status_code == 303, step
    view = show_request(company.services, 1).as_json()
    assert (view["state"], view["kind"], view["contact"], view["needed_by"]) == (
        "confirmed",
        "site_visit",
        "ann",
        "2026-06-20",
    )
    assert {one["who"] for one in view["steps"]} == {person.name}
    outcome = company.recorded()["1-outcome"].attributes
    assert (outcome["minutes"], set(outcome["signals"])) == (30, {"prompt_yes", "known_brand"})
    assert "What happens next" not in person.see(STEPS).text
    assert "confirmed" in person.see("/references/requests?state=confirmed").text
    assert "No request is new" in person.see("/references/requests?state=new").text


def test_a_form_sent_twice_does_what_it_does_once(company):
    person = Person(company, "read", "events:write")
    fields = person.fields(ASK)
    assert [person.send("/references/ask", fields).headers["location"] for _ in range(2)] == [STEPS, STEPS]
    for step, told in (("approve", {}), ("schedule", {"scheduled_for": "2026-06-03"}), ("schedule", {})):
        fields = person.fields(STEPS, step=step, **told)
        assert [person.send(STEPS, fields).status_code for _ in range(2)] == [303, 303]
    assert [one["state"] for one in show_request(company.services, 1).as_json()["steps"]] == [
        "new",
        "approved",
        "scheduled",
        "scheduled",
    ]
    assert len(company.recorded()) == 2
    assert len(list_requests(company.services)) == 1


def test_forms_sent_twice_at_once_take_one_step(company):
    people = [Person(company, "read", "events:write")]
    fields = people[0].fields(ASK)
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda _: people[0].send("/references/ask", fields), range(2)))
    assert {one.headers["location"] for one in answers} == {STEPS}
    fields = people[0].fields(STEPS, step="approve")
    with ThreadPoolExecutor(2) as both:
        answers = list(both.map(lambda _: people[0].send(STEPS, fields), range(2)))
    assert [one.status_code for one in answers] == [303, 303]
    assert len(show_request(company.services, 1).steps) == 2


def test_what_somebody_else_did_meanwhile_is_told_and_not_overwritten(company):
    person, other = Person(company, "read", "events:write"), Person(company, "read", "events:write")
    person.send("/references/ask", person.fields(ASK))
    fields = person.fields(STEPS, step="approve")
    other.send(STEPS, other.fields(STEPS, step="decline", reason="not now"))

    answer = person.send(STEPS, fields)

    assert answer.status_code == 409
    assert "was moved meanwhile" in answer.text
    assert show_request(company.services, 1).request.state is State.NOT_APPROVED


def test_a_consent_that_was_withdrawn_while_the_page_was_open_stops_the_step(company):
    person = Person(company, "read", "events:write")
    ask, asked = person.fields(ASK), person.send("/references/ask", person.fields(ASK))
    approve = person.fields(STEPS, step="approve")
    company.save(event("w", "permission_revoked", "A"))

    answer = person.send(STEPS, approve)

    assert (asked.status_code, answer.status_code) == (303, 409)
    assert "Nothing was changed." in answer.text
    assert "revoked on 2026-06-01" in answer.text
    assert show_request(company.services, 1).request.state is State.NEW
    assert 'value="approve"' not in person.see(STEPS).text
    assert "may not be asked now" in person.see(ASK.replace("account=A", "account=C")).text
    # What it had been sent for is known, and is shown again; asking anew is not possible.
    assert person.send("/references/ask", {**ask, "account": "C"}).status_code == 409


def test_an_override_from_the_page_needs_its_reason(company):
    company.save(event("a1", "ask_sent", "A", TODAY - timedelta(2)))
    person = Person(company, "read", "events:write")

    without = person.send("/references/ask", person.fields(ASK))
    with_it = person.send("/references/ask", person.fields(ASK, override="the CEO asked for it"))

    assert (without.status_code, with_it.status_code) == (409, 303)
    assert "last asked on 2026-05-30" in without.text
    assert show_request(company.services, 1).request.override_reason == "the CEO asked for it"


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({"seal": ""}, {}, 403),
        ({"seal": "é"}, {}, 403),
        ({"seal": "0" * 64}, {}, 403),
        ({}, {"Sec-Fetch-Site": "cross-site"}, 403),
        ({}, {"Sec-Fetch-Site": "same-site"}, 403),
        ({}, {"Content-Type": "text/plain"}, 415),
        ({"reason": "a\0b"}, {}, 422),
        ({}, {"Sec-Fetch-Site": "same-origin"}, 303),
    ],
    ids=range(8),
)
def test_no_page_elsewhere_sends_a_form_in_somebodys_name(company, change, headers, status):
    person = Person(company, "read", "events:write")
    person.send("/references/ask", person.fields(ASK))

    answer = person.send(STEPS, person.fields(STEPS, step="approve", **change), **headers)

    assert answer.status_code == status
    assert show_request(company.services, 1).request.state is (State.APPROVED if status == 303 else State.NEW)


def test_the_seal_of_one_key_is_none_for_another(company):
    person, other = Person(company, "read", "events:write"), Person(company, "read", "events:write")

    assert person.send("/references/ask", other.fields(ASK)).status_code == 403


@pytest.mark.parametrize("scopes", [("read",), ("events:write",), ("calendar",), None])
def test_without_a_key_that_reads_and_writes_nobody_sees_or_sends_a_form(company, scopes):
    company.ask()
    person = Person(company, *(scopes or ("read",)))
    if scopes is None:
        person.client.auth = None
    for answer in (person.see(ASK), person.see(STEPS), person.send(STEPS, {"step": "approve"})):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic")
    assert show_request(company.services, 1).request.state is State.NEW


def test_the_list_of_requests_goes_on_behind_the_last_one_seen(company, monkeypatch):
    monkeypatch.setattr("app.web.requests.SHOWN", 2)
    person = Person(company, "read")
    for n, deal in ((1, "OPEN"), (2, "OPEN2")):
        assert company.ask("A", deal) == n
    company.step(1, "cancel")
    company.ask("A", "OPEN")

    first = person.see("/references/requests").text
    (further,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = person.see(further.replace("&amp;", "&")).text

    assert re.findall(r"/references/requests/(\d+)", first) == ["3", "2"]
    assert re.findall(r"/references/requests/(\d+)", second) == ["1"]
    assert person.see("/references/requests/9").status_code == 404
    with pytest.raises(ConfigError, match="no opportunity has the id NONE"):
        list_requests(company.services, opportunity="NONE")
    assert list_requests(company.services, opportunity="LOST") == []


def test_a_program_that_says_what_it_has_seen_takes_a_step_once(company):
    company.ask()
    key, secret = save_key(
        company.services.database, name="p", scopes=["events:write"], now=company.clock.now, who="me"
    )
    client = TestClient(create_app(company.services), headers={"Authorization": f"Bearer {secret}"})

    def post(step, **body):
        return client.post(f"/v1/reference-requests/1/{step}", json=body)

    answers = [post("approve", seen=1), post("approve", seen=1), post("approve"), post("cancel", seen=1)]

    assert [one.status_code for one in answers] == [200, 200, 409, 409]
    assert [one["who"] for one in answers[1].json()["steps"]] == ["me", f"p ({key.key_id})"]
