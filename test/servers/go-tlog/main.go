// Verifies a published Sallyport log with Go's own golang.org/x/mod/sumdb, which shares nothing with our code:
// signature, tiles, every entry, inclusion, growth from an earlier checkpoint, and a receipt.
//
//	go run main.go DIRECTORY VKEY OLD-CHECKPOINT RECEIPT
package main

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

var directory string

func must(err error, what string) {
	if err != nil {
		log.Fatalf("%s: %v", what, err)
	}
}

// head opens a checkpoint and gives its tree.
func head(message []byte, vkey string) tlog.Tree {
	verifier, err := note.NewVerifier(vkey)
	must(err, "vkey")
	opened, err := note.Open(message, note.VerifierList(verifier))
	must(err, "note")
	lines := strings.Split(opened.Text, "\n")
	if len(lines) != 4 || lines[0] != verifier.Name() {
		log.Fatalf("not a checkpoint of %s", verifier.Name())
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err, "size")
	root, err := tlog.ParseHash(lines[2])
	must(err, "root")
	return tlog.Tree{N: size, Hash: root}
}

// path is that of tlog-tiles: the height is always 8 and not written.
func path(tile tlog.Tile) string {
	return filepath.Join(directory, strings.Replace(tile.Path(), "tile/8/", "tile/", 1))
}

type tiles struct{}

func (tiles) Height() int                      { return 8 }
func (tiles) SaveTiles([]tlog.Tile, [][]byte) {}
func (tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var all [][]byte
	for _, tile := range wanted {
		data, err := os.ReadFile(path(tile))
		if err != nil {
			whole := tile
			whole.W = 256
			if data, err = os.ReadFile(path(whole)); err != nil {
				return nil, err
			}
			data = data[:tile.W*tlog.HashSize]
		}
		all = append(all, data)
	}
	return all, nil
}

func bundle(index, size int64) [][]byte {
	width := int(size - index*256)
	if width > 256 {
		width = 256
	}
	name := path(tlog.Tile{H: 8, L: -1, N: index, W: width})
	data, err := os.ReadFile(strings.Replace(name, "tile/data/", "tile/entries/", 1))
	must(err, "bundle")
	var entries [][]byte
	for len(data) > 0 {
		length := int(binary.BigEndian.Uint16(data))
		entries = append(entries, data[2:2+length])
		data = data[2+length:]
	}
	if len(entries) != width {
		log.Fatalf("bundle %d has %d entries", index, len(entries))
	}
	return entries
}

func receipt(data []byte, vkey string) {
	parts := strings.SplitN(string(data), "\n\n", 2)
	lines := strings.Split(parts[0], "\n")
	if lines[0] != "c2sp.org/tlog-proof@v1" {
		log.Fatal("not a tlog-proof")
	}
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	must(err, "extra")
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	must(err, "index")
	var proof tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := tlog.ParseHash(line)
		must(err, "hash")
		proof = append(proof, hash)
	}
	tree := head([]byte(parts[1]), vkey)
	must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, tlog.RecordHash(entry)), "receipt")
}

func main() {
	directory = os.Args[1]
	vkey := os.Args[2]
	message, err := os.ReadFile(filepath.Join(directory, "checkpoint"))
	must(err, "checkpoint")
	tree := head(message, vkey)
	reader := tlog.TileHashReader(tree, tiles{})
	root, err := tlog.TreeHash(tree.N, reader)
	must(err, "tree")
	if root != tree.Hash {
		log.Fatal("the tiles give another root")
	}
	for start := int64(0); start*256 < tree.N; start++ {
		entries := bundle(start, tree.N)
		var indexes []int64
		for i := range entries {
			indexes = append(indexes, tlog.StoredHashIndex(0, start*256+int64(i)))
		}
		hashes, err := reader.ReadHashes(indexes)
		must(err, "hashes")
		for i, entry := range entries {
			if tlog.RecordHash(entry) != hashes[i] {
				log.Fatalf("entry %d differs", start*256+int64(i))
			}
		}
	}
	for index := int64(0); index < tree.N; index += 1 + tree.N/50 {
		proof, err := tlog.ProveRecord(tree.N, index, reader)
		must(err, "prove")
		hashes, err := reader.ReadHashes([]int64{tlog.StoredHashIndex(0, index)})
		must(err, "hash")
		must(tlog.CheckRecord(proof, tree.N, tree.Hash, index, hashes[0]), "inclusion")
	}
	message, err = os.ReadFile(os.Args[3])
	must(err, "old checkpoint")
	old := head(message, vkey)
	growth, err := tlog.ProveTree(tree.N, old.N, reader)
	must(err, "prove growth")
	must(tlog.CheckTree(growth, tree.N, tree.Hash, old.N, old.Hash), "growth")
	message, err = os.ReadFile(os.Args[4])
	must(err, "receipt file")
	receipt(message, vkey)
	fmt.Printf("%d entries, grown from %d\n", tree.N, old.N)
}
