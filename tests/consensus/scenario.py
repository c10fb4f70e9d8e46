"""Stories about pure machines, as text: one command a line, and below it what happened.

    cluster nodes=4 slot=0 type=attester   leaders of the first rounds are shown
    start all input=a | start 0            ``all`` or node numbers, with an own value or without
    input 2 c                              a value arrives later
    deliver                                all that is under way, until nobody speaks
    deliver pre_prepare 0>2                only what matches (type, source>target; both optional)
    drop prepare 1>                        lose what matches
    timeout all                            the current round's time is over
    check 2 a refused                      from now on node 2 judges value a so (ok otherwise)
    lie 3>1 pre_prepare 1 b                node 3 says this to node 1, justified by nothing but
                                           its own proposal, for a PREPARE in a round that it leads
    crash 2 / restart 2                    a restart gets back what the node had logged
    state                                  round and decision of every node

A line ``n1 prepare round=1 value=a`` is something that node 1 says or decides.
"""

from collections import deque
from dataclasses import replace

from tetrarch.consensus.codec import hash_value
from tetrarch.consensus.events import (
    Answer,
    Blame,
    Broadcast,
    CheckValue,
    Decide,
    Effect,
    Event,
    InputArrived,
    Received,
    Resend,
    Resumed,
    Started,
    TimerFired,
    ValueChecked,
    Verdict,
)
from tetrarch.consensus.messages import (
    NO_VALUE,
    Envelope,
    Message,
    MessageType,
    SignedMessage,
    ValueHash,
    leader,
)
from tetrarch.consensus.qbft import Qbft
from tetrarch.duties.types import Duty, DutyType

TURNS_MAX = 2_000


