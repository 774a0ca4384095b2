#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is a documentation-only file: what it does is in the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: etcd_archive
short_description: Opens an archive of etcd_snapshot on the controller
version_added: 0.1.0
description:
  - Decrypts an archive that M(slipway.kubernetes.etcd_snapshot) made, compares all its checksums, and compares the
    cluster that it is of with the one that is expected. Nothing of it reaches a machine by that.
  - What a restore needs is put into a folder with mode 0700 in Ansible's temporary folder on the controller, which
    Ansible deletes when the run ends. Where the archive is refused nothing is left.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  path:
    description: The archive, on the controller. Whether and how it is encrypted is seen from its content.
    type: str
    required: true
  vault_password:
    description: The password of an archive that ansible-vault has encrypted.
    type: str
    default: ""
  age_identity:
    description:
      - The file with the secret key, on the controller, of an archive that C(age) has encrypted.
      - The program C(age) has to be installed there.
    type: path
    default: ""
  expected:
    description: What is compared. What is left out or empty is not, except for the endpoint.
    type: dict
    default: {}
    suboptions:
      cluster_name:
        description: Name of the cluster.
        type: str
      version:
        description: Version of Kubernetes; the minor version counts.
        type: str
      endpoint:
        description: Endpoint of the control plane, which may have none.
        type: str
      pod_subnet:
        description: Network of pods.
        type: str
      service_subnet:
        description: Network of services.
        type: str
      dns_domain:
        description: DNS domain of the cluster.
        type: str
seealso:
  - module: slipway.kubernetes.etcd_snapshot
  - module: slipway.kubernetes.etcd_restore
"""

EXAMPLES = r"""
- name: Open an archive
  slipway.kubernetes.etcd_archive:
    path: "{{ example_archive_file }}"
    expected:
      cluster_name: lab
      version: 1.37.1
  register: example_archive
  run_once: true

- name: Show what is in it
  ansible.builtin.debug:
    var: example_archive.about
"""

RETURN = r"""
about:
  description: What the archive says about itself.
  type: dict
  returned: success
  sample: {cluster_name: lab, created: "2026-11-21T12:00:00Z", member: cp1, image: "registry.k8s.io/etcd:3.7.0-0"}
checksum:
  description: SHA-256 of the snapshot.
  type: str
  returned: success
  sample: 5e3f0b5d3a0f2f9ae1c3c2a0f4d7f1f1d0a7b6c5e4d3c2b1a09f8e7d6c5b4a39
authorities:
  description: Names of the files below C(pki).
  type: list
  elements: str
  returned: success
  sample: [ca.crt, ca.key, sa.key, sa.pub]
authority:
  description: The certificate of the cluster's CA, in PEM.
  type: str
  returned: success
etcd_authority:
  description: The certificate of etcd's CA, in PEM.
  type: str
  returned: success
folder:
  description: Folder on the controller with C(snapshot.db), and with the authorities and their keys below C(pki).
  type: str
  returned: success
  sample: /root/.ansible/tmp/ansible-local-4711abc/etcd-archive-xyz
revision:
  description:
    - The revision that a restore of this moment gives etcd on all hosts, microseconds since 1970. Clients have seen
      none as high as that, also when the cluster has been restored before.
  type: int
  returned: success
  sample: 1795500000000000
version:
  description: The version of Kubernetes that the cluster had.
  type: str
  returned: success
  sample: 1.37.1
"""
