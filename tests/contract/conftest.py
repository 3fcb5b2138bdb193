"""The fixtures of the fault tests serve here, too."""

from tests.faults.conftest import line, mixed, rig

__all__ = ["line", "mixed", "rig"]
