"""The measures beside the money, per account: staged, and stored where they differ.

Part of every valuation, after the values. An incremental one computes the touched accounts, whoever brought them, and
whoever stands elsewhere among all now; on the first one of a week everybody whose points fade.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date

import sqlalchemy as sa

from app.domain.decay import MILLION
from app.domain.engagement import week_of
from app.domain.model import Policy
from app.domain.rules import EngagementRules
from app.domain.segments import Orders, Standard
from app.store.activity import FACTS, stage_activity
from app.store.bulk import analyze
from app.store.dirty import mark_moved
from app.store.engagement_rows import MONEY
from app.store.measures import Measures, are_first, count_different, merge_measures
from app.store.optional import OPTIONAL, stage_optional
from app.store.segments import (
    QUADRANT,
    Moves,
    load_kept_orders,
    load_orders,
    percentile_in,
    save_orders,
    shift_kept_orders,
    stage_engaged,
    stage_segments,
    standard_in,
)
from app.store.staging import LIVE, add_ids, create_temp, text_type
from app.store.state import load_flag, save_flag
from app.store.values import KINDS, LineSource

SHOWN = (
    "whole_points", "points_band", "is_detractor", "is_participant", "feedback_adopted", "feedback_declined",
    "feedback_open", "quadrant", "percentile", *MONEY, *OPTIONAL,
)  # fmt: skip
"""What people see of it: an account is planned again when one of these moves, and not for a tenth of a point."""
STORED = ("points", "participation_days", "next_change_on", *SHOWN)
FADED_IN = "points_faded_in"
"""State: the week that the stored points are of."""

_WHOLE = f"case when points >= 0 then points / {MILLION} else -((-points + {MILLION - 1}) / {MILLION}) end"
"""SQL: whole points, cut downwards on both sides of zero."""


NUMBERS = ("points", *FACTS, *MONEY)
_TOLD = ("quadrant", "percentile", "next_change_on", *OPTIONAL, *NUMBERS)
"""What does not follow from the points."""
_NOTHING = {name: 0 if name in (*NUMBERS, "whole_points") else None for name in STORED}
ENGAGEMENT = Measures("account_engagement", "s_engagement", _NOTHING, SHOWN)
_SOMETHING = " or ".join(f"{name} <> 0" if name in NUMBERS else f"{name} is not null" for name in _TOLD)


def refresh_engagement(
    connection: sa.Connection,
    policy: Policy,
    as_of: date,
    run_id: int,
    *,
    everything: bool,
    moves: Moves | None = None,
) -> None:
    """Bring the stored measures up to date, and mark for the plan the accounts of which people will see something else.

    `moves`: what just changed in the values, where that is known: where nothing did, nobody stands elsewhere among all.
    """
    kept = load_kept_orders(connection)
    orders = _order_again(connection, kept, None if everything else moves)
    standard = standard_in(connection, orders, policy)
    if not everything:
        stage_engaged(connection, standard_in(connection, kept, policy) if kept else Standard(), standard)
    faded = is_new_week(connection, as_of) and not everything
    stage_activity(connection, policy.engagement, as_of, touched=not everything and not faded)
    if faded:
        _engage_unstored(connection)
    if everything and are_first(connection, ENGAGEMENT, run_id):
        _gather(connection, ENGAGEMENT.stored, run_id, LineSource(), policy, standard, as_of, touched=False)
        mark_moved(connection, f"select account_id from {ENGAGEMENT.stored}", touched=False)
    else:
        _stage(connection, LineSource(), policy, standard, as_of, touched=not everything)
        if faded:
            _stage_faded(connection, policy.engagement)
        merge_measures(connection, ENGAGEMENT, as_of, run_id, touched=not everything)
    save_orders(connection, orders)
    save_flag(connection, FADED_IN, str(week_of(as_of)))


def _order_again(connection: sa.Connection, kept: Orders | None, moves: Moves | None) -> Orders:
    if kept is None or moves is None:
        return load_orders(connection, "account_value")
    return shift_kept_orders(connection, kept, moves)


def stage_engagement_as_of(connection: sa.Connection, lines: LineSource, policy: Policy, as_of: date) -> None:
    """Fill `s_engagement` for another day or policy from lines and values staged for it; nothing stored is touched."""
    standard = standard_in(connection, load_orders(connection, lines.values), policy)
    stage_activity(connection, policy.engagement, as_of, touched=False)
    _stage(connection, lines, policy, standard, as_of, touched=False)


def count_differences(connection: sa.Connection, policy: Policy, as_of: date, *, accounts: str | None = None) -> int:
    """How many accounts' stored measures a computation from scratch contradicts: of all, or of those in a table of ids.

    Right after `values.stage_values` of the same accounts.
    """
    touched = accounts is not None
    lines = LineSource() if touched else LineSource(values="s_value")
    standard = standard_in(connection, load_orders(connection, lines.values), policy)
    if accounts is not None:
        create_temp(connection, "s_engaged", f"id {text_type(connection)} primary key")
        add_ids(connection, "s_engaged", f"select id from {accounts}")
        analyze(connection, "s_engaged")
    stage_activity(connection, policy.engagement, as_of, touched=touched)
    _stage(connection, lines, policy, standard, as_of, touched=touched)
    return count_different(connection, ENGAGEMENT, touched=touched)


def is_new_week(connection: sa.Connection, as_of: date) -> bool:
    """Whether points have faded since they were stored."""
    return load_flag(connection, FADED_IN) != str(week_of(as_of))


def mark_engagement_due(connection: sa.Connection, as_of: str) -> None:
    """Mark what time alone changes by that day: flags that end, memberships that begin, end or age."""
    connection.execute(
        sa.text(
            "insert into dirty (kind, id) select 'engagement', account_id from account_engagement"
            " where next_change_on <= :as_of on conflict (kind, id) do nothing"
        ),
        {"as_of": as_of},
    )


def _stage(
    connection: sa.Connection,
    lines: LineSource,
    policy: Policy,
    standard: Standard,
    as_of: date,
    *,
    touched: bool,
) -> None:
    """Fill `s_engagement` (columns of `account_engagement`) for all accounts, or for those in `s_engaged`."""
    text = text_type(connection)
    create_temp(
        connection,
        "s_engagement",
        f"account_id {text} primary key, quadrant {text}, percentile int, next_change_on {text}, points_band {text},"
        f" {_columns(('run_id', 'whole_points', *NUMBERS, *OPTIONAL), 'bigint')}",
    )
    _gather(connection, "s_engagement", 0, lines, policy, standard, as_of, touched=touched)
    analyze(connection, "s_engagement")


def _gather(
    connection: sa.Connection,
    table: str,
    run_id: int,
    lines: LineSource,
    policy: Policy,
    standard: Standard,
    as_of: date,
    *,
    touched: bool,
) -> None:
    """Join the parts. Accounts that are deleted or merged away stand in no quadrant."""
    stage_segments(connection, lines, touched=touched)
    stage_optional(connection, lines, policy, as_of.isoformat(), touched=touched)
    of = {"points": "s", "revenue_at_risk": "r"} | dict.fromkeys(FACTS, "f") | dict.fromkeys(KINDS, "k")
    numbers = {name: f"{of[name]}.{name}" for name in NUMBERS}
    source, id_ = f"s_engaged i left join {lines.values} v on v.account_id = i.id", "i.id"
    parts = {"s": "s_score", "f": "s_fact", "k": "s_kind", "r": "s_risk", "x": "s_optional"}
    if not touched:
        _stage_worthless(connection, lines.values)
        worth = f"select account_id, direct, referred, total from {lines.values}"
        source, id_ = f"({worth} union all select id, 0, 0, 0 from s_worthless) v", "v.account_id"
        parts["w"] = "s_earned"
        numbers |= {name: f"k.{name}, w.{name}" for name in KINDS}
    _fill(
        connection,
        table,
        run_id,
        policy.engagement,
        f"(select {id_} as account_id, {QUADRANT} as quadrant, {percentile_in(standard)} as percentile,"
        f" f.next_change_on,"
        f" {', '.join(f'coalesce({known}, 0) as {name}' for name, known in numbers.items())},"
        f" {', '.join(f'x.{name}' for name in OPTIONAL)} from {source}"
        f" {' '.join(f'left join {part} {name} on {name}.account_id = {id_}' for name, part in parts.items())}"
        f" left join account a on a.id = {id_} and {LIVE}) y"
        f" where {_SOMETHING}",
        {"high_direct": standard.direct, "high_referred": standard.referred},
    )


def _stage_worthless(connection: sa.Connection, values: str) -> None:
    """Fill `s_worthless` with whoever did something and has no value."""
    create_temp(connection, "s_worthless", f"id {text_type(connection)} primary key")
    for part in ("s_score", "s_fact"):
        add_ids(
            connection,
            "s_worthless",
            f"select p.account_id as id from {part} p"
            f" where not exists (select 1 from {values} v where v.account_id = p.account_id)",
        )


def _columns(names: Sequence[str], kind: str) -> str:
    return ", ".join(f"{name} {kind}" for name in names)


def _engage_unstored(connection: sa.Connection) -> None:
    """Points that cancelled each other out so far, and do not any more, are of accounts without a row."""
    add_ids(
        connection,
        "s_engaged",
        "select s.account_id as id from s_score s where s.points <> 0"
        " and not exists (select 1 from account_engagement e where e.account_id = s.account_id)",
    )


def _stage_faded(connection: sa.Connection, rules: EngagementRules) -> None:
    """Everybody else as stored, but with the points of the new week."""
    kept = [f"e.{name}" for name in _TOLD if name != "points"]
    _fill(
        connection,
        "s_engagement",
        0,
        rules,
        f"(select e.account_id, coalesce(s.points, 0) as points, {', '.join(kept)}"
        " from account_engagement e left join s_score s on s.account_id = e.account_id"
        " where coalesce(s.points, 0) <> e.points"
        " and not exists (select 1 from s_engaged i where i.id = e.account_id)) y",
        {},
    )


def _fill(
    connection: sa.Connection,
    table: str,
    run_id: int,
    rules: EngagementRules,
    source: str,
    given: Mapping[str, int],
) -> None:
    """Insert measures, with what follows from their points. An account without points is in no band."""
    highest_first = sorted(((least, band) for band, least in rules.bands.items()), reverse=True)
    bands = {f"band{n}": band for n, (_, band) in enumerate(highest_first)}
    reached = (
        f"when points >= {least * MILLION} then cast(:band{n} as text)" for n, (least, _) in enumerate(highest_first)
    )
    connection.execute(
        sa.text(
            f"insert into {table} (account_id, run_id, whole_points, points_band, {', '.join(_TOLD)})"
            f" select account_id, {int(run_id)}, {_WHOLE}, case when points = 0 then null {' '.join(reached)} end,"
            f" {', '.join(_TOLD)} from {source}"
        ),
        {**given, **bands},
    )
