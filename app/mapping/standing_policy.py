"""The parts of the policy block for the human measures: one section of the file for each set of rules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from datetime import date
from fractions import Fraction
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictInt, StrictStr, WithJsonSchema

from app.domain.calls import SkipReason
from app.domain.care_events import Bucket
from app.domain.reference_events import TRAITS
from app.domain.roles import ROLES
from app.domain.rules import CareRules, CommitmentRules, ReferenceRules, RelationshipRules, RoleRules, TriageRules
from app.domain.segments import Quadrant
from app.domain.triage import Severity
from app.mapping.event_codes import EventCode
from app.mapping.grammar import Share, Strict, fault

Days = Annotated[StrictInt, Field(ge=1, le=3650)]
Percent = Annotated[StrictInt, Field(ge=0, le=100)]
Months = Annotated[StrictInt, Field(ge=0, le=600)]
Count = Annotated[StrictInt, Field(ge=0, le=1000)]
Rung = Annotated[StrictStr, Field(pattern=r"^(?:[1-469]|1[01])$")]
"""A pilot, a licence and a consent (5, 7, 8) last as long as was agreed."""
Label = Annotated[StrictStr, Field(min_length=1, max_length=40)]
Tier = Annotated[StrictStr, Field(pattern=r"^[ABC]$")]
Skip = Annotated[StrictStr, Field(pattern=rf"^(?:{'|'.join(SkipReason)})$")]
Asked = Annotated[StrictStr, Field(pattern=rf"^(?:{'|'.join(Bucket)}|unknown)$")]
Trait = Annotated[StrictStr, Field(pattern=rf"^(?:{'|'.join(TRAITS)})$")]


def _read_positive(value: object) -> Fraction:
    """A number above zero: 2, 0.5 or 1/2."""
    try:
        number = Fraction(str(value)) if not isinstance(value, bool) else Fraction(0)
    except (ValueError, ZeroDivisionError):
        number = Fraction(0)
    if not 0 < number <= 1000 or len(str(value)) > 40:
        raise fault(14, f"{str(value)[:40]!r} is not a number above 0", "write it like 2, 0.5 or 1/2")
    return number


def _check_role(role: str) -> str:
    if role not in ROLES and not role.startswith("x_"):
        raise fault(13, f"{role[:60]!r} is not a role", f"one of {', '.join(ROLES)}, or one of your own: x_...")
    return role


Positive = Annotated[
    Fraction,
    BeforeValidator(_read_positive),
    WithJsonSchema({"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string"}]}),
]
Role = Annotated[StrictStr, AfterValidator(_check_role)]

COMMITMENT, RELATIONSHIP, REFERENCE = CommitmentRules(), RelationshipRules(), ReferenceRules()
CARE, TRIAGE, ROLE = CareRules(), TriageRules(), RoleRules()


class CommitmentModel(Strict):
    validity_days: dict[Rung, Days] = Field(
        {str(rung): days for rung, days in COMMITMENT.validity_days.items()},
        max_length=8,
        description="rung: how long what proves it proves it, where it names no end",
    )
    pilot_grace_days: Count = Field(COMMITMENT.pilot_grace_days, description="a pilot proves its rung so long after it")
    assumed_term_months: Months = Field(
        COMMITMENT.assumed_term_months,
        description="a won deal whose term the CRM does not name is a licence of so many months; 0: it is none",
    )
    licence_months: Annotated[StrictInt, Field(ge=1, le=120)] = Field(
        COMMITMENT.licence_months, description="the least term of an annual licence; a shorter deal is a pilot"
    )
    promise_days: Days = Field(COMMITMENT.promise_days, description="a permission promised in a deal is due after them")


class RelationshipModel(Strict):
    rating_days: Days = Field(RELATIONSHIP.rating_days, description="how long a rating counts")
    stale_days: Days = Field(RELATIONSHIP.stale_days, description="a rating this old should be renewed")
    tco_alone: StrictBool = Field(
        RELATIONSHIP.tco_alone, description="level 4 of the offer without a premium, first call or last chance"
    )


class ReferenceModel(Strict):
    asks_per_window: Count = Field(REFERENCE.asks_per_window, description="more asks than that tire a customer")
    window_days: Days = Field(REFERENCE.window_days, description="the window of those asks")
    cooldown_days: Count = Field(REFERENCE.cooldown_days, description="between one ask and the next")
    traits_days: Days = Field(REFERENCE.traits_days, description="how long a rated trait counts")
    stale_days: Days = Field(REFERENCE.stale_days, description="traits rated so long ago should be rated again")
    high_trait: Annotated[StrictInt, Field(ge=1, le=4)] = Field(REFERENCE.high_trait, description="high from here on")
    high_impact_traits: Annotated[StrictInt, Field(ge=1, le=6)] = Field(
        REFERENCE.high_impact_traits, description="so many high traits make a high-impact reference"
    )
    weights: dict[Trait, Count] = Field({}, description="of single traits, where not 1; 0 leaves a trait out")
    weak_share: Share = Field(
        REFERENCE.weak_share, description="a programme with a smaller share of high-impact references is weak"
    )
    goal_per_quarter: Count | None = Field(None, description="new reference customers per calendar quarter")
    small_sample: Count = Field(REFERENCE.small_sample, description="nothing is said about fewer outcomes")
    prompt_days: Count = Field(REFERENCE.prompt_days, description="a yes within them is prompt: a customer B")
    chasing_days: Days = Field(REFERENCE.chasing_days, description="a yes that took them was chased: a customer A")


class CareModel(Strict):
    answer_days: Days = Field(CARE.answer_days, description="how long an answer decides")
    stale_days: Days = Field(CARE.stale_days, description="an answer this old should be asked for again")
    metric_stale_days: Days = Field(
        CARE.metric_stale_days, description="an agreed measure of success, not reached, should be told anew after them"
    )
    usage_days: Days = Field(CARE.usage_days, description="how long a report of usage counts")
    cut_percent: Percent = Field(CARE.cut_percent, description="usage below it, of the own baseline: who are you")
    alternatives_percent: Percent = Field(CARE.alternatives_percent, description="usage below it: ok, no more")
    limbo_percent: Percent = Field(CARE.limbo_percent, description="usage below it under contract: in limbo")
    interval_days: dict[Asked, Days] = Field(
        dict(CARE.interval_days), description="bucket: days from one call to the next"
    )
    recent_contact_days: Count = Field(CARE.recent_contact_days, description="no call so soon after any contact")
    call_before_due: StrictBool = Field(
        CARE.call_before_due, description="on a day on which nobody is due, call whoever is closest to it"
    )
    tiers: dict[Tier, Positive] = Field(
        dict(CARE.tiers), description="value tier: what its intervals are multiplied by"
    )
    tier_percentiles: dict[Tier, Percent] = Field(
        dict(CARE.tier_percentiles), description="value tier: the least percentile it takes"
    )
    skip_days: dict[Skip, Days] = Field(dict(CARE.skip_days), description="why a call was skipped: days until the next")
    work_days: list[Annotated[StrictInt, Field(ge=0, le=6)]] = Field(
        list(CARE.work_days), min_length=1, max_length=7, description="0 is Monday"
    )
    holidays: list[date] = Field([], max_length=400, description="days without calls, e.g. 2026-12-25")
    least_shared: Annotated[StrictInt, Field(ge=1, le=8)] = Field(
        CARE.least_shared, description="a look-alike shares so many kinds of things with a customer that needs us"
    )


class TriageModel(Strict):
    severities: dict[EventCode, Severity] = Field(
        {code: Severity(one) for code, one in TRIAGE.severities.items()},
        max_length=50,
        description="urgent types: how severe, where the event does not say",
    )
    hours_per_item: Positive = Field(TRIAGE.hours_per_item, description="effort, where the event does not say")
    price_level_max: Annotated[StrictInt, Field(ge=0, le=4)] = Field(
        TRIAGE.price_level_max, description="up to this offer level we are bought for the price"
    )
    small_direct_share: Share = Field(
        TRIAGE.small_direct_share, description="own purchases of at most this part are those of a tiny spender"
    )
    renewal_days: Days = Field(TRIAGE.renewal_days, description="how many days ahead a renewal is near")
    quadrant_labels: dict[Quadrant, Label] = Field(
        {Quadrant(code): label for code, label in TRIAGE.quadrant_labels.items()}, description="for people"
    )


class RolesModel(Strict):
    days: Days = Field(ROLE.days, description="how long a deed gives its role")
    lasting: list[Role] = Field(sorted(ROLE.lasting), max_length=50, description="roles that no time takes away")
    roles: dict[EventCode, list[Role]] = Field(
        {}, max_length=200, description="type: its roles, where not the default; []: none"
    )
    advocate_days: Days = Field(ROLE.advocate_days, description="how long a good word counts")


class StandingModel(Strict):
    """The sections as fields, for the policy block to take over."""

    commitment: CommitmentModel = Field(CommitmentModel(), description="the commitment ladder")
    relationship: RelationshipModel = Field(RelationshipModel(), description="ratings of the offer and of our people")
    reference: ReferenceModel = Field(ReferenceModel(), description="asking for references, and how good they are")
    care: CareModel = Field(CareModel(), description="why customers care, and the rhythm of calls")
    triage: TriageModel = Field(TriageModel(), description="what is urgent, and what does not fit together")
    roles: RolesModel = Field(RolesModel(), description="what customers are to us beside buyers")


def read_standing_rules(model: StandingModel) -> dict[str, Any]:
    """Section -> its rules. Of days per bucket and the like, those that a file does not name keep their default."""
    validity = {int(rung): days for rung, days in model.commitment.validity_days.items()}
    care, triage = _values(model.care), _values(model.triage)
    kept = ("interval_days", "tiers", "tier_percentiles", "skip_days")
    roles = {code: tuple(names) for code, names in model.roles.roles.items()}
    return {
        "commitment": CommitmentRules(
            **{**_values(model.commitment), "validity_days": {**COMMITMENT.validity_days, **validity}}
        ),
        "relationship": RelationshipRules(**_values(model.relationship)),
        "reference": ReferenceRules(**_values(model.reference)),
        "care": CareRules(
            **care
            | {name: {**getattr(CARE, name), **care[name]} for name in kept}
            | {"work_days": tuple(sorted(set(care["work_days"]))), "holidays": tuple(sorted(care["holidays"]))}
        ),
        "triage": TriageRules(**{**triage, "quadrant_labels": {**TRIAGE.quadrant_labels, **triage["quadrant_labels"]}}),
        "roles": RoleRules(model.roles.days, frozenset(model.roles.lasting), roles, model.roles.advocate_days),
    }


def _values(model: Strict) -> dict[str, Any]:
    return {name: getattr(model, name) for name in type(model).model_fields}


SECTIONS = tuple(StandingModel.model_fields)


def standing_content(rules: Any) -> dict[str, Any]:
    """A set of rules as it would stand in the file: every key, one spelling for each value."""
    return {one.name: _plain(getattr(rules, one.name)) for one in fields(rules)}


def _plain(value: object) -> object:
    match value:
        case Fraction() | date():
            return str(value)
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case frozenset():
            return sorted(value)
        case tuple() | list():
            return [_plain(one) for one in value]
        case str():
            return str(value)
        case _:
            return value
