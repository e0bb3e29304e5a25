"""What an account does for us beside buying: points that fade, whether it speaks against us, and participation.

None of it is money and none of it is ever added to money. Points are whole millionths all the way, so that both
databases and this module agree to the last digit. A score fades in steps of a week, on Mondays: faded daily, most
accounts would have to be written to the CRM every night for nothing.

Only events with the status `verified` come in here; their accounts are resolved through merges before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_FLOOR, Decimal
from enum import StrEnum
from typing import NamedTuple

from app.domain.days import days_after, first_change, unite_spans
from app.domain.decay import MILLION, decay_ppm
from app.domain.event_types import EVENT_TYPES
from app.domain.events import Polarity, VerifiedEvent
from app.domain.rules import EngagementRules

WEEK_DAYS = 7
AGAINST = 10
"""What an event against us costs at least, where its type says nothing."""
RECOVERED = "recovered"

BASE_POINTS: Mapping[str, int] = {
    "referral": 50, "introduction_made": 30, "lead_generated": 10, "social_referral": 5, "upsell_lead": 15,
    "cross_sell_lead": 15, "champion_moved": 20, "advocate_recruited": 15,
    "reference_call": 30, "reference_email": 10, "reference_meeting": 30, "site_visit": 50, "rfp_reference": 25,
    "nda_slide_use": 15, "linkedin_recommendation": 15, "analyst_reference": 30, "press_interview": 40,
    "investor_reference": 40,
    "testimonial_quote": 20, "web_release": 20, "press_quote": 25, "joint_press_release": 40, "logo_use": 15,
    "case_study": 60, "white_paper": 40, "conference_paper": 40, "video_story": 60, "blog_post": 20,
    "ebook_contribution": 20, "podcast": 30, "award_entry": 20,
    "online_review": 20, "app_store_rating": 5, "analyst_survey_response": 15,
    "social_share": 2, "social_post": 3, "social_mention": 2, "follow": 1, "recommendation_in_community": 5,
    "brand_defence": 10, "word_of_mouth_offline": 10,
    "event_speaker": 50, "webinar_speaker": 40, "event_host": 50, "user_group_host": 40, "event_attended": 5,
    "webinar_attended": 2,
    "beta_membership": 15, "beta_feedback": 5, "idea_submitted": 3, "idea_adopted": 15,
    "advisory_board_membership": 40, "research_session": 10, "design_partner": 40, "product_feedback": 3,
    "feature_adopted_early": 5,
    "discussion_started": 2, "answer_given": 3, "peer_mentoring": 10, "content_curated": 2, "content_created": 10,
    "external_community_post": 5, "training_completed": 3, "certification_earned": 10, "onboarding_completed": 3,
    "education_consumed": 1,
    "complaint": -20, "escalation": -30, "negative_review": -40, "public_criticism": -50, "churn_signal": -40,
}  # fmt: skip
"""Points of a type. What is not here (what became of a referral, survey answers, purchases, programme bookkeeping)
earns nothing by itself."""


@dataclass(frozen=True, slots=True)
class Deed:
    """One verified advocacy event, as far as points go."""

    id: str
    type: str
    occurred_on: date
    polarity: Polarity = Polarity.ADVOCATE


class PointLine(NamedTuple):
    """What one event adds to the score: `base * ppm` millionths of a point."""

    event_id: str
    type: str
    occurred_on: date
    base: int
    ppm: int

    @property
    def millionths(self) -> int:
        return self.base * self.ppm


class TypeRule(NamedTuple):
    """The points of one type. `against`: of an event of that type that speaks against us."""

    base: int
    against: int
    half_life: int
    cap: int

    def of(self, polarity: Polarity) -> int:
        if polarity is Polarity.DETRACTOR:
            return self.against
        return min(self.base, 0) if polarity is Polarity.NEUTRAL else self.base


def rule_of(code: str, rules: EngagementRules) -> TypeRule:
    """How a type counts. A custom type counts only where the policy gives it points."""
    half_life, cap = rules.half_lives.get(code, rules.half_life_days), rules.caps.get(code, rules.cap)
    if code in rules.points:
        base = rules.points[code]
        return TypeRule(base, -abs(base), half_life, cap)
    base = BASE_POINTS.get(code, 0)
    return TypeRule(base, -max(abs(base), AGAINST), half_life, cap)


def counted_types(rules: EngagementRules) -> tuple[str, ...]:
    """Every type that may earn or cost points."""
    return tuple(sorted({*EVENT_TYPES, *rules.points, *rules.half_lives, *rules.caps}))


def week_of(day: date) -> int:
    """A number per week; weeks begin on Monday."""
    return (day.toordinal() - 1) // WEEK_DAYS


def quarter_of(day: date) -> str:
    """`2026Q1`: quarters of the calendar."""
    return f"{day.year}Q{(day.month + 2) // 3}"


def age_in_days(occurred_on: date, as_of: date) -> int:
    """Whole weeks of the calendar between two days, as days: it moves on Mondays only."""
    return (week_of(as_of) - week_of(occurred_on)) * WEEK_DAYS


def point_lines(deeds: Iterable[Deed], rules: EngagementRules, as_of: date) -> list[PointLine]:
    """What each event is worth on a day, without those that no cap leaves room for, oldest first.

    Of one type in one calendar quarter the weightiest count, then the earliest.
    """
    groups: dict[tuple[str, str], list[PointLine]] = {}
    for deed in deeds:
        rule = rule_of(deed.type, rules)
        base = rule.of(deed.polarity)
        if base == 0 or deed.occurred_on > as_of:
            continue
        ppm = decay_ppm(age_in_days(deed.occurred_on, as_of), rule.half_life)
        line = PointLine(deed.id, deed.type, deed.occurred_on, base, ppm)
        groups.setdefault((deed.type, quarter_of(deed.occurred_on)), []).append(line)
    kept = [
        line
        for (code, _), lines in groups.items()
        for line in sorted(lines, key=lambda one: (-abs(one.base), one.occurred_on, one.event_id))[
            : rule_of(code, rules).cap
        ]
    ]
    return sorted(kept, key=lambda one: (one.occurred_on, one.event_id))


def points(deeds: Iterable[Deed], rules: EngagementRules, as_of: date) -> int:
    """The score of one account on a day, in millionths of a point."""
    return sum(line.millionths for line in point_lines(deeds, rules, as_of))


def whole_points(millionths: int) -> int:
    """Points as a CRM shows them. What is not a whole point yet does not count, so a band never runs ahead of it."""
    return millionths // MILLION


def shown_points(millionths: int) -> Decimal:
    """Points for people: one decimal, cut like whole ones."""
    return cut_points(Decimal(millionths) / MILLION)


def cut_points(points: Decimal) -> Decimal:
    """Exact points with one decimal, cut downwards."""
    return points.quantize(Decimal("0.1"), ROUND_FLOOR)


def band_of(millionths: int, rules: EngagementRules) -> str | None:
    """The highest band the score reaches; None below all of them."""
    reached = [(least, band) for band, least in rules.bands.items() if least * MILLION <= millionths]
    return max(reached)[1] if reached else None


def detractor_until(deeds: Iterable[Deed | VerifiedEvent], rules: EngagementRules, as_of: date) -> date | None:
    """The first day on which an account that speaks against us would no longer count as doing so; None if it does not.

    Its latest word against us counts for `detractor_days` days, that day included, unless it has recovered since
    (or on the same day). Old points never outweigh it.
    """
    known = [deed for deed in deeds if deed.occurred_on <= as_of]
    recovered = max((deed.occurred_on for deed in known if deed.type == RECOVERED), default=None)
    against = max((deed.occurred_on for deed in known if is_against(deed, rules)), default=None)
    return grudge_until(against, recovered, rules, as_of)


def is_against(deed: Deed | VerifiedEvent, rules: EngagementRules) -> bool:
    """Whether it speaks against us. A recovery never does, whatever it was recorded as."""
    return deed.type != RECOVERED and (deed.polarity is Polarity.DETRACTOR or deed.type in rules.detractor_types)


def grudge_until(against: date | None, recovered: date | None, rules: EngagementRules, as_of: date) -> date | None:
    """`detractor_until` from the latest word against us and the latest recovery."""
    if against is None or (recovered is not None and recovered >= against):
        return None
    until = days_after(against, rules.detractor_days)
    return until if until > as_of else None


@dataclass(frozen=True, slots=True)
class Membership:
    """A beta group, an advisory board ... from `start` to the day before `end`; None: it still lasts."""

    start: date
    end: date | None = None


@dataclass(frozen=True, slots=True)
class Participation:
    """`days`: with any membership, of the last `participation_days`, today included. `next_change_on`: when time
    alone will change the days or the flag; None: never.
    """

    days: int = 0
    is_active: bool = False
    next_change_on: date | None = None


def unite(memberships: Iterable[Membership]) -> list[tuple[date, date]]:
    """The days covered by any of them: half-open intervals apart from each other, in order."""
    return unite_spans((one.start, one.end) for one in memberships)


def participation(memberships: Iterable[Membership], rules: EngagementRules, as_of: date) -> Participation:
    """How long and whether an account takes part. Overlapping memberships count their days once."""
    united = unite(memberships)
    days, is_active = _standing(united, as_of, rules.participation_days)
    return Participation(days, is_active, _next_change(united, as_of, rules.participation_days))


def _standing(united: Sequence[tuple[date, date]], day: date, window: int) -> tuple[int, bool]:
    stop = day.toordinal() + 1
    spans = ((start.toordinal(), end.toordinal()) for start, end in united)
    covered = sum(max(0, min(end, stop) - max(start, stop - window)) for start, end in spans)
    return covered, any(start <= day < end for start, end in united)


def _next_change(united: Sequence[tuple[date, date]], as_of: date, window: int) -> date | None:
    """Tomorrow while the days count up or down; otherwise only a day on which a membership enters or leaves."""
    edges = {edge for span in united for day in span for edge in (day, days_after(day, window))}
    edges.add(days_after(as_of, 1))
    return first_change(as_of, edges, lambda day: _standing(united, day, window))


class Outcome(StrEnum):
    """What became of a piece of feedback."""

    ADOPTED = "adopted"
    DECLINED = "declined"
    OPEN = "open"


FEEDBACK_TYPES = ("beta_feedback", "idea_adopted", "idea_submitted", "product_feedback", "research_session")
_ADOPTED = frozenset("accepted adopted built delivered done fixed implemented released shipped".split())
_DECLINED = frozenset("closed declined duplicate not_planned rejected wont_do wont_fix".split())


def outcome_of(code: str, attributes: Mapping[str, object]) -> Outcome:
    """The outcome of one piece of feedback, from its type and its `outcome` attribute; unknown words are open."""
    word = str(attributes.get("outcome", "")).strip().lower().replace(" ", "_").replace("-", "_").replace("'", "")
    if code == "idea_adopted" or word in _ADOPTED:
        return Outcome.ADOPTED
    return Outcome.DECLINED if word in _DECLINED else Outcome.OPEN


def decay_steps(days: Iterable[date], half_lives: Iterable[int], as_of: date) -> Iterator[tuple[date, int, int]]:
    """(day, half-life, ppm) for every pair: the table that the database joins instead of taking powers."""
    lives = sorted(set(half_lives))
    for day in days:
        age = age_in_days(day, as_of)
        for life in lives:
            yield day, life, decay_ppm(age, life)
