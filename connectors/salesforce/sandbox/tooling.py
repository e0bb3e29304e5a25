"""The Tooling API as far as setting up fields needs it, and deployments over REST."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from connectors.salesforce.sandbox import deploy
from connectors.salesforce.sandbox.automations import Automation, automation_types, records_of
from connectors.salesforce.sandbox.engine import Call, Engine, Reply, json_reply
from connectors.salesforce.sandbox.errors import ApiError, not_found
from connectors.salesforce.sandbox.metadata import check_customiser, check_field
from connectors.salesforce.sandbox.multipart import read_parts
from connectors.salesforce.sandbox.org import Org
from connectors.salesforce.sandbox.schema import Field, build_type
from connectors.salesforce.sandbox.soql_answer import answer_query
from connectors.salesforce.sandbox.wire import read_json

_SET_UP_OBJECTS = (
    ("CustomField", "00N", ("Id", "DeveloperName", "TableEnumOrId", "NamespacePrefix", "ManageableState")),
    ("SandboxProcess", "0GR", ("Id", "Status", "SandboxName", "SandboxOrganization", "LicenseType", "SandboxInfoId")),
)


def create_component(engine: Engine, call: Call, kind: str) -> Reply:
    """`POST /tooling/sobjects/CustomField`: one field, without any permission to see it."""
    check_customiser(engine.view(call))
    if kind.lower() != "customfield":
        raise not_found()
    body = read_json(call)
    full_name, metadata = str(body.get("FullName", "")), body.get("Metadata")
    if not isinstance(metadata, dict):
        raise ApiError("REQUIRED_FIELD_MISSING", "Required fields are missing: [Metadata]", fields=("Metadata",))
    object_name, made = check_field(engine.org, full_name, metadata)
    of = engine.org.table(object_name).type
    if made.name in of.fields:
        message = f"There is already a field named {made.name} on {of.label}."
        raise ApiError("DUPLICATE_DEVELOPER_NAME", message, fields=("DeveloperName",))
    engine.org.add_field(of.name, made)
    made_id = engine.new_id("00N")
    reply = {"id": made_id, "success": True, "errors": [], "warnings": [], "infos": []}
    return json_reply(reply, 201, Location=f"/services/data/v{call.version}/tooling/sobjects/CustomField/{made_id}")


def query(engine: Engine, call: Call) -> Reply:
    """SOQL over `CustomField`, the empty `SandboxProcess`, and the automations where the user may see them."""
    answer = answer_query(_set_up_org(engine.org).view(None), call.query.get("q", ""), call.version, deleted=False)
    records = answer.records if answer.records is not None else [answer.json_record(row) for row in answer.rows]
    body = f'{{"size":{answer.total},"totalSize":{answer.total},"done":true,"records":[{",".join(records)}]}}'
    return Reply(body=body.encode())


def _set_up_org(org: Org) -> Org:
    """The org's set-up as records of an org of its own."""
    shadow = Org(clock=org.clock)
    for name, prefix, columns in _SET_UP_OBJECTS:
        shadow.add_type(build_type(name, prefix, map(Field, columns)))
    for table in org.tables.values():
        for one in table.type.fields.values():
            if one.custom:
                name = one.name.removesuffix("__c")
                shadow.create("CustomField", {"DeveloperName": name, "TableEnumOrId": table.type.name})
    if org.automations is not None:
        _add_automations(shadow, org.automations)
    return shadow


def _add_automations(shadow: Org, automations: Sequence[Automation]) -> None:
    for of in automation_types():
        shadow.add_type(of)
    names = dict.fromkeys(one.object for one in automations)
    entities = {name: shadow.create("EntityDefinition", {"QualifiedApiName": name}) for name in names}
    for object_name, values in records_of(automations, entities):
        shadow.create(object_name, values)


def deploy_start(engine: Engine, call: Call) -> Reply:
    """Multipart: the options in the part `json` or `entity_content`, the zip in the part `file`."""
    if not call.headers.get("content-type", "").startswith("multipart/"):
        raise ApiError("UNSUPPORTED_MEDIA_TYPE", "deployRequest takes multipart/form-data", status=415)
    parts = read_parts(call)
    content = parts.get("json") or parts.get("entity_content")
    if content is None or "file" not in parts:
        raise ApiError("INVALID_MULTIPART_REQUEST", "the parts json (or entity_content) and file are required")
    try:
        options = dict(json.loads(content)["deployOptions"])
    except (ValueError, KeyError, TypeError):
        raise ApiError("JSON_PARSER_ERROR", "deployOptions are missing") from None
    made = deploy.start(engine, call, parts["file"], options)
    return json_reply(_shown(engine, made), 201)


def _shown(engine: Engine, made: deploy.Deployment) -> dict[str, Any]:
    result = deploy.shown(engine, made)
    return {"id": made.id, "validatedDeployRequestId": None, "deployOptions": made.options, "deployResult": result}


def deploy_status(engine: Engine, call: Call, deploy_id: str) -> Reply:
    shown = _shown(engine, deploy.find(engine, call, deploy_id))
    if call.query.get("includeDetails", "").lower() != "true":
        del shown["deployResult"]["details"]
    return json_reply(shown)
