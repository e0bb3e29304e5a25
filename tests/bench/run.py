"""How long a night takes, how much memory it needs and how often it calls the CRM, beside the plain floors.

    python tests/bench/run.py --accounts 10000 --database both --json figures.json
    python tests/bench/run.py --data

`--data` takes a real sales pipeline instead, through the Salesforce-shaped API and through the files connector.

Every step is a process of its own against a CRM of its own. Timings never fail this; wrong sums and a second run that
writes something do, with exit code 1.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, astuple, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from company import Size
from crm import PROJECT, Crm, Pace, Plain, find_stub, start_crm
from databases import Database, open_database
from real import DEFAULT, Real, print_real
from table import describe_machine, print_memory, print_result

HERE = Path(__file__).resolve().parent
FIXTURES = PROJECT / "tests" / "fixtures"
KINDS = ("sqlite", "postgresql")
FULL_ACCOUNTS, SANDBOX_ACCOUNTS = 100_000, 2_000
FEW = 100
FIELDS = "Total_Customer_Value__c", "Direct_Revenue__c", "Referred_Revenue__c"

Step = dict[str, Any]


@dataclass(slots=True)
class Bench:
    """One size on one database. `wrong`: what must not be, in words."""

    size: Size
    database: Database
    stub: Path | None
    pace: Pace
    scratch: Path
    wrong: list[str] = field(default_factory=list)
    valuation: Step = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        with self._crm() as crm:
            floors = self._sum_by_hand(crm, upload=True)
        nights = self._nights(floors)
        kind, settings = self.database.kind, self.database.settings
        return {
            "database": kind,
            "settings": settings,
            "size": asdict(self.size),
            "floors": floors,
            "nights": nights,
            "valuation": self.valuation,
        }

    def _nights(self, floors: Step) -> list[Step]:
        """The nights in the order in which a company lives through them."""
        percent = max(1, self.size.opportunities // 100)
        with self._crm() as crm, self.database.fresh() as target:
            job, plain = self._job(crm, target), Plain(crm)
            referrals = {"name": "store referrals", **_child("night.py", {**job, "action": "prepare"})}
            first = self._night("first night", plain, job)
            self._check_sums(first, floors)
            self.valuation = self._valuation(job)
            nights = [first, *(self._night(name, plain, job, writes=False) for name in ("only our echo", "quiet"))]
            plain.change_deals(0, percent, self.scratch)
            nights.append(self._night("1 % changed", plain, job))
            nights.append(self._night("echo of that", plain, job, writes=False))
            plain.change_deals(percent, FEW, self.scratch)
            nights.append(self._night(f"{FEW} changed", plain, job))
            self._check_accounts(crm)
        return [referrals, *nights]

    def _night(self, name: str, plain: Plain, job: Step, *, writes: bool = True) -> Step:
        # The CRM stamps changes by whole seconds: let the last ones lie in the past.
        time.sleep(1.1)
        _child("night.py", {**job, "action": "warm"})
        before = plain.count_calls()
        night = {"name": name, **_child("night.py", {**job, "action": "night"})}
        night["calls_counted_by_crm"] = plain.count_calls() - before
        self.database.rest(job["target"])
        self._check_night(night, writes=writes)
        return night

    def _valuation(self, job: Step) -> Step:
        """The valuation alone, on what the first night has left."""
        found = _child("valuation.py", {**job, "few": FEW})
        if found["wrong"]:
            self._complain(f"staged SQL by hand says something else for {found['wrong']} accounts")
        return found

    def _check_night(self, night: Step, *, writes: bool) -> None:
        counts, name = night["counts"], night["name"]
        if night["status"] != "ok":
            self._complain(f"{name}: the run ended as {night['status']}: {'; '.join(night['notes'])}")
        if writes and not counts["written"]:
            self._complain(f"{name}: something had changed, and it wrote nothing")
        if not writes and counts["update"] + counts["clear"] + counts["written"]:
            self._complain(f"{name}: nothing had changed, and it wrote {counts['written']} accounts")

    def _check_sums(self, night: Step, floors: Step) -> None:
        for name in ("direct", "referred"):
            if Decimal(night["money"][name]) != Decimal(floors[name]):
                self._complain(f"{name} revenue is {night['money'][name]}, plain SQL says {floors[name]}")

    def _check_accounts(self, crm: Crm) -> None:
        """Sum up by hand once more: then the CRM must show every account's revenue to the cent already."""
        stale = self._sum_by_hand(crm, upload=False)["stale"]
        if stale:
            self._complain(f"after all nights the CRM shows other values than plain SQL for {stale} accounts")

    def _complain(self, text: str) -> None:
        self.wrong.append(f"{self.database.kind}, {self.size.accounts:,} accounts: {text}")

    def _sum_by_hand(self, crm: Crm, *, upload: bool) -> Step:
        job: Step = {"updates": str(self.scratch / "updates.csv"), "upload": upload}
        with self.database.fresh() as target:
            return _child("floors.py", {**self._job(crm, target), **job})

    def _job(self, crm: Crm, target: str) -> Step:
        return {
            "crm": asdict(crm),
            "size": astuple(self.size),
            "target": target,
            "servers": self.database.servers,
            "mapping": str(self._mapping(crm)),
            "poll_seconds": self.pace.poll_seconds,
        }

    def _mapping(self, crm: Crm) -> Path:
        """The bench mapping with the names that this CRM has for the fields."""
        text = (HERE / "stub.yaml").read_text("utf-8")
        for name, there in zip(FIELDS, crm.fields, strict=True):
            text = text.replace(f": {name}\n", f": {there}\n")
        path = self.scratch / "mapping.yaml"
        path.write_text(text, "utf-8")
        return path

    @contextmanager
    def _crm(self) -> Iterator[Crm]:
        with start_crm(self.stub, self.size, self.scratch, self.pace) as crm:
            yield crm


