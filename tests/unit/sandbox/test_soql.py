from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from connectors.salesforce.sandbox import Clock, Field, Org
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.soql_answer import answer_query
from connectors.salesforce.sandbox.soql_parse import parse


@pytest.fixture
def org():
    org = Org(clock=Clock(datetime(2026, 3, 1, 12, tzinfo=UTC)))
    org.add_field("Account", Field("Tags__c", "multipicklist"))
    big = org.create("Account", {"Name": "Big", "AnnualRevenue": 500, "Industry": "Banking", "Tags__c": "a;b"})
    org.create(
        "Account", {"Name": "small", "AnnualRevenue": 5, "ParentId": big, "Website": "50%_off\\", "Tags__c": "b"}
    )
    org.create("Account", {"Name": 'O\'Neil "x"\n', "Industry": "banking"})
    for name, amount, stage, day, step in (
        ("one", "10.5", "Closed Won", "2026-01-31", "1"),
        ("two", None, "Prospecting", "2026-03-01", "2"),
        ("three", "-2", "Closed Lost", "2026-02-28", "3"),
    ):
        account = big if name != "three" else None
        values = {"Name": name, "AccountId": account, "Amount": amount, "StageName": stage}
        org.create("Opportunity", {**values, "CloseDate": day, "NextStep": step})
    org.delete("Account", org.create("Account", {"Name": "gone"}))
    return org


def ask(org, text, *, deleted=False):
    answer = answer_query(org.view(org.user_id), text, "62.0", deleted=deleted)
    if answer.count_only:
        return answer.total
    records = answer.records if answer.records is not None else [answer.json_record(row) for row in answer.rows]
    found = [json.loads(record, parse_float=Decimal) for record in records]
    return [{key: value for key, value in record.items() if key != "attributes"} for record in found]


def names(org, rest, *, object_name="Account", **options):
    return [record["Name"] for record in ask(org, f"SELECT Name FROM {object_name} {rest}", **options)]


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("Name = 'big'", ["Big"]),
        ("Name != 'big'", ["small", 'O\'Neil "x"\n']),
        ("Name <> 'big'", ["small", 'O\'Neil "x"\n']),
        ("Name = 'O\\'Neil \\\"x\\\"\\n'", ['O\'Neil "x"\n']),
        ("Name = '\\u0042ig'", ["Big"]),
        ("AnnualRevenue > 5", ["Big"]),
        ("AnnualRevenue >= 5.0", ["Big", "small"]),
        ("AnnualRevenue < + 55.5", ["small"]),
        ("AnnualRevenue != 5", ["Big", 'O\'Neil "x"\n']),
        ("AnnualRevenue = null", ['O\'Neil "x"\n']),
        ("AnnualRevenue != NULL", ["Big", "small"]),
        ("AnnualRevenue IN (5, 500)", ["Big", "small"]),
        ("AnnualRevenue NOT IN (5)", ["Big", 'O\'Neil "x"\n']),
        ("Industry IN ('BANKING', null)", ["Big", "small", 'O\'Neil "x"\n']),
        ("Name LIKE 'B%'", ["Big"]),
        ("Name LIKE '_ig'", ["Big"]),
        ("Name LIKE '%IG%' OR Name LIKE 'SM_LL'", ["Big", "small"]),
        ("Website LIKE '50\\%\\_%'", ["small"]),
        ("Website LIKE '%off\\\\'", ["small"]),
        ("Website LIKE '50_off%'", []),
        ("NOT Name LIKE 'B%'", ["small", 'O\'Neil "x"\n']),
        ("(NOT Name = 'Big') AND (AnnualRevenue = 5 OR AnnualRevenue = null)", ["small", 'O\'Neil "x"\n']),
        ("Name = 'Big' AND Industry = 'banking' AND AnnualRevenue > 1", ["Big"]),
        ("Name = 'Big' OR Name = 'small' OR Name = 'x'", ["Big", "small"]),
        ("IsDeleted = FALSE", ["Big", "small", 'O\'Neil "x"\n']),
        ("IsDeleted = true", []),
        ("Parent.Name = 'big'", ["small"]),
        ("Parent.Name = null", ["Big", 'O\'Neil "x"\n']),
        ("Account.Name = 'Big'", ["Big"]),
        ("name = 'Big'", ["Big"]),
        ("SystemModstamp >= 2026-03-01T12:00:00Z", ["Big", "small", 'O\'Neil "x"\n']),
        ("SystemModstamp > 2026-03-01T12:00:00.000Z", []),
        ("SystemModstamp = 2026-03-01T13:00:00+01:00", ["Big", "small", 'O\'Neil "x"\n']),
        ("SystemModstamp < 2026-03-01T05:00:01-0700", ["Big", "small", 'O\'Neil "x"\n']),
        ("CreatedDate = TODAY", ["Big", "small", 'O\'Neil "x"\n']),
        ("CreatedDate = YESTERDAY", []),
        ("Tags__c INCLUDES ('a')", ["Big"]),
        ("Tags__c INCLUDES ('a;b', 'c')", ["Big"]),
        ("Tags__c EXCLUDES ('a')", ["small", 'O\'Neil "x"\n']),
        ("Id IN (SELECT AccountId FROM Opportunity WHERE StageName = 'Closed Won')", ["Big"]),
        ("Id NOT IN (SELECT AccountId FROM Opportunity)", ["small", 'O\'Neil "x"\n']),
    ],
)
def test_where_finds_what_it_says(org, where, expected):
    assert names(org, f"WHERE {where} ORDER BY AnnualRevenue DESC NULLS LAST") == expected


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        ("CloseDate = 2026-02-28", ["three"]),
        ("CloseDate >= 2026-02-28", ["two", "three"]),
        ("CloseDate = TODAY", ["two"]),
        ("CloseDate < TODAY", ["one", "three"]),
        ("CloseDate = LAST_N_DAYS:1", ["two", "three"]),
        ("CloseDate = NEXT_N_DAYS:3", []),
        ("CloseDate > YESTERDAY", ["two"]),
        ("Amount < 0", ["three"]),
        ("IsWon = true", ["one"]),
        ("Account.Industry = 'Banking'", ["one", "two"]),
        ("Account.Owner.IsActive = true", ["one", "two"]),
        ("AccountId = null", ["three"]),
        ("ExpectedRevenue > 10", ["one"]),
    ],
)
def test_where_works_on_dates_formulas_and_parents(org, where, expected):
    assert names(org, f"WHERE {where} ORDER BY NextStep", object_name="Opportunity") == expected


