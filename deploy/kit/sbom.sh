#!/usr/bin/env bash
# Write what an installation consists of (CycloneDX) and which known vulnerabilities it has (pip-audit).
#
#   sbom.sh PREFIX OUT      e.g. sbom.sh /opt/willis release/
#
# The two tools go into a virtual environment that is thrown away. Needs the network: they come from it, and
# pip-audit asks it about every package. Exit status 1: a vulnerability is known, or a package could not be asked
# about, which pip-audit itself takes for well; OUT/audit.json names it.
set -euo pipefail

if [[ $# -ne 2 ]]; then
    sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
prefix=$1
out=$2
tools=$(mktemp -d)
trap 'rm -rf "$tools"' EXIT
"${PYTHON:-python3}" -m venv "$tools/venv"
"$tools/venv/bin/python" -m pip install --quiet --disable-pip-version-check 'cyclonedx-bom>=7,<8' 'pip-audit>=2.9,<3'

mkdir -p "$out"
"$tools/venv/bin/cyclonedx-py" environment --output-reproducible --output-format JSON \
    --output-file "$out/sbom.json" "$prefix/bin/python"
packages=$("$prefix/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
"$tools/venv/bin/pip-audit" --path "$packages" --format json --output "$out/audit.json" --progress-spinner off
"$tools/venv/bin/python" - "$out/audit.json" <<'PYTHON'
import json
import sys

found = json.load(open(sys.argv[1]))["dependencies"]
skipped = [one["name"] for one in found if "skip_reason" in one and one["name"] != "willis"]
if skipped:
    sys.exit(f"sbom.sh: {len(skipped)} of {len(found)} packages could not be asked about, such as {skipped[0]}")
print(f"{len(found) - 1} packages were asked about, and willis")
PYTHON
