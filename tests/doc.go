// Package tests holds the black-box and whole-system tests of geocache: they
// build the binary once, start it on loopback ports and judge it from outside,
// as a client, an operator or a sibling would.
//
// It owns the test harness (harness_test.go), the runner of the conformance
// scripts that lie beside the command groups, and the test of the layering
// rules. It must not reach into a running server by any other way than its
// ports, its signals, its log and its data directory; of the product it imports
// only resp, for decoding replies. The deterministic simulation, which does
// drive packages from inside, is tests/sim.
//
// The environment variables that change how much is run:
//
//	TEST_SERVER   path of a server to test instead of building ours; for
//	              trying the tests themselves on Redis
//	TEST_PORTS    range of ports to use, "21000-31999" by default
//	TEST_SECONDS  seconds that each of the crash, region and linearizability
//	              tests spends on load instead of its short default, and the
//	              comparison of random requests with redis-server
//	TEST_REDIS    host:port of a server that the conformance scripts run
//	              against as well; it is flushed
//	TEST_BENCH    set to compare speed with redis-server
package tests
