#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Turns a fresh machine into one from a template. Beside the partition in fstab there is swap in a file, which systemd
# turns on, and in compressed memory, by the generator that Fedora has; and somebody has turned forwarding off, in a file
# that is read before ours.
set -eu
hostnamectl set-hostname template
sed -i 's/^127\.0\.1\.1 .*/127.0.1.1 template.example.com template/' /etc/hosts
echo 'net.ipv4.ip_forward = 0' >/etc/sysctl.d/10-others.conf

dd if=/dev/zero of=/swapfile bs=1M count=64 status=none
chmod 0600 /swapfile
mkswap --quiet /swapfile
cat >/etc/systemd/system/swapfile.swap <<'UNIT'
[Swap]
What=/swapfile
[Install]
WantedBy=swap.target
UNIT
apt-get --quiet=2 update
DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 install --no-install-recommends systemd-zram-generator >/dev/null
printf '%s\n' '[zram0]' 'zram-size = 64' >/etc/systemd/zram-generator.conf
systemctl daemon-reload
systemctl enable --now --quiet swapfile.swap
systemctl start systemd-zram-setup@zram0.service dev-zram0.swap
grep -q zram0 /proc/swaps

echo made
