"""The commit is shown where the installation notes it, and never guessed."""

import json

import pytest

from tetrarch.build_info import commit_of, git_commit


@pytest.mark.parametrize(
    ("noted", "commit"),
    [
        (json.dumps({"vcs_info": {"vcs": "git", "commit_id": "0123456789abcdef" * 2}}), "0123456"),
        (json.dumps({"dir_info": {"editable": True}}), ""),
        (json.dumps({"vcs_info": {"commit_id": "release"}}), ""),
        (json.dumps({"vcs_info": {"commit_id": 5}}), ""),
        ("[]", ""),
        ("not json", ""),
        (None, ""),
    ],
)
def test_commit_is_what_the_installer_noted(noted: str | None, commit: str) -> None:
    assert commit_of(noted) == commit


def test_this_installation_is_asked_without_trouble() -> None:
    assert len(git_commit()) in {0, 7}
