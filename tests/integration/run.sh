#!/usr/bin/env bash
# Runs the integration tier: the processes' tests in front, the simulator's seeds behind them.
# Processes mostly wait and need a core when they wake; seeds never wait and have no clock of their
# own. At the lowest priority seeds take what the processes leave, of two cores nearly half.
# Arguments go to pytest. PYTEST names it; SEEDS_LOG names the file for the seeds' output.
set -uo pipefail
cd "$(dirname "$0")/../.."
pytest=${PYTEST:-pytest}
log=${SEEDS_LOG:-.integration-seeds.log}
tests=(-n 2 --dist worksteal -m integration)

# A batch of seeds may wait long for its turn, hence the timeout.
nice -n 19 "$pytest" "${tests[@]}" --ignore tests/integration --timeout 2400 "$@" >"$log" 2>&1 &
seeds=$!
trap 'kill "$seeds" 2>/dev/null' EXIT INT TERM
echo "seeds run at the lowest priority; their output: $log"

"$pytest" "${tests[@]}" tests/integration "$@"
processes_status=$?

echo "the seeds' output:"
tail -n +1 -f --pid="$seeds" "$log"
wait "$seeds"
seeds_status=$?
[ "$processes_status" -eq 0 ] && [ "$seeds_status" -eq 0 ]
