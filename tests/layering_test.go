package tests

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"go/types"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// edges lists, for each package of the module, which others it may import. A
// package stands for its subpackages. Everything a package may import stands
// below it in the picture of docs/ARCHITECTURE.md.
var edges = map[string][]string{
	"cmd/geocache": {"server", "node", "command", "config", "persist", "geo", "resp", "clock"},
	"cmd/demo":     {},
	"server":       {"node", "command", "config", "persist", "replicate", "engine", "op", "slab", "geo", "resp", "clock"},
	"node": {"command", "script", "acl", "config", "pubsub", "replicate", "persist", "rdb", "rdbvalue",
		"engine", "op", "lru", "geo", "resp", "clock", "slab"},
	"command":   {"acl", "config", "pubsub", "rdb", "rdbvalue", "engine", "op", "lru", "geo", "hll", "bitstr", "resp", "clock"},
	"script":    {"engine", "resp", "clock"},
	"acl":       {},
	"config":    {},
	"pubsub":    {},
	"replicate": {"op", "geo", "clock"},
	"persist":   {"engine", "op", "clock"},
	"rdbvalue":  {"rdb", "engine", "op"},
	"rdb":       {},
	"engine":    {"op", "lru", "tree", "slab", "geo", "hll", "clock"},
	"op":        {"clock"},
	"lru":       {},
	"tree":      {"slab"},
	"slab":      {},
	"geo":       {"clock"},
	"hll":       {},
	"bitstr":    {},
	"resp":      {},
	"clock":     {},
}

// confined lists imports from outside the module that only some packages may
// have. The longest prefix that matches an import decides.
var confined = map[string][]string{
	"net":                           {"server", "persist", "cmd"},
	"net/netip":                     nil,
	"os":                            {"server", "persist", "cmd"},
	"syscall":                       {"server", "persist", "cmd"},
	"golang.org/x/sys":              {"server", "persist", "cmd"},
	"crypto/rand":                   {"clock", "server", "cmd"},
	"github.com/cockroachdb/pebble": {"persist"},
	"github.com/tidwall/redcon":     {"resp", "server"},
	"github.com/spf13/cobra":        {"cmd"},
	"github.com/redis/go-redis":     {"server", "cmd"},
	"github.com/anishathalye":       {},
	"testing":                       {},
	"github.com/hashicorp/serf":     {"geo"},
	"github.com/oschwald/maxminddb": {"geo"},
}

// timePackages may read the machine's clock, set timers and use global
// randomness; all others are given theirs.
var timePackages = []string{"clock", "server", "cmd"}

var ambient = map[string][]string{
	"time":    {"Now", "Since", "Until", "Sleep", "After", "AfterFunc", "Tick", "NewTimer", "NewTicker"},
	"context": {"WithTimeout", "WithTimeoutCause", "WithDeadline", "WithDeadlineCause"},
}

// seededRand are the functions of math/rand that use no global generator.
var seededRand = []string{"New", "NewPCG", "NewChaCha8", "NewSource", "NewZipf"}

// errorText is how a client-visible error text begins: with an upper-case code
// and a space.
var errorText = regexp.MustCompile(`^-?(ERR|WRONGTYPE|NOAUTH|NOPERM|NOPROTO|WRONGPASS|LOADING|MISCONF|OOM|EXECABORT|BUSY|NOSCRIPT|READONLY|DENIED|UNBLOCKED|BUSYKEY|NOREPLICAS|INVALIDOBJ|TESTFAILED) `)

// TestLayering holds the tree to the rules of docs/ARCHITECTURE.md.
func TestLayering(t *testing.T) {
	found, err := checkTree("..")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range found {
		t.Error(v)
	}
}

func TestLayeringTableIsAcyclic(t *testing.T) {
	const visiting, done = 1, 2
	state := map[string]int{}
	var visit func(string, []string)
	visit = func(pkg string, way []string) {
		way = append(way, pkg)
		if state[pkg] == visiting {
			t.Fatalf("the table allows a cycle: %s", strings.Join(way, " -> "))
		}
		if state[pkg] == done {
			return
		}
		state[pkg] = visiting
		for _, below := range edges[pkg] {
			if _, known := edges[below]; !known {
				t.Errorf("%s may import %s, which is not in the table", pkg, below)
			}
			visit(below, way)
		}
		state[pkg] = done
	}
	for pkg := range edges {
		visit(pkg, nil)
	}
}

