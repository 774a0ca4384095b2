// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

// Rke2 stands in for the program of that name, which cannot be had where this project is tested. It raises a real
// cluster (kubelet, containerd, static pods) and has the files, the ports, the order, the refusals and the log lines that
// RKE2's sources and documentation name. It is written from a description, not from the program: what is tested against
// it is tested against our reading of RKE2.
//
//	rke2 server [--cluster-reset [--cluster-reset-restore-path=FILE]]
//	rke2 agent
//	rke2 etcd-snapshot save [--name NAME] | list
//	rke2 --version
//
// Options are those of the files in /etc/rancher/rke2. RKE2_LAB_FAULT in the unit's environment makes it fail:
// hang (never ready), exit, unauthorized (401 for everybody), slow-etcd.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// Places, which tests move.
var (
	dataDir   = "/var/lib/rancher/rke2"
	configDir = "/etc/rancher/rke2"
	nodeDir   = "/etc/rancher/node"
	cniDir    = "/etc/cni/net.d"
	runDir    = "/run/k3s"
)

const releaseMark = "\nRKE2-RELEASE "

// release is what the build has written behind the program: one program serves all releases.
type release struct {
	Version string            `json:"version"`
	Images  map[string]string `json:"images"`
}

func readRelease(path string) (release, error) {
	found := release{}
	content, err := os.ReadFile(path)
	if err != nil {
		return found, err
	}
	at := strings.LastIndex(string(content), releaseMark)
	if at < 0 {
		return release{Version: "v0.0.0+rke2r0", Images: map[string]string{}}, nil
	}
	return found, json.Unmarshal(content[at+len(releaseMark):], &found)
}

// data names a file or folder of the node's own data.
func data(parts ...string) string {
	return filepath.Join(append([]string{dataDir}, parts...)...)
}

func say(level, format string, arguments ...any) {
	now := time.Now().UTC().Format(time.RFC3339)
	fmt.Fprintf(os.Stderr, "time=%q level=%s msg=%q\n", now, level, fmt.Sprintf(format, arguments...))
}

func fault(name string) bool { return os.Getenv("RKE2_LAB_FAULT") == name }

// pause waits, unless the program is to end.
func pause(ctx context.Context, duration time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(duration):
		return true
	}
}

func main() {
	if err := command(os.Args[1:]); err != nil {
		say("fatal", "%v", err)
		os.Exit(1)
	}
}

func command(arguments []string) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	own, err := readRelease(self)
	if err != nil {
		return err
	}
	name := ""
	if len(arguments) > 0 {
		name = arguments[0]
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	switch name {
	case "--version", "-v":
		fmt.Printf("rke2 version %s (slipway lab)\ngo version %s\n", own.Version, runtime.Version())
		return nil
	case "server", "agent":
		settings, err := loadConfig(name, arguments[1:])
		if err != nil {
			return err
		}
		return newNode(own, settings, name == "server").run(ctx)
	case "etcd-snapshot":
		settings, err := loadConfig("server", arguments[min(2, len(arguments)):])
		if err != nil {
			return err
		}
		return newNode(own, settings, true).snapshot(arguments[1:])
	}
	return fmt.Errorf("usage: rke2 server | agent | etcd-snapshot save | list | --version")
}
