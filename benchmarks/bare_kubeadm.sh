#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-3.0-or-later
# The yardstick: the cluster of inventory/ by plain shell, on all nodes at once, with nothing checked, nothing kept
# private and no second run. Prints the seconds after each phase.
#
# usage: bare_kubeadm.sh [--addons] [--endpoint VIP] CONTROL_PLANE[,CONTROL_PLANE...] WORKER...   (fresh lab nodes)
#        bare_kubeadm.sh --join CONTROL_PLANE WORKER     (a fresh node joins the cluster that is there)
# With --endpoint, keepalived holds the address and haproxy asks the API servers, both on the control planes.
set -euo pipefail

mirror=http://172.30.0.1:8080
registry=172.30.0.1:5000
version=1.37.1
addons=false join_only=false vip=
while [[ $1 = --* ]]; do
    case $1 in
    --addons) addons=true ;;
    --endpoint) vip=$2; shift ;;
    --join) join_only=true ;;
    esac
    shift
done
IFS=, read -ra control_planes <<<"$1"
control_plane=${control_planes[0]}
shift
workers=("$@")
log=$(mktemp --directory)
trap 'rm -r "$log"' EXIT

on() { # on NODE COMMAND...: runs it in the node
    docker exec -i "slipway-$1" "${@:2}"
}

start=$(date +%s.%N)
lap() { printf '%s %.1f\n' "$1" "$(echo "$(date +%s.%N) - $start" | bc)"; }

prepare() {
    on "$1" env MIRROR=$mirror REGISTRY=$registry VERSION=$version bash -es <<'NODE' >"$log/$1" 2>&1
export DEBIAN_FRONTEND=noninteractive
mkdir -p /etc/apt/keyrings
curl -fsS "$MIRROR/core:/stable:/v${VERSION%.*}/deb/Release.key" -o /etc/apt/keyrings/kubernetes.asc
echo "deb [signed-by=/etc/apt/keyrings/kubernetes.asc] $MIRROR/core:/stable:/v${VERSION%.*}/deb/ /" \
    > /etc/apt/sources.list.d/kubernetes.list
apt-get update -qq
apt-get install -y -qq --no-install-recommends containerd "kubeadm=$VERSION-*" "kubelet=$VERSION-*" "kubectl=$VERSION-*"
apt-mark hold kubeadm kubelet kubectl
containerd config default | sed -e 's/SystemdCgroup = false/SystemdCgroup = true/' \
    -e 's#sandbox_image = .*#sandbox_image = "registry.k8s.io/pause:3.10.2"#' \
    -e 's#config_path = ""#config_path = "/etc/containerd/certs.d"#' \
    -e 's#bin_dir = .*#bin_dir = "/opt/cni/bin"#' > /etc/containerd/config.toml
for name in registry.k8s.io docker.io ghcr.io quay.io; do
    mkdir -p "/etc/containerd/certs.d/$name"
    printf 'server = "https://%s"\n[host."http://%s/v2/%s"]\n  capabilities = ["pull", "resolve"]\n  override_path = true\n' \
        "${name/#docker.io/registry-1.docker.io}" "$REGISTRY" "$name" > "/etc/containerd/certs.d/$name/hosts.toml"
done
systemctl restart containerd
systemctl enable -q kubelet
sysctl -qw net.ipv4.ip_forward=1 net.bridge.bridge-nf-call-iptables=1
NODE
}

