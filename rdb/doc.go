// Package rdb owns the format of Redis' RDB files and of DUMP payloads: a
// Writer and a Reader of keys with their values and deadlines, over io.Writer
// and io.Reader, and AppendDump and ReadDump for one value.
//
// Each type of value is a Value with a file of its own (string.go, list.go,
// ...). A collection hands over its elements as a Seq, one at a time, in both
// directions, so that nobody holds it as a whole: a Writer ranges over what the
// owner gives, and what a Reader returns reads the file while it is ranged
// over. Encodings inside a value (listpack.go, ziplist.go, ...) are Redis'
// blocks of bounded size and are the only thing read as a whole.
//
// Reader takes what Redis from version 2.8 to 7.4 and 8 writes (format
// versions 6 to 12) and refuses by name and offset what it does not know,
// because skipping a value would lose data in silence. Recency (IDLE and FREQ)
// is read over: it starts anew. Written is the oldest form that holds a value,
// which is one element after the other wherever there is a choice: a server
// makes its own compact encoding of that by its own thresholds.
//
// The package knows nothing of files, the keyspace or the network. It has no
// locks: a Writer or Reader belongs to one goroutine. What a Reader holds is
// bounded by what has arrived, not by lengths that a damaged or hostile file
// claims. ReadDump checks everything before it hands anything over.
package rdb