class Story:
    """Runs the commands of one scenario file."""

    def __init__(self) -> None:
        self._duty = Duty(0, DutyType.ATTESTER)
        self._nodes: dict[int, Qbft | None] = {}
        self._logs: dict[int, list[Envelope]] = {}
        self._verdicts: dict[tuple[int, ValueHash], Verdict] = {}
        self._names = {NO_VALUE: "-"}
        self._underway: list[tuple[int, int, Envelope]] = []
        self._lines: list[str] = []

    def do(self, line: str) -> list[str]:
        """Carry out one command; returns what happened."""
        command, *words = line.split()
        self._lines = []
        getattr(self, f"_do_{command}")(*words)
        return self._lines or ["(nothing)"]

    # Commands

    def _do_cluster(self, *words: str) -> None:
        options = dict(word.split("=") for word in words)
        count = int(options["nodes"])
        self._duty = Duty(int(options["slot"]), DutyType[options["type"].upper()])
        self._nodes = dict.fromkeys(range(count))
        self._logs = {node: [] for node in range(count)}
        first = [leader(self._duty, round_, count) for round_ in range(1, count + 1)]
        self._lines.append("leaders " + " ".join(map(str, first)))

    def _do_start(self, who: str, value: str = "") -> None:
        for node in self._chosen(who):
            self._nodes[node] = Qbft(duty=self._duty, node_count=len(self._nodes), own_index=node)
            name = value.removeprefix("input=")
            self._step(node, Started(self._value(name) if name else None))

    def _do_input(self, who: str, name: str) -> None:
        for node in self._chosen(who):
            self._step(node, InputArrived(self._value(name)))

    def _do_check(self, who: str, name: str, verdict: str) -> None:
        for node in self._chosen(who):
            self._verdicts[node, self._value(name)] = Verdict(verdict)
            self._lines.append(f"n{node} judges {name} {verdict}")

    def _do_timeout(self, who: str) -> None:
        for node in self._chosen(who):
            machine = self._nodes[node]
            if machine is not None:
                self._step(node, TimerFired(machine.round))

    def _do_deliver(self, *pattern: str) -> None:
        for _ in range(TURNS_MAX):
            found = next((item for item in self._underway if _matches(item, pattern)), None)
            if found is None:
                return
            self._underway.remove(found)
            _, target, envelope = found
            self._hear(target, envelope)
        raise AssertionError("the cluster talks without end")

    def _do_drop(self, *pattern: str) -> None:
        lost = [item for item in self._underway if _matches(item, pattern)]
        self._underway = [item for item in self._underway if not _matches(item, pattern)]
        self._lines.append(f"lost {len(lost)}")

    def _do_lie(self, way: str, kind: str, round_: str, name: str) -> None:
        source, target = way.split(">")
        message = Message(
            MessageType[kind.upper()], self._duty, int(source), int(round_), self._value(name)
        )
        own = replace(message, type=MessageType.PRE_PREPARE)
        leads = leader(self._duty, int(round_), len(self._nodes)) == int(source)
        proof = (SignedMessage(own, b""),) if leads and kind == "prepare" else ()
        self._hear(int(target), Envelope(SignedMessage(message, b""), proof))

    def _do_crash(self, node: str) -> None:
        self._nodes[int(node)] = None
        self._lines.append(f"n{node} is down")

    def _do_restart(self, who: str) -> None:
        node = int(who)
        self._nodes[node] = Qbft(duty=self._duty, node_count=len(self._nodes), own_index=node)
        self._step(node, Resumed(tuple(self._logs[node])))

    def _do_state(self) -> None:
        for node, machine in self._nodes.items():
            if machine is None:
                self._lines.append(f"n{node} down")
            elif machine.decided is not None:
                name = self._names[machine.decided.value_hash]
                self._lines.append(f"n{node} decided {name} in round {machine.decided.round}")
            else:
                self._lines.append(f"n{node} round {machine.round}: {machine.missing()}")

    # Machines

    def _hear(self, target: int, envelope: Envelope) -> None:
        machine = self._nodes[target]
        if machine is not None and machine.needs(envelope.message):
            self._step(target, Received(envelope))

    def _step(self, node: int, event: Event) -> None:
        machine = self._nodes[node]
        assert machine is not None, f"n{node} is down"
        events: deque[Event] = deque([event])
        while events:
            for effect in machine.handle(events.popleft()):
                events.extend(self._perform(node, effect))

    def _perform(self, node: int, effect: Effect) -> list[Event]:
        match effect:
            case Broadcast(message, justification, evidence):
                signed = SignedMessage(message, b"")
                self._logs[node].append(Envelope(signed, justification or evidence))
                return [self._say(node, Envelope(signed, justification), "")]
            case Resend(envelope):
                return [self._say(node, envelope, " again")]
            case Answer(peer, message, justification):
                envelope = Envelope(SignedMessage(message, b""), justification)
                self._underway.append((node, peer, envelope))
                self._lines.append(f"n{node} {self._text(envelope)} to n{peer}")
            case CheckValue(value_hash, _, _):
                verdict = self._verdicts.get((node, value_hash), Verdict.OK)
                return [ValueChecked(value_hash, verdict)]
            case Decide(value_hash, round_):
                self._lines.append(f"n{node} DECIDES {self._names[value_hash]} in round {round_}")
            case Blame(source, kind):
                self._lines.append(f"n{node} blames n{source}: {kind}")
            case _:
                pass
        return []

    def _say(self, node: int, envelope: Envelope, suffix: str) -> Event:
        self._lines.append(f"n{node} {self._text(envelope)}{suffix}")
        for target in self._nodes:
            if target != node:
                self._underway.append((node, target, envelope))
        return Received(envelope)

    def _text(self, envelope: Envelope) -> str:
        message = envelope.message
        text = f"{message.type.name.lower()} round={message.round}"
        if message.value_hash != NO_VALUE:
            text += f" value={self._names[message.value_hash]}"
        if message.prepared_round:
            text += f" prepared={message.prepared_round}:{self._names[message.prepared_hash]}"
        return text

    def _value(self, name: str) -> ValueHash:
        value_hash = NO_VALUE if name == "-" else hash_value(name.encode())
        self._names[value_hash] = name
        return value_hash

    def _chosen(self, who: str) -> list[int]:
        return list(self._nodes) if who == "all" else [int(node) for node in who.split(",")]


def _matches(item: tuple[int, int, Envelope], pattern: tuple[str, ...]) -> bool:
    source, target, envelope = item
    for word in pattern:
        if ">" in word:
            wanted_source, wanted_target = word.split(">")
            if wanted_source not in {"", str(source)} or wanted_target not in {"", str(target)}:
                return False
        elif word != envelope.message.type.name.lower():
            return False
    return True


def play(text: str) -> str:
    """The scenario with its expected lines replaced by what happens now.

    Lines that start with ``#`` and empty lines stay; a command starts with ``> ``; all other
    lines are expected output and come anew.
    """
    story = Story()
    lines: list[str] = []
    for line in text.splitlines():
        if not line or line.startswith("#"):
            lines.append(line)
        elif line.startswith("> "):
            lines.append(line)
            lines.extend(f"  {happened}" for happened in story.do(line[2:]))
    return "\n".join(lines) + "\n"
