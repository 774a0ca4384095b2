# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The file config.yaml of RKE2: what it may say, and what users add to what is computed.

RKE2 itself only warns of an option that it does not know, so one that is misspelled counts for nothing there. Here that
is an error. Private to this collection.
"""

from __future__ import annotations

import difflib
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._documents import merged

Config = t.Dict[str, t.Any]

_OF_AGENTS = """
    bind-address cloud-provider-config cloud-provider-name container-runtime-endpoint control-plane-probe-configuration
    control-plane-resource-limits control-plane-resource-requests debug default-runtime
    disable-default-registry-endpoint enable-pprof image-credential-provider-bin-dir image-credential-provider-config
    image-service-endpoint kube-proxy-arg kube-proxy-extra-env kube-proxy-extra-mount kubelet-arg kubelet-path
    lb-server-port node-external-dns node-external-ip node-internal-dns node-ip node-label node-name node-taint
    nonroot-devices pause-image pod-security-admission-config-file private-registry profile protect-kernel-defaults
    resolv-conf runtime-image selinux server snapshotter system-default-registry token vpn-auth vpn-auth-file
    with-node-id
"""
_OF_SERVERS = """
    advertise-address advertise-port agent-token audit-policy-file cloud-controller-manager-extra-env
    cloud-controller-manager-extra-mount cloud-controller-manager-image cluster-cidr cluster-dns cluster-domain cni
    datastore-cafile datastore-certfile datastore-endpoint datastore-keyfile default-local-storage-path disable
    disable-apiserver disable-cloud-controller disable-controller-manager disable-etcd disable-kube-proxy
    disable-scheduler egress-selector-mode embedded-registry enable-servicelb etcd-arg etcd-disable-snapshots
    etcd-expose-metrics etcd-extra-env etcd-extra-mount etcd-image etcd-s3 etcd-s3-access-key etcd-s3-bucket
    etcd-s3-bucket-lookup-type etcd-s3-config-secret etcd-s3-endpoint etcd-s3-endpoint-ca etcd-s3-folder
    etcd-s3-insecure etcd-s3-proxy etcd-s3-region etcd-s3-secret-key etcd-s3-session-token etcd-s3-skip-ssl-verify
    etcd-s3-timeout etcd-snapshot-compress etcd-snapshot-dir etcd-snapshot-name etcd-snapshot-retention
    etcd-snapshot-schedule-cron helm-job-image ingress-controller kube-apiserver-arg kube-apiserver-extra-env
    kube-apiserver-extra-mount kube-apiserver-image kube-cloud-controller-manager-arg kube-controller-manager-arg
    kube-controller-manager-extra-env kube-controller-manager-extra-mount kube-controller-manager-image kube-proxy-image
    kube-scheduler-arg kube-scheduler-extra-env kube-scheduler-extra-mount kube-scheduler-image
    secrets-encryption-provider service-cidr service-node-port-range servicelb-namespace supervisor-metrics tls-san
    tls-san-security write-kubeconfig-group write-kubeconfig-mode
"""
#: What agents know. https://docs.rke2.io/reference/linux_agent_config
AGENT = frozenset(_OF_AGENTS.split())
#: What servers know, which is more. https://docs.rke2.io/reference/server_config
SERVER = AGENT | frozenset(_OF_SERVERS.split())
#: What belongs to no file that counts at each start, or would put files where nobody looks for them.
_REFUSED = {
    "agent-token-file": "rke2_agent_token has the token",
    "cluster-reset": "each start would reset etcd",
    "cluster-reset-restore-path": "each start would reset etcd",
    "config": "it is the file itself",
    "data-dir": "everything that looks at a node looks in RKE2's own folder",
    "log": "the journal of the unit is read",
    "server": "the first server must not have it, and the others get it by themselves",
    "token": "it stands in rke2_token, which is hidden where tasks are shown",
    "agent-token": "it stands in rke2_agent_token, which is hidden where tasks are shown",
    "token-file": "rke2_token has the token",
    "write-kubeconfig": "everything that asks the cluster reads RKE2's own file",
}
#: What has to be the same on all servers, or those that join end.
CRITICAL = (
    "agent-token",
    "cluster-cidr",
    "cluster-dns",
    "cluster-domain",
    "disable-cloud-controller",
    "disable-kube-proxy",
    "egress-selector-mode",
    "ingress-controller",
    "service-cidr",
)


def problem(key: str, value: t.Any) -> str:
    """What is wrong with an option of ``rke2_config``, with the remedy; empty when nothing is."""
    if key in _REFUSED:
        return f"{key} has no place in it: {_REFUSED[key]}. Take it out."
    if key.endswith("+"):
        return f"{key}: lists are not added to here. Say all of {key[:-1]}."
    if key not in SERVER:
        near = difflib.get_close_matches(key, SERVER, 1)
        hint = f"Perhaps {near[0]} is meant." if near else "See https://docs.rke2.io/reference/server_config."
        return f"RKE2 has no option {key}, and would only warn of it. {hint}"
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, (str, bool, int, float)) for item in items) and value is not None:
        return f"{key} has to be a value or a list of values. Options of components are texts: key=value."
    return ""


def complete(computed: Config, over: t.Mapping[str, t.Any], is_server: bool) -> Config:
    """What stands in config.yaml: what is computed, with the user's options over it, without what is empty.

    One variable serves servers and agents: agents get what they know of it.

    :raises SlipwayError: when an option is unknown, or has no place in it.
    """
    wrong = [text for text in (problem(str(key), value) for key, value in sorted(over.items())) if text]
    if wrong:
        raise SlipwayError("rke2_config: " + " ".join(wrong))
    known = SERVER if is_server else AGENT
    whole: Config = merged(computed, dict(over))
    empty: t.Tuple[t.Any, ...] = (None, "", [])
    return {key: value for key, value in sorted(whole.items()) if key in known and value not in empty}


def differing(configs: t.Mapping[str, Config]) -> t.Dict[str, t.Dict[str, t.Any]]:
    """Options that have to be the same on all servers, and are not: what each server has of them.

    Tokens are named, and not shown.
    """
    found = {}
    for key in CRITICAL:
        values = {host: config.get(key) for host, config in configs.items()}
        if len({str(value) for value in values.values()}) > 1:
            found[key] = dict.fromkeys(values, "***") if key == "agent-token" else values
    return found
