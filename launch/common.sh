# shellcheck shell=bash
# Shared by the launch scripts, which source it. Not a program.

swiftlet=${SWIFTLET:-$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/.build/release/swiftlet}

die() { # CODE MESSAGE: the exit codes are swiftlet's own, docs/distributed.md has the table
    printf 'launch: %s\n' "$2" >&2
    exit "$1"
}

is_count() { [[ $1 =~ ^[1-9][0-9]{0,5}$ ]]; }

# The value of `--name VALUE` or `--name=VALUE` among the arguments, the last one if there are several, or nothing.
option_value() {
    local name=$1 value="" previous="" word
    shift
    for word in "$@"; do
        [[ $previous == "--$name" ]] && value=$word
        [[ $word == "--$name="* ]] && value=${word#*=}
        previous=$word
    done
    printf '%s' "$value"
}

# What Open MPI wants from its environment: leave to run as root, and no direct reads of another rank's memory in a
# container that forbids them (a seccomp filter is on and CAP_SYS_PTRACE, bit 19, is missing).
prepare_open_mpi() {
    command -v mpirun >/dev/null || die 66 "mpirun is not installed: run 'make setup', or install Open MPI"
    if [[ $(id -u) == 0 ]]; then
        export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
    fi
    local seccomp capabilities
    seccomp=$(awk '/^Seccomp:/ { print $2 }' /proc/self/status)
    capabilities=$(awk '/^CapEff:/ { print $2 }' /proc/self/status)
    if [[ ${seccomp:-0} != 0 ]] && ! (((16#$capabilities >> 19) & 1)); then
        export OMPI_MCA_btl_vader_single_copy_mechanism=${OMPI_MCA_btl_vader_single_copy_mechanism:-none}
    fi
}

# Runs a command and returns its exit code. A request to stop (INT, TERM, HUP, USR1) reaches it as SIGUSR1, which
# mpirun passes to every rank: swiftlet saves and exits with 75. Left alone, mpirun answers INT and TERM by killing the
# ranks one second later. The command gets a process group of its own, so that Ctrl-C goes through here too; a second
# INT or TERM ends it at once. $stopping says afterwards whether anybody asked.
stopping=""
run_and_forward() {
    set -m
    "$@" </dev/null &
    child=$!
    set +m
    trap 'forward_signal USR1' USR1
    trap 'forward_signal TERM' INT TERM HUP
    while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
    wait "$child"
}

forward_signal() {
    if [[ -z $stopping || $1 == USR1 ]]; then
        stopping=yes
        kill -USR1 "$child" 2>/dev/null || true
    else
        kill -TERM "$child" 2>/dev/null || true
    fi
}

# Runs mpirun and returns its exit code; one line says what was run, and one why it stopped.
launch() {
    printf 'launch:' >&2
    printf ' %q' "$@" >&2
    printf '\n' >&2
    [[ -x $swiftlet ]] || die 66 "$swiftlet is not there: run 'make build', or set SWIFTLET to the executable"
    local code=0
    run_and_forward "$@" || code=$?
    case $code in
        75) echo "launch: stopped on request, the state is saved; the same command goes on from there" >&2 ;;
        255) echo "launch: mpirun could not start on every host; its message above names the first one" >&2 ;;
    esac
    return "$code"
}
