"""``hfclone config`` and files of settings as a user meets them."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.command import Command, git
from tests.hub import Hub, LivingRepo
from tests.hub.mirror import reverse_proxy


def shown(hfclone: Command, *args: str, cwd: Path | None = None) -> dict[str, dict[str, object]]:
    """Every setting that ``config --json`` tells."""
    inner = hfclone if cwd is None else Command(hfclone.base, hfclone.endpoint)
    if cwd is not None:
        inner.cwd = cwd
    done = inner("config", "--json", *args)
    assert (done.code, done.stderr) == (0, "")
    return {row["setting"]: row for row in map(json.loads, done.stdout.splitlines())}


def test_where_each_value_comes_from(hfclone: Command) -> None:
    (hfclone.home / ".config/hfclone").mkdir(parents=True)
    (hfclone.home / ".config/hfclone/config.toml").write_text('window = "22:00-06:00"\n')
    (hfclone.cwd / "hfclone.toml").write_text('mirror = ["m.example"]\nconnections = 8\n')
    env = {"HF_TOKEN": "hf_s3cr3t", "https_proxy": "http://me:s3cr3t@proxy.example:1", "HFCLONE_LIMIT_RATE": "5M"}
    env["HFCLONE_ARIA2_RPC_SECRET"] = "s3cr3t"
    done = hfclone("config", "--show-origin", "--fetcher", "threads", env=env)
    assert (done.code, done.stderr) == (0, "")
    for line in (
        f'window = "22:00-06:00"  # window in {hfclone.home}/.config/hfclone/config.toml',
        f'mirror = ["m.example"]  # mirror in {hfclone.cwd}/hfclone.toml',
        'limit-rate = "5M"  # HFCLONE_LIMIT_RATE',
        'fetcher = "threads"  # --fetcher',
        'stall-after = "20s"  # default',
        '# token = "***"  # HF_TOKEN',
        '# aria2-rpc-secret = "***"  # HFCLONE_ARIA2_RPC_SECRET',
        '# https-proxy = "http://***@proxy.example:1"  # https_proxy',
        f"# the project's file: {hfclone.cwd}/hfclone.toml",
    ):
        assert line in done.stdout.splitlines(), done.stdout
    assert "s3cr3t" not in done.stdout
    data = hfclone("config", "--json", env=env)
    assert "s3cr3t" not in data.stdout
    rows = {row["setting"]: row for row in map(json.loads, data.stdout.splitlines())}
    assert rows["mirror"]["value"] == ["m.example"]
    assert [rows[key]["origin"] for key in ("mirror", "window", "limit-rate", "stall-after")] == [
        "project",
        "user",
        "environment",
        "default",
    ]


def test_what_it_prints_is_a_file_of_settings(hfclone: Command) -> None:
    """With and without origins, it says the same when it is read."""
    said = ("--include", 'a"\\b\t\U000e0001*', "--limit-rate", "5M", "--mirror", "m.example")
    before = {key: row["value"] for key, row in shown(hfclone, *said).items() if key not in ("endpoint", "config-file")}
    for words in ((), ("--show-origin",)):
        done = hfclone("config", *said, *words)
        (hfclone.base / "copy.toml").write_text(done.stdout)
        again = hfclone("config", "--json", env={"HFCLONE_CONFIG": str(hfclone.base / "copy.toml")})
        rows = {row["setting"]: row["value"] for row in map(json.loads, again.stdout.splitlines())}
        assert {key: rows[key] for key in before} == before


def test_a_download_configures_nothing(hub: Hub, hfclone: Command) -> None:
    """A repo that holds hfclone.toml: in its checkout it is not read, whoever made that, nor from below it."""
    hub.repo("acme/trap", {"hfclone.toml": 'mirror = ["evil.example"]\nnonsense = 1\n', "sub/a.txt": "a\n"})
    assert hfclone("acme/trap").code == 0
    trap = hfclone.cwd / "trap"
    git(hfclone.cwd, "clone", "-q", f"{hub.url}/acme/trap", "plain")
    for place in (trap, trap / "sub", hfclone.cwd / "plain"):
        assert shown(hfclone, cwd=place)["mirror"]["origin"] == "default"
    (trap / "sub" / "hfclone.toml").write_text("nonsense = 1\n")  # of the user's, but in a checkout of ours
    assert shown(hfclone, cwd=trap / "sub")["mirror"]["origin"] == "default"
    inner = Command(hfclone.base, hfclone.endpoint)
    inner.cwd = trap
    told = inner("config", "--show-origin")
    assert f"{trap}/hfclone.toml (not read: this is a checkout of hfclone's)" in told.stdout
    inner.cwd = hfclone.cwd / "plain"
    assert "(not read: git tracks it)" in inner("config", "--show-origin").stdout
    named = inner("config", env={"HFCLONE_CONFIG": "hfclone.toml"})
    assert (named.code, named.error) == (2, "hfclone.toml: nonsense: there is no such setting")


def test_a_projects_file(hub: Hub, tiny_repo: LivingRepo, hfclone: Command) -> None:
    """In a git repo of one's own, not tracked: its mirror is asked first."""
    mirror = hub.mirror("mirror", reverse_proxy())
    subprocess.run(["git", "init", "-q"], cwd=hfclone.cwd, check=True)
    (hfclone.cwd / "hfclone.toml").write_text(f'mirror = "{mirror.url}"\nexclude = ["sub/*"]\n')
    done = hfclone("acme/tiny", "--dry-run", "--progress", "json")
    assert done.code == 0, done.stderr
    wanted = [path for part in done.event("plan")["missing"] for path in part["paths"]]
    assert wanted == ["model.safetensors"]
    assert hub.log.of(listener="mirror")
    git(hfclone.cwd, "add", "hfclone.toml")
    assert shown(hfclone)["mirror"]["origin"] == "default"
    assert tiny_repo.commit


@pytest.mark.parametrize("text", ["token = 'hf_abc'", "endpoint = 'https://x.example'", "conections = 1"], ids="abc")
def test_refused(hfclone: Command, text: str) -> None:
    (hfclone.cwd / "hfclone.toml").write_text(text)
    for words in (("acme/tiny",), ("config",), ("status",)):
        done = hfclone(*words)
        assert done.code == 2
        assert f"{hfclone.cwd}/hfclone.toml: {text.split(maxsplit=1)[0]}: " in done.error
        assert done.hint
        assert "hf_abc" not in done.stdout + done.stderr
