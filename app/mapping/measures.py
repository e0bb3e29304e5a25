"""What can be written back to the CRM: a closed list.

A *companion* (a date or a version that moves by itself every day) is written only together with another change of
the same account. On its own it never causes a write: otherwise every night would write every account.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from app.domain.availability import Readiness
from app.domain.care_events import Bucket, Decision
from app.domain.commitment import RUNGS
from app.domain.reference_record import Kind, Surprise
from app.domain.reference_scopes import ReferenceScope
from app.domain.roles import Stance
from app.domain.segments import Quadrant
from app.domain.triage import Severity


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
    is_consent: bool = False
    """What a customer allows: it leaves the CRM when it ends, whatever anybody made of the field."""
    values: tuple[str, ...] = ()
    """Every text it can have, where there are only a few: a restricted picklist must know them."""

    @property
    def usual(self) -> WriteType:
        """The type where neither the file nor the CRM says one."""
        if self.values:
            return WriteType.PICKLIST
        return WriteType.LONGTEXT if self.several_lines else WRITABLE_AS[self.kind][0]


RUNG_CODES = tuple(rung.code for rung in RUNGS)
READINESS = tuple(one for one in Readiness if one is not Readiness.NONE)

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
    "commitment_level": MeasureRule(MeasureKind.COUNT, "0 to 11: the highest rung of commitment that is proven."),
    "commitment_rung": MeasureRule(MeasureKind.TEXT, "The name of that rung; empty at 0.", values=RUNG_CODES),
    "commitment_gaps": MeasureRule(MeasureKind.TEXT, "Numbers of the rungs below the level that nothing proves."),
    "is_customer": MeasureRule(MeasureKind.FLAG, "Whether an annual licence is valid today."),
    "renewal_on": MeasureRule(MeasureKind.DATE, "The first day that its licence does not cover any more."),
    "permissions": MeasureRule(MeasureKind.TEXT, "Codes of what it lets us do with its name today.", is_consent=True),
    "strongest_permission": MeasureRule(
        MeasureKind.TEXT, "The furthest-reaching of them.", is_consent=True, values=tuple(ReferenceScope)
    ),
    "permissions_until": MeasureRule(
        MeasureKind.DATE, "The first day on which one of them no longer holds.", is_consent=True
    ),
    "promised_permissions": MeasureRule(
        MeasureKind.TEXT, "Codes of what it promised in deals and neither granted nor let us use."
    ),
    "promise_is_overdue": MeasureRule(MeasureKind.FLAG, "Whether one of these should have been granted by now."),
    "offer_level": MeasureRule(MeasureKind.COUNT, "0 hope to 4 total cost of ownership; empty: nobody rated lately."),
    "offer_before": MeasureRule(MeasureKind.COUNT, "The level of the offer before that."),
    "offer_is_stale": MeasureRule(MeasureKind.FLAG, "Whether the last rating of the offer is old."),
    "personal_level": MeasureRule(MeasureKind.COUNT, "0 visitor to 4 resource: the best of our people there."),
    "personal_latest": MeasureRule(MeasureKind.COUNT, "The same of whoever was rated last."),
    "personal_is_stale": MeasureRule(MeasureKind.FLAG, "Whether the rating behind the best level is old."),
    "recognitions": MeasureRule(MeasureKind.COUNT, "Tokens of esteem it gave us."),
    "reference_low": MeasureRule(MeasureKind.COUNT, "Reference quality, 0 to 100; what nobody rated counts nothing."),
    "reference_high": MeasureRule(MeasureKind.COUNT, "The same; what nobody rated counts full."),
    "reference_coverage": MeasureRule(MeasureKind.COUNT, "Percent of the traits of a reference that are rated."),
    "high_impact_traits": MeasureRule(MeasureKind.COUNT, "How many of its six traits are high."),
    "is_high_impact": MeasureRule(MeasureKind.FLAG, "Whether that is enough for a high-impact reference."),
    "reference_is_stale": MeasureRule(MeasureKind.FLAG, "Whether the last rating of its traits is old."),
    "references_given": MeasureRule(MeasureKind.COUNT, "References it gave, ever."),
    "references_won": MeasureRule(MeasureKind.COUNT, "How many of them were for deals that were won."),
    "reference_record": MeasureRule(
        MeasureKind.TEXT,
        "What its references look like: customer A, which helps little, or customer B; empty: it gave none.",
        values=tuple(Kind),
    ),
    "reference_surprise": MeasureRule(
        MeasureKind.TEXT,
        "How its references went against how they should have gone; empty: nobody said both.",
        values=tuple(Surprise),
    ),
    "days_to_accept": MeasureRule(MeasureKind.COUNT, "Days until it says yes, as a median."),
    "asks_used": MeasureRule(MeasureKind.COUNT, "Favours asked of it lately that count against the cap."),
    "ask_balance": MeasureRule(MeasureKind.COUNT, "What we gave back less what it gave; below zero we only take."),
    "reference_state": MeasureRule(
        MeasureKind.TEXT,
        "Whether it may be asked for a reference call (basic) today; empty: it never consented to any.",
        is_consent=True,
        values=READINESS,
    ),
    "available_from": MeasureRule(MeasureKind.DATE, "The day from which it may be asked again, where that is known."),
    "care_bucket": MeasureRule(MeasureKind.TEXT, "What we are to it; empty: nobody knows.", values=tuple(Bucket)),
    "care_before": MeasureRule(
        MeasureKind.TEXT, "What it answered last that is not what we are to it now.", values=tuple(Bucket)
    ),
    "care_is_inferred": MeasureRule(MeasureKind.FLAG, "Whether that is taken from usage: nobody asked lately."),
    "care_is_stale": MeasureRule(MeasureKind.FLAG, "Whether its last answer is old."),
    "care_conflict": MeasureRule(MeasureKind.FLAG, "Whether answer and usage are far apart."),
    "care_decision": MeasureRule(
        MeasureKind.TEXT,
        "Who are you: whether there is something in it for both sides; empty: not decided.",
        values=tuple(Decision),
    ),
    "is_in_limbo": MeasureRule(MeasureKind.FLAG, "Whether its value has stopped and its contract has not."),
    "has_agreed_value": MeasureRule(MeasureKind.FLAG, "Whether a measure of success is agreed on with it."),
    "customer_success": MeasureRule(
        MeasureKind.TEXT, "What it measures its success by: baseline, target, actual.", several_lines=True
    ),
    "champion_success": MeasureRule(
        MeasureKind.TEXT, "What its champion measures the own success by.", several_lines=True
    ),
    "success_is_stale": MeasureRule(
        MeasureKind.FLAG, "Whether one of these is agreed, not reached, and was not told for long."
    ),
    "next_call_on": MeasureRule(MeasureKind.DATE, "When one of its buyers should be called next."),
    "roles": MeasureRule(MeasureKind.TEXT, "What it is to us: buyer, advocate, innovator and so on."),
    "stance": MeasureRule(MeasureKind.TEXT, "Whether it speaks for us or against us.", values=tuple(Stance)),
    "contradictions": MeasureRule(MeasureKind.TEXT, "Codes of what does not fit together about it."),
    "urgency": MeasureRule(
        MeasureKind.TEXT, "How severe the most severe of its open problems is.", values=tuple(Severity)
    ),
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
