"""The shipped Salesforce mapping and the shipped Salesforce package fit each other, measure by measure."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from app.domain.requests import MAX_DAYS
from app.mapping.file import load_mapping
from app.mapping.measures import MEASURES, MeasureKind
from app.store.standing_rows import MEASURES as HUMAN
from connectors.salesforce.setup import read_components

MAPPING = load_mapping(Path(__file__).resolve().parents[3] / "mappings" / "salesforce.yaml")
SPACE = "{http://soap.sforce.com/2006/04/metadata}"
FIELDS = {one.name: ET.fromstring(one.source.encode()) for one in read_components() if one.kind == "field"}
TYPES = {
    MeasureKind.MONEY: {"Currency"}, MeasureKind.COUNT: {"Number"}, MeasureKind.FLAG: {"Checkbox"},
    MeasureKind.DATE: {"Date"}, MeasureKind.TEXT: {"Text", "Picklist", "LongTextArea"},
}  # fmt: skip


def test_s4_11_every_relationship_is_a_field_where_salespeople_live() -> None:
    written = {measure: write.field for measure, write in MAPPING.write_back.fields.items()}

    assert set(written) >= HUMAN
    assert set(written.values()) == set(FIELDS)


@pytest.mark.parametrize("measure", MAPPING.write_back.fields)
def test_a_field_of_the_package_can_hold_every_value_of_its_measure(measure: str) -> None:
    root, rule = FIELDS[MAPPING.write_back.fields[measure].field], MEASURES[measure]

    assert root.findtext(f"{SPACE}type") in TYPES[rule.kind]
    assert root.findtext(f"{SPACE}inlineHelpText")
    values = tuple(node.text for node in root.iterfind(f".//{SPACE}value/{SPACE}fullName"))
    assert values == rule.values, "a restricted picklist refuses what it does not know"


def test_lines_go_where_lines_fit() -> None:
    for measure, write in MAPPING.write_back.fields.items():
        is_long = FIELDS[write.field].findtext(f"{SPACE}type") == "LongTextArea"
        assert is_long == MEASURES[measure].several_lines, measure


def test_no_count_has_more_digits_than_its_field() -> None:
    largest = {"rank": 10**7, "days_to_accept": MAX_DAYS, "participation_days": 3650, "references_given": 10**5}
    for measure, number in largest.items():
        precision = FIELDS[MAPPING.write_back.fields[measure].field].findtext(f"{SPACE}precision")
        assert len(str(number)) <= int(precision or 0), measure


def test_no_text_of_codes_is_longer_than_its_field() -> None:
    from app.domain.contradictions import Contradiction
    from app.domain.reference_scopes import ReferenceScope
    from app.domain.roles import ROLES

    longest = {
        "permissions": " ".join(ReferenceScope),
        "promised_permissions": " ".join(ReferenceScope),
        "points_band": max(MAPPING.policy.engagement.bands, key=len),
        "contradictions": " ".join(Contradiction),
        "roles": " ".join(ROLES),
        "commitment_gaps": " ".join(str(rung) for rung in range(1, 11)),
    }
    for measure, text in longest.items():
        length = FIELDS[MAPPING.write_back.fields[measure].field].findtext(f"{SPACE}length")
        assert len(text) <= int(length or 0), measure
