// Verifies an exported log with golang.org/x/mod/sumdb/{note,tlog}, which nobody here wrote:
//
//	GO111MODULE=off GOPATH=/usr/share/gocode go run verify.go DIR VERIFIER_KEY
//
// DIR has checkpoint, tile/... and tile/entries/... (C2SP tlog-tiles), and if it likes proofs/*.tlog-proof and
// add-checkpoint, which are verified too. Debian: golang-go, golang-golang-x-mod-dev. Prints the size and exits with 0, or says
// what is wrong and exits with 1.
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type files struct{ dir string }

func (files) Height() int { return 8 }

func (f files) ReadTiles(tiles []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range tiles {
		// Go's paths name the height, those of C2SP do not.
		path := "tile/" + strings.TrimPrefix(tile.Path(), "tile/8/")
		data, err := os.ReadFile(filepath.Join(f.dir, path))
		if err != nil {
			return nil, err
		}
		all = append(all, data)
	}
	return all, nil
}

func (files) SaveTiles([]tlog.Tile, [][]byte) {}

func check(what string, err error) {
	if err != nil {
		fmt.Printf("%s: %v\n", what, err)
		os.Exit(1)
	}
}

func hash(text string) tlog.Hash {
	data, err := base64.StdEncoding.DecodeString(text)
	check("base64", err)
	if len(data) != tlog.HashSize {
		check("hash", fmt.Errorf("%d bytes", len(data)))
	}
	return tlog.Hash(*(*[tlog.HashSize]byte)(data))
}

// A checkpoint whose signature by the log verifies.
func checkpoint(text []byte, key string) tlog.Tree {
	verifier, err := note.NewVerifier(key)
	check("verifier key", err)
	opened, err := note.Open(text, note.VerifierList(verifier))
	check("checkpoint", err)
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		check("checkpoint", fmt.Errorf("not three lines of log %s", verifier.Name()))
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check("size", err)
	return tlog.Tree{N: size, Hash: hash(lines[2])}
}

// The lines of a proof up to the empty one, and what follows it.
func hashes(text string) ([]tlog.Hash, string) {
	var all []tlog.Hash
	for {
		line, rest, found := strings.Cut(text, "\n")
		if !found {
			check("proof", fmt.Errorf("no checkpoint"))
		}
		text = rest
		if line == "" {
			return all, text
		}
		all = append(all, hash(line))
	}
}

func entries(dir string, size int64) [][]byte {
	var all [][]byte
	for n := int64(0); n*256 < size; n++ {
		width := size - n*256
		if width > 256 {
			width = 256
		}
		path := tlog.Tile{H: 8, L: -1, N: n, W: int(width)}.Path()
		path = "tile/entries/" + strings.TrimPrefix(path, "tile/8/data/")
		data, err := os.ReadFile(filepath.Join(dir, path))
		check("bundle", err)
		for len(data) > 0 {
			if len(data) < 2 {
				check("bundle", fmt.Errorf("a length is cut"))
			}
			length := int(binary.BigEndian.Uint16(data))
			if len(data) < 2+length {
				check("bundle", fmt.Errorf("an entry is cut"))
			}
			all = append(all, data[2:2+length])
			data = data[2+length:]
		}
	}
	if int64(len(all)) != size {
		check("bundles", fmt.Errorf("%d entries, not %d", len(all), size))
	}
	return all
}

func main() {
	if len(os.Args) != 3 {
		check("usage", fmt.Errorf("verify DIR VERIFIER_KEY"))
	}
	dir, key := os.Args[1], os.Args[2]
	text, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check("checkpoint", err)
	tree := checkpoint(text, key)
	reader := tlog.TileHashReader(tree, files{dir})
	all := entries(dir, tree.N)
	for index := int64(0); index < tree.N; index++ {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		check("prove record", err)
		err = tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(all[index]))
		check(fmt.Sprintf("record %d", index), err)
	}
	for _, old := range []int64{1, 2, 3, 255, 256, 257, tree.N / 2, tree.N - 1, tree.N} {
		if old < 1 || old > tree.N {
			continue
		}
		proof, err := tlog.ProveTree(tree.N, old, reader)
		check("prove tree", err)
		root, err := tlog.TreeHash(old, reader)
		check("tree hash", err)
		check(fmt.Sprintf("tree %d", old), tlog.CheckTree(proof, tree.N, tree.Hash, old, root))
	}
	proofs, err := filepath.Glob(filepath.Join(dir, "proofs", "*.tlog-proof"))
	check("proofs", err)
	for _, file := range proofs {
		data, err := os.ReadFile(file)
		check("proof", err)
		rest := strings.TrimPrefix(string(data), "c2sp.org/tlog-proof@v1\nindex ")
		line, rest, _ := strings.Cut(rest, "\n")
		index, err := strconv.ParseInt(line, 10, 64)
		check("index", err)
		path, signed := hashes(rest)
		at := checkpoint([]byte(signed), key)
		err = tlog.CheckRecord(path, at.N, at.Hash, index, tlog.RecordHash(all[index]))
		check(file, err)
	}
	if data, err := os.ReadFile(filepath.Join(dir, "add-checkpoint")); err == nil {
		line, rest, _ := strings.Cut(strings.TrimPrefix(string(data), "old "), "\n")
		old, err := strconv.ParseInt(line, 10, 64)
		check("old size", err)
		proof, signed := hashes(rest)
		at := checkpoint([]byte(signed), key)
		root, err := tlog.TreeHash(old, reader)
		check("old root", err)
		check("add-checkpoint", tlog.CheckTree(proof, at.N, at.Hash, old, root))
	}
	fmt.Printf("ok %d entries, %d proofs\n", tree.N, len(proofs))
}
