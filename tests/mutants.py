"""Which changes of the pure functions do the tests not notice? `make mutants` runs this below `build/`.

mutmut makes the mutants and keeps the book about them: `mutmut show NAME` works afterwards. Left to itself it starts
pytest anew for every mutant, which takes two seconds where the tests take milliseconds. Here they are collected once,
and every mutant is a fork that runs the tests which reach its function until one fails: first those that killed others,
then quick ones. Time is counted in seconds of processor, test by test, so that a busy machine does not kill a mutant.
"""

from __future__ import annotations

import argparse
import hashlib
import mmap
import os
import pickle
import re
import resource
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from mutmut.__main__ import create_mutants
from mutmut.configuration import config
from mutmut.mutation import trampoline
from mutmut.mutation.data import SourceFileMutationData
from mutmut.stats import status_by_exit_code
from mutmut.utils.file_utils import copy_also_copy_files, copy_src_dir, setup_source_paths

SURVIVED, KILLED, NO_TESTS, BROKEN, TIMEOUT = 0, 1, 33, 35, 36
# How long a test may take, in seconds of processor: what it takes without a mutant, this often, and a little more.
PATIENCE, GRACE = 10, 5
MEMORY = 4 * 2**30


class Mutants:
    """Runs mutants where pytest would run its tests."""

    def __init__(self, patterns: list[str], jobs: int) -> None:
        self.files = {path: load(path) for path in config().only_mutate}
        self.patterns = patterns
        self.jobs = jobs
        self.kills: Counter[str] = Counter()
        self.running: dict[int, Trial] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        reached, seconds = run_clean(session)
        for book, name in self.wanted():
            while len(self.running) >= self.jobs:
                self.wait()
            tests = [item for item in session.items if name.rpartition("__mutmut_")[0] in reached[item.nodeid]]
            tests.sort(key=lambda item: (-self.kills[item.nodeid], seconds[item.nodeid]))
            if tests:
                trial = Trial(book, name, tests)
                self.running[fork(lambda: trial.run(session, seconds))] = trial  # noqa: B023 (it runs at once)
            else:
                self.enter(book, name, NO_TESTS)
        while self.running:
            self.wait()
        return True

    def wanted(self) -> Iterator[tuple[SourceFileMutationData, str]]:
        """What the patterns name, or everything; what is known to be killed only when it is named."""
        for book in self.files.values():
            for name, code in list(book.exit_code_by_key.items()):
                is_named = any(fnmatch(name, pattern) for pattern in self.patterns)
                if is_named or (not self.patterns and status_by_exit_code[code] != "killed"):
                    yield book, name

    def wait(self) -> None:
        pid, status = os.wait()
        trial = self.running.pop(pid)
        code = os.waitstatus_to_exitcode(status)
        self.kills[trial.at.nodeid] += code == KILLED
        self.enter(trial.book, trial.name, TIMEOUT if code == -signal.SIGPROF else code)

    def enter(self, book: SourceFileMutationData, name: str, code: int) -> None:
        book.exit_code_by_key[name] = code
        book.save()
        if code != KILLED:
            print(f"{status_by_exit_code[code]:10} {name}", flush=True)

    def report(self, fingerprints: dict[str, str]) -> None:
        """The rows of the table in MUTANTS.md: mutants made, killed, stopped for want of an end, surviving."""
        for path, book in self.files.items():
            count = Counter(book.exit_code_by_key.values())
            made, killed, stopped = count.total(), count[KILLED], count[TIMEOUT]
            print(f"| `{path}` | {fingerprints[path]} | {made} | {killed} | {stopped} | {made - killed - stopped} |")


