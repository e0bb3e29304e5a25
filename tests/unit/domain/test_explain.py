"""The words for lines."""

from datetime import date
from fractions import Fraction

import pytest

from app.domain.explain import Words, explain_account, explain_line, share_text
from app.domain.model import CreditLine, Measure

WORDS = Words("USD", event_days={"R-2": date(2025, 2, 1)}, opportunity_names={"O-Y": "D-2025-05"})


def line(measure=Measure.REFERRED, amount=25_000_000, deal="O-Y", event="R-2", share=1, tier=3):
    return CreditLine(measure, "B", deal, "Y", amount, event, tier, Fraction(share))


OWN = line(Measure.DIRECT, 3_000_000, "O-B", None)


def test_an_account_is_explained_in_words_a_salesperson_can_read_aloud():
    assert explain_account([line(), OWN], WORDS) == (
        "30,000.00 USD own revenue from 1 deal",
        "250,000.00 USD referred: 100 % of D-2025-05, referral of 1 Feb 2025",
    )


def test_an_account_without_lines_needs_no_words():
    assert explain_account([], WORDS) == ()


def test_corrections_are_part_of_own_revenue():
    lines = [OWN, line(Measure.DIRECT, -500_000, "O-B", "J"), line(Measure.DIRECT, 100, "O-C", None)]

    assert explain_account(lines, WORDS) == ("25,001.00 USD own revenue from 2 deals, 1 correction included",)


@pytest.mark.parametrize(("smaller", "rest"), [(0, ""), (1, "; and 1 more"), (2, "; and 2 more")])
def test_the_largest_contributions_are_named_and_the_rest_are_counted(smaller, rest):
    lines = [line(amount=amount, deal=f"O-{amount}", event=None) for amount in range(3 - smaller, 6)]

    (sentence,) = explain_account(lines, WORDS)

    named = "100 % of O-5, referral; 100 % of O-4, referral; 100 % of O-3, referral"
    assert sentence == f"{WORDS.money(sum(range(3 - smaller, 6)))} referred: {named}{rest}"


def test_of_equal_contributions_to_one_deal_those_without_an_event_come_first_and_then_the_smaller_id():
    words = Words("JPY", 0, {"R-1": date(2025, 2, 1), "R-2": date(2025, 2, 2)})

    (sentence,) = explain_account([line(amount=1000, event=event) for event in ("R-2", "R-1", None)], words)

    assert sentence == (
        "3,000 JPY referred: 100 % of O-Y, referral; 100 % of O-Y, referral of 1 Feb 2025;"
        " 100 % of O-Y, referral of 2 Feb 2025"
    )


def test_no_account_needs_more_than_five_sentences_and_the_order_of_lines_is_free():
    lines = [line(measure, amount) for measure in Measure for amount in range(20)]

    sentences = explain_account(lines, WORDS)

    assert len(sentences) == 5
    assert sentences == explain_account(lines[::-1], WORDS)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (line(share=Fraction(1, 3)), "33.3 % of D-2025-05, referral of 1 Feb 2025"),
        (line(share=Fraction(1, 3000)), "less than 0.1 % of D-2025-05, referral of 1 Feb 2025"),
        (line(share=Fraction(1, 1000)), "0.1 % of D-2025-05, referral of 1 Feb 2025"),
        (line(share=0), "0 % of D-2025-05, referral of 1 Feb 2025"),
        (line(share=Fraction(1, 2), event="R-9"), "50 % of D-2025-05, referral"),
        (line(Measure.TOUCHED), "D-2025-05, took part on 1 Feb 2025"),
        (line(Measure.INFLUENCE, share=Fraction(1, 4)), "25 % of D-2025-05, took part on 1 Feb 2025"),
        (OWN, "O-B"),
        (line(Measure.DIRECT, event="J-1"), "correction J-1 of D-2025-05"),
    ],
)
def test_one_line_says_what_part_of_which_deal_and_why(one, text):
    assert explain_line(one, WORDS) == text


@pytest.mark.parametrize(
    ("share", "expected"),
    [
        ("1", "100 %"),
        ("3/5", "60 %"),
        ("1/8", "12.5 %"),
        ("1/1000", "0.1 %"),
        ("1/3", "1/3 (33.3 %)"),
        ("1/10000", "1/10000 (less than 0.1 %)"),
        ("12345/100000", "2469/20000 (12.3 %)"),
    ],
)
def test_a_share_is_said_exactly(share, expected):
    assert share_text(Fraction(share)) == expected
