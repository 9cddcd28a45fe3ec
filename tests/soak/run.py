"""`make soak`: random faults on all sides from a seed, then the verdict on every Secret, restart, status, log and on memory."""

import argparse
import asyncio
import signal
import sys
import tempfile
from pathlib import Path

from localcluster import ClusterSetupError, LocalCluster
from support.proving_ground import proving_ground
from support.soak.report import table
from support.soak.schedule import Plan, schedule
from support.soak.soak import Soak


def main() -> int:
    """Run once; return the exit status: 1 if anything is not as it must be."""
    parser = argparse.ArgumentParser(prog="python tests/soak/run.py", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20.0, help="until the faults stop (default: %(default)s)")
    parser.add_argument("--secrets", type=int, default=20, help="that are there all the time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="decides about everything (default: %(default)s)")
    parser.add_argument("--schedule", action="store_true", help="print the schedule, and do nothing")
    parser.add_argument("--logs", type=Path, help="keep the logs in this folder")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    plan = Plan(options.seed, options.minutes * 60, secrets=options.secrets, restarts_api_server=True)
    sys.stdout.write("".join(f"{step}\n" for step in schedule(plan)))
    sys.stdout.flush()
    if options.schedule:
        return 0
    try:
        if options.logs is not None:
            options.logs.mkdir(parents=True, exist_ok=True)
            return asyncio.run(_run(plan, options.logs))
        with tempfile.TemporaryDirectory(prefix="keyturn-soak-") as folder:
            return asyncio.run(_run(plan, Path(folder)))
    except ClusterSetupError as error:
        sys.stderr.write(f"soak: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("soak: interrupted\n")
        return 130


async def _run(plan: Plan, folder: Path) -> int:
    with LocalCluster.start() as local:
        async with proving_ground(local.kubeconfig, "soak", folder=folder, replicas=2) as ground:
            soak = Soak(plan, ground, restart_api_server=lambda: local.restart_apiserver(kill=True))
            try:
                outcome = await soak.run()
            except Exception:
                sys.stderr.write(soak.last_words())
                raise
    complaints = outcome.complaints
    sys.stdout.write(f"\nseed {plan.seed}, {plan.seconds:.0f} s\n{table(outcome)}")
    sys.stdout.write("".join(f"{line}\n" for line in complaints) or "All is well.\n")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
