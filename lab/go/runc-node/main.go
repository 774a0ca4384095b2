// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Runc-node stands before the real runc (or crun) where the machine lacks capabilities, as it does in a container or
// a small virtual machine. A container may not be given a capability that is outside of the machine's bounding set, and
// without CAP_SYS_RESOURCE its oom_score_adj may not be lowered: runc would fail, so what it cannot do is taken out
// of the container's configuration. It is put where PATH finds it first, so that nobody has to know about it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// In the order of their numbers in linux/capability.h.
var capabilities = strings.Fields(`CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP
	LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO
	SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE
	AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF
	CHECKPOINT_RESTORE`)

func main() {
	if err := adapt(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "runc-node:", err)
		os.Exit(1)
	}
	name := filepath.Base(os.Args[0])
	self, _ := os.Executable()
	for _, directory := range []string{"/usr/sbin", "/usr/bin", "/sbin", "/bin"} {
		if path := filepath.Join(directory, name); path != self {
			syscall.Exec(path, append([]string{name}, os.Args[1:]...), os.Environ())
		}
	}
	fmt.Fprintf(os.Stderr, "runc-node: no %s in /usr/sbin or /usr/bin\n", name)
	os.Exit(127)
}

// adapt rewrites what the command is about to read: a bundle's config.json, or the process of an exec.
func adapt(arguments []string) error {
	switch {
	case slices.Contains(arguments, "create"), slices.Contains(arguments, "run"):
		return rewrite(filepath.Join(option(arguments, ".", "--bundle", "-b"), "config.json"))
	case slices.Contains(arguments, "exec"):
		if path := option(arguments, "", "--process", "-p"); path != "" {
			return rewrite(path)
		}
	}
	return nil
}

func option(arguments []string, fallback string, names ...string) string {
	for index, argument := range arguments {
		for _, name := range names {
			if argument == name && index+1 < len(arguments) {
				return arguments[index+1]
			}
			if value, found := strings.CutPrefix(argument, name+"="); found {
				return value
			}
		}
	}
	return fallback
}

func rewrite(path string) error {
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(strings.NewReader(string(text)))
	decoder.UseNumber() // numbers stay as they are written
	var document map[string]any
	if err := decoder.Decode(&document); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	process, found := document["process"].(map[string]any)
	if !found {
		process = document
	}
	bounding, err := boundingSet()
	if err != nil {
		return err
	}
	changed := dropCapabilities(process, bounding)
	if !has(bounding, "CAP_SYS_RESOURCE") && raiseOOMScore(process) {
		changed = true
	}
	if !changed {
		return nil
	}
	if text, err = json.Marshal(document); err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// dropCapabilities keeps what is in the machine's own bounding set.
func dropCapabilities(process map[string]any, bounding uint64) bool {
	sets, _ := process["capabilities"].(map[string]any)
	changed := false
	for key, value := range sets {
		names, _ := value.([]any)
		kept := []any{}
		for _, name := range names {
			if text, _ := name.(string); has(bounding, text) {
				kept = append(kept, name)
			}
		}
		if len(kept) != len(names) {
			sets[key] = kept
			changed = true
		}
	}
	return changed
}

// raiseOOMScore lifts oomScoreAdj to our own: the kernel forbids less without CAP_SYS_RESOURCE.
func raiseOOMScore(process map[string]any) bool {
	wanted, found := process["oomScoreAdj"].(json.Number)
	if !found {
		return false
	}
	text, err := os.ReadFile("/proc/self/oom_score_adj")
	if err != nil {
		return false
	}
	floor, err := strconv.Atoi(strings.TrimSpace(string(text)))
	value, err2 := wanted.Int64()
	if err != nil || err2 != nil || int(value) >= floor {
		return false
	}
	process["oomScoreAdj"] = floor
	return true
}

func has(bounding uint64, name string) bool {
	number := slices.Index(capabilities, strings.TrimPrefix(name, "CAP_"))
	return number >= 0 && bounding>>number&1 == 1
}

func boundingSet() (uint64, error) {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(text), "\nCapBnd:")
	value, _, _ := strings.Cut(rest, "\n")
	return strconv.ParseUint(strings.TrimSpace(value), 16, 64)
}
