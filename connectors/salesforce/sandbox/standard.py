"""The objects a fresh org starts with: names, types and lengths as documented, cut to what CRM value work touches."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from connectors.salesforce.sandbox.schema import ChildRelationship, Field, ObjectType, build_type

STAGES: dict[str, tuple[bool, bool, int]] = {
    "Prospecting": (False, False, 10),
    "Qualification": (False, False, 10),
    "Needs Analysis": (False, False, 20),
    "Value Proposition": (False, False, 50),
    "Id. Decision Makers": (False, False, 60),
    "Perception Analysis": (False, False, 70),
    "Proposal/Price Quote": (False, False, 75),
    "Negotiation/Review": (False, False, 90),
    "Closed Won": (True, True, 100),
    "Closed Lost": (False, True, 0),
}
"""Stage -> is won, is closed, default probability."""


def standard_types(*, multi_currency: bool, person_accounts: bool, write_back: bool) -> list[ObjectType]:
    """`write_back`: Account already has the fields scores are written to, visible to everyone."""
    account = _account(person_accounts=person_accounts)
    opportunity, contact = _opportunity(), _contact()
    if person_accounts:
        contact.add(_read_only("IsPersonAccount", "boolean", default=False))
    if write_back:
        for field in write_back_fields():
            account.add(field)
    types = [account, opportunity, contact, _contact_role(), _organization(), _user(), *_permission_types()]
    if multi_currency:
        for type_ in (account, opportunity, contact):
            type_.add(Field("CurrencyIsoCode", "picklist", length=3, default="USD", values=("USD",), restricted=True))
        next(one for one in types if one.name == "User").add(
            Field("DefaultCurrencyIsoCode", "picklist", length=3, default="USD")
        )
        types += _currency_types()
    return types


def write_back_fields() -> list[Field]:
    """The fields our scores go to, as the project's own package creates them."""
    return [
        Field("Total_Customer_Value__c", "currency", precision=18, scale=2),
        Field("Advocacy_Direct_Revenue__c", "currency", precision=18, scale=2),
        Field("Advocacy_Referred_Revenue__c", "currency", precision=18, scale=2),
        Field("Advocacy_Score__c", "double", precision=5, scale=2),
        Field("Advocacy_Value_Rank__c", "double", precision=8, scale=0),
        Field("Advocacy_Level__c", "picklist", length=255),
        Field("Advocacy_Explanation__c", "textarea", length=32768, long_text=True),
        Field("Advocacy_Synced_At__c", "datetime"),
    ]


def _system(*, deletable: bool = True) -> list[Field]:
    audit = [
        _read_only("CreatedDate", "datetime"),
        _read_only("CreatedById", "reference", refers_to=("User",), relationship="CreatedBy"),
        _read_only("LastModifiedDate", "datetime"),
        _read_only("LastModifiedById", "reference", refers_to=("User",), relationship="LastModifiedBy"),
        _read_only("SystemModstamp", "datetime"),
    ]
    return [*audit, _read_only("IsDeleted", "boolean", default=False)] if deletable else audit


def _read_only(name: str, type_: str, **options: Any) -> Field:
    return Field(name, type_, writable=False, creatable=False, **options)


def _id() -> Field:
    return _read_only("Id", "id", length=18)


def _reference(name: str, *targets: str, **options: Any) -> Field:
    relationship = name.removesuffix("Id") if name.endswith("Id") else name.replace("__c", "__r")
    return Field(name, "reference", refers_to=targets, relationship=relationship, **options)


def _address(compound: str) -> list[Field]:
    stem = compound.removesuffix("Address")
    return [
        Field(f"{stem}Street", "textarea", length=255, compound=compound),
        Field(f"{stem}City", length=40, compound=compound),
        Field(f"{stem}State", length=80, compound=compound),
        Field(f"{stem}PostalCode", length=20, compound=compound),
        Field(f"{stem}Country", length=80, compound=compound),
        Field(compound, "address", writable=False, creatable=False),
    ]


