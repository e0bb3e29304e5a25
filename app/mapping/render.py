"""A problem as text for a person: position, line, caret, and what to do."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches

from app.errors import Problem

WINDOW = 160


def render_problem(problem: Problem) -> str:
    """Compiler style, one problem:

    mappings/salesforce.yaml:9:3: error: unknown key 'atributes' [ADV-MAP-010]
         9 |   atributes:
           |   ^^^^^^^^^
           = did you mean 'attributes'?
    """
    lines = [f"{_place(problem)}error: {_plain(problem.message)} [{problem.code}]"]
    if problem.line and problem.source.strip():
        source, caret = _underlined(problem)
        lines += [f"{problem.line:>6} | {source}", f"       | {caret}"]
    if problem.hint:
        lines.append(f"       = {_plain(problem.hint)}")
    return "\n".join(lines)


def render_problems(problems: Iterable[Problem]) -> str:
    return "\n".join(map(render_problem, problems))


def suggest(word: str, allowed: Iterable[str], *, listed: bool = True) -> str:
    """`did you mean 'x'? allowed: a, b, …`, as far as there is something to say."""
    choices = sorted(allowed)
    by_folded = {choice.casefold(): choice for choice in choices}
    close = get_close_matches(word.casefold()[:100], by_folded, 1, 0.6)
    parts = [f"did you mean {by_folded[close[0]]!r}?"] if close else []
    if listed and choices:
        parts.append("allowed: " + ", ".join(choices[:30]) + (", …" if len(choices) > 30 else ""))
    return " ".join(parts)


def _place(problem: Problem) -> str:
    if not problem.path:
        return ""
    at = f":{problem.line}:{problem.column}" if problem.line else ""
    return f"{_plain(problem.path)}{at}: "


def _underlined(problem: Problem) -> tuple[str, str]:
    start = problem.column - 1
    first = max(0, start - WINDOW // 2) if len(problem.source) > WINDOW else 0
    shown = problem.source[first : first + WINDOW]
    lead = shown[: start - first]
    marked = shown[start - first : start - first + problem.width]
    pad = "".join("\t" if letter == "\t" else " " * _cells(letter) for letter in lead)
    return _plain(shown, keep="\t"), pad + "^" * max(1, sum(map(_cells, marked)))


def _cells(letter: str) -> int:
    """Columns a terminal uses for a character."""
    if _plain(letter, keep="\t") != letter:
        return len(_plain(letter))
    if unicodedata.combining(letter):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def _plain(text: str, keep: str = "") -> str:
    """No control, direction or line-breaking character of a file may reach a terminal or a log."""
    return "".join(letter if letter.isprintable() or letter in keep else ascii(letter)[1:-1] for letter in text)
