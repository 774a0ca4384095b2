#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is a documentation-only file: what it does is in the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_report
short_description: Check all hosts of a cluster and report every problem at once
version_added: 0.1.0
description:
  - Compares the variables of the roles of this collection, and the facts that M(slipway.kubernetes.preflight_gather)
    left, with what Kubernetes and the roles need.
  - Fails with one report that names for each problem the host, the variable or fact, what is wrong, and how to mend it.
    Warnings do not fail.
  - What a built cluster cannot change any more is a problem when the inventory says something else, and what is only
    looked at when a cluster is built is a warning.
  - Runs on the controller for all hosts at once. Use C(run_once).
  - Hosts that were not gathered, for example because of C(--limit), are checked by their variables alone.
author:
  - slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
  - slipway.kubernetes.hosts
options:
  upgrade:
    description:
      - What M(slipway.kubernetes.kubeadm_upgrade_info) has returned as C(cluster).
        Certificates that have expired are added under the key C(expired), as lists of names by hosts.
      - With it the report is about an upgrade to C(cluster_version). Without it, running nodes of another version are a
        problem.
    type: dict
  patch:
    description:
      - What M(slipway.kubernetes.kubeadm_upgrade_info) has returned as C(cluster).
        The names of the hosts that will be drained are added under the key C(pending).
      - With it the report is about updates of the machines' packages. Only the variables, the machines and how the
        cluster is are looked at, and a worker that does not answer is a warning.
    type: dict
  reconfigure:
    description:
      - What M(slipway.kubernetes.kubeadm_upgrade_info) has returned as C(cluster).
      - With it the report is about giving a built cluster the configuration of the inventory. What it would get is
        returned as RV(reconfiguration), and is no warning.
    type: dict
  change_cni:
    description:
      - What M(slipway.kubernetes.kubeadm_upgrade_info) has returned as C(cluster).
        The names of the hosts that will be drained are added under the key C(pending).
      - With it the report is about a change of the pod network to C(cluster_cni). Without it, another pod network than
        the cluster has, and a change that has not come to its end, are a problem.
    type: dict
  change_runtime:
    description:
      - What M(slipway.kubernetes.kubeadm_upgrade_info) has returned as C(cluster). C(node) is the name of the host that
        gets another container runtime, C(pending) has it when it will be drained, and C(plan) is what
        M(slipway.kubernetes.node_runtime) has found there, C(lacking) and C(stopped) of it.
      - With it the report is about that change. Without it, nodes that use another container runtime than the inventory
        has are a problem.
    type: dict
seealso:
  - module: slipway.kubernetes.preflight_gather
"""

EXAMPLES = r"""
- name: Look at the machine and at its package repository
  slipway.kubernetes.preflight_gather:
  check_mode: true

- name: Report every problem of every host
  slipway.kubernetes.preflight_report:
    control_plane_hosts: "{{ groups['kube_control_plane'] }}"
    worker_hosts: "{{ groups['kube_node'] }}"
  run_once: true
"""

RETURN = r"""
problems:
  description: What has to be mended.
  returned: always
  type: list
  elements: dict
  contains: &problem
    hosts:
      description: Inventory names of the hosts that have the problem; empty when it is of the cluster as a whole.
      returned: always
      type: list
      elements: str
      sample: [worker1]
    subject:
      description: The variable or the fact.
      returned: always
      type: str
      sample: cluster_node_ip
    message:
      description: What is wrong.
      returned: always
      type: str
      sample: 10.0.0.7 is on no interface of the host (it has 192.0.2.5).
    remedy:
      description: How to mend it.
      returned: always
      type: str
      sample: Set it, for this host alone, to one of these.
preflight_warnings:
  description: What may be wrong, in the same shape.
  returned: always
  type: list
  elements: dict
  contains: *problem
nodes:
  description:
    - The machines, and an endpoint that keepalived keeps and that has a name. C(certain) is whether the machine itself,
      or C(cluster_node_ip), says the address; it is empty when nobody does.
  returned: always
  type: list
  elements: dict
  sample: [{address: 192.0.2.11, names: [cp1], certain: true}]
firewall:
  description: Arguments of M(slipway.kubernetes.node_firewall), by the hosts that have C(node_prep_firewall=open).
  returned: always
  type: dict
  sample:
    worker1:
      openings: [{protocol: tcp, port: "10250", source: 192.0.2.0/24}]
      keep: false
differences:
  description:
    - Those of the warnings that name a field of a built cluster that is not as the inventory says, and that no playbook
      changes on a built cluster.
  returned: always
  type: list
  elements: dict
  contains: *problem
reconfiguration:
  description:
    - With O(reconfigure), what the cluster keeps and has to keep instead, and what has to be done to each kubelet.
      C(documents) are those of M(slipway.kubernetes.kubeadm_upload_config), C(cluster) is the text of the
      ClusterConfiguration after that.
    - Empty when there is a problem.
  returned: always
  type: dict
  sample:
    documents: []
    cluster: "kind: ClusterConfiguration\\n"
    kubelets: {worker1: {fields: [{path: maxPods, before: "110", after: "200"}], how: write, drain: false}}
    proxy_mode: nftables
msg:
  description: The report as text, one line a problem.
  returned: always
  type: str
"""