def test_an_id_is_found_in_both_its_lengths_and_in_its_own_case_only(org):
    account = next(org.records("Account"))["Id"]

    assert names(org, f"WHERE Id = '{account}'") == ["Big"]
    assert names(org, f"WHERE Id = '{account[:15]}'") == ["Big"]
    assert names(org, f"WHERE Id IN ('{account[:15]}') AND Name = 'x'") == []
    assert names(org, f"WHERE Id != '{account}' AND Name != null") == ["small", 'O\'Neil "x"\n']


def test_ids_that_differ_only_in_case_stay_apart():
    org = Org()
    one, two = (org.create("Account", {"Name": name}) for name in ("one", "two"))
    assert one[:15].lower() == two[:15].lower()

    assert names(org, f"WHERE Id = '{one[:15]}'") == ["one"]
    assert names(org, f"WHERE Id = '{two[:15]}'") == ["two"]


def test_ids_sort_and_compare_as_they_stand():
    org = Org()
    ids = sorted(org.create("Account", {"Name": str(number)}) for number in range(70))

    assert [record["Id"] for record in ask(org, "SELECT Id FROM Account ORDER BY Id")] == ids
    assert [
        record["Id"] for record in ask(org, f"SELECT Id FROM Account WHERE Id > '{ids[9]}' ORDER BY Id LIMIT 5")
    ] == ids[10:15]
    assert ask(org, f"SELECT COUNT() FROM Account WHERE Id <= '{ids[9]}'") == 10


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ("Amount", ["two", "three", "one"]),
        ("Amount ASC NULLS LAST", ["three", "one", "two"]),
        ("Amount DESC", ["two", "one", "three"]),
        ("Amount DESC NULLS LAST", ["one", "three", "two"]),
        ("IsClosed DESC, Name", ["one", "three", "two"]),
        ("Account.Name NULLS LAST, Name DESC", ["two", "one", "three"]),
        ("Name LIMIT 2", ["one", "three"]),
        ("Name LIMIT 2 OFFSET 1", ["three", "two"]),
        ("Name LIMIT 0", []),
    ],
)
def test_order_limit_and_offset(org, order, expected):
    assert names(org, f"ORDER BY {order}", object_name="Opportunity") == expected


