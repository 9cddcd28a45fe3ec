"""Reads flags and environment into one frozen object, or says in one line what is wrong with them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from keyturn.core.allowed_hosts import AllowedHosts
from keyturn.core.content import MappingOptions
from keyturn.core.names import PRODUCT
from keyturn.core.provider import Provider
from keyturn.core.restart_kinds import KindReference
from keyturn.observe import Bind, LogFormat, LogLevel
from keyturn.official import UnusedFlag, add_official_flags, switch, unused, with_two_dashes
from keyturn.own_connection import shortest_poll
from keyturn.providers.registry import PROVIDERS
from keyturn.setting_sources import (
    Variable,
    add_endpoint_flags,
    add_kubeconfig_flag,
    add_logging_flags,
    find_unknown,
    read_common_flags,
    read_own_connection,
    read_variables,
    server_parser,
    variable_names,
)
from keyturn.setting_texts import (
    SettingsError,
    read_hosts,
    read_installation,
    read_kinds,
    read_name,
    read_namespace,
    read_namespaces,
    read_number,
    read_seconds,
    read_switch,
)
from keyturn.unknown_variables import UnknownVariable

__all__ = ["Settings", "SettingsError", "operator_parser", "read_settings", "variables"]

_OFTEN = 30.0
"""Seconds between two polls if neither people nor the provider choose: an idle one is two small requests."""

_HEALTH, _METRICS = Bind(None, 8081), Bind(None, 8080)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be chosen about a running operator. The default of each setting stands here, and only here.

    Attributes:
        provider: what holds the vaults of the installation's own connection; None if it has none, and only Connections are used.
        provider_settings: what its `open` takes.
        providers: those that a Connection may name.
        polling_interval: seconds between two polls of the vaults, give or take a tenth. If nobody chooses, it is the provider's own.
        full_pass_interval: seconds after which a poll trusts no version number and lists every vault in use.
        max_staleness: seconds for which the vaults may be unreachable before `Ready` turns false.
        watch_namespaces: namespaces to serve; empty for all.
        auto_restart: whether workloads restart if neither Secret, workload nor Namespace says anything.
        restart_kinds: kinds that are restarted beside those of Kubernetes itself.
        refresh_mounts: whether pods that mount a changed Secret are touched, so that their files change at once.
        secrets_by_name: whether Secrets are read one by one, for a role that may not list and watch them.
        allowed_hosts: servers that Connections may name although they are not public, or asked without https.
        delete_on_disconnect: whether Secrets may be deleted with the Connection that they were filled through, if that asks for it.
        workers: how many items are worked on at once.
        enable_annotations: whether the Secret gets all annotations of its object, but for those of tools that track objects.
        mapping: what may be chosen about a Secret's content.
        kubeconfig: an explicit kubeconfig; else `KUBECONFIG`, else the pod's own service account.
        health_address: where `/healthz` and `/readyz` are served; None for nowhere.
        metrics_address: where `/metrics` is served; None for nowhere.
        leader_elect: whether to work only while holding a Lease, so that several replicas may run.
        leader_election_namespace: where that Lease is; empty for the pod's own namespace.
        lease_name: the name of the Lease; installations that share a namespace need one each.
        lease_duration: whole seconds without renewal after which another replica takes the Lease.
        pod_name: the name of this replica in the Lease; empty for the host's name.
        installation: names this installation in what it sends to vaults; installations that share a vault's server need one each.
        activity_export: whether the logs of requests that vaults' servers keep are exported.
        audit_file: takes what is exported; `-` for standard output.
        unused: the flags of the official operator that were given and change nothing here.
        unknown: variables that look like settings of the provider and are none, and what to say of each.
    """

    provider: Provider[Any] | None = None
    provider_settings: Any = None
    providers: tuple[Provider[Any], ...] = PROVIDERS
    polling_interval: float = _OFTEN
    full_pass_interval: float = 3600.0
    max_staleness: float = 86400.0
    watch_namespaces: tuple[str, ...] = ()
    auto_restart: bool = False
    restart_kinds: tuple[KindReference, ...] = ()
    refresh_mounts: bool = False
    secrets_by_name: bool = False
    allowed_hosts: AllowedHosts = field(default_factory=AllowedHosts)
    delete_on_disconnect: bool = False
    workers: int = 10
    enable_annotations: bool = False
    mapping: MappingOptions = field(default_factory=MappingOptions)
    kubeconfig: Path | None = None
    health_address: Bind | None = _HEALTH
    metrics_address: Bind | None = _METRICS
    leader_elect: bool = False
    leader_election_namespace: str = ""
    lease_name: str = PRODUCT
    lease_duration: int = 15
    pod_name: str = ""
    installation: str = PRODUCT
    activity_export: bool = False
    audit_file: str = "-"
    log_level: LogLevel = "info"
    log_format: LogFormat = "console"
    unused: tuple[UnusedFlag, ...] = ()
    unknown: tuple[UnknownVariable, ...] = ()


DEFAULTS: Final = {each.name: each.default for each in fields(Settings) if each.default is not MISSING}
"""Of settings, by their names; those that a factory makes are left out, since nobody would write them."""


def operator_parser() -> argparse.ArgumentParser:
    """The flags of `keyturn operator`: those of the official operator that mean something here, and our own."""
    parser = server_parser(
        "keyturn operator",
        "Run the operator. Most settings are environment variables; see below.",
        table=_VARIABLES,
        providers=PROVIDERS,
        defaults=DEFAULTS,
    )
    add_endpoint_flags(parser, DEFAULTS)
    parser.add_argument(
        "--leader-election-namespace", metavar="NAMESPACE", help="default: $POD_NAMESPACE, else the pod's own"
    )
    add_kubeconfig_flag(parser)
    for flag, meaning in (
        ("--allow-empty-values", "keep keys whose value is empty"),
        ("--enable-annotations", "copy an object's annotations to its Secret"),
        ("--leader-elect", "work only while holding a Lease, so that several replicas may run"),
    ):
        parser.add_argument(
            flag,
            type=switch,
            nargs="?",
            const=True,
            default=False,
            metavar="true|false",
            help=f"{meaning} (default: false)",
        )
    add_logging_flags(parser, DEFAULTS)
    add_official_flags(parser)
    return parser


