"""Style, scripts and pictures: read once, under an address that changes with what they contain.

So a browser may keep them for ever, and never mixes two versions. Colours come from :mod:`boards.palette`, the same
that Grafana's boards have.
"""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from boards.definition import Meaning
from boards.palette import PAINTS, SERIES
from core.errors import NotFoundError

_LARGEST: Final = 40
"""Widest and highest panel, in units of the grid. Classes, since the policy allows no style in the markup."""
_FOLDER: Final = Path(__file__).parent / "static"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".webmanifest": "application/manifest+json",
}


@dataclass(frozen=True, slots=True)
class Asset:
    content: bytes
    packed: bytes
    media_type: str


def palette_css() -> str:
    """The palette as custom properties: by the system's theme, and by the reader's own choice on the root element."""

    def rules(theme: str) -> str:
        paints = "".join(
            f"--{meaning.value}:{paint.fill};--on-{meaning.value}:{paint.text};"
            for meaning, paint in PAINTS[theme].items()
        )
        return paints + "".join(f"--series-{n}:{colour};" for n, colour in enumerate(SERIES[theme]))

    classes = "".join(f".is-{m.value}{{--tone:var(--{m.value});--on-tone:var(--on-{m.value})}}" for m in Meaning)
    sizes = "".join(f".span-{n}{{--span:{n}}}.height-{n}{{--height:{n}}}" for n in range(1, _LARGEST + 1))
    return (
        f":root{{{rules('light')}}}"
        f"@media (prefers-color-scheme:dark){{:root{{{rules('dark')}}}}}"
        f":root[data-theme=light]{{{rules('light')}}}:root[data-theme=dark]{{{rules('dark')}}}{classes}{sizes}\n"
    )


class Assets:
    """All of them in memory (about a hundred kilobytes), plain and packed."""

    def __init__(self) -> None:
        texts = {path.name: path.read_bytes() for path in sorted(_FOLDER.iterdir()) if path.suffix in _TYPES}
        texts["palette.css"] = palette_css().encode()
        digest = hashlib.sha256()
        for name, content in sorted(texts.items()):
            digest.update(name.encode() + b"\0" + content + b"\0")
        self.version: Final = digest.hexdigest()[:12]
        self._files: Final = {
            name: Asset(content, gzip.compress(content, mtime=0), _TYPES[Path(name).suffix])
            for name, content in texts.items()
        }

    async def serve(self, request: Request) -> Response:
        """``/board/static/{version}/{name}``. An older version's address gives what there is now, and is not kept."""
        asset = self._files.get(request.path_params["name"])
        if asset is None:
            raise NotFoundError("there is no such file")
        current = request.path_params["version"] == self.version
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
            "Vary": "Accept-Encoding",
        }
        if "gzip" in request.headers.get("accept-encoding", ""):
            return Response(asset.packed, media_type=asset.media_type, headers={**headers, "Content-Encoding": "gzip"})
        return Response(asset.content, media_type=asset.media_type, headers=headers)
