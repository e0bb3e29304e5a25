"""simple-salesforce, unmodified and over https, with its hard-coded hosts: through a gate to the sandbox."""

from __future__ import annotations

import io
import shutil
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from simple_salesforce import (
    Salesforce,
    SalesforceAuthenticationFailed,
    SalesforceExpiredSession,
    SalesforceMalformedRequest,
)
from tls_gate import tls_gate

from connectors.salesforce.sandbox import Field, Org
from connectors.salesforce.setup import read_components

pytestmark = pytest.mark.judges

PACKAGE = Path(__file__).resolve().parents[2] / "connectors" / "salesforce" / "metadata"


@pytest.fixture
def org():
    """On the machine's own time: the client signs its login by it."""
    return Org()


@pytest.fixture
def gate(sandbox, tmp_path):
    with tls_gate(sandbox.url, tmp_path) as gate:
        yield gate


@pytest.fixture
def session(gate):
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(gate.authority)
        session.proxies = {"https": gate.proxy}
        yield session


@pytest.fixture
def sf(session, sandbox):
    return Salesforce(
        instance="judged.my.salesforce.com", session_id=sandbox.credentials.token, session=session, version="62.0"
    )


def test_a_signed_assertion_logs_in_at_the_login_host(session, sandbox, gate):
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    sandbox.register_key(key.public_key().public_bytes(pem, serialization.PublicFormat.SubjectPublicKeyInfo))
    known = sandbox.credentials

    sf = Salesforce(username=known.username, consumer_key=known.client_id, privatekey=private.decode(), session=session)

    assert gate.hosts == ["login.salesforce.com"]
    assert sf.query("SELECT COUNT() FROM Account")["totalSize"] == 0


def test_client_credentials_log_in_at_the_orgs_own_host(session, sandbox, gate):
    known = sandbox.credentials
    options = {"domain": "judged.my", "session": session}

    sf = Salesforce(consumer_key=known.client_id, consumer_secret=known.client_secret, **options)

    assert gate.hosts == ["judged.my.salesforce.com"]
    assert sf.limits()["DailyApiRequests"]["Max"] == 100_000
    with pytest.raises(SalesforceAuthenticationFailed):
        Salesforce(consumer_key=known.client_id, consumer_secret="wrong", **options)


def test_passwords_are_refused(session):
    with pytest.raises(SalesforceAuthenticationFailed):
        Salesforce(username="a@example.com", password="b", security_token="c", session=session)


def test_every_page_is_visited(sf, org, sandbox):
    sandbox.manners.page_size = 200
    for number in range(1_001):
        org.create("Account", {"Name": f"{number:04}", "AnnualRevenue": number})

    found = list(sf.query_all_iter("SELECT Name, AnnualRevenue FROM Account ORDER BY Name"))

    assert [record["AnnualRevenue"] for record in found] == list(range(1_001))
    assert sandbox.calls["query_more"] == 5


def test_deleted_records_show_on_request(sf, org):
    org.delete("Account", org.create("Account", {"Name": "gone"}))
    text = "SELECT Name FROM Account WHERE IsDeleted = true"

    assert sf.query(text)["totalSize"] == 0
    assert sf.query(text, include_deleted=True)["totalSize"] == 1


def test_records_go_through_all_their_states(sf, org):
    org.add_field("Account", Field("Key__c", external_id=True))

    made = sf.Account.create({"Name": "A"})["id"]
    upserts = [sf.Account.upsert("Key__c/k", {"Name": name}) for name in "BC"]
    updated = sf.Account.update(made, {"AnnualRevenue": 7})

    assert (upserts, updated) == ([201, 200], 204)
    assert sf.Account.get(made)["AnnualRevenue"] == 7
    assert sf.Account.get_by_custom_id("Key__c", "k")["Name"] == "C"
    assert sf.Account.delete(made) == 204


