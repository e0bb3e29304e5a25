"""A shipped mapping, adapted to one CRM."""

from __future__ import annotations

from dataclasses import replace

from app.mapping.check import check_mapping
from app.mapping.file import parse_mapping
from app.mapping.propose import propose_mapping
from connectors.contract import FieldSchema, FieldType, ObjectSchema


def renamed(schemas, object_name: str, **names: str) -> dict[str, ObjectSchema | None]:
    schema = schemas[object_name]
    fields = {
        names.get(name, name): replace(field, name=names.get(name, name)) for name, field in schema.fields.items()
    }
    return {**schemas, object_name: replace(schema, fields=fields)}


def test_a_mapping_that_fits_is_left_as_it_is(good: str, schemas) -> None:
    proposal = propose_mapping(good, schemas)

    assert (proposal.text, proposal.changes, proposal.open) == (good, (), ())


def test_near_names_are_put_in_and_the_rest_of_the_file_stays(good: str, schemas) -> None:
    commented = good.replace("total: Total__c", "total: Total__c   # ours")
    packaged = renamed(schemas, "Account", Total__c="acme__Total__c", Rank__c="acme__Rank__c", Industry="industry")

    proposal = propose_mapping(commented, packaged)

    assert "    total: acme__Total__c   # ours\n" in proposal.text
    assert "    rank: {field: acme__Rank__c, optional: true}\n" in proposal.text
    assert "    industry: {field: industry, optional: true}\n" in proposal.text
    assert len(proposal.changes) == 3
    assert proposal.open == ()
    assert check_mapping(parse_mapping(proposal.text), packaged, "").writable == ("total", "rank", "explanation")


def test_several_names_on_one_line_are_all_replaced(good: str, schemas) -> None:
    text = good.replace("name: Name", "name: {field: Nam, transform: [{coalesce: [Industri]}]}")

    proposal = propose_mapping(text, schemas)

    assert "name: {field: Name, transform: [{coalesce: [Industry]}]}" in proposal.text


def test_a_renamed_object_and_its_fields_are_found_in_two_looks(good: str, schemas) -> None:
    text = good.replace("object: Opportunity", "object: Oportunity").replace("amount: Amount", "amount: amount")

    proposal = propose_mapping(text, schemas)

    assert "object: Opportunity" in proposal.text
    assert "amount: Amount" in proposal.text


def test_what_has_no_near_name_is_left_to_a_person(good: str, schemas) -> None:
    proposal = propose_mapping(good.replace("amount: Amount", "amount: Betrag__c"), schemas)

    assert proposal.changes == ()
    assert proposal.open == (
        "line 18: field Betrag__c does not exist on Opportunity or is hidden from the connecting user",
    )


def test_types_of_deals_that_nobody_mapped_are_listed(good: str, schemas) -> None:
    types = FieldSchema("Type", FieldType.PICKLIST, picklist_values=("New", "Renewal", "Upgrade"))
    deals = schemas["Opportunity"]

    proposal = propose_mapping(good, {**schemas, "Opportunity": replace(deals, fields={**deals.fields, "Type": types})})

    assert proposal.open == ("values of Opportunity.Type that count as unknown: Renewal, Upgrade",)


def test_no_measure_is_led_to_a_field_that_another_one_has(good: str, schemas) -> None:
    text = good.replace("    total: Total__c", "    total: Total__c\n    direct: {field: Totals__c, optional: true}")

    proposal = propose_mapping(text, schemas)

    assert "direct: {field: Totals__c, optional: true}" in proposal.text
    assert proposal.changes == ()
