#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This is a documentation-only file: what it does is in the action plugin of the same name.

from __future__ import annotations

DOCUMENTATION = r"""
module: file_fetch
short_description: Fetches a secret file to the controller, piece by piece
version_added: 0.1.0
description:
  - Reads a file of the host in pieces, with the privileges of the task, and writes it on the controller with mode 0600
    from its first byte. Its name is there only when all of it is, and its checksum is right.
  - Neither side has more than some pieces of it in memory. M(ansible.builtin.fetch) with C(become) has all of it
    several times.
  - A file that is on the controller already with another checksum, or that cannot be compared since it is to be
    encrypted, is left as it is, and the task fails. It stops when the host sends more bytes than it has said first, and
    does not begin when the controller's disk has no room for these.
  - Put C(no_log) on the task. With C(-vvv) Ansible prints the pieces as they come, and writes them into its log.
  - With O(vault_password) it is encrypted in the format of ansible-vault on its way, as base64; nothing else reaches
    the controller's disk.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: partial
    details: A file with the same checksum is left as it is. An encrypted one that is there already is refused.
options:
  src:
    description: The file on the host.
    type: str
    required: true
  dest:
    description:
      - The file on the controller. Folders that are missing are made with mode 0700; those that are there stay as they
        are.
    type: str
    required: true
  sha256:
    description: The checksum of the whole file.
    type: str
    required: true
  vault_password:
    description: The password that it is encrypted with; not encrypted when empty.
    type: str
    default: ""
"""

EXAMPLES = r"""
- name: Take a backup of etcd
  slipway.kubernetes.etcd_snapshot:
  register: example_backup

- name: Keep it on the controller
  slipway.kubernetes.file_fetch:
    src: "{{ example_backup.archive }}"
    dest: "{{ example_archive_file }}"
    sha256: "{{ example_backup.sha256 }}"
  no_log: true
"""

RETURN = r"""
dest:
  description: The file on the controller.
  type: str
  returned: success
  sample: /srv/backups/archive.tar.gz
"""
