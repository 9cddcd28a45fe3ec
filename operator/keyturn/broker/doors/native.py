"""The broker's own API: what secret references mean, and which grants the caller has."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from keyturn.broker.catalog import Catalogs, ServedGrant
from keyturn.broker.doors.problems import ALWAYS, json_answer
from keyturn.broker.errors import BrokerError, UnreadableReference, UnreadableRequest
from keyturn.broker.meanings import ReferenceValue
from keyturn.broker.reading import FieldReader
from keyturn.broker.recording import LISTING, BrokerCall, Recorder
from keyturn.core.secret_references import BadReference, SecretReference, parse_secret_reference

MOST_ASKED: Final = 100
"""References in one request."""


class NativeDoor:
    """Its handlers.

    Args:
        reader: reads.
        catalogs: of identities.
        recorder: concludes what was not read.
    """

    def __init__(self, reader: FieldReader, catalogs: Catalogs, recorder: Recorder) -> None:
        self._reader = reader
        self._catalogs = catalogs
        self._recorder = recorder

    async def read(self, call: BrokerCall, request: Request) -> Response:
        """`GET /v1/read?ref=op://...`: one value or file, and nothing else, for shells."""
        given = request.query_params.multi_items()
        if [name for name, _ in given] != ["ref"]:
            raise UnreadableRequest(
                "the query must have `ref` and nothing else; percent-encode & and ? in the reference"
            )
        (answer,) = await self._reader.read(call, [_reference(given[0][1])])
        if isinstance(answer, BrokerError):
            raise answer
        kind = "application/octet-stream" if answer.is_file else "text/plain; charset=utf-8"
        return Response(answer.data, headers={**ALWAYS, "Keyturn-Item-Version": answer.revision}, media_type=kind)

    async def resolve(self, call: BrokerCall, request: Request) -> Response:
        """`POST /v1/resolve`: values and errors, one for each reference."""
        texts = _texts(await request.body())
        parsed = [_parsed(text) for text in texts]
        good = [each for each in parsed if isinstance(each, SecretReference)]
        answers = iter(await self._reader.read(call, good))
        results = [
            _result(text, each if isinstance(each, BrokerError) else next(answers))
            for text, each in zip(texts, parsed, strict=True)
        ]
        return json_answer({"results": results})

    async def grants(self, call: BrokerCall, _: Request) -> Response:
        """`GET /v1/grants`: the caller's own that apply now."""
        try:
            catalog = await self._catalogs.known(call.identity)
        except BrokerError as error:
            await self._recorder.refused(call, error, action=LISTING)
            raise
        await self._recorder.listed(call)
        return json_answer({"grants": [_grant(served) for served in catalog.served]})


def _texts(body: bytes) -> list[str]:
    """The references of a request, as they are written.

    Raises:
        UnreadableRequest: there are none, too many, or something else is there.
    """
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = None
    refs = given.get("refs") if isinstance(given, dict) else None
    if not isinstance(refs, list) or not refs or not all(isinstance(each, str) for each in refs):
        raise UnreadableRequest('the body must be JSON of the form {"refs": ["op://vault/item/field", ...]}')
    if len(refs) > MOST_ASKED:
        raise UnreadableRequest(f"one request may have {MOST_ASKED} references at most")
    return refs


def _reference(text: str) -> SecretReference:
    parsed = _parsed(text)
    if isinstance(parsed, BrokerError):
        raise parsed
    return parsed


def _parsed(text: str) -> SecretReference | UnreadableReference:
    try:
        return parse_secret_reference(text)
    except BadReference as error:
        return UnreadableReference(str(error))


def _result(text: str, answer: ReferenceValue | BrokerError) -> Mapping[str, Any]:
    if isinstance(answer, UnreadableReference):
        return {"ref": text, "error": {"code": answer.code, "detail": str(answer)}}
    if isinstance(answer, BrokerError):
        return {"ref": text, "error": {"code": answer.code}}
    try:
        value = {"value": answer.data.decode()}
    except UnicodeDecodeError:
        value = {"value": b64encode(answer.data).decode(), "encoding": "base64"}
    revision = answer.revision
    is_number = revision.isascii() and revision.isdecimal()
    return {"ref": text, **value, "version": int(revision) if is_number else revision}


def _grant(served: ServedGrant) -> Mapping[str, Any]:
    grant = served.grant
    members: dict[str, Any] = {
        "namespace": grant.key.namespace,
        "name": grant.key.name,
        "connection": served.connection,
        "items": [
            {"path": str(item.path), "fields": list(item.fields), "actions": sorted(item.allow)} for item in grant.items
        ],
    }
    if grant.expires_at is not None:
        members["expiresAt"] = grant.expires_at.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return members
