"""Prospects like the customers who need us: what counts as shared, and who comes first."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.lookalikes import (
    Kind,
    Profile,
    compare,
    rank_lookalikes,
    traits_of,
)
from app.domain.rules import CareRules


def profile(id_, pipeline=0, **told):
    """`told`: kind -> one value or several."""
    values = {Kind(kind): [value] if isinstance(value, str) else value for kind, value in told.items()}
    return Profile(id_, id_.title(), traits_of(values), pipeline)


LEAST = CareRules().least_shared
IDEAL = profile(
    "ideal", reason=["saves a day a week", "no outages"], product=["Alpha", "Beta"], industry="Retail",
    size="250-999", region="EMEA", language=["de", "fr"],
)  # fmt: skip


@pytest.mark.parametrize(
    ("told", "reasons"),
    [
        ({}, ()),
        ({"industry": "Finance"}, ()),
        ({"industry": "Retail"}, ("industry: Retail",)),
        ({"industry": " RETAIL "}, ("industry: RETAIL",)),
        ({"industry": "Retail", "region": "emea"}, ("industry: Retail", "region: emea")),
        ({"region": "Retail"}, ()),  # the same word of another kind is something else
        ({"product": ["Alpha", "Gamma"]}, ("product: Alpha",)),
        ({"product": ["beta", "ALPHA"]}, ("product: ALPHA, beta",)),
        ({"reason": "No  outages", "size": "250-999"}, ("reason: No outages", "size: 250-999")),
        ({"reason": ["cheaper"], "language": ["fr", "en"]}, ("language: fr",)),
        ({"use_case": "", "role": ["", " "], "industry": "retail"}, ("industry: retail",)),
    ],
)
def test_what_two_accounts_share_is_named_in_the_prospects_words(told, reasons):
    assert compare(profile("p", **told), IDEAL).reasons == reasons


def test_s3_12_prospects_that_resemble_need_you_customers():
    """At least two reasons of different kinds, named; one alone is chance."""
    prospects = [
        profile("twin", product=["Alpha"], industry="Retail", region="EMEA", size="250-999"),
        profile("cousin", industry="Retail", reason="no outages"),
        profile("chance", industry="Retail"),
        profile("shopper", product=["Alpha", "Beta"]),  # two products are one kind of thing
        profile("stranger", industry="Mining", region="APAC"),
    ]
    found = rank_lookalikes(prospects, [IDEAL], LEAST)
    assert [(one.prospect.id, one.ideal.id) for one in found] == [("twin", "ideal"), ("cousin", "ideal")]
    assert all(len(one.reasons) >= 2 for one in found)
    assert found[1].reasons == ("reason: no outages", "industry: Retail")


def test_each_prospect_is_told_once_with_the_customer_it_resembles_most():
    ideals = [
        profile("b", industry="Retail", region="EMEA"),
        profile("a", industry="Retail", region="EMEA"),
        profile("c", industry="Retail", region="EMEA", size="1-49"),
    ]
    assert rank_lookalikes([profile("p", industry="Retail", region="EMEA")], ideals, LEAST)[0].ideal.id == "a"
    closest = rank_lookalikes([profile("p", industry="Retail", region="EMEA", size="1-49")], ideals, LEAST)
    assert [one.ideal.id for one in closest] == ["c"]


def test_the_closest_come_first_then_the_larger_pipeline_then_the_lesser_id():
    two = {"industry": "Retail", "region": "EMEA"}
    prospects = [
        profile("d", 10, **two),
        profile("c", 90, **two),
        profile("b", 10, **two),
        profile("a", 0, **two, size="250-999"),
        profile("e", 0, industry="Retail", product=["Alpha", "Beta"]),
    ]
    assert [one.prospect.id for one in rank_lookalikes(prospects, [IDEAL], LEAST)] == ["a", "e", "c", "b", "d"]


def test_an_account_does_not_resemble_itself():
    assert rank_lookalikes([IDEAL], [IDEAL], LEAST) == []


def test_how_much_must_be_shared_can_be_told():
    prospect = profile("p", industry="Retail")
    assert len(rank_lookalikes([prospect], [IDEAL], least=1)) == 1
    assert rank_lookalikes([prospect], [IDEAL], least=2) == []


values = st.sampled_from(("a", "A", "b", " b ", ""))
told = st.dictionaries(st.sampled_from(Kind), st.lists(values, max_size=3), max_size=5)
profiles = st.lists(
    st.builds(lambda id_, said, pipeline: Profile(id_, id_, traits_of(said), pipeline),
              st.sampled_from("uvwxyz"), told, st.integers(0, 2)),
    max_size=6, unique_by=lambda one: one.id,
)  # fmt: skip


@given(profiles, profiles, st.randoms(use_true_random=False))
def test_it_is_what_comparing_everybody_with_everybody_gives(prospects, ideals, random):
    expected = []
    for prospect in prospects:
        pairs = [compare(prospect, ideal) for ideal in ideals if ideal.id != prospect.id]
        best = min(pairs, key=lambda one: (-one.kinds, -len(one.shared), one.ideal.id), default=None)
        if best is not None and best.kinds >= 2:
            expected.append(best)
    expected.sort(key=lambda one: (-one.kinds, -len(one.shared), -one.prospect.pipeline, one.prospect.id))
    random.shuffle(prospects)
    random.shuffle(ideals)
    assert rank_lookalikes(prospects, ideals, LEAST) == expected


@given(told, st.randoms(use_true_random=False))
def test_traits_do_not_depend_on_the_order_of_values(said, random):
    shuffled = {kind: random.sample(values, len(values)) for kind, values in reversed(said.items())}
    one, other = traits_of(said), traits_of(shuffled)
    assert {(t.kind, t.key, t.shown) for t in one} == {(t.kind, t.key, t.shown) for t in other}
