"""The report on a run: one table for people."""

from collections.abc import Iterator

from support.soak.schedule import SIDES
from support.soak.soak import Outcome

Row = tuple[str, str, str]


def table(outcome: Outcome) -> str:
    """What was done, and what came of it."""
    rows = [("side", "what", "how often"), *_done(outcome), *_restarts(outcome), *_memory(outcome)]
    widths = [max(len(row[column]) for row in rows) for column in range(2)]
    return "".join(f"{side:<{widths[0]}}  {what:<{widths[1]}}  {number}\n" for side, what, number in rows)


def _done(outcome: Outcome) -> Iterator[Row]:
    for side in SIDES:
        yield from ((side, what, str(number)) for (of, what), number in sorted(outcome.steps.items()) if of == side)
    struck = {"Connect": outcome.connect_faults, "API server": outcome.api_faults}
    for side, faults in struck.items():
        yield side, "requests that went wrong", f"{faults.total()} ({_listed(faults)})"
    yield "operator", "killed", str(outcome.kills)
    yield "operator", "ended otherwise", str(outcome.ended)


def _restarts(outcome: Outcome) -> Iterator[Row]:
    ledger = outcome.ledger
    yield "result", "changes of Secrets", str(outcome.rotations)
    yield "result", "restarts owed", f"{ledger.owed}: {ledger.lost} lost"
    yield "result", "restarts made", f"{ledger.made}: {ledger.double} double, {ledger.needless} needless"
    yield "result", "settled after", f"{outcome.settled_s:.0f} s"


def _memory(outcome: Outcome) -> Iterator[Row]:
    for life in outcome.lives:
        yield "memory", "of a leader", str(life)


def _listed(faults: dict[str, int]) -> str:
    return ", ".join(f"{kind}: {number}" for kind, number in sorted(faults.items()))
