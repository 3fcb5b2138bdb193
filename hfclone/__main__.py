"""``python -m hfclone``, and what the ``hfclone`` script calls."""

import gc
import os
import sys

ALLOCATIONS = 50_000
"""So many more objects, and garbage is looked for. Python's 700 come a hundred times while modules are imported."""


def main() -> None:
    """Run the command line and exit with its code."""
    gc.set_threshold(ALLOCATIONS)
    if sys.argv[1:] == ["--version"]:  # before click is imported: a version is asked for often, by scripts
        from hfclone.cli.version import version_line

        try:
            print(version_line(), flush=True)
        except OSError as error:
            from hfclone.cli.session import fail_unforeseen, make_streams_safe

            make_streams_safe()
            sys.exit(fail_unforeseen(error))
        sys.exit(0)
    # GitPython, when it is imported, would run git in our environment, the token in it: it is told of none. Before
    # there are threads; what it starts later we name to it.
    os.environ.update(GIT_PYTHON_GIT_EXECUTABLE=os.devnull, GIT_PYTHON_REFRESH="quiet")
    from hfclone.cli.commands import run
    from hfclone.cli.session import end_streams
    from hfclone.limits import raise_open_files

    raise_open_files()

    code = end_streams(run(sys.argv[1:]))
    gc.freeze()  # nothing of it is to be looked through at exit: that would take as long as several runs of git
    sys.exit(code)


if __name__ == "__main__":
    main()