def _account(*, person_accounts: bool) -> ObjectType:
    fields = [
        _id(),
        _read_only("MasterRecordId", "reference", refers_to=("Account",), relationship="MasterRecord"),
        Field("Name", length=255, required=True),
        Field("Type", "picklist", length=255, values=("Prospect", "Customer - Direct", "Customer - Channel", "Other")),
        _reference("ParentId", "Account"),
        *_address("BillingAddress"),
        *_address("ShippingAddress"),
        Field("Phone", "phone", length=40),
        Field("AccountNumber", length=40),
        Field("Website", "url", length=255),
        Field("Industry", "picklist", length=255, values=("Agriculture", "Banking", "Technology", "Other")),
        Field("AnnualRevenue", "currency", precision=18, scale=0),
        Field("NumberOfEmployees", "int", precision=8),
        Field("Description", "textarea", length=32000, long_text=True),
        Field("Rating", "picklist", length=255, values=("Hot", "Warm", "Cold")),
        _reference("OwnerId", "User"),
        Field("AccountSource", "picklist", length=255),
        *_system(),
    ]
    if person_accounts:
        fields += _person_fields()
    children = {
        "Opportunities": ChildRelationship("Opportunities", "Opportunity", "AccountId"),
        "Contacts": ChildRelationship("Contacts", "Contact", "AccountId"),
        "ChildAccounts": ChildRelationship("ChildAccounts", "Account", "ParentId"),
    }
    return build_type("Account", "001", fields, children=children)


def _person_fields() -> list[Field]:
    return [
        _read_only("IsPersonAccount", "boolean", default=False),
        _read_only("PersonContactId", "reference", refers_to=("Contact",), relationship="PersonContact"),
        Field("FirstName", length=40),
        Field("LastName", length=80),
        Field("PersonEmail", "email", length=80),
        Field("PersonTitle", length=80),
    ]


def _opportunity() -> ObjectType:
    fields = [
        _id(),
        _reference("AccountId", "Account"),
        Field("Name", length=120, required=True),
        Field("Description", "textarea", length=32000, long_text=True),
        Field("StageName", "picklist", length=255, required=True, values=tuple(STAGES)),
        Field("Amount", "currency", precision=18, scale=2),
        Field("Probability", "percent", precision=3, scale=0),
        _read_only("ExpectedRevenue", "currency", precision=18, scale=2, formula=_expected_revenue),
        Field("CloseDate", "date", required=True),
        Field("Type", "picklist", length=255, values=("New Business", "Existing Business")),
        Field("NextStep", length=255),
        Field("LeadSource", "picklist", length=255, values=("Web", "Phone Inquiry", "Partner Referral", "Other")),
        _read_only("IsClosed", "boolean", default=False),
        _read_only("IsWon", "boolean", default=False),
        _reference("OwnerId", "User"),
        *_system(),
    ]
    children = {
        "OpportunityContactRoles": ChildRelationship(
            "OpportunityContactRoles", "OpportunityContactRole", "OpportunityId"
        )
    }
    return build_type("Opportunity", "006", fields, children=children)


def _expected_revenue(record: Any) -> Decimal | None:
    amount, probability = record["Amount"], record["Probability"]
    if amount is None:
        return None
    return (amount * (probability or 0) / 100).quantize(Decimal("0.01"))  # type: ignore[no-any-return]  # from Any


def _contact() -> ObjectType:
    fields = [
        _id(),
        _read_only("MasterRecordId", "reference", refers_to=("Contact",), relationship="MasterRecord"),
        _reference("AccountId", "Account"),
        Field("FirstName", length=40),
        Field("LastName", length=80, required=True),
        Field("Name", length=121, writable=False, creatable=False),
        Field("Email", "email", length=80),
        Field("Phone", "phone", length=40),
        Field("Title", length=128),
        _reference("OwnerId", "User"),
        *_system(),
    ]
    children = {
        "OpportunityContactRoles": ChildRelationship("OpportunityContactRoles", "OpportunityContactRole", "ContactId")
    }
    return build_type("Contact", "003", fields, children=children)


def _contact_role() -> ObjectType:
    return build_type(
        "OpportunityContactRole",
        "00K",
        [
            _id(),
            _reference("OpportunityId", "Opportunity", required=True),
            _reference("ContactId", "Contact"),
            Field("Role", "picklist", length=255),
            Field("IsPrimary", "boolean", default=False),
            *_system(),
        ],
        label="Opportunity Contact Role",
    )


