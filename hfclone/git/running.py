"""Running git: its environment, its failures, and that it ends with us (only user of GitPython).

Why so: GitPython's ``Git.execute`` starts the process; all above it (its ``Repo``, ``clone_from``,
``index.add``) prompts, leaves processes behind on Ctrl-C, or ignores filters. Each call gets an
environment of ours: no foreign ``GIT_*``, no prompt, no hook, no redirect, no other protocol; the
token goes in one variable that a credential helper hands out to one origin.
"""

from __future__ import annotations

import os
import re
import selectors
import shutil
import signal
import subprocess
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import IO, TYPE_CHECKING
from urllib.parse import urlsplit

from hfclone.errors import GitEnded, GitFailed, ToolMissing
from hfclone.git.watching import Ending, Watch
from hfclone.limits import limit_of
from hfclone.names import Token
from hfclone.paths import show_path
from hfclone.settings import inherited_names, secret_names, untraced
from hfclone.wording import phrase

if TYPE_CHECKING:
    import ssl

    from git.cmd import Git as GitPython

    from hfclone.http import Route

__all__ = ["Git", "GitCredential", "OnProgress", "load_git"]

OnProgress = Callable[[int, int], None]
"""Objects received so far, and in all."""

_KEPT = frozenset({
    "GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "GIT_SSL_NO_VERIFY", "GIT_SSL_CERT", "GIT_SSL_KEY", "GIT_EXEC_PATH",
    "GIT_PROXY_SSL_CAINFO", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_PYTHON_REFRESH",
})  # fmt: skip
"""What of the caller's ``GIT_*`` says where this machine keeps things, and not what git should do."""

