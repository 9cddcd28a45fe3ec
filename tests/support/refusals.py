"""What the API server says of objects that it refuses, as a user sees it."""

import asyncio
import json
import re
from typing import Any

from localcluster import LocalCluster

_QUOTED = re.compile(r'Invalid value: (?:null: |"(?:[^"\\]|\\.)*": |map\[.*?\]: |\{.*?\}: |\[.*?\]: )?')


async def refused_by(api_server: LocalCluster, namespace: str, made: dict[str, Any]) -> str:
    """What `kubectl apply` says of an object that it must refuse, without what the API server puts before each message."""
    apply = ("apply", "--dry-run=server", f"--namespace={namespace}", "-f", "-")
    refused = await asyncio.to_thread(api_server.kubectl, *apply, input=json.dumps(made), check=False)

    assert refused.returncode != 0
    return _QUOTED.sub("", refused.stderr.replace('\\"', '"'))
