"""What is written about the format agrees with the format."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from app.domain.engagement import BASE_POINTS
from app.mapping.attributes import SECTIONS
from app.mapping.document import json_schema
from app.mapping.file import Limits, parse_mapping
from app.mapping.measures import MEASURES, WriteType
from app.mapping.policy import PolicyModel, policy_content, read_policy
from app.mapping.source import parse_source
from app.mapping.transforms import TransformName
from connectors.contract import Operator
from connectors.salesforce.setup import read_components

FOLDER = Path(__file__).resolve().parents[3] / "mappings"
README = (FOLDER / "README.md").read_text(encoding="utf-8")


CHAPTERS = {part.split("\n", 1)[0]: part for part in README.split("\n## ")}


def row_of(chapter: str, name: str) -> str:
    """The table row of a chapter that starts with a name."""
    rows = (line for line in CHAPTERS[chapter].splitlines() if line.startswith("|"))
    return next(line for line in rows if f"`{name}`" in line.split("|")[1])


NAMES = [
    *(("Transforms", name) for name in TransformName),
    *(("Write-back", name) for name in MEASURES),
    *(("Policy", name) for name in PolicyModel.model_fields),
]


def test_the_schema_for_editors_is_current() -> None:
    stored = json.loads((FOLDER / "schema.json").read_text(encoding="utf-8"))

    assert stored == json_schema(), "run: advocacy mapping schema > mappings/schema.json"


def test_the_schema_allows_the_short_and_the_full_form() -> None:
    attribute = json_schema()["$defs"]["AttributeModel"]

    assert [one.get("type") for one in attribute["anyOf"]] == ["string", "object"]


@pytest.mark.parametrize("section", SECTIONS)
def test_the_reference_lists_every_attribute_and_marks_the_needed_ones(section: str) -> None:
    row = row_of("Sections", section)

    listed = {name: bold == "**" for bold, name in re.findall(r"(\*\*)?`([a-z_]+)`", row.split("|")[2])}
    assert listed == {name: rule.required for name, rule in SECTIONS[section].attributes.items()}


@pytest.mark.parametrize(("chapter", "name"), NAMES, ids=[f"{chapter} {name}" for chapter, name in NAMES])
def test_the_reference_has_a_row_for_every_transform_measure_and_policy_key(chapter: str, name: str) -> None:
    assert row_of(chapter, name)


def test_the_reference_gives_the_defaults_of_the_policy() -> None:
    defaults = {
        key: parse_source(f"x: {row_of('Policy', key).split('|')[2].strip().strip('`')}", "").data["x"]
        for key in PolicyModel.model_fields
    }

    assert policy_content(read_policy(PolicyModel.model_validate(defaults))) == policy_content(
        read_policy(PolicyModel())
    )


def test_the_reference_gives_the_points_of_every_type() -> None:
    rows = re.findall(r"^\| (-?\d+) \| (.*) \|$", CHAPTERS["Policy"], re.MULTILINE)

    listed = {code: int(number) for number, codes in rows for code in re.findall(r"`([a-z_]+)`", codes)}
    assert listed == BASE_POINTS


def test_the_reference_names_every_operator_type_and_limit() -> None:
    words = [*Operator, *WriteType, *Limits.__dataclass_fields__]

    assert [word for word in words if f"`{word}`" not in README] == []


def test_the_examples_of_the_reference_are_accepted(good: str) -> None:
    section, write_back = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)

    text = "version: 1\ncrm: salesforce\n" + section + good[good.index("opportunities:") : good.index("write_back:")]
    assert parse_mapping(text + write_back).write_back.limits == Limits()


def test_every_example_of_a_transform_is_accepted(good: str) -> None:
    examples = [
        example
        for name in TransformName
        for example in re.findall(r"`([^`]+)`", row_of("Transforms", name).split("|")[2])
    ]
    fitting = {
        "map": "type",
        "scale": "amount",
        "round": "amount",
        "parse_date": "close_on",
        "split": "contact_ids",
        "bool": "is_won",
    }

    for example in dict.fromkeys(examples):
        name = example.partition(":")[0]
        attribute = fitting.get(name, "name")
        lines = good.splitlines()
        start = lines.index("opportunities:")
        kept = [line for at, line in enumerate(lines) if at < start or not line.startswith(f"    {attribute}:")]
        at = kept.index("    id: Id", kept.index("opportunities:"))
        entry = f"{{{example}}}" if ":" in example else example
        kept.insert(at, f"    {attribute}: {{field: X, transform: [{entry}]}}")
        parse_mapping("\n".join(kept))


def test_the_shipped_salesforce_mapping_spells_out_the_whole_policy() -> None:
    data = parse_source((FOLDER / "salesforce.yaml").read_text(encoding="utf-8"), "").data

    assert set(PolicyModel.model_fields) - set(data["policy"]) == {"grace_days"}


RELATIONS = (
    "total direct referred network quadrant points is_detractor is_participant commitment_level commitment_rung"
    " is_customer permissions offer_level personal_level reference_state high_impact_traits care_bucket is_in_limbo"
    " next_call_on roles stance contradictions explanation"
).split()


def test_s4_11_every_kind_of_relationship_stands_on_the_account_where_salespeople_live() -> None:
    """The shipped mapping writes each to the account, the package makes the field, and viewers may see it."""
    data = parse_source((FOLDER / "salesforce.yaml").read_text(encoding="utf-8"), "").data
    written = parse_mapping(json.dumps(data)).write_back.fields
    components = read_components()
    (viewer,) = (one.source for one in components if one.kind == "permission set" and one.name == "Advocacy_Viewer")

    assert set(RELATIONS) <= set(written)
    made = {one.name for one in components if one.kind == "field"}
    assert {field for measure in written if (field := written[measure].field) not in made} == set()
    assert {field for measure in written if (field := written[measure].field) not in viewer} == set()
