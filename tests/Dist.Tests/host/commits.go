// commits.c in Go: commits one row after the other and prints the number of each after its COMMIT returned.
// usage: commits EXTENSION DIRECTORY COUNT
package main

import (
	"database/sql"
	"fmt"
	"io"
	"log"
	"os"
	"strconv"

	"github.com/mattn/go-sqlite3"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	extension, directory := os.Args[1], os.Args[2]
	count, err := strconv.Atoi(os.Args[3])
	must(err)
	sql.Register("recovery-loader", &sqlite3.SQLiteDriver{Extensions: []string{extension}})
	loader, err := sql.Open("recovery-loader", ":memory:")
	must(err)
	must(loader.Ping())
	db, err := sql.Open("sqlite3", "file:"+directory+"/app.db?vfs=recovery&_busy_timeout=0")
	must(err)
	var version string
	must(db.QueryRow("SELECT sqlite_version()").Scan(&version))
	fmt.Println("version " + version)
	_, err = db.Exec("CREATE TABLE IF NOT EXISTS n(x INTEGER PRIMARY KEY, filler)")
	must(err)
	for i := 0; i < count; i++ {
		result, err := db.Exec("INSERT INTO n(filler) VALUES(randomblob(?))", 10+i%3000)
		must(err)
		row, err := result.LastInsertId()
		must(err)
		fmt.Println(row)
	}
	io.Copy(io.Discard, os.Stdin)
	must(db.Close())
}
