"""How the package is laid out: what its names promise to who looks for something."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[2] / "hfclone"
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
STILL_TWICE = {"errors", "lines"}
"""Their sentences have modules of the same name in ``wording``."""


def imports_of(path: Path) -> set[str]:
    """The modules of ours that ``path`` imports from, without ``hfclone.``."""
    found = set()
    for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "hfclone":
            below = (node.module or "").partition(".")[2]
            found |= {below} if below else {alias.name for alias in node.names}
    return found


def test_no_two_modules_share_a_name() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        if path.name != "__init__.py":
            homes[path.stem].append(str(path))
    assert {name for name, paths in homes.items() if len(paths) > 1} == STILL_TWICE


def test_no_two_classes_share_a_name() -> None:
    homes = defaultdict(list)
    for path in MODULES:
        for node in ast.walk(ast.parse((ROOT / path).read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                homes[node.name].append(str(path))
    assert {name: paths for name, paths in homes.items() if len(paths) > 1} == {}


def test_what_lies_at_the_top_serves_several_packages() -> None:
    users = defaultdict(set)
    for path in MODULES:
        for name in imports_of(path):
            users[name.partition(".")[0]].add(path.parts[0])
    top = {path.stem for path in MODULES if len(path.parts) == 1} - {"__init__", "__main__", "api"}
    assert {name: sorted(users[name]) for name in top if len(users[name]) < 2} == {}


def test_there_are_twelve_floors_at_most() -> None:
    contract = (ROOT.parent / "setup.cfg").read_text("utf-8").partition("layers =\n")[2].partition("\n\n")[0]
    assert 1 < len(contract.splitlines()) <= 12
