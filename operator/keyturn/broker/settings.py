"""Reads the flags and variables of `keyturn broker` into one frozen object, or says in one line what is wrong with them."""

from __future__ import annotations

import argparse
import ipaddress
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from keyturn.core.provider import Provider
from keyturn.observe import Bind
from keyturn.providers.registry import PROVIDERS
from keyturn.setting_sources import (
    Variable,
    add_endpoint_flags,
    add_kubeconfig_flag,
    add_logging_flags,
    server_parser,
    variable_names,
)
from keyturn.setting_texts import SettingsError, read_address
from keyturn.settings import DEFAULTS, Settings, read_shared_settings, shared_variables

_BIND: Final = ":8443"


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """Everything that can be chosen about a running broker.

    Attributes:
        shared: what the operator has as well: providers, the installation's own connection, polling, namespaces, endpoints, log, and
            where the audit goes.
        bind_address: where TLS is served; None for nowhere.
        tls_cert_file: the certificate and its chain, in PEM; None if TLS is not served.
        tls_key_file: its key.
        insecure_bind_address: where plain HTTP is served, on a loopback address; None for nowhere.
        instance: names this process in these records.
    """

    shared: Settings = field(default_factory=Settings)
    bind_address: Bind | None = None
    tls_cert_file: Path | None = None
    tls_key_file: Path | None = None
    insecure_bind_address: Bind | None = None
    instance: str = ""


_VARIABLES = (
    *shared_variables(
        "POLLING_INTERVAL",
        "WATCH_NAMESPACE",
        "KEYTURN_ALLOWED_HOSTS",
        "KEYTURN_FULL_PASS_INTERVAL",
        "KEYTURN_INSTALLATION",
        "KEYTURN_AUDIT_FILE",
    ),
    Variable("POD_NAME", "pod_name", lambda _name, text: text, "name of this replica in the audit"),
)


def broker_parser() -> argparse.ArgumentParser:
    """The flags of `keyturn broker`."""
    parser = server_parser(
        "keyturn broker",
        "Run the broker: it hands granted fields to known identities. Most settings are environment variables; see below.",
        table=_VARIABLES,
        providers=PROVIDERS,
        defaults=DEFAULTS,
    )
    parser.add_argument(
        "--bind-address",
        metavar="ADDRESS",
        help=f"address that serves TLS; 0 turns it off (default: {_BIND}, or 0 if only --insecure-bind-address is given)",
    )
    for flag, what in (("--tls-cert-file", "certificate and its chain"), ("--tls-private-key-file", "private key")):
        parser.add_argument(flag, type=Path, metavar="FILE", help=f"{what} in PEM; read again when it changes")
    parser.add_argument(
        "--insecure-bind-address", default="0", metavar="ADDRESS", help="loopback address that serves plain HTTP"
    )
    add_endpoint_flags(parser, DEFAULTS)
    add_kubeconfig_flag(parser)
    add_logging_flags(parser, DEFAULTS)
    return parser


def read_broker_settings(
    arguments: Sequence[str], environment: Mapping[str, str], *, providers: Sequence[Provider[Any]] = PROVIDERS
) -> BrokerSettings:
    """Read the settings of `keyturn broker`.

    Args:
        arguments: the flags.
        environment: the variables.
        providers: those that the installation's own connection may be of, and that a Connection may name.

    Raises:
        SettingsError: something is unknown, missing or unreadable.
    """
    flags = broker_parser().parse_args(arguments)
    chosen = read_shared_settings(flags, environment, table=_VARIABLES, providers=providers)
    shared = Settings(**chosen)
    insecure = _read_loopback(flags.insecure_bind_address)
    text = flags.bind_address or ("0" if insecure is not None and flags.tls_cert_file is None else _BIND)
    bind = read_address("--bind-address", text)
    if bind is None and insecure is None:
        raise SettingsError("nothing is to be served: --bind-address is 0, and --insecure-bind-address, too")
    if bind is not None and (flags.tls_cert_file is None or flags.tls_private_key_file is None):
        raise SettingsError(
            f"to serve TLS on {bind}, set --tls-cert-file and --tls-private-key-file; without them, only a loopback address can "
            "be served: --insecure-bind-address=127.0.0.1:8080"
        )
    return BrokerSettings(
        shared=shared,
        bind_address=bind,
        tls_cert_file=flags.tls_cert_file,
        tls_key_file=flags.tls_private_key_file,
        insecure_bind_address=insecure,
        instance=shared.pod_name or socket.gethostname(),
    )


def broker_variables(providers: Sequence[Provider[Any]] = PROVIDERS) -> tuple[str, ...]:
    """The variables that `keyturn broker` reads. Others with the prefix `KEYTURN_` are mistakes, and refused."""
    return variable_names(_VARIABLES, providers)


def _read_loopback(text: str) -> Bind | None:
    """An address without TLS, which only this machine can reach."""
    bind = read_address("--insecure-bind-address", text)
    if bind is not None and not _is_loopback(bind.host):
        raise SettingsError(
            f"--insecure-bind-address={text} can be reached from other machines, and has no TLS: name a loopback address such as "
            "127.0.0.1:8080, or use --bind-address"
        )
    return bind


def _is_loopback(host: str | None) -> bool:
    """Whether a host is a loopback address, written as one: what a name stands for may change."""
    try:
        return host is not None and ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
