from __future__ import annotations

import base64
import io
import json
import zipfile
from xml.etree import ElementTree as ET

import pytest

FIELD = {"FullName": "Account.Score__c", "Metadata": {"type": "Number", "label": "Score", "precision": 5, "scale": 2}}
MANIFEST = """<?xml version="1.0" encoding="UTF-8"?>
<Package xmlns="http://soap.sforce.com/2006/04/metadata">
  <types><members>Account.Score__c</members><members>Account.Level__c</members><name>CustomField</name></types>
  <types><members>Reader</members><name>PermissionSet</name></types>
  <version>62.0</version>
</Package>"""
OBJECT = """<?xml version="1.0" encoding="UTF-8"?>
<CustomObject xmlns="http://soap.sforce.com/2006/04/metadata">
  <fields><fullName>Score__c</fullName><label>Score</label><type>Number</type><precision>5</precision><scale>2</scale></fields>
  <fields><fullName>Level__c</fullName><label>Level</label><type>Picklist</type><valueSet><restricted>true</restricted>
    <valueSetDefinition><value><fullName>Gold</fullName><label>Gold</label></value>
    <value><fullName>Silver</fullName><label>Silver</label></value></valueSetDefinition></valueSet></fields>
</CustomObject>"""
PERMISSIONS = """<?xml version="1.0" encoding="UTF-8"?>
<PermissionSet xmlns="http://soap.sforce.com/2006/04/metadata">
  <label>Reader</label>
  <fieldPermissions><editable>true</editable><field>Account.Score__c</field><readable>true</readable></fieldPermissions>
  <fieldPermissions><editable>false</editable><field>Account.Level__c</field><readable>true</readable></fieldPermissions>
</PermissionSet>"""
FILES = {"package.xml": MANIFEST, "objects/Account.object": OBJECT, "permissionsets/Reader.permissionset": PERMISSIONS}


def pack(files):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def field_names(client):
    return {field["name"] for field in client.get("sobjects/Account/describe").json()["fields"]}


