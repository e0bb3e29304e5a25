"""What an account is to us beside a buyer, and whether it speaks for us or against us.

Roles follow from what it did. People may add roles and take them away (`roles_set`); a deed after the day on which a
role was taken away brings it back. Roles of one's own start with `x_`.

A stance is never an average: one word against us that still stands is a problem to solve, however many good words
there are beside it. It stands as long as the flag `is_detractor` says (`engagement.grudge_until`).

Only events with the status `verified` come in here; their accounts are resolved through merges before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from app.domain.attributes import AttributeReader
from app.domain.days import days_after, first_change
from app.domain.engagement import RECOVERED, grudge_until, is_against
from app.domain.event_types import EVENT_TYPES, Basis, Family
from app.domain.events import Polarity, VerifiedEvent, order_of
from app.domain.rules import EngagementRules, RoleRules

BUYER, CRITIC = "buyer", "critic"
ROLES: Mapping[str, str] = {
    "buyer": "buys from us",
    "advocate": "recommends us to others",
    "innovator": "takes part in making the product better",
    "investor": "has put money into us",
    "critic": "says what is wrong",
    "supporter": "vouches for us and helps other customers",
    "advisor": "gives us advice",
    "creator": "makes something that others read, hear or watch",
    "curator": "picks out and arranges what others made",
    "defender": "stands up for us in public",
    "speaker": "speaks in public about working with us",
    "reviewer": "rates or reviews us",
    "sharer": "passes on what we say",
    "follower": "follows us",
    "host": "opens its doors or its stage for us",
}
"""The fourteen roles and the buyer, in the order in which they are shown -> what it means."""
ROLES_SET = "roles_set"

CUSTOM_ROLE = re.compile(r"x_[a-z0-9_]{1,62}", re.ASCII)
_NO_ROLE_FAMILIES = frozenset({Family.SENTIMENT, Family.COMMITMENT, Family.PROGRAMME})
"""Families whose types say nothing about a role, except those below."""
_ROLES_OF: Mapping[str, tuple[str, ...]] = {
    "site_visit": ("supporter", "host"),
    "follow": ("follower",),
    "brand_defence": ("defender",),
    "event_host": ("host",),
    "user_group_host": ("host",),
    "event_attended": (),
    "webinar_attended": (),
    "advisory_board_membership": ("advisor",),
    "research_session": ("advisor",),
    "design_partner": ("innovator", "advisor"),
    "content_curated": ("curator",),
    "content_created": ("creator",),
    "training_completed": (),
    "certification_earned": (),
    "onboarding_completed": (),
    "education_consumed": (),
    "pilot_purchased": ("buyer",),
    "annual_license_signed": ("buyer",),
    "premium_paid": ("buyer",),
    "expansion_purchased": ("buyer",),
    "investment_made": ("investor",),
    "negative_review": ("reviewer",),
}
"""Types whose roles are not the one role of their family."""
_REVIEWS = frozenset({"negative_review", *(code for code, one in EVENT_TYPES.items() if one.family is Family.REVIEW)})
_IN_PUBLIC = frozenset(
    {Family.REFERRAL, Family.REFERENCE, Family.ENDORSEMENT, Family.REVIEW, Family.WORD_OF_MOUTH, Family.SPEAKING}
)
"""Families of good words: said to others. Taking part and learning is no advocacy."""
_UNSPOKEN = frozenset({"event_attended", "follow", "webinar_attended"})


class Stance(StrEnum):
    """Whether an account speaks for us."""

    ADVOCATE = "advocate"
    DETRACTOR = "detractor"
    MIXED = "mixed"
    """Both: good words do not make up for those against us."""
    NEUTRAL = "neutral"


STRATEGIES: Mapping[Stance, str] = {
    Stance.ADVOCATE: "Thank them, show them what came of it, and ask for a next step they like to take.",
    Stance.DETRACTOR: (
        "A business problem to be addressed: find its owner and a date for the remedy, and ask for no favour before."
    ),
    Stance.MIXED: (
        "Solve what they speak against us for before anything else, with the people who speak for us told about it;"
        " ask for no favour before it is solved."
    ),
    Stance.NEUTRAL: "Nobody heard them speak of us lately: ask what they think, and what success means to them.",
}
"""What to do about it."""


@dataclass(frozen=True, slots=True)
class RolesSet:
    """Roles somebody gave an account and took from it."""

    add: tuple[str, ...] = ()
    remove: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Held:
    """A role an account has. `event_id`: the latest that gives it, None for a purchase; `until`: the first day
    without it unless something new happens, None: no time takes it away.
    """

    role: str
    since: date
    event_id: str | None = None
    until: date | None = None
    is_set: bool = False
    """Somebody said so."""


@dataclass(frozen=True, slots=True)
class Roles:
    """In the order of `ROLES`, then roles of one's own by name."""

    held: tuple[Held, ...] = ()
    next_change_on: date | None = None

    @property
    def codes(self) -> tuple[str, ...]:
        return tuple(one.role for one in self.held)


