package op

import (
	"encoding/binary"
	"iter"

	"geocache/clock"
)

// batchVersion is the first byte of every batch.
const batchVersion = 1

// MaxBatchOps bounds the ops of one batch.
const MaxBatchOps = 1 << 26

// Header is what a batch says of itself before its ops.
type Header struct {
	Origin clock.Origin
	First  clock.Reading // stamp of op 0; op i has First+i
	Count  int           // number of ops, at least 1
	Prev   clock.Reading // Last of the origin's batch before, 0 for its first
	// Deps is what else the origin had applied since its batch before: the
	// entries of its vector that rose, own entry excluded. Adding them up
	// over an origin's batches gives the vector of each.
	Deps []clock.Stamp
}

// Last is the stamp reading of the batch's last op.
func (h Header) Last() clock.Reading { return h.First + clock.Reading(h.Count) - 1 }

// Batch is one encoded batch: header and ops as they were committed. It is
// passed on and stored whole.
type Batch struct {
	Header
	Raw  []byte // the whole encoding
	body []byte
}

// AppendBatch encodes header and body (of a Builder with h.Count ops).
func AppendBatch(dst []byte, h Header, body []byte) []byte {
	dst = append(dst, batchVersion)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Origin))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.First))
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.Prev))
	dst = binary.AppendUvarint(dst, uint64(h.Count))
	dst = binary.AppendUvarint(dst, uint64(len(h.Deps)))
	for _, s := range h.Deps {
		dst = clock.AppendStamp(dst, s)
	}
	return append(dst, body...)
}

// ParseBatch reads a batch's header; b is kept. The ops are not looked at:
// Check does that.
func ParseBatch(b []byte) (Batch, error) {
	d := Reader{b: b}
	if d.Byte() != batchVersion {
		return Batch{}, ErrMalformed
	}
	var h Header
	h.Origin = clock.Origin(d.U64())
	h.First = clock.Reading(d.U64())
	h.Prev = clock.Reading(d.U64())
	h.Count = int(d.Uvarint(MaxBatchOps))
	n := d.Uvarint(clock.MaxVectorEntries)
	for i := uint64(0); i < n && !d.bad; i++ {
		h.Deps = append(h.Deps, d.Stamp())
	}
	if d.bad || h.Count == 0 || h.Origin == 0 || h.Prev >= h.First ||
		IsProvisional(h.First) || IsProvisional(h.First+clock.Reading(h.Count)) {
		return Batch{}, ErrMalformed
	}
	return Batch{Header: h, Raw: b, body: d.b}, nil
}

// Ops yields the ops in order. Iteration over a batch that did not pass Check
// may end early.
func (b Batch) Ops() iter.Seq[Op] {
	return func(yield func(Op) bool) {
		d := Reader{b: b.body}
		for i := range b.Count {
			o := d.op(b.First, b.Origin, i)
			if d.bad || !yield(o) {
				return
			}
		}
	}
}

// Check decodes every op and reports whether the batch is well formed. It is
// called once where a batch enters the process.
func (b Batch) Check() error {
	d := Reader{b: b.body}
	for i := range b.Count {
		o := d.op(b.First, b.Origin, i)
		if o.Kind == State && !d.bad {
			if _, err := DecodeKeyState(o.Raw); err != nil {
				return err
			}
		}
		if o.Kind == Whole && !d.bad {
			if _, err := DecodeColl(o.Raw); err != nil {
				return err
			}
		}
		if d.bad {
			return ErrMalformed
		}
	}
	if len(d.b) != 0 {
		return ErrMalformed
	}
	return nil
}
