"""`keyturn who-can ITEM`: everybody who could get at an item, by the objects of the cluster as they are now."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from typing import Final

from keyturn.audit.asked_item import add_cluster_flags, asked_path, look_around
from keyturn.audit.usage import NOT_WHOLE, WHOLE, guarded, new_parser, print_line, print_table, say
from keyturn.base.time import Time
from keyturn.core.item_readers import ItemReader

_DESCRIPTION: Final = """\
Print everybody who could get at an item: by AccessGrants, through the broker; and by RBAC, from the Secrets that hold the item.
It reads objects alone: no vault, and no data of a Secret.

ITEM is a path, vaults/<vault>/items/<item>, by titles or ids, or a secret reference, op://<vault>/<item>.
"""
_EPILOG: Final = """\
It does not name who could get there by a detour: whoever may start pods in the namespace of a Secret, act as somebody else, or write
AccessGrants or bindings.

exit codes:
  0  the answer is whole
  1  some objects may not be listed, so that the answer may lack somebody; standard error says which
  2  a mistake in the command, or the cluster cannot be asked
"""
_HEAD: Final = ("WHO", "MAY", "FIELDS", "THROUGH", "BY", "LIMITS")


def who_can_parser() -> argparse.ArgumentParser:
    """The flags of `keyturn who-can`."""
    parser = new_parser("who-can", description=_DESCRIPTION, epilog=_EPILOG)
    add_cluster_flags(parser)
    parser.add_argument("-o", "--output", choices=("table", "json"), default="table", help="json: one object per line")
    parser.add_argument("item", metavar="ITEM")
    return parser


def who_can(arguments: Sequence[str]) -> int:
    """Run the command. Returns the exit code, as its help explains it."""
    return guarded(_who_can, arguments)


def _who_can(arguments: Sequence[str]) -> int:
    flags = who_can_parser().parse_args(arguments)
    path = asked_path(flags.item)
    found, _ = look_around(path, flags, with_rbac=True)
    readers = list(found.items.readers(path, found.rights, now=Time().now()))
    if flags.output == "json":
        for reader in readers:
            print_line(json.dumps(_object(reader)))
    else:
        print_table(_HEAD, [_row(reader) for reader in readers])
    if not readers:
        say("nobody: no AccessGrant that is valid now names this item, and no Secret that anybody may read holds it")
    return NOT_WHOLE if found.unknown else WHOLE


def _row(reader: ItemReader) -> tuple[str, ...]:
    actions, fields = ", ".join(reader.actions), ", ".join(reader.fields) or "*"
    return (reader.who, actions, fields, reader.through, reader.by, reader.limits)


def _object(reader: ItemReader) -> dict[str, object]:
    return {
        "who": reader.who,
        "may": reader.actions,
        "fields": reader.fields or ("*",),
        "through": reader.through,
        "by": reader.by or None,
        "limits": reader.limits or None,
    }
