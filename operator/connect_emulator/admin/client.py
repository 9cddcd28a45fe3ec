"""A small synchronous client of the emulator's admin API, on the standard library alone."""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.error import HTTPError
from urllib.parse import quote, urlencode
from urllib.request import ProxyHandler, Request, build_opener

Json = dict[str, Any]


class AdminError(Exception):
    """The admin API refused; `status` is its HTTP status and the text its reason."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenRequest:
    """One request that the server saw; times are monotonic milliseconds, `finished_ms` is None while it runs.

    `status` is 0 while the request runs and -1 if the connection ended without an answer; `route` is the template
    (`/v1/vaults/{vault}`), `token` the name of the token or empty, `fault` the kind of the fault that struck or empty.
    """

    number: int
    method: str
    path: str
    query: str
    route: str
    user_agent: str
    token: str
    fault: str
    status: int
    started_ms: float
    finished_ms: float | None


class AdminClient:
    """Drives a running emulator. Vaults are named by name or id, items by title or id.

    Every method raises `AdminError` if the emulator refuses and `OSError` if it cannot be reached.

    Args:
        url: the admin address of the emulator's ready line.
        timeout_s: how long an answer may take; waiting for requests adds its own time.
    """

    def __init__(self, url: str, *, timeout_s: float = 30.0) -> None:
        self.url = url.rstrip("/")
        self._timeout_s = timeout_s
        # Never through a proxy of the environment: the admin API is on loopback.
        self._opener = build_opener(ProxyHandler({}))

    # --- the account -------------------------------------------------------------------------------------------------

    def state(self) -> Json:
        """Everything but values and token texts."""
        return self._object("GET", "/state")

    def create_vault(self, name: str, *, description: str = "", items: Sequence[Mapping[str, Any]] = ()) -> str:
        """A new vault, perhaps with items in the description file's form; returns its id."""
        form = {"name": name, "description": description, "items": [dict(item) for item in items]}
        return str(self._object("POST", "/vaults", form)["id"])

    def rename_vault(self, vault: str, name: str) -> None:
        """Give a vault another name."""
        self._call("PATCH", _path("vaults", vault), {"name": name})

    def remove_vault(self, vault: str) -> None:
        """Remove a vault with its items."""
        self._call("DELETE", _path("vaults", vault))

    def create(self, vault: str, item: Mapping[str, Any]) -> str:
        """A new item in the description file's form; returns its id."""
        return str(self._object("POST", _path("vaults", vault, "items"), dict(item))["id"])

    def edit(self, vault: str, title: str, /, **changes: Any) -> int:
        """Change an item in one edit; returns its new version.

        Changes are `title`, `tags`, `urls`, `favorite`, `state`, `fields` (specs: those named by id or label change,
        others are added), `remove_fields` and `sections`.
        """
        return self._version("PATCH", _item(vault, title), changes)

    def rotate(self, vault: str, title: str, *, label: str = "password", value: str | None = None) -> int:
        """Give a field (by id or label) `value`, or a random one; returns the item's new version."""
        form = {"label": label} if value is None else {"label": label, "value": value}
        return self._version("POST", f"{_item(vault, title)}/rotate", form)

    def touch(self, vault: str, title: str) -> int:
        """A new version of an item with nothing changed; returns it."""
        return self._version("POST", f"{_item(vault, title)}/touch")

    def value(self, vault: str, title: str, *, label: str = "password") -> str:
        """The present value of a field in the account; a replica may still have an older one."""
        query = urlencode({"label": label})
        return str(self._object("GET", f"{_item(vault, title)}/value?{query}")["value"])

    def archive(self, vault: str, title: str) -> int:
        """Archive an item; returns its new version."""
        return self.edit(vault, title, state="ARCHIVED")

    def delete(self, vault: str, title: str) -> None:
        """Delete an item for good."""
        self._call("DELETE", _item(vault, title))

    def attach(self, vault: str, title: str, *, name: str, content: bytes, section: str = "") -> int:
        """Attach a file, in place of the one with this name if there is one; returns the item's new version."""
        form = {"name": name, "base64": base64.b64encode(content).decode("ascii"), "section": section}
        return self._version("POST", f"{_item(vault, title)}/files", form)

    def detach(self, vault: str, title: str, *, name: str) -> int:
        """Remove a file; returns the item's new version."""
        return self._version("DELETE", f"{_item(vault, title)}/files/{quote(name, safe='')}")

    def bulk_create(
        self, vault: str, count: int, *, title: str = "item-{n:05d}", item: Mapping[str, Any] | None = None
    ) -> list[str]:
        """`count` items like `item`, titled by number from 0; returns their ids."""
        form = {"count": count, "title": title, "item": dict(item or {})}
        return list(self._object("POST", _path("vaults", vault, "bulk-create"), form)["ids"])

    def bulk_rotate(self, vault: str, titles: Sequence[str] | None = None, *, label: str = "password") -> int:
        """Rotate a field of many items (all without titles) to random values; returns how many."""
        form: Json = {"label": label} if titles is None else {"label": label, "titles": list(titles)}
        return int(self._object("POST", _path("vaults", vault, "bulk-rotate"), form)["rotated"])

    # --- tokens ------------------------------------------------------------------------------------------------------

    def token(self, name: str) -> str:
        """The text of the latest token of that name."""
        return str(self._object("GET", _path("tokens", name))["token"])

    def issue(
        self,
        name: str,
        vaults: Mapping[str, str],
        *,
        expires_in_s: float | None = None,
        revoke_previous: bool = False,
    ) -> str:
        """A new token with verbs (`r`, `w`, `rw`) by vault name, id or `*`; returns its text."""
        form = {"name": name, "vaults": dict(vaults), "expires_in_s": expires_in_s, "revoke_previous": revoke_previous}
        return str(self._object("POST", "/tokens", form)["token"])

    def revoke(self, name: str) -> None:
        """End the latest token of that name."""
        self._call("DELETE", _path("tokens", name))

    def expire(self, name: str) -> None:
        """Let the latest token of that name expire now."""
        self._call("POST", _path("tokens", name, "expire"))

    # --- faults and outages ------------------------------------------------------------------------------------------

    def fault(self, route: str = "*", **rule: Any) -> str:
        """Add a fault rule (see `faults.FaultRule` for its members); returns its id."""
        return str(self._object("POST", "/faults", {"route": route, **rule})["id"])

    def clear_faults(self) -> None:
        """Forget all fault rules."""
        self._call("DELETE", "/faults")

    def outage(self, on: bool, *, mode: Literal["refuse", "reset", "hang"] = "refuse") -> None:  # noqa: FBT001 - a switch
        """Begin or end an outage of the API: new connections are refused, reset or never answered."""
        self._call("PUT", "/outage", {"on": on, "mode": mode})

    def restart(self, *, keep: bool | None = None) -> None:
        """A cold start of all replicas; `keep` decides about their data, the knob `persistent_volume` if not given."""
        self._call("POST", "/restart", {} if keep is None else {"keep": keep})

    def drop_connections(self) -> None:
        """Reset every connection to the API."""
        self._call("POST", "/drop-connections")

    def sync(self) -> None:
        """Bring all replicas up to date at once."""
        self._call("POST", "/sync")

    def advance_clock(self, seconds: float) -> None:
        """Move the emulator's clock forward."""
        self._call("POST", "/clock", {"advance_s": seconds})

    def knobs(self, **changes: Any) -> Json:
        """Turn the named knobs, if any; returns them all."""
        return self._object("PATCH", "/knobs", changes) if changes else self._object("GET", "/knobs")

    # --- the request log ---------------------------------------------------------------------------------------------

    def requests(
        self, *, route: str = "*", status: int | None = None, since: int = 0, limit: int | None = None
    ) -> list[SeenRequest]:
        """Requests of a route pattern and status with numbers above `since`, oldest first; only the newest `limit`."""
        query = _query(route=route, status=status, since=since, limit=limit)
        return [SeenRequest(**form) for form in self._object("GET", f"/requests?{query}")["requests"]]

    def last_request(self) -> int:
        """The number of the newest request, for `since`."""
        return int(self._object("GET", "/requests?limit=0")["number"])

    def request_counts(self) -> dict[str, int]:
        """How many requests came since the last clear, by method and route: `{"GET /v1/vaults": 3}`."""
        return dict(self._object("GET", "/requests/counts"))

    def clear_requests(self) -> None:
        """Forget requests and counts."""
        self._call("DELETE", "/requests")

    def wait_requests(
        self,
        count: int = 1,
        *,
        route: str = "*",
        status: int | None = None,
        since: int = 0,
        timeout_s: float = 60.0,
        started: bool = False,
    ) -> int:
        """Wait until `count` matching requests are finished, or only there with `started`; returns how many there are.

        Raises:
            TimeoutError: there are fewer when the time is up.
        """
        query = _query(count=count, route=route, status=status, since=since, timeout_s=timeout_s, started=started)
        seen = self._object("GET", f"/requests/wait?{query}", patience_s=timeout_s)
        if not seen["enough"]:
            raise TimeoutError(f"{seen['seen']} of {count} requests of {route} came within {timeout_s} s")
        return int(seen["seen"])

    # --- HTTP --------------------------------------------------------------------------------------------------------

    def _version(self, method: str, path: str, form: Mapping[str, Any] | None = None) -> int:
        return int(self._object(method, path, form)["version"])

    def _object(
        self, method: str, path: str, form: Mapping[str, Any] | None = None, *, patience_s: float = 0.0
    ) -> Json:
        answer = self._call(method, path, form, patience_s=patience_s)
        if not isinstance(answer, dict):
            raise AdminError(200, "the answer is no JSON object")
        return answer

    def _call(
        self, method: str, path: str, form: Mapping[str, Any] | None = None, *, patience_s: float = 0.0
    ) -> object:
        data = None if form is None else json.dumps(form).encode()
        request = Request(self.url + path, data=data, method=method, headers={"Content-Type": "application/json"})  # noqa: S310 - the caller's own emulator
        try:
            with self._opener.open(request, timeout=self._timeout_s + patience_s) as response:
                return json.loads(response.read())
        except HTTPError as error:
            with error:
                raise AdminError(error.code, _reason(error.read())) from None


def _reason(raw: bytes) -> str:
    try:
        return str(json.loads(raw)["error"])
    except (ValueError, LookupError, TypeError):
        return "no reason given"


def _path(*segments: str) -> str:
    return "".join("/" + quote(segment, safe="") for segment in segments)


def _item(vault: str, title: str) -> str:
    return _path("vaults", vault, "items", title)


def _query(**parameters: object) -> str:
    return urlencode({name: value for name, value in parameters.items() if value is not None})
