"""How a command of the client fails: one tree of errors, each with the exit code that scripts see."""

from __future__ import annotations


class ClientError(Exception):
    """A command cannot do what was asked; the message is one line, without any value.

    Attributes:
        exit_code: what `keyturn` ends with, except `keyturn run`, which ends with `RUN_FAILED` for each of these.
    """

    exit_code = 1


class Misuse(ClientError):
    """The command, its settings, a template or a reference is wrong; it fails again until somebody changes it."""

    exit_code = 2


class NotIdentified(ClientError):
    """There is no token, or the broker does not accept it."""

    exit_code = 3


class NotGiven(ClientError):
    """The broker gives nothing: it is not there, not granted, or named by more than one item."""

    exit_code = 4


class NotNow(ClientError):
    """The broker or the vault cannot answer at present; the same command may work later.

    Attributes:
        may_pass: whether it may end by itself, so that asking again in a moment makes sense.
        after: seconds after which the broker wants to be asked again; 0 if it did not say.
    """

    exit_code = 5

    def __init__(self, message: str, *, may_pass: bool = True, after: float = 0.0) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.after = after


class ImplausibleAnswer(ClientError):
    """What answers is no broker, or one that this client does not understand."""


INTERRUPTED = 130
"""The exit code after Ctrl-C."""

RUN_FAILED = 125
"""The exit code of `keyturn run` if the command was never started, because the command itself may end with any other."""

CANNOT_RUN, COMMAND_NOT_FOUND = 126, 127
"""The exit codes of `keyturn run` if the command is no program, and if there is none of that name; as shells have them."""
