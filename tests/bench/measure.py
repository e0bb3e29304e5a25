"""Clocks: wall seconds, CPU seconds of this process and of a server's whole tree, and the peak of memory."""

from __future__ import annotations

import os
import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Self

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(slots=True)
class Clock:
    """Runs while entered, as often as one likes. `servers`: processes whose CPU seconds count too."""

    servers: tuple[int, ...] = ()
    wall: float = 0.0
    cpu: float = 0.0

    def __enter__(self) -> Self:
        self.wall -= time.perf_counter()
        self.cpu -= self._now()
        return self

    def __exit__(self, *_: object) -> None:
        self.wall += time.perf_counter()
        self.cpu += self._now()

    def _now(self) -> float:
        return time.process_time() + sum(map(cpu_of, self.servers))


def cpu_of(pid: int) -> float:
    """CPU seconds of a process with its children, ended ones included; 0 where the system does not tell."""
    own = _stat(pid)
    if own is None:
        return 0.0
    ticks = sum(map(int, own[11:15]))
    for folder in Path("/proc").glob("[0-9]*"):
        child = _stat(int(folder.name))
        if child is not None and int(child[1]) == pid:
            ticks += int(child[11]) + int(child[12])
    return ticks / TICKS


def parent_of(pid: int) -> int | None:
    found = _stat(pid)
    return None if found is None else int(found[1])


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on; the name before them may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def peak_mb() -> float:
    """The most memory this process ever held.

    The kernel's own mark, because `ru_maxrss` of a new process starts with what its parent held.
    """
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
