"""The commands, as far as they end without any network."""

import asyncio
import os

import pytest

from keyturn.cli import USAGE, run_command


@pytest.mark.parametrize(
    ("arguments", "mistake"),
    [
        ([], "there is no command"),
        (["xyz"], "'xyz' is not a command"),
        (["raed"], "'raed' is not a command; did you mean read?"),
        (["operatr"], "'operatr' is not a command; did you mean operator?"),
        (["covnert"], "'covnert' is not a command; did you mean convert?"),
        (["Operator"], "'Operator' is not a command; did you mean operator?"),
        (["a\nb"], "'a\\\\nb' is not a command"),
    ],
)
def test_an_unknown_command_is_named_before_the_usage(arguments, mistake, capsys):
    """On the error stream, with the exit code of a mistake."""
    assert run_command(arguments) == 2
    assert capsys.readouterr().err == f"keyturn: {mistake}\n{USAGE}"


@pytest.fixture(autouse=True)
def only_variables_of_the_test(monkeypatch):
    """A variable of whoever runs the tests is no setting of the operator."""
    for name in [name for name in os.environ if name.startswith(("OP_", "KEYTURN_"))]:
        monkeypatch.delenv(name)


@pytest.mark.parametrize("early", [True, False])
def test_the_end_is_a_line_of_the_log(monkeypatch, capsys, early):
    """Otherwise the log just stops, as after a crash."""

    async def end(_settings):
        if early:
            raise asyncio.CancelledError

    monkeypatch.setattr("keyturn.cli.run", end)
    monkeypatch.setenv("OP_CONNECT_HOST", "http://c")
    monkeypatch.setenv("OP_CONNECT_TOKEN", "t")

    assert run_command(["operator"]) == 0
    assert capsys.readouterr().err.endswith("Keyturn has ended, because it received a signal\n")


def test_an_unknown_variable_of_connect_is_a_line_of_the_log(monkeypatch, capsys):
    """The operator starts all the same."""

    async def nothing(_settings):
        pass

    monkeypatch.setattr("keyturn.cli.run", nothing)
    for name, value in {"OP_CONNECT_HOST": "http://c", "OP_CONNECT_TOKEN": "t", "OP_CONNECT_HOSTS": "canary"}.items():
        monkeypatch.setenv(name, value)

    assert run_command(["operator"]) == 0
    err = capsys.readouterr().err
    assert "OP_CONNECT_HOSTS is not a setting of Keyturn and is ignored; did you mean OP_CONNECT_HOST?" in err
    assert "canary" not in err


def test_the_usage_can_be_asked_for(capsys):
    """Then it is the answer, and no mistake."""
    assert run_command(["--help"]) == 0
    assert capsys.readouterr().out == USAGE


def test_a_mistake_in_the_settings_is_one_line(capsys, monkeypatch):
    """Nothing is started."""
    monkeypatch.setenv("OP_CONNECT_TOKEN", "canary")
    assert run_command(["operator"]) == 2
    assert capsys.readouterr().err == "keyturn: OP_CONNECT_HOST is not set; it is the base URL of the Connect server\n"
