"""Typed attributes are judged at the door, by the policy in force."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain.event_attributes import READERS
from app.domain.model import Policy
from app.domain.rules import RelationshipRules
from app.intake.event_fields import RejectedEventError, build_reader, read_event

TCO = {
    "source_event_id": "1", "type": "offer_rating", "occurred_on": "2026-03-01", "account": "A",
    "attributes": {"basis": "tco", "level": 4},
}  # fmt: skip


def read(raw, policy=None):
    return read_event(raw, build_reader(str, policy or Policy(), "t"))


def test_level_4_of_the_offer_takes_a_signal_unless_the_policy_says_otherwise() -> None:
    with pytest.raises(RejectedEventError, match="pays_premium"):
        read(TCO)

    alone = replace(Policy(), relationship=RelationshipRules(tco_alone=True))
    assert read(TCO, alone).attributes["level"] == 4


@pytest.mark.parametrize("code", sorted(READERS))
def test_an_attribute_that_no_reader_knows_is_refused_with_its_name(code: str) -> None:
    raw = {**TCO, "type": code, "contact": "C", "opportunity": "O", "attributes": {"colour": "green"}}

    with pytest.raises(RejectedEventError, match="colour"):
        read(raw)


def test_what_a_type_needs_in_the_envelope_is_asked_for() -> None:
    with pytest.raises(RejectedEventError, match="contact: is required"):
        read({**TCO, "type": "contact_left", "attributes": {}})
    with pytest.raises(RejectedEventError, match="opportunity: is required"):
        read({**TCO, "type": "permission_promised", "attributes": {"scopes": ["logo"]}})
