from __future__ import annotations

import pytest

from connectors.salesforce.sandbox import Clock, Field, Org, Sandbox, load_org, serve


@pytest.fixture
def control(connect):
    client = connect(token="none")

    def act(do, **body):
        answer = client.post("/sandbox/state", {"do": do, **body})
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    act.client = client
    return act


def test_the_state_shows_what_happened_and_counts_nowhere(control, client, sandbox):
    client.post("sobjects/Account", {"Name": "A"})

    state = control.client.get("/sandbox/state").json()

    assert state["records"]["Account"] == 1
    assert state["calls"] == {"create": 1}
    assert state["written"] == {"Account": 1}
    assert state["api_used"] == 1
    assert state["organization_id"] == sandbox.org.organization_id


def test_faults_are_injected_shown_and_cleared(control, client):
    made = control.client.post(
        "/sandbox/faults", {"kind": "error", "on": "query", "code": "QUERY_TIMEOUT", "status": 400, "times": 2}
    )
    assert made.status_code == 201
    assert client.refused("SELECT Id FROM Account") == "QUERY_TIMEOUT"
    (waiting,) = control.client.get("/sandbox/faults").json()
    assert (waiting["kind"], waiting["times"], waiting["struck"]) == ("error", 1, 1)

    control.client.delete("/sandbox/faults")

    assert client.soql("SELECT Id FROM Account").status_code == 200


def test_records_live_and_die_by_its_actions(control, org):
    one, two = (control("create", object="Account", values={"Name": name}) for name in "AB")
    control("update", object="Account", id=one, values={"Website": "a.example"})
    control("merge", object="Account", id=one, losers=[two])
    assert org.record("Account", two)["MasterRecordId"] == one
    assert org.record("Account", one)["Website"] == "a.example"

    control("delete", object="Account", id=one)
    assert org.count("Account") == 0
    control("undelete", object="Account", id=one)
    assert org.count("Account") == 1
    control("purge", object="Account", id=one)
    assert one not in org.tables["Account"].rows


def test_time_moves_and_stands(control, org):
    assert control("advance", seconds=60) == "2026-03-01T12:01:00.000+0000"
    assert control("freeze", at="2026-05-01T00:00:00+00:00") == "2026-05-01T00:00:00.000+0000"
    account = control("create", object="Account", values={"Name": "A"})
    control("advance", seconds=1)
    control("touch", object="Account", id=account)
    assert org.record("Account", account)["SystemModstamp"] == "2026-05-01T00:00:01.000+0000"
    assert control("freeze") == "2026-05-01T00:00:01.000+0000"


def test_values_change_without_a_stamp(control, client, org):
    account = org.create("Account", {"Name": "A", "AnnualRevenue": 5})
    before = org.record("Account", account)
    control("advance", seconds=60)

    control("drift", object="Account", id=account, values={"AnnualRevenue": 7})

    assert client.names("SELECT Name FROM Account WHERE AnnualRevenue = 7") == ["A"]
    assert org.record("Account", account) == before | {"AnnualRevenue": 7}


def test_sessions_begin_for_anybody_and_queries_are_forgotten(control, connect, org, sandbox):
    other = control("create", object="User", values={"Username": "other@example.com", "LastName": "O"})
    for name in ("A", "B", "C"):
        org.create("Account", {"Name": name})
    control("hide_field", object="Account", field="Website", user=other)
    control("manners", page_size=1)
    control("refresh_token", token="again", user=other)
    client = connect(control("login"))
    following = client.soql("SELECT Id FROM Account").json()["nextRecordsUrl"]

    control("expire_cursors")

    assert client.get(following).json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"
    assert client.soql("SELECT Website FROM Account").status_code == 200
    assert connect(control("login", user=other)).refused("SELECT Website FROM Account") == "INVALID_FIELD"
    assert sandbox.engine.refresh_tokens == {"again": other}


def test_changes_are_held_back_and_committed_late(control, client, org):
    account = org.create("Account", {"Name": "A"})
    control("late", object="Account", id=account, values={"Name": "B"})
    made = control("late", object="Account", values={"Name": "C"})
    assert client.names("SELECT Name FROM Account") == ["A"]

    assert control("commit") == [account, made]

    assert sorted(client.names("SELECT Name FROM Account")) == ["B", "C"]


def test_visibility_is_switched(control, client, org):
    account = org.create("Account", {"Name": "A"})
    control("hide_field", object="Account", field="Website")
    assert client.refused("SELECT Website FROM Account") == "INVALID_FIELD"
    control("show_field", object="Account", field="Website")
    control("lock_field", object="Account", field="Website", user=org.user_id)
    assert client.patch(f"sobjects/Account/{account}", {"Website": "x"}).status_code == 400
    control("hide_record", id=account)
    assert client.names("SELECT Name FROM Account") == []
    control("show_record", id=account)
    assert client.names("SELECT Name FROM Account") == ["A"]


