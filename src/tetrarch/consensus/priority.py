"""Priorities: what each node of the cluster can do and prefers, and what all of them share. Pure.

Each node signs a *statement*: for some topics the names that it supports, the preferred first.
The nodes exchange statements, one proposes a *ballot* of at least a quorum of them to QBFT, and
every node computes the same *result* from the decided one. Nothing is believed but the
signatures: a leader can leave statements out, but neither forge one nor claim a result.

The rule, by which the ballot's version byte is known: a statement gives the name at its place i
``1000 - i`` points. A topic's names are ordered by points, the most first, and equal ones by their
bytes; a name that fewer than a quorum of nodes state is dropped. So a name that is in the result
is supported by a quorum less f honest nodes at least, whatever f liars state, and the order of
the statements does not matter. Topics are ordered by name.

Bytes, integers big-endian. What a node signs is the SHA-256 of::

    16  "tetrarch/prio/1" and one zero byte
    32  cluster id (the hash of the cluster's lock)
        the statement

    statement   slot 8, duty type 1, source 1, topic count 1, topics in ascending order
    topic       name, count 1, names
    name        length 1 (1 to 32), printable ASCII
    signed      the statement, signature 65
    ballot      version 1, slot 8, duty type 1, count 1, then by ascending source: size 2, signed

Source: the priority protocol of the reference (charon), whose sort was not stable once.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from tetrarch.consensus.codec import Identity
from tetrarch.consensus.messages import HASH_SIZE_BYTES, SIGNATURE_SIZE_BYTES, quorum
from tetrarch.duties.duty import SLOTS_MAX, Duty, duty_from
from tetrarch.errors import InputInvalid, PeerFault, invariant

TOPICS_MAX = 8
NAMES_MAX = 32  # in one topic of one statement
NAME_SIZE_BYTES_MAX = 32
POINTS = 1_000
BALLOT_VERSION = 1
_DOMAIN = b"tetrarch/prio/1\0"
_HEAD = struct.Struct(">QBBB")
_BALLOT_HEAD = struct.Struct(">BQBB")
_SIZE = struct.Struct(">H")
# Whatever the bounds above allow.
SIGNED_SIZE_BYTES_MAX = (
    _HEAD.size
    + TOPICS_MAX * (2 + NAME_SIZE_BYTES_MAX + NAMES_MAX * (1 + NAME_SIZE_BYTES_MAX))
    + SIGNATURE_SIZE_BYTES
)


class StatementInvalid(PeerFault):
    """A peer's bytes are no statement of priorities, or not one that it may make."""

    code = "priority_statement_invalid"


class StatementForged(PeerFault):
    """A statement of priorities is not signed by the node that it names."""

    code = "priority_signature_wrong"


class BallotInvalid(InputInvalid):
    """A leader's bytes are no ballot of a quorum's right statements for the duty."""

    code = "priority_ballot_invalid"


@dataclass(frozen=True, slots=True)
class Topic:
    """What a node supports in one matter, the preferred first. No name stands twice."""

    name: str
    priorities: tuple[str, ...]

    def __post_init__(self) -> None:
        _require_names((self.name, *self.priorities))
        if len(self.priorities) > NAMES_MAX:
            raise InputInvalid("build topic", field="count", got=len(self.priorities))
        if len(set(self.priorities)) != len(self.priorities):
            raise InputInvalid("build topic", field="priorities", reason="one stands twice")


@dataclass(frozen=True, slots=True)
class Statement:
    """All that one node says for one duty. Topics are in ascending order."""

    duty: Duty
    source: int  # 0-based index of the node that says and signs it
    topics: tuple[Topic, ...]

    def __post_init__(self) -> None:
        names = [topic.name for topic in self.topics]
        if not 0 < len(names) <= TOPICS_MAX:
            raise InputInvalid("build statement", field="topics", got=len(names))
        if names != sorted(set(names)):
            raise InputInvalid("build statement", field="topics", reason="not ascending")


@dataclass(frozen=True, slots=True)
class SignedStatement:
    """A statement with its source's signature, verified wherever the codec returns one."""

    statement: Statement
    signature: bytes


