// Package rdb owns the format of Redis' RDB files: a Writer and a Reader of
// keys with their values and deadlines, over io.Writer and io.Reader.
//
// Each type of value is a Value with a file of its own (string.go). Reader
// takes what Redis from version 2.8 to 7.4 and 8 writes (format versions 6 to
// 12) and refuses by name and offset what it does not know, because skipping
// a value would lose data in silence. Recency (IDLE and FREQ) is read over:
// it starts anew.
//
// The package knows nothing of files, the keyspace or the network. It has no
// locks: a Writer or Reader belongs to one goroutine. What a Reader holds is
// bounded by what has arrived, not by lengths that a damaged or hostile file
// claims.
package rdb
