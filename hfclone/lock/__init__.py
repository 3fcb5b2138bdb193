"""Repos pinned to commits: what is locked, and the file that says so."""
