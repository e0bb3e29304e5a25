"""The command line as people use it: a process of its own, in a folder of its own."""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).resolve().parents[2]
PATIENCE = 60


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Running:
    """A process that stays up. Its lines come in through a thread, so that no test waits for ever."""

    process: subprocess.Popen[str]
    lines: queue.Queue[str] = field(default_factory=queue.Queue)

    def __post_init__(self) -> None:
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def next_line(self) -> str:
        return self.lines.get(timeout=PATIENCE)

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@dataclass(frozen=True)
class Shell:
    """Runs `advocacy` in one folder, with no sight of the settings of whoever runs the tests."""

    folder: Path
    settings: dict[str, str] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if not name.startswith("ADVOCACY_")}
        return own | {"PYTHONPATH": str(PROJECT), "NO_COLOR": "1"} | self.settings

    def run(self, *arguments: str, stdin: str | None = None) -> Answer:
        command = [sys.executable, "-m", "app", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, input=stdin or "", capture_output=True, text=True,
            timeout=PATIENCE * 2, check=False,
        )  # fmt: skip
        return Answer(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def start(self, *arguments: str) -> Iterator[Running]:
        log = (self.folder / f"{arguments[0]}.log").open("w")
        process = subprocess.Popen(
            [sys.executable, "-m", "app", *arguments], cwd=self.folder, env=self.environment, text=True,
            stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield Running(process)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait(PATIENCE)
            assert process.stdout is not None
            process.stdout.close()
            log.close()


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return Shell(tmp_path)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[Shell, Answer]:
    """A folder in which `advocacy demo` was run, and what it said."""
    shell = Shell(tmp_path_factory.mktemp("demo"))
    return shell, shell.run("demo")


@pytest.fixture
def sandbox(shell: Shell) -> Iterator[Callable[..., Shell]]:
    """Start a sandbox and return a shell whose settings lead to it."""
    running = []

    def start(*arguments: str) -> Shell:
        context = shell.start("sandbox", "--port", "0", "--token", "tok-1", "--json", *arguments)
        process = context.__enter__()
        running.append(context)
        url = json.loads(process.next_line())["url"]
        return Shell(
            shell.folder,
            {
                "ADVOCACY_SALESFORCE_INSTANCE_URL": url,
                "ADVOCACY_SALESFORCE_ACCESS_TOKEN": "tok-1",
                "ADVOCACY_SALESFORCE_POLL_SECONDS": "0.05",
            },
        )

    yield start
    for context in reversed(running):
        context.__exit__(None, None, None)