def test_text_sorts_without_case(org):
    org.create("Account", {"Name": "apple"})

    assert names(org, "ORDER BY Name DESC") == ["small", 'O\'Neil "x"\n', "Big", "apple"]


def test_deleted_rows_show_on_request_only(org):
    assert ask(org, "SELECT COUNT() FROM Account") == 3
    assert ask(org, "SELECT COUNT() FROM Account", deleted=True) == 4
    assert names(org, "WHERE IsDeleted = true", deleted=True) == ["gone"]


def test_selecting_gives_fields_parents_and_nulls_under_their_own_names(org):
    (won,) = ask(org, "select NAME, Account.name, account.Parent.Name, Amount FROM opportunity o WHERE o.IsWon = TRUE")

    assert won["Name"] == "one"
    assert won["Amount"] == Decimal("10.5")
    assert won["Account"]["Name"] == "Big"
    assert won["Account"]["Parent"] is None
    assert won["Account"]["attributes"]["type"] == "Account"


def test_children_come_as_an_envelope_of_their_own(org):
    big, small, _ = ask(
        org,
        "SELECT Name, (SELECT Name FROM Opportunities WHERE Amount != null ORDER BY Name) FROM Account ORDER BY AnnualRevenue DESC NULLS LAST",
    )

    assert big["Opportunities"]["totalSize"] == 1
    assert big["Opportunities"]["records"][0]["Name"] == "one"
    assert small["Opportunities"] is None


def test_an_address_is_put_together_from_its_parts(org):
    org.create("Account", {"Name": "home", "BillingCity": "Basel", "BillingStreet": "a\nb"})

    assert ask(org, "SELECT BillingAddress FROM Account WHERE Name = 'home'")[0]["BillingAddress"] == {
        "street": "a\nb",
        "city": "Basel",
        "state": None,
        "postalCode": None,
        "country": None,
        "geocodeAccuracy": None,
        "latitude": None,
        "longitude": None,
    }
    assert ask(org, "SELECT BillingAddress FROM Account WHERE Name = 'Big'") == [{"BillingAddress": None}]


def test_aggregates_with_and_without_groups(org):
    assert ask(
        org, "SELECT COUNT(Id), COUNT(Amount) n, SUM(Amount), MIN(CloseDate), MAX(Name), AVG(Amount) FROM Opportunity"
    ) == [
        {"expr0": 3, "n": 2, "expr1": Decimal("8.5"), "expr2": "2026-01-31", "expr3": "two", "expr4": Decimal("4.25")}
    ]
    assert ask(
        org,
        "SELECT Account.Name, COUNT(Id) n FROM Opportunity GROUP BY Account.Name ORDER BY COUNT(Id) DESC, Account.Name",
    ) == [{"Name": "Big", "n": 2}, {"Name": None, "n": 1}]
    assert ask(org, "SELECT COUNT_DISTINCT(Industry) FROM Account WHERE Name = 'nobody'") == [{"expr0": 0}]
    assert ask(
        org, "SELECT StageName, SUM(Amount) s FROM Opportunity GROUP BY StageName ORDER BY s NULLS LAST LIMIT 1"
    ) == [{"StageName": "Closed Lost", "s": Decimal("-2.0")}]