@dataclass(frozen=True, slots=True)
class Supported:
    """A name that a quorum states, and which nodes do, ascending."""

    name: str
    points: int
    sources: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """What a ballot comes to. Equal ballots, whatever their order, give equal results."""

    duty: Duty
    sources: tuple[int, ...]  # whose statements were counted, ascending
    topics: Mapping[str, tuple[Supported, ...]]  # by name; the cluster's preferred first

    def preferred(self, topic: str) -> str | None:
        """The cluster's first choice."""
        names = self.topics.get(topic, ())
        return names[0].name if names else None

    def supporters(self, topic: str, name: str) -> tuple[int, ...]:
        """Who states ``name``; nobody where it is fewer than a quorum."""
        found = (each.sources for each in self.topics.get(topic, ()) if each.name == name)
        return next(found, ())


def result_of(statements: Iterable[Statement], *, node_count: int) -> Result:
    """Count the statements, one of each source and all of one duty; see the rule above."""
    ordered = sorted(statements, key=lambda statement: statement.source)
    sources = tuple(statement.source for statement in ordered)
    invariant(len(set(sources)) == len(sources), "each source is counted once")
    duties = {statement.duty for statement in ordered}
    invariant(len(duties) == 1, "a result is of one duty")
    names = sorted({topic.name for statement in ordered for topic in statement.topics})
    topics = {name: _count(name, ordered, quorum(node_count)) for name in names}
    return Result(duty=duties.pop(), sources=sources, topics=topics)


def _count(topic: str, statements: Sequence[Statement], needed: int) -> tuple[Supported, ...]:
    points: dict[str, int] = {}
    sources: dict[str, list[int]] = {}
    for statement in statements:
        for each in statement.topics:
            if each.name != topic:
                continue
            for place, name in enumerate(each.priorities):
                points[name] = points.get(name, 0) + POINTS - place
                sources.setdefault(name, []).append(statement.source)
    kept = [name for name in points if len(sources[name]) >= needed]
    ordered = sorted(kept, key=lambda name: (-points[name], name))
    return tuple(Supported(name, points[name], tuple(sources[name])) for name in ordered)


