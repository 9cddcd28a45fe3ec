"""The broker's native doors on loopback, as far as the client uses them: values by reference, and answers that a test orders."""

import json
import ssl
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from support.web import serving

TOKEN = "canary-token"


@dataclass
class StubBroker:
    """What the broker knows, and what it was asked.

    Attributes:
        url: its address.
        values: values by reference; a reference that is missing is not found.
        refusals: codes by reference.
        ordered: answers for the next requests, whatever they are: status, headers, body.
        answers: answers by method and path.
        asked: the requests: method, path, headers, body as JSON.
    """

    url: str = ""
    values: dict[str, bytes] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    ordered: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)
    answers: dict[tuple[str, str], Any] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], Any]] = field(default_factory=list)

    def answer(self, method: str, path: str, headers: dict[str, str], body: Any) -> tuple[int, dict[str, str], bytes]:
        """The answer to one request."""
        self.asked.append((method, path, headers, body))
        if self.ordered:
            return self.ordered.pop(0)
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 401, {"WWW-Authenticate": "Bearer"}, problem("not_authenticated")
        if (method, path) == ("POST", "/v1/resolve"):
            return 200, {}, json.dumps({"results": [self._result(each) for each in body["refs"]]}).encode()
        if (method, path) in self.answers:
            return 200, {}, json.dumps(self.answers[method, path]).encode()
        return 404, {}, problem("not_found")

    def _result(self, reference: str) -> dict[str, Any]:
        value = self.values.get(reference)
        if value is None or reference in self.refusals:
            return {"ref": reference, "error": {"code": self.refusals.get(reference, "not_found")}}
        try:
            return {"ref": reference, "value": value.decode(), "version": 1}
        except UnicodeDecodeError:
            return {"ref": reference, "value": b64encode(value).decode(), "version": 1, "encoding": "base64"}


def problem(code: str, **members: str) -> bytes:
    """The body of a refusal."""
    return json.dumps({"type": "about:blank", "title": code, "code": code, **members}).encode()


@contextmanager
def stub_broker(context: ssl.SSLContext | None = None) -> Iterator[StubBroker]:
    """A broker that runs until the end of the block, behind TLS if it is given."""
    stub = StubBroker()

    class Door(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            body = json.loads(content) if content else None
            status, headers, answer = stub.answer(self.command, self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = _serve  # noqa: N815 - the server's names

    with serving(Door, context) as stub.url:
        yield stub
