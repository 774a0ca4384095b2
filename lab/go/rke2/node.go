// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// node is this machine: what servers and agents have in common.
type node struct {
	release    release
	config     config
	isServer   bool
	name       string
	address    string
	api        *api
	supervisor *supervisor
	children   sync.WaitGroup
	failed     chan error
	notify     string
}

func newNode(own release, settings config, isServer bool) *node {
	made := &node{release: own, config: settings, isServer: isServer, api: &api{}, failed: make(chan error, 1)}
	made.notify = takeNotifySocket()
	made.name = settings.one("node-name")
	if made.name == "" {
		host, _ := os.Hostname()
		made.name = strings.ToLower(host)
	}
	if addresses := settings.all("node-ip"); len(addresses) > 0 {
		made.address = addresses[0]
	} else {
		made.address = ownAddress()
	}
	return made
}

// ownAddress is the one from which packets to others would come; none is sent.
func ownAddress() string {
	connection, err := net.Dial("udp", "192.0.2.1:9")
	if err != nil {
		return "127.0.0.1"
	}
	defer connection.Close()
	host, _, _ := net.SplitHostPort(connection.LocalAddr().String())
	return host
}

func (n *node) image(name string) string { return n.release.Images[name] }

func (n *node) run(ctx context.Context) error {
	ctx, stop := context.WithCancel(ctx)
	defer n.children.Wait()
	defer stop()
	kind := "agent"
	if n.isServer {
		kind = "server"
	}
	say("info", "Starting rke2 %s %s", kind, n.release.Version)
	if fault("exit") {
		return errors.New("the lab has asked for a failure")
	}
	if err := n.checkProfile(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() {
		if n.isServer {
			done <- n.runServer(ctx)
		} else {
			done <- n.runAgent(ctx)
		}
	}()
	for {
		select {
		case err := <-done:
			if err != nil && ctx.Err() == nil {
				return err
			}
			done = nil
		case err := <-n.failed:
			return err
		case <-ctx.Done():
			return nil
		}
	}
}

// checkProfile looks for what the profile cis needs.
func (n *node) checkProfile() error {
	if !strings.HasPrefix(n.config.one("profile"), "cis") {
		return nil
	}
	wrong := []string{}
	if users, err := os.ReadFile("/etc/passwd"); n.isServer && err == nil && !strings.Contains("\n"+string(users), "\netcd:") {
		wrong = append(wrong, "missing required: user: unknown user etcd")
	}
	expected := [][2]string{{"vm/overcommit_memory", "1"}, {"vm/panic_on_oom", "0"}, {"kernel/panic", "10"}, {"kernel/panic_on_oops", "1"}}
	for _, one := range expected {
		text, err := os.ReadFile("/proc/sys/" + one[0])
		if value := strings.TrimSpace(string(text)); err == nil && value != one[1] {
			name := strings.ReplaceAll(one[0], "/", ".")
			wrong = append(wrong, fmt.Sprintf("invalid kernel parameter value %s=%s - expected %s", name, value, one[1]))
		}
	}
	if len(wrong) > 0 {
		return errors.New(strings.Join(wrong, "\n"))
	}
	return nil
}

// child runs a program for as long as we run; a nil error of ended means that it is started again.
func (n *node) child(ctx context.Context, log string, ended func(error) error, argv ...string) error {
	if err := os.MkdirAll(filepath.Dir(log), 0o700); err != nil {
		return err
	}
	file, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	n.children.Add(1)
	go func() {
		defer n.children.Done()
		defer file.Close()
		// It ends with the thread that started it, so with us, in whatever way we end.
		runtime.LockOSThread()
		for ctx.Err() == nil {
			say("info", "Running %s", strings.Join(argv, " "))
			command := exec.CommandContext(ctx, argv[0], argv[1:]...)
			command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
			command.WaitDelay = 10 * time.Second
			command.Stdout, command.Stderr = file, file
			command.Env = append(os.Environ(), "PATH="+programPath())
			command.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
			err := command.Run()
			if ctx.Err() != nil {
				return
			}
			say("error", "%s exited: %v", filepath.Base(argv[0]), err)
			if err := ended(err); err != nil {
				n.failed <- err
				return
			}
			pause(ctx, 5*time.Second)
		}
	}()
	return nil
}

func again(error) error { return nil }

// programPath has our own programs first. A machine without all capabilities has something before runc, which looks
// for the real one in the system's folders only: there it gets a link.
func programPath() string {
	own, err := filepath.EvalSymlinks(data("bin"))
	if err != nil {
		own = data("bin")
	}
	path := own + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	if _, err := os.Stat("/usr/local/sbin/runc"); err == nil {
		_ = os.Symlink(data("bin/runc"), "/usr/sbin/runc")
		return "/usr/local/sbin:" + path
	}
	return path
}

// client talks to a supervisor.
type client struct {
	address string
	token   token
	http    *http.Client
}

func newClient(address string, with token, authority []byte) *client {
	settings := &tls.Config{}
	if authority == nil {
		settings.InsecureSkipVerify = true
	} else {
		settings.RootCAs = x509.NewCertPool()
		settings.RootCAs.AppendCertsFromPEM(authority)
	}
	transport := &http.Transport{TLSClientConfig: settings, DisableKeepAlives: true}
	return &client{strings.TrimSuffix(address, "/"), with, &http.Client{Transport: transport, Timeout: 15 * time.Second}}
}

func (c *client) do(method, path string, headers map[string]string, body string) ([]byte, error) {
	request, err := http.NewRequest(method, c.address+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if c.token.password != "" {
		request.SetBasicAuth(c.token.user, c.token.password)
	}
	for name, value := range headers {
		request.Header.Set(name, value)
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	content, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = statusError{answer.StatusCode, fmt.Sprintf("%s%s: %s", c.address, path, answer.Status)}
	}
	return content, err
}

// connect asks a cluster for its CA, and compares it with the token.
func connect(address string, with token) (*client, error) {
	authority, err := newClient(address, token{}, nil).do("GET", "/cacerts", nil, "")
	if err != nil {
		return nil, fmt.Errorf("failed to get CA certs: %w", err)
	}
	if err := with.check(authority); err != nil {
		return nil, err
	}
	return newClient(address, with, authority), nil
}

// balancer leads connections to one of several servers, the last one that answered first.
type balancer struct {
	lock    sync.Mutex
	port    string
	servers []string
}

func (b *balancer) listen(address string) error {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			go b.serve(connection)
		}
	}()
	return nil
}

