package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/redis/go-redis/v9"
)

// show plays the scenes, in order. Each returns an error if what it shows is
// not so.
type show struct {
	ctx               context.Context
	out               io.Writer
	started           time.Time
	saoPaulo, toronto *region
}

const (
	montrealLat = "45.5017"
	montrealLon = "-73.5673"
)

func (d *show) printf(format string, args ...any) { _, _ = fmt.Fprintf(d.out, format, args...) }

func (d *show) start() error {
	begin := time.Now()
	err := errors.Join(d.saoPaulo.start(d.ctx, d.toronto), d.toronto.start(d.ctx, d.saoPaulo))
	if err != nil {
		return err
	}
	for _, r := range []*region{d.saoPaulo, d.toronto} {
		d.printf("   %s at %s (%s, %s), process %d\n", r.title, r.addr, r.lat, r.lon, r.cmd.Process.Pid)
	}
	err = until(d.ctx, 20*time.Second, "each region finds the other up", func() (bool, error) {
		a, errA := d.saoPaulo.closest(d.ctx, d.toronto.lat, d.toronto.lon)
		b, errB := d.toronto.closest(d.ctx, d.saoPaulo.lat, d.saoPaulo.lon)
		return a == d.toronto.addr && b == d.saoPaulo.addr, errors.Join(errA, errB)
	})
	if err == nil {
		d.printf("   both answer and see each other after %s\n", since(begin))
	}
	return err
}

func (d *show) count() error {
	const writers, target = 3, 250
	const key = "demo:counter"
	begin := time.Now()
	if err := d.saoPaulo.client.Set(d.ctx, key, 0, 0).Err(); err != nil {
		return err
	}
	var lost atomic.Int64 // attempts that another writer was faster than
	done := make([]int, writers)
	errs := make([]error, writers)
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() { done[i], errs[i] = d.countUp(key, target, &lost) })
	}
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	total := 0
	for _, n := range done {
		total += n
	}
	value, err := d.saoPaulo.client.Get(d.ctx, key).Int()
	if err != nil {
		return err
	}
	d.printf("   writers added %v; the key holds %d; %d attempts met a newer value and were repeated; %s\n",
		done, value, lost.Load(), since(begin))
	if value != target || total != target {
		return fmt.Errorf("%d increments made %d", total, value)
	}
	return nil
}

// countUp adds one at a time until the counter has reached target, and returns
// how many it added.
func (d *show) countUp(key string, target int, lost *atomic.Int64) (added int, err error) {
	client := redis.NewClient(&redis.Options{Addr: d.saoPaulo.addr, MaxRetries: -1})
	defer func() { err = errors.Join(err, client.Close()) }()
	for {
		got, err := client.Do(d.ctx, "gets", key).Slice()
		if err != nil {
			return added, err
		}
		if len(got) != 2 {
			return added, fmt.Errorf("GETS answered %v", got)
		}
		var value int
		if _, err := fmt.Sscan(fmt.Sprint(got[0]), &value); err != nil {
			return added, err
		}
		if value >= target {
			return added, nil
		}
		switch err := client.Do(d.ctx, "cas", key, got[1], value+1).Err(); {
		case errors.Is(err, redis.Nil):
			lost.Add(1)
		case err != nil:
			return added, err
		default:
			added++
		}
	}
}

func (d *show) montreal() error {
	endpoint, err := d.saoPaulo.closest(d.ctx, montrealLat, montrealLon)
	if err != nil {
		return err
	}
	if endpoint != d.toronto.addr {
		return fmt.Errorf("CLOSEST %s %s answered %s", montrealLat, montrealLon, endpoint)
	}
	d.printf("   São Paulo, asked CLOSEST %s %s, answers %s: Toronto\n", montrealLat, montrealLon, endpoint)
	client := redis.NewClient(&redis.Options{Addr: endpoint, MaxRetries: -1})
	defer func() { err = errors.Join(err, client.Close()) }()
	const key, value = "demo:item", "poutine"
	begin := time.Now()
	if err := client.Set(d.ctx, key, value, 0).Err(); err != nil {
		return err
	}
	wrote := since(begin)
	if err := d.arrives(d.saoPaulo, key, value); err != nil {
		return err
	}
	d.printf("   written in Toronto in %s, read in São Paulo %s after the write began\n", wrote, since(begin))
	return nil
}

// arrives waits until a region reads value.
func (d *show) arrives(r *region, key, value string) error {
	return until(d.ctx, 20*time.Second, key+" arrives in "+r.title, func() (bool, error) {
		got, err := r.client.Get(d.ctx, key).Result()
		if errors.Is(err, redis.Nil) {
			err = nil
		}
		return got == value, err
	})
}

func (d *show) kill() error {
	begin := time.Now()
	pid := d.toronto.cmd.Process.Pid
	if err := d.toronto.signal(syscall.SIGKILL); err != nil {
		return err
	}
	err := until(d.ctx, 20*time.Second, "CLOSEST passes Toronto over", func() (bool, error) {
		endpoint, err := d.saoPaulo.closest(d.ctx, montrealLat, montrealLon)
		return endpoint == d.saoPaulo.addr, err
	})
	if err != nil {
		return err
	}
	d.printf("   process %d killed; for Montreal CLOSEST answers %s, São Paulo, after %s\n", pid, d.saoPaulo.addr, since(begin))
	begin = time.Now()
	const writes = 1000
	for i := range writes {
		if err := d.saoPaulo.client.Set(d.ctx, fmt.Sprintf("demo:meanwhile:%d", i), i, 0).Err(); err != nil {
			return err
		}
	}
	if err := d.saoPaulo.client.IncrBy(d.ctx, "demo:counter", 7).Err(); err != nil {
		return err
	}
	d.printf("   %d writes in São Paulo meanwhile, %s; the counter goes on to 257\n", writes, since(begin))
	return nil
}

func (d *show) comeBack() error {
	begin := time.Now()
	if err := d.toronto.start(d.ctx, d.saoPaulo); err != nil {
		return err
	}
	d.printf("   Toronto answers again after %s\n", since(begin))
	if err := d.arrives(d.toronto, "demo:counter", "257"); err != nil {
		return err
	}
	var a, b string
	err := until(d.ctx, 30*time.Second, "both digests are equal", func() (bool, error) {
		var errA, errB error
		a, errA = d.saoPaulo.digest(d.ctx)
		b, errB = d.toronto.digest(d.ctx)
		return a == b && a != "", errors.Join(errA, errB)
	})
	if err != nil {
		return fmt.Errorf("%w (%s and %s)", err, a, b)
	}
	keys, err := d.toronto.client.DBSize(d.ctx).Result()
	if err != nil {
		return err
	}
	d.printf("   it has caught up after %s: %d keys, digest %s in both regions\n", since(begin), keys, a)
	err = until(d.ctx, 20*time.Second, "CLOSEST answers Toronto again", func() (bool, error) {
		endpoint, err := d.saoPaulo.closest(d.ctx, montrealLat, montrealLon)
		return endpoint == d.toronto.addr, err
	})
	if err == nil {
		d.printf("   for Montreal CLOSEST answers Toronto again after %s\n", since(begin))
	}
	return err
}

// since is how long ago, for people.
func since(t time.Time) string {
	d := time.Since(t)
	if d < 10*time.Millisecond {
		return fmt.Sprintf("%.2f ms", float64(d.Microseconds())/1000)
	}
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
