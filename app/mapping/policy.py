"""The policy block: how credit is given. Read from the file, overridden on the command line, versioned by content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Annotated, Any, Literal

from pydantic import Field, StrictBool, StrictInt, StrictStr, ValidationError

from app.domain.model import Chain, ChainMode, Influence, OpportunityType, Policy, Scope, Split
from app.domain.rules import AGAINST_US, MEMBERSHIPS, EngagementRules, OptionalRules, SegmentRules
from app.errors import ConfigError
from app.mapping.event_codes import EventCode
from app.mapping.grammar import Currency, Share, Strict, Zone
from app.mapping.render import suggest
from app.mapping.source import read_scalar
from app.mapping.standing_policy import SECTIONS, StandingModel, read_standing_rules, standing_content


class ChainModel(Strict):
    mode: ChainMode = Field(
        ChainMode.SEPARATE, description="separate: a column of its own; carve_out: shares the credit; none"
    )
    delta: Share = Field(Fraction(1, 2), description="what is passed on per step")
    depth: StrictInt = Field(3, ge=1, le=10, description="how many steps up")


class InfluenceModel(Strict):
    include: StrictBool = Field(False, description="whether influence counts in the total")
    rho: Share = Field(Fraction(0), description="largest share of a deal that influence may take")


Days = Annotated[StrictInt, Field(ge=1, le=3650)]
Cap = Annotated[StrictInt, Field(ge=1, le=1000)]
Points = Annotated[StrictInt, Field(ge=-1000, le=1000)]
Band = Annotated[StrictStr, Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Least = Annotated[StrictInt, Field(ge=1, le=1_000_000)]
Threshold = Annotated[StrictInt, Field(ge=0, le=10**15)] | Literal["median"]
RULES = EngagementRules()


class EngagementModel(Strict):
    half_life_days: Days = Field(RULES.half_life_days, description="after so many days points are worth half")
    half_lives: dict[EventCode, Days] = Field({}, max_length=200, description="the same for single types of events")
    points: dict[EventCode, Points] = Field(
        {}, max_length=200, description="points of single types, where not the default; 0 mutes a type"
    )
    cap: Cap = Field(RULES.cap, description="how many events of one type count in a calendar quarter")
    caps: dict[EventCode, Cap] = Field({}, max_length=200, description="the same for single types of events")
    bands: dict[Band, Least] = Field(
        dict(RULES.bands), max_length=20, description="names for scores: band and the least points it takes"
    )
    detractor_days: Days = Field(RULES.detractor_days, description="how long a word against us counts")
    detractor_types: list[EventCode] = Field(
        list(AGAINST_US), max_length=50, description="types that always speak against us"
    )
    participation_days: Days = Field(RULES.participation_days, description="how far back days of membership count")
    participation_types: list[EventCode] = Field(
        list(MEMBERSHIPS), max_length=50, description="memberships that are participation"
    )


class SegmentsModel(Strict):
    direct: Threshold = Field("median", description="own revenue is high from here on: whole units, or median")
    referred: Threshold = Field("median", description="the same for referred revenue")


Cost = Annotated[StrictInt, Field(ge=0, le=10**9)]


class OptionalModel(Strict):
    margin: Share | None = Field(None, description="gross margin, 0 to 1")
    incentive: Cost | None = Field(None, description="paid for one customer that was brought; whole units")
    retention_cost: Cost | None = Field(None, description="spent on keeping such a customer; whole units")
    acquisition_cost: Cost | None = Field(None, description="of a customer that nobody brought; whole units")
    would_have_come: Share = Field(
        OptionalRules().would_have_come, description="part of the customers brought that would have come anyway"
    )


class PolicyModel(StandingModel):
    split: Split = Field(Split.EQUAL, description="how several referrers share one deal")
    half_life_days: StrictInt = Field(30, ge=1, le=3650, description="for split: time_decay")
    scope: Scope = Field(Scope.WINDOW, description="which deals of a referred account count")
    window_days: StrictInt = Field(365, ge=1, le=36500, description="for scope: window")
    credited_types: list[OpportunityType] = Field(
        [OpportunityType.NEW, OpportunityType.UPSELL, OpportunityType.UNKNOWN],
        description="types of deals that the referral of an account or a domain can earn",
    )
    exclusive: StrictBool = Field(True, description="only the strongest kind of evidence on a deal competes")
    intra_group: Literal["deny", "allow"] = Field("deny", description="credit between members of one group")
    chain: ChainModel = Field(ChainModel(), description="credit further up a chain of referrals")
    influence: InfluenceModel = Field(InfluenceModel(), description="credit for reference calls and the like")
    time_zone: Zone = Field("UTC", description="IANA name; decides the date of a moment")
    reporting_currency: Currency = Field("USD", description="ISO code; all results are in it")
    grace_days: StrictInt = Field(0, ge=0, le=365, description="a referral may come this many days after the deal")
    engagement: EngagementModel = Field(EngagementModel(), description="points, detractors and participation")
    segments: SegmentsModel = Field(SegmentsModel(), description="what counts as high in the quadrant")
    optional_measures: OptionalModel = Field(OptionalModel(), description="inputs of crv, acquisition_savings and brv")


def read_policy(model: PolicyModel) -> Policy:
    return Policy(
        split=model.split,
        half_life_days=model.half_life_days,
        scope=model.scope,
        window_days=model.window_days,
        credited_types=frozenset(model.credited_types),
        exclusive=model.exclusive,
        intra_group=model.intra_group == "allow",
        chain=Chain(model.chain.mode, model.chain.delta, model.chain.depth),
        influence=Influence(model.influence.include, model.influence.rho),
        time_zone=model.time_zone,
        reporting_currency=model.reporting_currency,
        grace_days=model.grace_days,
        engagement=_read_engagement(model.engagement),
        segments=SegmentRules(_read_threshold(model.segments.direct), _read_threshold(model.segments.referred)),
        **read_standing_rules(model),
        optional_measures=OptionalRules(
            **{name: getattr(model.optional_measures, name) for name in OptionalModel.model_fields}
        ),
    )


def _read_engagement(model: EngagementModel) -> EngagementRules:
    types = {name: frozenset(getattr(model, name)) for name in ("detractor_types", "participation_types")}
    return EngagementRules(**{**{name: getattr(model, name) for name in type(model).model_fields}, **types})


def _read_threshold(threshold: int | str) -> int | None:
    return threshold if isinstance(threshold, int) else None


def policy_content(policy: Policy) -> dict[str, Any]:
    """The policy as it would stand in a file: every key, defaults included, one spelling for each value."""
    return {
        "split": policy.split.value,
        "half_life_days": policy.half_life_days,
        "scope": policy.scope.value,
        "window_days": policy.window_days,
        "credited_types": sorted(one.value for one in policy.credited_types),
        "exclusive": policy.exclusive,
        "intra_group": "allow" if policy.intra_group else "deny",
        "chain": {"mode": policy.chain.mode.value, "delta": str(policy.chain.delta), "depth": policy.chain.depth},
        "influence": {"include": policy.influence.include, "rho": str(policy.influence.rho)},
        "time_zone": policy.time_zone,
        "reporting_currency": policy.reporting_currency,
        "grace_days": policy.grace_days,
        "engagement": _engagement_content(policy.engagement),
        "optional_measures": {
            name: str(value) if isinstance(value, Fraction) else value
            for name in OptionalModel.model_fields
            for value in (getattr(policy.optional_measures, name),)
        },
        "segments": {
            name: "median" if amount is None else amount
            for name, amount in (("direct", policy.segments.direct), ("referred", policy.segments.referred))
        },
        **{section: standing_content(getattr(policy, section)) for section in SECTIONS},
    }


def _engagement_content(rules: EngagementRules) -> dict[str, Any]:
    found = {name: getattr(rules, name) for name in EngagementModel.model_fields}
    return {
        name: sorted(value) if isinstance(value, frozenset) else dict(value) if isinstance(value, Mapping) else value
        for name, value in found.items()
    }


def policy_version(policy: Policy) -> str:
    """12 hex digits that change exactly when the policy does."""
    return digest(policy_content(policy))[:12]


def digest(content: object) -> str:
    """SHA-256 of plain data; the order of keys does not matter."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


