#!/bin/sh
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Takes RKE2 of the lab off this machine, and itself, too. /etc/default/rke2-* and empty folders stay, as upstream's do.
[ "$(id -u)" -eq 0 ] || exec sudo "$0" "$@"
data=${RKE2_DATA_DIR:-/var/lib/rancher/rke2}
bin=$(dirname "$(readlink -f "$0")")
root=$(dirname "$bin")

"$bin/rke2-killall.sh"
for unit in rke2-server rke2-agent; do
    systemctl disable "$unit.service" 2>/dev/null
    systemctl reset-failed "$unit.service" 2>/dev/null
    rm -f "/etc/systemd/system/$unit.service" "$root/lib/systemd/system/$unit.service" "$root/lib/systemd/system/$unit.env"
done
systemctl daemon-reload

rm -rf /etc/rancher/rke2 /etc/rancher/node /etc/cni /opt/cni/bin /run/k3s /run/flannel \
    /var/lib/kubelet /var/lib/cni /var/log/pods /var/log/containers "$data" "$root/share/rke2"
rmdir /etc/rancher /var/lib/rancher 2>/dev/null
case "$(readlink /usr/sbin/runc)" in
    "$data"/*) rm -f /usr/sbin/runc ;;
esac
rm -f "$bin/rke2" "$bin/rke2-killall.sh" "$bin/rke2-uninstall.sh"
exit 0
