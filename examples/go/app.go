// Go with mattn/go-sqlite3: the extension is loaded once, through a connection of a driver that names it; after that
// every connection of the process may say vfs=recovery. Linked with -tags libsqlite3 (the system's SQLite) or without
// (the one inside the driver).
// usage: go mod init app && go get github.com/mattn/go-sqlite3 && go run app.go DIRECTORY
package main

import (
	"database/sql"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/mattn/go-sqlite3"
)

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	directory, err := filepath.Abs(os.Args[1])
	must(err)
	extension := os.Getenv("RECOVERY_EXTENSION")
	if extension == "" {
		extension = "dist/recovery"
	}
	sql.Register("recovery-loader", &sqlite3.SQLiteDriver{Extensions: []string{extension}})
	loader, err := sql.Open("recovery-loader", ":memory:")
	must(err)
	must(loader.Ping())
	must(loader.Close())

	db, err := sql.Open("sqlite3", "file:"+filepath.Join(directory, "app.db")+"?vfs=recovery")
	must(err)
	_, err = db.Exec("CREATE TABLE IF NOT EXISTS visits(who TEXT, at TEXT)")
	must(err)
	_, err = db.Exec("INSERT INTO visits VALUES('go', datetime('now'))")
	must(err)
	rows, err := db.Query("SELECT who, count(*) FROM visits GROUP BY who")
	must(err)
	for rows.Next() {
		var who string
		var count int
		must(rows.Scan(&who, &count))
		fmt.Println(who, count)
	}
	must(rows.Err())
	must(db.Close()) // ships what is left and closes the store
}
