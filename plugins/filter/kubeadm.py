# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import typing as t

from ansible.errors import AnsibleFilterError
from ansible_collections.slipway.kubernetes.plugins.plugin_utils import _kubeadm_config


def kubeadm_init_config(settings: t.Any, overrides: t.Any = None) -> t.List[t.Dict[str, t.Any]]:
    """The documents of ``kubeadm init``; a mistake is the error that Ansible shows."""
    try:
        return _kubeadm_config.kubeadm_init_config(settings, overrides)
    except KeyError as error:
        raise AnsibleFilterError(f"kubeadm_init_config: the settings lack {error}") from error
    except ValueError as error:
        raise AnsibleFilterError(f"kubeadm_init_config: {error}") from error


def kubeadm_join_config(settings: t.Any, overrides: t.Any = None) -> t.Dict[str, t.Any]:
    """The document of ``kubeadm join``; a mistake is the error that Ansible shows."""
    try:
        return _kubeadm_config.kubeadm_join_config(settings, overrides)
    except KeyError as error:
        raise AnsibleFilterError(f"kubeadm_join_config: the settings lack {error}") from error


def kubeadm_apiserver_names(documents: t.Any) -> t.List[str]:
    """The names in the certificate of an API server; a mistake is the error that Ansible shows."""
    try:
        return _kubeadm_config.kubeadm_apiserver_names(documents)
    except KeyError as error:
        raise AnsibleFilterError(f"kubeadm_apiserver_names: the documents lack {error}") from error
    except ValueError as error:
        raise AnsibleFilterError(f"kubeadm_apiserver_names: {error}") from error


class FilterModule:
    """Configuration of kubeadm."""

    def filters(self) -> t.Dict[str, t.Callable[..., t.Any]]:
        return {
            "kubeadm_apiserver_names": kubeadm_apiserver_names,
            "kubeadm_init_config": kubeadm_init_config,
            "kubeadm_join_config": kubeadm_join_config,
        }
