"""Ids, SOQL, records, describes and settings: what needs no org."""

from __future__ import annotations

import json
import string
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.catalogue import build_connector, connector_names
from connectors.contract import AnyOf, Condition, FieldType, Operator, PullRequest
from connectors.errors import ConfigurationError, ProtocolError, ResumeError, SchemaError
from connectors.salesforce.describe import read_object
from connectors.salesforce.ids import normalise_id, object_of
from connectors.salesforce.position import Position, read_position
from connectors.salesforce.records import INTERNAL, lay_out, read_records, read_stamp, text_of
from connectors.salesforce.settings import SalesforceSettings, check_settings
from connectors.salesforce.soql import Select, Window, count_query, literal

# Ids

KNOWN = [
    ("001D000000IRFma", "001D000000IRFmaIAH"),
    ("00D5g0000000001", "00D5g0000000001EAA"),
    ("0065g0000000001", "0065g0000000001AAA"),
]
ids15 = st.text(string.ascii_letters + string.digits, min_size=15, max_size=15)


@pytest.mark.parametrize(("short", "long"), KNOWN)
def test_known_ids_get_their_known_suffix(short, long) -> None:
    assert normalise_id(short) == long
    assert normalise_id(long) == long


@given(ids15)
def test_normalising_is_idempotent_and_keeps_the_first_fifteen(short) -> None:
    long = normalise_id(short)

    assert normalise_id(long) == long
    assert long[:15] == short


@given(ids15, ids15)
def test_problem_20_ids_that_differ_only_in_case_stay_apart_even_without_case(one, other) -> None:
    other = "".join(o.swapcase() if flip.isupper() else o for o, flip in zip(one, other, strict=True))

    assert (normalise_id(one).lower() == normalise_id(other).lower()) is (one == other)


@given(ids15)
def test_problem_20_an_id_that_lost_its_capitals_is_refused(short) -> None:
    damaged = normalise_id(short).lower()

    if short != short.lower():
        with pytest.raises(ValueError, match="last three characters"):
            normalise_id(damaged)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "001",
        "0" * 14,
        "0" * 16,
        "0" * 17,
        "0" * 19,
        "00100000000000é",
        "001 00000000000",
        "001000000000000AA\n",
        "0" * 15 + "aaa",
    ],
)
def test_what_cannot_be_an_id_is_refused_with_a_reason(text) -> None:
    with pytest.raises(ValueError, match=r"is not a Salesforce id|is damaged"):
        normalise_id(text)


# SOQL


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "null"),
        (True, "TRUE"),
        (False, "FALSE"),
        (7, "7"),
        (Decimal("1E+3"), "1000"),
        (Decimal("0.10"), "0.10"),
        ("it's", r"'it\'s'"),
        ("a\\b\n\t\0", r"'a\\b\n\t'"),
        (date(2024, 2, 29), "2024-02-29"),
        (datetime(2024, 1, 1, 1, tzinfo=timezone(timedelta(hours=14))), "2023-12-31T11:00:00Z"),
        (datetime(2024, 1, 1, microsecond=999_999, tzinfo=UTC), "2024-01-01T00:00:00Z"),
    ],
)
def test_problem_18_literals_are_written_in_one_way(value, text) -> None:
    assert literal(value) == text


def test_problem_18_a_moment_without_a_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        literal(datetime(2024, 1, 1))


@given(st.text())
def test_no_text_ends_its_own_literal(text) -> None:
    quoted = literal(text)
    inner = quoted[1:-1]

    assert quoted[0] == quoted[-1] == "'"
    bare = inner.replace("\\\\", "").replace("\\'", "")
    assert "'" not in bare
    assert not bare.endswith("\\")


def test_a_query_is_put_together_from_filter_and_window() -> None:
    where = (
        Condition("IsWon", Operator.EQ, True),
        AnyOf((Condition("Type", Operator.EQ, "New"), Condition("Type", Operator.EQ, None))),
        Condition("StageName", Operator.NOT_IN, ("a", "b'c")),
        Condition("Name", Operator.LIKE, "A%"),
    )
    window = Window(datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC))

    text = Select("Opportunity", ("Id", "Account.Name"), where).text(window, ordered=True)

    assert text == (
        "SELECT Id, Account.Name FROM Opportunity WHERE SystemModstamp >= 2024-01-01T00:00:00Z"
        " AND SystemModstamp < 2024-01-02T00:00:00Z AND IsWon = TRUE AND (Type = 'New' OR Type = null)"
        r" AND StageName NOT IN ('a', 'b\'c') AND Name LIKE 'A%' ORDER BY SystemModstamp"
    )
    assert count_query("Account", ()) == "SELECT COUNT() FROM Account"


