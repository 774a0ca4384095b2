// Copyright: (c) 2026, slipway.kubernetes contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
)

// aServer is a server that has made its files, and a stand-in for its API server.
func aServer(t *testing.T, more config) (*node, *httptest.Server) {
	t.Helper()
	places(t)
	settings := config{"token": {"word"}, "node-name": {"cp1"}, "node-ip": {"127.0.0.1"}, "tls-san": {"vip.example"}}
	settings["write-kubeconfig"] = []string{filepath.Join(configDir, "rke2.yaml")}
	for key, values := range more {
		settings[key] = values
	}
	made := newNode(release{}, settings, true)
	if _, err := made.prepareServer(); err != nil {
		t.Fatal(err)
	}
	fakeAPI(t, made)
	return made, serve(t, made.supervisor.handler(), "server/tls/serving-supervisor")
}

// serve answers with a certificate of the cluster until the test ends.
func serve(t *testing.T, handler http.Handler, certificate string) *httptest.Server {
	t.Helper()
	path := data(certificate)
	pair, err := tls.LoadX509KeyPair(path+".crt", path+".key")
	if err != nil {
		t.Fatal(err)
	}
	served := httptest.NewUnstartedServer(handler)
	served.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	served.StartTLS()
	t.Cleanup(served.Close)
	return served
}

// fakeAPI keeps Secrets and what Nodes are told.
func fakeAPI(t *testing.T, of *node) map[string]string {
	t.Helper()
	kept := map[string]string{}
	served := httptest.NewTLSServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		body := map[string]any{}
		_ = json.NewDecoder(request.Body).Decode(&body)
		path := request.URL.Path
		switch request.Method {
		case "GET":
			if kept[path] == "" {
				http.NotFound(response, request)
			}
			fmt.Fprint(response, kept[path])
		case "POST":
			name := body["metadata"].(map[string]any)["name"].(string)
			hash := body["stringData"].(map[string]any)["hash"].(string)
			kept[path+"/"+name] = fmt.Sprintf(`{"data": {"hash": %q}}`, base64.StdEncoding.EncodeToString([]byte(hash)))
			fmt.Fprint(response, "{}")
		case "DELETE":
			delete(kept, path)
		default:
			text, _ := json.Marshal(body)
			kept[request.Method+" "+path] = string(text)
		}
	}))
	old := apiAddress
	apiAddress, of.api.http = served.URL, served.Client()
	t.Cleanup(func() { apiAddress = old; served.Close() })
	return kept
}

func TestWhoIsLetThrough(t *testing.T) {
	server, served := aServer(t, config{"agent-token": {"agents"}})
	ask := func(path, user, password string) int {
		there := newClient(served.URL, token{"", user, password}, nil)
		_, err := there.do("GET", path, nil, "")
		if wrong, isWrong := err.(statusError); isWrong {
			return wrong.code
		}
		return http.StatusOK
	}
	for _, one := range []struct {
		path, user, password string
		wanted               int
	}{
		{"/ping", "", "", 200},
		{"/cacerts", "", "", 200},
		{"/v1-rke2/readyz", "node", "agents", 503},
		{"/v1-rke2/readyz", "node", "wrong", 401},
		{"/v1-rke2/readyz", "", "", 401},
		{"/v1-rke2/config", "node", "agents", 200},
		{"/v1-rke2/config", "server", "word", 200},
		{"/v1-rke2/config", "node", "word", 401},
		{"/v1-rke2/server-bootstrap", "node", "agents", 403},
		{"/v1-rke2/server-bootstrap", "server", "word", 200},
		{"/db/info", "server", "word", 503},
	} {
		if found := ask(one.path, one.user, one.password); found != one.wanted {
			t.Errorf("%v: got %d", one, found)
		}
	}
	server.supervisor.ready.Store(true)
	if found := ask("/v1-rke2/readyz", "node", "agents"); found != 200 {
		t.Errorf("got %d", found)
	}
	t.Setenv("RKE2_LAB_FAULT", "unauthorized")
	if found := ask("/v1-rke2/readyz", "node", "agents"); found != 401 {
		t.Errorf("got %d", found)
	}
}

