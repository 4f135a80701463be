package command

import (
	"errors"

	"geocache/engine"
	"geocache/resp"
)

// FailWith replies with what a lower layer refused: an error reply as it is, an
// error of the engine in Redis' words.
func (c *Ctx) FailWith(err error) { c.Out.Error(reply(err)) }

func reply(err error) resp.Error {
	var e resp.Error
	switch {
	case errors.As(err, &e):
		return e
	case errors.Is(err, engine.ErrWrongType):
		return resp.ErrWrongType
	case errors.Is(err, engine.ErrNotInteger):
		return resp.ErrNotInt
	case errors.Is(err, engine.ErrNotFloat):
		return resp.ErrNotFloat
	case errors.Is(err, engine.ErrOverflow):
		return resp.ErrOverflow
	case errors.Is(err, engine.ErrNaN):
		return resp.ErrIncrNaN
	case errors.Is(err, engine.ErrHashNotInteger):
		return resp.ErrHashNotInt
	case errors.Is(err, engine.ErrHashNotFloat):
		return resp.ErrHashNotFloat
	}
	return resp.Wrap(err)
}
