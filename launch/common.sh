# Shared by the scripts of this folder; source it.
# shellcheck shell=bash disable=SC2034

# Debian packages: MPI and the HDF5 that fits it, in two flavours; what building and running needs; another compiler; what looks at
# the source; and what the tests need besides (gnuplot-nox draws the pictures of srtrain analyze, which does without where it is
# missing; slurm-wlm and munge run a job script for real; python3 runs the scripts of benchmarks/).
mpi_packages=(libopenmpi-dev openmpi-bin libhdf5-openmpi-dev)
mpich_packages=(libmpich-dev mpich libhdf5-mpich-dev)
build_packages=(gcc cmake ninja-build pkg-config libopenblas0-openmp libopenblas-openmp-dev libfftw3-dev libfyaml-dev
                libcjson-dev libxxhash-dev librandom123-dev zlib1g-dev libzstd-dev)
clang_packages=(clang libomp-dev)
style_packages=(clang-format clang-tidy codespell shellcheck python3 git)
test_packages=(libcmocka-dev gnuplot-nox python3 slurm-wlm munge shellcheck procps qemu-user)

# install_packages NAME...: installs those that are missing, as root or through sudo; otherwise says what to run and stops.
install_packages() {
    local missing=() name
    for name in "$@"; do
        dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'install ok installed' || missing+=("$name")
    done
    [ ${#missing[@]} -eq 0 ] && return 0
    local as_root=()
    if [ "$(id -u)" -ne 0 ]; then
        if command -v sudo >/dev/null && sudo -n true 2>/dev/null; then
            as_root=(sudo)
        else
            echo "These packages are missing. Install them and start again:"
            echo "  sudo apt-get install -y --no-install-recommends ${missing[*]}"
            exit 1
        fi
    fi
    echo "Installing ${missing[*]}"
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# What the launchers of MPI libraries have to be told, except what somebody has told them already.
set_up_launchers() {
    local name value
    while IFS='=' read -r name value; do
        case "$name" in '' | '#'*) continue ;; esac
        [ -n "${!name+set}" ] || export "$name=$value"
    done <"$(dirname "${BASH_SOURCE[0]}")/launchers.env"
}
set_up_launchers
# One thread a rank.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"

# start_ranks N PROGRAM...: by the launcher of the MPI library that build/ was made with.
start_ranks() {
    local launcher
    launcher="$(sed -n 's/^MPIEXEC_EXECUTABLE:[A-Z]*=//p' build/CMakeCache.txt)"
    "${launcher:-mpirun}" -n "$@"
}
