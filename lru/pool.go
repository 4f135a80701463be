package lru

// poolSize is Redis' EVPOOL_SIZE. A larger pool gains no hit ratio that more samples would not gain cheaper.
const poolSize = 16

// Pool keeps the best eviction candidates seen so far, so that a good one drawn in an earlier round is not forgotten. The
// zero value is empty and ready. It holds at most 16 candidates; one that scores below all of a full pool is dropped.
//
// Entries come and go, and are used, while their handles are in a pool: whoever takes a candidate checks that it still
// exists and may offer it again with its present score instead of evicting it.
type Pool struct {
	n          int
	candidates [poolSize]candidate // [:n], lowest score first
}

type candidate struct {
	handle uint64
	score  uint64
}

// Offer considers a candidate. A handle offered again takes its new score. Of equal scores the one offered first is taken
// first: it has waited longer, so it is older in most cases.
func (p *Pool) Offer(handle, score uint64) {
	p.drop(handle)
	if p.n == poolSize {
		if score <= p.candidates[0].score {
			return
		}
		p.n--
		copy(p.candidates[:p.n], p.candidates[1:])
	}
	at := p.n
	for at > 0 && p.candidates[at-1].score >= score {
		p.candidates[at] = p.candidates[at-1]
		at--
	}
	p.candidates[at] = candidate{handle, score}
	p.n++
}

// Take removes the candidate with the highest score and returns it; ok is false when the pool is empty.
func (p *Pool) Take() (handle, score uint64, ok bool) {
	if p.n == 0 {
		return 0, 0, false
	}
	p.n--
	best := p.candidates[p.n]
	return best.handle, best.score, true
}

// best is the highest score, 0 when the pool is empty.
func (p *Pool) best() uint64 {
	if p.n == 0 {
		return 0
	}
	return p.candidates[p.n-1].score
}

// Len is the number of candidates held.
func (p *Pool) Len() int { return p.n }

// Reset forgets all candidates. It is due when the policy changes or handles change their meaning (FLUSHALL).
func (p *Pool) Reset() { p.n = 0 }

func (p *Pool) drop(handle uint64) {
	for i := range p.n {
		if p.candidates[i].handle == handle {
			copy(p.candidates[i:], p.candidates[i+1:p.n])
			p.n--
			return
		}
	}
}
