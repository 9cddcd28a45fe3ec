"""The client's commands, run from the one file: what they print, what they ask, and how they end."""

import json
import os
import stat

import pytest

from support.client_process import OLDEST_PYTHON, THIS_PYTHON
from support.stub_broker import TOKEN, problem

PASSWORD = "op://Production/database/password"


@pytest.mark.parametrize("python", [THIS_PYTHON, OLDEST_PYTHON], ids=["this Python", "the oldest Python"])
def test_each_command_works_on_a_python_without_packages(client, broker, tmp_path, python):
    """A step of a pipeline has Python, and nothing else."""
    client.python = python
    broker.values = {PASSWORD: b"canary-value"}
    broker.answers = {
        ("GET", "/v1/vault/items"): [],
        ("GET", "/v1/grants"): {"grants": []},
        ("POST", "/v1/vault/items/sync"): {"items": 0, "sync_summary": {"added": 0, "updated": 0, "removed": 0}},
    }

    assert client("read", PASSWORD).stdout == b"canary-value\n"
    assert client("inject", given=b"p: {{ %s }}" % PASSWORD.encode()).stdout == b"p: canary-value"
    child = client("run", "--file", f"F={PASSWORD}", "--", "sh", "-c", 'echo "<$P>" "<$(cat $F)>"; exit 7', P=PASSWORD)
    assert (child.returncode, child.stderr) == (7, b"")
    assert child.stdout == b"<<concealed by Keyturn>> <<concealed by Keyturn>>\n"
    assert client("items").stdout.startswith(b"ITEM ")
    assert client("grants").stdout.startswith(b"GRANT ")
    assert client("sync").stdout == b"0 added, 0 updated, 0 removed\n"


@pytest.mark.parametrize(
    ("value", "flags", "printed"),
    [
        (b"p", [], b"p\n"),
        (b"p", ["--no-newline"], b"p"),
        (b"p", ["-n"], b"p"),
        (b"a\nb\n", [], b"a\nb\n"),
        ("pä".encode(), [], "pä\n".encode()),
        (b"\x00\xff\n\x01", [], b"\x00\xff\n\x01"),
        (b"", [], b"\n"),
    ],
)
def test_a_value_is_printed_as_it_is(client, broker, value, flags, printed):
    """Text ends with a new line, as `op read` has it; a file is what it is."""
    broker.values = {PASSWORD: value}

    ended = client("read", *flags, PASSWORD)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, printed, b"")


def test_the_token_goes_into_a_header_and_nowhere_else(client, broker):
    """Paths and bodies are written to logs by proxies."""
    broker.values = {PASSWORD: b"p"}
    client("read", PASSWORD)

    [(method, path, headers, body)] = broker.asked
    assert (method, path, body) == ("POST", "/v1/resolve", {"refs": [PASSWORD]})
    assert headers["Authorization"] == f"Bearer {TOKEN}"
    assert headers["User-Agent"].startswith("keyturn-client/0.")


def test_a_value_goes_into_a_file_that_only_its_owner_reads(client, broker, tmp_path):
    """Whatever the umask is; and a file that is there is not replaced by accident."""
    broker.values = {PASSWORD: b"canary"}
    target = tmp_path / "value"

    assert client("read", "-o", target, PASSWORD).stdout == b""
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"canary", 0o600)

    again = client("read", "-o", target, PASSWORD)
    assert again.returncode == 2
    assert again.stderr == f"keyturn: {target} is there already; --force replaces it\n".encode()

    assert client("read", "-f", "--file-mode", "0640", "-o", target, PASSWORD).returncode == 0
    assert (target.read_bytes(), stat.S_IMODE(target.stat().st_mode)) == (b"canary", 0o640)
    assert {each.name for each in tmp_path.iterdir()} == {"value", "token"}


CODES = [
    (401, "not_authenticated", 3),
    (403, "action_not_granted", 4),
    (404, "not_found", 4),
    (404, "no_connection", 4),
    (409, "ambiguous", 4),
    (400, "bad_request", 2),
    (503, "reconnect_required", 5),
    (418, "teapot", 1),
]


@pytest.mark.parametrize(("status", "code", "exit_code"), CODES)
def test_each_refusal_has_its_exit_code_and_one_line(client, broker, status, code, exit_code):
    """A script decides by the number, a person by the line."""
    broker.ordered = [(status, {}, problem(code))]

    ended = client("read", PASSWORD)

    assert (ended.returncode, ended.stdout) == (exit_code, b"")
    assert ended.stderr.startswith(b"keyturn: ")
    assert ended.stderr.count(b"\n") == 1


