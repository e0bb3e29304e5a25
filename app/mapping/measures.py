"""What can be written back to the CRM: a closed list.

A *companion* (a date or a version that moves by itself every day) is written only together with another change of
the same account. On its own it never causes a write: otherwise every night would write every account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class MeasureKind(StrEnum):
    MONEY = "money"
    COUNT = "count"
    RATIO = "ratio"
    TEXT = "text"
    DATE = "date"
    INSTANT = "instant"
    FLAG = "flag"


class WriteType(StrEnum):
    CURRENCY = "currency"
    NUMBER = "number"
    INTEGER = "integer"
    PERCENT = "percent"
    TEXT = "text"
    LONGTEXT = "longtext"
    PICKLIST = "picklist"
    DATE = "date"
    DATETIME = "datetime"
    BOOLEAN = "boolean"


NUMERIC = frozenset({WriteType.CURRENCY, WriteType.NUMBER, WriteType.INTEGER, WriteType.PERCENT})
TEXTUAL = frozenset({WriteType.TEXT, WriteType.LONGTEXT, WriteType.PICKLIST})

WRITABLE_AS: Mapping[MeasureKind, tuple[WriteType, ...]] = {
    MeasureKind.MONEY: (WriteType.CURRENCY, WriteType.NUMBER, WriteType.INTEGER),
    MeasureKind.COUNT: (WriteType.INTEGER, WriteType.NUMBER),
    MeasureKind.RATIO: (WriteType.NUMBER, WriteType.PERCENT),
    MeasureKind.TEXT: (WriteType.TEXT, WriteType.LONGTEXT, WriteType.PICKLIST),
    MeasureKind.DATE: (WriteType.DATE,),
    MeasureKind.INSTANT: (WriteType.DATETIME,),
    MeasureKind.FLAG: (WriteType.BOOLEAN, WriteType.PICKLIST, WriteType.TEXT),
}
"""The first is the usual one."""


@dataclass(frozen=True, slots=True)
class MeasureRule:
    kind: MeasureKind
    meaning: str
    companion: bool = False
    several_lines: bool = False

    @property
    def usual(self) -> WriteType:
        """The type where neither the file nor the CRM says one."""
        return WriteType.LONGTEXT if self.several_lines else WRITABLE_AS[self.kind][0]


MEASURES: Mapping[str, MeasureRule] = {
    "direct": MeasureRule(MeasureKind.MONEY, "Own won revenue."),
    "referred": MeasureRule(MeasureKind.MONEY, "Won revenue of others, credited for referrals."),
    "total": MeasureRule(MeasureKind.MONEY, "Total customer value: direct + referred."),
    "given": MeasureRule(MeasureKind.MONEY, "The part of the own revenue that others are credited for."),
    "conserved": MeasureRule(MeasureKind.MONEY, "direct + referred - given: adds up to company revenue."),
    "network": MeasureRule(MeasureKind.MONEY, "Credit further up a chain of referrals; not in the total."),
    "influence": MeasureRule(MeasureKind.MONEY, "Revenue influenced by reference calls, case studies and the like."),
    "touched": MeasureRule(MeasureKind.MONEY, "Full value of every deal this account took part in; overlaps."),
    "pipeline": MeasureRule(MeasureKind.MONEY, "Open deals, weighted with their probability."),
    "group_direct": MeasureRule(MeasureKind.MONEY, "direct of the account and all accounts below it."),
    "group_referred": MeasureRule(MeasureKind.MONEY, "referred of the group, for deals outside the group."),
    "rank": MeasureRule(MeasureKind.COUNT, "1 is the most valuable account. Moves when others move."),
    "total_multiple": MeasureRule(MeasureKind.RATIO, "total / direct; empty where direct is not above zero."),
    "referred_share": MeasureRule(MeasureKind.RATIO, "referred / total, 0 to 1 (0 to 100 as percent)."),
    "is_referrer": MeasureRule(MeasureKind.FLAG, "Whether any referred revenue is credited."),
    "currency": MeasureRule(MeasureKind.TEXT, "ISO code of the money measures."),
    "issues": MeasureRule(MeasureKind.TEXT, "Codes of what is wrong in the account's data."),
    "explanation": MeasureRule(MeasureKind.TEXT, "The total in words, line by line.", several_lines=True),
    "as_of": MeasureRule(MeasureKind.DATE, "The day the numbers are for.", companion=True),
    "synced_at": MeasureRule(MeasureKind.INSTANT, "When this account was last written.", companion=True),
    "policy_version": MeasureRule(MeasureKind.TEXT, "Version of the policy behind the numbers.", companion=True),
}
