"""Salesforce's own command line, `sf`, unmodified, against one sandbox that all tests share: a login takes seconds."""

from __future__ import annotations

import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from connectors.salesforce.sandbox import Org, Sandbox
from connectors.salesforce.setup import read_components

pytestmark = [pytest.mark.judges, pytest.mark.xdist_group("sf")]

PACKAGE = Path(__file__).resolve().parents[2] / "connectors" / "salesforce" / "metadata"


@dataclass
class CommandLine:
    node: object
    sandbox: Sandbox
    folder: Path

    def call(self, *arguments, cwd=None, **environment):
        """The whole answer of a command with `--json`, whatever its exit code."""
        program = self.node.folder / "node_modules" / "@salesforce" / "cli" / "bin" / "run.js"
        done = self.node.run(program, *arguments, "--json", cwd=cwd or self.folder, check=False, **environment)
        try:
            return json.loads(done.stdout)
        except ValueError:
            pytest.fail(f"no JSON\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")

    def __call__(self, *arguments, **options):
        """The result of a command that must succeed."""
        answer = self.call(*arguments, **options)
        assert answer.get("status") == 0, f"{answer.get('code')}: {answer.get('message')}\n{answer.get('data')}"
        return answer["result"]

    def write(self, name, *rows):
        with (self.folder / name).open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(rows)
        return name

    def read(self, name):
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def sf(node, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sf")
    with Sandbox(Org(write_back=False), token="00D000000000001!judge.token") as sandbox:
        sandbox.manners.job_polls = 0
        sf = CommandLine(node, sandbox, folder)
        sf.login = sf(
            *("org", "login", "access-token", "--instance-url", sandbox.url),
            *("--no-prompt", "--alias", "judged", "--set-default"),
            SF_ACCESS_TOKEN=sandbox.credentials.token,
        )
        yield sf
        assert sandbox.engine.crashes == []


@pytest.fixture
def org(sf):
    """The org, emptied of what earlier tests left."""
    org = sf.sandbox.org
    for name in ("Opportunity", "Contact", "Account"):
        for record in list(org.records(name)):
            org.delete(name, record["Id"])
    return org


def test_a_token_is_enough_to_log_in(sf):
    assert sf.login["orgId"] == sf.sandbox.org.organization_id
    assert sf.login["username"] == sf.sandbox.credentials.username
    assert sf("org", "display")["connectedStatus"] == "Connected"


def test_a_wrong_token_is_refused(sf):
    refused = sf.call(
        *("org", "login", "access-token", "--instance-url", sf.sandbox.url, "--no-prompt"),
        SF_ACCESS_TOKEN="00D000000000001!wrong",
    )

    assert refused["status"] == 1
    assert "Session expired or invalid" in refused["message"]


def test_a_query_shows_parents_nulls_and_pages(sf, org):
    sf.sandbox.manners.page_size = 2
    big = org.create("Account", {"Name": "Big"})
    for number in range(5):
        values = {"Name": f"n{number}", "AccountId": big if number else None, "Amount": f"{number}.50"}
        org.create("Opportunity", {**values, "StageName": "Closed Won", "CloseDate": "2026-01-01"})

    found = sf("data", "query", "-q", "SELECT Name, Amount, Account.Name FROM Opportunity ORDER BY Name")

    sf.sandbox.manners.page_size = 2000
    assert found["totalSize"] == 5
    assert [record["Amount"] for record in found["records"]] == [0.5, 1.5, 2.5, 3.5, 4.5]
    assert found["records"][0]["Account"] is None
    assert found["records"][1]["Account"]["Name"] == "Big"


def test_a_query_becomes_a_file(sf, org):
    org.create("Account", {"Name": 'a,"b"', "AnnualRevenue": 5})
    text = "SELECT Name, AnnualRevenue, Owner.Name FROM Account"

    sf("data", "query", "-q", text, "--result-format", "csv", "--output-file", "query.csv")

    assert sf.read("query.csv") == [{"Name": 'a,"b"', "AnnualRevenue": "5", "Owner.Name": "Integration"}]


def test_sums_and_counts_are_shown(sf, org):
    for amount in ("1.5", "2"):
        org.create("Opportunity", {"Name": "n", "Amount": amount, "StageName": "Closed Won", "CloseDate": "2026-01-01"})

    (record,) = sf("data", "query", "-q", "SELECT StageName, SUM(Amount) s FROM Opportunity GROUP BY StageName")[
        "records"
    ]

    assert (record["StageName"], record["s"]) == ("Closed Won", 3.5)
    assert sf("data", "query", "-q", "SELECT COUNT() FROM Opportunity")["totalSize"] == 2


def test_a_refused_query_says_why(sf):
    refused = sf.call("data", "query", "-q", "SELECT Nope FROM Account")

    assert refused["status"] == 1
    assert "No such column 'Nope' on entity 'Account'" in refused["message"]


def test_one_record_is_created_read_updated_and_deleted(sf, org):
    made = sf("data", "create", "record", "-s", "Account", "-v", "Name='Made up' AnnualRevenue=7")
    read = sf("data", "get", "record", "-s", "Account", "-w", "Name='Made up'")
    sf("data", "update", "record", "-s", "Account", "-i", made["id"], "-v", "AnnualRevenue=8")

    assert read["AnnualRevenue"] == 7
    assert str(org.record("Account", made["id"])["AnnualRevenue"]) == "8"
    sf("data", "delete", "record", "-s", "Account", "-i", made["id"])
    assert list(org.records("Account")) == []


def test_records_are_exported_in_bulk(sf, org):
    names = ["a,b", 'say "x"', "größer 😀", "plain", "last"]
    sf.sandbox.manners.bulk_page_rows = 2
    for name in names:
        org.create("Account", {"Name": name, "Description": "two\nlines"})

    sf(
        "data",
        "export",
        "bulk",
        "-q",
        "SELECT Name, Description FROM Account",
        "--output-file",
        "out.csv",
        "--wait",
        "2",
    )

    sf.sandbox.manners.bulk_page_rows = 50_000
    assert sorted(row["Name"] for row in sf.read("out.csv")) == sorted(names)
    assert {row["Description"] for row in sf.read("out.csv")} == {"two\nlines"}


def test_records_are_imported_changed_and_deleted_in_bulk(sf, org):
    made = sf.write("in.csv", ["Name", "AnnualRevenue"], ["one", "1"], ["two, too", "2.5"])
    imported = sf("data", "import", "bulk", "-s", "Account", "-f", made, "--wait", "2")
    ids = {record["Name"]: record["Id"] for record in org.records("Account")}
    changed = sf.write("up.csv", ["Id", "AnnualRevenue", "Industry"], [ids["one"], "#N/A", "Banking"])
    sf("data", "update", "bulk", "-s", "Account", "-f", changed, "--wait", "2")
    gone = sf.write("del.csv", ["Id"], [ids["two, too"]])
    sf("data", "delete", "bulk", "-s", "Account", "-f", gone, "--wait", "2")

    assert (imported["processedRecords"], imported["failedRecords"]) == (2, 0)
    (left,) = org.records("Account")
    assert (left["Name"], left["AnnualRevenue"], left["Industry"]) == ("one", None, "Banking")


def test_a_bulk_upsert_names_the_rows_that_failed(sf, org):
    good, bad = (org.create("Account", {"Name": name}) for name in ("good", "bad"))
    rows = sf.write("ups.csv", ["Id", "AnnualRevenue"], [good, "5"], [bad, "much"])

    refused = sf.call("data", "upsert", "bulk", "-s", "Account", "-f", rows, "-i", "Id", "--wait", "2")
    results = sf("data", "bulk", "results", "--job-id", refused["data"]["jobId"])

    assert refused["code"] == "FailedRecordDetailsError"
    assert (results["processedRecords"], results["successfulRecords"], results["failedRecords"]) == (2, 1, 1)
    assert [row["sf__Id"] for row in sf.read(results["failedFilePath"])] == [bad]
    assert [row["sf__Id"] for row in sf.read(results["successFilePath"])] == [good]


def test_records_leave_and_return_as_a_tree(sf, org):
    big = org.create("Account", {"Name": "Big"})
    org.create("Opportunity", {"Name": "won", "AccountId": big, "StageName": "Closed Won", "CloseDate": "2026-01-01"})
    text = "SELECT Name, (SELECT Name, StageName, CloseDate FROM Opportunities) FROM Account"
    sf("data", "export", "tree", "-q", text, "-d", "tree")
    org.delete("Account", big)

    made = sf("data", "import", "tree", "-f", "tree/Account-Opportunity.json")

    assert {one["type"] for one in made} == {"Account", "Opportunity"}
    accounts, opportunities = (list(org.records(name)) for name in ("Account", "Opportunity"))
    assert [one["AccountId"] for one in opportunities if one["AccountId"] != big] == [accounts[0]["Id"]]


def test_objects_fields_and_limits_are_described(sf):
    fields = {one["name"]: one for one in sf("sobject", "describe", "-s", "Opportunity")["fields"]}

    assert {"Account", "Opportunity", "Contact"} <= set(sf("sobject", "list", "-s", "all"))
    assert (fields["Amount"]["type"], fields["Amount"]["scale"]) == ("currency", 2)
    assert "DailyApiRequests" in {one["name"] for one in sf("org", "list", "limits")}


def test_our_package_is_checked_deployed_and_opened_by_its_permission_set(sf, org):
    project = sf.folder / "package"
    shutil.copytree(PACKAGE, project)
    field = "SELECT Total_Customer_Value__c FROM Account"
    deploy = ("project", "deploy", "start", "--wait", "2")

    checked = sf(*deploy, "--dry-run", cwd=project)
    after_check = "Total_Customer_Value__c" in sf.sandbox.org.tables["Account"].type.fields
    deployed = sf(*deploy, cwd=project)
    hidden = sf.call("data", "query", "-q", field)
    sf("org", "assign", "permset", "-n", "Advocacy_Sync")

    parts = len(read_components())
    assert (checked["checkOnly"], checked["numberComponentsTotal"], after_check) == (True, parts, False)
    assert (deployed["status"], deployed["numberComponentsDeployed"]) == ("Succeeded", parts)
    assert {one["componentType"] for one in deployed["details"]["componentSuccesses"]} >= {
        "CustomField",
        "PermissionSet",
    }
    assert "No such column" in hidden["message"]
    assert sf("data", "query", "-q", field)["totalSize"] == 0
    assert sf(*deploy, cwd=project, SF_ORG_METADATA_REST_DEPLOY="true")["status"] == "Succeeded"


def test_a_broken_package_is_refused_with_the_component(sf):
    project = sf.folder / "broken"
    shutil.copytree(PACKAGE, project)
    path = project / "force-app/main/default/objects/Account/fields/Advocacy_Issues__c.field-meta.xml"
    path.write_text(path.read_text().replace("<type>", "<type>No"))

    refused = sf.call("project", "deploy", "start", "--wait", "2", cwd=project)

    assert refused["status"] == 1
    assert "Advocacy_Issues__c" in json.dumps(refused["result"]["details"]["componentFailures"])