def test_fields_all_needs_a_limit(org):
    (record,) = ask(org, "SELECT FIELDS(ALL) FROM Account LIMIT 1")

    assert {"Name", "Tags__c", "BillingAddress"} <= record.keys()
    assert "Tags__c" not in ask(org, "SELECT FIELDS(STANDARD) FROM Account")[0]
    with pytest.raises(ApiError, match="LIMIT"):
        ask(org, "SELECT FIELDS(ALL) FROM Account")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "SELECT",
        "SELECT FROM Account",
        "SELECT Id",
        "SELECT Id FROM",
        "SELECT Id, FROM Account",
        "SELECT Id Name FROM Account",
        "SELECT Id FROM Account WHERE",
        "SELECT Id FROM Account WHERE Name",
        "SELECT Id FROM Account WHERE Name = ",
        "SELECT Id FROM Account WHERE Name = 'x",
        "SELECT Id FROM Account WHERE Name = 'x\\q'",
        'SELECT Id FROM Account WHERE Name = "x"',
        "SELECT Id FROM Account WHERE Name = 'a' AND Name = 'b' OR Name = 'c'",
        "SELECT Id FROM Account WHERE NOT Name = 'a' AND Name = 'b'",
        "SELECT Id FROM Account WHERE Name = 'a' AND NOT Name = 'b'",
        "SELECT Id FROM Account WHERE (Name = 'a'",
        "SELECT Id FROM Account WHERE Name IN 'a'",
        "SELECT Id FROM Account WHERE Name IN ()",
        "SELECT Id FROM Account WHERE Name == 'a'",
        "SELECT Id FROM Account WHERE Name = :name",
        "SELECT Id FROM Account ORDER Name",
        "SELECT Id FROM Account LIMIT -1",
        "SELECT Id FROM Account LIMIT ten",
        "SELECT Id FROM Account LIMIT 1 LIMIT 2",
        "SELECT Id FROM Account FOR UPDATE",
        "SELECT Id FROM Account HAVING COUNT(Id) > 1",
        "SELECT Id FROM Account; DROP TABLE Account",
        "SELECT * FROM Account",
        "SELECT Id FROM Account WHERE SystemModstamp > 2026-03-01T12:00:00",
        "SELECT Id FROM Account WHERE CALENDAR_YEAR(Name) = 2026",
        "SELECT Id FROM Account WHERE HOUR_IN_DAY(LastActivityDate) = 5 AND",
        "SELECT Id FROM Account WHERE FOO(Name) = 'x'",
        "SELECT Id FROM Account WHERE AnnualRevenue < 5.5e1",
        "SELECT Id FROM Account WHERE Name = 'two\nlines'",
        "SELECT Id FROM Account WHERE Name = 'a\\_b'",
        "SELECT Id FROM Account WHERE Id IN (SELECT AccountId FROM Opportunity LIMIT 1)",
        "SELECT Id n FROM Account",
        "SELECT Name n, COUNT(Id) n FROM Account GROUP BY Name",
        "SELECT Name, (SELECT Name FROM Opportunities GROUP BY Name) FROM Account",
        "SELECT Name, COUNT(Id) FROM Account GROUP BY Name HAVING Industry = 'x'",
        "SELECT toLabel(Industry) FROM Account WHERE",
        "SELECT Id, COUNT() FROM Account",
        "SELECT Name, COUNT(Id) FROM Account",
        "SELECT Name, Name FROM Account",
        "SELECT SUM(Name) FROM Account",
        "SELECT Id FROM Account WHERE Id IN (SELECT Name FROM Opportunity)",
        "SELECT Id FROM Account WHERE CreatedDate = THIS_CENTURY",
        "SELECT Id FROM Account WHERE CreatedDate = LAST_N_YEARS:3000",
        "SELECT Id FROM Account WHERE CreatedDate = 2026-13-45T00:00:00Z",
    ],
)
def test_what_is_not_understood_is_refused(org, text):
    with pytest.raises(ApiError) as refused:
        ask(org, text)

    assert refused.value.code == "MALFORMED_QUERY"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("SELECT toLabel(Industry) FROM Account", "TOLABEL"),
        ("SELECT FORMAT(convertCurrency(AnnualRevenue)) FROM Account", "FORMAT"),
        ("SELECT TYPEOF Owner WHEN User THEN Name ELSE Id END FROM Account", "TYPEOF"),
        ("SELECT Id FROM Account WHERE DISTANCE(BillingAddress, GEOLOCATION(1, -2.5), 'mi') < 20", "DISTANCE"),
        ("SELECT Id FROM Account USING SCOPE mine", "USING"),
        ("SELECT Id FROM Account WITH SECURITY_ENFORCED", "WITH SECURITY_ENFORCED"),
        ("SELECT Id FROM Account WITH DATA CATEGORY a__c ABOVE (b__c, c__c) AND d__c AT e__c", "WITH DATA"),
        ("SELECT Id FROM Account FOR VIEW UPDATE TRACKING", "FOR"),
        ("SELECT Name, COUNT(Id) FROM Account GROUP BY ROLLUP(Name)", "ROLLUP"),
        ("SELECT Id FROM Account a, a.Opportunities o", "a path in FROM"),
        ("SELECT (SELECT Id FROM Opportunities) o FROM Account", "an alias"),
        ("SELECT Id FROM Account WHERE AnnualRevenue > USD5.5", "amounts with a currency"),
        ("SELECT Id FROM Account WHERE CreatedDate = 12:00:00Z", "times of day"),
        ("SELECT Id FROM Account WHERE CALENDAR_YEAR(convertTimezone(CreatedDate)) = 2026", "functions of functions"),
    ],
)
def test_what_is_not_modelled_is_refused_by_name(org, text, what):
    with pytest.raises(ApiError) as refused:
        ask(org, text)

    assert refused.value.code == "FUNCTIONALITY_NOT_ENABLED"
    assert f"this sandbox does not model {what}" in refused.value.message


