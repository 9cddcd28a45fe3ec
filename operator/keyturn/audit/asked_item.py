"""The item that a command is asked about: a path, or a secret reference, and the cluster that knows its ids."""

from __future__ import annotations

import argparse
from typing import Final
from urllib.parse import unquote

from keyturn.audit.objects import FoundObjects, find_objects
from keyturn.audit.usage import Mistake, say
from keyturn.base.text import enumerated
from keyturn.core.paths import BadPath, ItemPath, parse_item_path

_SCHEME: Final = "op://"


def add_cluster_flags(parser: argparse.ArgumentParser) -> None:
    """The flags that choose a cluster."""
    parser.add_argument("--kubeconfig", metavar="FILE", default="", help="default: as for kubectl")
    parser.add_argument(
        "-n",
        "--namespace",
        metavar="NAME",
        action="append",
        default=[],
        help="look only into this namespace; may be given several times (default: all)",
    )


def asked_path(text: str) -> str:
    """The path of an item from `vaults/<vault>/items/<item>` or `op://<vault>/<item>[/...]`.

    Raises:
        Mistake: the text is neither.
    """
    try:
        if text.startswith(_SCHEME):
            path, _, _ = text.removeprefix(_SCHEME).partition("?")
            vault, item, *_ = (*map(unquote, path.split("/")), "")
            return str(parse_item_path(str(ItemPath(vault, item))))
        return str(parse_item_path(text))
    except BadPath as error:
        raise Mistake(str(error)) from None


def look_around(path: str, flags: argparse.Namespace, *, with_rbac: bool) -> tuple[FoundObjects, tuple[str, ...]]:
    """The objects of the cluster, and the paths by ids that the item has there.

    What could not be listed, and that a title means several items, is printed.

    Args:
        path: of the item.
        flags: of `add_cluster_flags`.
        with_rbac: whether the objects of RBAC are needed.

    Raises:
        Mistake: the cluster cannot be asked.
    """
    found = find_objects(kubeconfig=flags.kubeconfig, namespaces=flags.namespace, with_rbac=with_rbac)
    for each in found.unknown:
        say(f"the answer is not whole: {each}")
    ids = found.items.ids_of(path)
    if len(ids) > 1:
        say(f"this path means several items: {enumerated(ids)}; name one of them to see it alone")
    return found, ids
