package replicate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"

	"geocache/clock"
	"geocache/op"

	"github.com/klauspost/compress/s2"
)

const (
	frameVersion = 1

	// MaxFrameBytes bounds a frame's payload before compression; a frame is
	// longer by its header only.
	MaxFrameBytes = 1 << 20

	maxFrameHead   = 64 // the bytes of a frame before its payload, name excluded
	maxNameBytes   = 255
	maxAttachment  = 8 << 10
	maxNacks       = 64
	maxHeard       = 1 << 10
	maxFormer      = 16
	maxTroubled    = 255
	compressAbove  = 256
	partHeadBytes  = 32
	partBytes      = MaxFrameBytes - partHeadBytes
	maxPartsInOne  = 1 << 16
	maxStateInOne  = 1 << 20
	minBatchBytes  = 28
	flagCompressed = 1
)

// ErrFrame says that bytes are not a frame of this protocol.
var ErrFrame = errors.New("replicate: malformed frame")

// VersionError says that a frame is of another protocol version.
type VersionError struct{ Version byte }

func (e *VersionError) Error() string {
	return fmt.Sprintf("replicate: sibling speaks protocol version %d, this build %d", e.Version, frameVersion)
}

// kind is what a frame carries. The list is append-only.
type kind byte

const (
	kindHello kind = 1 + iota
	kindBatches
	kindPart
	kindReport
	kindState
	kindEnd
)

// frame is one decoded frame. payload is decompressed; it aliases the input if
// that was not compressed.
type frame struct {
	kind    kind
	from    string
	session uint64
	payload []byte
}

// Sender is the region name that a frame claims to come from, for a transport
// that has to find the link a frame belongs to.
func Sender(b []byte) (string, error) {
	r := newReader(b)
	r.head()
	r.U64()
	name := string(r.Bytes(maxNameBytes))
	if r.Bad() || name == "" {
		return "", ErrFrame
	}
	return name, nil
}

func appendFrame(k kind, from string, session uint64, payload []byte) []byte {
	dst := make([]byte, 0, maxFrameHead+len(from)+len(payload))
	dst = append(dst, frameVersion, byte(k), 0)
	dst = binary.BigEndian.AppendUint64(dst, session)
	dst = appendBytes(dst, []byte(from))
	if len(payload) > compressAbove {
		packed := s2.Encode(nil, payload)
		if len(packed) < len(payload)-len(payload)/16 {
			dst[2] = flagCompressed
			return append(dst, packed...)
		}
	}
	return append(dst, payload...)
}

func parseFrame(b []byte) (frame, error) {
	if len(b) > 0 && b[0] != frameVersion {
		return frame{}, &VersionError{b[0]}
	}
	r := newReader(b)
	k, flags := r.head()
	f := frame{kind: k, session: r.U64()}
	f.from = string(r.Bytes(maxNameBytes))
	if r.Bad() || f.from == "" || k == 0 || k >= kindEnd || flags&^flagCompressed != 0 {
		return frame{}, ErrFrame
	}
	f.payload = r.Rest()
	if flags&flagCompressed != 0 {
		n, err := s2.DecodedLen(r.Rest())
		if err != nil || n > MaxFrameBytes {
			return frame{}, ErrFrame
		}
		if f.payload, err = s2.Decode(nil, r.Rest()); err != nil {
			return frame{}, ErrFrame
		}
	}
	if len(f.payload) > MaxFrameBytes {
		return frame{}, ErrFrame
	}
	return f, nil
}

// hello opens a session and tells who speaks. Repeated hellos of one session
// (higher seq) tell what changed.
type hello struct {
	token, echo uint64 // own token; the other side's, 0 if unknown
	knows       bool   // the sender has the session named by token and echo
	seq         uint64
	kinds       uint64
	origin      clock.Origin
	deployment  uint64
	firm        bool
	hasData     bool
	intent      Intent
	verdict     verdict
	reading     clock.Reading
	transfer    uint64 // transfer being received from the addressee, 0 for none
	former      []uint64
	applied     clock.Vector
	synced      clock.Vector
}

const (
	helloKnows = 1 << iota
	helloFirm
	helloHasData
	helloEnd
)

func (h *hello) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, h.token)
	dst = binary.BigEndian.AppendUint64(dst, h.echo)
	dst = append(dst, bit(h.knows, helloKnows)|bit(h.firm, helloFirm)|bit(h.hasData, helloHasData),
		byte(h.intent), byte(h.verdict))
	dst = binary.AppendUvarint(dst, h.seq)
	dst = binary.BigEndian.AppendUint64(dst, h.kinds)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.origin))
	dst = binary.BigEndian.AppendUint64(dst, h.deployment)
	dst = binary.BigEndian.AppendUint64(dst, uint64(h.reading))
	dst = binary.BigEndian.AppendUint64(dst, h.transfer)
	dst = binary.AppendUvarint(dst, uint64(len(h.former)))
	for _, id := range h.former {
		dst = binary.BigEndian.AppendUint64(dst, id)
	}
	return h.synced.Append(h.applied.Append(dst))
}