@dataclass(frozen=True, slots=True)
class Voice:
    """What an account says about us: event ids, newest first, all that still count.

    `next_change_on`: the first day on which time alone changes the stance.
    """

    stance: Stance = Stance.NEUTRAL
    words_for: tuple[str, ...] = ()
    words_against: tuple[str, ...] = ()
    next_change_on: date | None = None

    @property
    def strategy(self) -> str:
        return STRATEGIES[self.stance]


def read_roles_set(attributes: Mapping[str, object]) -> RolesSet:
    """The attributes of a `roles_set` event: `add` and `remove`, each one role or a list.

    Raises ValueError naming everything that is wrong.
    """
    reader = AttributeReader(attributes)
    lists: dict[str, tuple[str, ...]] = {}
    for name in ("add", "remove"):
        words = reader.words(name, known=tuple(ROLES))
        own = [word for word in words if CUSTOM_ROLE.fullmatch(word)]
        known = AttributeReader({name: [word for word in words if word not in own]})
        lists[name] = (*known.choices(name, tuple(ROLES)), *own)
        try:
            known.check()
        except ValueError as error:
            reader.refuse(f"{error}; a role of your own starts with x_")
    add, remove = lists["add"], lists["remove"]
    either = "`add` or `remove` names at least one role"
    reader.demand(either, either if not add and not remove else "")
    both = ", ".join(role for role in add if role in remove)
    reader.demand("no role is added and removed at once", f"{both} cannot be added and removed at once" if both else "")
    reader.check()
    return RolesSet(add, remove)


def roles_of(code: str, attributes: Mapping[str, object], rules: RoleRules) -> tuple[str, ...]:
    """The roles that a deed of this type gives. A custom type names its own: a word that is none of ours gets `x_`."""
    if code in rules.roles:
        return rules.roles[code]
    if code in _ROLES_OF:
        return _ROLES_OF[code]
    event_type = EVENT_TYPES.get(code)
    if event_type is None:
        role = str(attributes.get("role") or "").strip().lower().replace(" ", "_").replace("-", "_")
        named = role if role in ROLES or role.startswith("x_") else f"x_{role}"
        # Nobody becomes a critic or a buyer by a word: these two follow from what was said and bought.
        return (named,) if (named in ROLES or CUSTOM_ROLE.fullmatch(named)) and named not in (BUYER, CRITIC) else ()
    if event_type.family in _NO_ROLE_FAMILIES or (event_type.family, event_type.basis) == (Family.REFERRAL, Basis.NONE):
        return ()
    return (event_type.role,)


def derive_roles(
    acts: Iterable[VerifiedEvent], bought_on: date | None, rules: RoleRules, engagement: EngagementRules, as_of: date
) -> Roles:
    """The roles of one account on a day. `bought_on`: the latest day on which it bought something."""
    acts = sorted(acts, key=order_of)
    grants = list(list_grants(acts, bought_on, rules, engagement))
    edges = {act.occurred_on for act in acts} | {day for one in grants for day in (one.since, one.until) if day}
    deciding = [act for act in acts if act.type in (ROLES_SET, RECOVERED) or is_against(act, engagement)]

    def judge(day: date) -> tuple[Held, ...]:
        return _hold(deciding, grants, engagement, day)

    held = judge(as_of)
    if not deciding:
        # Nothing but time: what is held ends, what lies ahead begins.
        ahead = (*(one.until for one in held), *(one.since for one in grants))
        return Roles(held, min((day for day in ahead if day and as_of < day < date.max), default=None))
    return Roles(held, first_change(as_of, edges, judge))


def take_stance(acts: Iterable[VerifiedEvent], rules: RoleRules, engagement: EngagementRules, as_of: date) -> Voice:
    """What one account says about us on a day."""
    newest = sorted(acts, key=order_of, reverse=True)
    kind = [act for act in newest if speaks_for(act, engagement)]
    other = [act for act in newest if act.type == RECOVERED or is_against(act, engagement)]
    edges = {act.occurred_on for act in (*kind, *other)}
    edges |= {days_after(act.occurred_on, rules.advocate_days) for act in kind}
    edges |= {days_after(act.occurred_on, engagement.detractor_days) for act in other}

    def judge(day: date) -> tuple[list[str], list[str]]:
        good = [one.id for one in kind if _is_fresh(one, rules.advocate_days, day)]
        return good, [one.id for one in _list_against(other, engagement, day)]

    good, against = judge(as_of)
    return Voice(
        _stance(good, against),
        tuple(good),
        tuple(against),
        first_change(as_of, edges, lambda day: _stance(*judge(day))),
    )


