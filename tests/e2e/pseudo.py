"""``python -m tests.e2e.pseudo``: hfclone in a language that nobody speaks, whose every sentence can be told apart.

A template stands in brackets of its own, its letters are fullwidth ones, its fields stay: what is printed
outside of brackets, or in plain letters and is no data, does not come from the catalogue. It runs in a
process of its own, whose tables nobody else reads.
"""

from __future__ import annotations

import string
import sys

from hfclone.wording.errors import ERRORS
from hfclone.wording.lines import COUNTS, LINES, UNITS, WARNINGS
from hfclone.wording.phrases import PHRASES

OPEN, CLOSE = "⟦", "⟧"
WIDE = {ord(letter): ord(letter) + 0xFEE0 for letter in string.ascii_letters}


def foreign(template: str) -> str:
    """The same with its own words told apart, and its fields as they were."""
    parts = []
    for text, name, spec, conversion in string.Formatter().parse(template):
        parts.append(text.translate(WIDE).replace("{", "{{").replace("}", "}}"))
        if name is not None:
            parts.append(f"{{{name}{'!' + conversion if conversion else ''}{':' + spec if spec else ''}}}")
    return f"{OPEN}{''.join(parts)}{CLOSE}"


def main() -> int:
    """Run hfclone with such tables."""
    for table in (ERRORS, LINES, WARNINGS, COUNTS, UNITS, PHRASES):
        table.update({name: foreign(text) for name, text in table.items()})
    from hfclone.cli.commands import run

    return run(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
