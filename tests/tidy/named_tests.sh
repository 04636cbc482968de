#!/usr/bin/env bash
# Every test that docs/threat-model.md names is there: `FILE`: words of the test's name. usage: named_tests.sh REPOSITORY
set -eu
cd "$1"
found=0 missing=0
while IFS=$'\t' read -r file name; do
  found=$((found + 1))
  grep -qF -- "$name" "$file" 2>/dev/null || { echo "docs/threat-model.md names a test that is not there: $file: $name"; missing=$((missing + 1)); }
done < <(grep -oE '`tests/[^`]+`: [^|]+' docs/threat-model.md | sed -E 's/; (`tests)/\n\1/g' | sed -E 's/\)?\.?$//; s/ +$//; s/^`([^`]+)`: /\1\t/')
echo "$found tests named, $missing missing"
[ "$found" -ge 60 ] && [ "$missing" -eq 0 ]
