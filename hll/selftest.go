package hll

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
)

const (
	selfTestRounds   = 1000
	selfTestElements = 10_000_000
	selfTestSparse   = 3000 // bytes, the default of hll-sparse-max-bytes
)

// SelfTest is the body of PFSELFTEST: dense registers keep what is written to them, both encodings estimate alike, and the
// error stays within bounds up to ten million elements. The error says what went wrong. It takes up to a second; a caller
// that must not be held that long runs it elsewhere.
func SelfTest() error {
	random := splitMix(hashSeed)
	if err := testRegisters(&random); err != nil {
		return err
	}
	return testError(random.next())
}

// testRegisters writes random ranks and reads them back.
func testRegisters(random *splitMix) error {
	dense, err := ToDense(New())
	if err != nil {
		return err
	}
	var want [Registers]uint8
	for range selfTestRounds {
		for i := range want {
			want[i] = uint8(random.next() & (1<<registerLen - 1))
			setRegister(dense, i, want[i])
		}
		for i, rank := range want {
			if got := Register(dense, i); got != rank {
				return fmt.Errorf("register %d should be %d but is %d", i, rank, got)
			}
		}
	}
	return nil
}

// testError counts elements that are all different, in a dense value and, while it stays sparse, in a sparse one.
func testError(seed uint64) error {
	sparse := New()
	dense, err := ToDense(New())
	if err != nil {
		return err
	}
	// Up to 7 times the standard error, as Redis allows.
	relative := 7 * 1.04 / math.Sqrt(Registers)
	checkpoint := uint64(1)
	var elem [8]byte
	for n := uint64(1); n <= selfTestElements; n++ {
		binary.LittleEndian.PutUint64(elem[:], n^seed)
		index, rank := locate(elem[:])
		raiseDense(dense, index, rank)
		if EncodingOf(sparse) == Sparse {
			if sparse, _, err = raiseSparse(sparse, index, rank, selfTestSparse); err != nil {
				return err
			}
		}
		if n < checkpoint {
			continue
		}
		if err := compareEstimates(sparse, dense, n, relative); err != nil {
			return err
		}
		checkpoint *= 10
	}
	return nil
}

// compareEstimates checks both values against the true number n of elements.
func compareEstimates(sparse, dense []byte, n uint64, relative float64) error {
	estimate, err := Count(dense)
	if err != nil {
		return err
	}
	if EncodingOf(sparse) == Sparse {
		other, err := Count(sparse)
		if err != nil {
			return err
		}
		if other != estimate {
			return errors.New("dense/sparse disagree")
		}
	} else if n <= 100 {
		return errors.New("sparse encoding not used")
	}
	deviation := math.Abs(float64(estimate) - float64(n))
	if deviation > math.Ceil(relative*float64(n)) {
		return fmt.Errorf("too big error: card:%d abserr:%.0f", n, deviation)
	}
	return nil
}

// splitMix is a generator of test data that needs no source of randomness.
type splitMix uint64

func (s *splitMix) next() uint64 {
	*s += 0x9e3779b97f4a7c15
	z := uint64(*s)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
