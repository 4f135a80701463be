package hll

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func sum(b []byte) string {
	h := sha1.Sum(b)
	return hex.EncodeToString(h[:])
}

// filled returns a value that was created without elements and then given prefix+"1" to prefix+n one by one.
func filled(t testing.TB, prefix string, from, to, sparseMaxBytes int) []byte {
	t.Helper()
	b := New()
	Invalidate(b)
	for i := from; i <= to; i++ {
		var err error
		if b, _, err = Add(b, fmt.Appendf(nil, "%s:%d", prefix, i), sparseMaxBytes); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// TestSameBytesAsRedis compares with the SHA-1 of what GET of Redis 7.0.15 answered after the same PFADDs, before and after a
// PFCOUNT, and with that PFCOUNT.
func TestSameBytesAsRedis(t *testing.T) {
	for _, c := range []struct {
		sparseMaxBytes, elements int
		added                    string
		count                    uint64
		counted                  string
	}{
		{3000, 0, "e2c2a4d6f667db2d3180523f3c7a9bda5a4db0fc", 0, "6892f6e9ee148f17be8c469006bf9a299ecaeeea"},
		{3000, 1, "2e05cae483c2a32d165f40028299a1cd4663e0f2", 1, "d6d3e8ff4789f0184b358a4b6f0a76a7aaf9e2bb"},
		{3000, 10, "dc9c9730f97cd8a9183fd459b9fef7b0a05f7a22", 10, "d966109f2f8e9ef025378483407229fb8632db1a"},
		{3000, 300, "5f24aff558d2f91706e382995245750d084a92fc", 301, "a40843a5e952fd0444f54d8b98c5b6218926d270"},
		{3000, 900, "18b3a486f24b14370cb02df0e1dabbb95189b1dd", 899, "f970772b81afaf6facbbecbdd4d4f7ba23f9b1ee"},
		{3000, 1500, "d814da764a6c2ed7e9e1ac99c6060d73f8f90da9", 1484, "8d4075a3a9b5d980f7101fb3402ea6490e0d7b76"},
		{3000, 2500, "bf256d647d3cbe0ea9c2e364fb8ae8833bfe99f5", 2488, "055a6820defcb47075bdd739535f6103205a396a"},
		{3000, 5000, "aff75e70bd038ac3fe54a3f67ed0f7ce1686f88c", 5029, "3b30a2d74fc91bae07d5ee4b324487b589a93a3f"},
		{3000, 100000, "97c71b17a4e06c30db3300be306782d78fbb6326", 100342, "f8ffa71d1533a91d033b530e75bbf6f1bf648590"},
		{0, 0, "e2c2a4d6f667db2d3180523f3c7a9bda5a4db0fc", 0, "6892f6e9ee148f17be8c469006bf9a299ecaeeea"},
		{0, 1, "a760977239d2f11ad78bbcb5471e937adf3a4519", 1, "e58f0f6e6cdb6f45b79dffc9356ac51ec7123f1e"},
		{0, 300, "19f78556598050574a5d885a807eec9b44c645e1", 301, "7334e036f91b4245322aada5a1c5ba2038d84e86"},
		{200, 10, "dc9c9730f97cd8a9183fd459b9fef7b0a05f7a22", 10, "d966109f2f8e9ef025378483407229fb8632db1a"},
		{200, 300, "19f78556598050574a5d885a807eec9b44c645e1", 301, "7334e036f91b4245322aada5a1c5ba2038d84e86"},
		{200, 1500, "8f94ffc760a8739b52c0598da99ee603fe4f9a22", 1484, "8928889986603227740932e80c990b347f6b5cad"},
	} {
		b := filled(t, "e", 1, c.elements, c.sparseMaxBytes)
		if got := sum(b); got != c.added {
			t.Errorf("%d elements, at most %d bytes: %s", c.elements, c.sparseMaxBytes, got)
		}
		count, err := Count(b)
		if err != nil || count != c.count {
			t.Errorf("%d elements, at most %d bytes: counted %d, %v, want %d", c.elements, c.sparseMaxBytes, count, err, c.count)
		}
		if _, ok := Cached(b); ok {
			t.Errorf("%d elements: the estimate in the header passes for good", c.elements)
		}
		SetCached(b, count)
		if got := sum(b); got != c.counted {
			t.Errorf("%d elements, counted, at most %d bytes: %s", c.elements, c.sparseMaxBytes, got)
		}
		if card, ok := Cached(b); !ok || card != count {
			t.Errorf("%d elements: %d is kept for %d", c.elements, card, count)
		}
	}
}

// TestMergeAsRedis compares with PFMERGE and PFCOUNT of Redis 7.0.15.
func TestMergeAsRedis(t *testing.T) {
	const limit = 3000
	a, b, c := filled(t, "e", 1, 400, limit), filled(t, "e", 300, 700, limit), filled(t, "f", 1, 9000, limit)
	var u Union
	for _, v := range [][]byte{a, b} {
		if err := u.Merge(v); err != nil {
			t.Fatal(err)
		}
	}
	if got := u.Count(); got != 697 {
		t.Errorf("a and b have %d", got)
	}
	d, err := u.StoreIn(New(), limit)
	if got := sum(d); err != nil || got != "2a6ca5576ec6d7ee1833b2b75947f57645a2781d" {
		t.Errorf("a and b: %s, %v", got, err)
	}
	if err := u.Merge(c); err != nil {
		t.Fatal(err)
	}
	if got := u.Count(); got != 9650 {
		t.Errorf("all have %d", got)
	}
	u = Union{}
	for _, v := range [][]byte{a, c} {
		if err := u.Merge(v); err != nil {
			t.Fatal(err)
		}
	}
	d, err = u.StoreIn(New(), limit)
	if got := sum(d); err != nil || got != "8d2032e90c309297107f684a242d18187d73e337" {
		t.Errorf("a and c: %s, %v", got, err)
	}
}

func TestDecode(t *testing.T) {
	got, err := Decode(nil, filled(t, "e", 1, 5, 3000))
	const want = "Z:163 v:2,1 Z:3720 v:1,1 Z:6344 v:1,1 Z:3825 v:1,1 Z:1503 v:1,1 Z:824"
	if err != nil || string(got) != want {
		t.Errorf("%s, %v", got, err)
	}
	dense, err := ToDense(New())
	if err != nil || EncodingOf(dense) != Dense {
		t.Fatal(err)
	}
	if _, err := Decode(nil, dense); !errors.Is(err, ErrNotSparse) {
		t.Errorf("a dense value: %v", err)
	}
}

func TestAddTellsWhatChanged(t *testing.T) {
	b := filled(t, "e", 1, 100, 3000)
	SetCached(b, 7)
	before := bytes.Clone(b)
	b, changed, err := Add(b, []byte("e:50"), 3000)
	if err != nil || changed || !bytes.Equal(b, before) {
		t.Errorf("an element for the second time: %v, %v", changed, err)
	}
	if _, changed, err = Add(b, []byte("other"), 3000); err != nil || !changed {
		t.Errorf("a new element: %v, %v", changed, err)
	}
}

func TestCovers(t *testing.T) {
	b := filled(t, "e", 1, 2000, 0)
	for i := 1; i <= 4000; i++ {
		elem := fmt.Appendf(nil, "e:%d", i)
		_, changed, err := Add(bytes.Clone(b), elem, 0)
		if err != nil || Covers(b, elem) == changed {
			t.Fatalf("element %d: covered %v, changed %v, %v", i, Covers(b, elem), changed, err)
		}
	}
	if Covers(filled(t, "e", 1, 10, 3000), []byte("e:1")) {
		t.Error("a sparse value is searched")
	}
}

// TestBothEncodingsAgree holds every register of the sparse form against a plain table.
func TestBothEncodingsAgree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var want [Registers]uint8
		b := New()
		for range random.IntN(3000) {
			index, rank := random.IntN(Registers), uint8(1+random.IntN(3))
			if random.IntN(3) == 0 {
				index = random.IntN(200) // long runs of equal ranks
			}
			if random.IntN(2000) == 0 {
				rank = uint8(33 + random.IntN(maxRank-32))
			}
			want[index] = max(want[index], rank)
			var err error
			if b, _, err = raise(b, index, rank, 3000); err != nil {
				t.Fatal(err)
			}
		}
		dense, err := ToDense(bytes.Clone(b))
		if err != nil {
			t.Fatal(err)
		}
		for i, rank := range want {
			if got := Register(dense, i); got != rank {
				t.Fatalf("register %d is %d, want %d", i, got, rank)
			}
		}
		a, _ := Count(b)
		if c, err := Count(dense); err != nil || a != c {
			t.Errorf("%d in one encoding, %d in the other, %v", a, c, err)
		}
	}
}