def _currency_types() -> list[ObjectType]:
    return [
        build_type(
            "CurrencyType",
            "01L",
            [
                _id(),
                Field("IsoCode", "picklist", length=3, required=True),
                Field("ConversionRate", "double", precision=18, scale=6, required=True),
                Field("DecimalPlaces", "int", precision=1, required=True, default=2),
                Field("IsActive", "boolean", default=True),
                Field("IsCorporate", "boolean", default=False, writable=False),
                *_system(deletable=False),
            ],
            deletable=False,
        ),
        build_type(
            "DatedConversionRate",
            "04w",
            [
                _id(),
                Field("IsoCode", "picklist", length=3, required=True),
                Field("StartDate", "date", required=True),
                Field("NextStartDate", "date", writable=False, creatable=False),
                Field("ConversionRate", "double", precision=18, scale=6, required=True),
                *_system(deletable=False),
            ],
        ),
    ]


def _organization() -> ObjectType:
    fields = [
        _id(),
        Field("Name", length=80, required=True),
        _read_only("InstanceName", "string", length=5),
        _read_only("IsSandbox", "boolean", default=True),
        _read_only("OrganizationType", "picklist", length=40),
        _read_only("TrialExpirationDate", "datetime"),
        _read_only("NamespacePrefix", "string", length=15),
        Field("LanguageLocaleKey", "picklist", length=40, default="en_US"),
        Field("TimeZoneSidKey", "picklist", length=40, default="America/Los_Angeles"),
        *_system(deletable=False),
    ]
    return build_type("Organization", "00D", fields, createable=False, deletable=False, bulk=False)


def _user() -> ObjectType:
    fields = [
        _id(),
        Field("Username", length=80, required=True),
        Field("FirstName", length=40),
        Field("LastName", length=80, required=True),
        Field("Name", length=121, writable=False, creatable=False),
        Field("Email", "email", length=128),
        Field("IsActive", "boolean", default=True),
        Field("UserType", "picklist", length=40, default="Standard"),
        *_system(deletable=False),
    ]
    assigned = ChildRelationship("PermissionSetAssignments", "PermissionSetAssignment", "AssigneeId")
    return build_type("User", "005", fields, deletable=False, children={assigned.name: assigned})


USER_RIGHTS = ("ApiEnabled", "ViewSetup", "CustomizeApplication")
OBJECT_RIGHTS = ("Read", "Create", "Edit", "Delete", "ViewAllRecords", "ModifyAllRecords")


def _permission_types() -> list[ObjectType]:
    permission_set = [
        _id(),
        Field("Name", length=80, required=True),
        Field("Label", length=80, required=True),
        Field("Description", length=255),
        Field("IsOwnedByProfile", "boolean", default=False, writable=False, creatable=False),
        *(Field(f"Permissions{name}", "boolean", default=False) for name in USER_RIGHTS),
        *_system(deletable=False),
    ]
    assignment = [
        _id(),
        _reference("AssigneeId", "User", required=True, writable=False),
        _reference("PermissionSetId", "PermissionSet", required=True, writable=False),
        _read_only("SystemModstamp", "datetime"),
    ]
    grant = [
        _id(),
        _reference("ParentId", "PermissionSet", required=True, writable=False),
        Field("SobjectType", "picklist", length=80, required=True, writable=False),
        Field("Field", "picklist", length=255, required=True, writable=False),
        Field("PermissionsRead", "boolean", default=False),
        Field("PermissionsEdit", "boolean", default=False),
        _read_only("SystemModstamp", "datetime"),
    ]
    object_grant = [
        _id(),
        _reference("ParentId", "PermissionSet", required=True, writable=False),
        Field("SobjectType", "picklist", length=80, required=True, writable=False),
        *(Field(f"Permissions{verb}", "boolean", default=False) for verb in OBJECT_RIGHTS),
        _read_only("SystemModstamp", "datetime"),
    ]
    return [
        build_type("ObjectPermissions", "110", object_grant, bulk=False),
        build_type("PermissionSet", "0PS", permission_set, bulk=False),
        build_type("PermissionSetAssignment", "0Pa", assignment, updateable=False, bulk=False),
        build_type("FieldPermissions", "01k", grant, bulk=False),
    ]


def custom_type(name: str, prefix: str, label: str) -> ObjectType:
    """A new custom object with the fields every one has."""
    fields = [_id(), Field("Name", length=80), _reference("OwnerId", "User"), *_system()]
    return build_type(name, prefix, fields, label=label)
