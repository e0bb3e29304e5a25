"""The sums per account: staged from credit lines, and stored where they moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from app.domain.model import ChainMode, Issue, OpportunityType, Policy
from app.store.bulk import analyze, differs
from app.store.dirty import mark_moved
from app.store.staging import add_ids, create_temp, fill_temp, stage_ids, text_type

MEASURES = (
    "direct", "referred", "total", "given", "conserved", "network", "influence", "touched", "pipeline",
    "group_direct", "group_referred",
)  # fmt: skip
STORED = (*MEASURES, "issues", "next_change_on")
EARNED = "direct", "referred", "network", "influence", "touched"
"""The measures that are the sum of an account's own lines."""
KINDS = tuple(f"direct_{kind}" for kind in OpportunityType)
"""Own revenue by the type of the sale; corrections are not among it."""
CORRECTIONS = "corrections"
"""How many lines of own revenue are refunds or corrections, whose type only their sale tells."""
ISSUES = sorted(Issue)
RANKED = 100
"""A rank is kept for this many accounts: ranks further down move all the time and say little."""
MILLION = 1_000_000

OWNED = (
    "(select id from s_touched union select c.account_id as id from s_canonical c"
    " join s_touched t on t.id = c.canonical_id)"
)
"""SQL: the touched accounts and everything merged into them."""

# The product would leave 64 bits for large amounts: of these whole millions and the rest apart. Half up, by size.
_EXPECTED = (
    f"case when o.home_amount between 0 and {2**62 // MILLION} then (o.home_amount * o.probability + {MILLION // 2})"
    f" / {MILLION} else (abs(o.home_amount) / {MILLION} * o.probability"
    f" + (abs(o.home_amount) % {MILLION} * o.probability + {MILLION // 2}) / {MILLION})"
    " * case when o.home_amount < 0 then -1 else 1 end end"
)


@dataclass(frozen=True, slots=True)
class LineSource:
    """Where the lines are, the issues beside them, and their sums: what is stored, or what was staged."""

    table: str = "credit_line"
    issues: str = "opportunity_issue"
    values: str = "account_value"

    def current(self, alias: str) -> str:
        return f"{alias}.valid_to_run is null"


def stage_values(connection: sa.Connection, lines: LineSource, policy: Policy, as_of: str, *, touched: bool) -> None:
    """Fill `s_value` with the sums and issues of all accounts, or of those in `s_touched`."""
    _stage_parts(connection, lines, policy, as_of, touched=touched)
    text = text_type(connection)
    fill_temp(
        connection,
        "s_value",
        f"account_id {text}, next_change_on {text}, issues {text} not null default '', "
        + ", ".join(f"{name} bigint not null default 0" for name in MEASURES),
        f"(account_id, {', '.join(STORED)}) {_put_together(policy, touched=touched)}",
        key="account_id",
    )


def store_first_values(connection: sa.Connection, policy: Policy, as_of: str, run_id: int, policy_version: str) -> int:
    """Sum all accounts where no value is stored, straight to where they belong. Returns how many there are."""
    _stage_parts(connection, LineSource(), policy, as_of, touched=False)
    names = ", ".join(STORED)
    stored = connection.execute(
        sa.text(
            f"insert into account_value (policy_version, run_id, account_id, {names})"
            " select cast(:policy as text), cast(:run as bigint), x.*"
            f" from ({_put_together(policy, touched=False)}) x"
        ),
        {"policy": policy_version, "run": run_id},
    )
    mark_moved(connection, "select account_id from account_value", touched=False)
    return stored.rowcount


def is_anything_stored(connection: sa.Connection) -> bool:
    return connection.exec_driver_sql("select 1 from account_value limit 1").first() is not None


def _stage_parts(connection: sa.Connection, lines: LineSource, policy: Policy, as_of: str, *, touched: bool) -> None:
    """What a value is put together from.

    `s_earned`   what lines say of the account they belong to; own revenue by type is beside it
    `s_given`    what others earned on what the account bought
    `s_open`     its pipeline, and the day on which a future close date arrives
    `s_grouped`  the sums of everybody who has somebody below
    `s_coded`    the codes of its issues
    """
    if touched:
        _stage_summed(connection)
    _stage_earned(connection, lines, touched=touched)
    _stage_given(connection, lines, touched=touched)
    _stage_open(connection, as_of, touched=touched)
    _stage_groups(connection, lines, policy, touched=touched)
    _stage_issues(connection, lines.issues, touched=touched)


_KNOWN = (*EARNED, "given", "pipeline")
_PARTS = ("s_earned", "s_given", "s_open", "s_coded")