func parseHello(b []byte) (hello, error) {
	r := newReader(b)
	h := hello{token: r.U64(), echo: r.U64()}
	flags := r.Byte()
	h.knows, h.firm, h.hasData = flags&helloKnows != 0, flags&helloFirm != 0, flags&helloHasData != 0
	h.intent, h.verdict = Intent(r.Byte()), verdict(r.Byte())
	h.seq = r.Uvarint(1 << 62)
	h.kinds = r.U64()
	h.origin = clock.Origin(r.U64())
	h.deployment = r.U64()
	h.reading = clock.Reading(r.U64())
	h.transfer = r.U64()
	for range r.Uvarint(maxFormer) {
		h.former = append(h.former, r.U64())
	}
	h.applied, h.synced = r.Vector(), r.Vector()
	if r.Bad() || len(r.Rest()) != 0 || h.token == 0 || h.origin.Region() == 0 ||
		flags >= helloEnd || h.intent > IntentEmpty || h.verdict > verdictRemoved {
		return hello{}, ErrFrame
	}
	return h, nil
}

// nack names a gap: batches of origin after from, up to to.
type nack struct {
	origin   clock.Origin
	from, to clock.Reading
}

// report is a core's regular word to one peer. The vectors of a report leave
// out what the peer is known to have heard: entries equal to those of the last
// report it confirmed. have only names origins with more received than applied.
type report struct {
	seq        uint64 // of this session, from 1
	got        uint64 // highest seq received from the addressee
	sentUs     int64  // sender's clock
	echoUs     int64  // sentUs of the newest report received, 0 for none
	echoHeldUs int64  // how long ago that was
	state      remoteState
	reading    clock.Reading
	applied    clock.Vector
	synced     clock.Vector
	have       clock.Vector
	credit     uint64 // bytes the sender would buffer now
	nacks      []nack
	transfer   uint64 // transfer being received from the addressee
	next       uint64 // its first chunk not yet received
	beyond     uint64 // bit i: chunk next+1+i is received
	sending    uint64 // transfer being sent to the addressee, 0 for none
	troubled   byte   // siblings that the sender's log cannot serve, or that cannot serve it
	// A heartbeat adds what changes rarely.
	heartbeat  bool
	heard      []uint16 // regions heard directly, ascending
	attachment []byte   // the host's, opaque
}

// remoteState is what a report says of its sender's side of the link.
type remoteState byte

const (
	remoteOK        remoteState = 0
	remoteFull      remoteState = 1 << 0 // takes no batches for now
	remoteClock     remoteState = 1 << 1 // holds batches of the addressee from the future
	remoteSyncing   remoteState = 1 << 2 // is receiving a transfer
	remoteBusy      remoteState = 1 << 3 // is receiving it from somebody else
	remoteSuspends  remoteState = 1 << 4 // the addressee fell behind the log and has to empty itself
	remoteHeartbeat remoteState = 1 << 5
	remoteEnd       remoteState = 1 << 6
)

func (p *report) append(dst []byte) []byte {
	state := p.state
	if p.heartbeat {
		state |= remoteHeartbeat
	}
	dst = append(dst, byte(state))
	dst = binary.AppendUvarint(dst, p.seq)
	dst = binary.AppendUvarint(dst, p.got)
	dst = binary.AppendVarint(dst, p.sentUs)
	dst = binary.AppendVarint(dst, p.echoUs)
	dst = binary.AppendVarint(dst, p.echoHeldUs)
	dst = binary.BigEndian.AppendUint64(dst, uint64(p.reading))
	dst = p.have.Append(p.synced.Append(p.applied.Append(dst)))
	dst = binary.AppendUvarint(dst, p.credit)
	dst = binary.AppendUvarint(dst, uint64(len(p.nacks)))
	for _, n := range p.nacks {
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.origin))
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.from))
		dst = binary.BigEndian.AppendUint64(dst, uint64(n.to))
	}
	dst = binary.BigEndian.AppendUint64(dst, p.transfer)
	dst = binary.AppendUvarint(dst, p.next)
	dst = binary.AppendUvarint(dst, p.beyond)
	dst = append(binary.BigEndian.AppendUint64(dst, p.sending), p.troubled)
	if p.heartbeat {
		dst = binary.AppendUvarint(dst, uint64(len(p.heard)))
		for _, id := range p.heard {
			dst = binary.BigEndian.AppendUint16(dst, id)
		}
		dst = appendBytes(dst, p.attachment)
	}
	return dst
}

