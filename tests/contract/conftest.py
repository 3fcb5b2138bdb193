"""The fixtures of the fault tests serve here, too."""

from tests.faults.conftest import kind, line, mixed, rig

__all__ = ["kind", "line", "mixed", "rig"]
