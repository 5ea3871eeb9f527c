"""Chromium without a window, driven through its own pipe by the DevTools protocol.

Keys go in as a keyboard's do, so that focus moves and sliders step as for a user.
"""

import json
import os
import select
import shutil
import subprocess
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
SECONDS = 60  # for an answer
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
)
CODES = {"Tab": 9, "Enter": 13, " ": 32, "ArrowLeft": 37, "ArrowRight": 39}
TEXTS = {"Enter": "\r", " ": " "}
PROBLEMS = {"Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled"}


class Browser:
    """One page. Close it in the end."""

    def __init__(self, profile: Path) -> None:
        assert CHROMIUM is not None
        inward, self.requests = os.pipe()
        self.answers, outward = os.pipe()
        # It reads from file 3 and writes to file 4; a shell gives them these numbers.
        command = [f'exec "$@" 3<&{inward} 4>&{outward}', "bash", CHROMIUM, *FLAGS]
        self.process = subprocess.Popen(
            ["bash", "-c", *command, f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(inward, outward),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(inward)
        os.close(outward)
        self.number, self.unread, self.session = 0, b"", {}
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        (page,) = [it["targetId"] for it in targets if it["type"] == "page"]
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self.session = {"sessionId": attached["sessionId"]}
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send a command and wait for its answer; keep the events between."""
        self.number += 1
        request = {"id": self.number, "method": method, "params": params, **self.session}
        os.write(self.requests, json.dumps(request).encode() + b"\0")
        while True:
            message = self._next()
            if message.get("id") == self.number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self.events.append(message)

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self.unread:
            assert select.select([self.answers], [], [], SECONDS)[0], "the browser is silent"
            more = os.read(self.answers, 1 << 20)
            assert more, "the browser has ended"
            self.unread += more
        message, _, self.unread = self.unread.partition(b"\0")
        return json.loads(message)

    def open(self, page: Path, width: int = 1200, **media: str) -> None:
        """Load a page anew; `media` sets features such as prefers_color_scheme="dark"."""
        features = [{"name": k.replace("_", "-"), "value": value} for k, value in media.items()]
        self.call("Emulation.setEmulatedMedia", features=features)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not any(it["method"] == "Page.loadEventFired" for it in self.events):
            self.events.append(self._next())

    def run(self, script: str) -> Any:
        """The value of an expression on the page, once it is settled."""
        answer = self.call(
            "Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press and release a key, where the focus is."""
        pressed = {"key": key, "windowsVirtualKeyCode": CODES[key]}
        if key in TEXTS:
            pressed["text"] = TEXTS[key]
        self.call("Input.dispatchKeyEvent", type="keyDown", **pressed)
        self.call("Input.dispatchKeyEvent", type="keyUp", **pressed)

    @property
    def problems(self) -> list[dict[str, Any]]:
        """What the console shows since the page was opened."""
        return [it for it in self.events if it.get("method") in PROBLEMS]

    def close(self) -> None:
        """End the browser."""
        self.process.terminate()
        self.process.wait(SECONDS)
        os.close(self.requests)
        os.close(self.answers)