func (b *balancer) set(hosts []string) {
	b.lock.Lock()
	defer b.lock.Unlock()
	if len(hosts) > 0 {
		b.servers = hosts
	}
}

func (b *balancer) serve(incoming net.Conn) {
	defer incoming.Close()
	b.lock.Lock()
	servers := append([]string{}, b.servers...)
	b.lock.Unlock()
	for _, host := range servers {
		address := host
		if _, _, err := net.SplitHostPort(host); err != nil {
			address = net.JoinHostPort(host, b.port)
		}
		outgoing, err := net.DialTimeout("tcp", address, 3*time.Second)
		if err != nil {
			continue
		}
		defer outgoing.Close()
		ended := make(chan struct{}, 2)
		for _, pair := range [][2]net.Conn{{incoming, outgoing}, {outgoing, incoming}} {
			go func() {
				_, _ = io.Copy(pair[0], pair[1])
				ended <- struct{}{}
			}()
		}
		<-ended
		return
	}
}

// joinAsNode gets this node's certificates from a supervisor.
func (n *node) joinAsNode(from *client) error {
	password, err := secretFile(filepath.Join(nodeDir, "password"), 16)
	if err != nil {
		return err
	}
	headers := map[string]string{nameHeader: n.name, secretHeader: password}
	for _, name := range []string{"client-ca", "server-ca"} {
		text, err := from.do("GET", "/v1-rke2/"+name+".crt", nil, "")
		if err != nil {
			return err
		}
		if err := writeFile(data("agent", name+".crt"), string(text), 0o644); err != nil {
			return err
		}
	}
	for _, name := range []string{"client-kubelet", "serving-kubelet", "client-kube-proxy"} {
		path := data("agent", name)
		key, text := newKey()
		request := &x509.CertificateRequest{Subject: pkix.Name{CommonName: n.name}}
		der, err := x509.CreateCertificateRequest(rand.Reader, request, key)
		if err != nil {
			return err
		}
		body := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}))
		made, err := from.do("POST", "/v1-rke2/"+name+".crt?addresses="+n.address, headers, body)
		if isStatus(err, http.StatusForbidden) {
			return errors.New("Node password rejected, duplicate hostname or contents of '/etc/rancher/node/password' " +
				"may not match server node-passwd entry, try enabling a unique node name with the --with-node-id flag")
		}
		if err != nil {
			return err
		}
		if err := errors.Join(writeFile(path+".key", text, 0o600), writeFile(path+".crt", string(made), 0o644)); err != nil {
			return err
		}
	}
	for file, name := range map[string]string{"kubelet": "client-kubelet", "kubeproxy": "client-kube-proxy"} {
		path := data("agent", name)
		text, err := kubeconfig(apiAddress, data("agent/server-ca.crt"), path+".crt", path+".key")
		if err != nil {
			return err
		}
		if err := writeFile(data("agent", file+".kubeconfig"), text, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// waitToJoin tries until a supervisor gives this node what it needs.
func (n *node) waitToJoin(ctx context.Context, address string, with token) (*client, error) {
	there, err := waitForServer(ctx, address, with)
	if err != nil {
		return nil, err
	}
	for {
		var text []byte
		if text, err = there.do("GET", "/v1-rke2/config", nil, ""); err == nil {
			settings := map[string]string{}
			if err = json.Unmarshal(text, &settings); err == nil {
				for _, key := range []string{"cluster-cidr", "cluster-dns", "cluster-domain", "service-cidr"} {
					n.config[key] = []string{settings[key]}
				}
				if err = n.joinAsNode(there); err == nil {
					return there, nil
				}
			}
		}
		say("info", "Waiting to retrieve agent configuration; server is not ready: %v", err)
		if !pause(ctx, 5*time.Second) {
			return nil, ctx.Err()
		}
	}
}

// startNode starts containerd and the kubelet.
func (n *node) startNode(ctx context.Context) error {
	if err := writeContainerd(n.image("pause")); err != nil {
		return err
	}
	fatal := func(err error) error { return fmt.Errorf("containerd exited: %w", err) }
	configuration := data("agent/etc/containerd/config.toml")
	if err := n.child(ctx, data("agent/containerd/containerd.log"), fatal,
		data("bin/containerd"), "--config", configuration); err != nil {
		return err
	}
	for {
		connection, err := net.Dial("unix", containerdSocket())
		if err == nil {
			_ = connection.Close()
			break
		}
		if !pause(ctx, 500*time.Millisecond) {
			return ctx.Err()
		}
	}
	say("info", "containerd is now running")
	if err := importImages(); err != nil {
		return err
	}
	if err := n.writeKubelet(); err != nil {
		return err
	}
	if err := n.writeProxy(); err != nil {
		return err
	}
	return n.child(ctx, data("agent/logs/kubelet.log"), again, append([]string{data("bin/kubelet")}, n.kubeletArguments()...)...)
}

func (n *node) writeKubelet() error {
	text, _ := json.MarshalIndent(map[string]any{
		"apiVersion":               "kubelet.config.k8s.io/v1beta1",
		"kind":                     "KubeletConfiguration",
		"address":                  "0.0.0.0",
		"authentication":           map[string]any{"anonymous": map[string]bool{"enabled": false}, "webhook": map[string]bool{"enabled": true}, "x509": map[string]string{"clientCAFile": data("agent/client-ca.crt")}},
		"authorization":            map[string]string{"mode": "Webhook"},
		"cgroupDriver":             "systemd",
		"clusterDNS":               n.config.all("cluster-dns"),
		"clusterDomain":            n.config.one("cluster-domain"),
		"containerRuntimeEndpoint": "unix://" + containerdSocket(),
		"failSwapOn":               false,
		"healthzBindAddress":       "127.0.0.1",
		"readOnlyPort":             0,
		"serializeImagePulls":      false,
		"staticPodPath":            data("agent/pod-manifests"),
		"tlsCertFile":              data("agent/serving-kubelet.crt"),
		"tlsPrivateKeyFile":        data("agent/serving-kubelet.key"),
	}, "", "  ")
	if err := os.MkdirAll(data("agent/pod-manifests"), 0o700); err != nil {
		return err
	}
	return writeFile(data("agent/etc/kubelet.conf.d/00-rke2-defaults.conf"), string(text)+"\n", 0o600)
}

func (n *node) kubeletArguments() []string {
	found := []string{
		"--config-dir=" + data("agent/etc/kubelet.conf.d"),
		"--hostname-override=" + n.name,
		"--kubeconfig=" + data("agent/kubelet.kubeconfig"),
		"--node-ip=" + n.address,
	}
	if labels := n.config.all("node-label"); len(labels) > 0 {
		found = append(found, "--node-labels="+strings.Join(labels, ","))
	}
	if taints := n.config.all("node-taint"); len(taints) > 0 {
		found = append(found, "--register-with-taints="+strings.Join(taints, ","))
	}
	if path := n.config.one("resolv-conf"); path != "" {
		found = append(found, "--resolv-conf="+path)
	}
	return withArguments(found, n.config["kubelet-arg"])
}

// takeNotifySocket keeps where systemd listens from the programs that we run, which would say that they are ready.
func takeNotifySocket() string {
	name := os.Getenv("NOTIFY_SOCKET")
	_ = os.Unsetenv("NOTIFY_SOCKET")
	return name
}

// notifyReady tells systemd that the start is over.
func (n *node) notifyReady() {
	say("info", "rke2 is up and running")
	name := n.notify
	if name == "" {
		return
	}
	if strings.HasPrefix(name, "@") {
		name = "\x00" + name[1:]
	}
	connection, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: name, Net: "unixgram"})
	if err != nil {
		say("error", "Failed to notify systemd: %v", err)
		return
	}
	defer connection.Close()
	_, _ = connection.Write([]byte("READY=1\n"))
}

