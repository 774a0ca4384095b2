#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_certs_info
short_description: When the certificates of a control plane expire
version_added: 0.1.0
description:
  - Reads the certificates that kubeadm made on this machine, those in its kubeconfigs, the authorities, and the ones of
    the kubelet. Needs neither kubeadm nor an API server that answers.
  - On a worker there are only the kubelet's and the cluster's authority.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  soon:
    description:
      - Certificates that expire in less than this many days are near their end. A warning names them,
        and those that have expired.
    type: int
    default: 30
"""

EXAMPLES = r"""
- name: Look at the certificates
  slipway.kubernetes.kubeadm_certs_info:
  register: example_certificates

- name: Show when they expire
  ansible.builtin.debug:
    msg: "{{ example_certificates.table }}"

- name: Stop when one has expired
  ansible.builtin.assert:
    that: example_certificates.expired | length == 0
"""

RETURN = r"""
certificates:
  description: The certificates, authorities last.
  type: list
  elements: dict
  returned: success
  contains:
    name:
      description: Its name, which is that of C(kubeadm certs renew) where it has one there.
      type: str
      sample: apiserver-etcd-client
    path:
      description: The file that it is in.
      type: str
      sample: /etc/kubernetes/pki/apiserver-etcd-client.crt
    kind:
      description:
        - V(certificate) and V(kubeconfig) are renewed by C(kubeadm certs renew), V(kubelet) by the kubelet itself,
          V(authority) by nobody.
      type: str
      sample: certificate
    authority:
      description: Name of the authority that signs it; the issuer's name when that is none of kubeadm's.
      type: str
      sample: etcd-ca
    externally_managed:
      description: Whether somebody else has to renew it, because its authority's key is not on this machine.
      type: bool
      sample: false
    subject:
      description: The common name of its subject.
      type: str
      sample: kube-apiserver-etcd-client
    dns_names:
      description: The DNS names in it.
      type: list
      elements: str
      sample: []
    addresses:
      description: The IP addresses in it.
      type: list
      elements: str
      sample: []
    expires:
      description: When it expires, in UTC.
      type: str
      sample: "2027-11-21T11:32:44Z"
    days_left:
      description: Whole days until then, negative when that was in the past.
      type: int
      sample: 364
    urgency:
      description: V(expired), V(soon) or V(valid).
      type: str
      sample: valid
    problem:
      description: Why it cannot be read; it counts as expired then.
      type: str
      sample: ""
expired:
  description: Names of those that have expired.
  type: list
  elements: str
  returned: success
  sample: []
expiring:
  description: Names of those that are near their end.
  type: list
  elements: str
  returned: success
  sample: [apiserver]
table:
  description: Lines of a table with a header.
  type: list
  elements: str
  returned: success
  sample:
    - CERTIFICATE  EXPIRES           DAYS LEFT  AUTHORITY
    - apiserver    2027-11-21 11:32  364        ca
"""

import platform
import time
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._pki import certificates


def describe(entries: t.Sequence[certificates.Entry], now: float, soon: int) -> t.Dict[str, t.Any]:
    """What this module returns."""
    found = [entry.as_dict(now, soon) for entry in entries]
    return {
        "changed": False,
        "certificates": found,
        "expired": certificates.names_of(found, "expired"),
        "expiring": certificates.names_of(found, "soon"),
        "table": certificates.table(found),
    }


def warnings(result: t.Mapping[str, t.Any], soon: int) -> t.List[str]:
    """Sentences that name the certificates that are not valid for long."""
    broken = [item for item in result["certificates"] if item["problem"]]
    said = [f"{item['path']} cannot be read: {item['problem']}." for item in broken]
    expired = [name for name in result["expired"] if name not in {item["name"] for item in broken}]
    if expired:
        said.append(f"These certificates have expired: {', '.join(expired)}.")
    if result["expiring"]:
        said.append(f"These certificates expire in less than {soon} days: {', '.join(result['expiring'])}.")
    return said


ARGUMENTS: t.Dict[str, t.Any] = {"soon": {"type": "int", "default": 30}}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    result = describe(certificates.collect(), time.time(), context.params["soon"])
    for sentence in warnings(result, context.params["soon"]):
        context.warn(f"{platform.node()}: {sentence}")
    return result


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
