"""The Connect API itself: from a request to its answer, without a connection in sight."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from connect_emulator.account.ids import is_id
from connect_emulator.account.model import Item, Vault
from connect_emulator.account.replica import Replica, Replicas
from connect_emulator.account.tokens import Authority, Token
from connect_emulator.clock import Clock
from connect_emulator.errors import ApiError, not_found
from connect_emulator.http import filters, health, routes
from connect_emulator.http.activity import Activity, Entry
from connect_emulator.http.answers import Answer
from connect_emulator.http.attachments import Attachments
from connect_emulator.http.routes import Route
from connect_emulator.http.wire import Wire
from connect_emulator.http.writer import Writer
from connect_emulator.knobs import Live

_VERBS = {"GET": "read", "POST": "create", "PUT": "update", "PATCH": "update", "DELETE": "delete"}
_ACTIONS = {"GET": "READ", "POST": "CREATE", "PUT": "UPDATE", "PATCH": "UPDATE", "DELETE": "DELETE"}
_VAULT_FILTERS = frozenset({"name", "title"})
_ITEM_FILTERS = frozenset({"title", "tag"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request. `body` reads the body when it is wanted; `connection` numbers the connection."""

    method: str
    route: Route
    query: str
    headers: Mapping[str, str]
    body: Callable[[], Awaitable[bytes]]
    connection: int
    ip: str
    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Admitted:
    """A call past authentication, with the replica that serves it."""

    call: Call
    token: Token
    replica: Replica
    query: Mapping[str, str]


