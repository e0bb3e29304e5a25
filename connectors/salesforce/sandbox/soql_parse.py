"""SOQL text -> a tree. Tokenizer and recursive descent over the part of the language the sandbox speaks.

What is not understood is refused with MALFORMED_QUERY and the place of the first token that does not fit;
nothing is skipped or guessed. As in Salesforce, AND and OR do not mix without parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.soql_tree import (
    Comparison,
    Condition,
    Function,
    Literal,
    Logic,
    Not,
    Order,
    Path,
    Query,
    placed,
    unescape,
)

MAX_LENGTH = 100_000
MAX_STRING = 4_000
MAX_OFFSET = 2_000
_MAX_DEPTH = 100

_DATE_WORDS = frozenset({"TODAY", "YESTERDAY", "TOMORROW"})
_DATE_COUNTS = frozenset({"LAST_N_DAYS", "NEXT_N_DAYS"})
_RESERVED = frozenset(
    {"AND", "ASC", "DESC", "EXCLUDES", "FALSE", "FIRST", "FOR", "FROM", "GROUP", "HAVING", "IN", "INCLUDES", "LIKE"}
    | {"LIMIT", "NOT", "NULL", "NULLS", "OFFSET", "OR", "ORDER", "SELECT", "TRUE", "USING", "WHERE", "WITH"}
)

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<datetime>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:Z|[+-]\d{2}:?\d{2}))
  | (?P<date>\d{4}-\d{2}-\d{2}(?![\w:-]))
  | (?P<number>[+-]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][+-]?\d+)?(?![\w.]))
  | (?P<word>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)
  | (?P<string>'(?:[^'\\]|\\.)*')
  | (?P<symbol><=|>=|!=|<>|[=<>(),:])
    """,
    re.VERBOSE | re.ASCII | re.DOTALL,
)

T = TypeVar("T")


class Token(NamedTuple):
    kind: str
    text: str
    at: int


def parse(text: str) -> Query:
    """The tree of a whole query; ApiError MALFORMED_QUERY for everything else."""
    if len(text) > MAX_LENGTH:
        raise ApiError("MALFORMED_QUERY", f"SOQL statements cannot be longer than {MAX_LENGTH} characters.")
    parser = _Parser(text)
    query = parser.query()
    parser.expect_end()
    return query


def _tokenize(text: str) -> list[Token]:
    tokens, at = [], 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise placed(text, at, f"no viable alternative at character '{text[at]}'")
        if match.lastgroup != "space":
            tokens.append(Token(match.lastgroup or "", match[0], at))
        at = match.end()
    tokens.append(Token("end", "<EOF>", len(text)))
    return tokens


