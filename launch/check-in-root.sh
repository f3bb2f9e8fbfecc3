#!/usr/bin/env bash
# Runs launch/check.sh for what is committed here in a Debian of its own, made by debootstrap: what a user of that Debian finds.
#
#   launch/check-in-root.sh SUITE [ARGUMENTS OF check.sh...]       as root; SUITE: bookworm, trixie ...
#
# SRTRAIN_ROOT says where that Debian is made, or lies already (default: /var/tmp/srtrain-SUITE), SRTRAIN_MIRROR what it is made
# from. Compiled objects are kept in it (ccache), so that a second check takes less time. Everything runs in name spaces for mounts
# and processes, which end with the check: nothing stays mounted or running, however it ends. /srtrain in that Debian is the
# tree that was checked.
set -euo pipefail
cd "$(dirname "$0")/.."
case "${1:--}" in -*)
    sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"
    exit 2
    ;;
esac
suite="$1"
shift
root="${SRTRAIN_ROOT:-/var/tmp/srtrain-$suite}"
mirror="${SRTRAIN_MIRROR:-http://deb.debian.org/debian}"
[ "$(id -u)" -eq 0 ] || { echo "This needs root, for debootstrap and chroot."; exit 2; }
for program in debootstrap unshare git; do
    command -v "$program" >/dev/null || { echo "$program is missing: apt-get install debootstrap util-linux git"; exit 2; }
done

if [ -f "$root/etc/debian_version" ] && [ ! -d "$root/debootstrap" ]; then
    found="$(sed -n 's/^VERSION_CODENAME=//p' "$root/etc/os-release")"
    [ "$found" = "$suite" ] || { echo "$root holds $found and not $suite: set SRTRAIN_ROOT to another directory"; exit 2; }
else
    mkdir -p "$root"
    debootstrap --variant=minbase "$suite" "$root" "$mirror"
fi
# What lets this machine reach the archive: names, proxies, and how dates are looked at.
cp --dereference --remove-destination /etc/resolv.conf /etc/hosts "$root/etc/"
apt-config dump | grep -E '^Acquire::(https?|Check-[A-Za-z-]+)(::| )' >"$root/etc/apt/apt.conf.d/90-from-the-host" || true

[ -z "$(git status --porcelain --untracked-files=no)" ] || echo "What is not committed here is not checked."
rm -rf "$root/srtrain"
git clone --quiet --no-hardlinks . "$root/srtrain"

# The first process of the new name spaces: mounts what a Debian needs, and becomes the shell that checks. It stays until the end:
# processes that lose their parent become its children, and would never be gone for Slurm if nobody waited for them.
inside() {
    local root="$1"
    shift
    mount --rbind /dev "$root/dev"
    mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t proc proc "$root/proc"
    mount --rbind /sys "$root/sys"
    exec chroot "$root" /usr/bin/env -i HOME=/root TERM="${TERM:-dumb}" LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin http_proxy="${http_proxy:-}" \
        https_proxy="${https_proxy:-}" CMAKE_C_COMPILER_LAUNCHER=ccache CCACHE_DIR=/var/cache/ccache bash -c '
            set -e
            cd /srtrain
            . launch/common.sh
            install_packages ccache
            launch/check.sh "$@"
            exit' check "$@"
}
export -f inside
# In the background, so that a signal ends the check at once: unshare itself would wait for its end. What runs in the background
# ignores SIGINT unless it is told not to.
env --default-signal=INT,QUIT unshare --mount --propagation private --ipc --pid --fork --kill-child \
    bash -euo pipefail -c 'inside "$@"' inside "$root" "$@" &
checking=$!
trap 'kill -KILL "$checking"; exit 1' INT TERM HUP
wait "$checking"
