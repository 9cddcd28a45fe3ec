"""Rotations one after the other, each timed from the edit in 1Password to the Secret."""

import base64
import itertools
import time
from collections.abc import Sequence

from bench_rig import NAMESPACE, VAULT, Rig, Running

from demo import signs
from demo.watching import Watch

AT_ONCE = 30
"""So many rotations are watched for together."""
_PAUSE_S = 0.19
"""Between two rotations: no divisor of the interval of polls, so that they come at all moments between two of them."""
_PATIENCE = 180.0
_NUMBERS = itertools.count()
"""No two rotations make the same value."""


def rotate(rig: Rig, running: Running, titles: Sequence[str]) -> list[float]:
    """Rotate items of the rig's vault, a few hundred milliseconds apart. Returns the seconds until each Secret had the new value."""
    began: list[float] = []
    values: list[str] = []
    with Watch(rig.cluster, f"/api/v1/namespaces/{NAMESPACE}/secrets", check=running.check) as secrets:
        for title in titles:
            values.append(f"rotated-{next(_NUMBERS)}")
            began.append(time.monotonic())
            rig.connect.rotate(VAULT, title, value=values[-1])
            time.sleep(_PAUSE_S)
        moments = secrets.until_all([_holds(value) for value in values], what="rotated Secrets", timeout=_PATIENCE)
    return [moment - at for moment, at in zip(moments, began, strict=True)]


def _holds(value: str) -> signs.Sign:
    encoded = base64.b64encode(value.encode()).decode()
    return lambda _, manifest: encoded in manifest.get("data", {}).values()
