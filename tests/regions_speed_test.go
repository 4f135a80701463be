package tests

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// TestRegionsLag measures how long a write takes to be seen in a sibling on the
// same machine, at rest and under load. Times depend on the machine, so only
// what is far off fails.
func TestRegionsLag(t *testing.T) {
	d := startRegions(t, 2)
	for _, load := range []int{0, 20_000} {
		t.Run(fmt.Sprintf("beside %d writes a second", load), func(t *testing.T) {
			stop, done := make(chan struct{}), make(chan int, 1)
			go func() { done <- steadyLoad(d.regions[0].Client(), load, stop) }()
			began := time.Now()
			lags := d.measureLags(budget(t, 2*time.Second))
			took := time.Since(began)
			close(stop)
			written := <-done
			t.Logf("%d samples: p50 %v, p99 %v, worst %v; %.0f writes a second beside", len(lags),
				lags[len(lags)/2], lags[len(lags)*99/100], lags[len(lags)-1], float64(written)/took.Seconds())
			if p50 := lags[len(lags)/2]; p50 > time.Second {
				t.Errorf("half of the writes took more than %v to the sibling", p50)
			}
			d.awaitEqualDigests()
		})
	}
}

// steadyLoad writes so many keys a second, in pipelines, until stop is closed.
func steadyLoad(c *redis.Client, perSecond int, stop chan struct{}) (written int) {
	if perSecond == 0 {
		return 0
	}
	const every = 5 * time.Millisecond
	ctx := context.Background()
	burst := perSecond / int(time.Second/every)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return written
		case <-tick.C:
		}
		_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i := range burst {
				p.Set(ctx, "load:"+strconv.Itoa((written+i)%50_000), "0123456789012345678901234567890123456789", 0)
			}
			return nil
		})
		if err == nil {
			written += burst
		}
	}
}

// measureLags writes in the first region and looks in the second until it is
// there, again and again. The answer is in ascending order.
func (d *deployment) measureLags(during time.Duration) []time.Duration {
	d.t.Helper()
	from, to := d.regions[0].Dial(), d.regions[1].Dial()
	var lags []time.Duration
	for n, end := 0, time.Now().Add(during); time.Now().Before(end); n++ {
		value := strconv.FormatInt(time.Now().UnixNano(), 36) + strconv.Itoa(n)
		began := time.Now()
		from.Expect("+OK", "SET", "lag:probe", value)
		for to.Do("GET", "lag:probe").Text != value {
			if time.Since(began) > convergeWait {
				d.t.Fatal("a write does not arrive")
			}
		}
		lags = append(lags, time.Since(began))
		time.Sleep(5 * time.Millisecond)
	}
	slices.Sort(lags)
	return lags
}

// TestRegionsThroughput prints what siblings cost a busy region.
func TestRegionsThroughput(t *testing.T) {
	alone := 0.0
	for n := 1; n <= 3; n++ {
		t.Run(strconv.Itoa(n)+" regions", func(t *testing.T) {
			var d *deployment
			if n == 1 {
				d = prepareRegions(t, 1)
				d.regions[0].Start()
			} else {
				d = startRegions(t, n)
			}
			rate := pipelinedRate(t, d.regions[0], budget(t, 2*time.Second))
			if n == 1 {
				alone = rate
			}
			took := d.awaitEqualDigests()
			t.Logf("%.0f SETs a second, alone %.0f; equal %v later", rate, alone, took)
		})
	}
}

// pipelinedRate is SETs a second over 8 connections in pipelines of 16.
func pipelinedRate(t *testing.T, s *Server, during time.Duration) float64 {
	t.Helper()
	ctx := context.Background()
	var wg sync.WaitGroup
	var mu sync.Mutex
	total, end, began := 0, time.Now().Add(during), time.Now()
	for w := range 8 {
		c := s.Client()
		wg.Go(func() {
			n := 0
			for time.Now().Before(end) {
				_, err := c.Pipelined(ctx, func(p redis.Pipeliner) error {
					for range 16 {
						p.Set(ctx, "rate:"+strconv.Itoa(w)+":"+strconv.Itoa(n%10_000), "0123456789012345678901234567890123456789012345678901234567890123", 0)
						n++
					}
					return nil
				})
				if err != nil {
					break
				}
			}
			mu.Lock()
			total += n
			mu.Unlock()
		})
	}
	wg.Wait()
	return float64(total) / time.Since(began).Seconds()
}
