from __future__ import annotations

from datetime import timedelta

import pytest

from connectors.salesforce.sandbox import Field, Org, Sandbox


def fill(org, count):
    return [org.create("Account", {"Name": f"a{number:04d}"}) for number in range(count)]


class TestVersionsAndResources:
    def test_versions_are_listed_in_ascending_order_without_a_token(self, connect):
        listed = connect(token="none").get("/services/data").json()

        assert [one["version"] for one in listed] == [f"{n}.0" for n in range(31, 67)]
        assert listed[-1] == {"label": "v66", "url": "/services/data/v66.0", "version": "66.0"}

    @pytest.mark.parametrize(
        ("version", "status"), [("20.0", 410), ("30.0", 410), ("31.0", 200), ("66.0", 200), ("67.0", 404), ("6.0", 404)]
    )
    def test_retired_versions_are_gone_and_unknown_ones_not_found(self, connect, version, status):
        assert connect(version=version).get("limits").status_code == status

    def test_an_unknown_address_is_a_list_of_one_error(self, client):
        answer = client.get("nonsense")

        assert answer.status_code == 404
        assert answer.json() == [{"message": "The requested resource does not exist", "errorCode": "NOT_FOUND"}]

    def test_a_wrong_method_is_405(self, client):
        assert client.delete("query").status_code == 405

    def test_resources_name_the_identity(self, client, sandbox):
        identity = client.get("/services/data/v62.0").json()["identity"]

        assert identity == f"{sandbox.url}/id/{sandbox.org.organization_id}/{sandbox.org.user_id}"
        assert client.get(identity.removeprefix(sandbox.url)).json()["organization_id"] == sandbox.org.organization_id
        assert client.get("/services/oauth2/userinfo").json()["user_id"] == sandbox.org.user_id

    def test_every_answer_is_dated_by_the_orgs_clock(self, client, clock):
        clock.advance(3600)

        assert client.get("limits").headers["Date"] == "Sun, 01 Mar 2026 13:00:00 GMT"

    def test_addresses_with_a_slash_at_the_end_work(self, client):
        assert client.get("query/", params={"q": "SELECT count() FROM Account"}).status_code == 200
        assert client.get("sobjects/Account/describe/").status_code == 200


class TestAllowance:
    def test_the_usage_header_lags_behind(self, client):
        shown = [client.get("limits").headers["Sforce-Limit-Info"] for _ in range(5)]

        assert shown == [f"api-usage={n}/100000" for n in (1, 1, 1, 4, 4)]

    def test_limits_count_what_was_used(self, client):
        client.get("limits")

        assert client.get("limits").json()["DailyApiRequests"] == {"Max": 100_000, "Remaining": 99_998}

    def test_when_the_day_is_spent_every_call_is_refused(self, client, sandbox):
        sandbox.manners.daily_limit = 1
        client.get("limits")

        refused = client.soql("SELECT Id FROM Account")

        assert refused.status_code == 403
        assert refused.json() == [{"message": "TotalRequests Limit exceeded.", "errorCode": "REQUEST_LIMIT_EXCEEDED"}]

    def test_too_many_requests_at_once_are_refused(self, client, sandbox):
        sandbox.manners.concurrent_limit = 1
        assert client.get("limits").status_code == 200

        sandbox.engine.running = 1
        refused = client.get("limits")
        sandbox.engine.running = 0

        assert (refused.status_code, refused.json()[0]["errorCode"]) == (403, "REQUEST_LIMIT_EXCEEDED")

    def test_the_record_count_is_not_to_be_trusted(self, client, org):
        fill(org, 3)

        assert client.get("limits/recordCount", params={"sObjects": "Account"}).json()["sObjects"] == [
            {"name": "Account", "count": 2}
        ]

    def test_calls_are_counted_by_kind(self, client, sandbox):
        client.soql("SELECT Id FROM Account")
        client.get("sobjects/Account/describe")

        assert sandbox.calls["query"] == 1
        assert sandbox.calls["describe"] == 1
        assert sandbox.engine.api_used == 2