def _put_together(policy: Policy, *, touched: bool) -> str:
    """SQL: account, then `STORED`, of whoever has any part, or of those in `s_touched`."""
    included = " + influence" if policy.influence.include else ""
    told = {name: name for name in (*_KNOWN, "next_change_on")} | {
        "total": f"direct + referred{included}",
        "conserved": "direct + referred - given",
        # Own revenue is the group's revenue for whoever has no relatives.
        "group_direct": "coalesce(kin_direct, direct)",
        "group_referred": "coalesce(kin_referred, referred)",
        "issues": "coalesce(codes, '')",
    }
    # Who has an issue and nothing else is worth nothing, and people want to see why.
    everybody = " union ".join(
        (
            *(f"select account_id as id from {part}" for part in _PARTS),
            "select account_id from s_grouped where kin_direct <> 0 or kin_referred <> 0",
        )
    )
    return (
        f"select id, {', '.join(told[name] for name in STORED)} from"
        " (select i.id, next_change_on, codes, kin_direct, kin_referred,"
        f" {', '.join(f'coalesce({name}, 0) as {name}' for name in _KNOWN)}"
        f" from {'s_touched' if touched else f'({everybody} order by 1)'} i "
        + " ".join(f"left join {part} on {part}.account_id = i.id" for part in (*_PARTS, "s_grouped"))
        + ") summed"
    )


def _stage_summed(connection: sa.Connection) -> None:
    """Fill `s_summed`: the touched accounts and everybody below them, whose revenue is their group's."""
    create_temp(connection, "s_summed", f"id {text_type(connection)} primary key")
    add_ids(connection, "s_summed", "select id from s_touched")
    add_ids(
        connection, "s_summed", "select a.account_id as id from s_touched t join s_ancestor a on a.ancestor_id = t.id"
    )
    analyze(connection, "s_summed")


def _stage_earned(connection: sa.Connection, lines: LineSource, *, touched: bool) -> None:
    sums = {name: f"l.measure = '{name}'" for name in EARNED}
    sums |= {f"direct_{kind}": f"l.measure = 'direct' and l.rule = '{kind}'" for kind in OpportunityType}
    counted = "sum(case when l.measure = 'direct' and l.rule = 'adjustment' then 1 else 0 end)"
    summed = ", ".join(f"cast(sum(case when {which} then l.amount else 0 end) as bigint)" for which in sums.values())
    source = (
        f"s_summed t cross join {lines.table} l where l.account_id = t.id and" if touched else f"{lines.table} l where"
    )
    _fill_sums(
        connection,
        "s_earned",
        (*sums, CORRECTIONS),
        f"select l.account_id, {summed}, {counted} from {source} {lines.current('l')} group by l.account_id",
    )


def _stage_given(connection: sa.Connection, lines: LineSource, *, touched: bool) -> None:
    """Lines are found by account and by opportunity, not by buyer."""
    source, owned = f"{lines.table} l", ""
    if touched:
        source = f"{OWNED} t cross join opportunity o cross join {lines.table} l"
        owned = " and o.account_id = t.id and l.opportunity_id = o.id"
    _fill_sums(
        connection,
        "s_given",
        ("given",),
        f"select l.buyer_id, cast(sum(l.amount) as bigint) from {source}"
        f" where {lines.current('l')} and l.measure = 'referred'{owned} group by l.buyer_id",
    )


def _stage_open(connection: sa.Connection, as_of: str, *, touched: bool) -> None:
    source, owned = "opportunity o", ""
    if touched:
        source, owned = f"{OWNED} t cross join opportunity o", " and o.account_id = t.id"
    priced = "o.is_closed = 0 and o.probability is not null and o.home_amount is not null"
    is_open = f"{priced} and coalesce(o.created_on, '') <= :as_of"
    opens = f"{priced} and o.created_on > :as_of"
    arrives = "o.is_closed = 1 and o.is_won = 1 and o.close_on > :as_of"
    text = text_type(connection)
    fill_temp(
        connection,
        "s_open",
        f"account_id {text}, pipeline bigint, next_change_on {text}",
        f"select {_OWNER}, cast(sum(case when {is_open} then {_EXPECTED} else 0 end) as bigint),"
        f" min(case when {arrives} then o.close_on when {opens} then o.created_on end) from {source}"
        " left join s_canonical c on c.account_id = o.account_id"
        f" where o.is_deleted = 0 and o.account_id is not null{owned} and ({priced} or {arrives}) group by {_OWNER}",
        key="account_id",
        given={"as_of": as_of},
    )


_OWNER = "coalesce(c.canonical_id, o.account_id)"


def _stage_groups(connection: sa.Connection, lines: LineSource, policy: Policy, *, touched: bool) -> None:
    """Inside one group referred money is already direct: the sums of a group are consolidated."""
    only = " join s_touched t on t.id = a.ancestor_id" if touched else ""
    _fill_sums(
        connection,
        "s_grouped",
        ("kin_direct", "kin_referred"),
        "select a.ancestor_id, cast(sum(e.direct) as bigint), cast(sum(e.referred) as bigint)"
        f" from s_ancestor a{only} join s_earned e on e.account_id = a.account_id group by a.ancestor_id",
    )
    if policy.intra_group or policy.chain.mode is ChainMode.CARVE_OUT:
        _consolidate(connection, lines, touched=touched)


def _fill_sums(connection: sa.Connection, name: str, sums: Sequence[str], query: str) -> None:
    columns = ", ".join(f"{one} bigint" for one in sums)
    fill_temp(connection, name, f"account_id {text_type(connection)}, {columns}", query, key="account_id")