def _child(script: str, job: Step) -> Step:
    """Run a script in an empty folder and an environment without our settings; its last line is its answer."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("ADVOCACY_")}
    environment["PYTHONPATH"] = os.pathsep.join((str(PROJECT), str(FIXTURES)))
    command = [sys.executable, str(HERE / script), json.dumps(job)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{script} {job.get('action', '')} failed")
    answer: Step = json.loads(done.stdout.splitlines()[-1])
    return answer


def main() -> int:
    stub = find_stub()
    options = _read_options(FULL_ACCOUNTS if stub else SANDBOX_ACCOUNTS)
    pace = Pace(options.latency_ms, options.job_seconds)
    machine = describe_machine(stub is not None, pace)
    print(machine)
    if options.data is not None:
        return _run_real(options, machine)
    results, wrong = [], []
    for kind in KINDS if options.database == "both" else (options.database,):
        with tempfile.TemporaryDirectory(prefix="advocacy-bench-") as scratch, ExitStack() as stack:
            database = stack.enter_context(open_database(kind, Path(scratch)))
            for percent in options.sizes:
                folder = Path(scratch) / str(percent)
                folder.mkdir()
                bench = Bench(options.size.percent(percent), database, stub, pace, folder)
                results.append(bench.run())
                wrong += bench.wrong
                print_result(results[-1])
    print_memory(results)
    return _finish({"machine": machine, "results": results, "wrong": wrong}, options.json)


def _run_real(options: argparse.Namespace, machine: str) -> int:
    results, wrong = [], []
    for kind in KINDS if options.database == "both" else (options.database,):
        with tempfile.TemporaryDirectory(prefix="advocacy-bench-") as scratch, open_database(kind, Path(scratch)) as db:
            real = Real(options.data, db, Path(scratch), _child)
            results += real.run()
            wrong += real.wrong
    print_real(results)
    return _finish({"machine": machine, "results": results, "wrong": wrong}, options.json)


def _finish(figures: Step, path: Path | None) -> int:
    if path:
        path.write_text(json.dumps(figures, indent=1), "utf-8")
    for text in figures["wrong"]:
        print(f"WRONG  {text}")
    return 1 if figures["wrong"] else 0


def _read_options(accounts: int) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=accounts)
    parser.add_argument("--opportunities", type=int, help="default: ten for each account")
    parser.add_argument("--referrals", type=int, help="default: two for each account")
    parser.add_argument("--database", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--sizes", type=_percents, default=[10, 100], help="percent of the numbers above")
    parser.add_argument("--latency-ms", type=float, default=0, help="of every answer; the neutral server only")
    parser.add_argument("--job-seconds", type=float, default=0, help="how long bulk jobs take; the neutral server only")
    parser.add_argument("--data", type=Path, nargs="?", const=DEFAULT, help="real data; default: %(const)s")
    parser.add_argument("--json", type=Path, help="write all figures to this file")
    options = parser.parse_args()
    options.size = Size(
        options.accounts, options.opportunities or 10 * options.accounts, options.referrals or 2 * options.accounts
    )
    return options


def _percents(text: str) -> list[int]:
    return [int(one) for one in text.split(",")]


if __name__ == "__main__":
    sys.exit(main())
