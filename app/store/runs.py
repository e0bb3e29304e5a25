"""The table of runs: the truth about what ran, when, with what result."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from app.store.tables import audit_entry, policy, sync_run


@dataclass(frozen=True, slots=True)
class Run:
    run_id: int
    slot: str | None
    trigger: str
    mode: str
    status: str
    phase: str
    as_of: str
    epoch: int
    policy_version: str
    mapping_digest: str
    plan_digest: str | None
    started_at: datetime
    heartbeat_at: datetime
    finished_at: datetime | None
    report: Mapping[str, Any]
    error: str | None


_COLUMNS = [sync_run.c[name] for name in Run.__dataclass_fields__]


def _run(row: sa.RowMapping) -> Run:
    return Run(**{**row, "report": json.loads(row["report"])})


@dataclass(frozen=True, slots=True)
class NewRun:
    """What is known about a run when it starts. `slot`: the scheduled day and zone it stands for, once only."""

    trigger: str
    mode: str
    as_of: str
    epoch: int
    policy_version: str
    mapping_digest: str
    slot: str | None = None


def create_run(connection: sa.Connection, new: NewRun, *, now: datetime) -> int | None:
    """Start a run; None when its slot was run already, by anybody."""
    if new.slot is not None and load_slot(connection, new.slot) is not None:
        return None
    result = connection.execute(
        sa.insert(sync_run)
        .values({**asdict(new), "status": "running", "started_at": now, "heartbeat_at": now})
        .returning(sync_run.c.run_id)
    )
    return int(result.scalar_one())


def load_slot(connection: sa.Connection, slot: str) -> Run | None:
    """The run of a slot, unless it failed: a failed slot may be tried again."""
    row = (
        connection.execute(sa.select(*_COLUMNS).where(sync_run.c.slot == slot, sync_run.c.status != "failed"))
        .mappings()
        .first()
    )
    return _run(row) if row else None


def bury_dead_runs(connection: sa.Connection, *, now: datetime) -> int:
    """Whoever holds the lease may say it: runs that still claim to be running were killed. They lose their slot."""
    done = connection.execute(
        sa.update(sync_run)
        .where(sync_run.c.status == "running")
        .values(status="failed", slot=None, finished_at=now, error="the process ended before the run did")
    )
    return int(done.rowcount)


def note_phase(connection: sa.Connection, run_id: int, phase: str, *, now: datetime) -> None:
    connection.execute(sa.update(sync_run).where(sync_run.c.run_id == run_id).values(phase=phase, heartbeat_at=now))


def finish_run(
    connection: sa.Connection,
    run_id: int,
    *,
    status: str,
    report: Mapping[str, Any],
    now: datetime,
    plan_digest: str | None = None,
    error: str | None = None,
) -> None:
    values: dict[str, Any] = {
        "status": status, "report": json.dumps(report, sort_keys=True), "finished_at": now,
        "heartbeat_at": now, "plan_digest": plan_digest, "error": error,
    }  # fmt: skip
    if status == "failed":
        values["slot"] = None
    connection.execute(sa.update(sync_run).where(sync_run.c.run_id == run_id).values(values))


def load_runs(connection: sa.Connection, *, limit: int = 20, before: int | None = None) -> list[Run]:
    query = sa.select(*_COLUMNS).order_by(sync_run.c.run_id.desc()).limit(limit)
    if before is not None:
        query = query.where(sync_run.c.run_id < before)
    return [_run(row) for row in connection.execute(query).mappings()]


def load_run(connection: sa.Connection, run_id: int) -> Run | None:
    row = connection.execute(sa.select(*_COLUMNS).where(sync_run.c.run_id == run_id)).mappings().first()
    return _run(row) if row else None


def is_approved(connection: sa.Connection, plan_digest: str) -> bool:
    """Whether a person has released exactly this plan."""
    query = sa.select(sync_run.c.run_id).where(sync_run.c.status == "approved", sync_run.c.plan_digest == plan_digest)
    return connection.execute(query.limit(1)).first() is not None


def approve_run(connection: sa.Connection, run_id: int) -> bool:
    """Release a held run's plan; False when the run is not held."""
    done = connection.execute(
        sa.update(sync_run).where(sync_run.c.run_id == run_id, sync_run.c.status == "held").values(status="approved")
    )
    return done.rowcount == 1


def save_audit(
    connection: sa.Connection, *, now: datetime, who: str, action: str, subject: str, detail: Mapping[str, Any]
) -> None:
    """Append to the record of who changed what; nothing ever updates or deletes it."""
    connection.execute(
        sa.insert(audit_entry).values(
            at=now, who=who, action=action, subject=subject, detail=json.dumps(detail, sort_keys=True)
        )
    )


_VALUED = "phase in ('plan', 'push', 'prove') and (mode like 'sync%' or mode like 'plan%')"
"""SQL: the run stored a valuation. Its last phase tells, whatever became of it afterwards."""


def load_valued_run(connection: sa.Connection, *, run_id: int | None = None, day: str | None = None) -> Run | None:
    """The last run that valued: of all, up to a run, or the last finished one of a business day or before."""
    query = sa.select(*_COLUMNS).where(sa.text(_VALUED)).order_by(sync_run.c.run_id.desc()).limit(1)
    if run_id is not None:
        query = query.where(sync_run.c.run_id <= run_id)
    if day is not None:
        query = query.where(sync_run.c.as_of <= day, sync_run.c.status.not_in(("running", "failed")))
    row = connection.execute(query).mappings().first()
    return _run(row) if row else None


def load_policy_change(connection: sa.Connection, versions: Collection[str]) -> tuple[Run, Run] | None:
    """The last run that reported under a policy of none of these versions, and the first after it under one of them."""
    valued = sa.select(*_COLUMNS).where(sa.text(_VALUED))
    other = valued.where(sync_run.c.mode.like("sync%"), sync_run.c.policy_version.not_in(versions))
    before = connection.execute(other.order_by(sync_run.c.run_id.desc()).limit(1)).mappings().first()
    if before is None:
        return None
    later = valued.where(sync_run.c.policy_version.in_(versions), sync_run.c.run_id > before["run_id"])
    after = connection.execute(later.order_by(sync_run.c.run_id).limit(1)).mappings().first()
    return (_run(before), _run(after)) if after else None


def save_policy(connection: sa.Connection, version: str, content: Mapping[str, Any]) -> None:
    """Keep what a version of the policy says, once."""
    known = connection.execute(sa.select(policy.c.version).where(policy.c.version == version)).first()
    if known is None:
        connection.execute(sa.insert(policy).values(version=version, content=json.dumps(content, sort_keys=True)))


def load_policy(connection: sa.Connection, version: str) -> dict[str, Any]:
    """What a version of the policy said; empty when nobody kept it."""
    found = connection.execute(sa.select(policy.c.content).where(policy.c.version == version)).scalar()
    return dict(json.loads(found)) if found else {}


def load_policies(connection: sa.Connection) -> dict[str, dict[str, Any]]:
    """Every version of the policy that ever counted, with what it said."""
    rows = connection.execute(sa.select(policy.c.version, policy.c.content))
    return {version: dict(json.loads(content)) for version, content in rows}
