"""Which text is SOQL is not ours to say: the sandbox has to agree with the parser that Salesforce published."""

from __future__ import annotations

import re
from dataclasses import dataclass

import pytest
from soql_corpus import broken_sentences, sentences

from connectors.salesforce.sandbox import Org
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.soql_answer import answer_query
from connectors.salesforce.sandbox.soql_parse import parse

pytestmark = pytest.mark.judges

EACH = 500
SEED = 20260301

_ORACLE = """
const { SOQLParser } = require('@salesforce/soql-common/lib/soql-parser');
const parser = SOQLParser({ isApex: false, isMultiCurrencyEnabled: true, apiVersion: 62.0 });
return given.map((text) => parser.parseQuery(text).getSuccess());
"""


@dataclass(frozen=True)
class Difference:
    """Where the sandbox knowingly differs. `accepts`: what the published parser says to the example.

    Texts that differ for this reason agree again once `pattern` is replaced by `agreed`.
    """

    pattern: str
    agreed: str
    accepts: bool
    example: str
    why: str
    in_strings: bool = False


DIFFERENCES = (
    Difference(
        r"[^\w\s(),.:+\-*/~=<>!']|[^\x00-\x7f]|!(?!\s*=)",
        " ",
        True,
        "SELECT Id; FROM Account",
        "its lexer drops a character that belongs to no token; an org says MALFORMED_QUERY",
    ),
    Difference(
        r"((?:LIMIT|OFFSET)\s*)[+-]",
        r"\1",
        True,
        "SELECT Id FROM Account LIMIT -1",
        "it takes a sign; the reference asks for a whole number",
    ),
    Difference(
        r"\b([A-Za-z]\w*)(?:\.(?![A-Za-z])\d*)+",
        r"\1 ",
        True,
        "SELECT Account. FROM Contact",
        "its names may hold dots and digits anywhere; a path is names with single dots between them",
    ),
    Difference(
        r"([<>!])\s+=",
        r"\1=",
        True,
        "SELECT Id FROM Account WHERE Amount > = 1",
        "it puts an operator together from two tokens",
    ),
    Difference(
        r"\b(TODAY|YESTERDAY|TOMORROW|\w+_90_DAYS|(?:LAST|THIS|NEXT)_[A-Z]{2,}\w*)\s*:\s*\d+",
        r"\1",
        True,
        "SELECT Id FROM Account WHERE CreatedDate = TODAY:1",
        "it lets every relative date count; the reference only those with an N",
    ),
    Difference(
        r"\b((?:LAST|NEXT)_N_\w+|N_\w+_AGO)\b(?!\s*:)",
        r"\1:1",
        True,
        "SELECT Id FROM Account WHERE CreatedDate = LAST_N_DAYS",
        "it does not ask a relative date that counts for its number; the reference does",
    ),
    Difference(
        r"\bBIND\s+\w+\s*=\s*\w+",
        "",
        True,
        "SELECT Id FROM Account BIND a = 1",
        "a clause of its own that no reference knows",
    ),
    Difference(
        r"\\[fF]",
        r"\\n",
        False,
        r"SELECT Id FROM Account WHERE Name = '\f'",
        "the reference lists the form feed among the escapes",
        in_strings=True,
    ),
)

_STRING = re.compile(r"('(?:[^'\\]|\\.)*')")


def _agreed(text):
    """The text without the known reasons to differ."""
    pieces = _STRING.split(text)
    for one in DIFFERENCES:
        for place in range(int(one.in_strings), len(pieces), 2):
            pieces[place] = re.sub(one.pattern, one.agreed, pieces[place], flags=re.IGNORECASE)
    return "".join(pieces)


def _is_soql(text):
    """The verdict of the sandbox's parser: refusing by name is knowing that it is SOQL."""
    try:
        parse(text)
    except ApiError as error:
        return error.code != "MALFORMED_QUERY"
    return True


@pytest.fixture(scope="module")
def corpus():
    return sentences(EACH, SEED) + broken_sentences(EACH, SEED)


def test_the_sandbox_and_the_published_parser_agree_on_what_is_soql(node, corpus):
    verdicts = node.script(_ORACLE, corpus)

    differing = [text for text, accepted in zip(corpus, verdicts, strict=True) if _is_soql(text) != accepted]
    agreed = [_agreed(text) for text in differing]
    again = zip(differing, agreed, node.script(_ORACLE, agreed), strict=True)
    assert [text for text, repaired, accepted in again if text == repaired or _is_soql(repaired) != accepted] == []
    assert 0.5 < sum(verdicts) / len(corpus) < 0.9
    assert len(differing) < len(corpus) / 20


def test_the_grammar_of_the_corpus_writes_soql(node):
    texts = sentences(EACH, SEED)

    assert [text for text, accepted in zip(texts, node.script(_ORACLE, texts), strict=True) if not accepted] == []


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda one: one.example)
def test_a_documented_difference_is_still_there(node, difference):
    repaired = _agreed(difference.example)

    assert node.script(_ORACLE, [difference.example, repaired]) == [difference.accepts, True]
    assert [_is_soql(difference.example), _is_soql(repaired)] == [not difference.accepts, True]


def test_what_is_soql_is_answered_or_refused_by_name(corpus):
    org = Org()
    account = org.create("Account", {"Name": "x", "AnnualRevenue": 5})
    org.create("Contact", {"LastName": "x", "AccountId": account})
    org.create("Opportunity", {"Name": "x", "AccountId": account, "StageName": "Closed Won", "CloseDate": "2026-01-31"})
    outcomes = {text: _outcome(org, text) for text in corpus if _is_soql(text)}

    assert {code for code, _ in outcomes.values()} <= REFUSALS | {"answered"}
    assert [text for text, (_, message) in outcomes.items() if not re.search(PLACED, message)] == []
    assert sum(code == "answered" for code, _ in outcomes.values()) > EACH / 5


REFUSALS = {"FUNCTIONALITY_NOT_ENABLED", "INVALID_FIELD", "INVALID_TYPE", "INVALID_QUERY_FILTER_OPERATOR"} | {
    "MALFORMED_QUERY",
    "NUMBER_OUTSIDE_VALID_RANGE",
}
PLACED = r"^answered|Row:\d+:Column:\d+\n.+|allowed is"
"""A refusal says where, or by how much."""


def _outcome(org, text):
    """What an org makes of a query: a code and what it says."""
    try:
        answer = answer_query(org.view(org.user_id), text, "62.0", deleted=False)
        for row in answer.rows:
            answer.json_record(row)
    except ApiError as error:
        return error.code, error.message
    return "answered", "answered"
