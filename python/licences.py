"""Checks the licence of every crate in Cargo.lock, offline, from `cargo metadata`.

An SPDX expression is allowed if it evaluates to true with the licences of ALLOWED. Crates without a readable expression, or
with a licence that is allowed only for them, are in EXCEPTIONS with the reason. Crates in BANNED, crates from anywhere but
crates.io, and exceptions that no longer apply are failures too.

    python python/licences.py
"""

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REGISTRY = "registry+https://github.com/rust-lang/crates.io-index"
# Permissive licences, for code that is linked into the programs.
ALLOWED = {
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
}
# name: (licence expression, why it is allowed)
EXCEPTIONS = {
    "colored": ("MPL-2.0", "file-level copyleft, and its files are unchanged"),
    "libfuzzer-sys": ("(MIT OR Apache-2.0) AND NCSA", "NCSA is permissive; an optional dependency that is never built"),
    "option-ext": ("MPL-2.0", "file-level copyleft, and its files are unchanged"),
    "webpki-roots": ("CDLA-Permissive-2.0", "root certificates, under a permissive data licence"),
}
# name: why it is banned
BANNED = {
    "serde_yaml": "discontinued; serde-saphyr reads the configuration",
    "serde_yml": "RUSTSEC-2025-0068; serde-saphyr reads the configuration",
    "openssl-sys": "a fresh machine has no OpenSSL; rustls is used instead",
    "servo-fontconfig-sys": "a fresh machine has no fontconfig; the figures' font is embedded",
    "yeslogic-fontconfig-sys": "a fresh machine has no fontconfig; the figures' font is embedded",
    "openblas-src": "a fresh machine has no BLAS; gemm and faer are used instead",
}


def allowed(expression):
    """Evaluates an SPDX expression. `/` is the old spelling of OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def either():
        value = both()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            # Evaluated first: it also consumes tokens.
            value = both() or value
        return value

    def both():
        value = one()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = one() and value
        return value

    def one():
        token = tokens.pop(0)
        if token == "(":
            value = either()
            if tokens.pop(0) != ")":
                raise ValueError
            return value
        if tokens and tokens[0] == "WITH":
            tokens.pop(0)
            token = f"{token} WITH {tokens.pop(0)}"
            # An exception only adds permissions to its licence.
            return token in ALLOWED or token.split(" ")[0] in ALLOWED
        return token in ALLOWED

    try:
        value = either()
        return value and not tokens
    except (IndexError, ValueError):
        return False


def selftest():
    for expression in ["MIT", "MIT/Apache-2.0", "GPL-3.0 OR MIT", "(MIT OR GPL-3.0) AND Unicode-3.0", "MIT AND (ISC)"]:
        assert allowed(expression), expression
    for expression in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT", "MIT OR", "GPL-3.0 OR (ISC AND AGPL-3.0)"]:
        assert not allowed(expression), expression


def main():
    selftest()
    # The whole lock file: every feature and platform, since any of them may be built.
    command = ["cargo", "metadata", "--format-version", "1", "--locked", "--all-features"]
    metadata = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout
    packages = [package for package in json.loads(metadata)["packages"] if package["source"]]
    failures, used, counts = [], set(), {}
    for package in packages:
        name, licence = package["name"], package["license"] or ""
        label = f"{name} {package['version']}"
        counts[licence] = counts.get(licence, 0) + 1
        if package["source"] != REGISTRY:
            failures.append(f"{label} comes from {package['source']}, not from crates.io")
        if name in BANNED:
            failures.append(f"{label} is banned: {BANNED[name]}")
        if allowed(licence):
            continue
        if name in EXCEPTIONS and EXCEPTIONS[name][0] == licence:
            used.add(name)
            continue
        failures.append(f"{label}: the licence {licence or '(none stated)'!r} is not allowed")
    failures += [f"the exception for {name} is not needed any more" for name in sorted(EXCEPTIONS.keys() - used)]
    for failure in failures:
        print(failure)
    print(f"licences of {len(packages)} crates checked, {len(used)} exceptions, {len(failures)} failures")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
