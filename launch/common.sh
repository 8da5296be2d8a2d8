# shellcheck shell=bash
# Shared by the launch scripts, which source it. Not a program.

# What a caller exports, or has closed, changes nothing here. (With `bash -p` no function, BASH_ENV or CDPATH is taken.)
set +o posix
unset -v POSIXLY_CORRECT CDPATH BASH_ENV ENV
true >&2 || exec 2>/dev/null
{ true 3<&0; } 2>/dev/null || exec </dev/null
trap '' PIPE

tree=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
built=$tree/.build/release/swiftlet
# As `make install` puts them: PREFIX/libexec/swiftlet beside PREFIX/bin.
[[ $tree != */libexec ]] || built=${tree%/libexec}/bin/swiftlet
swiftlet=${SWIFTLET:-$built}
# mpirun would look for a name without a slash in PATH.
[[ $swiftlet == /* ]] || swiftlet=$PWD/$swiftlet

say() { printf 'launch: %s\n' "$*" >&2 2>/dev/null || true; }

die() { # CODE MESSAGE: the exit codes are swiftlet's own, docs/distributed.md has the table
    say "$2"
    exit "$1"
}

usage() { # the comment at the head of the script
    sed -n '2,/^[^#]/ { /^# \{0,1\}/ s///p }' "$0"
    exit 0
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

# Requests to stop. The first one (INT, TERM, HUP, USR1) reaches the command as SIGUSR1, which mpirun passes to every
# rank: swiftlet saves and exits with 75. Left alone, mpirun answers INT and TERM by killing the ranks one second
# later. A second INT, TERM or HUP does that. Where nothing runs, the script ends with 130 or 143.
stopping="" guard="" child=""
for signal in INT TERM HUP USR1; do
    # shellcheck disable=SC2064
    trap "asked $signal" "$signal"
done

asked() { # SIGNAL
    local first=$stopping
    stopping=${first:-$1}
    [[ -n $guard ]] || exit "$(stop_code)"
    tell stop
    if [[ -n $child && -n $first && $1 != USR1 ]]; then kill -TERM "$child" 2>/dev/null || true; fi
}

stop_code() { [[ $stopping == INT ]] && echo 130 || echo 143; }

# Runs a command and returns its exit code; if it is mpirun, $errors is the descriptor for its standard error. The
# command has a process group of its own, so that Ctrl-C goes through here too.
run() {
    local code=0 watcher
    set -m
    coproc watch { watch; }
    # shellcheck disable=SC2154
    watcher=$watch_PID guard=${watch[1]}
    {
        if [[ -n ${errors:-} ]]; then
            # mpirun puts SIGUSR1 back to what it was before it ends, and must not die of a late request then.
            trap '' USR1
            exec 2>&"$errors" {errors}>&-
        fi
        exec "$@" </dev/null
    } &
    child=$!
    set +m
    tell "$child"
    while kill -0 "$child" 2>/dev/null; do wait "$child" || true; done
    wait "$child" || code=$?
    tell end
    wait "$watcher" || true
    guard="" child=""
    # Whoever dies of the request itself had nothing to save yet.
    if [[ -n $stopping ]]; then
        case $code in 129 | 130 | 138 | 143) code=$(stop_code) ;; esac
    fi
    return "$code"
}

tell() { { printf '%s\n' "$1" >&"$guard"; } 2>/dev/null || true; }

# Waits for a line, which is then in $line, and returns 0; above 128 when SECONDS are over, 1 at the end. What has come of
# a line by then is in $part, where the rest joins it: `read -t` cuts in two what is just coming in.
read_line() { # SECONDS
    local code=0
    IFS= read -r -t "$1" line || code=$?
    part+=$line line=""
    ((code == 0)) || return "$code"
    line=$part part=""
}

# Stands beside the command, in a group of its own, and is told its process id, `stop` for each request, and `end` when
# it has ended. A request is passed on every second: mpirun has no ear for signals in its first moments, and then no
# ranks to pass them to. When the script dies without a word (kill -9), that is a request, and six seconds later an order.
watch() {
    local child="" line="" part="" asked="" code
    trap '' INT TERM HUP USR1
    while [[ $line != end ]]; do
        code=0
        read_line 1 || code=$?
        ((code == 0 || code > 128)) || break
        case $line in
            stop) asked=yes ;;
            [1-9]*) child=$line ;;
        esac
        [[ -z $asked || -z $child || $line == end ]] || kill -USR1 "$child" || true
    done
    [[ $line != end && -n $child ]] || return 0
    for _ in 1 2 3 4 5 6; do
        kill -USR1 "$child" || return 0
        sleep 1
    done
    kill -TERM "$child" || return 0
    sleep 2
    kill -KILL "$child" || true
} 2>/dev/null

# Passes on mpirun's standard error, line by line or as much as there is, without its remarks on an exit code that
# swiftlet has explained (64 to 81), and on SIGUSR1, which is how these scripts ask for a stop. Remarks stand between
# rules of 74 dashes. SIGUSR2 to the script says that a request came before mpirun's daemons knew each other; mpirun
# then ends with 0.
quieten() {
    local LC_ALL=C rule forwarding="mpirun: Forwarding signal " line="" part="" block="" inside="" code waits=0
    printf -v rule '%074d' 0
    rule=${rule//0/-}
    trap '' INT TERM HUP USR1
    while :; do
        code=0
        read_line 0.3 || code=$?
        if ((code == 0)) && [[ -n $inside ]]; then
            waits=0 block+=$line$'\n'
            [[ $line == "$rule" ]] || continue
            inside=""
            if [[ $block == *$'\n'"ORTE does not know how to route a message"* ]]; then
                kill -USR2 $$
            else
                is_known_remark "$block" || printf '%s' "$block"
            fi
            block=""
        elif ((code == 0)); then
            waits=0
            if [[ $line == "$rule" ]]; then
                inside=yes block=$line$'\n'
            elif [[ $line != "$forwarding"* ]]; then
                printf '%s\n' "$line"
            fi
        elif ((code > 128)) && { [[ -n $inside ]] || begins_remark; } && ((++waits < 34)); then
            continue
        else
            # Nothing more for now, or at all: what there is goes out as it is.
            printf '%s' "$block$part"
            block="" inside="" part="" waits=0
            ((code > 128)) || return 0
        fi
    done
}

begins_remark() { # of quieten: whether $part is as far as it goes a line that may not go out
    [[ -n $part && ($part == "$forwarding"* || $forwarding == "$part"* || $rule == "$part"*) ]]
}

is_known_remark() { # BLOCK
    [[ $1 == *$'\n'"Primary job  terminated normally, but "* || $1 == *" exited on signal 10 "* ]] && return 0
    [[ $1 == *$'\n'"mpirun detected that one or more processes exited with non-zero status"* ]] &&
        [[ $1 =~ Exit\ code:\ +(6[4-9]|7[0-9]|8[01]|143)$'\n' ]]
}

# What needs no ranks runs once, in place of the script.
run_alone_if_it_needs_no_ranks() { # SUBCOMMAND...
    local word alone=""
    case $1 in tokenize | generate | inspect | report | plot | help | -*) alone=$1 ;; esac
    for word in "$@"; do
        case $word in -h | --help | --version | --print-config) alone=$word ;; --) break ;; esac
    done
    [[ -n $alone ]] || return 0
    require_executable
    case $alone in tokenize | generate | inspect | report | plot) say "$alone needs no ranks: it runs once, without mpirun" ;; esac
    trap - PIPE
    exec "$swiftlet" "$@"
}

require_executable() {
    [[ -f $swiftlet && -x $swiftlet ]] ||
        die 66 "$swiftlet is not there, or is no program: run 'make build', or set SWIFTLET to the executable"
}

# What Open MPI wants from its environment: leave to run as root; no direct reads of another rank's memory in a
# container that forbids them (a seccomp filter is on and CAP_SYS_PTRACE, bit 19, is missing); and a look at silent
# hosts every few seconds, so that one that is gone ends the run after 14 seconds and not after eight minutes.
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
    export OMPI_MCA_oob_tcp_keepalive_time=${OMPI_MCA_oob_tcp_keepalive_time:-5}
    export OMPI_MCA_oob_tcp_keepalive_intvl=${OMPI_MCA_oob_tcp_keepalive_intvl:-3}
    export OMPI_MCA_oob_tcp_keepalive_probes=${OMPI_MCA_oob_tcp_keepalive_probes:-3}
}

# Runs mpirun and returns its exit code; one line says what was run, and one why it stopped.
launch() { # mpirun ARGUMENTS...
    local code=0 filter errors try early=""
    trap 'early=yes' USR2
    require_executable
    { true 3>&1; } 2>/dev/null || exec >/dev/null
    say "$1$(printf ' %q' "${@:2}")"
    exec {errors}> >(quieten >&2)
    filter=$!
    run "$@" || code=$?
    exec {errors}>&-
    # What mpirun said last comes before what is said here, unless something that it left behind holds the pipe open.
    for ((try = 0; try < 40; try++)); do
        kill -0 "$filter" 2>/dev/null || break
        sleep 0.05
    done
    if [[ -n $early && $code == 0 ]]; then code=$([[ -n $stopping ]] && stop_code || echo 255); fi
    case $code in
        75) say "stopped on request, the state is saved; the same command goes on from there" ;;
        130 | 143) [[ -z $stopping ]] || say "stopped on request, before there was anything to save" ;;
        205) say "mpirun lost a host; its message above names it" ;;
        255) say "mpirun could not start on every host, or lost one; its message above names it" ;;
    esac
    return "$code"
}
