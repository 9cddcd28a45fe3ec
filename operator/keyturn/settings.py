"""Reads flags and environment into one frozen object, or says in one line what is wrong with them."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NoReturn, TypeVar

from keyturn.base.text import shorten
from keyturn.core.content import MappingOptions
from keyturn.core.keys import is_legal_name
from keyturn.core.names import PRODUCT
from keyturn.core.restart_kinds import BadKind, KindReference, parse_kinds
from keyturn.core.restarts import parse_switch
from keyturn.observe import Bind, LogFormat, LogLevel, parse_bind
from keyturn.official import add_official_flags, proxy_for, switch, unused, with_two_dashes

T = TypeVar("T")

_LONGEST = 10**9
"""Seconds, some thirty years: whoever writes more has made a mistake."""

_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
# Kubernetes puts variables of these forms into every pod, for each Service of its namespace.
_SERVICE_LINK = re.compile(r".*_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_\d+_(TCP|UDP|SCTP)(_.*)?)?)")


class SettingsError(Exception):
    """A setting is unknown, missing or unreadable; the message is one line for a terminal."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that can be chosen about a running operator.

    Attributes:
        connect_host: base URL of the Connect server, without `/v1`.
        connect_token: its bearer token; empty if `connect_token_file` names a file that holds it.
        connect_token_file: read again when it changes, so that a token can be rotated without a restart.
        connect_ca_file: certificates to trust instead of the public ones, for a Connect server with a CA of its own.
        connect_proxy: address of the proxy through which to reach it; None for none.
        polling_interval: seconds between two looks at the vaults, give or take a tenth.
        full_pass_interval: seconds after which a look at the vaults trusts no version number and lists everything used.
        max_staleness: seconds that the vaults may be silent before `Ready` turns false.
        watch_namespaces: namespaces to serve; empty for all.
        auto_restart: whether workloads restart where neither Secret, workload nor Namespace say anything.
        restart_kinds: kinds that are restarted beside those of Kubernetes itself.
        refresh_mounts: whether pods are touched that want files of a changed Secret at once.
        secrets_by_name: whether Secrets are got one by one, where there is no right to list and watch them.
        workers: how many items are worked on at once.
        enable_annotations: whether the Secret gets all annotations of its object, but for those by which other tools track it.
        mapping: what may be chosen about a Secret's content.
        kubeconfig: an explicit kubeconfig; else `KUBECONFIG`, else the pod's own service account.
        health_address: where `/healthz` and `/readyz` are served; None for nowhere.
        metrics_address: where `/metrics` is served; None for nowhere.
        leader_elect: whether to work only while holding a Lease, so that there may be several of us.
        leader_election_namespace: where that Lease is; empty for the pod's own namespace.
        lease_name: what it is called; installations that share a namespace need one each.
        lease_duration: whole seconds after which the Lease of one who fell silent is taken.
        pod_name: what to call ourselves in it; empty for the host's name.
        unused: a line for each flag of the official operator that was given and changes nothing here.
    """

    connect_host: str
    connect_token: str = field(default="", repr=False)
    connect_token_file: Path | None = None
    connect_ca_file: Path | None = None
    connect_proxy: str | None = field(default=None, repr=False)
    polling_interval: float = 600.0
    full_pass_interval: float = 3600.0
    max_staleness: float = 86400.0
    watch_namespaces: tuple[str, ...] = ()
    auto_restart: bool = False
    restart_kinds: tuple[KindReference, ...] = ()
    refresh_mounts: bool = False
    secrets_by_name: bool = False
    workers: int = 10
    enable_annotations: bool = False
    mapping: MappingOptions = field(default_factory=MappingOptions)
    kubeconfig: Path | None = None
    health_address: Bind | None = None
    metrics_address: Bind | None = None
    leader_elect: bool = False
    leader_election_namespace: str = ""
    lease_name: str = PRODUCT
    lease_duration: int = 15
    pod_name: str = ""
    log_level: LogLevel = "info"
    log_format: LogFormat = "console"
    unused: tuple[str, ...] = ()


ENVIRONMENT = (
    "OP_CONNECT_HOST",
    "OP_CONNECT_TOKEN",
    "OP_CONNECT_TOKEN_FILE",
    "OP_CONNECT_CA_FILE",
    "SSL_CERT_FILE",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "POLLING_INTERVAL",
    "WATCH_NAMESPACE",
    "AUTO_RESTART",
    "KEYTURN_FULL_PASS_INTERVAL",
    "KEYTURN_MAX_STALENESS",
    "KEYTURN_REFRESH_MOUNTS",
    "KEYTURN_RESTART_KINDS",
    "KEYTURN_SECRETS_BY_NAME",
    "KEYTURN_WORKERS",
    "KEYTURN_LEASE_NAME",
    "KEYTURN_LEASE_DURATION",
    "POD_NAMESPACE",
    "POD_NAME",
)
"""Variables that are read; others that begin with `OP_CONNECT_` or `KEYTURN_` are mistakes and reported."""


class _Parser(argparse.ArgumentParser):
    """Reports a mistake as an exception, so that flags and environment are answered in the same words."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(message)


