"""The closed set of named transforms: text in, text out, `None` for empty. No expressions, no code, no regex.

A transform that cannot make sense of a value raises `BadValueError`; the translator turns that into a row problem.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation, localcontext
from enum import StrEnum
from fractions import Fraction

from app.domain.money import decimal_text
from app.domain.rows import RowIssue

Text = str | None
Step = Callable[[Text], Text]

MAX_DIGITS = 40
MAX_HOST = 253
_EXACT = Context(prec=120, rounding=ROUND_HALF_UP)
_HOST = re.compile(r"(?=.{1,253}$)(?!-)[a-z0-9-]{1,63}(?:\.[a-z0-9-]{1,63})*\.[a-z][a-z0-9-]{1,62}", re.ASCII)
_PLAIN_SITE = re.compile(
    r"(?:https?://)?(?:www\.)?((?!www\.|-)(?:[a-z0-9][a-z0-9-]{0,30}\.){1,4}[a-z][a-z0-9-]{1,62})/?", re.ASCII
)
"""What most web addresses look like; the same host comes out as by taking them apart, in a tenth of the time."""
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,5})?", re.ASCII)
_TRUE = frozenset({"true", "1", "yes", "y", "t", "on"})
_FALSE = frozenset({"false", "0", "no", "n", "f", "off"})


class BadValueError(ValueError):
    """A value that cannot be used; `issue` says as what it is counted."""

    def __init__(self, issue: RowIssue, message: str) -> None:
        super().__init__(message)
        self.issue = issue
        self.message = message


class TransformName(StrEnum):
    TRIM = "trim"
    LOWER = "lower"
    UPPER = "upper"
    DOMAIN = "domain"
    MAP = "map"
    CONST = "const"
    COALESCE = "coalesce"
    SCALE = "scale"
    ROUND = "round"
    PARSE_DATE = "parse_date"
    SPLIT = "split"
    BOOL = "bool"


@dataclass(frozen=True, slots=True)
class MapArgument:
    """`keep`: values that are not listed stay; otherwise they become `otherwise`."""

    values: Mapping[str, Text]
    keep: bool = True
    otherwise: Text = None


@dataclass(frozen=True, slots=True)
class CoalesceArgument:
    fields: tuple[str, ...] = ()
    default: Text = None


@dataclass(frozen=True, slots=True)
class BoolArgument:
    """Compared without regard to capitals. `otherwise` None: anything that is not listed is a bad value."""

    true: frozenset[str] = _TRUE
    false: frozenset[str] = _FALSE
    otherwise: bool | None = None


Argument = MapArgument | CoalesceArgument | BoolArgument | Fraction | int | str | tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Transform:
    """`argument`: `scale` a Fraction, `round` decimals, `parse_date` formats, `split` a separator, `const` a text."""

    name: TransformName
    argument: Argument = None


def build_step(transform: Transform) -> Step:
    """The function of a transform that looks at one value only (not `coalesce`, which looks at other fields)."""
    argument = transform.argument
    match transform.name, argument:
        case TransformName.MAP, MapArgument():
            return lambda text: _mapped(text, argument)
        case TransformName.BOOL, BoolArgument():
            return lambda text: _flag(text, argument)
        case TransformName.SCALE, Fraction():
            return lambda text: _scaled(text, argument)
        case TransformName.ROUND, int():
            return lambda text: _rounded(text, argument)
        case TransformName.PARSE_DATE, tuple():
            return _date_step(argument)
        case TransformName.CONST, str():
            return lambda _text: argument
        case _:
            return _SIMPLE[transform.name]


def trim(text: Text) -> Text:
    return (text.strip() or None) if text else None


def domain(text: Text) -> Text:
    """The host of a web address, an e-mail address or a bare domain: lower case, without `www.`; None if there is none.

    International names come out in their ASCII form, so that both spellings are one domain.
    """
    if not text:
        return None
    if plainly := _PLAIN_SITE.fullmatch(text):
        return plainly[1]
    rest = text.strip().casefold().partition("://")[2] or text.strip().casefold()
    host = re.split(r"[/?#\\\s]", rest, maxsplit=1)[0].rpartition("@")[2].partition(":")[0].strip(".")
    host = _ascii_host(host).removeprefix("www.")
    return host if _HOST.fullmatch(host) else None


def _ascii_host(host: str) -> str:
    if host.isascii() or len(host) > MAX_HOST:
        return host
    try:
        return host.encode("idna").decode("ascii")
    except UnicodeError:
        return ""


def read_number(text: str) -> Decimal:
    """An exact number of reasonable size; BadValueError for NaN, infinities, 1e400 and everything that is no number."""
    try:
        if not _NUMBER.fullmatch(text.strip()):
            raise BadValueError(RowIssue.BAD_NUMBER, "not a number")
        number = Decimal(text.strip())
    except InvalidOperation:
        raise BadValueError(RowIssue.BAD_NUMBER, "not a number") from None
    if number and (number.adjusted() > MAX_DIGITS or number.adjusted() < -MAX_DIGITS or len(text) > 100):
        raise BadValueError(RowIssue.BAD_NUMBER, "the number is too large, or has too many decimals")
    return number


def plain(number: Decimal) -> str:
    """Canonical text of a number: no exponent, no needless zeros, one zero."""
    if not number:
        return "0"
    text = format(number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _mapped(text: Text, argument: MapArgument) -> Text:
    if text is None:
        return None
    if text in argument.values:
        return argument.values[text]
    return text if argument.keep else argument.otherwise


def _flag(text: Text, argument: BoolArgument) -> Text:
    if text is None:
        return None
    word = text.strip().casefold()
    if word in argument.true or word in argument.false:
        return "true" if word in argument.true else "false"
    if argument.otherwise is None:
        raise BadValueError(RowIssue.BAD_FLAG, "neither true nor false")
    return "true" if argument.otherwise else "false"


def _scaled(text: Text, factor: Fraction) -> Text:
    if trim(text) is None or text is None:
        return None
    exact = Fraction(read_number(text)) * factor
    if exact.denominator == 1:
        return str(exact.numerator)
    shown = decimal_text(exact)
    if "/" not in shown:
        return shown
    with localcontext(_EXACT):
        return plain((Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal("1e-18")))


def _rounded(text: Text, places: int) -> Text:
    if trim(text) is None or text is None:
        return None
    return plain(read_number(text).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP, _EXACT))


_DATE_PARTS = {"YYYY": "([0-9]{4})", "MM": "([0-9]{2})", "DD": "([0-9]{2})", "M": "([0-9]{1,2})", "D": "([0-9]{1,2})"}
_DATE_TOKEN = re.compile("YYYY|MM|DD|M|D")


def check_date_format(layout: str) -> None:
    """ValueError unless the layout has one year, one month and one day, and only plain separators between them."""
    kinds = [token[0] for token in _DATE_TOKEN.findall(layout)]
    if sorted(kinds) != ["D", "M", "Y"]:
        raise ValueError("a date format needs YYYY, MM (or M) and DD (or D), each once")
    if re.search(r"[^ ./_-]", _DATE_TOKEN.sub("", layout)):
        raise ValueError("between the parts of a date format only . / - _ and space may stand")


def _date_step(layouts: tuple[str, ...]) -> Step:
    readers = [_date_reader(layout) for layout in layouts]

    def step(text: Text) -> Text:
        word = trim(text)
        if word is None:
            return None
        for read in readers:
            found = read(word)
            if found:
                return found
        raise BadValueError(RowIssue.BAD_DATE, f"not a date in the form {' or '.join(layouts)}")

    return step


def _date_reader(layout: str) -> Callable[[str], Text]:
    order = [token[0] for token in _DATE_TOKEN.findall(layout)]
    pattern = re.compile("".join(_DATE_PARTS.get(part) or re.escape(part) for part in _split_layout(layout)), re.ASCII)

    def read(word: str) -> Text:
        match = pattern.fullmatch(word)
        if not match:
            return None
        parts = dict(zip(order, map(int, match.groups()), strict=True))
        try:
            return date(parts["Y"], parts["M"], parts["D"]).isoformat()
        except ValueError:
            return None

    return read


def _split_layout(layout: str) -> list[str]:
    return re.split(f"({_DATE_TOKEN.pattern})", layout)


_SIMPLE: Mapping[TransformName, Step] = {
    TransformName.TRIM: trim,
    TransformName.LOWER: lambda text: text.lower() if text else None,
    TransformName.UPPER: lambda text: text.upper() if text else None,
    TransformName.DOMAIN: domain,
}
