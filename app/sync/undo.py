"""Taking a run back: the values it overwrote return, wherever the CRM still shows ours."""

from __future__ import annotations

import json
from decimal import Decimal

from app.domain.plan import Change, ChangeKind
from app.errors import ConfigError
from app.store import mirror, runs, writes
from app.store.connection import Connection
from app.store.writes import Intent
from app.sync.errand import Errand, run_errand
from app.sync.report import PlannedUpdate, Progress, RunReport, silent
from app.sync.services import Services


def undo_run(services: Services, run_id: int, *, send: bool = True, progress: Progress = silent) -> RunReport:
    """Restore what a run overwrote. The affected accounts are read again first; edits made since are left alone.

    The next run that values these accounts anew writes them again: change the mapping or the policy, or pause the
    schedule, before that.
    """
    with services.database.read() as connection:
        if runs.load_run(connection, run_id) is None:
            raise ConfigError(f"there is no run {run_id}", hint="list them with: advocacy runs list")
        written = writes.load_intents(connection, run_id, outcome="ok")

    def restore(connection: Connection) -> tuple[list[Intent], tuple[PlannedUpdate, ...], int]:
        shown = mirror.load_shown(connection, [intent.account_id for intent in written])
        intents, updates, skipped = [], [], 0
        for intent in written:
            now = json.loads(shown.get(intent.account_id, ("", "{}"))[1])
            ours = [measure for measure, text in intent.after.items() if now.get(measure) == text]
            skipped += len(ours) < len(intent.after)
            if ours:
                back = Intent(
                    intent.account_id,
                    {m: intent.after[m] for m in ours},
                    {m: intent.before[m] for m in ours},
                    intent.movement,
                    now,
                    intent.after,
                )
                intents.append(back)
                updates.append(_planned(back, shown[intent.account_id][0]))
        return intents, tuple(updates[:200]), skipped

    accounts = [intent.account_id for intent in written]
    return run_errand(services, Errand("undo", accounts, restore), send=send, progress=progress)


def _planned(intent: Intent, name: str) -> PlannedUpdate:
    changes = tuple(
        Change(m, ChangeKind.CLEAR if intent.after[m] is None else ChangeKind.SET, intent.before[m], intent.after[m])
        for m in sorted(intent.after)
    )
    return PlannedUpdate(intent.account_id, name, changes, Decimal(intent.movement))
