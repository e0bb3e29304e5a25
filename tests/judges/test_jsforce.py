"""jsforce, the JavaScript client most tools are built on, unmodified, against the sandbox."""

from __future__ import annotations

import pytest

from connectors.salesforce.sandbox import Field

pytestmark = pytest.mark.judges


@pytest.fixture
def jsforce(node, sandbox):
    """Runs a piece of JavaScript that finds a connection under the name `org`."""
    connect = (
        "const { Connection } = require('jsforce');\n"
        "const org = new Connection({instanceUrl: given.url, accessToken: given.token, version: '62.0'});\n"
        "org.bulk2.pollInterval = 10; org.bulk.pollInterval = 10; org.metadata.pollInterval = 10;\n"
    )

    def run(text, **value):
        return node.script(connect + text, {"url": sandbox.url, "token": sandbox.credentials.token, **value})

    return run


def test_it_knows_who_it_is(jsforce, org):
    identity = jsforce("return await org.identity()")

    assert identity["user_id"] == org.user_id
    assert identity["organization_id"] == org.organization_id


def test_pages_of_a_query_are_followed_to_the_end(jsforce, org, sandbox):
    sandbox.manners.page_size = 2
    for number in range(5):
        org.create("Account", {"Name": str(number), "AnnualRevenue": number})

    found = jsforce(
        "return await org.query('SELECT Name, AnnualRevenue FROM Account ORDER BY Name', {autoFetch: true, maxFetch: 100})"
    )

    assert found["totalSize"] == 5
    assert [record["AnnualRevenue"] for record in found["records"]] == [0, 1, 2, 3, 4]


def test_parents_children_and_counts_are_read(jsforce, org):
    big = org.create("Account", {"Name": "Big"})
    org.create("Opportunity", {"Name": "won", "AccountId": big, "StageName": "Closed Won", "CloseDate": "2026-01-01"})

    found = jsforce(
        "return {children: (await org.query('SELECT Name, (SELECT Name FROM Opportunities) FROM Account')).records,"
        " parents: (await org.query('SELECT Account.Name FROM Opportunity')).records,"
        " count: await org.sobject('Account').count({Name: 'Big'}),"
        " found: await org.sobject('Account').find({Name: {$like: 'B%'}}, {Id: 1, Name: 1}).limit(5)}"
    )

    assert found["children"][0]["Opportunities"]["records"][0]["Name"] == "won"
    assert found["parents"][0]["Account"]["Name"] == "Big"
    assert found["count"] == 1
    assert [record["Name"] for record in found["found"]] == ["Big"]


def test_deleted_records_are_scanned_on_request(jsforce, org):
    org.delete("Account", org.create("Account", {"Name": "gone"}))

    found = jsforce(
        "const text = 'SELECT Name FROM Account WHERE IsDeleted = true';"
        "return [(await org.query(text)).totalSize, (await org.query(text, {scanAll: true})).totalSize]"
    )

    assert found == [0, 1]


def test_one_record_lives_and_dies(jsforce):
    found = jsforce(
        "const made = await org.sobject('Account').create({Name: 'A'});"
        "const changed = await org.sobject('Account').update({Id: made.id, Name: 'B'});"
        "const read = await org.sobject('Account').retrieve(made.id);"
        "const gone = await org.sobject('Account').destroy(made.id);"
        "const error = await org.sobject('Account').retrieve(made.id).catch((one) => one.errorCode);"
        "return [made.success, changed.success, read.Name, gone.success, error]"
    )

    assert found == [True, True, "B", True, "ENTITY_IS_DELETED"]


def test_collections_keep_their_order_and_report_each_record(jsforce, org):
    ids = [org.create("Account", {"Name": name}) for name in "abc"]

    found = jsforce(
        "const changes = [{Id: given.ids[0], Name: 'A'}, {Id: given.ids[1], Nope__c: 1}, {Id: given.ids[2], Name: 'C'}];"
        "return await org.sobject('Account').update(changes, {allowRecursive: true, allOrNone: false})",
        ids=ids,
    )

    assert [one["success"] for one in found] == [True, False, True]
    assert found[1]["errors"][0]["statusCode"] == "INVALID_FIELD"
    assert [org.record("Account", one)["Name"] for one in ids] == ["A", "b", "C"]


def test_more_than_two_hundred_records_go_in_several_collections(jsforce, org, sandbox):
    found = jsforce(
        "const records = Array.from({length: 450}, (_, n) => ({Name: `n${n}`}));"
        "const made = await org.sobject('Account').create(records, {allowRecursive: true});"
        "const read = await org.sobject('Account').retrieve(made.slice(0, 3).map((one) => one.id));"
        "const gone = await org.sobject('Account').destroy(made.map((one) => one.id), {allowRecursive: true});"
        "return [made.filter((one) => one.success).length, read.map((one) => one.Name), gone.length]"
    )

    assert found == [450, ["n0", "n1", "n2"], 450]
    assert sandbox.calls["collections"] == 6


