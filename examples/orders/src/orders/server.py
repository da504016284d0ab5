"""A page that says whether the order desk is well."""

import json
from datetime import datetime
from http.server import BaseHTTPRequestHandler, HTTPServer


def health(waiting: int) -> dict[str, object]:
    """What the page shows."""
    state = "busy" if waiting > 100 else "well"
    return {"state": state, "waiting": waiting, "at": datetime.utcnow().isoformat()}


class Page(BaseHTTPRequestHandler):
    """Answers every question with the state of the desk."""

    def do_GET(self) -> None:
        """The page."""
        body = json.dumps(health(0)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)


def make_server(port: int = 8080, host: str = "0.0.0.0") -> HTTPServer:
    """The server, not yet running."""
    return HTTPServer((host, port), Page)
