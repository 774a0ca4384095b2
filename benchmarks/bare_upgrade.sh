#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The yardstick for upgrade.yml: the steps of kubeadm's documentation by plain shell, with nothing checked but that
# nodes get ready. Prints the seconds after each node.
#
# usage: bare_upgrade.sh VERSION CONTROL_PLANE[,CONTROL_PLANE...] WORKER...   (lab nodes of the minor before)
set -euo pipefail

mirror=http://172.30.0.1:8080
version=$1
IFS=, read -ra control_planes <<<"$2"
first=${control_planes[0]}
workers=("${@:3}")
log=$(mktemp)
trap 'rm "$log"' EXIT

on() { # on NODE COMMAND...: runs it in the node
    docker exec -i "slipway-$1" "${@:2}" >>"$log" 2>&1 || { tail -n 20 "$log"; exit 1; }
}

kubectl() { on "$first" kubectl --kubeconfig=/etc/kubernetes/admin.conf "$@"; }

start=$(date +%s.%N)
lap() { printf '%s %.1f\n' "$1" "$(echo "$(date +%s.%N) - $start" | bc)"; }

install() { # install NODE PACKAGE...
    local node=$1
    shift
    on "$node" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --allow-change-held-packages \
        "${@/%/=$version-*}"
    on "$node" apt-mark hold "$@"
}

upgrade() { # upgrade NODE KUBEADM-ARGUMENT...
    local node=$1 sources=/etc/apt/sources.list.d/slipway-kubernetes.sources
    shift
    on "$node" sed -i -E "s#/v1\.[0-9]+/deb#/v${version%.*}/deb#" "$sources"
    on "$node" apt-get update -qq -o "Dir::Etc::sourcelist=$sources" -o Dir::Etc::sourceparts=/dev/null
    install "$node" kubeadm
    on "$node" kubeadm upgrade "$@" --ignore-preflight-errors=SystemVerification,Swap
    kubectl drain "$node" --ignore-daemonsets --delete-emptydir-data
    install "$node" kubelet kubectl
    on "$node" systemctl daemon-reload
    on "$node" systemctl restart kubelet
    # Until it has reported its version it is Ready as the old one.
    on "$first" bash -c "until kubectl --kubeconfig=/etc/kubernetes/admin.conf get node $node | grep -q 'v$version'; do sleep 1; done"
    kubectl wait "node/$node" --for=condition=Ready --timeout=300s
    kubectl uncordon "$node"
    lap "$node"
}

on "$first" curl -fsS "$mirror/core:/stable:/v${version%.*}/deb/Release.key" -o /dev/null
upgrade "$first" apply "v$version" --yes
for node in "${control_planes[@]:1}" "${workers[@]}"; do
    upgrade "$node" node
done
