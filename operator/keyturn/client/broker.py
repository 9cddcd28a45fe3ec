"""The broker's doors over HTTP, as the client uses them: one request at a time, again if that may help."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
from base64 import b64decode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import uniform
from typing import Any, TypeVar
from urllib.parse import urlencode

from keyturn.client.answers import BrokerAnswer, BrokerProblem, refusal_error
from keyturn.client.client_settings import BrokerAddress
from keyturn.client.failures import ClientError, ImplausibleAnswer, Misuse, NotNow

REFERENCES_AT_ONCE = 100
"""References that the broker resolves in one request."""

# Longer than the broker's own deadline, so that its answer is not lost.
_TIMEOUT_SECONDS = 35.0
_LARGEST_ANSWER = 256 * 1024 * 1024
_PAUSES = (0.5, 1.0, 2.0, 4.0)
_LONGEST_PAUSE = 30.0


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ReadValue:
    """What a reference stands for.

    Attributes:
        data: its bytes.
        is_text: false for a file that is no text.
    """

    data: bytes = field(repr=False)
    is_text: bool


def connection_to(address: BrokerAddress) -> http.client.HTTPConnection:
    """A connection to the broker, which is opened when it is first used."""
    context = address.context()
    if context is None:
        return http.client.HTTPConnection(address.host, address.port, timeout=_TIMEOUT_SECONDS)
    return http.client.HTTPSConnection(address.host, address.port, timeout=_TIMEOUT_SECONDS, context=context)


@dataclass(frozen=True)
class BrokerClient:
    """The broker.

    Attributes:
        address: where it is.
        token: gives the present token, for each request again.
        version: our own version, for the broker's records.
        pause: waits for some seconds.
        connect: opens a connection.
    """

    address: BrokerAddress
    token: Callable[[], str]
    version: str
    pause: Callable[[float], None] = time.sleep
    connect: Callable[[BrokerAddress], http.client.HTTPConnection] = connection_to

    def resolve(self, references: Iterable[str]) -> dict[str, ReadValue]:
        """The value of each of these references; nothing at all if one of them cannot be had.

        Raises:
            ClientError: the first reason why not.
        """
        wanted = list(dict.fromkeys(references))
        values: dict[str, ReadValue] = {}
        for begin in range(0, len(wanted), REFERENCES_AT_ONCE):
            part = wanted[begin : begin + REFERENCES_AT_ONCE]
            values.update(zip(part, self._again(partial(self._resolve, part))))
        return values

    def items(self, *, url: str, query: str) -> Any:
        """The items that the caller finds, as the broker lists them."""
        asked = urlencode({name: text for name, text in (("url", url), ("q", query)) if text})
        return self._again(lambda: self._ask("GET", "/v1/vault/items" + (f"?{asked}" if asked else "")))

    def sync(self) -> Any:
        """Have the broker look for changes in the vaults now; what it found."""
        return self._again(lambda: self._ask("POST", "/v1/vault/items/sync", {}))

    def grants(self) -> Any:
        """The caller's own grants that apply now."""
        return self._again(lambda: self._ask("GET", "/v1/grants"))

    def _resolve(self, references: Sequence[str]) -> list[ReadValue]:
        answer = self._ask("POST", "/v1/resolve", {"refs": references})
        results = answer.get("results") if isinstance(answer, dict) else None
        if not isinstance(results, list) or len(results) != len(references):
            raise ImplausibleAnswer("the broker's answer has not one result for each reference")
        for reference, result in zip(references, results):
            if not isinstance(result, dict) or result.get("ref") != reference:
                raise ImplausibleAnswer("the broker's answer is about other references")
            error = result.get("error")
            if error is not None:
                raise refusal_error(BrokerProblem.read(error), about=reference)
        return [_value(result) for result in results]

    def _again(self, request: Callable[[], _Result]) -> _Result:
        """What a request gives; made again after a pause for as long as that may help. All requests may be repeated."""
        pauses = iter(_PAUSES)
        while True:
            try:
                return request()
            except NotNow as error:
                pause = next(pauses, None)
                if pause is None or not error.may_pass or error.after > _LONGEST_PAUSE:
                    raise
                wanted = max(pause, error.after)
            # Spread, so that a hundred jobs that were refused together do not come back together.
            self.pause(wanted * uniform(1.0, 1.5))  # noqa: S311 - nothing is kept secret by it

    def _ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """One request; what was answered, as JSON."""
        answer = self._send(method, path, body)
        if answer.status != 200:
            raise refusal_error(answer.problem())
        return answer.json()

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> BrokerAnswer:
        """One request, on a connection of its own. No redirect and no proxy is followed: the token is for the broker alone."""
        headers = {
            "Authorization": f"Bearer {self.token()}",
            "Accept": "application/json",
            "User-Agent": f"keyturn-client/{self.version}",
        }
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        connection = self.connect(self.address)
        # Raised below, outside of the handler: an error of HTTP may hold a part of an answer.
        failure: ClientError
        try:
            connection.request(method, self.address.path + path, body=data, headers=headers)
            response = connection.getresponse()
            content = response.read(_LARGEST_ANSWER + 1)
            if len(content) <= _LARGEST_ANSWER:
                return BrokerAnswer(response.status, response.headers.get("Retry-After", ""), content)
            failure = ImplausibleAnswer(f"the broker's answer is larger than {_LARGEST_ANSWER} bytes")
        except ssl.SSLCertVerificationError as error:
            failure = Misuse(
                f"the certificate of {self.address.host} is not accepted: {error.verify_message}; "
                "KEYTURN_CA_FILE names the authority that signed it"
            )
        except (OSError, http.client.HTTPException) as error:
            where = f"{self.address.host}:{self.address.port}"
            failure = NotNow(f"cannot reach the broker at {where}: {_reason(error)}")
        finally:
            connection.close()
        raise failure


def _value(result: Mapping[str, Any]) -> ReadValue:
    text, encoding = result.get("value"), result.get("encoding")
    if not isinstance(text, str) or encoding not in {None, "base64"}:
        raise ImplausibleAnswer("the broker's answer has a result without a value")
    if encoding is None:
        # A lone surrogate can stand in JSON, but in no text.
        return ReadValue(text.encode("utf-8", "replace"), is_text=True)
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        data = None
    if data is None:
        raise ImplausibleAnswer("the broker's answer has a value that is no base64")
    return ReadValue(data, is_text=False)


def _reason(error: Exception) -> str:
    """What went wrong on the network, in few words, and without anything that was sent."""
    if isinstance(error, socket.timeout):
        return f"no answer within {_TIMEOUT_SECONDS:.0f} s"
    return str(getattr(error, "reason", None) or getattr(error, "strerror", None) or type(error).__name__)