def test_an_empty_list_keeps_its_meaning() -> None:
    nothing = Select("Account", ("Id",), (Condition("Name", Operator.IN, ()),)).text()
    everything = Select("Account", ("Id",), (Condition("Name", Operator.NOT_IN, ()),)).text()

    assert nothing.endswith("WHERE Id = null")
    assert everything.endswith("WHERE Id != null")


@pytest.mark.parametrize("name", ["", "Na me", "Name)", "Id FROM User--", "1x", "A.", "Ünicode", "A..B", "x'"])
def test_only_names_can_be_names(name) -> None:
    with pytest.raises(SchemaError):
        Select("Account", (name,)).text()
    with pytest.raises(SchemaError):
        Select(name, ("Id",)).text()
    with pytest.raises(SchemaError):
        Select("Account", ("Id",), (Condition(name, Operator.EQ, 1),)).text()


def test_a_list_needs_a_list_operator_and_the_other_way_round() -> None:
    for condition in (Condition("Name", Operator.EQ, ("a",)), Condition("Name", Operator.IN, "a")):
        with pytest.raises(SchemaError, match="list"):
            Select("Account", ("Id",), (condition,)).text()


# Records


def test_json_values_become_text() -> None:
    parsed = json.loads('["x", "", null, true, false, 950000000.0, 1e3, -7, {"a": [1]}]', parse_float=str)

    assert [text_of(value) for value in parsed] == [
        "x",
        None,
        None,
        "true",
        "false",
        "950000000.0",
        "1e3",
        "-7",
        '{"a": [1]}',
    ]


def test_records_are_read_by_name_without_regard_to_case() -> None:
    records = [
        {"attributes": {}, "Id": "1", "Amount": "2.50", "Account": {"attributes": {}, "Name": "A", "Owner": None}},
        {"attributes": {}, "Id": "2", "Amount": None, "Account": None},
    ]

    rows = read_records(records, ("amount", "ID", "account.name", "Account.Owner.Name"))

    assert rows == [["2.50", "1", "A", None], [None, "2", None, None]]


def test_a_field_that_was_left_out_is_an_error_and_not_a_blank() -> None:
    with pytest.raises(ProtocolError, match="Amount"):
        read_records([{"Id": "1"}], ("Id", "Amount"))


def test_internal_columns_are_selected_and_not_delivered() -> None:
    layout = lay_out(PullRequest("Account", ("Name", "id")), None, INTERNAL)

    assert layout.columns == ("Name", "id", "SystemModstamp")
    assert layout.arrange([["A", "1", "now"]]) == [["A", "1"]]
    assert not layout.straight
    assert lay_out(PullRequest("Account", ("Name", "Id")), None).straight


def test_stamps_of_both_apis_are_the_same_moment() -> None:
    assert read_stamp("2020-10-22T21:03:23.000+0000") == read_stamp("2020-10-22T21:03:23.000Z")
    assert read_stamp(None) is None


# Describe


def test_a_describe_becomes_a_schema() -> None:
    body = {
        "name": "Account",
        "label": "Konto",
        "updateable": True,
        "fields": [
            {"name": "Id", "type": "id", "nillable": False},
            {"name": "BillingAddress", "type": "address"},
            {"name": "BillingCity", "type": "string", "compoundFieldName": "BillingAddress", "length": 40},
            {"name": "BillingStreet", "type": "textarea", "compoundFieldName": "BillingAddress"},
            {"name": "Score__c", "type": "double", "precision": 5, "scale": 2, "updateable": True},
            {"name": "Name", "type": "string", "compoundFieldName": "Name"},
            {"name": "Odd__c", "type": "anyType"},
            {"name": "Old__c", "type": "string", "deprecatedAndHidden": True},
            {
                "name": "Level__c",
                "type": "picklist",
                "restrictedPicklist": True,
                "picklistValues": [{"value": "Gold", "active": True}, {"value": "Lead", "active": False}],
            },
            {"name": "ParentId", "type": "reference", "referenceTo": ["Account"]},
        ],
    }

    schema = read_object(body)

    assert (schema.name, schema.label, schema.updateable) == ("Account", "Konto", True)
    assert "Old__c" not in schema.fields
    assert schema.fields["BillingAddress"].type is FieldType.COMPOUND
    assert schema.fields["BillingAddress"].compound_parts == ("BillingCity", "BillingStreet")
    assert schema.fields["Name"].compound_parts == ()
    assert (schema.fields["Score__c"].precision, schema.fields["Score__c"].scale) == (5, 2)
    assert schema.fields["Score__c"].updateable
    assert schema.fields["Odd__c"].type is FieldType.OTHER
    assert schema.fields["Level__c"].picklist_values == ("Gold",)
    assert schema.fields["ParentId"].reference_to == ("Account",)
    assert not schema.fields["Id"].nillable


