"""The commitment ladder, against tables made by hand and against its definition said day by day."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.commitment import (
    NO_COMMITMENT,
    READERS,
    RUNG_CODES,
    RUNGS,
    CommitmentTerms,
    Evidence,
    Side,
    advise,
    assess_commitment,
    evidence_of,
    holds_until,
    read_commitment,
    read_licence,
    read_needs,
    read_pilot,
    read_roadmap,
    reference_evidence,
    rung_of,
    sale_evidence,
)
from app.domain.event_types import EVENT_TYPES
from app.domain.events import Polarity, VerifiedEvent
from app.domain.permission_events import Grant, Revocation
from app.domain.permissions import permissions_on
from app.domain.reference_scopes import ReferenceScope
from app.domain.rules import CommitmentRules

RULES = CommitmentRules()
D = date.fromisoformat
JAN = D("2026-01-10")


def event(code, attributes=None, *, on=JAN, **fields):
    return VerifiedEvent("e1", code, on, attributes=attributes or {}, **fields)


def assess(evidence, as_of):
    return assess_commitment(evidence, RULES, D(as_of) if isinstance(as_of, str) else as_of)


def level_on(as_of, *events):
    return assess([one for one in map(evidence_of, events) if one], as_of).level


def proves(code, rung, last_day, attributes=None):
    """An event of 10 January 2026 proves the rung from that day to the last one, and no day more."""
    one = event(code, attributes)
    last = D(last_day)
    days = [JAN - timedelta(1), JAN, last, last + timedelta(1)]
    assert [level_on(day, one) for day in days] == [0, rung, rung, 0]
    assert assess([evidence_of(one)], JAN).next_change_on == last + timedelta(1)


def test_s0_01_attention_is_proven_for_180_days():
    proves("attention_given", 1, "2026-07-08")


def test_s0_02_needs_are_proven_for_a_year():
    proves("needs_shared", 2, "2027-01-09")


def test_s0_03_project_data_for_a_demonstration_are_proven_for_a_year():
    proves("project_data_shared", 3, "2027-01-09")


def test_s0_04_effort_of_evaluation_is_proven_for_a_year():
    proves("evaluation_effort", 4, "2027-01-09")


def test_s0_05_a_pilot_is_proven_until_90_days_after_its_end():
    proves("pilot_purchased", 5, "2026-07-08", {"seats": 5, "months": 3})  # 10 April + 90 days is 9 July
    proves("pilot_purchased", 5, "2026-04-09")  # of unknown length
    sold = sale_evidence(JAN, 3, "006A", RULES)
    assert sold == Evidence(5, JAN, D("2026-04-10"), "006A")
    assert holds_until(sold, RULES) == D("2026-07-09")


def test_s0_06_a_shared_roadmap_is_proven_for_a_year():
    proves("roadmap_shared", 6, "2027-01-09", {"mutual_nda": True})


def test_s0_07_an_annual_licence_is_proven_for_its_term():
    proves("annual_license_signed", 7, "2027-01-09")
    proves("annual_license_signed", 7, "2028-01-09", {"months": 24})


@pytest.mark.parametrize(
    ("term", "rules", "evidence"),
    [
        (12, RULES, Evidence(7, JAN, D("2027-01-10"), "006A")),
        (36, RULES, Evidence(7, JAN, D("2029-01-10"), "006A")),
        (11, RULES, Evidence(5, JAN, D("2026-12-10"), "006A")),
        (1, RULES, Evidence(5, JAN, D("2026-02-10"), "006A")),
        (0, RULES, None),
        (None, RULES, Evidence(7, JAN, D("2027-01-10"), "006A")),
        (None, CommitmentRules(assumed_term_months=6), Evidence(7, JAN, D("2026-07-10"), "006A")),
        (None, CommitmentRules(assumed_term_months=0), None),
        (6, CommitmentRules(licence_months=6), Evidence(7, JAN, D("2026-07-10"), "006A")),
        (5, CommitmentRules(licence_months=6), Evidence(5, JAN, D("2026-06-10"), "006A")),
    ],
)
def test_a_sale_proves_a_licence_or_a_pilot_by_its_term(term, rules, evidence):
    assert sale_evidence(JAN, term, "006A", rules) == evidence


@pytest.mark.parametrize(
    ("evidence", "level", "side"),
    [
        ([], 0, Side.PROSPECT),
        ([Evidence(6, JAN)], 6, Side.PROSPECT),
        ([Evidence(7, JAN, D("2026-06-10"))], 7, Side.CUSTOMER),
        ([Evidence(7, JAN, D("2026-03-11"))], 7, Side.CUSTOMER),
        ([Evidence(7, JAN, D("2026-03-10"))], 0, Side.FORMER),
        ([Evidence(7, D("2026-03-11"))], 0, Side.PROSPECT),
        # A former customer may still have a case study, a friend who never bought may refer.
        ([Evidence(7, JAN, D("2026-03-10")), Evidence(10, JAN)], 10, Side.FORMER),
        ([Evidence(11, JAN)], 11, Side.PROSPECT),
        ([Evidence(11, JAN), Evidence(7, JAN)], 11, Side.CUSTOMER),
    ],
)
def test_s0_08_the_line_between_prospect_and_customer_is_the_annual_licence(evidence, level, side):
    standing = assess(evidence, "2026-03-10")

    assert (standing.level, standing.side, standing.is_customer) == (level, side, side is Side.CUSTOMER)
    assert [rung.number for rung in RUNGS if rung.is_before_the_line] == [1, 2, 3, 4, 5, 6, 7]


def test_s0_09_a_reference_is_whoever_allows_at_least_one_use():
    consents = [Grant("g1", (ReferenceScope.LOGO,), JAN, JAN, D("2026-06-10"))]

    def standing(as_of, revocations=()):
        permissions = permissions_on(consents, revocations, (), D(as_of))
        return assess(reference_evidence(permissions, D(as_of)), as_of)

    assert standing("2026-01-10").rungs == ((8, JAN, D("2026-06-10"), "g1"),)
    assert [standing(day).level for day in ("2026-01-09", "2026-01-10", "2026-06-09", "2026-06-10")] == [0, 8, 8, 0]
    assert standing("2026-03-10").next_change_on == D("2026-06-10")
    assert standing("2026-06-10").lapsed == ((8, JAN, D("2026-06-10"), "g1"),)
    withdrawn = Revocation("r1", tuple(ReferenceScope), D("2026-03-10"), D("2026-03-10"))
    assert standing("2026-03-10", [withdrawn]).level == 0
    # A call that was taken once is no consent to the next one.
    assert evidence_of(event("reference_call")) is None
    assert evidence_of(event("logo_use")) is None


def test_rung_8_waits_for_a_consent_that_begins_later():
    consents = [Grant("g1", (ReferenceScope.BASIC,), JAN, D("2026-06-10"), D("2026-06-20"))]
    permissions = permissions_on(consents, (), (), JAN)

    assert reference_evidence(permissions, JAN) == [Evidence(8, D("2026-06-10"))]
    assert assess(reference_evidence(permissions, JAN), JAN).next_change_on == D("2026-06-10")


def test_s0_18_a_testimonial_is_proven_for_two_years():
    proves("testimonial_quote", 9, "2028-01-09")


def test_s0_19_a_case_study_is_proven_for_two_years():
    proves("case_study", 10, "2028-01-09")
    proves("video_story", 10, "2028-01-09")


def test_s0_20_referring_others_is_proven_for_two_years():
    for code in ("referral", "introduction_made", "lead_generated", "champion_moved", "advocate_recruited"):
        proves(code, 11, "2028-01-09")
    assert evidence_of(event("referral.submitted")) is None


@pytest.mark.parametrize(
    ("as_of", "level", "gaps", "next_change_on"),
    [
        ("2025-12-31", 0, (), "2026-01-01"),
        ("2026-01-01", 2, (1,), "2026-01-15"),
        ("2026-01-15", 2, (), "2026-02-01"),
        ("2026-02-01", 7, (3, 4, 5, 6), "2026-03-01"),
        ("2026-03-01", 10, (3, 4, 5, 6, 8, 9), "2026-07-14"),
        ("2026-07-13", 10, (3, 4, 5, 6, 8, 9), "2026-07-14"),
        ("2026-07-14", 10, (1, 3, 4, 5, 6, 8, 9), "2027-01-01"),
        ("2027-01-01", 10, (1, 2, 3, 4, 5, 6, 8, 9), "2027-02-01"),
        ("2027-02-01", 10, (1, 2, 3, 4, 5, 6, 7, 8, 9), "2028-02-29"),
        ("2028-02-29", 0, (), None),
    ],
)
def test_s0_22_the_rubric_is_applied_again_on_any_day(as_of, level, gaps, next_change_on):
    evidence = [
        evidence_of(event("needs_shared", on=D("2026-01-01"))),
        evidence_of(event("attention_given", on=D("2026-01-15"))),
        evidence_of(event("annual_license_signed", on=D("2026-02-01"))),
        evidence_of(event("case_study", on=D("2026-03-01"))),
    ]
    standing = assess(evidence, as_of)

    assert (standing.level, standing.gaps) == (level, gaps)
    assert standing.next_change_on == (next_change_on and D(next_change_on))


def test_s0_23_prospects_and_customers_stand_on_one_ladder():
    prospect = assess([Evidence(1, JAN), Evidence(4, JAN)], "2026-01-10")
    customer = assess([Evidence(7, JAN), Evidence(9, JAN)], "2026-01-10")

    assert (prospect.level, prospect.is_customer, prospect.gaps) == (4, False, (2, 3))
    assert (customer.level, customer.is_customer, customer.gaps) == (9, True, (1, 2, 3, 4, 5, 6, 8))
    assert len(RUNGS) == 11
    assert [rung.number for rung in RUNGS] == list(range(1, 12))
    assert " ".join(RUNG_CODES) == (
        "attention needs project_data evaluation pilot roadmap annual_licence reference testimonial case_study"
        " refers_others"
    )


def test_gaps_are_a_coaching_list_that_begins_with_the_next_step():
    lapsed = Evidence(2, D("2024-01-10"), D("2025-01-10"))
    advice = advise(assess([Evidence(4, JAN), lapsed, Evidence(1, JAN)], "2026-01-10"))

    assert [(one.rung, one.is_next) for one in advice] == [(5, True), (2, False), (3, False)]
    assert advice[0].text == rung_of(5).advice
    assert advice[1].text.startswith("Renew it, it lapsed on 2025-01-10. Ask what")
    assert [one.rung for one in advise(NO_COMMITMENT)] == [1]
    assert [one.rung for one in advise(assess([Evidence(11, JAN)], JAN))] == list(range(1, 11))


def test_each_rung_shows_the_evidence_that_lasts_longest():
    early, late, short = (
        Evidence(9, D("2025-06-01"), None, "a"),
        Evidence(9, JAN, None, "b"),
        Evidence(9, D("2026-01-11"), D("2026-02-01"), "c"),
    )
    for order in ([early, late, short], [short, late, early]):
        (proof,) = assess(order, "2026-01-20").rungs
        assert (proof.source, proof.since, proof.until) == ("b", JAN, D("2028-01-10"))


def test_evidence_names_the_event_it_is_known_from():
    assert evidence_of(event("needs_shared")) == Evidence(2, JAN, None, "e1")


def test_what_ended_before_it_began_was_never_proven():
    assert assess([Evidence(2, JAN, JAN)], "2026-02-01").lapsed == ()


def test_a_rung_that_lasts_for_ever_changes_no_more():
    standing = assess_commitment([Evidence(2, JAN)], CommitmentRules(validity_days={}), JAN)

    assert (standing.level, standing.next_change_on) == (2, None)


@pytest.mark.parametrize(
    ("evidence", "until"),
    [
        ([Evidence(7, D("2026-03-10"), D("2026-05-10"))], "2026-05-10"),
        ([Evidence(7, JAN, D("2026-03-10"))], None),
        ([Evidence(7, JAN, D("2026-03-11"))], "2026-03-11"),
        ([Evidence(7, JAN, D("2026-04-10")), Evidence(7, D("2026-04-10"), D("2026-05-10"))], "2026-05-10"),
        ([Evidence(7, JAN, D("2026-04-10")), Evidence(7, D("2026-04-11"), D("2026-05-10"))], "2026-04-10"),
        ([Evidence(7, D("2026-03-11"), D("2026-05-10"))], None),
        ([Evidence(7, JAN, date.max)], None),
        ([Evidence(10, JAN, D("2026-05-10"))], None),
    ],
)
def test_a_licence_runs_until_its_end_and_that_of_every_renewal_that_follows_at_once(evidence, until):
    assert assess(evidence, "2026-03-10").licence_until == (until and D(until))


def test_an_end_that_an_event_names_beats_the_rules():
    assert assess([evidence_of(event("needs_shared", valid_to=D("2026-02-01")))], "2026-02-01").level == 0
    assert assess([evidence_of(event("needs_shared", valid_to=D("2028-02-01")))], "2028-01-31").level == 2
    pilot = evidence_of(event("pilot_purchased", {"months": 3}, valid_to=D("2026-02-01")))
    assert holds_until(pilot, RULES) == D("2026-05-02")


def test_what_an_event_says_counts_from_the_day_it_happened_or_later():
    assert evidence_of(event("needs_shared", valid_from=D("2026-02-01"))).start == D("2026-02-01")
    assert evidence_of(event("needs_shared", valid_from=D("2025-02-01"))).start == JAN


@pytest.mark.parametrize(
    ("code", "attributes", "rung"),
    [
        ("x_steering_group", {"family": "commitment", "basis": "none", "role": "buyer", "rung": 6}, 6),
        ("x_party", {"family": "community", "basis": "count", "role": "supporter", "rung": None}, None),
        ("follow", {}, None),
        ("premium_paid", {}, None),
        ("permission_granted", {}, None),
    ],
)
def test_other_events_prove_what_their_type_says(code, attributes, rung):
    found = evidence_of(event(code, attributes))
    assert (found.rung if found else None) == rung


def test_what_speaks_against_us_proves_nothing():
    assert evidence_of(event("testimonial_quote", polarity=Polarity.DETRACTOR)) is None
    assert evidence_of(event("testimonial_quote", polarity=Polarity.NEUTRAL)).rung == 9


def test_validity_is_policy():
    rules = CommitmentRules(validity_days={1: 10}, pilot_grace_days=0, licence_months=1)

    assert holds_until(Evidence(1, JAN), rules) == D("2026-01-20")
    assert holds_until(Evidence(2, JAN), rules) is None
    assert holds_until(Evidence(5, JAN, D("2026-02-01")), rules) == D("2026-02-01")
    assert holds_until(Evidence(7, JAN), rules) == D("2026-02-10")


# --- properties ------------------------------------------------------------------------------------------------------

DAYS = st.dates(JAN, JAN + timedelta(60))
EVIDENCE = st.lists(st.builds(Evidence, st.integers(1, 11), DAYS, st.none() | DAYS, st.sampled_from("abc")), max_size=8)
SHORT = CommitmentRules(validity_days={1: 5, 2: 9, 3: 9, 4: 9, 6: 9, 9: 20, 10: 20, 11: 20}, pilot_grace_days=4)


@given(EVIDENCE, EVIDENCE, DAYS)
def test_more_evidence_never_lowers_the_level(some, more, as_of):
    before, after = assess_commitment(some, SHORT, as_of), assess_commitment(some + more, SHORT, as_of)

    assert after.level >= before.level
    assert after.is_customer >= before.is_customer
    assert {proof.rung for proof in before.rungs} <= {proof.rung for proof in after.rungs}


@given(EVIDENCE, DAYS)
def test_the_next_change_is_exactly_the_first_day_on_which_something_flips(evidence, as_of):
    def seen(day):
        standing = assess_commitment(evidence, SHORT, day)
        return standing.level, standing.is_customer, standing.gaps

    days = [as_of + timedelta(n) for n in range(1, 500)]
    assert assess_commitment(evidence, SHORT, as_of).next_change_on == next(
        (day for day in days if seen(day) != seen(as_of)), None
    )


@given(EVIDENCE, DAYS, st.data())
def test_the_order_of_the_evidence_does_not_matter(evidence, as_of, data):
    shuffled = data.draw(st.permutations(evidence))
    assert assess_commitment(shuffled, SHORT, as_of) == assess_commitment(evidence, SHORT, as_of)


@given(EVIDENCE, DAYS)
def test_proven_rungs_and_gaps_make_up_everything_up_to_the_level(evidence, as_of):
    standing = assess_commitment(evidence, SHORT, as_of)

    proven = {proof.rung for proof in standing.rungs}
    assert proven | set(standing.gaps) == set(range(1, standing.level + 1))
    assert not proven & set(standing.gaps)
    assert not proven & {proof.rung for proof in standing.lapsed}


# --- what events say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("read", "attributes", "problem"),
    [
        (read_commitment, {"months": 3}, "`months` is no attribute of this type"),
        (read_needs, {"need": "an audit trail"}, "Did you mean needs?"),
        (read_pilot, {"month": 3}, "Did you mean months?"),
        (read_pilot, {"months": 0, "seats": 0}, "`months` is a whole number from 1 to 600; `seats` is a whole number"),
        (read_pilot, {"seats": "five"}, "`seats` is a whole number"),
        (read_roadmap, {"mutual_nda": "yes"}, "`mutual_nda` is true or false"),
        (read_licence, {"months": 601}, "from 1 to 600"),
        (read_licence, {"seats": 5}, "`seats` is no attribute"),
    ],
)
def test_attributes_that_do_not_fit_are_refused(read, attributes, problem):
    with pytest.raises(ValueError) as refused:
        read(attributes)
    assert problem in str(refused.value)


def test_the_smallest_terms_are_taken():
    assert read_pilot({"months": 1, "seats": 1}) == CommitmentTerms(months=1, seats=1)
    assert read_needs({"needs": "an audit trail"}) == CommitmentTerms()


def test_every_rung_before_the_line_has_a_strict_reader():
    ladder = {code for code, one in EVENT_TYPES.items() if one.rung is not None and one.rung <= 7}
    assert set(READERS) == ladder
    for read in READERS.values():
        read({"note": "met at the fair", "x_mood": 3})
