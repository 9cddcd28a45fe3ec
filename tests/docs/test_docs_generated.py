"""Pages and pictures that a script writes are as it would write them now."""

import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml

import picture
import reference
from keyturn.core import names
from keyturn.core.events import EventReason
from keyturn.core.status import Reason
from keyturn.settings import variables

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = (ROOT / "docs" / "reference.md").read_text()


@pytest.mark.parametrize("script", ["chart", "reference", "picture", "schemas"])
def test_what_a_script_writes_is_current(script):
    """`make lint` says so, too; a page that is behind its source misleads."""
    check = subprocess.run(
        [sys.executable, ROOT / "dev" / f"{script}.py", "--check"], check=False, capture_output=True, text=True
    )

    assert (check.returncode, check.stderr) == (0, "")


def test_the_reference_has_every_public_name():
    """People look for a word that they saw on an object, in a log or in a manifest."""
    annotations = [
        value for value in vars(names).values() if isinstance(value, str) and value.startswith(reference.PREFIXES)
    ]
    crds = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds").glob("*.yaml")]
    wanted = [*annotations, *Reason, *EventReason, *variables(), *(crd["spec"]["names"]["kind"] for crd in crds)]

    assert len(annotations) > 10
    assert [name for name in wanted if f"`{name}`" not in REFERENCE and f"### {name}\n" not in REFERENCE] == []


def test_a_name_without_a_meaning_stops_the_page(monkeypatch):
    """Whoever adds an annotation is asked for the line that explains it."""
    fewer = {name: meaning for name, meaning in reference.MEANINGS.items() if name != names.ADOPT}
    monkeypatch.setattr(reference, "MEANINGS", fewer)

    with pytest.raises(reference.UndocumentedName, match=names.ADOPT):
        reference.page()


def test_the_picture_is_an_image_that_browsers_read():
    """A page with a broken image is worse than one without."""
    text = (ROOT / "docs" / "architecture.svg").read_text()

    root = ET.fromstring(text)  # noqa: S314 - our own file
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    drawing = picture.read((ROOT / "docs" / "architecture.txt").read_text())
    assert all(f">{box.title}<" in text for box in drawing.boxes.values())
    places = [(box.column, box.row) for box in drawing.boxes.values()]
    assert len(places) == len(set(places))


def test_a_line_that_cannot_be_drawn_is_named():
    """A typo must not silently leave out an arrow."""
    boxes = 'box a 0 0 "A" "x"\nbox b 1 1 "B" "y"\n'

    with pytest.raises(picture.BadDrawing, match="line 3 is no area"):
        picture.read(boxes + 'arrow a c "label"')
    with pytest.raises(picture.BadDrawing, match="line 3: a and b are neither"):
        picture.read(boxes + 'arrow a b "label"')