# Positions


moments = st.none() | st.datetimes(timezones=st.just(UTC))


@given(moments, moments, st.text(), st.integers(0))
def test_a_position_survives_being_stored(start, end, job, skip) -> None:
    place = Position(
        "62.0",
        "abc",
        datetime(2024, 1, 1, tzinfo=UTC),
        (Window(start, end), Window(end)),
        job,
        "loc",
        skip,
        3,
    )

    assert read_position(place.text()) == place


def test_a_position_of_another_version_is_refused() -> None:
    text = Position("62.0", "abc", datetime(2024, 1, 1, tzinfo=UTC), (Window(),)).text()

    with pytest.raises(ResumeError):
        read_position(text.replace('"v":1', '"v":9'))


# Settings and catalogue

GOOD = SalesforceSettings(login_url="https://acme.my.salesforce.com", client_id="a", client_secret="b")


def test_good_settings_pass() -> None:
    check_settings(GOOD)
    check_settings(SalesforceSettings(client_id="a", username="u", private_key="k"))
    check_settings(SalesforceSettings(client_id="a", refresh_token="r"))
    check_settings(SalesforceSettings(access_token="t", instance_url="http://127.0.0.1:1"))


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"client_secret": ""}, "no credentials"),
        ({"client_id": ""}, "client_id is missing"),
        ({"login_url": "https://login.salesforce.com"}, "My Domain"),
        ({"login_url": "http://acme.my.salesforce.com"}, "https"),
        ({"login_url": "https://evil.example"}, "not an allowed host"),
        ({"access_token": "t", "login_url": "https://login.salesforce.com"}, "needs instance_url"),
        ({"private_key": "k"}, "username is missing"),
        ({"api_version": "62"}, "api_version"),
        ({"api_version": "31.0"}, "api_version"),
        ({"poll_seconds": -1}, "positive"),
        ({"page_rows": 0}, "positive"),
    ],
)
def test_settings_that_cannot_work_are_refused(changes, word) -> None:
    with pytest.raises(ConfigurationError, match=word):
        check_settings(replace(GOOD, **changes))


def test_every_problem_of_the_settings_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_settings(SalesforceSettings(login_url="x", api_version="1", rest_limit=-1))

    for word in ("login_url", "no credentials", "api_version", "rest_limit"):
        assert word in caught.value.message


def test_the_catalogue_knows_its_connectors_and_their_options() -> None:
    assert "salesforce" in connector_names()
    with pytest.raises(ConfigurationError, match="no connector 'sales'"):
        build_connector("sales", {})
    with pytest.raises(ConfigurationError, match="unknown option colour"):
        build_connector("salesforce", {"colour": "blue"})


@pytest.mark.parametrize(
    "module", ["connectors.contract", "connectors.errors", "connectors.catalogue", "connectors.salesforce"]
)
def test_no_vendor_library_is_loaded_before_someone_connects(module) -> None:
    script = f"import sys, {module}; print([m for m in ('simple_salesforce', 'requests', 'zeep') if m in sys.modules])"

    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)

    assert shown.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("record_id", "name"),
    [
        ("001000000000001AAA", "Account"),
        ("003000000000001AAA", "Contact"),
        ("006000000000001AAA", "Opportunity"),
        ("00Q000000000001AAA", "Lead"),
        ("00q000000000001AAA", None),
        ("a01000000000001AAA", None),
        ("", None),
    ],
)
def test_an_id_tells_its_standard_object_and_nothing_of_others(record_id, name):
    assert object_of(record_id) == name
