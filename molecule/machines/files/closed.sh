#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# Closes a machine by a file of nftables: it lets in nothing but ssh, and nothing through. It says when it has made
# something of that. The fault run firewalls has it, too.
set -eu
rules=$(mktemp)
trap 'rm -f "$rules"' EXIT
cat >"$rules" <<'RULES'
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
if cmp --silent "$rules" /etc/nftables.conf && systemctl is-active --quiet nftables.service; then
    exit 0
fi
apt-get --quiet=2 update
DEBIAN_FRONTEND=noninteractive apt-get --quiet=2 install nftables >/dev/null
cp "$rules" /etc/nftables.conf
systemctl enable --quiet nftables.service
systemctl restart nftables.service
echo made
