"""The long fuzz: bytes made by what they reach in the code, by atheris (libFuzzer for Python).

    python tests/fuzz/run.py idx --seconds 3600    one reader for an hour
    python tests/fuzz/run.py --seconds 60          each reader for a minute
    python tests/fuzz/run.py idx --replay FILE     what was found, again

What is found lies in tests/fuzz/found/TARGET: once mended, move it to tests/fuzz/corpus, where
the suite reads it again. Inputs that reach new code gather in tests/fuzz/grown, for the next
time. Needs `pip install "saccade[fuzz]"`.
"""

from __future__ import annotations

import argparse
import atexit
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
# The Python code of readers, which steers the fuzzer; each module of it takes time to prepare.
INSTRUMENTED = ["saccade.envs.datasets", "saccade.ram.checkpoint", "saccade.ram.sizes"]
INSTRUMENTED += ["saccade.agents.config", "saccade.agents.schema", "saccade.agents.row"]
INSTRUMENTED += ["saccade.agents.compare", "saccade.envs.options", "saccade.envs.checks"]
INSTRUMENTED += ["zipfile", "tarfile", "gzip", "yaml", "json", "numpy.lib._format_impl"]
INSTRUMENTED += ["PIL.PngImagePlugin", "PIL.JpegImagePlugin"]
SLOWEST = 60  # seconds for one input: beyond it, it hangs
MOST_MEMORY = 3 << 10  # MiB of the process, PyTorch among them
LARGEST = 64 << 10  # bytes of an input


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("target", nargs="?", help="one reader; all of them without")
    parser.add_argument("--seconds", type=int, default=60, help="for each reader (60)")
    parser.add_argument("--replay", metavar="FILE", nargs="+", help="read these files, no more")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    sys.path.insert(0, str(HERE.parent))
    if asked.inside:
        _fuzz(asked.target, asked.seconds)
    from fuzz.targets import TARGETS, Refused

    if asked.target is not None and asked.target not in TARGETS:
        parser.error(f"no target is called {asked.target!r}: {', '.join(TARGETS)}")
    if asked.replay:
        for file in asked.replay:
            try:
                TARGETS[asked.target](Path(file).read_bytes())
                print(f"{file}: read")
            except Refused as error:
                print(f"{file}: refused: {error}")
        return 0
    failed = []
    for name in [asked.target] if asked.target else TARGETS:
        command = [sys.executable, __file__, name, f"--seconds={asked.seconds}", "--inside"]
        # libFuzzer ends its process, and a bug may too.
        run = subprocess.run(command, stderr=subprocess.PIPE, text=True, errors="replace")
        runs = re.findall(r"^(?:#|Done )(\d+)", run.stderr, re.MULTILINE)
        print(f"{name}: {int(runs[-1]) if runs else 0:,} inputs, exit code {run.returncode}")
        if run.returncode:
            failed.append(name)
            print("\n".join(run.stderr.splitlines()[-40:]))
    return 1 if failed else 0


def _fuzz(name: str, seconds: int) -> None:
    """Fuzz one target in this process, which libFuzzer ends."""
    import atheris
    import stable_baselines3  # noqa: F401  (and PyTorch: slow to import where imports are watched)

    with atheris.instrument_imports(include=INSTRUMENTED):
        from fuzz.targets import CORPUS, TARGETS, Refused, scratch

    target = TARGETS[name]
    folders = [HERE / "grown" / name, scratch() / "seeds"]
    found = HERE / "found" / name
    for folder in (*folders, found):
        folder.mkdir(parents=True, exist_ok=True)
    for place, seed in enumerate(target.seeds()):
        (folders[1] / str(place)).write_bytes(seed)
    if (CORPUS / name).is_dir():
        folders.append(CORPUS / name)
    words = scratch() / "words"
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words or (name,)))
    atexit.register(shutil.rmtree, scratch(), ignore_errors=True)
    # An allocation out of proportion fails at once, as a MemoryError that nobody should meet.
    most = (MOST_MEMORY << 20) + _address_space()
    resource.setrlimit(resource.RLIMIT_AS, (most, most))

    def one(data: bytes) -> None:
        try:
            target(data)
        except Refused:
            return

    atheris.Setup(
        [
            sys.argv[0],
            f"-max_total_time={seconds}",
            f"-timeout={SLOWEST}",
            f"-rss_limit_mb={MOST_MEMORY}",
            f"-max_len={LARGEST}",
            f"-artifact_prefix={found}{os.sep}",
            f"-dict={words}",
            "-print_final_stats=1",
            *map(str, folders),
        ],
        one,
    )
    atheris.Fuzz()


def _escaped(word: str) -> str:
    return "".join(c if c.isalnum() or c in "_-./" else f"\\x{ord(c):02x}" for c in word)


def _address_space() -> int:
    """Bytes of addresses that this process has now."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return 0
    return pages * resource.getpagesize()


if __name__ == "__main__":
    sys.exit(main())
