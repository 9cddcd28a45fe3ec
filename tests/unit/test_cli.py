"""The commands, as far as they end without any network."""

import os

import pytest

from keyturn.cli import USAGE, run_command


@pytest.mark.parametrize("arguments", [["run"], ["run", "--log-level=debug"], ["run", "--help"]])
def test_run_says_that_the_operator_has_another_command_now(arguments, capsys):
    """Whoever started `keyturn run` from a script reads in one line what to write instead."""
    assert run_command(arguments) == 2

    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert "keyturn operator" in err


@pytest.mark.parametrize("arguments", [[], ["operate"], ["Operator"]])
def test_an_unknown_command_is_answered_with_the_usage(arguments, capsys):
    """On the error stream, with the exit code of a mistake."""
    assert run_command(arguments) == 2
    assert capsys.readouterr().err == USAGE


def test_the_usage_can_be_asked_for(capsys):
    """Then it is the answer, and no mistake."""
    assert run_command(["--help"]) == 0
    assert capsys.readouterr().out == USAGE


def test_a_mistake_in_the_settings_is_one_line(monkeypatch, capsys):
    """Nothing is started."""
    for name in [name for name in os.environ if name.startswith(("OP_", "KEYTURN_"))]:
        monkeypatch.delenv(name)

    assert run_command(["operator"]) == 2
    assert capsys.readouterr().err == "keyturn: OP_CONNECT_HOST is not set; it is the base URL of the Connect server\n"
