"""Executables that print what the real assistants print, line by line, for tasks that say DO, FAIL or HANG.

The lines were taken from runs of the real ones, or from their documentation where they cannot run without an account.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.agents.script_agents import write_program

Lines = Sequence[str]

CLAUDE_CODE: Mapping[str, Lines] = {
    "DO": (
        '{"type":"system","subtype":"init","cwd":"/work","session_id":"s","tools":["Bash"],"mcp_servers":[],"model":"m","permissionMode":"bypassPermissions","apiKeySource":"ANTHROPIC_API_KEY"}',
        '{"type":"assistant","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"I look."}],"stop_reason":null,"usage":{"input_tokens":4,"cache_creation_input_tokens":10,"cache_read_input_tokens":20,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"s"}',
        '{"type":"assistant","message":{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"tool_use","id":"toolu_1","name":"Bash","input":{"command":"ls"}}],"stop_reason":null,"usage":{"input_tokens":4,"cache_creation_input_tokens":10,"cache_read_input_tokens":20,"output_tokens":1}},"parent_tool_use_id":null,"session_id":"s"}',
        '{"type":"user","message":{"role":"user","content":[{"tool_use_id":"toolu_1","type":"tool_result","content":"calc.py"}]},"parent_tool_use_id":null,"session_id":"s"}',
        '{"type":"rate_limit_event","rate_limit_info":{"status":"allowed","resetsAt":1785651000,"rateLimitType":"five_hour"}}',
        '{"type":"result","subtype":"success","is_error":false,"duration_ms":4200,"duration_api_ms":3900,"num_turns":2,"result":"It is done.","stop_reason":"end_turn","session_id":"s","total_cost_usd":0.0061,"usage":{"input_tokens":40,"cache_creation_input_tokens":20,"cache_read_input_tokens":40,"output_tokens":7},"modelUsage":{},"permission_denials":[]}',
    ),
    "FAIL": (
        '{"type":"result","subtype":"success","is_error":true,"duration_ms":10,"num_turns":0,"result":"Credit balance is too low","session_id":"s","total_cost_usd":0,"usage":{"input_tokens":0,"output_tokens":0}}',
    ),
}  # fmt: skip
CODEX: Mapping[str, Lines] = {
    "DO": (
        '{"type":"thread.started","thread_id":"01a0ccee-377f-7be1-a4a6-1bdb00081527"}',
        '{"type":"turn.started"}',
        '{"type":"item.completed","item":{"id":"item_0","type":"reasoning","text":"**Looking**"}}',
        '{"type":"item.started","item":{"id":"item_1","type":"command_execution","command":"bash -lc ls","aggregated_output":"","exit_code":null,"status":"in_progress"}}',
        '{"type":"item.completed","item":{"id":"item_1","type":"command_execution","command":"bash -lc ls","aggregated_output":"calc.py\\n","exit_code":0,"status":"completed"}}',
        '{"type":"item.completed","item":{"id":"item_2","type":"agent_message","text":"It is done."}}',
        '{"type":"turn.completed","usage":{"input_tokens":100,"cached_input_tokens":40,"cache_write_input_tokens":0,"output_tokens":7,"reasoning_output_tokens":0}}',
    ),
    "FAIL": (
        '{"type":"thread.started","thread_id":"t"}',
        '{"type":"turn.started"}',
        '{"type":"error","message":"Reconnecting... 1/5"}',
        '{"type":"turn.failed","error":{"message":"Credit balance is too low"}}',
    ),
}  # fmt: skip
GEMINI: Mapping[str, Lines] = {
    "DO": (
        '{"type":"init","timestamp":"2026-11-20T00:00:00.000Z","session_id":"s","model":"m"}',
        '{"type":"message","timestamp":"2026-11-20T00:00:00.000Z","role":"user","content":"DO"}',
        '{"type":"message","timestamp":"2026-11-20T00:00:01.000Z","role":"assistant","content":"I ","delta":true}',
        '{"type":"message","timestamp":"2026-11-20T00:00:01.000Z","role":"assistant","content":"look.","delta":true}',
        '{"type":"tool_use","timestamp":"2026-11-20T00:00:01.000Z","tool_name":"run_shell_command","tool_id":"call-1","parameters":{"command":"ls"}}',
        '{"type":"tool_result","timestamp":"2026-11-20T00:00:01.000Z","tool_id":"call-1","status":"success","output":"calc.py"}',
        '{"type":"message","timestamp":"2026-11-20T00:00:02.000Z","role":"assistant","content":"It is done.","delta":true}',
        '{"type":"result","timestamp":"2026-11-20T00:00:02.000Z","status":"success","stats":{"total_tokens":107,"input_tokens":100,"output_tokens":7,"cached":0,"duration_ms":900,"tool_calls":1}}',
    ),
    "FAIL": (
        '{"type":"init","timestamp":"2026-11-20T00:00:00.000Z","session_id":"s","model":"m"}',
        '{"type":"result","timestamp":"2026-11-20T00:00:02.000Z","status":"error","error":{"type":"Error","message":"Credit balance is too low"},"stats":{"total_tokens":0,"input_tokens":0,"output_tokens":0}}',
    ),
}  # fmt: skip
OPENCODE: Mapping[str, Lines] = {
    "DO": (
        '{"type":"step_start","timestamp":1,"sessionID":"ses_1","part":{"id":"prt_1","type":"step-start"}}',
        '{"type":"tool_use","timestamp":2,"sessionID":"ses_1","part":{"id":"prt_2","type":"tool","callID":"call_1","tool":"bash","state":{"status":"completed","input":{"command":"ls"},"output":"calc.py"}}}',
        '{"type":"step_finish","timestamp":3,"sessionID":"ses_1","part":{"id":"prt_3","type":"step-finish","reason":"tool-calls","cost":0.0061,"tokens":{"input":40,"output":3,"reasoning":0,"cache":{"read":10,"write":0}}}}',
        '{"type":"text","timestamp":4,"sessionID":"ses_1","part":{"id":"prt_4","type":"text","text":"It is done."}}',
        '{"type":"step_finish","timestamp":5,"sessionID":"ses_1","part":{"id":"prt_5","type":"step-finish","reason":"stop","cost":0,"tokens":{"input":50,"output":3,"reasoning":1,"cache":{"read":0,"write":0}}}}',
    ),
    "FAIL": (
        '{"type":"error","timestamp":1,"sessionID":"ses_1","error":{"name":"APIError","data":{"message":"Credit balance is too low","isRetryable":false}}}',
    ),
}  # fmt: skip
AIDER: Mapping[str, Lines] = {
    "DO": (
        "Aider v0.86.2",
        "Main model: openai/gpt-5 with diff edit format",
        "Added calc.py to the chat.",
        "It is done.",
        "",
        "Tokens: 100 sent, 7 received. Cost: $0.0061 message, $0.0061 session.",
        "Applied edit to calc.py",
    ),
    "FAIL": (
        "Aider v0.86.2",
        "litellm.AuthenticationError: Credit balance is too low",
        "The API provider is not able to authenticate you. Check your API key.",
    ),
}
STREAMS: Mapping[str, Mapping[str, Lines]] = {
    "aider": AIDER,
    "claude_code": CLAUDE_CODE,
    "codex": CODEX,
    "gemini": GEMINI,
    "opencode": OPENCODE,
}

_CLI = """#!/bin/sh
[ "$1" = --version ] && echo 1.0.0 && exit 0
prompt=$(cat)
case $prompt in
*HANG*) sleep 600 ;;
*FAIL*) cat <<'END'
{fail}
END
;;
*) echo x >>/work/runs; env >/work/env; cat <<'END'
{do}
END
;;
esac
"""
_ACP = r"""#!/usr/bin/env python3
import json, sys

