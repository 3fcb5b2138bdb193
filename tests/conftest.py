"""Fixtures for all tests."""

from tests.hub.fixtures import hub, tiny_repo

__all__ = ["hub", "tiny_repo"]
