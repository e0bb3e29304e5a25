"""`calls`: one buyer a day, why they care, and how well the list is covered."""

from __future__ import annotations

from datetime import date, time
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from app.cli.accounts import read_date
from app.cli.invocation import AsJson, open_services
from app.cli.output import count, money, say, say_json, say_table, tell
from app.errors import ConfigError

if TYPE_CHECKING:
    from fractions import Fraction

    from app.sync.call_log import LoggedCall
    from app.sync.calls import QueueView
    from app.sync.care import CareHistory
    from app.sync.coverage import CoverageView

BucketWord = Literal["need_you", "ok", "who_are_you"]
SkipWord = Literal["no_answer", "on_holiday", "not_now", "wrong_person", "other"]
AccountText = Annotated[str, typer.Argument(help="Id, name, or a part of the name that only one account has.")]
NOBODY = "there is no customer yet; run: advocacy sync"
Rep = Annotated[str | None, typer.Option("--rep", metavar="ID", help="Only this owner of accounts in the CRM.")]
Day = Annotated[str | None, typer.Option("--day", metavar="DATE", help="Default: today.")]
On = Annotated[str | None, typer.Option("--on", metavar="DATE", help="The day of the call. Default: today.")]
By = Annotated[str | None, typer.Option("--by", metavar="NAME", help="Who called.")]


def register(app: typer.Typer) -> None:
    calls = typer.Typer(help="One call a day: ask buyers why they care.", no_args_is_help=True)
    calls.command("today")(show_today)
    calls.command("log")(log)
    calls.command("skip")(skip)
    calls.command("history")(show_history)
    calls.command("coverage")(show_coverage)
    calls.command("calendar")(write_calendar)
    app.add_typer(calls, name="calls")


def show_today(ctx: typer.Context, rep: Rep = None, day: Day = None, as_json: AsJson = False) -> None:
    """Say whom to call today, why this one, and what to talk about.

    One buyer for each representative and business day. What is logged today changes tomorrow's call, not today's.
    """
    from app.sync.calls import list_calls

    with open_services(ctx) as services:
        queues = list_calls(services, rep=rep, day=read_date(day))
    if as_json:
        say_json([queue.as_json() for queue in queues])
    elif not queues:
        tell(NOBODY)
    elif len(queues) == 1:
        _say_queue(queues[0])
    else:
        _say_queues(queues)


def _say_queues(queues: list[QueueView]) -> None:
    rows = [
        (
            queue.rep or "(nobody)",
            (queue.call.name or queue.call.account) if queue.call else _why_no_call(queue),
            _bucket_words(queue) if queue.call else "",
            money(queue.call.total, queue.call.currency) if queue.call else "",
            queue.state,
        )
        for queue in queues
    ]
    say_table(("rep", "call", "bucket", "total", "state"), rows, right=("total",))
    tell("talking points: advocacy calls today --rep ID")


def _why_no_call(queue: QueueView) -> str:
    if not queue.is_business_day:
        return f"no business day; the next one is {queue.next_business_day}"
    return "nobody is due"


def _bucket_words(queue: QueueView) -> str:
    from app.sync.calls import BUCKETS

    is_inferred = queue.call is not None and queue.call.is_inferred and queue.state != "answered"
    return BUCKETS[queue.bucket] + (" (inferred)" if is_inferred else "")


def _say_queue(queue: QueueView) -> None:
    call = queue.call
    if call is None:
        say(f"{queue.day}: {_why_no_call(queue)}")
        return
    if queue.state != "open":
        # What was known before the call would contradict what came of it.
        say(f"Called {call.name or call.account}  ({call.account}): {queue.state}")
        for sentence in queue.outcome:
            say(f"  - {sentence}")
        return
    say(f"Call {call.name or call.account}  ({call.account})")
    if call.contact:
        say(f"Buyer: contact {call.contact}" + (f" ({call.contact_role})" if call.contact_role else ""))
    say(f"Why: {call.why}")
    for point in call.points:
        say(f"  - {point}")
    if queue.upcoming:
        tell("next in line: " + ", ".join(name or id_ for id_, name in queue.upcoming))
    tell(f'then: advocacy calls log {call.account} --bucket need_you|ok|who_are_you "what they said"')


