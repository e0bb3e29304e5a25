"""`mapping`: the file that binds the CRM's fields to ours, checked, shown, and tried on one account."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.invocation import AsJson, open_services, open_settings
from app.cli.output import say, say_json, say_table, tell
from app.errors import ConfigError, MappingError

if TYPE_CHECKING:
    from app.bootstrap import Services
    from app.mapping.check import ReadPlan
    from app.mapping.file import MappingFile
    from connectors.contract import CrmConnector


def register(app: typer.Typer) -> None:
    mapping = typer.Typer(help="The mapping file.", no_args_is_help=True)
    mapping.command("check")(check_file)
    mapping.command("init")(propose)
    mapping.command("show")(show_file)
    mapping.command("schema")(show_schema)
    mapping.command("preview")(preview)
    app.add_typer(mapping, name="mapping")


def check_file(
    ctx: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="Default: the mapping in force.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Also compare it with the CRM.")] = False,
    as_json: AsJson = False,
) -> None:
    """Check a mapping file; --live compares it with the CRM."""
    try:
        result = _check_live(ctx, file) if live else _check_alone(ctx, file)
    except MappingError as error:
        if not as_json:
            raise
        say_json({"valid": False, "problems": error.problems})
        raise typer.Exit(error.exit_code) from None
    if as_json:
        say_json({"valid": True, "problems": [], **result})
        return
    say(f"{result['path']}: fine{' and fits the CRM' if live else ''}")
    for line in (*result.get("dropped", ()), *(warning.message for warning in result.get("warnings", ()))):
        tell(f"note: {line}")


def _load(ctx: typer.Context, file: Path | None) -> MappingFile:
    from app.mapping.file import load_mapping

    return load_mapping(file or open_settings(ctx, level="error").mapping_path)


def _describe(mapping: MappingFile) -> dict[str, Any]:
    return {
        "path": mapping.path,
        "crm": mapping.crm,
        "policy_version": mapping.policy_version,
        "digest": mapping.digest,
    }


def _check_alone(ctx: typer.Context, file: Path | None) -> dict[str, Any]:
    from app.bootstrap import check_connector

    mapping = _load(ctx, file)
    check_connector(mapping)
    return _describe(mapping)


def _check_live(ctx: typer.Context, file: Path | None) -> dict[str, Any]:
    from app.mapping.file import load_mapping

    with open_services(ctx, crm=True) as services:
        mapping = load_mapping(file) if file else services.mapping
        connector = services.connect()
        try:
            plan = compare_with_crm(services, mapping, connector)
        finally:
            connector.close()
    return {**_describe(mapping), "dropped": plan.dropped, "warnings": plan.warnings, "writes": plan.writable}


def compare_with_crm(services: Services, mapping: MappingFile, connector: CrmConnector) -> ReadPlan:
    """What will be read and written. Raises MappingError with everything that does not fit."""
    from app.sync.fit import check_against_crm

    return check_against_crm(mapping, connector, services.user_of(connector))


def propose(
    ctx: typer.Context,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE", help="Default: standard output.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite what is there.")] = False,
) -> None:
    """Adapt the mapping to the names that this CRM uses."""
    from app.mapping.check import objects_of
    from app.mapping.propose import propose_mapping

    if out is not None and out.exists() and not force:
        raise ConfigError(f"{out} is there already", hint="choose another file, or --force")
    with open_services(ctx, crm=True) as services:
        mapping = services.mapping
        connector = services.connect()
        try:
            schemas = connector.describe(tuple(dict.fromkeys((*objects_of(mapping), mapping.write_back.object))))
            username = services.user_of(connector)
        finally:
            connector.close()
    template = Path(mapping.path).read_text("utf-8")
    proposal = propose_mapping(template, schemas, username, mapping.path)
    if out is None:
        say(proposal.text.rstrip("\n"))
    else:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(proposal.text, "utf-8")
        tell(f"{out} written")
    for change in proposal.changes:
        tell(f"changed: {change}")
    for question in proposal.open:
        tell(f"to decide: {question}")


def show_file(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show what is read from where, and written to where."""
    from app.mapping.policy import policy_content

    mapping = _load(ctx, None)
    reads = [
        (section.object, attribute.field, f"{section.section}.{name}")
        for section in mapping.sections()
        for name, attribute in section.attributes.items()
    ]
    target = mapping.write_back.object
    writes = [
        (measure, f"{target}.{write.field}", write.policy) for measure, write in mapping.write_back.fields.items()
    ]
    if as_json:
        named = [{"object": of, "field": field, "attribute": attribute} for of, field, attribute in reads]
        written = [{"measure": measure, "field": field, "policy": policy} for measure, field, policy in writes]
        say_json({**_describe(mapping), "policy": policy_content(mapping.policy), "reads": named, "writes": written})
        return
    say(f"{mapping.path} (policy {mapping.policy_version})")
    say_table(("object", "field", "read as"), reads)
    say_table(("measure", "written to", "how"), writes)


def show_schema() -> None:
    """Print the JSON Schema of mapping files, for editors."""
    from app.mapping.document import json_schema

    say_json(json_schema())


def preview(
    ctx: typer.Context,
    account: Annotated[str, typer.Option("--account", help="The id of an account.")],
    as_json: AsJson = False,
) -> None:
    """Show one account: as the CRM has it, and as it is read."""
    from app.domain.rows import COLUMNS, Entity
    from connectors.contract import PullRequest

    with open_services(ctx, crm=True) as services:
        connector = services.connect()
        try:
            plan = compare_with_crm(services, services.mapping, connector).entities[Entity.ACCOUNT]
            wanted = (_as_id(connector, account),)
            pages = list(connector.pull([PullRequest(plan.object, plan.fields, ids=wanted)]))
            batch = _translate(services, plan, connector, pages)
        finally:
            connector.close()
    raw = next((row for page in pages for row in page.rows), None)
    if raw is None or not batch.rows:
        raise ConfigError(f"the CRM shows no {plan.object} {account}")
    values = dict(zip(COLUMNS[Entity.ACCOUNT], batch.rows[0], strict=True))
    found = dict(zip(plan.fields, raw, strict=True))
    if as_json:
        say_json({"crm": found, "read": values, "problems": batch.problems})
        return
    sources = {name: attribute.field for name, attribute in plan.attributes.items()}
    rows = [(name, sources.get(name, ""), found.get(sources.get(name, "")), value) for name, value in values.items()]
    say_table(("attribute", "field", "as the CRM has it", "as it is read"), rows)
    for problem in batch.problems:
        tell(f"{problem.code} {problem.attribute}: {problem.message} (advocacy errors {problem.code})")


def _as_id(connector: CrmConnector, text: str) -> str:
    try:
        return connector.normalise_id(text)
    except ValueError as error:
        raise ConfigError(str(error)) from None


def _translate(services: Services, plan: Any, connector: CrmConnector, pages: list[Any]) -> Any:
    from app.domain.money import RateBook
    from app.mapping.translate import compile_reader

    rates = RateBook([], services.mapping.policy.reporting_currency)
    reader = compile_reader(services.mapping, plan, normalise_id=connector.normalise_id, rates=rates)
    return reader([row for page in pages for row in page.rows])