everywhere() { # everywhere FUNCTION NODE...: on all nodes at once; fails when one fails
    local function=$1 pids=() node failed=0
    shift
    for node in "$@"; do
        "$function" "$node" &
        pids+=($!)
    done
    for node in "${pids[@]}"; do wait "$node" || failed=1; done
    [ $failed = 0 ] || { tail -n 5 "$log"/*; exit 1; }
}

address() { docker inspect --format '{{index .Config.Labels "slipway.address"}}' "slipway-$1"; }

balance() { # haproxy and keepalived; the others get the CA of the first
    local peers='' servers='' node
    for node in "${control_planes[@]}"; do
        [ "$node" = "$1" ] || peers+=" $(address "$node")"
        servers+="    server $node $(address "$node"):6443"$'\n'
    done
    on "$control_plane" cat /etc/kubernetes/pki/ca.crt | on "$1" sh -c 'mkdir -p /etc/haproxy; cat > /etc/haproxy/ca.crt'
    on "$1" env VIP="$vip" PEERS="$peers" SERVERS="$servers" ADDRESS="$(address "$1")" bash -es <<'NODE' >"$log/$1" 2>&1
export DEBIAN_FRONTEND=noninteractive
apt-get install -y -qq --no-install-recommends haproxy keepalived
cat > /etc/haproxy/haproxy.cfg <<CFG
global
    log /dev/log local0
    user haproxy
    group haproxy
    stats socket /run/haproxy/admin.sock mode 660 level admin
defaults
    log global
    mode tcp
    timeout connect 1s
    timeout client 1h
    timeout server 1h
    timeout check 1500ms
    retries 2
    option redispatch 1
frontend api
    bind :8443
    default_backend api
frontend alive
    mode http
    timeout client 5s
    bind unix@/run/haproxy/alive.sock
    monitor-uri /alive
    monitor fail if { nbsrv(api) eq 0 }
backend api
    option httpchk GET /readyz
    balance roundrobin
    default-server check check-ssl verify required ca-file /etc/haproxy/ca.crt inter 1s fastinter 500ms fall 2 rise 2 on-marked-down shutdown-sessions
$SERVERS
CFG
cat > /etc/keepalived/keepalived.conf <<CFG
global_defs {
    script_user root
    enable_script_security
}
vrrp_script haproxy {
    script "/usr/bin/pgrep -x haproxy"
    interval 1
    timeout 1
    fall 2
    rise 1
}
vrrp_instance api {
    state BACKUP
    interface eth0
    virtual_router_id 51
    priority 100
    advert_int 1
    unicast_src_ip $ADDRESS
    unicast_peer {
$(printf '        %s\n' $PEERS)
    }
    authentication {
        auth_type PASS
        auth_pass s3cret
    }
    virtual_ipaddress {
        $VIP/24
    }
    track_script {
        haproxy
    }
}
CFG
systemctl restart haproxy keepalived
NODE
}

joining() { # the command that joins, of the cluster that is there
    on "$control_plane" kubeadm token create --print-join-command 2>/dev/null
}

join() { # join NODE [OPTION...]
    on "$1" "${join[@]}" --ignore-preflight-errors=SystemVerification,Swap "${@:2}" >"$log/$1" 2>&1
}

if $join_only; then
    everywhere prepare "${workers[@]}"
    lap prepared
    read -ra join < <(joining)
    everywhere join "${workers[@]}"
    lap joined
    on "$control_plane" kubectl --kubeconfig=/etc/kubernetes/admin.conf wait --for=condition=Ready \
        "${workers[@]/#/node/}" --timeout=180s >"$log/wait" 2>&1
    lap ready
    exit
fi

everywhere prepare "${control_planes[@]}" "${workers[@]}"
lap prepared

if [ -n "$vip" ]; then
    on "$control_plane" kubeadm init phase certs ca >"$log/ca" 2>&1
    everywhere balance "${control_planes[@]}"
    lap balanced
fi

sed "s/^ENDPOINT$/${vip:+controlPlaneEndpoint: $vip:8443}/" <<'CONFIG' | on "$control_plane" tee /root/init.yaml >/dev/null
apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
nodeRegistration:
  criSocket: unix:///run/containerd/containerd.sock
  ignorePreflightErrors: [SystemVerification, Swap]
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
kubernetesVersion: v1.37.1
networking: {podSubnet: 10.244.0.0/16}
ENDPOINT
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
failCgroupV1: false
cgroupDriver: systemd
failSwapOn: false
evictionHard: {imagefs.available: 0%, nodefs.available: 0%}
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
conntrack: {maxPerCore: 0}
CONFIG
on "$control_plane" kubeadm init ${vip:+--upload-certs} --config /root/init.yaml >"$log/init" 2>&1 || { tail -n 5 "$log/init"; exit 1; }
lap initialised

read -ra join < <(joining)
everywhere join "${workers[@]}"
lap joined
if [ ${#control_planes[@]} -gt 1 ]; then
    key=$(grep -om1 -- '--certificate-key [0-9a-f]*' "$log/init")
    for node in "${control_planes[@]:1}"; do # one at a time, for etcd's sake
        # shellcheck disable=SC2086
        join "$node" --control-plane $key || { tail -n 5 "$log/$node"; exit 1; }
        lap "joined-$node"
    done
fi

on "$control_plane" env MIRROR=$mirror REGISTRY=$registry KUBECONFIG=/etc/kubernetes/admin.conf ADDONS=$addons \
    bash -es <<'NODE' >"$log/addons" 2>&1 || { tail -n 5 "$log/addons"; exit 1; }
cd /tmp
curl -fsSO "$MIRROR/helm/helm-v3.22.0-linux-amd64.tar.gz"
tar -xzf helm-v3.22.0-linux-amd64.tar.gz
install linux-amd64/helm /usr/local/bin/helm
charts=oci://$REGISTRY/charts
helm install flannel "$charts/flannel" --version v0.28.4 --plain-http --namespace kube-flannel --create-namespace \
    --set podCidr=10.244.0.0/16
if [ "$ADDONS" = true ]; then
    helm install metrics-server "$charts/metrics-server" --version 3.13.1 --plain-http --namespace kube-system \
        --set 'args={--kubelet-insecure-tls}'
    helm install metallb "$charts/metallb" --version 0.16.1 --plain-http --namespace metallb-system --create-namespace \
        --set speaker.frr.enabled=false --set frrk8s.enabled=false
fi
kubectl wait --for=condition=Ready nodes --all --timeout=180s
NODE
lap ready

if $addons; then
    on "$control_plane" env KUBECONFIG=/etc/kubernetes/admin.conf bash -es <<'NODE' >"$log/addons" 2>&1
kubectl --namespace metallb-system rollout status deployment/metallb-controller daemonset/metallb-speaker --timeout=180s
kubectl --namespace kube-system rollout status deployment/metrics-server --timeout=180s
kubectl apply -f - <<'POOL'
apiVersion: metallb.io/v1beta1
kind: IPAddressPool
metadata: {name: default, namespace: metallb-system}
spec: {addresses: [172.30.0.200-172.30.0.219]}
---
apiVersion: metallb.io/v1beta1
kind: L2Advertisement
metadata: {name: default, namespace: metallb-system}
POOL
NODE
    lap addons
fi
