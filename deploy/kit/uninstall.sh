#!/usr/bin/env bash
# Take Willis off a machine: services, software, settings, keys, logs, runs. The ledger stays.
#
#   uninstall.sh [--root DIR] [--yes] [--ledger-of NAME]
#
# Without --yes it only says what it would remove. What stays is the record of what patients' images have cost:
# federation/ at the centre; .willis/ (without its log) and policy.toml at a hospital. A hospital that deletes
# them forgets what was spent. --ledger-of NAME removes them too, where NAME is the name in the settings.
# --root works below DIR instead of / and leaves services alone.
set -euo pipefail

root=
yes=
name=
while [[ $# -gt 0 ]]; do
    case $1 in
        --root) root=${2:?uninstall.sh: --root needs a folder}; shift 2 ;;
        --ledger-of) name=${2:?uninstall.sh: --ledger-of needs a name}; shift 2 ;;
        --yes) yes=1; shift ;;
        *) sed -n '2,10s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
    esac
done

remove() {
    [[ -e $1 || -L $1 ]] || return 0
    echo "remove  $1"
    if [[ -n $yes ]]; then rm -rf -- "$1"; fi
}

# Remove a state folder but for what is named after it.
empty() {
    local state=$1 kept entry
    shift
    [[ -d $state ]] || return 0
    if [[ -n $name ]] && grep -qxF "name = \"$name\"" "$state"/*.toml 2>/dev/null; then
        remove "$state"
        return
    fi
    for entry in "$state"/* "$state"/.[!.]*; do
        for kept in "$@"; do
            if [[ $entry == "$state/$kept" && -e $entry ]]; then
                echo "keep    $entry"
                continue 2
            fi
        done
        remove "$entry"
    done
}

if [[ -z $root && -n $yes ]]; then
    systemctl disable --now willis-site.service willis-coordinator.service 2>/dev/null || true
fi
for unit in willis-site willis-coordinator; do
    remove "$root/etc/systemd/system/$unit.service"
    remove "$root/etc/systemd/system/$unit.service.d"
done
[[ -n $root || -z $yes ]] || systemctl daemon-reload
remove "$root/opt/willis"
remove "$root/var/lib/willis-site/.willis/site.log"
empty "$root/var/lib/willis-site" .willis policy.toml
empty "$root/var/lib/willis-coordinator" federation
[[ -n $yes ]] || echo "nothing was removed; copy reports and data sets of runs away, then give --yes"
