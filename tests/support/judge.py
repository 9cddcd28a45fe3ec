"""Verdicts of other projects' own code: Helm's and Flux's kstatus, kind's configuration loader, the Prometheus operator's types."""

from pathlib import Path
from typing import Any

from support.clients.driven import Driver
from support.clients.installing import go_program

_SOURCE = Path(__file__).resolve().parents[1] / "chart" / "go"


def judge_program() -> Path:
    """The program around them; built if it is missing."""
    return go_program(_SOURCE, "judge", label="kstatus, kind's loader and Prometheus' types from their modules")


class Judge:
    """The program, running. Every question raises `Refused` with the code's own words where it has no verdict."""

    def __init__(self) -> None:
        self._driver = Driver([judge_program()])

    async def kstatus(self, manifest: dict[str, Any]) -> str:
        """`Current`, `InProgress`, `Failed` or `Terminating`."""
        verdict = await self._ask("kstatus", manifest)
        return str(verdict["status"])

    async def monitor(self, manifest: dict[str, Any]) -> None:
        """Read a ServiceMonitor or PodMonitor, strictly."""
        await self._ask("monitor", manifest)

    async def kind_config(self, path: Path) -> None:
        """Read a configuration of kind, strictly."""
        await self._ask("kind", str(path))

    async def _ask(self, judge: str, subject: Any) -> Any:
        return await self._driver.ask({"judge": judge, "subject": subject})

    def close(self) -> None:
        """End the program."""
        self._driver.close()
