"""The client's commands, from their words to their exit code."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from http.client import HTTPConnection
from pathlib import Path

from keyturn.client.arguments import client_parser, split_command
from keyturn.client.broker import BrokerClient, connection_to
from keyturn.client.child import CommandNotStarted, run_child
from keyturn.client.client_settings import BrokerAddress, broker_address, caller_token
from keyturn.client.dotenv import read_env_file
from keyturn.client.failures import INTERRUPTED, RUN_FAILED, ClientError, Misuse, NotNow
from keyturn.client.listings import as_json, grants_table, items_table, sync_errors, sync_line
from keyturn.client.masking import ValueForms
from keyturn.client.op_syntax import check_reference, is_reference, shown_text
from keyturn.client.private_files import ValueFiles, usual_folders, write_private
from keyturn.client.template import ValueTemplate, read_template, read_value

_STANDARD_INPUT = "the standard input"


def run_client(
    arguments: Sequence[str],
    *,
    version: str,
    connect: Callable[[BrokerAddress], HTTPConnection] = connection_to,
) -> int:
    """Run one of the client's commands.

    Args:
        arguments: the words after `keyturn`.
        version: our own version.
        connect: opens a connection to the broker.

    Returns:
        The exit code.
    """
    try:
        return _perform(arguments, version, connect)
    except CommandNotStarted as error:
        sys.stderr.write(f"keyturn: {error}\n")
        return error.exit_code
    except ClientError as error:
        sys.stderr.write(f"keyturn: {error}\n")
        return RUN_FAILED if arguments[:1] == ["run"] else error.exit_code
    except BrokenPipeError:
        # Nobody reads any more. Python would say so once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1
    except KeyboardInterrupt:
        return INTERRUPTED


def _perform(arguments: Sequence[str], version: str, connect: Callable[[BrokerAddress], HTTPConnection]) -> int:
    flags, command = _parsed(arguments)
    if flags.version:
        sys.stdout.write(f"keyturn {version}\n")
        return 0
    address, token = broker_address(flags, os.environ), caller_token(flags, os.environ)
    broker = BrokerClient(address, token.read, version, connect=connect)
    if flags.command == "run":
        return _run(flags, command, os.environ, broker)
    _COMMANDS[flags.command](flags, os.environ, broker)
    sys.stdout.flush()
    return 0


def _parsed(arguments: Sequence[str]) -> tuple[argparse.Namespace, list[str]]:
    """The flags, and the command of `keyturn run`."""
    words, command = split_command(arguments)
    if words[:1] == ["run"] and not command and not {"-h", "--help"} & set(words):
        raise Misuse(
            "there is no command: keyturn run [flags] -- COMMAND [ARGUMENT ...]; the operator is started by `keyturn operator`"
        )
    flags = client_parser().parse_args(words)
    if flags.command is None and not flags.version:
        raise Misuse("there is no command; keyturn --help lists them")
    if command and flags.command != "run":
        raise Misuse(f"only keyturn run takes a command after --, keyturn {flags.command} does not")
    return flags, command


def _read(flags: argparse.Namespace, environment: Mapping[str, str], broker: BrokerClient) -> None:
    check_reference(flags.reference)
    _check_add_mask(flags, environment)
    mode = _mode(flags.file_mode)
    value = broker.resolve([flags.reference])[flags.reference]
    if flags.add_mask:
        _add_masks([value.data])
    # For a person or a script that reads lines; a file is to have the bytes of the value.
    adds_line = value.is_text and not (flags.no_newline or flags.out_file or value.data.endswith(b"\n"))
    _write(flags, mode, value.data + b"\n" if adds_line else value.data)


def _inject(flags: argparse.Namespace, environment: Mapping[str, str], broker: BrokerClient) -> None:
    mode = _mode(flags.file_mode)
    where = flags.in_file or _STANDARD_INPUT
    template = read_template(_text_of(flags.in_file), environment, where=where)
    values = broker.resolve(template.references) if template.references else {}
    _write(flags, mode, template.fill({name: value.data for name, value in values.items()}))


def _items(flags: argparse.Namespace, _environment: Mapping[str, str], broker: BrokerClient) -> None:
    answer = broker.items(url=flags.url, query=flags.query)
    sys.stdout.write(as_json(answer) if flags.json else items_table(answer))


def _grants(flags: argparse.Namespace, _environment: Mapping[str, str], broker: BrokerClient) -> None:
    answer = broker.grants()
    sys.stdout.write(as_json(answer) if flags.json else grants_table(answer))


def _sync(flags: argparse.Namespace, _environment: Mapping[str, str], broker: BrokerClient) -> None:
    answer = broker.sync()
    sys.stdout.write(as_json(answer) if flags.json else sync_line(answer))
    errors = sync_errors(answer)
    if errors:
        sys.stdout.flush()
        raise NotNow(f"not all connections could be looked at: {'; '.join(errors)}")


_COMMANDS: dict[str, Callable[[argparse.Namespace, Mapping[str, str], BrokerClient], None]] = {
    "read": _read,
    "inject": _inject,
    "items": _items,
    "sync": _sync,
    "grants": _grants,
}


def _run(
    flags: argparse.Namespace, command: Sequence[str], environment: Mapping[str, str], broker: BrokerClient
) -> int:
    _check_add_mask(flags, environment)
    variables = _variables(flags.env_file, environment)
    files = _files(flags.file)
    templates = [*variables.values(), *files.values()]
    wanted = [reference for each in templates for reference in each.references]
    values = {name: value.data for name, value in (broker.resolve(wanted) if wanted else {}).items()}
    filled = {name: _for_environment(name, each.fill(values)) for name, each in variables.items()}
    if flags.add_mask:
        _add_masks(values.values())
    forms = None if flags.no_masking or not values else ValueForms.of_values(values.values())
    made = ValueFiles(usual_folders(environment)) if files else None
    try:
        if made is not None:
            filled.update({name: str(made.add(name, each.fill(values))) for name, each in files.items()})
        return run_child(command, {**environment, **filled}, forms)
    finally:
        if made is not None:
            made.remove()


def _variables(env_files: Iterable[str], environment: Mapping[str, str]) -> dict[str, ValueTemplate]:
    """The variables that the command gets beside ours: those of files, and ours that are references."""
    found = {
        name: read_value(text, where=f"the variable {name}") for name, text in environment.items() if is_reference(text)
    }
    for path in env_files:
        for name, text in read_env_file(_text_of(path), environment, where=path).items():
            found[name] = read_value(text, where=f"{path}, {name}")
    return found


def _files(wanted: Iterable[str]) -> dict[str, ValueTemplate]:
    """The files that the command gets, by their variables."""
    found = {}
    for each in wanted:
        name, equals, reference = each.partition("=")
        if not equals or not name.isidentifier() or not name.isascii():
            raise Misuse(f"--file must be NAME=REFERENCE, and the path goes into the variable NAME: {shown_text(each)}")
        check_reference(reference)
        found[name] = ValueTemplate(("", reference, ""))
    return found


def _for_environment(name: str, value: bytes) -> str:
    if b"\0" in value:
        raise Misuse(f"the value for {name} cannot be a variable, because it has a byte 0: use --file {name}=REFERENCE")
    return os.fsdecode(value)


def _text_of(path: str | None) -> str:
    """The text of a file or of the standard input."""
    try:
        data = Path(path).read_bytes() if path else sys.stdin.buffer.read()
    except OSError as error:
        raise Misuse(f"cannot read {path or _STANDARD_INPUT}: {error.strerror}") from None
    return data.decode("utf-8", "surrogateescape")


def _mode(text: str) -> int:
    digits = text.removeprefix("0o")
    if not 3 <= len(digits) <= 4 or set(digits) - set("01234567"):
        raise Misuse(f"--file-mode must be permissions in octal digits, such as 0600: {shown_text(text)}")
    return int(digits, 8)


def _write(flags: argparse.Namespace, mode: int, data: bytes) -> None:
    """Write the output of a command."""
    if flags.out_file:
        write_private(Path(flags.out_file), data, mode=mode, replace=flags.force)
        return
    try:
        sys.stdout.buffer.write(data)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ClientError(f"cannot write the standard output: {error.strerror}") from None


def _check_add_mask(flags: argparse.Namespace, environment: Mapping[str, str]) -> None:
    if flags.add_mask and environment.get("GITHUB_ACTIONS") != "true":
        raise Misuse("--add-mask is for GitHub Actions; anywhere else it would print the values into the log")


def _add_masks(values: Iterable[bytes]) -> None:
    """Have the runner of GitHub Actions hide these values. It reads such lines from both outputs, and does not show them."""
    for value in values:
        for line in value.decode("utf-8", "replace").splitlines():
            if line.strip():
                sys.stderr.write(f"::add-mask::{line.replace('%', '%25')}\n")
    sys.stderr.flush()
