"""What is chosen for one development chain: its options, and the constants behind them."""

from dataclasses import dataclass, field

from tetrarch.errors import ConfigInvalid
from tetrarch.ethereum.spec.domains import (
    FAR_FUTURE_EPOCH,
    ForkActivation,
    ForkSchedule,
)
from tetrarch.ethereum.spec.values import Fork

GWEI_PER_ETH = 10**9
FORKS = (Fork.ALTAIR, Fork.DENEB, Fork.ELECTRA, Fork.FULU)
VALIDATORS_MAX = 65_536
SLOT_MS_MAX = 600_000
EPOCHS_MAX = 1 << 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConstants:
    """Run-time constants, named as in the specification. The defaults are those of minimal."""

    slot_duration_ms: int = 6_000
    min_per_epoch_churn_limit: int = 2
    max_per_epoch_activation_churn_limit: int = 4
    churn_limit_quotient: int = 32
    min_per_epoch_churn_limit_electra: int = 64 * GWEI_PER_ETH
    max_per_epoch_activation_exit_churn_limit: int = 128 * GWEI_PER_ETH
    min_validator_withdrawability_delay: int = 256
    shard_committee_period: int = 64
    ejection_balance: int = 16 * GWEI_PER_ETH
    inactivity_score_bias: int = 4
    inactivity_score_recovery_rate: int = 16
    max_blobs_per_block: int = 6
    max_blobs_per_block_electra: int = 9


def fork_version(fork: Fork) -> bytes:
    """The four bytes of ``fork`` on every development chain: those of the minimal preset."""
    return bytes((fork.order, 0, 0, 1))


def fork_schedule(fork: Fork, genesis_validators_root: bytes) -> ForkSchedule:
    """All forks up to ``fork`` stand at epoch 0; later ones never come."""
    return ForkSchedule(
        genesis_fork_version=fork_version(Fork.PHASE0),
        genesis_validators_root=genesis_validators_root,
        activations=tuple(
            ForkActivation(fork=each, version=fork_version(each), epoch=0)
            for each in Fork
            if fork.at_least(each)
        ),
    )


def fork_epoch(fork: Fork, *, of: Fork) -> int:
    """The epoch in which fork ``of`` begins on a chain that runs ``fork``."""
    return 0 if fork.at_least(of) else FAR_FUTURE_EPOCH


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What a chain does wrong on purpose. All off by default.

    All but the last two are done by its HTTP face; the chain's own validators never see them.
    """

    slow_ms: int = 0  # every answer waits that long
    wrong_head: bool = False  # attestation data names the head's parent
    error_rate: float = 0.0  # share of requests answered with 500
    down: bool = False  # connections are closed without an answer
    reorg_depth: int = 0  # at the next slot, so many head blocks are abandoned
    leave_out_votes: bool = False  # blocks take up no votes

    def __post_init__(self) -> None:
        if not 0 <= self.slow_ms <= 600_000:
            raise ConfigInvalid("set faults", field="slow_ms", got=self.slow_ms)
        if not 0.0 <= self.error_rate <= 1.0:
            raise ConfigInvalid("set faults", field="error_rate", got=self.error_rate)
        if not 0 <= self.reorg_depth <= 32:
            raise ConfigInvalid("set faults", field="reorg_depth", got=self.reorg_depth)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevChainConfig:
    """Everything chosen for one chain. ``genesis_time_s`` is in Unix seconds.

    ``self_run`` are the validators that the chain runs itself, so that it justifies while a
    cluster under test runs the others. With ``builder`` it offers blinded blocks.
    ``sync_members`` fill the first sync committees, instead of whoever is drawn: on a large chain
    a cluster's validators are in none for months. ``activate_later`` names validators that wait
    in the queue at genesis, each with the epoch in which it becomes active.
    """

    genesis_time_s: int
    fork: Fork = Fork.ELECTRA
    preset: str = "minimal"
    validators: int = 64
    slot_duration_ms: int = 6_000
    self_run: tuple[int, ...] = ()
    sync_members: tuple[int, ...] = ()
    activate_later: tuple[tuple[int, int], ...] = ()
    builder: bool = False
    exit_after_epochs: int = 64  # the specification's SHARD_COMMITTEE_PERIOD
    faults: Faults = field(default_factory=Faults)
    host: str = "127.0.0.1"
    port: int = 0  # 0: any free one

    def __post_init__(self) -> None:
        if self.fork not in FORKS:
            raise ConfigInvalid("configure chain", field="fork", known=", ".join(FORKS))
        if not 1 <= self.validators <= VALIDATORS_MAX:
            raise ConfigInvalid("configure chain", field="validators", maximum=VALIDATORS_MAX)
        if not 100 <= self.slot_duration_ms <= SLOT_MS_MAX:
            raise ConfigInvalid("configure chain", field="slot duration", maximum_ms=SLOT_MS_MAX)
        if not 0 <= self.exit_after_epochs <= EPOCHS_MAX:
            raise ConfigInvalid("configure chain", field="exit after", maximum=EPOCHS_MAX)
        for name in ("self_run", "sync_members"):
            outside = [each for each in getattr(self, name) if not 0 <= each < self.validators]
            if outside:
                raise ConfigInvalid("configure chain", field=name, unknown=outside[0])
        self._check_activations()

    def _check_activations(self) -> None:
        waiting = {index for index, _ in self.activate_later}
        valid = (
            len(waiting) == len(self.activate_later) < self.validators
            and all(0 <= index < self.validators for index in waiting)
            and all(1 <= epoch <= EPOCHS_MAX for _, epoch in self.activate_later)
            and waiting.isdisjoint(self.sync_members)
        )
        if not valid:
            raise ConfigInvalid(
                "configure chain",
                field="activate_later",
                got=self.activate_later[:8],
                expected="known validators, not all, no sync members; each once, from epoch 1 on",
            )

    def constants(self) -> ChainConstants:
        """The chain's run-time constants."""
        return ChainConstants(
            slot_duration_ms=self.slot_duration_ms,
            shard_committee_period=self.exit_after_epochs,
        )
