// Package sim runs whole nodes (node, engine, replicate, persist) as a
// deterministic simulation: one goroutine, one seed, virtual time.
//
// It owns the scheduler (world_test.go), the simulated regions with their
// disks and clocks (region_test.go, disk_test.go), the links between them
// (links_test.go), the clients and what they ask for (client_test.go,
// load_test.go, collections_test.go), the model of what must come out (model_test.go) and the
// scenarios (scenario_test.go). A scenario breaks things for a while, then
// heals everything and demands that all regions become equal, idle and right.
//
// The checkers stand outside the product: they look through sessions, and at
// key states only to learn the stamps that a region gave to a client's writes.
// What these add up to is computed here by the merge rules, not by the engine.
//
// Over persist.MemStore a seed replays event for event; over Pebble on its
// crashable file system the same scenarios must pass, but Pebble's own
// goroutines make runs differ.
//
// Environment:
//
//	SIM_SEED   run this seed only, in every kind of scenario, and print its events
//	SIM_SEEDS  how many seeds of each kind to run instead of the default
package sim
