// A tailnet of its own for the tests: the coordination server that Tailscale tests its clients with, a relay and STUN.
//
//	tailnet ADDRESS
//
// serves them on that address, the coordination server on port 8080, and prints a line once it does. Nodes take the tags
// that they ask for.
package main

import (
	"crypto/tls"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"sync"
	"time"

	"tailscale.com/derp/derpserver"
	"tailscale.com/net/stun"
	"tailscale.com/tailcfg"
	"tailscale.com/tstest/integration/testcontrol"
	"tailscale.com/types/key"
)

func main() {
	address := os.Args[1]
	control := &testcontrol.Server{
		Logf:            log.Printf,
		ExplicitBaseURL: "http://" + address + ":8080",
		MagicDNSDomain:  "tail1234.ts.net",
		TagOwners:       map[string][]string{},
		DERPMap:         relay(address),
	}
	control.HoldMapRequest = (&presence{control: control, polls: map[key.NodePublic]int{}}).poll
	listener, err := net.Listen("tcp", address+":8080")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("ready")
	log.Fatal(http.Serve(listener, control))
}

// presence tells of each node whether it is connected, which Tailscale's server does and that for tests doesn't.
type presence struct {
	control *testcontrol.Server
	mu      sync.Mutex
	polls   map[key.NodePublic]int
}

func (p *presence) poll(request *tailcfg.MapRequest) func() {
	if !request.Stream {
		return nil
	}
	node := request.NodeKey
	p.count(node, 1)
	// A node tells its endpoints and keys as it connects: what is written over them must not be older.
	time.AfterFunc(time.Second, func() { p.tell(node) })
	return func() {
		p.count(node, -1)
		p.tell(node)
	}
}

func (p *presence) count(node key.NodePublic, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.polls[node] += by
}

func (p *presence) tell(node key.NodePublic) {
	p.mu.Lock()
	defer p.mu.Unlock()
	online := p.polls[node] > 0
	known := p.control.Node(node)
	if known == nil || (known.Online != nil && *known.Online == online) {
		return
	}
	known.Online = &online
	p.control.UpdateNode(known)
}

func relay(address string) *tailcfg.DERPMap {
	derp := derpserver.New(key.NewNode(), log.Printf)
	server := httptest.NewUnstartedServer(derpserver.Handler(derp))
	server.Listener.Close()
	listener, err := net.Listen("tcp", address+":0")
	if err != nil {
		log.Fatal(err)
	}
	server.Listener = listener
	server.Config.TLSNextProto = map[string]func(*http.Server, *tls.Conn, http.Handler){}
	server.StartTLS()
	node := &tailcfg.DERPNode{
		Name: "1a", RegionID: 1, HostName: address, IPv4: address, IPv6: "none", InsecureForTests: true,
		DERPPort: listener.Addr().(*net.TCPAddr).Port, STUNPort: answerSTUN(address), STUNTestIP: address,
	}
	region := &tailcfg.DERPRegion{RegionID: 1, RegionCode: "test", Nodes: []*tailcfg.DERPNode{node}}
	return &tailcfg.DERPMap{Regions: map[int]*tailcfg.DERPRegion{1: region}}
}

func answerSTUN(address string) int {
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(address)})
	if err != nil {
		log.Fatal(err)
	}
	go func() {
		var packet [1500]byte
		for {
			n, from, err := socket.ReadFromUDPAddrPort(packet[:])
			if err != nil {
				continue
			}
			if id, err := stun.ParseBindingRequest(packet[:n]); err == nil {
				to := netip.AddrPortFrom(from.Addr().Unmap(), from.Port())
				socket.WriteToUDPAddrPort(stun.Response(id, to), from)
			}
		}
	}()
	return socket.LocalAddr().(*net.UDPAddr).Port
}
