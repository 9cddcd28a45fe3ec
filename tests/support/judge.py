"""Verdicts of other projects' own code: Helm's and Flux's kstatus, kind's loader, types of Flux, cert-manager and Prometheus' operator."""

from pathlib import Path
from typing import Any

from support.clients.driven import Driver
from support.clients.installing import go_program

_SOURCE = Path(__file__).resolve().parents[1] / "chart" / "go"


def judge_program() -> Path:
    """The program around them; built if it is missing."""
    return go_program(
        _SOURCE,
        "judge",
        label="kstatus, kind's loader and types of Flux, cert-manager and Prometheus from their modules",
    )


class Judge:
    """The program, running. Every question raises `Refused` with the code's own words where it has no verdict."""

    def __init__(self) -> None:
        self._driver = Driver([judge_program()])

    async def kstatus(self, manifest: dict[str, Any]) -> str:
        """`Current`, `InProgress`, `Failed` or `Terminating`."""
        verdict = await self._ask("kstatus", manifest)
        return str(verdict["status"])

    async def strict(self, manifest: dict[str, Any]) -> None:
        """Read an object of the Prometheus operator, of cert-manager or of Flux, which must have no field that its type lacks."""
        await self._ask("strict", manifest)

    async def kind_config(self, path: Path) -> None:
        """Read a configuration of kind, strictly."""
        await self._ask("kind", str(path))

    async def _ask(self, judge: str, subject: Any) -> Any:
        return await self._driver.ask({"judge": judge, "subject": subject})

    def close(self) -> None:
        """End the program."""
        self._driver.close()
