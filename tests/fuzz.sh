#!/usr/bin/env bash
# Runs every fuzz target of the module for a short time each: fuzz.sh [TIME].
# New inputs that fail are left in the package's testdata, to become its tests.
set -euo pipefail

cd "$(dirname "$0")/.."
go=${GO:-go}
time=${1:-3s}
ran=0
failed=()

# A worker that is busy when the time is up makes go test fail with nothing but
# "context deadline exceeded"; that is no finding.
fuzz() {
	local out
	if out=$("$go" test -run '^$' -fuzz "^$2\$" -fuzztime "$time" -parallel 2 "./$1" 2>&1); then
		return 0
	fi
	if grep -q 'context deadline exceeded' <<<"$out" && ! grep -q 'Failing input written' <<<"$out"; then
		return 0
	fi
	echo "$out"
	return 1
}

# Packages without a target are not even built.
while IFS= read -r dir; do
	while IFS= read -r target; do
		ran=$((ran + 1))
		if ! fuzz "$dir" "$target"; then
			failed+=("$dir:$target")
		fi
	done < <("$go" test -list '^Fuzz' "./$dir" | grep '^Fuzz' || true)
done < <(git grep -lE --untracked '^func Fuzz' -- '*_test.go' | xargs -r -n1 dirname | sort -u)

if [ "${#failed[@]}" -gt 0 ]; then
	printf 'fuzzing failed: %s\n' "${failed[@]}"
	exit 1
fi
echo "fuzzed $ran targets for $time each"