def log(
    ctx: typer.Context,
    account: AccountText,
    verbatim: Annotated[str, typer.Argument(help="What they said, in their words.")],
    *,
    bucket: Annotated[BucketWord, typer.Option(help="What it amounts to.")],
    reasons: Annotated[
        list[str] | None, typer.Option("--reason", metavar="TEXT", help="Why they care. Repeatable.")
    ] = None,
    win_win: Annotated[
        bool | None,
        typer.Option("--win-win/--no-win-win", help="With who_are_you: would recruiting them again pay for both?"),
    ] = None,
    contact: Annotated[str | None, typer.Option(help="Who answered: a contact id.")] = None,
    by: By = None,
    on: On = None,
    as_json: AsJson = False,
) -> None:
    """Log what a buyer answered: bucket and words in one step. Safe to repeat on the same day."""
    from app.sync.call_log import log_call

    if not verbatim.strip():
        raise ConfigError("what did they say? Give their words, in quotes")
    answer: dict[str, Any] = {
        "bucket": bucket, "verbatim": verbatim, "reasons": reasons, "win_win": win_win, "caller": by,
    }  # fmt: skip
    _write(ctx, log_call, account, answer, as_json=as_json, contact=contact, on=on)


def skip(
    ctx: typer.Context,
    account: AccountText,
    reason: Annotated[SkipWord, typer.Option(help="Why the call did not take place.")],
    until: Annotated[
        str | None, typer.Option(metavar="DATE", help="The first day to try again. Default: by the reason.")
    ] = None,
    note: Annotated[str | None, typer.Option(help="A line for people.")] = None,
    by: By = None,
    as_json: AsJson = False,
) -> None:
    """Skip a call and say why. From tomorrow on the next one in line is called instead."""
    from app.sync.call_log import skip_call

    said: dict[str, Any] = {"reason": reason, "until": until, "note": note, "caller": by}
    _write(ctx, skip_call, account, said, as_json=as_json)


def _write(
    ctx: typer.Context, write: Any, account: str, said: dict[str, Any], *, as_json: bool, **more: str | None
) -> None:
    from app.intake.event_fields import RejectedEventError

    with open_services(ctx) as services:
        try:
            logged: LoggedCall = write(services, account, said, **more)
        except RejectedEventError as error:
            raise ConfigError("\n".join(str(problem) for problem in error.problems)) from None
    if as_json:
        say_json(logged.as_json())
        return
    say(f"{'logged' if logged.is_new else 'known already'}: {logged.name or logged.account}. {logged.action}")
    if logged.next_call_on:
        say(f"Next call from {logged.next_call_on} on.")


