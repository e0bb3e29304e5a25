"""Killed at any place, a run is simply run again: the same end state, nothing lost, nothing doubled, little repeated.

A run is killed (SIGKILL) before and after requests to the CRM and before and after commits. A sample of these places
is tried, the same every time; ADVOCACY_TEST_EVERY_KILL=1 tries all of them.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from companies import TOKEN
from databases import PostgresServer, name_of
from nights import BULK, NOW, REST, Way, books, build_org, change_org, differences, referrals, serve_org, shown
from sqlalchemy import make_url

from app.config import default_mapping_path
from app.mapping.file import load_mapping
from app.store.database import Database, open_database
from app.store.events import save_events
from connectors.salesforce.sandbox import Sandbox, load_org, save_org

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="runs are forked and killed by signals")

EVERY_KILL = "ADVOCACY_TEST_EVERY_KILL"
SAMPLES = {"sqlite": 4, "postgresql": 2}
"""Places to die at, of each kind, when not all are tried: copying a database on a server takes its time."""
MORE_REQUESTS = 12
"""What a killed run may cost beyond an undisturbed one: describe, probe, a job for each of three objects, re-read."""
WORLDS = [
    "first night by bulk", "second night by REST", "second night in full by bulk", "answer to an event",
    "first night by REST",
]  # fmt: skip
FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
PROJECT = FIXTURES.parents[1]

Place = tuple[str, int, str]


class Driver:
    """A process that forks a run for every order it is given."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(FIXTURES / "crash_driver.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (FIXTURES, PROJECT)))},
        )

    def run(self, night: Night, kill: Place | None = None, events: Path | None = None) -> dict[str, Any]:
        order = {
            "url": night.sandbox.url, "database_url": night.url, "way": night.way.plain(), "full": night.full,
            "only": night.only, "kill": kill, "events": events and str(events),
        }  # fmt: skip
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return dict(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    driver = Driver()
    yield driver
    driver.close()


@dataclass
class Night:
    """One night of one copy of the world."""

    sandbox: Sandbox
    url: str
    database: Database
    way: Way
    full: bool
    only: list[str] | None = None
    writes: list[str] = field(default_factory=list)
    """Accounts written over the API, in order."""

    @property
    def requests(self) -> int:
        return sum(count for kind, count in self.sandbox.calls.items() if not kind.startswith("/"))

    def acknowledged(self) -> set[str]:
        """Accounts of which our books know that the CRM took what this night wanted."""
        query = (
            "select account_id from write_intent where outcome = 'ok' and run_id > "
            "(select coalesce(max(run_id), 0) from sync_run where status = 'ok')"
        )
        with self.database.read() as connection:
            return set(connection.exec_driver_sql(query).scalars())

    def time_passes(self) -> None:
        """The lease of the dead ends, and the CRM works on what it was given."""
        self.lease_ends()
        self.crm_works()

    def lease_ends(self) -> None:
        with self.database.begin() as connection:
            connection.exec_driver_sql("update lease set expires_at = 0")

    def crm_works(self) -> None:
        root = f"{self.sandbox.url}/services/data/v62.0/jobs/ingest"
        with httpx.Client(headers={"Authorization": f"Bearer {TOKEN}"}) as client:
            for job in client.get(root).json()["records"]:
                client.get(f"{root}/{job['id']}")

    def end_state(self) -> dict[str, Any]:
        return {**books(self.database), "shown": list(shown(self.sandbox.org).items())}


@dataclass
class World:
    """Where every night starts: a database and an org that are copied for each."""

    database_url: str
    org_file: Path
    way: Way
    full: bool
    copy: Callable[[str], Any]
    only: list[str] | None = None
    """Accounts of advocacy events that are to be answered; None: a whole night."""

    @contextmanager
    def night(self) -> Iterator[Night]:
        with ExitStack() as stack:
            url = stack.enter_context(self.copy(self.database_url))
            database = open_database(url)
            stack.callback(database.close)
            sandbox = stack.enter_context(serve_org(load_org(self.org_file)))
            night = Night(sandbox, url, database, self.way, self.full, self.only)
            sandbox.org.watchers.append(lambda name, id_: night.writes.append(id_) if name == "Account" else None)
            yield night


@pytest.fixture
def copy(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Any]:
    """A context manager that gives the URL of a copy of the database at a URL."""

    @contextmanager
    def copied(url: str) -> Iterator[str]:
        if url.startswith("sqlite"):
            target = tmp_path / "copy.db"
            shutil.copyfile(url.removeprefix("sqlite:///"), target)
            yield f"sqlite:///{target}"
            for file in tmp_path.glob("copy.db*"):
                file.unlink()
            return
        server: PostgresServer = request.getfixturevalue("postgres_server")
        made = server.create_database(name_of(url))
        yield made
        server.drop_database(made)

    return copied


@pytest.fixture(params=WORLDS if os.environ.get(EVERY_KILL) else WORLDS[:4])
def world(request, migrated_database_url, tmp_path, copy, driver) -> World:
    org, only = build_org(), None
    database = open_database(migrated_database_url)
    policy = load_mapping(default_mapping_path("salesforce")).policy
    save_events(database, referrals(org), now=NOW, policy=policy)
    if not request.param.startswith("first"):
        with serve_org(org) as sandbox:
            assert driver.run(Night(sandbox, migrated_database_url, database, REST, full=False))["status"] == "ok"
        saved = save_events(database, referrals(org, range(24, 27)), now=NOW, policy=policy)
        if "event" in request.param:
            only = list(saved.accounts)
        else:
            change_org(org)
    database.close()
    save_org(org, tmp_path / "org")
    way = BULK if "bulk" in request.param else REST
    return World(migrated_database_url, tmp_path / "org", way, "full" in request.param, copy, only)


def places(counts: dict[str, Any], database: str) -> list[Place]:
    """Where to die: everywhere, or a spread that is the same every day and differs between the databases."""
    found: list[Place] = []
    for kind in ("request", "commit"):
        every = [(kind, number, when) for number in range(1, counts[f"{kind}s"] + 1) for when in ("before", "after")]
        # An odd step alternates between before and after.
        step = (len(every) // SAMPLES[database]) | 1
        found += every if os.environ.get(EVERY_KILL) else every[SAMPLES[database] :: step]
    return found


@dataclass(frozen=True)
class Undisturbed:
    counts: dict[str, Any]
    state: dict[str, Any]
    requests: int
    writes: list[str]


def live_undisturbed(world: World, driver: Driver) -> Undisturbed:
    with world.night() as night:
        counts = driver.run(night)
        assert counts["status"] == "ok", counts
        return Undisturbed(counts, night.end_state(), night.requests, sorted(night.writes))


def die_and_repeat(night: Night, driver: Driver, place: Place, expected: Undisturbed) -> list[str]:
    """What went wrong with a night that was killed at a place and simply started again."""
    assert driver.run(night, place)["killed"], place
    acknowledged, written = night.acknowledged(), len(night.writes)
    requests = night.requests
    night.time_passes()
    requests -= night.requests
    night.full = False
    again = driver.run(night)
    requests += night.requests
    wrong = differences(night.end_state(), expected.state)
    if again["status"] != "ok":
        wrong.append(f"the repetition ended as {again}")
    if repeated := acknowledged & set(night.writes[written:]):
        wrong.append(f"what was acknowledged was written again: {sorted(repeated)}")
    if sorted(night.writes) != expected.writes:
        wrong.append(f"{len(night.writes)} writes instead of {len(expected.writes)}")
    if requests > expected.requests + MORE_REQUESTS:
        wrong.append(f"{requests} requests, undisturbed {expected.requests}")
    return [f"{place}: {one}" for one in wrong]


def test_a_run_killed_anywhere_ends_as_if_nothing_had_happened_when_it_is_run_again(world, driver):
    undisturbed = live_undisturbed(world, driver)

    wrong = []
    for place in places(undisturbed.counts, make_url(world.database_url).get_backend_name()):
        with world.night() as night:
            wrong += die_and_repeat(night, driver, place, undisturbed)

    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("world", WORLDS[:2], indirect=True)
def test_a_run_that_is_killed_again_and_again_a_little_later_each_time_ends_in_the_same_state(world, driver):
    undisturbed = live_undisturbed(world, driver)

    with world.night() as night:
        number = 1
        while driver.run(night, ("commit", number, "after"))["killed"]:
            night.time_passes()
            number += 5
        wrong = differences(night.end_state(), undisturbed.state)
        writes = sorted(night.writes)

    assert number > 10
    assert not wrong, "\n".join(wrong)
    assert writes == undisturbed.writes


@pytest.mark.parametrize("world", WORLDS[:1], indirect=True)
def test_what_a_killed_run_left_the_crm_to_write_has_ended_before_the_next_run_looks(world, driver):
    with slow_night(world) as night:
        last = driver.run(night)["requests"]
        expected = night.end_state()

    wrong, ended = [], set()
    for number in range(last - 6, last - 2):
        with slow_night(world) as night:
            assert driver.run(night, ("request", number, "after"))["killed"]
            left = {key: job.state for key, job in night.sandbox.engine.jobs.items() if hasattr(job, "content")}
            night.lease_ends()
            again = driver.run(night)
            ended |= {state for key, state in left.items() if key not in night.sandbox.engine.jobs}
            for _ in range(9):
                night.crm_works()
            found = differences(night.end_state(), expected)
            states = {job.state for job in night.sandbox.engine.jobs.values() if hasattr(job, "content")}
            wrong += [f"{number}: {one}" for one in (*found, *(states - {"JobComplete"}))]
            wrong += [] if again["status"] == "ok" else [f"{number}: the repetition ended as {again}"]

    assert not wrong, "\n".join(wrong)
    assert ended == {"Open", "UploadComplete"}, "what had not begun was removed"


@contextmanager
def slow_night(world: World) -> Iterator[Night]:
    """A CRM that lets the jobs of a write wait before it works on them."""
    with world.night() as night:
        night.sandbox.manners.queue_polls, night.sandbox.manners.job_polls = 1, 1
        yield night


@pytest.mark.parametrize("world", WORLDS[:1], indirect=True)
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [1, 2, 4])
def test_an_import_that_is_killed_and_repeated_stores_every_event_once(world, driver, tmp_path, number, when):
    file = tmp_path / "events.csv"
    lines = [f"survey,S{n},nps_response,2025-03-01,001Sb00AAAAAAAA" for n in range(24)]
    file.write_text("\n".join(["source_system,source_event_id,type,occurred_on,account", *lines]))

    with world.night() as night:
        assert driver.run(night, ("commit", number, when), events=file)["killed"]
        again = driver.run(night, events=file)
        stored = books(night.database)["events"]

    taken = 7 * (number - (when == "before"))
    assert (again["status"], again["added"], again["duplicate"]) == ("ok", 24 - min(24, taken), min(24, taken))
    assert [row[0] for row in stored if row[0].startswith("survey/")] == sorted(f"survey/S{n}" for n in range(24))
    assert {row[1] for row in stored if row[0].startswith("survey/")} == {"001Sb00AAAAAAAAI25"}
