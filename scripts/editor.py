"""Asks the language server of VS Code's YAML extension about a playbook: `python -m scripts.editor PATH-TO-SERVER`.

The server is npm's `yaml-language-server`; the answers stand in docs/editors.md.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = ROOT / "docs" / "reference" / "playbook.schema.json"
URI = (ROOT / "my-playbook.yaml").as_uri()
CURSOR = "▮"
HEAD = f"""\
# yaml-language-server: $schema={SCHEMA.as_uri()}
apiVersion: sre-agent.dev/v1alpha1
kind: HealingPlaybook
metadata: {{name: mine}}
spec:
"""
RULE = """\
  rules:
    - name: crash
      signal: container
"""
ASKED = (
    ("completion", "  ▮"),
    ("completion", RULE + "      ▮"),
    ("completion", RULE + "      mode: ▮"),
    ("completion", RULE + "      where:\n        ▮"),
    ("completion", RULE + "      ladder:\n        - action: ▮"),
    ("hover", RULE + "      cool▮down: 5m\n      ladder: [{action: escalate}]"),
    ("hover", RULE + "      ladder:\n        - {action: set-memory, c▮ap: 1Gi}"),
    ("diagnostics", RULE + "      cooldwn: 5m\n      ladder: [{action: restart}]▮"),
)
"""Where the cursor stands, and what is asked there."""
Message = dict[str, Any]


@dataclass(slots=True)
class Server:
    """A language server that speaks over standard input and output."""

    told: IO[bytes]
    telling: IO[bytes]
    asked: int = 0

    def ask(self, method: str, params: Message) -> Any:  # noqa: ANN401 - any JSON
        """Return the answer to a request; what the server asks meanwhile gets an empty answer."""
        self.asked += 1
        self.tell(method, params, id=self.asked)
        for message in self._messages():
            if message.get("id") == self.asked and "method" not in message:
                return message.get("result")
            self._answer(message)
        raise RuntimeError("the language server ended")

    def await_diagnostics(self, uri: str) -> Message:
        """Return what the server finds wrong with a document."""
        for message in self._messages():
            if message.get("method") == "textDocument/publishDiagnostics" and message["params"]["uri"] == uri:
                return cast("Message", message["params"])
            self._answer(message)
        raise RuntimeError("the language server ended")

    def tell(self, method: str, params: Message, **rest: int) -> None:
        """Tell the server something."""
        self._send({"jsonrpc": "2.0", "method": method, "params": params, **rest})

    def _answer(self, message: Message) -> None:
        if "method" in message and "id" in message:
            items = message.get("params", {}).get("items", [])
            self._send({"jsonrpc": "2.0", "id": message["id"], "result": [{} for _ in items]})

    def _send(self, message: Message) -> None:
        body = json.dumps(message).encode()
        self.told.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
        self.told.flush()

    def _messages(self) -> Iterator[Message]:
        while line := self.telling.readline():
            length = int(line.split(b":")[1])
            while self.telling.readline().strip():
                continue
            yield json.loads(self.telling.read(length))


def main() -> int:
    """Print what the server answers to each question."""
    with subprocess.Popen([sys.argv[1], "--stdio"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        server = Server(cast("IO[bytes]", process.stdin), cast("IO[bytes]", process.stdout))
        server.ask("initialize", {"processId": None, "rootUri": ROOT.as_uri(), "capabilities": {}})
        server.tell("initialized", {})
        for version, (what, text) in enumerate(ASKED):
            print(f"**{what}**\n```yaml\n{text}\n```\n```")
            for line in _answer(server, what, HEAD + text, version=version):
                print(line)
            print("```\n")
        process.kill()
    return 0


def _answer(server: Server, what: str, text: str, *, version: int) -> Iterator[str]:
    line, column = text[: text.index(CURSOR)].count("\n"), len(text[: text.index(CURSOR)].rpartition("\n")[2])
    uri = f"{URI}{version}"
    document = {"uri": uri, "languageId": "yaml", "version": 1, "text": text.replace(CURSOR, "")}
    server.tell("textDocument/didOpen", {"textDocument": document})
    at = {"textDocument": {"uri": uri}, "position": {"line": line, "character": column}}
    match what:
        case "completion":
            for item in server.ask("textDocument/completion", at)["items"]:
                yield f"{item['label']}: {_plain(item.get('documentation', ''))}"
        case "hover":
            yield _plain(server.ask("textDocument/hover", at)["contents"])
        case _:
            for one in server.await_diagnostics(uri)["diagnostics"]:
                yield f"{one['range']['start']['line'] + 1}:{one['range']['start']['character'] + 1}: {one['message']}"


def _plain(told: Any) -> str:  # noqa: ANN401 - a text, or a text with its format
    text = " ".join(str(cast("Message", told)["value"] if isinstance(told, dict) else told).split())
    return (
        text.partition(" Source: ")[0]
        .removeprefix("#### Healing playbook ")
        .replace("```yaml ", "")
        .replace(" ```", "")
    )


if __name__ == "__main__":
    sys.exit(main())
