"""SOQL text -> a tree, by recursive descent.

The whole language is read. What is not SOQL is refused with MALFORMED_QUERY and the place of the first token that does
not fit; what is SOQL but not modelled, with FUNCTIONALITY_NOT_ENABLED and its name. Nothing is skipped or guessed.
As in Salesforce, AND and OR do not mix without parentheses.
"""

from __future__ import annotations

import re

from connectors.salesforce.sandbox import soql_clauses
from connectors.salesforce.sandbox.errors import ApiError
from connectors.salesforce.sandbox.soql_dates import DATE_COUNTS, DATE_WORDS
from connectors.salesforce.sandbox.soql_tokens import Cursor, Token
from connectors.salesforce.sandbox.soql_tree import (
    Comparison,
    Condition,
    Function,
    Literal,
    Logic,
    Not,
    Operand,
    Order,
    Path,
    Query,
    escapes,
    placed,
    unescape,
)

MAX_LENGTH = 100_000
MAX_STRING = 4_000
MAX_OFFSET = 2_000
_UNMODELLED = frozenset({"TOLABEL", "CONVERTCURRENCY", "CONVERTTIMEZONE", "FORMAT", "GROUPING", "DISTANCE"})
_CURRENCY = re.compile(r"[A-Za-z]{3}\d+")
_COMPARISONS = ("=", "!=", "<>", "<", "<=", ">", ">=")


def parse(text: str) -> Query:
    """The tree of a whole query; ApiError MALFORMED_QUERY or FUNCTIONALITY_NOT_ENABLED for everything else."""
    if len(text) > MAX_LENGTH:
        raise ApiError("MALFORMED_QUERY", f"SOQL statements cannot be longer than {MAX_LENGTH} characters.")
    parser = _Parser(text)
    query = parser.query()
    parser.expect_end()
    if parser.refused is not None:
        raise parser.refused
    return query


