"""An API server in memory for unit tests: the real gateway above objects in a dict, with scripted failures and a list of calls."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from typing import Any

from keyturn.base.time import Time
from keyturn.cluster import NAMESPACES, ONEPASSWORD_ITEMS, PODS, SECRETS, WORKLOADS, Resource
from keyturn.cluster.resources import CRDS, EVENTS, LEASES
from keyturn.cluster.transport import ApiResponse, Request, Stream, TransportError
from support.admin_cluster import AdminCluster
from support.fake_time import FakeTime
from support.field_ownership import FieldConflict, applied, updated

Manifest = dict[str, Any]

_PATH = re.compile(
    r"(?P<base>/api/v1|/apis/[^/]+/[^/]+)/(namespaces/(?P<namespace>[^/]+)/)?(?P<plural>[^/]+)"
    r"(/(?P<name>[^/]+)(/(?P<subresource>[^/]+))?)?"
)
_SERVED = (NAMESPACES, SECRETS, PODS, EVENTS, ONEPASSWORD_ITEMS, *WORKLOADS, LEASES, CRDS)
_WRITES = frozenset({"apply", "create", "patch", "delete"})


@dataclass(frozen=True, slots=True)
class Call:
    """One request.

    Attributes:
        verb: as the gateway counts it: get, list, apply, create, patch, delete; `discovery` for any other path.
        resource: its label, as `secrets` or `deployments.apps`; the path, for discovery.
        namespace: empty for none, and for a list of all namespaces.
        name: of the object; empty for a list.
        subresource: empty for none.
        body: what was sent.
        field_manager: of the write; empty for a read.
        status: of the answer; 0 if there was none.
    """

    verb: str
    resource: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    body: Any = None
    field_manager: str = ""
    status: int = 0


@dataclass(slots=True)
class _Failure:
    verb: str
    resource: str
    name: str
    answer: ApiResponse | TransportError
    times: int
    applied: bool

    def concerns(self, call: Call) -> bool:
        return (
            self.times > 0 and (self.verb, self.resource) == (call.verb, call.resource) and self.name in {"", call.name}
        )


class _Refused(Exception):
    def __init__(
        self, code: int, reason: str, message: str = "", *, fields: tuple[str, ...] = (), cause: str = ""
    ) -> None:
        super().__init__(message or reason)
        causes = [{"reason": cause or "FieldValueInvalid", "field": field} for field in fields]
        self.answer = _status(code, reason, message, causes=causes)


class FakeApiServer(AdminCluster):
    """A `Cluster` whose objects are in memory. Errors are classified by the real gateway, so that they are those of a real one.

    It knows resourceVersions, uids, generations, field ownership, finalizers, label selectors, pages and metadata-only answers.
    It does not watch, validates nothing but immutable fields of Secrets, and collects no garbage.

    Args:
        time: dates what is created and written; a `FakeTime` of its own if it is left out.

    Attributes:
        calls: every request so far, with the status of its answer.
        before: called before a request is handled; it may change objects, as another client would at that moment.
        delay: awaited before a request is handled; it may hold the request back.
        largest_page: objects per page of a list at most, also if the request allows more; None for no limit.
    """

    def __init__(self, *, time: Time | None = None) -> None:
        time = time or FakeTime()
        super().__init__(_MemoryTransport(self), time=time)
        self.calls: list[Call] = []
        self.before: Callable[[Call], None] = lambda _call: None
        self.delay: Callable[[Call], Awaitable[None]] = _no_delay
        self.largest_page: int | None = None
        self._time = time
        self._objects: dict[tuple[str, str, str], Manifest] = {}
        self._served = {each.label: each for each in _SERVED}
        self._failures: list[_Failure] = []
        self._version = 100
        self._uids = 0

    # For tests.

    @property
    def writes(self) -> list[Call]:
        """The writes that were accepted, in order."""
        return [call for call in self.calls if call.verb in _WRITES and 200 <= call.status < 300]

    def count(self, verb: str, resource: Resource, name: str = "") -> int:
        """How many requests of this kind there were, accepted or not."""
        return sum(
            (call.verb, call.resource) == (verb, resource.label) and name in {"", call.name} for call in self.calls
        )

    def serve(self, resource: Resource) -> None:
        """Have one more kind of objects, as after its CustomResourceDefinition was created."""
        self._served[resource.label] = resource

    def add(self, resource: Resource, manifest: Mapping[str, Any], *, manager: str = "") -> Manifest:
        """Put an object in place. What the API server sets is filled in if the manifest leaves it out.

        Args:
            resource: its kind.
            manifest: the object; `metadata.name` at least.
            manager: owner of all its fields; empty for no owner.
        """
        self._served.setdefault(resource.label, resource)
        bare = {"apiVersion": resource.api_version, "kind": resource.kind, **copy.deepcopy(dict(manifest))}
        new = self._new(bare)
        if manager:
            new = updated({"metadata": {}}, new, manager=manager, subresource="", now=self._now())
        self._objects[_key(resource.label, new)] = new
        return copy.deepcopy(new)

    def find(self, resource: Resource, namespace: str | None, name: str) -> Manifest | None:
        """A copy of an object as it is now; None if there is none."""
        return copy.deepcopy(self._objects.get((resource.label, namespace or "", name)))

    def edit(
        self,
        resource: Resource,
        namespace: str | None,
        name: str,
        patch: Mapping[str, Any],
        *,
        manager: str = "kubectl",
    ) -> Manifest:
        """Merge a patch into an object, as another client does; with an empty patch the resourceVersion alone moves."""
        key = (resource.label, namespace or "", name)
        new = self._stored(key, updated(self._objects[key], _merged(self._objects[key], patch), **self._by(manager)))
        new["metadata"]["resourceVersion"] = self._next_version()
        return copy.deepcopy(new)

    def remove(self, resource: Resource, namespace: str | None, name: str) -> None:
        """Take an object away at once."""
        del self._objects[resource.label, namespace or "", name]

    def fail(
        self,
        verb: str,
        resource: Resource | str,
        name: str = "",
        *,
        status: int = 503,
        reason: str = "",
        message: str = "",
        retry_after: int | None = None,
        times: int = 1,
        applied: bool = False,
    ) -> None:
        """Have requests fail. Several failures of the same request come one after the other.

        Args:
            verb: of the requests that fail, as in `Call`.
            resource: whose requests fail; a path, for discovery.
            name: of the object; empty for all.
            status: HTTP status; 0 for a connection that breaks.
            reason: of the answer's Status.
            message: of the answer's Status.
            retry_after: seconds to wait, as the answer's header says.
            times: how many requests fail.
            applied: the request is carried out all the same, and only its answer is lost.
        """
        answer: ApiResponse | TransportError = TransportError("the connection broke")
        if status:
            answer = replace(_status(status, reason, message), retry_after=str(retry_after) if retry_after else None)
        label = resource if isinstance(resource, str) else resource.label
        self._failures.append(_Failure(verb, label, name, answer, times, applied))

    # For the transport.

    def handle(self, request: Request) -> ApiResponse:
        """ApiResponse one request, and write it down."""
        call = _call(request)
        answer: ApiResponse | TransportError
        failure = next((each for each in self._failures if each.concerns(call)), None)
        if failure is not None:
            failure.times -= 1
            if failure.applied:
                self._answer(call, request)
            answer = failure.answer
        else:
            answer = self._answer(call, request)
        self.calls.append(replace(call, status=0 if isinstance(answer, TransportError) else answer.status))
        if isinstance(answer, TransportError):
            raise TransportError(str(answer))
        return answer

    def _answer(self, call: Call, request: Request) -> ApiResponse:
        self.before(call)
        try:
            body = self._handled(call, request)
        except _Refused as refused:
            return refused.answer
        return ApiResponse(201 if call.verb == "create" else 200, json.dumps(body).encode())

    def _handled(self, call: Call, request: Request) -> Mapping[str, Any]:
        if call.verb == "discovery":
            return self._discovered(call.resource)
        if call.resource not in self._served:
            raise _Refused(404, "NotFound", "the server could not find the requested resource")
        if call.verb == "list":
            return self._listed(call, request)
        key = (call.resource, call.namespace, call.name)
        found = self._objects.get(key)
        if call.verb == "create":
            return _shown(self._created(call, request), request)
        if found is None and (call.verb != "apply" or call.subresource):
            raise _Refused(404, "NotFound", f"{call.resource} {json.dumps(call.name)} not found")
        if call.verb == "apply":
            force = request.query.get("force") == "true"
            return _shown(self._applied(key, found, call, force=force), request)
        assert found is not None
        if call.verb == "delete":
            return self._deleted(key, found, call.body or {})
        return _shown(self._patched(key, found, call) if call.verb == "patch" else found, request)

    def _discovered(self, path: str) -> Mapping[str, Any]:
        found = [
            {"name": each.plural, "kind": each.kind, "namespaced": each.namespaced}
            for each in self._served.values()
            if path == f"/apis/{each.api_version}"
        ]
        if not found:
            raise _Refused(404, "NotFound")
        # Subresources are listed beside their kind.
        return {"resources": [{**each, "name": f"{each['name']}/status"} for each in found] + found}

    def _listed(self, call: Call, request: Request) -> Mapping[str, Any]:
        matching = [
            each
            for (label, namespace, _), each in sorted(self._objects.items())
            if label == call.resource
            and call.namespace in {"", namespace}
            and _selected(each["metadata"].get("labels") or {}, request.query.get("labelSelector", ""))
        ]
        begin = int(request.query.get("continue", "0"))
        limits = [size for size in (int(request.query.get("limit", "0")), self.largest_page or 0) if size]
        end = begin + min(limits) if limits else len(matching)
        metadata = {"resourceVersion": str(self._version)} | ({"continue": str(end)} if end < len(matching) else {})
        items = [{name: each[name] for name in each if name not in {"apiVersion", "kind"}} for each in matching]
        return {"metadata": metadata, "items": [_shown(each, request) for each in items[begin:end]]}

    def _created(self, call: Call, request: Request) -> Manifest:
        body = copy.deepcopy(call.body)
        # POST goes to the collection: the name is in the body alone.
        key = _key(call.resource, body)
        if key in self._objects:
            raise _Refused(409, "AlreadyExists", f"{call.resource} {json.dumps(key[2])} already exists")
        body.pop("status", None) if call.resource == ONEPASSWORD_ITEMS.label else None
        manager = request.query.get("fieldManager", "")
        new = updated({"metadata": {}}, self._new(body), **self._by(manager))
        return self._stored(key, new)

    def _applied(self, key: tuple[str, str, str], found: Manifest | None, call: Call, *, force: bool) -> Manifest:
        sent = call.body["metadata"]
        if found is None:
            if "uid" in sent:
                raise _Refused(409, "Conflict", "uid mismatch: no existing object was found")
            bare = {"apiVersion": call.body["apiVersion"], "kind": call.body["kind"]}
            metadata = {name: sent[name] for name in ("name", "namespace") if name in sent}
            found = self._new({**bare, "metadata": metadata})
        else:
            # Tried on 1.35: the apply of a status does not compare uids.
            self._must_be(found, sent if not call.subresource else {**sent, "uid": found["metadata"]["uid"]})
        body = {name: each for name, each in call.body.items() if _may_write(name, call.subresource)}
        try:
            new = applied(found, body, **self._by(call.field_manager, call.subresource), force=force)
        except FieldConflict as conflict:
            raise _Refused(
                409, "Conflict", "Apply failed with conflicts", fields=conflict.fields, cause="FieldManagerConflict"
            ) from None
        return self._stored(key, new)

    def _patched(self, key: tuple[str, str, str], found: Manifest, call: Call) -> Manifest:
        if isinstance(call.body, list):
            new = _operated(found, call.body)
        else:
            self._must_be(found, call.body.get("metadata") or {})
            new = _merged(found, call.body)
        if new["metadata"].get("uid") != found["metadata"]["uid"]:
            raise _Refused(422, "Invalid", fields=("metadata.uid",))
        kept = {name: each for name, each in found.items() if not _may_write(name, call.subresource)}
        new = {**{name: each for name, each in new.items() if _may_write(name, call.subresource)}, **kept}
        return self._stored(key, updated(found, new, **self._by(call.field_manager, call.subresource)))

    def _deleted(self, key: tuple[str, str, str], found: Manifest, options: Mapping[str, Any]) -> Mapping[str, Any]:
        self._must_be(found, options.get("preconditions") or {})
        if found["metadata"].get("finalizers"):
            found["metadata"].setdefault("deletionTimestamp", self._now())
            found["metadata"]["resourceVersion"] = self._next_version()
        else:
            del self._objects[key]
        return {"kind": "Status", "status": "Success"}

    def _stored(self, key: tuple[str, str, str], new: Manifest) -> Manifest:
        """Keep a new state; nothing moves if it is equal to the old one."""
        old = self._objects.get(key)
        if old is not None:
            _refuse_immutable(key[0], old, new)
            new["metadata"]["resourceVersion"] = old["metadata"]["resourceVersion"]
            if new == old:
                return old
            outside = [{name: each[name] for name in each if name not in {"metadata", "status"}} for each in (old, new)]
            if outside[0] != outside[1] and "generation" in old["metadata"]:
                new["metadata"]["generation"] = old["metadata"]["generation"] + 1
        new["metadata"]["resourceVersion"] = self._next_version()
        if new["metadata"].get("deletionTimestamp") and not new["metadata"].get("finalizers"):
            self._objects.pop(key, None)
        else:
            self._objects[key] = new
        return new

    def _new(self, manifest: Manifest) -> Manifest:
        self._uids += 1
        metadata: dict[str, Any] = {
            # The first part alone tells two objects apart, as in a real uid.
            "uid": f"{self._uids:08x}-0000-4000-8000-000000000000",
            "creationTimestamp": self._now(),
            "resourceVersion": self._next_version(),
        }
        if manifest["kind"] != SECRETS.kind:
            metadata["generation"] = 1
        return {**manifest, "metadata": {**metadata, **manifest["metadata"]}}

    def _must_be(self, found: Manifest, wanted: Mapping[str, Any]) -> None:
        for name in ("uid", "resourceVersion"):
            if wanted.get(name, found["metadata"][name]) != found["metadata"][name]:
                raise _Refused(409, "Conflict", "the object has been modified")

    def _by(self, manager: str, subresource: str = "") -> dict[str, Any]:
        return {"manager": manager, "subresource": subresource, "now": self._now()}

    def _now(self) -> str:
        return self._time.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def _next_version(self) -> str:
        self._version += 1
        return str(self._version)


async def _no_delay(_call: Call) -> None:
    pass


class _MemoryTransport:
    def __init__(self, server: FakeApiServer) -> None:
        self._server = server

    async def send(self, request: Request, deadline: float) -> ApiResponse:
        """See `Transport.send`. The body is copied: what a caller changes later was not sent."""
        sent = replace(request, body=copy.deepcopy(request.body))
        await self._server.delay(_call(sent))
        return self._server.handle(sent)

    def stream(self, request: Request, silence: float) -> AbstractAsyncContextManager[Stream]:
        """See `Transport.stream`."""
        raise NotImplementedError("the fake serves no watch")

    async def aclose(self) -> None:
        """Nothing is open."""


def _call(request: Request) -> Call:
    match = _PATH.fullmatch(request.path)
    if match is None:
        return Call("discovery", request.path)
    group = match["base"].split("/")[2] if match["base"].startswith("/apis/") else ""
    verb = {"GET": "get" if match["name"] else "list", "POST": "create", "PATCH": "patch", "DELETE": "delete"}
    return Call(
        "apply" if request.content_type.startswith("application/apply-patch") else verb[request.method],
        f"{match['plural']}.{group}" if group else match["plural"],
        match["namespace"] or "",
        match["name"] or (request.body["metadata"]["name"] if request.method == "POST" else ""),
        match["subresource"] or "",
        request.body,
        request.query.get("fieldManager", ""),
    )


def _key(label: str, manifest: Manifest) -> tuple[str, str, str]:
    return label, manifest["metadata"].get("namespace") or "", manifest["metadata"]["name"]


def _status(code: int, reason: str, message: str = "", *, causes: Any = ()) -> ApiResponse:
    body = {"kind": "Status", "code": code, "reason": reason, "message": message, "details": {"causes": list(causes)}}
    return ApiResponse(code, json.dumps(body).encode())


def _shown(manifest: Manifest, request: Request) -> Manifest:
    if "PartialObjectMetadata" not in request.accept:
        return manifest
    return {name: each for name, each in manifest.items() if name in {"apiVersion", "kind", "metadata"}}


def _selected(labels: Mapping[str, str], selector: str) -> bool:
    pairs = [part.split("=", 1) for part in selector.split(",") if part]
    return all(labels.get(name.rstrip("=")) == value.lstrip("=") for name, value in pairs)


def _may_write(member: str, subresource: str) -> bool:
    """A write of the status reaches only the status, and any other write everything else."""
    return member in {"apiVersion", "kind", "metadata"} or (member == "status") == (subresource == "status")


def _refuse_immutable(label: str, old: Manifest, new: Manifest) -> None:
    if label != SECRETS.label:
        return
    members = ("type", "data", "immutable") if old.get("immutable") else ("type",)
    for member in members:
        if old.get(member) is not None and old.get(member) != new.get(member):
            raise _Refused(422, "Invalid", fields=(member,))


def _merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, Mapping):
        return copy.deepcopy(patch)
    merged = dict(copy.deepcopy(target)) if isinstance(target, Mapping) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        else:
            merged[name] = _merged(merged.get(name), value)
    return merged


def _operated(manifest: Manifest, operations: list[Mapping[str, Any]]) -> Manifest:
    """RFC 6902, without `move` and `copy`; refused as a whole if an operation cannot be carried out."""
    new = copy.deepcopy(manifest)
    for operation in operations:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        try:
            holder: Any = new
            for part in parents:
                holder = holder[int(part) if isinstance(holder, list) else part]
            _operate(holder, last, operation)
        except (KeyError, IndexError, TypeError, ValueError):
            raise _Refused(422, "Invalid", f"{operation['op']} failed") from None
    return new


def _operate(holder: Any, last: str, operation: Mapping[str, Any]) -> None:
    at: Any = (len(holder) if last == "-" else int(last)) if isinstance(holder, list) else last
    match operation["op"]:
        case "test":
            if holder[at] != operation["value"]:
                raise ValueError(operation["path"])
        case "remove":
            del holder[at]
        case "replace":
            del holder[at]
            _operate(holder, last, {**operation, "op": "add"})
        case "add" if isinstance(holder, list):
            holder.insert(at, copy.deepcopy(operation["value"]))
        case "add":
            holder[at] = copy.deepcopy(operation["value"])
        case other:
            raise ValueError(other)
