"""Requests that no client should send: each is refused with a reason, and none is a crash (the fixture looks)."""

from __future__ import annotations

import pytest

from connectors.salesforce.sandbox import Fault

ODD = ([], ["LF"], {}, {"a": 1}, 1, True)
EDGE = "9999-12-31T23:59:59-23:59"
FIRST = "0001-01-01T00:00:00+23:59"


@pytest.mark.parametrize("name", ["columnDelimiter", "lineEnding", "contentType"])
@pytest.mark.parametrize("value", [one for one in ODD if one], ids=repr)
@pytest.mark.parametrize("kind", ["query", "ingest"])
def test_a_dialect_that_is_no_text(client, kind, name, value):
    order = {"query": {"operation": "query", "query": "SELECT Id FROM Account"}}.get(
        kind, {"operation": "update", "object": "Account"}
    )

    answer = client.post(f"jobs/{kind}", order | {name: value})

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "API_ERROR")


@pytest.mark.parametrize("value", [True, 1, {"a": 1}, [1], [None], [["a"]], [{}]], ids=repr)
@pytest.mark.parametrize("name", ["ids", "fields"])
def test_a_list_of_records_that_is_none(client, name, value):
    answer = client.post("composite/sobjects/Account", {"ids": [], "fields": ["Id"]} | {name: value})

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "JSON_PARSER_ERROR")


@pytest.mark.parametrize("moment", [EDGE, FIRST])
@pytest.mark.parametrize("what", ["deleted", "updated"])
@pytest.mark.parametrize("name", ["start", "end"])
def test_a_window_beyond_the_calendar(client, moment, what, name):
    window = {"start": "2026-03-01T10:00:00Z", "end": "2026-03-01T11:00:00Z"} | {name: moment}

    answer = client.get(f"sobjects/Account/{what}/", params=window)

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_REPLICATION_DATE")


def test_other_moments_beyond_the_calendar(client, sandbox):
    since = {"If-Modified-Since": "Fri, 31 Dec 9999 23:59:59 -2359"}
    assert client.get("sobjects/Account/describe", headers=since).status_code == 200
    for action in ({"do": "freeze", "at": EDGE}, {"do": "advance", "seconds": 1e300}):
        assert client.post("/sandbox/state", action).status_code == 400
    assert client.soql(f"SELECT Id FROM Account WHERE CreatedDate > {EDGE}").status_code == 400


def test_undeleting_brings_back_what_is_still_in_the_bin(client, org):
    account = org.create("Account", {"Name": "A"})
    deals = [
        org.create("Opportunity", {"Name": name, "StageName": "Prospecting", "CloseDate": day, "AccountId": account})
        for name, day in (("a", "2026-03-01"), ("b", "2026-03-02"))
    ]
    org.delete("Account", account)
    org.purge("Opportunity", deals[0])

    org.undelete("Account", account)

    assert client.names("SELECT Name FROM Opportunity") == ["b"]
    gone = client.post("/sandbox/state", {"do": "undelete", "object": "Opportunity", "id": deals[0]})
    assert (gone.status_code, gone.json()[0]["errorCode"]) == (400, "UNDELETE_FAILED")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("status", "x"),
        ("status", 99),
        ("status", 600),
        ("status", True),
        ("status", None),
        ("on", 1),
        ("times", "2"),
        ("times", -1),
        ("times", 1.5),
        ("skip", None),
        ("contains", None),
        ("code", 5),
        ("message", []),
        ("seconds", "1"),
        ("seconds", -1),
        ("seconds", float("nan")),
        ("seconds", 1e300),
        ("rows", "1"),
        ("keep", "1"),
        ("ids", "001"),
        ("ids", [1]),
        ("ids", None),
        ("after_work", "no"),
    ],
)
def test_a_fault_that_could_not_strike(client, sandbox, name, value):
    with pytest.raises(ValueError, match=name):
        Fault("error", **{name: value})

    if value == value:  # not a number, which JSON cannot carry
        answer = client.post("/sandbox/faults", {"kind": "error", "status": 503} | {name: value})
        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "BAD_ACTION")
    assert sandbox.faults.waiting == []
