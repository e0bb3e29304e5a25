"""Clauses that are SOQL but not modelled: read to their end, so that a mistake in them is still a mistake."""

from __future__ import annotations

from connectors.salesforce.sandbox.soql_tokens import Cursor, Token

_KEYWORDS = frozenset(
    {"ABOVE", "ABOVE_OR_BELOW", "AT", "BELOW", "CASE", "CATEGORY", "COUNT", "DATA", "DISTANCE", "END", "FIELDS", "FLAT"}
    | {"GEOLOCATION", "GROUP", "OFFSET", "ORDER", "REFERENCE", "SCOPE", "THEN", "TYPEOF", "VIEW", "WHEN"}
)
"""May name a field, but neither a scope nor a statistic."""


def typeof(cursor: Cursor) -> None:
    """`TYPEOF Owner WHEN User THEN Email ELSE Name END`; the word alone may also be a field."""
    cursor.refuse("TYPEOF", cursor.take().at)
    cursor.path()
    while cursor.skip_word("WHEN"):
        cursor.name()
        cursor.expect_word("THEN")
        cursor.separated(cursor.path)
    if cursor.skip_word("ELSE"):
        cursor.separated(cursor.path)
    cursor.expect_word("END")


def at_typeof(cursor: Cursor) -> bool:
    following = cursor.ahead(2)
    return cursor.at_word("TYPEOF") and following.kind == "word" and following.text.upper() == "WHEN"


def distance(cursor: Cursor) -> None:
    """What follows the field in `DISTANCE(Place__c, GEOLOCATION(37.7, -122.4), 'mi')`."""
    cursor.refuse("DISTANCE", cursor.token.at)
    cursor.expect_symbol(",")
    cursor.expect_word("GEOLOCATION")
    cursor.expect_symbol("(")
    _number(cursor)
    cursor.expect_symbol(",")
    _number(cursor)
    cursor.expect_symbol(")")
    cursor.expect_symbol(",")
    cursor.expect("string")


def _number(cursor: Cursor) -> None:
    if cursor.at_symbol("+", "-"):
        cursor.take()
    cursor.expect("number")


def using(cursor: Cursor) -> None:
    """`USING SCOPE mine`."""
    if not cursor.at_word("USING"):
        return
    cursor.refuse("USING", cursor.take().at)
    cursor.separated(lambda: (cursor.expect_word("SCOPE", "LOOKUP"), _plain_name(cursor)))


def with_security(cursor: Cursor) -> None:
    """`WITH SECURITY_ENFORCED`, a filter by data category, and filters of other kinds."""
    if not cursor.at_word("WITH"):
        return
    cursor.refuse(f"WITH {cursor.ahead(1).text}", cursor.take().at)
    if not _categories(cursor):
        cursor.name()
        _filtered(cursor)
    while cursor.skip_word("WITH"):
        cursor.name()


def _filtered(cursor: Cursor) -> None:
    if cursor.skip_symbol("="):
        cursor.expect("string")
    elif cursor.skip_symbol("("):
        cursor.separated(lambda: _key_value(cursor))
        cursor.expect_symbol(")")


def with_filter(cursor: Cursor) -> None:
    """The fewer things that may stand behind WITH in a semi join."""
    if not cursor.at_word("WITH"):
        return
    cursor.refuse("WITH", cursor.take().at)
    if not _categories(cursor):
        cursor.name()
        cursor.expect_symbol("=")
        cursor.expect("string")


def _categories(cursor: Cursor) -> bool:
    following = cursor.ahead(1)
    if not (cursor.at_word("DATA") and following.kind == "word" and following.text.upper() == "CATEGORY"):
        return False
    cursor.place += 2
    while True:
        cursor.name()
        cursor.expect_word("AT", "ABOVE", "BELOW", "ABOVE_OR_BELOW")
        if cursor.skip_symbol("("):
            cursor.separated(cursor.name)
            cursor.expect_symbol(")")
        else:
            cursor.name()
        if not cursor.skip_word("AND"):
            return True


def _key_value(cursor: Cursor) -> None:
    cursor.name()
    cursor.expect_symbol("=")
    if not cursor.skip_word("TRUE", "FALSE"):
        cursor.expect("number" if cursor.token.kind == "number" and cursor.token.text.isdigit() else "string")


def viewing(cursor: Cursor) -> None:
    """`FOR VIEW` and `UPDATE TRACKING` at the end of a query."""
    if cursor.at_word("FOR"):
        cursor.refuse("FOR", cursor.take().at)
        cursor.expect_word("VIEW", "REFERENCE")
    if cursor.at_word("UPDATE"):
        cursor.refuse("UPDATE", cursor.take().at)
        cursor.separated(lambda: _plain_name(cursor))


def _plain_name(cursor: Cursor) -> Token:
    if cursor.at_word(*_KEYWORDS):
        raise cursor.unexpected()
    return cursor.name()
