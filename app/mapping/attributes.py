"""Our side of the mapping: which attributes each section of the file may bind, and what each is for.

One table drives the parser, the JSON schema, the reference in `mappings/README.md` and the translator.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.rows import Entity
from app.mapping.transforms import TransformName as T


class Kind(StrEnum):
    """What the translator makes of an attribute's text."""

    KEY = "key"
    REFERENCE = "reference"
    TEXT = "text"
    DOMAIN = "domain"
    CURRENCY = "currency"
    FLAG = "flag"
    AMOUNT = "amount"
    DAY = "day"
    """A business date; a time of day is cut off, never converted."""
    INSTANT = "instant"
    """A moment, made a date in the policy's time zone; a value without a time is taken as the date it is."""
    TYPE = "type"
    PERCENT = "percent"
    KEYS = "keys"
    RATE = "rate"
    PLACES = "places"
    COUNT = "count"
    """A whole number, zero or more."""


_TEXT = frozenset({T.TRIM, T.LOWER, T.UPPER, T.DOMAIN, T.MAP, T.CONST, T.COALESCE})
_NUMBER = frozenset({T.TRIM, T.SCALE, T.ROUND, T.COALESCE, T.CONST})
_DATE = frozenset({T.TRIM, T.PARSE_DATE, T.COALESCE, T.CONST})
_WORD = _TEXT - {T.DOMAIN}

FITTING: Mapping[Kind, frozenset[T]] = {
    Kind.KEY: frozenset({T.TRIM}),
    Kind.REFERENCE: frozenset({T.TRIM, T.COALESCE}),
    Kind.TEXT: _TEXT,
    Kind.DOMAIN: _TEXT,
    Kind.CURRENCY: _WORD,
    Kind.FLAG: _WORD | {T.BOOL},
    Kind.AMOUNT: _NUMBER,
    Kind.DAY: _DATE,
    Kind.INSTANT: _DATE,
    Kind.TYPE: _WORD,
    Kind.PERCENT: _NUMBER | {T.MAP},
    Kind.KEYS: frozenset({T.TRIM, T.SPLIT}),
    Kind.RATE: _NUMBER,
    Kind.PLACES: _NUMBER,
    Kind.COUNT: _NUMBER | {T.MAP},
}
"""Which transforms make sense for which kind."""


@dataclass(frozen=True, slots=True)
class AttributeRule:
    kind: Kind
    meaning: str
    required: bool = False


@dataclass(frozen=True, slots=True)
class SectionRule:
    entity: Entity
    meaning: str
    attributes: Mapping[str, AttributeRule]
    required: bool = False


