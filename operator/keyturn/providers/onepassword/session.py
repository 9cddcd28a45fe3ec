"""Keeps one login of a service account, sends calls through it, and counts them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, TypeVar

from keyturn.base.errors import translated
from keyturn.base.time import Time
from keyturn.core.provider import RequestObserver
from keyturn.core.vault import VaultError
from keyturn.providers.onepassword.sdk import LogIn, SdkSession
from keyturn.providers.onepassword.sdk_errors import Meaning, SdkFailure, sdk_failure_of
from keyturn.providers.onepassword.token_source import NoServiceToken, ServiceTokens

_T = TypeVar("_T")

AUTHENTICATE = "authenticate"
"""The login among the names of calls."""

_LOGIN_DEADLINE = 60.0
"""Seconds for a login, which derives keys from the token and asks the server more than once."""

_RENEWABLE = (Meaning.SESSION_ENDED, Meaning.REFUSED)
"""After these, a session that worked before is replaced once: whether the session or the token is refused, only a login shows."""


class Session:
    """One login, made at the first call and kept. Calls may run side by side; each may raise `SdkFailure` or a `VaultError`.

    Args:
        tokens: where the token comes from; another token means another login.
        log_in: makes a session of the SDK.
        at_once: how many calls may be under way.
        time: for pauses and durations.
        observer: observes each call as it ends; each one counts against the account's quota.
    """

    def __init__(
        self, tokens: ServiceTokens, *, log_in: LogIn, at_once: int, time: Time, observer: RequestObserver
    ) -> None:
        self._tokens = tokens
        self._log_in = log_in
        self._places = asyncio.Semaphore(at_once)
        self._lock = asyncio.Lock()
        self._time = time
        self._observer = observer
        self._session: SdkSession | None = None
        self._logged_in_with = ""
        self._logins = 0
        self._login_failure: SdkFailure | None = None
        self._paused_until = float("-inf")
        self._server = ""

    @property
    def server(self) -> str:
        """The server that the token names; empty if no token could be read yet."""
        if not self._server:
            try:
                self._server = self._tokens.current().server
            except VaultError:
                return ""
        return self._server

    def credential_stamp(self) -> object:
        """Differs from before if the token may be another one now; None if it never changes."""
        return self._tokens.stamp()

    async def call(self, name: str, parameters: Mapping[str, Any], *, seconds: float) -> str:
        """Send one call.

        Args:
            name: as the SDK's core names it.
            parameters: of the call.
            seconds: after which it counts as failed.

        Returns:
            The answer as JSON.
        """
        async with self._places:
            logins = self._logins
            session = await self._logged_in()
            is_new = self._logins != logins
            try:
                return await self._observed(name, partial(session.invoke, name, parameters), seconds=seconds)
            except SdkFailure as failure:
                if is_new or failure.meaning not in _RENEWABLE:
                    raise
            self._drop(session)
            session = await self._logged_in()
            return await self._observed(name, partial(session.invoke, name, parameters), seconds=seconds)

    def close(self) -> None:
        """Release the session and forget the token."""
        self._tokens = NoServiceToken()
        if self._session is not None:
            self._drop(self._session)

    async def _logged_in(self) -> SdkSession:
        logins = self._logins
        async with self._lock:
            token = self._tokens.current()
            if self._session is not None and self._logged_in_with == token.text:
                return self._session
            if self._logins != logins and self._login_failure is not None:
                # Many calls may wait for one login, and must not repeat what it just showed.
                raise self._login_failure.without_traceback()
            if self._session is not None:
                self._drop(self._session)
            self._server = token.server
            self._login_failure = None
            try:
                session = await self._observed(AUTHENTICATE, partial(self._log_in, token.text), seconds=_LOGIN_DEADLINE)
            except SdkFailure as failure:
                self._login_failure = failure.without_traceback()
                raise
            finally:
                self._logins += 1
            if self._is_closed:
                session.release()
                self._tokens.current()
            self._session, self._logged_in_with = session, token.text
            return session

    @property
    def _is_closed(self) -> bool:
        return isinstance(self._tokens, NoServiceToken)

    def _drop(self, session: SdkSession) -> None:
        """Release a session, unless another call did."""
        if session is self._session:
            self._session, self._logged_in_with = None, ""
            session.release()

    async def _observed(self, name: str, start: Callable[[], Awaitable[_T]], *, seconds: float) -> _T:
        """Make a call within its deadline, unless 1Password asked for a pause, and report how it ended."""
        started = self._time.monotonic()
        if (left := self._paused_until - started) > 0:
            raise SdkFailure(
                Meaning.LIMITED, "it asked for fewer requests, so none is sent for a while", retry_after=left
            )
        outcome = "cancelled"

        def translate(error: Exception) -> Exception | None:
            nonlocal outcome
            if isinstance(error, VaultError):
                outcome = error.label.lower()
                return None
            late = isinstance(error, TimeoutError)
            failure = (
                SdkFailure(Meaning.UNAVAILABLE, f"no answer in {seconds:.0f} s") if late else sdk_failure_of(error)
            )
            outcome = "timeout" if late else failure.meaning
            if failure.retry_after is not None:
                self._paused_until = self._time.monotonic() + failure.retry_after
            return failure

        try:
            with translated(translate):
                async with asyncio.timeout(seconds):
                    answer = await start()
            outcome = "ok"
            return answer
        finally:
            self._observer(name, outcome, self._time.monotonic() - started)
