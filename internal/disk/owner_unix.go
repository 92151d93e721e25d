//go:build unix

package disk

import (
	"io/fs"
	"os"
	"syscall"
)

// private reports whether a file or directory is ours and no one else may write
// to it.
func private(info fs.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && int64(st.Uid) == int64(os.Geteuid()) && info.Mode().Perm()&0o022 == 0
}

// trustedLink reports whether we or root made a symbolic link. In a shared
// directory anyone else could have, to lead us elsewhere.
func trustedLink(link fs.FileInfo) bool {
	st, ok := link.Sys().(*syscall.Stat_t)
	return ok && (st.Uid == 0 || int64(st.Uid) == int64(os.Geteuid()))
}
