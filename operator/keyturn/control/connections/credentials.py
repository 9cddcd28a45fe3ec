"""Reads the credential of a Connection: single Secrets, by their names, in its own namespace. Nothing of them is kept here."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from keyturn.cluster import SECRETS, Cluster, Forbidden, NotFound
from keyturn.core.provider import SecretKey
from keyturn.core.vault import CredentialInvalid, CredentialMissing, VaultError

Versions = tuple[tuple[str, str], ...]
"""The name of each Secret with its uid and resourceVersion, sorted; an empty text for one that cannot be read."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A credential as it is now.

    Attributes:
        versions: of the Secrets that it was read from.
        texts: by the provider's own names.
        error: why it cannot be used; None if it is complete.
    """

    versions: Versions
    texts: Mapping[str, str] = field(repr=False)
    error: VaultError | None = None


class CredentialReader:
    """Gets Secrets by name.

    Args:
        cluster: the API server.
    """

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def versions(self, namespace: str, secrets: Collection[str]) -> Versions:
        """The versions of Secrets, for which only their metadata is read.

        Raises:
            ClusterError: the API server cannot be asked now, or refuses to say it, which is no proof that a Secret is gone.
        """
        return tuple([(name, await self._version(namespace, name)) for name in sorted(secrets)])

    async def read(self, namespace: str, keys: Mapping[str, SecretKey]) -> Credential:
        """A credential.

        Args:
            namespace: of the Connection.
            keys: where each part is, by the provider's own names.

        Raises:
            ClusterError: the API server cannot be asked now.
        """
        secrets: dict[str, Mapping[str, Any]] = {}
        versions: list[tuple[str, str]] = []
        error: VaultError | None = None
        for name in sorted({each.secret for each in keys.values()}):
            try:
                found = await self._cluster.get(SECRETS, namespace, name)
            except (NotFound, Forbidden, ValueError) as failure:
                versions.append((name, ""))
                error = error or CredentialMissing(_why_not(name, failure))
            else:
                versions.append((name, _version_of(found)))
                secrets[name] = found.get("data") or {}
        texts: dict[str, str] = {}
        for part, key in keys.items() if error is None else ():
            try:
                texts[part] = _text(secrets[key.secret], key)
            except VaultError as failure:
                error = error or failure
        return Credential(tuple(versions), {} if error else texts, error)

    async def _version(self, namespace: str, name: str) -> str:
        try:
            return _version_of(await self._cluster.get_metadata(SECRETS, namespace, name))
        except (NotFound, ValueError):
            return ""


def _version_of(manifest: Mapping[str, Any]) -> str:
    metadata = manifest["metadata"]
    return f"{metadata.get('uid', '')} {metadata['resourceVersion']}"


def _why_not(name: str, failure: Exception) -> str:
    if isinstance(failure, Forbidden):
        return f"the operator may not read the Secret {name}"
    return f"the Secret {name} does not exist"


def _text(data: Mapping[str, Any], key: SecretKey) -> str:
    """One key of a Secret as text.

    Raises:
        CredentialMissing: there is no such key.
        CredentialInvalid: it is not text.
    """
    encoded = data.get(key.key)
    if not encoded:
        raise CredentialMissing(f"the Secret {key.secret} has no key {key.key}, or nothing under it")
    # What these exceptions quote must not live on as the context of ours.
    invalid = False
    text = ""
    try:
        text = base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        invalid = True
    if invalid:
        raise CredentialInvalid(f"the key {key.key} of the Secret {key.secret} is not text in UTF-8")
    return text
