"""A real sales pipeline through both connectors: what goes in, what comes out, and what it costs.

As a script: one run of the main job on it, in a process of its own, started by `run.py --data`.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from crm import PROJECT, Plain, start_sandbox
from databases import Database
from measure import peak_mb

sys.path.append(str(PROJECT))
sys.path.append(str(PROJECT / "tests" / "fixtures"))

from sales_book import expected_totals, find_sales_data, open_book, referrals_of, write_exports_of

Step = dict[str, Any]
DEFAULT = find_sales_data()
WAYS = ("salesforce", "files")
COLUMNS = "way", "database", "accounts", "deals", "money in", "own", "referred", "money out", "calls", "s", "peak MB"


@dataclass(slots=True)
class Real:
    """The data of one folder on one database. `wrong`: what must not be, in words."""

    data: Path
    database: Database
    scratch: Path
    child: Callable[[str, Step], Step]
    wrong: list[str] = field(default_factory=list)

    def run(self) -> list[Step]:
        if not self.data.is_dir():
            raise SystemExit(f"no real data: {self.data} does not exist; name its folder behind --data")
        return [self._run(way) for way in WAYS]

    def _run(self, way: str) -> Step:
        with closing(open_book(self.data)) as book:
            direct, referred = (sum(side.values()) for side in expected_totals(book))
            (money_in,) = book.execute(
                "select sum(cast(Amount as integer)) from opportunities where IsWon = 'true'"
            ).fetchone()
        with self.database.fresh() as target, self._crm(way) as (settings, count_out):
            job = {"data": str(self.data), "settings": {"database_url": target, "crm": way, **settings}}
            first, second = (self.child("real.py", job) for _ in range(2))
            money_out = count_out()
        result = {
            "way": way,
            "database": self.database.kind,
            "money_in": money_in,
            "money_out": str(money_out),
            **first,
        }
        unassigned = Decimal(first["money"]["unassigned"])
        self._expect(result, "own revenue", Decimal(first["money"]["direct"]), direct)
        self._expect(result, "referred revenue", Decimal(first["money"]["referred"]), referred)
        self._expect(
            result, "own revenue and what has no account", Decimal(first["money"]["direct"]) + unassigned, money_in
        )
        self._expect(result, "what the CRM shows", money_out, direct + referred)
        self._expect(result, "accounts written by a second run", second["written"], 0)
        return {**result, "second_seconds": second["seconds"], "second_calls": second["calls"]}

    def _expect(self, result: Step, what: str, found: object, wanted: object) -> None:
        if found != wanted:
            self.wrong.append(f"{result['way']} on {result['database']}: {what}: {found}, not {wanted}")

    @contextmanager
    def _crm(self, way: str) -> Iterator[tuple[Step, Callable[[], Decimal]]]:
        """The settings that lead to the CRM, and the sum of what it shows as total customer value."""
        if way == "salesforce":
            with start_sandbox(self.data) as crm:
                query = f"SELECT {crm.fields[0]} FROM Account"
                settings = {"salesforce_access_token": crm.token, "salesforce_instance_url": crm.url}
                yield settings, lambda: sum((Decimal(row[0] or 0) for row in Plain(crm).rows(query)), Decimal())
            return
        folder = self.scratch / "exports"
        folder.mkdir(exist_ok=True)
        with closing(open_book(self.data)) as book:
            write_exports_of(book, folder)
        (folder / "scores.csv").unlink(missing_ok=True)

        def count_out() -> Decimal:
            with (folder / "scores.csv").open(newline="", encoding="utf-8") as handle:
                return sum((Decimal(row["total"] or 0) for row in csv.DictReader(handle)), Decimal())

        yield {"files_dir": str(folder)}, count_out


def print_real(results: list[Step]) -> None:
    rows = [COLUMNS]
    for one in results:
        money = one["money"]
        amounts = (
            f"{Decimal(value):,.0f}"
            for value in (one["money_in"], money["direct"], money["referred"], one["money_out"])
        )
        sizes = f"{one['accounts']:,}", f"{one['opportunities']:,}"
        calls, seconds = (
            f"{one['calls']}, then {one['second_calls']}",
            f"{one['seconds']:.2f}, then {one['second_seconds']:.2f}",
        )
        rows.append((one["way"], one["database"], *sizes, *amounts, calls, seconds, f"{one['peak_mb']:.0f}"))
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    for row in rows:
        print(
            "  ".join(
                cell.ljust(width) if at < 2 else cell.rjust(width)
                for at, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
        )


def main(job: Step) -> Step:
    """One run: the first one stores the referrals, too."""
    from app.bootstrap import build_services
    from app.config import load_settings
    from app.store.database import open_database, upgrade_database
    from app.store.events import save_events
    from app.sync.run import run_sync

    database = open_database(job["settings"]["database_url"])
    upgrade_database(database)
    database.close()
    services = build_services(load_settings(**job["settings"]))
    with closing(open_book(Path(job["data"]))) as book:
        save_events(services.database, referrals_of(book), now=datetime.now(UTC), policy=services.mapping.policy)
    services.connect().close()
    started = time.perf_counter()
    report = run_sync(services)
    return {
        "status": report.status,
        "accounts": report.counts["pulled_account"],
        "opportunities": report.counts["pulled_opportunity"],
        "written": report.counts["written"],
        "money": dict(report.money),
        "calls": report.calls,
        "seconds": time.perf_counter() - started,
        "peak_mb": peak_mb(),
        "issues": dict(report.issues),
        "phases": dict(report.phases),
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
