"""The catalogue and the code agree: every sentence is there, is used, and has the fields that it names."""

import ast
import inspect
import re
import string
from collections.abc import Iterator
from pathlib import Path

import pytest

from hfclone import errors, wording
from hfclone.checkout.overview import State
from hfclone.errors import HfcloneError
from hfclone.wording.errors import ERRORS
from hfclone.wording.lines import COUNTS, LINES, UNITS, WARNINGS
from hfclone.wording.phrases import PHRASES
from tests.unit.test_errors import CONCRETE, sample

ROOT = Path(inspect.getfile(wording)).parents[1]
CODE = [path for path in sorted(ROOT.rglob("*.py")) if "wording" not in path.parts]
TREES = {path: ast.parse(path.read_text(encoding="utf-8")) for path in CODE}
TABLES = {
    "line": LINES,
    "phrase": PHRASES,
    "measured": UNITS,
    "Warned": WARNINGS,
    "counted": {name.rpartition(" ")[0]: text for name, text in COUNTS.items()},
}


def fields_of(template: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}


def variants_of(kind: type[HfcloneError]) -> set[str]:
    """Every name that it may give, as its source has them, or that of the kind it is one of."""
    owner = next((each for each in kind.__mro__ if "variant" in vars(each) and each is not HfcloneError), kind)
    found = ast.parse(inspect.cleandoc(inspect.getsource(owner)))
    getters = [node for node in ast.walk(found) if isinstance(node, ast.FunctionDef) and node.name == "variant"]
    return {name for getter in getters for value in ast.walk(getter) for name in constants(value) if name}


def constants(node: ast.AST) -> list[str]:
    """Of a name that is written there, or of one that is chosen among some."""
    match node:
        case ast.Constant(value=str(text)):
            return [text]
        case ast.IfExp(body=body, orelse=other):
            return constants(body) + constants(other)
        case _:
            return []


def calls(function: str) -> Iterator[tuple[str, ast.Call, list[str]]]:
    """Where it is called, and with which names; ``partial(function, name)`` is a call, too."""
    for path, tree in TREES.items():
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args:
                continue
            heads = [node.func, node.args[0]]
            at = next((i for i, head in enumerate(heads) if isinstance(head, ast.Name) and head.id == function), None)
            if at is not None and len(node.args) > at:
                yield f"{path.relative_to(ROOT)}:{node.lineno}", node, constants(node.args[at])


@pytest.mark.parametrize("kind", CONCRETE)
def test_every_error_has_its_sentences(kind: type[HfcloneError]) -> None:
    error, variants = sample(kind), variants_of(kind)
    assert kind.code in ERRORS
    for variant in variants:
        assert ERRORS.keys() & {f"{kind.code} {variant}", f"{kind.code} {variant} hint"}, variant
    names = [kind.code, *(f"{kind.code} {variant}" for variant in variants)]
    for name in {*names, *(f"{name} hint" for name in names)} & ERRORS.keys():
        assert fields_of(ERRORS[name]) <= error.words().keys(), name


def test_every_sentence_is_some_errors() -> None:
    known = {HfcloneError.code}
    for kind in CONCRETE:
        names = [kind.code, *(f"{kind.code} {variant}" for variant in variants_of(kind))]
        known |= {*names, *(f"{name} hint" for name in names)}
    assert not ERRORS.keys() - known


def test_an_error_of_somebody_elses_can_be_said() -> None:
    class Foreign(errors.LocalError):
        code = "foreign"

    assert (str(Foreign()), Foreign().hint) == ("hfclone failed", "")


@pytest.mark.parametrize("function", TABLES)
def test_what_is_said_is_in_the_catalogue(function: str) -> None:
    """Under its name, and with all the fields that it wants."""
    table, found = TABLES[function], list(calls(function))
    assert found
    for place, call, names in found:
        assert names or function == "measured" or ast.unparse(call.args[0]) == "_STATES[state]", place
        assert names == [name for name in names if name in table], place
        given = {word.arg for word in call.keywords}
        if function == "Warned" and len(call.args) > 1:
            assert isinstance(call.args[1], ast.Dict), place
            given = {key.value for key in call.args[1].keys if isinstance(key, ast.Constant)}
        for name in names if function in ("line", "phrase", "Warned") and None not in given else ():
            assert fields_of(table[name]) <= given, (place, name)


@pytest.mark.parametrize("function", TABLES)
def test_what_is_in_the_catalogue_is_said(function: str) -> None:
    written = {
        node.value
        for tree in TREES.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    used = written if function in ("line", "measured") else {name for _, _, names in calls(function) for name in names}
    assert not TABLES[function].keys() - used


NOT_SAID = {
    "__init__.py": "Python's own error",
    "partials/aria2control.py": "of a file that is not believed then, and nobody is told",
    "cli/helping.py": "what --help prints",
    "export/listing.py": "the title within a file",
    "export/metalink.py": "a file for aria2c",
    "flows/clone.py": "an assertion",
    "git/translating.py": "words of git's that are looked for",
    "git/relay.py": "HTTP, which git reads",
    "git/index.py": "why git does it, and nobody is told",
    "hub/huggingface.py": "words of the Hub's that are looked for",
    "transfer/aria2/downloads.py": "a file for aria2c",
}
"""Modules that hold sentences which are for no reader of a run, and what these are."""


def sentences(tree: ast.Module) -> Iterator[str]:
    """Texts of several words in functions, but for docstrings, names in the catalogue and what decorators say."""
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    nodes = [node for function in functions for statement in function.body for node in ast.walk(statement)]
    catalogue = {name for table in TABLES.values() for name in table}
    docstrings = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    for node in nodes:
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or id(node) in docstrings:
            continue
        if re.search(r"[a-z]{2,}[,;:]? [a-z]{2,}", node.value) and node.value not in catalogue:
            yield node.value


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_sentence_stands_elsewhere(path: Path) -> None:
    """Nor is a module left out that has none."""
    assert bool(list(sentences(TREES[path]))) == (str(path.relative_to(ROOT)) in NOT_SAID)


def test_every_state_has_its_word() -> None:
    from hfclone.checkout.overview import Status
    from hfclone.cli.reports import status_lines

    said = "\n".join(status_lines(Status(Path("x"), "c", None, None, dict.fromkeys(State, 2), {}, 0, unfinished=False)))
    assert all(f"2 {state.value}" in said for state in State)


def test_a_number_chooses_the_form() -> None:
    assert [wording.counted("object", number) for number in (0, 1, 2000)] == ["0 objects", "1 object", "2,000 objects"]
