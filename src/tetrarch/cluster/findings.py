"""One thing that is wrong with a cluster's files."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A rule that does not hold.

    ``code`` is stable, for programs. ``where`` is the path of the field in ``file``; indices are
    the file's, from 0. ``problem`` says in words what is wrong.
    """

    file: str  # "lock" or "extension"
    code: str
    where: str
    problem: str

    def __str__(self) -> str:
        return f"{self.file} {self.where}: {self.problem} [{self.code}]"


def lock_finding(code: str, where: str, problem: str) -> Finding:
    """A finding in the lock file."""
    return Finding(file="lock", code=code, where=where, problem=problem)


def extension_finding(code: str, where: str, problem: str) -> Finding:
    """A finding in the extension file."""
    return Finding(file="extension", code=code, where=where, problem=problem)
