"""A sandbox that is killed and started again from its state file: clients go on as with a server that never stops."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

import pytest

from connectors.salesforce.sandbox import Automation, Field, Org, Sandbox, load_org
from connectors.salesforce.settings import SalesforceSettings

from .conftest import Client


@pytest.fixture
def state(tmp_path):
    return tmp_path / "org.state"


@pytest.fixture
def running(org, state):
    with Sandbox(org, state_file=state) as sandbox:
        sandbox.manners.page_size = sandbox.manners.bulk_page_rows = 4
        yield sandbox
        assert sandbox.engine.crashes == []


@contextmanager
def talk(sandbox, token) -> Iterator[Client]:
    client = Client(sandbox, token)
    with client.http:
        yield client


@contextmanager
def again(sandbox, state, **options) -> Iterator[Sandbox]:
    """Another process on the file as a kill would leave it at this moment."""
    killed = state.with_name(f"{state.name}.killed")
    shutil.copyfile(state, killed)
    with Sandbox(load_org(killed, **options), state_file=killed) as started:
        started.manners.page_size = started.manners.bulk_page_rows = 4
        yield started
        assert started.engine.crashes == []


def fill(org, count=10):
    return [org.create("Account", {"Name": f"A{i}", "AnnualRevenue": Decimal(i)}) for i in range(count)]


def test_logins_go_on_and_ended_ones_stay_ended(running, state, org):
    kept, ended = running.login(), running.login()
    running.add_refresh_token("r")
    running.add_client("another", "secret")
    with talk(running, ended) as client:
        client.post("/services/oauth2/revoke", params={"token": ended})

    with again(running, state) as started:
        with talk(started, kept) as client:
            assert client.get("limits").status_code == 200
        with talk(started, ended) as client:
            assert client.get("limits").status_code == 401
            form = {"grant_type": "refresh_token", "refresh_token": "r", "client_id": "sandbox-client"}
            assert client.post("/services/oauth2/token", data=form).status_code == 200
            form = {"grant_type": "client_credentials", "client_id": "another", "client_secret": "secret"}
            assert client.post("/services/oauth2/token", data=form).status_code == 200


def test_a_query_goes_on_with_its_next_page(running, state, org):
    ids, token = fill(org), running.login()
    with talk(running, token) as client:
        first = client.soql("SELECT Id, AnnualRevenue FROM Account ORDER BY AnnualRevenue").json()

    with again(running, state) as started, talk(started, token) as client:
        second = client.get(first["nextRecordsUrl"]).json()
        third = client.get(second["nextRecordsUrl"]).json()

    seen = [row["Id"] for page in (first, second, third) for row in page["records"]]
    assert seen == ids
    assert third["records"][-1]["AnnualRevenue"] == 9.0
    assert third["done"]


def test_a_query_of_a_field_that_is_hidden_by_then_is_lost_and_nothing_else(running, state, org):
    fill(org)
    token = running.login()
    with talk(running, token) as client:
        first = client.soql("SELECT Id, Rating FROM Account").json()
        org.hide_field("Account", "Rating")
        running.save()

    with again(running, state) as started, talk(started, token) as client:
        assert client.get(first["nextRecordsUrl"]).json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_a_query_job_keeps_the_rows_it_found(running, state, org):
    ids, token = fill(org), running.login()
    with talk(running, token) as client:
        job = client.post("jobs/query", {"operation": "query", "query": "SELECT Id, AnnualRevenue FROM Account"})
        path = f"jobs/query/{job.json()['id']}"
        assert [client.get(path).json()["state"] for _ in range(2)] == ["InProgress", "JobComplete"]
        page = client.get(f"{path}/results")
        org.update("Account", ids[9], {"AnnualRevenue": Decimal(99)})
        org.add_field("Account", Field("Later__c"))

    with again(running, state) as started, talk(started, token) as client:
        locator, text = page.headers["sforce-locator"], page.text
        while locator != "null":
            page = client.get(f"{path}/results", params={"locator": locator})
            locator, text = page.headers["sforce-locator"], text + page.text.partition("\n")[2]
        state_shown = client.get(path).json()

    assert [line.split(",")[0].strip('"') for line in text.splitlines()[1:]] == ids
    assert "99" not in text
    assert state_shown["numberRecordsProcessed"] == 10


def test_jobs_go_on_from_where_they_were(running, state, org):
    (account, *_), token = fill(org, 1), running.login()
    with talk(running, token) as client:
        query = client.post("jobs/query", {"operation": "queryAll", "query": "SELECT Id FROM Account"}).json()["id"]
        client.get(f"jobs/query/{query}")
        order = {"object": "Account", "operation": "update", "contentType": "CSV", "lineEnding": "LF"}
        ingest = f"jobs/ingest/{client.post('jobs/ingest', order).json()['id']}"
        content = f"Id,Rating\n{account},Hot\n{account[:-1]},Cold\n"
        client.ask("PUT", f"{ingest}/batches", content=content, headers={"Content-Type": "text/csv"})
        client.patch(ingest, {"state": "UploadComplete"})

    with again(running, state) as started:
        with talk(started, token) as client:
            assert client.get(f"jobs/query/{query}").json()["state"] == "JobComplete"
            client.get(ingest)
            assert client.get(ingest).json()["state"] == "JobComplete"
        assert started.org.record("Account", account)["Rating"] == "Hot"
        with again(started, state.with_name("org.state.killed")) as third, talk(third, token) as client:
            assert client.get(ingest).json()["numberRecordsFailed"] == 1
            assert "MALFORMED_ID" in client.get(f"{ingest}/failedResults").text
            assert client.delete(ingest).status_code == 204
            made = client.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"}).json()["id"]
            assert made != query, "new ids do not repeat those that were given out"


def test_a_job_deleted_before_the_kill_stays_deleted(running, state, org):
    token = running.login()
    with talk(running, token) as client:
        made = client.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM User"}).json()
        path = f"jobs/query/{made['id']}"
        client.patch(path, {"state": "Aborted"})
        assert client.delete(path).status_code == 204

    with again(running, state) as started, talk(started, token) as client:
        assert client.get(path).status_code == 404


def test_a_pull_of_ours_goes_on_across_the_restart(running, state, org):
    from connectors.contract import PullRequest
    from connectors.salesforce.connector import build_salesforce

    ids, token = fill(org, 10), running.login()

    def connect(sandbox):
        reach = SalesforceSettings(access_token=token, instance_url=sandbox.url, rest_limit=0, page_rows=4)
        return build_salesforce(reach, sleep=lambda _: None)

    request = PullRequest("Account", ("Id",))
    crm = connect(running)
    pages = crm.pull([request])
    stored = [next(pages), next(pages)]
    pages.close()
    crm.close()

    with again(running, state) as started:
        crm = connect(started)
        rest = list(crm.pull([PullRequest("Account", ("Id",), resume=stored[-1].resume)]))
        crm.close()
        assert started.calls["bulk_query.create"] == 0

    assert sorted(row[0] for page in [*stored, *rest] for row in page.rows) == sorted(ids)


def test_a_formula_comes_back_with_its_code_and_is_missed_by_name_without_it(running, state, org):
    account = fill(org, 1)[0]
    doubled = lambda row: row["AnnualRevenue"] * 2  # noqa: E731 - code that no file can hold
    org.add_formula("Account", "Twice__c", doubled)
    org.update("Account", account, {"AnnualRevenue": Decimal(21)})
    running.save()

    with again(running, state) as started, talk(started, started.login()) as client:
        assert started.org.missing_formulas == ("Account.Twice__c",)
        assert client.refused("SELECT Twice__c FROM Account") == "INVALID_FIELD"
    with (
        again(running, state, formulas={"Account.Twice__c": doubled}) as started,
        talk(started, started.login()) as client,
    ):
        assert started.org.missing_formulas == ()
        assert client.rows("SELECT Twice__c FROM Account") == [{"Twice__c": 42}]


def test_an_org_without_a_server_keeps_what_one_left_in_it(running, state, org, tmp_path):
    from connectors.salesforce.sandbox import save_org

    token = running.login()
    running.save()
    save_org(load_org(state), tmp_path / "copy.state")

    with Sandbox(load_org(tmp_path / "copy.state")) as started, talk(started, token) as client:
        assert client.get("limits").status_code == 200


@pytest.mark.parametrize("seen", [None, [], [Automation("flow", "Account", "Tidy", "Create", active=False)]])
def test_automations_survive(running, state, seen):
    running.org.automations = seen

    running.save()

    assert load_org(state).automations == seen


def test_a_state_file_of_an_earlier_version_opens(running, state, org):
    """Before, the head said nothing of formulas or automations, and there were no lines of the server."""
    import json

    fill(org, 2)
    running.save()
    head, *lines = state.read_text("utf-8").splitlines()
    older = {key: value for key, value in json.loads(head).items() if key not in {"formulas", "automations"}}
    path = state.with_name("older.state")
    path.write_text("\n".join([json.dumps(older), *(one for one in lines if one.startswith("["))]) + "\n", "utf-8")

    assert load_org(path).count("Account") == 2
    assert load_org(path).automations == []


def test_without_a_state_file_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Sandbox(Org()) as sandbox, talk(sandbox, sandbox.login()) as client:
        client.soql("SELECT Id FROM User")

    assert list(tmp_path.iterdir()) == []
