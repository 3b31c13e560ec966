"""Download pinned Debian packages through apt, check them and unpack them into the cache.

apt runs with a configuration of its own: package lists, downloads and sources all live in the
cache, and nothing else on the machine changes. The mirror and its key are those of the machine.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PIN_FILE = Path(__file__).resolve().parent / "micropython.toml"
APT_FOLDER = Path("/etc/apt")
POCKETS = ("-security", "-updates", "-backports", "-proposed")

# Hooks of the machine would write outside of the cache.
APT_HOOKS = """\
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


class FetchError(Exception):
    """The source cannot be had; the message says why and what to do."""


@dataclass(frozen=True)
class Pin:
    """One version of a Debian package.

    Parameters
    ----------
    package, version : str
        Debian package and its version: a source package, or a binary one where `file` is a .deb.
        A version without Debian's revision stands for the one that the suite has: security
        updates change it, not the upstream tarball.
    suite, component : str
        Where Debian publishes it.
    file : str
        File name of the upstream tarball or of the .deb.
    sha256 : str
        Its SHA-256, in hexadecimal.
    marker : str
        A file that it holds, as a path in the folder that is to be kept.
    only : list of str
        Patterns of paths in that folder: only these files are unpacked. Everything by default.
    """

    package: str
    version: str
    suite: str
    component: str
    file: str
    sha256: str
    marker: str
    only: list[str] = field(default_factory=list)

    @property
    def binary(self) -> bool:
        """Whether it is a binary package."""
        return self.file.endswith(".deb")

    @property
    def apt_name(self) -> str:
        """What apt is asked for."""
        return f"{self.package}={self.version}" if "-" in self.version else self.package

    @property
    def upstream_version(self) -> str:
        """The version without Debian's revision, such as ``1.25.0``."""
        return self.version.split(":", 1)[-1].rsplit("-", 1)[0].split("+", 1)[0]


@dataclass(frozen=True)
class Archive:
    """A package archive that this machine already uses: its address, and its key if stated."""

    uri: str
    signed_by: str | None


def read_pins(path: Path) -> list[Pin]:
    """Read a file with one pin, or with a table for each of several."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    tables = [content] if "package" in content else content.values()
    return [Pin(**table) for table in tables]


def read_pin() -> Pin:
    """Read ``micropython.toml``."""
    return read_pins(PIN_FILE)[0]


def cache_folder() -> Path:
    """Return the cache: ``$WINGBEAT_CACHE``, or ``~/.cache/wingbeat``."""
    chosen = os.environ.get("WINGBEAT_CACHE")
    return Path(chosen).resolve() if chosen else Path.home() / ".cache" / "wingbeat"


def source_folder(pin: Pin) -> Path:
    """Return where the unpacked package is, or will be."""
    name = f"{pin.package}-{pin.upstream_version}"
    if pin.only:
        name += f"-{hashlib.sha256(repr(pin.only).encode()).hexdigest()[:8]}"
    return cache_folder() / name


def _stanzas(text: str) -> Iterator[dict[str, str]]:
    """Yield the stanzas of a deb822 file, with field names in lower case."""
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields = {}
        elif line[0].isspace():
            fields[name] = fields.get(name, "") + "\n" + line
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def _deb822_archives(text: str, component: str) -> Iterator[Archive]:
    for fields in _stanzas(text):
        suites = fields.get("suites", "").split()
        if (
            fields.get("enabled", "yes").lower() not in ("no", "false", "0")
            and component in fields.get("components", "").split()
            and not all(suite.endswith(POCKETS) for suite in suites)
        ):
            for uri in fields.get("uris", "").split():
                yield Archive(uri, fields.get("signed-by"))


def _one_line_archives(text: str, component: str) -> Iterator[Archive]:
    for line in text.splitlines():
        words = line.split("#", 1)[0].split(None, 1)
        if len(words) != 2 or words[0] not in ("deb", "deb-src"):
            continue
        rest = words[1]
        signed_by = None
        if rest.startswith("["):
            options, _, rest = rest[1:].partition("]")
            for option in options.split():
                if option.startswith("signed-by="):
                    signed_by = option.partition("=")[2]
        uri, suite, *components = [*rest.split(), "", ""]
        if component in components and not suite.endswith(POCKETS):
            yield Archive(uri, signed_by)


def machine_archives(component: str, folder: Path = APT_FOLDER) -> list[Archive]:
    """List the archives in the machine's apt configuration that carry `component`."""
    found: list[Archive] = []
    for path in [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]:
        if not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        if path.suffix == ".sources":
            found.extend(_deb822_archives(text, component))
        elif path.suffix == ".list":
            found.extend(_one_line_archives(text, component))
    return list(dict.fromkeys(found))


