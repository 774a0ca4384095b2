#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: file_piece
short_description: A piece of a file
version_added: 0.1.0
description:
  - Returns some bytes of a file on the host, so that a large file need not be in memory as a whole.
  - M(slipway.kubernetes.file_fetch) uses it. What it returns may be secret; put C(no_log) on a task of your own.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  path:
    description: The file.
    type: path
    required: true
  offset:
    description: Where the piece begins.
    type: int
    default: 0
  length:
    description: How many bytes it has at most.
    type: int
    default: 6291456
"""

EXAMPLES = r"""
- name: Read the beginning of a file
  slipway.kubernetes.file_piece:
    path: /etc/hostname
    length: 3
  register: example_piece
"""

RETURN = r"""
content:
  description: The bytes in base64; empty behind the file's end.
  type: str
  returned: success
  sample: Y3Ax
size:
  description: How many bytes the whole file has.
  type: int
  returned: success
  sample: 4
"""

import base64
import os
import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


def piece(path: str, offset: int, length: int) -> t.Dict[str, t.Any]:
    """Some bytes of a file, and its size.

    :raises OSError: when it cannot be read.
    """
    with open(path, "rb") as stream:
        stream.seek(offset)
        content = base64.b64encode(stream.read(length)).decode()
        return {"content": content, "size": os.fstat(stream.fileno()).st_size}


ARGUMENTS: t.Dict[str, t.Any] = {
    "path": {"type": "path", "required": True},
    "offset": {"type": "int", "default": 0},
    "length": {"type": "int", "default": 6 * 1024 * 1024},
}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    path, offset, length = (context.params[name] for name in ("path", "offset", "length"))
    if offset < 0 or length < 1:
        raise SlipwayError("offset is at least 0, and length at least 1.")
    try:
        return piece(path, offset, length)
    except OSError as error:
        raise SlipwayError(f"{path} cannot be read: {error.strerror}.") from error


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
