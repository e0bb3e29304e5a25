"""The mapping against what the CRM says it has."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from app.domain.rows import Entity
from app.errors import MappingError, Problem
from app.mapping.check import ReadPlan, check_mapping, objects_of
from app.mapping.file import MappingFile
from app.mapping.measures import WriteType
from connectors.contract import AnyOf, Condition, FieldSchema, FieldType, ObjectSchema, Operator

Schemas = dict[str, ObjectSchema | None]
CONDITION = "{field: Type, op: in, value: [Customer, Partner]}"


def problems(mapping: MappingFile, schemas: Schemas) -> list[Problem]:
    with pytest.raises(MappingError) as refused:
        check_mapping(mapping, schemas, "sync@example.com")
    return list(refused.value.problems)


def without(schemas: Schemas, object_name: str, *fields: str) -> Schemas:
    schema = schemas[object_name]
    assert schema is not None
    kept = {name: field for name, field in schema.fields.items() if name not in fields}
    return {**schemas, object_name: replace(schema, fields=kept)}


def with_field(schemas: Schemas, object_name: str, field: FieldSchema) -> Schemas:
    schema = schemas[object_name]
    assert schema is not None
    return {**schemas, object_name: replace(schema, fields={**schema.fields, field.name: field})}


def test_a_mapping_that_fits_becomes_a_plan(changed, schemas: Schemas) -> None:
    plan = check_mapping(changed(), schemas, "u")

    accounts = plan.entities[Entity.ACCOUNT]
    assert accounts.fields == ("Id", "Name", "Industry", "Total__c", "Rank__c", "Why__c")
    assert plan.writable == ("total", "rank", "explanation")
    assert plan.writes["total"].type is WriteType.CURRENCY
    assert plan.writes["total"].scale == 2
    assert plan.writes["rank"].type is WriteType.NUMBER
    assert plan.writes["rank"].scale == 0
    assert plan.writes["explanation"].max_length == 500
    assert plan.dropped == ()
    assert [source.object for source in plan.sources()] == ["Account", "Opportunity"]
    assert objects_of(changed()) == ("Account", "Opportunity")


def test_a_field_read_twice_is_asked_for_once(changed, schemas: Schemas) -> None:
    plan = check_mapping(changed(("is_closed: IsClosed", "is_closed: IsWon")), schemas, "u")

    assert plan.entities[Entity.OPPORTUNITY].fields.count("IsWon") == 1


def test_a_missing_object_is_named_with_the_user(changed, schemas: Schemas) -> None:
    (problem,) = problems(changed(), {**schemas, "Opportunity": None})

    assert problem.code == "ADV-MAP-050"
    assert problem.message == "object Opportunity does not exist or is hidden from user sync@example.com"
    assert (problem.line, problem.column) == (14, 11)


def test_a_missing_field_is_named_with_its_place(changed, schemas: Schemas) -> None:
    (problem,) = problems(changed(("amount: Amount", "amount: Amout")), schemas)

    assert problem.code == "ADV-MAP-051"
    assert problem.message == "field Amout does not exist on Opportunity or is hidden from user sync@example.com"
    assert problem.hint == "did you mean 'Amount'?"
    assert (problem.line, problem.column, problem.width) == (18, 13, 5)


def test_capitals_are_corrected(changed, schemas: Schemas) -> None:
    (problem,) = problems(changed(("total: Total__c", "total: total__C")), schemas)

    assert (problem.code, problem.hint) == ("ADV-MAP-052", "did you mean 'Total__c'?")


def test_a_namespace_is_suggested(changed, schemas: Schemas) -> None:
    packaged = with_field(
        without(schemas, "Account", "Total__c"), "Account", FieldSchema("acme__Total__c", FieldType.NUMBER)
    )

    (problem,) = problems(changed(), packaged)

    assert problem.hint == "did you mean 'acme__Total__c'?"


def test_all_problems_of_all_parts_come_together(changed, schemas: Schemas) -> None:
    found = problems(
        changed(
            ("name: Name", "name: Nome"), ("amount: Amount", "amount: Betrag"), ("total: Total__c", "total: Locked__c")
        ),
        schemas,
    )

    assert [problem.code[-3:] for problem in found] == ["051", "051", "054"]


def test_optional_fields_that_are_missing_are_left_out(changed, schemas: Schemas) -> None:
    plan = check_mapping(changed(), without(schemas, "Account", "Industry", "Rank__c"), "u")

    assert "industry" not in plan.entities[Entity.ACCOUNT].attributes
    assert plan.writable == ("total", "explanation")
    assert plan.dropped == ("accounts: Industry", "write_back: Rank__c")


def test_an_attribute_that_is_needed_is_never_left_out(changed, schemas: Schemas) -> None:
    mapping = changed(("amount: Amount", "amount: {field: Betrag, optional: true}"))

    assert [problem.code for problem in problems(mapping, schemas)] == ["ADV-MAP-051"]


def test_coalesce_goes_on_with_the_fields_that_are_there(changed, schemas: Schemas) -> None:
    mapping = changed(
        (
            "industry: {field: Industry, optional: true}",
            "industry: {field: Sector, optional: true, transform: [{coalesce: [Industry, Branch]}]}",
        )
    )

    attribute = check_mapping(mapping, schemas, "u").entities[Entity.ACCOUNT].attributes["industry"]

    assert attribute.crm_fields() == ("Industry",)


RATES = "currency_rates:\n  object: CurrencyType\n  optional: true\n  attributes: {currency: IsoCode, rate: ConversionRate}\nwrite_back:"


def test_an_optional_section_is_left_out_where_the_object_is_missing(changed, schemas: Schemas) -> None:
    plan = check_mapping(changed(("write_back:", RATES)), {**schemas, "CurrencyType": None}, "u")

    assert Entity.CURRENCY_RATE not in plan.entities
    assert plan.dropped == ("currency_rates: the object CurrencyType",)


def test_an_optional_section_is_left_out_where_a_field_is_hidden(changed, schemas: Schemas) -> None:
    rates = ObjectSchema("CurrencyType", "", False, {"IsoCode": FieldSchema("IsoCode", FieldType.TEXT)})

    plan = check_mapping(changed(("write_back:", RATES)), {**schemas, "CurrencyType": rates}, "u")

    assert Entity.CURRENCY_RATE not in plan.entities
    assert "ConversionRate" in plan.dropped[0]


def test_dated_rates_are_a_second_source_read_before_the_money(changed, schemas: Schemas) -> None:
    dated = RATES.replace(
        "write_back:",
        "dated_rates:\n  object: Dated\n  attributes: {currency: IsoCode, rate: ConversionRate, start_on: StartDate}\nwrite_back:",
    )
    fields = {name: FieldSchema(name, FieldType.OTHER) for name in ("IsoCode", "ConversionRate", "StartDate")}
    both = {name: ObjectSchema(name, "", False, fields) for name in ("CurrencyType", "Dated")}

    plan = check_mapping(changed(("write_back:", dated)), {**schemas, **both}, "u")

    assert [source.section for source in plan.sources()] == [
        "currency_rates",
        "dated_rates",
        "accounts",
        "opportunities",
    ]
    assert plan.dated_rates is not None
    assert plan.dated_rates.entity is Entity.CURRENCY_RATE


def test_a_compound_field_is_refused_with_its_parts(changed, schemas: Schemas) -> None:
    address = FieldSchema("BillingAddress", FieldType.COMPOUND, compound_parts=("BillingCity", "BillingStreet"))

    (problem,) = problems(changed(("name: Name", "name: BillingAddress")), with_field(schemas, "Account", address))

    assert (problem.code, problem.hint) == ("ADV-MAP-053", "its parts: BillingCity, BillingStreet")


def test_a_path_through_a_described_object_is_checked(changed, schemas: Schemas) -> None:
    path = ("name: Name", "name: Name"), ("is_closed: IsClosed", "is_closed: IsClosed\n    name: Account.Name")
    wrong = path[0], ("is_closed: IsClosed", "is_closed: IsClosed\n    name: Account.Nome")

    assert "Account.Name" in check_mapping(changed(*path), schemas, "u").entities[Entity.OPPORTUNITY].fields
    assert [problem.code for problem in problems(changed(*wrong), schemas)] == ["ADV-MAP-051"]


def test_a_path_to_an_object_nobody_described_is_left_to_the_crm(changed, schemas: Schemas) -> None:
    mapping = changed(("is_closed: IsClosed", "is_closed: IsClosed\n    name: Campaign.Name"))

    assert "Campaign.Name" in check_mapping(mapping, schemas, "u").entities[Entity.OPPORTUNITY].fields


@pytest.mark.parametrize(
    ("entry", "code", "said"),
    [
        ("total: Formula__c", "055", "calculated"),
        ("total: Locked__c", "054", "may not be changed"),
        ("total: {field: Rank__c, scale: 2}", "057", "keeps 0 decimals"),
        ("total: Level__c", "056", "cannot hold currency"),
        ("as_of: Rank__c", "056", "cannot hold date"),
        ("issues: {field: Name2__c, max_length: 300}", "058", "holds 255"),
        ("currency: Level__c", "059", "'USD'"),
        ("quadrant: Level__c", "059", "'affluent'"),
        ("quadrant: {field: Level__c, values: {champion: Gold, potential: Silver}}", "059", "'advocate'"),
        ("is_referrer: {field: Level__c, type: picklist, values: {'true': Ja, 'false': No}}", "059", "'Ja'"),
    ],
)
def test_a_write_back_field_that_does_not_fit_is_refused(
    changed, schemas: Schemas, entry: str, code: str, said: str
) -> None:
    text = FieldSchema("Name2__c", FieldType.TEXT, length=255, updateable=True)
    rank = "    rank: {field: Rank__c, optional: true}\n"

    mapping = changed((rank, ""), ("total: Total__c", entry))

    (problem,) = problems(mapping, with_field(schemas, "Account", text))

    assert problem.code == f"ADV-MAP-{code}"
    assert said in problem.message
    assert problem.line == 26


@pytest.mark.parametrize(
    ("entry", "field", "kind", "scale"),
    [
        ("total: F__c", FieldSchema("F__c", FieldType.NUMBER, scale=0, updateable=True), WriteType.NUMBER, 0),
        ("total: F__c", FieldSchema("F__c", FieldType.NUMBER, scale=6, updateable=True), WriteType.NUMBER, 2),
        (
            "total: {field: F__c, scale: 6}",
            FieldSchema("F__c", FieldType.NUMBER, scale=6, updateable=True),
            WriteType.NUMBER,
            None,
        ),
        ("total: F__c", FieldSchema("F__c", FieldType.INTEGER, updateable=True), WriteType.INTEGER, 0),
        ("total: F__c", FieldSchema("F__c", FieldType.OTHER, updateable=True), WriteType.CURRENCY, 2),
        (
            "total: {field: F__c, type: currency}",
            FieldSchema("F__c", FieldType.NUMBER, scale=2, updateable=True),
            WriteType.CURRENCY,
            2,
        ),
        (
            "referred_share: F__c",
            FieldSchema("F__c", FieldType.PERCENT, scale=1, updateable=True),
            WriteType.PERCENT,
            1,
        ),
        ("issues: F__c", FieldSchema("F__c", FieldType.LONG_TEXT, length=900, updateable=True), WriteType.LONGTEXT, 0),
        ("is_referrer: F__c", FieldSchema("F__c", FieldType.BOOLEAN, updateable=True), WriteType.BOOLEAN, 0),
        ("synced_at: F__c", FieldSchema("F__c", FieldType.DATETIME, updateable=True), WriteType.DATETIME, 0),
    ],
)
def test_what_the_file_leaves_open_the_crm_decides(changed, schemas: Schemas, entry, field, kind, scale) -> None:
    plan = check_mapping(changed(("total: Total__c", entry)), with_field(schemas, "Account", field), "u")

    write = next(iter(plan.writes[name] for name in plan.writes if plan.writes[name].field == "F__c"))
    assert write.type is kind
    assert write.scale == (6 if scale is None else scale)
    assert write.max_length == (900 if kind is WriteType.LONGTEXT else None)


def test_an_object_that_may_not_be_written_is_refused(changed, schemas: Schemas) -> None:
    account = schemas["Account"]
    assert account is not None

    found = problems(changed(), {**schemas, "Account": replace(account, updateable=False)})

    assert [problem.code for problem in found] == ["ADV-MAP-060"]


def test_currency_fields_of_a_multi_currency_crm_cause_a_warning(changed, schemas: Schemas) -> None:
    code = FieldSchema("CurrencyIsoCode", FieldType.PICKLIST)
    mapping = changed(("id: Id\n    name", "id: Id\n    currency: {field: CurrencyIsoCode, optional: true}\n    name"))

    assert check_mapping(mapping, schemas, "u").warnings == ()
    (warning,) = check_mapping(mapping, with_field(schemas, "Account", code), "u").warnings
    assert warning.code == "ADV-MAP-062"
    assert warning.message == "Total__c is shown in each account's own currency: total is converted into it from USD"


@pytest.mark.parametrize(
    ("field", "value", "typed"),
    [
        ("Name", "5", "5"),
        ("Name", "'5'", "5"),
        ("Name", "true", "true"),
        ("Flag__c", "true", True),
        ("Number__c", "1.50", Decimal("1.50")),
        ("Day__c", "2025-01-31", date(2025, 1, 31)),
        ("Day__c", "'2025-01-31'", date(2025, 1, 31)),
        ("CreatedDate", "2025-01-31", datetime(2025, 1, 31, tzinfo=UTC)),
        ("CreatedDate", "'2025-01-31T12:00:00+02:00'", datetime(2025, 1, 31, 10, tzinfo=UTC)),
        ("Name", "null", None),
    ],
)
def test_the_value_of_a_condition_takes_the_type_of_its_field(changed, schemas: Schemas, field, value, typed) -> None:
    for name, kind in {"Flag__c": FieldType.BOOLEAN, "Number__c": FieldType.NUMBER, "Day__c": FieldType.DATE}.items():
        schemas = with_field(schemas, "Account", FieldSchema(name, kind))
    mapping = changed((CONDITION, f"{{any: [{{field: {field}, value: {value}}}]}}"))

    (entry,) = check_mapping(mapping, schemas, "u").entities[Entity.ACCOUNT].where

    assert entry == AnyOf((Condition(field, Operator.EQ, typed),))
    assert isinstance(entry, AnyOf)
    assert type(entry.conditions[0].value) is type(typed)


@pytest.mark.parametrize(
    ("condition", "place"),
    [
        ("{field: CreatedDate, op: '>', value: soon}", "8:44"),
        ("{field: Rank__c, value: many}", "8:31"),
        ("{field: Rank__c, op: in, value: [1, x]}", "8:39"),
    ],
)
def test_a_value_that_cannot_be_one_of_the_field_is_refused(
    changed, schemas: Schemas, condition: str, place: str
) -> None:
    (problem,) = problems(changed((CONDITION, condition)), schemas)

    assert problem.code == "ADV-MAP-061"
    assert f"{problem.line}:{problem.column}" == place


def test_a_condition_on_a_missing_field_is_refused(changed, schemas: Schemas) -> None:
    (problem,) = problems(changed((CONDITION, "{field: Typ, value: x}")), schemas)

    assert (problem.code, problem.line, problem.column) == ("ADV-MAP-051", 8, 15)


@pytest.mark.parametrize(
    ("old", "new", "differs"),
    [
        ("window_days: 90", "window_days: 91", set()),
        ("window_days: 90", "time_zone: Europe/Berlin", {Entity.OPPORTUNITY}),
        ("window_days: 90", "reporting_currency: EUR", {Entity.OPPORTUNITY}),
        ("name: Name", "name: Type", {Entity.ACCOUNT}),
        ("[Customer, Partner]", "[Customer]", {Entity.ACCOUNT}),
        ("[trim, {map", "[lower, {map", {Entity.OPPORTUNITY}),
        ("max_length: 500", "max_length: 501", {Entity.ACCOUNT}),
        ("name: Name", "name: {field: Name}", set()),
    ],
)
def test_the_fields_digest_moves_when_a_record_would_be_read_differently(changed, schemas, old, new, differs) -> None:
    before, after = (check_mapping(mapping, schemas, "u") for mapping in (changed(), changed((old, new))))

    assert {
        e for e in before.entities if before.entities[e].fields_digest != after.entities[e].fields_digest
    } == differs


def test_a_read_plan_names_the_sources_that_are_there(changed, schemas: Schemas) -> None:
    plan = check_mapping(changed(), schemas, "u")

    assert ReadPlan(entities={}).sources() == ()
    assert {source.entity for source in plan.sources()} == {Entity.ACCOUNT, Entity.OPPORTUNITY}


# What is read is of the right kind


@pytest.mark.parametrize(
    ("old", "new", "needed"),
    [
        ("amount: Amount", "amount: Name", "amount needs an amount, but Opportunity.Name is a text field"),
        ("close_on: CloseDate", "close_on: Type", "close_on needs a date, but Opportunity.Type is a picklist field"),
        ("is_won: IsWon", "is_won: Type", "is_won needs yes or no, but Opportunity.Type is a picklist field"),
        ("account_id: AccountId", "account_id: Name", "account_id needs the id of a record"),
        ("created_on: CreatedDate", "created_on: Name", "created_on needs a moment"),
    ],
)
def test_a_field_that_hardly_holds_what_is_needed_is_a_warning(changed, schemas: Schemas, old, new, needed) -> None:
    mapping = changed((old, new))
    typed = with_field(schemas, "Opportunity", FieldSchema("Name", FieldType.TEXT))

    (warning,) = check_mapping(mapping, typed, "u").warnings

    assert warning.code == "ADV-MAP-064"
    assert needed in warning.message
    assert warning.source.strip() == new
    assert check_mapping(mapping, typed, None).warnings == (), "the types of a folder of tables are guesses"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("amount: Amount", "amount: CloseDate"),
        ("amount: Amount", "amount: IsWon"),
        ("close_on: CloseDate", "close_on: Amount"),
        ("created_on: CreatedDate", "created_on: AccountId"),
        ("is_won: IsWon", "is_won: CloseDate"),
        ("account_id: AccountId", "account_id: Amount"),
        ("    id: Id\n    account_id", "    id: IsWon\n    account_id"),
    ],
)
def test_a_field_that_cannot_hold_what_is_needed_is_refused(changed, schemas: Schemas, old, new) -> None:
    (problem,) = problems(changed((old, new)), schemas)

    assert problem.code == "ADV-MAP-064"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("amount: Amount", "amount: {field: Type, transform: [{scale: 1}]}"),
        ("close_on: CloseDate", "close_on: {field: Type, transform: [{parse_date: 'DD.MM.YYYY'}]}"),
        ("is_won: IsWon", "is_won: {field: Type, transform: [{map: {values: {Won: true}, otherwise: false}}]}"),
        ("close_on: CloseDate", "close_on: CreatedDate"),
        ("amount: Amount", "amount: Probability"),
    ],
)
def test_a_transform_or_a_related_type_is_trusted(changed, schemas: Schemas, old, new) -> None:
    assert check_mapping(changed((old, new)), schemas, "u").warnings == ()