class TestEdge:
    def test_a_long_address_is_a_page_with_414(self, client):
        answer = client.soql(f"SELECT Id FROM Account WHERE Name = '{'a' * 17_000}'")

        assert answer.status_code == 414
        assert "Bad Message 414" in answer.text
        assert answer.headers["Content-Type"].startswith("text/html")

    def test_address_and_headers_together_have_a_limit(self, client):
        answer = client.soql("SELECT Id FROM Account", headers={"X-Long": "a" * 16_384})

        assert answer.status_code == 431

    def test_a_chunked_body_is_read(self, client):
        def pieces():
            yield b'{"Name":'
            yield b'"A"}'

        answer = client.ask("POST", "sobjects/Account", content=pieces(), headers={"Content-Type": "application/json"})

        assert answer.status_code == 201

    @pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff", b'"text"'])
    def test_a_body_that_is_no_object_is_refused(self, client, body):
        answer = client.ask("POST", "composite", content=body)

        assert answer.status_code == 400
        assert answer.json()[0]["errorCode"] in {"JSON_PARSER_ERROR", "MISSING_ARGUMENT"}

    def test_the_connection_is_kept(self, client, sandbox):
        for _ in range(3):
            client.get("limits")

        assert len(sandbox._server._open) == 1


class TestDescribe:
    def test_a_field_has_the_57_keys_of_the_real_answer(self, client):
        fields = client.get("sobjects/Account/describe").json()["fields"]

        assert {len(field) for field in fields} == {57}

    def test_types_lengths_and_rights_are_told(self, client):
        fields = {field["name"]: field for field in client.get("sobjects/account/describe").json()["fields"]}

        value = fields["Total_Customer_Value__c"]
        assert (value["type"], value["precision"], value["scale"], value["custom"]) == ("currency", 18, 2, True)
        assert value["updateable"] is True
        assert fields["BillingCity"]["compoundFieldName"] == "BillingAddress"
        assert fields["BillingAddress"]["type"] == "address"
        assert fields["SystemModstamp"]["updateable"] is False
        assert fields["ParentId"]["referenceTo"] == ["Account"]
        assert fields["ParentId"]["relationshipName"] == "Parent"
        assert fields["Name"]["nillable"] is False

    def test_a_hidden_field_is_absent_for_the_user_it_is_hidden_from(self, client, connect, sandbox, org):
        other = org.create("User", {"LastName": "Other", "Username": "o@example.com"})
        org.hide_field("Account", "Website", user=org.user_id)

        def names(who):
            return {field["name"] for field in who.get("sobjects/Account/describe").json()["fields"]}

        assert "Website" not in names(client)
        assert "Website" in names(connect(sandbox.login(other)))

    def test_a_locked_field_is_shown_as_read_only(self, client, org):
        org.lock_field("Account", "Website")

        (field,) = (one for one in client.get("sobjects/Account/describe").json()["fields"] if one["name"] == "Website")

        assert (field["updateable"], field["createable"]) == (False, False)

    def test_a_hidden_object_does_not_exist(self, client, org):
        org.hide_object("Contact")

        assert client.get("sobjects/Contact/describe").status_code == 404
        assert "Contact" not in {one["name"] for one in client.get("sobjects").json()["sobjects"]}
        assert client.refused("SELECT Id FROM Contact") == "INVALID_TYPE"

    def test_the_list_of_objects_has_their_prefixes(self, client):
        listed = client.get("sobjects").json()

        assert {one["name"]: one["keyPrefix"] for one in listed["sobjects"]}["Opportunity"] == "006"
        assert listed["maxBatchSize"] == 200
        assert client.get("sobjects/Account").json()["objectDescribe"]["keyPrefix"] == "001"

    def test_nothing_new_is_304_until_the_schema_changes(self, client, org, clock):
        first = client.get("sobjects/Account/describe")
        since = {"If-Modified-Since": first.headers["Last-Modified"]}

        again = client.get("sobjects/Account/describe", headers=since)
        assert (again.status_code, again.content) == (304, b"")

        clock.advance(1)
        org.add_field("Account", Field("New__c"))
        assert client.get("sobjects/Account/describe", headers=since).status_code == 200

    def test_profiles_of_orgs_differ(self):
        def fields(org, name):
            return set(org.tables[name].type.fields)

        plain, special = Org(), Org(multi_currency=True, person_accounts=True)

        assert "CurrencyIsoCode" not in fields(plain, "Opportunity")
        assert "CurrencyIsoCode" in fields(special, "Opportunity")
        assert "CurrencyType" not in plain.tables
        assert {"IsPersonAccount", "PersonContactId"} <= fields(special, "Account")