class Api:
    """Answers calls. Every answer carries the version header, as clients demand."""

    def __init__(
        self,
        *,
        replicas: Replicas,
        authority: Authority,
        activity: Activity,
        writer: Writer,
        wire: Wire,
        clock: Clock,
        live: Live,
    ) -> None:
        self._replicas = replicas
        self._authority = authority
        self._activity = activity
        self._writer = writer
        self._wire = wire
        self._clock = clock
        self._live = live
        self._attachments = Attachments(wire=wire, live=live, writer=writer)
        self._started = clock.now()

    def token_of(self, headers: Mapping[str, str]) -> Token | None:
        """The valid token of a request, for the request log and fault rules."""
        try:
            return self._authority.check(headers.get("Authorization"), missing="")
        except ApiError:
            return None

    async def answer(self, call: Call) -> Answer:
        """The answer to `call`, whatever it is."""
        try:
            return self._open(call) or await self._guarded(call)
        except ApiError as error:
            return self.refusal(error.status, error.message)

    def refusal(self, status: int, message: str) -> Answer:
        """An error in Connect's form."""
        return Answer(status=status, body=self._wire.error(status, message))

    def _open(self, call: Call) -> Answer | None:
        """Routes without authentication."""
        template = call.route.template
        if call.route.guarded:
            return None
        if template == routes.UNKNOWN:
            raise ApiError(404, "path not found")
        self._check_method(call)
        if template == "/heartbeat":
            return Answer(body=b".", content_type="text/plain; charset=utf-8")
        if template == "/metrics":
            return Answer(
                body=health.metrics(self._started).encode(), content_type="text/plain; version=0.0.4; charset=utf-8"
            )
        replica = self._replicas.pick(call.connection)
        if self.token_of(call.headers) is not None:
            replica.unlock()
        return Answer(body=self._wire.encode(health.health(replica.phase, self._live.knobs), sort=False))

    async def _guarded(self, call: Call) -> Answer:
        """Routes under `/v1`. Order (inferred): token, id shapes, scope, verb, existence, body."""
        knobs = self._live.knobs
        token = self._authority.check(call.headers.get("Authorization"), missing=knobs.missing_token_message)
        replica = self._replicas.pick(call.connection)
        await replica.admit()
        if call.route.template == routes.UNKNOWN:
            raise ApiError(404, "path not found")
        self._check_method(call)
        try:
            query = routes.query(call.query)
        except ValueError:
            raise ApiError(400, "Invalid query") from None
        admitted = _Admitted(call=call, token=token, replica=replica, query=query)
        if call.route.vault:
            return await self._in_vault(admitted)
        if call.route.template == "/v1/activity":
            return self._list_activity(admitted)
        return self._list_vaults(admitted)

    def _check_method(self, call: Call) -> None:
        if call.method not in routes.METHODS[call.route.template]:
            status = self._live.knobs.unsupported_method_status
            raise ApiError(status, "method not allowed" if status == 405 else "path not found")

    async def _in_vault(self, on: _Admitted) -> Answer:
        route, method = on.call.route, on.call.method
        if not is_id(route.vault):
            raise ApiError(400, "Invalid Vault UUID")
        if route.item and not is_id(route.item):
            raise ApiError(400, "Invalid Item UUID")
        self._check_scope(on)
        vault = on.replica.vaults().get(route.vault)
        if vault is None:
            raise not_found("vault", route.vault)
        if route.template == "/v1/vaults/{vault}":
            self._record(on, kind="VAULT")
            return Answer(body=self._wire.encode(self._wire.vault(vault)))
        if not route.item:
            return await self._create(on, vault) if method == "POST" else self._list_items(on, vault)
        if method == "DELETE":
            gone = await self._writer.delete(vault, route.item)
            self._record(on, item=gone)
            return Answer(status=204, content_type="")
        return await self._on_item(on, vault)

    async def _on_item(self, on: _Admitted, vault: Vault) -> Answer:
        route = on.call.route
        item = on.replica.items(vault.id).get(route.item)
        if item is None or (not item.active and not self._live.knobs.get_archived):
            raise not_found("item", route.item)
        if on.call.method != "GET":
            return await self._change(on, vault, item)
        self._record(on, item=item)
        if route.template.endswith("/items/{item}"):
            return Answer(body=self._wire.detail(item, vault_name=vault.name, now=self._clock.now()))
        return self._attachments.answer(on.call.route, on.query, item, replica=on.replica.number)

    async def _create(self, on: _Admitted, vault: Vault) -> Answer:
        made = await self._writer.create(vault, await self._json(on.call))
        self._record(on, item=made)
        return self._written(made, vault, version=made.version if self._live.knobs.post_version else None, post=True)

    def _check_scope(self, on: _Admitted) -> None:
        """403 for a vault out of scope, or a verb that the token lacks."""
        call, knobs = on.call, self._live.knobs
        vault_id = call.route.vault
        verbs = self._authority.verbs(on.token, vault_id)
        if not verbs:
            self._record(on, denied=True)
            if knobs.scope_message == "in_scope":
                raise ApiError(403, f"vault {vault_id} is not in scope")
            raise ApiError(403, f"Authorization: token does not have access to vault {vault_id}")
        needed = {"GET": "r", "PATCH": "rw"}.get(call.method, "w")
        if call.route.template == "/v1/vaults/{vault}" and knobs.write_only_sees_vaults:
            needed = ""
        if not set(needed) <= set(verbs):
            self._record(on, denied=True)
            prefix = "Authorization: " if knobs.permission_prefix else ""
            verb = "read" if "r" not in verbs and "r" in needed else _VERBS[call.method]
            raise ApiError(403, f"{prefix}token does not have permission to perform {verb} on vault {vault_id}")

    def _list_vaults(self, on: _Admitted) -> Answer:
        vaults = [vault for vault in on.replica.vaults().values() if self._authority.verbs(on.token, vault.id)]
        if text := on.query.get("filter"):
            knobs = self._live.knobs
            wanted = filters.parse(text, attributes=_VAULT_FILTERS, backslash=knobs.filter_backslash)
            vaults = [vault for vault in vaults if wanted.accepts(vault.name, case=knobs.vault_filter_case)]
        self._record(on, kind="VAULT")
        return Answer(body=self._wire.encode([self._wire.vault(vault) for vault in vaults]))

    def _list_items(self, on: _Admitted, vault: Vault) -> Answer:
        knobs = self._live.knobs
        rows = on.replica.items(vault.id).values()
        items = [item for item in rows if item.active or knobs.list_archived]
        if text := on.query.get("filter"):
            wanted = filters.parse(text, attributes=_ITEM_FILTERS, backslash=knobs.filter_backslash)
            case = knobs.item_filter_case
            if wanted.attribute == "title":
                items = [item for item in items if wanted.accepts(item.content.title, case=case)]
            else:
                items = [item for item in items if any(wanted.accepts(tag, case=case) for tag in item.content.tags)]
        self._record(on)
        return Answer(body=b"[" + b",".join(self._wire.summary(item, vault_name=vault.name) for item in items) + b"]")

    async def _change(self, on: _Admitted, vault: Vault, seen: Item) -> Answer:
        body = await self._json(on.call)
        change = self._writer.replace if on.call.method == "PUT" else self._writer.patch
        before, after = await change(vault, seen.id, body)
        self._record(on, item=after)
        old = self._live.knobs.put_answers_old_version
        return self._written(after, vault, version=before.version if old else after.version)

    def _written(self, item: Item, vault: Vault, *, version: int | None, post: bool = False) -> Answer:
        editor = not post or self._live.knobs.post_last_edited_by
        now = self._clock.now()
        body = self._wire.written(item, vault_name=vault.name, now=now, version=version, editor=editor)
        return Answer(body=body)

    def _list_activity(self, on: _Admitted) -> Answer:
        limit, offset = (_count(on.query.get(name), default) for name, default in (("limit", 50), ("offset", 0)))
        number = on.replica.number
        entries, total = self._activity.page(limit=limit, offset=offset, replica=number, token=on.token)
        if self._live.knobs.activity_of_activity:
            self._record(on, kind="")
        forms = [self._activity.form(entry, timestamp=self._wire.time(entry.at)) for entry in entries]
        first = offset + 1 if entries else 0
        shown = f"{first}-{offset + len(entries) if entries else 0}/{total}"
        return Answer(body=self._wire.encode(forms, sort=False), headers={"Content-Range": shown})

    async def _json(self, call: Call) -> object:
        """The body as JSON.

        Raises:
            ApiError: 400 for another content type, another encoding or another language; 413 if it is too long.
        """
        kind = call.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind and kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
            raise ApiError(400, "Invalid content type: expected application/json")
        raw = await call.body()
        try:
            return json.loads(raw.decode("utf-8"), parse_constant=_no_constant)
        except (ValueError, RecursionError):
            raise ApiError(400, "Unable to decode the request body") from None

    def _record(self, on: _Admitted, *, kind: str = "ITEM", item: Item | None = None, denied: bool = False) -> None:
        call = on.call
        self._activity.record(
            Entry(
                request_id=call.request_id,
                at=self._clock.now(),
                action=_ACTIONS[call.method],
                denied=denied,
                token=on.token,
                user_agent=call.headers.get("User-Agent", ""),
                ip=call.ip,
                kind=kind,
                vault_id=call.route.vault,
                item_id=item.id if item else call.route.item,
                item_version=item.version if item else None,
            ),
            replica=on.replica.number,
        )


def _count(text: str | None, default: int) -> int:
    if text is None or not text:
        return default
    if not (text.isascii() and text.isdecimal()) or len(text) > 9:
        raise ApiError(400, "Invalid query: expected a number")
    return int(text)


def _no_constant(name: str) -> object:
    raise ValueError(name)
