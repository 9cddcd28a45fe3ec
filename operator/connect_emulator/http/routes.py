"""Which route a request means, by its path alone."""

from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A route's template (as in the request log and fault rules) and the ids in the path, decoded.

    `guarded` says whether the path is below `/v1`, which answers nothing without a token.
    """

    template: str
    guarded: bool = True
    vault: str = ""
    item: str = ""
    file: str = ""


METHODS = {
    "/heartbeat": frozenset({"GET"}),
    "/health": frozenset({"GET"}),
    "/metrics": frozenset({"GET"}),
    "/v1/activity": frozenset({"GET"}),
    "/v1/vaults": frozenset({"GET"}),
    "/v1/vaults/{vault}": frozenset({"GET"}),
    "/v1/vaults/{vault}/items": frozenset({"GET", "POST"}),
    "/v1/vaults/{vault}/items/{item}": frozenset({"GET", "PUT", "PATCH", "DELETE"}),
    "/v1/vaults/{vault}/items/{item}/files": frozenset({"GET"}),
    "/v1/vaults/{vault}/items/{item}/files/{file}": frozenset({"GET"}),
    "/v1/vaults/{vault}/items/{item}/files/{file}/content": frozenset({"GET"}),
}
"""The methods of each route."""

_PLAIN = frozenset(template for template in METHODS if "{" not in template)
_BY_LENGTH = {
    2: "/v1/vaults",
    3: "/v1/vaults/{vault}",
    4: "/v1/vaults/{vault}/items",
    5: "/v1/vaults/{vault}/items/{item}",
    6: "/v1/vaults/{vault}/items/{item}/files",
    7: "/v1/vaults/{vault}/items/{item}/files/{file}",
    8: "/v1/vaults/{vault}/items/{item}/files/{file}/content",
}
_FIXED = {3: "items", 5: "files", 7: "content"}


def find(path: str) -> Route:
    """The route of a raw path. One trailing slash changes nothing (the JavaScript client sends it)."""
    segments = [unquote(segment) for segment in path.split("/")[1:]]
    if segments and not segments[-1]:
        segments.pop()
    joined = "/" + "/".join(segments)
    if joined in _PLAIN:
        return Route(template=joined, guarded=segments[0] == "v1")
    template = _BY_LENGTH.get(len(segments))
    if (
        template is None
        or segments[:2] != ["v1", "vaults"]
        or not all(segments)
        or any(len(segments) > place and segments[place] != word for place, word in _FIXED.items())
    ):
        return Route(template=UNKNOWN, guarded=segments[:1] == ["v1"])
    vault, item, file = (segments[place] if len(segments) > place else "" for place in (2, 4, 6))
    return Route(template=template, vault=vault, item=item, file=file)


def query(text: str) -> dict[str, str]:
    """The query's parameters, the first of each; `+` and `%20` are both spaces.

    Raises:
        ValueError: bytes that are not UTF-8.
    """
    found: dict[str, str] = {}
    for name, value in parse_qsl(text, keep_blank_values=True, errors="strict"):
        found.setdefault(name, value)
    return found
