// pion/turn, versions 4 and 5, as clients of a TURN server, and version 5 as a
// server.
//
//	pion client VERSION TRANSPORT SERVER USER PASSWORD CA binding
//	pion client ...                                    udp PEER [PEER ...]
//	pion client ...                                    tcp PEER [PEER ...]
//	pion client ...                                    accept COUNT
//	pion server ADDRESS:PORT USER PASSWORD FIRST-LAST [CERTIFICATE KEY TLSPORT]
//
// udp sends to peers that echo; tcp does, on a connection to each of them, all
// at a time; accept echoes to COUNT connections, until its input ends.  Each
// prints what it has got, a line for each step.

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pion/logging"
	turn4 "github.com/pion/turn/v4"
	turn5 "github.com/pion/turn/v5"
)

const (
	timeout  = 30 * time.Second
	messages = 50
	large    = 300000
)

// what both versions have

type client interface {
	Listen() error
	SendBindingRequest() (net.Addr, error)
	Allocate() (net.PacketConn, error)
	CreatePermission(...net.Addr) error
	Close()
}

type tcpAllocation interface {
	Dial(network, address string) (net.Conn, error)
	Accept() (net.Conn, error)
	Addr() net.Addr
	Close() error
}

type allocator func() (tcpAllocation, error)

func main() {
	var err error

	switch {
	case len(os.Args) >= 9 && os.Args[1] == "client":
		err = runClient(os.Args[2:])
	case len(os.Args) >= 6 && os.Args[1] == "server":
		err = runServer(os.Args[2:])
	default:
		err = errors.New("usage: see main.go")
	}

	if err != nil {
		fmt.Println("error:", err)
		os.Exit(1)
	}
}

func runClient(args []string) error {
	version, transport, server, user, password, ca := args[0], args[1],
		args[2], args[3], args[4], args[5]

	conn, err := connect(transport, server, ca)
	if err != nil {
		return err
	}

	defer conn.Close()

	var c client
	var allocate allocator

	switch version {
	case "4":
		c4, e := turn4.NewClient(&turn4.ClientConfig{
			STUNServerAddr: server, TURNServerAddr: server, Conn: conn,
			Username: user, Password: password,
			LoggerFactory: logging.NewDefaultLoggerFactory(),
		})
		allocate = func() (tcpAllocation, error) { return c4.AllocateTCP() }
		c, err = c4, e

	case "5":
		c5, e := turn5.NewClient(&turn5.ClientConfig{
			STUNServerAddr: server, TURNServerAddr: server, Conn: conn,
			Username: user, Password: password,
			LoggerFactory: logging.NewDefaultLoggerFactory(),
		})
		allocate = func() (tcpAllocation, error) { return c5.AllocateTCP() }
		c, err = c5, e

	default:
		err = errors.New("no such version")
	}

	if err == nil {
		err = c.Listen()
	}
	if err != nil {
		return err
	}

	defer c.Close()

	switch args[6] {
	case "binding":
		return binding(c)
	case "udp":
		return udp(c, args[7:])
	case "tcp":
		return tcp(c, allocate, args[7:])
	case "accept":
		return accept(c, allocate, args[7])
	}

	return errors.New("no such command")
}

func connect(transport, server, ca string) (net.PacketConn, error) {
	var conn net.Conn
	var err error

	switch transport {
	case "udp":
		return net.ListenPacket("udp4", "127.0.0.1:0")

	case "tcp":
		conn, err = net.DialTimeout("tcp", server, timeout)

	case "tls":
		pem, e := os.ReadFile(ca)
		if e != nil {
			return nil, e
		}

		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, errors.New("no certificate in " + ca)
		}

		conn, err = tls.Dial("tcp", server, &tls.Config{
			RootCAs: pool, ServerName: "localhost",
		})

	default:
		err = errors.New("no such transport")
	}

	if err != nil {
		return nil, err
	}

	return turn4.NewSTUNConn(conn), nil
}

func binding(c client) error {
	addr, err := c.SendBindingRequest()
	if err != nil {
		return err
	}

	fmt.Println("mapped", addr)
	return nil
}