def apply_policy_overrides(policy: Policy, overrides: Sequence[str]) -> Policy:
    """The policy with `key=value` changes, e.g. `split=first`, `chain.mode=none`, `credited_types=new,upsell`.

    ConfigError names every override that cannot be used.
    """
    content = policy_content(policy)
    faults = [fault for text in overrides if (fault := _override(content, text))]
    if faults:
        raise faults[0] if len(faults) == 1 else _together(faults)
    try:
        return read_policy(PolicyModel.model_validate(content))
    except ValidationError as failure:
        raise _together([_refused(error) for error in failure.errors()]) from None


def _override(content: dict[str, Any], text: str) -> ConfigError | None:
    key, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not key:
        return ConfigError(f"{text[:60]!r} is not key=value", code="ADV-MAP-041", hint="e.g. --policy window_days=90")
    known = sorted(_keys(content))
    if key not in known:
        return ConfigError(f"unknown policy key {key[:60]!r}", code="ADV-MAP-040", hint=suggest(key, known))
    block, _, last = key.rpartition(".")
    place = content[block] if block else content
    place[last] = _read_value(key, value)
    return None


def _keys(content: dict[str, Any]) -> list[str]:
    nested = [f"{key}.{inner}" for key, value in content.items() if isinstance(value, dict) for inner in value]
    return [key for key, value in content.items() if not isinstance(value, dict)] + nested


_LISTS = frozenset({"credited_types", "detractor_types", "participation_types"})


def _read_value(key: str, text: str) -> object:
    if key.rpartition(".")[2] in _LISTS:
        return [word for part in text.strip("[]").split(",") if (word := part.strip())]
    # An exact decimal is fine for a share; everything else is as it would be in the file.
    return read_scalar(text)


def _refused(error: Any) -> ConfigError:
    key = ".".join(str(step) for step in error["loc"] if not isinstance(step, int))
    context = error.get("ctx", {})
    expected = str(context.get("expected", "")) or str(context.get("hint", ""))
    return ConfigError(f"policy {key}: {error['msg']}", code="ADV-MAP-041", hint=expected)


def _together(faults: Sequence[ConfigError]) -> ConfigError:
    if len(faults) == 1:
        return faults[0]
    hints = " ".join(dict.fromkeys(fault.hint for fault in faults if fault.hint))
    return ConfigError("; ".join(fault.message for fault in faults), code=faults[0].code, hint=hints)
