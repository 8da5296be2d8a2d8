# shellcheck shell=bash
# Which cores of this machine a run may have to itself; launch/local sources it. $root is the machine, for the tests.
root=""

# A line for each core that the affinity mask allows: its socket, the first CPU of the core, and those of its CPUs that
# are allowed (hyperthread twins, "0,64"), in the order of sockets.
allowed_cores() {
    local mask range cpu topology first socket siblings
    declare -A cpus=() sockets=()
    mask=$(awk '/^Cpus_allowed_list:/ { print $2 }' "$root/proc/self/status")
    for range in ${mask//,/ }; do
        for ((cpu = ${range%-*}; cpu <= ${range#*-}; cpu++)); do
            siblings=$cpu socket=0 topology=$root/sys/devices/system/cpu/cpu$cpu/topology
            read -r siblings 2>/dev/null <"$topology/thread_siblings_list" || true
            read -r socket 2>/dev/null <"$topology/physical_package_id" || true
            first=${siblings%%[,-]*}
            cpus[$first]+=${cpus[$first]:+,}$cpu
            sockets[$first]=$socket
        done
    done
    for first in "${!cpus[@]}"; do echo "${sockets[$first]} $first ${cpus[$first]}"; done | sort -n -k1,1 -k2,2
}

# How many CPUs' worth of time the control groups of this process allow, rounded up; nothing without a limit.
cpu_quota() {
    local line path base quota period least=""
    while IFS=: read -r _ line path; do
        case ,$line, in
            ,,) base=$root/sys/fs/cgroup ;;
            *,cpu,*) base=$root/sys/fs/cgroup/cpu ;;
            *) continue ;;
        esac
        # A container often sees its own group as the top, under a path that is not there.
        while :; do
            quota="" period=""
            read -r quota period 2>/dev/null <"$base$path/cpu.max" || {
                read -r quota 2>/dev/null <"$base$path/cpu.cfs_quota_us" || true
                read -r period 2>/dev/null <"$base$path/cpu.cfs_period_us" || true
            }
            if [[ $quota =~ ^[0-9]+$ && $period =~ ^[1-9][0-9]*$ ]]; then
                quota=$(((quota + period - 1) / period))
                ((${least:-$quota} < quota)) || least=$quota
            fi
            [[ -n ${path%/} ]] || break
            path=${path%/*}
        done
    done <"$root/proc/self/cgroup"
    echo "$least"
}

# The CPUs that worked more than half of the last fifth of a second, for anybody, in any container.
busy_cpus() {
    { cpu_times && sleep 0.2 && cpu_times; } | awk '
        /^cpu[0-9]/ {
            id = substr($1, 4); idle = $5 + $6; all = $2 + $3 + $4 + $5 + $6 + $7 + $8 + $9
            if (id in before && 2 * (idle - idles[id]) < all - before[id]) print id
            before[id] = all; idles[id] = idle
        }'
}

cpu_times() { cat "$root/proc/stat"; }

# Takes COUNT free cores for as long as this script or a program that it starts lives, from a table of allowed cores:
# $taken lists the CPUs of each. Free is a core that is idle and that no other launch has taken; a lock on a file of the
# kernel that describes it says so, so there is nothing to clean up. False when there are too few; none is taken then.
take_cores() { # COUNT TABLE
    local busy cpus first descriptor descriptors=()
    taken=()
    busy=$(busy_cpus)
    while read -r _ first cpus; do
        ((${#taken[@]} < $1)) || break
        ! grep -qxF "${cpus//,/$'\n'}" <<<"$busy" || continue
        { exec {descriptor}<"$root/sys/devices/system/cpu/cpu$first/topology/thread_siblings_list"; } 2>/dev/null ||
            continue
        if flock -n "$descriptor"; then
            descriptors+=("$descriptor")
            taken+=("$cpus")
        else
            exec {descriptor}<&-
        fi
    done <<<"$2"
    ((${#taken[@]} < $1)) || return 0
    for descriptor in "${descriptors[@]}"; do exec {descriptor}<&-; done
    taken=()
    return 1
}