def test_records_refuse_and_allow(control, client, org):
    account = org.create("Account", {"Name": "A"})
    control("refuse", id=account, code="ENTITY_IS_LOCKED", message="in approval")
    assert client.patch(f"sobjects/Account/{account}", {"Name": "x"}).json()[0]["errorCode"] == "ENTITY_IS_LOCKED"
    control("allow", id=account)
    assert client.patch(f"sobjects/Account/{account}", {"Name": "x"}).status_code == 204


def test_outbound_messages_are_set_up_and_sent(control, org):
    assert control("outbound", url="http://127.0.0.1:9/nobody", object="Account", fields=["Name"]).startswith("04k")
    org.create("Account", {"Name": "A"})

    assert control("deliver") == 0

    assert control.client.get("/sandbox/state").json()["outbound_waiting"] == 1


def test_manners_change_and_sessions_end(control, sandbox, connect):
    client = connect(sandbox.login())
    assert control("manners", page_size=7)["page_size"] == 7
    assert control("revoke") == 1
    assert client.get("limits").status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"do": "nonsense"},
        {"do": "update"},
        {"do": "update", "object": "Account", "id": "001Tt0000000001IAA", "values": {}},
        {"do": "manners", "nonsense": 1},
        {"do": "freeze", "at": "noon"},
        {"do": "undelete", "object": "Account", "id": "x"},
    ],
)
def test_wrong_actions_are_refused_with_a_reason(control, body):
    answer = control.client.post("/sandbox/state", body)

    assert answer.status_code in {400, 404}
    assert answer.json()[0]["message"]


def test_unknown_addresses_and_faults_are_refused(control):
    assert control.client.get("/sandbox/nonsense").status_code == 404
    assert control.client.post("/sandbox/faults", {"kind": "gremlin"}).status_code == 400


def test_a_form_from_a_web_page_cannot_steer_it(control):
    answer = control.client.ask(
        "POST", "/sandbox/state", content='{"do":"revoke"}', headers={"Content-Type": "text/plain"}
    )

    assert answer.status_code == 415


def test_the_org_is_saved_on_request_and_at_the_end(tmp_path, connect):
    state = tmp_path / "org.state"
    with Sandbox(Org(), state_file=state) as running:
        running.org.create("Account", {"Name": "A"})
        running.save()
        assert load_org(state).count("Account") == 1
        running.org.create("Account", {"Name": "B"})

    assert load_org(state).count("Account") == 2


def test_a_killed_sandbox_has_forgotten_nothing_it_answered(tmp_path):
    state = tmp_path / "org.state"
    org = Org(clock=Clock(), multi_currency=True)
    with Sandbox(org, state_file=state):
        account, loser, binned, purged = (org.create("Account", {"Name": name, "AnnualRevenue": 5}) for name in "ABCD")
        org.merge("Account", account, loser)
        org.delete("Account", binned)
        org.undelete("Account", binned)
        org.delete("Account", binned)
        org.purge("Account", purged)
        org.late_update("Account", account, {"Website": "late.example"}).commit()
        org.touch("Account", account)
        org.add_field("Account", Field("Key__c"))
        org.update("Account", account, {"Key__c": "k"})
        with state.open("a") as out:
            out.write('{"object": "Account", "id": "half a li')

        again = load_org(state)

    assert list(again.records("Account", deleted=True)) == list(org.records("Account", deleted=True))
    assert again.deletions == org.deletions
    assert again.numbers == org.numbers
    assert again.record("Account", account)["Key__c"] == "k"


def test_serve_makes_an_org_of_another_kind():
    seen = []

    serve(ready=seen.append, wait=lambda: None, multi_currency=True, person_accounts=True)

    (org,) = [sandbox.org for sandbox in seen]
    person = org.create("Account", {"FirstName": "Ada", "LastName": "L"})
    assert org.record("Account", person)["IsPersonAccount"] is True
    assert org.record("Account", person)["CurrencyIsoCode"] == "USD"


def test_serve_tells_when_it_is_ready_and_keeps_the_state(tmp_path):
    (tmp_path / "Account.csv").write_text("Name\nA\n")
    seen = []

    for _ in range(2):
        serve(token="t", data_dir=tmp_path, state_file=tmp_path / "org.state", ready=seen.append, wait=lambda: None)

    first, second = (sandbox.credentials for sandbox in seen)
    assert first == second
    assert (first.client_id, first.username, first.token) == ("sandbox-client", "sync@example.com", "t")
    assert seen[0].org.organization_id == seen[1].org.organization_id
    assert seen[1].org.count("Account") == 1
