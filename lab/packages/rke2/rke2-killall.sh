#!/bin/sh
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Ends RKE2 of the lab and all its pods: the services leave these running.
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
data=${RKE2_DATA_DIR:-/var/lib/rancher/rke2}

for unit in rke2-server rke2-agent; do
    systemctl stop "$unit.service" 2>/dev/null
done

# Shims and what runs below them. In a container there may be processes of others with such names: the paths are ours.
shims() {
    for cmdline in /proc/[0-9]*/cmdline; do
        if tr '\0' ' ' <"$cmdline" 2>/dev/null | grep -q "^$data/[^ ]*bin/containerd-shim"; then
            basename "$(dirname "$cmdline")"
        fi
    done
}
below() {
    for pid in "$@"; do
        echo "$pid"
        # shellcheck disable=SC2046
        below $(cat "/proc/$pid/task/"*/children 2>/dev/null)
    done
}
for _ in 1 2 3; do
    # shellcheck disable=SC2046
    pids=$(below $(shims))
    [ -n "$pids" ] || break
    # shellcheck disable=SC2086
    kill -9 $pids 2>/dev/null
    sleep 0.2
done

# What is deeper goes first.
for folder in /run/k3s "$data" /var/lib/kubelet/pods /run/netns/cni-; do
    awk -v folder="$folder" 'index($2, folder) == 1 {print $2}' /proc/self/mounts | sort -r | while read -r mount; do
        umount "$mount" 2>/dev/null || umount -l "$mount"
    done
done
for namespace in $(ip netns show 2>/dev/null | awk '/^cni-/ {print $1}'); do
    ip netns delete "$namespace"
done
for link in cni0 flannel.1 flannel-v6.1; do
    ip link delete "$link" 2>/dev/null
done
rm -rf /var/lib/cni/
for family in iptables ip6tables; do
    if command -v "$family-save" >/dev/null; then
        "$family-save" | grep -v -e KUBE- -e CNI- -e cali- -e cali: -e FLANNEL -e flannel | "$family-restore"
    fi
done
exit 0
