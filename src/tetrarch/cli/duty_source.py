"""Where ``tetrarch duty`` reads: a running node's monitoring listener, or a node's database alone."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

import msgspec

from tetrarch.cli.node_questions import NodeAnswerInvalid, NodeAway, ask_node, monitoring_url
from tetrarch.cluster.load import load_cluster
from tetrarch.duties.duty import Duty, DutyType
from tetrarch.duties.report import DutyReport, decode_report, encode_report
from tetrarch.duties.report_store import LISTED_MAX, select, select_list
from tetrarch.duties.stories import NodeStory, Story, related
from tetrarch.errors import InputInvalid, OperatorError
from tetrarch.observability.reference_metrics import peer_name

DATABASE_FILE = "database/node.sqlite"

T = TypeVar("T")


class RecordsMissing(OperatorError):
    """The folder has no database that holds records of duties."""

    code = "records_missing"
    exit_code = 66  # EX_NOINPUT
    mend = "name the folder that `tetrarch run` was given"


class _Listed(msgspec.Struct, frozen=True):
    duties: Annotated[tuple[DutyReport, ...], msgspec.Meta(max_length=2 * LISTED_MAX)]


@dataclass(frozen=True, slots=True)
class Source:
    """Where to ask, and what to read where nobody answers. One of both is there."""

    url: str | None
    folder: Path | None

    @classmethod
    def choose(cls, *, url: str | None, folder: Path | None, offline: bool) -> "Source":
        """What the options say; without any, a node of this machine with the usual port.

        Raises:
            ConfigInvalid: the folder's configuration is wrong.
            RecordsMissing: offline, and no folder is named.
        """
        if offline and folder is None:
            raise RecordsMissing("read records", reason="--offline needs --folder")
        if offline:
            return cls(url=None, folder=folder)
        if url is not None:
            return cls(url=url.rstrip("/"), folder=None)
        return cls(url=monitoring_url(None, folder), folder=folder)

    def story(self, duty: Duty) -> Story:
        """What the cluster knows of ``duty``; from the database, what this node knew."""
        query = {"slot": str(duty.slot), "type": duty.type.name.lower()}
        found = self._ask("/duty/explain", query, Story)
        if found is None:
            return self._stored_story(duty)
        self._check(report for node in found.nodes for report in node.reports)
        return found

    def reports(
        self, *, since_slot: int, failed: bool, duty_type: DutyType | None
    ) -> tuple[tuple[DutyReport, ...], bool]:
        """The latest reports, and whether they are from the database alone."""
        query = {"since_slot": str(since_slot), "failed": str(int(failed))}
        if duty_type is not None:
            query["type"] = duty_type.name.lower()
        found = self._ask("/duty/list", query, _Listed)
        if found is not None:
            self._check(found.duties)
            return found.duties, False
        types = () if duty_type is None else (duty_type,)
        with closing(self._open()) as connection:
            try:
                listed = select_list(connection, since_slot=since_slot, failed=failed, types=types)
            except sqlite3.Error as error:
                raise RecordsMissing("read records", folder=self.folder, reason=error) from error
        return listed, True

    # --- inside ------------------------------------------------------------------------------

    def _ask(self, path: str, query: dict[str, str], kind: type[T]) -> T | None:
        """The node's answer; None where nobody is there and the database is to be read."""
        if self.url is None:
            return None
        try:
            return ask_node(self.url, path, query, kind)
        except NodeAway:
            if self.folder is not None and (self.folder / DATABASE_FILE).is_file():
                return None
            raise

    def _check(self, reports: Iterable[DutyReport]) -> None:
        """A terminal gets nothing that a node would not take from a peer."""
        try:
            for report in reports:
                decode_report(encode_report(report))
        except InputInvalid as error:
            raise NodeAnswerInvalid("ask node", url=self.url, reason=error) from error

    def _stored_story(self, duty: Duty) -> Story:
        with closing(self._open()) as connection:
            try:
                found = [select(connection, each) for each in related(duty)]
            except sqlite3.Error as error:
                raise RecordsMissing("read records", folder=self.folder, reason=error) from error
        reports = tuple(report for report in found if report is not None)
        peer = self._own_index()
        own = NodeStory(peer=peer, name=peer_name(peer), is_own=True, reports=reports)
        return Story(
            slot=duty.slot, type=duty.type.name.lower(), nodes=(own,), from_database_alone=True
        )

    def _own_index(self) -> int:
        if self.folder is None:
            raise RecordsMissing("read records", reason="no folder is named")
        return int(load_cluster(self.folder).peer_index)

    def _open(self) -> sqlite3.Connection:
        if self.folder is None:
            raise RecordsMissing("read records", reason="no folder is named")
        path = (self.folder / DATABASE_FILE).resolve()
        if not path.is_file():
            raise RecordsMissing("read records", folder=self.folder, reason="no database")
        try:
            return sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        except sqlite3.Error as error:
            raise RecordsMissing("read records", folder=self.folder, reason=error) from error
