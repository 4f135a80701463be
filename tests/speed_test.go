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

// defaultList is what redis-benchmark runs when it is not told what to run, and
// how the line of each begins in its output.
var defaultList = []struct{ test, line string }{
	{"ping_inline", "PING_INLINE"}, {"ping_mbulk", "PING_MBULK"},
	{"set", "SET"}, {"get", "GET"}, {"incr", "INCR"},
	{"lpush", "LPUSH"}, {"rpush", "RPUSH"}, {"lpop", "LPOP"}, {"rpop", "RPOP"},
	{"sadd", "SADD"}, {"hset", "HSET"}, {"spop", "SPOP"}, {"zadd", "ZADD"}, {"zpopmin", "ZPOPMIN"},
	{"lrange_100", "LRANGE_100 "}, {"lrange_300", "LRANGE_300 "}, {"lrange_500", "LRANGE_500 "}, {"lrange_600", "LRANGE_600 "},
	{"mset", "MSET"},
}

var speedColumns = []any{"test", "pipeline", "Redis/s", "geocache/s"}

// enough is the ratio from which on a test counts as not slower than Redis:
// between runs of the same binary there is that much noise.
const enough = 0.97

// TestSpeed runs redis-benchmark against geocache and a redis-server beside it
// and prints ratios: absolute numbers mean nothing on a shared machine. The two
// take turns, so that what else the machine does meets both, and the median of
// the ratios counts.
func TestSpeed(t *testing.T) {
	tool, memory := benchTool(t), inMemory()
	var slow []string
	t.Run("default list", func(t *testing.T) {
		d := startDuel(t, tool, memory, memory, speedColumns...)
		for _, c := range defaultList {
			if d.compare(t, c.test, c.line, 7, "-P", "16") < enough {
				slow = append(slow, c.test)
			}
		}
		for _, c := range defaultList {
			d.compare(t, c.test, c.line, 3, "-P", "1")
		}
	})
	random := []string{"-r", "100000", "-d", "64"}
	for name, setup := range map[string][2][]string{
		"memory only": {memory, memory},
		"everysec":    {{"--appendonly", "yes"}, {"--appendonly", "yes", "--save", ""}},
	} {
		t.Run(name+", 100,000 keys of 64 bytes", func(t *testing.T) {
			d := startDuel(t, tool, setup[0], setup[1], speedColumns...)
			for _, pipeline := range []string{"1", "16", "100"} {
				for _, c := range defaultList[2:5] {
					d.compare(t, c.test, c.line, 3, append([]string{"-P", pipeline}, random...)...)
				}
			}
		})
	}
	if len(slow) > 0 {
		t.Errorf("slower than Redis with a pipeline of 16: %s", strings.Join(slow, ", "))
	}
}

// benchTool is redis-benchmark, where benchmarks are asked for and it is there.
func benchTool(t *testing.T) string {
	if os.Getenv("TEST_BENCH") == "" {
		t.Skip("TEST_BENCH is not set")
	}
	tool, err := exec.LookPath("redis-benchmark")
	if err != nil {
		t.Skip("SKIP: redis-benchmark is not installed")
	}
	return tool
}

// duel is a geocache and a redis-server that are measured in turns.
type duel struct {
	tool      string
	ours, its *Server
}

func startDuel(t *testing.T, tool string, ours, its []string, columns ...any) *duel {
	d := &duel{tool: tool, its: redisServer(t, its...), ours: startServer(t, ours...)}
	d.its.Start()
	fmt.Printf("\n%s\n%-12s %9s %12s %12s  ratio\n", append([]any{t.Name()}, columns...)...)
	return d
}

// Of one run: the requests of a trial, and the seconds that a run should take.
const (
	trialRequests = 4_000
	runSeconds    = 0.4
)

// compare prints and returns the median ratio over so many pairs of runs;
// options[:2] are the pipeline. What geocache refuses has the ratio 0.
func (d *duel) compare(t *testing.T, test, line string, pairs int, options ...string) float64 {
	t.Helper()
	options = append(slices.Clone(options), "-t", test)
	trial, err := d.run(d.its, line, trialRequests, options...)
	if err != nil {
		t.Fatal(err)
	}
	n := max(trialRequests, int(trial*runSeconds))
	var ours, its, ratios []float64
	for range pairs {
		them, err := d.run(d.its, line, n, options...)
		if err != nil {
			t.Fatal(err)
		}
		us, err := d.run(d.ours, line, n, options...)
		if err != nil {
			fmt.Printf("%-12s %9s %v\n", test, options[1], err)
			return 0
		}
		ours, its, ratios = append(ours, us), append(its, them), append(ratios, us/them)
	}
	fmt.Printf("%-12s %9s %12.0f %12.0f %6.2f\n", test, options[1], median(its), median(ours), median(ratios))
	return median(ratios)
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}

// run returns the requests per second that the line of a test shows, which the
// last arguments choose.
func (d *duel) run(s *Server, line string, requests int, test ...string) (float64, error) {
	args := append([]string{"-h", "127.0.0.1", "-p", strconv.Itoa(s.Port), "--csv", "-n", strconv.Itoa(requests)}, test...)
	out, err := exec.Command(d.tool, args...).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("redis-benchmark: %.90s", strings.TrimSpace(string(out)))
	}
	// A warning about CONFIG may stand before the table.
	table := string(out[max(0, strings.Index(string(out), `"test"`)):])
	rows, err := csv.NewReader(strings.NewReader(table)).ReadAll()
	if err != nil {
		return 0, fmt.Errorf("%w in %s", err, out)
	}
	for _, row := range rows {
		if len(row) > 1 && strings.HasPrefix(row[0], line) {
			return strconv.ParseFloat(row[1], 64)
		}
	}
	return 0, fmt.Errorf("no line %q in %.300s", line, out)
}
