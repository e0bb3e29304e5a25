from __future__ import annotations

import csv
import io
from datetime import timedelta

import pytest

from connectors.salesforce.sandbox import Field


def read(text):
    return list(csv.DictReader(io.StringIO(text, newline="")))


def fill(org, count):
    return [org.create("Account", {"Name": f"a{number:04d}"}) for number in range(count)]


class TestQueryJobs:
    def test_a_job_goes_through_its_states(self, client):
        made = client.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"}).json()
        path = f"jobs/query/{made['id']}"

        states = [made["state"], *(client.get(path).json()["state"] for _ in range(3))]

        assert states == ["UploadComplete", "InProgress", "JobComplete", "JobComplete"]
        assert made["object"] == "Account"
        assert made["id"].startswith("750")

    def test_the_delay_of_jobs_can_be_set(self, client, sandbox):
        sandbox.manners.queue_polls, sandbox.manners.job_polls = 1, 3
        path = f"jobs/query/{client.post('jobs/query', {'operation': 'query', 'query': 'SELECT Id FROM Account'}).json()['id']}"

        states = [client.get(path).json()["state"] for _ in range(5)]
        assert states == ["UploadComplete", *["InProgress"] * 3, "JobComplete"]

    def test_a_finished_job_says_how_many_rows_it_found(self, client, org, run_bulk_query):
        fill(org, 3)

        done = client.get(run_bulk_query("SELECT Id FROM Account")).json()

        assert (done["jobType"], done["numberRecordsProcessed"], done["isPkChunkingSupported"]) == ("V2Query", 3, True)

    def test_cells_are_quoted_and_look_as_on_the_real_wire(self, client, org, run_bulk_query):
        account = org.create(
            "Account", {"Name": 'q"uo,te', "Description": "two\r\nlines 😀", "AnnualRevenue": 912260031}
        )
        org.create(
            "Opportunity",
            {"Name": "d", "AccountId": account, "Amount": "0.1", "StageName": "Closed Won", "CloseDate": "2026-02-01"},
        )

        accounts = client.get(
            run_bulk_query("SELECT Name, Description, AnnualRevenue, NumberOfEmployees FROM Account") + "/results"
        )
        deals = client.get(
            run_bulk_query("SELECT Account.Name, Amount, IsWon, CloseDate, SystemModstamp FROM Opportunity")
            + "/results"
        )

        assert accounts.content.decode() == (
            '"Name","Description","AnnualRevenue","NumberOfEmployees"\n"q""uo,te","two\r\nlines 😀","9.12260031E8",""\n'
        )
        assert deals.text == (
            '"Account.Name","Amount","IsWon","CloseDate","SystemModstamp"\n'
            '"q""uo,te","0.1","true","2026-02-01","2026-03-01T12:00:00.000Z"\n'
        )
        assert accounts.headers["Content-Type"] == "text/csv"

    def test_pages_follow_locators_to_the_text_null(self, client, org, run_bulk_query):
        ids = fill(org, 5)
        path = run_bulk_query("SELECT Id FROM Account ORDER BY Name")

        seen, locator, sizes = [], None, []
        while locator != "null":
            page = client.get(f"{path}/results", params={"maxRecords": 2, **({"locator": locator} if locator else {})})
            seen += [row["Id"] for row in read(page.text)]
            sizes.append(page.headers["Sforce-NumberOfRecords"])
            locator = page.headers["Sforce-Locator"]

        assert seen == ids
        assert sizes == ["2", "2", "1"]

    def test_the_server_has_its_own_largest_page(self, client, org, run_bulk_query, sandbox):
        fill(org, 5)
        sandbox.manners.bulk_page_rows = 3

        page = client.get(run_bulk_query("SELECT Id FROM Account") + "/results", params={"maxRecords": 100})

        assert page.headers["Sforce-NumberOfRecords"] == "3"

    def test_pages_stay_the_same_whatever_happens_meanwhile(self, client, org, run_bulk_query):
        ids = fill(org, 3)
        path = run_bulk_query("SELECT Id, Name FROM Account") + "/results"
        before = client.get(path).text

        org.update("Account", ids[0], {"Name": "changed"})
        org.purge("Account", ids[1])

        assert client.get(path).text == before

    def test_no_rows_are_a_header_alone(self, client, run_bulk_query):
        page = client.get(run_bulk_query("SELECT Id, Name FROM Account") + "/results")

        assert page.text == '"Id","Name"\n'
        assert (page.headers["Sforce-NumberOfRecords"], page.headers["Sforce-Locator"]) == ("0", "null")

    def test_query_all_shows_deleted_records(self, client, org, run_bulk_query):
        org.delete("Account", fill(org, 1)[0])

        assert read(client.get(run_bulk_query("SELECT Id FROM Account") + "/results").text) == []
        deleted = read(client.get(run_bulk_query("SELECT IsDeleted FROM Account", "queryAll") + "/results").text)
        assert deleted == [{"IsDeleted": "true"}]

    @pytest.mark.parametrize(("status", "given"), [(412, None), (204, 204)])
    def test_results_before_the_end_are_refused(self, client, sandbox, status, given):
        if given:
            sandbox.manners.early_results_status = given
        made = client.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"}).json()

        assert client.get(f"jobs/query/{made['id']}/results").status_code == status
        assert client.get("limits").status_code == 200

    def test_another_version_than_the_creating_one_conflicts(self, client, connect, run_bulk_query):
        path = run_bulk_query("SELECT Id FROM Account")

        assert connect(version="61.0").get(path).status_code == 409
        assert connect(version="61.0").get(f"{path}/results").status_code == 409

    def test_another_users_job_does_not_exist(self, client, connect, org, sandbox, run_bulk_query):
        path = run_bulk_query("SELECT Id FROM Account")
        other = org.create("User", {"LastName": "Other", "Username": "o@example.com"})

        assert connect(sandbox.login(other)).get(path).status_code == 404

    def test_a_job_disappears_after_seven_days(self, client, run_bulk_query, clock):
        path = run_bulk_query("SELECT Id FROM Account")
        clock.advance(timedelta(days=7, seconds=1).total_seconds())

        assert client.get(path).status_code == 404
        assert client.get("jobs/query").json()["records"] == []

    def test_aborting_and_deleting_have_their_rules(self, client):
        path = f"jobs/query/{client.post('jobs/query', {'operation': 'query', 'query': 'SELECT Id FROM Account'}).json()['id']}"
        too_early = client.delete(path)
        assert (too_early.status_code, too_early.json()[0]["errorCode"]) == (400, "API_ERROR")

        assert client.patch(path, {"state": "Aborted"}).json()["state"] == "Aborted"
        assert client.patch(path, {"state": "Aborted"}).status_code == 400
        assert client.get(path).json()["state"] == "Aborted"
        assert client.delete(path).status_code == 204
        assert client.get(path).status_code == 404

    def test_jobs_are_listed(self, client, run_bulk_query):
        run_bulk_query("SELECT Id FROM Account")

        (job,) = client.get("jobs/query").json()["records"]

        assert (job["state"], job["jobType"]) == ("JobComplete", "V2Query")

    @pytest.mark.parametrize("key", ["nextRecordsUrl", "nextRecordUrl"])
    def test_result_pages_are_links_in_either_spelling(self, client, org, run_bulk_query, sandbox, key):
        ids = fill(org, 12)
        sandbox.manners.bulk_page_rows, sandbox.manners.result_pages_key = 2, key
        path = run_bulk_query("SELECT Id FROM Account ORDER BY Name")

        first = client.get(f"{path}/resultPages").json()
        second = client.get(first[key]).json()

        assert (len(first["resultPages"]), first["done"]) == (5, False)
        assert (len(second["resultPages"]), second["done"], second[key]) == (1, True, None)
        links = [page["resultUrl"] for page in first["resultPages"] + second["resultPages"]]
        assert [row["Id"] for link in links for row in read(client.get(link).text)] == ids

    @pytest.mark.parametrize(
        ("query", "code"),
        [
            ("SELECT BillingAddress FROM Account", "API_ERROR"),
            ("SELECT COUNT(Id) FROM Account", "API_ERROR"),
            ("SELECT Name, COUNT(Id) FROM Account GROUP BY Name", "API_ERROR"),
            ("SELECT Id, (SELECT Id FROM Contacts) FROM Account", "API_ERROR"),
            ("SELECT Id FROM Account OFFSET 5", "API_ERROR"),
            ("SELECT Id FROM Organization", "INVALIDENTITY"),
            ("SELECT Nope FROM Account", "INVALID_FIELD"),
            ("SELECT Id FROM Account WHERE Nope = 1", "INVALID_FIELD"),
            ("SELECT Id FROM Account ORDER BY Nope", "INVALID_FIELD"),
            ("SELECT Id FRM Account", "MALFORMED_QUERY"),
        ],
    )
    def test_what_bulk_cannot_answer_is_refused_at_once(self, client, query, code):
        answer = client.post("jobs/query", {"operation": "query", "query": query})

        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)

    @pytest.mark.parametrize(
        "body",
        [
            {"operation": "query"},
            {"query": "SELECT Id FROM Account"},
            {"operation": "query", "query": "SELECT Id FROM Account", "columnDelimiter": "DOT"},
        ],
    )
    def test_an_incomplete_order_is_refused(self, client, body):
        assert client.post("jobs/query", body).status_code == 400

    def test_delimiters_and_line_endings_are_as_asked(self, client, org, run_bulk_query):
        fill(org, 1)

        text = client.get(
            run_bulk_query("SELECT Name, Type FROM Account", columnDelimiter="PIPE", lineEnding="CRLF") + "/results"
        ).text

        assert text == '"Name"|"Type"\r\n"a0000"|""\r\n'

    @pytest.mark.parametrize(
        "page", [{"locator": "x"}, {"locator": "cGFnZTo5OQ"}, {"maxRecords": "0"}, {"maxRecords": "many"}]
    )
    def test_nonsense_positions_are_refused(self, client, run_bulk_query, page):
        assert client.get(run_bulk_query("SELECT Id FROM Account") + "/results", params=page).status_code == 400

    def test_the_number_of_jobs_a_day_is_limited(self, client, sandbox):
        sandbox.manners.bulk_query_limit = 0

        assert client.post("jobs/query", {"operation": "query", "query": "SELECT Id FROM Account"}).status_code == 403