class TestTooling:
    def test_a_new_field_is_invisible_until_a_permission_set_shows_it(self, client, org):
        account = org.create("Account", {"Name": "A"})
        made = client.post("tooling/sobjects/CustomField", FIELD)
        assert (made.status_code, made.json()["success"]) == (201, True)
        assert "Score__c" not in field_names(client)
        assert client.refused("SELECT Score__c FROM Account") == "INVALID_FIELD"
        assert client.patch(f"sobjects/Account/{account}", {"Score__c": 1}).json()[0]["errorCode"] == "INVALID_FIELD"

        parent = client.post("sobjects/PermissionSet", {"Name": "P", "Label": "P"}).json()["id"]
        grant = {
            "ParentId": parent,
            "SobjectType": "Account",
            "Field": "Account.Score__c",
            "PermissionsRead": True,
            "PermissionsEdit": True,
        }
        assert client.post("sobjects/FieldPermissions", grant).status_code == 201
        assert "Score__c" not in field_names(client)
        assignment = {"AssigneeId": org.user_id, "PermissionSetId": parent}
        assert client.post("sobjects/PermissionSetAssignment", assignment).status_code == 201

        assert "Score__c" in field_names(client)
        assert client.patch(f"sobjects/Account/{account}", {"Score__c": 1.005}).status_code == 204
        assert client.rows("SELECT Score__c FROM Account") == [{"Score__c": 1.01}]
        for name, body in (("FieldPermissions", grant), ("PermissionSetAssignment", assignment)):
            assert client.post(f"sobjects/{name}", body).json()[0]["errorCode"] == "DUPLICATE_VALUE"

    def test_a_field_to_be_read_only_cannot_be_written(self, client, org):
        account = org.create("Account", {"Name": "A"})
        client.post("tooling/sobjects/CustomField", FIELD)
        parent = org.create("PermissionSet", {"Name": "P", "Label": "P"})
        org.create(
            "FieldPermissions",
            {"ParentId": parent, "SobjectType": "Account", "Field": "Account.Score__c", "PermissionsRead": True},
        )
        org.create("PermissionSetAssignment", {"AssigneeId": org.user_id, "PermissionSetId": parent})

        answer = client.patch(f"sobjects/Account/{account}", {"Score__c": 1})

        assert answer.json()[0]["errorCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            ({**FIELD, "FullName": "Score__c"}, "FIELD_INTEGRITY_EXCEPTION"),
            ({**FIELD, "FullName": "Account.Score"}, "FIELD_INTEGRITY_EXCEPTION"),
            ({**FIELD, "FullName": "Nothing.Score__c"}, "INVALID_CROSS_REFERENCE_KEY"),
            ({**FIELD, "FullName": "Account.Advocacy_Score__c"}, "DUPLICATE_DEVELOPER_NAME"),
            ({"FullName": "Account.Score__c"}, "REQUIRED_FIELD_MISSING"),
            ({**FIELD, "Metadata": {"type": "Number"}}, "FIELD_INTEGRITY_EXCEPTION"),
            ({**FIELD, "Metadata": {"type": "Number", "precision": 19, "scale": 2}}, "FIELD_INTEGRITY_EXCEPTION"),
            ({**FIELD, "Metadata": {"type": "Blob"}}, "FIELD_INTEGRITY_EXCEPTION"),
            ({**FIELD, "Metadata": {"type": "Lookup", "referenceTo": "Nothing"}}, "FIELD_INTEGRITY_EXCEPTION"),
        ],
    )
    def test_fields_that_cannot_be_are_refused(self, client, body, code):
        answer = client.post("tooling/sobjects/CustomField", body)

        assert (answer.status_code, answer.json()[0]["errorCode"]) == (400, code)

    def test_grants_on_what_takes_none_are_refused(self, client, org):
        parent = org.create("PermissionSet", {"Name": "P", "Label": "P"})

        codes = [
            client.post(
                "sobjects/FieldPermissions",
                {
                    "ParentId": parent,
                    "SobjectType": "Account",
                    "Field": field,
                    "PermissionsRead": read,
                    "PermissionsEdit": True,
                },
            ).json()[0]["errorCode"]
            for field, read in (("Account.Nope__c", True), ("Account.Name", True), ("Account.Website", False))
        ]

        assert codes == ["INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST"] * 2 + ["FIELD_INTEGRITY_EXCEPTION"]

    def test_a_user_without_the_right_changes_no_set_up(self, client, org):
        org.access.no_customising.add(org.user_id)

        assert client.post("tooling/sobjects/CustomField", FIELD).status_code == 403

    def test_set_up_can_be_queried(self, client):
        client.post("tooling/sobjects/CustomField", FIELD)

        def query(text):
            return client.get("tooling/query", params={"q": text}).json()

        found = query(
            "SELECT Id, DeveloperName FROM CustomField WHERE TableEnumOrId = 'Account' AND DeveloperName = 'Score'"
        )
        assert [record["DeveloperName"] for record in found["records"]] == ["Score"]
        assert query("SELECT Id FROM SandboxProcess")["size"] == 0

    def test_a_lookup_gets_its_relationship(self, client, org):
        client.post(
            "tooling/sobjects/CustomField",
            {"FullName": "Account.Referrer__c", "Metadata": {"type": "Lookup", "referenceTo": "Account"}},
        )
        org.tables["Account"].type.fields["Referrer__c"].open = True
        one = org.create("Account", {"Name": "A"})
        org.create("Account", {"Name": "B", "Referrer__c": one})

        assert client.rows("SELECT Referrer__r.Name FROM Account WHERE Name = 'B'")[0]["Referrer__r"]["Name"] == "A"


