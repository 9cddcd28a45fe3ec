"""What the flags of the official operator mean here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NamedTuple

from keyturn.core.restarts import parse_switch

_ZAP_LEVELS = {"debug": "debug", "info": "info", "error": "error", "panic": "error"}

_PLAIN = "metrics are served over plain HTTP: restrict who reaches them with a NetworkPolicy"

# Flags that change nothing here, and what to do instead. A switch is worth a warning only if it switches something on.
_UNUSED = {
    "--metrics-cert-path": _PLAIN,
    "--metrics-cert-name": _PLAIN,
    "--metrics-cert-key": _PLAIN,
    "--zap-stacktrace-level": "no stack trace is logged; a defect is logged by its type and place",
    "--zap-time-encoding": "times are always logged in RFC 3339",
}
_UNUSED_SWITCHES = {
    "--metrics-secure": _PLAIN,
    "--enable-http2": "health and metrics are served over HTTP/1.1",
    "--zap-devel": "use --log-level=debug and --log-format=console instead",
}


def with_two_dashes(arguments: Sequence[str]) -> list[str]:
    """The arguments, each flag spelt `--flag`: the official operator is written in Go, where `-flag` means the same."""
    return [f"-{word}" if word[:1] == "-" and word[1:2].isalpha() and len(word) > 2 else word for word in arguments]


def switch(text: str) -> bool:
    """The value of a flag that is `--flag`, `--flag=true` or `--flag=false`.

    Raises:
        argparse.ArgumentTypeError: it is not a spelling of true or false.
    """
    value = parse_switch(text)
    if value is None:
        raise argparse.ArgumentTypeError(f"{text!r} must be true or false")
    return value


def add_official_flags(parser: argparse.ArgumentParser) -> None:
    """Accept the official operator's flags that have another name here, or no meaning; `--help` does not show them."""
    # Two flags for one setting: if this one is absent, it must not overwrite the other.
    hidden, absent = argparse.SUPPRESS, argparse.SUPPRESS
    parser.add_argument("--zap-log-level", dest="log_level", type=_zap_level, default=absent, help=hidden)
    parser.add_argument("--zap-encoder", dest="log_format", choices=("console", "json"), default=absent, help=hidden)
    for flag in _UNUSED:
        parser.add_argument(flag, help=hidden)
    for flag in _UNUSED_SWITCHES:
        parser.add_argument(flag, type=switch, nargs="?", const=True, help=hidden)


class UnusedFlag(NamedTuple):
    """A flag of the official operator that was given and changes nothing here, and what to know instead."""

    flag: str
    instead: str


def unused(flags: argparse.Namespace) -> tuple[UnusedFlag, ...]:
    """The flags that were given and change nothing."""
    given = vars(flags)

    def value(flag: str) -> object:
        return given[flag.removeprefix("--").replace("-", "_")]

    found = [UnusedFlag(*entry) for entry in _UNUSED.items() if value(entry[0]) is not None]
    found += [UnusedFlag(*entry) for entry in _UNUSED_SWITCHES.items() if value(entry[0])]
    return tuple(found)


def _zap_level(text: str) -> str:
    """A level of the official operator's logger as one of Keyturn's; its whole numbers are more and more verbose debug levels."""
    if text.isascii() and text.isdecimal() and int(text) > 0:
        return "debug"
    try:
        return _ZAP_LEVELS[text.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{text!r} must be debug, info, error, panic or a whole number") from None
