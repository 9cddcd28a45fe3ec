"""The floors of coverage, which hold only if nothing slips below them unseen."""

import tomllib
from pathlib import Path

import coverage_floor

FLOORS = {"keyturn": 50, "keyturn.core": 90}


def file(covered, there, *, branches=(0, 0)):
    return {
        "summary": {
            "covered_lines": covered,
            "num_statements": there,
            "covered_branches": branches[0],
            "num_branches": branches[1],
        }
    }


def test_files_are_counted_for_their_own_package():
    """A well-tested package must not carry the one that it stands in."""
    report = {
        "files": {
            "operator/keyturn/app.py": file(5, 10),
            "operator/keyturn/core/keys.py": file(8, 8, branches=(1, 2)),
            "operator/keyturn/core/names.py": file(10, 10),
            "operator/keyturn/control/__init__.py": file(0, 0),
        }
    }

    assert coverage_floor.by_package(report) == {"keyturn": 50.0, "keyturn.core": 95.0}


def test_a_package_at_its_floor_is_well():
    """Only less than the floor is too little."""
    assert coverage_floor.complaints({"keyturn": 50.0, "keyturn.core": 99.0}, FLOORS) == []


def test_a_package_below_its_floor_is_named():
    """The message is all that a developer sees."""
    [complaint] = coverage_floor.complaints({"keyturn": 50.0, "keyturn.core": 89.9}, FLOORS)

    assert complaint.startswith("keyturn.core is covered to 89.9 %, and its floor is 90 %")


def test_a_package_without_a_floor_and_a_floor_without_a_package_are_named():
    """A renamed package would otherwise lose its floor."""
    complaints = coverage_floor.complaints({"keyturn": 50.0, "keyturn.base": 99.0}, FLOORS)

    assert [complaint.split()[0] for complaint in complaints] == ["keyturn.base", "keyturn.core"]


def test_a_floor_only_rises():
    """What fell stays a complaint after `--raise`."""
    measured = {"keyturn": 40.0, "keyturn.core": 97.9, "keyturn.base": 100.0}

    assert coverage_floor.raised(measured, FLOORS) == {"keyturn": 50, "keyturn.core": 96, "keyturn.base": 99}


def test_floors_are_written_into_the_project_and_nothing_else():
    """The file holds much more than this table."""
    project = Path(coverage_floor.PROJECT).read_text()
    before, after = tomllib.loads(project), tomllib.loads(coverage_floor.with_floors(project, FLOORS))

    assert after["tool"]["keyturn"].pop("coverage") == FLOORS
    before["tool"]["keyturn"].pop("coverage")
    assert after == before
