package nacos

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/graylane/graylane/config"
	"github.com/graylane/graylane/internal/nacosconn"
)

func TestDocumentIsWhatTheServerHolds(t *testing.T) {
	doc, err := document("d", nacosconn.Document{Found: true, Content: "ä", MD5: "of the server"})
	require.NoError(t, err)
	want := config.Doc{Content: []byte("ä"), MD5: "8419b71c87a225a2c70b50486fbee545", State: config.Present}
	assert.Equal(t, want, doc)
	for _, none := range []nacosconn.Document{{}, {Found: true, MD5: "x"}} {
		doc, err = document("d", none)
		require.NoError(t, err)
		assert.Equal(t, config.Doc{State: config.Absent}, doc)
	}
	_, err = document("d", nacosconn.Document{Found: true, Content: "x", Encrypted: true})
	require.ErrorIs(t, err, ErrInvalid)
}
