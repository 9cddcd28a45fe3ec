"""What may go wrong with Connect: one tree, whose texts are always safe to publish.

```
ConnectError
├── ConfigError         wrong until a human changes the settings
│   ├── BadAddress          the server's address cannot be used
│   ├── BadToken            the bearer token is missing, empty or damaged
│   └── BadCertificates     the CA bundle cannot be read
├── TransportError      no complete answer came
│   ├── Unreachable         no connection: refused, no route, name unknown; nothing was sent
│   ├── UntrustedServer     the TLS handshake failed; permanent until certificates change
│   ├── TimedOut            too slow, in the named `phase`
│   ├── Interrupted         the connection broke, the body was cut short, or it was not HTTP
│   └── CircuitOpen         not even asked: the host failed too often just now
├── BadStatus           an answer, with a status other than success
│   ├── Redirected          3xx: never followed, the address is wrong
│   ├── BadRequest          400: also what Connect says to a malformed id
│   ├── TokenRefused        401
│   ├── Denied              403
│   ├── Missing             404, and it was Connect who said so
│   ├── SyncPending         408: Connect still waits for its first sync
│   ├── Conflict            409
│   ├── TooLargeToInline    413: ask for the file's content instead
│   ├── Throttled           429, with `retry_after` seconds where given
│   ├── Rejected            any other 4xx
│   └── ServerFailed        5xx
├── BadAnswer           success by its status, but not what the API describes
│   └── Oversized           more decoded bytes than any honest answer has
└── FileTooLarge        a file beyond the caller's limit
```

A message names the method, the route's template and the status, never an id from the path's query, a title, a body
or a value. Errors are built outside of `except` blocks, so that no chain (`__cause__`, `__context__`) leads to a
library's exception: pydantic's carry the input, h11's carry headers.
"""

from __future__ import annotations


class ConnectError(Exception):
    """The root of everything this package raises on purpose.

    Attributes:
        method: the HTTP method, empty where no request was involved.
        route: the template of the path, as `/v1/vaults/{vault}`.
    """

    def __init__(self, message: str, *, method: str = "", route: str = "") -> None:
        super().__init__(f"{method} {route}: {message}" if route else message)
        self.method = method
        self.route = route


class ConfigError(ConnectError):
    """The settings are wrong: nothing but a change of them helps."""


class BadAddress(ConfigError):
    """The address of the server cannot be used."""


class BadToken(ConfigError):
    """The bearer token is missing, empty or damaged."""


class BadCertificates(ConfigError):
    """The CA bundle cannot be read."""


class TransportError(ConnectError):
    """No complete answer came.

    Attributes:
        unsent: True where the server certainly saw nothing of the request, so that repeating it is safe.
    """

    unsent = False


class Unreachable(TransportError):
    """No connection could be made."""

    unsent = True


class UntrustedServer(TransportError):
    """The TLS handshake failed: unknown authority, expired, wrong name, or not TLS at all."""

    unsent = True


class TimedOut(TransportError):
    """Something took too long.

    Attributes:
        phase: `connect`, `read`, `write`, `pool` (waiting for a free connection) or `deadline` (the call as a whole).
    """

    def __init__(self, message: str, *, phase: str, method: str = "", route: str = "") -> None:
        super().__init__(message, method=method, route=route)
        self.phase = phase
        self.unsent = phase in {"connect", "pool"}


class Interrupted(TransportError):
    """The connection broke, the body was cut short, or the other side does not speak HTTP."""


class CircuitOpen(TransportError):
    """The host failed too often just now: the request was not made."""

    unsent = True


class BadStatus(ConnectError):
    """An answer with a status other than success.

    Attributes:
        status: the HTTP status.
        said: the server's own message, trimmed and scrubbed; empty where there was none.
    """

    def __init__(self, message: str, *, status: int, said: str = "", method: str = "", route: str = "") -> None:
        super().__init__(message, method=method, route=route)
        self.status = status
        self.said = said


class Redirected(BadStatus):
    """3xx. Following it could hand the token to somebody else."""


class BadRequest(BadStatus):
    """400."""

    @property
    def malformed_id(self) -> bool:
        """Whether Connect complains about the shape of an id, as it does instead of 404."""
        said = self.said.casefold()
        return "invalid" in said and "uuid" in said


class TokenRefused(BadStatus):
    """401."""


class Denied(BadStatus):
    """403."""


class Missing(BadStatus):
    """404 in Connect's own words. A 404 of anybody else is a `BadAnswer`."""


class SyncPending(BadStatus):
    """408: Connect's first sync is not through yet."""


class Conflict(BadStatus):
    """409: somebody else wrote at the same time."""


class TooLargeToInline(BadStatus):
    """413: the file must be read through its content route."""


class Throttled(BadStatus):
    """429.

    Attributes:
        retry_after: seconds to wait, at most 300, or None where the answer gave no usable number.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 429,
        said: str = "",
        retry_after: float | None = None,
        method: str = "",
        route: str = "",
    ) -> None:
        super().__init__(message, status=status, said=said, method=method, route=route)
        self.retry_after = retry_after


class Rejected(BadStatus):
    """Any other 4xx, or a status that makes no sense here: permanent."""


class ServerFailed(BadStatus):
    """5xx, of Connect or of a proxy before it."""


class BadAnswer(ConnectError):
    """Success by its status, but not what the API describes: a proxy's page, half a body, another shape."""


class Oversized(BadAnswer):
    """More decoded bytes than any honest answer has."""


class FileTooLarge(ConnectError):
    """A file has more bytes than the caller can use."""


BY_STATUS: dict[int, type[BadStatus]] = {
    400: BadRequest,
    401: TokenRefused,
    403: Denied,
    404: Missing,
    408: SyncPending,
    409: Conflict,
    413: TooLargeToInline,
}


def class_for(status: int) -> type[BadStatus]:
    """The class for a status other than success and 429, which needs its number of seconds as well."""
    if status in BY_STATUS:
        return BY_STATUS[status]
    if 300 <= status < 400:
        return Redirected
    return ServerFailed if status >= 500 else Rejected
