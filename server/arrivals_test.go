package server

import "testing"

// TestArrivalsWhenBusy: few connections give way to those after them, and
// nobody does for a while once there are more.
func TestArrivalsWhenBusy(t *testing.T) {
	var a arrivals
	conns := make([]conn, maxWoken+1)
	for i := range maxWoken {
		if !a.push(&conns[i]) || !a.isLast(&conns[i]) {
			t.Fatalf("connection %d of %d is not put in order", i+1, maxWoken)
		}
	}
	late := &conns[maxWoken]
	a.enter(late)
	a.leave(late)
	if late.entered {
		t.Fatal("one too many is put in order")
	}
	for i := range maxWoken {
		a.leave(&conns[i]) // the oldest first
	}
	if len(a.woken) != 0 {
		t.Fatalf("%d are left", len(a.woken))
	}
	skips := 0
	for ; !a.push(late); skips++ {
	}
	if skips != busySkips {
		t.Fatalf("%d inputs were not put in order, want %d", skips, busySkips)
	}
	a.enter(&conns[0]) // gives way in vain until it is the last
	a.leave(late)
	a.leave(&conns[0])
}
