"""One word for one thing: names and words of the code, the documentation and the chart, held against CONTRIBUTING's glossary."""

import ast
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
KEYTURN = ROOT / "operator" / "keyturn"
MODULES = sorted(KEYTURN.rglob("*.py"))
CHART = ROOT / "helm" / "keyturn"

# Names in the code that repeat what users have: without underscores at the ends, in lower case.
PUBLIC_IDENTIFIERS = {
    "restart_owed": "the annotation keyturn.dev/restart-owed",
    "restarts_owed": "the metric keyturn_restarts_owed",
    "connect_trouble": "the metric keyturn_connect_trouble",
    "overruled": "the reason Overruled of Events",
    "rolebinding": "a kind of Kubernetes",
    "role_bindings": "the same",
    "cluster_role_bindings": "the same",
    "source_silent": "the reason SourceSilent of a status",
}
# The same in what users read.
PUBLIC_NAMES = {
    "keyturn.dev/restart-owed": "annotation of Secrets",
    "restarts.owed": "field of the status",
    "`owed`": "the same",
    " owed:": "the same, in the CustomResourceDefinition",
    "name: Owed": "its column",
    "`OWED`": "the same, as kubectl prints it",
    "keyturn_restarts_owed": "metric",
    "KeyturnRestartsOwed": "alert",
    "keyturn_connect_trouble": "metric",
    "`Overruled`": "reason of Events",
}


def public_names(module: Path) -> Iterator[str]:
    """What a module defines at its top level for others, without type variables."""
    for node in ast.parse(module.read_text()).body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                names = [node.name]
            case ast.Assign(value=ast.Call(func=ast.Name(id="TypeVar" | "ParamSpec"))):
                names = []
            case ast.Assign():
                names = [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
            case ast.AnnAssign(target=ast.Name() as target):
                names = [target.id]
            case _:
                names = []
        yield from (name for name in names if not name.startswith("_"))


def defined_names(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Each name that a module gives to something, at any depth, with its line. The names of libraries are theirs."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node.lineno
            case ast.arg():
                yield node.arg, node.lineno
            case ast.Name(ctx=ast.Store()):
                yield node.id, node.lineno
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr, node.lineno
            case ast.ExceptHandler(name=str(name)):
                yield name, node.lineno
            case ast.alias(asname=str(name)):
                yield name, node.lineno
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
                yield name, node.lineno


def words_of(identifier: str) -> str:
    """`_lostDebts_of` as `lost debts of`."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", identifier)).lower()


def retired_words() -> dict[str, bool]:
    """The last column of the glossary: each word, and whether it is retired in names only."""
    glossary = (ROOT / "CONTRIBUTING.md").read_text().split("\n## Glossary\n")[1].split("\n## ")[0]
    rows = [line.strip("|").split("|") for line in glossary.splitlines() if line.startswith("| ")]
    assert [cell.strip() for cell in rows[0]] == ["term", "meaning", "where", "retired"]
    words = [each for *_, retired in rows[1:] for each in re.findall(r"`([^`]+)`( \(names\))?", retired)]
    assert len(words) == len(dict(words)), "a word is retired twice"
    return {word: bool(names_only) for word, names_only in words}


def pattern(words: Iterable[str]) -> re.Pattern[str]:
    """Finds each of these words, also in the plural and as other forms of the verb."""
    regular = [rf"{word}(?:s|es|d|ed|ing|er|ers)?" for word in words]
    shortened = [rf"{word[:-1]}(?:ed|ing)" for word in words if word.endswith("e")]
    return re.compile(rf"\b(?:{'|'.join(regular + shortened)})\b", re.IGNORECASE)


WORDS = retired_words()
CLASSES = {word for word in WORDS if word[0].isupper()}
IN_NAMES = pattern(WORDS.keys() - CLASSES)
IN_TEXT = pattern(word for word in WORDS.keys() - CLASSES if not WORDS[word])


def shown_lines(file: Path) -> Iterator[tuple[int, str]]:
    """The lines of a page; of the chart's files, only what is a comment."""
    text = file.read_text()
    comment = re.compile(r"{{-? */\*.*?\*/ *-?}}|#[^\n]*", re.DOTALL)
    if file.suffix in {".yaml", ".tpl"} and file.is_relative_to(CHART):
        for found in comment.finditer(text):
            first = text.count("\n", 0, found.start()) + 1
            yield from enumerate(found[0].splitlines(), first)
    else:
        yield from enumerate(text.splitlines(), 1)


PAGES = sorted(
    [
        *(ROOT / name for name in ("README.md", "SECURITY.md", "CHANGELOG.md")),
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "crds").glob("*.yaml"),
        *(file for file in CHART.rglob("*") if file.suffix in {".yaml", ".tpl", ".txt", ".md"}),
    ]
)


def test_the_glossary_is_found():
    """If the table is not found, no word is retired and the tests below pass."""
    assert len(WORDS) > 30
    assert {"README.md", "restarts.md", "values.yaml", "_rbac.tpl", "NOTES.txt"} <= {page.name for page in PAGES}


@pytest.mark.parametrize(
    "text",
    [
        "a debt",
        "starved",
        "starving",
        "Debts",
        "bad news",
        "owing",
        "paying",
        words_of("_lost_debts"),
        words_of("PaidOff"),
    ],
)
def test_a_retired_word_is_found_in_all_its_forms(text):
    """Otherwise the plural would bring it back."""
    assert IN_NAMES.search(text)


@pytest.mark.parametrize(
    "text", ["troubleshooting", "a bookmark", "in doubtless haste", "PersistentVolumeClaim", "keyturn_connect_trouble"]
)
def test_a_word_that_only_contains_a_retired_one_is_free(text):
    """Kubernetes has words of its own."""
    assert not IN_NAMES.search(text)


def test_no_public_name_stands_for_two_things():
    """A reader must not need the imports to know which of two things a name means."""
    places = defaultdict(set)
    for module in MODULES:
        for name in public_names(module):
            places[name].add(module.relative_to(KEYTURN).as_posix())
    twice = {name: sorted(where) for name, where in places.items() if len(where) > 1}

    assert twice == {}


def test_no_retired_word_is_part_of_a_name():
    """Two words for one thing make a reader search for the difference."""
    found = []
    for module in MODULES:
        name = module.relative_to(ROOT)
        found += [f"{name}: {module.stem}"] if IN_NAMES.search(words_of(module.stem)) else []
        for identifier, line in defined_names(ast.parse(module.read_text())):
            if identifier.strip("_").lower() in PUBLIC_IDENTIFIERS:
                continue
            if identifier.strip("_") in CLASSES or IN_NAMES.search(words_of(identifier)):
                found.append(f"{name}:{line}: {identifier}")

    assert not found, "\n".join(sorted(set(found)))


def test_no_retired_word_stands_in_what_users_read():
    """Documentation and chart use the words of the status and the code."""
    names = re.compile("|".join(map(re.escape, PUBLIC_NAMES)))
    found = [
        f"{page.relative_to(ROOT)}:{number}: {', '.join(words)}"
        for page in PAGES
        for number, line in shown_lines(page)
        if (words := IN_TEXT.findall(names.sub("", line)))
    ]

    assert not found, "\n".join(found)
