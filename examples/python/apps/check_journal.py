#!/usr/bin/env python3
"""Counts what a reader did while its model was switched: every inference must have worked, and have the answer that its release gives by itself.

usage: check_journal.py --journal FILE-OR-FOLDER --expect DIGEST=FILE ... [--releases N] [--least N]
A line of a journal: DIGEST ROW LABEL,P0,...,P9, or DIGEST ROW failed: why. A line of an expected file: LABEL,P0,...,P9, for each row.
"""
import argparse
import collections
import pathlib
import sys

TOLERANCE = 2e-3


def same(left, right):
    (a, *p), (b, *q) = left.split(","), right.split(",")
    return a == b and len(p) == len(q) and all(abs(float(x) - float(y)) <= TOLERANCE for x, y in zip(p, q))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--journal", required=True)
    parser.add_argument("--expect", action="append", required=True, metavar="DIGEST=FILE")
    parser.add_argument("--releases", type=int, default=0, help="so many must have been used")
    parser.add_argument("--least", type=int, default=1, help="inferences that each of them must have")
    given = parser.parse_args()
    expected = {}
    for one in given.expect:
        digest, file = one.split("=", 1)
        expected[digest] = pathlib.Path(file).read_text().split("\n")
    counts, failed, mixed, switches = collections.Counter(), 0, 0, 0
    journal = pathlib.Path(given.journal)
    for file in sorted(journal.iterdir()) if journal.is_dir() else [journal]:
        before = None
        for line in file.read_text().split("\n")[:-1]:
            digest, row, answer = line.split(" ", 2)
            if answer.startswith("failed"):
                failed += 1
                print("failed:", line)
            elif digest not in expected or not same(answer, expected[digest][int(row)]):
                mixed += 1
                if mixed <= 3:
                    print("mixed:", line, "expected:", expected.get(digest, {0: "no such release"})[int(row) if digest in expected else 0])
            else:
                counts[digest] += 1
            switches += before is not None and before != digest
            before = digest
    used = sum(1 for count in counts.values() if count >= given.least)
    print("{} inferences by {} releases over {} switches: {} failed, {} mixed".format(sum(counts.values()) + failed + mixed, len(counts), switches, failed, mixed))
    if used < given.releases:
        print("only {} releases have {} inferences: {}".format(used, given.least, dict(counts)))
    return 0 if failed == 0 and mixed == 0 and used >= given.releases and counts else 1


if __name__ == "__main__":
    sys.exit(main())
