"""The SOAP Metadata API: deploy and checkDeployStatus, the session in the envelope's header."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any
from xml.etree.ElementTree import Element, ParseError, fromstring
from xml.sax.saxutils import escape

from connectors.salesforce.sandbox import auth, deploy
from connectors.salesforce.sandbox.engine import Call, Engine, Reply
from connectors.salesforce.sandbox.errors import ApiError

_ENVELOPE = (
    '<?xml version="1.0" encoding="UTF-8"?>'
    '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns="http://soap.sforce.com/2006/04/metadata"><soapenv:Body>{}</soapenv:Body></soapenv:Envelope>'
)


def answer(engine: Engine, call: Call, *_: str) -> Reply:
    try:
        body, session = _open(call)
        call.user = auth.session_user(engine, session)
        operation = next(iter(body), None)
        respond = None if operation is None else _OPERATIONS.get(operation.tag)
        if operation is None or respond is None:
            raise ApiError("INVALID_OPERATION", "this operation is not supported")
        return _reply(f"<{operation.tag}Response>{respond(engine, call, operation)}</{operation.tag}Response>", 200)
    except ApiError as error:
        fault = (
            f"<soapenv:Fault><faultcode>sf:{error.code}</faultcode>"
            f"<faultstring>{escape(f'{error.code}: {error.message}')}</faultstring></soapenv:Fault>"
        )
        return _reply(fault, 500)


def _reply(content: str, status: int) -> Reply:
    return Reply(status, _ENVELOPE.format(content).encode(), "text/xml;charset=UTF-8")


def _open(call: Call) -> tuple[Element, str]:
    """The body element and the session id."""
    if b"<!DOCTYPE" in call.body or b"<!ENTITY" in call.body:
        raise ApiError("INVALID_SOAP", "a document type is not allowed")
    try:
        root = fromstring(call.body)  # noqa: S314 - entities refused above
    except ParseError as error:
        raise ApiError("INVALID_SOAP", str(error)) from None
    for one in root.iter():
        one.tag = one.tag.rpartition("}")[2]
    body = root.find("Body")
    if body is None:
        raise ApiError("INVALID_SOAP", "the envelope has no body")
    return body, root.findtext("Header/SessionHeader/sessionId", "").strip()


def _deploy(engine: Engine, call: Call, operation: Element) -> str:
    try:
        archive = base64.b64decode(operation.findtext("ZipFile", ""), validate=False)
    except binascii.Error:
        raise ApiError("INVALID_SOAP", "ZipFile is not base64") from None
    options = operation.find("DeployOptions")
    given = {one.tag: (one.text or "").strip() for one in options} if options is not None else {}
    made = deploy.start(engine, call, archive, given)
    return f"<result><done>false</done><id>{made.id}</id><state>Queued</state></result>"


def _check_deploy_status(engine: Engine, call: Call, operation: Element) -> str:
    made = deploy.find(engine, call, operation.findtext("asyncProcessId", "").strip())
    shown = deploy.shown(engine, made)
    if operation.findtext("includeDetails", "").strip().lower() != "true":
        del shown["details"]
    return _element("result", shown)


def _element(name: str, value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list):
        return "".join(_element(name, one) for one in value)
    if isinstance(value, dict):
        return f"<{name}>{''.join(_element(key, one) for key, one in value.items())}</{name}>"
    text = str(value).lower() if isinstance(value, bool) else escape(str(value))
    return f"<{name}>{text}</{name}>"


_OPERATIONS: dict[str, Callable[[Engine, Call, Element], str]] = {
    "deploy": _deploy,
    "checkDeployStatus": _check_deploy_status,
}
