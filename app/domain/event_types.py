"""The catalogue of advocacy event types: what each is, how it can be worth something, how firm a commitment it is.

A type that is not listed here must start with `x_` and say itself what it is (`read_custom_type`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Family(StrEnum):
    REFERRAL = "referral"
    REFERENCE = "reference"
    ENDORSEMENT = "endorsement"
    REVIEW = "review"
    WORD_OF_MOUTH = "word_of_mouth"
    SPEAKING = "speaking"
    INNOVATION = "innovation"
    COMMUNITY = "community"
    SENTIMENT = "sentiment"
    COMMITMENT = "commitment"
    PROGRAMME = "programme"


class Basis(StrEnum):
    """How an event of this type can be worth money."""

    ATTRIBUTED = "attributed"
    """It brought an opportunity: hard credit."""
    INFLUENCED = "influenced"
    """It helped an opportunity: soft credit, never in the total unless the policy says so."""
    PROXY = "proxy"
    """Valued by what it would have cost to buy."""
    COUNT = "count"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class EventType:
    """`rung`: 1 (gave attention) to 11 (refers others), None where the type is no commitment.

    `lasts`: the event is a state with `valid_from` and `valid_to`.
    """

    code: str
    family: Family
    basis: Basis
    role: str
    rung: int | None = None
    permission: str = ""
    lasts: bool = False

    @property
    def title(self) -> str:
        """For people: `reference_call` reads "Reference call"."""
        words = self.code.removeprefix("x_").replace("_", " ").replace(".", " ")
        spelled = " ".join(_ACRONYMS.get(word, word) for word in words.split())
        return spelled[:1].upper() + spelled[1:]

    @property
    def is_reference(self) -> bool:
        """Whether it counts as influence on a deal it names."""
        return self.family in {Family.REFERENCE, Family.ENDORSEMENT} or self.basis is Basis.INFLUENCED


CUSTOM_CODE = re.compile(r"x_[a-z0-9_.]{1,62}", re.ASCII)
"""The code of a type of one's own."""
_ACRONYMS = {"nps": "NPS", "csat": "CSAT", "rfp": "RFP", "nda": "NDA", "linkedin": "LinkedIn"}
REFERRAL = "referral"
WON_SURVEY = "won_survey"

