"""Draws mermaid charts as SVG, light and dark, with `mmdc` in Chromium: all of them in one start of the browser."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

LOOK = "1"
"""Another number draws again what is in build folders."""

_FONT = "Arial, Helvetica, Liberation Sans, sans-serif"  # the same widths wherever one of the first three is

THEMES: dict[str, dict[str, str]] = {
    "light": {
        "primaryColor": "#eef3ff",
        "primaryTextColor": "#1b1f24",
        "primaryBorderColor": "#4a6fd6",
        "lineColor": "#59636e",
        "textColor": "#1b1f24",
        "edgeLabelBackground": "#ffffff",
        "labelBackgroundColor": "#ffffff",
        "clusterBkg": "#f8f9fb",
        "clusterBorder": "#c3c9d1",
        "titleColor": "#1b1f24",
    },
    "dark": {
        "primaryColor": "#1c2740",
        "primaryTextColor": "#e4e7eb",
        "primaryBorderColor": "#6f95ff",
        "lineColor": "#9ca0a5",
        "textColor": "#e4e7eb",
        "edgeLabelBackground": "#131416",
        "labelBackgroundColor": "#131416",
        "clusterBkg": "#1a1c1e",
        "clusterBorder": "#474b50",
        "titleColor": "#e4e7eb",
    },
}
"""Colours by theme, on the white and the nearly black page of furo."""

_CSS = ".edgeLabel rect, .labelBkg { opacity: 1 !important; }"
_OPTIONS = (
    *("--input", "charts.md", "--output", "drawn.md", "--backgroundColor", "transparent"),
    *("--puppeteerConfigFile", "browser.json", "--cssFile", "charts.css"),
)
_CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_DEADLINE = 120
"""Seconds for all charts."""

_FRONT_MATTER = re.compile(r"\A\s*---\n.*?\n---\n", re.DOTALL)
_ROOT = re.compile(r"<svg\b[^>]*>")
_BOX = re.compile(r'viewBox="[-\d.]+ [-\d.]+ ([\d.]+) ([\d.]+)"')
_ELSEWHERE = re.compile(r"""@import|<script|(?:href|src)=["'](?!#)|url\((?!["']?#)""", re.IGNORECASE)


class MissingToolError(Exception):
    """What draws charts is not on this machine."""


class ChartError(Exception):
    """A chart that cannot be drawn."""


def draw(sources: list[str], scratch: Path) -> dict[tuple[str, str], str]:
    """Return the SVG of each source in each theme; `scratch` is a folder on the way.

    Raises `MissingToolError`, which says what to install, and `ChartError` for what mermaid cannot read.
    """
    mmdc, chromium = _tools()
    charts = [(source, theme) for source in sources for theme in THEMES]
    with TemporaryDirectory(dir=scratch) as made:
        folder = Path(made)
        (folder / "charts.md").write_text("\n".join(_fence(*chart) for chart in charts), encoding="utf-8")
        (folder / "charts.css").write_text(_CSS, encoding="utf-8")
        (folder / "browser.json").write_text(json.dumps(_browser(chromium)), encoding="utf-8")
        _run([mmdc, *_OPTIONS], folder)
        files = [folder / f"drawn-{number}.svg" for number in range(1, len(charts) + 1)]
        return {chart: checked(file.read_text(encoding="utf-8")) for chart, file in zip(charts, files, strict=True)}


def _tools() -> tuple[str, str]:
    mmdc = shutil.which("mmdc")
    chromium = os.environ.get("PUPPETEER_EXECUTABLE_PATH") or next(filter(None, map(shutil.which, _CHROMIUM)), None)
    if mmdc is None:
        raise MissingToolError(
            "charts are drawn by mmdc, which is not installed: "
            "PUPPETEER_SKIP_DOWNLOAD=1 npm install --global @mermaid-js/mermaid-cli"
        )
    if chromium is None:
        raise MissingToolError("charts are drawn in Chromium, which is not installed: apt-get install chromium")
    return mmdc, chromium


def _browser(chromium: str) -> dict[str, object]:
    # The sandbox of Chromium does not work in containers; what it draws is ours, and it reaches no host.
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--host-resolver-rules=MAP * ~NOTFOUND"]
    return {"executablePath": chromium, "args": arguments}


def _fence(source: str, theme: str) -> str:
    """Return a chart with its theme, which has to follow a title in front matter."""
    look = {
        "theme": "base",
        "themeVariables": {**THEMES[theme], "fontSize": "16px"},
        "fontFamily": _FONT,
        "htmlLabels": False,  # text as text: it is not cut where another font is wider
        "flowchart": {"htmlLabels": False, "rankSpacing": 30, "nodeSpacing": 30},
    }
    front = _FRONT_MATTER.match(source)
    end = front.end() if front else 0
    return f"```mermaid\n{source[:end]}%%{{init: {json.dumps(look)}}}%%\n{source[end:].strip()}\n```\n"


def _run(command: list[str], folder: Path) -> None:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_DEADLINE, check=False)
    except subprocess.TimeoutExpired:
        raise ChartError(f"mmdc did not end within {_DEADLINE} seconds") from None
    if done.returncode:
        said = re.sub(r"\n +at .*", "", done.stderr or done.stdout)  # where in mermaid is no matter of the page
        raise ChartError(f"mmdc says: {said.strip()}")


def checked(picture: str) -> str:
    """Return an SVG that has its own size, so that no page stretches it, and asks for nothing from elsewhere."""
    box, root = _BOX.search(picture), _ROOT.search(picture)
    if box is None or root is None or _ELSEWHERE.search(picture):
        raise ChartError("mmdc made a picture without a size, or one that runs a script or asks for something else")
    width, height = (round(float(side)) for side in box.groups())
    sized = root[0].replace('width="100%"', f'width="{width}" height="{height}"')
    return picture[: root.start()] + sized + picture[root.end() :]
