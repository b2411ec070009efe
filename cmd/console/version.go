package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// The linker sets them: -X main.version=… -X main.commit=…, see the Makefile.
var (
	version = "dev"
	commit  = ""
)

type versionCmd struct{}

func (versionCmd) Run(p *program) error {
	_, err := fmt.Fprintf(p.stdout, "orgconsole %s, commit %s, %s %s/%s\n", version, buildCommit(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildName names the build in audit events.
func buildName() string { return version + "+" + buildCommit() }

// buildCommit is what the linker was told, else what `go build` read from the repository.
func buildCommit() string {
	if commit != "" {
		return commit
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	revision, modified := "unknown", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-modified"
		}
	}
	return revision + modified
}
