"""How results and messages leave the process: results on stdout, everything else on stderr.

On a terminal tables are drawn and progress is shown; in a pipe there is plain text, aligned, and no progress.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum

from app.errors import AppError, MappingError

Progress = Callable[[str, int, int | None], None]


def say(text: str = "") -> None:
    """Lines of the result."""
    sys.stdout.write(harmless(text) + "\n")


def tell(text: str = "") -> None:
    """Lines of comment, which a pipe does not see."""
    sys.stderr.write(harmless(text) + "\n")


def say_json(value: object) -> None:
    """The value for programs: every character, those that would steer a terminal as escapes of JSON."""
    text = json.dumps(plain(value), ensure_ascii=False, indent=2 if sys.stdout.isatty() else None)
    say("".join(one if one.isprintable() or one == "\n" else json.dumps(one)[1:-1] for one in text))


def plain(value: object) -> object:
    """The value as JSON can hold it: records as objects, exact numbers and moments as text."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {str(plain(key)): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return _plain_scalar(value)


def _plain_scalar(value: object) -> object:
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, str | int | float | bool):
        return value
    if isinstance(value, date | datetime):
        return value.isoformat()
    return format(value, "f") if isinstance(value, Decimal) else str(value)


@dataclass(frozen=True, slots=True)
class Link:
    """A cell that leads to a page, where a terminal can show that."""

    text: str
    url: str

    def __str__(self) -> str:
        return self.text


def say_table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> None:
    """Rows under headings; the columns named in `right` hold numbers."""
    if sys.stdout.isatty():
        _draw(columns, rows, right)
        return
    texts = [[_text(cell) for cell in row] for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(columns, *texts, strict=True)]
    for cells in ([heading.upper() for heading in columns], *texts):
        aligned = [
            cell.rjust(width) if name in right else cell.ljust(width)
            for name, cell, width in zip(columns, cells, widths, strict=True)
        ]
        say("  ".join(aligned).rstrip())


def _text(cell: object) -> str:
    return "" if cell is None else one_line(str(cell))


def _draw(columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.style import Style
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, header_style="bold", pad_edge=False)
    for name in columns:
        table.add_column(name, justify="right" if name in right else "left", overflow="fold", no_wrap=name in right)
    for row in rows:
        links = (cell.url if isinstance(cell, Link) else None for cell in row)
        table.add_row(*(Text(_text(cell), Style(link=url or None)) for cell, url in zip(row, links, strict=True)))
    Console().print(table)


def harmless(text: str) -> str:
    """Text that may come from outside, line by line: nothing in it moves the cursor or turns the reading direction."""
    return "".join(character if character.isprintable() or character in "\n\t" else " " for character in text)


def one_line(text: str) -> str:
    """Text from outside, made harmless for a terminal: no line breaks, no control characters."""
    return "".join(character if character.isprintable() else " " for character in text)


def money(amount: object, currency: str = "") -> str:
    """`140000.00` reads `140,000`, `140000.50` reads `140,000.50`, with the currency behind."""
    number = Decimal(str(amount))
    text = f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,f}"
    return f"{text} {currency}".rstrip()


def count(number: int, noun: str) -> str:
    """`1 account`, `2,000 accounts`, `3 entries`, `4 days`."""
    plural = noun[:-1] + "ies" if noun.endswith("y") and noun[-2:-1] not in "aeiou" else noun + "s"
    return f"{number:,} {noun if number == 1 else plural}"


def tell_error(error: AppError) -> None:
    """Say what went wrong and what to do, never where in the code."""
    if isinstance(error, MappingError):
        from app.mapping.render import render_problems

        tell(render_problems(error.problems))
    prefix = f"error[{error.code}]: " if error.code else "error: "
    tell(prefix + error.message)
    if error.hint:
        tell(f"  = {error.hint}")


@contextmanager
def show_progress(*, enabled: bool = True) -> Iterator[Progress]:
    """A progress display on stderr while the block runs; silent when stderr is no terminal."""
    if not (enabled and sys.stderr.isatty()):
        yield lambda _phase, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as display:
        tasks: dict[str, int] = {}

        def advance(phase: str, done: int, total: int | None) -> None:
            if phase not in tasks:
                tasks[phase] = int(display.add_task(phase, total=total))
            display.update(tasks[phase], completed=done, total=total)  # type: ignore[arg-type]  # a TaskID is an int

        yield advance
