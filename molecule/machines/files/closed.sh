#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Closes a machine by a file of nftables: it lets in nothing but ssh, and nothing through. The fault run firewalls has it,
# too.
set -eu
apt-get --quiet=2 update
DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 install nftables >/dev/null
cat >/etc/nftables.conf <<'RULES'
flush ruleset
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif lo accept
        tcp dport 22 accept
    }
    chain forward { type filter hook forward priority filter; policy drop; }
}
RULES
systemctl enable --now --quiet nftables.service