@pytest.mark.parametrize(
    ("code", "exit_code"), [("not_found", 4), ("action_not_granted", 4), ("reconnect_required", 5)]
)
def test_a_reference_that_is_refused_is_named(client, broker, code, exit_code):
    """Of a hundred references, the one that failed."""
    broker.values = {PASSWORD: b"canary-value", "op://v/i/f": b"x"}
    broker.refusals = {"op://v/i/f": code}

    ended = client("inject", given=f"op://v/i/f {{{{ {PASSWORD} }}}}".encode())

    assert (ended.returncode, ended.stdout) == (exit_code, b"")
    assert ended.stderr.startswith(b"keyturn: op://v/i/f: ")
    assert b"canary" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "variables", "outcome"),
    [
        ([], {}, (2, "there is no command")),
        (["read"], {}, (2, "required: reference")),
        (["read", "op://v/i"], {}, (2, "must name a vault, an item and a field")),
        (["read", PASSWORD, "--", "ls"], {}, (2, "only keyturn run")),
        (["read", "--file-mode", "rw", PASSWORD], {}, (2, "octal")),
        (["read", "--brocker", "x", PASSWORD], {}, (2, "unrecognized arguments")),
        (["read", PASSWORD], {"KEYTURN_BROKER_URL": ""}, (2, "KEYTURN_BROKER_URL is not set")),
        (["read", PASSWORD], {"KEYTURN_BROKER_URL": "http://broker.example.com"}, (2, "use https")),
        (["read", PASSWORD], {"KEYTURN_BROKER_URL": "https://u:canary@b"}, (2, "without a user")),
        (
            ["read", PASSWORD],
            {"KEYTURN_TOKEN_FILE": "/nowhere/token"},
            (3, "cannot read the token file /nowhere/token"),
        ),
        (["read", "--service-account", "ci", PASSWORD], {}, (2, "NAMESPACE/NAME")),
        (["inject", "-i", "/nowhere/template"], {}, (2, "cannot read /nowhere/template")),
        (["read", "--add-mask", PASSWORD], {}, (2, "GitHub Actions")),
        (["run", PASSWORD], {}, (125, "keyturn operator")),
        (["run", "--"], {}, (125, "there is no command")),
        (["run", "--env-file", "/nowhere/env", "--", "true"], {}, (125, "cannot read /nowhere/env")),
        (["run", "--file", "F", "--", "true"], {}, (125, "NAME=REFERENCE")),
        (["run", "--", "true"], {"A": "op://v/i"}, (125, "the variable A")),
        (["run", "--", "true"], {"A": "op://v/not/there"}, (125, "op://v/not/there: not there")),
        (["run", "--", "keyturn-no-such-program"], {}, (127, "command not found")),
        (["run", "--", "/etc/passwd"], {}, (126, "ermission denied")),
    ],
)
def test_a_mistake_is_one_line_and_starts_nothing(client, broker, arguments, variables, outcome):
    """The line says what to change."""
    broker.values = {PASSWORD: b"p"}

    exit_code, said = outcome
    ended = client(*arguments, **variables)

    assert (ended.returncode, ended.stdout) == (exit_code, b"")
    assert said in ended.stderr.decode()
    assert ended.stderr.count(b"\n") == 1
    assert b"canary" not in ended.stderr


def test_a_file_that_is_no_token_is_not_sent(client, broker):
    """A variable that names the wrong file must not hand that file to a server."""
    client.token.write_text("-----BEGIN KEY-----\nabc\n-----END KEY-----\n")

    ended = client("read", PASSWORD)

    assert ended.returncode == 3
    assert broker.asked == []
    assert b"abc" not in ended.stderr


def test_the_present_token_is_used_for_each_attempt(client, broker):
    """The kubelet renews the file while a client waits."""
    broker.values = {PASSWORD: b"p"}
    broker.ordered = [(503, {}, problem("unavailable"))]

    assert client("read", PASSWORD).returncode == 0
    assert [headers["Authorization"] for _, _, headers, _ in broker.asked] == [f"Bearer {TOKEN}"] * 2


def test_kubectl_makes_a_token_for_people(client, broker, tmp_path):
    """On a laptop there is no token file."""
    broker.values = {PASSWORD: b"p"}
    kubectl = tmp_path / "bin" / "kubectl"
    kubectl.parent.mkdir()
    kubectl.write_text(
        "#!/bin/sh\n"
        '[ "$*" = "create token ci --namespace=team-a --audience=keyturn" ] || { echo "no such account" >&2; exit 1; }\n'
        f"echo {TOKEN}\n"
    )
    kubectl.chmod(0o755)
    path = f"{kubectl.parent}:{os.environ['PATH']}"

    assert client("read", "--service-account", "team-a/ci", PASSWORD, PATH=path).stdout == b"p\n"
    refused = client("read", "--service-account", "team-a/other", PASSWORD, PATH=path)
    assert (refused.returncode, refused.stderr) == (3, b"keyturn: kubectl made no token: no such account\n")


