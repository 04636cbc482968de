# Apps that read digits while their model is switched by a real agent: what is published, run and counted is the same for all of them. For a case that has read lib.sh.
repo=$(cd "$here/../.." && pwd)
meter=$repo/examples/meter-reader apps=$repo/examples/python/apps
head -n 200 "$meter/data/field.csv" >"$work/rows.csv"
printf 'stages: [{percent: 100}]\non_harm: pause\n' >"$work/policy.yaml"

# label FOLDER NAME: labels by which it shows when a model has another release's.
label() { seq 0 9 | sed "s/^/$2-/" >"$1/labels.txt"; }
# publish_reader MODEL VERSION FOLDER MANIFEST
publish_reader() { ctl release publish --model "$1" --version "$2" --variant "cam-a=$3" --manifest <(printf '%s\n' "$4") -o name >/dev/null || fail "publishing $2 of $1"; }
evidence='probation: {time: 1s, inferences: 200, max: 20s}'
switch_to() { ctl rollout wait "$(ctl rollout create --release "$1@$2" --all --policy "$work/policy.yaml" --start -o name)" --timeout 60s; }
digest_of() { basename "$(readlink "$work/d1/models/$1/current")"; }

declare -A expected=()  # MODEL -> words for check_journal.py
# expect_of MODEL VERSION FOLDER COMMAND...: what this release answers by itself, alone, in a process of its own. For the one that runs.
expect_of() {
  local model=$1 file=$work/expect.$1.$2 folder=$3; shift 3
  FLEET_SLOT=$folder FLEET_INPUTS=$work/rows.csv FLEET_OUTPUT=$file "$@" || fail "$model does not read by itself"
  expected[$model]+=" --expect $(digest_of "$model")=$file"
}
# counted MODEL JOURNAL RELEASES: none failed, none mixed; each release has had its share.
counted() { python3 "$apps/check_journal.py" --journal "$2" ${expected[$1]} --releases "$3" --least 200; }
