from __future__ import annotations

import csv
import io

import httpx
import pytest

from connectors.salesforce.sandbox import Fault


def fill(org, count):
    return [org.create("Account", {"Name": f"a{number:04d}"}) for number in range(count)]


def test_an_error_strikes_as_often_as_it_was_told_to(client, sandbox):
    fault = sandbox.faults.inject("error", "query", code="QUERY_TIMEOUT", message="too long", status=400, times=2)

    statuses = [client.soql("SELECT Id FROM Account").status_code for _ in range(3)]

    assert statuses == [400, 400, 200]
    assert (fault.struck, sandbox.faults.struck, sandbox.faults.waiting) == (2, 2, [])


def test_a_fault_waits_for_its_kind_its_turn_and_its_text(client, sandbox):
    sandbox.faults.inject("error", "query", skip=1, contains="Opportunity")

    statuses = [
        client.get("limits").status_code,
        client.soql("SELECT Id FROM Account").status_code,
        client.soql("SELECT Id FROM Opportunity").status_code,
        client.soql("SELECT Id FROM Account").status_code,
        client.soql("SELECT Id FROM Opportunity").status_code,
    ]

    assert statuses == [200, 200, 200, 200, 500]


def test_a_fault_without_end_is_cleared(client, sandbox):
    sandbox.faults.inject("error", times=None)
    assert [client.get("limits").status_code for _ in range(3)] == [500] * 3

    sandbox.faults.clear()

    assert client.get("limits").status_code == 200


@pytest.mark.parametrize("status", [406, 420, 500, 502, 503, 504])
def test_the_edge_answers_with_a_page(client, sandbox, status):
    sandbox.faults.inject("html", status=status, message="Service Unavailable")

    answer = client.soql("SELECT Id FROM Account")

    assert answer.status_code == status
    assert answer.headers["Content-Type"].startswith("text/html")
    assert answer.text.startswith("<html>")


def test_a_session_ends_in_the_middle_of_paging_and_stays_ended(connect, sandbox, org):
    fill(org, 4)
    sandbox.manners.page_size = 2
    client = connect(sandbox.login())
    sandbox.faults.inject("expired", "query_more")
    more = client.soql("SELECT Id FROM Account").json()["nextRecordsUrl"]

    first, second = client.get(more), client.get(more)
    renewed = connect(sandbox.login()).get(more)

    assert (first.status_code, second.status_code, renewed.status_code) == (401, 401, 200)
    assert first.json()[0]["errorCode"] == "INVALID_SESSION_ID"


def test_a_session_ends_in_the_middle_of_a_job(connect, sandbox):
    client = connect(sandbox.login())
    sandbox.faults.inject("expired", "bulk_query.poll")
    job = client.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"}).json()

    assert client.get(f"jobs/query/{job['id']}").status_code == 401
    assert connect(sandbox.login()).get(f"jobs/query/{job['id']}").status_code == 200


def test_a_401_may_be_no_json(client, sandbox):
    sandbox.faults.inject("html_401")

    answer = client.get("limits")

    assert (answer.status_code, "LOGIN_OAUTH_INVALID_TOKEN" in answer.text) == (401, True)


def test_a_connection_is_dropped_before_the_work(client, sandbox, org):
    (account,) = fill(org, 1)
    sandbox.faults.inject("reset", "update")

    with pytest.raises(httpx.TransportError):
        client.patch(f"sobjects/Account/{account}", {"Name": "x"})

    assert org.record("Account", account)["Name"] == "a0000"


def test_a_connection_is_dropped_after_the_work_whose_answer_is_lost(client, sandbox, org):
    (account,) = fill(org, 1)
    sandbox.faults.inject("reset", "update", after_work=True)

    with pytest.raises(httpx.TransportError):
        client.patch(f"sobjects/Account/{account}", {"Name": "x"})

    assert org.record("Account", account)["Name"] == "x"


def test_a_connection_is_reset_in_the_middle_of_the_csv(client, sandbox, org, run_bulk_query):
    fill(org, 50)
    path = run_bulk_query("SELECT Id, Name FROM Account") + "/results"
    sandbox.faults.inject("cut", "bulk_query.results", keep=100)

    with pytest.raises(httpx.TransportError):
        client.get(path)

    assert client.get(path).headers["Sforce-NumberOfRecords"] == "50"


def test_a_csv_arrives_complete_and_too_short(client, sandbox, org, run_bulk_query):
    fill(org, 5)
    path = run_bulk_query("SELECT Id FROM Account") + "/results"
    sandbox.faults.inject("truncate", "bulk_query.results", rows=2)

    answer = client.get(path)

    assert answer.status_code == 200
    assert answer.headers["Sforce-NumberOfRecords"] == "5"
    assert len(list(csv.DictReader(io.StringIO(answer.text)))) == 3


def test_an_answer_is_cut_at_a_byte(client, sandbox):
    sandbox.faults.inject("truncate", "limits", keep=10)

    assert len(client.get("limits").content) == 10


