"""The objects that are measured: sane ones of both kinds, and what a hostile tenant asks for."""

import random
import string
from collections.abc import Callable, Mapping
from typing import Any

from bench_rig import VAULT

from keyturn.cluster import KEYTURN_SECRETS, ONEPASSWORD_ITEMS, Resource

Body = dict[str, Any]

SANE_ITEM: Mapping[str, Any] = {
    "fields": [
        {"label": "username", "value": "app"},
        {"label": "password", "value": "first"},
        {"label": "server", "value": "db.example.com"},
        {"label": "port", "value": "5432"},
        {"label": "database", "value": "orders"},
    ]
}
"""What both kinds make a Secret of."""

BIG_BYTES = 500_000
_HOLES = 2000
_TEXTS = 64
_TEXT_CHARS = 16 * 1024
_DEPTH = 8
_HASHES = 16
_FILTERS = (
    "trim", "upper", "lower", 'replace("a", "b")', "indent(64)", "json", "urlencode", "shell", "b64encode", "hexencode",
    'basicauth("x")', "sha256",
)  # fmt: skip
_DEAREST = ("json", "urlencode")


def plain(title: str, _: int) -> Body:
    """A OnePasswordItem: every field of an item."""
    return {"spec": {"itemPath": _path(VAULT, title)}}


def shaped(title: str, number: int) -> Body:
    """A KeyturnSecret of five keys and two templates. Each is another, so that nothing is planned once for all of them."""
    keys = {
        "DB_USER": "username",
        "DB_PASSWORD": "password",
        "DB_HOST": "server",
        "DB_PORT": "port",
        "DB_NAME": "database",
    }
    url = 'postgres://{{ username | urlencode }}:{{ password | urlencode }}@{{ server }}:{{ port | default("5432") }}/{{ database }}'
    application = (
        f"spring:\n  application: {{name: app-{number}}}\n  datasource:\n"
        "    url: jdbc:postgresql://{{ server }}/{{ database }}\n"
        "    username: {{ username | json }}\n    password: {{ password | json }}\n"
    )
    templates = {"DATABASE_URL": url, "application.yaml": application}
    return {"spec": {"itemPath": _path(VAULT, title), "keys": keys, "templates": templates}}


KINDS: Mapping[Resource, Callable[[str, int], Body]] = {ONEPASSWORD_ITEMS: plain, KEYTURN_SECRETS: shaped}
"""How an object of each kind is made, of the title of its item and a number."""


def big_item() -> Body:
    """An item whose field is large, and costs every filter work."""
    value = "".join(random.Random(1).choices(string.printable, k=BIG_BYTES))
    return {"fields": [*small_item()["fields"], {"label": "big", "value": value}]}


def small_item() -> Body:
    """An item of one field."""
    return {"fields": [{"label": "password", "value": "first"}]}


def many_holes(tag: str) -> Body:
    """Texts as long as they may be, with as many holes as there may be."""
    holes = "{{ password | upper }}" * (_HOLES // _TEXTS)
    text = f"{holes}{tag}".ljust(_TEXT_CHARS, "x")
    return {"templates": {f"t{number}": text for number in range(_TEXTS)}}


def chain(tag: str) -> Body:
    """Keys of keys, as deep as they may be, which grow as fast as they can, and go through filters."""
    templates = {"k0": "{{ password }}" * 20 + tag}
    for depth in range(1, _DEPTH):
        templates[f"k{depth}"] = f"{{{{ @k{depth - 1} }}}}" * 3
    templates[f"k{_DEPTH}"] = f"{{{{ @k{_DEPTH - 1} | json | urlencode | sha256 }}}}" * 200
    return {"templates": templates}


def fan_out(tag: str) -> Body:
    """Many keys that are all made of one."""
    fans = {f"f{number}": f"@source | {_FILTERS[number % len(_FILTERS)]} | sha256" for number in range(200)}
    return {"keys": fans, "templates": {"source": "{{ password }}" * 1000 + tag}}


def every_filter(tag: str) -> Body:
    """A large field through every filter, and through the dearest ones again and again."""
    holes = "".join(f'{{{{ big | replace(":", "") | {each} | sha256 }}}}' for each in _FILTERS)
    again = "".join(f"{{{{ big | {_DEAREST[number % 2]} | sha256 }}}}" for number in range(20))
    return {"templates": {"each": holes + tag, "again": again}}


def hashes(tag: str) -> Body:
    """As many password hashes as there may be, of bytes that are new each time."""
    return {"keys": {f"h{number}": "password | bcrypt" for number in range(_HASHES)}, "templates": {"tag": tag}}


HOSTILE: tuple[tuple[Callable[[str], Body], Callable[[], Body]], ...] = (
    (many_holes, small_item),
    (chain, small_item),
    (fan_out, small_item),
    (every_filter, big_item),
    (hashes, small_item),
)
"""What a hostile tenant's objects ask for, of the text that they hold, and the item that each is made of."""


def hostile(vault: str, title: str, number: int, tag: str = "") -> Body:
    """A hostile KeyturnSecret.

    Args:
        vault: of its item.
        title: of its item.
        number: each is of another kind than the one before.
        tag: a text that it holds; with another one, it is another shape.
    """
    shape, _ = HOSTILE[number % len(HOSTILE)]
    return {"spec": {"itemPath": _path(vault, title), **shape(tag)}}


def _path(vault: str, title: str) -> str:
    return f"vaults/{vault}/items/{title}"