// TestLayeringSeesViolations plants each violation in a tree of its own.
func TestLayeringSeesViolations(t *testing.T) {
	cases := []struct{ name, file, source, want string }{
		{"clean", "engine/a.go", "package engine\n\nimport (\n\t\"errors\"\n\t\"time\"\n\n\t\"geocache/op\"\n)\n\nvar ErrX = errors.New(\"x\")\n\nvar names = [...]string{\"a\"}\n\ntype Switch bool\n\nfunc F(d time.Duration, s Switch) string { return names[op.X] }\n", ""},
		{"upward", "engine/a.go", "package engine\n\nimport _ \"geocache/node\"\n", "engine may not import geocache/node"},
		{"sideways", "persist/a.go", "package persist\n\nimport _ \"geocache/replicate\"\n", "persist may not import geocache/replicate"},
		{"subpackage", "engine/slab/a.go", "package slab\n\nimport _ \"geocache/resp\"\n", "engine may not import geocache/resp"},
		{"unknown package", "misc/a.go", "package misc\n", "misc is not in the table"},
		{"net", "node/a.go", "package node\n\nimport _ \"net\"\n", "node may not import net"},
		{"net below", "node/a.go", "package node\n\nimport _ \"net/http\"\n", "node may not import net/http"},
		{"netip", "geo/a.go", "package geo\n\nimport _ \"net/netip\"\n", ""},
		{"os", "config/a.go", "package config\n\nimport _ \"os\"\n", "config may not import os"},
		{"os below", "config/a.go", "package config\n\nimport _ \"os/exec\"\n", "config may not import os/exec"},
		{"os in test", "config/a_test.go", "package config\n\nimport _ \"os\"\n", ""},
		{"pebble", "node/a.go", "package node\n\nimport _ \"github.com/cockroachdb/pebble/v2/vfs\"\n", "node may not import github.com/cockroachdb/pebble/v2/vfs"},
		{"redcon", "command/a.go", "package command\n\nimport _ \"github.com/tidwall/redcon\"\n", "command may not import"},
		{"cobra", "server/a.go", "package server\n\nimport _ \"github.com/spf13/cobra\"\n", "server may not import"},
		{"now", "engine/a.go", "package engine\n\nimport \"time\"\n\nfunc f() int64 { return time.Now().Unix() }\n", "time.Now"},
		{"now renamed", "engine/a.go", "package engine\n\nimport tm \"time\"\n\nvar f = tm.Now\n", "time.Now"},
		{"timer", "node/a.go", "package node\n\nimport \"time\"\n\nfunc f() { <-time.After(1) }\n", "time.After"},
		{"timeout", "node/a.go", "package node\n\nimport \"context\"\n\nfunc f() { context.WithTimeout(nil, 1) }\n", "context.WithTimeout"},
		{"now in clock", "clock/a.go", "package clock\n\nimport \"time\"\n\nfunc f() int64 { return time.Now().Unix() }\n", ""},
		{"global rand", "lru/a.go", "package lru\n\nimport \"math/rand/v2\"\n\nfunc f() int { return rand.IntN(3) }\n", "rand/v2.IntN"},
		{"seeded rand", "lru/a.go", "package lru\n\nimport \"math/rand/v2\"\n\nfunc f(r *rand.Rand) *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }\n", ""},
		{"init", "op/a.go", "package op\n\nfunc init() {}\n", "init"},
		{"var without value", "op/a.go", "package op\n\nvar n int\n", "mutable package variable n"},
		{"var assigned", "op/a.go", "package op\n\nvar n = 1\n\nfunc f() { n = 2 }\n", "mutable package variable n"},
		{"var counted", "op/a.go", "package op\n\nvar n = 1\n\nfunc f() { n++ }\n", "mutable package variable n"},
		{"var element", "op/a.go", "package op\n\nvar m = map[int]int{}\n\nfunc f() { m[1] = 2 }\n", "mutable package variable m"},
		{"var field", "op/a.go", "package op\n\nvar s = struct{ a []int }{}\n\nfunc f() { s.a[0] = 2 }\n", "mutable package variable s"},
		{"var address", "op/a.go", "package op\n\nvar n = 1\n\nfunc f() *int { return &n }\n", "mutable package variable n"},
		{"var delete", "op/a.go", "package op\n\nvar m = map[int]int{}\n\nfunc f() { delete(m, 1) }\n", "mutable package variable m"},
		{"var sync", "op/a.go", "package op\n\nimport \"sync\"\n\nvar m = sync.Mutex{}\n", "mutable package variable m"},
		{"var made", "op/a.go", "package op\n\nvar m = make(chan int)\n", "mutable package variable m"},
		{"var shadowed", "op/a.go", "package op\n\nvar n = 1\n\nfunc f() int { n := n; n++; return n }\n", ""},
		{"var interface", "op/a.go", "package op\n\ntype I interface{}\n\ntype T struct{}\n\nvar _ I = (*T)(nil)\n", ""},
		{"bool", "op/a.go", "package op\n\nfunc F(n int, on bool) {}\n", "boolean parameter of F"},
		{"bool method", "op/a.go", "package op\n\ntype T struct{}\n\nfunc (t *T) M(on bool) {}\n", "boolean parameter of T.M"},
		{"bool interface", "op/a.go", "package op\n\ntype I interface{ M(on bool) }\n", "boolean parameter of I.M"},
		{"bool as data", "op/a.go", "package op\n\nfunc AppendBool(v bool) {}\n", ""},
		{"bool unexported", "op/a.go", "package op\n\nfunc f(on bool) bool { return on }\n", ""},
		{"format", "op/a.go", "package op\nfunc f( ) { }\n", "not formatted"},
		{"format of test", "op/a_test.go", "package op\nfunc f( ) { }\n", "not formatted"},
		{"error text", "node/a.go", "package node\n\nconst e = \"ERR no such thing\"\n", "error text outside resp"},
		{"error text in resp", "resp/a.go", "package resp\n\nconst e = \"ERR no such thing\"\n", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			root := t.TempDir()
			file := filepath.Join(root, c.file)
			if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(file, []byte(c.source), 0o644); err != nil {
				t.Fatal(err)
			}
			found, err := checkTree(root)
			switch {
			case err != nil:
				t.Fatal(err)
			case c.want == "" && len(found) > 0:
				t.Errorf("clean tree, found %q", found)
			case c.want != "" && (len(found) != 1 || !strings.Contains(found[0], c.want)):
				t.Errorf("want one violation with %q, found %q", c.want, found)
			}
		})
	}
}

