#!/usr/bin/python
# Copyright: (c) 2026, slipway.kubernetes contributors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_facts
short_description: What Kubernetes wants to know about a machine, in one call
version_added: 0.1.0
description:
  - Looks at identity, addresses, memory, disk, swap, listening ports, container runtime and what kubeadm has left.
  - The roles of this collection need no other facts, so that plays can go without C(gather_facts).
author: slipway.kubernetes contributors (@slipway)
extends_documentation_fragment:
  - slipway.kubernetes.attributes
  - slipway.kubernetes.attributes.read_only
options:
  resolve:
    description:
      - Names that the machine shall resolve by its own means, such as that of the cluster's endpoint.
    type: list
    elements: str
    default: []
  users:
    description:
      - Names of users that the machine shall know.
    type: list
    elements: str
    default: []
  modules:
    description:
      - Names of kernel modules that the machine shall be able to load, beside those that Kubernetes usually needs.
    type: list
    elements: str
    default: []
  pod_interfaces:
    description:
      - Network interfaces that a pod network makes which this collection does not know, by name, or by how names begin
        (V(vethwe*)). They are C(virtual), as those of container networks that are known.
    type: list
    elements: str
    default: []
notes:
  - Processes that hold ports, and the firmware's UUID, are only seen by root.
  - The only programs that are run are those whose version is asked for, C(getent) for names, all at once, and C(nft).
"""

EXAMPLES = r"""
- name: Look at the machine
  slipway.kubernetes.node_facts:

- name: Show the address of its default route
  ansible.builtin.debug:
    var: slipway_node.default_address
