"""Canaries in all that a manifest may hold; nothing of `keyturn convert` shows one but the object that it is asked to print."""

import base64
import io
import sys

import pytest

from keyturn.cli import run_command
from support.canaries import CANARY, found_in

CODE = base64.b64encode(f"user:{CANARY}".encode()).decode()
QUOTED = f'"{CANARY}"'

SECRET = f"""\
apiVersion: v1
kind: Secret # {CANARY}
metadata:
  name: login
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{{"stringData": {{"a": {QUOTED}}}}}'
stringData:
  password: {QUOTED}
  other: |
    {CANARY}
data:
  auth: {CODE}
"""
EXTERNAL = f"""\
# {CANARY}
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata:
  name: web # {CANARY}
  annotations:
    kubectl.kubernetes.io/last-applied-configuration: '{{"spec": {QUOTED}}}'
spec:
  # password: {CANARY}
  dataFrom: [{{extract: {{key: app}}}}]
status:
  conditions: [{{message: {QUOTED}}}]
"""
ITEM = f"""\
apiVersion: onepassword.com/v1
kind: OnePasswordItem
metadata: {{name: login}}
spec: {{itemPath: vaults/Home/items/login}} # {CANARY}
"""
LIST = f"""\
apiVersion: v1
kind: List
items:
  - {{apiVersion: v1, kind: Secret, metadata: {{name: a}}, stringData: {{a: {QUOTED}}}}}
  - {{apiVersion: onepassword.com/v1, kind: OnePasswordItem, metadata: {{name: b}}, spec: {{itemPath: vaults/a/items/b}}}}
"""
BROKEN = {
    "an open quote": SECRET + f"  a: '{CANARY}",
    "an open bracket": SECRET + f"  a: [{CANARY}\n",
    "a colon too much": SECRET + f"  a: {CANARY}: {CODE}\n",
    "a tab": SECRET + f"\ta: {QUOTED}\n",
    "a wrong indent": SECRET + f" a: {QUOTED}\n",
    "an unknown anchor": SECRET + "  a: *canary-Qz9\n",
    "an unknown tag": SECRET + f"  a: !canary-Qz9 {QUOTED}\n",
    "an unknown escape": SECRET + '  a: "canary-Qz9\\q"\n',
    "a key twice": SECRET + f"  {QUOTED}: 1\n  {QUOTED}: 2\n",
    "a key that is a list": SECRET + f"  ? [{QUOTED}]\n  : b\n",
    "no number": SECRET + f"  a: !!int {QUOTED}\n",
    "no truth": SECRET + f"  a: !!bool {QUOTED}\n",
    "no date": SECRET + f"  a: !!timestamp {QUOTED}\n",
    "no base64": SECRET + f"  a: !!binary {QUOTED}\n",
    "no map": SECRET + f"  a: !!map [{QUOTED}]\n",
    "a control character": SECRET + f'  a: "{CANARY}\x01"\n',
    "no UTF-8": SECRET.encode() + b"  a: \xff\n",
    "no object": QUOTED,
    "a list of no objects": f"kind: SecretList\nitems: [{QUOTED}]\n",
    "a block without its end": f"{SECRET}---\n{SECRET.replace('|', '>').replace('    ' + CANARY, CANARY)}",
}  # fmt: skip
REFUSED = {
    "a label": f'target: {{template: {{metadata: {{labels: {{a: "{CANARY} {{{{ .X }}}}"}}}}}}}}',
    "a text": f'target: {{template: {{data: {{K: "{CANARY} {{{{ if .X }}}}"}}}}}}',
    "an argument": f"target: {{template: {{data: {{K: '{{{{ .X | nope {QUOTED} }}}}'}}}}}}",
    "a statement": f'target: {{template: {{data: {{K: "{CANARY} {{% {{{{ .X", J: "{CANARY} {{{{ .X"}}}}}}',
    "a list": f"target: {{template: {{data: {{K: [{QUOTED}]}}}}}}",
    "a policy": f"target: {{creationPolicy: {QUOTED}}}",
    "a file of a template": f"target: {{template: {{templateFrom: [{{literal: {QUOTED}}}]}}}}",
    "data": f"data: {QUOTED}",
    "a generator": f"data: [{{secretKey: a, sourceRef: {{generatorRef: {{name: {QUOTED}}}}}}}]",
    "what is unknown": f"unknown: {QUOTED}",
}


def run(monkeypatch, capsys, text, *flags):
    """The exit code and both streams of the command, with a text as standard input."""
    raw = text if isinstance(text, bytes) else text.encode()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    return run_command(["convert", "--vault=Home", *flags]), *capsys.readouterr()


def external(spec):
    """An ExternalSecret with these fields in its spec, beside an item."""
    return f"{EXTERNAL.partition('status')[0]}  {spec}\n"


def test_what_is_converted_shows_nothing_of_the_rest(monkeypatch, capsys):
    """Neither comments, nor a status, nor what `kubectl` notes, nor Secrets beside it."""
    code, out, err = run(monkeypatch, capsys, f"{SECRET}---\n{EXTERNAL}---\n{ITEM}---\n{LIST}")
    assert (code, out.count("kind: KeyturnSecret"), err) == (0, 3, "")
    assert found_in(out) == []


@pytest.mark.parametrize("why", REFUSED)
@pytest.mark.parametrize("flags", [[], ["--all"]])
def test_what_is_refused_is_told_without_it(monkeypatch, capsys, why, flags):
    """The line names fields and functions; the object is left out, also if all others are printed."""
    code, out, err = run(monkeypatch, capsys, external(REFUSED[why]), *flags)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert found_in(err) == []


@pytest.mark.parametrize("why", BROKEN)
@pytest.mark.parametrize("flags", [[], ["--from=onepassworditem"]])
def test_what_cannot_be_read_is_told_without_it(monkeypatch, capsys, why, flags):
    """A parser's own message would quote the line; ours has its number."""
    code, out, err = run(monkeypatch, capsys, BROKEN[why], *flags)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert found_in(err) == []


def test_with_all_a_secret_is_printed_and_nothing_is_told_of_it(monkeypatch, capsys):
    """That it passes unchanged is what was asked for; a line on standard error may go to a log."""
    code, out, err = run(monkeypatch, capsys, f"{SECRET}---\n{LIST}---\n{BROKEN['no truth']}", "--all")
    assert code == 2
    assert SECRET in out
    assert found_in(err) == []
