"""The id that a request to a vault carries in its User-Agent, so that the vault's own log can be joined to ours."""

from __future__ import annotations

import re
from contextvars import ContextVar
from typing import Final

current_call_id: Final[ContextVar[str]] = ContextVar("current_call_id", default="")
"""Goes with each request that this task sends, and with those of the tasks that it starts; empty for none.

It is the id of an audit record, or that of a process for what it sends by itself: `process_call_id`.
"""

_ID = r"[A-Za-z0-9._:/-]{1,160}"
_WHOLE = re.compile(_ID)
_AGENT = re.compile(rf"keyturn/[^\s()]+ \(({_ID})\)")


def process_call_id(program: str, installation: str) -> str:
    """The id of all requests that a process sends by itself, as `operator:team-a/keyturn`. All its replicas have the same.

    Args:
        program: as `operator`.
        installation: names the installation that the process belongs to.
    """
    return f"{program}:{installation}"


def user_agent(product: str) -> str:
    """A User-Agent with the current id behind the product. An id that could not stand there is left out.

    Args:
        product: name and version, as `keyturn/1.0`.
    """
    call_id = current_call_id.get()
    return f"{product} ({call_id})" if _WHOLE.fullmatch(call_id) else product


def call_id_in(agent: str) -> str:
    """The id in a User-Agent that `user_agent` made; empty if there is none. It proves nothing: any client can send one."""
    match = _AGENT.fullmatch(agent)
    return match[1] if match else ""
