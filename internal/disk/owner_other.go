//go:build !unix

package disk

import "io/fs"

// private cannot be told from a mode here: access is inherited from the
// directory above, which under a user's profile is the user's own.
func private(fs.FileInfo) bool { return true }

// trustedLink: making a symbolic link is a privilege here.
func trustedLink(fs.FileInfo) bool { return true }
