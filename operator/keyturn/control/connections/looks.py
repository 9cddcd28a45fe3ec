"""The looks at vaults that sync requests ask of one connection's poller: one at a time, and not too often at the same vault."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping

from keyturn.base.backoff import capped_retry_after
from keyturn.base.time import Time
from keyturn.core.request import Key
from keyturn.core.sync_requests import seconds_until_look

Asker = Key | str
"""Who asks: a requested Secret by its key, or a Connection by a text, so that the two cannot be taken for each other."""

Begun = Mapping[str, Mapping[Asker, str]]
"""By the id of each vault that a look is at: whose sync requests it serves, and their texts."""


class Looks:
    """Remembers who asks until a look has succeeded, so that no request is lost.

    Vaults are named by their ids. The empty one stands for all that are not known: a poll may find them.

    Args:
        wake: is set when the poller has reason to think again about when to poll.
        spacing: seconds at least between two looks at one vault.
        time: of the looks.
    """

    def __init__(self, *, wake: asyncio.Event, spacing: float, time: Time) -> None:
        self._wake = wake
        self._spacing = spacing
        self._time = time
        self._texts: dict[Asker, str] = {}
        self._asked: dict[str, set[Asker]] = {}
        self._failed: set[str] = set()
        self._looked_at: dict[str, float] = {}
        self._not_before = float("-inf")

    def ask(self, vaults: Collection[str], key: Asker, text: str) -> None:
        """Have vaults looked at for a request. It takes the place of an earlier one of the same key."""
        self._forget(key)
        self._texts[key] = text
        for vault in vaults:
            self._asked.setdefault(vault, set()).add(key)
            self._failed.discard(vault)
        self._wake.set()

    def seconds_until_due(self) -> float | None:
        """Seconds until a look is a reason to poll; None if none is.

        One that failed is none: it comes with the next poll, and the poller knows when to try again.
        """
        waits = [self._wait(vault, not_before=self._not_before) for vault in self._asked.keys() - self._failed]
        return min(waits, default=None)

    def begin(self) -> Begun:
        """A poll begins: the vaults that it must list, and for whom."""
        due = [vault for vault in self._asked if not self._wait(vault, not_before=float("-inf"))]
        return {vault: {key: self._texts[key] for key in self._asked.pop(vault)} for vault in due}

    def succeeded(self, begun: Begun, *, failed: Collection[str] = ()) -> dict[Asker, str]:
        """The poll succeeded. Returns the texts of the requests all of whose vaults have been looked at, by their keys.

        Args:
            begun: with the poll.
            failed: those of the vaults that could not be listed.
        """
        now = self._time.monotonic()
        self._put_back({vault: begun[vault] for vault in failed})
        self._looked_at = {vault: at for vault, at in self._looked_at.items() if now - at < self._spacing}
        self._looked_at.update(dict.fromkeys(begun.keys() - set(failed), now))
        waiting = {key for keys in self._asked.values() for key in keys}
        answered = {
            key: text
            for asked in begun.values()
            for key, text in asked.items()
            if key not in waiting and self._texts.get(key) == text
        }
        for key in answered:
            del self._texts[key]
        return answered

    def all_failed(self, begun: Begun, *, retry_after: float | None) -> None:
        """The poll failed as a whole.

        Args:
            begun: with the poll.
            retry_after: seconds for which the server asks to be left alone; None if it did not.
        """
        self._put_back(begun)
        self._not_before = self._time.monotonic() + max(self._spacing, capped_retry_after(retry_after))

    def _put_back(self, begun: Begun) -> None:
        for vault, asked in begun.items():
            # What was asked meanwhile is newer.
            if keys := {key for key, text in asked.items() if self._texts.get(key) == text}:
                if vault not in self._asked:
                    self._failed.add(vault)
                self._asked.setdefault(vault, set()).update(keys)

    def _forget(self, key: Asker) -> None:
        for vault, keys in list(self._asked.items()):
            keys.discard(key)
            if not keys:
                del self._asked[vault]

    def _wait(self, vault: str, *, not_before: float) -> float:
        return seconds_until_look(
            self._looked_at.get(vault), spacing=self._spacing, not_before=not_before, now=self._time.monotonic()
        )
