"""`/sandbox/...`: the org's strings, pulled over HTTP. Needs no token and counts nowhere; JSON bodies only.

GET    /sandbox/state    records, calls, allowance, clock, manners
POST   /sandbox/state    one action: `{"do": "merge", "object": "Account", "id": ..., "losers": [...]}`
GET    /sandbox/faults   the faults that wait
POST   /sandbox/faults   inject one: `{"kind": "error", "on": "query", "code": "QUERY_TIMEOUT", "status": 400}`
DELETE /sandbox/faults   clear them
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from connectors.salesforce.sandbox.access import EVERYONE
from connectors.salesforce.sandbox.auth import issue_token
from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.outbound import add_outbound, deliver
from connectors.salesforce.sandbox.wire import error_reply, read_json

ROOT = "/sandbox/"


def answer(engine: Engine, call: Call) -> Reply:
    """Wrong actions and arguments are answered with status 400 and a reason."""
    respond = _ROUTES.get((call.method, call.path.rstrip("/").removeprefix(ROOT)))
    try:
        if respond is None:
            raise not_found("GET or POST /sandbox/state; GET, POST or DELETE /sandbox/faults")
        if call.method == "POST" and not call.headers.get("content-type", "").startswith("application/json"):
            # A page in a browser cannot send this type to another host without being asked first.
            raise ApiError("UNSUPPORTED_MEDIA_TYPE", "Content-Type must be application/json", status=415)
        return respond(engine, call)
    except ApiError as error:
        return error_reply(error)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        return error_reply(ApiError("BAD_ACTION", f"{type(error).__name__}: {error}"))


def _show_state(engine: Engine, _call: Call) -> Reply:
    with engine.org.lock:
        return json_reply(_state(engine))


def _state(engine: Engine) -> dict[str, Any]:
    org = engine.org
    return {
        "organization_id": org.organization_id,
        "user_id": org.user_id,
        "clock": org.clock.stamp(),
        "records": {name: org.count(name) for name in org.tables},
        "calls": dict(engine.calls),
        "written": dict(engine.written),
        "api_used": engine.api_used,
        "faults_waiting": len(engine.faults.waiting),
        "faults_struck": engine.faults.struck,
        "manners": asdict(engine.manners),
        "outbound_waiting": sum(len(message.waiting) for message in engine.outbound),
    }


def _change_state(engine: Engine, call: Call) -> Reply:
    body = read_json(call)
    action = _ACTIONS.get(str(body.pop("do", "")))
    if action is None:
        raise ApiError("BAD_ACTION", f"do must be one of {', '.join(sorted(_ACTIONS))}")
    if action is _deliver:
        # Without the lock: the listener may ask the sandbox something before it answers.
        return json_reply({"result": action(engine, body)})
    with engine.org.lock:
        return json_reply({"result": action(engine, body)})


def _show_faults(engine: Engine, _call: Call) -> Reply:
    return json_reply([{**asdict(fault), "ids": list(fault.ids)} for fault in engine.faults.waiting])


def _inject_fault(engine: Engine, call: Call) -> Reply:
    body = read_json(call)
    engine.faults.inject(body.pop("kind"), body.pop("on", "*"), **body)
    return json_reply({"waiting": len(engine.faults.waiting)}, 201)


def _clear_faults(engine: Engine, _call: Call) -> Reply:
    engine.faults.clear()
    return Reply(204)


_ROUTES: dict[tuple[str, str], Callable[[Engine, Call], Reply]] = {
    ("GET", "state"): _show_state,
    ("POST", "state"): _change_state,
    ("GET", "faults"): _show_faults,
    ("POST", "faults"): _inject_fault,
    ("DELETE", "faults"): _clear_faults,
}


Body = Mapping[str, Any]


def _create(engine: Engine, body: Body) -> str:
    return engine.org.create(body["object"], body["values"])


def _update(engine: Engine, body: Body) -> None:
    engine.org.update(body["object"], body["id"], body["values"])


def _late(engine: Engine, body: Body) -> str:
    """Stamp a change now; `commit` makes it visible."""
    if "id" in body:
        return str(engine.org.late_update(body["object"], body["id"], body["values"]).row[0])
    return str(engine.org.late_create(body["object"], body["values"]).row[0])


def _commit(engine: Engine, _body: Body) -> list[str]:
    return [held.commit() for held in list(engine.org.open_commits)]


def _advance(engine: Engine, body: Body) -> str:
    engine.org.clock.advance(float(body["seconds"]))
    return engine.org.clock.stamp()


def _freeze(engine: Engine, body: Body) -> str:
    engine.org.clock.freeze(datetime.fromisoformat(body["at"]) if "at" in body else None)
    return engine.org.clock.stamp()


def _set_manners(engine: Engine, body: Body) -> dict[str, Any]:
    for name, value in body.items():
        if name not in asdict(engine.manners):
            raise ApiError("BAD_ACTION", f"there is no manner {name}")
        setattr(engine.manners, name, value)
    return asdict(engine.manners)


def _refuse(engine: Engine, body: Body) -> None:
    given = {name: body[name] for name in ("code", "message", "times") if name in body}
    engine.org.refuse(body["id"], fields=tuple(body.get("fields", ())), **given)


def _revoke(engine: Engine, _body: Body) -> int:
    ended = len(engine.tokens)
    engine.tokens.clear()
    return ended


def _add_refresh_token(engine: Engine, body: Body) -> None:
    engine.refresh_tokens[str(body["token"])] = body.get("user") or engine.org.user_id


def _outbound(engine: Engine, body: Body) -> str:
    options = {name: body[name] for name in ("twice", "reverse") if name in body}
    return add_outbound(engine, body["url"], body["object"], tuple(body.get("fields", ())), **options).action_id


def _deliver(engine: Engine, _body: Body) -> int:
    return deliver(engine)


def _user(body: Body) -> str:
    return str(body.get("user", EVERYONE))


_ACTIONS: dict[str, Callable[[Engine, Body], Any]] = {
    "create": _create,
    "update": _update,
    "late": _late,
    "commit": _commit,
    "touch": lambda engine, body: engine.org.touch(body["object"], body["id"]),
    "drift": lambda engine, body: engine.org.drift(body["object"], body["id"], body["values"]),
    "delete": lambda engine, body: engine.org.delete(body["object"], body["id"]),
    "undelete": lambda engine, body: engine.org.undelete(body["object"], body["id"]),
    "purge": lambda engine, body: engine.org.purge(body["object"], body["id"]),
    "merge": lambda engine, body: engine.org.merge(body["object"], body["id"], *body["losers"]),
    "hide_field": lambda engine, body: engine.org.hide_field(body["object"], body["field"], user=_user(body)),
    "show_field": lambda engine, body: engine.org.show_field(body["object"], body["field"], user=_user(body)),
    "lock_field": lambda engine, body: engine.org.lock_field(body["object"], body["field"], user=_user(body)),
    "hide_record": lambda engine, body: engine.org.hide_record(body["id"], user=_user(body)),
    "show_record": lambda engine, body: engine.org.show_record(body["id"], user=_user(body)),
    "refuse": _refuse,
    "allow": lambda engine, body: engine.org.allow(body["id"]),
    "manners": _set_manners,
    "advance": _advance,
    "freeze": _freeze,
    "revoke": _revoke,
    "refresh_token": _add_refresh_token,
    "login": lambda engine, body: issue_token(engine, body.get("user") or engine.org.user_id),
    "expire_cursors": lambda engine, _body: engine.cursors.clear(),
    "outbound": _outbound,
    "deliver": _deliver,
    "save": lambda engine, _body: engine.save(),
}