SECTIONS: Mapping[str, SectionRule] = {
    "accounts": SectionRule(
        Entity.ACCOUNT,
        "Customers: who buys and who refers.",
        {
            "id": AttributeRule(Kind.KEY, "The record's id.", required=True),
            "name": AttributeRule(Kind.TEXT, "Shown to people; never compared."),
            "parent_id": AttributeRule(Kind.REFERENCE, "The parent account, for group roll-ups."),
            "merged_into_id": AttributeRule(Kind.REFERENCE, "The surviving account after a merge."),
            "domain": AttributeRule(Kind.DOMAIN, "Web or e-mail domain; a web address is cut down to it."),
            "currency": AttributeRule(Kind.CURRENCY, "ISO code of the record's currency."),
            "owner_id": AttributeRule(Kind.REFERENCE, "The user who owns the account."),
            "industry": AttributeRule(Kind.TEXT, "For finding references in the same line of business."),
            "employees": AttributeRule(Kind.COUNT, "Number of employees, for references of about the same size."),
            "region": AttributeRule(Kind.TEXT, "Country or region, for references nearby."),
            "is_deleted": AttributeRule(Kind.FLAG, "Deletion mark; without it nothing counts as deleted."),
        },
        required=True,
    ),
    "opportunities": SectionRule(
        Entity.OPPORTUNITY,
        "Deals: the money.",
        {
            "id": AttributeRule(Kind.KEY, "The record's id.", required=True),
            "account_id": AttributeRule(Kind.REFERENCE, "Who buys.", required=True),
            "name": AttributeRule(Kind.TEXT, "Shown to people; never compared."),
            "amount": AttributeRule(Kind.AMOUNT, "Value in the deal's own currency.", required=True),
            "currency": AttributeRule(Kind.CURRENCY, "ISO code; without it every amount is in the reporting currency."),
            "created_on": AttributeRule(
                Kind.INSTANT, "When the deal was opened: decides who sourced it.", required=True
            ),
            "close_on": AttributeRule(Kind.DAY, "Close date: decides the exchange rate and the period.", required=True),
            "is_won": AttributeRule(Kind.FLAG, "Won.", required=True),
            "is_closed": AttributeRule(Kind.FLAG, "Won or lost.", required=True),
            "is_deleted": AttributeRule(Kind.FLAG, "Deletion mark; without it nothing counts as deleted."),
            "type": AttributeRule(Kind.TYPE, "new, upsell, renewal or refund; anything else is `unknown`."),
            "probability": AttributeRule(Kind.PERCENT, "0 to 100, for the open pipeline."),
            "product": AttributeRule(Kind.TEXT, "What is bought, for references who use the same."),
            "term_months": AttributeRule(
                Kind.COUNT, "Months that a licence lasts from the close date; decides who is a customer today."
            ),
            "contact_ids": AttributeRule(
                Kind.KEYS, "Contacts of the deal in one field, where there are no contact roles."
            ),
        },
        required=True,
    ),
    "contact_roles": SectionRule(
        Entity.CONTACT_ROLE,
        "Which contacts take part in which deal: evidence for referrals that name a person.",
        {
            "id": AttributeRule(Kind.KEY, "The record's id.", required=True),
            "opportunity_id": AttributeRule(Kind.REFERENCE, "The deal.", required=True),
            "contact_id": AttributeRule(Kind.REFERENCE, "The person.", required=True),
            "role": AttributeRule(Kind.TEXT, "What the person is in the deal: buyers are called first."),
            "is_deleted": AttributeRule(Kind.FLAG, "Deletion mark."),
        },
    ),
    "currency_rates": SectionRule(
        Entity.CURRENCY_RATE,
        "Exchange rates: units of a currency per one unit of the company's currency.",
        {
            "currency": AttributeRule(Kind.CURRENCY, "ISO code.", required=True),
            "rate": AttributeRule(Kind.RATE, "Greater than zero.", required=True),
            "start_on": AttributeRule(Kind.DAY, "First day of the rate; without it the rate holds always."),
            "decimal_places": AttributeRule(Kind.PLACES, "Decimals of the currency, 0 to 6."),
        },
    ),
    "dated_rates": SectionRule(
        Entity.CURRENCY_RATE,
        "A second source of exchange rates, with dates; read together with `currency_rates`.",
        {
            "currency": AttributeRule(Kind.CURRENCY, "ISO code.", required=True),
            "rate": AttributeRule(Kind.RATE, "Greater than zero.", required=True),
            "start_on": AttributeRule(Kind.DAY, "First day of the rate.", required=True),
            "decimal_places": AttributeRule(Kind.PLACES, "Decimals of the currency, 0 to 6."),
        },
    ),
    "adjustments": SectionRule(
        Entity.ADJUSTMENT,
        "Refunds (negative) and corrections of a deal.",
        {
            "id": AttributeRule(Kind.KEY, "The record's id.", required=True),
            "opportunity_id": AttributeRule(Kind.REFERENCE, "The deal that is corrected.", required=True),
            "amount": AttributeRule(Kind.AMOUNT, "Negative for a refund.", required=True),
            "currency": AttributeRule(Kind.CURRENCY, "ISO code; without it the reporting currency."),
            "dated_on": AttributeRule(Kind.DAY, "When it takes effect.", required=True),
            "is_deleted": AttributeRule(Kind.FLAG, "Deletion mark."),
        },
    ),
}
"""In the order of the file. Rates are pulled first, because amounts are converted as they come in."""