@pytest.fixture(params=["rest", "rest_cli", "soap"])
def deploy(request, client, sandbox):
    """Deploy a zip, wait for the end, and return the result with booleans and numbers as Python values."""

    def rest(archive, part, **options):
        files = {
            part: (None, json.dumps({"deployOptions": options}), "application/json"),
            "file": ("deploy.zip", archive, "application/zip"),
        }
        made = client.ask("POST", "metadata/deployRequest", files=files).json()
        for _ in range(3):
            result = client.get(f"metadata/deployRequest/{made['id']}", params={"includeDetails": "true"}).json()[
                "deployResult"
            ]
        return {
            "status": result["status"],
            "done": result["done"],
            "errors": result["numberComponentErrors"],
            "deployed": result["numberComponentsDeployed"],
            "problems": [failure["problem"] for failure in result["details"]["componentFailures"]],
        }

    def soap(archive, _part, **options):
        flags = "".join(f"<met:{name}>{value!s}</met:{name}>" for name, value in options.items())
        started = call_soap(
            f"<met:deploy><met:ZipFile>{base64.b64encode(archive).decode()}</met:ZipFile><met:DeployOptions>{flags}</met:DeployOptions></met:deploy>"
        )
        deploy_id = started.find(".//{*}id").text
        for _ in range(3):
            result = call_soap(
                f"<met:checkDeployStatus><met:asyncProcessId>{deploy_id}</met:asyncProcessId><met:includeDetails>true</met:includeDetails></met:checkDeployStatus>"
            )
        return {
            "status": result.findtext(".//{*}status"),
            "done": result.findtext(".//{*}done") == "true",
            "errors": int(result.findtext(".//{*}numberComponentErrors")),
            "deployed": int(result.findtext(".//{*}numberComponentsDeployed")),
            "problems": [one.text for one in result.iterfind(".//{*}componentFailures/{*}problem")],
        }

    def call_soap(body, path="/services/Soap/m/62.0", token="fixed-token"):
        envelope = (
            '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" xmlns:met="http://soap.sforce.com/2006/04/metadata">'
            f"<soapenv:Header><met:SessionHeader><met:sessionId>{token}</met:sessionId></met:SessionHeader></soapenv:Header>"
            f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
        )
        answer = client.ask("POST", path, content=envelope, headers={"Content-Type": "text/xml"})
        assert answer.status_code == 200, answer.text
        return ET.fromstring(answer.text)

    if request.param == "soap":
        return lambda archive, **options: soap(archive, "", **options)
    part = "json" if request.param == "rest" else "entity_content"
    return lambda archive, **options: rest(archive, part, **options)


class TestDeploy:
    def test_fields_and_permission_sets_arrive_and_stay_invisible_until_assigned(self, deploy, client, org):
        result = deploy(pack(FILES), rollbackOnError=True, singlePackage=True)

        assert result == {"status": "Succeeded", "done": True, "errors": 0, "deployed": 3, "problems": []}
        assert {"Score__c", "Level__c"} & field_names(client) == set()
        (permission_set,) = client.rows("SELECT Id FROM PermissionSet WHERE Name = 'Reader'")
        client.post(
            "sobjects/PermissionSetAssignment", {"AssigneeId": org.user_id, "PermissionSetId": permission_set["Id"]}
        )
        fields = {field["name"]: field for field in client.get("sobjects/Account/describe").json()["fields"]}
        assert fields["Score__c"]["updateable"] is True
        assert fields["Level__c"]["updateable"] is False
        assert [value["value"] for value in fields["Level__c"]["picklistValues"]] == ["Gold", "Silver"]
        assert fields["Level__c"]["restrictedPicklist"] is True
        (user,) = client.rows(
            f"SELECT Id, (SELECT PermissionSetId FROM PermissionSetAssignments) FROM User WHERE Id = '{org.user_id}'"
        )
        assert user["PermissionSetAssignments"]["records"][0]["PermissionSetId"] == permission_set["Id"]

    def test_a_check_changes_nothing(self, deploy, org):
        result = deploy(pack(FILES), checkOnly=True, rollbackOnError=True)

        assert (result["status"], result["deployed"]) == ("Succeeded", 3)
        assert "Score__c" not in org.tables["Account"].type.fields
        assert org.count("PermissionSet") == 0

    def test_deploying_again_is_fine(self, deploy, org):
        deploy(pack(FILES))

        assert deploy(pack(FILES))["status"] == "Succeeded"
        assert org.count("FieldPermissions") == 2

    def test_one_bad_component_keeps_everything_out(self, deploy, org):
        files = FILES | {"objects/Account.object": OBJECT.replace("<precision>5</precision>", "", 1)}

        result = deploy(pack(files), rollbackOnError=True)

        assert (result["status"], result["errors"]) == ("Failed", 1)
        assert result["problems"] == ["Must specify 'precision' for a CustomField of type Number"]
        assert "Level__c" not in org.tables["Account"].type.fields

    def test_an_existing_field_keeps_its_type(self, deploy, org):
        deploy(pack(FILES))

        result = deploy(
            pack(FILES | {"objects/Account.object": OBJECT.replace("<type>Number</type>", "<type>Currency</type>")})
        )

        assert result["problems"] == ["Cannot change the type of Account.Score__c from double to currency"]
        assert org.tables["Account"].type.fields["Score__c"].type == "double"

    @pytest.mark.parametrize(
        ("changes", "problem"),
        [
            ({"package.xml": None}, "No package.xml found"),
            ({"package.xml": "<Package>"}, "package.xml: "),
            ({"package.xml": '<!DOCTYPE x [<!ENTITY y "z">]><Package/>'}, "a document type is not allowed"),
            ({"objects/Account.object": None}, "Entity of type 'CustomField' named 'Account."),
            (
                {"objects/Account.object": OBJECT.replace("Score__c", "Other__c")},
                "Other__c of type CustomField is not named in package.xml",
            ),
            (
                {"permissionsets/Reader.permissionset": PERMISSIONS.replace("Score__c", "Nope__c")},
                "no CustomField named Account.Nope__c found",
            ),
        ],
    )
    def test_a_package_that_is_not_whole_is_refused(self, deploy, changes, problem):
        files = {name: content for name, content in (FILES | changes).items() if content is not None}

        result = deploy(pack(files))

        assert result["status"] == "Failed"
        assert problem in result["problems"][0]

    def test_what_is_no_zip_is_refused(self, deploy):
        assert deploy(b"not a zip")["problems"] == ["the file is not a zip archive"]

    def test_a_folder_around_everything_is_looked_into(self, deploy):
        assert deploy(pack({f"unpackaged/{name}": content for name, content in FILES.items()}))["status"] == "Succeeded"

    def test_a_custom_object_needs_a_permission_to_be_seen(self, deploy, client, org):
        manifest = MANIFEST.replace("Account.Score__c</members><members>Account.Level__c", "Event__c.When__c").replace(
            "<version>", "<types><members>Event__c</members><name>CustomObject</name></types><version>"
        )
        files = {
            "package.xml": manifest,
            "objects/Event__c.object": "<CustomObject><label>Event</label><fields><fullName>When__c</fullName><type>Date</type></fields></CustomObject>",
            "permissionsets/Reader.permissionset": "<PermissionSet><label>Reader</label><fieldPermissions><editable>true</editable>"
            "<field>Event__c.When__c</field><readable>true</readable></fieldPermissions><objectPermissions><allowRead>true</allowRead>"
            "<allowEdit>true</allowEdit><object>Event__c</object></objectPermissions></PermissionSet>",
            "layouts/Event__c-Event Layout.layout": "<Layout/>",
        }

        result = deploy(pack(files))

        assert result["problems"] == []
        assert client.get("sobjects/Event__c/describe").status_code == 404
        permission_set = next(org.records("PermissionSet"))["Id"]
        org.create("PermissionSetAssignment", {"AssigneeId": org.user_id, "PermissionSetId": permission_set})
        made = client.post("sobjects/Event__c", {"When__c": "2026-01-01"})
        assert made.status_code == 201
        assert org.components == {("layouts", "Event__c-Event Layout.layout")}


