"""Which build of the program this is, as far as its installation says."""

import json
from importlib.metadata import PackageNotFoundError, distribution

COMMIT_SIZE = 7


def git_commit() -> str:
    """The first seven digits of the commit that was installed; empty where nobody noted it.

    Installers note it where they install from a repository (PEP 610).
    """
    try:
        noted = distribution("tetrarch").read_text("direct_url.json")
    except PackageNotFoundError:
        return ""
    return commit_of(noted)


def commit_of(direct_url: str | None) -> str:
    """The commit in a ``direct_url.json``, if that is what it holds."""
    try:
        commit = json.loads(direct_url or "{}")["vcs_info"]["commit_id"]
    except (KeyError, TypeError, ValueError):
        return ""
    is_hash = isinstance(commit, str) and set(commit) <= set("0123456789abcdef")
    return commit[:COMMIT_SIZE] if is_hash and len(commit) >= COMMIT_SIZE else ""