def say(**message):
    print(json.dumps({"jsonrpc": "2.0", **message}), flush=True)

def update(**values):
    say(method="session/update", params={"sessionId": "s", "update": values})

print("a notice that is no message", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    method, number = message.get("method"), message.get("id")
    if method == "initialize":
        say(id=number, result={"protocolVersion": 1, "agentCapabilities": {}, "authMethods": []})
    elif method == "session/new":
        assert message["params"]["cwd"] == "/work"
        say(id=number, result={"sessionId": "s"})
    elif method == "session/cancel":
        open("/work/cancelled", "w").close()
        break
    elif method == "session/prompt":
        text = message["params"]["prompt"][0]["text"]
        if "HANG" in text:
            update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "I think."})
        elif "FAIL" in text:
            update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "Credit balance is too low"})
            say(id=number, result={"stopReason": "refusal"})
        else:
            open("/work/runs", "a").write("x\n")
            update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "I "})
            update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "look."})
            update(sessionUpdate="tool_call", toolCallId="call_1", title="ls", kind="execute", status="pending", rawInput={"command": "ls"})
            say(id=900, method="session/request_permission", params={"sessionId": "s", "toolCall": {"toolCallId": "call_1"}, "options": [
                {"optionId": "no", "name": "No", "kind": "reject_once"}, {"optionId": "yes", "name": "Yes", "kind": "allow_once"}]})
            granted = json.loads(sys.stdin.readline())
            assert granted["result"]["outcome"] == {"outcome": "selected", "optionId": "yes"}, granted
            say(id=901, method="fs/read_text_file", params={"sessionId": "s", "path": "/etc/passwd"})
            assert json.loads(sys.stdin.readline())["error"]["code"] == -32601
            update(sessionUpdate="usage_update", used=107, size=200000, cost={"amount": 0.0061, "currency": "USD"})
            update(sessionUpdate="something_new", value=1)
            update(sessionUpdate="agent_message_chunk", content={"type": "text", "text": "It is done."})
            say(id=number, result={"stopReason": "end_turn", "usage": {"totalTokens": 107, "inputTokens": 100, "outputTokens": 7}})
"""
_SCRIPT = r"""#!/bin/sh
# ---
# name: one
# version: 1.0.0
# purpose: A script that stands in.
# ---
read -r task
case $task in
*HANG*) echo '{"type":"progress","text":"I think."}'; read -r cancel; exit 0 ;;
*FAIL*) echo '{"type":"result","outcome":"failed","summary":"Credit balance is too low"}' ;;
*)
  echo x >>/work/runs
  echo '{"type":"usage","text":"I look.","input_tokens":100,"output_tokens":7,"cost_usd":"0.0061"}'
  echo '{"type":"result","outcome":"done","summary":"It is done."}' ;;
esac
"""


def write_cli(folder: Path, adapter: str) -> Path:
    """An executable that prints what the assistant prints."""
    lines = STREAMS[adapter]
    text = _CLI.replace("{fail}", "\n".join(lines["FAIL"])).replace("{do}", "\n".join(lines["DO"]))
    return write_program(folder, adapter, text)


def write_acp(folder: Path) -> None:
    """An ACP agent in a folder of its own."""
    write_program(folder / "one", "agent", _ACP)
    manifest = "name: one\nversion: 1.0.0\npurpose: Speaks the protocol.\nkind: acp\ncommand: [./agent]\n"
    (folder / "one" / "agent.yaml").write_text(manifest)


def write_script(folder: Path) -> None:
    """A script agent."""
    write_program(folder, "one", _SCRIPT)
