#!/usr/bin/env bash
# python-tuf's own client, from PyPI, reads a real server's /tuf: refreshes, finds a release, downloads it, refuses one that is not there.
# usage: python_tuf.sh BIN PYTHON   (a Python that has tuf 7.0.0)
set -- "$(cd "$1" && pwd)" "$(readlink -f "$(dirname "$2")")/$(basename "$2")"
python=$2
. "$(dirname "$0")/../e2e/lib.sh"
init_server; start_server
ctl model create m >/dev/null
make_release "$work/v1" one
publish 1 "$work/v1"
curl -s --cacert "$FLEETCTL_CA" "$FLEETCTL_SERVER/tuf/1.root.json" >"$work/root.json"
mkdir "$work/metadata" "$work/targets"
export SSL_CERT_FILE=$FLEETCTL_CA REQUESTS_CA_BUNDLE=$FLEETCTL_CA
read_all() {
  "$python" - "$FLEETCTL_SERVER" "$work" "$1" <<'PYTHON'
import sys
from tuf.ngclient import Updater
server, work, path = sys.argv[1:]
bootstrap = open(work + "/root.json", "rb").read()
client = Updater(work + "/metadata", server + "/tuf/", work + "/targets", server + "/tuf/targets/", bootstrap=bootstrap)
client.refresh()
found = client.get_targetinfo(path)
if found is None:
    sys.exit("no trusted role signs " + path)
print(client.download_target(found))
PYTHON
}
expect "python-tuf refreshes and downloads a release" read_all models/m/1/release.json
expect "what it took is the release" grep -rq '"model":"m"' "$work/targets"
expect_code "it finds none that is not there" 1 read_all models/m/2/release.json
publish 2 "$work/v1"
expect "it follows the next release" read_all models/m/2/release.json
