"""Service accounts in a file, for an operator that is a process of its own: a test edits them, and it sees that at its next call."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onepassword.client

from support.service_account import CoreDouble, ServiceAccount

_SITE = Path(__file__).with_name("core_double_site")

VARIABLE = "TEST_SERVICE_ACCOUNTS"
"""Names the file to a process whose SDK must log in to these accounts, and to no server."""


class StoredAccounts:
    """The accounts of a file, by their tokens.

    Args:
        path: of the file. Beside it, with the suffix `.calls`, is one line for each call.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._calls = path.with_suffix(".calls")

    def environment(self) -> dict[str, str]:
        """What a process needs for the double to take the core's place in it."""
        return {VARIABLE: str(self._path), "PYTHONPATH": f"{_SITE}:{_SITE.parents[1]}"}

    def create(self, token: str, account: ServiceAccount) -> None:
        """One more account."""
        accounts = self._read() if self._path.exists() else {}
        self._write({**accounts, token: account})

    @contextmanager
    def edited(self, token: str) -> Iterator[ServiceAccount]:
        """Edit an account; the end of the block stores it."""
        accounts = self._read()
        yield accounts[token]
        self._write(accounts)

    def calls(self) -> list[str]:
        """All calls so far, in order; one that the real core could not read begins with `malformed`."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    # What the double asks.

    def get(self, token: str) -> _StoredAccount | None:
        """An account as the double knows it; None if there is none with this token."""
        return _StoredAccount(self, token) if token in self._read() else None

    def account(self, token: str) -> ServiceAccount:
        """An account as it is now."""
        return self._read()[token]

    def note(self, call: str) -> None:
        """Add a line to the calls."""
        with self._calls.open("a") as file:
            file.write(f"{call}\n")

    def _read(self) -> dict[str, ServiceAccount]:
        accounts: dict[str, ServiceAccount] = pickle.loads(self._path.read_bytes())  # noqa: S301 - written below
        return accounts

    def _write(self, accounts: dict[str, ServiceAccount]) -> None:
        new = self._path.with_suffix(".new")
        new.write_bytes(pickle.dumps(accounts))
        new.replace(self._path)


class _StoredAccount:
    def __init__(self, accounts: StoredAccounts, token: str) -> None:
        self._accounts = accounts
        self._token = token

    async def log_in(self) -> None:
        self._accounts.note("authenticate")
        await self._accounts.account(self._token).log_in()

    async def answer(self, name: str, parameters: dict[str, Any]) -> str:
        self._accounts.note(name)
        return await self._accounts.account(self._token).answer(name, parameters)


class _Malformed(list[str]):
    def __init__(self, accounts: StoredAccounts) -> None:
        super().__init__()
        self._accounts = accounts

    def append(self, text: str) -> None:
        self._accounts.note(f"malformed: {text}")


def install(path: str) -> None:
    """Have the double take the core's place in this process for good."""
    accounts: Any = StoredAccounts(Path(path))
    double = CoreDouble(accounts)
    double.malformed = _Malformed(accounts)
    onepassword.client.UniffiCore = lambda: double
