"""The command: its ready line, its exit codes, its logs (C85), its end, and what it costs."""

import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import textwrap
import time
from contextlib import suppress

import httpx
import psutil
import pytest
import trustme
import yaml

from connect_emulator import cli, logs
from demo.programs import ProgramFailed
from localcluster.processes import Process
from support.emulator import DESCRIPTION, EmulatorProcess
from support.patience import PATIENCE_S

COMMAND = [sys.executable, "-m", "connect_emulator.cli"]


@pytest.fixture
def config(tmp_path):
    """The usual description as a file."""
    path = tmp_path / "emulator.yaml"
    path.write_text(yaml.safe_dump(DESCRIPTION), encoding="utf-8")
    return path


@pytest.fixture
def main(monkeypatch):
    """The command inside this process, which leaves this process's logging alone."""
    monkeypatch.setattr(logs, "configure", lambda _level: None)
    return cli.main


def headers(emulator, name="all"):
    return {"Authorization": f"Bearer {emulator.token(name)}"}


def started(*arguments, **options):
    return subprocess.Popen(
        [*COMMAND, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )


def test_one_ready_line_and_no_token_in_it(config, tmp_path):
    """Standard output is one JSON line with addresses and token files; the token is only in its file, for the owner."""
    path = tmp_path / "reader.token"
    process = started("--config", str(config), "--token-file", f"reader={path}", "--log-level", "warning")
    ready = json.loads(process.stdout.readline())
    token = path.read_text(encoding="ascii")
    response = httpx.get(ready["url"] + "/v1/vaults", headers={"Authorization": f"Bearer {token}"}, trust_env=False)
    process.send_signal(signal.SIGTERM)
    rest, errors = process.communicate(timeout=PATIENCE_S)
    assert set(ready) == {"url", "admin", "tokens"}
    assert ready["tokens"] == {"all": None, "reader": str(path), "writer": None, "nothing": None}
    assert [vault["name"] for vault in response.json()] == ["Production"]
    assert token.count(".") == 2
    assert path.stat().st_mode & 0o777 == 0o600
    assert (rest, errors, process.returncode) == ("", "", 0)
    assert ready["url"].startswith("http://127.0.0.1:")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_at_once(config, number):
    """The command ends at once, also with connections that hang or are kept alive."""
    description = {**DESCRIPTION, "faults": [{"route": "*/items", "kind": "hang"}]}
    config.write_text(yaml.safe_dump(description), encoding="utf-8")
    process = started("--config", str(config))
    url = httpx.URL(json.loads(process.stdout.readline())["url"])
    with socket.create_connection((url.host, url.port)) as kept, socket.create_connection((url.host, url.port)) as hung:
        kept.sendall(b"GET /heartbeat HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(1000).startswith(b"HTTP/1.1 200")
        hung.sendall(b"GET /v1/vaults/x/items HTTP/1.1\r\nHost: x\r\n\r\n")
        process.send_signal(number)
        process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("vaults: [", "line 1, column 10: "),
        ("vaults:\n- name: a\n  name: b\n", "line 3, column 3: the key 'name' is there twice"),
        ("- a\n", "the top must be a mapping with vaults and tokens"),
        ("vaults: [{}]", "vaults[0].name: Field required"),
        (
            "vaults: [{name: v, items: [{title: t, fields: [{label: l, val: secret}]}]}]",
            "vaults[0].items[0].fields[0].val: Extra inputs",
        ),
        (
            "vaults: [{name: v, items: [{title: t, files: [{name: f, base64: 's!'}]}]}]",
            "vaults[0].items[0].files[0]: base64 is not valid",
        ),
        (
            "vaults: [{name: v, items: [{title: t, files: [{name: f}]}]}]",
            "files[0]: give one of content, base64, path, size",
        ),
        (
            "vaults: [{name: v, items: [{title: t, files: [{name: f, path: gone}]}]}]",
            "file 'f' of 't': No such file or directory",
        ),
        ("vaults: [{name: v, id: short}]", "vaults[0].id: "),
        ("vaults: [{name: v, type: ODD}]", "vaults[0].type: "),
        (f"vaults: [{{name: v, id: {'a' * 26}}}, {{name: w, id: {'a' * 26}}}]", "two vaults have the id"),
        (
            f"vaults: [{{name: v, items: [{{title: a, id: {'a' * 26}}}, {{title: b, id: {'a' * 26}}}]}}]",
            "two items of vault 'v' have the id",
        ),
        ("tokens: [{name: t}, {name: t}]", "two tokens are named 't'"),
        ("tokens: [{name: t, vaults: {v: r}}]", "token 't': the vault 'v' is not described"),
        ("tokens: [{name: t, vaults: {'*': x}}]", "tokens[0].vaults.*: "),
        ("grants: {v: r}", "grants: the vault 'v' is not described"),
        ("knobs: {nonsense: 1}", "knobs: unknown knob 'nonsense'"),
        ("knobs: {lag_s: much}", "knobs: knob lag_s: "),
        ("faults: [{kind: explode}]", "faults[0].kind: "),
        ("\xff", "not UTF-8 text"),
    ],
)
def test_a_bad_description_is_one_clear_line(main, tmp_path, capsys, text, message):
    """A description that cannot be used gives one line with its place, no value, and exit code 2."""
    path = tmp_path / "bad.yaml"
    path.write_bytes(text.encode("latin-1"))
    assert main(["--config", str(path)]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"connect-emulator: {path}: ")
    assert message in err
    assert err.count("\n") == 1
    assert "secret" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--knob", "nonsense=1"], "unknown knob 'nonsense'"),
        (["--knob", "lag_s"], "a knob is set with name=value"),
        (["--knob", "replica_choice=best"], "knob replica_choice: "),
        (["--listen", "nowhere"], "an address is HOST:PORT"),
        (["--admin", "127.0.0.1:99999"], "an address is HOST:PORT"),
        (["--token-file", "all"], "--token-file takes NAME=PATH"),
        (["--token-file", "nobody=x"], "--token-file names the token 'nobody', which is not described"),
        (["--tls-listen", "127.0.0.1:0"], "--tls-listen needs --tls-cert and --tls-key"),
        (
            ["--tls-listen", "127.0.0.1:0", "--tls-cert", "x", "--tls-key", "y"],
            "the TLS certificate or key cannot be read",
        ),
    ],
)
def test_bad_arguments_are_one_clear_line(main, config, capsys, arguments, message):
    """An argument that cannot be used gives one line and exit code 2, and no port was opened."""
    assert main(["--config", str(config), *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert message in err
    assert err.count("\n") == 1


def test_a_missing_description(main, tmp_path, capsys):
    """A file that is not there is named."""
    assert main(["--config", str(tmp_path / "gone.yaml")]) == 2
    assert "gone.yaml: No such file or directory" in capsys.readouterr().err


def test_a_port_in_use(main, config, capsys):
    """A port that another process holds means exit code 1, with one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["--config", str(config), "--listen", f"127.0.0.1:{taken.getsockname()[1]}"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_files_are_read_beside_the_description(tmp_path):
    """A path of a file is relative to the description, wherever the command runs."""
    (tmp_path / "certs").mkdir()
    (tmp_path / "certs" / "blob").write_bytes(b"\x00\xff")
    config = tmp_path / "emulator.yaml"
    item = {"title": "t", "files": [{"name": "f", "path": "certs/blob"}, {"name": "zeros", "size": 3}]}
    config.write_text(
        yaml.safe_dump({**DESCRIPTION, "vaults": [{"name": "Production", "items": [item]}]}), encoding="utf-8"
    )
    with (
        EmulatorProcess(config, folder=tmp_path, knobs={"lag_s": 0}) as emulator,
        httpx.Client(base_url=emulator.url, headers=headers(emulator)) as client,
    ):
        vault = client.get("/v1/vaults").json()[0]["id"]
        found = client.get(f"/v1/vaults/{vault}/items").json()[0]["id"]
        contents = [
            client.get(file["content_path"]).content
            for file in client.get(f"/v1/vaults/{vault}/items/{found}/files").json()
        ]
    assert contents == [b"\x00\xff", b"\x00\x00\x00"]


def test_the_command_line_overrules_the_description(tmp_path):
    """A knob of the command line beats the same one of the description, and leaves the others of it."""
    description = {**DESCRIPTION, "knobs": {"version": "1.5.7", "replicas": 2}}
    with EmulatorProcess(
        description, folder=tmp_path, knobs={"version": "1.7.0", "replica_lags_s": "[1, 2]"}
    ) as emulator:
        knobs = emulator.admin.knobs()
    assert (knobs["version"], knobs["replicas"], knobs["replica_lags_s"]) == ("1.7.0", 2, [1.0, 2.0])


def test_tls_by_the_command(config, tmp_path):
    """The command serves TLS on a second port, and its address stands in the ready line."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "tls.crt")
    certificate.private_key_pem.write_to_path(tmp_path / "tls.key")
    authority.cert_pem.write_to_path(tmp_path / "ca.crt")
    arguments = ["--tls-listen=127.0.0.1:0", f"--tls-cert={tmp_path / 'tls.crt'}", f"--tls-key={tmp_path / 'tls.key'}"]
    with EmulatorProcess(config, folder=tmp_path, arguments=arguments) as emulator:
        context = ssl.create_default_context(cafile=tmp_path / "ca.crt")
        assert httpx.get(f"{emulator.tls_url}/heartbeat", verify=context, trust_env=False).text == "."


def test_a_token_outlives_a_restart(tmp_path):
    """With the same seed and description a token stays valid and ids stay the same; with another seed they do not."""
    answers = []
    token = None
    for seed in (1, 1, 2):
        with EmulatorProcess(DESCRIPTION, folder=tmp_path, seed=seed) as emulator:
            token = token or emulator.token("all")
            response = httpx.get(
                emulator.url + "/v1/vaults", headers={"Authorization": f"Bearer {token}"}, trust_env=False
            )
            answers.append([vault["id"] for vault in response.json()] if response.is_success else response.status_code)
    assert answers[0] == answers[1]
    assert answers[2] == 401


def test_it_dies_with_its_parent(tmp_path):
    """An emulator whose parent is killed ends too."""
    script = f"""
        import sys, os
        sys.path[:0] = {sys.path!r}
        from pathlib import Path
        from support.emulator import DESCRIPTION, EmulatorProcess
        emulator = EmulatorProcess(DESCRIPTION, folder=Path({str(tmp_path)!r})).start()
        print(emulator.pid, flush=True)
        os.kill(os.getpid(), 9)
    """
    parent = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE, timeout=PATIENCE_S, check=False
    )
    assert parent.returncode == -9
    orphan = int(parent.stdout)
    with suppress(ProcessLookupError):
        assert Process.of(orphan).wait(PATIENCE_S)


def journey(emulator):
    """Every kind of request, good and bad, by a client that handles canaries everywhere it may."""
    with httpx.Client(base_url=emulator.url, headers=headers(emulator), trust_env=False, timeout=PATIENCE_S) as client:
        vault = client.get("/v1/vaults", params={"filter": 'name eq "Production"'}).json()[0]["id"]
        items = f"/v1/vaults/{vault}/items"
        found = {item["title"]: item["id"] for item in client.get(items).json()}
        login = client.get(f"{items}/{found['login']}").json()
        body = {**login, "id": "", "title": "canary-title", "fields": [{"purpose": "PASSWORD", "value": "canary-new"}]}
        made = client.post(items, json=body).json()
        path = f"{items}/{made['id']}"
        client.put(path, json=made)
        client.patch(path, json=[{"op": "replace", "path": "/fields/password/value", "value": "canary-patched"}])
        client.patch(path, json=[{"op": "replace", "path": "/fields/canary-id/value", "value": "canary-patched"}])
        client.get(items, params={"filter": 'title eq "canary-title"'})
        client.get(items, params={"filter": 'title eq "canary-title'})
        client.post(items, json={**body, "fields": [{"type": "TOTP", "value": "canary-bad"}]})
        client.post(items, json={**body, "fields": [{"type": "DATE", "value": "canary-date"}]})
        client.post(items, content=b'{"canary')
        client.get(items, headers={"Authorization": "Bearer canary-token"})
        client.get(f"{items}/{found['database']}/files", params={"inline_files": "true"})
        client.request("CANARY", "/v1/vaults")
        admin = emulator.admin
        admin.rotate("Production", "login", value="canary-rotated")
        admin.attach("Production", "login", name="f", content=b"canary-bytes")
        for kind in ("truncate", "reset", "invalid_json", "html"):
            admin.fault(kind=kind, count=1)
            with pytest.raises(httpx.TransportError) if kind in {"truncate", "reset"} else open(os.devnull):  # noqa: PTH123
                client.get(f"{items}/{found['login']}")
        admin.issue("canary", {"*": "r"})
        with pytest.raises(Exception, match="Extra inputs"):
            admin.edit("Production", "login", fields=[{"label": "x", "canary": "canary"}])
        client.delete(path)


@pytest.mark.parametrize("level", ["info", "debug"])
def test_c85_logs_hold_no_value(tmp_path, level):
    """C85: whatever happens, the log has Connect's form, a line per request, and no value, token, title or query."""
    log = tmp_path / "log"
    with EmulatorProcess(
        DESCRIPTION, folder=tmp_path, log=log, arguments=[f"--log-level={level}"], knobs={"lag_s": 0}
    ) as emulator:
        tokens = [emulator.token(token["name"]) for token in DESCRIPTION["tokens"]]
        journey(emulator)
    text = log.read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert "canary" not in text.lower()
    assert not any(token in text for token in tokens)
    assert all({"log_message", "timestamp", "level"} <= set(line) for line in lines)
    access = [line for line in lines if "completed" in line["log_message"]]
    assert len(access) > 15
    assert access[0]["log_message"].startswith("(I) GET /v1/vaults completed (200: OK) in ")
    assert set(access[0]["scope"]) == {"request_id", "jti"}


def test_it_is_cheap(tmp_path):
    """With a thousand items a list costs under 20 ms of CPU and an item under 1.5 ms, logging included."""
    with EmulatorProcess(DESCRIPTION, folder=tmp_path, log=tmp_path / "log", knobs={"lag_s": 0}) as emulator:
        emulator.admin.bulk_create(
            "Empty", 1000, item={"fields": [{"label": "password", "value": "p"}, {"label": "username", "value": "u"}]}
        )
        process = psutil.Process(emulator.pid)
        with httpx.Client(base_url=emulator.url, headers=headers(emulator), trust_env=False) as client:
            vault = next(vault["id"] for vault in client.get("/v1/vaults").json() if vault["name"] == "Empty")
            path = f"/v1/vaults/{vault}/items"

            def cost(urls):
                before = sum(process.cpu_times()[:2])
                for url in urls:
                    assert client.get(url).status_code == 200
                return (sum(process.cpu_times()[:2]) - before) / len(urls)

            ids = [item["id"] for item in client.get(path).json()]
            assert cost([path] * 20) < 0.020
            assert cost([f"{path}/{item}" for item in ids[:300]]) < 0.0015


def test_the_helper_says_why_it_failed(tmp_path):
    """An emulator that cannot start is an error at once, not a time-out."""
    begun = time.monotonic()
    with pytest.raises(ProgramFailed, match=r"did not start: connect-emulator: .*vaults\[0\].name: Field required"):
        EmulatorProcess({"vaults": [{}]}, folder=tmp_path).start()
    assert time.monotonic() - begun < PATIENCE_S