class PriorityCodec:
    """Turns statements and ballots into bytes and back; nothing unsigned gets through it."""

    def __init__(self, *, identity: Identity, cluster_id: bytes, node_count: int) -> None:
        invariant(len(cluster_id) == HASH_SIZE_BYTES, "a cluster id is a 32-byte hash")
        self._identity = identity
        self._prefix = _DOMAIN + cluster_id
        self._node_count = node_count

    def sign(self, statement: Statement) -> SignedStatement:
        """Sign an own statement. Cost: about 50 us."""
        digest = self._digest(_statement_bytes(statement))
        return SignedStatement(statement, self._identity.sign(digest))

    def encode(self, signed: SignedStatement) -> bytes:
        """One signed statement, as nodes exchange it."""
        return _statement_bytes(signed.statement) + signed.signature

    def decode(self, data: bytes) -> SignedStatement:
        """Read a statement and verify its signature. Cost: about 70 us.

        Raises:
            StatementInvalid: not exactly the layout, or beyond a bound.
            StatementForged: its source did not sign it.
        """
        if not _HEAD.size + SIGNATURE_SIZE_BYTES < len(data) <= SIGNED_SIZE_BYTES_MAX:
            raise StatementInvalid("decode statement", size_bytes=len(data))
        body, signature = data[:-SIGNATURE_SIZE_BYTES], data[-SIGNATURE_SIZE_BYTES:]
        try:
            statement = _read_statement(body)
        except InputInvalid as error:
            raise StatementInvalid("decode statement", reason=str(error)) from None
        if statement.source >= self._node_count:
            raise StatementInvalid("decode statement", source=statement.source)
        if not self._identity.verify(statement.source, self._digest(body), signature):
            raise StatementForged("verify statement", source=statement.source)
        return SignedStatement(statement, signature)

    def encode_ballot(self, duty: Duty, statements: Iterable[SignedStatement]) -> bytes:
        """What is proposed: the statements, one of each source, in canonical order."""
        ordered = sorted(statements, key=lambda signed: signed.statement.source)
        parts = [_BALLOT_HEAD.pack(BALLOT_VERSION, duty.slot, duty.type, len(ordered))]
        for signed in ordered:
            invariant(signed.statement.duty == duty, "a ballot is of one duty")
            data = self.encode(signed)
            parts += (_SIZE.pack(len(data)), data)
        return b"".join(parts)

    def decode_ballot(self, duty: Duty, data: bytes) -> tuple[SignedStatement, ...]:
        """Read a ballot for ``duty`` and verify every signature in it.

        Raises:
            BallotInvalid: not exactly the layout, not of ``duty``, fewer than a quorum, or a
                statement that is wrong; the ballot's proposer is to blame.
        """
        try:
            return self._read_ballot(duty, data)
        except struct.error:
            raise BallotInvalid("decode ballot", reason="cut off") from None
        except PeerFault as fault:
            raise BallotInvalid("decode ballot", reason=str(fault)) from None

    def _read_ballot(self, duty: Duty, data: bytes) -> tuple[SignedStatement, ...]:
        version, slot, duty_type, count = _BALLOT_HEAD.unpack_from(data)
        if (version, slot, duty_type) != (BALLOT_VERSION, duty.slot, duty.type):
            raise BallotInvalid("decode ballot", reason="another version or duty")
        at, statements = _BALLOT_HEAD.size, []
        for _ in range(count):
            (size,) = _SIZE.unpack_from(data, at)
            at += _SIZE.size
            statements.append(self.decode(data[at : at + size]))
            at += size
        sources = [signed.statement.source for signed in statements]
        if at != len(data) or sources != sorted(set(sources)):
            raise BallotInvalid("decode ballot", reason="length or order")
        if len(sources) < quorum(self._node_count):
            raise BallotInvalid("decode ballot", reason="fewer than a quorum", got=len(sources))
        if any(signed.statement.duty != duty for signed in statements):
            raise BallotInvalid("decode ballot", reason="a statement of another duty")
        return tuple(statements)

    def _digest(self, body: bytes) -> bytes:
        return sha256(self._prefix + body).digest()


def _require_names(names: Sequence[str]) -> None:
    for name in names:
        if not 0 < len(name) <= NAME_SIZE_BYTES_MAX or not (name.isascii() and name.isprintable()):
            raise InputInvalid("build topic", field="name", got=name[:NAME_SIZE_BYTES_MAX])


def _statement_bytes(statement: Statement) -> bytes:
    duty = statement.duty
    parts = [_HEAD.pack(duty.slot, duty.type, statement.source, len(statement.topics))]
    for topic in statement.topics:
        parts += (_name_bytes(topic.name), bytes([len(topic.priorities)]))
        parts += map(_name_bytes, topic.priorities)
    return b"".join(parts)


def _name_bytes(name: str) -> bytes:
    return bytes([len(name)]) + name.encode("ascii")


class _Reader:
    """Takes pieces off the front; a piece that is not there is ``InputInvalid``."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def take(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        if len(piece) != size:
            raise InputInvalid("read statement", reason="cut off")
        self._at += size
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def name(self) -> str:
        try:
            return self.take(self.byte()).decode("ascii")
        except UnicodeDecodeError:
            raise InputInvalid("read statement", reason="a name is not ASCII") from None

    def end(self) -> None:
        if self._at != len(self._data):
            raise InputInvalid("read statement", reason="bytes left over")


def _read_statement(body: bytes) -> Statement:
    reader = _Reader(body)
    slot, duty_type, source, count = _HEAD.unpack(reader.take(_HEAD.size))
    if slot >= SLOTS_MAX or count > TOPICS_MAX:
        raise InputInvalid("read statement", reason="a number out of range")
    topics = tuple(_read_topic(reader) for _ in range(count))
    reader.end()
    return Statement(duty_from(slot, duty_type), source, topics)


def _read_topic(reader: _Reader) -> Topic:
    name, count = reader.name(), reader.byte()
    if count > NAMES_MAX:
        raise InputInvalid("read statement", reason="too many names")
    return Topic(name, tuple(reader.name() for _ in range(count)))
