#!/usr/bin/python3
"""What a new version of a file takes on the way to a device that has the old one: ours beside others', in one run. Each size is checked by decoding.
usage: delta.py BIN [PEERS_PYTHON]   MIB=16, PAIRS="part of a name" and SLOW=no (without bsdiff and zstd -19) choose; MARKDOWN=file takes the tables"""
import filecmp
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

BIN = pathlib.Path(sys.argv[1]).resolve()
PEERS = sys.argv[2] if len(sys.argv) > 2 else None
HERE = pathlib.Path(__file__).resolve().parent
MIB = int(os.environ.get("MIB", 16))
OURS = str(BIN / "content-files")


class Run:
    """Commands in a folder, and what they took."""

    def __init__(self, folder):
        self.folder = folder

    def __call__(self, *command, stdout=None):
        """CPU seconds, peak memory in MiB, what was printed."""
        took = self.folder / "took"
        with open(self.folder / (stdout or "stdout"), "wb") as out:
            done = subprocess.run([BIN / "measured", took, *command], stdout=out, stderr=subprocess.PIPE)
        if done.returncode != 0:
            sys.exit(f"{' '.join(map(str, command))}: {done.stderr.decode()[-500:]}")
        seconds, kib = took.read_text().split()
        return float(seconds), int(kib) / 1024, "" if stdout else (self.folder / "stdout").read_text()

    def fresh(self, name):
        path = self.folder / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir()
        return path


def size_of(path):
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size


def ours(run, old, new, out, bases):
    folder = run.fresh("recipe")
    encode = run(OURS, "encode", folder, new, *bases)
    return int(encode[2].split()[0]), encode, run(OURS, "decode", folder, out, *bases)


def two(encode, decode):
    """A pair of commands with {old}, {new}, {patch}, {out}."""
    def method(run, old, new, out):
        names = {"old": old, "new": new, "patch": run.folder / "patch", "out": out}
        fill = lambda command: [part.format(**names) for part in command.split()]
        names["patch"].unlink(missing_ok=True)
        done = run(*fill(encode))
        return size_of(names["patch"]), done, run(*fill(decode))
    return method


def casync(run, old, new, out):
    run.fresh("store")
    make = lambda file, index: run("casync", "make", "--chunk-size=16384:65536:262144", f"--store={run.folder}/store", run.folder / index, file)
    make(old, "old.caibx")
    before = size_of(run.folder / "store")
    done = make(new, "new.caibx")
    bytes_ = size_of(run.folder / "store") - before + size_of(run.folder / "new.caibx")
    return bytes_, done, run("casync", "extract", f"--store={run.folder}/store", run.folder / "new.caibx", out)


def zchunk(run, old, new, out):
    run("zck", "-o", run.folder / "old.zck", old)
    done = run("zck", "-o", run.folder / "new.zck", new)
    said = run("zck_delta_size", run.folder / "old.zck", run.folder / "new.zck")[2]
    bytes_ = int(next(line.split()[2] for line in said.splitlines() if line.startswith("Would download")))
    return bytes_, done, run("unzck", "--stdout", run.folder / "new.zck", stdout=out.name)


def peer(name):
    """Of PyPI, by delta_peers.py."""
    def method(run, old, new, out):
        script = HERE / "delta_peers.py"
        done = run(PEERS, script, name, "encode", old, new, run.folder / "patch")
        return size_of(run.folder / "patch"), done, run(PEERS, script, name, "decode", old, run.folder / "patch", out)
    return method


METHODS = {
    "ours, delta": lambda run, old, new, out: ours(run, old, new, out, [old]),
    "ours, without a base": lambda run, old, new, out: ours(run, old, new, out, []),
    "zstd -3": two("zstd -q -3 {new} -o {patch}", "zstd -q -d {patch} -o {out}"),
    "zstd -19": two("zstd -q -19 {new} -o {patch}", "zstd -q -d {patch} -o {out}"),
    "zstd -19 --patch-from": two("zstd -q -19 --long=27 --patch-from={old} {new} -o {patch}", "zstd -q -d --long=27 --patch-from={old} {patch} -o {out}"),
    "xdelta3": two("xdelta3 -e -9 -B 134217728 -s {old} {new} {patch}", "xdelta3 -d -B 134217728 -s {old} {patch} {out}"),
    "bsdiff": two("bsdiff {old} {new} {patch}", "bspatch {old} {out} {patch}"),
    "casync": casync,
    "zchunk": zchunk,
}
SLOW = {"zstd -19", "zstd -19 --patch-from", "bsdiff"}
if os.environ.get("SLOW") == "no":
    METHODS = {name: method for name, method in METHODS.items() if name not in SLOW}
