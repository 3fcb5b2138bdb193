"""Files taken from elsewhere: whatever fails or kills us, a user's file is never without a name."""

from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hfclone.events import ignore
from hfclone.names import Taking
from hfclone.partials import Partials
from hfclone.pointer import Oid, Pointer
from hfclone.reuse.adopting import Adopted, Adopter, Unused, finish_move

DATA = bytes(range(256)) * 1200
POINTER = Pointer(Oid(hashlib.sha256(DATA).hexdigest()), len(DATA))
ROOT = Path(__file__).parents[2]

KILLED = """
import os, signal, sys
from pathlib import Path
from tests.integration.test_adopting import POINTER, move, mover

def hear(event, args):
    if event == sys.argv[2] and sys.argv[1] in str(args[0]):
        sys.argv[3] = str(int(sys.argv[3]) - 1)
        if sys.argv[3] == "0":
            os.kill(os.getpid(), signal.SIGKILL)

adopter = mover(Path(sys.argv[1]))
sys.addaudithook(hear)
move(adopter, Path(sys.argv[1], "theirs"), {POINTER.oid: POINTER})
"""


def mover(folder: Path) -> Adopter:
    """One that moves into ``folder/parts``."""
    return Adopter(Partials(folder / "parts"), Taking.MOVE, ignore)


def move(adopter: Adopter, place: Path, left: dict[Oid, Pointer]) -> list[object]:
    """As ``import`` does, but for the place in a work tree."""
    outcomes = []
    for outcome in adopter.adopt(place, left):
        outcomes.append(outcome)
        if isinstance(outcome, Adopted) and outcome.shared:
            finish_move(outcome.source, outcome.shared)
    return outcomes


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """The only copy that a user has."""
    file = tmp_path / "theirs" / "model.bin"
    file.parent.mkdir()
    file.write_bytes(DATA)
    return file


def copies(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.read_bytes() == DATA]


@pytest.mark.parametrize(
    ("event", "time"), [("os.link", 1), ("os.rename", 1), *(("os.remove", time) for time in range(1, 6))]
)
def test_a_kill_at_any_step(tmp_path: Path, theirs: Path, event: str, time: int) -> None:
    """Before each of the steps of a move; then it is made again."""
    command = [sys.executable, "-c", KILLED, str(tmp_path), event, str(time)]
    done = subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False)
    assert done.returncode == -signal.SIGKILL
    assert copies(tmp_path), "the file is gone"
    left = {POINTER.oid: POINTER}
    outcomes = move(mover(tmp_path), theirs.parent, left)
    part = Partials(tmp_path / "parts").part_path(POINTER)
    assert part in copies(tmp_path)
    assert not theirs.exists()
    assert bool(left) is not bool(outcomes)


def test_a_part_that_cannot_be_made_is_no_loss(tmp_path: Path, theirs: Path) -> None:
    parts = Partials(tmp_path / "parts")
    Path(parts.part_path(POINTER), "in the way").mkdir(parents=True)
    left = {POINTER.oid: POINTER}
    try:
        outcomes = list(mover(tmp_path).adopt(theirs, left))
    except Exception:  # noqa: BLE001  # whatever it is
        outcomes = []
    assert not any(isinstance(outcome, Adopted) for outcome in outcomes)
    assert copies(tmp_path) == [theirs]
    assert left, "it is still to be fetched"


def test_what_cannot_be_kept_is_still_to_be_fetched(tmp_path: Path, theirs: Path) -> None:
    """The disk refuses the very last step."""
    parts = tmp_path / "parts"
    adopter = mover(tmp_path)
    parts.mkdir()
    left = {POINTER.oid: POINTER}

    def refuse(event: str, args: tuple[object, ...]) -> None:
        if event == "os.rename" and refusing and str(tmp_path) in str(args[0]):
            raise OSError(5, "Input/output error")

    refusing = True
    sys.addaudithook(refuse)
    outcomes = list(adopter.adopt(theirs, left))
    refusing = False
    assert [type(outcome) for outcome in outcomes] == [Unused]
    assert left
    assert theirs.read_bytes() == DATA


def test_a_part_with_another_name_is_not_written_to(tmp_path: Path, theirs: Path) -> None:
    """As a kill leaves it between the two names of a file that is moved."""
    parts = Partials(tmp_path / "parts")
    parts.directory.mkdir()
    os.link(theirs, parts.part_path(POINTER))
    with contextlib.closing(parts.open(POINTER)) as partial:
        os.pwrite(partial.descriptor, b"wrong", 0)
    assert theirs.read_bytes() == DATA