// checkTree returns the violations in the packages below root, sorted by file.
func checkTree(root string) ([]string, error) {
	dirs := map[string][]string{}
	err := filepath.WalkDir(root, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() && rel != "." && (name == "testdata" || name == "data" || name[0] == '.' || name[0] == '_') {
			return filepath.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(name, ".go") {
			dir := filepath.ToSlash(filepath.Dir(rel))
			dirs[dir] = append(dirs[dir], rel)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	var found []string
	for dir, files := range dirs {
		c := checker{root: root, pkg: packageOf(dir), fset: token.NewFileSet()}
		if err := c.checkDir(files); err != nil {
			return nil, err
		}
		found = append(found, c.found...)
	}
	slices.Sort(found)
	return slices.Compact(found), nil
}

// packageOf is the row of the table for a directory.
func packageOf(dir string) string {
	words := strings.Split(dir, "/")
	if words[0] == "cmd" && len(words) > 1 {
		return path.Join(words[:2]...)
	}
	return words[0]
}

type checker struct {
	root  string
	pkg   string
	fset  *token.FileSet
	found []string
}

func (c *checker) report(pos token.Pos, text string, args ...any) {
	p := c.fset.Position(pos)
	if rel, err := filepath.Rel(c.root, p.Filename); err == nil {
		p.Filename = rel
	}
	c.found = append(c.found, fmt.Sprintf("%s:%d: %s", p.Filename, p.Line, fmt.Sprintf(text, args...)))
}

// checkDir checks the files of one directory. Tests are exempt from everything
// but their form, and so is this package.
func (c *checker) checkDir(files []string) error {
	var product []*ast.File
	for _, rel := range files {
		name := filepath.Join(c.root, rel)
		source, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(c.fset, name, source, parser.ParseComments)
		if err != nil {
			return err
		}
		if formatted, err := format.Source(source); err != nil || !bytes.Equal(formatted, source) {
			c.report(file.Package, "not formatted by gofmt")
		}
		if !strings.HasSuffix(rel, "_test.go") && c.pkg != "tests" {
			product = append(product, file)
		}
	}
	if len(product) == 0 {
		return nil
	}
	if _, known := edges[c.pkg]; !known {
		c.report(product[0].Package, "package %s is not in the table of layers", c.pkg)
		return nil
	}
	info := c.resolve(product)
	written := c.writtenVars(product, info)
	for _, file := range product {
		c.checkImports(file)
		c.checkUses(file, info)
		for _, decl := range file.Decls {
			c.checkDecl(decl, info, written)
		}
	}
	return nil
}

// resolve binds identifiers to what they name. Imported packages are left
// empty, so types from elsewhere stay unknown; nothing here asks for them.
func (c *checker) resolve(files []*ast.File) *types.Info {
	info := &types.Info{
		Defs:  map[*ast.Ident]types.Object{},
		Uses:  map[*ast.Ident]types.Object{},
		Types: map[ast.Expr]types.TypeAndValue{},
	}
	conf := types.Config{Importer: emptyImporter{}, Error: func(error) {}}
	// The error says that imported names are missing.
	_, _ = conf.Check(c.pkg, c.fset, files, info)
	return info
}

type emptyImporter struct{}

func (emptyImporter) Import(importPath string) (*types.Package, error) {
	name := path.Base(importPath)
	if regexp.MustCompile(`^v[0-9]+$`).MatchString(name) {
		name = path.Base(path.Dir(importPath))
	}
	pkg := types.NewPackage(importPath, name)
	pkg.MarkComplete()
	return pkg, nil
}

func (c *checker) checkImports(file *ast.File) {
	for _, spec := range file.Imports {
		target, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if inside, ok := strings.CutPrefix(target, "geocache/"); ok {
			inside = packageOf(inside)
			if inside != c.pkg && !slices.Contains(edges[c.pkg], inside) {
				c.report(spec.Pos(), "%s may not import %s", c.pkg, target)
			}
			continue
		}
		if holders, ok := longestPrefix(confined, target); ok && !c.isOneOf(holders) {
			c.report(spec.Pos(), "%s may not import %s", c.pkg, target)
		}
	}
}

// isOneOf reports whether the package is among names; nil stands for all.
func (c *checker) isOneOf(names []string) bool {
	top, _, _ := strings.Cut(c.pkg, "/")
	return names == nil || slices.Contains(names, c.pkg) || slices.Contains(names, top)
}

func longestPrefix(table map[string][]string, importPath string) ([]string, bool) {
	for p := importPath; p != "."; p = path.Dir(p) {
		if v, ok := table[p]; ok {
			return v, true
		}
	}
	return nil, false
}

// checkUses looks for ambient time and randomness, and for error texts.
func (c *checker) checkUses(file *ast.File, info *types.Info) {
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			if from := importedPackage(n.X, info); from != "" && !c.isOneOf(timePackages) && isAmbient(from, n) {
				c.report(n.Pos(), "%s.%s outside %v", from, n.Sel.Name, timePackages)
			}
		case *ast.BasicLit:
			if text, err := strconv.Unquote(n.Value); err == nil && n.Kind == token.STRING && c.pkg != "resp" &&
				c.pkg != "cmd/demo" && errorText.MatchString(text) {
				c.report(n.Pos(), "error text outside resp: %s", n.Value)
			}
		}
		return true
	})
}

