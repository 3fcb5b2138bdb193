"""What hfclone is to reach, by case (issue 5): limits of ratios to other tools in the same round, or of values."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GOALS", "Goal"]

MB = 1_000_000
PEAK = 120 * MB


@dataclass(frozen=True, slots=True)
class Goal:
    """``measure`` (wall, cpu, peak, sent) of ``of`` is at most ``limit``: times that of ``to``, or as it is.

    For ``sent`` without ``to`` the limit is a share of the objects' size.
    """

    case: str
    limit: float
    to: str | None = None
    measure: str = "wall"
    of: str = "hfclone"

    @property
    def text(self) -> str:
        """The goal in words."""
        what = self.measure if self.of == "hfclone" else f"{self.of}: {self.measure}"
        return f"{what} / {self.to}" if self.to else what


GOALS = (
    Goal("big", 0.25, "aria2c"),
    Goal("big", 0.4, "hf + openssl"),
    Goal("big", 0.5, "git lfs"),
    Goal("big", 0.75, "curl + openssl"),
    Goal("big", 1.0, "curl"),
    Goal("big", 1.1, "curl + openssl", "cpu"),
    Goal("big-https", 0.35, "aria2c"),
    Goal("big-https", 0.9, "curl + openssl"),
    Goal("big-https", 1.25, "curl"),
    Goal("throttled", 0.3, "aria2c"),
    Goal("mixed", 0.3, "aria2c"),
    Goal("mixed", 0.4, "hf + openssl"),
    Goal("mixed", 0.5, "git lfs"),
    Goal("many", 0.6, "aria2c + sha256sum"),
    Goal("many", 0.15, "hf + openssl"),
    Goal("many", 0.6, "git lfs"),
    Goal("nothing", 1.0),
    Goal("nothing", 0.2, "git lfs"),
    Goal("latency", 0.5, "git lfs"),
    Goal("resume", 0.105, None, "sent"),
    Goal("resume", 0.3, "first run"),
    Goal("verify", 1.05, "openssl x2"),
    Goal("verify", 0.3, "git lfs fsck"),
    Goal("pointers", 0.2, "git lfs ls-files"),
    Goal("start", 0.1, None, of="--version"),
    Goal("start", 0.25, None, of="--help"),
    *(
        Goal(case, PEAK, None, "peak")
        for case in (
            "big",
            "big-https",
            "throttled",
            "many",
            "nothing",
            "mixed",
            "latency",
            "resume",
            "verify",
            "pointers",
        )
    ),
)
