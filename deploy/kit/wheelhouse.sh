#!/usr/bin/env bash
# Build a folder from which Willis is installed without a network, every file locked by its SHA-256.
#
#   wheelhouse.sh OUT [REQUIREMENT...]
#
# OUT must not exist. Requirements are those of this checkout unless others are named. Versions are those of
# constraints.txt. Build it on the same kind of machine and with the same Python as the hospital's.
# PYTHON chooses the interpreter. For a PyTorch without CUDA, much smaller, set PIP_EXTRA_INDEX_URL to the index of
# PyTorch's wheels for CPUs.
set -euo pipefail

if [[ $# -lt 1 || $1 == -* ]]; then
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
out=$1
shift
python=${PYTHON:-python3}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [[ -e $out ]]; then
    echo "wheelhouse.sh: $out exists; remove it or name another folder" >&2
    exit 1
fi
mkdir -p "$out/wheels"

requirements=("$@")
[[ ${#requirements[@]} -gt 0 ]] || requirements=("$here")
"$python" -m pip wheel --quiet --constraint "$here/constraints.txt" --wheel-dir "$out/wheels" "${requirements[@]}"

"$python" - "$out/wheels" >"$out/requirements.txt" <<'PYTHON'
import hashlib
import pathlib
import sys

for wheel in sorted(pathlib.Path(sys.argv[1]).glob("*.whl")):
    name, version = wheel.name.split("-")[:2]
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    print(f"{name.replace('_', '-')}=={version} --hash=sha256:{digest}")
PYTHON

cat >"$out/install.sh" <<'INSTALL'
#!/usr/bin/env bash
# Install Willis into a new virtual environment, from the files beside this script and nothing else.
#
#   install.sh [PREFIX]     (default /opt/willis)
#
# A file whose SHA-256 is not the one in requirements.txt is refused. PYTHON chooses the interpreter.
set -euo pipefail

prefix=${1:-/opt/willis}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
if [[ -e $prefix ]]; then
    echo "install.sh: $prefix exists; move it away (settings, keys and ledger are elsewhere)" >&2
    exit 1
fi
trap 'rm -rf -- "$prefix"; echo "install.sh: nothing was installed" >&2' ERR
"${PYTHON:-python3}" -m venv "$prefix"
"$prefix/bin/python" -m pip --isolated install --quiet --disable-pip-version-check --no-index --no-deps \
    --find-links "$here/wheels" --require-hashes --requirement "$here/requirements.txt"
"$prefix/bin/python" -m pip check --quiet
INSTALL
chmod +x "$out/install.sh"
cp "$here/LICENSE" "$out/"
if [[ $# -eq 0 ]]; then
    cp -r "$here/deploy/kit/systemd" "$here/deploy/kit/uninstall.sh" "$here/deploy/kit/grafana-dashboard.json" "$out/"
fi
sums=$(cd "$out" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
echo "$sums" >"$out/SHA256SUMS"
echo "$out: $(find "$out/wheels" -name '*.whl' | wc -l) wheels, $(du -sh "$out" | cut -f1)"
echo "read the next line to the hospital out of band; it compares: sha256sum SHA256SUMS"
sha256sum "$out/SHA256SUMS"
