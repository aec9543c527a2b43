// What a Go programmer gets: net/http's HTTP/2 over TLS on one connection. Options and output are those of h2bench.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sort"
	"sync"
	"time"
)

func main() {
	requests := flag.Int("n", 1000, "requests")
	callers := flag.Int("m", 1, "goroutines that send them; keep it at or under the server's limit of streams")
	caFile := flag.String("cacert", "", "PEM file of the authority to trust")
	latency := flag.Bool("latency", false, "print percentiles")
	flag.Parse()
	if flag.NArg() != 1 {
		flag.Usage()
		os.Exit(2)
	}
	if err := run(flag.Arg(0), *requests, *callers, *caFile, *latency); err != nil {
		fmt.Fprintln(os.Stderr, "gobench:", err)
		os.Exit(1)
	}
}

type tally struct {
	good      int
	bytes     int64
	latencies []time.Duration
	err       error
}

func run(url string, requests, callers int, caFile string, latency bool) error {
	config := &tls.Config{InsecureSkipVerify: caFile == ""}
	if caFile != "" {
		pem, err := os.ReadFile(caFile)
		if err != nil {
			return err
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return fmt.Errorf("no certificate in %s", caFile)
		}
	}
	var connections int
	var lock sync.Mutex
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	client := &http.Client{Transport: &http.Transport{
		TLSClientConfig:    config,
		ForceAttemptHTTP2:  true,
		DisableCompression: true,
		DialContext: func(context context.Context, network, address string) (net.Conn, error) {
			lock.Lock()
			connections++
			lock.Unlock()
			return dialer.DialContext(context, network, address)
		},
	}}

	// One request alone opens the connection that all others then share.
	first := call(client, url, 1, latency)
	if first.err != nil {
		return first.err
	}
	results := make(chan tally, callers)
	start := time.Now()
	for index := 0; index < callers; index++ {
		share := (requests - 1) / callers
		if index < (requests-1)%callers {
			share++
		}
		go func() { results <- call(client, url, share, latency) }()
	}
	total := first
	for index := 0; index < callers; index++ {
		result := <-results
		if result.err != nil {
			return result.err
		}
		total.good += result.good
		total.bytes += result.bytes
		total.latencies = append(total.latencies, result.latencies...)
	}
	seconds := time.Since(start).Seconds()
	fmt.Printf("ok=%d of=%d bytes=%d seconds=%g connections=%d", total.good, requests, total.bytes, seconds, connections)
	if latency {
		sort.Slice(total.latencies, func(a, b int) bool { return total.latencies[a] < total.latencies[b] })
		for _, percentile := range []int{50, 90, 99, 100} {
			index := len(total.latencies) * percentile / 100
			if index == len(total.latencies) {
				index--
			}
			name := fmt.Sprintf("p%d", percentile)
			if percentile == 100 {
				name = "max"
			}
			fmt.Printf(" %s_us=%g", name, float64(total.latencies[index].Nanoseconds())/1e3)
		}
	}
	fmt.Println()
	if total.good != requests || connections != 1 {
		return fmt.Errorf("%d of %d answers were 200 over HTTP/2, on %d connections", total.good, requests, connections)
	}
	return nil
}

func call(client *http.Client, url string, count int, latency bool) (result tally) {
	for ; count > 0; count-- {
		start := time.Now()
		response, err := client.Get(url)
		if err != nil {
			result.err = err
			return
		}
		bytes, err := io.Copy(io.Discard, response.Body)
		response.Body.Close()
		if err != nil {
			result.err = err
			return
		}
		result.bytes += bytes
		if response.StatusCode == 200 && response.ProtoMajor == 2 {
			result.good++
		}
		if latency {
			result.latencies = append(result.latencies, time.Since(start))
		}
	}
	return
}
