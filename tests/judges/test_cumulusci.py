"""CumulusCI, the tool that Salesforce.org builds and fills its orgs with, unmodified and over https."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from tls_gate import tls_gate

from connectors.salesforce.sandbox import Field, Org

pytestmark = pytest.mark.judges

PACKAGE = Path(__file__).resolve().parents[2] / "connectors" / "salesforce" / "metadata"

# A login that nobody has to renew, and a way to run a task: the rest of each program stands in its test.
_OPENING = """
import json, os, sys
from cumulusci.core.config import BaseProjectConfig, OrgConfig, TaskConfig, UniversalConfig
from cumulusci.core.keychain import BaseProjectKeychain
from cumulusci.tasks import bulkdata, salesforce
from cumulusci.tasks.bulkdata.step import DataApi, DataOperationType, get_dml_operation, get_query_operation
from cumulusci.tasks.salesforce.insert_record import InsertRecord
from cumulusci.tasks.salesforce.users.permsets import AssignPermissionSets

class Org(OrgConfig):
    def refresh_oauth_token(self, *_, **__):
        pass

given = json.loads(os.environ["GIVEN"])
project = BaseProjectConfig(UniversalConfig(), config={"project": {"package": {"api_version": "62.0", "name": "judged"}}})
project.set_keychain(BaseProjectKeychain(project, os.environ["CUMULUSCI_KEY"]))
org = Org(given["login"], "judged", keychain=project.keychain)

def run(task, **options):
    made = task(project, TaskConfig({"options": options}), org)
    made()
    return made

def context():
    made = InsertRecord(project, TaskConfig({"options": {"object": "Account", "values": "Name:none"}}), org)
    made._init_task()
    return made

def write(operation, fields, rows, **options):
    step = get_dml_operation(sobject="Account", operation=operation, fields=fields, api_options=options,
                             context=context(), api=DataApi.REST, volume=len(rows))
    with step:
        step.start()
        step.load_records(iter(rows))
        step.end()
    return [(one.success, one.created) for one in step.get_results()]
"""


@pytest.fixture
def org():
    return Org(write_back=False)


@pytest.fixture
def cumulusci(cumulusci_python, sandbox, org, tmp_path):
    """Runs a program that leaves its answer in `found`."""
    login = {
        "access_token": sandbox.credentials.token,
        "instance_url": "https://judged.my.salesforce.com",
        "id": f"https://login.salesforce.com/id/{org.organization_id}/{org.user_id}",
        "username": sandbox.credentials.username,
    }
    with tls_gate(sandbox.url, tmp_path) as gate:

        def run(text, **value):
            program = tmp_path / "program.py"
            program.write_text(f"{_OPENING}\n{text}\nprint(); print(json.dumps(found))")
            environment = {
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "CUMULUSCI_KEY": "0123456789abcdef",
                "HTTPS_PROXY": gate.proxy,
                "REQUESTS_CA_BUNDLE": str(gate.authority),
                "GIVEN": json.dumps({"login": login, **value}),
            }
            command = [cumulusci_python, program]
            done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
            if done.returncode:
                pytest.fail(done.stderr[-4000:])
            return json.loads(done.stdout.splitlines()[-1])

        yield run


def test_it_knows_the_org_it_is_in(cumulusci):
    found = cumulusci(
        "org._load_userinfo(); org._load_orginfo()\n"
        "found = [org.latest_api_version, org.org_type, org.is_person_accounts_enabled, org.is_multiple_currencies_enabled]"
    )

    assert found == ["66.0", "Developer Edition", False, False]


def test_our_package_is_checked_deployed_and_assigned(cumulusci, node, org, tmp_path):
    project, converted = tmp_path / "package", tmp_path / "converted"
    shutil.copytree(PACKAGE, project)
    program = node.folder / "node_modules" / "@salesforce" / "cli" / "bin" / "run.js"
    node.run(program, "project", "convert", "source", "--output-dir", converted, cwd=project)

    found = cumulusci(
        "run(salesforce.Deploy, path=given['path'], check_only=True)\n"
        "fields = lambda: [one['name'] for one in context().sf.Account.describe()['fields']]\n"
        "found = ['Total_Customer_Value__c' in fields()]\n"
        "run(salesforce.Deploy, path=given['path'])\n"
        "run(salesforce.Deploy, path=given['path'], rest_deploy=True)\n"
        "found.append('Total_Customer_Value__c' in fields())\n"
        "run(AssignPermissionSets, api_names='Advocacy_Sync')\n"
        "run(AssignPermissionSets, api_names='Advocacy_Sync')\n"
        "found.append('Total_Customer_Value__c' in fields())",
        path=str(converted),
    )

    assert found == [False, False, True]
    assert len([one for one in org.records("PermissionSetAssignment") if one["AssigneeId"] == org.user_id]) == 1


def test_records_are_inserted_upserted_and_deleted(cumulusci, org, sandbox):
    org.add_field("Account", Field("Key__c", external_id=True))
    sandbox.manners.attributes_first = False

    found = cumulusci(
        "inserted = write(DataOperationType.INSERT, ['Name', 'AnnualRevenue'], [[f'n{number}', str(number)] for number in range(210)])\n"
        "upserted = write(DataOperationType.UPSERT, ['Key__c', 'Name'], [['k', 'one'], ['l', 'two']], update_key='Key__c')\n"
        "again = write(DataOperationType.UPSERT, ['Key__c', 'Name'], [['k', 'three']], update_key='Key__c')\n"
        "query = get_query_operation(sobject='Account', fields=['Id', 'Name'], api_options={}, context=context(),\n"
        "                            query=\"SELECT Id, Name FROM Account WHERE Name LIKE 'n%'\", api=DataApi.REST)\n"
        "query.query()\n"
        "rows = list(query.get_results())\n"
        "deleted = write(DataOperationType.DELETE, ['Id'], [[row[0]] for row in rows])\n"
        "found = [len(inserted), upserted, again, len(rows), len([one for one in deleted if one[0]])]"
    )

    assert found == [210, [[True, True], [True, True]], [[True, False]], 210, 210]
    assert sorted(record["Name"] for record in org.records("Account")) == ["three", "two"]
