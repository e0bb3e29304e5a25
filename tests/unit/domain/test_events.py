"""What an event counts as: a source moves it only forwards, so the order of deliveries does not matter."""

from datetime import date
from itertools import permutations

import pytest

from app.domain.event_types import EVENT_TYPES
from app.domain.events import MILESTONES, AdvocacyEvent, moves_on
from app.domain.model import ReferralStatus

CLAIMED, VERIFIED, REJECTED, EXPIRED = (
    ReferralStatus.CLAIMED,
    ReferralStatus.VERIFIED,
    ReferralStatus.REJECTED,
    ReferralStatus.EXPIRED,
)
FORWARD = {
    (CLAIMED, VERIFIED), (CLAIMED, REJECTED), (CLAIMED, EXPIRED), (VERIFIED, REJECTED), (VERIFIED, EXPIRED),
}  # fmt: skip


@pytest.mark.parametrize("said", ReferralStatus)
@pytest.mark.parametrize("status", ReferralStatus)
def test_a_source_moves_a_status_only_forwards(status, said):
    assert moves_on(status, said) is ((status, said) in FORWARD)


def test_whatever_the_order_of_deliveries_it_ends_the_same():
    for end in (REJECTED, EXPIRED):
        ends = set()
        for said in permutations([CLAIMED, VERIFIED, end, VERIFIED, CLAIMED]):
            status = said[0]
            for one in said[1:]:
                status = one if moves_on(status, one) else status
            ends.add(status)
        assert ends == {end}


def test_every_milestone_is_a_type_of_the_catalogue():
    assert set(MILESTONES) <= set(EVENT_TYPES)
    assert {MILESTONES[f"referral.{end}"] for end in ("accepted", "won")} == {VERIFIED}
    assert {MILESTONES[f"referral.{end}"] for end in ("rejected", "reversed")} == {REJECTED}
    assert MILESTONES["referral.expired"] is EXPIRED


@pytest.mark.parametrize(
    ("kind", "attributes", "named"),
    [
        ("referral.won", {"referral": "R-1"}, "R-1"),
        ("referral.won", {"referral": 17}, "17"),
        ("referral.won", {"referral": ""}, None),
        ("referral.won", {"referral": None}, None),
        ("referral.won", {"referral": ["R-1"]}, None),
        ("referral.won", {}, None),
        ("referral.lost", {"referral": "R-1"}, None),
        ("reference_call", {"referral": "R-1"}, None),
    ],
)
def test_only_a_decisive_milestone_names_a_referral(kind, attributes, named):
    assert AdvocacyEvent("hub", "1", kind, date(2026, 1, 1), "A", attributes=attributes).named_referral == named
