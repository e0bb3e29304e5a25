from __future__ import annotations

from decimal import Decimal

import pytest

from connectors.salesforce.sandbox import Field
from connectors.salesforce.sandbox.ids import full_id


@pytest.fixture
def account(org):
    return org.create("Account", {"Name": "A"})


class TestSingleRecords:
    def test_creating_answers_201_with_the_id_and_where_it_is(self, client):
        answer = client.post("sobjects/Account", {"Name": "A"})

        made = answer.json()
        assert answer.status_code == 201
        assert made == {"id": full_id(made["id"]), "success": True, "errors": []}
        assert client.get(answer.headers["Location"]).json()["Name"] == "A"

    def test_reading_gives_all_visible_fields_or_those_asked_for(self, client, account, org):
        org.hide_field("Account", "Website")

        everything = client.get(f"sobjects/Account/{account[:15]}").json()
        some = client.get(f"sobjects/Account/{account}", params={"fields": "Name,Id"}).json()

        assert "Website" not in everything
        assert list(some) == ["attributes", "Name", "Id"]
        assert (
            client.get(f"sobjects/Account/{account}", params={"fields": "Website"}).json()[0]["errorCode"]
            == "INVALID_FIELD"
        )

    def test_updating_answers_204_and_nothing(self, client, account, org):
        answer = client.patch(
            f"sobjects/Account/{account}", {"Website": "a.example", "attributes": {"type": "Account"}}
        )

        assert (answer.status_code, answer.content) == (204, b"")
        assert org.record("Account", account)["Website"] == "a.example"

    def test_deleting_twice_says_so(self, client, account):
        assert client.delete(f"sobjects/Account/{account}").status_code == 204

        again = client.delete(f"sobjects/Account/{account}")

        assert (again.status_code, again.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")
        assert client.get(f"sobjects/Account/{account}").json()[0]["errorCode"] == "ENTITY_IS_DELETED"
        assert client.patch(f"sobjects/Account/{account}", {"Name": "x"}).json()[0]["errorCode"] == "ENTITY_IS_DELETED"

    def test_a_purged_record_is_known_to_be_gone(self, client, account, org):
        org.purge("Account", account)

        assert client.patch(f"sobjects/Account/{account}", {"Name": "x"}).status_code == 404

    def test_a_wrong_id_is_malformed_and_an_unknown_one_not_found(self, client, account):
        assert client.get("sobjects/Account/xyz").json()[0]["errorCode"] == "MALFORMED_ID"
        assert client.get("sobjects/Account/001Tt0000000001IAA").json()[0]["errorCode"] == "NOT_FOUND"

    def test_empty_text_is_stored_as_null(self, client, account, org):
        client.patch(f"sobjects/Account/{account}", {"Website": ""})

        assert org.record("Account", account)["Website"] is None

    def test_decimals_beyond_the_scale_are_rounded_in_silence(self, client, account, org):
        client.patch(f"sobjects/Account/{account}", {"Total_Customer_Value__c": 12.345})

        assert org.record("Account", account)["Total_Customer_Value__c"] == Decimal("12.35")

    @pytest.mark.parametrize(
        ("values", "code", "fields"),
        [
            ({"Name": None}, "REQUIRED_FIELD_MISSING", ["Name"]),
            ({"Name": "x" * 256}, "STRING_TOO_LONG", ["Name"]),
            ({"Advocacy_Score__c": 1000}, "NUMBER_OUTSIDE_VALID_RANGE", ["Advocacy_Score__c"]),
            ({"NumberOfEmployees": 2**31}, "NUMBER_OUTSIDE_VALID_RANGE", ["NumberOfEmployees"]),
            ({"Tier__c": "Platinum"}, "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", ["Tier__c"]),
            ({"ParentId": "xyz"}, "MALFORMED_ID", ["ParentId"]),
            ({"ParentId": "001Tt0000000001IAA"}, "INVALID_CROSS_REFERENCE_KEY", ["ParentId"]),
            ({"ParentId": "006Tt0000000001IAA"}, "FIELD_INTEGRITY_EXCEPTION", ["ParentId"]),
            ({"SystemModstamp": "2026-01-01T00:00:00Z"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["SystemModstamp"]),
            ({"MasterRecordId": None}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["MasterRecordId"]),
            ({"Website": "locked"}, "INVALID_FIELD_FOR_INSERT_UPDATE", ["Website"]),
            ({"Phone": "hidden"}, "INVALID_FIELD", None),
            ({"Nothing": 1}, "INVALID_FIELD", None),
            ({"Advocacy_Synced_At__c": "2026-01-01T00:00:00"}, "JSON_PARSER_ERROR", None),
            ({"Advocacy_Synced_At__c": "yesterday"}, "JSON_PARSER_ERROR", None),
            ({"Advocacy_Score__c": "much"}, "JSON_PARSER_ERROR", None),
            ({"Advocacy_Score__c": True}, "JSON_PARSER_ERROR", None),
            ({"Name": 5}, "JSON_PARSER_ERROR", None),
            ({"Name": ["x"]}, "JSON_PARSER_ERROR", None),
        ],
    )
    def test_values_that_do_not_fit_are_refused_with_their_code(self, client, account, org, values, code, fields):
        org.add_field("Account", Field("Tier__c", "picklist", values=("Gold", "Silver"), restricted=True))
        org.lock_field("Account", "Website")
        org.hide_field("Account", "Phone")
        before = org.record("Account", account)

        answer = client.patch(f"sobjects/Account/{account}", values)

        (error,) = answer.json()
        assert (answer.status_code, error["errorCode"], error.get("fields")) == (400, code, fields)
        assert org.record("Account", account) == before

    @pytest.mark.parametrize(
        ("text", "stored"),
        [
            ("2026-01-01T12:00:00.000+0000", "2026-01-01T12:00:00.000+0000"),
            ("2026-01-01T12:00:00Z", "2026-01-01T12:00:00.000+0000"),
            ("2026-01-01T12:00:00.999+02:00", "2026-01-01T10:00:00.000+0000"),
        ],
    )
    def test_datetimes_are_kept_in_utc_to_the_second(self, client, account, org, text, stored):
        client.patch(f"sobjects/Account/{account}", {"Advocacy_Synced_At__c": text})

        assert org.record("Account", account)["Advocacy_Synced_At__c"] == stored

    def test_missing_required_fields_are_listed(self, client):
        (error,) = client.post("sobjects/Opportunity", {"Name": "d"}).json()

        assert error["errorCode"] == "REQUIRED_FIELD_MISSING"
        assert error["fields"] == ["StageName", "CloseDate"]

    def test_chosen_records_refuse_until_they_are_allowed_again(self, client, account, org):
        org.refuse(account, "FIELD_CUSTOM_VALIDATION_EXCEPTION", "No, never.", fields=("Name",))
        refused = client.patch(f"sobjects/Account/{account}", {"Name": "x"})
        assert refused.json() == [
            {"message": "No, never.", "errorCode": "FIELD_CUSTOM_VALIDATION_EXCEPTION", "fields": ["Name"]}
        ]

        org.allow(account)

        assert client.patch(f"sobjects/Account/{account}", {"Name": "x"}).status_code == 204

    def test_a_refusal_may_pass_after_some_times(self, client, account, org):
        org.refuse(account, "UNABLE_TO_LOCK_ROW", times=2)

        statuses = [client.patch(f"sobjects/Account/{account}", {"Name": "x"}).status_code for _ in range(3)]

        assert statuses == [400, 400, 204]

    def test_stage_decides_won_and_closed(self, client):
        deal = {"Name": "d", "StageName": "Closed Won", "CloseDate": "2026-01-01"}
        made = client.post("sobjects/Opportunity", deal).json()["id"]
        assert client.rows("SELECT IsWon, IsClosed FROM Opportunity") == [{"IsWon": True, "IsClosed": True}]

        client.patch(f"sobjects/Opportunity/{made}", {"StageName": "Closed Lost"})

        assert client.rows("SELECT IsWon, IsClosed FROM Opportunity") == [{"IsWon": False, "IsClosed": True}]
        assert client.patch(f"sobjects/Opportunity/{made}", {"IsWon": True}).status_code == 400


class TestUpsert:
    @pytest.fixture(autouse=True)
    def key(self, org):
        org.add_field("Account", Field("Key__c", external_id=True))

    def test_it_creates_and_then_updates(self, client):
        path = "sobjects/Account/Key__c/a%2Fb%20c"

        first, second = (client.patch(path, {"Name": name}) for name in ("one", "two"))

        assert (first.status_code, first.json()["created"]) == (201, True)
        assert (second.status_code, second.json()["created"]) == (200, False)
        assert client.rows("SELECT Name, Key__c FROM Account") == [{"Name": "two", "Key__c": "a/b c"}]
        assert client.get(path).json()["Name"] == "two"

    def test_the_key_of_a_purged_or_changed_record_is_free_again(self, client, org):
        first = client.patch("sobjects/Account/Key__c/k", {"Name": "one"}).json()["id"]
        org.purge("Account", first)
        second = client.patch("sobjects/Account/Key__c/k", {"Name": "two"}).json()
        org.update("Account", second["id"], {"Key__c": "other"})

        third = client.patch("sobjects/Account/Key__c/k", {"Name": "three"}).json()

        assert (second["created"], third["created"]) == (True, True)

    def test_older_versions_answer_an_update_with_204(self, connect):
        client = connect(version="45.0")
        client.patch("sobjects/Account/Key__c/k", {"Name": "one"})

        assert client.patch("sobjects/Account/Key__c/k", {"Name": "two"}).status_code == 204

    def test_update_only_does_not_create(self, client, org):
        answer = client.patch("sobjects/Account/Key__c/k", {"Name": "one"}, params={"updateOnly": "true"})

        assert answer.status_code == 404
        assert org.count("Account") == 0

    def test_two_matches_are_300_with_their_addresses(self, client, org):
        ids = [org.create("Account", {"Name": name, "Key__c": "K"}) for name in "AB"]

        answer = client.patch("sobjects/Account/Key__c/k", {"Name": "x"})

        assert answer.status_code == 300
        assert answer.json() == [f"/services/data/v62.0/sobjects/Account/{one}" for one in ids]

    def test_an_unknown_or_plain_field_is_no_key(self, client):
        for name in ("Nope__c", "Website"):
            answer = client.patch(f"sobjects/Account/{name}/k", {"Name": "x"})
            assert (answer.status_code, answer.json()[0]["errorCode"]) == (404, "NOT_FOUND")

    def test_the_key_must_not_stand_in_the_body(self, client):
        assert (
            client.patch("sobjects/Account/Key__c/k", {"Name": "x", "Key__c": "k"}).json()[0]["errorCode"]
            == "INVALID_FIELD"
        )

    def test_by_id_it_only_updates(self, client, account, org):
        assert client.patch(f"sobjects/Account/Id/{account}", {"Name": "x"}).status_code == 200
        assert client.patch("sobjects/Account/Id/001Tt0000000001IAA", {"Name": "x"}).status_code == 404

    def test_a_unique_key_cannot_be_used_twice(self, client, org):
        org.add_field("Account", Field("Once__c", external_id=True, unique=True))
        first = client.post("sobjects/Account", {"Name": "A", "Once__c": "k"}).json()["id"]

        (error,) = client.post("sobjects/Account", {"Name": "B", "Once__c": "K"}).json()

        assert error["errorCode"] == "DUPLICATE_VALUE"
        assert first in error["message"]


class TestCollections:
    def test_rows_are_answered_in_order_each_on_its_own(self, client, org, account):
        other = org.create("Account", {"Name": "B"})

        answer = client.update_many(
            {"Id": account, "Name": "x"}, {"Id": account[:-1], "Name": "x"}, {"id": other, "Nope": 1}
        )

        assert answer.status_code == 200
        good, malformed, unknown = answer.json()
        assert good == {"id": account, "success": True, "errors": []}
        assert malformed["errors"][0]["statusCode"] == "MALFORMED_ID"
        assert unknown == {
            "success": False,
            "errors": [
                {
                    "statusCode": "INVALID_FIELD",
                    "message": "No such column 'Nope' on sobject of type Account",
                    "fields": [],
                }
            ],
        }
        assert org.record("Account", account)["Name"] == "x"

    def test_all_or_none_takes_the_innocent_rows_back(self, client, org, account):
        answer = client.update_many({"Id": account, "Name": "x"}, {"Id": account, "Nope": 1}, allOrNone=True).json()

        assert answer[0]["errors"][0]["statusCode"] == "ALL_OR_NONE_OPERATION_ROLLED_BACK"
        assert answer[1]["success"] is False
        assert org.record("Account", account)["Name"] == "A"

    def test_a_null_all_or_none_means_false(self, client, org, account):
        client.update_many({"Id": account, "Name": "x"}, {"Id": account, "Nope": 1}, allOrNone=None)

        assert org.record("Account", account)["Name"] == "x"

    def test_attributes_must_come_first(self, client, account):
        record = {"Id": account, "attributes": {"type": "Account"}, "Name": "x"}

        answer = client.patch("composite/sobjects", {"records": [record, {"Name": "no attributes"}]})

        assert answer.status_code == 200
        assert [row["errors"][0]["statusCode"] for row in answer.json()] == ["JSON_PARSER_ERROR"] * 2

    def test_attributes_may_come_last_when_the_org_is_that_lenient(self, client, org, sandbox):
        sandbox.manners.attributes_first = False

        made = client.post("composite/sobjects", {"records": [{"Name": "A", "attributes": {"type": "Account"}}, {}]})

        assert [row["success"] for row in made.json()] == [True, False]
        assert org.count("Account") == 1

    def test_the_key_of_an_upsert_may_stand_before_the_attributes(self, client, org):
        org.add_field("Account", Field("Key__c", external_id=True))
        body = {"records": [{"Key__c": "k", "attributes": {"type": "Account"}, "Name": "A"}]}

        made = client.patch("composite/sobjects/Account/Key__c", body).json()
        refused = client.post("composite/sobjects", body).json()

        assert made[0]["created"] is True
        assert refused[0]["errors"][0]["statusCode"] == "JSON_PARSER_ERROR"

    def test_a_lower_case_id_may_stand_before_the_attributes(self, client, account, org):
        record = {"id": account, "attributes": {"type": "Account"}, "Name": "x"}

        assert client.patch("composite/sobjects", {"records": [record]}).json()[0]["success"] is True
        assert org.record("Account", account)["Name"] == "x"

    def test_more_than_200_or_none_at_all_are_refused(self, client, account, org):
        too_many = client.update_many(*[{"Id": account, "Name": "x"}] * 201)
        none = client.update_many()

        assert (too_many.status_code, too_many.json()[0]["errorCode"]) == (400, "EXCEEDED_ID_LIMIT")
        assert none.json() == [{"message": "At least 1 record is required", "errorCode": "REQUIRED_FIELD_MISSING"}]
        assert org.record("Account", account)["Name"] == "A"

    def test_the_same_id_twice_fails_the_second_time(self, client, account):
        first, second = client.update_many({"Id": account, "Name": "x"}, {"Id": account[:15], "Name": "y"}).json()

        assert first["success"] is True
        assert second["errors"][0]["statusCode"] == "DUPLICATE_VALUE"

    def test_deleted_and_merged_records_are_gone(self, client, org, account):
        winner, binned = (org.create("Account", {"Name": name}) for name in "WB")
        org.merge("Account", winner, account)
        org.delete("Account", binned)

        codes = [row["errors"][0]["statusCode"] for row in client.update_many({"Id": account}, {"Id": binned}).json()]

        assert codes == ["ENTITY_IS_DELETED", "ENTITY_IS_DELETED"]

    def test_creating_and_deleting_many(self, client, org):
        typed = [{"attributes": {"type": "Account"}, "Name": name} for name in "AB"]
        made = client.post("composite/sobjects", {"records": typed}).json()
        assert [row["success"] for row in made] == [True, True]

        ids = ",".join(row["id"] for row in made)
        gone = client.delete("composite/sobjects", params={"ids": ids, "allOrNone": "false"}).json()

        assert [row["success"] for row in gone] == [True, True]
        assert org.count("Account") == 0

    def test_upserting_many_tells_what_was_created(self, client, org):
        org.add_field("Account", Field("Key__c", external_id=True))
        known = org.create("Account", {"Name": "A", "Key__c": "known"})
        records = [{"attributes": {"type": "Account"}, "Key__c": key, "Name": "x"} for key in ("known", "new", None)]

        rows = client.patch("composite/sobjects/Account/Key__c", {"records": records}).json()

        assert [row.get("created") for row in rows] == [False, True, None]
        assert rows[0]["id"] == known
        assert rows[2]["errors"][0]["statusCode"] == "MISSING_ARGUMENT"

    def test_an_upsert_by_a_null_id_creates(self, client, org):
        records = [{"attributes": {"type": "Account"}, "Id": None, "Name": "surprise"}]

        (row,) = client.patch("composite/sobjects/Account/Id", {"records": records}).json()

        assert row["created"] is True
        assert org.count("Account") == 1

    def test_reading_many_keeps_the_order_and_leaves_nulls_for_what_is_gone(self, client, org, account):
        other = org.create("Account", {"Name": "B"})
        gone = org.create("Account", {"Name": "C"})
        org.delete("Account", gone)
        body = {"ids": [other, gone, account], "fields": ["Name"]}

        posted = client.post("composite/sobjects/Account", body).json()
        fetched = client.get(
            "composite/sobjects/Account", params={"ids": f"{other},{gone},{account}", "fields": "Name"}
        ).json()

        assert [row and row["Name"] for row in posted] == ["B", None, "A"]
        assert fetched == posted

    def test_an_update_without_id_is_a_missing_argument(self, client):
        assert client.update_many({"Name": "x"}).json()[0]["errors"][0]["statusCode"] == "MISSING_ARGUMENT"

    def test_the_api_counts_what_it_wrote(self, client, account, sandbox):
        client.update_many({"Id": account, "Name": "x"}, {"Id": account, "Nope": 1})

        assert sandbox.written == {"Account": 1}


class TestComposite:
    def sub(self, method, url, reference, body=None):
        return {
            "method": method,
            "url": f"/services/data/v62.0/{url}",
            "referenceId": reference,
            **({"body": body} if body else {}),
        }

    def test_each_sub_request_is_answered_with_its_status(self, client, account, sandbox):
        answer = client.post(
            "composite",
            {
                "compositeRequest": [
                    self.sub("GET", "sobjects/Account/describe", "d"),
                    self.sub("GET", "query?q=SELECT+Name+FROM+Account+WHERE+Name+LIKE+'A%25'", "q"),
                    self.sub("GET", "queryAll/?q=SELECT+count()+FROM+Account", "n"),
                    self.sub("GET", "sobjects/Nothing/describe", "x"),
                    self.sub(
                        "PATCH",
                        "composite/sobjects",
                        "w",
                        {"records": [{"attributes": {"type": "Account"}, "Id": account, "Name": "B"}]},
                    ),
                ]
            },
        )

        described, queried, counted, missing, written = answer.json()["compositeResponse"]
        assert answer.status_code == 200
        assert described["body"]["name"] == "Account"
        assert queried["body"]["records"][0]["Name"] == "A"
        assert counted["body"]["totalSize"] == 1
        assert (missing["httpStatusCode"], missing["body"][0]["errorCode"], missing["referenceId"]) == (
            404,
            "NOT_FOUND",
            "x",
        )
        assert written["body"][0]["success"] is True
        assert sandbox.engine.api_used == 1
        assert (sandbox.calls["composite"], sandbox.calls["/query"]) == (1, 2)

    def test_a_describe_inside_may_be_304(self, client):
        since = client.get("sobjects/Account/describe").headers["Last-Modified"]
        request = self.sub("GET", "sobjects/Account/describe", "d") | {"httpHeaders": {"If-Modified-Since": since}}

        (answer,) = client.post("composite", {"compositeRequest": [request]}).json()["compositeResponse"]

        assert (answer["httpStatusCode"], answer["body"]) == (304, None)

    def test_25_requests_of_which_5_queries_are_the_most(self, client):
        plain, heavy = self.sub("GET", "limits", "r"), self.sub("GET", "query?q=SELECT+Id+FROM+Account", "r")

        assert client.post("composite", {"compositeRequest": [plain] * 25}).status_code == 200
        assert client.post("composite", {"compositeRequest": [plain] * 26}).status_code == 400
        assert client.post("composite", {"compositeRequest": [heavy] * 5}).status_code == 200
        assert client.post("composite", {"compositeRequest": [heavy] * 6}).status_code == 400

    def test_a_result_can_be_used_further_on(self, client, org):
        client.post(
            "composite",
            {
                "compositeRequest": [
                    self.sub("POST", "sobjects/Account", "made", {"Name": "A"}),
                    self.sub("GET", "query?q=SELECT+Id+FROM+Account", "found"),
                    self.sub("POST", "sobjects/Contact", "c", {"LastName": "L", "AccountId": "@{made.id}"}),
                    self.sub("PATCH", "sobjects/Account/@{found.records[0].Id}", "u", {"Website": "a.example"}),
                ]
            },
        )

        (account,) = org.records("Account")
        (contact,) = org.records("Contact")
        assert contact["AccountId"] == account["Id"]
        assert account["Website"] == "a.example"

    def test_all_or_none_halts_and_takes_back(self, client, org):
        body = {
            "allOrNone": True,
            "compositeRequest": [
                self.sub("POST", "sobjects/Account", "one", {"Name": "A"}),
                self.sub("POST", "sobjects/Account", "two", {"Nope": "A"}),
                self.sub("POST", "sobjects/Account", "three", {"Name": "C"}),
            ],
        }

        answers = client.post("composite", body).json()["compositeResponse"]

        assert [one["body"][0]["errorCode"] for one in answers] == [
            "PROCESSING_HALTED",
            "INVALID_FIELD",
            "PROCESSING_HALTED",
        ]
        assert org.count("Account") == 0

    def test_a_request_that_needs_a_failed_one_is_halted(self, client):
        body = {
            "compositeRequest": [
                self.sub("POST", "sobjects/Account", "one", {"Nope": "A"}),
                self.sub("POST", "sobjects/Contact", "two", {"LastName": "L", "AccountId": "@{one.id}"}),
            ]
        }

        answers = client.post("composite", body).json()["compositeResponse"]

        assert answers[1]["body"][0]["errorCode"] == "PROCESSING_HALTED"

    def test_a_reference_to_nothing_is_refused(self, client):
        body = {
            "compositeRequest": [
                self.sub("GET", "query?q=SELECT+Id+FROM+Account", "found"),
                self.sub("GET", "sobjects/Account/@{found.records[0].Id}", "u"),
            ]
        }

        assert client.post("composite", body).json()["compositeResponse"][1]["httpStatusCode"] == 400

    def test_a_batch_answers_independent_requests(self, client):
        body = {
            "batchRequests": [
                {"method": "GET", "url": "v62.0/query?q=SELECT+count()+FROM+Account"},
                {"method": "GET", "url": "v62.0/nonsense"},
                {"method": "POST", "url": "v62.0/sobjects/Account", "richInput": {"Name": "A"}},
            ]
        }

        answer = client.post("composite/batch", body).json()
        halted = client.post("composite/batch", body | {"haltOnError": True}).json()

        assert answer["hasErrors"] is True
        assert [one["statusCode"] for one in answer["results"]] == [200, 404, 201]
        assert [one["statusCode"] for one in halted["results"]] == [200, 404, 412]

    def test_each_graph_is_a_transaction_of_its_own(self, client, org):
        good = {"graphId": "g", "compositeRequest": [self.sub("POST", "sobjects/Account", "a", {"Name": "A"})]}
        bad = {
            "graphId": "b",
            "compositeRequest": [
                self.sub("POST", "sobjects/Account", "a", {"Name": "B"}),
                self.sub("POST", "sobjects/Account", "b", {"Nope": "B"}),
            ],
        }

        answer = client.post("composite/graph", {"graphs": [good, bad]}).json()["graphs"]

        assert [(one["graphId"], one["isSuccessful"]) for one in answer] == [("g", True), ("b", False)]
        assert [record["Name"] for record in org.records("Account")] == ["A"]
        assert client.post("composite/graph", {"graphs": [good] * 76}).status_code == 400

    def test_graphs_stop_after_fourteen_failures(self, client):
        bad = {"graphId": "b", "compositeRequest": [self.sub("POST", "sobjects/Account", "a", {"Nope": 1})]}

        answers = client.post("composite/graph", {"graphs": [bad] * 16}).json()["graphs"]

        codes = [one["graphResponse"]["compositeResponse"][0]["body"][0]["errorCode"] for one in answers]
        assert codes == ["INVALID_FIELD"] * 14 + ["PROCESSING_HALTED"] * 2

    def test_a_tree_is_inserted_as_a_whole(self, client, org):
        def record(reference, **values):
            return {"attributes": {"type": "Account", "referenceId": reference}, **values}

        refused = client.post("composite/tree/Account", {"records": [record("a", Name="A"), record("b", Nope=1)]})
        made = client.post("composite/tree/Account", {"records": [record("a", Name="A"), record("b", Name="B")]})

        assert (refused.status_code, refused.json()["hasErrors"]) == (400, True)
        assert made.status_code == 201
        assert [one["referenceId"] for one in made.json()["results"]] == ["a", "b"]
        assert org.count("Account") == 2

    def test_a_tree_brings_its_children_and_fails_with_them(self, client, org):
        def account(*deals):
            plant = {"attributes": {"type": "Account", "referenceId": "a"}, "Name": "A"}
            return {"records": [{**plant, "Opportunities": {"records": list(deals)}}]}

        def deal(reference, **values):
            fields = {"Name": reference, "StageName": "Closed Won", "CloseDate": "2026-01-01", **values}
            return {"attributes": {"type": "Opportunity", "referenceId": reference}, **fields}

        refused = client.post("composite/tree/Account", account(deal("b"), deal("c", CloseDate="never")))
        made = client.post("composite/tree/Account", account(deal("b"), deal("c")))

        assert [one["referenceId"] for one in refused.json()["results"]] == ["c"]
        assert [one["referenceId"] for one in made.json()["results"]] == ["a", "b", "c"]
        (parent,) = org.records("Account")
        assert [one["AccountId"] for one in org.records("Opportunity")] == [parent["Id"]] * 2
        unknown = client.post("composite/tree/Account", {"records": [{"Name": "A", "Nopes": {"records": [{}]}}]})
        assert unknown.json()["results"][0]["errors"][0]["statusCode"] == "INVALID_FIELD"
