"""What the browser fetches from us: each file under a name that carries the hash of its bytes."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response

FOREVER = "public, max-age=31536000, immutable"
_ROOT = Path(__file__).resolve().parent.parent / "dashboard"
_FILES: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "lightweight-charts.mjs": (
            "vendor/lightweight-charts.standalone.production.mjs",
            "text/javascript",
        ),
        "inter.woff2": ("vendor/inter-latin-wght-normal.woff2", "font/woff2"),
        "live.js": ("live.js", "text/javascript"),
        "mark.svg": ("mark.svg", "image/svg+xml"),
    }
)


class Asset:
    """One file: its bytes, its type, the name it is served under."""

    def __init__(self, name: str, path: Path, media_type: str) -> None:
        self.body = path.read_bytes()
        self.media_type = media_type
        digest = hashlib.blake2b(self.body, digest_size=6).hexdigest()
        stem, _, extension = name.rpartition(".")
        self.name = f"{stem}.{digest}.{extension}"


@cache
def _assets() -> Mapping[str, Asset]:
    return MappingProxyType(
        {name: Asset(name, _ROOT / path, media) for name, (path, media) in _FILES.items()}
    )


def url(name: str) -> str:
    """Return the path a file is served under.

    Parameters
    ----------
    name : str
        ``lightweight-charts.mjs``, ``inter.woff2``, ``live.js`` or ``mark.svg``.
    """
    return f"/assets/{_assets()[name].name}"


def serve(request: Request) -> Response:
    """Answer ``/assets/{name}``: the bytes for ever, or 404 for a name that is not ours."""
    wanted = request.path_params["name"]
    for asset in _assets().values():
        if asset.name == wanted:
            headers = Headers({"cache-control": FOREVER, "x-content-type-options": "nosniff"})
            return Response(asset.body, media_type=asset.media_type, headers=headers)
    return Response("no such asset", status_code=404, media_type="text/plain")
