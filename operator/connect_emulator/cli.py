"""The command `connect-emulator`: run a server from a description file until SIGTERM."""

import argparse
import asyncio
import json
import os
import signal
import ssl
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from typing_extensions import override

from connect_emulator import logs
from connect_emulator.account.description import DescriptionError
from connect_emulator.knobs import KnobError, parse_assignments
from connect_emulator.server import ConnectEmulator


@dataclass(frozen=True, kw_only=True)
class _Options:
    config: Path
    listen: tuple[str, int]
    admin: tuple[str, int]
    tls_listen: tuple[str, int] | None
    tls: ssl.SSLContext | None
    seed: int
    knobs: dict[str, object]
    token_files: dict[str, Path]
    until_stdin_closes: bool


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the emulator.

    One JSON line on standard output says that it is ready and where; logs go to standard error. Tokens appear only in
    the files that `--token-file` names (mode 600) and through the admin API.

    Returns:
        0 after SIGTERM or SIGINT, 2 for arguments or a description that cannot be used, 1 if a port cannot be had.
    """
    parser = _parser()
    parsed = parser.parse_args(arguments)
    logs.configure(parsed.log_level)
    try:
        asyncio.run(_serve(_options(parsed)))
    except (DescriptionError, KnobError, _UsageError) as error:
        print(f"connect-emulator: {error}", file=sys.stderr)  # noqa: T201 - the one line a user gets
        return 2
    except OSError as error:
        print(f"connect-emulator: {error.strerror or error}", file=sys.stderr)  # noqa: T201 - the same
        return 1
    return 0


class _UsageError(ValueError):
    """An argument that cannot be used."""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="connect-emulator", description="A 1Password Connect server for tests and demos."
    )
    parser.add_argument(
        "--config", required=True, type=Path, metavar="FILE", help="YAML description of vaults and tokens"
    )
    parser.add_argument("--listen", default="127.0.0.1:0", metavar="HOST:PORT", help="the API (default: any port)")
    parser.add_argument(
        "--admin", default="127.0.0.1:0", metavar="HOST:PORT", help="the admin API; keep it on loopback"
    )
    parser.add_argument("--tls-listen", metavar="HOST:PORT", help="also the API with TLS")
    parser.add_argument("--tls-cert", type=Path, metavar="FILE", help="certificate chain in PEM")
    parser.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key in PEM")
    parser.add_argument("--seed", type=int, default=0, help="ids, random values and the signing key follow from it")
    parser.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE", help="change one behaviour")
    parser.add_argument(
        "--token-file", action="append", default=[], metavar="NAME=PATH", help="write a token to a file"
    )
    parser.add_argument(
        "--until-stdin-closes",
        action="store_true",
        help="end when standard input closes, as it does when the parent process dies",
    )
    parser.add_argument("--log-level", default="info", choices=("debug", "info", "warning", "error"))
    return parser


def _options(parsed: argparse.Namespace) -> _Options:
    token_files: dict[str, Path] = {}
    for text in parsed.token_file:
        name, equals, path = text.partition("=")
        if not equals or not name or not path:
            raise _UsageError("--token-file takes NAME=PATH")
        token_files[name] = Path(path)
    tls = None
    if parsed.tls_listen:
        if not parsed.tls_cert or not parsed.tls_key:
            raise _UsageError("--tls-listen needs --tls-cert and --tls-key")
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            tls.load_cert_chain(parsed.tls_cert, parsed.tls_key)
        except (OSError, ssl.SSLError):
            raise _UsageError("the TLS certificate or key cannot be read") from None
    return _Options(
        config=parsed.config,
        listen=_address(parsed.listen),
        admin=_address(parsed.admin),
        tls_listen=_address(parsed.tls_listen) if tls else None,
        tls=tls,
        seed=parsed.seed,
        knobs=parse_assignments(parsed.knob),
        token_files=token_files,
        until_stdin_closes=parsed.until_stdin_closes,
    )


def _address(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise _UsageError(f"an address is HOST:PORT, not {text!r}")
    return host.strip("[]") or "127.0.0.1", int(port)


async def _serve(options: _Options) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    if options.until_stdin_closes:
        await loop.connect_read_pipe(lambda: _EndOfInput(stopped), sys.stdin)
    async with ConnectEmulator.start(
        options.config,
        overrides=options.knobs,
        host=options.listen[0],
        port=options.listen[1],
        admin_host=options.admin[0],
        admin_port=options.admin[1],
        tls=options.tls,
        tls_port=options.tls_listen[1] if options.tls_listen else 0,
        seed=options.seed,
    ) as emulator:
        names = [token.name for token in emulator.authority.tokens()]
        if unknown := sorted(set(options.token_files) - set(names)):
            raise _UsageError(f"--token-file names the token {unknown[0]!r}, which is not described")
        for name, path in options.token_files.items():
            _write_secret(path, emulator.token(name))
        ready: dict[str, object] = {
            "url": emulator.url,
            "admin": emulator.admin_url,
            "tokens": {name: str(options.token_files[name]) if name in options.token_files else None for name in names},
        }
        if emulator.has_tls:
            ready["tls_url"] = emulator.tls_url
        print(json.dumps(ready), flush=True)  # noqa: T201 - the promised line
        logs.SERVER.info("starting 1Password Connect API ...")
        await stopped.wait()


class _EndOfInput(asyncio.Protocol):
    """Sets an event when the input ends."""

    def __init__(self, ended: asyncio.Event) -> None:
        self._ended = ended

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._ended.set()


def _write_secret(path: Path, text: str) -> None:
    """Write `text` so that only the owner can read it, and all at once: a reader never sees half of it."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
    draft.replace(path)


if __name__ == "__main__":
    sys.exit(main())
