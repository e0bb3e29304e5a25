"""Pages for people: who is worth most, and why. Rendered here, without a line of script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, get_args
from urllib.parse import urlencode, urlsplit

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.bootstrap import Services
from app.errors import ConfigError
from app.sync.answers import AccountView, explain_account, find_account, list_accounts, portfolio
from app.sync.last_run import LastRun, load_last_run
from app.sync.restated import find_policy_change
from app.sync.standing import BUCKETS
from app.web.access import ServicesOf, require_reader
from app.web.v1 import Cursor, SortKey, read_account_cursor, write_account_cursor
from app.web.words import (
    KINDS,
    describe_policy,
    name_quadrants,
    show_part,
    show_points,
    show_progress,
    show_rule,
    show_share,
)

ROWS = 50
BAR_WIDTH = 160
MEASURES = {
    "direct": "Own purchases",
    "referred": "Purchases by customers they referred",
    "influence": "Deals they helped as a reference",
    "touched": "Deals they took part in",
    "network": "Further down the referral chain",
}

router = APIRouter(include_in_schema=False, dependencies=[Depends(require_reader)])


def build_templates() -> Environment:
    """The page templates, with everything escaped that comes from outside."""
    loader = FileSystemLoader(Path(__file__).parent / "templates")
    templates = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    templates.filters |= {"money": show_money, "weblink": keep_web_link, "words": show_words}
    templates.filters |= {"share": show_share, "part": show_part, "points": show_points, "rule": show_rule}
    templates.filters |= {"lower_first": lambda text: text[:1].lower() + text[1:]}
    templates.filters |= {"progress": show_progress, "bucket": BUCKETS.__getitem__}
    return templates


def show_money(amount: object) -> str:
    """`140000.00` reads `140,000`; cents show only where there are some."""
    number = Decimal(str(amount))
    text = f"{number:,.0f}" if number == number.to_integral_value() else f"{number:,f}"
    return text.replace("-", "\N{MINUS SIGN}")


def keep_web_link(url: object) -> str:
    """The address when a browser may be sent there, else nothing."""
    return str(url) if urlsplit(str(url or "")).scheme in {"http", "https"} else ""


def show_words(code: object) -> str:
    """`rate_missing` reads `rate missing`."""
    return str(code).replace("_", " ")


def render(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """One of our pages, filled."""
    templates: Environment = request.app.state.templates
    return HTMLResponse(templates.get_template(name).render(**values), status)


@router.get("/")
def show_triage(
    request: Request,
    services: ServicesOf,
    sort: SortKey = "total",
    q: Annotated[str, Query(max_length=100)] = "",
    after: Cursor = None,
) -> HTMLResponse:
    """The triage table: customers by what they are really worth."""
    found = _load_page(services, sort, q.strip(), after)
    views = [view.as_json() for view in found[:ROWS]]
    largest = max((Decimal(view["total"]) for view in views), default=Decimal(0))
    return render(
        request,
        "triage.html",
        rows=[{**view, "bar": build_bar(view, largest)} for view in views],
        whole=portfolio(services),
        sort=sort,
        sorts=get_args(SortKey),
        query=q,
        first=_address(sort, q) if after else "",
        further=_address(sort, q, write_account_cursor(found[ROWS - 1], sort)) if len(found) > ROWS else "",
        computed=_find_last_run(services),
        change=find_policy_change(services),
        bar_width=BAR_WIDTH,
    )


def _find_last_run(services: Services) -> LastRun | None:
    with services.database.read() as connection:
        return load_last_run(connection)


def _load_page(services: Services, sort: SortKey, text: str, cursor: str | None) -> list[AccountView]:
    """The accounts of one page, and one beyond it when there is more."""
    after = read_account_cursor(cursor, sort)
    if not text:
        return list_accounts(services, top=ROWS + 1, sort=sort, after=after)
    found = list_accounts(services, sort=sort, include_all=True, after=after)
    matching = (view for view in found if text.casefold() in view.name.casefold() or text == view.id)
    return list(islice(matching, ROWS + 1))


def _address(sort: str, text: str, after: str | None = None) -> str:
    return "/?" + urlencode({"sort": sort, "q": text, **({"after": after} if after else {})})


def build_bar(view: dict[str, Any], largest: Decimal) -> dict[str, int]:
    """Widths of the own and the referred part. A negative part has no width: its number says enough."""
    if largest <= 0:
        return {"own": 0, "referred": 0}
    own, referred = (max(Decimal(view[name]), Decimal(0)) for name in ("direct", "referred"))
    width = round(own * BAR_WIDTH / largest)
    return {"own": width, "referred": round((own + referred) * BAR_WIDTH / largest) - width}


@router.get("/accounts/{account_id}")
def show_account(request: Request, services: ServicesOf, account_id: str) -> HTMLResponse:
    """Why a customer is worth that, line by line."""
    try:
        found = find_account(services, account_id)
    except ConfigError:
        return render(request, "missing.html", 404)
    explanation = explain_account(services, found.id)
    view = explanation.account.as_json()
    lines = [line.as_json() for line in explanation.lines]
    return render(
        request,
        "account.html",
        view=view,
        kinds=list_kinds(view),
        quadrants=name_quadrants(services.mapping.policy.triage.quadrant_labels),
        policy=describe_policy(services.mapping.policy),
        explanation=explanation,
        groups=group_lines(lines),
        bar=build_bar(view, Decimal(view["total"])),
        bar_width=BAR_WIDTH,
    )


def list_kinds(view: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Own purchases by type of deal, as far as there is more than one kind to tell apart."""
    kinds = [{"name": name, "amount": view[measure]} for measure, name in KINDS.items() if Decimal(view[measure])]
    return kinds if len(kinds) > 1 else []


def group_lines(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Lines under a heading for each measure that has any, with their sum."""
    groups = []
    for measure, heading in MEASURES.items():
        members = [line for line in lines if line["measure"] == measure]
        if members:
            total = sum((Decimal(line["amount"]) for line in members), Decimal(0))
            has_rates = any(line.get("rate") for line in members)
            group = {"measure": measure, "heading": heading, "lines": members, "total": total, "has_rates": has_rates}
            groups.append(group)
    return groups
