#!/usr/bin/env bash
# Makes a release of what is committed: the tarball, a Debian package that is built from the tarball, a Spack recipe that knows the
# tarball's checksum, and the checksums of all of them.
#
#   packaging/release.sh DIRECTORY [URL]     URL: where the tarball will lie; by default the file in DIRECTORY
#
# The version is that of CMakeLists.txt. The programs name the commit: git archive writes it into packaging/commit.txt.
set -euo pipefail
[ $# -ge 1 ] || { echo "usage: packaging/release.sh DIRECTORY [URL]" >&2; exit 2; }
mkdir -p "$1"
directory="$(cd "$1" && pwd)"
cd "$(dirname "$0")/.."
[ -z "$(git status --porcelain)" ] || { echo "release.sh: there are changes that are not committed (git status)" >&2; exit 2; }
version="$(sed -n 's/^project(srtrain VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt)"
name="srtrain-$version"
url="${2:-file://$directory/$name.tar.gz}"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT

git archive --prefix="$name/" HEAD | gzip -9n >"$directory/$name.tar.gz"
checksum="$(sha256sum "$directory/$name.tar.gz" | cut -d ' ' -f 1)"
sed "s|^    version(\"main\".*|    version(\"$version\", sha256=\"$checksum\", url=\"$url\")\n&|" packaging/spack/package.py \
    >"$directory/package.py"
grep -q "$checksum" "$directory/package.py" || { echo "release.sh: packaging/spack/package.py has no version \"main\"" >&2; exit 1; }

tar -xzf "$directory/$name.tar.gz" -C "$work"
cd "$work/$name"
cmake --preset release -DSRTRAIN_BUILD_TESTS=OFF -DSRTRAIN_BUILD_BENCHMARKS=OFF
cmake --build build
(cd build && cpack -G DEB)
cp build/srtrain_*.deb "$directory"
cd "$directory"
sha256sum "$name.tar.gz" "srtrain_$version"*.deb package.py >SHA256SUMS
echo "in $directory:"
cat SHA256SUMS
