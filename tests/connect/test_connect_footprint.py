"""What hostile answers cost: the memory of a process of its own, and for how long its event loop does nothing else."""

import asyncio
import gzip
import json
import subprocess
import sys

import pytest
from connect_servers import ITEM, Connection, http, serving

from support.patience import PATIENCE_S

MIB = 1024 * 1024

CHILD = """
import asyncio, json, sys
from connect_servers import ITEM, VAULT, client_of
from keyturn.core.vault import Scope, VaultError
from keyturn.providers.connect import ConnectVaults

def memory(name):
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith(name))

async def main(url, what):
    loop, longest = asyncio.get_running_loop(), 0.0

    async def watch():
        nonlocal longest
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            longest = max(longest, loop.time() - before)

    async with client_of(url) as client:
        vaults = ConnectVaults(client)
        asked = {
            "item": lambda: vaults.item(VAULT, ITEM),
            "items": lambda: vaults.items(Scope(VAULT, "Prod", 1, 20), wanted=None),
            "vaults": vaults.scopes,
        }
        await vaults.refresh()
        with open("/proc/self/clear_refs", "w") as marks:
            marks.write("5")
        rest = memory("VmRSS")
        watching = asyncio.create_task(watch())
        try:
            outcome = type(await asked[what]()).__name__
        except VaultError as error:
            outcome = str(error)
        await asyncio.sleep(0.02)
        watching.cancel()
        print(json.dumps({"peak": memory("VmHWM") - rest, "longest": longest, "outcome": outcome}))

asyncio.run(main(*sys.argv[1:]))
"""

EMPTY_FIELDS = b'{"id":"%s","fields":[%s]}' % (ITEM.encode(), b",".join([b"{}"] * 5_500_000))
LARGE = json.dumps({"id": ITEM, "fields": [{"id": "a", "label": "a", "value": "\N{KEY}" + "x" * 7 * MIB}]}).encode()

BODIES = {
    "empty fields": ("item", EMPTY_FIELDS),
    "as many fields as pass": ("item", b'{"id":"%s","fields":[%s]}' % (ITEM.encode(), b",".join([b"{}"] * 42_000))),
    "one long value": ("item", LARGE),
    "brackets": ("item", b"[" * 16 * MIB),
    "zeros for items": ("items", b"[%s]" % b",".join([b"0"] * 8 * MIB)),
    "1 MiB of zeros for items": ("items", b"[%s]" % b",".join([b"0"] * (MIB // 2))),
    "as many items as pass": ("items", b"[%s]" % b",".join([b'{"id":"a"}'] * 42_000)),
    "zeros for vaults": ("vaults", b"[%s]" % b",".join([b"0"] * 8 * MIB)),
    "as many vaults as pass": ("vaults", b"[%s]" % b",".join([b'{"id":"a"}'] * 42_000)),
    "strings": ("vaults", b"[%s]" % b",".join([b'""'] * 5_000_000)),
    "quotes": ("vaults", b'"' * 16 * MIB),
}


@pytest.mark.parametrize("encoding", ["gzip", "identity"])
@pytest.mark.parametrize("name", BODIES)
async def test_no_answer_costs_more_than_64_mib(name, encoding, tmp_path):
    """One hostile item must neither exhaust the memory nor keep the health endpoint from answering."""
    what, body = BODIES[name]
    sent = gzip.compress(body) if encoding == "gzip" else body
    answer = http(sent, content_type="application/json", content_encoding=encoding)

    async def play(connection: Connection) -> None:
        while head := await connection.request():
            await connection.send(http(b".", content_type="text/plain") if "/heartbeat" in head else answer)

    async with serving(play) as server:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", CHILD, server.url, what, cwd=tmp_path, stdout=subprocess.PIPE,
            env={"PYTHONPATH": ":".join(sys.path)},
        )  # fmt: skip
        async with asyncio.timeout(PATIENCE_S):
            said, _ = await child.communicate()
    found = json.loads(said)

    assert found["peak"] < 64 * MIB, found
    assert found["longest"] < 2.0, found
