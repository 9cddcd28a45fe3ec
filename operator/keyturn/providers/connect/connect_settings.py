"""How to reach one Connect server, and how long to wait for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from keyturn.base.errors import translated
from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.provider import BadProviderSettings, Budget
from keyturn.core.restarts import parse_switch
from keyturn.providers.connect.address import base_url
from keyturn.providers.connect.connect_errors import BadAddress, ConfigError
from keyturn.providers.connect.token import StaticToken
from keyturn.providers.proxies import proxy_for

BUDGET = Budget(requests_at_once=10, shortest_poll=1.0)

VARIABLES: Mapping[str, str] = {
    "OP_CONNECT_HOST": "base URL of the Connect server, without /v1",
    "OP_CONNECT_TOKEN": "its bearer token; set this or OP_CONNECT_TOKEN_FILE",
    "OP_CONNECT_TOKEN_FILE": "a file with the token, read again when it changes",
    "OP_CONNECT_CA_FILE": "certificates to trust instead of the public ones",
    "SSL_CERT_FILE": "the same; OP_CONNECT_CA_FILE takes precedence",
    "HTTP_PROXY": "the proxy for a Connect server at an http:// address",
    "HTTPS_PROXY": "the proxy for a Connect server at an https:// address",
    "NO_PROXY": "hosts and networks to reach without a proxy",
}
"""The variables that are read, and what each means."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectSettings:
    """Everything a `ConnectClient` needs to know about its server; checked when made.

    All times are in seconds. The defaults follow from measured facts: the first request after a restart of Connect may
    take 10 s before Connect answers 408, so no timeout for reading may be below 15 s.

    Attributes:
        host: address of the server, normalised: no slash at its end, a path prefix kept.
        ca_file: PEM bundle of the authorities to trust instead of the usual ones; read again when it changes.
        ca_pem: such a bundle as text, in place of a file.
        allowed: the servers that may be asked, if a tenant named this one; None if the administrator did.
        proxy: address of an HTTP proxy that asks for no password. The client itself never reads the environment
            (`HTTP_PROXY`, `SSL_CERT_FILE`, ...).
        connect_timeout: for one TCP and TLS connection.
        read_timeout: for the next bytes of an answer.
        write_timeout: for the next bytes of a request.
        pool_timeout: for a free connection.
        deadline: for one call as a whole, including its retry.
        file_deadline: the same for the content of a file.
        connections: how many requests may be under way at once.
        json_limit: decoded bytes that an answer other than a file may have.

    Raises:
        BadAddress: `host` or `proxy` cannot be used.
        ConfigError: a number is not positive.
    """

    host: str
    ca_file: Path | None = None
    ca_pem: str | None = field(default=None, repr=False)
    allowed: AllowedHosts | None = None
    proxy: str | None = None
    connect_timeout: float = 5.0
    read_timeout: float = 15.0
    write_timeout: float = 10.0
    pool_timeout: float = 10.0
    deadline: float = 30.0
    file_deadline: float = 120.0
    connections: int = BUDGET.requests_at_once
    json_limit: int = 16 * 1024 * 1024

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", base_url(self.host))
        if self.proxy is not None:
            object.__setattr__(self, "proxy", base_url(self.proxy, of="proxy"))
        for name in _POSITIVE:
            if not getattr(self, name) > 0:
                raise ConfigError(f"the Connect setting {name} must be greater than zero")

    @property
    def address(self) -> str:
        """Scheme, host and port of the server, and the proxy on the way to it, for messages. A path prefix is left out."""
        server = _origin(self.host)
        return server if self.proxy is None else f"{server} through the proxy {_origin(self.proxy)}"


def _origin(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"


_POSITIVE = (
    "connect_timeout",
    "read_timeout",
    "write_timeout",
    "pool_timeout",
    "deadline",
    "file_deadline",
    "connections",
    "json_limit",
)


@dataclass(frozen=True, slots=True)
class ConnectAccount:
    """One Connect server and the token for it, as the environment names them.

    Attributes:
        server: how to reach it.
        token: the token itself, or the file that holds it.
    """

    server: ConnectSettings
    token: StaticToken | Path


def read_connect_settings(environment: Mapping[str, str]) -> ConnectAccount:
    """Read the variables of Connect.

    Raises:
        BadProviderSettings: one is missing, unusable, or asks for something that is not supported.
    """
    _refuse_unsupported(environment)
    host = environment.get("OP_CONNECT_HOST", "").strip()
    token, token_file = environment.get("OP_CONNECT_TOKEN", ""), environment.get("OP_CONNECT_TOKEN_FILE", "")
    if not host:
        raise BadProviderSettings("OP_CONNECT_HOST is not set; it is the base URL of the Connect server")
    if bool(token.strip()) == bool(token_file):
        raise BadProviderSettings("set exactly one of OP_CONNECT_TOKEN and OP_CONNECT_TOKEN_FILE")
    ca_file = environment.get("OP_CONNECT_CA_FILE") or environment.get("SSL_CERT_FILE")
    proxy = proxy_for(host, environment)

    def as_settings_error(error: Exception) -> BadProviderSettings | None:
        if isinstance(error, BadAddress):
            variables = "OP_CONNECT_HOST, HTTP_PROXY or HTTPS_PROXY" if proxy else "OP_CONNECT_HOST"
            return BadProviderSettings(f"{variables}: {error}")
        return BadProviderSettings(str(error)) if isinstance(error, ConfigError) else None

    with translated(as_settings_error):
        return ConnectAccount(
            server=ConnectSettings(host=host, ca_file=Path(ca_file) if ca_file else None, proxy=proxy),
            token=Path(token_file) if token_file else StaticToken(token),
        )


def _refuse_unsupported(environment: Mapping[str, str]) -> None:
    if parse_switch(environment.get("MANAGE_CONNECT", "").strip() or "false") is not False:
        raise BadProviderSettings(
            "MANAGE_CONNECT is not supported: Keyturn does not deploy a Connect server. Unset it, and install one with "
            "1Password's own chart (connect.create=true) or point OP_CONNECT_HOST at one that runs"
        )