def test_upserts_tell_created_from_changed(jsforce, org):
    org.add_field("Account", Field("Key__c", external_id=True))

    found = jsforce(
        "const one = await org.sobject('Account').upsert({Key__c: 'a b', Name: 'A'}, 'Key__c');"
        "const two = await org.sobject('Account').upsert([{Key__c: 'a b', Name: 'B'}, {Key__c: 'c', Name: 'C'}], 'Key__c');"
        "return [one.created, two.map((each) => each.created)]"
    )

    assert found == [True, [False, True]]
    assert sorted(record["Name"] for record in org.records("Account")) == ["B", "C"]


def test_an_object_and_the_whole_org_are_described(jsforce):
    found = jsforce(
        "const account = await org.describe('Account'); const all = await org.describeGlobal();"
        "return [account.fields.find((one) => one.name === 'AnnualRevenue').type, all.sobjects.map((one) => one.name),"
        " (await org.limits()).DailyApiRequests.Max, org.limitInfo.apiUsage.limit]"
    )

    assert found[0] == "currency"
    assert {"Account", "Opportunity", "Contact"} <= set(found[1])
    assert found[2:] == [100_000, 100_000]


def test_a_bulk_query_streams_every_record(jsforce, org):
    # One page: jsforce 3.10.16 writes the second one into a stream that the first one has ended.
    names = ["a,b", 'say "x"', "two\nlines", "größer 😀", ""]
    for name in names:
        org.create("Account", {"Name": name or "none", "Description": name})

    found = jsforce(
        "const stream = await org.bulk2.query('SELECT Name, Description FROM Account');return await stream.toArray()"
    )

    assert sorted(record["Description"] or "" for record in found) == sorted(names)


def test_a_bulk_load_reports_what_became_of_each_row(jsforce, org):
    good, bad = (org.create("Account", {"Name": name}) for name in ("good", "bad"))

    found = jsforce(
        "const job = await org.bulk2.loadAndWaitForResults({object: 'Account', operation: 'update', pollInterval: 10,"
        " input: [{Id: given.good, AnnualRevenue: '12.5', Description: 'a\\n\"b\", c'}, {Id: given.bad, AnnualRevenue: 'much'}]});"
        "return job",
        good=good,
        bad=bad,
    )

    assert [row["sf__Id"] for row in found["successfulResults"]] == [good]
    assert [row["sf__Id"] for row in found["failedResults"]] == [bad]
    assert found["unprocessedRecords"] == []
    assert org.record("Account", good)["Description"] == 'a\n"b", c'


def test_a_bulk_load_inserts_and_deletes(jsforce, org):
    found = jsforce(
        "const load = (operation, input) => org.bulk2.loadAndWaitForResults({object: 'Account', operation, input, pollInterval: 10});"
        "const made = await load('insert', Array.from({length: 300}, (_, n) => ({Name: `n${n}`})));"
        "const gone = await load('delete', made.successfulResults.slice(0, 299).map((row) => ({Id: row.sf__Id})));"
        "return [made.successfulResults.length, gone.successfulResults.length, await org.sobject('Account').count()]"
    )

    assert found == [300, 299, 1]


def test_a_refused_query_keeps_its_code(jsforce):
    found = jsforce(
        "const refused = (text) => org.query(text).catch((one) => one.errorCode);"
        "return [await refused('SELECT Nope FROM Account'), await refused('SELECT FROM Account'), await refused('SELECT Id FROM Nope')]"
    )

    assert found == ["INVALID_FIELD", "MALFORMED_QUERY", "INVALID_TYPE"]


def test_changed_and_deleted_records_of_a_window_are_listed(jsforce, org):
    kept, gone = (org.create("Account", {"Name": name}) for name in ("kept", "gone"))
    org.delete("Account", gone)

    found = jsforce(
        "const window = ['2026-03-01T11:00:00Z', '2026-03-01T13:00:00Z'];"
        "return [(await org.updated('Account', ...window)).ids, (await org.deleted('Account', ...window)).deletedRecords]"
    )

    assert found[0] == [kept]
    assert [one["id"] for one in found[1]] == [gone]


def test_a_token_is_asked_for_and_renewed(node, sandbox):
    sandbox.add_refresh_token("refresh")

    found = node.script(
        "const { Connection } = require('jsforce');"
        "const oauth2 = {loginUrl: given.url, clientId: given.id, clientSecret: given.secret};"
        "const one = new Connection({instanceUrl: given.url, oauth2, version: '62.0'});"
        "await one.authorize({grant_type: 'client_credentials'});"
        "const two = new Connection({instanceUrl: given.url, oauth2, accessToken: '00D!stale', refreshToken: 'refresh', version: '62.0'});"
        "return [(await one.query('SELECT Id FROM Account')).totalSize, (await two.query('SELECT Id FROM Account')).totalSize,"
        " two.accessToken !== '00D!stale']",
        {"url": sandbox.url, "id": sandbox.credentials.client_id, "secret": sandbox.credentials.client_secret},
    )

    assert found == [0, 0, True]


def test_an_ended_session_is_told_apart(jsforce, sandbox):
    sandbox.revoke_tokens()
    sandbox.engine.fixed_token = ""

    assert (
        jsforce("return await org.query('SELECT Id FROM Account').catch((one) => one.errorCode)")
        == "INVALID_SESSION_ID"
    )