func TestNodeJoins(t *testing.T) {
	_, served := aServer(t, nil)
	agent := newNode(release{}, config{"node-name": {"worker1"}, "node-ip": {"127.0.0.2"}}, false)
	there, err := connect(served.URL, token{"", "node", "word"})
	if err != nil {
		t.Fatal(err)
	}
	if err := agent.joinAsNode(there); err != nil {
		t.Fatal(err)
	}
	certificate, err := readCertificate(data("agent/client-kubelet.crt"))
	if err != nil || certificate.Subject.CommonName != "system:node:worker1" {
		t.Errorf("got %v, %v", certificate, err)
	}
	serving, err := readCertificate(data("agent/serving-kubelet.crt"))
	if err != nil || serving.VerifyHostname("127.0.0.2") != nil {
		t.Errorf("got %v, %v", serving, err)
	}
	if text, _ := os.ReadFile(data("agent/kubelet.kubeconfig")); !strings.Contains(string(text), "server: "+apiAddress) {
		t.Errorf("got %s", text)
	}
	// The machine was installed anew, and its Node is still there.
	put(t, filepath.Join(nodeDir, "password"), "another")
	if err := agent.joinAsNode(there); err == nil || !strings.HasPrefix(err.Error(), "Node password rejected") {
		t.Errorf("got %v", err)
	}
}

func TestServerJoins(t *testing.T) {
	first, served := aServer(t, nil)
	texts, _ := bundle()
	second := newNode(release{}, config{"node-name": {"cp2"}, "cluster-cidr": {"10.0.0.0/8"}}, true)
	wrong := func(with token, said string) {
		t.Helper()
		if _, err := second.fetchFrom(served.URL, with); err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("got %v", err)
		}
	}
	wrong(token{"", "server", "wrong"}, "failed to validate server configuration: "+served.URL+"/v1-rke2/config: 401 Unauthorized")
	wrong(token{digestOf("x"), "server", "word"}, "does not match the Cluster CA certificate hash")
	wrong(token{"", "server", "word"}, "critical configuration value mismatch between servers")
	second.config["cluster-cidr"] = nil
	wrong(token{"", "server", "word"}, "/db/info: 503")
	if again, _ := bundle(); string(again) != string(texts) {
		t.Error("what servers share has changed")
	}
	if first.config.critical()["service-cidr"] != "10.43.0.0/16" {
		t.Error("a default is no value")
	}
	second.config["server"] = []string{served.URL}
	if _, err := second.serverToken(); err != nil {
		t.Errorf("the kept token is not taken: %v", err)
	}
}

func TestTokensOfAServer(t *testing.T) {
	server, _ := aServer(t, nil)
	texts := map[string]string{}
	for _, name := range []string{"token", "node-token", "agent-token"} {
		text, err := os.ReadFile(data("server", name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = strings.TrimSpace(string(text))
	}
	found := longToken.FindStringSubmatch(texts["token"])
	if found == nil || found[2]+found[3] != "serverword" || texts["node-token"] != texts["token"] {
		t.Errorf("got %v", texts)
	}
	put(t, filepath.Join(etcdFolder(), "member/wal/0"), "")
	server.config["token"] = []string{"another"}
	if _, err := server.serverToken(); err == nil || !strings.Contains(err.Error(), "encrypted with different token") {
		t.Errorf("got %v", err)
	}
	places(t)
	server.config = config{"server": {"https://cp1:9345"}}
	if _, err := server.serverToken(); err == nil || !strings.Contains(err.Error(), "RKE2_TOKEN is required to join") {
		t.Errorf("got %v", err)
	}
}

func TestCertificates(t *testing.T) {
	server, _ := aServer(t, nil)
	path := data("server/tls/serving-kube-apiserver.crt")
	first, err := readCertificate(path)
	if err != nil || first.VerifyHostname("vip.example") != nil || first.VerifyHostname("10.43.0.1") != nil {
		t.Fatalf("got %v, %v", first, err)
	}
	renew := func() string {
		for _, one := range server.leaves() {
			if err := one.make(); err != nil {
				t.Fatal(err)
			}
		}
		text, _ := os.ReadFile(path)
		return string(text)
	}
	if old := renew(); old != renew() {
		t.Error("a good certificate is made anew")
	}
	server.config["tls-san"] = []string{"other.example"}
	if later, err := readCertificate(path); renew() == "" || err != nil || later.VerifyHostname("other.example") == nil {
		t.Errorf("got %v, %v", later, err)
	}
	texts, err := bundle()
	if err != nil {
		t.Fatal(err)
	}
	places(t)
	if err := unbundle(texts); err != nil {
		t.Fatal(err)
	}
	if again, _ := bundle(); string(again) != string(texts) {
		t.Error("the bundle of a joined server is another one")
	}
	if err := unbundle([]byte("{}")); err == nil {
		t.Error("an empty bundle is taken")
	}
}

// etcdFake answers as etcd's gateway does.
func etcdFake(t *testing.T, answers map[string]string) string {
	t.Helper()
	handler := http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		answer, known := answers[strings.TrimPrefix(request.URL.Path, "/v3/")]
		if !known {
			response.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(response, `{"code": 9, "message": "etcdserver: too many learner members in cluster"}`)
		}
		fmt.Fprint(response, answer)
	})
	return serve(t, handler, "server/tls/etcd/server-client").URL
}

