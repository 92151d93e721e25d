package config

// root parses a document of any kind and checks its version; nil means that a
// problem was reported.
func (r *reader) root(content []byte) *node {
	n := r.load(content)
	if n == nil || !r.want(n, mapping) {
		return nil
	}
	if v := n.get("gray"); v != nil && v.kind != refused && (v.kind != scalar || v.text != "v1") {
		// What a newer version means by the rest is not ours to judge.
		r.problems, r.noted = nil, [2]int{}
		r.errorf(v.place, codeUnsupportedVersion, "this version reads v1 only")
		return nil
	}
	return n
}

// version is the field gray, which root has checked.
func version[T any]() field[T] {
	return field[T]{name: "gray", required: true, read: func(*reader, *node, *T) {}}
}

// accepted reports whether nothing refuses the document so far.
func (r *reader) accepted() bool { return r.noted[Error] == 0 }

// finish returns what was read, or nil if it was refused.
func finish[T any](r *reader, out *T) (*T, Problems) {
	r.problems.sort()
	if !r.accepted() {
		return nil, r.problems
	}
	return out, r.problems
}
