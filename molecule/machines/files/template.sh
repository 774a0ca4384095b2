#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Turns a fresh machine into one from a template. Beside the partition in fstab there is swap in a file, which systemd
# turns on; and somebody has turned forwarding off, in a file that is read before ours.
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
systemctl daemon-reload
systemctl enable --now --quiet swapfile.swap
echo made