func TestMembersOfEtcd(t *testing.T) {
	server, _ := aServer(t, nil)
	list := `{"members": [{"ID": "18446744073709551615", "name": "cp0-1", "peerURLs": ["https://127.0.0.9:2380"]}]}`
	answers := map[string]string{"cluster/member/list": list}
	address := etcdFake(t, answers)
	if _, err := server.tryJoin("cp1-1", []string{address}); err == nil || !strings.Contains(err.Error(), "too many learner") {
		t.Errorf("got %v", err)
	}
	answers["cluster/member/add"] = "{}"
	cluster, err := server.tryJoin("cp1-1", []string{"https://127.0.0.1:1", address})
	if err != nil || cluster != "cp1-1=https://127.0.0.1:2380,cp0-1=https://127.0.0.9:2380" {
		t.Errorf("got %s, %v", cluster, err)
	}
	answers["cluster/member/list"] = strings.ReplaceAll(list, "127.0.0.9", "127.0.0.1")
	if _, err := server.tryJoin("cp1-1", []string{address}); err == nil || !strings.Contains(err.Error(), "unhealthy cluster") {
		t.Errorf("a stale member with our address: %v", err)
	}
	answers["maintenance/snapshot"] = `{"result": {"remaining_bytes": "3", "blob": "YWI="}}{"result": {"blob": "Yw=="}}`
	there, _ := etcdAt(address)
	path := filepath.Join(t.TempDir(), "snapshot")
	if err := there.save(path); err != nil {
		t.Fatal(err)
	}
	if text, _ := os.ReadFile(path); string(text) != "abc" {
		t.Errorf("got %s", text)
	}
	answers["maintenance/snapshot"] = `{"error": {"message": "no leader"}}`
	if err := there.save(path); err == nil || err.Error() != "no leader" {
		t.Errorf("got %v", err)
	}
}

func TestWhatServersShareIsInEtcd(t *testing.T) {
	server, _ := aServer(t, nil)
	texts, _ := bundle()
	sealed, _ := sealer("word")
	value := sealed.Seal(make([]byte, sealed.NonceSize()), make([]byte, sealed.NonceSize()), texts, nil)
	encode := base64.StdEncoding.EncodeToString
	answers := map[string]string{"kv/range": fmt.Sprintf(`{"kvs": [{"key": %q, "value": %q}]}`,
		encode([]byte(bootstrapKey("word"))), encode(value))}
	there, _ := etcdAt(etcdFake(t, answers))
	places(t)
	if err := readBootstrap(there, "word"); err != nil {
		t.Fatal(err)
	}
	if again, _ := bundle(); string(again) != string(texts) {
		t.Error("other files come out of etcd")
	}
	if err := readBootstrap(there, "other"); err == nil || !strings.Contains(err.Error(), "encrypted with different token") {
		t.Errorf("got %v", err)
	}
	answers["kv/range"] = "{}"
	if err := readBootstrap(there, "word"); err == nil || !strings.Contains(err.Error(), "no bootstrap data") {
		t.Errorf("got %v", err)
	}
	put(t, resetFlag(), "")
	if err := server.reset(context.Background()); err == nil || !strings.Contains(err.Error(), "was reset") {
		t.Errorf("a second reset before a start: %v", err)
	}
}

func TestNodesOfTheCluster(t *testing.T) {
	server, _ := aServer(t, nil)
	kept := fakeAPI(t, server)
	kept["/api/v1/nodes"] = `{"items": [{"metadata": {"name": "cp1"}}, {"metadata": {"name": "gone", "deletionTimestamp": "now",
		"finalizers": ["wrangler.cattle.io/node", "other"]}}]}`
	kept[passwordSecret("gone")] = "{}"
	if err := server.lookAtNodes(); err != nil {
		t.Fatal(err)
	}
	if own := kept["PATCH /api/v1/nodes/cp1"]; !strings.Contains(own, etcdFinalizer) || !strings.Contains(own, `control-plane":"true"`) {
		t.Errorf("got %s", own)
	}
	if left := kept["PATCH /api/v1/nodes/gone"]; left != `{"metadata":{"finalizers":["other"]}}` || kept[passwordSecret("gone")] != "" {
		t.Errorf("got %s", left)
	}
}

