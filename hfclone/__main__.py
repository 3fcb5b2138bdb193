"""``python -m hfclone``, and what the ``hfclone`` script calls."""

import sys


def main() -> None:
    """Run the command line and exit with its code."""
    if sys.argv[1:] == ["--version"]:  # before click is imported: a version is asked for often, by scripts
        from hfclone.cli.version import version_line

        try:
            print(version_line(), flush=True)
        except OSError as error:
            from hfclone.cli.session import fail_unforeseen

            sys.exit(fail_unforeseen(error))
        sys.exit(0)
    from hfclone.cli.commands import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