func parseReport(b []byte) (report, error) {
	r := newReader(b)
	p := report{state: remoteState(r.Byte())}
	p.heartbeat = p.state&remoteHeartbeat != 0
	p.seq, p.got = r.Uvarint(1<<62), r.Uvarint(1<<62)
	p.sentUs, p.echoUs, p.echoHeldUs = r.Varint(), r.Varint(), r.Varint()
	p.reading = clock.Reading(r.U64())
	p.applied, p.synced, p.have = r.Vector(), r.Vector(), r.Vector()
	p.credit = r.Uvarint(1 << 62)
	for range r.Uvarint(maxNacks) {
		p.nacks = append(p.nacks, nack{clock.Origin(r.U64()), clock.Reading(r.U64()), clock.Reading(r.U64())})
	}
	p.transfer, p.next, p.beyond = r.U64(), r.Uvarint(1<<62), r.Uvarint(1<<64-1)
	p.sending, p.troubled = r.U64(), r.Byte()
	if p.heartbeat {
		for range r.Uvarint(maxHeard) {
			p.heard = append(p.heard, uint16(r.Byte())<<8|uint16(r.Byte()))
		}
		p.attachment = append([]byte(nil), r.Bytes(maxAttachment)...)
	}
	if r.Bad() || len(r.Rest()) != 0 || p.seq == 0 || p.state >= remoteEnd {
		return report{}, ErrFrame
	}
	p.state &^= remoteHeartbeat
	return p, nil
}

// part is one piece of a message that is longer than a frame. id is a checksum
// of the whole message, so a message sent again fills the gaps of the first
// attempt.
type part struct {
	kind  kind
	id    uint64
	total uint64
	index uint64
	bytes []byte
}

var partTable = crc64.MakeTable(crc64.ECMA)

func messageID(k kind, payload []byte) uint64 {
	return crc64.Update(uint64(k), partTable, payload)
}

func (p *part) append(dst []byte) []byte {
	dst = append(dst, byte(p.kind))
	dst = binary.BigEndian.AppendUint64(dst, p.id)
	dst = binary.AppendUvarint(dst, p.total)
	dst = binary.AppendUvarint(dst, p.index)
	return append(dst, p.bytes...)
}

// parsePart checks that the piece is where and as long as it must be.
func parsePart(b []byte, maxTotal int) (part, error) {
	r := newReader(b)
	p := part{kind: kind(r.Byte()), id: r.U64(), total: r.Uvarint(uint64(maxTotal)), index: r.Uvarint(maxPartsInOne)}
	p.bytes = r.Rest()
	start := p.index * partBytes
	if r.Bad() || (p.kind != kindBatches && p.kind != kindState) || p.total <= MaxFrameBytes || start >= p.total ||
		uint64(len(p.bytes)) != min(partBytes, p.total-start) {
		return part{}, ErrFrame
	}
	return p, nil
}

// stateChunk is one piece of a transfer. The last one carries the vector that
// the whole brings the receiver to.
type stateChunk struct {
	id      uint64
	seq     uint64
	reading clock.Reading // sender's clock when it was made
	last    bool
	vector  clock.Vector // what the sender had applied when the transfer began
	holds   clock.Vector // of all but the last: covers every change in entries
	entries []StateEntry
}

func (s *stateChunk) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, s.id)
	dst = binary.AppendUvarint(dst, s.seq)
	dst = binary.BigEndian.AppendUint64(dst, uint64(s.reading))
	dst = append(dst, bit(s.last, 1))
	dst = s.vector.Append(dst)
	if s.last {
		return dst
	}
	dst = s.holds.Append(dst)
	dst = binary.AppendUvarint(dst, uint64(len(s.entries)))
	for _, e := range s.entries {
		dst = binary.AppendUvarint(dst, uint64(e.DB))
		dst = appendBytes(appendBytes(dst, e.Key), e.State)
	}
	return dst
}

// parseState also decodes every key state, so that a host never meets a
// malformed one.
func parseState(b []byte) (stateChunk, error) {
	r := newReader(b)
	s := stateChunk{id: r.U64(), seq: r.Uvarint(1 << 62), reading: clock.Reading(r.U64())}
	flags := r.Byte()
	s.vector = r.Vector()
	if s.last = flags == 1; !s.last {
		s.holds = r.Vector()
		for range r.Uvarint(maxStateInOne) {
			e := StateEntry{DB: int(r.Uvarint(op.MaxDBs - 1)), Key: r.Bytes(op.MaxKeyLen), State: r.Bytes(1 << 31)}
			if r.Bad() {
				break
			}
			if _, err := op.DecodeKeyState(e.State); err != nil {
				return stateChunk{}, ErrFrame
			}
			s.entries = append(s.entries, e)
		}
	}
	if r.Bad() || len(r.Rest()) != 0 || s.id == 0 || flags > 1 {
		return stateChunk{}, ErrFrame
	}
	return s, nil
}

func appendBytes(dst, p []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(p))), p...)
}

func bit(set bool, b byte) byte {
	if set {
		return b
	}
	return 0
}

// reader is op.Reader with the head of a frame.
type reader struct{ op.Reader }

func newReader(b []byte) reader { return reader{op.NewReader(b)} }

// head reads version, kind and flags.
func (r *reader) head() (kind, byte) {
	if r.Byte() != frameVersion {
		r.Fail()
	}
	return kind(r.Byte()), r.Byte()
}
