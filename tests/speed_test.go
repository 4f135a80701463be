package tests

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// TestSpeed runs redis-benchmark against geocache and a redis-server beside it
// and prints ratios: absolute numbers mean nothing on a shared machine. The
// servers take turns, so that what else the machine does meets both, and the
// best of the runs counts.
func TestSpeed(t *testing.T) {
	if os.Getenv("TEST_BENCH") == "" {
		t.Skip("TEST_BENCH is not set")
	}
	tool, err := exec.LookPath("redis-benchmark")
	if err != nil {
		t.Skip("SKIP: redis-benchmark is not installed")
	}
	setups := []struct {
		name       string
		ours, real []string
	}{
		{"memory only", []string{"--appendonly", "no", "--save", ""}, []string{"--appendonly", "no", "--save", ""}},
		{"everysec", []string{"--appendonly", "yes"}, []string{"--appendonly", "yes", "--save", ""}},
	}
	for _, setup := range setups {
		ours := startServer(t, setup.ours...)
		real := redisServer(t, setup.real...)
		real.Start()
		for _, pipeline := range []int{1, 16, 100} {
			us, them := map[string]float64{}, map[string]float64{}
			for range 3 {
				fastest(us, measure(t, tool, ours, pipeline))
				fastest(them, measure(t, tool, real, pipeline))
			}
			var names []string
			for name := range us {
				names = append(names, name)
			}
			slices.Sort(names)
			for _, name := range names {
				fmt.Printf("%-12s pipeline %-3d %-8s %9.0f/s, Redis %9.0f/s, ratio %.2f\n",
					setup.name, pipeline, name, us[name], them[name], us[name]/them[name])
			}
		}
		ours.Stop()
		real.Stop()
	}
}

func fastest(best, run map[string]float64) {
	for name, rate := range run {
		best[name] = max(best[name], rate)
	}
}

// measure returns requests per second by the name of the test.
func measure(t *testing.T, tool string, s *Server, pipeline int) map[string]float64 {
	t.Helper()
	requests := 100_000
	if pipeline > 1 {
		requests = 1_000_000
	}
	out, err := exec.Command(tool, "-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "--csv", "-t", "set,get,incr",
		"-n", strconv.Itoa(requests), "-r", "100000", "-d", "64", "-P", strconv.Itoa(pipeline)).Output()
	if err != nil {
		t.Fatalf("redis-benchmark: %v\n%s", err, out)
	}
	rows, err := csv.NewReader(strings.NewReader(string(out))).ReadAll()
	if err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	rates := map[string]float64{}
	for _, row := range rows {
		if rate, err := strconv.ParseFloat(row[1], 64); err == nil {
			rates[row[0]] = rate
		}
	}
	return rates
}
