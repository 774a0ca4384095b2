#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kubeadm_images
short_description: The images that the installed kubeadm wants, listed or pulled
version_added: 0.1.0
description:
  - Asks the kubeadm that is installed which images it uses, so that no table of versions has to be kept anywhere.
  - Pulls them ahead of time when asked, for example in the background while other work goes on.
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
options:
  state:
    description: V(listed) only asks, V(pulled) pulls what the container runtime does not have yet.
    type: str
    choices: [listed, pulled]
    default: listed
  kubernetes_version:
    description: Version of Kubernetes. kubeadm would look it up in the internet when it was left to its default.
    type: str
    required: true
  image_repository:
    description: Registry and path that the images come from.
    type: str
    default: registry.k8s.io
  cri_socket:
    description: Socket of the container runtime; kubeadm finds it by itself when there is just one.
    type: str
requirements:
  - kubeadm on the target host (when it is absent, no image is returned)
"""

EXAMPLES = r"""
- name: Learn which pause image kubeadm uses
  slipway.kubernetes.kubeadm_images:
    kubernetes_version: "{{ cluster_version }}"
  register: kubeadm_images_result

- name: Show it
  ansible.builtin.debug:
    var: kubeadm_images_result.sandbox_image
"""

RETURN = r"""
images:
  description: Names of all images, as C(kubeadm config images list) prints them.
  type: list
  elements: str
  returned: success
  sample: [registry.k8s.io/kube-apiserver:v1.37.1]
sandbox_image:
  description: Name of the pause image; empty when kubeadm is not installed.
  type: str
  returned: success
  sample: registry.k8s.io/pause:3.10.2
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._command import SlipwayError
from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module


def sandbox_image(images: t.Iterable[str]) -> str:
    """The pause image among ``images``; empty when there is none."""
    return next((image for image in images if image.rsplit("/", 1)[-1].startswith("pause:")), "")


class KubeadmImages:
    """kubeadm's images for one version."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._runner = context.runner
        version: str = context.params["kubernetes_version"]
        self._options = [
            f"--kubernetes-version=v{version.lstrip('v')}",
            f"--image-repository={context.params['image_repository']}",
        ]
        self._cri_socket: t.Optional[str] = context.params["cri_socket"]

    def argv(self, kubeadm: str, verb: str) -> t.List[str]:
        """The command line of ``kubeadm config images VERB``."""
        socket = [f"--cri-socket={self._cri_socket}"] if self._cri_socket and verb == "pull" else []
        return [kubeadm, "config", "images", verb, *self._options, *socket]

    def run(self) -> t.Dict[str, t.Any]:
        """List the images, and pull them when asked.

        :raises CommandError: when kubeadm fails.
        """
        kubeadm = self._runner.which("kubeadm", required=False)
        if kubeadm is None:
            if self._context.params["state"] == "pulled" and not self._context.check_mode:
                raise SlipwayError("kubeadm is not installed on this host, so its images cannot be pulled.")
            return {"changed": False, "images": [], "sandbox_image": ""}
        images = self._runner.run(self.argv(kubeadm, "list")).stdout.split()
        if self._context.params["state"] == "pulled" and not self._context.check_mode:
            # kubeadm says "Pulled" for images that were there, too: what it did is no change of the machine's state
            # that anybody waits for, and the kubelet would have pulled them a moment later.
            self._runner.run(self.argv(kubeadm, "pull"))
        return {"changed": False, "images": images, "sandbox_image": sandbox_image(images)}


ARGUMENTS: t.Dict[str, t.Any] = {
    "state": {"type": "str", "choices": ["listed", "pulled"], "default": "listed"},
    "kubernetes_version": {"type": "str", "required": True},
    "image_repository": {"type": "str", "default": "registry.k8s.io"},
    "cri_socket": {"type": "str"},
}


def main() -> None:
    run_module(ARGUMENTS, lambda context: KubeadmImages(context).run())


if __name__ == "__main__":
    main()