def show_history(
    ctx: typer.Context,
    account: AccountText,
    as_of: Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Default: today.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say why a customer cares, how it moved from bucket to bucket, and what it measures its success by."""
    from app.sync.care import show_care

    with open_services(ctx) as services:
        history = show_care(services, account, as_of=read_date(as_of))
    say_json(history.as_json()) if as_json else _say_history(history)


def _say_history(history: CareHistory) -> None:
    from app.sync.calls import BUCKETS, tell_bucket, tell_progress

    standing = history.standing
    say(f"{history.name or history.account}  ({history.account})")
    for line in (*tell_bucket(standing), standing.action):
        say(line)
    if standing.limbo_since:
        say(f"In limbo since {standing.limbo_since}.")
    for one in history.metrics:
        say(tell_progress(one))
    if standing.proposal_gate:
        say(standing.proposal_gate)
    if history.next_call_on:
        say(f"Next call from {history.next_call_on} on.")
    if history.moves:
        say()
        rows = [(one.on, BUCKETS[one.after], one.direction, one.decision, one.verbatim) for one in history.moves]
        say_table(("date", "bucket", "move", "decision", "words"), rows)


def show_coverage(ctx: typer.Context, rep: Rep = None, day: Day = None, as_json: AsJson = False) -> None:
    """Say how well the list is covered, whether one call a day is enough, and who has waited too long."""
    from app.sync.coverage import measure_coverage

    with open_services(ctx) as services:
        views = measure_coverage(services, rep=rep, day=read_date(day))
    if as_json:
        say_json([view.as_json() for view in views])
    elif not views:
        tell(NOBODY)
    elif len(views) == 1:
        _say_meter(views[0])
    else:
        _say_meters(views)


def _say_meters(views: list[CoverageView]) -> None:
    rows = [
        (
            view.rep or "(nobody)",
            view.meter.accounts,
            _percent(view.meter.share),
            view.meter.overdue,
            view.meter.never,
            f"{view.called} of {view.business_days}",
            _percent(view.meter.utilisation),
        )
        for view in views
    ]
    columns = ("rep", "customers", "covered", "overdue", "never", "called this month", "utilisation")
    say_table(columns, rows, right=columns[1:])


def _percent(share: Fraction | None) -> str:
    from app.domain.explain import percent_text

    return "" if share is None else percent_text(share)


def _say_meter(view: CoverageView) -> None:
    from app.sync.calls import BUCKETS

    meter = view.meter
    say(f"{meter.covered} of {count(meter.accounts, 'customer')} covered ({_percent(meter.share) or '0 %'})")
    say(f"  {meter.overdue} overdue, {meter.never} never called, {meter.skipped} resting after a skipped call")
    if view.gone:
        named = ", ".join(name or id_ for id_, name in view.gone)
        say(f"  {meter.written_off} assumed gone and not called: {named}")
    say("  " + ", ".join(f"{number} {BUCKETS[bucket]}" for bucket, number in meter.buckets.items() if number))
    say(f"This month: {view.called} called, business day {view.business_days} of {view.business_days_of_month}")
    if view.moves:
        say("  " + ", ".join(f"{number} {_MOVES[move]}" for move, number in view.moves.items()))
    say(f"Utilisation: {_percent(meter.utilisation) or 'no work days'}" + _verdict(view))
    if view.overdue:
        say()
        rows = [
            (one.name or one.account, BUCKETS[one.bucket], one.last_contact_on or "never", one.due_on)
            for one in view.overdue
        ]
        say_table(("waiting longest", "bucket", "last contact", "due since"), rows)


_MOVES = {"first": "asked for the first time", "up": "moved up", "down": "moved down", "decided": "decided"}


def _verdict(view: CoverageView) -> str:
    if view.meter.is_feasible:
        return ", one call a day is enough"
    return ": more than one call a day allows, so every call comes late in proportion"


def write_calendar(
    ctx: typer.Context,
    rep: Rep = None,
    days: Annotated[int, typer.Option(help="How many business days from today on.")] = 20,
    at: Annotated[
        str | None, typer.Option(metavar="HH:MM", help="At this time of day; default: entries for whole days.")
    ] = None,
    minutes: Annotated[int, typer.Option(min=1, max=480, help="How long a call takes, with --at.")] = 15,
    day: Day = None,
) -> None:
    """Write the next calls as an iCalendar file to standard output."""
    import sys

    from app.sync.calls import write_call_calendar

    start: date | None = read_date(day)
    with open_services(ctx) as services:
        text = write_call_calendar(services, rep=rep, start=start, days=days, at=read_time(at), minutes=minutes)
    # The standard ends lines with CR LF; a text stream would translate them on some systems.
    sys.stdout.flush()
    sys.stdout.buffer.write(text.encode())
    sys.stdout.buffer.flush()


def read_time(text: str | None) -> time | None:
    """`09:30` as a time of day. Raises ConfigError."""
    if text is None:
        return None
    try:
        if len(text) == len("09:30"):
            return time.fromisoformat(text)
    except ValueError:
        pass
    raise ConfigError(f"{text!r} is not a time of day like 09:30")
