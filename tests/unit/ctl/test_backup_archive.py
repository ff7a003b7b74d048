"""The form of a backup archive, and every archive that must not be used."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable

import pytest

from tinybms_ctl import backup_archive
from tinybms_ctl.backup_archive import BrokenArchiveError, is_plain_name, pack, unpack

FILES = {
    "gateway.toml": b"",
    "state/pack1-counters": b"\x00\x01",
    "secrets/mqtt.password_file": b"x",
}


def packed(files: dict[str, bytes]) -> bytes:
    return pack(files, version="1.2.3", time="2026-01-02T03:04:05+00:00", device="pack1", wall_s=9)


def tampered(change: Callable[[dict[str, bytes]], None]) -> bytes:
    """A tar.gz with the same members after `change`."""
    with tarfile.open(fileobj=io.BytesIO(packed(FILES))) as archive:
        members = {each.name: archive.extractfile(each) for each in archive}
        parts = {name: stream.read() for name, stream in members.items() if stream}
    change(parts)
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        for name, data in parts.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return target.getvalue()


def test_what_is_packed_comes_out_and_the_manifest_says_what_it_is() -> None:
    manifest, files = unpack(packed(FILES))
    assert files == FILES
    assert (manifest.format, manifest.version, manifest.device) == (1, "1.2.3", "pack1")
    assert manifest.time == "2026-01-02T03:04:05+00:00"
    assert [each.name for each in manifest.files] == sorted(FILES)


@pytest.mark.parametrize("cut", [0, 1, 10, 50, -1, -4, -9])
def test_an_archive_that_was_cut_off_is_refused(cut: int) -> None:
    with pytest.raises(BrokenArchiveError):
        unpack(packed(FILES)[:cut])


def test_no_flipped_bit_goes_unseen() -> None:
    whole = packed(FILES)
    for place in range(10, len(whole)):
        data = bytearray(whole)
        data[place] ^= 0x10
        try:
            found = unpack(bytes(data))
        except BrokenArchiveError:
            continue
        assert found == unpack(whole), f"byte {place}"


@pytest.mark.parametrize(
    "name",
    [
        "../etc/passwd",
        "/etc/passwd",
        "state/../../x",
        "state/a/b",
        "state/..",
        "state/",
        "state/pack1-\n",
        "other.txt",
        "secrets/../gateway.toml",
        "secrets/id_rsa",
        "state/pack2-counters",
    ],
)
def test_a_file_with_no_place_in_a_backup_is_refused(name: str) -> None:
    with pytest.raises(BrokenArchiveError):
        unpack(tampered(lambda parts: parts.update({name: b""})))
    with pytest.raises(BrokenArchiveError):
        packed({**FILES, name: b""})


def test_a_changed_a_missing_and_an_additional_file_are_refused() -> None:
    with pytest.raises(BrokenArchiveError, match="SHA-256"):
        unpack(tampered(lambda parts: parts.update({"state/pack1-counters": b"\x00\x02"})))
    with pytest.raises(BrokenArchiveError, match="pack1-counters"):
        unpack(tampered(lambda parts: parts.__delitem__("state/pack1-counters")))
    with pytest.raises(BrokenArchiveError, match="pack1-more"):
        unpack(tampered(lambda parts: parts.update({"state/pack1-more": b""})))
    with pytest.raises(BrokenArchiveError, match=r"manifest\.json"):
        unpack(tampered(lambda parts: parts.__delitem__("manifest.json")))


def test_a_link_is_refused() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        link = tarfile.TarInfo("state/pack1-counters")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    with pytest.raises(BrokenArchiveError, match="no plain file"):
        unpack(target.getvalue())


def test_a_newer_format_is_refused_even_when_its_manifest_has_another_form() -> None:
    newer = json.dumps({"format": 2, "parts": {}}).encode()
    with pytest.raises(BrokenArchiveError, match="its format is 2"):
        unpack(tampered(lambda parts: parts.update({"manifest.json": newer})))


def test_sizes_are_bounded_before_anything_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    big = packed({**FILES, "state/pack1-big": bytes(5000)})
    many = packed({**FILES, **{f"state/pack1-{number}": b"" for number in range(20)}})
    monkeypatch.setattr(backup_archive, "MAX_FILE_BYTES", 4999)
    with pytest.raises(BrokenArchiveError, match="larger than 4999"):
        unpack(big)
    monkeypatch.setattr(backup_archive, "MAX_FILES", 10)
    with pytest.raises(BrokenArchiveError, match="more than 10 files"):
        unpack(many)
    monkeypatch.setattr(backup_archive, "MAX_TOTAL_BYTES", 10)
    monkeypatch.setattr(backup_archive, "_TAR_OVERHEAD_BYTES", 10)
    with pytest.raises(BrokenArchiveError, match="more than 20 bytes"):
        unpack(packed_bomb())


def packed_bomb() -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz") as archive:
        member = tarfile.TarInfo("gateway.toml")
        member.size = 100_000
        archive.addfile(member, io.BytesIO(bytes(member.size)))
    return target.getvalue()


@pytest.mark.parametrize(
    "name", ["", ".", "..", "a/b", ".hidden", "a..b", "a\\b", "a b", "x" * 201]
)
def test_names_that_could_lead_elsewhere_are_not_plain(name: str) -> None:
    assert not is_plain_name(name)