def _stance(good: Sequence[str], against: Sequence[str]) -> Stance:
    if against:
        return Stance.MIXED if good else Stance.DETRACTOR
    return Stance.ADVOCATE if good else Stance.NEUTRAL


def list_grants(
    acts: Sequence[VerifiedEvent], bought_on: date | None, rules: RoleRules, engagement: EngagementRules
) -> Iterator[Held]:
    """Every reason that an account has a role, each with the days on which it does."""
    if bought_on:
        yield Held(BUYER, bought_on, None, _end_of_role(BUYER, bought_on, rules))
    for act in acts:
        if is_against(act, engagement):
            yield Held(CRITIC, act.occurred_on, act.id, days_after(act.occurred_on, engagement.detractor_days))
            if act.type not in _REVIEWS:
                continue
        last = _last_day(act)
        for role in roles_of(act.type, act.attributes, rules):
            yield Held(role, _begin(act), act.id, _end_of_role(role, last, rules) if last else None)


def _hold(
    acts: Sequence[VerifiedEvent], grants: Sequence[Held], engagement: EngagementRules, day: date
) -> tuple[Held, ...]:
    """The grants of a day, the longest for each role, with what people said about roles."""
    known = [act for act in acts if act.occurred_on <= day]
    added, removed = _read_overrides(known)
    against = {act.id for act in _list_against(known, engagement, day)}
    held: dict[str, Held] = {}
    for one in grants:
        if not one.since <= day < (one.until or date.max) or (one.role == CRITIC and one.event_id not in against):
            continue
        is_removed = one.role in removed and one.since <= removed[one.role]
        if not is_removed and (one.role not in held or _span(one) > _span(held[one.role])):
            held[one.role] = one
    order = {role: place for place, role in enumerate(ROLES)}
    return tuple(sorted((held | added).values(), key=lambda one: (order.get(one.role, len(order)), one.role)))


def _read_overrides(known: Sequence[VerifiedEvent]) -> tuple[dict[str, Held], dict[str, date]]:
    """What people said, oldest first in: role -> held because somebody said so, role -> the day it was taken away."""
    added: dict[str, Held] = {}
    removed: dict[str, date] = {}
    for act in known:
        if act.type != ROLES_SET:
            continue
        try:
            said = read_roles_set(act.attributes)
        except ValueError:
            # Stored before its type had a reader.
            continue
        for role in said.add:
            added[role] = Held(role, act.occurred_on, act.id, None, is_set=True)
        for role in said.remove:
            added.pop(role, None)
            removed[role] = act.occurred_on
    return added, removed


def _list_against(acts: Sequence[VerifiedEvent], engagement: EngagementRules, day: date) -> list[VerifiedEvent]:
    """The words against us that stand, in the order given: recent ones that no recovery followed."""
    known = [act for act in acts if act.occurred_on <= day]
    recovered = max((act.occurred_on for act in known if act.type == RECOVERED), default=None)
    return [
        act
        for act in known
        if is_against(act, engagement) and grudge_until(act.occurred_on, recovered, engagement, day)
    ]


def _is_fresh(act: VerifiedEvent, days: int, day: date) -> bool:
    return act.occurred_on <= day < days_after(act.occurred_on, days)


def speaks_for(act: VerifiedEvent, engagement: EngagementRules) -> bool:
    """Whether it is a good word about us, said to others."""
    if act.polarity is not Polarity.ADVOCATE or act.type in _UNSPOKEN or is_against(act, engagement):
        return False
    event_type = EVENT_TYPES.get(act.type)
    if event_type is None:
        return str(act.attributes.get("family")) in _IN_PUBLIC
    return event_type.family in _IN_PUBLIC and event_type.basis is not Basis.NONE


def _is_state(act: VerifiedEvent) -> bool:
    event_type = EVENT_TYPES.get(act.type)
    return event_type is not None and event_type.lasts


def _begin(act: VerifiedEvent) -> date:
    return act.start if _is_state(act) else act.occurred_on


def _last_day(act: VerifiedEvent) -> date | None:
    """The last day on which an act was done; None: it still lasts."""
    if not _is_state(act):
        return act.occurred_on
    return max(act.valid_to - timedelta(1), _begin(act)) if act.valid_to else None


def _end_of_role(role: str, last: date, rules: RoleRules) -> date | None:
    return None if role in rules.lasting else days_after(last, rules.days)


def _span(held: Held) -> tuple[date, date, str]:
    return held.until or date.max, held.since, held.event_id or ""
