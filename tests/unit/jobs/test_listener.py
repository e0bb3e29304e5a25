"""Listening to a CRM's announcements: stored before they count as heard, and no failure ends it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.bootstrap import Services, build_change_source, build_services
from app.config import load_settings
from app.errors import ConfigError
from app.jobs import listener as jobs
from app.jobs import worker
from app.jobs.listener import ChangeJob, listen_for_changes, save_announcement
from app.jobs.worker import InboxWorker
from app.store.announcements import load_heard, save_heard
from app.store.inbox import list_deliveries, load_due
from connectors.changes import Announcement
from connectors.errors import CredentialsError, UnreachableError
from connectors.salesforce.ids import normalise_id

A, B, DEAL = "001000000000001AAA", "001000000000002AAA", "006000000000001AAA"
TOPIC = "/data/ChangeEvents"


@dataclass
class Script:
    """A listener that says and fails as told, one entry a stream; after the last it ends the job."""

    streams: list[list[Announcement | Exception]]
    job: Any = None
    asked: list[bytes | None] = field(default_factory=list)
    closed: int = 0
    topics: tuple[str, ...] = (TOPIC,)

    def listen(self, topic: str, position: bytes | None) -> Iterator[Announcement]:
        assert topic == TOPIC
        self.asked.append(position)
        if not self.streams:
            self.job.stop.set()
            return
        for entry in self.streams.pop(0):
            if isinstance(entry, Exception):
                raise entry
            yield entry

    def close(self) -> None:
        self.closed += 1


@pytest.fixture
def services(tmp_path: Path, sqlite_template: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    monkeypatch.chdir(tmp_path)
    shutil.copyfile(sqlite_template, tmp_path / "advocacy.db")
    services = build_services(load_settings())
    yield services
    services.database.close()


def run(services: Services, *streams: list[Announcement | Exception]) -> tuple[Script, ChangeJob]:
    script = Script(list(streams))
    job = ChangeJob(services, lambda: script, TOPIC, pause=0, first_wait=0, hopeless_wait=0)
    script.job = job
    job.listen_until_stopped()
    return script, job


def hints(services: Services) -> list[dict[str, Any]]:
    return [json.loads(delivery.body) for delivery in reversed(list_deliveries(services.database))]


def changed(position: bytes | None, *ids: str, of: str = "Account") -> Announcement:
    return Announcement({of: frozenset(ids)}, position=position)


def test_what_is_announced_is_stored_and_the_next_stream_goes_on_behind_it(services: Services) -> None:
    script, _ = run(services, [changed(b"\x01", B, A), changed(b"\x02", DEAL, of="Opportunity")], [])

    assert hints(services) == [{"changed": {"Account": [A, B]}}, {"changed": {"Opportunity": [DEAL]}}]
    assert script.asked == [None, b"\x02", b"\x02"]
    assert script.closed == 3


def test_a_keep_alive_and_an_object_that_nobody_reads_move_the_position_alone(services: Services) -> None:
    run(services, [Announcement(position=b"\x01"), changed(b"\x02", "00Q000000000001AAA", of="Lead")])

    assert hints(services) == []
    assert load_heard(services.database, TOPIC) == b"\x02"


def test_a_forgotten_position_stays_until_there_is_a_new_one(services: Services) -> None:
    save_heard(services.database, TOPIC, b"\x01")

    run(services, [Announcement(everything=True, reason="forgotten")])

    assert hints(services) == [{"changed": {}, "everything": True}]
    assert load_heard(services.database, TOPIC) == b"\x01"


def test_the_same_record_may_be_announced_any_number_of_times(services: Services) -> None:
    run(services, [changed(b"\x01", A), changed(b"\x01", A), changed(b"\x02", A)])

    assert len(hints(services)) == 3


def test_each_topic_has_a_position_of_its_own(services: Services) -> None:
    save_heard(services.database, "/data/AccountChangeEvent", b"\x07")

    assert load_heard(services.database, TOPIC) is None


@pytest.mark.parametrize(
    "failure", [UnreachableError("away"), CredentialsError("refused"), RuntimeError("bug"), OSError("disk")]
)
def test_no_failure_ends_the_listening(services: Services, failure: Exception) -> None:
    script, _ = run(services, [failure], [changed(b"\x01", A), failure], [failure], [changed(b"\x02", B)])

    assert [hint["changed"]["Account"] for hint in hints(services)] == [[A], [B]]
    assert script.asked == [None, None, b"\x01", b"\x01", b"\x02"]


def test_waits_grow_while_the_crm_is_away_and_are_long_for_what_time_does_not_mend(services: Services) -> None:
    job = ChangeJob(services, lambda: Script([]), TOPIC)

    def waits(error: Exception) -> list[float]:
        outcome = SimpleNamespace(exception=lambda: error)
        return [max(job._wait(SimpleNamespace(outcome=outcome, attempt_number=n)) for _ in range(40)) for n in (1, 30)]

    first, last = waits(UnreachableError("away"))
    assert first <= jobs.FIRST_WAIT_SECONDS < last <= jobs.LONGEST_WAIT_SECONDS
    assert waits(CredentialsError("refused")) == [jobs.HOPELESS_WAIT_SECONDS] * 2


def test_what_is_announced_within_a_minute_is_due_at_once_together(services: Services) -> None:
    start = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
    for seconds in (1, 30, 59, 61):
        moment = start + timedelta(seconds=seconds)
        object.__setattr__(services, "now", lambda moment=moment: moment)
        save_announcement(services, TOPIC, changed(b"\x01", A))

    due = [len(load_due(services.database, now=start + timedelta(seconds=at))) for at in (59, 60, 119, 120)]

    assert due == [0, 3, 3, 4]


def test_halting_ends_a_stream_under_way_and_opens_no_other(services: Services) -> None:
    class Waiting(Script):
        def listen(self, topic: str, position: bytes | None) -> Iterator[Announcement]:
            self.asked.append(position)
            yield changed(b"\x01", A)
            while not self.closed:
                yield Announcement()

    script = Waiting([])
    object.__setattr__(services, "settings", services.settings.model_copy(update={"salesforce_changes": "on"}))
    [job] = listen_for_changes(services, lambda: script)
    thread = job.thread
    for _ in range(1000):
        if hints(services):
            break
        thread.join(0.005)

    job.halt()
    thread.join(10)

    assert not thread.is_alive()
    assert script.asked == [None]


def test_listening_is_off_unless_asked_for(services: Services) -> None:
    assert build_change_source(services.settings) is None


GIVEN = {
    "salesforce_changes": "on",
    "salesforce_access_token": "00D000000000001!x",
    "salesforce_instance_url": "https://x.my.salesforce.com",
}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"crm": "files", "files_dir": "."}, "does not announce changes"),
        ({"salesforce_changes_endpoint": "api.example.com:7443"}, "changes endpoint"),
        ({"salesforce_changes_topics": "/event/X__e"}, "changes topics"),
    ],
)
def test_listening_that_cannot_work_is_refused_at_start(given: dict[str, str], said: str) -> None:
    pytest.importorskip("grpc", reason="the extra cdc is not installed")

    with pytest.raises(ConfigError, match=said):
        build_change_source(load_settings(**{**GIVEN, **given}))


def test_a_missing_extra_is_told_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("connectors.salesforce.changes.is_installed", lambda: False)

    with pytest.raises(ConfigError, match=r"pip install 'advocacy-sync\[cdc\]'"):
        build_change_source(load_settings(**GIVEN))


class Killed(BaseException):
    """The process ends here."""


@dataclass
class Crm:
    """Announces changes of records by number and has forgotten the first of them. A stream may begin a few too early."""

    said: list[tuple[str, int]] = field(default_factory=list)
    """(record, moment of its change)"""
    forgotten: int = 0

    def stream(self, position: bytes | None, batch: int, early: int) -> Iterator[Announcement]:
        start = None if position is None else int(position)
        if start is not None and start < self.forgotten:
            yield Announcement(everything=True, reason="forgotten")
            start = None
        fresh = start is None
        at = len(self.said) if start is None else max(self.forgotten, start - early)
        while fresh or at < len(self.said):
            told = self.said[at : at + batch]
            at += len(told)
            yield Announcement({"Account": frozenset(one for one, _ in told)}, fresh, "", str(at).encode())
            fresh = False


RECORDS = [normalise_id(f"00100000000000{n}") for n in range(6)]
DEATHS = ("before the delivery", "after the delivery", "before the position", "after the position")
STEP = st.one_of(
    st.tuples(st.just("change"), st.sampled_from(RECORDS)),
    st.tuples(st.just("listen"), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2)),
    st.tuples(st.just("die listening"), st.sampled_from(DEATHS), st.integers(1, 3)),
    st.tuples(st.just("work"), st.sampled_from(["succeeds", "fails", "dies"])),
    st.tuples(st.just("forget")),
    st.tuples(st.just("night")),
)


@dataclass
class Life:
    """A service that is killed and started again, and what it has read of the CRM by when."""

    services: Services
    patch: pytest.MonkeyPatch
    crm: Crm = field(default_factory=Crm)
    clock: Iterator[int] = field(default_factory=lambda: count(1))
    read_at: dict[str, int] = field(default_factory=dict)
    nights: int = 0
    outcome: str = "succeeds"
    inbox: InboxWorker = field(init=False)

    def __post_init__(self) -> None:
        self.patch.setattr(worker, "run_sync", self.run_sync)
        object.__setattr__(self.services, "now", self.now)
        self.inbox = InboxWorker(self.services)

    def now(self) -> datetime:
        return datetime(2026, 3, 1, tzinfo=UTC) + timedelta(days=2 * self.nights, minutes=next(self.clock))

    def run_sync(self, _services: Services, *, trigger: str, only: Any, hints: dict[str, list[str]]) -> None:
        if self.outcome != "succeeds":
            raise Killed if self.outcome == "dies" else UnreachableError("away")
        named = {one for one, _ in self.crm.said} if only is None else set(hints.get("Account", ()))
        self.read_at |= dict.fromkeys(named, next(self.clock))

    def start(self) -> None:
        self.outcome = "succeeds"
        self.inbox = InboxWorker(self.services)
        self.inbox._catch_up()

    def change(self, record: str) -> None:
        self.crm.said.append((record, next(self.clock)))

    def night(self) -> None:
        """What was settled until now is no longer recent, and the nightly run has read all there is."""
        self.nights += 1
        self.read_at |= {record: next(self.clock) for record, _ in self.crm.said}

    def forget(self) -> None:
        self.crm.forgotten = len(self.crm.said)

    def listen(self, announcements: int, batch: int, early: int) -> None:
        stream = self.crm.stream(load_heard(self.services.database, TOPIC), batch, early)
        for announcement in islice(stream, announcements):
            save_announcement(self.services, TOPIC, announcement)

    def die_listening(self, death: str, after: int) -> None:
        moment, what = death.split(" the ")
        name = "save_delivery" if what == "delivery" else "save_heard"
        real, calls = getattr(jobs, name), count(1)

        def deadly(*args: Any, **kwargs: Any) -> Any:
            dies = next(calls) == after
            if dies and moment == "before":
                raise Killed
            real(*args, **kwargs)
            if dies:
                raise Killed

        with self.patch.context() as patch, suppress(Killed):
            patch.setattr(jobs, name, deadly)
            self.listen(after, 2, 0)
        self.start()

    def work(self, outcome: str) -> None:
        self.outcome = outcome
        try:
            self.inbox.work_once()
        except UnreachableError:
            pass
        except Killed:
            self.start()
        self.outcome = "succeeds"


@given(steps=st.lists(STEP, min_size=4, max_size=20))
@example(steps=[("change", RECORDS[0]), ("die listening", "before the delivery", 1)])
@example(steps=[("change", RECORDS[0]), ("die listening", "before the position", 1), ("work", "dies")])
@example(steps=[("change", RECORDS[0]), ("listen", 1, 1, 0), ("work", "dies")])
@example(steps=[("change", RECORDS[0]), ("forget",), ("change", RECORDS[1]), ("listen", 1, 1, 0), ("work", "fails")])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_breaks_when_every_announced_record_is_read_after_its_change(
    services: Services, steps: list[tuple[Any, ...]]
) -> None:
    with services.database.begin() as connection:
        for table in ("delivery", "state"):
            connection.exec_driver_sql(f"delete from {table}")
    with pytest.MonkeyPatch.context() as patch:
        life = Life(services, patch)
        life.listen(1, 1, 0)
        life.work("succeeds")
        life.night()

        for name, *arguments in [*steps, ("listen", 99, 3, 0), ("work", "succeeds")]:
            getattr(life, name.replace(" ", "_"))(*arguments)

    unread = [record for record, moment in life.crm.said if life.read_at.get(record, 0) < moment]
    assert unread == []
