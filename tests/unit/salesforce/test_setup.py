"""Creating our fields and permissions: what is missing, all or nothing, and safe to repeat."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from connectors.contract import FieldType
from connectors.errors import ConfigurationError, CredentialsError
from connectors.salesforce.auth import SESSIONS
from connectors.salesforce.sandbox import Field, Org, Sandbox
from connectors.salesforce.setup import (
    ACCESS,
    ASSIGNMENT,
    FIELD,
    PERMISSION_SET,
    SYNC_SET,
    build_archive,
    read_components,
)


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """An org that has none of our fields."""
    with Sandbox(Org(write_back=False)) as made:
        made.manners.job_polls = 1
        yield made


def test_a_bare_org_gets_every_field_and_permission_and_the_user_can_write_them(org, connect) -> None:
    crm = connect()
    assert not any(step.present for step in crm.plan_setup())

    steps = crm.apply_setup(check_only=False)

    schema = crm.describe(["Account"])["Account"]
    assert schema is not None
    assert all(step.present for step in steps)
    assert schema.fields["Total_Customer_Value__c"].type is FieldType.CURRENCY
    assert schema.fields["Total_Customer_Value__c"].updateable
    assert schema.fields["Advocacy_Explanation__c"].length == 32768


def test_a_check_changes_nothing(org, connect) -> None:
    crm = connect()

    crm.apply_setup(check_only=True)

    assert not any(step.present for step in crm.plan_setup())


def test_doing_it_again_deploys_nothing(connect, sandbox) -> None:
    connect().apply_setup(check_only=False)

    connect().apply_setup(check_only=False)

    assert sandbox.calls["deploy.start"] == 2, "one to try it, one to do it"


def test_a_field_that_exists_with_another_type_stops_everything(org, connect) -> None:
    org.add_field("Account", Field("Advocacy_Value_Rank__c", "string", length=10))
    org.hide_field("Account", "Advocacy_Value_Rank__c")
    crm = connect()

    with pytest.raises(ConfigurationError, match="Advocacy_Value_Rank__c"):
        crm.apply_setup(check_only=False)

    assert not any(step.present for step in crm.plan_setup())


def test_everything_is_tried_before_it_is_deployed(connect, sandbox) -> None:
    connect().apply_setup(check_only=False)

    assert [one.check_only for one in sandbox.engine.deploys.values()] == [True, False]


def test_what_is_refused_when_tried_is_not_deployed(org, connect, sandbox) -> None:
    org.add_field("Account", Field("Advocacy_Value_Rank__c", "string", length=10))
    org.hide_field("Account", "Advocacy_Value_Rank__c")

    with pytest.raises(ConfigurationError, match="Advocacy_Value_Rank__c"):
        connect().apply_setup(check_only=False)

    assert sandbox.calls["deploy.start"] == 1


@pytest.mark.parametrize(
    ("field", "note"),
    [
        (Field("Advocacy_Value_Rank__c", "string", length=10), "is a text field, not number"),
        (Field("Total_Customer_Value__c", "date"), "is a date field, not currency"),
        (
            Field("Total_Customer_Value__c", "currency", precision=8, scale=0),
            "keeps 0 decimals, not 2; holds 8 digits before the point, not 16",
        ),
        (Field("Advocacy_Explanation__c", "textarea", length=500, long_text=True), "holds 500 characters, not 32768"),
        (
            Field("Advocacy_Quadrant__c", "picklist", length=255, values=("champion", "Gold"), restricted=True),
            "is restricted and lacks the values affluent, advocate, potential",
        ),
    ],
    ids=["type", "another type", "digits", "length", "values"],
)
def test_a_field_of_another_shape_is_named_and_left_alone_while_the_rest_is_made(org, connect, field, note) -> None:
    org.add_field("Account", field)
    crm = connect()
    name = f"Account.{field.name}"

    (planned,) = [step for step in crm.plan_setup() if step.name == name]
    left = [step for step in crm.apply_setup(check_only=False) if not step.present]

    assert (planned.present, planned.differs, planned.note) == (False, True, note)
    assert left == [planned]
    assert org.table("Account").type.fields[field.name] is field


def test_more_room_and_other_values_than_ours_are_an_administrators_affair(org, connect) -> None:
    wide = (
        Field("Total_Customer_Value__c", "double", precision=18, scale=2),
        Field("Advocacy_Issues__c", "textarea", length=5000, long_text=True),
        Field("Advocacy_Quadrant__c", "picklist", length=255, values=("Gold",)),
    )
    for field in wide:
        org.add_field("Account", field)

    planned = {step.name: step for step in connect().plan_setup()}

    assert all(planned[f"Account.{field.name}"].present for field in wide)


def test_a_user_without_the_right_is_told_so(org, connect) -> None:
    org.access.no_customising.add(org.user_id)

    with pytest.raises(CredentialsError, match="Customize Application"):
        connect().apply_setup(check_only=False)


def grants(org: Org) -> list[dict[str, Any]]:
    return list(org.records("FieldPermissions"))


def test_lost_grants_are_given_again(org, connect) -> None:
    crm = connect()
    crm.apply_setup(check_only=False)
    for record in grants(org):
        org.delete("FieldPermissions", record["Id"])

    steps = crm.apply_setup(check_only=False)

    schema = crm.describe(["Account"])["Account"]
    assert all(step.present for step in steps)
    assert schema is not None
    assert schema.fields["Total_Customer_Value__c"].updateable


def test_a_grant_of_one_field_is_missed_and_only_its_permission_set_deployed(org, connect) -> None:
    crm = connect()
    crm.apply_setup(check_only=False)
    lost = next(r for r in grants(org) if r["Field"] == "Account.Advocacy_Issues__c" and r["PermissionsEdit"])
    org.update("FieldPermissions", lost["Id"], {"PermissionsEdit": False})

    planned = [step for step in crm.plan_setup() if not step.present]
    steps = crm.apply_setup(check_only=False)

    assert [(step.kind, step.partial) for step in planned] == [(PERMISSION_SET, True), (ACCESS, True)]
    assert {step.note for step in planned} == {"lacks: edit Account.Advocacy_Issues__c"}
    assert all(step.present for step in steps)


def test_grants_on_many_pages_are_all_seen(connect, sandbox) -> None:
    connect().apply_setup(check_only=False)
    sandbox.manners.page_size = sandbox.manners.largest_page = 4

    assert all(step.present for step in connect().plan_setup())


def test_a_field_of_a_later_release_reaches_an_org_that_is_set_up(org, connect, monkeypatch) -> None:
    new = "Advocacy_Issues__c"
    crm = connect()
    everything = read_components()
    block = re.compile(rf"<fieldPermissions>(?:(?!</fieldPermissions>).)*{new}.*?</fieldPermissions>", re.DOTALL)
    earlier = tuple(replace(c, source=block.sub("", c.source)) for c in everything if c.name != new)
    with monkeypatch.context() as patch:
        patch.setattr("connectors.salesforce.setup.read_components", lambda: earlier)
        assert all(step.present for step in crm.apply_setup(check_only=False))
        before = crm.describe(["Account"])["Account"]

    steps = crm.apply_setup(check_only=False)

    after = crm.describe(["Account"])["Account"]
    assert before is not None
    assert after is not None
    assert new not in before.fields
    assert after.fields[new].updateable
    assert all(step.present for step in steps)


def change_user(org: Org, user: str) -> None:
    """Whom the app runs as from now on, for whoever logs in anew."""
    org.user_id = user
    SESSIONS.clear()


def test_an_administrator_sets_up_and_another_user_gets_the_rights(org, connect) -> None:
    nightly = org.create("User", {"Username": "nightly@example.com", "LastName": "Nightly"})
    org.access.no_customising.add(nightly)
    admin = connect()

    steps = admin.apply_setup(check_only=False, user="nightly@example.com")

    again = admin.plan_setup(user="nightly@example.com")
    assigned = [record["AssigneeId"] for record in org.records("PermissionSetAssignment")]
    assert all(step.present for step in (*steps, *again))
    assert assigned == [nightly]
    assert not org.granted(org.user_id).editable
    assert ("Account", "Total_Customer_Value__c") in org.granted(nightly).editable
    change_user(org, nightly)
    seen = connect().describe(["Account"])["Account"]
    assert seen is not None
    assert seen.fields["Total_Customer_Value__c"].updateable


def test_people_who_should_see_the_values_get_the_right_to_and_no_other(org, connect) -> None:
    people = {
        name: org.create("User", {"Username": name, "LastName": "P"}) for name in ("ann@x.example", "bob@x.example")
    }
    admin = connect()

    planned = admin.plan_setup(viewers=["ann@x.example"])
    admin.apply_setup(check_only=True, viewers=["ann@x.example"])
    tried = list(org.records("PermissionSetAssignment"))
    admin.apply_setup(check_only=False, viewers=["ann@x.example"])
    steps = admin.apply_setup(check_only=False, viewers=[*people, "ann@x.example"])

    assert [step.name for step in planned if step.kind == ASSIGNMENT] == [
        f"{SYNC_SET} to the connecting user",
        "Advocacy_Viewer to ann@x.example",
    ]
    assert tried == []
    assert all(step.present for step in steps)
    rights = [org.granted(one) for one in people.values()]
    assert all(("Account", "Total_Customer_Value__c") in one.readable and not one.editable for one in rights)
    with pytest.raises(ConfigurationError, match=r"nobody@x\.example"):
        admin.plan_setup(viewers=["nobody@x.example"])


def test_another_user_is_judged_by_all_its_permission_sets_and_what_they_cannot_tell_is_said(org, connect) -> None:
    nightly = org.create("User", {"Username": "nightly@example.com", "LastName": "Nightly"})
    admin = connect()
    (bare,) = [step for step in admin.plan_setup(user="nightly@example.com") if step.kind == ACCESS]
    admin.apply_setup(check_only=False, user="nightly@example.com")

    (own,) = [one for one in org.records("PermissionSet") if one["Name"] == SYNC_SET]
    profile = org.create("PermissionSet", {"Name": "X00e", "Label": "Profile", "PermissionsApiEnabled": True})
    org.create("PermissionSetAssignment", {"AssigneeId": nightly, "PermissionSetId": profile})
    org.update("PermissionSet", own["Id"], {"PermissionsApiEnabled": False})
    moved, lost = "Account.Advocacy_Currency__c", "Account.Advocacy_Value_Rank__c"
    for grant in org.records("FieldPermissions"):
        if grant["ParentId"] == own["Id"] and grant["Field"] in (moved, lost):
            org.delete("FieldPermissions", grant["Id"])
    org.create(
        "FieldPermissions",
        {
            "ParentId": profile,
            "SobjectType": "Account",
            "Field": moved,
            "PermissionsRead": True,
            "PermissionsEdit": True,
        },
    )
    (judged,) = [step for step in admin.plan_setup(user="nightly@example.com") if step.kind == ACCESS]

    assert not bare.present
    assert bare.note.startswith("lacks: edit Account, view all Account, edit Account.Advocacy_Agreed_Value__c, ")
    assert re.search(r"edit Account\.Advocacy_\w+__c and \d\d more; which records", bare.note)
    assert (judged.present, judged.partial) == (False, True)
    assert judged.note == (
        f"lacks: edit {lost}; which records it sees, and the other fields that are read, only its own login shows"
    )


def test_rights_for_a_user_who_does_not_exist_are_refused_before_anything_is_deployed(connect, sandbox) -> None:
    with pytest.raises(ConfigurationError, match=r"nobody@example\.com"):
        connect().apply_setup(check_only=False, user="nobody@example.com")

    assert sandbox.calls["deploy.start"] == 0


def test_an_assignment_that_somebody_else_made_first_is_fine(org, connect, sandbox) -> None:
    crm = connect()
    crm.apply_setup(check_only=False)
    sandbox.faults.inject("error", on="create", code="DUPLICATE_VALUE", message="duplicate", status=400)
    for record in list(org.records("PermissionSetAssignment")):
        org.delete("PermissionSetAssignment", record["Id"])

    steps = crm.apply_setup(check_only=False)

    assert [step.present for step in steps if step.kind == ASSIGNMENT] == [False], "the sandbox only said so"


@pytest.mark.parametrize(
    ("object_name", "column", "lacking"),
    [
        ("Account", "PermissionsEdit", "lacks: edit Account"),
        ("Opportunity", "PermissionsViewAllRecords", "lacks: view all Opportunity"),
        ("Contact", "PermissionsRead", "lacks: read Contact"),
    ],
)
def test_a_lost_right_to_an_object_is_named_and_given_again(org, connect, object_name, column, lacking) -> None:
    crm = connect()
    crm.apply_setup(check_only=False)
    (grant,) = [r for r in org.records("ObjectPermissions") if r["SobjectType"] == object_name]
    org.update("ObjectPermissions", grant["Id"], {column: False})

    planned = [step for step in crm.plan_setup() if not step.present]
    steps = crm.apply_setup(check_only=False)

    assert [(step.kind, step.name, step.note) for step in planned] == [(PERMISSION_SET, SYNC_SET, lacking)]
    assert all(step.present for step in steps)


def test_a_permission_set_that_lost_an_object_altogether_or_api_access_says_all_of_it(org, connect) -> None:
    crm = connect()
    crm.apply_setup(check_only=False)
    for grant in [r for r in org.records("ObjectPermissions") if r["SobjectType"] == "Contact"]:
        org.delete("ObjectPermissions", grant["Id"])
    (ours,) = [r for r in org.records("PermissionSet") if r["Name"] == SYNC_SET]
    org.update("PermissionSet", ours["Id"], {"PermissionsApiEnabled": False})

    (planned,) = [step for step in crm.plan_setup() if not step.present]

    assert planned.note == "lacks: use ApiEnabled, read Contact, view all Contact"
    assert all(step.present for step in crm.apply_setup(check_only=False))


def test_more_rights_than_ours_are_an_administrators_affair(org, connect, sandbox) -> None:
    crm = connect()
    crm.apply_setup(check_only=False)
    for grant in list(org.records("ObjectPermissions")):
        org.update("ObjectPermissions", grant["Id"], {"PermissionsModifyAllRecords": True})

    steps = crm.apply_setup(check_only=False)

    assert all(step.present for step in steps)
    assert sandbox.calls["deploy.start"] == 2, "one to try it, one to do it"


def test_what_the_permission_sets_promise_is_looked_at_through_the_users_eyes(org, connect, sandbox) -> None:
    crm = connect()
    crm.apply_setup(check_only=False)
    org.lock_field("Account", "Advocacy_Value_Rank__c")
    org.hide_field("Account", "Advocacy_Currency__c")
    org.hide_object("Opportunity")

    (planned,) = [step for step in crm.plan_setup() if not step.present]
    (left,) = [step for step in crm.apply_setup(check_only=False) if not step.present]

    assert planned == left
    assert planned.kind == ACCESS
    assert planned.note == (
        "lacks: edit Account.Advocacy_Currency__c, edit Account.Advocacy_Value_Rank__c, read Opportunity"
    )
    assert sandbox.calls["deploy.start"] == 2, "there is nothing to deploy that would mend it"


def test_the_nightly_user_who_may_not_look_at_permission_sets_can_check_what_it_may_do(org, connect) -> None:
    nightly = org.create("User", {"Username": "nightly@example.com", "LastName": "Nightly"})
    for name in ("PermissionSet", "FieldPermissions", "ObjectPermissions", "PermissionSetAssignment"):
        org.hide_object(name, user=nightly)
    admin_id, admin = org.user_id, connect()
    change_user(org, nightly)
    before = connect().plan_setup()
    change_user(org, admin_id)
    admin.apply_setup(check_only=False, user="nightly@example.com")
    change_user(org, nightly)

    after = connect().plan_setup()

    assert {step.present for step in before} == {False}
    assert "edit Account.Advocacy_Agreed_Value__c" in before[-1].note
    assert {step.kind for step in after} == {FIELD, ACCESS}
    assert all(step.present for step in after)


def test_the_archive_names_everything_it_holds() -> None:
    components = read_components()

    with zipfile.ZipFile(io.BytesIO(build_archive(components, "62.0"))) as archive:
        texts = {name: archive.read(name).decode() for name in archive.namelist()}

    roots = {name: ET.fromstring(text) for name, text in texts.items()}
    space = "{http://soap.sforce.com/2006/04/metadata}"
    named = {member.text for member in roots["package.xml"].iter(f"{space}members")}
    fields = {node.findtext(f"{space}fullName") for node in roots["objects/Account.object"].iter(f"{space}fields")}
    assert named == {f"Account.{name}" for name in fields} | {"Advocacy_Sync", "Advocacy_Viewer"}
    assert len(fields) == len([one for one in components if one.kind == "field"]) <= 100, "a smaller edition holds 100"


def test_the_package_opens_every_field_it_creates() -> None:
    components = read_components()
    created = {f"Account.{c.name}" for c in components if c.kind == "field"}
    space = "{http://soap.sforce.com/2006/04/metadata}"

    for component in components:
        if component.kind == "permission set":
            opened = {node.text for node in ET.fromstring(component.source.encode()).iter(f"{space}field")}
            assert opened == created