def test_a_template_becomes_a_file(client, broker, tmp_path):
    """With variables, as `op inject` has them; all references are asked for at once."""
    broker.values = {PASSWORD: b"pass$HOME", "op://v/i/tls.crt": b"\x00\xff"}
    template, target = tmp_path / "config.tpl", tmp_path / "config"
    template.write_text(
        "host: ${HOST:-db}\np: op://$STAGE/database/password\nc: {{ op://v/i/tls.crt }}\np: " + PASSWORD
    )

    ended = client("inject", "-i", template, "-o", target, STAGE="Production")

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    assert target.read_bytes() == b"host: db\np: pass$HOME\nc: \x00\xff\np: pass$HOME"
    assert [body for *_, body in broker.asked] == [{"refs": [PASSWORD, "op://v/i/tls.crt"]}]


def test_more_references_than_one_request_takes_are_split(client, broker):
    """The broker takes 100."""
    broker.values = {f"op://v/i/f{number}": str(number).encode() for number in range(250)}

    ended = client("inject", given="\n".join(broker.values).encode())

    assert ended.stdout == "\n".join(str(number) for number in range(250)).encode()
    assert [len(body["refs"]) for *_, body in broker.asked] == [100, 100, 50]


def test_a_template_without_references_asks_nothing(client, broker):
    """Not even for a token."""
    client.token.unlink()

    assert client("inject", given=b"plain").stdout == b"plain"
    assert client("run", "--", "echo", "plain").stdout == b"plain\n"
    assert broker.asked == []


def test_items_are_listed_for_people_and_for_programs(client, broker):
    """Titles are other people's texts, and must not move the cursor."""
    found = [
        {
            "itemId": "cred:c:v:i",
            "connectionId": "team-a/work",
            "label": "data\x1b[2Jbase",
            "vaultName": "Production",
            "domains": ["example.com"],
            "fieldMetadata": [{"fieldId": "f", "label": "password", "type": "CONCEALED"}],
        },
        {"itemId": "cred:c:v:j", "label": "other"},
    ]
    broker.answers = {("GET", "/v1/vault/items?url=https%3A%2F%2Fexample.com&q=data"): found}

    ended = client("items", "--url", "https://example.com", "data")

    assert ended.stdout.decode().splitlines() == [
        "ITEM           VAULT        CONNECTION    FIELDS     DOMAINS",
        "data [2Jbase   Production   team-a/work   password   example.com",
        "other          -            -             -          -",
    ]
    listed = client("items", "--json", "--url", "https://example.com", "data")
    assert json.loads(listed.stdout) == found


def test_grants_are_listed(client, broker):
    """What can I read, and until when."""
    broker.answers = {
        ("GET", "/v1/grants"): {
            "grants": [
                {
                    "namespace": "team-a",
                    "name": "deploy",
                    "connection": "team-a/work",
                    "items": [{"path": "vaults/v/items/i", "fields": ["password"], "actions": ["read", "use"]}],
                    "expiresAt": "2027-01-01T00:00:00Z",
                }
            ]
        }
    }

    assert client("grants").stdout.decode().splitlines() == [
        "GRANT           CONNECTION    ITEM               FIELDS     ACTIONS    EXPIRES",
        "team-a/deploy   team-a/work   vaults/v/items/i   password   read,use   2027-01-01T00:00:00Z",
    ]


def test_a_sync_that_missed_a_connection_fails(client, broker):
    """The count alone would look like success."""
    broker.answers = {
        ("POST", "/v1/vault/items/sync"): {
            "items": 3,
            "sync_summary": {"added": 1, "updated": 2, "removed": 0, "skippedDisabled": 0},
            "errors": [{"connectionId": "team-a/work", "code": "reconnect_required"}],
        }
    }

    ended = client("sync")

    assert (ended.returncode, ended.stdout) == (5, b"1 added, 2 updated, 0 removed\n")
    assert b"team-a/work: reconnect_required" in ended.stderr


@pytest.mark.parametrize(
    "body", [b"<html>", b"[]", b'{"results": []}', b'{"results": [{"ref": "x", "value": "canary"}]}']
)
def test_what_is_no_answer_of_a_broker_is_said(client, broker, body):
    """A login page of a proxy must not become a password."""
    broker.ordered = [(200, {}, body)]

    ended = client("read", PASSWORD)

    assert (ended.returncode, ended.stdout) == (1, b"")
    assert b"canary" not in ended.stderr


def test_a_redirect_is_not_followed(client, broker):
    """The token would go with it."""
    broker.ordered = [(307, {"Location": f"{broker.url}/v1/elsewhere"}, b"")]

    assert client("read", PASSWORD).returncode == 1
    assert len(broker.asked) == 1


def test_the_version_and_the_help_can_be_asked_for(client):
    """Without a broker."""
    assert client("--version").stdout.startswith(b"keyturn 0.")
    assert b"exit codes" in client("run", "--help").stdout


def test_masks_for_github_go_to_the_other_output(client, broker):
    """Its runner reads both outputs, and a script reads the first."""
    broker.values = {PASSWORD: b"100%\nsecond line"}

    ended = client("read", "--add-mask", PASSWORD, GITHUB_ACTIONS="true")

    assert ended.stdout == b"100%\nsecond line\n"
    assert ended.stderr == b"::add-mask::100%25\n::add-mask::second line\n"
