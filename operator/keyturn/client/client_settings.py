"""What the client must know: where the broker is, whom it trusts, and who it is itself; from flags or variables."""

from __future__ import annotations

import argparse
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from keyturn.client.caller_token import CallerToken
from keyturn.client.failures import Misuse
from keyturn.client.op_syntax import shown_text

FOLDER = "/var/run/secrets/keyturn"
"""Where a pod mounts its token as `token`, and the authority of the broker's certificate as `ca.crt`."""


@dataclass(frozen=True)
class BrokerAddress:
    """Where the broker is, and how its certificate is checked.

    Attributes:
        host: name or address, without brackets.
        port: its port.
        path: what stands before the paths of the broker, such as "/keyturn"; empty for nothing.
        ca_file: a file with authorities in PEM; None for those of the system.
        encrypted: false only for the loopback interface.
    """

    host: str
    port: int
    path: str
    ca_file: Path | None
    encrypted: bool

    def context(self) -> ssl.SSLContext | None:
        """How a connection is encrypted; None for not at all.

        Raises:
            Misuse: the authorities cannot be read.
        """
        if not self.encrypted:
            return None
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
        except (OSError, ssl.SSLError) as error:
            reason = getattr(error, "strerror", None) or "it holds no certificate in PEM"
            raise Misuse(f"cannot read the CA file {self.ca_file}: {reason}") from None
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        return context


def add_settings(parser: argparse.ArgumentParser) -> None:
    """Add the flags that all commands have in common."""
    group = parser.add_argument_group("the broker")
    group.add_argument("--broker-url", metavar="URL", help="address of the broker (KEYTURN_BROKER_URL)")
    group.add_argument("--token-file", metavar="FILE", help=f"the token (KEYTURN_TOKEN_FILE; {FOLDER}/token)")
    group.add_argument(
        "--ca-file", metavar="FILE", help=f"who signs the broker's certificate (KEYTURN_CA_FILE; {FOLDER}/ca.crt)"
    )
    group.add_argument(
        "--service-account",
        metavar="NAMESPACE/NAME",
        help="instead of a token file: have kubectl make a token of this service account",
    )


def broker_address(flags: argparse.Namespace, environment: Mapping[str, str]) -> BrokerAddress:
    """Where the broker is.

    Raises:
        Misuse: it is not said, or cannot be an address.
    """
    url = flags.broker_url or environment.get("KEYTURN_BROKER_URL", "")
    if not url:
        raise Misuse(
            "KEYTURN_BROKER_URL is not set; it is the address of the broker, such as https://keyturn-broker.keyturn.svc"
        )
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port, parts = "", None, urlsplit("")
    if parts.scheme not in {"http", "https"} or not host or parts.query or parts.fragment or "@" in parts.netloc:
        # Not shown: what stands before an @ may be a password.
        raise Misuse("the broker's address must be https://HOST[:PORT][/PATH], without a user or a query")
    encrypted = parts.scheme == "https"
    if not encrypted and not _is_loopback(host):
        raise Misuse(f"the token and the values would be readable on the way to http://{host}: use https")
    path = parts.path.rstrip("/")
    return BrokerAddress(host, port or (443 if encrypted else 80), path, _ca_file(flags, environment), encrypted)


def caller_token(flags: argparse.Namespace, environment: Mapping[str, str]) -> CallerToken:
    """Where the token comes from.

    Raises:
        Misuse: the service account is not said as namespace and name.
    """
    file = Path(flags.token_file or environment.get("KEYTURN_TOKEN_FILE") or f"{FOLDER}/token")
    if not flags.service_account:
        return CallerToken(file)
    namespace, _, name = flags.service_account.partition("/")
    if not namespace or not name or "/" in name or flags.service_account.startswith("-") or name.startswith("-"):
        raise Misuse(f"--service-account must be NAMESPACE/NAME: {shown_text(flags.service_account)}")
    return CallerToken(file, (namespace, name))


def _ca_file(flags: argparse.Namespace, environment: Mapping[str, str]) -> Path | None:
    """The file with authorities: a given one, or that beside the token if there is one."""
    given = flags.ca_file or environment.get("KEYTURN_CA_FILE")
    if given:
        return Path(given)
    usual = Path(FOLDER) / "ca.crt"
    return usual if usual.exists() else None


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