def test_rows_repeat_between_pages(client, sandbox, org):
    ids = fill(org, 4)
    sandbox.manners.page_size = 2
    sandbox.faults.inject("repeat", "query_more", rows=1)
    first = client.soql("SELECT Id FROM Account ORDER BY Name").json()

    second = client.get(first["nextRecordsUrl"]).json()

    assert [record["Id"] for record in second["records"]] == ids[1:]
    assert second["totalSize"] == 4


def test_rows_that_were_announced_are_missing(client, sandbox, org):
    fill(org, 4)
    sandbox.faults.inject("lose", "query", rows=2)

    page = client.soql("SELECT Id FROM Account").json()

    assert (page["totalSize"], len(page["records"]), page["done"]) == (4, 2, True)


def test_a_locator_is_forgotten(client, sandbox, org):
    fill(org, 4)
    sandbox.manners.page_size = 2
    more = client.soql("SELECT Id FROM Account").json()["nextRecordsUrl"]

    sandbox.expire_cursors()

    assert client.get(more).json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_a_delayed_answer_comes_all_the_same(client, sandbox):
    fault = sandbox.faults.inject("delay", "limits", seconds=0.001)

    assert client.get("limits").status_code == 200
    assert fault.struck == 1


def test_a_job_fails_on_the_servers_side(client, sandbox, run_bulk_query, run_ingest):
    sandbox.faults.inject("job_fails", times=2, message="retried more than fifteen times")

    query = client.get(run_bulk_query("SELECT Id FROM Account")).json()
    ingest, _ = run_ingest("Id,Name\n")

    assert (query["state"], query["errorMessage"]) == ("Failed", "retried more than fifteen times")
    assert (ingest["state"], ingest["errorMessage"]) == ("Failed", "retried more than fifteen times")


def test_chosen_rows_are_refused_for_a_while_whatever_writes_them(client, sandbox, org, run_ingest):
    one, two = fill(org, 2)
    sandbox.faults.inject("row", ids={two}, code="UNABLE_TO_LOCK_ROW", message="locked", times=2)

    first = client.update_many({"Id": one, "Name": "x"}, {"Id": two, "Name": "x"}).json()
    state, _ = run_ingest(f"Id,Name\n{one},y\n{two},y\n")
    last = client.patch(f"sobjects/Account/{two}", {"Name": "z"})

    assert [row["success"] for row in first] == [True, False]
    assert first[1]["errors"][0]["statusCode"] == "UNABLE_TO_LOCK_ROW"
    assert state["numberRecordsFailed"] == 1
    assert last.status_code == 204


def test_a_parent_held_by_somebody_else_refuses_its_children_whatever_writes_them(client, sandbox, org, run_ingest):
    parent, other = fill(org, 2)
    one, two, free = (
        org.create("Account", {"Name": name, "ParentId": under})
        for name, under in (("one", parent), ("two", parent), ("free", other))
    )
    sandbox.faults.inject("lock", ids={parent}, rows=1, times=None)

    def patch_both() -> list[bool]:
        records = [{"attributes": {"type": "Account"}, "Id": each, "NumberOfEmployees": 1} for each in (one, two, free)]
        return [row["success"] for row in client.ask("PATCH", "composite/sobjects", json={"records": records}).json()]

    assert patch_both() == [True, False, True]
    assert patch_both() == [True, False, True], "a transaction of its own each time"
    state, result = run_ingest(f"Id,NumberOfEmployees\n{one},2\n{two},2\n{free},2\n")
    assert state["numberRecordsFailed"] == 1
    assert f"UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record or 1 records: {parent}" in result(
        "failedResults"
    )
    assert client.ask("PATCH", f"sobjects/Account/{two}", json={"NumberOfEmployees": 3}).status_code == 204
    sandbox.faults.clear()
    assert patch_both() == [True, True, True]


def test_a_sub_request_meets_faults_of_its_own(client, sandbox):
    sandbox.faults.inject("error", "query", code="QUERY_TIMEOUT", status=400)
    request = {"method": "GET", "url": "/services/data/v62.0/query?q=SELECT+Id+FROM+Account", "referenceId": "q"}

    (answer,) = client.post("composite", {"compositeRequest": [request]}).json()["compositeResponse"]

    assert (answer["httpStatusCode"], answer["body"][0]["errorCode"]) == (400, "QUERY_TIMEOUT")


def test_the_token_endpoint_can_fail_too(connect, sandbox):
    sandbox.faults.inject("html", "token", status=503)

    answer = connect().ask("POST", "/services/oauth2/token", data={"grant_type": "client_credentials"})

    assert answer.status_code == 503


def test_an_unknown_fault_is_refused():
    with pytest.raises(ValueError, match="unknown fault 'gremlin'"):
        Fault("gremlin")


def test_a_mistake_of_the_sandbox_itself_is_500_and_noted(client, sandbox, org):
    def broken(_):
        raise ZeroDivisionError

    fill(org, 1)
    org.add_formula("Account", "Broken__c", broken)

    answer = client.soql("SELECT Broken__c FROM Account")

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (500, "UNKNOWN_EXCEPTION")
    assert "ZeroDivisionError" in sandbox.engine.crashes.pop()
