"""`make chaos`: mass rotations at length, with operators killed and everything else that can break breaking."""

import argparse
import asyncio
import signal
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from localcluster import ClusterSetupError, LocalCluster
from support.chaos import Account, Chaos, Plan
from support.proving_ground import proving_ground

TROUBLES: dict[str, Callable[[Plan, LocalCluster], Plan]] = {
    "none": lambda plan, _: plan,
    "api-faults": lambda plan, _: replace(plan, api_faults=True),
    "api-restarts": lambda plan, cluster: replace(
        plan, restart_api_server=lambda: cluster.restart_apiserver(kill=True)
    ),
    "connect-flaps": lambda plan, _: replace(plan, connect_flaps=True),
    "replicas": lambda plan, _: replace(plan, replicas=2),
    "shapes": lambda plan, _: replace(plan, shaped=True),
}
"""What breaks beside the operator, or is harder for it, by the name that chooses it."""


def main() -> int:
    """Run every trouble with every seed; return the exit status: 1 if a restart was lost or made in vain."""
    parser = argparse.ArgumentParser(prog="python tests/chaos/run.py", description=__doc__)
    parser.add_argument("--secrets", type=int, default=40)
    parser.add_argument("--rotations", type=int, default=20)
    parser.add_argument("--kills", type=int, default=2, help="at most so many per rotation")
    parser.add_argument("--seed", type=int, action="append", help="may be given several times; default: 1, 2 and 3")
    parser.add_argument("--trouble", choices=TROUBLES, action="append", help="may be given several times; default: all")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = Plan(secrets=options.secrets, rotations=options.rotations, seed=0, kills=options.kills)
    try:
        return asyncio.run(_run_all(plan, options.seed or [1, 2, 3], options.trouble or list(TROUBLES)))
    except ClusterSetupError as error:
        sys.stderr.write(f"chaos: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("chaos: interrupted\n")
        return 130


async def _run_all(plan: Plan, seeds: list[int], troubles: list[str]) -> int:
    wrong = 0
    with LocalCluster.start() as local:
        for trouble in troubles:
            for seed in seeds:
                sys.stdout.write(f"{trouble}, seed {seed}: ")
                sys.stdout.flush()
                account = await _run(TROUBLES[trouble](replace(plan, seed=seed), local), local, f"{trouble}-{seed}")
                wrong += not account.right
                sys.stdout.write("".join(f"{line}\n" for line in (str(account), *account.wrong)))
    sys.stdout.write("Nothing was lost, and nothing made in vain.\n" if not wrong else f"{wrong} runs went wrong.\n")
    return min(wrong, 1)


async def _run(plan: Plan, local: LocalCluster, namespace: str) -> Account:
    with tempfile.TemporaryDirectory(prefix="keyturn-chaos-") as folder:
        async with proving_ground(local.kubeconfig, namespace, folder=Path(folder)) as ground:
            chaos = Chaos(plan, ground)
            try:
                return await chaos.run()
            except Exception:
                sys.stderr.write(chaos.last_words())
                raise


if __name__ == "__main__":
    sys.exit(main())
