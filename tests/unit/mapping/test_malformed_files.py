"""Wrong files, each with what must be said about it and where."""

from __future__ import annotations

import pytest

from app.errors import MappingError
from app.mapping.codes import CODES
from app.mapping.file import parse_mapping
from app.mapping.render import render_problem

POLICY = "  window_days: 90\n"
ATTRIBUTE = "    name: Name\n"
TYPE = "{field: Type, transform: [trim, {map: {values: {New: new}}}]}"
TOTAL = "    total: Total__c\n"
CONDITION = "{field: Type, op: in, value: [Customer, Partner]}"

# (what, text replaced in the good file, its replacement, code, line:column, a word of the message or hint)
CASES = [
    ("misspelled top key", "policy:", "polcy:", "010", "3:1", "did you mean 'policy'"),
    ("misspelled section", "accounts:", "acounts:", "010", "5:1", "did you mean 'accounts'"),
    (
        "misspelled attributes",
        "  attributes:\n    id: Id\n    name",
        "  atributes:\n    id: Id\n    name",
        "010",
        "9:3",
        "'attributes'",
    ),
    ("unknown attribute", ATTRIBUTE, "    nmae: Name\n", "016", "11:5", "did you mean 'name'"),
    ("missing attribute", "    amount: Amount\n", "", "017", "15:3", "'amount'"),
    ("missing object", "  object: Account\n", "", "011", "5:1", "'object'"),
    ("unknown version", "version: 1", "version: 2", "009", "1:10", "version 2"),
    ("version as text", "version: 1", 'version: "1"', "009", "1:10", "version"),
    ("no version", "version: 1\n", "", "009", "1:1", "version"),
    ("crm is no name", "crm: salesforce", "crm: Sales Force", "014", "2:6", "not allowed"),
    ("crm is a number", "crm: salesforce", "crm: 5", "012", "2:6", "text is needed"),
    (
        "section is text",
        "  attributes:\n    id: Id\n    name: Name\n    industry: {field: Industry, optional: true}\n",
        "  attributes: Id\n",
        "012",
        "9:15",
        "block",
    ),
    ("wrong split", POLICY, "  split: equl\n", "013", "4:10", "did you mean 'equal'"),
    ("wrong type of deal credited", POLICY, "  credited_types: [new, upsel]\n", "013", "4:25", "upsell"),
    ("number as text", POLICY, '  window_days: "90"\n', "012", "4:16", "whole number"),
    ("number with decimals", POLICY, "  window_days: 90.5\n", "012", "4:16", "whole number"),
    ("number too small", POLICY, "  window_days: 0\n", "014", "4:16", "at least 1"),
    ("number too large", POLICY, "  window_days: 99999\n", "014", "4:16", "at most"),
    ("yes for true", POLICY, "  exclusive: yes\n", "012", "4:14", "true or false"),
    ("one for true", POLICY, "  exclusive: 1\n", "012", "4:14", "true or false"),
    ("intra group", POLICY, "  intra_group: never\n", "013", "4:16", "deny"),
    ("share above one", POLICY, "  chain: {delta: 3/2}\n", "014", "4:18", "more than 1"),
    ("share of nothing", POLICY, "  chain: {delta: 1/0}\n", "014", "4:18", "not a share"),
    ("share in words", POLICY, "  chain: {delta: half}\n", "014", "4:18", "not a share"),
    ("share that is a flag", POLICY, "  chain: {delta: true}\n", "012", "4:18", "share is needed"),
    ("unknown key in chain", POLICY, "  chain: {mod: none}\n", "010", "4:11", "did you mean 'mode'"),
    ("depth", POLICY, "  chain: {depth: 11}\n", "014", "4:18", "at most 10"),
    ("time zone", POLICY, "  time_zone: Mars/Base\n", "027", "4:14", "IANA"),
    ("time zone that is a path", POLICY, "  time_zone: ../../etc/passwd\n", "027", "4:14", "IANA"),
    ("currency", POLICY, "  reporting_currency: usd\n", "028", "4:23", "capital"),
    ("field with a blank", ATTRIBUTE, "    name: Account Name\n", "015", "11:11", "API name"),
    ("injection in a field", ATTRIBUTE, '    name: "Name FROM User--"\n', "015", "11:11", "API name"),
    ("injection in an object", "  object: Account\n", '  object: "Account\'; DROP"\n', "015", "6:11", "API name"),
    ("field is a number", ATTRIBUTE, "    name: 12\n", "012", "11:11", "name of a CRM field"),
    ("field is missing", ATTRIBUTE, "    name: {optional: true}\n", "011", "11:11", "'field'"),
    ("attribute is empty", ATTRIBUTE, "    name:\n", "012", "11:5", "name of a CRM field"),
    (
        "unknown key of an attribute",
        ATTRIBUTE,
        "    name: {field: Name, optinal: true}\n",
        "010",
        "11:25",
        "'optional'",
    ),
    ("unknown transform", TYPE, "{field: Type, transform: [trimm]}", "018", "23:37", "did you mean 'trim'"),
    (
        "unknown transform with argument",
        TYPE,
        "{field: Type, transform: [{mapp: {}}]}",
        "018",
        "23:38",
        "did you mean 'map'",
    ),
    (
        "two transforms in one",
        TYPE,
        "{field: Type, transform: [{trim: true, lower: true}]}",
        "012",
        "23:37",
        "one name",
    ),
    ("transform without argument", TYPE, "{field: Type, transform: [map]}", "019", "23:37", "needs an argument"),
    ("transform with empty argument", TYPE, "{field: Type, transform: [{map: }]}", "019", "23:37", "needs an argument"),
    (
        "unknown type of deal",
        TYPE,
        "{field: Type, transform: [{map: {values: {A: neu}}}]}",
        "013",
        "23:56",
        "did you mean 'new'",
    ),
    ("map without values", TYPE, "{field: Type, transform: [{map: {otherwise: new}}]}", "011", "23:38", "'values'"),
    (
        "map with unknown key",
        TYPE,
        "{field: Type, transform: [{map: {values: {A: new}, other: x}}]}",
        "010",
        "23:62",
        "'otherwise'",
    ),
    (
        "transform that does not fit",
        "    id: Id\n    name",
        "    id: {field: Id, transform: [upper]}\n    name",
        "020",
        "10:33",
        "allowed: trim",
    ),
    (
        "split too early",
        "    is_closed: IsClosed\n",
        "    is_closed: IsClosed\n    contact_ids: {field: C, transform: [split, trim]}\n",
        "020",
        "23:41",
        "last",
    ),
    (
        "scale of zero",
        "    amount: Amount\n",
        "    amount: {field: Amount, transform: [{scale: 0}]}\n",
        "019",
        "18:49",
        "other than 0",
    ),
    (
        "round to a fraction",
        "    amount: Amount\n",
        "    amount: {field: Amount, transform: [{round: 1.5}]}\n",
        "012",
        "18:49",
        "whole number",
    ),
    (
        "round too far",
        "    amount: Amount\n",
        "    amount: {field: Amount, transform: [{round: 13}]}\n",
        "014",
        "18:49",
        "at most 12",
    ),
    (
        "date format",
        "    close_on: CloseDate\n",
        "    close_on: {field: C, transform: {parse_date: DD.MM.YY}}\n",
        "019",
        "20:50",
        "YYYY",
    ),
    (
        "date format with letters",
        "    close_on: CloseDate\n",
        "    close_on: {field: C, transform: {parse_date: DDxMMxYYYY}}\n",
        "019",
        "20:50",
        "between",
    ),
    ("constant without value", ATTRIBUTE, "    name: {transform: [{const: [a]}]}\n", "019", "11:32", "one value"),
    (
        "separator",
        "    is_closed: IsClosed\n",
        '    is_closed: IsClosed\n    contact_ids: {field: C, transform: {split: ""}}\n',
        "019",
        "23:48",
        "separator",
    ),
    ("unknown operator", CONDITION, "{field: Type, op: is, value: x}", "013", "8:25", "allowed"),
    ("in without a list", CONDITION, "{field: Type, op: in, value: Customer}", "022", "8:36", "list"),
    ("in with nothing", CONDITION, "{field: Type, op: in, value: []}", "022", "8:36", "list"),
    ("list without in", CONDITION, "{field: Type, value: [a, b]}", "022", "8:28", "one value"),
    ("less than nothing", CONDITION, "{field: Type, op: <, value: null}", "022", "8:35", "null"),
    ("like a number", CONDITION, "{field: Type, op: like, value: 5}", "022", "8:38", "text"),
    ("value is a block", CONDITION, "{field: Type, value: {a: 1}}", "012", "8:28", "one value"),
    ("value is missing", CONDITION, "{field: Type}", "011", "8:7", "'value'"),
    ("condition is text", CONDITION, "Type = 1", "012", "8:7", "block"),
    ("condition inside any", CONDITION, "{any: [{feld: A, value: 1}]}", "010", "8:15", "did you mean 'field'"),
    ("any of nothing", CONDITION, "{any: []}", "014", "8:13", "at least 1"),
    ("filter hides deletions", "    name: Name\n", "    name: Name\n    is_deleted: Type\n", "030", "8:7", "deleted"),
    ("unknown measure", TOTAL, "    totl: Total__c\n", "023", "26:5", "did you mean 'total'"),
    (
        "unknown type",
        TOTAL,
        "    total: {field: Total__c, type: pickList}\n",
        "013",
        "26:36",
        "did you mean 'picklist'",
    ),
    ("type does not fit", TOTAL, "    total: {field: Total__c, type: text}\n", "025", "26:36", "currency"),
    ("scale of a text", "max_length: 500", "scale: 2", "026", "28:34", "makes no sense"),
    ("length of a number", TOTAL, "    total: {field: Total__c, max_length: 5}\n", "026", "26:30", "makes no sense"),
    (
        "decimals of an integer",
        TOTAL,
        "    total: {field: Total__c, type: integer, scale: 2}\n",
        "026",
        "26:52",
        "no decimals",
    ),
    ("unknown field policy", TOTAL, "    total: {field: Total__c, policy: overwrit}\n", "013", "26:38", "'overwrite'"),
    ("two measures, one field", TOTAL, "    total: Why__c\n", "024", "28:26", "'total'"),
    ("two measures, one field but for capitals", TOTAL, "    total: why__C\n", "024", "28:26", "'total'"),
    ("written and read", TOTAL, "    total: Name\n", "029", "26:12", "accounts.name"),
    (
        "permissions that may outlast its consent",
        TOTAL,
        "    permissions: {field: Allows__c, policy: never_clear}\n",
        "033",
        "26:45",
        "consent that was taken back",
    ),
    (
        "strongest_permission that may outlast its consent",
        TOTAL,
        "    strongest_permission: {field: Allows__c, policy: only_if_blank}\n",
        "033",
        "26:54",
        "consent that was taken back",
    ),
    (
        "permissions_until that may outlast its consent",
        TOTAL,
        "    permissions_until: {field: Allows__c, policy: protect_if_edited}\n",
        "033",
        "26:51",
        "consent that was taken back",
    ),
    (
        "reference_state that may outlast its consent",
        TOTAL,
        "    reference_state: {field: Allows__c, policy: never_clear}\n",
        "033",
        "26:49",
        "consent that was taken back",
    ),
    ("another object", "write_back:\n", "write_back:\n  object: Contact\n", "031", "25:11", "'Account'"),
    (
        "limit above hundred",
        "write_back:\n",
        "write_back:\n  limits: {max_changed_percent: 101}\n",
        "014",
        "25:33",
        "at most 100",
    ),
    (
        "unknown limit",
        "write_back:\n",
        "write_back:\n  limits: {max_change_percent: 5}\n",
        "010",
        "25:12",
        "max_changed_percent",
    ),
    ("duplicate key", ATTRIBUTE, "    name: Name\n    name: Other\n", "005", "12:5", "line 11"),
    ("tag", ATTRIBUTE, "    name: !!python/name:os.system Name\n", "007", "11:11", "tag"),
    ("merge key", ATTRIBUTE, "    <<: {name: Name}\n", "007", "11:5", "merge"),
    ("key that is a list", ATTRIBUTE, "    [a, b]: Name\n", "007", "11:5", "plain text"),
    ("alias without anchor", ATTRIBUTE, "    name: *nowhere\n", "007", "11:11", "nowhere"),
    ("second document", "write_back:\n", "---\nwrite_back:\n", "007", "24:1", "one YAML document"),
    ("broken quotes", ATTRIBUTE, '    name: "Name\n', "004", "", "not valid YAML"),
    ("tab for indentation", ATTRIBUTE, "\tname: Name\n", "004", "11:1", "not valid YAML"),
    ("unclosed brace", ATTRIBUTE, "    name: {field: Name\n", "004", "", "not valid YAML"),
    ("control character", ATTRIBUTE, "    name: Na\x07me\n", "003", "11:13", "U+0007"),
    ("NUL", ATTRIBUTE, "    name: Na\0me\n", "003", "11:13", "U+0000"),
]