def run_parser() -> argparse.ArgumentParser:
    """The flags of `keyturn run`: those of the official operator that mean something here, and our own."""
    parser = _Parser(prog="keyturn run", allow_abbrev=False, description="Run the operator.")
    parser.add_argument("--health-probe-bind-address", default=":8081", metavar="ADDRESS", help="0 turns it off")
    parser.add_argument("--metrics-bind-address", default=":8080", metavar="ADDRESS", help="0 turns it off")
    parser.add_argument(
        "--leader-election-namespace", metavar="NAMESPACE", help="default: $POD_NAMESPACE, else the pod's own"
    )
    parser.add_argument("--kubeconfig", type=Path, help="default: $KUBECONFIG, else the pod's service account")
    for flag, meaning in (
        ("--allow-empty-values", "keep keys whose value is empty"),
        ("--enable-annotations", "copy an object's annotations to its Secret"),
        ("--leader-elect", "work only while holding a Lease, so that several replicas may run"),
    ):
        parser.add_argument(flag, type=switch, nargs="?", const=True, default=False, metavar="true|false", help=meaning)
    parser.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    parser.add_argument("--log-format", choices=("console", "json"), default="console")
    add_official_flags(parser)
    return parser


def read_settings(arguments: Sequence[str], environment: Mapping[str, str]) -> Settings:
    """Read the settings of `keyturn run`.

    Raises:
        SettingsError: something is unknown, missing or unreadable.
    """
    flags = run_parser().parse_args(with_two_dashes(arguments))
    _refuse_unknown(environment)
    host = environment.get("OP_CONNECT_HOST", "").strip()
    token, token_file = environment.get("OP_CONNECT_TOKEN", ""), environment.get("OP_CONNECT_TOKEN_FILE", "")
    if not host:
        raise SettingsError("OP_CONNECT_HOST is not set; it is the base URL of the Connect server")
    if bool(token.strip()) == bool(token_file):
        raise SettingsError("set exactly one of OP_CONNECT_TOKEN and OP_CONNECT_TOKEN_FILE")
    ca_file = environment.get("OP_CONNECT_CA_FILE") or environment.get("SSL_CERT_FILE")

    def variable(name: str, default: T, read: Callable[[str, str], T]) -> T:
        text = environment.get(name, "").strip()
        return read(name, text) if text else default

    return Settings(
        connect_host=host,
        connect_token=token,
        connect_token_file=Path(token_file) if token_file else None,
        connect_ca_file=Path(ca_file) if ca_file else None,
        connect_proxy=proxy_for(host, environment),
        polling_interval=variable("POLLING_INTERVAL", 600.0, _seconds),
        full_pass_interval=variable("KEYTURN_FULL_PASS_INTERVAL", 3600.0, _seconds),
        max_staleness=variable("KEYTURN_MAX_STALENESS", 86400.0, _seconds),
        watch_namespaces=variable("WATCH_NAMESPACE", (), _namespaces),
        auto_restart=variable("AUTO_RESTART", False, _switch),
        restart_kinds=variable("KEYTURN_RESTART_KINDS", (), _kinds),
        refresh_mounts=variable("KEYTURN_REFRESH_MOUNTS", False, _switch),
        secrets_by_name=variable("KEYTURN_SECRETS_BY_NAME", False, _switch),
        workers=variable("KEYTURN_WORKERS", 10, _from(1, 100)),
        enable_annotations=flags.enable_annotations,
        mapping=MappingOptions(allow_empty_values=flags.allow_empty_values),
        kubeconfig=flags.kubeconfig,
        health_address=_address("--health-probe-bind-address", flags.health_probe_bind_address),
        metrics_address=_address("--metrics-bind-address", flags.metrics_bind_address),
        leader_elect=flags.leader_elect,
        leader_election_namespace=_namespace("--leader-election-namespace", flags.leader_election_namespace or "")
        or variable("POD_NAMESPACE", "", _namespace),
        lease_name=variable("KEYTURN_LEASE_NAME", PRODUCT, _object),
        lease_duration=variable("KEYTURN_LEASE_DURATION", 15, _from(5, 300)),
        pod_name=environment.get("POD_NAME", "").strip(),
        log_level=flags.log_level,
        log_format=flags.log_format,
        unused=unused(flags),
    )


