package hll

import "math"

// histogram says how many registers have each value. A damaged dense value may hold ranks that no element has; they have
// their place too, but no part in the estimate.
type histogram [1 << registerLen]int

// Count estimates the number of different elements, from the registers and not from the header.
func Count(b []byte) (uint64, error) {
	if err := Check(b); err != nil {
		return 0, err
	}
	var h histogram
	if EncodingOf(b) == Dense {
		h.countDense(b[headerSize:])
		return h.estimate(), nil
	}
	err := walk(b, func(_, length int, rank uint8) { h[rank] += length })
	if err != nil {
		return 0, err
	}
	return h.estimate(), nil
}

// countDense adds all registers, four in three bytes at a time.
func (h *histogram) countDense(packed []byte) {
	const mask = 1<<registerLen - 1
	for ; len(packed) >= 3; packed = packed[3:] {
		v := uint(packed[0]) | uint(packed[1])<<8 | uint(packed[2])<<16
		h[v&mask]++
		h[v>>6&mask]++
		h[v>>12&mask]++
		h[v>>18]++
	}
}

// estimate is Otmar Ertl's improved raw estimator ("New cardinality estimation algorithms for HyperLogLog sketches", 2017),
// in Redis' order of operations. The conversions keep products from being fused with sums, which would round otherwise.
func (h *histogram) estimate() uint64 {
	const (
		m     = float64(Registers)
		alpha = 0.721347520444481703680 // 1 / (2 ln 2)
	)
	z := float64(m * tau((m-float64(h[maxRank]))/m))
	for rank := maxRank - 1; rank >= 1; rank-- {
		z += float64(h[rank])
		z *= 0.5
	}
	z += float64(m * sigma(float64(h[0])/m))
	return uint64(math.Round(alpha * m * m / z))
}

// tau corrects for registers that are full.
func tau(x float64) float64 {
	if x == 0 || x == 1 {
		return 0
	}
	y, z := 1.0, 1-x
	for {
		x = math.Sqrt(x)
		before := z
		y *= 0.5
		z -= float64(float64((1-x)*(1-x)) * y)
		if z == before {
			return z / 3
		}
	}
}

// sigma corrects for registers that are empty. It is infinite when all are, which makes the estimate 0.
func sigma(x float64) float64 {
	if x == 1 {
		return math.Inf(1)
	}
	y, z := 1.0, x
	for {
		x *= x
		before := z
		z += float64(x * y)
		y += y
		if z == before {
			return z
		}
	}
}