# family, basis, role, then `code[rung][:permission][~ for a state]`
_TABLE: tuple[tuple[Family, Basis, str, str], ...] = (
    (
        Family.REFERRAL,
        Basis.ATTRIBUTED,
        "advocate",
        (
            "referral=11 introduction_made=11 lead_generated=11 social_referral=11 upsell_lead=11 cross_sell_lead=11"
            " champion_moved=11 advocate_recruited=11"
        ),
    ),
    (
        # What became of a referral. They tell its story; the referral itself carries the claim.
        Family.REFERRAL,
        Basis.NONE,
        "advocate",
        (
            "referral.submitted referral.accepted referral.rejected referral.contacted referral.qualified"
            " referral.opportunity referral.won referral.lost referral.expired referral.reversed"
        ),
    ),
    (
        Family.REFERENCE,
        Basis.INFLUENCED,
        "supporter",
        (
            "reference_call=8:8a reference_email=8:8a reference_meeting=8:8a site_visit=8:8a rfp_reference=8:8a"
            " nda_slide_use=8:8b linkedin_recommendation=8:8c analyst_reference=8 press_interview=8"
            " investor_reference=8"
        ),
    ),
    (
        Family.ENDORSEMENT,
        Basis.PROXY,
        "creator",
        (
            "testimonial_quote=9 web_release=8:8d press_quote=8:8e joint_press_release=8:8g logo_use=8:8h"
            " case_study=10:8f white_paper=8:8f conference_paper=8:8f video_story=10:8f blog_post=8"
            " ebook_contribution=8 podcast=8 award_entry=8"
        ),
    ),
    (Family.REVIEW, Basis.PROXY, "reviewer", "online_review app_store_rating analyst_survey_response"),
    (
        Family.WORD_OF_MOUTH,
        Basis.PROXY,
        "sharer",
        (
            "social_share social_post social_mention follow recommendation_in_community brand_defence"
            " word_of_mouth_offline"
        ),
    ),
    (
        Family.SPEAKING,
        Basis.PROXY,
        "speaker",
        "event_speaker webinar_speaker event_host user_group_host event_attended webinar_attended",
    ),
    (
        Family.INNOVATION,
        Basis.PROXY,
        "innovator",
        (
            "beta_membership~ beta_feedback idea_submitted idea_adopted advisory_board_membership~ research_session"
            " design_partner~ product_feedback feature_adopted_early"
        ),
    ),
    (
        Family.COMMUNITY,
        Basis.COUNT,
        "supporter",
        (
            "discussion_started answer_given peer_mentoring content_curated content_created external_community_post"
            " training_completed certification_earned onboarding_completed education_consumed"
        ),
    ),
    (
        Family.SENTIMENT,
        Basis.NONE,
        "critic",
        (
            "nps_response csat_response care_answer complaint escalation negative_review public_criticism churn_signal"
            " recovered won_survey offer_rating personal_rating usage_report value_stopped"
        ),
    ),
    (
        Family.COMMITMENT,
        Basis.NONE,
        "buyer",
        (
            "attention_given=1 needs_shared=2 project_data_shared=3 evaluation_effort=4 pilot_purchased=5"
            " roadmap_shared=6 annual_license_signed=7 premium_paid first_call_received last_chance_offered"
            " investment_made expansion_purchased success_metric"
        ),
    ),
    (
        Family.PROGRAMME,
        Basis.NONE,
        "advocate",
        (
            "nominated recruited program_membership~ permission_promised permission_granted~ permission_revoked"
            " permission_used ask_sent ask_accepted ask_declined ask_unanswered reward_given recognition_received"
            " resting~ opted_out contact_left reference_traits reference_profile reference_outcome"
            " call_skipped roles_set problem_closed"
        ),
    ),
)


def _read_entry(family: Family, basis: Basis, role: str, entry: str) -> EventType:
    plain = entry.rstrip("~")
    code, _, rest = plain.partition("=")
    rung, _, permission = rest.partition(":")
    return EventType(code, family, basis, role, int(rung) if rung else None, permission, entry.endswith("~"))


def _read_table() -> Iterator[tuple[str, EventType]]:
    for family, basis, role, entries in _TABLE:
        for entry in entries.split():
            event_type = _read_entry(family, basis, role, entry)
            yield event_type.code, event_type


EVENT_TYPES: Mapping[str, EventType] = dict(_read_table())


def read_custom_type(code: str, attributes: Mapping[str, object]) -> EventType:
    """The type of an `x_...` event, from its own `family`, `basis`, `rung` and `role` attributes.

    Raises ValueError naming what is missing or wrong.
    """
    missing = [name for name in ("family", "basis", "rung", "role") if name not in attributes]
    if missing:
        raise ValueError(f"a custom type names its own {', '.join(missing)} in `attributes`")
    rung, role = attributes["rung"], attributes["role"]
    if rung is not None and (isinstance(rung, bool) or not isinstance(rung, int) or not 1 <= rung <= 11):
        raise ValueError("`rung` is a whole number from 1 to 11, or null")
    if not isinstance(role, str) or not role:
        raise ValueError("`role` is a word, such as advocate")
    try:
        return EventType(code, Family(str(attributes["family"])), Basis(str(attributes["basis"])), role, rung)
    except ValueError:
        families, bases = ", ".join(Family), ", ".join(Basis)
        raise ValueError(f"`family` is one of {families}; `basis` is one of {bases}") from None


def is_reference(code: str) -> bool:
    """Whether an event of this type, when it names an opportunity, influenced it. A custom type never did."""
    event_type = EVENT_TYPES.get(code)
    return event_type is not None and event_type.is_reference


REFERENCE_TYPES: tuple[str, ...] = tuple(sorted(code for code in EVENT_TYPES if is_reference(code)))