"""

RETURN = r"""
ansible_facts:
  description: Facts that are added to the host's variables.
  returned: always
  type: dict
  contains:
    slipway_node:
      description: Everything that was found out; each key is always there.
      returned: always
      type: dict
      contains:
        hostname:
          description: The kernel's hostname.
          returned: always
          type: str
          sample: cp1
        machine_id:
          description: Content of C(/etc/machine-id); empty when there is none.
          returned: always
          type: str
          sample: 871b25a8db194b12b8eeeea229e8cfed
        product_uuid:
          description: The UUID of the machine's firmware in lowercase; empty when it has none or it cannot be read, and
            in a container, where it is the host's.
          returned: always
          type: str
          sample: 5f6bba0e-6d6c-5b3e-9a8c-5d2a1a4b7c11
        boot_id:
          description: An identifier that is another one after each boot.
          returned: always
          type: str
          sample: 0b1f5c1e-6c0f-4f6e-8f9a-3c1f0c9d2b7e
        os:
          description:
            - Distribution (C(id), C(version_id), C(codename), C(id_like), C(family), C(pretty_name)).
            - C(architecture) in Go's and Debian's words, and C(kernel) release.
          returned: always
          type: dict
          sample: {id: debian, version_id: "12", codename: bookworm, family: debian, architecture: amd64}
        interfaces:
          description: Network interfaces but the loopback one; those of container networks are C(virtual). Addresses of
            IPv6 that do not last are C(temporary).
          returned: always
          type: list
          elements: dict
          sample: [{name: eth0, mac: "02:42:ac:1e:00:0b", state: up, virtual: false, addresses: []}]
        default_address:
          description: First IPv4 address of the interface with the default route; empty when there is none.
          returned: always
          type: str
          sample: 172.30.0.11
        default_address6:
          description: The same for IPv6.
          returned: always
          type: str
          sample: ""
        cpu_count:
          description: Number of processors that may be used.
          returned: always
          type: int
          sample: 2
        memory_mb:
          description: Megabytes of memory.
          returned: always
          type: int
          sample: 24048
        disk:
          description: Free and total megabytes of C(/var/lib), C(/etc), C(/tmp), and of folders below C(/var/lib) that
            may be file systems of their own.
          returned: always
          type: list
          elements: dict
          sample: [{path: /var/lib, free_mb: 81920, size_mb: 258048}]
        swap:
          description:
            - Active swap devices and their total in megabytes, and whether swap is compressed memory.
            - Lines of C(/etc/fstab) and systemd units that turn swap on at the next boot.
          returned: always
          type: dict
          sample: {active: [], total_mb: 0, fstab: [], units: [], zram: false}
        cgroup_version:
          description: V(2) for the unified hierarchy, V(1) for the legacy one.
          returned: always
          type: int
          sample: 2
        kernel_features:
          description: Whether the kernel has these modules, loaded or built in.
          returned: always
          type: dict
          sample: {overlay: true, br_netfilter: false, nf_conntrack: true}
        time:
          description: The machine's clock in seconds since 1970.
          returned: always
          type: float
          sample: 1790000000.5
        time_sync:
          description:
            - The service that keeps the clock right; empty when there is none.
            - V(container) in a container, whose clock is that of its host.
          returned: always
          type: str
          sample: systemd-timesyncd
        listening:
          description:
            - Listening sockets with protocol, address, port, pid and process.
            - Those of the kernel itself have the pid V(0) and no process.
          returned: always
          type: list
          elements: dict
          sample: [{protocol: tcp, address: 0.0.0.0, port: 22, pid: 201, process: sshd}]
        runtime:
          description:
            - Of each container runtime whether it is installed and answers on its socket, its version, C(path) and
              C(package) (null when the package manager is not known), and the installed C(packages) that bring one,
              with their versions. C(release) is the version of one that M(slipway.kubernetes.release_set) has brought.
            - C(foreign_files) are C(config.toml) and files C(hosts.toml) that neither this collection nor a package has
              written. A C(config.toml) that says only what C(containerd config default) says, but for what we set, too,
              is none of them. C(foreign_hosts) has a checksum of what each of these C(hosts.toml) says.
            - C(drop_ins) are the files below C(/etc/containerd/conf.d), with their C(version), whether they have a
              section for the CRI plugin of containerd 1.x (C(cri)), and whether they set C(SystemdCgroup) and
              the folder of C(registries).
            - Of CRI-O C(registries) are files of others about registries, with the names of these, C(cgroup_manager) is
              what its configuration says, and in which file, C(default_runtime) the name of what runs containers, and
              C(oci_runtimes) are the programs that can, with their versions.
            - Of Docker Engine C(configuration) is what its C(daemon.json) says, or why that cannot be read, C(engine)
              what the engine that runs says of itself, with the number of running containers that are of C(others),
              C(flags) are options on its command line that may not stand in C(daemon.json), too, and C(foreign_files)
              units of cri-dockerd that others have written.
          returned: always
          type: dict
          sample:
            containerd:
              installed: true
              version: 1.6.20
              active: true
              path: /usr/bin/containerd
              release: ""
              package: containerd
              packages: {containerd: 1.6.20~ds1-1+deb12u1}
              foreign_files: []
              foreign_hosts: {}
              drop_ins:
                - {path: /etc/containerd/conf.d/a.toml, version: 2, cri: true, systemd_cgroup: true, registries: true}
            crio:
              installed: false
              version: ""
              active: false
              path: ""
              release: ""
              package: ""
              packages: {}
              registries: {}
              cgroup_manager: ["", ""]
              default_runtime: crun
              oci_runtimes: {}
            docker:
              installed: true
              version: 20.10.24
              active: true
              path: /usr/sbin/dockerd
              release: ""
              package: docker.io
              packages: {docker.io: 20.10.24+dfsg1-1+deb12u1}
              configuration: {error: "", cgroup_driver: systemd, log_driver: json-file, user_namespaces: ""}
              engine: {cgroup_driver: systemd, live_restore: false, others: 0}
              flags: []
              foreign_files: []
        kubernetes:
          description:
            - Versions of C(kubeadm), C(kubelet) and C(kubectl), empty when absent, and what the installer has left here
              that has made a node of this machine.
            - C(installer) is its name, V(kubeadm) or V(RKE2); empty on a machine that is no node.
            - C(packaged) are the programs of these where packages bring them.
            - C(unfinished) is the record of a kubeadm command of this collection that has not come to its end, or null.
            - C(completed) says that the machine is a node without such a record.
            - C(node_name) is the name of the node that it is, by its kubelet's certificate; C(told_name) is the one
              that C(--hostname-override) gives the kubelet, which goes by the hostname without one.
            - C(api_ready) says that the API server of this machine, asked directly, is ready.
            - C(apiserver_names) are the names and addresses in its certificate.
            - C(static_pods) are the versions in the manifests of the control plane.
            - C(upgrading) is the record of a C(kubeadm upgrade) of ours that has not come to its end, or null.
            - C(endpoint) is where this machine reaches the API server of its cluster.
            - C(endpoint_ready) says, on a control plane whose own API server is ready, that the endpoint leads to one,
              too, with a certificate of the cluster's CA for its name.
            - C(ca_cert_hashes) are the hashes of the public keys of the cluster's CA, as kubeadm's discovery has them.
            - C(serving_certificates_timer) is a hash of the files of the timer that renews kubelets' serving
              certificates, when it runs here, now and after a boot. When only one of the two is so, or systemd has not
              read the files yet, it is C(in part).
          returned: always
          type: dict
          sample:
            kubeadm_version: 1.37.1
            kubelet_version: 1.37.1
            kubectl_version: 1.37.1
            packaged: [/usr/bin/kubeadm, /usr/bin/kubelet]
            installer: kubeadm
            control_plane: false
            api_ready: false
            apiserver_names: []
            admin_kubeconfig: false
            joined: true
            node_name: worker1
            told_name: ""
            unfinished: null
            completed: true
            static_pods: {}
            upgrading: null
            endpoint: api.example.com:8443
            endpoint_ready: false
            ca_cert_hashes: ["sha256:d4f3c2b1a09f8e7d6c5b4a39281706f5e4d3c2b1a0998877665544332211aabb"]
            serving_certificates_timer: ""
        configuration:
          description:
            - What a node of kubeadm was configured with, empty on other machines. C(kubelet) is the text of its
              KubeletConfiguration, C(kubelet_arguments) are those that kubeadm gave to it, C(cri_socket) is where it
              finds the container runtime, C(static_pods) are arguments of the control plane that cannot be changed.
            - Where the API server of this machine is ready, C(config_maps) are the texts of kubeadm, the kubelet and
              kube-proxy that the cluster keeps, C(pod_networks) what the pod networks of
              P(slipway.kubernetes.cni#role) keep, by their names, C(taints) are those of this node, C(nodes) the names
              of all, C(addons) is whether something was made of a list of addons, and C(coredns) whether
              M(slipway.kubernetes.coredns) has set something; C(problem) says why when they could not be read.
          returned: always
          type: dict
          sample: {}
        installer:
          description:
            - C(name) of another installer that has made a node of this machine, and the file that tells (C(trace)).
            - A program that was installed by hand may be C(beside) the kubelet of a package.
          returned: always
          type: dict
          sample: {}
        releases:
          description: Versions of what M(slipway.kubernetes.release_set) has installed, by the names of releases.
          returned: always
          type: dict
          sample: {}
        helm_version:
          description: Version of Helm; empty when it is not installed.
          returned: always
          type: str
          sample: 3.22.0
        run:
          description:
            - The record of the run that changes the cluster of this control plane (see M(slipway.kubernetes.run_lock)),
              with its C(age), the seconds since its last sign of life; empty when there is none.
          returned: always
          type: dict
          sample: {}
        service_manager:
          description: V(systemd) or V(other).
          returned: always
          type: str
          sample: systemd
        python_version:
          description: Version of the Python that runs modules.
          returned: always
          type: str
          sample: 3.11.2
        firewall:
          description: Which firewalls are active.
          returned: always
          type: dict
          sample: {ufw: false, firewalld: false}
        hosts_file:
          description:
            - The lines that M(slipway.kubernetes.hosts_file) has put into C(/etc/hosts). C(own_name) is false when the
              line for C(127.0.1.1) has another hostname than the machine, and no other line has its own.
          returned: always
          type: dict
          sample: {block: [192.0.2.11 cp1], own_name: true}
        foreign_files:
          description:
            - Files that roles of this collection would write, and that somebody else has written.
            - Neither does their head say that they are ours, nor are they what their package has brought.
          returned: always
          type: list
          elements: str
          sample: [/etc/haproxy/haproxy.cfg]
        package_manager:
          description: The package manager of the machine; empty when it is none that this collection knows.
          returned: always
          type: str
          sample: apt
        package_sources:
          description: C(path) and C(url) of the package sources that this collection has not written.
          returned: always
          type: list
          elements: dict
          sample: [{path: /etc/apt/sources.list.d/example.list, url: "https://packages.example.com/debian"}]
        unknown_users:
          description: Users that were asked for (O(users)) and that the machine does not know.
          returned: always
          type: list
          elements: str
          sample: []
        surroundings:
          description:
            - What is on the machine beside Kubernetes and can stand in its way.
            - C(cgroup_controllers) are those that the kernel has, C(modules_missing) modules that cannot be loaded.
            - C(resolver) is the file with name servers that the kubelet will give to pods.
            - C(names) are the addresses of the names that were asked for.
            - C(proxies) are variables of environments that name a proxy (not the proxy), with their C(no_proxy).
            - C(forwarding_off) and C(swap_at_boot) are settings that count after the next boot; C(hosts_at_boot) is the
              file by which cloud-init writes C(/etc/hosts) anew then, or empty.
            - C(interfaces_taken) is configuration of network managers that matches the interfaces of pods,
              C(route_setters) are units that set routes by what a cloud says.
            - C(pod_networks) are the files in C(/etc/cni/net.d), C(mounts) the file systems of folders that matter.
              Their C(ftype) says whether an XFS was made with C(ftype=1); null when that is unknown, and for others.
              Their C(version) is that of a ZFS.
            - C(static_pods) are manifests of static pods that are not the installer's.
            - C(mtus) are those of the interfaces, C(limits) those on watching files.
            - C(ipv6.disabled) says that new interfaces get no IPv6, C(ipv6.advertised) are interfaces whose default
              route of IPv6 is by router advertisements that the kernel does not read any more once it forwards.
            - C(firewalls) are those that drop what they do not name, with whom they admit.
            - C(selinux.mode) is V(enforcing), V(permissive), or empty where SELinux is off, C(selinux.at_boot) that of
              its configuration, C(selinux.unlabelled) are folders without a label of their own.
            - C(etcd_data) says that the folder of etcd's data, C(/var/lib/etcd) unless the node is another installer's,
              is not empty, C(authority) that there is a CA of a cluster.
          returned: always
          type: dict
          sample:
            cgroup_controllers: [cpuset, cpu, io, memory, pids]
            modules_missing: []
            resolver: {path: /etc/resolv.conf, target: "", exists: true, nameservers: [192.0.2.53], search: []}
            names: {api.example.com: [192.0.2.10]}
            proxies: []
            forwarding_off: []
            swap_at_boot: []
            hosts_at_boot: ""
            interfaces_taken: []
            route_setters: []
            pod_networks: [87-podman-bridge.conflist]
            mounts: [{path: /var/lib, point: /, type: ext4, options: [], ftype: null, version: ""}]
            static_pods: []
            mtus: {eth0: 1500}
            ipv6: {disabled: false, advertised: []}
            limits: {max_user_instances: 128, max_user_watches: 65536}
            firewalls: [{by: ufw, admits: [{source: 192.0.2.0/24, interface: "", ports: ""}]}]
            selinux: {mode: "", at_boot: "", unlabelled: []}
            etcd_data: false
            authority: true
"""

import typing as t

from ansible_collections.slipway.kubernetes.plugins.module_utils._module import Context, run_module
from ansible_collections.slipway.kubernetes.plugins.module_utils._node.node_facts import NodeFacts
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks import beside
from ansible_collections.slipway.kubernetes.plugins.module_utils._pod_networks.declared import Declared

_NAMES: t.Dict[str, t.Any] = {"type": "list", "elements": "str", "default": []}
ARGUMENTS: t.Dict[str, t.Any] = {"resolve": _NAMES, "users": _NAMES, "modules": _NAMES, "pod_interfaces": _NAMES}


def run(context: Context) -> t.Dict[str, t.Any]:
    """What the module returns."""
    facts = NodeFacts(context.runner, *(context.params[option] for option in ("resolve", "users", "modules")))
    with beside(Declared({}, interfaces=context.params["pod_interfaces"])):
        return {"ansible_facts": {"slipway_node": facts.collect()}}


def main() -> None:
    run_module(ARGUMENTS, run)


if __name__ == "__main__":
    main()
