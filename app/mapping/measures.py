"""What can be written back to the CRM: a closed list.

A *companion* (a date or a version that moves by itself every day) is written only together with another change of
the same account. On its own it never causes a write: otherwise every night would write every account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.segments import Quadrant


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
    values: tuple[str, ...] = ()
    """Every text it can have, where there are only a few: a restricted picklist must know them."""

    @property
    def usual(self) -> WriteType:
        """The type where neither the file nor the CRM says one."""
        if self.values:
            return WriteType.PICKLIST
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
    "direct_new": MeasureRule(MeasureKind.MONEY, "The part of direct from new business."),
    "direct_upsell": MeasureRule(MeasureKind.MONEY, "The part of direct from upsells."),
    "direct_renewal": MeasureRule(MeasureKind.MONEY, "The part of direct from renewals."),
    "direct_refund": MeasureRule(MeasureKind.MONEY, "The part of direct from deals of the type refund."),
    "direct_unknown": MeasureRule(MeasureKind.MONEY, "The part of direct from deals of no known type."),
    "revenue_at_risk": MeasureRule(
        MeasureKind.MONEY, "All that the accounts ever bought which this account brought; overlaps."
    ),
    "crv": MeasureRule(
        MeasureKind.MONEY, "Customer referral value: margin of referred revenue and saved cost, less incentives."
    ),
    "acquisition_savings": MeasureRule(
        MeasureKind.MONEY, "Acquisition cost saved by the customers it brought, less incentives."
    ),
    "brv": MeasureRule(MeasureKind.MONEY, "Business reference value: margin of influenced revenue."),
    "rank": MeasureRule(MeasureKind.COUNT, "1 is the most valuable account. Moves when others move."),
    "percentile": MeasureRule(
        MeasureKind.COUNT, "0 to 100: percent of the other customers worth less. Moves when others move."
    ),
    "quadrant": MeasureRule(
        MeasureKind.TEXT, "Who buys much and who brings much. Moves when others move.", values=tuple(Quadrant)
    ),
    "points": MeasureRule(MeasureKind.COUNT, "Whole points for what it does beside buying; they fade on Mondays."),
    "points_band": MeasureRule(MeasureKind.TEXT, "Name of the range the points are in, as the policy has it."),
    "is_detractor": MeasureRule(MeasureKind.FLAG, "Whether it spoke against us lately and has not recovered."),
    "is_participant": MeasureRule(MeasureKind.FLAG, "Whether it is in a beta group, advisory board or the like today."),
    "participation_days": MeasureRule(
        MeasureKind.COUNT, "Days with such a membership, of the last 365.", companion=True
    ),
    "feedback_adopted": MeasureRule(MeasureKind.COUNT, "Pieces of feedback and ideas that we took up."),
    "feedback_declined": MeasureRule(MeasureKind.COUNT, "Pieces of feedback and ideas that we declined."),
    "feedback_open": MeasureRule(MeasureKind.COUNT, "Pieces of feedback and ideas without an outcome yet."),
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
