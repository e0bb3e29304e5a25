"""A good file, what it becomes, and when two files mean the same."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.model import ChainMode, OpportunityType, Policy, Scope, Split
from app.domain.rows import Entity
from app.domain.rules import EngagementRules, OptionalRules, SegmentRules
from app.errors import ConfigError, MappingError
from app.mapping.file import apply_policy_overrides, load_mapping, parse_mapping
from app.mapping.measures import MEASURES
from app.mapping.policy import policy_version
from app.mapping.transforms import TransformName
from connectors.contract import AnyOf, Condition, Operator

SHIPPED = sorted(Path(__file__).resolve().parents[3].glob("mappings/*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_every_shipped_mapping_is_fine(path: Path) -> None:
    mapping = load_mapping(path)

    assert mapping.crm == path.stem
    assert mapping.policy == Policy()
    assert {"direct", "referred", "total"} <= set(mapping.write_back.fields)


def test_the_salesforce_mapping_reads_dated_rates_beside_the_static_ones() -> None:
    mapping = load_mapping(next(path for path in SHIPPED if path.stem == "salesforce"))

    assert mapping.entities[Entity.CURRENCY_RATE].object == "CurrencyType"
    assert mapping.dated_rates is not None
    assert mapping.dated_rates.object == "DatedConversionRate"
    assert mapping.write_back.fields["total"].field == "Total_Customer_Value__c"


def test_a_file_becomes_frozen_values(changed) -> None:
    mapping = changed()

    accounts = mapping.entities[Entity.ACCOUNT]
    assert accounts.where == (Condition("Type", Operator.IN, ("Customer", "Partner")),)
    assert accounts.attributes["industry"].optional
    names = [step.name for step in mapping.entities[Entity.OPPORTUNITY].attributes["type"].transform]
    assert names == [TransformName.TRIM, TransformName.MAP]
    assert mapping.policy.window_days == 90
    assert mapping.write_back.object == "Account"
    assert mapping.write_back.fields["explanation"].max_length == 500
    with pytest.raises(AttributeError):
        mapping.crm = "other"


def test_any_of_several_conditions(changed) -> None:
    mapping = changed(
        (
            "{field: Type, op: in, value: [Customer, Partner]}",
            "{any: [{field: A, value: 1}, {field: B, op: like, value: 'x%'}]}",
        )
    )

    assert mapping.entities[Entity.ACCOUNT].where == (
        AnyOf((Condition("A", Operator.EQ, 1), Condition("B", Operator.LIKE, "x%"))),
    )


def test_a_mapping_without_write_back_writes_nothing(good: str) -> None:
    mapping = parse_mapping(good[: good.index("write_back:")])

    assert mapping.write_back.fields == {}
    assert mapping.write_back.object == "Account"


def test_companions_are_the_measures_that_move_by_themselves() -> None:
    moving = {"as_of", "synced_at", "policy_version", "participation_days"}

    assert {name for name, rule in MEASURES.items() if rule.companion} == moving


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: Name", "name: {field: Name}"),
        ("version: 1\ncrm: salesforce", "# a comment\ncrm: salesforce\nversion: 1"),
        ("window_days: 90", "window_days: 90\n  split: equal\n  chain: {mode: separate, delta: 0.5}"),
        (
            "transform: [trim, {map: {values: {New: new}}}]",
            "transform: [{trim: true}, {map: {values: {New: new}, otherwise: keep}}]",
        ),
        ("total: Total__c", "total: {field: Total__c, policy: overwrite}"),
        ("value: [Customer, Partner]", "value: ['Customer', \"Partner\"]"),
    ],
)
def test_spelling_does_not_change_the_digest(changed, old: str, new: str) -> None:
    assert changed((old, new)).digest == changed().digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: Name", "name: Title"),
        ("{New: new}", "{New: upsell}"),
        ("window_days: 90", "window_days: 91"),
        ("[Customer, Partner]", "[Partner, Customer]"),
        ("op: in", "op: not in"),
        ("optional: true}\nopp", "optional: false}\nopp"),
        ("max_length: 500", "max_length: 501"),
        ("[trim, {map", "[lower, {map"),
    ],
)
def test_meaning_changes_the_digest(changed, old: str, new: str) -> None:
    assert changed((old, new)).digest != changed().digest


def test_the_policy_version_moves_with_the_policy_only(changed) -> None:
    before = changed()

    assert changed(("name: Name", "name: Title")).policy_version == before.policy_version
    assert changed(("window_days: 90", "window_days: 91")).policy_version != before.policy_version
    assert len(before.policy_version) == 12
    assert before.policy_version == policy_version(before.policy)


def test_the_version_of_the_default_policy_never_changes_by_accident() -> None:
    assert policy_version(Policy()) == "1a659392948c"


def test_overrides_change_single_keys() -> None:
    policy = apply_policy_overrides(
        Policy(),
        [
            "split=first",
            "window_days=90",
            "chain.mode=none",
            "chain.delta=1/3",
            "credited_types=new,renewal",
            "intra_group=allow",
            "influence.rho=0.25",
            "engagement.cap=3",
            "engagement.detractor_types=complaint,x_angry",
            "segments.direct=50000",
            "optional_measures.margin=0.4",
            "optional_measures.incentive=50",
        ],
    )

    assert (policy.split, policy.window_days, policy.scope) == (Split.FIRST, 90, Scope.WINDOW)
    assert policy.chain.mode is ChainMode.NONE
    assert policy.chain.delta == Fraction(1, 3)
    assert policy.credited_types == {OpportunityType.NEW, OpportunityType.RENEWAL}
    assert policy.intra_group
    assert policy.influence.rho == Fraction(1, 4)
    assert policy.engagement.cap == 3
    assert policy.engagement.detractor_types == {"complaint", "x_angry"}
    assert (policy.segments.direct, policy.segments.referred) == (50_000, None)
    assert policy.optional_measures == OptionalRules(Fraction(2, 5), 50)


def test_the_rhythm_of_calls_and_the_marks_of_references_are_policy() -> None:
    policy = apply_policy_overrides(
        Policy(),
        ["care.call_before_due=false", "care.least_shared=3", "reference.prompt_days=5", "reference.chasing_days=30"],
    )

    assert (policy.care.call_before_due, policy.care.least_shared) == (False, 3)
    assert (policy.reference.prompt_days, policy.reference.chasing_days) == (5, 30)


@pytest.mark.parametrize("rung", range(13))
def test_only_rungs_without_an_agreed_end_have_a_validity(good: str, rung: int) -> None:
    """A pilot, a licence and a consent (5, 7, 8) end when it was agreed that they end: days of theirs would say
    nothing, or take a consent away that still holds.
    """
    text = good.replace("window_days: 90", f"window_days: 90\n  commitment: {{validity_days: {{{rung}: 5}}}}")
    if rung in (1, 2, 3, 4, 6, 9, 10, 11):
        assert parse_mapping(text).policy.commitment.validity_days[rung] == 5
    else:
        with pytest.raises(MappingError):
            parse_mapping(text)


def test_no_overrides_change_nothing() -> None:
    assert apply_policy_overrides(Policy(), []) == Policy()


@pytest.mark.parametrize(
    ("override", "code", "said"),
    [
        ("window_day=90", "040", "did you mean 'window_days'?"),
        ("chain=none", "040", "chain.mode"),
        ("window_days", "041", "key=value"),
        ("=5", "041", "key=value"),
        ("window_days=soon", "041", "window_days"),
        ("split=equl", "041", "equal"),
        ("chain.delta=2", "041", "more than 1"),
        ("exclusive=maybe", "041", "exclusive"),
        ("time_zone=Mars", "041", "time zone"),
        ("reporting_currency=eur", "041", "currency"),
        ("credited_types=neu", "041", "credited_types"),
        ("engagement.cap=0", "041", "engagement.cap"),
        ("engagement.detractor_types=complain", "041", "did you mean 'complaint'?"),
        ("engagement.points=5", "041", "engagement.points"),
        ("care.call_before_due=perhaps", "041", "care.call_before_due"),
        ("care.least_shared=0", "041", "care.least_shared"),
        ("reference.chasing_days=0", "041", "reference.chasing_days"),
        ("segments.direct=mean", "041", "segments.direct"),
        ("optional_measures.margin=2", "041", "more than 1"),
    ],
)
def test_nonsense_in_an_override_is_refused(override: str, code: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        apply_policy_overrides(Policy(), [override])

    assert refused.value.code == f"ADV-MAP-{code}"
    assert said in f"{refused.value.message} {refused.value.hint}"


def test_all_wrong_overrides_are_named_together() -> None:
    with pytest.raises(ConfigError, match=r"'a'.*'b'"):
        apply_policy_overrides(Policy(), ["a=1", "b=2", "split=first"])


@given(
    st.builds(
        Policy,
        split=st.sampled_from(Split),
        scope=st.sampled_from(Scope),
        window_days=st.integers(1, 36500),
        half_life_days=st.integers(1, 3650),
        credited_types=st.frozensets(st.sampled_from(OpportunityType)),
        exclusive=st.booleans(),
        intra_group=st.booleans(),
        grace_days=st.integers(0, 365),
        engagement=st.builds(
            EngagementRules,
            points=st.dictionaries(st.sampled_from(("referral", "x_ours")), st.integers(-1000, 1000)),
            bands=st.dictionaries(st.sampled_from(("some", "many")), st.integers(1, 10**6)),
            detractor_types=st.frozensets(st.sampled_from(("complaint", "x_angry"))),
        ),
        optional_measures=st.builds(
            OptionalRules, st.none() | st.fractions(0, 1, max_denominator=100), st.none() | st.integers(0, 10**9)
        ),
        segments=st.builds(SegmentRules, st.none() | st.integers(0, 10**15), st.none() | st.integers(0, 10**15)),
    )
)
def test_a_policy_survives_being_written_and_read(policy: Policy) -> None:
    assert apply_policy_overrides(policy, [f"window_days={policy.window_days}"]) == policy


def test_problems_of_two_sections_come_together(good: str) -> None:
    with pytest.raises(MappingError) as refused:
        parse_mapping(good.replace("object: Account", "object: A B").replace("object: Opportunity", "object: O P"))

    assert [problem.line for problem in refused.value.problems] == [6, 14]