class TestIngestJobs:
    def test_rows_succeed_and_fail_each_on_its_own(self, org, run_ingest):
        one, two = fill(org, 2)

        state, result = run_ingest(f"Id,Advocacy_Score__c\n{one},12.5\n{two},1000\n001Tt0000000001IAA,1\n")

        assert (state["state"], state["numberRecordsProcessed"], state["numberRecordsFailed"]) == ("JobComplete", 3, 2)
        assert (
            result("successfulResults")
            == f'"sf__Id","sf__Created",Id,Advocacy_Score__c\n"{one}","false","{one}","12.5"\n'
        )
        failed = {row["Id"]: row["sf__Error"] for row in read(result("failedResults"))}
        assert failed[two].startswith("NUMBER_OUTSIDE_VALID_RANGE:")
        assert failed[two].endswith(":Advocacy_Score__c --")
        assert failed["001Tt0000000001IAA"].startswith("NOT_FOUND:")
        assert str(org.record("Account", one)["Advocacy_Score__c"]) == "12.50"

    def test_an_empty_cell_leaves_alone_and_a_special_one_clears(self, org, run_ingest):
        account = org.create("Account", {"Name": "A", "Website": "a.example", "Phone": "1"})

        run_ingest(f"Id,Website,Phone\n{account},,#N/A\n")

        record = org.record("Account", account)
        assert (record["Website"], record["Phone"]) == ("a.example", None)

    def test_an_open_job_waits_for_its_upload_to_be_declared_complete(self, client, org):
        account = fill(org, 1)[0]
        job = client.post("jobs/ingest", {"object": "Account", "operation": "update"}).json()
        path = f"jobs/ingest/{job['id']}"
        assert job["contentUrl"] == f"services/data/v62.0/{path}/batches"
        assert client.patch(path, {"state": "UploadComplete"}).status_code == 400

        upload = client.ask(
            "PUT", f"{path}/batches", content=f"Id,Name\n{account},x\n", headers={"Content-Type": "text/csv"}
        )

        assert (upload.status_code, upload.content) == (201, b"")
        assert [client.get(path).json()["state"] for _ in range(3)] == ["Open"] * 3
        assert (
            client.ask("PUT", f"{path}/batches", content=b"x", headers={"Content-Type": "text/csv"}).status_code == 400
        )
        assert org.record("Account", account)["Name"] == "a0000"

    def test_the_upload_must_be_csv(self, client):
        job = client.post("jobs/ingest", {"object": "Account", "operation": "update"}).json()

        answer = client.ask(
            "PUT", f"jobs/ingest/{job['id']}/batches", content=b"{}", headers={"Content-Type": "application/json"}
        )

        assert answer.status_code == 415

    def test_a_wrong_header_fails_the_whole_job(self, org, run_ingest):
        state, result = run_ingest(f"Id,Nope__c\n{fill(org, 1)[0]},1\n")

        assert (state["state"], state["numberRecordsProcessed"]) == ("Failed", 0)
        assert state["errorMessage"] == "InvalidBatch : Field name not found : Nope__c"
        assert result("unprocessedrecords").startswith("Id,Nope__c\n")

    def test_a_hidden_field_is_a_wrong_header(self, org, run_ingest):
        org.hide_field("Account", "Website")

        assert run_ingest("Id,Website\n")[0]["errorMessage"] == "InvalidBatch : Field name not found : Website"

    @pytest.mark.parametrize(
        "text",
        [
            "Id,Name\r\n1,2\r\n",
            "Id,Name\n1\n",
            'Id,Name\n"1" ,2\n',
            'Id,Name\n1,"open\n',
            b"Id,Name\n1,\xff\n",
            b"\xef\xbb\xbfId,Name\n",
        ],
    )
    def test_a_file_that_breaks_the_rules_fails_the_whole_job(self, run_ingest, text):
        assert run_ingest(text)[0]["state"] == "Failed"

    def test_quotes_commas_and_newlines_inside_cells_arrive(self, org, run_ingest):
        account = fill(org, 1)[0]

        run_ingest(f'Id,Name,Description\n{account},"a ""b"", c","one\ntwo 😀"\n')

        record = org.record("Account", account)
        assert (record["Name"], record["Description"]) == ('a "b", c', "one\ntwo 😀")

    def test_results_come_in_another_order(self, org, run_ingest, sandbox):
        ids = fill(org, 30)
        text = "Id,Name\n" + "".join(f"{one},x\n" for one in ids)

        shuffled = [row["sf__Id"] for row in read(run_ingest(text)[1]("successfulResults"))]
        sandbox.manners.shuffle_results = False
        kept = [row["sf__Id"] for row in read(run_ingest(text)[1]("successfulResults"))]

        assert kept == ids
        assert shuffled != ids
        assert sorted(shuffled) == sorted(ids)

    def test_both_spellings_of_the_unprocessed_records_work(self, client, org):
        job = client.post("jobs/ingest", {"object": "Account", "operation": "update"}).json()
        path = f"jobs/ingest/{job['id']}"
        client.ask("PUT", f"{path}/batches", content=b"Id,Name\n1,x\n", headers={"Content-Type": "text/csv"})
        client.patch(path, {"state": "UploadComplete"})

        assert client.patch(path, {"state": "Aborted"}).json()["state"] == "Aborted"

        assert (
            client.get(f"{path}/unprocessedrecords").text
            == client.get(f"{path}/unprocessedRecords/").text
            == "Id,Name\n1,x\n"
        )
        assert client.get(path).json()["numberRecordsProcessed"] == 0

    def test_insert_upsert_and_delete(self, org, run_ingest):
        org.add_field("Account", Field("Key__c", external_id=True))
        _, inserted = run_ingest("Name,Key__c\nA,k1\n", "insert")
        _, upserted = run_ingest("Key__c,Name\nk1,A2\nk2,B\n,C\n", "upsert", externalIdFieldName="Key__c")

        created = {row["Key__c"]: row["sf__Created"] for row in read(upserted("successfulResults"))}
        assert created == {"k1": "false", "k2": "true"}
        assert "MISSING_ARGUMENT" in upserted("failedResults")
        assert read(inserted("successfulResults"))[0]["sf__Created"] == "true"
        assert sorted(record["Name"] for record in org.records("Account")) == ["A2", "B"]

        ids = [record["Id"] for record in org.records("Account")]
        run_ingest(f"Id\n{ids[0]}\n", "delete")
        run_ingest(f"Id\n{ids[1]}\n", "hardDelete")

        assert org.record("Account", ids[0])["IsDeleted"] is True
        assert ids[1] not in org.tables["Account"].rows

    def test_a_parent_can_be_named_by_its_external_id(self, org, run_ingest):
        org.add_field("Account", Field("Key__c", external_id=True))
        parent = org.create("Account", {"Name": "P", "Key__c": "p1"})
        child = org.create("Account", {"Name": "C"})

        _, result = run_ingest(f"Id,Parent.Key__c\n{child},p1\n{parent},none\n")

        assert org.record("Account", child)["ParentId"] == parent
        assert "INVALID_FIELD:Foreign key external ID: none not found" in result("failedResults")

    @pytest.mark.parametrize(("batch_rows", "failed"), [(1, 1), (2, 0)])
    def test_rows_with_one_parent_lock_each_other_out_across_batches(
        self, org, run_ingest, sandbox, batch_rows, failed
    ):
        sandbox.manners.lock_siblings = True
        sandbox.manners.batch_rows = batch_rows
        parent = org.create("Account", {"Name": "P"})
        deals = [org.create("Opportunity", {"Name": n, "AccountId": parent, "StageName": "Prospecting"}) for n in "ab"]

        state, result = run_ingest("Id,NextStep\n" + "".join(f"{one},x\n" for one in deals), object_name="Opportunity")

        assert state["numberRecordsFailed"] == failed
        assert [row["sf__Error"][:19] for row in read(result("failedResults"))] == ["UNABLE_TO_LOCK_ROW:"] * failed

    def test_multipart_uploads_at_once(self, client, org):
        account = fill(org, 1)[0]
        files = {
            "job": (None, '{"object":"Account","operation":"update","contentType":"CSV"}', "application/json"),
            "content": ("content", f"Id,Name\n{account},x\n", "text/csv"),
        }

        job = client.ask("POST", "jobs/ingest", files=files).json()
        states = [client.get(f"jobs/ingest/{job['id']}").json()["state"] for _ in range(2)]

        assert [job["state"], *states] == ["UploadComplete", "InProgress", "JobComplete"]
        assert org.record("Account", account)["Name"] == "x"

    def test_a_value_of_the_wrong_type_is_a_failed_row(self, org, run_ingest):
        account = fill(org, 1)[0]

        _, result = run_ingest(f"Id,Advocacy_Score__c\n{account},much\n")

        assert read(result("failedResults"))[0]["sf__Error"].startswith("INVALID_TYPE_ON_FIELD_IN_RECORD:")

    def test_finished_jobs_can_be_listed_and_deleted(self, client, run_ingest):
        run_ingest("Id,Name\n")
        (job,) = client.get("jobs/ingest").json()["records"]

        assert client.delete(f"jobs/ingest/{job['id']}").status_code == 204
        assert client.get("jobs/ingest").json()["records"] == []

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            ({"object": "Account", "operation": "merge"}, 400),
            ({"object": "Nothing", "operation": "update"}, 404),
            ({"object": "Organization", "operation": "update"}, 400),
            ({"object": "Account", "operation": "upsert", "externalIdFieldName": "Nope"}, 404),
            ({"object": "Account", "operation": "update", "lineEnding": "CR"}, 400),
        ],
    )
    def test_an_impossible_order_is_refused(self, client, body, status):
        assert client.post("jobs/ingest", body).status_code == status