func TestCheck(t *testing.T) {
	sparse := New()
	dense, err := ToDense(New())
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range [][]byte{sparse, dense} {
		if err := Check(b); err != nil {
			t.Error(err)
		}
	}
	badEncoding := bytes.Clone(sparse)
	badEncoding[encodingOffset] = 2
	for _, b := range [][]byte{nil, []byte("HYLL"), []byte(strings.Repeat("x", 20)), badEncoding, dense[:denseSize-1],
		append(bytes.Clone(dense), 0)} {
		if err := Check(b); !errors.Is(err, ErrInvalid) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
		if _, err := Count(b); !errors.Is(err, ErrInvalid) {
			t.Errorf("count of %d bytes: %v", len(b), err)
		}
	}
	for _, tail := range []string{"", "\x00", "\x7f", "\x7f\xffhello", "\x7f\xff\x80", strings.Repeat("\xff", 9000)} {
		b := append(bytes.Clone(sparse[:headerSize]), tail...)
		if _, err := Count(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("count with registers %.20q: %v", tail, err)
		}
		if _, err := ToDense(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("dense from registers %.20q: %v", tail, err)
		}
		if err := new(Union).Merge(b); !errors.Is(err, ErrCorrupt) {
			t.Errorf("merge of registers %.20q: %v", tail, err)
		}
	}
}

