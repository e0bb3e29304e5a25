"""One night of the project, or what has to happen before one: a process of its own, started by `run.py`.

`prepare` makes the database and stores the referrals. `warm` reads what the next night will read and throws it away,
so that the CRM has its answers ready and its own work stays off the clock. `night` is the measured run.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from company import SOURCE, Size, referrals
from crm import Crm
from measure import Clock, cpu_of, peak_mb

from app.bootstrap import build_services
from app.config import load_settings
from app.domain.events import AdvocacyEvent
from app.domain.rows import Entity
from app.mapping.check import check_mapping, objects_of
from app.store.database import open_database, upgrade_database
from app.store.events import save_events
from app.store.mirror import load_position
from app.sync.pull import source_name
from app.sync.run import run_sync
from app.sync.services import Services
from connectors.contract import PullRequest

USER = "bench@example.com"
COUNTED = (Entity.ACCOUNT, Entity.OPPORTUNITY)


def main(job: dict[str, Any]) -> dict[str, Any]:
    if job["action"] == "prepare":
        database = open_database(job["target"])
        upgrade_database(database)
        database.close()
    services = open_services(job)
    if job["action"] == "prepare":
        return _prepare(services, Size(*job["size"]), tuple(job["servers"]))
    if job["action"] == "warm":
        return _warm(services)
    return _night(services, tuple(job["servers"]), job["crm"]["pid"])


def open_services(job: dict[str, Any]) -> Services:
    crm = Crm(**job["crm"])
    settings = load_settings(
        database_url=job["target"],
        crm="salesforce",
        mapping=job["mapping"],
        salesforce_access_token=crm.token,
        salesforce_instance_url=crm.url,
        salesforce_username=USER,
        salesforce_poll_seconds=job["poll_seconds"],
        # Nights follow each other within seconds here: looking back would read the night before again.
        look_back_seconds=0,
    )
    return build_services(settings)


def _events(size: Size) -> Iterator[AdvocacyEvent]:
    for one in referrals(size):
        yield AdvocacyEvent(SOURCE, one.number, "referral", one.day, one.referrer, referred_account=one.referred)


def _prepare(services: Services, size: Size, servers: tuple[int, ...]) -> dict[str, Any]:
    clock = Clock(servers)
    with clock:
        save_events(services.database, _events(size), now=datetime.now(UTC), policy=services.mapping.policy)
    return {"wall": clock.wall, "cpu": clock.cpu, "rows": size.referrals, "peak_mb": peak_mb()}


def _warm(services: Services) -> dict[str, Any]:
    connector = services.connect()
    plan = check_mapping(services.mapping, connector.describe(objects_of(services.mapping)), USER)
    look_back = timedelta(seconds=services.settings.look_back_seconds)
    requests = []
    for source in plan.sources():
        with services.database.read() as connection:
            mark = load_position(connection, source_name(source)).watermark
        since = None if mark is None else mark - look_back
        requests.append(PullRequest(source.object, source.fields, since=since, where=source.where))
    rows = sum(len(page.rows) for page in connector.pull(requests))
    connector.count({plan.entities[one].object: plan.entities[one].where for one in COUNTED})
    connector.close()
    return {"rows": rows}


def _night(services: Services, servers: tuple[int, ...], crm_pid: int) -> dict[str, Any]:
    # Loads the connector's libraries: part of starting, not of the night.
    services.connect().close()
    start_cpu, crm_cpu, clock = time.process_time(), cpu_of(crm_pid), Clock(servers)
    with clock:
        report = run_sync(services)
    return {
        "status": report.status,
        "wall": clock.wall,
        "cpu": clock.cpu,
        "start_cpu": start_cpu,
        "crm_cpu": cpu_of(crm_pid) - crm_cpu,
        "peak_mb": peak_mb(),
        "calls": report.calls,
        "phases": dict(report.phases),
        "counts": dict(report.counts),
        "money": dict(report.money),
        "notes": [*report.guard.reasons, *report.notes],
    }


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