@pytest.mark.parametrize(
    ("literal", "first", "last"),
    [
        ("LAST_WEEK", "2026-02-22", "2026-02-28"),
        ("THIS_WEEK", "2026-03-01", "2026-03-07"),
        ("NEXT_WEEK", "2026-03-08", "2026-03-14"),
        ("LAST_MONTH", "2026-02-01", "2026-02-28"),
        ("NEXT_MONTH", "2026-04-01", "2026-04-30"),
        ("THIS_QUARTER", "2026-01-01", "2026-03-31"),
        ("LAST_FISCAL_QUARTER", "2025-10-01", "2025-12-31"),
        ("LAST_YEAR", "2025-01-01", "2025-12-31"),
        ("LAST_90_DAYS", "2025-12-01", "2026-03-01"),
        ("NEXT_90_DAYS", "2026-03-02", "2026-05-30"),
        ("LAST_N_DAYS:0", "2026-03-01", "2026-03-01"),
        ("N_DAYS_AGO:3", "2026-02-26", "2026-02-26"),
        ("LAST_N_WEEKS:2", "2026-02-15", "2026-02-28"),
        ("NEXT_N_MONTHS:2", "2026-04-01", "2026-05-31"),
        ("N_QUARTERS_AGO:2", "2025-07-01", "2025-09-30"),
        ("LAST_N_YEARS:2", "2024-01-01", "2025-12-31"),
        ("N_FISCAL_YEARS_AGO:1", "2025-01-01", "2025-12-31"),
    ],
)
def test_a_relative_date_is_the_days_it_says(literal, first, last):
    org = Org(clock=Clock(datetime(2026, 3, 1, 12, tzinfo=UTC)))
    for day in ("first", "last"):
        on = date.fromisoformat({"first": first, "last": last}[day])
        for name, shift in (("in", 0), ("out", -1 if day == "first" else 1)):
            values = {"Name": f"{day} {name}", "StageName": "Closed Won"}
            org.create("Opportunity", {**values, "CloseDate": (on + timedelta(days=shift)).isoformat()})

    assert set(names(org, f"WHERE CloseDate = {literal}", object_name="Opportunity")) == {"first in", "last in"}
    assert names(org, f"WHERE CloseDate < {literal}", object_name="Opportunity") == ["first out"]
    assert names(org, f"WHERE CloseDate > {literal}", object_name="Opportunity") == ["last out"]
    assert set(names(org, f"WHERE CloseDate NOT IN ({literal})", object_name="Opportunity")) == {
        "first out",
        "last out",
    }


def test_parts_of_dates_filter_and_group(org):
    assert names(org, "WHERE CALENDAR_MONTH(CloseDate) = 2", object_name="Opportunity") == ["three"]
    assert names(org, "WHERE HOUR_IN_DAY(CreatedDate) != 12", object_name="Opportunity") == []
    assert names(
        org, "WHERE DAY_ONLY(CreatedDate) = 2026-03-01 AND DAY_IN_WEEK(CloseDate) = 1", object_name="Opportunity"
    ) == ["two"]
    assert ask(
        org,
        "SELECT CALENDAR_QUARTER(CloseDate) q, WEEK_IN_YEAR(CloseDate), COUNT(Id) FROM Opportunity"
        " GROUP BY CALENDAR_QUARTER(CloseDate), WEEK_IN_YEAR(CloseDate) ORDER BY WEEK_IN_YEAR(CloseDate) DESC",
    ) == [{"q": 1, "expr0": 9, "expr1": 2}, {"q": 1, "expr0": 5, "expr1": 1}]