@pytest.mark.parametrize(
    ("old", "new", "code", "place", "said"), [case[1:] for case in CASES], ids=[c[0] for c in CASES]
)
def test_a_wrong_file_is_refused_with_one_problem_at_the_right_place(
    good: str, old: str, new: str, code: str, place: str, said: str
) -> None:
    assert old in good

    with pytest.raises(MappingError) as refused:
        parse_mapping(good.replace(old, new, 1), "test.yaml")

    (problem,) = refused.value.problems
    assert problem.code == f"ADV-MAP-{code}"
    assert f"{problem.line}:{problem.column}" == place or not place
    assert said in f"{problem.message} {problem.hint}"
    assert problem.source in good.replace(old, new, 1)
    assert render_problem(problem).startswith(f"test.yaml:{problem.line}:{problem.column}: error: ")


def test_every_code_that_is_raised_is_explained() -> None:
    assert {f"ADV-MAP-{case[3]}" for case in CASES} <= set(CODES)


def test_all_problems_come_together_in_the_order_of_the_file(good: str) -> None:
    text = good.replace("window_days: 90", "window_days: 0").replace("name: Name", "nmae: Name")
    text = text.replace("amount: Amount", "amount: 5").replace("total: Total__c", "totl: Total__c")

    with pytest.raises(MappingError) as refused:
        parse_mapping(text)

    assert [problem.code[-3:] for problem in refused.value.problems] == ["014", "016", "012", "023"]
    assert str(refused.value) == "4 problems in the mapping"


