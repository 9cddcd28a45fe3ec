"""The command: what it prints, on which stream, and with which exit code."""

import io
import sys

import pytest
import yaml

from keyturn.cli import run_command

EXTERNAL = """\
apiVersion: external-secrets.io/v1
kind: ExternalSecret
metadata: {name: web, namespace: shop}
spec:
  secretStoreRef: {name: onepassword}
  dataFrom: [{extract: {key: app}}]
"""
ITEM = """\
apiVersion: onepassword.com/v1
kind: OnePasswordItem
metadata: {name: login}
spec: {itemPath: vaults/Home/items/login}
"""
SECRET = """\
apiVersion: v1
kind: Secret # of another team
metadata: {name: other}
stringData: {password: canary-value}
"""
SHAPED = """\
apiVersion: keyturn.dev/v1alpha1
kind: KeyturnSecret
metadata:
  name: web
  namespace: shop
spec:
  itemPath: vaults/Home/items/app
"""
OF_ITEM = """\
apiVersion: keyturn.dev/v1alpha1
kind: KeyturnSecret
metadata:
  name: login
spec:
  itemPath: vaults/Home/items/login
"""
FIND = EXTERNAL.replace("extract: {key: app}", "find: {tags: {canary: canary-value}}")


@pytest.fixture
def run(monkeypatch, capsys):
    """Runs the command with a text as standard input; returns the exit code and both streams."""

    def run(text, *flags):
        raw = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
        code = run_command(["convert", *flags])
        return code, *capsys.readouterr()

    return run


VAULT = "--vault=Home"


@pytest.mark.parametrize(
    ("text", "flags", "printed"),
    [
        (EXTERNAL, [VAULT], SHAPED),
        (EXTERNAL, [VAULT, "-"], SHAPED),
        (f"{EXTERNAL}---\n{ITEM}", [VAULT], f"{SHAPED}---\n{OF_ITEM}"),
        (f"{EXTERNAL}---\n{ITEM}", [VAULT, "--from=externalsecret"], SHAPED),
        (f"{EXTERNAL}---\n{ITEM}", ["--from=onepassworditem"], OF_ITEM),
        (f"{EXTERNAL}---\n{SECRET}", [VAULT], SHAPED),
        (f"{SECRET}---\n{EXTERNAL}", [VAULT, "--all"], f"{SECRET}---\n{SHAPED}"),
        (f"{ITEM}---\n{SECRET}", [VAULT, "--all", "--from=externalsecret"], f"{ITEM}---\n{SECRET}"),
        (EXTERNAL, [], SHAPED.replace("Home/items/app", "/items/app  # TODO vault")),
        ("# nothing but a comment", ["--all"], ""),
        (SECRET.rstrip("\n"), ["--all"], SECRET),
    ],
)
def test_what_is_printed(run, text, flags, printed):
    """The converted objects, and all others unchanged if that is asked for."""
    code, out, _ = run(text, *flags)
    assert (code, out) == (0, printed)


def test_members_of_a_list_become_documents(run):
    """As `kubectl get -o yaml` gives them; a list without any of the kinds stays as it is."""
    listed = {"apiVersion": "v1", "kind": "List", "items": [yaml.safe_load(EXTERNAL), yaml.safe_load(SECRET)]}
    code, out, _ = run(yaml.safe_dump(listed), VAULT, "--all")
    assert code == 0
    assert list(yaml.safe_load_all(out)) == [yaml.safe_load(SHAPED), yaml.safe_load(SECRET)]

    other = f"kind: List\nitems:\n  - {{kind: A}} # why\n---\n{EXTERNAL}"
    _, out, _ = run(other, VAULT, "--all")
    assert out == f"kind: List\nitems:\n  - {{kind: A}} # why\n---\n{SHAPED}"


def test_what_is_left_out_is_a_line_and_the_exit_code(run):
    """The line names file, document, object and field; everything else is converted."""
    code, out, err = run(f"{FIND}---\n{ITEM}", VAULT, "--all")
    assert (code, out) == (1, OF_ITEM)
    assert err == (
        "keyturn: standard input: document 1: ExternalSecret shop/web: spec.dataFrom[0].find: a search for items\n"
    )