def _consolidate(connection: sa.Connection, lines: LineSource, *, touched: bool) -> None:
    """Take out of every group's referred revenue what its members referred to each other; by default they earn none."""
    source = f"{lines.table} l where"
    if touched:
        source = f"s_summed t cross join {lines.table} l where l.account_id = t.id and"
    create_temp(connection, "s_inside", f"account_id {text_type(connection)}, amount bigint")
    connection.exec_driver_sql(
        "insert into s_inside select b.ancestor_id, sum(x.amount) from (select l.account_id, l.buyer_id, l.amount"
        f" from {source} {lines.current('l')} and l.measure = 'referred') x"
        " join s_ancestor a on a.account_id = x.account_id"
        " join s_ancestor b on b.account_id = x.buyer_id and b.ancestor_id = a.ancestor_id group by b.ancestor_id"
    )
    connection.exec_driver_sql(
        "update s_grouped set kin_referred = kin_referred - i.amount"
        " from s_inside i where i.account_id = s_grouped.account_id"
    )


def _stage_issues(connection: sa.Connection, issues: str, *, touched: bool) -> None:
    """The distinct codes of each account, sorted, as one text: they are a closed list, and are asked for one by one."""
    text = text_type(connection)
    source = f"s_touched t cross join {issues} i where i.account_id = t.id" if touched else f"{issues} i where 1 = 1"
    codes = (
        f"case when sum(case when i.code = '{one}' then 1 else 0 end) > 0 then '{one} ' else '' end" for one in ISSUES
    )
    fill_temp(
        connection,
        "s_coded",
        f"account_id {text}, codes {text}",
        f"select i.account_id, rtrim({' || '.join(codes)}) from {source} and i.account_id is not null"
        " group by i.account_id",
        key="account_id",
    )


def merge_values(connection: sa.Connection, run_id: int, policy_version: str, *, touched: bool) -> int:
    """Store the staged values that differ and mark their accounts for the plan. Returns how many moved."""
    names = ", ".join(STORED)
    if not touched:
        _stage_absent(connection)
    changed = (
        "s_value new left join account_value old on old.account_id = new.account_id"
        f" where (old.account_id is null or {differs(connection, 'new', 'old', STORED)})"
    )
    moved = int(connection.exec_driver_sql(f"select count(*) from {changed}").scalar_one())
    mark_moved(connection, f"select new.account_id from {changed}", touched=touched)
    fresh = ", ".join(f"new.{name}" for name in STORED)
    connection.execute(
        sa.text(
            f"insert into account_value (account_id, policy_version, run_id, {names})"
            f" select new.account_id, cast(:policy as text), cast(:run as bigint), {fresh}"
            f" from {changed} on conflict (account_id) do update set policy_version = excluded.policy_version,"
            " run_id = excluded.run_id, " + ", ".join(f"{n} = excluded.{n}" for n in STORED)
        ),
        {"policy": policy_version, "run": run_id},
    )
    return moved


def _stage_absent(connection: sa.Connection) -> None:
    """Accounts that have a stored value and nothing any more."""
    connection.exec_driver_sql(
        "insert into s_value (account_id) select account_id from account_value a"
        " where not exists (select 1 from s_value v where v.account_id = a.account_id)"
    )


def count_differences(connection: sa.Connection, *, touched: bool) -> int:
    """How many accounts' stored sums the staged ones contradict. A stored row of nothing is none."""
    if not touched:
        _stage_absent(connection)
    something = " or ".join(
        (*(f"new.{m} <> 0" for m in MEASURES), "new.issues <> ''", "new.next_change_on is not null")
    )
    query = (
        "select count(*) from s_value new left join account_value old on old.account_id = new.account_id"
        f" where case when old.account_id is null then {something} else {differs(connection, 'new', 'old', STORED)} end"
    )
    return int(connection.exec_driver_sql(query).scalar_one())


def update_ranks(connection: sa.Connection, *, touched: bool) -> None:
    """Number the accounts with the highest totals; whoever moved is marked for the plan."""
    moved = _wrong_ranks(connection)
    if not moved:
        return
    connection.execute(sa.text("update account_value set rank = :rank where account_id = :account"), moved)
    stage_ids(connection, "s_ranked", [row["account"] for row in moved])
    mark_moved(connection, "select id as account_id from s_ranked", touched=touched)


def count_wrong_ranks(connection: sa.Connection) -> int:
    """How many accounts' stored ranks the stored totals contradict."""
    return len(_wrong_ranks(connection))


def _wrong_ranks(connection: sa.Connection) -> list[dict[str, Any]]:
    """Accounts, in order, with the rank they should have: None where none is kept."""
    ranked = list(
        connection.execute(
            sa.text("select account_id from account_value where total > 0 order by total desc, account_id limit :n"),
            {"n": RANKED},
        ).scalars()
    )
    new = {account: place for place, account in enumerate(ranked, start=1)}
    old = {
        row.account_id: row.rank
        for row in connection.exec_driver_sql("select account_id, rank from account_value where rank is not null")
    }
    return [
        {"account": account, "rank": new.get(account)}
        for account in sorted(new.keys() | old.keys())
        if new.get(account) != old.get(account)
    ]
