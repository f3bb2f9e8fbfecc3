# Spack recipe. Put this directory's file into a repository of your own as packages/srtrain/package.py:
#
#   spack repo create my-repo && mkdir -p my-repo/packages/srtrain
#   cp package.py my-repo/packages/srtrain/ && spack repo add my-repo
#   spack dev-build srtrain@main           # in a checkout of srtrain
#
# packaging/release.sh adds the version of a release, with the checksum of its tarball.
from spack.package import *


class Srtrain(CMakePackage):
    """Trains transformer sequential recommenders, data-parallel by MPI, on plain CPU nodes."""

    license("Apache-2.0")
    version("main", branch="main")

    variant("tests", default=False, description="Build the tests")
    variant("benchmarks", default=False, description="Build the benchmarks")

    depends_on("c", type="build")
    depends_on("cmake@3.22:", type="build")
    depends_on("ninja", type="build")
    depends_on("pkgconfig", type="build")
    depends_on("mpi")
    # The OpenMP flavour: several threads of a rank call it at once, with one thread a call.
    depends_on("openblas threads=openmp")
    depends_on("hdf5@1.10: +mpi")
    depends_on("fftw@3: precision=float,double ~mpi")
    depends_on("libfyaml")
    depends_on("cjson")
    depends_on("xxhash")
    depends_on("random123", type="build")
    depends_on("zlib-api")
    depends_on("zstd")
    depends_on("cmocka", type="build", when="+tests")
    depends_on("gnuplot", type="run")

    generator("ninja")

    def cmake_args(self):
        return [
            self.define_from_variant("SRTRAIN_BUILD_TESTS", "tests"),
            self.define_from_variant("SRTRAIN_BUILD_BENCHMARKS", "benchmarks"),
            self.define("HDF5_ROOT", self.spec["hdf5"].prefix),
            self.define("SRTRAIN_BLAS", "openblas"),
            self.define("SRTRAIN_PC_REQUIRES", "hdf5 fftw3f libfyaml libcjson libxxhash zlib libzstd openblas"),
        ]

    def setup_run_environment(self, env):
        env.set("OPENBLAS_NUM_THREADS", "1")