def test_a_misspelled_key_is_not_reported_as_missing_too(good: str) -> None:
    with pytest.raises(MappingError) as refused:
        parse_mapping(good.replace("    account_id:", "    acount_id:"))

    assert [problem.message for problem in refused.value.problems] == ["unknown attribute 'acount_id'"]


def test_every_duplicate_key_is_reported(good: str) -> None:
    text = good.replace("    name: Name\n", "    name: Name\n    name: B\n    name: {field: C}\n")

    with pytest.raises(MappingError) as refused:
        parse_mapping(text.replace("crm: salesforce", "crm: salesforce\ncrm: files"))

    assert [(problem.code[-3:], problem.line) for problem in refused.value.problems] == [
        ("005", 3),
        ("005", 13),
        ("005", 14),
    ]


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "null\n"])
def test_an_empty_file_says_so(text: str) -> None:
    with pytest.raises(MappingError) as refused:
        parse_mapping(text)

    assert refused.value.problems[0].code == "ADV-MAP-008"


@pytest.mark.parametrize("text", ["- a\n- b\n", "just text\n", "5\n"])
def test_a_file_that_is_no_block_says_so(text: str) -> None:
    with pytest.raises(MappingError) as refused:
        parse_mapping(text)

    assert refused.value.problems[0].code == "ADV-MAP-008"
    assert refused.value.problems[0].line == 1
