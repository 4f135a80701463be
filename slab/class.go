package slab

import "math/bits"

// Size classes, in bytes: steps of 4 to 256, of 8 to 512, then 16 steps in each
// doubling to 32 KB.
const (
	fineEnd   = 256
	middleEnd = 512
	maxSmall  = pageBytes / 2

	fineClasses   = fineEnd / 4
	middleClasses = fineClasses + (middleEnd-fineEnd)/8
	wideBits      = 4 // 1<<wideBits classes in each doubling
	allClasses    = middleClasses + 6<<wideBits
)

// Every class in use has a page that is not full. In an arena that holds little
// these would be much of its memory, so it opens classes only in proportion to
// its blocks, and uses coarser ones beyond: one in classBudget bytes, or a few.
const (
	classBudget = 64 << 10
	fewClasses  = 4
)

const (
	tinyClasses = 64 / 4                      // of blocks up to 64 bytes
	bigClasses  = middleClasses + 2<<wideBits // from here on blocks are above 2 KB
)

// coarse is the class that is used where class k is not to be opened: the
// second or fourth step of four.
func coarse(k int) int {
	if k < tinyClasses || k >= middleClasses && k < bigClasses {
		return k | 1
	}
	return k | 3
}

// choose is the class for a new block that class k has no room for.
func (a *Arena) choose(k int) int {
	if k < len(a.classes) && a.classes[k].places > 0 || a.open < fewClasses+int(a.liveBytes/classBudget) {
		return k
	}
	return coarse(k)
}

// classOf is the least class with room for n bytes, 1 <= n <= maxSmall.
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
		double := bits.Len(uint(n-1)) - bits.Len(middleEnd)
		step := (n-1)>>(double+bits.Len(middleEnd)-1-wideBits) - 1<<wideBits
		return middleClasses + double<<wideBits + step
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
		double, step := (k-middleClasses)>>wideBits, (k-middleClasses)&(1<<wideBits-1)
		return (1<<wideBits + step + 1) * middleEnd << double >> wideBits
	}
}

// ClassSize is the least that a block of n bytes costs, in bytes. Where an arena
// holds little in many sizes a block costs up to 4 bytes more, above 64 bytes 12,
// above 256 an eighth, and above 2 KB a quarter.
func ClassSize(n int) int {
	if n > maxSmall {
		return roundUp(n, systemPage)
	}
	return classBytes(classOf(n))
}

// Fits reports whether have is a length of block that an arena chooses for n
// bytes.
func Fits(n, have int) bool {
	if have == ClassSize(n) {
		return true
	}
	return n <= maxSmall && have == classBytes(coarse(classOf(n)))
}
