"""What is said of the attributes of an event type is what its reader asks for, in the command and in the documents."""

from __future__ import annotations

import json
from itertools import groupby
from pathlib import Path

import pytest

from app.domain.attributes import Attribute, AttributeReader, describe
from app.domain.event_attributes import READERS, check_attributes, describe_attributes
from app.domain.event_types import EVENT_TYPES
from app.domain.events import AdvocacyEvent
from app.intake.event_fields import Reader
from app.intake.event_files import read_event_file

PROJECT = Path(__file__).resolve().parents[3]
HEADING = "| types | attributes |\n| --- | --- |\n"
SAMPLES = {
    "text": "text", "list of texts": ["text"], "date": "2026-01-31", "number": "1.5", "true or false": True,
}  # fmt: skip


def sample(attribute: Attribute):
    if attribute.kind == "whole number":
        return int(attribute.values[0])
    if attribute.kind.startswith("list") and attribute.values:
        return [attribute.values[0]]
    return attribute.values[0] if attribute.values else SAMPLES[attribute.kind]


def table() -> str:
    """The table of mappings/README.md, as the readers have it."""
    described = {
        code: "; ".join(
            f"`{one.name}` {one.takes}{' (required)' if one.is_required else ''}" for one in describe_attributes(code)
        )
        for code in READERS
    }
    groups = groupby(sorted(described, key=lambda code: (described[code], code)), described.__getitem__)
    rows = sorted((", ".join(f"`{code}`" for code in codes), text) for text, codes in groups)
    return HEADING + "".join(f"| {codes} | {text} |\n" for codes, text in rows)


def test_the_table_of_attributes_is_that_of_the_readers():
    text = (PROJECT / "mappings" / "README.md").read_text("utf-8")

    assert table() == HEADING + text.partition(HEADING)[2].partition("\n\n")[0].rstrip("\n") + "\n"


def test_a_reader_says_what_it_takes():
    def read(attributes):
        reader = AttributeReader(attributes)
        reader.choice("grade", ("a", "b"), is_required=True)
        reader.choices("signals", ("x", "y"))
        reader.words("roles", known=("buyer",))
        if reader.has("level"):
            reader.whole("level", 0, 4)
        reader.flag("sure")
        reader.check()
        raise AssertionError("something required was not given")

    assert [(one.name, one.takes, one.is_required) for one in describe(read)] == [
        ("grade", "code: a, b", True),
        ("signals", "list of codes: x, y", False),
        ("roles", "list of words: buyer, or one of your own with x_", False),
        ("level", "whole number from 0 to 4", False),
        ("sure", "true or false", False),
    ]


def refusal_of(code, attributes) -> str:
    try:
        check_attributes(code, attributes)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("code", sorted(READERS))
def test_what_is_described_is_taken_and_nothing_else_is(code):
    attributes = describe_attributes(code)
    required = {one.name: sample(one) for one in attributes if one.is_required}

    for one in attributes:
        # Rules between attributes may ask for another one; none calls a described one unknown, or its value ill.
        refusal = refusal_of(code, {**required, one.name: sample(one)})
        assert "is no attribute of this type" not in refusal
        assert f"`{one.name}` is a " not in refusal
    with pytest.raises(ValueError, match="`never_heard_of` is no attribute"):
        check_attributes(code, {**required, "never_heard_of": 1})
    for name in required:
        with pytest.raises(ValueError, match=f"`{name}` is missing"):
            check_attributes(code, {key: value for key, value in required.items() if key != name})


def test_every_type_with_a_reader_is_in_the_catalogue_and_others_take_anything():
    assert set(READERS) <= set(EVENT_TYPES)
    assert describe_attributes("referral") is None


def test_the_example_file_of_what_people_say_is_taken(tmp_path):
    text = (PROJECT / "README.md").read_text("utf-8")
    content = text.partition("<!-- file: people.csv -->\n```csv\n")[2].partition("```")[0]
    (tmp_path / "people.csv").write_text(content, encoding="utf-8")

    rows = list(read_event_file(tmp_path / "people.csv", Reader(str)))

    assert all(isinstance(row, AdvocacyEvent) for row in rows), rows
    assert [(row.type, sorted(row.attributes)) for row in rows] == [
        ("care_answer", ["bucket", "verbatim"]), ("usage_report", ["sponsor", "usage_percent"]),
    ]  # fmt: skip


def test_the_example_body_of_what_people_say_is_taken():
    from app.intake.event_fields import read_event

    text = (PROJECT / "README.md").read_text("utf-8")
    body = json.loads(text.partition("<!-- event -->\n```json\n")[2].partition("```")[0])

    event = read_event(body, Reader(str))

    assert event.type == "permission_granted"
    assert event.attributes["scopes"] == ["basic", "logo"]
