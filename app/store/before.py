"""What accounts were worth before the first run of a day that changed it: for whatever must hold still all day.

Only what changed is kept, and not for ever: an account without a row was worth then what it is worth now.
"""

from __future__ import annotations

from datetime import date, timedelta
from typing import NamedTuple

import sqlalchemy as sa

KEPT_DAYS = 60
_SAME: dict[str, str] = {
    "s_value": "coalesce(new.total, 0) = coalesce(v.total, 0) and coalesce(new.direct, 0) = coalesce(v.direct, 0)",
    "s_engagement": "coalesce(new.percentile, -1) = coalesce(e.percentile, -1)",
    "s_standing": "coalesce(new.is_customer, 0) = coalesce(s.is_customer, 0)",
}
"""Staged table -> SQL: what it says of an account is what is stored."""


class WorthBefore(NamedTuple):
    """`total` in minor units. `was_customer`: it had bought something, or held a licence."""

    total: int
    percentile: int | None
    was_customer: bool


def keep_before(connection: sa.Connection, staged: str, as_of: date, run_id: int) -> None:
    """Keep what is stored of the accounts that a staged table is about to change, unless it is kept for the day.

    Nothing was before the very first valuation. Where a run has moved every single value, all of them are kept already.
    """
    if not was_valued(connection, run_id):
        return
    connection.execute(
        sa.text(
            "insert into worth_before (account_id, before_day, total, percentile, was_customer)"
            " select new.account_id, :day, coalesce(v.total, 0), e.percentile,"
            " case when coalesce(v.direct, 0) > 0 or coalesce(s.is_customer, 0) = 1 then 1 else 0 end"
            f" from {staged} new left join account_value v on v.account_id = new.account_id"
            " left join account_engagement e on e.account_id = new.account_id"
            f" left join account_standing s on s.account_id = new.account_id where not ({_SAME[staged]})"
            " on conflict (account_id, before_day) do nothing"
        ),
        {"day": as_of.isoformat()},
    )


def was_valued(connection: sa.Connection, run_id: int) -> bool:
    """Whether a value is stored that this run has not moved."""
    earlier = sa.text("select 1 from account_value where run_id <> :run limit 1")
    return connection.execute(earlier, {"run": run_id}).first() is not None


def forget_before(connection: sa.Connection, as_of: date) -> None:
    """Give up what nobody looks back at any more."""
    since = as_of - timedelta(KEPT_DAYS)
    connection.execute(sa.text("delete from worth_before where before_day < :day"), {"day": since.isoformat()})


def load_before(connection: sa.Connection, day: date) -> dict[str, WorthBefore]:
    """Account id -> what it was worth after the last run before a day, where a run since then changed it."""
    rows = connection.execute(
        sa.text(
            "select b.account_id, b.total, b.percentile, b.was_customer from worth_before b join"
            " (select account_id, min(before_day) as first_day from worth_before where before_day >= :day"
            " group by account_id) m on m.account_id = b.account_id and m.first_day = b.before_day"
        ),
        {"day": day.isoformat()},
    )
    return {id_: WorthBefore(total, percentile, bool(was)) for id_, total, percentile, was in rows}