class Trial:
    """One mutant before its tests."""

    def __init__(self, book: SourceFileMutationData, name: str, tests: list[pytest.Item]) -> None:
        self.book, self.name, self.tests = book, name, tests
        self._position = mmap.mmap(-1, 8)

    @property
    def at(self) -> pytest.Item:
        """The test that ran last, seen from either process."""
        return self.tests[int.from_bytes(self._position[:], "big")]

    def run(self, session: pytest.Session, seconds: dict[str, float]) -> int:
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        activate(self.name)
        for position, (item, following) in enumerate(pairs(self.tests)):
            self._position[:] = position.to_bytes(8, "big")
            signal.setitimer(signal.ITIMER_PROF, GRACE + PATIENCE * seconds[item.nodeid])
            run_item(item, following)
            if session.testsfailed:
                return KILLED
        return SURVIVED


def load(path: str) -> SourceFileMutationData:
    book = SourceFileMutationData(path=path)
    book.load()
    return book


def fingerprint(path: Path) -> str:
    """Eight digits that change with the text of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:8]


def make_mutants() -> None:
    """Write all mutants below `mutants/`; mutmut leaves decorated functions alone, so caches are taken off first."""
    for path in map(Path, config().only_mutate):
        text = path.read_text("utf-8")
        path.write_text(re.sub(r"^@lru_cache.*\n", "", text, flags=re.MULTILINE), "utf-8")
    Path("mutants").mkdir(exist_ok=True)
    trampoline.set_mutant_under_test("mutant_generation")
    copy_src_dir()
    copy_also_copy_files()
    setup_source_paths()
    create_mutants(1)
    trampoline.set_mutant_under_test("")


def run_clean(session: pytest.Session) -> tuple[dict[str, set[str]], dict[str, float]]:
    """Per test the functions it reaches and how long it takes; ends the run if one fails without a mutant."""
    reading, writing = os.pipe()
    child = fork(lambda: watch(session, writing))
    os.close(writing)
    reached: dict[str, set[str]] = defaultdict(set)
    seconds: dict[str, float] = {}
    with os.fdopen(reading, "rb") as pipe:
        for _ in session.items:
            nodeid, is_passed, reached[nodeid], seconds[nodeid] = pickle.load(pipe)
            if not is_passed:
                pytest.exit(f"{nodeid} fails without any mutant", returncode=1)
    os.waitpid(child, 0)
    return reached, seconds


def watch(session: pytest.Session, writing: int) -> int:
    functions: set[str] = set()
    activate("stats")
    trampoline.record_trampoline_hit = lambda name, caller=None: functions.add(name)
    with os.fdopen(writing, "wb") as pipe:
        for item, following in pairs(session.items):
            start = time.process_time()
            run_item(item, following)
            pickle.dump((item.nodeid, not session.testsfailed, functions, time.process_time() - start), pipe)
            functions.clear()
    return 0


def activate(name: str) -> None:
    trampoline.get_mutant_under_test = lambda: name


def run_item(item: pytest.Item, following: pytest.Item | None) -> None:
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)


def pairs(items: Iterable[pytest.Item]) -> Iterator[tuple[pytest.Item, pytest.Item | None]]:
    items = list(items)
    return zip(items, [*items[1:], None], strict=True)


def fork(work: Callable[[], int]) -> int:
    """The id of a process that ends with what `work` returns and says nothing."""
    sys.stdout.flush()
    if pid := os.fork():
        return pid
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    try:
        os._exit(work())
    finally:
        os._exit(BROKEN)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=1, help="mutants at once")
    parser.add_argument(
        "patterns", nargs="*", help="names of mutants, as in app.domain.money*; default: all not killed"
    )
    given = parser.parse_args()
    fingerprints = {path: fingerprint(Path(path)) for path in config().only_mutate}
    make_mutants()
    mutants = Mutants(given.patterns, given.jobs)
    tests = [f"mutants/{path}" for path in config().pytest_add_cli_args_test_selection]
    code = pytest.main(
        ["-c", "mutants/pyproject.toml", "-qs", "--tb=no", *config().pytest_add_cli_args, *tests], plugins=[mutants]
    )
    if code == pytest.ExitCode.OK:
        mutants.report(fingerprints)
    return code


if __name__ == "__main__":
    sys.exit(main())