def test_having_keeps_the_groups_it_says(org):
    def grouped(having):
        text = f"SELECT Account.Name who, COUNT(Id) n FROM Opportunity GROUP BY Account.Name HAVING {having}"
        return [record["who"] for record in ask(org, text)]

    assert grouped("COUNT(Id) > 1") == ["Big"]
    assert grouped("SUM(Amount) < 0 AND COUNT(Id) = 1") == [None]
    assert grouped("NOT (Account.Name = 'big' OR AVG(Amount) = -2)") == []
    assert grouped("MIN(CloseDate) >= 2026-02-01") == [None]


def test_the_place_of_a_mistake_is_right_in_a_sub_query_and_behind_blanks(org):
    with pytest.raises(ApiError, match="Row:1:Column:11\n"):
        ask(org, "   SELECT Nope FROM Account")
    with pytest.raises(ApiError, match="Row:2:Column:21\n"):
        ask(org, "SELECT Id FROM Account\nWHERE Id IN (SELECT Nope FROM Contact)")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("SELECT Foo FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Foo = 1", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY Foo", "INVALID_FIELD"),
        ("SELECT Foo.Name FROM Account", "INVALID_FIELD"),
        ("SELECT CurrencyIsoCode FROM Account", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Name = 5", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE AnnualRevenue = '5'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE SystemModstamp > '2026-03-01T12:00:00Z'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE SystemModstamp > 2026-03-01", "INVALID_FIELD"),
        ("SELECT Id FROM Opportunity WHERE CloseDate > 2026-03-01T12:00:00Z", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE IsDeleted = 'false'", "INVALID_FIELD"),
        ("SELECT Id FROM Account WHERE Description = 'long text'", "INVALID_FIELD"),
        ("SELECT Id FROM Account ORDER BY BillingAddress", "INVALID_FIELD"),
        ("SELECT Id FROM Nothing", "INVALID_TYPE"),
        ("SELECT Id, (SELECT Id FROM Nothings) FROM Account", "INVALID_TYPE"),
        ("SELECT Id FROM Account WHERE Id = 'x'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE Id LIKE '001%'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE AnnualRevenue LIKE '5'", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE AnnualRevenue > null", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE IsDeleted > FALSE", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account WHERE Name INCLUDES ('a')", "INVALID_QUERY_FILTER_OPERATOR"),
        ("SELECT Id FROM Account OFFSET 2001", "NUMBER_OUTSIDE_VALID_RANGE"),
    ],
)
def test_what_does_not_fit_the_org_says_why(org, text, code):
    with pytest.raises(ApiError) as refused:
        ask(org, text)

    assert refused.value.code == code


def test_an_error_shows_the_line_the_caret_and_the_place(org):
    with pytest.raises(ApiError) as refused:
        ask(org, "SELECT Id,\n  Nope\nFROM Account")

    assert "\n  Nope\n  ^\nERROR at Row:2:Column:3\nNo such column 'Nope' on entity 'Account'." in refused.value.message


def test_queries_have_a_longest_length(org):
    with pytest.raises(ApiError, match="100000"):
        ask(org, "SELECT Id FROM Account WHERE Name = 'a'" + " " * 100_000)
    with pytest.raises(ApiError, match="4000"):
        ask(org, f"SELECT Id FROM Account WHERE Name = '{'a' * 4001}'")


def test_deep_nesting_is_refused_not_crashed_on(org):
    with pytest.raises(ApiError, match="nested too deeply"):
        ask(org, f"SELECT Id FROM Account WHERE {'(' * 5000}Name = 'a'{')' * 5000}")


# Properties

PIECES = [
    *"SELECT FROM WHERE AND OR NOT IN LIKE ORDER BY GROUP LIMIT OFFSET NULLS FIRST LAST ASC DESC TRUE null TODAY".split(),
    *"Id Name Account Opportunity Account.Name AnnualRevenue SystemModstamp COUNT() COUNT(Id) FIELDS(ALL) x 5 -5.5e3".split(),
    *"'a' '\\' ' 'b%' 2026-01-01 2026-01-01T00:00:00Z = != < >= <> ( ) , . : ; * LAST_N_DAYS:5 \\ \x00 é 😀".split(" "),
]


def refusal(work):
    try:
        work()
    except ApiError as refused:
        return refused.code
    return None


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES), max_size=15).map(" ".join)))
@example("SELECT Id FROM Account WHERE Name = 'a\\'")
@example("SELECT Id FROM Account WHERE Name = '\\u12'")
def test_garbage_is_a_malformed_query_or_a_query_and_never_a_crash(text):
    assert refusal(lambda: parse(text)) in {None, "MALFORMED_QUERY", "NUMBER_OUTSIDE_VALID_RANGE"}


