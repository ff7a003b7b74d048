"""What install.sh refuses: it says what, where and what to do, and the machine is as before."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness_machine import CONFIG, INSTALL
from harness_tree import ROOT, WHEELHOUSE, Tree

pytestmark = [pytest.mark.install, pytest.mark.timeout(300)]

FROM_SOURCE = "/media/source/deploy/install.sh"


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[Tree]:
    shared = {WHEELHOUSE: "media/wheels", ROOT: "media/source"}
    with Tree(tmp_path / "tree", shared=shared, offline=True) as tree:
        yield tree


def refused(tree: Tree, *words: str, saying: str) -> None:
    """It fails with these words, and no path is new, gone or another."""
    before = tree.files()
    done = tree.run(*words)
    assert done.returncode == 1, done.stdout
    assert done.stdout.splitlines()[-1].startswith("install.sh: ")
    assert saying in done.stdout
    assert tree.files() == before


def be(tree: Tree, name: str, version: str) -> None:
    text = f'ID={name}\nVERSION_ID="{version}"\n'
    tree.good("rm", "/etc/os-release")
    tree.run("tee", "/etc/os-release", stdin=text)


def test_a_user_who_is_not_root(tree: Tree) -> None:
    as_nobody = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups")
    refused(tree, *as_nobody, INSTALL, "--yes", saying="run it as root")


@pytest.mark.parametrize(
    ("name", "version"), [("ubuntu", "24.04"), ("debian", "11"), ("fedora", "41"), ("debian", "")]
)
def test_another_distribution(tree: Tree, name: str, version: str) -> None:
    be(tree, name, version)
    refused(tree, INSTALL, "--yes", saying=f"this system is {name} {version}")


@pytest.mark.parametrize("name", ["debian 13", "raspbian 12"])
def test_its_relatives_are_taken(tree: Tree, name: str) -> None:
    kind, version = name.split()
    be(tree, kind, version)
    assert "step version" in tree.good(INSTALL, "--dry-run")


def test_a_disk_without_room(tree: Tree) -> None:
    tree.shell("mount -t tmpfs -o size=60m none /opt")
    refused(tree, INSTALL, "--yes", saying="/opt has 60 MB free, it takes 150 MB")


def test_a_disk_that_fills_up_on_the_way_and_is_mended(tree: Tree) -> None:
    tree.shell("mount -t tmpfs -o size=150m none /opt; head -c 130M /dev/zero >/opt/hog")
    tree.shell(
        "mkdir /tmp/w; cp -r /media/wheels/. /tmp/w; "
        "sed -i 's/OPT_NEEDS_MB=.*/OPT_NEEDS_MB=1/' /tmp/w/install/common.sh"
    )
    done = tree.run("/tmp/w/install.sh", "--yes")
    assert (done.returncode, "No space left" in done.stdout) == (1, True), done.stdout
    assert tree.shell("ls -A /opt") == "hog\n"
    tree.shell("rm /opt/hog")
    tree.good("/tmp/w/install.sh", "--yes")


def test_neither_internet_nor_wheelhouse(tree: Tree) -> None:
    refused(tree, FROM_SOURCE, "--yes", saying="--wheelhouse DIR")


def test_a_wheelhouse_for_another_machine(tree: Tree) -> None:
    tree.shell("mkdir /tmp/w; cp -r /media/wheels/. /tmp/w; cd /tmp/w; rm msgspec-*")
    refused(tree, "/tmp/w/install.sh", "--yes", saying="does not have every wheel")


def test_a_wheel_that_is_not_the_locked_one(tree: Tree) -> None:
    tree.shell(
        'mkdir /tmp/w; cp -r /media/wheels/. /tmp/w; cd /tmp/w; echo more >>"$(echo idna-*.whl)"'
    )
    refused(tree, "/tmp/w/install.sh", "--yes", saying="THESE PACKAGES DO NOT MATCH THE HASHES")


@pytest.mark.parametrize(
    ("words", "saying"),
    [
        (("--wheelhouse", "/nowhere"), "/nowhere: has to hold one tinybms_gateway-*.whl"),
        (("--wheelhouse",), "--wheelhouse DIR"),
        (("--now",), "install.sh --help"),
        (("--remove", "--rollback"), "exclude each other"),
    ],
)
def test_wrong_use(tree: Tree, words: tuple[str, ...], saying: str) -> None:
    refused(tree, INSTALL, "--yes", *words, saying=saying)


def test_a_configuration_of_a_newer_version(tree: Tree) -> None:
    tree.shell(f"mkdir /etc/tinybms; printf '[gateway]\\nwarp_drive = true\\n' >{CONFIG}")
    refused(tree, INSTALL, "--yes", saying="is it of a newer version?")


def test_nobody_to_ask(tree: Tree) -> None:
    refused(tree, INSTALL, saying="run it with --yes")


def test_who_says_no_and_who_says_yes(tree: Tree) -> None:
    asked = ("script", "-qec", INSTALL, "/dev/null")
    before = tree.files()
    done = tree.run(*asked, stdin="n\n")
    assert (done.returncode, "not wanted, nothing is changed" in done.stdout) == (1, True)
    assert tree.files() == before
    done = tree.run(*asked, stdin="y\n")
    assert (done.returncode, "is installed. Next: " in done.stdout) == (0, True), done.stdout


def test_an_owners_file_is_left_alone(tree: Tree) -> None:
    rule = "/etc/udev/rules.d/60-tinybms.rules"
    tree.good(INSTALL, "--yes")
    tree.shell(f"echo '# mine' >>{rule}")
    assert "step" not in tree.good(INSTALL, "--yes")
    said = tree.good(INSTALL, "--yes", "--remove")
    assert f"{rule} was changed by its owner: left as it is" in said
    assert tree.shell(f"tail -n 1 {rule}") == "# mine\n"
    assert f"{rule} was changed by its owner" in tree.good(INSTALL, "--yes")


def test_a_command_of_that_name_that_is_not_ours(tree: Tree) -> None:
    tree.shell("echo other >/usr/local/bin/tinybms-ctl")
    done = tree.run(INSTALL, "--yes")
    assert done.returncode == 1
    assert "/usr/local/bin/tinybms-ctl is there and is not ours" in done.stdout
    assert tree.shell("cat /usr/local/bin/tinybms-ctl") == "other\n"


def test_a_second_copy_waits_and_gives_up(tree: Tree) -> None:
    with subprocess.Popen(tree.command(["flock", "/opt", "sleep", "60"])) as holder:
        refused(tree, INSTALL, "--yes", saying="another install.sh is at work")
        holder.terminate()


def test_going_back_to_nothing(tree: Tree) -> None:
    refused(tree, INSTALL, "--yes", "--rollback", saying="nothing to go back to")


def test_a_dry_run_changes_nothing(tree: Tree) -> None:
    before = tree.files()
    said = tree.good(INSTALL, "--dry-run")
    assert [line.split()[1] for line in said.splitlines() if line.startswith("step")] == (
        ["version:", "user:", "folders:", "files:", "switch:"]
    )
    tree.good(INSTALL, "--dry-run", "--purge")
    assert tree.files() == before


def test_ports_that_are_taken(tree: Tree) -> None:
    tree.good(INSTALL, "--yes")
    text = '[acquisition]\nport = "/dev/null"\n[can]\nenabled = false\n'
    tree.run("tee", CONFIG, stdin=text)
    listener = (
        "import socket, time; s = socket.create_server(('127.0.0.1', 8088));"
        " print('up', flush=True); time.sleep(99)"
    )
    with subprocess.Popen(
        tree.command(["python3", "-c", listener]), stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"up\n"
        done = tree.run(INSTALL, "--yes")
        holder.kill()
    assert done.returncode == 1
    assert "health.listen = 127.0.0.1:8088: Address already in use" in done.stdout