class _Parser:
    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokenize(text)
        self.place = 0
        self.depth = 0

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def unexpected(self) -> ApiError:
        return placed(self.text, self.token.at, f"unexpected token: '{self.token.text[:60]}'")

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.place += 1
        return token

    def at_word(self, *words: str) -> bool:
        return self.token.kind == "word" and self.token.text.upper() in words

    def at_symbol(self, symbol: str) -> bool:
        return self.token.kind == "symbol" and self.token.text == symbol

    def skip_word(self, *words: str) -> bool:
        found = self.at_word(*words)
        if found:
            self.place += 1
        return found

    def skip_symbol(self, symbol: str) -> bool:
        found = self.at_symbol(symbol)
        if found:
            self.place += 1
        return found

    def expect_word(self, *words: str) -> str:
        if not self.at_word(*words):
            raise self.unexpected()
        return self.take().text.upper()

    def expect_symbol(self, symbol: str) -> None:
        if not self.skip_symbol(symbol):
            raise self.unexpected()

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise self.unexpected()

    def name(self) -> Token:
        if self.token.kind != "word" or self.token.text.upper() in _RESERVED:
            raise self.unexpected()
        return self.take()

    def path(self) -> Path:
        token = self.name()
        return Path(tuple(token.text.split(".")), token.at)

    def query(self) -> Query:
        start = self.token.at
        self.enter()
        self.expect_word("SELECT")
        select = self.separated(self.selected)
        self.expect_word("FROM")
        target = self.name()
        if "." in target.text:
            raise placed(self.text, target.at, f"unexpected token: '{target.text[:60]}'")
        alias = self.name().text if self.token.kind == "word" and not self.at_word(*_RESERVED) else ""
        where = self.condition() if self.skip_word("WHERE") else None
        group = self.grouping() if self.skip_word("GROUP") else ()
        order = self.ordering() if self.skip_word("ORDER") else ()
        limit = self.whole("LIMIT", None) if self.skip_word("LIMIT") else None
        offset = self.whole("OFFSET", MAX_OFFSET) if self.skip_word("OFFSET") else 0
        self.depth -= 1
        text = self.text[start : self.token.at].strip()
        return Query(text, select, target.text, target.at, alias, where, group, order, limit, offset)

    def enter(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise placed(self.text, self.token.at, "the query is nested too deeply")

    def separated(self, one: Callable[[], T]) -> tuple[T, ...]:
        found = [one()]
        while self.skip_symbol(","):
            found.append(one())
        return tuple(found)

    def selected(self) -> Path | Function | Query:
        if self.skip_symbol("("):
            query = self.query()
            self.expect_symbol(")")
            return query
        return self.path_or_function(aliased=True)

    def path_or_function(self, *, aliased: bool) -> Path | Function:
        path = self.path()
        if not self.skip_symbol("("):
            return path
        argument = None if self.at_symbol(")") else self.path()
        self.expect_symbol(")")
        takes_alias = aliased and self.token.kind == "word" and not self.at_word(*_RESERVED)
        alias = self.name().text if takes_alias else ""
        return Function(".".join(path.parts).upper(), argument, alias, path.at)

    def grouping(self) -> tuple[Path, ...]:
        self.expect_word("BY")
        return self.separated(self.path)

    def ordering(self) -> tuple[Order, ...]:
        self.expect_word("BY")
        return self.separated(self.order)

    def order(self) -> Order:
        by = self.path_or_function(aliased=False)
        descending = self.at_word("DESC")
        if descending or self.at_word("ASC"):
            self.take()
        nulls_first = self.expect_word("FIRST", "LAST") == "FIRST" if self.skip_word("NULLS") else True
        return Order(by, descending, nulls_first)

    def whole(self, clause: str, most: int | None) -> int:
        token = self.token
        if token.kind != "number" or not token.text.isdigit():
            raise self.unexpected()
        self.take()
        number = int(token.text) if len(token.text) < 12 else 10**12
        if most is not None and number > most:
            raise ApiError("NUMBER_OUTSIDE_VALID_RANGE", f"Maximum SOQL {clause.lower()} allowed is {most}")
        return number

    def condition(self) -> Condition:
        """One term, or terms joined by one and the same of AND and OR."""
        self.enter()
        if self.skip_word("NOT"):
            condition: Condition = Not(self.term())
        else:
            condition = self.joined(self.term())
        self.depth -= 1
        return condition

    def joined(self, first: Condition) -> Condition:
        """The other of AND and OR behind it is left over, and refused by whoever expects an end."""
        if not self.at_word("AND", "OR"):
            return first
        op = self.token.text.upper()
        terms = [first]
        while self.skip_word(op):
            terms.append(self.term())
        return Logic(op, tuple(terms))

    def term(self) -> Condition:
        if self.skip_symbol("("):
            condition = self.condition()
            self.expect_symbol(")")
            return condition
        return self.comparison()

    def comparison(self) -> Comparison:
        field = self.path()
        if self.token.kind == "symbol" and self.token.text in {"=", "!=", "<>", "<", "<=", ">", ">="}:
            op = self.take().text
            return Comparison(field, "!=" if op == "<>" else op, self.literal())
        op = self.expect_word("LIKE", "IN", "NOT", "INCLUDES", "EXCLUDES")
        if op == "LIKE":
            return Comparison(field, op, self.literal())
        if op == "NOT":
            self.expect_word("IN")
            op = "NOT IN"
        self.expect_symbol("(")
        value = self.query() if op.endswith("IN") and self.at_word("SELECT") else self.separated(self.literal)
        self.expect_symbol(")")
        return Comparison(field, op, value)

    def literal(self) -> Literal:
        token = self.take()
        if token.kind == "string":
            return self.string(token)
        if token.kind in {"number", "date", "datetime"}:
            return Literal(token.kind, token.text, token.at)
        word = token.text.upper()
        if token.kind == "word" and word in {"TRUE", "FALSE"}:
            return Literal("boolean", word, token.at)
        if token.kind == "word" and word == "NULL":
            return Literal("null", word, token.at)
        if token.kind == "word" and word in _DATE_WORDS | _DATE_COUNTS:
            return self.days(token)
        raise placed(self.text, token.at, f"unexpected token: '{token.text[:60]}'")

    def string(self, token: Token) -> Literal:
        inside = token.text[1:-1]
        if len(inside) > MAX_STRING:
            raise placed(self.text, token.at, f"string literals cannot be longer than {MAX_STRING} characters")
        try:
            unescape(inside)
        except ValueError as error:
            raise placed(self.text, token.at, str(error)) from None
        return Literal("string", inside, token.at)

    def days(self, token: Token) -> Literal:
        word = token.text.upper()
        if word in _DATE_WORDS:
            return Literal("days", word, token.at)
        self.expect_symbol(":")
        return Literal("days", f"{word}:{self.whole(word, 36_500)}", token.at)