class TestQuery:
    def test_numbers_dates_and_booleans_look_as_on_the_real_wire(self, client, org):
        org.create(
            "Opportunity", {"Name": "d", "Amount": "950000000.10", "StageName": "Closed Won", "CloseDate": "2026-02-01"}
        )

        text = client.soql(
            "SELECT Amount, Probability, CloseDate, IsWon, AccountId, SystemModstamp FROM Opportunity"
        ).text

        assert '"Amount":950000000.1,"Probability":100.0,"CloseDate":"2026-02-01","IsWon":true,"AccountId":null' in text
        assert '"SystemModstamp":"2026-03-01T12:00:00.000+0000"' in text

    def test_the_largest_amounts_keep_every_cent(self, client, org):
        org.create("Opportunity", {"Name": "d", "Amount": "9999999999999999.99", "StageName": "Prospecting"})

        assert "9999999999999999.99" in client.soql("SELECT Amount FROM Opportunity").text

    def test_pages_follow_their_locators(self, client, org, sandbox):
        ids = fill(org, 25)
        sandbox.manners.page_size = 10

        pages = [client.soql("SELECT Id FROM Account ORDER BY Name").json()]
        while not pages[-1]["done"]:
            pages.append(client.get(pages[-1]["nextRecordsUrl"]).json())

        assert [page["totalSize"] for page in pages] == [25, 25, 25]
        assert [len(page["records"]) for page in pages] == [10, 10, 5]
        assert "nextRecordsUrl" not in pages[-1]
        assert [record["Id"] for page in pages for record in page["records"]] == ids
        assert pages[0]["nextRecordsUrl"].rsplit("/", 1)[1].startswith("0r8")
        assert pages[0]["nextRecordsUrl"].endswith("-10")

    def test_the_batch_size_is_a_hint_that_may_not_be_kept(self, client, org, sandbox):
        fill(org, 450)
        hint = {"Sforce-Query-Options": "batchSize=200"}
        assert len(client.soql("SELECT Id FROM Account", headers=hint).json()["records"]) == 200
        assert (
            len(
                client.soql("SELECT Id FROM Account", headers={"Sforce-Query-Options": "batchSize=1"}).json()["records"]
            )
            == 200
        )

        sandbox.manners.largest_page = 150

        assert len(client.soql("SELECT Id FROM Account", headers=hint).json()["records"]) == 150

    def test_a_page_can_be_read_again(self, client, org, sandbox):
        fill(org, 5)
        sandbox.manners.page_size = 2
        more = client.soql("SELECT Id FROM Account").json()["nextRecordsUrl"]

        assert client.get(more).json() == client.get(more).json()

    def test_a_page_is_read_when_it_is_asked_for(self, client, org, sandbox):
        ids = fill(org, 4)
        sandbox.manners.page_size = 2
        more = client.soql("SELECT Id, Name FROM Account ORDER BY Name").json()["nextRecordsUrl"]

        org.update("Account", ids[2], {"Name": "changed"})
        org.purge("Account", ids[3])

        assert [record["Name"] for record in client.get(more).json()["records"]] == ["changed"]

    def test_a_cursor_dies_after_two_days(self, client, org, sandbox, clock):
        fill(org, 4)
        sandbox.manners.page_size = 2
        more = client.soql("SELECT Id FROM Account").json()["nextRecordsUrl"]
        clock.advance(timedelta(days=2, seconds=1).total_seconds())

        assert client.get(more).json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"

    @pytest.mark.parametrize("locator", ["0r8Sb00AAAAAAAAI25-2", "nonsense", "x-y"])
    def test_an_unknown_locator_is_refused(self, client, locator):
        answer = client.get(f"query/{locator}")

        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_QUERY_LOCATOR")

    def test_another_users_locator_is_refused(self, client, connect, org, sandbox):
        fill(org, 4)
        sandbox.manners.page_size = 2
        more = client.soql("SELECT Id FROM Account").json()["nextRecordsUrl"]
        other = org.create("User", {"LastName": "Other", "Username": "o@example.com"})

        assert connect(sandbox.login(other)).get(more).status_code == 400

    def test_query_all_shows_the_bin_and_query_does_not(self, client, org):
        (account,) = fill(org, 1)
        org.delete("Account", account)

        assert client.names("SELECT Name FROM Account") == []
        assert client.rows("SELECT Name, IsDeleted FROM Account", deleted=True) == [
            {"Name": "a0000", "IsDeleted": True}
        ]

    def test_count_answers_with_a_total_and_no_records(self, client, org):
        fill(org, 3)

        assert client.soql("SELECT count() FROM Account").json() == {"totalSize": 3, "done": True, "records": []}

    def test_a_hidden_field_looks_like_a_missing_one(self, client, org):
        hidden = client.soql("SELECT Nowebsit FROM Account").json()[0]
        org.hide_field("Account", "Website")

        answer = client.soql("SELECT Website FROM Account").json()[0]

        assert answer["errorCode"] == hidden["errorCode"] == "INVALID_FIELD"
        assert answer["message"].replace("Website", "Nowebsit").replace("^", "") == hidden["message"].replace("^", "")

    def test_a_record_out_of_sharing_is_as_if_it_was_not_there(self, client, org):
        one, _ = fill(org, 2)
        org.hide_record(one)

        assert client.names("SELECT Name FROM Account") == ["a0001"]
        assert client.get(f"sobjects/Account/{one}").status_code == 404
        assert client.update_many({"Id": one, "Name": "x"}).json()[0]["errors"][0]["statusCode"] == "NOT_FOUND"
        org.show_record(one)
        assert len(client.names("SELECT Name FROM Account")) == 2

    def test_a_query_that_finds_too_much_times_out(self, client, org, sandbox):
        fill(org, 5)
        sandbox.manners.slow_query_rows = 4

        assert client.refused("SELECT Id FROM Account") == "QUERY_TIMEOUT"
        assert len(client.rows("SELECT Id FROM Account WHERE Name < 'a0003'")) == 3

    def test_columns_are_described_for_the_command_line(self, client):
        answer = client.get("query", params={"q": "SELECT Id, Owner.Name FROM Account", "columns": "true"}).json()

        assert [column["columnName"] for column in answer["columnMetadata"]] == ["Id", "Owner.Name"]

    def test_a_missing_query_is_malformed(self, client):
        assert client.get("query").json()[0]["errorCode"] == "MALFORMED_QUERY"

    def test_system_modstamp_ties_are_common(self, client, org, clock):
        fill(org, 4)
        clock.advance(1)
        fill(org, 2)

        stamps = [
            row["SystemModstamp"]
            for row in client.rows("SELECT SystemModstamp FROM Account ORDER BY SystemModstamp, Id")
        ]

        assert [stamps.count(stamp) for stamp in sorted(set(stamps))] == [4, 2]


