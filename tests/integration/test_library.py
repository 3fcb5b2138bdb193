"""``from hfclone import clone``: the same job with plain arguments."""

from __future__ import annotations

import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path

import pytest

import hfclone
from hfclone import HfcloneError, Incomplete, LocalError, RemoteError, Report, TransferError, UsageError, clone
from hfclone.events import Event, Finished, Pinned, Planned, Verified
from tests.e2e.command import assert_checkout, placed
from tests.hub import Hub, LivingRepo, Lost, streams
from tests.hub.mirror import files_only

LARGE = {"model.safetensors", "sub/dir/w.bin", "sub/same.bin"}
ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def private_world(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A user with nothing of their own but an endpoint."""
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home/hf"))
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    for name in ("HF_TOKEN", "HFCLONE_MIRROR", "http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_the_whole_job(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A typed report; every event on the caller's thread; not a word on any stream."""
    events: list[Event] = []
    threads: set[int] = set()

    def on_event(event: Event) -> None:
        events.append(event)
        threads.add(threading.get_ident())

    report = clone("acme/tiny", tmp_path / "x", on_event=on_event)
    assert isinstance(report, Report)
    assert (report.pin.commit, report.path) == (tiny_repo.commit, tmp_path / "x")
    assert (report.objects, report.fetched_bytes, report.reused_bytes, report.unselected) == (2, 370_000, 0, 0)
    assert sum(tally.sent for tally in report.endpoints) == 370_000
    assert report.seconds > 0
    assert threads == {threading.get_ident()}
    kinds = [type(event) for event in events]
    assert kinds[0] is Pinned
    assert kinds[-1] is Finished
    assert kinds.count(Planned) == 1
    assert kinds.count(Verified) == 2
    assert_checkout(tmp_path / "x", tiny_repo.commit, f"{hub.url}/acme/tiny")
    assert placed(tmp_path / "x") == LARGE
    assert capfd.readouterr() == ("", "")


def test_arguments(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    """All of them, as huggingface_hub has them."""
    hub.add("acme/data", tiny_repo, repo_type="dataset", private=True).members.add("hf_mine")
    hub.tokens.add("hf_mine")
    mirror = hub.mirror("mirror", files_only())
    report = clone(
        "acme/data",
        str(tmp_path / "x"),
        repo_type="dataset",
        revision="v1.0",
        allow_patterns=["*.safetensors", "*.bin"],
        ignore_patterns="sub/dir/*",
        mirrors=[mirror.url],
        endpoint=hub.url,
        token="hf_mine",
        max_workers=2,
    )
    assert placed(report.path) == {"model.safetensors", "sub/same.bin"}
    assert str(report.pin.repo) == "datasets/acme/data"
    assert not hub.log.saw_token("hf_mine", listener="mirror")
    assert hub.log.saw_token("hf_mine", listener="hub")


def test_the_default_directory(tiny_repo: LivingRepo, tmp_path: Path) -> None:
    """The repo's name, where we are; again is nothing to do."""
    assert clone("acme/tiny").path == tmp_path / "tiny"
    again = clone("acme/tiny", allow_patterns="*.bin")
    assert (again.fetched_bytes, again.objects) == (0, 1)
    assert tiny_repo.commit == again.pin.commit


def test_typed_errors(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """By family, with a code, fields and a hint; never a foreign one."""
    with pytest.raises(UsageError):
        clone("a/b/c")
    with pytest.raises(UsageError):
        clone("acme/tiny", mirrors=["ftp://x"])
    with pytest.raises(UsageError):
        clone("acme/tiny", max_workers=0)
    with pytest.raises(UsageError):
        clone("acme/tiny", repo_type="paper")
    with pytest.raises(RemoteError) as caught:
        clone("acme/none")
    assert caught.value.code == "repo-not-found"
    assert caught.value.fields()["repo"] == "acme/none"
    assert caught.value.hint
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken/file").touch()
    with pytest.raises(LocalError):
        clone("acme/tiny", tmp_path / "taken")
    tiny_repo.add_commit({"lost.bin": Lost("a" * 64, 10)})
    with pytest.raises(Incomplete) as incomplete:
        clone("acme/tiny", tmp_path / "x")
    assert [type(each).__name__ for each in incomplete.value.failures] == ["ObjectMissing"]
    assert placed(tmp_path / "x") == LARGE
    assert not issubclass(Incomplete, TransferError)
    assert capfd.readouterr() == ("", "")
    assert hub.url


def test_an_observer_that_raises(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    """Its exception ends the run and reaches the caller; nothing is lost and no thread stays."""
    hub.faults.add(streams.Throttle(each=2_000_000), kind="cdn")
    before = threading.active_count()

    def stop(event: Event) -> None:
        if isinstance(event, Verified):
            raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        clone("acme/tiny", tmp_path / "x", on_event=stop)
    hub.faults.clear()
    assert hub.log.wait_quiet()
    assert clone("acme/tiny", tmp_path / "x").objects == 2
    assert_checkout(tmp_path / "x", tiny_repo.commit, f"{hub.url}/acme/tiny")
    ours = [thread.name for thread in threading.enumerate() if "hub" not in thread.name and "cdn" not in thread.name]
    assert len(ours) <= before


def test_the_package() -> None:
    """Typed; all that ``__all__`` names is there and nothing else."""
    assert files("hfclone").joinpath("py.typed").is_file()
    for name in hfclone.__all__:
        assert getattr(hfclone, name) is not None
    assert set(hfclone.__all__) <= set(dir(hfclone)) | set(hfclone.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'nonsense'"):
        _ = hfclone.nonsense
    assert issubclass(UsageError, HfcloneError)


HEAVY = ("click", "git", "huggingface_hub", "requests", "tqdm", "urllib3", "xxhash", "ssl", "http.client")


def loaded(code: str) -> set[str]:
    """Modules that ``code`` has imported, in a new interpreter."""
    show = f"import sys\n{code}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", show], cwd=ROOT, capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_import_is_light() -> None:
    """``import hfclone`` costs nothing; the function costs what it needs when it is called."""
    assert not loaded("import hfclone") & {*HEAVY, "hfclone.flows", "hfclone.errors"}
    assert not loaded("from hfclone import HfcloneError, Report") & set(HEAVY)
