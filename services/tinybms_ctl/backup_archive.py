"""What a backup archive looks like, and whether one is whole: pure, works on bytes.

A gzip-compressed tar of plain files. `manifest.json` comes first and names every other member:
`gateway.toml`, `state/<file>` and, only when asked for, `secrets/<key>`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import re
import tarfile
import zlib
from collections.abc import Mapping
from typing import Final

import msgspec

FORMAT: Final = 1
"""Raised when an older gateway could not restore the archive rightly."""
MANIFEST: Final = "manifest.json"
CONFIG: Final = "gateway.toml"
STATE: Final = "state/"
SECRETS: Final = "secrets/"
SECRET_KEYS: Final = ("mqtt.password_file", "mqtt.tls.key_file", "health.token_file")
"""Keys of the configuration whose files open a door."""

MAX_FILE_BYTES: Final = 256 * 1024 * 1024
MAX_TOTAL_BYTES: Final = 512 * 1024 * 1024
MAX_FILES: Final = 256
_TAR_OVERHEAD_BYTES: Final = 2 * 1024 * 1024
_SECRET_NAMES: Final = frozenset(f"{SECRETS}{key}" for key in SECRET_KEYS)
_PLAIN_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")


class BrokenArchiveError(ValueError):
    """Nothing of the archive may be used; the text says why."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One file of the archive: its member name, size and SHA-256 in hex."""

    name: str
    size_bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What the archive says of itself. `time`: ISO 8601 with zone."""

    format: int
    version: str
    time: str
    device: str
    files: tuple[Entry, ...]


class _Format(msgspec.Struct, frozen=True, kw_only=True):
    format: int


def is_plain_name(name: str) -> bool:
    """Whether `name` is a file name that can't leave its folder."""
    return _PLAIN_NAME.fullmatch(name) is not None and ".." not in name


def pack(files: Mapping[str, bytes], *, version: str, time: str, device: str, wall_s: int) -> bytes:
    """The archive with `files`; BrokenArchiveError for what `unpack` would refuse."""
    entries = tuple(
        Entry(name=name, size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
        for name, data in sorted(files.items())
    )
    manifest = Manifest(format=FORMAT, version=version, time=time, device=device, files=entries)
    _check_manifest(device, [entry.name for entry in entries])
    _check_sizes([entry.size_bytes for entry in entries])
    encoded = msgspec.json.format(msgspec.json.encode(manifest), indent=2)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for name, data in [(MANIFEST, encoded), *sorted(files.items())]:
            member = tarfile.TarInfo(name)
            member.size, member.mode, member.mtime = len(data), 0o600, wall_s
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def unpack(data: bytes) -> tuple[Manifest, dict[str, bytes]]:
    """Manifest and files of an archive that is whole; BrokenArchiveError otherwise."""
    try:
        members = _members(_inflate(data))
    except (tarfile.TarError, OSError, EOFError, zlib.error, ValueError) as error:
        if isinstance(error, BrokenArchiveError):
            raise
        raise BrokenArchiveError(f"not a whole tar.gz file ({error})") from error
    manifest = _manifest(members.pop(MANIFEST, None))
    _check_manifest(manifest.device, [entry.name for entry in manifest.files])
    named = {entry.name: entry for entry in manifest.files}
    if named.keys() != members.keys():
        odd = ", ".join(sorted(named.keys() ^ members.keys()))
        raise BrokenArchiveError(f"its manifest and its files do not agree: {odd}")
    for name, entry in named.items():
        content = members[name]
        if entry.size_bytes != len(content):
            raise BrokenArchiveError(f"{name} is not as long as the manifest says")
        if entry.sha256 != hashlib.sha256(content).hexdigest():
            raise BrokenArchiveError(f"{name} is damaged: its SHA-256 is another")
    return manifest, members


def _inflate(data: bytes) -> io.BytesIO:
    """The tar inside; read to the end of gzip's own checksum, but never beyond the bound."""
    bound = MAX_TOTAL_BYTES + _TAR_OVERHEAD_BYTES
    with gzip.GzipFile(fileobj=io.BytesIO(data)) as stream:
        plain = stream.read(bound + 1)
    if len(plain) > bound:
        raise BrokenArchiveError(f"it holds more than {bound} bytes")
    return io.BytesIO(plain)


def _members(plain: io.BytesIO) -> dict[str, bytes]:
    members: dict[str, bytes] = {}
    with tarfile.open(fileobj=plain, mode="r:") as archive:
        for member in archive:
            if not member.isreg():
                raise BrokenArchiveError(f"{member.name!r} is no plain file")
            if member.name in members:
                raise BrokenArchiveError(f"{member.name!r} is in it twice")
            _check_name(member.name)
            _check_sizes([*map(len, members.values()), member.size])
            stream = archive.extractfile(member)
            members[member.name] = stream.read() if stream else b""
    return members


def _manifest(encoded: bytes | None) -> Manifest:
    if encoded is None:
        raise BrokenArchiveError(f"it has no {MANIFEST}: it was not made by tinybms-ctl backup")
    try:
        number = msgspec.json.decode(encoded, type=_Format).format
        if number > FORMAT:
            raise BrokenArchiveError(
                f"its format is {number}, this version knows up to {FORMAT}: "
                "restore it with the version that made it, or a newer one"
            )
        return msgspec.json.decode(encoded, type=Manifest)
    except msgspec.MsgspecError as error:
        raise BrokenArchiveError(f"its {MANIFEST} can't be read ({error})") from error


def _check_manifest(device: str, names: list[str]) -> None:
    if CONFIG not in names:
        raise BrokenArchiveError(f"it has no {CONFIG}")
    for name in names:
        _check_name(name)
        if name.startswith(STATE) and not name.startswith(f"{STATE}{device}-"):
            raise BrokenArchiveError(f"{name!r} is of another device than {device!r}")


def _check_name(name: str) -> None:
    if name in (CONFIG, MANIFEST) or name in _SECRET_NAMES:
        return
    if not (name.startswith(STATE) and is_plain_name(name.removeprefix(STATE))):
        raise BrokenArchiveError(f"{name!r} has no place in a backup")


def _check_sizes(sizes: list[int]) -> None:
    if len(sizes) > MAX_FILES + 1:
        raise BrokenArchiveError(f"it has more than {MAX_FILES} files")
    if any(size > MAX_FILE_BYTES for size in sizes):
        raise BrokenArchiveError(f"a file in it is larger than {MAX_FILE_BYTES} bytes")
    if sum(sizes) > MAX_TOTAL_BYTES:
        raise BrokenArchiveError(f"its files have more than {MAX_TOTAL_BYTES} bytes")
