"""The figures for people: one table a size and database, and how memory grows."""

from __future__ import annotations

import math
import os
import platform
import sqlite3
from collections.abc import Iterator, Sequence
from typing import Any

from crm import Pace

Step = dict[str, Any]

HEAD = "step", "wall s", "CPU s", "rows/s", "÷ floor", "÷ floor", "calls", "CRM s", "peak MB"
SUBHEAD = "", "", "", "", "wall", "CPU", "", "CPU", ""
VALUATION_HEAD = "valuation alone", "wall s", "CPU s", "money only", "÷ floor", "all ÷ 1st", "moved"
MATCHING = {
    "pull": ("download and read", "store"),
    "value": ("aggregate",),
    "plan": ("difference",),
    "push": ("upload",),
}
"""Phases of a run beside the steps of the floor that do the same."""


def describe_machine(has_stub: bool, pace: Pace) -> str:
    server = f"a neutral server, {pace.latency_ms:g} ms an answer, {pace.job_seconds:g} s a job"
    if not has_stub:
        server = "the sandbox, slow itself: read CPU seconds, not wall seconds (ADVOCACY_BENCH_STUB names a faster one)"
    return (
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, Python {platform.python_version()},"
        f" SQLite {sqlite3.sqlite_version}\nCRM: {server}\n"
        "CPU s: the process and its database server. CRM s: what the CRM's process used meanwhile, not ours."
    )


def print_result(result: Step) -> None:
    size, floors = result["size"], result["floors"]
    print(f"\n{result['database']}: " + ", ".join(f"{count:,} {name}" for name, count in size.items()))
    print(result["settings"])
    _print_rows([HEAD, SUBHEAD, *_floor_rows(floors), *_night_rows(result)])
    print()
    _print_rows([VALUATION_HEAD, *_valuation_rows(result["valuation"])])


def _floor_rows(floors: Step) -> Iterator[Sequence[str]]:
    for step in floors["steps"]:
        yield f"floor: {step['name']}", _s(step["wall"]), _s(step["cpu"]), _rate(step["rows"], step["wall"])
    rows = floors["steps"][0]["rows"]
    wall, cpu = _sums(floors)
    yield "floor: sum", _s(wall), _s(cpu), _rate(rows, wall), "1.00", "1.00", str(floors["calls"]), "", _mb(floors)


def _valuation_rows(valuation: Step) -> Iterator[Sequence[str]]:
    """Ratios are of CPU seconds: the money against the staged SQL, and how many times less a part takes than all."""
    floor, everything, changed = valuation["steps"]
    yield f"floor: {floor['name']}", _s(floor["wall"]), _s(floor["cpu"])
    for step in (everything, changed):
        yield (
            step["name"],
            *(_s(step["wall"]), _s(step["cpu"]), _s(step["money_cpu"])),
            f"{step['money_cpu'] / floor['cpu']:.2f}" if step is everything else "",
            f"{everything['cpu'] / step['cpu']:.1f}",
            f"{step['moved']:,}",
        )


def _night_rows(result: Step) -> Iterator[Sequence[str]]:
    rows = result["floors"]["steps"][0]["rows"]
    wall, cpu = _sums(result["floors"])
    referrals, *nights = result["nights"]
    yield (
        referrals["name"],
        _s(referrals["wall"]),
        _s(referrals["cpu"]),
        _rate(referrals["rows"], referrals["wall"]),
        *("", "", "", ""),
        _mb(referrals),
    )
    for night in nights:
        yield (
            night["name"],
            _s(night["wall"]),
            _s(night["cpu"]),
            _rate(rows, night["wall"]) if night is nights[0] else "",
            f"{night['wall'] / wall:.2f}",
            f"{night['cpu'] / cpu:.2f}",
            _calls(night),
            _s(night["crm_cpu"]),
            _mb(night),
        )
        if night is nights[0]:
            yield from _first_night_rows(night, result["floors"])
        else:
            yield (_phases(night),)
        yield (_counts(night),)


def _first_night_rows(night: Step, floors: Step) -> Iterator[Sequence[str]]:
    """Its phases beside the steps of the floor that do the same, and what comes before it."""
    steps = {step["name"]: step for step in floors["steps"]}
    for name, wall in night["phases"].items():
        same = [steps[step] for step in MATCHING.get(name, ())]
        if same:
            yield f"  {name}", _s(wall), "", _rate(same[0]["rows"], wall), f"{wall / sum(s['wall'] for s in same):.2f}"
        else:
            yield f"  {name}", _s(wall)
    yield "  (starting the process)", "", _s(night["start_cpu"])


def _phases(night: Step) -> str:
    return "  " + " · ".join(f"{name} {wall:.2f}" for name, wall in night["phases"].items())


def _counts(night: Step) -> str:
    counts = night["counts"]
    return f"  {counts['pulled']:,} pulled, {counts['valued']:,} moved, {counts['written']:,} written"


def print_memory(results: Sequence[Step]) -> None:
    """Peak memory and CPU seconds of the same night, and of the valuation alone, at the smallest and the largest size.

    An exponent of 1: ten times the size takes ten times as long.
    """
    for kind in dict.fromkeys(result["database"] for result in results):
        sized = [result for result in results if result["database"] == kind]
        if len(sized) < 2:
            continue
        small, large = sized[0], sized[-1]
        factor = large["size"]["opportunities"] / small["size"]["opportunities"]
        print(f"\n{kind}: {factor:g} times the size")
        floors = ({"name": "floor", "cpu": _sums(one["floors"])[1], **one["floors"]} for one in (small, large))
        pairs = [tuple(floors), *zip(small["nights"], large["nights"], strict=True)]
        pairs += [(_valued(small), _valued(large))]
        head = ("", "peak MB", "peak MB", "ratio", "CPU s", "CPU s", "ratio", "exponent")
        _print_rows([head, *(_growth(*pair, factor) for pair in pairs)])


def _valued(result: Step) -> Step:
    _, everything, _ = result["valuation"]["steps"]
    # Its memory is that of the process that has just valued by hand as well.
    return {**everything, "name": "valuation alone", "peak_mb": None}


def _growth(small: Step, large: Step, factor: float) -> tuple[str, ...]:
    ratio = large["cpu"] / max(small["cpu"], 0.001)
    peaks = (_mb(small), _mb(large), f"{large['peak_mb'] / small['peak_mb']:.2f}") if small["peak_mb"] else ("", "", "")
    return (
        small["name"],
        *peaks,
        *(_s(small["cpu"]), _s(large["cpu"]), f"{ratio:.2f}", f"{math.log(ratio, factor):.2f}"),
    )


def _print_rows(rows: Sequence[Sequence[str]]) -> None:
    first = max(len(row[0]) for row in rows if len(row) > 1)
    for row in rows:
        print(f"  {row[0]:<{first}}" + "".join(f"{cell:>10}" for cell in row[1:]))


def _sums(floors: Step) -> tuple[float, float]:
    return sum(step["wall"] for step in floors["steps"]), sum(step["cpu"] for step in floors["steps"])


def _calls(night: Step) -> str:
    ours, theirs = night["calls"], night["calls_counted_by_crm"]
    return str(ours) if ours == theirs else f"{ours} ({theirs})"


def _s(seconds: float) -> str:
    return f"{seconds:.2f}"


def _rate(rows: int, seconds: float) -> str:
    return f"{rows / max(seconds, 0.001):,.0f}"


def _mb(step: Step) -> str:
    return f"{step['peak_mb']:.0f}"
