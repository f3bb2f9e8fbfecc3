#!/usr/bin/env bash
# Several hosts on one machine, for tests of ranks that reach each other by a network. A host is a network namespace with an address,
# a host name and a /dev/shm of its own. A bridge joins the hosts. They share all other files.
#
#   hosts.sh MPIEXEC COMMAND...
#
# runs a command, for which $ON_HOSTS starts ranks on hosts:
#
#   $ON_HOSTS 2,1 PROGRAM...      two ranks on the first host, one on the second; at most six hosts
#
# Needs iproute2 and util-linux, and root or namespaces for all users. Where there are none it says "skipped: ..." and ends with 77.
# All hosts live in namespaces of this script. So runs at the same time do not see each other. However the script ends, the kernel
# ends all that it has started, and removes the hosts.
set -euo pipefail
self="$(readlink -f "$0")" hosts=6 network=10.77.0

skip() { echo "skipped: $*"; exit 77; }

# on_host N COMMAND...
on_host() {
    local name="host$1"
    shift
    # shellcheck disable=SC2016
    exec ip netns exec "$name" unshare --uts bash -c \
        'hostname "$0" && mount --bind "/run/$0" /dev/shm && exec "$@"' "$name" "$@"
}

# limit_rate N: what a host sends and what it receives, each to $HOSTS_MEGABITS a second.
limit_rate() {
    [ -n "${HOSTS_MEGABITS:-}" ] || return 0
    local limit=(tbf rate "${HOSTS_MEGABITS}mbit" burst 80kb latency 100ms)
    tc qdisc add dev "link$1" root "${limit[@]}" && tc -n "host$1" qdisc add dev eth0 root "${limit[@]}"
}

build_hosts() {
    # ip keeps the names of namespaces in /run.
    mount -t tmpfs hosts /run && mkdir /run/netns /run/launcher || return
    ip link set lo up && ip link add bridge type bridge && ip link set bridge up || return
    for ((n = 1; n <= hosts; ++n)); do
        mkdir -m 1777 "/run/host$n" && ip netns add "host$n" &&
            ip link add "link$n" type veth peer name eth0 netns "host$n" && ip link set "link$n" master bridge up &&
            ip -n "host$n" addr add "$network.$n/24" dev eth0 && ip -n "host$n" link set eth0 up &&
            ip -n "host$n" link set lo up && limit_rate "$n" || return
    done
}

# start RANKS,RANKS,... PROGRAM...: the launcher runs on the first host, and reaches the others by this script in place of ssh.
start() {
    local counts n=0 list=""
    IFS=, read -r -a counts <<<"$1"
    shift
    for count in "${counts[@]}"; do
        list+="${list:+,}$network.$((++n)):$count"
    done
    # Sockets, and shared memory within a host; what Debian leaves out of the rest stays out.
    export OMPI_MCA_btl=^ofi,uct,openib OMPI_MCA_btl_tcp_if_include=$network.0/24 OMPI_MCA_oob_tcp_if_include=$network.0/24
    export OMPI_MCA_plm_rsh_agent="$self --agent" PRTE_MCA_plm_ssh_agent="$self --agent"
    export OMPI_MCA_orte_tmpdir_base=/run/launcher PRTE_MCA_prte_tmpdir_base=/run/launcher
    # shellcheck disable=SC2086
    on_host 1 $HOSTS_LAUNCHER --host "$list" -n "$((${counts[@]/%/+}0))" "$@"
}

case "$1" in
--agent) # ADDRESS WORDS...: as ssh, which gives its words to a shell
    address="$2"
    shift 2
    on_host "${address##*.}" bash -c "$*" ;;
--start)
    shift
    start "$@" ;;
--inside)
    shift
    why="$(build_hosts 2>&1)" || skip "hosts cannot be made here: $why"
    export HOSTS_LAUNCHER="$1" ON_HOSTS="$self --start"
    shift
    said="$($ON_HOSTS 1,1 hostname 2>&1)" || true
    [ "$(sort <<<"$said")" = $'host1\nhost2' ] || skip "the launcher starts no ranks on such hosts: $said"
    "$@" ;;
*)
    for program in ip unshare setpriv; do
        command -v "$program" >/dev/null || skip "$program is missing: apt-get install iproute2 util-linux"
    done
    apart=(unshare --mount --net --pid --fork --kill-child --mount-proc)
    [ "$(id -u)" = 0 ] || apart+=(--map-root-user)
    "${apart[@]}" true 2>/dev/null || skip "namespaces are not allowed here"
    setpriv --pdeathsig KILL "${apart[@]}" "$self" --inside "$@" ;;
esac
