"""The values of the chart: documented, described by the schema, and the same as the operator's own defaults."""

import json
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest
import yaml

from keyturn.providers.connect import CONNECT
from keyturn.settings import Settings
from support.helm import CHART

ROOT = Path(__file__).resolve().parents[2]
VALUES = yaml.safe_load((CHART / "values.yaml").read_text())
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
# Keys that only files of 1Password's chart or Helm itself bring along.
FOREIGN = {
    "acceptanceTests",
    "enabled",
    "global",
    "operator.create",
    "operator.hpa",
    "operator.imageRepository",
    "operator.version",
}


def _script():
    spec = spec_from_file_location("chart_script", ROOT / "dev" / "chart.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _parts(schema, prefix=""):
    """All keys that a schema names, but those of the entries of lists, each with its part of the schema."""
    for name, part in schema.get("properties", {}).items():
        yield f"{prefix}{name}", part
        yield from _parts(part, f"{prefix}{name}.")


def _keys(schema):
    return (path for path, _ in _parts(schema))


def _value(path):
    value = VALUES
    for part in path.split("."):
        value = value[part]
    return value


def test_the_readme_and_the_copied_crds_are_current():
    """What is written by a command must be what that command would write now."""
    check = subprocess.run(
        [sys.executable, ROOT / "dev" / "chart.py", "--check"], check=False, capture_output=True, text=True
    )

    assert check.stderr == ""
    assert check.returncode == 0


def test_a_value_without_a_comment_is_noticed():
    """The table must not lose a value because its comment was forgotten."""
    script = _script()

    assert script.table("a:\n  # One.\n  b: 1\n").splitlines()[2:] == ["| `a.b` | `1` | One. |"]
    with pytest.raises(script.UndocumentedValue, match=r"a\.c"):
        script.table("a:\n  # One.\n  b: 1\n  c: 2\n")


def test_the_schema_knows_each_value_and_no_other():
    """A value that the schema lacks could not be set; one that only the schema has would do nothing."""
    known = set(_keys(SCHEMA))

    assert known >= FOREIGN
    for path in known - FOREIGN:
        _value(path)
    documented = {
        line.split("`")[1] for line in (CHART / "README.md").read_text().splitlines() if line.startswith("| `")
    }
    leaves = {path for path in known - FOREIGN if not any(other.startswith(f"{path}.") for other in known)}
    assert leaves <= documented


def test_each_value_is_described_in_the_schema():
    """An editor that knows the schema shows what a key is for; the words are those of values.yaml."""
    described = {path for path, part in _parts(SCHEMA) if part.get("description")}

    assert described >= {path for path, part in _parts(SCHEMA) if "properties" not in part}


def test_the_metadata_of_the_chart_name_what_is_true():
    """People choose a chart by these lines. The project has no public address, so there is none to link to."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["kubeVersion"] == ">=1.30.0-0"
    assert "Kubernetes 1.30" in (ROOT / "docs" / "install.md").read_text()
    authors = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["authors"]
    assert chart["maintainers"] == authors
    assert not {"home", "sources", "icon"} & chart.keys()


@pytest.mark.parametrize(
    ("value", "setting"),
    [
        ("operator.fullPassInterval", "full_pass_interval"),
        ("operator.maxStaleness", "max_staleness"),
        ("operator.workers", "workers"),
        ("operator.leaderElection.leaseDuration", "lease_duration"),
        ("operator.autoRestart", "auto_restart"),
        ("operator.deleteOnDisconnect", "delete_on_disconnect"),
        ("activityExport.enabled", "activity_export"),
        ("activityExport.file", "audit_file"),
        ("operator.enableAnnotations", "enable_annotations"),
        ("operator.logLevel", "log_level"),
        ("operator.logFormat", "log_format"),
    ],
)
def test_defaults_are_the_operators(value, setting):
    """A reader of the README's table of settings must find the same in a cluster."""
    assert _value(value) == getattr(Settings(provider=CONNECT, provider_settings=None), setting)


def test_the_chart_has_the_version_of_the_project():
    """The tags of both images follow from the chart's version."""
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    projects = (ROOT / "pyproject.toml", ROOT / "operator" / "connect_emulator" / "pyproject.toml")
    versions = {tomllib.loads(project.read_text())["project"]["version"] for project in projects}

    assert {chart["version"], chart["appVersion"]} == versions
    assert len(versions) == 1
