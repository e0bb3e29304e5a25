"""SOQL text -> tokens, and a cursor that walks over them."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.soql_tree import Path, placed

_MAX_DEPTH = 100

# Everything else may name a field or an object: GROUP, ORDER and OFFSET are clauses only before what belongs to them.
_RESERVED = frozenset(
    {"AND", "AS", "ASC", "BIND", "BY", "CUBE", "DESC", "ELSE", "EXCLUDES", "FALSE", "FIRST", "FOR", "FROM", "HAVING"}
    | {"HIERARCHICAL", "IN", "INCLUDES", "LAST", "LIKE", "LIMIT", "LOOKUP", "NOT", "NULL", "NULLS", "OR", "ROLLUP"}
    | {"SELECT", "TRUE", "UPDATE", "USING", "WHERE", "WITH"}
)

_TOKEN = re.compile(
    r"""
    (?P<space>\s+)
  | (?P<datetime>\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:?\d{2}))
  | (?P<date>\d{4}-\d{2}-\d{2})
  | (?P<time>\d{2}:\d{2}:\d{2}(?:\.\d+)?[Zz])
  | (?P<number>\d+(?:\.\d+)?|\.\d+)
  | (?P<word>[A-Za-z]\w*(?:\.[A-Za-z]\w*)*)
  | (?P<string>'(?:[^'\\\r\n]|\\[^\r\n])*')
  | (?P<symbol><=|>=|!=|<>|[=<>(),:+-])
    """,
    re.VERBOSE | re.ASCII,
)

T = TypeVar("T")


class Token(NamedTuple):
    kind: str
    text: str
    at: int


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


class Cursor:
    """Steps through the tokens of a query. `refused`: the first thing that is SOQL but not modelled here."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = _tokenize(text)
        self.place = 0
        self.depth = 0
        self.refused: ApiError | None = None

    @property
    def token(self) -> Token:
        return self.tokens[self.place]

    def ahead(self, steps: int) -> Token:
        return self.tokens[min(self.place + steps, len(self.tokens) - 1)]

    def refuse(self, what: str, at: int) -> None:
        """Remember that the query cannot be answered; reading goes on, because a wrong query is wrong first."""
        if self.refused is None:
            self.refused = placed(self.text, at, f"this sandbox does not model {what}", "FUNCTIONALITY_NOT_ENABLED")

    def unexpected(self) -> ApiError:
        return placed(self.text, self.token.at, f"unexpected token: '{self.token.text[:60]}'")

    def enter(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise placed(self.text, self.token.at, "the query is nested too deeply")

    def take(self) -> Token:
        token = self.token
        if token.kind != "end":
            self.place += 1
        return token

    def at_word(self, *words: str) -> bool:
        return self.token.kind == "word" and self.token.text.upper() in words

    def at_symbol(self, *symbols: str) -> bool:
        return self.token.kind == "symbol" and self.token.text in symbols

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

    def expect(self, kind: str) -> Token:
        if self.token.kind != kind:
            raise self.unexpected()
        return self.take()

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise self.unexpected()

    def at_name(self) -> bool:
        return self.token.kind == "word" and self.token.text.upper() not in _RESERVED

    def name(self) -> Token:
        if not self.at_name():
            raise self.unexpected()
        return self.take()

    def path(self) -> Path:
        token = self.name()
        return Path(tuple(token.text.split(".")), token.at)

    def at_clause(self) -> bool:
        """At a GROUP, ORDER or OFFSET that is no name."""
        following = self.ahead(1)
        if self.at_word("GROUP", "ORDER"):
            return following.kind == "word" and following.text.upper() == "BY"
        return self.at_word("OFFSET") and (following.kind == "number" or following.text in {"+", "-"})

    def separated(self, one: Callable[[], T]) -> tuple[T, ...]:
        found = [one()]
        while self.skip_symbol(","):
            found.append(one())
        return tuple(found)