def _apt(arguments: list[str], state: Path, downloads: Path) -> None:
    options = {
        "Dir::State": state,
        "Dir::State::lists": state / "lists",
        "Dir::State::status": state / "status",
        "Dir::Cache": state / "cache",
        "Dir::Etc::sourcelist": "/dev/null",
        "Dir::Etc::sourceparts": state / "sources.list.d",
        "APT::Get::List-Cleanup": "false",
        "APT::Sandbox::User": "",
    }
    command = ["apt-get", "-q", "-c", str(state / "apt.conf")]
    for name, value in options.items():
        command += ["-o", f"{name}={value}"]
    done = subprocess.run(
        [*command, *arguments],
        cwd=downloads,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        lines = [line for line in done.stdout.splitlines() if line.startswith(("E:", "W:"))]
        raise FetchError(" ".join(lines) or f"{shlex.join(command[:1] + arguments)} failed")


def _download_from(archive: Archive, pin: Pin, downloads: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="apt-", dir=cache_folder()) as temporary:
        state = Path(temporary)
        for name in ("lists/partial", "cache/archives/partial", "sources.list.d"):
            (state / name).mkdir(parents=True)
        (state / "status").touch()
        (state / "apt.conf").write_text(APT_HOOKS, encoding="utf-8")
        source = [
            f"Types: {'deb' if pin.binary else 'deb-src'}",
            f"URIs: {archive.uri}",
            f"Suites: {pin.suite}",
            f"Components: {pin.component}",
        ]
        if archive.signed_by:
            source.append(f"Signed-By: {archive.signed_by}")
        (state / "sources.list.d" / "pin.sources").write_text(
            "\n".join(source) + "\n", encoding="utf-8"
        )
        incoming = state / "incoming"
        incoming.mkdir()
        _apt(["update"], state, incoming)
        order = ["download"] if pin.binary else ["source", "--download-only", "--tar-only"]
        _apt([*order, pin.apt_name], state, incoming)
        package = incoming / pin.file
        if not package.is_file():
            raise FetchError(f"apt-get {order[0]} brought no {pin.file}")
        package.replace(downloads / pin.file)


def download(pin: Pin) -> Path:
    """Return the pinned file in the cache; download it when it is not there.

    Raises
    ------
    FetchError
        There is no apt, no archive of the machine has this version, or the SHA-256 differs.
    """
    downloads = cache_folder() / "downloads"
    downloads.mkdir(parents=True, exist_ok=True)
    package = downloads / pin.file
    if not package.is_file():
        remedy = f"or put {pin.file} into {downloads} by hand"
        if shutil.which("apt-get") is None:
            raise FetchError(f"apt-get is missing: run this on Debian, {remedy}")
        archives = machine_archives(pin.component)
        reasons = ["no archive with that component is in the apt configuration"]
        if archives:
            reasons = []
        for archive in archives:
            try:
                _download_from(archive, pin, downloads)
                break
            except FetchError as error:
                reasons.append(str(error))
        else:
            raise FetchError(
                f"cannot download {pin.package} {pin.version} ({pin.suite}): {'; '.join(reasons)}; "
                f"check the network and that the machine uses Debian's archive, {remedy}"
            )
    digest = hashlib.sha256(package.read_bytes()).hexdigest()
    if digest != pin.sha256:
        package.unlink()
        raise FetchError(
            f"{pin.file} has SHA-256 {digest}, expected {pin.sha256}: deleted it, try again"
        )
    return package


def _is_wanted(path: str, pin: Pin) -> bool:
    return not pin.only or any(PurePosixPath(path).match(pattern) for pattern in pin.only)


def _unpack(package: Path, pin: Pin, folder: Path) -> None:
    if package.suffix == ".deb":
        if shutil.which("dpkg-deb") is None:
            raise FetchError(f"dpkg-deb is missing, and unpacks {package.name}: apt install dpkg")
        done = subprocess.run(
            ["dpkg-deb", "-x", str(package), str(folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise FetchError(f"cannot unpack {package.name}: {done.stderr.strip()}")
        return
    with tarfile.open(package) as archive:
        members = [member for member in archive if _is_wanted(member.name, pin)]
        if hasattr(tarfile, "data_filter"):
            archive.extractall(folder, members, filter="data")
        else:
            archive.extractall(folder, members)


def fetch(pin: Pin) -> Path:
    """Return the folder of the unpacked package; download and unpack it when needed.

    Raises
    ------
    FetchError
        See :func:`download`.
    """
    target = source_folder(pin)
    if target.is_dir():
        return target
    package = download(pin)
    with tempfile.TemporaryDirectory(prefix="unpack-", dir=cache_folder()) as temporary:
        _unpack(package, pin, Path(temporary))
        found = list(Path(temporary).glob(f"**/{pin.marker}"))
        if len(found) != 1:
            raise FetchError(f"{pin.file} has {len(found)} files {pin.marker}, expected one")
        try:
            found[0].parents[pin.marker.count("/")].rename(target)
        except OSError:
            if not target.is_dir():
                raise
    return target


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "pins", nargs="?", type=Path, default=PIN_FILE, help="file of pins [micropython.toml]"
    )
    parser.add_argument(
        "--path", action="store_true", help="only print the folder of each, download nothing"
    )
    arguments = parser.parse_args()
    try:
        for pin in read_pins(arguments.pins):
            print(source_folder(pin) if arguments.path else fetch(pin), flush=True)
    except (FetchError, OSError) as error:
        print(f"fetch.py: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
