"""What a seed decides before a run of the whole workflow: its size, its faults, its liars."""

from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random

from tetrarch.consensus.messages import faulty_max, quorum
from tetrarch.network.versions import CURRENT
from tetrarch.sim.beacon_liars import Lie
from tetrarch.sim.beacon_node import BeaconFaults
from tetrarch.sim.chain import FIRST_EPOCH, GENESIS_S, SLOT_MS, SLOTS_PER_EPOCH
from tetrarch.sim.network import Faults

SLOT_S = SLOT_MS / 1000
FIRST_SLOT = FIRST_EPOCH * SLOTS_PER_EPOCH
CALM_SLOTS = 2 * SLOTS_PER_EPOCH  # after the heal


class Kind(StrEnum):
    """How a Byzantine node behaves."""

    SILENT = "silent"
    LIAR = "liar"  # lies in consensus, withholds its partials
    TAMPER = "tamper"  # an honest program whose partials are spoiled on their way out
    TWINS = "twins"  # two honest programs with one identity and one share
    SELECTIVE = "selective"  # an honest program that knows of one validator in each slot alone


SELECTIVE_SHARE = 0.15  # of the seeds with liars
SELECTIVE_VALIDATORS = 12  # so that many slots have several
DEAF_SHARE = 0.15  # of the seeds: beacon nodes that hardly take anything until the heal
DEAF_ERROR_RATE = 0.95
NEW = CURRENT
OLD = replace(CURRENT, features=())  # the program of before it took any feature
NEVER_S = float("inf")
ASKING_SHARE = 0.3  # of the seeds: operators ask for an exit and a registration
RESTORED_SHARE = 0.5  # of the seeds with crashes: one node's disks come from a backup
BEACON_NODES = 3  # of a node, where one of them lies
_KINDS = (Kind.LIAR, Kind.LIAR, Kind.TAMPER, Kind.TAMPER, Kind.TWINS, Kind.SILENT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Crash:
    """``node`` loses power at ``at_s`` and is back at ``back_s``.

    With ``at_write`` > 0 it dies at that write after ``at_s`` (1: the first) of those that are
    called ``write_kind`` (empty: of all; see ``SimNode.written``); ``after_commit`` says whether the write still reaches the disk. With ``backup_s`` it comes back on a backup of
    its disks from that time, as when an operator restores the node's folder.
    """

    node: int
    at_s: float
    back_s: float
    at_write: int
    after_commit: bool
    backup_s: float | None = None
    write_kind: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class FullDisk:
    """No write of ``node`` succeeds from ``from_s`` to ``to_s``."""

    node: int
    from_s: float
    to_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """The operator of ``node`` asks at ``at_s`` for an exit or a registration.

    ``epoch`` is the exit's, and ``timestamp_s`` (of the run) the registration's, None for the other.
    ``too_few`` says that fewer than a threshold of operators ever ask for it.
    """

    node: int
    at_s: float
    position: int  # which validator
    epoch: int | None = None
    broadcast: bool = False
    timestamp_s: int | None = None
    too_few: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BeaconLiar:
    """One of a node's ``BEACON_NODES`` beacon nodes lies, to the end; ``place`` among them."""

    lie: Lie
    place: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All that a seed draws before a run. Times are seconds of the run."""

    node_count: int
    validator_count: int
    heal_s: float
    faults: Faults
    beacon: tuple[BeaconFaults, ...]  # by node
    offsets_s: tuple[float, ...]  # error of each node's clock
    commit_s: float  # how long a durable write takes
    liars: tuple[tuple[int, Kind], ...]
    crashes: tuple[Crash, ...]
    partitions: tuple[tuple[int, int, float], ...]  # source, target, from when until the heal
    full_disks: tuple[FullDisk, ...]
    upgrade_s: tuple[float, ...] = ()  # by node: a program that starts from then on is the new one
    builders: tuple[bool, ...] = ()  # by node: whether it wants builders
    asks: tuple[Ask, ...]
    beacon_liars: tuple[BeaconLiar | None, ...]  # by node; None: it has one beacon node only
    attest_on_head: bool

    @property
    def threshold(self) -> int:
        """Partials that a group signature needs."""
        return quorum(self.node_count)

    @property
    def honest(self) -> tuple[int, ...]:
        """Nodes that are not Byzantine."""
        lying = {node for node, _ in self.liars}
        return tuple(node for node in range(self.node_count) if node not in lying)

    @property
    def heal_slot(self) -> int:
        """The slot in progress when all heals."""
        return int((self.heal_s - GENESIS_S) // SLOT_S)

    @property
    def end_s(self) -> float:
        """When the run ends."""
        return self.heal_s + CALM_SLOTS * SLOT_S


def draw(seed: int) -> Profile:
    """Swarm testing: each fault is on or off for the whole run, then of drawn strength."""
    rng = Random(f"{seed}/workflow")
    node_count = rng.choice([4, 4, 4, 4, 4, 7, 3, 5])
    heal_s = rng.uniform(2, 3) * SLOTS_PER_EPOCH * SLOT_S
    most = faulty_max(node_count)
    count = rng.choice([0, most, most])
    liars = tuple((node, rng.choice(_KINDS)) for node in rng.sample(range(node_count), count))
    skew_s = rng.choice([0.0, 0.05, 0.3])
    validator_count = rng.choice([1, 2, 2, 3])
    if liars and Random(f"{seed}/selective").random() < SELECTIVE_SHARE:
        liars = tuple((node, Kind.SELECTIVE) for node, _ in liars)
        validator_count = SELECTIVE_VALIDATORS
    honest = [n for n in range(node_count) if n not in {node for node, _ in liars}]
    is_deaf = Random(f"{seed}/deaf").random() < DEAF_SHARE
    submit_error_rate = DEAF_ERROR_RATE if is_deaf else 0.0
    profile = Profile(
        node_count=node_count,
        validator_count=validator_count,
        heal_s=heal_s,
        faults=Faults.drawn(rng),
        beacon=_beacon_faults(rng, node_count, submit_error_rate),
        offsets_s=tuple(rng.uniform(-skew_s, skew_s) for _ in range(node_count)),
        commit_s=rng.choice([0.0, 0.001, 0.02, 0.2]),
        liars=liars,
        crashes=_restored(_crashes(rng, honest, heal_s), Random(f"{seed}/restored")),
        partitions=_partitions(rng, node_count, heal_s),
        full_disks=_full_disks(rng, honest, heal_s),
        asks=_asks(seed, node_count, honest, validator_count, heal_s),
        beacon_liars=_beacon_liars(Random(f"{seed}/beacon-liars"), node_count),
        attest_on_head=Random(f"{seed}/attest-on-head").random() < 0.5,
    )
    return _with_versions(profile, Random(f"{seed}/versions"))


def _with_versions(profile: Profile, rng: Random) -> Profile:
    """All nodes run the new program, some the old one, or each is updated at its own time.

    Drawn apart, so that the other seeds' runs do not depend on it.
    """
    nodes, crashes = range(profile.node_count), list(profile.crashes)
    upgrade_s = [0.0 for _ in nodes]
    mix = rng.choice(["new", "new", "mixed", "rolling"])
    if mix == "mixed":
        upgrade_s = [rng.choice([0.0, NEVER_S]) for _ in nodes]
    if mix == "rolling":
        for node in profile.honest:
            own = [crash for crash in crashes if crash.node == node]
            if not own:
                own = [_update(node, rng.uniform(1, profile.heal_s - 3))]
                crashes += own
            upgrade_s[node] = rng.choice(own).at_s
    wish = rng.choice([(False,), (False,), (True,), (True, True, False)])
    # Who asks for a registration wants builders.
    builders = tuple(bool(profile.asks) or rng.choice(wish) for _ in nodes)
    return replace(profile, upgrade_s=tuple(upgrade_s), builders=builders, crashes=tuple(crashes))


def _update(node: int, at_s: float) -> Crash:
    return Crash(node=node, at_s=at_s, back_s=at_s + 1, at_write=0, after_commit=True)


def _asks(
    seed: int, node_count: int, honest: list[int], validator_count: int, heal_s: float
) -> tuple[Ask, ...]:
    """An exit and a registration that all ask for, and an exit that too few ask for.

    Drawn apart, so that the other seeds' runs do not depend on it.
    """
    rng = Random(f"{seed}/asks")
    if rng.random() >= ASKING_SHARE:
        return ()
    position, epoch = rng.randrange(validator_count), FIRST_EPOCH - rng.choice([0, 0, 50])
    timestamp_s = int(rng.uniform(2, heal_s / 2))
    asks: list[Ask] = []
    for node in range(node_count):
        at_s = rng.uniform(0, heal_s)
        broadcast = rng.random() < 0.6
        asks.append(Ask(node=node, at_s=at_s, position=position, epoch=epoch, broadcast=broadcast))
        at_s = rng.uniform(timestamp_s, heal_s)
        asks.append(Ask(node=node, at_s=at_s, position=position, timestamp_s=timestamp_s))
    few = quorum(node_count) - 1 - (node_count - len(honest))
    for node in honest[: max(few, 0)]:
        lonely = Ask(node=node, at_s=1, position=position, epoch=epoch - 1, broadcast=True)
        asks.append(replace(lonely, too_few=True))
    return tuple(asks)


def _beacon_faults(
    rng: Random, node_count: int, submit_error_rate: float
) -> tuple[BeaconFaults, ...]:
    """Some beacon nodes follow a fork, at most f of them; any may be late or away."""
    forked = rng.sample(range(node_count), rng.randint(0, faulty_max(node_count)))
    error_rate = rng.choice([0.0, 0.0, 0.2, 0.6])
    view_error_rate = rng.choice([0.0, 0.0, 0.5, 0.9])
    return tuple(
        BeaconFaults(
            delay_s=rng.choice([(0.002, 0.02), (0.002, 0.02), (0.1, 0.4), (0.5, 3.0)]),
            head_lag=rng.choice([0, 0, 0, 1, 3]),
            error_rate=rng.choice([0.0, error_rate]),
            view_error_rate=view_error_rate,
            submit_error_rate=submit_error_rate,
            forked=node in forked,
        )
        for node in range(node_count)
    )


def _beacon_liars(rng: Random, node_count: int) -> tuple[BeaconLiar | None, ...]:
    """In most seeds every node has three beacon nodes, of which one lies."""
    if rng.random() < 0.3:
        return (None,) * node_count
    lies = list(Lie)
    return tuple(
        BeaconLiar(lie=rng.choice(lies), place=rng.randrange(BEACON_NODES))
        for _ in range(node_count)
    )


def _crashes(rng: Random, honest: list[int], heal_s: float) -> tuple[Crash, ...]:
    if rng.random() < 0.3:
        return ()
    crashes = []
    for node in honest:
        at_s = 0.0
        for _ in range(rng.choice([0, 0, 1, 2, 4])):
            late_s = heal_s - rng.choice([heal_s, 5 * SLOT_S])  # any time, or just before the heal
            at_s = rng.uniform(max(at_s, late_s), heal_s - 3)
            back_s = min(at_s + rng.choice([0.1, 5.0, 60.0]) * rng.random() + 0.2, heal_s - 1)
            crashes.append(
                Crash(
                    node=node,
                    at_s=at_s,
                    back_s=back_s,
                    at_write=rng.choice([0, 1, 2, 3, 4, 5, 6, 8, 10]),
                    after_commit=rng.random() < 0.5,
                )
            )
            at_s = back_s
    return tuple(crashes)


def _restored(crashes: tuple[Crash, ...], rng: Random) -> tuple[Crash, ...]:
    """After one of the crashes the node's disks are lost, and an older backup is all there is."""
    if not crashes or rng.random() >= RESTORED_SHARE:
        return crashes
    at = rng.randrange(len(crashes))
    one = crashes[at]
    age_s = rng.choice([2 * SLOT_S, SLOTS_PER_EPOCH * SLOT_S, one.at_s]) * rng.random()
    restored = replace(one, backup_s=max(one.at_s - age_s, 0.0))
    return (*crashes[:at], restored, *crashes[at + 1 :])


def _partitions(rng: Random, node_count: int, heal_s: float) -> tuple[tuple[int, int, float], ...]:
    if rng.random() < 0.6:
        return ()
    nodes, from_s = range(node_count), rng.uniform(0.3, 1) * heal_s
    return tuple((a, b, from_s) for a in nodes for b in nodes if rng.random() < 0.3)


def _full_disks(rng: Random, honest: list[int], heal_s: float) -> tuple[FullDisk, ...]:
    if rng.random() < 0.6:
        return ()
    windows = []
    for node in honest:
        if rng.random() < 0.5:
            from_s = rng.uniform(0, heal_s - 1)
            windows.append(
                FullDisk(node=node, from_s=from_s, to_s=min(from_s + rng.uniform(1, 60), heal_s))
            )
    return tuple(windows)
