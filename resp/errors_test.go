package resp

import (
	"errors"
	"strings"
	"testing"
)

// Texts taken from redis-server 7.0.15 where it has them.
func TestErrorTexts(t *testing.T) {
	split := func(s string) (args [][]byte) {
		for _, word := range strings.Split(s, " ") {
			args = append(args, []byte(word))
		}
		return args
	}
	for _, c := range []struct {
		got  Error
		want string
	}{
		{UnknownCommand(split("foo a b c")), "ERR unknown command 'foo', with args beginning with: 'a' 'b' 'c' "},
		{UnknownCommand(split("foo")), "ERR unknown command 'foo', with args beginning with: "},
		{UnknownCommand([][]byte{[]byte(strings.Repeat("n", 200)), []byte(strings.Repeat("x", 200)), []byte("y")}),
			"ERR unknown command '" + strings.Repeat("n", 128) + "', with args beginning with: '" + strings.Repeat("x", 128) + "' "},
		{UnknownCommand([][]byte{[]byte("a\x00b"), []byte("c\x00d")}), "ERR unknown command 'a', with args beginning with: 'c' "},
		{UnknownSubcommand("client", []byte("foo")), "ERR unknown subcommand 'foo'. Try CLIENT HELP."},
		{SubcommandSyntax("object", []byte("foo")), "ERR unknown subcommand or wrong number of arguments for 'foo'. Try OBJECT HELP."},
		{WrongArity("config|get"), "ERR wrong number of arguments for 'config|get' command"},
		{InvalidExpire("setex"), "ERR invalid expire time in 'setex' command"},
		{UnsupportedOption([]byte("FOO")), "ERR Unsupported option FOO"},
		{IntRange(-2147483648, 2147483647), string(ErrNotInt32)},
		{HelloSyntax([]byte("foo")), "ERR Syntax error in HELLO option 'foo'"},
		{ConfigUnknown("foo"), "ERR Unknown option or number of arguments for CONFIG SET - 'foo'"},
		{ConfigSetFailed("hz", "argument couldn't be parsed into an integer"),
			"ERR CONFIG SET failed (possibly related to argument 'hz') - argument couldn't be parsed into an integer"},
		{ConfigSetFailed("hz", ""), "ERR CONFIG SET failed (possibly related to argument 'hz')"},
		{NoSuchUser([]byte("u")), "ERR No such user 'u'"},
		{UnknownClientType([]byte("foo")), "ERR Unknown client type 'foo'"},
		{ExecAbort(WrongArity("set")), "EXECABORT Transaction discarded because of: wrong number of arguments for 'set' command"},
		{ExecAbort(ErrOOM), "EXECABORT Transaction discarded because of: OOM command not allowed when used memory > 'maxmemory'."},
		{MisconfAOF("disk full"), "MISCONF Errors writing to the AOF file: disk full"},
		{NoPermKey(Compat70), "NOPERM this user has no permissions to access one of the keys used as arguments"},
		{NoPermCommand(Compat72, "bob", "get"), "NOPERM User bob has no permissions to run the 'get' command"},
		{Wrap(errors.New("x")), "ERR x"},
	} {
		if string(c.got) != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
	if !strings.Contains(string(HelloNoAuth(Compat72)), "the HELLO <proto> AUTH") ||
		!strings.Contains(string(HelloNoAuth(Compat70)), "the HELLO AUTH") {
		t.Error("HELLO text")
	}
	if ErrWrongType.Code() != "WRONGTYPE" || Error("X").Code() != "X" {
		t.Error("code")
	}
}
