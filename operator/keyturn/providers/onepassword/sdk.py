"""The only module that imports 1Password's SDK, and only when somebody logs in: it takes 25 MB and a fifth of a second."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any, Protocol

from keyturn.core.vault import CredentialInvalid

_SDK = "onepassword"


class SdkSession(Protocol):
    """One login. Every method but `release` may raise any exception of the SDK."""

    async def invoke(self, name: str, parameters: Mapping[str, Any]) -> str:
        """Send one call, named as the SDK's core names it. Returns the answer as JSON."""

    def release(self) -> None:
        """Have the core forget the session and its keys. It may be called again."""


class LogIn(Protocol):
    """Logs in with a token."""

    async def __call__(self, token: str, /) -> SdkSession:
        """Raises any exception of the SDK."""


def is_sdk_installed() -> bool:
    """Whether this installation has the SDK, without importing it."""
    return importlib.util.find_spec(_SDK) is not None


class _ClientSession:
    def __init__(self, client: Any) -> None:
        self._client = client

    async def invoke(self, name: str, parameters: Mapping[str, Any]) -> str:
        # Not by the methods of the SDK, which check each answer in the event loop, by models that refuse what they do not know.
        inner = self._client.vaults.inner_client
        call = {"clientId": inner.client_id, "parameters": {"name": name, "parameters": dict(parameters)}}
        answer: str = await inner.invoke({"invocation": call})
        return answer

    def release(self) -> None:
        # 0.4.2 ties this to the life of the class, not of the client, so that without a call it waits for the end of the process.
        finalizer = getattr(self._client, "_finalizer", None)
        if finalizer is not None:
            finalizer()
        self._client = None


async def log_in(token: str, /) -> SdkSession:
    """Log in at the server that the token names.

    Raises:
        CredentialInvalid: the SDK is not installed.
        Exception: whatever the SDK raises.
    """
    if not is_sdk_installed():
        raise CredentialInvalid("service accounts need the package onepassword-sdk: install keyturn[onepassword]")
    sdk = await asyncio.to_thread(importlib.import_module, _SDK)
    client = await sdk.Client.authenticate(
        auth=token, integration_name="Keyturn", integration_version=f"v{version('keyturn')}"
    )
    return _ClientSession(client)