class _Parser(Cursor):
    def query(self) -> Query:
        self.enter()
        self.expect_word("SELECT")
        select = self.selection()
        target, alias = self.sources()
        soql_clauses.using(self)
        where = self.condition() if self.skip_word("WHERE") else None
        soql_clauses.with_security(self)
        group = self.grouping() if self.skip_word("GROUP") else ()
        having = self.condition() if group and self.skip_word("HAVING") else None
        order = self.ordering() if self.skip_word("ORDER") else ()
        limit = self.whole("LIMIT", None) if self.skip_word("LIMIT") else None
        offset = self.whole("OFFSET", MAX_OFFSET) if self.skip_word("OFFSET") else 0
        soql_clauses.viewing(self)
        self.depth -= 1
        return Query(self.text, select, target.text, target.at, alias, where, group, having, order, limit, offset)

    def semi_join(self) -> Query:
        """`SELECT AccountId FROM Opportunity WHERE ...`: one field, no order, no limit."""
        self.enter()
        self.expect_word("SELECT")
        select = self.operand()
        target, alias = self.sources()
        soql_clauses.using(self)
        where = self.condition() if self.skip_word("WHERE") else None
        soql_clauses.with_filter(self)
        self.depth -= 1
        return Query(self.text, (select,), target.text, target.at, alias, where, (), None, (), None, 0)

    def sources(self) -> tuple[Token, str]:
        self.expect_word("FROM")
        (target, alias), *more = self.separated(self.source)
        if more:
            self.refuse("several objects in FROM", more[0][0].at)
        return target, alias

    def source(self) -> tuple[Token, str]:
        target = self.name()
        if "." in target.text:
            self.refuse("a path in FROM", target.at)
        if self.skip_word("AS"):
            return target, self.alias() or "AS"
        return target, self.alias()

    def alias(self) -> str:
        return self.name().text if self.at_name() and not self.at_clause() else ""

    def selection(self) -> tuple[Operand | Query, ...]:
        """`COUNT()` alone, or a list."""
        if self.at_word("COUNT") and (self.ahead(1).text, self.ahead(2).text) == ("(", ")"):
            at = self.token.at
            self.place += 3
            return (Function("COUNT", None, "", at),)
        return self.separated(self.selected)

    def selected(self) -> Operand | Query:
        at = self.token.at
        if soql_clauses.at_typeof(self):
            soql_clauses.typeof(self)
            return Path(("TYPEOF",), at, self.alias())
        if not self.skip_symbol("("):
            return self.aliased(self.operand(distance=True))
        query = self.query()
        self.expect_symbol(")")
        if self.alias():
            self.refuse("an alias for a sub-query", at)
        return query

    def aliased(self, operand: Operand) -> Operand:
        if isinstance(operand, Function):
            return Function(operand.name, operand.argument, self.alias(), operand.at)
        return Path(operand.parts, operand.at, self.alias())

    def operand(self, *, distance: bool = False) -> Operand:
        path = self.path()
        if not self.skip_symbol("("):
            return path
        name = ".".join(path.parts).upper()
        if name in _UNMODELLED:
            self.refuse(name, path.at)
        argument = self.path()
        if self.skip_symbol("("):
            self.refuse("functions of functions", argument.at)
            self.path()
            self.expect_symbol(")")
        elif distance and name == "DISTANCE" and self.at_symbol(","):
            soql_clauses.distance(self)
        self.expect_symbol(")")
        return Function(name, argument, "", path.at)

    def grouping(self) -> tuple[Operand, ...]:
        self.expect_word("BY")
        if not self.at_word("ROLLUP", "CUBE"):
            return self.separated(self.operand)
        self.refuse(self.token.text.upper(), self.take().at)
        self.expect_symbol("(")
        group = self.separated(self.operand)
        self.expect_symbol(")")
        return group

    def ordering(self) -> tuple[Order, ...]:
        self.expect_word("BY")
        return self.separated(self.order)

    def order(self) -> Order:
        by = self.operand(distance=True)
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
        field = self.operand(distance=True)
        if self.at_symbol(*_COMPARISONS):
            op = self.take().text
            return Comparison(field, "!=" if op == "<>" else op, self.literal())
        op = self.expect_word("LIKE", "IN", "NOT", "INCLUDES", "EXCLUDES")
        if op == "LIKE":
            return Comparison(field, op, self.literal(pattern=True))
        if op == "NOT":
            self.expect_word("IN")
            op = "NOT IN"
        self.expect_symbol("(")
        value = self.semi_join() if op.endswith("IN") and self.at_word("SELECT") else self.separated(self.literal)
        self.expect_symbol(")")
        return Comparison(field, op, value)

    def literal(self, *, pattern: bool = False) -> Literal:
        token = self.take()
        if token.kind == "symbol" and token.text in {"+", "-"}:
            return Literal("number", token.text + self.expect("number").text, token.at)
        if token.kind == "string":
            return self.string(token, pattern=pattern)
        if token.kind == "time":
            self.refuse("times of day", token.at)
        if token.kind in {"number", "date", "datetime", "time"}:
            return Literal(token.kind, token.text.upper(), token.at)
        if token.kind == "word":
            return self.word(token)
        raise placed(self.text, token.at, f"unexpected token: '{token.text[:60]}'")

    def word(self, token: Token) -> Literal:
        word = token.text.upper()
        if word in {"TRUE", "FALSE"}:
            return Literal("boolean", word, token.at)
        if word == "NULL":
            return Literal("null", word, token.at)
        if word in DATE_WORDS:
            return Literal("days", word, token.at)
        if word in DATE_COUNTS:
            self.expect_symbol(":")
            return Literal("days", f"{word}:{self.whole(word, 36_500)}", token.at)
        if _CURRENCY.fullmatch(word):
            self.refuse("amounts with a currency", token.at)
            if self.token.kind == "number" and self.token.at == token.at + len(word) and self.token.text[0] == ".":
                self.take()
            return Literal("number", "0", token.at)
        raise placed(self.text, token.at, f"unexpected token: '{token.text[:60]}'")

    def string(self, token: Token, *, pattern: bool) -> Literal:
        inside = token.text[1:-1]
        if len(inside) > MAX_STRING:
            raise placed(self.text, token.at, f"string literals cannot be longer than {MAX_STRING} characters")
        try:
            unescape(inside)
            if not pattern and {"_", "%"} & set(escapes(inside)):
                raise ValueError("Illegal escape: a wildcard is escaped for LIKE alone")
        except ValueError as error:
            raise placed(self.text, token.at, str(error)) from None
        return Literal("string", inside, token.at)
