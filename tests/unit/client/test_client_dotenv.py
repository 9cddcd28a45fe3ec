"""Environment files, by the rules that `op run --env-file` documents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyturn.client.dotenv import read_env_file
from keyturn.client.failures import Misuse

ENVIRONMENT = {"HOME": "/home/ada", "STAGE": "prod"}


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("", {}),
        ("\n  \n# comment\n   # another\n", {}),
        ("KEY=VALUE", {"KEY": "VALUE"}),
        ("KEY=VALUE\r\nB=2\r\n", {"KEY": "VALUE", "B": "2"}),
        ("KEY = VALUE ", {"KEY": "VALUE"}),
        ("export KEY=VALUE", {"KEY": "VALUE"}),
        ("EMPTY=\nB=", {"EMPTY": "", "B": ""}),
        ("KEY='VALUE'", {"KEY": "VALUE"}),
        ('KEY="VALUE"', {"KEY": "VALUE"}),
        ('KEY=" some value "', {"KEY": " some value "}),
        ("KEY='a\nb'\nB=2", {"KEY": "a\nb", "B": "2"}),
        ('KEY="a\nb" # c', {"KEY": "a\nb"}),
        ('KEY="a\\nb\\t\\"c\\" \\\\ \\$HOME \\d"', {"KEY": 'a\nb\t"c" \\ $HOME \\d'}),
        ("KEY=C:\\dir\\new", {"KEY": "C:\\dir\\new"}),
        ("KEY=a # comment", {"KEY": "a"}),
        ("KEY=a#b", {"KEY": "a#b"}),
        ("KEY= # comment", {"KEY": ""}),
        ("KEY=a \\# b", {"KEY": "a # b"}),
        ("KEY='a' # comment", {"KEY": "a"}),
        ('JSON={"foo":"bar"}', {"JSON": '{"foo":"bar"}'}),
        ("A=$HOME/x\nB=${STAGE}-$A\nC='$HOME'", {"A": "/home/ada/x", "B": "prod-/home/ada/x", "C": "$HOME"}),
        ('A="${HOME}"\nB=$NONE.\nC=${NONE:-other}', {"A": "/home/ada", "B": ".", "C": "other"}),
        ('MY_VAR = "\\$SOME_NOT_WORKING_\\"VARIABLE\\""', {"MY_VAR": '$SOME_NOT_WORKING_"VARIABLE"'}),
        ("PASSWORD=op://$STAGE/my item/password", {"PASSWORD": "op://prod/my item/password"}),
        ('URL="postgres://{{ op://v/i/f }}@h"', {"URL": "postgres://{{ op://v/i/f }}@h"}),
        ("A=1\nA=2", {"A": "2"}),
        ("A=b=c", {"A": "b=c"}),
        ("A=x", {"A": "x"}),
    ],
)
def test_variables_are_read(text, variables):
    """So that an `.env` file can stay as it is."""
    assert read_env_file(text, ENVIRONMENT, where=".env") == variables


@pytest.mark.parametrize(
    "text", ["canary", "=canary", "A=1\ncanary", "A='canary", 'A="canary', "A='a' canary", "'A'=canary"]
)
def test_a_line_that_is_none_is_named_by_its_number_alone(text):
    """What stands there may be a value."""
    with pytest.raises(Misuse) as refused:
        read_env_file(text, {}, where=".env")

    number = text.count("\n") + 1
    assert str(refused.value) == f".env, line {number}: this is no NAME=value, or a quotation mark is missing"


@given(value=st.text())
def test_single_quotes_keep_everything(value):
    """Whatever stands between them."""
    value = value.replace("'", "").replace("\r", "")

    assert read_env_file(f"A='{value}'\nB=1\n", {}, where="x") == {"A": value, "B": "1"}


@given(text=st.text(alphabet="AB=#'\"\\$ {}\n-:x"))
def test_every_text_is_read_or_refused(text):
    """No other error, and no endless loop."""
    try:
        found = read_env_file(text, {}, where="x")
    except Misuse:
        return
    assert all(name and not {*name} & {*" =#'\"\n"} for name in found)