if PEERS:
    METHODS = {name: METHODS[name] for name in ("ours, delta", "ours, without a base")}
    METHODS |= {name: peer(name) for name in ("zipnn", "zipnn delta", "hdiffpatch", "xor + zstd", "xor + zstd -19")}
# ZipNN knows floats of these.
DTYPES = {"bf16": "bfloat16", "fp16": "float16", "int8": None, "q4_0": None}


def libraries(folder):
    """An old and a new version of a library, as the package archives that apt knows have them. Nothing where they have one alone."""
    for package, name in (("libssl3", "libcrypto.so.3"), ("libnode108", "libnode.so.108")):
        table = subprocess.run(["apt-cache", "madison", package], capture_output=True, text=True).stdout.splitlines()
        versions = list(dict.fromkeys(line.split("|")[1].strip() for line in table))[:2]
        if len(versions) < 2:
            continue
        for target, version in zip(("new", "old"), versions):
            work = folder / "package"
            shutil.rmtree(work, ignore_errors=True)
            work.mkdir()
            got = subprocess.run(["apt-get", "download", "-q", f"{package}={version}"], cwd=work, capture_output=True)
            if got.returncode != 0:
                break
            subprocess.run(["dpkg-deb", "-x", *work.glob("*.deb"), work / "x"], check=True)
            shutil.copy(next(path for path in (work / "x").rglob(name) if path.is_file() and not path.is_symlink()), folder / target)
        else:
            shutil.rmtree(work)
            yield f"{name} {versions[1]} to {versions[0]}"


def pairs(folder):
    names = subprocess.run([HERE / "delta_pairs.py", "list"], check=True, capture_output=True, text=True).stdout.splitlines()
    for name in names:
        if os.environ.get("PAIRS", "") in name:
            subprocess.run([HERE / "delta_pairs.py", folder, str(MIB), name], check=True)
            yield name
    if not PEERS and os.environ.get("PAIRS", "lib") in "libraries":
        yield from libraries(folder)


def table(head, rows):
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---"] * len(head), *rows)]
    print("\n".join(lines) + "\n", flush=True)
    if os.environ.get("MARKDOWN"):
        with open(os.environ["MARKDOWN"], "a") as file:
            file.write("\n".join(lines) + "\n\n")


def main():
    root = pathlib.Path(tempfile.mkdtemp(prefix="fleet-delta-"))
    try:
        sizes, costs = [], {name: [] for name in METHODS}
        for pair in pairs(root):
            old, new, row = root / "old", root / "new", []
            size = new.stat().st_size
            results = {}
            dtype = next((dtype for part, dtype in DTYPES.items() if part in pair), "float32")
            os.environ["DTYPE"] = dtype or ""
            lengths_differ = old.stat().st_size != size
            for name, method in METHODS.items():
                if "zipnn" in name and (dtype is None or (lengths_differ and "delta" in name)):
                    results[name] = None
                    continue
                run = Run(root / "work")
                run.folder.mkdir()
                out = run.folder / "out"
                bytes_, encode, decode = method(run, old, new, out)
                if not filecmp.cmp(out, new, shallow=False):
                    sys.exit(f"{name} made another file of {pair}")
                results[name] = bytes_
                # What starting a process costs would drown a small file.
                if size > 4 << 20:
                    costs[name].append((encode[0] / size * 1e9, encode[1], decode[0] / size * 1e9, decode[1]))
                shutil.rmtree(run.folder)
            full = results["ours, without a base"]
            best = min(bytes_ for name, bytes_ in results.items() if bytes_ is not None and not name.startswith("ours"))
            percent = lambda bytes_: "-" if bytes_ is None else f"{100 * bytes_ / size:.2f}"
            sizes.append([pair, f"{size:,}", *map(percent, results.values()), f"{100 * results['ours, delta'] / full:.1f}", f"{results['ours, delta'] / best:.2f}"])
            print(f"{pair}: {size:,} bytes; " + ", ".join(f"{name} {percent(bytes_)} %" for name, bytes_ in results.items()), flush=True)
        print()
        table(["% of the new file", "bytes", *METHODS, "ours, % of ours without a base", "ours / the best of the others"], sizes)
        rows = []
        for name, runs in costs.items():
            if runs:
                encode, encode_memory, decode, decode_memory = zip(*runs)
                spread = lambda values: f"{min(values):.1f} to {max(values):.1f}"
                rows.append([name, spread(encode), f"{max(encode_memory):.0f}", spread(decode), f"{max(decode_memory):.1f}"])
        table([f"{MIB} MiB", "encode, CPU s/GB", "MiB at most", "decode, CPU s/GB", "MiB at most"], rows)
    finally:
        shutil.rmtree(root)


main()
