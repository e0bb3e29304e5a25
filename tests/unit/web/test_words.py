"""Numbers and rules in words: what a salesperson reads on the page of a customer."""

from __future__ import annotations

from datetime import date
from fractions import Fraction
from typing import Any

import pytest

from app.domain.model import Influence, OpportunityType, Policy, Scope, Split
from app.domain.segments import Quadrant
from app.sync.standing import Card, StandingView, ToDo
from app.web.pages import build_templates, group_lines, list_kinds
from app.web.words import (
    KINDS,
    QUADRANTS,
    describe_policy,
    name_quadrants,
    show_part,
    show_points,
    show_rule,
    show_share,
)


@pytest.mark.parametrize(
    ("share", "text"),
    [
        ("1", "100 %"),
        ("1/2", "50 %"),
        ("1/3", "33.3 %"),
        ("2/3", "66.6 %"),
        ("1/9999", "less than 0.1 %"),
        ("0", "0 %"),
    ],
)
def test_a_share_reads_as_percent(share: str, text: str) -> None:
    assert show_share(share) == text


@pytest.mark.parametrize(("share", "text"), [("1", "100 %"), ("1/3", "1/3 (33.3 %)")])
def test_a_part_of_a_deal_is_said_exactly(share, text):
    assert show_part(share) == text


@pytest.mark.parametrize(
    ("points", "text"), [("55.49", "55.4"), ("99.96", "99.9"), ("0", "0.0"), ("-0.01", "\u22120.1")]
)
def test_points_are_cut_after_one_decimal(points: str, text: str) -> None:
    assert show_points(points) == text


def line(rule: str, measure: str = "referred", tier: int = 3, share: str = "1") -> dict[str, Any]:
    return {"rule": rule, "measure": measure, "tier": tier, "share": share}


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (line("renewal", "direct", 0), "Renewal"),
        (line("adjustment", "direct", 0), "Refund or correction"),
        (line("equal"), "The referral named this customer; no other referrer"),
        (line("equal", share="1/2"), "The referral named this customer; shared equally with the other referrers"),
        (line("first", tier=1), "The referral named this deal; the first referrer gets it all"),
        (line("explicit", tier=2), "The referral named a person in this deal; share agreed for this referral"),
        (line("chain, step 2", "network", 2, "1/4"), "Referred somebody who referred: 2 steps up"),
        (line("took part", "touched", 0), "Helped as a reference; others may have, too"),
        (line("won survey", "influence", 0), "The buyer said how much references mattered"),
        (line("a rule of tomorrow", "influence", 0), "a rule of tomorrow"),
    ],
)
def test_the_rule_behind_a_line_reads_as_a_sentence(shown: dict[str, Any], text: str) -> None:
    assert show_rule(shown) == text


def test_every_rule_that_credit_gives_has_words() -> None:
    for kind in OpportunityType:
        assert show_rule(line(kind, "direct", 0)) != kind
    for rule in (*Split, "explicit", "explicit, scaled to 100 %", "referral, shared with its chain"):
        assert show_rule(line(rule, share="1/3")).partition("; ")[2] not in ("", rule)


def test_the_policy_reads_as_sentences() -> None:
    said = "\n".join(describe_policy(Policy()))
    other = "\n".join(
        describe_policy(Policy(scope=Scope.FIRST_WON, intra_group=True, influence=Influence(True, Fraction(1, 2))))
    )

    assert "within 365 days after the referral" in said
    assert "new business, type of deal not set, upsell" in said
    assert "one group do not count" in said
    assert "the first deal" in other
    assert "group" not in other
    assert "reference" not in other


def test_every_quadrant_has_a_kind_word() -> None:
    assert set(QUADRANTS) == set(Quadrant)
    assert name_quadrants({"potential": "Newcomer"})["potential"] == ("Newcomer", QUADRANTS["potential"][1])
    assert not any("miser" in " ".join(words).lower() for words in QUADRANTS.values())


VIEW = {
    "id": "001", "name": "Some & Co", "rank": None, "currency": "USD", "total": "150.00", "direct": "100.00",
    "referred": "50.00", "pipeline": "0.00", "issues": ["rate_missing"], "quadrant": "advocate", "percentile": 0,
    "revenue_at_risk": "70.00", "points": "12.3", "points_band": "light", "is_detractor": True, "is_participant": True,
    "participation_days": 30, "feedback_adopted": 1, "feedback_declined": 0, "feedback_open": 2,
    "crv": "12.00", "acquisition_savings": None, "brv": "3.00",
    **dict.fromkeys(KINDS, "0.00"), "direct_new": "60.00", "direct_renewal": "40.00",
}  # fmt: skip


def render(view: dict[str, Any], activity: tuple[Any, ...] = ()) -> str:
    class Explained:
        sentence, policy_version, lines = "150.00 USD", "p1", ()

        class computed:
            strftime = staticmethod(lambda _form: "2026-03-01 12:00")

    Explained.activity, Explained.restated = activity, None
    Explained.standing = StandingView(
        date(2026, 3, 1),
        (Card("care", "Why they care", "Need you", "asked on <Monday>"),),
        (ToDo("Hidden gem", "Thank them."),),
    )
    lines = [line("equal") | {"amount": "50.00", "opportunity": "O", "opportunity_name": "<Deal>", "rate": None}]
    lines[0] |= {"opportunity_url": "", "event": "E", "event_title": None, "dated_on": "2026-01-01"}
    return (
        build_templates()
        .get_template("account.html")
        .render(
            view=view, explanation=Explained, groups=group_lines(lines), bar={"own": 1, "referred": 1}, bar_width=160,
            kinds=list_kinds(view), quadrants=QUADRANTS, policy=describe_policy(Policy()),
        )
    )  # fmt: skip


def test_the_page_shows_what_is_not_money_too() -> None:
    class Event:
        title, occurred_on, base, left, points = "<i>Case</i>", "2026-01-01", 60, "0.5", "30.000000"

    page = render(VIEW, (Event,))

    for text in (
        "100 %",
        "&lt;i&gt;Case&lt;/i&gt;",
        "&lt;Deal&gt;",
        "0 %<small>of the other",
        "Spoke against us lately",
        "Need you<small>asked on &lt;Monday&gt;",
        "<strong>Hidden gem.</strong> Thank them.",
    ):
        assert text in page
    for text in (
        "12.3",
        "30 days in the last year",
        "1 taken up, 0 declined, 2 open",
        "New business 60",
        "Renewals 40",
    ):
        assert text in page
    assert "Referral value 12" in page
    assert "reference value 3 USD" in page
    assert "saved acquisition cost" not in page
    assert "How this is counted" in page


def test_the_page_of_an_account_without_any_of_it_leaves_it_out() -> None:
    page = render(
        VIEW
        | dict.fromkeys(("quadrant", "percentile", "crv", "brv"))
        | dict.fromkeys(("is_detractor", "feedback_adopted", "feedback_open"), 0)
    )

    for text in (
        "Kind of customer",
        "Worth more than",
        "Spoke against us",
        "Feedback",
        "What the points are for",
        "Estimated",
    ):
        assert text not in page