def test_collections_answer_row_by_row(sf, org):
    ids = [org.create("Account", {"Name": name}) for name in "ab"]
    rows = [
        {"attributes": {"type": "Account"}, "Id": one, "Name": name} for one, name in zip(ids, ["A", None], strict=True)
    ]

    part = sf.restful("composite/sobjects", method="PATCH", json={"allOrNone": False, "records": rows})
    none = sf.restful("composite/sobjects", method="PATCH", json={"allOrNone": True, "records": rows})
    gone = sf.restful("composite/sobjects", {"ids": ",".join(ids)}, method="DELETE")

    assert [one["success"] for one in part] == [True, False]
    assert [one["errors"][0]["statusCode"] for one in none] == [
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "REQUIRED_FIELD_MISSING",
    ]
    assert [one["success"] for one in gone] == [True, True]


def test_bulk_queries_bring_every_page(sf, org, sandbox):
    sandbox.manners.bulk_page_rows = 2
    for name in ("a,b", 'say "x"', "größer 😀", "d", "e"):
        org.create("Account", {"Name": name})

    pages = list(sf.bulk2.Account.query("SELECT Name FROM Account", max_records=2, wait=0))

    assert len(pages) == 3
    assert sum(page.count("\n") - 1 for page in pages) == 5


def test_bulk_jobs_insert_update_upsert_and_delete(sf, org):
    org.add_field("Account", Field("Key__c", external_id=True))
    bulk = sf.bulk2.Account

    made = bulk.insert(records=[{"Name": f"n{number}"} for number in range(50)], wait=0)
    ids = [record["Id"] for record in org.records("Account")]
    changed = bulk.update(records=[{"Id": one, "AnnualRevenue": "5"} for one in ids], wait=0)
    upserted = bulk.upsert(records=[{"Key__c": "k", "Name": "new"}], external_id_field="Key__c", wait=0)
    gone = bulk.delete(records=[{"Id": one} for one in ids], wait=0)

    results = [*made, *changed, *upserted, *gone]
    assert [one["numberRecordsProcessed"] for one in results] == [50, 50, 1, 50]
    assert [one["numberRecordsFailed"] for one in results] == [0] * 4
    assert [record["Name"] for record in org.records("Account")] == ["new"]


def test_a_bulk_job_tells_its_good_rows_from_its_bad(sf, org):
    good, bad = (org.create("Account", {"Name": name}) for name in ("good", "bad"))

    (job,) = sf.bulk2.Account.update(
        records=[{"Id": good, "AnnualRevenue": "1"}, {"Id": bad, "AnnualRevenue": "x"}], wait=0
    )
    results = sf.bulk2.Account.get_all_ingest_records(job["job_id"])

    assert [row["sf__Id"] for row in results["successfulRecords"]] == [good]
    assert [row["sf__Id"] for row in results["failedRecords"]] == [bad]
    assert results["unprocessedRecords"] == []


def test_our_package_is_checked_and_deployed_over_soap(sf, org, node, tmp_path):
    archive = _metadata_zip(node, tmp_path)

    checked = sf.checkDeployStatus(sf.deploy(archive, sandbox=True, checkOnly=True)["asyncId"])
    deployed = sf.checkDeployStatus(sf.deploy(archive, sandbox=True, checkOnly=False)["asyncId"])

    assert [one["state"] for one in (checked, deployed)] == ["Succeeded", "Succeeded"]
    assert deployed["deployment_detail"]["deployed_count"] == str(len(read_components()))


def test_windows_and_errors_are_understood(sf, org, sandbox):
    account = org.create("Account", {"Name": "A"})
    now = datetime.now(UTC)
    window = now - timedelta(hours=1), now + timedelta(hours=1)

    assert sf.Account.updated(*window)["ids"] == [account]
    org.delete("Account", account)
    assert [one["id"] for one in sf.Account.deleted(*window)["deletedRecords"]] == [account]
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_FIELD"):
        sf.query("SELECT Nope FROM Account")
    sandbox.engine.fixed_token = ""
    with pytest.raises(SalesforceExpiredSession):
        sf.query("SELECT Id FROM Account")


def _metadata_zip(node, folder):
    """Our package in the metadata format, as Salesforce's command line converts it."""
    project, converted = folder / "package", folder / "converted"
    shutil.copytree(PACKAGE, project)
    program = node.folder / "node_modules" / "@salesforce" / "cli" / "bin" / "run.js"
    node.run(program, "project", "convert", "source", "--output-dir", converted, cwd=project)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path in sorted(converted.rglob("*")):
            archive.write(path, path.relative_to(converted))
    packed.seek(0)
    return packed
