# Sourced by every scenario. Gives it a Polder of its own under a fresh directory, and undoes everything at its end,
# also when it fails: VMs, daemons, files.
#   polder ARGS…         build/polder against the scenario's own daemon
#   must ARGS…           run; fail the scenario with the output when it fails
#   expect STATUS ARGS…  run; fail unless it exits with STATUS; output in $out, stderr in $err
#   wait_for SECONDS ARGS…  poll a condition until it holds or the time is up
#   field JSON PATH      a value from a JSON document: field "$json" .vms[0].name
#   skip REASON          leave with 77
set -u
BUILD=${BUILD:?tests/run sets BUILD}
TOP=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
export TOP
ROOT=$(mktemp -d /tmp/polder-test-XXXXXX)
chmod 711 "$ROOT"  # QEMU runs under a uid of its own and must reach its image
export POLDER_ROOT=$ROOT
SHARED_CACHE=$BUILD/test-cache

polder() {
	"$BUILD/polder" "$@"
}

fail() {
	echo "FAIL: $*"
	for log in "$ROOT"/state/polderd.log; do
		[ -r "$log" ] && { echo "--- $log"; tail -n 30 "$log"; }
	done
	exit 1
}

skip() {
	echo "$*"
	exit 77
}

must() {
	out=$("$@" 2>&1) || fail "exit $? from: $* : $out"
}

expect() {
	local wanted=$1 status
	shift
	err_file=$ROOT/stderr
	out=$("$@" 2>"$err_file")
	status=$?
	err=$(cat "$err_file")
	[ "$status" = "$wanted" ] || fail "exit $status instead of $wanted from: $* : $out $err"
}

# expect_line TEXT: $err is exactly one line and contains TEXT.
expect_line() {
	[ "$(printf '%s\n' "$err" | wc -l)" = 1 ] || fail "not one line on stderr: $err"
	case $err in *"$1"*) ;; *) fail "stderr lacks '$1': $err" ;; esac
}

contains() {
	case $1 in *"$2"*) ;; *) fail "'$2' is not in: $1" ;; esac
}

wait_for() {
	local deadline=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$deadline" ] || fail "never became true: $*"
		read -r -t 0.1 _ <> <(:) || true
	done
}

field() {
	python3 -c '
import json, re, sys
value = json.loads(sys.argv[1])
for key, index in re.findall(r"\.(\w+)|\[(\d+)\]", sys.argv[2]):
    value = value[key] if key else value[int(index)]
print(json.dumps(value) if isinstance(value, (dict, list, bool)) or value is None else value)' "$1" "$2"
}

vm_field() {
	field "$(polder show "$1" --json)" "$2"
}

vm_is() {
	[ "$(vm_field "$1" .status.state)" = "$2" ]
}

daemon_pid() {
	field "$(polder version --json)" .daemon.pid
}

agent_pid() {
	field "$(polder version --json)" .daemon.agent_pid
}

gone() {
	! kill -0 "$1" 2>/dev/null
}

# Polder's processes that belong to this scenario, and their QEMUs: pids, one a line.
ours() {
	local process pid
	for process in /proc/[0-9]*; do
		pid=${process#/proc/}
		[ "$pid" = $$ ] && continue
		case $(readlink "$process/exe" 2>/dev/null) in
		*/polderd* | */polder-agent* | */polder-vm* | */qemu-system-*) ;;
		*) continue ;;
		esac
		if tr '\0' '\n' <"$process/cmdline" 2>/dev/null | grep -qF -- "$ROOT" ||
			tr '\0' '\n' <"$process/environ" 2>/dev/null | grep -qF -- "$ROOT"; then
			echo "$pid"
		fi
	done
}

none_left() {
	[ -z "$(ours)" ]
}

# One image build serves all scenarios: the cache is copied, never shared while it is written.
use_shared_image() {
	mkdir -p "$ROOT/cache"
	if [ "$SHARED_CACHE/image/tiny/kernel" -nt "$BUILD/polder-guest" ]; then
		cp -a "$SHARED_CACHE/." "$ROOT/cache/"
		return
	fi
	must polder image build tiny
	rm -rf "$SHARED_CACHE"
	cp -a "$ROOT/cache" "$SHARED_CACHE"
	touch "$SHARED_CACHE/image/tiny/kernel"
}

cleanup() {
	local status=$? pid
	trap - EXIT
	for pid in $(ours); do
		[ "$pid" = $$ ] || kill -9 "$pid" 2>/dev/null
	done
	type scenario_cleanup >/dev/null 2>&1 && scenario_cleanup
	rm -rf "$ROOT"
	exit "$status"
}
trap cleanup EXIT
trap 'exit 1' INT TERM
