# Shared by the scripts of this folder; source it.
# shellcheck shell=bash disable=SC2034

# Debian packages: what building and running needs, and what the tests need besides (gnuplot-nox draws the pictures of
# srtrain analyze, which does without where it is missing; slurm-wlm and munge run a job script for real).
build_packages=(gcc cmake ninja-build pkg-config libopenmpi-dev openmpi-bin libopenblas0-openmp libopenblas-openmp-dev
                libhdf5-openmpi-dev libfftw3-dev libfyaml-dev libcjson-dev libxxhash-dev librandom123-dev
                zlib1g-dev libzstd-dev)
test_packages=(libcmocka-dev gnuplot-nox slurm-wlm munge shellcheck qemu-user)

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

# Open MPI refuses to start as root (containers, CI) unless it is told that this is meant.
if [ "$(id -u)" -eq 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi
# One thread a rank, and more ranks than cores are allowed to share them politely.
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}" OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}"
export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_mpi_yield_when_idle=1
