"""What is said of the attributes of an event type is what its reader asks for, in the command and in the documents."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest

from app.cli import main
from app.domain.attributes import Attribute, AttributeReader, describe
from app.domain.event_attributes import READERS, check_attributes, describe_attributes
from app.domain.event_types import EVENT_TYPES
from app.domain.events import AdvocacyEvent
from app.domain.triage import read_urgency
from app.intake.event_fields import DAY_RULES, Reader, RejectedEventError, read_event
from app.intake.event_files import read_event_file

PROJECT = Path(__file__).resolve().parents[3]
HEADING = "| types | attributes | what must hold |\n| --- | --- | --- |\n"
ENVELOPE = {
    "source_system": "t", "source_event_id": "1", "occurred_on": "2026-01-10", "account": "A", "opportunity": "D",
}  # fmt: skip
SAMPLES = {
    "text": "text", "list of texts": ["text"], "date": "2026-01-31", "number": "1.5", "true or false": True,
}  # fmt: skip


def sample(attribute: Attribute):
    if attribute.kind == "whole number":
        return int(attribute.values[0])
    if attribute.kind.startswith("list") and attribute.values:
        return [attribute.values[0]]
    return attribute.values[0] if attribute.values else SAMPLES[attribute.kind]


def said(*arguments, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["events", "types", *arguments])
    assert ended.value.code == 0
    return capsys.readouterr().out


def test_the_table_of_attributes_is_what_the_command_prints(capsys):
    text = (PROJECT / "mappings" / "README.md").read_text("utf-8")
    table = HEADING + text.partition(HEADING)[2].partition("\n\n")[0].rstrip("\n") + "\n"

    assert said("--markdown", capsys=capsys) == table, "put there what this prints: advocacy events types --markdown"
    assert set(READERS) <= set(re.findall(r"`(\w+)`", table))


@pytest.mark.parametrize("code", sorted({*READERS, *DAY_RULES}))
def test_a_type_says_every_attribute_and_every_rule_before_anything_is_refused(code, capsys):
    text, plain = said(code, capsys=capsys), json.loads(said(code, "--json", capsys=capsys))

    described = describe_attributes(code)
    rules = [*described.rules, *([DAY_RULES[code]] if code in DAY_RULES else [])]
    assert [one["name"] for one in plain["attributes"]] == [one.name for one in described.attributes]
    assert plain["rules"] == rules
    assert [rule for rule in rules if f"- {rule}\n" not in text] == []


def test_a_demand_is_a_rule_for_whoever_asks_and_a_problem_for_whoever_breaks_it():
    def read(attributes):
        reader = AttributeReader(attributes)
        low, high = reader.whole("low", 0, 9), reader.whole("high", 0, 9)
        is_wrong = low is not None and high is not None and low > high
        reader.demand("low is at most high", f"{low} is more than {high}" if is_wrong else "")
        reader.check()

    assert describe(read).rules == ("low is at most high",)
    read({"low": 1, "high": 1})
    with pytest.raises(ValueError, match=r"^2 is more than 1$"):
        read({"low": 2, "high": 1})


NUMBERS = [
    # what is given, as a number, as a whole number from 0 to 100
    (5, "5", 5),
    (0, "0", 0),
    ("5", "5", 5),
    (" 5 ", "5", 5),
    ("+5", "5", 5),
    ("05", "5", 5),
    (5.0, "5.0", 5),
    (Decimal("5.00"), "5.00", 5),
    ("5.0", "5.0", 5),
    ("5e1", "5e1", 50),
    (2.5, "2.5", None),
    ("2.5", "2.5", None),
    (Decimal("0.1"), "0.1", None),
    (0.1, "0.1", None),
    (-1, "-1", None),
    (101, "101", None),
    (100, "100", 100),
    (".5", ".5", None),
    ("5.", "5.", 5),
    ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827", None),
    (True, None, None),
    ("", None, None),
    ("five", None, None),
    ("1,5", None, None),
    ("1.234,5", None, None),
    ("1_000", None, None),
    ("1 000", None, None),
    ("٥", None, None),
    ("0x10", None, None),
    ("5 hours", None, None),
    ("NaN", None, None),
    ("Infinity", None, None),
    (float("nan"), None, None),
    (float("inf"), None, None),
    ("1e99", None, None),
    ("1e-999999", None, None),
    ([5], None, None),
    ({"hours": 5}, None, None),
]


@pytest.mark.parametrize(("given", "number", "whole"), NUMBERS, ids=lambda value: repr(value)[:30])
def test_a_number_is_taken_however_it_is_written_and_refused_where_it_could_mean_something_else(given, number, whole):
    reader = AttributeReader({"n": given, "w": given})

    assert (reader.number("n"), reader.whole("w", 0, 100)) == (None if number is None else Decimal(number), whole)
    problems = [
        *(["`n` is a number such as 12.5, with a point and without separators"] if number is None else []),
        *(["`w` is a whole number from 0 to 100"] if whole is None else []),
    ]
    if problems:
        with pytest.raises(ValueError) as refused:
            reader.check()
        assert str(refused.value) == "; ".join(problems)


@pytest.mark.parametrize("text", ["2.5", '"2.5"', "2", '"2"', "2.0", "0.1", "1.10"])
def test_a_number_means_the_same_from_a_file_a_body_and_the_store(text):
    event = read_event({**ENVELOPE, "type": "complaint", "attributes": f'{{"hours": {text}}}'}, Reader(str))
    stored = json.loads(json.dumps(event.attributes))

    assert read_urgency("complaint", stored).hours == Fraction(text.strip('"'))


@pytest.mark.parametrize(
    ("due_on", "is_taken"),
    [
        (None, True), ("2026-01-10", True), ("2026-01-11", True), ("2030-01-01", True),
        ("2026-01-09", False), ("2025-12-31", False), ("1999-01-01", False),
    ],
)  # fmt: skip
def test_a_promise_is_not_due_before_it_was_made(due_on, is_taken):
    terms = {"scopes": ["logo"]} | ({} if due_on is None else {"due_on": due_on})
    raw = {**ENVELOPE, "type": "permission_promised", "attributes": terms}

    if is_taken:
        assert read_event(raw, Reader(str)).attributes == terms
        return
    with pytest.raises(RejectedEventError, match=f"`due_on` {due_on} lies before the day it was promised, 2026-01-10"):
        read_event(raw, Reader(str))


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

    assert [(one.name, one.takes, one.is_required) for one in describe(read).attributes] == [
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
    attributes = describe_attributes(code).attributes
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
    text = (PROJECT / "README.md").read_text("utf-8")
    body = json.loads(text.partition("<!-- event -->\n```json\n")[2].partition("```")[0])

    event = read_event(body, Reader(str))

    assert event.type == "permission_granted"
    assert event.attributes["scopes"] == ["basic", "logo"]