@given(st.lists(st.sampled_from(PIECES), max_size=12).map(" ".join))
def test_whatever_parses_is_answered_or_refused(rest):
    org = Org()
    org.create("Account", {"Name": "A", "AnnualRevenue": 5})

    assert refusal(lambda: ask(org, f"SELECT Id FROM Account {rest}")) != ""


ROW = st.fixed_dictionaries(
    {
        "Name": st.sampled_from(["a", "B", "ab", "b_", "50%", "O'x"]),
        "AnnualRevenue": st.one_of(st.none(), st.integers(-3, 3)),
        "Website": st.one_of(st.none(), st.sampled_from(["a.example", "B.example"])),
    }
)
OPERATORS = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "<": lambda value, wanted: value is not None and value < wanted,
    "<=": lambda value, wanted: value is not None and value <= wanted,
    ">": lambda value, wanted: value is not None and value > wanted,
    ">=": lambda value, wanted: value is not None and value >= wanted,
}


def fold(value):
    return value.lower() if isinstance(value, str) else value


def quote(value):
    if value is None:
        return "null"
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    return str(value)


@st.composite
def comparisons(draw):
    """A comparison as SOQL and as a predicate on a dictionary."""
    field = draw(st.sampled_from(["Name", "AnnualRevenue", "Website"]))
    values = st.integers(-3, 3) if field == "AnnualRevenue" else st.sampled_from(["a", "AB", "b_", "a.example", "o'X"])
    kind = draw(st.sampled_from(["compare", "null", "in"]))
    if kind == "null":
        negated = draw(st.booleans())
        return f"{field} {'!=' if negated else '='} null", lambda row: (row[field] is None) != negated
    if kind == "in":
        wanted, negated = draw(st.lists(values, min_size=1, max_size=3)), draw(st.booleans())
        text = f"{field} {'NOT IN' if negated else 'in'} ({', '.join(map(quote, wanted))})"
        folded = [fold(value) for value in wanted]
        return text, lambda row: (fold(row[field]) in folded) != negated
    op, value = draw(st.sampled_from(sorted(OPERATORS))), draw(values)
    return f"{field}{op}{quote(value)}", lambda row: OPERATORS[op](fold(row[field]), fold(value))


def combine(inner):
    def joined(op, parts):
        texts, tests = zip(*parts, strict=True)
        test = all if op == "AND" else any
        return f" {op} ".join(f"({text})" for text in texts), lambda row: test(one(row) for one in tests)

    return st.one_of(
        st.builds(joined, st.sampled_from(["AND", "OR"]), st.lists(inner, min_size=2, max_size=3)),
        inner.map(lambda part: (f"NOT ({part[0]})", lambda row: not part[1](row))),
    )


@given(st.lists(ROW, max_size=8), st.recursive(comparisons(), combine, max_leaves=5))
def test_a_generated_where_is_the_predicate_it_was_written_from(rows, condition):
    text, test = condition
    org = Org()
    ids = [org.create("Account", row) for row in rows]

    found = {record["Id"] for record in ask(org, f"SELECT Id FROM Account WHERE {text}")}

    assert found == {record_id for record_id, row in zip(ids, rows, strict=True) if test(row)}


@given(st.lists(ROW, max_size=8), st.booleans(), st.booleans())
def test_keyset_paging_visits_every_row_once(rows, descending, last):
    org = Org()
    ids = [org.create("Account", row) for row in rows]
    order = f"AnnualRevenue {'DESC' if descending else 'ASC'} NULLS {'LAST' if last else 'FIRST'}, Id"

    seen = [
        record["Id"]
        for at in range(len(rows))
        for record in ask(org, f"SELECT Id FROM Account ORDER BY {order} LIMIT 1 OFFSET {at}")
    ]

    assert sorted(seen) == sorted(ids)
