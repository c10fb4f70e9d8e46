#!/usr/bin/env bash
# Runs the integration tier: the processes' tests in front, the simulator's seeds behind them.
# Processes mostly wait and need a core at once when they wake; seeds have no clock but their own.
# So seeds take what the processes leave, of two cores nearly half: as idle work, which whatever
# wakes displaces at once. (The lowest nice value does not do: it is left its turn of some 3 ms, and
# a duty passes through dozens of processes' turns.)
# Arguments go to pytest. PYTEST names it; SEEDS_LOG names the file for the seeds' output.
set -uo pipefail
cd "$(dirname "$0")/../.."
pytest=${PYTEST:-pytest}
log=${SEEDS_LOG:-.integration-seeds.log}
behind=(chrt --idle 0)
command -v chrt >/dev/null || behind=(nice -n 19)
tests=(-n 2 -m integration --tb short)

# No test of ours trusts a public authority, and reading them all takes each process a tenth of a second.
export SSL_CERT_FILE=/dev/null

# A batch of seeds may wait long for its turn, hence the timeout.
"${behind[@]}" "$pytest" "${tests[@]}" --dist worksteal --ignore tests/integration --timeout 2400 "$@" >"$log" 2>&1 &
seeds=$!
trap 'kill "$seeds" 2>/dev/null' EXIT INT TERM
echo "seeds run as idle work; their output: $log"

# By groups: some must not run beside each other (tests/integration/conftest.py).
"$pytest" "${tests[@]}" --dist loadgroup --no-loadscope-reorder tests/integration "$@"
processes_status=$?

echo "the seeds' output:"
tail -n +1 -f --pid="$seeds" "$log"
wait "$seeds"
seeds_status=$?
[ "$processes_status" -eq 0 ] && [ "$seeds_status" -eq 0 ]