_CONFIG = (
    ("core.hooksPath", os.devnull),
    ("core.fsmonitor", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("core.splitIndex", "false"),
    ("index.sparse", "false"),
    ("transfer.fsckObjects", "true"),
    ("fetch.fsckObjects", "true"),
    ("fetch.recurseSubmodules", "false"),
    ("fetch.writeCommitGraph", "false"),
    ("submodule.recurse", "false"),
    ("protocol.version", "2"),
    ("http.followRedirects", "false"),
    # libcurl would send a password of ~/.netrc (its "default" to any host): an empty user name outdoes that.
    ("http.emptyAuth", "true"),
    ("http.lowSpeedLimit", "1000"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
)
_WAYS = (".proxy", ".curloptresolve", ".insteadof")
"""Ends of keys, as git lists them, that say how it gets to a host, or to which."""
_HELPER = (
    '!f() { test "$1" = get || exit 0; p=; h=; '
    'while IFS= read -r l && test -n "$l"; do case "$l" in '
    'protocol=*) p="${l#protocol=}";; host=*) h="${l#host=}";; esac; done; '
    'case " $HFCLONE_GIT_ORIGINS " in *" $p://$h "*) '
    "printf 'username=hfclone\\npassword=%s\\n' \"$HFCLONE_GIT_TOKEN\";; esac; }; f"
)
"""A credential helper. ``printf`` is the shell's own: the token is in no process's arguments."""
_PROGRESS = re.compile(rb"Receiving objects:\s+\d+% \((\d+)/(\d+)\)")
_Selector: type[selectors.BaseSelector] | None = getattr(selectors, "PollSelector", None)
"""One that opens no file of its own; Windows, which has none, waits for no pipe."""
_PROGRESS_LINE = re.compile(rb"(remote: )?([A-Z][a-z ]+:\s+\d+(%|, done)|Total \d+ \()")
_STDERR_LINES = 6
TELL_SECONDS = 5.0
_GRACE_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class GitCredential:
    """A token, and the only endpoints that it is for."""

    urls: tuple[str, ...]
    token: Token

    @property
    def origins(self) -> str:
        """As git asks for them, ``https://host[:port]``, with blanks between."""
        return " ".join(f"{url.scheme}://{url.netloc}" for url in map(urlsplit, self.urls))


class Git:
    """Runs git. ``environ`` is the user's environment; ``protocols`` what git may speak.

    ``proxy`` is for git whatever its configuration says; ``route`` is how our own requests reach others.
    """

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        credential: GitCredential | None = None,
        proxy: str | None = None,
        route: Route | None = None,
        protocols: tuple[str, ...] = ("http", "https"),
    ) -> None:
        self._environ = environ
        self._credential = credential
        self._proxy = proxy
        self._route = route
        self._protocols = protocols

    def run(
        self,
        args: Sequence[str],
        *,
        stdin: bytes = b"",
        extra: Mapping[str, str] | None = None,
        speaks: bool = False,
        config: Sequence[tuple[str, str]] = (),
        on_progress: OnProgress | None = None,
        watch: Watch | None = None,
        timeout: float | None = None,
    ) -> bytes:
        """Run git to its end and return its stdout; its processes end with us, whatever happens here.

        ``extra`` adds to the environment, ``config`` to the configuration, for this call alone. Only a call that
        ``speaks`` to a far side may, and knows the token. With ``on_progress``, which is called on this thread, stdout
        is dropped, and ``watch`` may end git; without, it is ended after ``timeout`` seconds.

        Raises:
            ToolMissing: there is no git.
            LimitReached: the system has no process for it.
            GitEnded: it was ended. GitFailed: it ended with another status than 0.
        """
        process = self._start(
            args, self._environment(extra or {}, config, speaks=speaks), with_stdout=on_progress is None
        )
        try:
            if on_progress is None:
                stdout, stderr = process.communicate(stdin, timeout)
            else:
                with watch.over(process.pid) if watch else nullcontext():
                    stdout, stderr = b"", _follow(process, stdin, on_progress, watch)
                    process.wait()
            status = process.wait()
        except subprocess.TimeoutExpired as error:
            _end(process)
            raise GitEnded(_command_name(args), 0, "", "", Ending.STALLED.value, timeout or 0.0) from error
        except BaseException:
            _end(process)
            raise
        if watch and watch.ending:
            ending, amount = watch.ending
            raise GitEnded(_command_name(args), status, self._last_lines(stderr), "", ending.value, amount)
        if status:
            raise GitFailed(_command_name(args), status, self._last_lines(stderr))
        return stdout or b""

    @cached_property
    def version(self) -> tuple[int, ...]:
        """Of the installed git: ``(2, 39, 5)``."""
        found = re.search(rb"(\d+)\.(\d+)(?:\.(\d+))?", self.run(["version"]))
        return tuple(int(part or 0) for part in found.groups()) if found else (0,)

    def has_program(self, name: str) -> bool:
        """Whether git would find ``name``: in its own directory, or where the user's PATH says."""
        own = self.run(["--exec-path"]).decode("utf-8", "surrogateescape").strip()
        found = self._environ.get("PATH", os.defpath)
        return shutil.which(name, path=os.pathsep.join((own, found))) is not None

    def way_to(self, url: str, configured: Mapping[str, str]) -> AbstractContextManager[Sequence[tuple[str, str]]]:
        """The configuration for calls that speak to ``url``; the way stands while the context is open.

        Where git would have to speak TLS within TLS to a proxy, it is a relay of ours: see ``relay``,
        which also says what ``GitFailed`` becomes within. Else it is told the addresses of the host, or its proxy's:
        see ``addressing``, which says what is raised. It is not where ``configured``, what is in force of git's
        configuration, says where to connect: what our own connections found is no news to it then.
        """
        if self._route is None:
            return nullcontext(())
        proxy = self._route.proxy_for(urlsplit(url))
        if {urlsplit(url).scheme, urlsplit(proxy).scheme} == {"https"}:
            from hfclone.git.relay import relayed

            return relayed(proxy, self._proxy_tls)
        if any(key.endswith(_WAYS) and value != self._proxy for key, value in configured.items()):
            return nullcontext(())
        from hfclone.git.addressing import addressed

        return addressed(proxy or url, self._route.proxy_name(url))

    def _proxy_tls(self) -> ssl.SSLContext:
        """For the proxy. Raises OSError."""
        from hfclone.http import tls_context

        bundle = self._route.ca_bundle if self._route else None
        return tls_context(self._environ.get("GIT_PROXY_SSL_CAINFO") or bundle)

    def _start(self, args: Sequence[str], env: dict[str, str], *, with_stdout: bool) -> subprocess.Popen[bytes]:
        path = self._environ.get("PATH")
        program = shutil.which("git", path=path)
        if program is None:
            raise ToolMissing("git", phrase("needed-for-checkouts"))
        command = [*_wrapping(path, env.keys()), program, *args]
        try:
            auto = load_git().execute(
                command, as_process=True, env=env, istream=subprocess.PIPE, with_stdout=with_stdout,
                start_new_session=True,
            )  # fmt: skip
        except (OSError, MemoryError) as error:
            raise limit_of(error) or error from error
        process: subprocess.Popen[bytes] | None = auto.proc
        assert process is not None  # it is set where as_process is true
        # GitPython's wrapper would kill the process when it is collected; ours are waited for.
        auto.proc = None
        return process

    def _environment(
        self, extra: Mapping[str, str], config: Sequence[tuple[str, str]], *, speaks: bool
    ) -> dict[str, str]:
        secrets = secret_names()
        given = {k: v for k, v in self._environ.items() if k not in secrets}
        kept = {k: v for k, v in given.items() if not k.startswith("GIT_") or k in _KEPT}
        kept |= dict.fromkeys(inherited_names() & secrets, "")  # GitPython adds to what we have, and takes nothing out
        proxy = [("http.proxy", self._proxy)] if self._proxy else []
        settings = [*_CONFIG, *proxy, *config]
        secret: dict[str, str] = {}
        if self._credential and speaks:
            settings += [("credential.helper", ""), ("credential.helper", _HELPER)]
            secret = {
                "HFCLONE_GIT_ORIGINS": self._credential.origins,
                "HFCLONE_GIT_TOKEN": self._credential.token.reveal(),
            }
        block = {"GIT_CONFIG_COUNT": str(len(settings))}
        for number, (key, value) in enumerate(settings):
            block |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        fixed = {
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_ASKPASS": "true",
            "GIT_LFS_SKIP_SMUDGE": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            # Some commands flush after each line that they answer (check-attr): 20,000 wake-ups for 20,000 files.
            "GIT_FLUSH": "0",
            "GIT_ALLOW_PROTOCOL": ":".join(self._protocols) if speaks else "none",
            "LC_ALL": "C",
        }
        return {**kept, **fixed, **block, **secret, **extra}

    def _last_lines(self, stderr: bytes) -> str:
        """The end of what git said, fit for a terminal and without the secret."""
        pieces = re.split(rb"[\r\n]+", stderr.strip())
        said = [line for line in pieces if line.strip() and not _PROGRESS_LINE.match(line)]
        lines = [show_path(line.strip()).replace(GitFailed.LINE_BREAK, ", ") for line in said[-_STDERR_LINES:]]
        text = GitFailed.LINE_BREAK.join(lines)
        return text.replace(self._credential.token.reveal(), "***") if self._credential else text


def _wrapping(path: str | None, ours: Collection[str]) -> list[str]:
    """What takes foreign ``GIT_*`` away, where there are any, and has the kernel end git when we are killed.

    GitPython adds to the environment, but cannot remove. Both replace themselves: the process is git's.
    """
    words: list[str] = []
    foreign = sorted(name for name in inherited_names() if _is_gits(name) and name not in ours)
    env = shutil.which("env", path=path) or shutil.which("env", path=os.defpath) if foreign else None
    if env and os.name == "posix":
        words += [env, *(f"--unset={name}" for name in foreign)]
    setpriv = shutil.which("setpriv", path=path)
    if setpriv and os.name == "posix":
        words += [setpriv, "--pdeathsig", "TERM"]
    return words


def _is_gits(name: str) -> bool:
    return name.startswith("GIT_") and not name.startswith("GIT_PYTHON_")


def load_git() -> GitPython:
    """GitPython's runner, which is imported when it is needed: that takes as long as ten runs of git.

    Raises:
        ToolMissing: it is not there, or finds no git.
        LimitReached: the system has no process for it.
    """
    try:
        with untraced():  # it runs git to see whether there is one
            from git.cmd import Git as GitPython
    except ImportError as error:
        limit = limit_of(error.__cause__ or error)
        if limit is not None:
            raise limit from error
        raise ToolMissing("git", phrase("needed-for-checkouts")) from error
    return GitPython()


def _command_name(args: Sequence[str]) -> str:
    return args[2] if args[0] == "-C" else args[0]


def _follow(
    process: subprocess.Popen[bytes], stdin: bytes, on_progress: OnProgress, watch: Watch | None = None
) -> bytes:
    """Feed ``stdin``, then read stderr to its end, telling of progress; the last 64 KiB of it are returned.

    Where git says nothing for ``TELL_SECONDS``, what it said last is told again.
    """
    writer, reader = process.stdin, process.stderr
    assert writer is not None  # both are pipes: _start asks for them
    assert reader is not None
    _feed(writer, stdin)
    tail, seen = b"", (0, 0)
    while True:
        if not _comes(reader, TELL_SECONDS):
            on_progress(*seen)
            continue
        block = os.read(reader.fileno(), 65536)
        if not block:
            break
        tail = (tail + block)[-65536:]
        if watch is not None:
            watch.hear(block)
        for done, total in _PROGRESS.findall(block)[-1:]:
            seen = int(done), int(total)
            on_progress(*seen)
    reader.close()
    return tail


def _comes(reader: IO[bytes], seconds: float) -> bool:
    """Whether there is something to read, or an end, within ``seconds``; always where pipes cannot be waited for."""
    if _Selector is None:
        return True
    with _Selector() as selector:
        selector.register(reader, selectors.EVENT_READ)
        return bool(selector.select(seconds))


def _feed(writer: IO[bytes], data: bytes) -> None:
    try:
        writer.write(data)
        writer.close()
    except BrokenPipeError:
        return  # git ended before it read all; its status tells why


def _end(process: subprocess.Popen[bytes]) -> None:
    """End git and its children: politely first, since then it removes its own lock files."""
    for kind in ("SIGTERM", "SIGKILL"):
        try:
            if os.name == "posix":
                os.killpg(process.pid, getattr(signal, kind))
            else:
                process.kill()
            process.wait(_GRACE_SECONDS)
        except (ProcessLookupError, PermissionError):
            break
        except subprocess.TimeoutExpired:
            continue
        break
    for pipe in (process.stdin, process.stdout, process.stderr):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue
    process.wait()
