"""A client nobody here wrote, pointed at the sandbox: it always speaks https, so its session leads back to loopback."""

from __future__ import annotations

import io
import zipfile
from datetime import UTC, datetime

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce import (
    Salesforce,
    SalesforceMalformedRequest,
    SalesforceMoreThanOneRecord,
    SalesforceResourceNotFound,
)

from connectors.salesforce.sandbox import Field


class Loopback(HTTPAdapter):
    def send(self, request, **options):
        request.url = request.url.replace("https://", "http://", 1)
        return super().send(request, **options)


@pytest.fixture
def sf(sandbox):
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", Loopback())
    yield Salesforce(
        instance_url=sandbox.url.replace("http:", "https:"), session_id="fixed-token", session=session, version="62.0"
    )
    session.close()


def test_records_are_created_read_changed_and_deleted(sf):
    made = sf.Account.create({"Name": "A", "AnnualRevenue": 5})

    assert sf.Account.get(made["id"])["AnnualRevenue"] == 5.0
    assert sf.Account.update(made["id"], {"Name": "B"}) == 204
    assert sf.query("SELECT Name FROM Account")["records"][0]["Name"] == "B"
    assert sf.Account.delete(made["id"]) == 204
    with pytest.raises(SalesforceResourceNotFound):
        sf.Account.get(made["id"])


def test_pages_are_followed(sf, org, sandbox):
    sandbox.manners.page_size = 2
    for number in range(5):
        org.create("Account", {"Name": str(number)})

    assert [record["Name"] for record in sf.query_all_iter("SELECT Name FROM Account ORDER BY Name")] == list("01234")


def test_upserts_tell_created_from_changed_and_ambiguous(sf, org):
    org.add_field("Account", Field("Key__c", external_id=True))

    assert sf.Account.upsert("Key__c/a%2Fb", {"Name": "A"}) == 201
    assert sf.Account.upsert("Key__c/a%2Fb", {"Name": "B"}) == 200
    org.create("Account", {"Name": "C", "Key__c": "a/b"})
    with pytest.raises(SalesforceMoreThanOneRecord):
        sf.Account.upsert("Key__c/a%2Fb", {"Name": "D"})


def test_metadata_limits_and_usage_are_read(sf, sandbox):
    assert sf.describe()["maxBatchSize"] == 200
    assert sf.Account.metadata()["objectDescribe"]["name"] == "Account"
    assert {field["name"] for field in sf.Account.describe()["fields"]} >= {"Id", "Name"}
    assert sf.limits()["DailyApiRequests"]["Max"] == 100_000
    assert sf.api_usage["api-usage"].total == 100_000


def test_replication_windows_are_asked_for(sf, org):
    account = org.create("Account", {"Name": "A"})
    window = datetime(2026, 3, 1, 11, tzinfo=UTC), datetime(2026, 3, 1, 13, tzinfo=UTC)

    assert sf.Account.updated(*window)["ids"] == [account]
    org.delete("Account", account)
    assert [one["id"] for one in sf.Account.deleted(*window)["deletedRecords"]] == [account]


def test_errors_arrive_with_their_codes(sf):
    with pytest.raises(SalesforceMalformedRequest) as refused:
        sf.query("SELECT Nope FROM Account")

    assert refused.value.content[0]["errorCode"] == "INVALID_FIELD"


def test_composite_calls_go_through_restful(sf, org):
    account = org.create("Account", {"Name": "A"})
    record = {"attributes": {"type": "Account"}, "Id": account, "Name": "B"}

    assert sf.restful("composite/sobjects", method="PATCH", json={"records": [record]})[0]["success"] is True


def test_bulk_jobs_run_to_their_end(sf, org, sandbox):
    sandbox.manners.job_polls = 0
    account = org.create("Account", {"Name": "A"})

    pages = list(sf.bulk2.Account.query("SELECT Id, Name FROM Account", wait=0))
    (done,) = sf.bulk2.Account.update(records=[{"Id": account, "Name": "B"}], wait=0)

    assert pages == [f'"Id","Name"\n"{account}","A"\n']
    assert (done["numberRecordsProcessed"], done["numberRecordsFailed"]) == (1, 0)
    assert org.record("Account", account)["Name"] == "B"


def test_a_package_is_deployed_over_soap(sf, org, sandbox):
    sandbox.manners.job_polls = 0
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(
            "package.xml",
            "<Package><types><members>Account.New__c</members><name>CustomField</name></types><version>62.0</version></Package>",
        )
        archive.writestr(
            "objects/Account.object",
            "<CustomObject><fields><fullName>New__c</fullName><type>Text</type><length>20</length></fields></CustomObject>",
        )

    made = sf.deploy(out, sandbox=True, checkOnly=False)
    status = sf.checkDeployStatus(made["asyncId"])

    assert status["state"] == "Succeeded"
    assert status["deployment_detail"]["deployed_count"] == "1"
    assert org.tables["Account"].type.fields["New__c"].length == 20
