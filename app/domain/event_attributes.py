"""Which types of advocacy events have typed attributes, and the strict reader of each. The modules that own a type own
its reader; the door asks here, so that nothing is stored that a measure could not read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from app.domain import (
    calls,
    care_events,
    commitment,
    permission_events,
    reference_events,
    relationship_events,
    requests,
    roles,
    triage,
)
from app.domain.attributes import Description, describe
from app.domain.rules import RelationshipRules, TriageRules

_DEFAULTS = RelationshipRules()
Reader = Callable[[Mapping[str, object]], object]

READERS: Mapping[str, Reader] = {
    **commitment.READERS,
    **permission_events.READERS,
    **relationship_events.READERS,
    **reference_events.READERS,
    **requests.READERS,
    **care_events.READERS,
    calls.CALL_SKIPPED: calls.read_call_skipped,
    **{code: partial(triage.read_urgency, code) for code in TriageRules().severities},
    triage.PROBLEM_CLOSED: triage.read_closing,
    roles.ROLES_SET: roles.read_roles_set,
}
REQUIRED: Mapping[str, tuple[str, ...]] = permission_events.REQUIRED
"""What the envelope of a type must name beside what every event names."""


def describe_attributes(code: str) -> Description | None:
    """What the attributes of a type are, and what must hold between them; None where nobody reads them."""
    return describe(READERS[code]) if code in READERS else None


def check_attributes(code: str, attributes: Mapping[str, object], rules: RelationshipRules = _DEFAULTS) -> None:
    """Raise ValueError with every problem of the attributes of a type; return nothing for a type without any rule.

    `rules`: what a rating of the offer must be backed by.
    """
    if code == relationship_events.OFFER_RATING:
        relationship_events.read_offer_rating(attributes, rules)
    elif code in READERS:
        READERS[code](attributes)