func udp(c client, peers []string) error {
	relay, err := c.Allocate()
	if err != nil {
		return err
	}

	fmt.Println("relayed", relay.LocalAddr())

	for _, peer := range peers {
		addr, err := net.ResolveUDPAddr("udp4", peer)
		if err == nil {
			err = c.CreatePermission(addr)
		}
		if err != nil {
			return err
		}

		got := 0

		// datagrams may be lost

		for n := 0; n < 4*messages && got < messages; n++ {
			text := []byte(fmt.Sprintf("%d SEE THIS", n))

			if _, err = relay.WriteTo(text, addr); err != nil {
				return err
			}

			buf := make([]byte, 1600)
			relay.SetReadDeadline(time.Now().Add(time.Second))
			size, from, err := relay.ReadFrom(buf)

			if err == nil && bytes.Equal(buf[:size], text) &&
				from.String() == addr.String() {
				got++
			}
		}

		fmt.Println("echoes", got)
	}

	return relay.Close()
}

func tcp(c client, allocate allocator, peers []string) error {
	a, err := allocate()
	if err != nil {
		return err
	}

	fmt.Println("relayed", a.Addr())

	data := make([]byte, large)
	if _, err = rand.Read(data); err != nil {
		return err
	}

	var wait sync.WaitGroup
	results := make([]string, len(peers))

	for n, peer := range peers {
		addr, err := net.ResolveTCPAddr("tcp4", peer)
		if err == nil {
			err = c.CreatePermission(addr)
		}
		if err != nil {
			return err
		}

		conn, err := a.Dial("tcp", peer)
		if err != nil {
			results[n] = err.Error()
			continue
		}

		wait.Add(1)

		go func(n int) {
			defer wait.Done()
			defer conn.Close()

			conn.SetDeadline(time.Now().Add(timeout))
			go conn.Write(data)

			got := make([]byte, len(data))
			if _, err := io.ReadFull(conn, got); err != nil {
				results[n] = err.Error()
			} else if !bytes.Equal(got, data) {
				results[n] = "other bytes"
			} else {
				results[n] = strconv.Itoa(len(got))
			}
		}(n)
	}

	wait.Wait()

	for _, result := range results {
		fmt.Println("bytes", result)
	}

	return a.Close()
}

func accept(c client, allocate allocator, count string) error {
	a, err := allocate()
	if err != nil {
		return err
	}

	if err = c.CreatePermission(&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}); err != nil {
		return err
	}

	fmt.Println("relayed", a.Addr())

	number, err := strconv.Atoi(count)
	if err != nil {
		return err
	}

	var wait sync.WaitGroup

	for n := 0; n < number; n++ {
		conn, err := a.Accept()
		if err != nil {
			return err
		}

		fmt.Println("accepted")
		wait.Add(1)

		go func() {
			defer wait.Done()
			defer conn.Close()

			conn.SetDeadline(time.Now().Add(timeout))
			io.Copy(conn, conn)
		}()
	}

	wait.Wait()
	io.Copy(io.Discard, os.Stdin)

	return a.Close()
}

func runServer(args []string) error {
	address, user, password := args[0], args[1], args[2]
	first, last, _ := strings.Cut(args[3], "-")
	min, err := strconv.ParseUint(first, 10, 16)
	if err != nil {
		return err
	}
	max, err := strconv.ParseUint(last, 10, 16)
	if err != nil {
		return err
	}

	ports := &turn5.RelayAddressGeneratorPortRange{
		RelayAddress: net.IPv4(127, 0, 0, 1), Address: "127.0.0.1",
		MinPort: uint16(min), MaxPort: uint16(max), MaxRetries: 100,
	}

	conn, err := net.ListenPacket("udp4", address)
	if err != nil {
		return err
	}

	listener, err := net.Listen("tcp4", address)
	if err != nil {
		return err
	}

	listeners := []turn5.ListenerConfig{
		{Listener: listener, RelayAddressGenerator: ports},
	}

	if len(args) == 7 {
		cert, err := tls.LoadX509KeyPair(args[4], args[5])
		if err != nil {
			return err
		}

		secure, err := tls.Listen("tcp4", args[6], &tls.Config{
			Certificates: []tls.Certificate{cert},
		})
		if err != nil {
			return err
		}

		listeners = append(listeners, turn5.ListenerConfig{
			Listener: secure, RelayAddressGenerator: ports,
		})
	}

	_, err = turn5.NewServer(turn5.ServerConfig{
		Realm: "example.org",
		AuthHandler: func(a *turn5.RequestAttributes) (string, []byte, bool) {
			return a.Username, turn5.GenerateAuthKey(a.Username, a.Realm,
				password), a.Username == user
		},
		PacketConnConfigs: []turn5.PacketConnConfig{
			{PacketConn: conn, RelayAddressGenerator: ports},
		},
		ListenerConfigs: listeners,
		LoggerFactory:   logging.NewDefaultLoggerFactory(),
	})
	if err != nil {
		return err
	}

	fmt.Println("ready")
	select {}
}