def read_settings(
    arguments: Sequence[str], environment: Mapping[str, str], *, providers: Sequence[Provider[Any]] = PROVIDERS
) -> Settings:
    """Read the settings of `keyturn operator`.

    Args:
        arguments: the flags.
        environment: the variables.
        providers: those that may be selected; none if no variable of theirs is set.

    Raises:
        SettingsError: something is unknown, missing or unreadable.
    """
    flags = operator_parser().parse_args(with_two_dashes(arguments))
    shared = read_shared_settings(flags, environment, table=_VARIABLES, providers=providers)
    if namespace := read_namespace("--leader-election-namespace", flags.leader_election_namespace or ""):
        shared["leader_election_namespace"] = namespace
    return Settings(
        enable_annotations=flags.enable_annotations,
        mapping=MappingOptions(allow_empty_values=flags.allow_empty_values),
        leader_elect=flags.leader_elect,
        unused=unused(flags),
        **shared,
    )


def read_shared_settings(
    flags: argparse.Namespace,
    environment: Mapping[str, str],
    *,
    table: Sequence[Variable],
    providers: Sequence[Provider[Any]],
) -> dict[str, Any]:
    """What every command that connects to vaults reads: the members of `Settings` that are chosen.

    Args:
        flags: those of `read_common_flags`, parsed.
        environment: the variables.
        table: the variables of the command.
        providers: those that may be selected.

    Raises:
        SettingsError: something is unknown, missing or unreadable.
    """
    unknown = find_unknown(environment, table=table, providers=providers)
    provider, provider_settings = read_own_connection(environment, providers)
    chosen = read_variables(environment, table)
    if provider is not None:
        own = provider.connection.default_poll if provider.connection else _OFTEN
        chosen.setdefault("polling_interval", max(own, provider.budget.shortest_poll))
        if chosen["polling_interval"] < (shortest := shortest_poll(provider)):
            raise SettingsError(f"POLLING_INTERVAL must be at least {shortest:.0f} seconds for {provider.label}")
    return {
        "provider": provider,
        "provider_settings": provider_settings,
        "providers": tuple(providers),
        "unknown": unknown,
        **read_common_flags(flags),
        **chosen,
    }


_VARIABLES = (
    Variable("POLLING_INTERVAL", "polling_interval", read_seconds, "seconds between two polls of the vaults"),
    Variable(
        "WATCH_NAMESPACE", "watch_namespaces", read_namespaces, "namespaces to serve, separated by commas; else all"
    ),
    Variable("AUTO_RESTART", "auto_restart", read_switch, "whether workloads restart if no annotation says so"),
    Variable(
        "KEYTURN_ALLOWED_HOSTS",
        "allowed_hosts",
        read_hosts,
        "hosts that Connections may name although they are private or have no https, separated by commas",
    ),
    Variable(
        "KEYTURN_DELETE_ON_DISCONNECT",
        "delete_on_disconnect",
        read_switch,
        "whether a Connection may have its Secrets deleted with it",
    ),
    Variable(
        "KEYTURN_FULL_PASS_INTERVAL", "full_pass_interval", read_seconds, "seconds between two lists of all vaults"
    ),
    Variable(
        "KEYTURN_MAX_STALENESS", "max_staleness", read_seconds, "seconds without an answer until Ready turns false"
    ),
    Variable(
        "KEYTURN_INSTALLATION", "installation", read_installation, "name of this installation in requests to Connect"
    ),
    Variable(
        "KEYTURN_ACTIVITY_EXPORT", "activity_export", read_switch, "whether Connect's log of requests is exported"
    ),
    Variable(
        "KEYTURN_AUDIT_FILE", "audit_file", lambda _name, text: text, "file that takes the audit; - for standard output"
    ),
    Variable("KEYTURN_REFRESH_MOUNTS", "refresh_mounts", read_switch, "whether mounted files are refreshed at once"),
    Variable("KEYTURN_RESTART_KINDS", "restart_kinds", read_kinds, "further kinds to restart, separated by commas"),
    Variable("KEYTURN_SECRETS_BY_NAME", "secrets_by_name", read_switch, "whether to work without listing Secrets"),
    Variable("KEYTURN_WORKERS", "workers", read_number(1, 100), "items worked on at the same time"),
    Variable("KEYTURN_LEASE_NAME", "lease_name", read_name, "name of the Lease for leader election"),
    Variable(
        "KEYTURN_LEASE_DURATION", "lease_duration", read_number(5, 300), "seconds until another replica takes the Lease"
    ),
    Variable("POD_NAMESPACE", "leader_election_namespace", read_namespace, "namespace of that Lease"),
    Variable("POD_NAME", "pod_name", lambda _name, text: text, "name of this replica in the Lease"),
)


def shared_variables(*names: str) -> tuple[Variable, ...]:
    """Those of the operator's variables that another command reads, too, in the order given."""
    by_name = {each.name: each for each in _VARIABLES}
    return tuple(by_name[name] for name in names)


def variables(providers: Sequence[Provider[Any]] = PROVIDERS) -> tuple[str, ...]:
    """The variables that `keyturn operator` reads. Others with the prefix `KEYTURN_` are mistakes, and refused."""
    return variable_names(_VARIABLES, providers)
