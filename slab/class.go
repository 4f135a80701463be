package slab

import "math/bits"

// Size classes, in bytes: steps of 4 to 256, of 8 to 512, then at most 6 %
// apart to 32 KB. From 512 on a class is the size that fills a page without a
// rest, where there is one within its 6 %.
const (
	fineEnd   = 256
	middleEnd = 512
	maxSmall  = pageBytes / 2

	fineClasses   = fineEnd / 4
	middleClasses = fineClasses + (middleEnd-fineEnd)/8
	wideStep      = 8 // the wide classes are multiples of it
)

// wideSizes are the classes above middleEnd, ascending; wideIndex gives, for
// a size in steps above middleEnd, the position in wideSizes. Both are
// constants in all but the language's sense.
var wideSizes, wideIndex = wideClasses()

func wideClasses() (sizes []int, index [(maxSmall - middleEnd) / wideStep]uint8) {
	for size := middleEnd; size < maxSmall; {
		next := size * 106 / 100
		perPage := (pageBytes + next - 1) / next
		if fit := pageBytes / perPage / wideStep * wideStep; fit > size {
			next = fit
		}
		next = min(next/wideStep*wideStep, maxSmall)
		for n := size; n < next; n += wideStep {
			index[(n-middleEnd)/wideStep] = uint8(len(sizes))
		}
		sizes = append(sizes, next)
		size = next
	}
	return sizes, index
}

// Every class has a page that is not full. In an arena that holds little these
// would be much of its memory, so it uses few of the classes above coarseFrom.
const (
	coarseFrom  = 2048
	coarseSteps = 4 // in each doubling
	fineBytes   = 64 << 20
)

// coarse is n rounded up to one of the sizes that small arenas use.
func coarse(n int) int {
	step := 1 << (bits.Len(uint(n-1)) - 1) / coarseSteps
	return roundUp(n, step)
}

// classOf is the class of a block of n bytes, 1 <= n <= maxSmall.
func classOf(n int) int {
	switch {
	case n <= fineEnd:
		if n < 1 {
			panic("slab: block of no bytes")
		}
		return (n - 1) / 4
	case n <= middleEnd:
		return fineClasses + (n-fineEnd-1)/8
	default:
		return middleClasses + int(wideIndex[(n-middleEnd-1)/wideStep])
	}
}

// classBytes is the size of the blocks of class k.
func classBytes(k int) int {
	switch {
	case k < fineClasses:
		return 4 * (k + 1)
	case k < middleClasses:
		return fineEnd + 8*(k-fineClasses+1)
	default:
		return wideSizes[k-middleClasses]
	}
}

// ClassSize is what a block of n bytes costs, in bytes. In an arena with little
// data a block above 2 KB may cost up to a quarter more.
func ClassSize(n int) int {
	if n > maxSmall {
		return roundUp(n, systemPage)
	}
	return classBytes(classOf(n))
}

// Fits reports whether have is a length of block that an arena chooses for n
// bytes.
func Fits(n, have int) bool {
	return have == ClassSize(n) || n > coarseFrom && n <= maxSmall && have == classBytes(classOf(coarse(n)))
}
