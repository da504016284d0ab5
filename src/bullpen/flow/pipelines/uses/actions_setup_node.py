"""``actions/setup-node``: the Node of this machine, if it is of the version asked for."""

from bullpen.flow.pipelines.uses._tool import machine_tool

ACTION = machine_tool("Node", "node-version", "/usr/bin", ("node", "--version"))