def test_a_deployment_needs_its_parts(client):
    assert client.post("metadata/deployRequest", {}).status_code == 415
    only_file = client.ask("POST", "metadata/deployRequest", files={"file": ("x.zip", b"", "application/zip")})
    assert only_file.status_code == 400


def test_an_unknown_deployment_is_not_found(client):
    assert client.get("metadata/deployRequest/0AfSb00AAAAAAAAI25").status_code == 404


def test_deployments_may_still_be_running(client):
    files = {
        "json": (None, '{"deployOptions":{}}', "application/json"),
        "file": ("d.zip", pack(FILES), "application/zip"),
    }
    made = client.ask("POST", "metadata/deployRequest", files=files).json()

    polls = [client.get(f"metadata/deployRequest/{made['id']}").json()["deployResult"] for _ in range(2)]

    assert made["deployResult"]["status"] == "Pending"
    assert [(poll["status"], poll["done"], "details" in poll) for poll in polls] == [
        ("InProgress", False, False),
        ("Succeeded", True, False),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        ("<not xml", "INVALID_SOAP"),
        ('<!DOCTYPE x [<!ENTITY y "z">]><x/>', "INVALID_SOAP"),
        ("<Envelope/>", "INVALID_SOAP"),
        ("<Envelope><Body><deploy/></Body></Envelope>", "INVALID_SESSION_ID"),
        (
            "<Envelope><Header><SessionHeader><sessionId>fixed-token</sessionId></SessionHeader></Header><Body><retrieve/></Body></Envelope>",
            "INVALID_OPERATION",
        ),
    ],
)
@pytest.mark.parametrize("path", ["/services/Soap/m/62.0", "/services/Soap/m/62.0/00D000000000001AAA"])
def test_soap_that_does_not_fit_is_a_fault(client, content, code, path):
    answer = client.ask("POST", path, content=content, headers={"Content-Type": "text/xml"})

    assert answer.status_code == 500
    assert f"<faultcode>sf:{code}</faultcode>" in answer.text
