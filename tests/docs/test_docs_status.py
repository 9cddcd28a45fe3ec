"""The documentation of the status says all that the code can say, and nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from keyturn.core.connection_status import STALLED
from keyturn.core.status import Reason

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "status.md").read_text()
CONNECTIONS = (ROOT / "docs" / "connections.md").read_text()
GRANTS = (ROOT / "docs" / "access.md").read_text()
CRD = yaml.safe_load((ROOT / "crds" / "onepassworditems.yaml").read_text())


def test_the_documented_reasons_are_the_codes():
    """Alerts and scripts match these words, so none may be missing, and none may be promised that never comes."""
    tables = [page.split("## Reasons")[1].split("##")[0] for page in (PAGE, CONNECTIONS, GRANTS)]
    of_requests, of_connections, of_grants = (set(re.findall(r"^\| `(\w+)`", each, re.MULTILINE)) for each in tables)

    assert of_requests | of_connections | of_grants == {reason.value for reason in Reason}
    assert of_requests & of_grants == {Reason.PROGRESSING, Reason.VAULT_UNAVAILABLE, Reason.ITEM_NOT_FOUND}
    assert of_requests & of_connections == {Reason.SUSPENDED, Reason.PROGRESSING}
    assert of_connections >= STALLED


@pytest.mark.parametrize(
    "member", ["observedGeneration", "conditions", "itemPath", "itemVersion", "lastSyncTime", "secret", "restarts"]
)
def test_each_member_of_the_status_is_documented_and_in_the_schema(member):
    """What the operator writes, the API server must keep and the page explain."""
    schema = CRD["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]

    assert member in schema
    assert f"`{member}" in PAGE
