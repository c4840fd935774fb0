//go:build parts

// Package parts names the programs that are built from the modules of go.mod, so that `go mod tidy` keeps them.
package parts

import (
	_ "go.etcd.io/etcd/etcdctl/v3"
	_ "go.etcd.io/etcd/etcdutl/v3"
	_ "go.etcd.io/etcd/server/v3"
)
