package main

import (
	"os"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(suite{m}, map[string]func(){"console": main})
}

// suite gives all tests one temporary folder, removed at the end: the binary they share lies there.
type suite struct{ *testing.M }

func (s suite) Run() int {
	folder, err := os.MkdirTemp("", "console-test-")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(folder)
	if err := os.Setenv("TMPDIR", folder); err != nil {
		panic(err)
	}
	return s.M.Run()
}

// TestScripts runs the commands as a person types them, each script in an empty folder with an environment of its own.
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		// A command that should have refused to start would otherwise run on. The scripts may have to wait until
		// another test has built the binary from nothing, which takes minutes on a busy machine.
		Deadline: time.Now().Add(10 * time.Minute),
		Setup: func(env *testscript.Env) error {
			env.Setenv("XDG_STATE_HOME", env.WorkDir+"/state")
			return nil
		},
	})
}