func TestSelfTest(t *testing.T) {
	if err := SelfTest(); err != nil {
		t.Error(err)
	}
}

func FuzzHostile(f *testing.F) {
	f.Add(New(), []byte("a"), 3000)
	f.Add(filled(f, "e", 1, 300, 3000), []byte("b"), 20)
	f.Add(filled(f, "e", 1, 300, 0), []byte("b"), 0)
	f.Add(append(New()[:headerSize], "\x80\x83\x83\x80\x7f"...), []byte("c"), 3000)
	f.Fuzz(func(t *testing.T, b, elem []byte, sparseMaxBytes int) {
		sparseMaxBytes = min(sparseMaxBytes, 16000) // beyond that it takes longer, and finds nothing else
		wellFormed := true
		if _, err := Count(b); err != nil {
			wellFormed = false
		}
		_, _ = Decode(nil, b)
		var u Union
		_ = u.Merge(b)
		u.Count()
		_, _ = u.StoreIn(New(), sparseMaxBytes)
		_, _ = u.StoreIn(bytes.Clone(b), sparseMaxBytes)
		_, _ = ToDense(bytes.Clone(b))
		b, _, err := Add(bytes.Clone(b), elem, sparseMaxBytes)
		if !wellFormed {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Count(b); err != nil {
			t.Fatalf("broken by an addition: %v", err)
		}
		if _, changed, err := Add(b, elem, sparseMaxBytes); changed || err != nil {
			t.Fatalf("added again: %v, %v", changed, err)
		}
	})
}

func BenchmarkAdd(b *testing.B) {
	for _, limit := range []int{3000, 0} {
		v := filled(b, "e", 1, 1000, limit)
		b.Run(EncodingOf(v).String(), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v, _, _ = Add(v, []byte("e:500"), limit)
			}
		})
		b.Run("count/"+EncodingOf(v).String(), func(b *testing.B) {
			for b.Loop() {
				_, _ = Count(v)
			}
		})
	}
}

// TestJoinAgreesWithUnion joins values of both forms, large and small.
func TestJoinAgreesWithUnion(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	value := func() []byte {
		n := []int{0, 1, 5, 300, 2000, 9000}[random.IntN(6)]
		from := random.IntN(3000)
		return filled(t, "e", from, from+n-1, []int{0, 100, 3000}[random.IntN(3)])
	}
	for range 200 {
		a, b := value(), value()
		var u, was Union
		if err := errors.Join(was.Merge(a), u.Merge(a), u.Merge(b)); err != nil {
			t.Fatal(err)
		}
		SetCached(a, 7)
		forms := EncodingOf(a) == Dense || EncodingOf(b) == Dense
		got, changed, err := Join(bytes.Clone(a), b, 3000)
		if err != nil || Valid(got) != nil {
			t.Fatal(err, Valid(got))
		}
		var have Union
		have.Merge(got)
		if have.ranks != u.ranks || changed != (u.ranks != was.ranks) {
			t.Fatalf("%d and %d bytes: changed %v, or other registers", len(a), len(b), changed)
		}
		if _, known := Cached(got); known == changed {
			t.Fatal("the estimate is out of date, or is not")
		}
		if forms && EncodingOf(got) != Dense {
			t.Fatal("a dense value became sparse")
		}
		whole := u.Encode(3000)
		have = Union{}
		if err := have.Merge(whole); err != nil || have.ranks != u.ranks || Valid(whole) != nil {
			t.Fatal("encoded otherwise", err)
		}
	}
}