def _refuse_unknown(environment: Mapping[str, str]) -> None:
    if parse_switch(environment.get("MANAGE_CONNECT", "").strip() or "false") is not False:
        raise SettingsError(
            "MANAGE_CONNECT is not supported: Keyturn does not deploy a Connect server. Unset it, and install one with "
            "1Password's own chart (connect.create=true) or point OP_CONNECT_HOST at one that runs"
        )
    if environment.get("OP_SERVICE_ACCOUNT_TOKEN"):
        raise SettingsError(
            "OP_SERVICE_ACCOUNT_TOKEN is not supported: Keyturn reads a Connect server; set OP_CONNECT_HOST and "
            "OP_CONNECT_TOKEN instead"
        )
    for name in sorted(environment):
        ours = name.startswith(("OP_CONNECT_", "KEYTURN_"))
        if ours and name not in ENVIRONMENT and not _SERVICE_LINK.fullmatch(name):
            raise SettingsError(f"{name} is not a setting; known are {', '.join(ENVIRONMENT)}")


def _seconds(name: str, text: str) -> float:
    # As a float, since Python refuses to make an int of thousands of digits.
    if not (text.isascii() and text.isdecimal()) or not 1 <= float(text) <= _LONGEST:
        raise SettingsError(f"{name}={shorten(text)!r} must be a whole number of seconds from 1 to {_LONGEST}")
    return float(text)


def _from(least: int, most: int) -> Callable[[str, str], int]:
    def read(name: str, text: str) -> int:
        if not (text.isascii() and text.isdecimal()) or not least <= float(text) <= most:
            raise SettingsError(f"{name}={shorten(text)!r} must be a whole number from {least} to {most}")
        return int(text)

    return read


def _switch(name: str, text: str) -> bool:
    value = parse_switch(text)
    if value is None:
        raise SettingsError(f"{name}={text!r} must be true or false")
    return value


def _namespaces(name: str, text: str) -> tuple[str, ...]:
    found = [_namespace(name, part.strip()) for part in text.split(",") if part.strip()]
    return tuple(dict.fromkeys(found))


def _kinds(name: str, text: str) -> tuple[KindReference, ...]:
    try:
        return parse_kinds(text)
    except BadKind as error:
        raise SettingsError(f"{name}: {error}") from None


def _namespace(name: str, text: str) -> str:
    if text and not _NAMESPACE.fullmatch(text):
        raise SettingsError(f"{name} names {text!r}, which cannot be a namespace")
    return text


def _object(name: str, text: str) -> str:
    if not is_legal_name(text):
        raise SettingsError(f"{name}={text!r} cannot be the name of an object")
    return text


def _address(flag: str, text: str) -> Bind | None:
    try:
        return parse_bind(text)
    except ValueError as error:
        raise SettingsError(f"{flag}: {error}") from None