WINDOW = {"start": "2026-03-01T11:00:00+00:00", "end": "2026-03-01T13:00:59.000Z"}


class TestReplication:
    def test_updated_gives_ids_and_how_far_it_looked(self, client, org):
        ids = fill(org, 2)

        answer = client.get("sobjects/Account/updated/", params=WINDOW).json()

        assert answer == {"ids": ids, "latestDateCovered": "2026-03-01T12:00:00.000+0000"}

    def test_an_open_transaction_holds_the_covered_date_back(self, client, org, clock):
        clock.advance(-1800)
        org.late_create("Account", {"Name": "late"})
        clock.advance(1800)

        answer = client.get("sobjects/Account/updated", params=WINDOW).json()

        assert answer["latestDateCovered"] == "2026-03-01T11:30:00.000+0000"

    def test_deleted_knows_purged_and_merged_records_too(self, client, org):
        binned, purged, winner, loser = fill(org, 4)
        org.delete("Account", binned)
        org.purge("Account", purged)
        org.merge("Account", winner, loser)

        answer = client.get("sobjects/Account/deleted", params=WINDOW).json()

        assert {one["id"] for one in answer["deletedRecords"]} == {binned, purged, loser}
        assert answer["earliestDateAvailable"] == "2026-02-14T12:00:00.000+0000"

    def test_restored_records_are_no_longer_deleted(self, client, org):
        (account,) = fill(org, 1)
        org.delete("Account", account)
        org.undelete("Account", account)

        assert client.get("sobjects/Account/deleted", params=WINDOW).json()["deletedRecords"] == []

    @pytest.mark.parametrize(
        "window",
        [
            {"start": "2026-03-01T12:00:00Z", "end": "2026-03-01T12:00:59Z"},
            {"start": "2026-01-01T12:00:00Z", "end": "2026-03-01T12:00:00Z"},
            {"start": "yesterday", "end": "today"},
            {"start": "2026-03-01T12:00:00Z"},
        ],
    )
    def test_windows_out_of_bounds_are_refused(self, client, window):
        answer = client.get("sobjects/Account/updated", params=window)

        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, "INVALID_REPLICATION_DATE")


def test_two_sandboxes_run_side_by_side():
    with Sandbox(token="a") as one, Sandbox(token="b") as two:
        assert one.url != two.url
        assert one.org.organization_id == two.org.organization_id or one.url != two.url


def test_a_closed_sandbox_can_be_closed_again():
    sandbox = Sandbox().start()

    sandbox.close()
    sandbox.close()
