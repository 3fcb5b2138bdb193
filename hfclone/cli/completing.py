"""What a shell is told that asks how a line goes on: click's answers, where they hold.

Why so: to ``--option=va`` click answers with bare values, which zsh and fish would put in place of the
whole word, or not show; bash hands the parts over as words of their own. And click's script for fish
cuts each description at its first comma.
"""

from __future__ import annotations

from click.shell_completion import (
    BashComplete,
    CompletionItem,
    FishComplete,
    ShellComplete,
    ZshComplete,
    add_completion_class,
)

__all__ = ["register"]


def register() -> None:
    """Answer so from now on."""
    for kind in (_Bash, _Zsh, _Fish):
        add_completion_class(kind)


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
    pass


class _Fish(_Whole, FishComplete):
    source_template = FishComplete.source_template.replace('string split ","', 'string split --max 1 ","')
