// Holds the checksum, in go.sum, of the module whose test scripts are fetched; nothing is built here.
module logagent.parts/raft

go 1.24
