"""What a shell is told that asks how a line goes on: click's answers, where they hold.

Why so: to ``--option=va`` click answers with bare values, which zsh and fish would put in place of the
whole word, or not show, and zsh would look for a path of which ``--option=`` is the beginning; bash hands
the parts over as words of their own. And click's script for fish cuts each description at its first comma.
"""

from __future__ import annotations

from collections.abc import Mapping

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

__all__ = ["register"]


_ZSH_PATHS = """\
            local iprefix="$IPREFIX" prefix="$PREFIX"
            compset -P '--[a-z0-9-]##='
            _path_files {flag}
            IPREFIX="$iprefix" PREFIX="$prefix"
"""
"""Zsh: a path is completed behind ``--option=``, and what comes after it is not."""
_FISH_PATHS = """\
            set -l parts (string match --regex '^(--[a-z0-9-]+=)(.*)' -- $metadata[2]);
            if set -q parts[3];
                __fish_complete_path $parts[3] | string replace --regex -- '^' $parts[2];
            else;
                __fish_complete_path $metadata[2];
            end;
"""
"""Fish: the same for files; for directories it does so by itself."""


def register() -> None:
    """Answer so from now on."""
    for kind in (_Bash, _Zsh, _Fish):
        add_completion_class(kind)


def _replaced(template: str, parts: Mapping[str, str]) -> str:
    """Click's script with ``parts`` changed; another click may not have them, and then completes as it can."""
    for old, new in parts.items():
        template = template.replace(old, new)
    return template


class _Bash(BashComplete):
    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        if incomplete == "=":
            incomplete = ""
        elif args[-1:] == ["="]:
            args = args[:-1]
        return super().get_completions(args, incomplete)


class _Whole(ShellComplete):
    """For shells to which ``--option=va`` is one word."""

    def get_completions(self, args: list[str], incomplete: str) -> list[CompletionItem[str]]:
        option, attached, value = incomplete.partition("=")
        if not attached or not option.startswith("--"):
            return super().get_completions(args, incomplete)
        return [
            CompletionItem(f"{option}={item.value}", type=item.type, help=item.help)
            for item in super().get_completions([*args, option], value)
        ]


class _Zsh(_Whole, ZshComplete):
    source_template = _replaced(
        ZshComplete.source_template,
        {f"            _path_files {flag}\n": _ZSH_PATHS.format(flag=flag) for flag in ("-/", "-f")},
    )


class _Fish(_Whole, FishComplete):
    source_template = _replaced(
        FishComplete.source_template,
        {
            'string split ","': 'string split --max 1 ","',
            "            __fish_complete_path $metadata[2];\n": _FISH_PATHS,
        },
    )
