"""Deployments: a zip of metadata in, checked as a whole, applied as a whole; the same for REST and SOAP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from connectors.salesforce.sandbox.clock import stamp_text
from connectors.salesforce.sandbox.engine import Call, Engine
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.metadata import (
    Package,
    PermissionSet,
    apply_field,
    apply_object,
    apply_permission_set,
    check_change,
    check_customiser,
    check_field,
    is_true,
)
from connectors.salesforce.sandbox.org import Org
from connectors.salesforce.sandbox.package import BadPackage, read_package


@dataclass(frozen=True, slots=True)
class Component:
    kind: str
    name: str
    file: str
    problem: str = ""
    created: bool = False


@dataclass(slots=True)
class Deployment:
    """`polls`: status calls so far; the first `Manners.job_polls` of them still see it running."""

    id: str
    user: str
    check_only: bool
    rollback_on_error: bool
    started: str
    options: dict[str, Any]
    components: list[Component] = field(default_factory=list)
    polls: int = 0

    @property
    def failures(self) -> list[Component]:
        return [one for one in self.components if one.problem]


def start(engine: Engine, call: Call, archive: bytes, options: dict[str, Any]) -> Deployment:
    """Check everything, then apply everything unless something failed or it was only a check."""
    check_customiser(engine.view(call))
    check_only = is_true(options.get("checkOnly"))
    rollback = is_true(options.get("rollbackOnError", True))
    made = Deployment(
        engine.new_id("0Af"), call.user, check_only, rollback, stamp_text(engine.org.clock.now()), options
    )
    try:
        package, files = read_package(archive)
        steps = list(_steps(engine.org, package, files))
    except BadPackage as bad:
        made.components = [Component("", "package.xml", "package.xml", str(bad))]
    else:
        checked = [_check(step) for step in steps]
        failed = any(one.problem for one in checked)
        apply = not check_only and not (failed and rollback)
        made.components = [
            _apply(step) if apply and not one.problem else one for step, one in zip(steps, checked, strict=True)
        ]
    engine.deploys[made.id] = made
    return made


def find(engine: Engine, call: Call, deploy_id: str) -> Deployment:
    made = engine.deploys.get(deploy_id)
    if not isinstance(made, Deployment) or made.user != call.user:
        raise not_found()
    made.polls += 1
    return made


def shown(engine: Engine, made: Deployment) -> dict[str, Any]:
    """The deploy result, running or done; `details` are always there when it is done."""
    done = made.polls > engine.manners.job_polls
    failures = made.failures if done else []
    deployed = [one for one in made.components if not one.problem] if done else []
    status = ("Failed" if failures else "Succeeded") if done else ("InProgress" if made.polls else "Pending")
    return {
        "checkOnly": made.check_only,
        "completedDate": made.started if done else None,
        "createdBy": made.user,
        "createdDate": made.started,
        "done": done,
        "id": made.id,
        "ignoreWarnings": False,
        "lastModifiedDate": made.started,
        "numberComponentErrors": len(failures),
        "numberComponentsDeployed": len(deployed),
        "numberComponentsTotal": len(made.components) if done else 0,
        "numberTestErrors": 0,
        "numberTestsCompleted": 0,
        "numberTestsTotal": 0,
        "rollbackOnError": made.rollback_on_error,
        "runTestsEnabled": False,
        "startDate": made.started,
        "status": status,
        "success": done and not failures,
        "details": {
            "componentFailures": [_shown_component(one) for one in failures],
            "componentSuccesses": [_shown_component(one) for one in deployed],
            "runTestResult": {"numFailures": 0, "numTestsRun": 0, "totalTime": "0"},
        },
    }


def _shown_component(one: Component) -> dict[str, Any]:
    shown_ = {
        "changed": not one.problem,
        "componentType": one.kind,
        "created": one.created,
        "deleted": False,
        "fileName": one.file,
        "fullName": one.name,
        "success": not one.problem,
    }
    return shown_ | ({"problem": one.problem, "problemType": "Error"} if one.problem else {})


@dataclass(frozen=True, slots=True)
class _Step:
    component: Component
    check: Callable[[], None]
    apply: Callable[[], bool]


def _steps(org: Org, package: Package, files: dict[str, str]) -> Iterator[_Step]:
    for name, label in package.objects.items():
        yield _step(files, "CustomObject", name, _always, partial(apply_object, org, name, label))
    for full_name in package.fields:
        check, apply = partial(_check_field, org, package, full_name), partial(_apply_field, org, package, full_name)
        yield _step(files, "CustomField", full_name, check, apply)
    for one in package.permission_sets:
        check, set_up = partial(_check_grants, org, package, one), partial(apply_permission_set, org, one)
        yield _step(files, "PermissionSet", one.name, check, set_up)
    for kind, name in package.others:
        yield _step(files, kind, name, _always, partial(_remember, org, kind, name))


def _always() -> None:
    """Nothing can be wrong with it."""


def _step(files: dict[str, str], kind: str, name: str, check: Callable[[], None], apply: Callable[[], bool]) -> _Step:
    return _Step(Component(kind, name, files[f"{kind}:{name}"]), check, apply)


def _check_field(org: Org, package: Package, full_name: str) -> None:
    object_name, made = check_field(org, full_name, package.fields[full_name], package.objects)
    of = org.find_type(object_name)
    if of is not None:
        check_change(of, made)


def _apply_field(org: Org, package: Package, full_name: str) -> bool:
    object_name, made = check_field(org, full_name, package.fields[full_name], package.objects)
    return apply_field(org, object_name, made)


def _check_grants(org: Org, package: Package, wanted: PermissionSet) -> None:
    for grant in wanted.fields:
        object_name, _, name = grant.target.partition(".")
        of = org.find_type(object_name)
        known = of.fields.get(name) if of is not None else None
        if known is None and grant.target not in package.fields:
            raise ApiError("INVALID", f"In field: field - no CustomField named {grant.target} found")
        required = known.required if known is not None else is_true(package.fields[grant.target].get("required"))
        if required:
            raise ApiError("INVALID", f"You cannot deploy to a required field: {grant.target}")
    for grant in wanted.objects:
        if org.find_type(grant.target) is None and grant.target not in package.objects:
            raise ApiError("INVALID", f"In field: object - no CustomObject named {grant.target} found")


def _remember(org: Org, kind: str, name: str) -> bool:
    new = (kind, name) not in org.components
    org.components.add((kind, name))
    return new


def _check(step: _Step) -> Component:
    try:
        step.check()
    except ApiError as error:
        return _failed(step.component, error)
    return step.component


def _apply(step: _Step) -> Component:
    one = step.component
    try:
        return Component(one.kind, one.name, one.file, created=step.apply())
    except ApiError as error:
        return _failed(one, error)


def _failed(one: Component, error: ApiError) -> Component:
    return Component(one.kind, one.name, one.file, problem=error.message)
