package server

import "testing"

// TestCalm: memory is given back once after a burst, and not for what is
// allocated little by little.
func TestCalm(t *testing.T) {
	p := &heapPace{floor: minFloor}
	allocs := uint64(0)
	step := func(bytes uint64) bool {
		allocs += bytes
		return p.calm(allocs)
	}
	for range 100 {
		if step(calmBytes / 4) {
			t.Fatal("calm after no burst")
		}
	}
	if step(2 * calmBytes) {
		t.Error("calm in a burst")
	}
	if !step(calmBytes / 4) {
		t.Error("not calm after a burst")
	}
	p.setTidying(true)
	p.setTidying(false)
	allocs = p.allocs
	if step(calmBytes / 4) {
		t.Error("calm again, without another burst")
	}
}