func TestFilesOfANode(t *testing.T) {
	server, _ := aServer(t, config{
		"kube-apiserver-arg": {"profiling=true"}, "kubelet-arg": {"fail-cgroupv1=false"}, "node-taint": {"a=b:NoSchedule"},
		"disable-scheduler": {"true"},
	})
	server.release.Images = map[string]string{"kubernetes": "rancher/k:1"}
	for _, write := range []func() error{server.writeControlPlane, server.writeProxy, server.writeKubelet} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	text, _ := os.ReadFile(data("agent/pod-manifests/kube-apiserver.yaml"))
	document, err := parseYAML(string(text))
	if err != nil {
		t.Fatal(err)
	}
	pod := document.(map[string]any)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
	if pod["image"] != "rancher/k:1" || !reflect.DeepEqual(pod["command"], []any{"kube-apiserver"}) {
		t.Errorf("got %v", pod)
	}
	if arguments := fmt.Sprint(pod["args"]); !strings.Contains(arguments, "--profiling=true") || strings.Contains(arguments, "--profiling=false") {
		t.Errorf("got %s", arguments)
	}
	if _, err := os.Stat(data("agent/pod-manifests/kube-scheduler.yaml")); err == nil {
		t.Error("a component that is disabled has a pod")
	}
	arguments := strings.Join(server.kubeletArguments(), " ")
	for _, wanted := range []string{"--fail-cgroupv1=false", "--register-with-taints=a=b:NoSchedule", "--hostname-override=cp1"} {
		if !strings.Contains(arguments, wanted) {
			t.Errorf("%s lacks %s", arguments, wanted)
		}
	}
}

func TestManifestsOfTheRelease(t *testing.T) {
	server, _ := aServer(t, nil)
	if err := server.writeManifests(); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"rke2-canal.yaml", "rke2-coredns.yaml"} {
		if text, err := os.ReadFile(data("server/manifests", name)); err != nil || strings.Contains(string(text), "{{") {
			t.Errorf("%s: %v: %s", name, err, text)
		}
	}
	places(t)
	server.config["cni"], server.config["disable"] = []string{"none"}, []string{"rke2-coredns"}
	if err := server.writeManifests(); err != nil {
		t.Fatal(err)
	}
	if found, _ := os.ReadDir(data("server/manifests")); len(found) != 0 {
		t.Errorf("got %v", found)
	}
	server.config["cni"] = []string{"cilium"}
	if err := server.writeManifests(); err == nil {
		t.Error("a network that is not there is taken")
	}
}

func TestBalancerGoesOnToTheNextServer(t *testing.T) {
	served := httptest.NewServer(http.HandlerFunc(func(response http.ResponseWriter, _ *http.Request) { fmt.Fprint(response, "here") }))
	defer served.Close()
	balancer := &balancer{port: "1", servers: []string{"127.0.0.1"}}
	balancer.set([]string{"127.0.0.1", strings.TrimPrefix(served.URL, "http://")})
	balancer.set(nil)
	probe, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := probe.Addr().String()
	_ = probe.Close()
	if err := balancer.listen(address); err != nil {
		t.Fatal(err)
	}
	if text, err := newClient("http://"+address, token{}, nil).do("GET", "/", nil, ""); err != nil || string(text) != "here" {
		t.Errorf("got %s, %v", text, err)
	}
}

func TestReadyIsSaid(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	agent := newNode(release{}, config{}, false)
	if os.Getenv("NOTIFY_SOCKET") != "" {
		t.Error("the programs that it runs are told")
	}
	agent.notifyReady()
	text := make([]byte, 100)
	_ = socket.SetReadDeadline(time.Now().Add(10 * time.Second))
	if count, err := socket.Read(text); err != nil || string(text[:count]) != "READY=1\n" {
		t.Errorf("got %s, %v", text[:count], err)
	}
}

func TestChildrenEndWithUs(t *testing.T) {
	places(t)
	agent := newNode(release{}, config{}, false)
	ctx, stop := context.WithCancel(context.Background())
	log := data("agent/logs/child.log")
	if err := agent.child(ctx, log, again, "/bin/sh", "-c", "echo started; sleep 600"); err != nil {
		t.Fatal(err)
	}
	for text := []byte{}; len(text) == 0; text, _ = os.ReadFile(log) {
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	agent.children.Wait()
}

func TestFaults(t *testing.T) {
	places(t)
	t.Setenv("RKE2_LAB_FAULT", "exit")
	if err := newNode(release{}, config{}, false).run(context.Background()); err == nil {
		t.Error("it goes on")
	}
	t.Setenv("RKE2_LAB_FAULT", "")
	for said, settings := range map[string]config{
		"--token is required":       {},
		"--server is required":      {"token": {"word"}},
		"failed to get runtime":     {"token": {"word"}, "server": {"https://127.0.0.1:1"}, "private-registry": {"x"}},
		"there is no etcd on this ": {"cluster-reset": {"true"}},
	} {
		err := newNode(release{Images: map[string]string{"runtime": "127.0.0.1:1/x:1"}}, settings, settings["cluster-reset"] != nil).run(context.Background())
		if err == nil || !strings.Contains(err.Error(), said) {
			t.Errorf("got %v instead of %s", err, said)
		}
	}
}
