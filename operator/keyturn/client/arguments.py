"""The grammar of the client's commands."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from keyturn.client.client_settings import add_settings
from keyturn.client.failures import Misuse

_EXIT_CODES = """\
exit codes: 0 success; 1 the output cannot be written, or the answer is no broker's; 2 a mistake in the command, in a setting,
a template or a reference; 3 no token, or it is not accepted; 4 not there, not granted, or ambiguous; 5 the broker or the vault
cannot answer now; 130 interrupted. `keyturn run` ends with the exit code of its command, with 128 and the number of a signal
that ended it, with 127 if there is no such program and 126 if it is none, and with 125 for everything else.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose mistakes are ours."""

    def error(self, message: str) -> NoReturn:
        """A mistake in the command line."""
        raise Misuse(f"{message}; {self.prog} --help explains the command")


def client_parser() -> argparse.ArgumentParser:
    """The parser of the client's commands, without what follows `--`."""
    parser = _Parser(
        prog="keyturn", description="Reads what grants give to this identity.", epilog=_EXIT_CODES, allow_abbrev=False
    )
    parser.add_argument("--version", action="store_true", help="print the version, and end")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")

    def command(name: str, help_text: str, usage: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name,
            help=help_text,
            description=help_text[0].upper() + help_text[1:] + ".",
            usage=f"keyturn {name} {usage}",
            epilog=_EXIT_CODES,
            allow_abbrev=False,
        )
        add_settings(made)
        return made

    read = command("read", "print one value", "[flags] op://VAULT/ITEM/[SECTION/]FIELD")
    read.add_argument("reference", help="what to read")
    read.add_argument("-n", "--no-newline", action="store_true", help="do not print a line break after the text")
    _add_output(read)
    _add_mask(read)

    run = command("run", "run a command with values in its environment", "[flags] -- COMMAND [ARGUMENT ...]")
    run.add_argument("--env-file", action="append", default=[], metavar="FILE", help="variables, as NAME=op://...")
    run.add_argument(
        "--file",
        action="append",
        default=[],
        metavar="NAME=REFERENCE",
        help="put the value into a file in memory, and its path into this variable",
    )
    run.add_argument("--no-masking", action="store_true", help="do not hide values in what the command prints")
    _add_mask(run)

    inject = command("inject", "fill a template with values", "[flags]")
    inject.add_argument("-i", "--in-file", metavar="FILE", help="the template, if it is not the standard input")
    _add_output(inject)

    items = command("items", "list the items that can be read or used", "[flags] [QUERY]")
    items.add_argument("query", nargs="?", default="", help="words that the titles hold")
    items.add_argument("--url", default="", help="only those for this website")
    _add_json(items)
    _add_json(command("sync", "look for changes in the vaults now", "[flags]"))
    _add_json(command("grants", "list the grants of this identity", "[flags]"))
    return parser


def split_command(words: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before and after the first `--`."""
    if "--" not in words:
        return list(words), []
    at = list(words).index("--")
    return list(words[:at]), list(words[at + 1 :])


def _add_output(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--out-file", metavar="FILE", help="write a file, if not the standard output")
    parser.add_argument("--file-mode", default="0600", metavar="MODE", help="the permissions of that file (0600)")
    parser.add_argument("-f", "--force", action="store_true", help="replace that file if it is there already")


def _add_mask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--add-mask",
        action="store_true",
        help="in GitHub Actions: have the log of this job hide the values from now on",
    )


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print the answer for programs")
