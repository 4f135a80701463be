package tests

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// codeRef is a file of the code in backticks, alone or with a function, type,
// variable or Type.Method that it declares.
var codeRef = regexp.MustCompile("`([a-z_]+(?:/[a-z_0-9]+)*\\.go)(?::([A-Za-z.]+))?`")

// localLink is a markdown link that stays in the repository.
var localLink = regexp.MustCompile(`\]\(([^)#:]+)(?:#[^)]*)?\)`)

// papers are the documents written by hand or made from tables.
func papers(t *testing.T) []string {
	files := []string{filepath.Join("..", "README.md")}
	for _, pattern := range []string{"*.md", "adr/*.md"} {
		more, err := filepath.Glob(filepath.Join("..", "docs", pattern))
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, more...)
	}
	return files
}

func readPaper(t *testing.T, file string) string {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestDocsNameWhatExists holds the papers to the code: what they name in it is
// there, and in the file that they say.
func TestDocsNameWhatExists(t *testing.T) {
	declared := map[string][]string{}
	for _, paper := range papers(t) {
		for _, ref := range codeRef.FindAllStringSubmatch(readPaper(t, paper), -1) {
			file, name := ref[1], ref[2]
			names, known := declared[file]
			if !known {
				var err error
				if names, err = declarations(filepath.Join("..", file)); err != nil {
					t.Errorf("%s names %s: %v", paper, file, err)
				}
				declared[file] = names
			}
			if name != "" && len(names) > 0 && !slices.Contains(names, name) {
				t.Errorf("%s names %s, which does not declare %s", paper, file, name)
			}
		}
	}
	if len(declared) < 20 {
		t.Errorf("only %d files of the code are named: has the form of references changed?", len(declared))
	}
}

// TestDocsLinks follows the links between the papers.
func TestDocsLinks(t *testing.T) {
	for _, paper := range papers(t) {
		for _, link := range localLink.FindAllStringSubmatch(readPaper(t, paper), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(paper), link[1])); err != nil {
				t.Errorf("%s links to %s: %v", paper, link[1], err)
			}
		}
	}
}

// TestDocsShowEveryPackage wants a place in the picture of the layers for each
// package that exists.
func TestDocsShowEveryPackage(t *testing.T) {
	const paper = "../docs/ARCHITECTURE.md"
	_, picture, found := strings.Cut(readPaper(t, paper), "## Layers")
	if !found {
		t.Fatalf("%s has no section Layers", paper)
	}
	picture, _, _ = strings.Cut(picture, "\n## ")
	for pkg := range edges {
		if _, err := os.Stat(filepath.Join("..", pkg)); err != nil {
			continue
		}
		if !regexp.MustCompile(`(?m)^ *(?:[\w/]+, )*` + pkg + `(?:,|  )`).MatchString(picture) {
			t.Errorf("%s: package %s is not in the picture", paper, pkg)
		}
	}
}

// declarations lists what a file declares at package level, methods as
// Type.Method.
func declarations(file string) ([]string, error) {
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, d := range parsed.Decls {
		switch d := d.(type) {
		case *ast.FuncDecl:
			names = append(names, receiver(d)+d.Name.Name)
		case *ast.GenDecl:
			for _, s := range d.Specs {
				switch s := s.(type) {
				case *ast.TypeSpec:
					names = append(names, s.Name.Name)
				case *ast.ValueSpec:
					for _, n := range s.Names {
						names = append(names, n.Name)
					}
				}
			}
		}
	}
	return names, nil
}

// receiver is the type of a method and a dot, or nothing.
func receiver(d *ast.FuncDecl) string {
	if d.Recv == nil {
		return ""
	}
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	if name, ok := typ.(*ast.Ident); ok {
		return name.Name + "."
	}
	return ""
}
