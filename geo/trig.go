package geo

import (
	"math"
	"math/big"
)

// Sine, cosine and arcsine that are rounded to the nearest double, but for about one argument in ten thousand. Those of
// package math are off by one or two units in the last place, which a distance that is stored (STOREDIST) shows; a good C
// library, as Redis uses, is off once in some hundreds.
//
// An angle is the sum of a step of 1/64, whose sine and cosine are tabled in twice the precision, and a rest so small that
// its powers need single precision only. float64(...) around a product keeps the compiler from fusing it with a sum, so that
// all machines answer the same.

// double is the sum of two numbers, of which the second is below the precision of the first.
type double struct{ hi, lo float64 }

// turn is an angle of the table.
type turn struct{ sin, cos double }

const (
	stepsPerRadian = 64
	tableSteps     = stepsPerRadian*16/10 + 1 // beyond a right angle
)

var (
	turns = makeTurns()
	pi    = double{math.Pi, 1.2246467991473532e-16}
)

// makeTurns turns by one step after the other.
func makeTurns() (table [tableSteps]turn) {
	num := func(f float64) *big.Float { return new(big.Float).SetPrec(200).SetFloat64(f) }
	sum := func(a, b *big.Float) *big.Float { return new(big.Float).Add(a, b) }
	product := func(a, b *big.Float) *big.Float { return new(big.Float).Mul(a, b) }
	// The series of one step.
	stepSin, stepCos := num(0), num(0)
	for n, term := 0, num(1); n < 30; n++ {
		into, sign := stepCos, 1.0
		if n%2 == 1 {
			into = stepSin
		}
		if n%4 >= 2 {
			sign = -1
		}
		into.Add(into, product(term, num(sign)))
		term = new(big.Float).Quo(term, num(float64(n+1)*stepsPerRadian))
	}
	split := func(f *big.Float) (d double) {
		d.hi, _ = f.Float64()
		d.lo, _ = new(big.Float).Sub(f, num(d.hi)).Float64()
		return d
	}
	sin, cos := num(0), num(1)
	for i := range table {
		table[i] = turn{split(sin), split(cos)}
		sin, cos = sum(product(sin, stepCos), product(cos, stepSin)),
			new(big.Float).Sub(product(cos, stepCos), product(sin, stepSin))
	}
	return table
}

// rest is the sine and the cosine of a small angle, less the angle and less 1.
func rest(t float64) (sin, cos float64) {
	square := float64(t * t)
	below := math.FMA(t, t, -square)
	sin = float64(t*square) * (-1.0/6 + float64(square*(1.0/120-float64(square*(1.0/5040)))))
	cos = -square/2 + (float64(square*square)*(1.0/24-float64(square*(1.0/720-float64(square*(1.0/40320))))) - below/2)
	return sin, cos
}

// locate is the step of the table at an angle from 0 to a right angle and a little more, and what is left.
func locate(angle float64) (at turn, t float64) {
	step := int(angle*stepsPerRadian + 0.5)
	return turns[step], angle - float64(step)/stepsPerRadian
}

// plus is a + d*e + small; d*e is below a, unless that is 0, and small far below it.
func (a double) plus(d, e, small float64) double {
	p := float64(d * e)
	hi := a.hi + p
	part := hi - a.hi
	lo := (a.hi - (hi - part)) + (p - part) // what hi lacks
	lo += a.lo + (math.FMA(d, e, -p) + small)
	sum := hi + lo
	return double{sum, lo - (sum - hi)}
}

// sinOf is the sine of an angle between 0 and pi.
func sinOf(angle float64) double {
	low := 0.0
	if angle > math.Pi/2 {
		angle, low = pi.hi-angle, pi.lo
	}
	at, t := locate(angle)
	s, c := rest(t)
	return at.sin.plus(at.cos.hi, t, float64(at.sin.hi*(c-float64(low*t)))+float64(at.cos.hi*(s+low))+float64(at.cos.lo*t))
}

// cosOf is the cosine of an angle between 0 and a right angle.
func cosOf(angle float64) double {
	at, t := locate(angle)
	s, c := rest(t)
	return at.cos.plus(-at.sin.hi, t, float64(at.cos.hi*c)-float64(at.sin.hi*s)-float64(at.sin.lo*t))
}

// sin is the sine of an angle between -pi and pi.
func sin(angle float64) float64 { return math.Copysign(sinOf(math.Abs(angle)).hi, angle) }

// cos is the cosine of an angle between right angles.
func cos(angle float64) float64 { return cosOf(math.Abs(angle)).hi }

// asin is the arcsine of a number between 0 and 1: one of Newton's steps from a good guess.
func asin(f float64) float64 {
	guess := math.Asin(f)
	switch {
	case f == 0 || f == 1:
		return guess
	case f > 0.5: // where package math loses digits
		guess = math.Pi/2 - 2*math.Asin(math.Sqrt((1-f)/2))
	}
	s := sinOf(guess)
	return guess + ((f-s.hi)-s.lo)/cosOf(guess).hi
}
