"""``python -m hfclone``, and what the ``hfclone`` script calls."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:  # before click is imported: a version is asked for often, by scripts
        print(version_line())
        sys.exit(0)
    from hfclone.cli.commands import run

    sys.exit(run(sys.argv[1:]))


def version_line() -> str:
    """What ``--version`` prints."""
    return f"hfclone {version()}"


def version() -> str:
    """The installed version; a checkout that was never installed has none."""
    from importlib.metadata import PackageNotFoundError
    from importlib.metadata import version as installed

    try:
        return installed("hfclone")
    except PackageNotFoundError:
        return "0+unknown"


if __name__ == "__main__":
    main()
