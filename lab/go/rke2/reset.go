// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// What servers share lies in etcd, too, encrypted with the token, so that a snapshot and the token are a cluster.

const bootstrapFolder = "/bootstrap/"

func bootstrapKey(password string) string { return bootstrapFolder + digestOf(digestOf(password))[:12] }

func sealer(password string) (cipher.AEAD, error) {
	block, err := aes.NewCipher([]byte(digestOf(password))[:32])
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// keepBootstrap puts what servers share into etcd.
func (n *node) keepBootstrap() error {
	text, err := bundle()
	if err != nil {
		return err
	}
	sealed, err := sealer(n.supervisor.server)
	if err != nil {
		return err
	}
	nonce := make([]byte, sealed.NonceSize())
	_, _ = rand.Read(nonce)
	own, err := etcdAt("https://127.0.0.1:2379")
	if err != nil {
		return err
	}
	return own.put(bootstrapKey(n.supervisor.server), sealed.Seal(nonce, nonce, text, nil))
}

// readBootstrap lays what servers share where it belongs, out of an etcd that has it.
func readBootstrap(from *etcd, password string) error {
	encode := base64.StdEncoding.EncodeToString
	var found struct {
		Kvs []struct{ Key, Value []byte }
	}
	request := map[string]string{"key": encode([]byte(bootstrapFolder)), "range_end": encode([]byte("/bootstrap0"))}
	if err := from.call("kv/range", request, &found); err != nil {
		return err
	}
	for _, one := range found.Kvs {
		if string(one.Key) != bootstrapKey(password) {
			continue
		}
		sealed, err := sealer(password)
		if err != nil {
			return err
		}
		size := sealed.NonceSize()
		if len(one.Value) < size {
			return errors.New("bootstrap data is cut off")
		}
		text, err := sealed.Open(nil, one.Value[:size], one.Value[size:], nil)
		if err != nil {
			return err
		}
		return unbundle(text)
	}
	if len(found.Kvs) > 0 {
		return errors.New("bootstrap data already found and encrypted with different token")
	}
	return errors.New("no bootstrap data found")
}

func resetFlag() string { return data("server/db/reset-flag") }

// reset makes a cluster of one member, of a snapshot or of what lies here, and ends.
func (n *node) reset(ctx context.Context) error {
	if _, err := os.Stat(resetFlag()); err == nil {
		return errors.New("Managed etcd cluster membership was reset, please remove the cluster-reset flag and start rke2 normally. " +
			"If you need to perform another cluster reset, you must first manually delete the file " + resetFlag())
	}
	if connection, err := net.Dial("tcp", "127.0.0.1:2379"); err == nil {
		_ = connection.Close()
		return errors.New("cluster-reset: etcd is still running on this machine, end it by rke2-killall.sh")
	}
	snapshot := n.config.one("cluster-reset-restore-path")
	if snapshot == "" && !hasEtcd() {
		return errors.New("cluster-reset: there is no etcd on this machine that could be reset")
	}
	with, err := n.serverToken()
	if err != nil {
		return err
	}
	tools := data("data/etcd-tools")
	found, err := fromArchives(n.image("etcd"), "/usr/local/bin", tools)
	if err == nil && !found {
		err = pull(n.image("etcd"), "/usr/local/bin", tools)
	}
	if err != nil {
		return err
	}
	if snapshot != "" {
		if err := n.restore(tools, snapshot); err != nil {
			return err
		}
	}
	if err := alone(ctx, tools, with.password); err != nil {
		return err
	}
	if err := writeFile(filepath.Join(etcdFolder(), "lab-token"), digestOf(with.password), 0o600); err != nil {
		return err
	}
	// The next start writes the configuration of the one member that is left.
	_ = os.Remove(filepath.Join(etcdFolder(), "config"))
	say("info", "Managed etcd cluster membership has been reset, restart without --cluster-reset flag now. "+
		"Backup and delete ${datadir}/server/db on each peer etcd server and rejoin the nodes")
	return writeFile(resetFlag(), "", 0o600)
}

// restore makes etcd's data of a snapshot; what was there is kept beside it.
func (n *node) restore(tools, path string) error {
	fresh := data("server/db/etcd-restored")
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	name := fmt.Sprintf("%s-%s", n.name, randomText(4))
	output, err := exec.Command(filepath.Join(tools, "etcdutl"), "snapshot", "restore", path, "--data-dir", fresh, "--name", name,
		"--initial-cluster", name+"="+n.peerURL(), "--initial-advertise-peer-urls", n.peerURL()).CombinedOutput()
	if err != nil {
		return fmt.Errorf("etcd: snapshot path %s cannot be restored: %w: %s", path, err, output)
	}
	if err := writeFile(filepath.Join(fresh, "name"), name, 0o600); err != nil {
		return err
	}
	if _, err := os.Stat(etcdFolder()); err == nil {
		old := fmt.Sprintf("%s-old-%d", etcdFolder(), time.Now().Unix())
		if err := os.Rename(etcdFolder(), old); err != nil {
			return err
		}
		say("info", "Pre-restore etcd database moved to %s", old)
	}
	return os.Rename(fresh, etcdFolder())
}

// alone runs etcd for a moment, as the only member, and takes from it what servers share.
func alone(ctx context.Context, tools, password string) error {
	clients, peers := "http://127.0.0.1:2399", "http://127.0.0.1:2400"
	if err := os.Chmod(etcdFolder(), 0o700); err != nil {
		return err
	}
	name, _ := os.ReadFile(filepath.Join(etcdFolder(), "name"))
	command := exec.Command(filepath.Join(tools, "etcd"), "--data-dir", etcdFolder(), "--name", string(name), "--force-new-cluster",
		"--listen-client-urls", clients, "--advertise-client-urls", clients, "--listen-peer-urls", peers,
		"--initial-advertise-peer-urls", peers, "--initial-cluster", string(name)+"="+peers, "--log-level", "panic")
	command.Stdout, command.Stderr = os.Stderr, os.Stderr
	command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	here := &etcd{clients, &http.Client{Timeout: 10 * time.Second}}
	_, err := here.members()
	for deadline := time.Now().Add(time.Minute); err != nil && time.Now().Before(deadline) && pause(ctx, 500*time.Millisecond); {
		select {
		case err := <-ended:
			return fmt.Errorf("etcd ended: %w", err)
		default:
			_, err = here.members()
		}
	}
	if err == nil {
		err = readBootstrap(here, password)
	}
	_ = command.Process.Signal(syscall.SIGTERM)
	<-ended
	return err
}
