"""What the org runs when we write: active flows, triggers and validation rules, as far as the user may read them.

Read for people only: nothing depends on it. Reading set-up needs a right that the nightly user rightly lacks, so that
not being allowed is an answer like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors.contract import Finding
from connectors.errors import ConnectorError
from connectors.http import decode_json, require
from connectors.salesforce.soql import check_name, literal
from connectors.salesforce.transport import Transport

MOST = 200
SHOWN = 10


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of automation: where its names are read. `{object}` stands for the name of the object, quoted."""

    names: str
    call: str
    query: str
    field: str


KINDS: tuple[Kind, ...] = (
    Kind(
        "flows",
        "query",
        "SELECT ApiName FROM FlowDefinitionView WHERE IsActive = TRUE AND RecordTriggerType IN ('Update', "
        "'CreateAndUpdate') AND TriggerObjectOrEvent.QualifiedApiName = {object}",
        "ApiName",
    ),
    Kind(
        "triggers",
        "tooling/query",
        "SELECT Name FROM ApexTrigger WHERE Status = 'Active' AND TableEnumOrId = {object} "
        "AND (UsageBeforeUpdate = TRUE OR UsageAfterUpdate = TRUE)",
        "Name",
    ),
    Kind(
        "validation rules",
        "tooling/query",
        "SELECT ValidationName FROM ValidationRule WHERE Active = TRUE "
        "AND EntityDefinition.QualifiedApiName = {object}",
        "ValidationName",
    ),
)
SUBJECT = "automations"


def examine_automations(transport: Transport, object_name: str) -> Iterator[Finding]:
    """What runs when records of the object are changed, and what could not be found out."""
    found: dict[str, Sequence[str]] = {}
    unread: dict[str, str] = {}
    for kind in KINDS:
        try:
            found[kind.names] = _read_names(transport, kind, object_name)
        except ConnectorError as error:
            unread[kind.names] = error.code or type(error).__name__
    yield from _told(object_name, {names: list_ for names, list_ in found.items() if list_})
    if unread:
        yield _not_told(object_name, unread)
    elif not any(found.values()):
        yield Finding("ok", SUBJECT, f"No flow, trigger or validation rule runs when {object_name} records change.")


def _read_names(transport: Transport, kind: Kind, object_name: str) -> Sequence[str]:
    soql = f"{kind.query.replace('{object}', literal(check_name(object_name)))} ORDER BY {kind.field} LIMIT {MOST}"
    body = decode_json(transport.read("GET", f"{kind.call}?q={quote(soql, safe='')}", "automations").body)
    return [require(record, kind.field, str) for record in require(body, "records", list)]


def _told(object_name: str, found: Mapping[str, Sequence[str]]) -> Iterator[Finding]:
    if found:
        said = "; ".join(f"{kind}: {_listed(names)}" for kind, names in found.items())
        yield Finding(
            "warning",
            SUBJECT,
            f"When {object_name} records change, these run: {said}.",
            "Let whoever owns them check that 200 records at once do no harm, and that a change of our fields alone "
            "sets nothing off. Records they refuse are listed in each run's report.",
        )


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - SHOWN
    return ", ".join(names[:SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _not_told(object_name: str, unread: Mapping[str, str]) -> Finding:
    said = ", ".join(f"{kind} ({code})" for kind, code in unread.items())
    return Finding(
        "warning",
        SUBJECT,
        f"With this user's rights could not be read for {object_name}: {said}.",
        f"Ask an administrator what stands in Setup > Object Manager > {object_name} under Flow Triggers, Triggers and "
        "Validation Rules: each may refuse our writes or be set off by them.",
    )
