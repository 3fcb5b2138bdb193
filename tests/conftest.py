"""What all tests share."""

from __future__ import annotations

import os
import signal

from hypothesis import settings

from tests.hub.fixtures import hub, tiny_repo
from tests.naming import naming, naming_library
from tests.refusing import refusing, refusing_library

__all__ = ["hub", "naming", "naming_library", "refusing", "refusing_library", "tiny_repo"]

# How long an example takes says more of the machine than of the code. CI draws the same examples each
# time, so that it tells of a change and of nothing else; by hand, new ones are tried.
settings.register_profile("local", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "local")

# A run in the background of a script, or under nohup, inherits signals that are ignored, and hands that on.
signal.signal(signal.SIGINT, signal.default_int_handler)
for name in ("SIGTERM", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_DFL)

# What whoever runs the tests has chosen for themselves is none of the tests' business.
os.environ["HFCLONE_CONFIG"] = os.devnull