// importedPackage is the path of the package that x names, or empty.
func importedPackage(x ast.Expr, info *types.Info) string {
	if id, ok := x.(*ast.Ident); ok {
		if name, ok := info.Uses[id].(*types.PkgName); ok {
			return name.Imported().Path()
		}
	}
	return ""
}

func isAmbient(from string, sel *ast.SelectorExpr) bool {
	name := sel.Sel.Name
	if from == "math/rand" || from == "math/rand/v2" {
		isType := slices.Contains([]string{"Rand", "Source", "Source64", "PCG", "ChaCha8", "Zipf"}, name)
		return !isType && !slices.Contains(seededRand, name)
	}
	return slices.Contains(ambient[from], name)
}

func (c *checker) checkDecl(decl ast.Decl, info *types.Info, written map[types.Object]bool) {
	switch decl := decl.(type) {
	case *ast.FuncDecl:
		if decl.Recv == nil && decl.Name.Name == "init" {
			c.report(decl.Pos(), "init function")
		}
		if name, exported := exportedName(decl); exported {
			c.checkParams(name, decl.Type, info)
		}
	case *ast.GenDecl:
		for _, spec := range decl.Specs {
			switch spec := spec.(type) {
			case *ast.ValueSpec:
				if decl.Tok == token.VAR {
					c.checkVar(spec, info, written)
				}
			case *ast.TypeSpec:
				c.checkInterface(spec, info)
			}
		}
	}
}

