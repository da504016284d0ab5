"""``actions/setup-go``: the Go of this machine, if it is of the version asked for."""

from bullpen.flow.pipelines.uses._tool import machine_tool

ACTION = machine_tool("Go", "go-version", "/usr/local/go/bin", ("go", "version"))
