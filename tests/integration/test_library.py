"""``from hfclone import clone``: the same job with plain arguments."""

from __future__ import annotations

import inspect
import os
import re
import shlex
import subprocess
import sys
import threading
from importlib.resources import files
from pathlib import Path

import pytest
from huggingface_hub import snapshot_download

import hfclone
from hfclone import (
    HfcloneError,
    Incomplete,
    LocalError,
    Plan,
    RemoteError,
    Report,
    TransferError,
    UsageError,
    clone,
    pull,
    status,
    verify,
)
from hfclone.cli.commands import program
from hfclone.events import Event, Finished, Pinned, Planned, Verified, Working
from tests.e2e.command import assert_checkout, placed
from tests.hub import Hub, Lfs, LivingRepo, Lost, streams
from tests.hub.mirror import files_only
from tests.proxies import HttpProxy

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
    assert Working("copying", 70_000, 70_000) in events  # the second path of one object
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


def test_a_dry_run(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    """The plan, and nothing written or fetched."""
    plan = clone("acme/tiny", "x", allow_patterns="*.bin", dry_run=True)
    assert isinstance(plan, Plan)
    assert (plan.pin.commit, plan.fetch_bytes, plan.unselected) == (tiny_repo.commit, 70_000, 1)
    assert not (tmp_path / "x").exists()
    assert hub.log.of(kind="cdn") == ()


def test_proxies(hub: Hub, tiny_repo: LivingRepo, tmp_path: Path) -> None:
    """For git, metadata and bytes: the hub has a name that only the proxy knows."""
    hub.site.hub_url = hub.url.replace("127.0.0.1", "hub.test")
    hub.front.cdn_alias = hub.cdn_url.replace("127.0.0.1", "cdn.test")
    with HttpProxy() as proxy:
        report = clone("acme/tiny", "x", endpoint=hub.site.hub_url, proxies={"http": f"http://127.0.0.1:{proxy.port}"})
        assert {passed.host for passed in proxy.passed} == {"hub.test", "cdn.test"}
    assert placed(tmp_path / "x") == LARGE
    assert report.pin.commit == tiny_repo.commit
    with pytest.raises(UsageError, match="write URLs by scheme"):
        clone("acme/tiny", proxies={"https://": "http://127.0.0.1:1"})


def test_the_other_jobs(tiny_repo: LivingRepo, tmp_path: Path) -> None:
    """``status``, ``verify`` and ``pull`` on one checkout."""
    clone("acme/tiny", "x")
    assert status("x").complete
    (tmp_path / "x/config.json").write_text("mine")
    (tmp_path / "x/sub/same.bin").unlink()
    assert not status("x").complete
    wrong = {finding.path: finding.problem.value for finding in verify("x").findings}
    assert wrong == {b"config.json": "changed", b"sub/same.bin": "missing"}
    (tmp_path / "x/config.json").unlink()
    commit = tiny_repo.add_commit({"new.bin": Lfs(10_000, seed=7)})
    assert pull(tmp_path / "x").pin.commit == commit == status("x").commit
    assert pull("x", revision="v1.0").fetched_bytes == 0
    with pytest.raises(LocalError):
        status(tmp_path)


def test_the_arguments_of_snapshot_download() -> None:
    """Whoever knows its parameters knows these."""
    theirs = set(inspect.signature(snapshot_download).parameters)
    ours = set(inspect.signature(clone).parameters)
    assert ours - theirs == {"mirrors", "proxies", "on_event"}
    assert ours & theirs >= {"repo_id", "repo_type", "revision", "allow_patterns", "ignore_patterns", "local_dir"}
    assert ours & theirs >= {"cache_dir", "max_workers", "token", "endpoint", "dry_run"}


def test_the_page(hub: Hub, tmp_path: Path) -> None:
    """What docs/from-python.md shows runs as it stands, from top to bottom; each byte comes once."""
    repo = hub.repo("org/name", {"config.json": "{}\n", "model.safetensors": Lfs(200_000, seed=1)})
    repo.tag("v1.0")
    repo.add_commit({"more.bin": Lfs(1_000, seed=2)})
    mirror = hub.mirror("mirror", files_only())
    page = (ROOT / "docs/from-python.md").read_text(encoding="utf-8")
    code = "\n".join(re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE))
    code = code.replace("hf-mirror.com", mirror.url)
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1"}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    first, plan, complete, exported, *events = done.stdout.splitlines()
    assert first.split()[2] == "200000"
    assert (plan.split()[0], complete, events) == ("1000", "True", ["0 bytes to come"])
    assert "/models--org--name/snapshots/" in exported
    assert sum(entry.bytes_sent for entry in hub.log.entries if entry.oid and entry.status in (200, 206)) == 201_000


def test_one_mirror_is_no_sequence_of_letters() -> None:
    with pytest.raises(UsageError, match="'ftp://x'"):
        clone("acme/tiny", mirrors="ftp://x")


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
    assert not loaded("import hfclone") & {*HEAVY, "hfclone.flows.clone", "hfclone.errors"}
    assert not loaded("from hfclone import HfcloneError, Report") & set(HEAVY)


def advised() -> list[str]:
    """The command lines of docs/coming-from.md's last column."""
    page = (ROOT / "docs/coming-from.md").read_text(encoding="utf-8")
    lasts = [row.rsplit("|", 2)[-2] for row in page.splitlines() if row.startswith("| ")]
    return [command for last in lasts for command in re.findall(r"`hfclone ([^`]+)`", last)]


def test_what_one_comes_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every command line that docs/coming-from.md advises can be meant."""
    (tmp_path / "home/Downloads").mkdir()
    monkeypatch.setattr(sys, "argv", ["hfclone"])
    assert len(advised()) >= 15
    for command in advised():
        words = [os.path.expanduser(word) for word in shlex.split(command)]  # as a shell does
        assert callable(program.main(words, prog_name="hfclone", standalone_mode=False)), command