func (c *checker) checkVar(spec *ast.ValueSpec, info *types.Info, written map[types.Object]bool) {
	for i, name := range spec.Names {
		if name.Name == "_" {
			continue
		}
		if len(spec.Values) == 0 || written[info.Defs[name]] || (i < len(spec.Values) && isMutable(spec.Values[i])) {
			c.report(name.Pos(), "mutable package variable %s", name.Name)
		}
	}
}

// isMutable reports whether a value exists only to be changed: something made
// empty, or a lock, pool or atomic.
func isMutable(value ast.Expr) bool {
	switch v := value.(type) {
	case *ast.UnaryExpr:
		return isMutable(v.X)
	case *ast.CallExpr:
		fun, ok := v.Fun.(*ast.Ident)
		return ok && (fun.Name == "make" || fun.Name == "new")
	case *ast.CompositeLit:
		sel, ok := v.Type.(*ast.SelectorExpr)
		if !ok {
			return false
		}
		from, ok := sel.X.(*ast.Ident)
		return ok && (from.Name == "sync" || from.Name == "atomic")
	}
	return false
}

// writtenVars finds the package variables that some statement may change.
func (c *checker) writtenVars(files []*ast.File, info *types.Info) map[types.Object]bool {
	written := map[types.Object]bool{}
	mark := func(x ast.Expr) {
		if id := baseIdent(x); id != nil {
			if v, ok := info.Uses[id].(*types.Var); ok && v.Pkg() != nil && v.Parent() == v.Pkg().Scope() {
				written[v] = true
			}
		}
	}
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.AssignStmt:
				for _, x := range n.Lhs {
					mark(x)
				}
			case *ast.RangeStmt:
				if n.Tok == token.ASSIGN {
					mark(n.Key)
					mark(n.Value)
				}
			case *ast.IncDecStmt:
				mark(n.X)
			case *ast.UnaryExpr:
				if n.Op == token.AND {
					mark(n.X)
				}
			case *ast.CallExpr:
				if fun, ok := n.Fun.(*ast.Ident); ok && len(n.Args) > 0 && slices.Contains([]string{"delete", "clear", "copy"}, fun.Name) {
					mark(n.Args[0])
				}
			}
			return true
		})
	}
	return written
}

// baseIdent is the variable that an expression is a part of.
func baseIdent(x ast.Expr) *ast.Ident {
	for {
		switch v := x.(type) {
		case *ast.Ident:
			return v
		case *ast.IndexExpr:
			x = v.X
		case *ast.SliceExpr:
			x = v.X
		case *ast.SelectorExpr:
			x = v.X
		case *ast.StarExpr:
			x = v.X
		case *ast.ParenExpr:
			x = v.X
		default:
			return nil
		}
	}
}

// exportedName is the name of a function or of a method of an exported type.
func exportedName(decl *ast.FuncDecl) (name string, exported bool) {
	if !decl.Name.IsExported() {
		return "", false
	}
	if decl.Recv == nil || len(decl.Recv.List) == 0 {
		return decl.Name.Name, true
	}
	id := baseIdent(decl.Recv.List[0].Type)
	if id == nil || !id.IsExported() {
		return "", false
	}
	return id.Name + "." + decl.Name.Name, true
}

func (c *checker) checkInterface(spec *ast.TypeSpec, info *types.Info) {
	iface, ok := spec.Type.(*ast.InterfaceType)
	if !ok || !spec.Name.IsExported() {
		return
	}
	for _, m := range iface.Methods.List {
		if fun, ok := m.Type.(*ast.FuncType); ok && len(m.Names) == 1 && m.Names[0].IsExported() {
			c.checkParams(spec.Name.Name+"."+m.Names[0].Name, fun, info)
		}
	}
}

// checkParams refuses switches; a boolean that is the datum itself, as the
// name then says, is none.
func (c *checker) checkParams(name string, fun *ast.FuncType, info *types.Info) {
	if strings.HasSuffix(name, "Bool") {
		return
	}
	for _, p := range fun.Params.List {
		if info.Types[p.Type].Type == types.Typ[types.Bool] {
			c.report(p.Pos(), "boolean parameter of %s", name)
		}
	}
}