def test_a_note_does_not_change_the_exit_code(run):
    """It says what will be different."""
    text = EXTERNAL + "  target: {creationPolicy: Orphan}\n"
    code, out, err = run(text, VAULT)
    assert (code, out) == (0, SHAPED)
    assert err.startswith("keyturn: standard input: document 1: ExternalSecret shop/web: note: creationPolicy Orphan")


def test_nothing_to_convert_is_said(run):
    """Somebody gave the wrong file, perhaps."""
    assert run(SECRET) == (0, "", "keyturn: there is nothing to convert\n")


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("a: 'canary-value", "document 1: this is no YAML (line 1 of the document)"),
        ("canary-value", "document 1: this is no Kubernetes object"),
        (b"\xffcanary-value", "this is no UTF-8 text"),
    ],
)
def test_bad_input_is_a_line(run, text, error):
    """Exit code 2, and nothing of the input."""
    assert run(text) == (2, "", f"keyturn: standard input: {error}\n")


def test_bad_input_stops_nothing_else(run):
    """Its exit code is the stronger one."""
    code, out, err = run(f"a: [\n---\n{FIND}---\n{ITEM}")
    assert (code, out, err.count("\n")) == (2, OF_ITEM, 2)


@pytest.mark.parametrize("file", ["/nowhere/at all", "/", "a\0b", "\udcff"])
def test_a_file_that_cannot_be_read_is_a_line(run, file):
    """No traceback, whatever its name is."""
    code, out, err = run("", file)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "cannot be read" in err


@pytest.mark.parametrize(
    ("flags", "mistake"),
    [
        (["--vaults=x"], "unrecognized arguments: --vaults=x"),
        (["--from=secret"], "argument --from: invalid choice"),
        (["--vault="], "argument --vault: this is no name of a vault"),
        (["--vault=a\nb"], "argument --vault: this is no name of a vault"),
        (["--vault"], "argument --vault: expected one argument"),
        (["--vault=a/items/b"], "argument --vault: this is no name of a vault"),
    ],
)
def test_a_mistake_in_the_command_is_a_line(run, flags, mistake):
    """Exit code 2."""
    code, out, err = run("", *flags)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert mistake in err


def test_the_help_explains_flags_and_exit_codes(capsys):
    """It ends as a success."""
    with pytest.raises(SystemExit) as ended:
        run_command(["convert", "--help"])
    assert not ended.value.code
    out = capsys.readouterr().out
    assert all(word in out for word in ("--vault", "--all", "--from", "exit codes", "# TODO vault"))


def test_an_interrupt_is_no_traceback(monkeypatch):
    """Somebody typed Ctrl-C while it was waiting for standard input."""

    class Interrupted(io.BytesIO):
        def read(self, *_):
            raise KeyboardInterrupt

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Interrupted()))
    assert run_command(["convert"]) == 130


def test_no_value_reaches_an_error(run):
    """Secrets, constants of templates and values of labels, in objects that are refused in many ways."""
    canary = "canary-value"
    template = "{target: {template: %s}, dataFrom: [{extract: {key: a}}]}"
    specs = [
        template % f'{{data: {{K: "{canary} {{{{ .X | nope }}}}"}}}}',
        template % f'{{data: {{K: "{canary} {{{{ .X"}}}}',
        template % f'{{metadata: {{labels: {{a: "{canary} {{{{ .X }}}}"}}}}}}',
        template % f"{{data: {{K: [{canary}]}}}}",
        f"{{target: {{creationPolicy: {canary}}}}}",
        f"{{data: {canary}}}",
        f"{{later: {canary}}}",
    ]
    head = "apiVersion: external-secrets.io/v1\nkind: ExternalSecret\nmetadata: {name: web}\nspec: "
    text = "---\n".join(f"{head}{spec}\n" for spec in specs) + f"---\n{SECRET}---\n{SECRET}  a: [{canary}\n"

    code, out, err = run(text, VAULT)

    assert code == 2
    assert err.count("\n") == len(specs) + 1
    assert canary not in out + err