func (n *node) runAgent(ctx context.Context) error {
	address, text := n.config.one("server"), n.config.one("token")
	if text == "" {
		return errors.New("--token is required")
	}
	if address == "" {
		return errors.New("--server is required")
	}
	with, err := parseToken(text, "node")
	if err != nil {
		return err
	}
	if err := ensureRuntime(n.image("runtime")); err != nil {
		return err
	}
	first := strings.TrimSuffix(strings.TrimPrefix(address, "https://"), "/")
	joins, apis := &balancer{port: joinPort, servers: []string{first}}, &balancer{port: "6443"}
	host, _, err := net.SplitHostPort(first)
	if err != nil {
		return fmt.Errorf("invalid server URL %s: %w", address, err)
	}
	apis.set([]string{host})
	if err := errors.Join(joins.listen("127.0.0.1:6444"), apis.listen("127.0.0.1:6443")); err != nil {
		return err
	}
	// The hash is compared with what the server itself says; then the way goes through the balancer.
	if _, err := waitForServer(ctx, address, with); err != nil {
		return err
	}
	there, err := n.waitToJoin(ctx, "https://127.0.0.1:6444", with)
	if err != nil {
		return err
	}
	if fault("hang") {
		<-ctx.Done()
		return nil
	}
	follow := func() {
		servers := []string{}
		if text, err := there.do("GET", "/v1-rke2/apiservers", nil, ""); err == nil && json.Unmarshal(text, &servers) == nil {
			apis.set(servers)
			joins.set(servers)
			_ = writeFile(data("agent/etc/rke2-agent-load-balancer.json"), string(text), 0o600)
		}
	}
	follow()
	if err := n.startNode(ctx); err != nil {
		return err
	}
	for !n.reachesAPI() {
		if !pause(ctx, time.Second) {
			return nil
		}
	}
	n.notifyReady()
	for pause(ctx, 10*time.Second) {
		follow()
	}
	return nil
}

func waitForServer(ctx context.Context, address string, with token) (*client, error) {
	for {
		there, err := connect(address, with)
		if err == nil {
			return there, nil
		}
		say("error", "Failed to validate connection to cluster at %s: %v", address, err)
		if !pause(ctx, 2*time.Second) {
			return nil, ctx.Err()
		}
	}
}

func (n *node) reachesAPI() bool {
	authority, err := os.ReadFile(data("agent/server-ca.crt"))
	if err != nil {
		return false
	}
	pair, err := tls.LoadX509KeyPair(data("agent/client-kubelet.crt"), data("agent/client-kubelet.key"))
	if err != nil {
		return false
	}
	there := newClient(apiAddress, token{}, authority)
	there.http.Transport.(*http.Transport).TLSClientConfig.Certificates = []tls.Certificate{pair}
	_, err = there.do("GET", "/readyz", nil, "")
	return err == nil
}
