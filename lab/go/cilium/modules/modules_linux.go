// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Package modules takes the place of the file of this name in Cilium's agent, which ends where the kernel has no list of
// its modules: that is so on a machine that has everything built in.
package modules

import (
	"os"
	"strings"
)

// tables are the modules of iptables by what shows that the kernel has them.
var tables = map[string][]string{
	"/proc/net/ip_tables_names":  {"ip_tables", "iptable_nat", "iptable_mangle", "iptable_raw", "iptable_filter"},
	"/proc/net/ip6_tables_names": {"ip6_tables", "ip6table_mangle", "ip6table_raw", "ip6table_filter"},
}

// moduleLoader returns the program that loads a module.
func moduleLoader() string {
	return "modprobe"
}

// listModules returns the modules that the kernel has: those that it lists, those that it shows in /sys, and those of
// iptables that are built in.
func listModules() ([]string, error) {
	var found []string
	if text, err := os.ReadFile("/proc/modules"); err == nil {
		for _, line := range strings.Split(string(text), "\n") {
			if name, _, ok := strings.Cut(line, " "); ok {
				found = append(found, name)
			}
		}
	}
	entries, err := os.ReadDir("/sys/module")
	if err != nil {
		return nil, err
	}
	for _, entry := range entries {
		found = append(found, entry.Name())
	}
	for path, names := range tables {
		if _, err := os.Stat(path); err == nil {
			found = append(found, names...)
		}
	}
	return found, nil
}
