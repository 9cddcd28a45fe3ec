"""`/health` and `/metrics`: what the server says of itself without a token."""

import gc
import resource
import sys
import threading
import time
from typing import Any

from connect_emulator.account.replica import Phase
from connect_emulator.knobs import Knobs


def health(phase: Phase, knobs: Knobs) -> dict[str, Any]:
    """The health report. The statuses before initialisation are seen, those after it inferred."""
    ready = phase is Phase.READY
    account: dict[str, str] = {
        "service": "account_data",
        "status": knobs.healthy_account_data if ready else "NOT_SYNCED",
    }
    upstream: dict[str, str] = {"service": "1Password", "status": knobs.healthy_upstream if ready else "UNINITIALIZED"}
    if not ready:
        account["message"] = "Account data has not been synced yet"
        upstream["message"] = "Make a request with a valid bearer token to initialize"
    return {
        "name": "1Password Connect API",
        "version": knobs.version,
        "dependencies": [
            {
                "service": "sqlite",
                "status": "ACTIVE",
                "message": "Connected to /home/opuser/.op/data/1password.sqlite",
            },
            account,
            {"service": "sync", "status": "ACTIVE" if ready else "TOKEN_NEEDED"},
            upstream,
        ],
    }


def metrics(started: float) -> str:
    """Prometheus text with the names of Go's collectors, which are the only documented ones; `started` in Unix seconds."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    lines: list[str] = []

    def add(name: str, kind: str, text: str, value: float, labels: str = "") -> None:
        lines.extend((f"# HELP {name} {text}", f"# TYPE {name} {kind}", f"{name}{labels} {value:g}"))

    add("go_goroutines", "gauge", "Number of goroutines that currently exist.", threading.active_count())
    add("go_info", "gauge", "Information about the Go environment.", 1, '{version="go1.24"}')
    add(
        "go_memstats_alloc_bytes", "gauge", "Number of bytes allocated and still in use.", sys.getallocatedblocks() * 64
    )
    add(
        "go_gc_duration_seconds_count",
        "counter",
        "Garbage collections.",
        sum(stat["collections"] for stat in gc.get_stats()),
    )
    add("process_cpu_seconds_total", "counter", "Total user and system CPU time.", usage.ru_utime + usage.ru_stime)
    add("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", usage.ru_maxrss * 1024)
    add("process_start_time_seconds", "gauge", "Start time of the process since unix epoch.", started)
    add("process_uptime_seconds", "gauge", "Seconds since the start.", max(0.0, time.time() - started))
    return "\n".join(lines) + "\n"
