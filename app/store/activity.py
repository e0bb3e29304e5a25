"""What accounts do for us, staged from the verified advocacy events: points, flags, participation and feedback.

SQL joins, ranks and sums; what needs the calendar or looks into attributes is decided by `domain.engagement` for the
few accounts that have it. `hierarchy.stage_structure` ran before.

`s_engaged`   the accounts to compute again; without it (`touched=False`) all of them
`s_member`    the accounts whose events count for these, when only some are computed
`s_score`     millionths of points, and how many events may earn any
`s_fact`      flags, participation and feedback, and the day on which time will change them
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import date
from typing import Any, NamedTuple

import sqlalchemy as sa

from app.domain.engagement import (
    FEEDBACK_TYPES,
    RECOVERED,
    Deed,
    Membership,
    Outcome,
    Participation,
    counted_types,
    decay_steps,
    grudge_until,
    outcome_of,
    participation,
    quarter_of,
    rule_of,
)
from app.domain.events import Polarity
from app.domain.rows import Row
from app.domain.rules import EngagementRules
from app.store.bulk import analyze, insert_rows, is_sqlite
from app.store.evidence import VERIFIED, stage_members, told_of
from app.store.staging import create_temp, fill_temp, text_type

FACTS = (
    "is_detractor", "is_participant", "participation_days", "feedback_adopted", "feedback_declined", "feedback_open",
)  # fmt: skip
_BASE = (
    "case e.polarity when 'detractor' then r.against"
    " when 'neutral' then case when r.base < 0 then r.base else 0 end else r.base end"
)


def stage_activity(connection: sa.Connection, rules: EngagementRules, as_of: date, *, touched: bool) -> None:
    """Fill `s_score` and `s_fact` for all accounts, or for those in `s_engaged`."""
    events = _Events(connection, as_of, touched=touched)
    _stage_scores(events, rules)
    _stage_facts(events, rules)


class _Events:
    """The verified advocacy events up to a day, with the account each counts for. One valuation."""

    def __init__(self, connection: sa.Connection, as_of: date, *, touched: bool) -> None:
        self.connection = connection
        self.as_of = as_of
        self.told = told_of(members_only=touched)
        if touched:
            stage_members(connection, "s_engaged")

    def run(self, statement: str, **given: object) -> sa.CursorResult[*tuple[Any, ...]]:
        """Execute a statement in which {owner}, {source} and {known} stand for the events."""
        text = sa.text(statement.format(owner=self.told.owner, source=self.told.source, known=VERIFIED))
        for name, value in given.items():
            if isinstance(value, list):
                text = text.bindparams(sa.bindparam(name, expanding=True))
        return self.connection.execute(text, {"as_of": self.as_of.isoformat(), **given})


def _stage_scores(events: _Events, rules: EngagementRules) -> None:
    connection = events.connection
    _stage_type_rules(connection, rules)
    _stage_fading(events, rules)
    rated = (
        f"from {events.told.source} join s_type_rule r on r.type = e.type"
        " join s_fading f on f.day = e.occurred_on and f.half_life = r.half_life"
    )
    fill_temp(
        connection,
        "s_score",
        f"account_id {text_type(connection)}, points bigint not null, events int not null",
        f"select {events.told.owner}, cast(sum({_BASE} * f.ppm) as bigint), count(*) {rated}"
        f" where {VERIFIED} group by 1",
        key="account_id",
        given={"as_of": events.as_of.isoformat()},
    )
    # Only who has more events than a cap lets count has them ranked. Of one type and quarter the weightiest count, then
    # the earliest: as `domain.engagement.point_lines` has it.
    events.run(
        "update s_score set points = x.points from ("
        "select owner, cast(sum(base * ppm) as bigint) as points from ("
        f"select {{owner}} as owner, {_BASE} as base, f.ppm as ppm, r.cap as cap, row_number() over"
        f" (partition by {{owner}}, e.type, f.quarter order by abs({_BASE}) desc, e.occurred_on, e.event_id) as place"
        f" {rated} where {{known}} and {_BASE} <> 0"
        " and {owner} in (select account_id from s_score where events > :cap)) y"
        " where place <= cap group by owner) x where x.owner = s_score.account_id",
        cap=min((rules.cap, *rules.caps.values())),
    )


def _stage_type_rules(connection: sa.Connection, rules: EngagementRules) -> None:
    create_temp(
        connection,
        "s_type_rule",
        f"type {text_type(connection)} primary key, base int, against int, half_life int, cap int",
    )
    columns = ("type", "base", "against", "half_life", "cap")
    insert_rows(connection, "s_type_rule", columns, [(code, *rule_of(code, rules)) for code in counted_types(rules)])
    analyze(connection, "s_type_rule")


def _stage_fading(events: _Events, rules: EngagementRules) -> None:
    """What is left of a million, for every day on which anything happened: the database takes no powers."""
    connection = events.connection
    days = [
        date.fromisoformat(str(day))
        for (day,) in events.run("select distinct e.occurred_on from {source} where {known}")
    ]
    lives = {rules.half_life_days, *rules.half_lives.values()}
    text = text_type(connection)
    create_temp(
        connection,
        "s_fading",
        f"day {text}, half_life int, ppm bigint, quarter {text}, primary key (day, half_life)",
    )
    rows: list[Row] = [
        (day.isoformat(), life, ppm, quarter_of(day)) for day, life, ppm in decay_steps(days, lives, events.as_of)
    ]
    insert_rows(connection, "s_fading", ("day", "half_life", "ppm", "quarter"), rows)
    analyze(connection, "s_fading")


def _stage_facts(events: _Events, rules: EngagementRules) -> None:
    """Flags, participation and feedback of the accounts that have any, and the day on which time will change them."""
    grudges = dict(_load_grudges(events, rules))
    memberships = _load_memberships(events, rules)
    parts = {account: participation(spans, rules, events.as_of) for account, spans in memberships.items()}
    feedback = _load_feedback(events)
    text = text_type(events.connection)
    create_temp(
        events.connection,
        "s_fact",
        f"account_id {text} primary key, {', '.join(f'{name} int' for name in FACTS)}, next_change_on {text}",
    )
    rows: list[Row] = []
    for account in sorted({*grudges, *parts, *feedback}):
        part, until = parts.get(account, Participation()), grudges.get(account)
        due = min((day for day in (until, part.next_change_on) if day), default=None)
        told = feedback.get(account, Counter())
        counts = (told[outcome] for outcome in (Outcome.ADOPTED, Outcome.DECLINED, Outcome.OPEN))
        flags = (int(until is not None), int(part.is_active), part.days)
        rows.append((account, *flags, *counts, due.isoformat() if due else None))
    insert_rows(events.connection, "s_fact", ("account_id", *FACTS, "next_change_on"), rows)
    analyze(events.connection, "s_fact")


def _load_grudges(events: _Events, rules: EngagementRules) -> Iterator[tuple[str, date]]:
    """The detractors, each with the first day on which it will no longer be one."""
    rows = events.run(
        "select {owner}, max(case when e.type = :recovered then null else e.occurred_on end),"
        " max(case when e.type = :recovered then e.occurred_on end) from {source} where {known}"
        " and (e.polarity = 'detractor' or e.type = :recovered or e.type in :against) group by {owner}",
        recovered=RECOVERED,
        against=sorted(rules.detractor_types),
    )
    for account, against, recovered in rows:
        until = grudge_until(_day(against), _day(recovered), rules, events.as_of)
        if until is not None:
            yield account, until


def _load_memberships(events: _Events, rules: EngagementRules) -> dict[str, list[Membership]]:
    """The memberships of every account; one that was told again counts as it was told last."""
    rows = events.run(
        "select owner, first_day, valid_to from (select {owner} as owner, e.valid_to as valid_to,"
        " coalesce(e.valid_from, e.occurred_on) as first_day, row_number() over (partition by {owner}, e.type,"
        " e.contact_id, e.title, coalesce(e.valid_from, e.occurred_on) order by e.recorded_at desc,"
        " coalesce(e.valid_to, '9999-12-31'), e.event_id) as place from {source}"
        " where {known} and e.type in :types) x where place = 1",
        types=sorted(rules.participation_types),
    )
    found: defaultdict[str, list[Membership]] = defaultdict(list)
    for account, start, end in rows:
        found[account].append(Membership(date.fromisoformat(start), _day(end)))
    return found


def _load_feedback(events: _Events) -> dict[str, Counter[Outcome]]:
    rows = events.run(
        "select {owner}, e.type, e.attributes, count(*) from {source} where {known} and e.type in :types"
        " group by 1, 2, 3",
        types=list(FEEDBACK_TYPES),
    )
    found: defaultdict[str, Counter[Outcome]] = defaultdict(Counter)
    for account, code, attributes, count in rows:
        found[account][outcome_of(code, json.loads(attributes))] += count
    return found


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


class DeedRow(NamedTuple):
    """One verified event, and what a person recognises it by."""

    deed: Deed
    title: str


def load_deeds(connection: sa.Connection, account_id: str) -> list[DeedRow]:
    """The verified events of an account and of all that were merged into it, oldest first."""
    collation = "" if is_sqlite(connection) else ' collate "C"'
    rows = connection.execute(
        sa.text(
            f"with recursive whole (id) as (select cast(:id as text){collation} union"
            " select a.id from account a join whole w on a.merged_into_id = w.id)"
            " select e.event_id, e.type, e.occurred_on, e.polarity, e.title from whole w"
            " join advocacy_event e on e.account_id = w.id where e.status = 'verified'"
            " order by e.occurred_on, e.event_id"
        ),
        {"id": account_id},
    )
    return [
        DeedRow(Deed(event, code, date.fromisoformat(day), Polarity(polarity)), title or "")
        for event, code, day, polarity, title in rows
    ]
