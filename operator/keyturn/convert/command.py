"""The command `keyturn convert`: its flags, its files, and what it prints."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NoReturn

from keyturn.base.text import one_line, shorten
from keyturn.convert.errors import BadInput, BadUsage, NotConvertible
from keyturn.convert.external_secrets import EXTERNAL_GROUP, convert_external_secret
from keyturn.convert.manifests import Document, read_documents
from keyturn.convert.onepassword_items import convert_onepassword_item
from keyturn.convert.outputs import Converted, item_path
from keyturn.convert.writing import write_anything, write_manifest
from keyturn.core import names
from keyturn.core.paths import BadPath, parse_item_path

_EXTERNAL_SECRET, _ONEPASSWORD_ITEM = "externalsecret", "onepassworditem"

_DESCRIPTION: Final = """\
Print each ExternalSecret and OnePasswordItem as the KeyturnSecret that makes the same Secret. It asks no cluster and no vault.
"""
_EPILOG: Final = """\
exit codes:
  0  everything was converted
  1  some object uses what a KeyturnSecret cannot say; it is left out, and a line on standard error says what and where
  2  a mistake in the command, or a file or document that cannot be read
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise BadUsage(message)


def convert_parser() -> argparse.ArgumentParser:
    """The flags of `keyturn convert`."""
    parser = _Parser(
        prog="keyturn convert",
        allow_abbrev=False,
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--vault",
        metavar="NAME",
        help="the vault of all items, which an ExternalSecret does not name; without it, the output has `# TODO vault` there",
    )
    parser.add_argument("--all", action="store_true", help="also print all other objects, unchanged")
    parser.add_argument(
        "--from",
        dest="kind",
        choices=(_EXTERNAL_SECRET, _ONEPASSWORD_ITEM),
        help="convert only this kind (default: both)",
    )
    parser.add_argument("files", metavar="FILE", nargs="*", help="YAML or JSON; `-`, or no file: standard input")
    return parser


def convert(arguments: Sequence[str]) -> int:
    """Run the command.

    Returns:
        The exit code, as the help explains it.
    """
    try:
        flags = convert_parser().parse_args(arguments)
        if flags.vault is not None and not _is_vault(flags.vault):
            raise BadUsage("argument --vault: this is no name of a vault")
    except BadUsage as error:
        sys.stderr.write(f"keyturn: {one_line(str(error))}\n")
        return 2
    run = _Run(vault=flags.vault, kind=flags.kind, everything=flags.all)
    try:
        for file in flags.files or ["-"]:
            run.convert(file)
        return run.conclude()
    except BrokenPipeError:
        # The reader has seen enough. Nothing more can be flushed at the end of the process.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _is_vault(name: str) -> bool:
    """Whether a path with this vault means an item of this vault."""
    try:
        return name.isprintable() and parse_item_path(item_path(name, "item")).vault == name
    except BadPath:
        return False


@dataclass(slots=True)
class _Run:
    """One run over all files.

    Attributes:
        vault: of all items; None if it is not known.
        kind: the only kind that is converted; None for both.
        everything: whether other objects are printed, too.
        code: the exit code so far.
        found: how many objects of the kinds were there.
        printed: how many documents were printed.
    """

    vault: str | None
    kind: str | None
    everything: bool
    code: int = 0
    found: int = field(default=0)
    printed: int = field(default=0)

    def convert(self, file: str) -> None:
        """Convert one file, or standard input if its name is `-`."""
        name = "standard input" if file == "-" else file
        try:
            raw = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        except (OSError, ValueError) as error:
            self._fails(2, name, f"cannot be read: {getattr(error, 'strerror', None) or 'no name of a file'}")
            return
        for document in read_documents(raw):
            if isinstance(document, BadInput):
                self._fails(2, name, str(document))
            else:
                self._print(name, document)

    def conclude(self) -> int:
        """The exit code, once all files are done."""
        sys.stdout.flush()
        if not self.found and not self.code:
            self._says("there is nothing to convert")
        return self.code

    def _print(self, file: str, document: Document) -> None:
        wanted = [self._kind_of(each) for each in document.objects]
        if not any(wanted):
            if self.everything:
                self._write(document.text)
            return
        for each, kind in zip(document.objects, wanted, strict=True):
            if kind:
                self._write_converted(f"{file}: document {document.number}: {_title(each)}", each, kind)
            elif self.everything:
                self._write(write_anything(each))

    def _kind_of(self, manifest: Mapping[str, Any]) -> str:
        """The kind of an object that is to be converted; empty for all else."""
        kind = ""
        match manifest:
            case {"kind": "ExternalSecret", "apiVersion": str(version)} if version.startswith(f"{EXTERNAL_GROUP}/"):
                kind = _EXTERNAL_SECRET
            case {"kind": names.KIND, "apiVersion": names.API_VERSION}:
                kind = _ONEPASSWORD_ITEM
        return kind if self.kind in {None, kind} else ""

    def _write_converted(self, where: str, manifest: Mapping[str, Any], kind: str) -> None:
        self.found += 1
        try:
            converted = self._converted(manifest, kind)
        except NotConvertible as error:
            self._fails(1, where, str(error))
            return
        self._write(write_manifest(converted.manifest))
        for note in converted.notes:
            self._says(f"{where}: note: {note}")

    def _converted(self, manifest: Mapping[str, Any], kind: str) -> Converted:
        if kind == _EXTERNAL_SECRET:
            return convert_external_secret(manifest, self.vault)
        return convert_onepassword_item(manifest)

    def _write(self, document: str) -> None:
        separator = "---\n" if self.printed else ""
        self.printed += 1
        ended = document if document.endswith("\n") else f"{document}\n"
        # Of bytes, so that no locale decides about letters.
        sys.stdout.buffer.write(f"{separator}{ended}".encode("utf-8", "surrogatepass"))

    def _fails(self, code: int, where: str, why: str) -> None:
        self.code = max(self.code, code)
        self._says(f"{where}: {why}")

    def _says(self, text: str) -> None:
        sys.stderr.write(f"keyturn: {one_line(text)}\n")


def _title(manifest: Mapping[str, Any]) -> str:
    """An object as messages name it: kind, namespace and name."""
    metadata = manifest.get("metadata")
    parts = [metadata.get(part) for part in ("namespace", "name")] if isinstance(metadata, dict) else []
    name = "/".join(shorten(part, 253) for part in parts if isinstance(part, str) and part)
    return f"{manifest['kind']} {name}" if name else f"{manifest['kind']} without a name"
